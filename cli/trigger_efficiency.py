"""``python main.py trigger-efficiency RESULT``: trigger efficiencies and scale factors as a correction file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .parsing import Parser

if TYPE_CHECKING:
    from rich.table import Table

    from ..outputs.bundle import Bundle
    from ..outputs.efficiency import Study

EXAMPLE = """\
  python main.py --datasets demo_data demo_dy demo_ttbar --processor cms_trigger_efficiency --output-dir probes
  python main.py trigger-efficiency probes --output trigger.json --plots probes/turn_on
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``trigger-efficiency RESULT`` and return the exit code."""
    from rich.console import Console

    from ..outputs.bundle import read_bundle
    from ..outputs.efficiency import correction_set, empty_bins, write

    options = _parser().parse_args(list(arguments[1:]))
    if options.output.exists() and not options.overwrite:
        raise UserError(f"{options.output} is there already. Choose another --output, or add --overwrite.")
    bundle = read_bundle(options.result)
    data, simulation = datasets(bundle)
    found = study(bundle)
    about = f"Trigger efficiencies by tag and probe on Z -> mu mu, in: {', '.join((*data, *simulation))}"
    write(correction_set(found, options.name, about), options.output)
    console = Console(highlight=False)
    console.print(summary(found))
    for what, one in (("data", found.data), ("simulation", found.simulation), ("their ratio", found.scale_factor)):
        if empty := empty_bins(one, found):
            console.print(f"not measured in {what}: {', '.join(empty)}", markup=False)
    console.print(f"written to {options.output}", markup=False, soft_wrap=True)
    if options.plots is not None:
        from ..plotting.efficiency import plot_turn_ons

        figures = plot_turn_ons(options.plots, found, options.name)
        console.print(f"{len(figures)} figures in {options.plots}", markup=False, soft_wrap=True)
    return 0


def datasets(bundle: Bundle) -> tuple[dict[str, float], dict[str, float]]:
    """Return the data and the simulation of one era, with what each is multiplied by."""
    reports = bundle.report.datasets
    data = {one.name: 1.0 for one in reports if one.kind == "data"}
    mc = [one.name for one in reports if one.kind == "mc"]
    if not data or not mc:
        raise UserError(
            f"The result has no {'simulation' if data else 'data'}: a scale factor compares data with simulation. Run "
            "cms_trigger_efficiency on both."
        )
    eras = dict.fromkeys(str(one.era) for one in reports)
    if len(eras) > 1:
        raise UserError(f"The datasets are of the eras {', '.join(eras)}. Run the analysis on one era.")
    scales = bundle.scales()
    unknown = [name for name in mc if name not in scales]
    if unknown and len(mc) > 1:
        raise UserError(
            f"{', '.join(unknown)} cannot be normalised, so that samples cannot be added in the right proportion."
        )
    return data, {name: scales.get(name, 1.0) for name in mc}


def study(bundle: Bundle) -> Study:
    """Return the efficiencies of a result. Raises UserError if it is of another analysis."""
    from ..outputs.efficiency import Study, counts, efficiency, ratio
    from ..processors.cms_trigger_efficiency import ALL, ETA_EDGES, HISTOGRAM, PASS, region

    histogram = bundle.histograms.get(HISTOGRAM)
    if histogram is None or region(ALL, 0) not in list(histogram.axes["region"]):
        raise UserError("The result is not one of the analysis cms_trigger_efficiency. Run that first: see --help.")
    measured = []
    for scales in datasets(bundle):
        probes = {}
        for which in (PASS, ALL):
            opposite, same = (
                counts(histogram, scales, [region(which, eta, same_sign=sign) for eta in range(len(ETA_EDGES) - 1)])
                for sign in (False, True)
            )
            probes[which] = opposite.minus(same)
        measured.append(efficiency(probes[PASS], probes[ALL]))
    edges = tuple(float(edge) for edge in histogram.axes[-1].edges)
    data, simulation = measured
    return Study(data, simulation, ratio(data, simulation), ETA_EDGES, edges)


def summary(found: Study) -> Table:
    """Return the efficiencies and scale factors of each bin, for the terminal."""
    from rich.table import Table

    table = Table()
    for heading in ("|η|", "pt (GeV)", "data", "simulation", "scale factor"):
        table.add_column(heading, no_wrap=True)
    for i, eta in enumerate(zip(found.eta_edges, found.eta_edges[1:], strict=False)):
        for j, pt in enumerate(zip(found.pt_edges, found.pt_edges[1:], strict=False)):
            cells = (
                f"{one.value[i, j]:.3f} ± {one.error[i, j]:.3f}"
                for one in (found.data, found.simulation, found.scale_factor)
            )
            table.add_row(f"{eta[0]:g} to {eta[1]:g}", f"{pt[0]:g} to {pt[1]:g}", *cells)
    return table


def _parser() -> Parser:
    parser = Parser("trigger-efficiency", "Make a correction file of the trigger efficiencies of a result.", EXAMPLE)
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result folder of cms_trigger_efficiency")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the correction file, .json")
    parser.add_argument("--name", default="HLT_IsoMu24", help="of the path in the file (default HLT_IsoMu24)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the turn-on in each bin of |η| there")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE")
    return parser
