"""``python main.py mu2e plots RESULT …``: the figures of the Mu2e analysis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .mu2e_results import FOLDER, Result, Sample, add_flags, output, read_result, samples, warn
from .parsing import Parser

if TYPE_CHECKING:
    from ..selections.cutsets import Cutset

EXAMPLES = """\
  python main.py mu2e plots results
  python main.py mu2e plots cosmics electrons --cutset all --overwrite
"""
STAGES = ("All", "Preselect", "Select", "Unvetoed")
PLOTS = "plots"


def command(arguments: Sequence[str]) -> int:
    """Run ``plots RESULT …`` and return the exit code."""
    parser = Parser(
        "mu2e plots",
        "Momentum windows, summaries with the thresholds of active cuts, dT, CRV positions and cosmic parents; "
        "a folder each dataset and cutset.",
        EXAMPLES,
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT", help="result folders of mu2e_cosmic")
    add_flags(parser, intervals=False)
    options = parser.parse_args(list(arguments[1:]))
    if options.no_plots:
        raise UserError("mu2e plots makes plots and nothing else: leave out --no-plots.")
    if options.output_dir is not None and len(options.results) > 1:
        raise UserError("--output-dir takes one result; without it each gets its figures in its own folder.")
    from rich.console import Console

    from ..outputs.folder import file_name

    console = Console(highlight=False)
    code = 0
    for path in options.results:
        result = read_result(path)
        folder = options.output_dir or path / FOLDER
        found = samples(result, options.cutset, options.dataset, options.signal)
        with output(folder, [PLOTS], overwrite=options.overwrite) as work:
            drawn = [draw(result, one, work / PLOTS / file_name(one.name) / one.cutset) for one in found]
        warn(console, result.warnings)
        console.print(f"{sum(map(len, drawn))} figures in {folder / PLOTS}", markup=False)
        code = max(code, result.exit_code)
    return code


def draw(result: Result, sample: Sample, folder: Path) -> list[Path]:
    """Draw every figure of a sample and cutset into ``folder``; return the PNG paths."""
    from ..plotting import mu2e
    from ..plotting.mu2e_style import Head, cut_lines

    head = Head(f"{sample.name}, cutset {sample.cutset}", result.warnings)
    histograms = stage_histograms(result, sample)
    cutset = cutset_of(result, sample.cutset)
    lines, window = {}, None
    if cutset is not None:
        active = dict(cutset.active)
        active["within_t0"] = active.get("within_t0", False) and sample.exposure.on_spill
        lines = cut_lines(cutset.thresholds, active)
        if "dT" in lines:
            window = (lines["dT"][0], lines["dT"][1])
    stages = sample.counts["stages"]
    drawn = [
        mu2e.plot_momentum_windows(folder / "momentum_windows", histograms, head, counts=stages, lines=lines),
        mu2e.plot_summary(folder / "summary", histograms, head, lines=lines),
        mu2e.plot_momentum_summary(folder / "momentum_summary", histograms, head, lines=lines),
        mu2e.plot_dt(folder / "dt", histograms.get("dT", {}), head, window=window),
        mu2e.plot_crv_z(folder / "crv_z", histograms.get("crv_z", {}), head),
    ]
    parents = cosmic_parents(result, sample)
    if parents:
        drawn.append(mu2e.plot_cosmic_parents(folder / "cosmic_parents", parents, head))
    return [png for png, _ in drawn]


def stage_histograms(result: Result, sample: Sample) -> dict[str, dict[str, Any]]:
    """Return name → stage → one-dimensional histogram of a sample."""
    found: dict[str, dict[str, Any]] = {}
    for name, histogram in result.bundle.spectra().items():
        for stage in STAGES:
            place = {"dataset": sample.name, "region": f"{sample.cutset}/{stage}", "variation": "nominal"}
            if all(category in histogram.axes[axis] for axis, category in place.items()):
                found.setdefault(name, {})[stage] = histogram[place]
    return found


def cutset_of(result: Result, name: str) -> Cutset | None:
    """Return a cutset with the thresholds of the result, or None if this version of the program has none of it."""
    from pydantic import ValidationError

    from ..processors.mu2e_parameters import CosmicParameters

    try:
        resolved = CosmicParameters.model_validate_json(_json(result.bundle.report.parameters)).resolved()
    except (UserError, ValidationError):
        return None
    return next((one for one in resolved if one.name == name), None)


def _json(parameters: Mapping[str, Any]) -> str:
    import json

    return json.dumps(dict(parameters))


def cosmic_parents(result: Result, sample: Sample) -> dict[str, dict[int, int]]:
    """Return stage → PDG code of the cosmic ray → events, from the table of events; empty where it has no truth.

    Survivors are those of the last stage; a table of all selected events has those of the stage before too.
    """
    import pyarrow.parquet as pq

    from ..outputs.folder import file_name

    path = result.folder / "columns" / f"{file_name(sample.name)}.parquet"
    chosen = f"cutset_{sample.cutset}"
    if not path.exists() or sample.role == "signal":
        return {}
    names = pq.read_schema(path).names
    if "parent_pdg" not in names or chosen not in names:
        return {}
    table = pq.read_table(path, columns=["parent_pdg", "vetoed", chosen]).to_pydict()
    rows = [
        (parent, vetoed)
        for parent, vetoed, inside in zip(table["parent_pdg"], table["vetoed"], table[chosen], strict=True)
        if inside
    ]
    by_stage = {
        "Select": Counter(parent for parent, _ in rows),
        "Unvetoed": Counter(p for p, vetoed in rows if not vetoed),
    }
    if "Unvetoed" not in sample.counts["stages"]:
        del by_stage["Unvetoed"]
    elif result.bundle.report.parameters.get("columns") != "selected":
        del by_stage["Select"]
    return {stage: dict(codes) for stage, codes in by_stage.items()}
