"""``python main.py mu2e rates RESULT``: efficiencies and rates in the momentum windows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .mu2e_results import ALL, FOLDER, Result, Sample, add_flags, convention, output, read_result, samples, show, warn
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.exposure_rates import SampleRates
    from ..outputs.intervals import Convention
    from ..outputs.mu2e_tables import Table

EXAMPLES = """\
  python main.py mu2e rates results
  python main.py mu2e rates results --cutset SU2020b --confidence 0.95
  python main.py mu2e rates results --cutset all --legacy --overwrite

Rates are quoted unscaled, N/L, and scaled: with the live time times N_sel(window)/N_sel(Signal), which makes the
unvetoed rate the expected background, inefficiency × selection rate of the signal window.
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``rates RESULT`` and return the exit code."""
    options = _parser().parse_args(list(arguments[1:]))
    from rich.console import Console

    from ..outputs.mu2e_rates_table import rates_table

    drawn = convention(options.confidence, legacy=options.legacy)
    result = read_result(options.result)
    chosen = samples(result, options.cutset, options.dataset, options.signal)
    found = [rates_of(one, drawn) for one in chosen]
    folder = options.output_dir or options.result / FOLDER
    _write(folder, found, result, options)
    console = Console(highlight=False)
    for table in [summary(found)] if options.cutset == ALL else map(rates_table, found):
        show(console, table)
    warn(console, result.warnings)
    console.print(f"tables in {folder}: rates and rates_summary as csv, json, tex", markup=False)
    return result.exit_code


def rates_of(sample: Sample, drawn: Convention) -> SampleRates:
    """Return efficiencies and rates of a sample."""
    from ..outputs.exposure_rates import sample_rates

    before = sample.counts.get("before_coincidence_times")
    stages = sample.counts["stages"]
    return sample_rates(sample.name, sample.cutset, stages, sample.exposure, drawn, sample.role, before)


def _parser() -> Parser:
    parser = Parser("mu2e rates", "Efficiencies and rates of a result, in the momentum windows.", EXAMPLES)
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result folder of mu2e_cosmic")
    add_flags(parser)
    parser.add_argument(
        "--legacy",
        action="store_true",
        help="intervals as in earlier tables: Wilson at z = 1, Poisson at 0.68 and one-sided for no event, the "
        "uncertainty of the signal count left out; writes analysis_<cutset>_<sample>.csv in their layout too",
    )
    return parser


def _write(folder: Path, found: Sequence[SampleRates], result: Result, options: argparse.Namespace) -> None:
    from ..outputs.folder import file_name
    from ..outputs.mu2e_rates_table import legacy_table, rates_table
    from ..outputs.mu2e_tables import to_csv, write

    legacy = [f"analysis_{one.cutset}_{file_name(one.dataset)}" for one in found] if options.legacy else []
    with output(folder, ["rates", "rates_summary", *legacy], overwrite=options.overwrite) as work:
        write([rates_table(one) for one in found], work, "rates", result.about)
        write([summary(found)], work, "rates_summary", result.about)
        for stem, one in zip(legacy, found, strict=False):
            to_csv([legacy_table(one)], work / f"{stem}.csv")
        if not options.no_plots:
            _plot(found, work, result.warnings)


def summary(found: Sequence[SampleRates]) -> Table:
    """Return one row a sample and cutset: what one looks at first."""
    from ..outputs.mu2e_tables import Column, Table

    columns = (
        Column("dataset", "Sample"),
        Column("cutset", "Cutset"),
        Column("selected", "Selected"),
        Column("unvetoed", "Unvetoed"),
        Column("selection_efficiency", "Selection efficiency [%]", estimate=True),
        Column("vetoed", "Vetoed [%]", estimate=True),
        Column("background_1bb", "Expected background [1/day, 1BB]", estimate=True),
    )
    rows = []
    for one in found:
        window = one.windows[0]
        scaled = window.scaled.unvetoed if window.scaled is not None and one.role == "cosmic" else None
        rows.append(
            (
                one.dataset,
                one.cutset,
                window.selected,
                window.unvetoed,
                None if window.selection_efficiency is None else window.selection_efficiency.scaled(100),
                None if window.veto_efficiency is None else window.veto_efficiency.scaled(100),
                None if scaled is None else scaled["1BB"],
            )
        )
    remarks = ("vetoed: of cosmics the veto efficiency, of conversion electrons the deadtime",)
    return Table(title="All momenta (inclusive window)", columns=columns, rows=tuple(rows), remarks=remarks)


def _plot(found: Sequence[SampleRates], folder: Path, warnings: Sequence[str]) -> None:
    from ..plotting.mu2e_rates import plot_rates
    from ..plotting.mu2e_style import Head

    with_rates = [one for one in found if one.role == "cosmic" and one.windows[0].unscaled is not None]
    if with_rates:
        head = Head("Rates in the momentum windows, one batch", warnings)
        plot_rates(folder / "rates", {f"{one.dataset}, {one.cutset}": one for one in with_rates}, head)
