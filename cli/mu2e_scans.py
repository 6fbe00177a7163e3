"""``python main.py mu2e windows`` and ``mu2e scan``: the dT window of the veto, and thresholds of cuts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .mu2e_results import (
    FOLDER,
    Result,
    Sample,
    add_flags,
    convention,
    output,
    read_result,
    samples,
    show,
    the_one,
    warn,
)
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.mu2e_scans import ThresholdPoint, VetoWindow
    from ..outputs.mu2e_tables import Table

#: Windows that are printed; the files have all.
SHOWN = 10
WINDOW_EXAMPLES = """\
  python main.py mu2e windows cosmics electrons --cutset dTPreprocess
  python main.py mu2e windows results --required 0.995
"""
SCAN_EXAMPLES = """\
  python main.py --datasets toy_cosmic --output-dir results --set 'scans={"lo_trkqual": {"start": 0, "stop": 0.95}}'
  python main.py mu2e scan results
  python main.py mu2e scan results --threshold lo_trkqual
"""


def windows_command(arguments: Sequence[str]) -> int:
    """Run ``windows COSMICS ELECTRONS`` and return the exit code."""
    options = _windows_parser().parse_args(list(arguments[1:]))
    from rich.console import Console

    from ..outputs.mu2e_scans import all_events, narrowest, veto_windows, windows_table
    from ..outputs.mu2e_tables import write

    if not 0 < options.required < 1:
        raise UserError(f"--required lies between 0 and 1, such as 0.999; got {options.required:g}.")
    drawn = convention(options.confidence)
    results, cosmics, electrons = _two_samples(options)
    windows = veto_windows(cosmics.counts, None if electrons is None else electrons.counts, drawn)
    best = narrowest(windows, options.required, surely=options.surely)
    events = all_events(cosmics.counts), None if electrons is None else all_events(electrons.counts)
    table = windows_table(windows, best, events, options.required)
    folder = options.output_dir or options.cosmics / FOLDER
    names = ", ".join(one.name for one in (cosmics, electrons) if one is not None)
    warnings = [line for one in results for line in one.warnings]
    with output(folder, ["windows", "window_maps", "window_choice"], overwrite=options.overwrite) as work:
        about = {"results": [one.about for one in results], "samples": names, "cutset": cosmics.cutset}
        write([table], work, "windows", about)
        if not options.no_plots:
            from ..plotting.mu2e_curves import plot_window_choice, plot_window_maps
            from ..plotting.mu2e_style import Head

            head = Head(f"dT windows of the veto: {names}, cutset {cosmics.cutset}", warnings)
            plot_window_maps(work / "window_maps", windows, best, head, required=options.required)
            plot_window_choice(work / "window_choice", windows, best, head, required=options.required)
    console = Console(highlight=False)
    show(console, _shortened(windows, table, options.required))
    warn(console, warnings)
    console.print(f"tables and figures in {folder}: windows, window_maps, window_choice", markup=False)
    return max(one.exit_code for one in results)


def _shortened(windows: Sequence[VetoWindow], table: Table, required: float) -> Table:
    """Return the narrowest windows that suffice, or the most efficient ones if none does."""
    places = [place for place, one in enumerate(windows) if one.efficiency.value >= required]
    if places:
        places.sort(key=lambda place: (windows[place].width, -windows[place].efficiency.value))
    else:
        places = sorted(range(len(windows)), key=lambda place: -windows[place].efficiency.value)
    rows = tuple(table.rows[place] for place in places[:SHOWN])
    return replace(table, title=f"{table.title}: {len(rows)} of {len(windows)}", rows=rows)


def _two_samples(options: argparse.Namespace) -> tuple[list[Result], Sample, Sample | None]:
    """Return the results, the cosmics, and the conversion electrons if there are any."""
    results = [read_result(options.cosmics)]
    if options.electrons is not None and options.electrons.resolve() != options.cosmics.resolve():
        results.append(read_result(options.electrons))
    two = len(results) == 2
    chosen = [samples(one, options.cutset, options.dataset, options.signal, several=two) for one in results]
    cosmics = the_one(chosen[0], "cosmic", options.cosmics, alone=two)
    if options.electrons is None and not any(one.role == "signal" for one in chosen[0]):
        return results, cosmics, None
    return results, cosmics, the_one(chosen[-1], "signal", results[-1].folder, alone=two)


def scan_command(arguments: Sequence[str]) -> int:
    """Run ``scan RESULT`` and return the exit code."""
    options = _scan_parser().parse_args(list(arguments[1:]))
    from rich.console import Console

    from ..outputs.mu2e_scans import scan_table, threshold_points
    from ..outputs.mu2e_tables import write

    drawn = convention(options.confidence)
    result = read_result(options.result)
    found = samples(result, options.cutset, options.dataset, options.signal)
    several = len({one.cutset for one in found}) > 1
    names = list(dict.fromkeys(name for one in found for name in one.counts.get("scans") or {}))
    wanted = [options.threshold] if options.threshold else names
    if not wanted:
        raise UserError(
            f"The result in {options.result} has no threshold scan. Make one with "
            f"""--set 'scans={{"lo_trkqual": {{"start": 0, "stop": 0.95}}}}'."""
        )
    folder = options.output_dir or options.result / FOLDER
    console = Console(highlight=False)

    def labels(one: Sample) -> str:
        return f"{one.name}, {one.cutset}" if several else one.name

    with output(folder, [f"scan_{name}" for name in wanted], overwrite=options.overwrite) as work:
        for name in wanted:
            points = {labels(one): threshold_points(one.counts, name, drawn) for one in found}
            tables = [scan_table(points[labels(one)], name, labels(one), signal=one.role == "signal") for one in found]
            write(tables, work, f"scan_{name}", {**result.about, "cutset": found[0].cutset})
            for table in tables:
                show(console, table)
            if not options.no_plots:
                _plot_scan(work, name, points, result, found[0].cutset)
    warn(console, result.warnings)
    console.print(f"tables and figures in {folder}: {', '.join(f'scan_{name}' for name in wanted)}", markup=False)
    return result.exit_code


def _scan_parser() -> Parser:
    parser = Parser("mu2e scan", "What thresholds leave, and what the veto misses of it.", SCAN_EXAMPLES)
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result of mu2e_cosmic with the parameter scans")
    parser.add_argument("--threshold", metavar="NAME", help="one of the scans (default: all)")
    add_flags(parser)
    return parser


def _plot_scan(
    work: Path, name: str, points: Mapping[str, Sequence[ThresholdPoint]], result: Result, cutset: str
) -> None:
    from ..plotting.mu2e_curves import plot_scan
    from ..plotting.mu2e_style import Head
    from .mu2e_plots import cutset_of

    known = cutset_of(result, cutset)
    at = None if known is None else known.thresholds.get(name)
    plot_scan(work / f"scan_{name}", points, name, Head(f"Scan of {name}, cutset {cutset}", result.warnings), at=at)


def _windows_parser() -> Parser:
    parser = Parser(
        "mu2e windows",
        "Veto efficiency and deadtime of every dT window that was scanned, and the narrowest that suffices.",
        WINDOW_EXAMPLES,
    )
    parser.add_argument("cosmics", type=Path, metavar="COSMICS", help="a result with cosmics")
    parser.add_argument(
        "electrons",
        type=Path,
        nargs="?",
        metavar="ELECTRONS",
        help="one with conversion electrons and pile-up (default: those in COSMICS, if any)",
    )
    parser.add_argument("--required", type=float, default=0.999, metavar="E", help="veto efficiency (default 0.999)")
    parser.add_argument(
        "--surely", action="store_true", help="ask it of the lower limit of the efficiency, not of the efficiency"
    )
    add_flags(parser)
    return parser
