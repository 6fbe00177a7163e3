"""``python main.py plot RESULT``: the plots of a result folder, drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle, CutFlow

DATA = "Data"
#: Observables that fall over orders of magnitude are drawn on a logarithmic scale.
LOGARITHMIC = ("pt", "mass_spectrum", "mass_four_lepton")


def command(arguments: Sequence[str]) -> int:
    """Run ``plot RESULT`` and return the exit code."""
    parser = Parser("plot", "Draw the plots of a result folder again.", "  python main.py plot results")
    parser.add_argument("result", type=Path, help="a result folder")
    options = parser.parse_args(list(arguments[1:]))
    from ..outputs.bundle import read_bundle

    paths = draw_plots(read_bundle(options.result), options.result / "plots")
    Console().print(f"{len(paths)} figures in {options.result / 'plots'}", highlight=False)
    return 0


def draw_plots(bundle: Bundle, folder: Path) -> list[Path]:
    """Draw every histogram of every region, the cut flow and the N−1 efficiencies; return the PNG paths."""
    from ..plotting.cut_flow import plot_cut_flow, plot_n_minus_one

    folder.mkdir(parents=True, exist_ok=True)
    figures = [
        _stack(bundle, name, region, folder)
        for name, histogram in bundle.spectra().items()
        for region in histogram.axes["region"]
    ]
    flows = _flows(bundle)
    if flows:
        figures.append(plot_cut_flow(folder / "cut_flow", flows, notes=_notes(bundle))[0])
        # The row after all corrections is no cut.
        cuts = {label: {cut: row for cut, row in flow.items() if "n_minus_one" in row} for label, flow in flows.items()}
        figures.append(plot_n_minus_one(folder / "n_minus_one", cuts, notes=_notes(bundle))[0])
    return [path for path in figures if path is not None]


def _stack(bundle: Bundle, name: str, region: str, folder: Path) -> Path | None:
    from ..outputs.bundle import is_normalised, view
    from ..outputs.systematics import total_band
    from ..plotting.stack import plot_stack

    seen = view(bundle, name, region)
    if seen.data is None and not seen.simulation:
        return None
    without = None
    if "uncorrected" in bundle.histograms[name].axes["variation"]:
        plain = view(bundle, name, region, "uncorrected")
        without = (plain.data, plain.total)
    warnings: tuple[str, ...] = ()
    if seen.data is not None and seen.simulation and not is_normalised(bundle):
        warnings = ("shapes only: simulation scaled to the data",)
    path, _ = plot_stack(
        folder / f"{region}_{name}",
        data=seen.data,
        simulation=seen.simulation,
        uncorrected=without,
        notes=_notes(bundle, warnings, _agreement(bundle, name, region), region.replace("_", " ")),
        log=name.endswith(LOGARITHMIC),
        band=total_band(bundle, name, region, statistical=True) if _has_band(bundle) else None,
    )
    return path


def _has_band(bundle: Bundle) -> bool:
    from ..outputs.bundle import is_normalised

    return bool(bundle.report.sources) and is_normalised(bundle)


def _flows(bundle: Bundle) -> dict[str, CutFlow]:
    """Return the cut flows of data and of each process, simulation scaled to its yield where it is normalised."""
    from coffea.processor import accumulate

    scales = bundle.scales()
    flows: dict[str, CutFlow] = {}
    for one in bundle.report.datasets:
        if one.name not in bundle.cut_flows:
            continue
        label = DATA if one.kind == "data" else one.label
        scale = scales.get(one.name, 1.0)
        flow = {
            cut: {key: value * _power(key, scale) for key, value in row.items()}
            for cut, row in bundle.cut_flows[one.name].items()
        }
        flows[label] = accumulate([flow], flows[label]) if label in flows else flow
    return flows


def _power(key: str, scale: float) -> float:
    if key.startswith("sumw2"):
        return scale * scale
    return scale if key.startswith("sumw") else 1.0


def _agreement(bundle: Bundle, name: str, region: str) -> str | None:
    for row in bundle.report.agreement:
        if (row["histogram"], row["region"]) == (name, region) and row["nominal"]["ndf"]:
            text = rf"$\chi^2$/ndf = {row['nominal']['chi2']:.1f}/{row['nominal']['ndf']}"
            if "uncorrected" in row:
                plain = row["uncorrected"]
                text += f" (uncorrected {plain['chi2']:.0f}/{plain['ndf']})"
            return text
    return None


def _notes(
    bundle: Bundle, warnings: Sequence[str] = (), agreement: str | None = None, region: str | None = None
) -> Any:
    from ..plotting.notes import StackNotes

    report = bundle.report
    return StackNotes(
        luminosity=report.luminosity,
        com_energy=report.com_energy,
        era=report.era,
        experiment="mucoffea",
        warnings=(*report.warnings, *warnings),
        agreement=agreement,
        region=region,
        data_label=DATA,
    )
