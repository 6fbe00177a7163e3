"""``python main.py btag-efficiency RESULT``: the b-tagging efficiencies of a result as a correction file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError, closest
from .parsing import Parser

if TYPE_CHECKING:
    import hist
    import numpy as np

    from ..corrections.btag_efficiency import Jets, Table
    from ..outputs.bundle import Bundle

EXAMPLE = """\
  python main.py --datasets demo_ttbar --processor cms_btag_efficiency --output-dir efficiencies
  python main.py btag-efficiency efficiencies --output corrections/BTV/demo/btag_efficiency.json

The file is found where the folder (here: corrections) is named in MUCOFFEA_CORRECTIONS. Several datasets are added by
their cross sections; name that of one process with --dataset to have its own efficiencies.
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``btag-efficiency RESULT`` and return the exit code."""
    options = _parser().parse_args(list(arguments[1:]))
    from rich.console import Console

    from ..corrections.btag_efficiency import correction_set, write
    from ..outputs.bundle import read_bundle

    if options.output.exists() and not options.overwrite:
        raise UserError(f"{options.output} is there already. Choose another --output, or add --overwrite.")
    bundle = read_bundle(options.result)
    datasets = chosen(bundle, options.dataset)
    tables = efficiency_tables(bundle, datasets)
    about = f"b-tagging efficiencies of simulation, measured by mucoffea in: {', '.join(datasets)}"
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write(correction_set(tables, about), options.output)
    console = Console(highlight=False)
    console.print(summary(tables))
    if not all(one.measured.all() for flavours in tables.values() for one in flavours.values()):
        console.print("bins with too few jets have the value of wider bins; the descriptions in the file name them")
    console.print(f"written to {options.output}", markup=False, soft_wrap=True)
    return 0


def chosen(bundle: Bundle, names: Sequence[str]) -> list[str]:
    """Return the datasets to add: all simulation, or those that are named; of one era, and with a normalisation."""
    known = {one.name: one for one in bundle.report.datasets if one.kind == "mc"}
    for name in names:
        if name not in known:
            raise UserError(f"The result has no simulation '{name}'.{closest(name, known)} It has: {', '.join(known)}.")
    datasets = list(names or known)
    if not datasets:
        raise UserError("The result has no simulation, so no b-tagging efficiency.")
    eras = dict.fromkeys(str(known[name].era) for name in datasets)
    if len(eras) > 1:
        raise UserError(f"The datasets are of the eras {', '.join(eras)}. Name those of one era with --dataset.")
    unknown = [name for name in datasets if name not in bundle.scales()]
    if len(datasets) > 1 and unknown:
        raise UserError(
            f"{', '.join(unknown)} cannot be normalised, so that samples cannot be added in the right proportion. Name "
            "one sample with --dataset."
        )
    return datasets


def efficiency_tables(bundle: Bundle, datasets: Sequence[str]) -> dict[str, dict[str, Table]]:
    """Return working point → flavour → table. Raises UserError if the result is of another analysis."""
    from ..corrections.btag_efficiency import ETA_EDGES, FLAVOURS, table
    from ..processors.cms_btag_efficiency import ALL, HISTOGRAM, region

    histogram = bundle.histograms.get(HISTOGRAM)
    first = region("b", 0, "")
    tags = (
        []
        if histogram is None
        else [one.removeprefix(first) for one in histogram.axes["region"] if one.startswith(first)]
    )
    if histogram is None or ALL not in tags:
        raise UserError("The result is not one of the analysis cms_btag_efficiency. Run that first: see --help.")
    scales = {name: bundle.scales().get(name, 1.0) for name in datasets}
    jets = {
        (flavour, tag): _jets(histogram, scales, [region(flavour, eta, tag) for eta in range(len(ETA_EDGES) - 1)])
        for flavour in FLAVOURS
        for tag in tags
    }
    return {
        tag: {
            flavour: table(jets[flavour, tag], jets[flavour, ALL], f"of {flavour} jets at {tag}")
            for flavour in FLAVOURS
        }
        for tag in tags
        if tag != ALL
    }


def summary(tables: dict[str, dict[str, Table]]) -> object:
    """Return the range of the efficiencies of each working point and flavour, for the terminal."""
    from rich.table import Table as RichTable

    shown = RichTable("working point", "flavour", "lowest", "highest", "largest error", "bins not measured")
    for key, flavours in tables.items():
        for flavour, one in flavours.items():
            numbers = (one.efficiency.min(), one.efficiency.max(), one.stat.max())
            shown.add_row(key, flavour, *(f"{number:.4f}" for number in numbers), str(int((~one.measured).sum())))
    return shown


def _jets(histogram: hist.Hist, scales: dict[str, float], regions: Sequence[str]) -> Jets:
    """Return the sums over jets of all datasets, ``[|η|, pt]``."""
    from ..corrections.btag_efficiency import Jets

    weight: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    for name, scale in scales.items():
        for_dataset = [histogram[name, one, "nominal", :].view() for one in regions]
        weight = weight + scale * _stacked([one["value"] for one in for_dataset])
        squares = squares + scale**2 * _stacked([one["variance"] for one in for_dataset])
    return Jets(weight, squares)  # type: ignore[arg-type]


def _stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.stack(rows)


def _parser() -> Parser:
    parser = Parser("btag-efficiency", "Make a correction file of the b-tagging efficiencies of a result.", EXAMPLE)
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result folder of cms_btag_efficiency")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the correction file, .json")
    parser.add_argument(
        "--dataset", action="append", default=[], metavar="NAME", help="only this one (may be given again)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE")
    return parser
