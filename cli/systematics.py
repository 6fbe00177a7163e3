"""``python main.py systematics RESULT``: what the systematic uncertainties do to a result, as a table and figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ..errors import UserError, closest
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle
    from ..outputs.report import SourceReport
    from ..outputs.systematics_table import Row
    from ..plotting.notes import StackNotes

EXAMPLE = """\
  python main.py systematics results
  python main.py systematics results --region signal --source muon_id_stat --source pileup --top 20
"""
TOP = 10


def command(arguments: Sequence[str]) -> int:
    """Run ``systematics RESULT`` and return the exit code."""
    from ..outputs.bundle import read_bundle
    from ..outputs.systematics import chosen
    from ..outputs.systematics_table import TOTAL, largest, table, write_table

    options = _parser().parse_args(list(arguments[1:]))
    bundle = read_bundle(options.result)
    histograms = list(bundle.spectra())
    _check("histogram", options.histogram, histograms)
    regions = dict.fromkeys(one for name in histograms for one in bundle.histograms[name].axes["region"])
    _check("region", options.region, regions)
    sources = chosen(bundle.report, options.source)
    if not sources:
        raise UserError(
            f"The result in {options.result} has no systematic uncertainty. Run the analysis again with "
            f"'--systematics weights', 'all' or names of sources."
        )
    rows = table(bundle, sources, options.histogram or histograms, options.region)
    folder = options.output_dir or options.result / "systematics"
    written = write_table(rows, folder)
    shown = largest((row for row in rows if row.process == TOTAL), options.top)
    console = Console()
    console.print(_table(shown))
    figures = [] if options.no_plots else draw(bundle, shown, sources, folder)
    console.print(f"{len(rows)} rows in {written[0]} and {written[1].name}", highlight=False, soft_wrap=True)
    if figures:
        console.print(f"{len(figures)} figures in {folder}", highlight=False, soft_wrap=True)
    return 0


def draw(bundle: Bundle, rows: Sequence[Row], sources: Sequence[SourceReport], folder: Path) -> list[Path]:
    """Draw the source of each of ``rows`` in its histogram and region, and a chart of each region's largest.

    Return the PNG paths.
    """
    from ..outputs.systematics_table import TOTAL
    from ..plotting.systematics import plot_largest, plot_source, source_content

    known = {one.name: one for one in sources}
    figures = []
    for row in rows:
        source = known[row.source]
        process = None if row.process == TOTAL else row.process
        content = source_content(bundle, row.histogram, row.region, source, process)
        stem = folder / f"{row.region}_{row.histogram}_{row.source}"
        figures.append(plot_source(stem, content, source, _notes(bundle, row.region))[0])
    labels = {one.name: one.label or one.name for one in sources}
    for region in dict.fromkeys(row.region for row in rows):
        here = [row for row in rows if row.region == region]
        figures.append(plot_largest(folder / f"{region}_largest", here, _notes(bundle, region), labels)[0])
    return figures


def _parser() -> Parser:
    parser = Parser("systematics", "Say and draw what the systematic uncertainties do to a result.", EXAMPLE)
    parser.add_argument("result", type=Path, help="a result folder")
    parser.add_argument("--histogram", action="append", default=[], metavar="NAME", help="this one alone (repeatable)")
    parser.add_argument("--region", action="append", default=[], metavar="NAME", help="this one alone (repeatable)")
    parser.add_argument("--source", action="append", default=[], metavar="NAME", help="this one alone (repeatable)")
    parser.add_argument("--top", type=_count, default=TOP, metavar="N", help=f"the N largest shifts (default {TOP})")
    parser.add_argument("--no-plots", action="store_true", help="the table alone")
    parser.add_argument("--output-dir", type=Path, metavar="FOLDER", help="default: RESULT/systematics")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{value} is not a positive number")
    return value


def _check(what: str, given: Sequence[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"The result has no {what} '{name}'.{closest(name, known)} It has: {', '.join(known)}.")


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Largest systematic shifts of the simulation", title_justify="left")
    for heading in ("region", "source"):
        table.add_column(heading)
    for heading in ("yield up", "yield down", "bin up", "bin down"):
        table.add_column(heading, justify="right")
    for heading in ("where", "remark"):
        table.add_column(heading)
    for row in rows:
        numbers = (f"{value:+.2f} %" for value in (row.up, row.down, row.bin_up, row.bin_down))
        where = f"{row.histogram} {row.bin_low:g} to {row.bin_high:g}"
        table.add_row(row.region, row.source, *numbers, where, row.remark)
    return table


def _notes(bundle: Bundle, region: str) -> StackNotes:
    from ..plotting.notes import StackNotes

    report = bundle.report
    return StackNotes(
        luminosity=report.luminosity,
        com_energy=report.com_energy,
        era=report.era,
        experiment="mucoffea",
        label="Simulation",
        warnings=report.warnings,
        region=region.replace("_", " "),
    )
