"""The result on disk: histograms, cut flows and the report, written at the end of a run and read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hist
import numpy as np
from boost_histogram import Kind

from ..errors import UserError
from ..histograms.specification import CATEGORIES
from ..histograms.storage import cells, read_hdf5, slices, write_hdf5
from .combination import combined
from .folder import file_name
from .report import DatasetReport, Report, SourceReport
from .root_files import recreate

NOMINAL = "nominal"

CutFlow = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Bundle:
    """A result: what a run leaves in its folder.

    ``histograms`` hold raw sums of weights with all axes; ``report.datasets[i]`` has the factors that turn them into
    yields, for the nominal weights and for variations of the generator's weights.
    """

    report: Report
    histograms: Mapping[str, hist.Hist]
    cut_flows: Mapping[str, CutFlow]

    def scales(self) -> dict[str, float]:
        """Return dataset → factor for the datasets that are normalised."""
        return {one.name: one.scale for one in self.report.datasets if one.scale is not None}

    def scale(self, dataset: str, variation: str) -> float | None:
        """Return the factor of ``dataset`` under ``variation``; None if it is not normalised."""
        return next((scale_of(one, variation) for one in self.report.datasets if one.name == dataset), None)

    def spectra(self) -> dict[str, hist.Hist]:
        """Return the histograms that are drawn and compared: of one observable, and of counts or weights, not means."""
        return {
            name: one
            for name, one in self.histograms.items()
            if one.kind == Kind.COUNT and one.ndim == len(CATEGORIES) + 1
        }


def scale_of(one: DatasetReport, variation: str) -> float | None:
    """Return the factor from Σ(event weights) under ``variation`` to the yield; None if it is not normalised."""
    return None if one.scale is None else one.scale_variations.get(variation, one.scale)


def combine(per_dataset: Mapping[str, Mapping[str, hist.Hist]]) -> dict[str, hist.Hist]:
    """Join the histograms of all datasets along their axis ``dataset``."""
    combined: dict[str, hist.Hist] = {}
    for histograms in per_dataset.values():
        for name, histogram in histograms.items():
            combined[name] = combined[name] + histogram if name in combined else histogram
    return combined


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write ``histograms.h5`` (raw), ``histograms.root`` (raw and normalised), the cut flows and the report."""
    write_hdf5(bundle.histograms, folder / "histograms.h5")
    _write_root(bundle, folder / "histograms.root")
    (folder / "cutflow.json").write_text(json.dumps(bundle.cut_flows, indent=1) + "\n", encoding="utf-8")
    _write_cut_flow_table(bundle, folder / "cutflow.csv")
    bundle.report.write(folder / "report.json")


def read_bundle(folder: Path) -> Bundle:
    """Read a result back.

    Raises:
        UserError: the folder holds no finished result.
    """
    if not (folder / "report.json").exists():
        raise UserError(f"{folder} holds no finished result (there is no report.json).")
    try:
        return Bundle(
            report=Report.model_validate_json((folder / "report.json").read_bytes()),
            histograms=read_hdf5(folder / "histograms.h5"),
            cut_flows=json.loads((folder / "cutflow.json").read_text(encoding="utf-8")),
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The result in {folder} cannot be read; report.json, histograms.h5 or cutflow.json is damaged ({reason}). "
            f"Run the analysis again."
        ) from None


def _write_root(bundle: Bundle, path: Path) -> None:
    """Write TH1D at ``raw/<dataset>/<region>/<variation>/<name>`` and, scaled to yields, below ``normalised/``.

    Systematic variations are below ``normalised/`` alone, and of a set of members (parton densities, QCD scales) only
    the ``<source>Up`` and ``<source>Down`` that they amount to: a file of hundreds of members takes minutes to write,
    and ``histograms.h5`` has all of them. Means, which no luminosity scales, are written as TProfile below ``raw/``
    alone.
    """
    varied = {variation for source in bundle.report.sources for variation in source.variations}
    sets = [source for source in bundle.report.sources if source.combination != "up_down"]
    members = {variation for source in sets for variation in source.variations}
    with recreate(path) as file:
        for name, histogram in bundle.histograms.items():
            for dataset, region, variation, one in slices(histogram):
                scale = bundle.scale(dataset, variation)
                place = f"{file_name(dataset)}/{region}"
                if variation not in varied:
                    # ROOT's histograms of integers are of 32 bits; a double holds every count below 2^53.
                    raw = one * 1.0 if one.storage_type is hist.storage.Int64 else one
                    file[f"raw/{place}/{variation}/{name}"] = raw
                if scale is not None and one.kind == Kind.COUNT and variation not in members:
                    file[f"normalised/{place}/{variation}/{name}"] = one * scale
                if scale is not None and variation == NOMINAL and one.storage_type is hist.storage.Weight:
                    for full, moved in _of_sets(bundle, histogram, dataset, region, sets):
                        file[f"normalised/{place}/{full}/{name}"] = moved


def _of_sets(
    bundle: Bundle, histogram: hist.Hist, dataset: str, region: str, sets: Sequence[SourceReport]
) -> Iterator[tuple[str, hist.Hist]]:
    """Yield ``<source>Up`` and ``<source>Down`` of the sets that a normalised dataset has; variances are nominal."""
    one = next(report for report in bundle.report.datasets if report.name == dataset)
    nominal = histogram[{"dataset": dataset, "region": region, "variation": NOMINAL}] * (one.scale or 0.0)
    for source in sets:
        filled = [name for name in source.variations if has_variation(histogram, one, name)]
        if not filled:
            continue
        pieces = [histogram[{"dataset": dataset, "region": region, "variation": name}] for name in filled]
        scaled = zip(pieces, filled, strict=True)
        shifts = [piece.values(flow=True) * (scale_of(one, name) or 0.0) for piece, name in scaled]
        up, down = combined(np.array(shifts) - nominal.values(flow=True), source.combination)
        for direction, shift in (("Up", up), ("Down", down)):
            moved = nominal.copy()
            moved.view(flow=True)["value"] += shift
            yield f"{source.name}{direction}", moved


def _write_cut_flow_table(bundle: Bundle, path: Path) -> None:
    scales = bundle.scales()
    status = {one.name: "PARTIAL" if one.partial else "complete" for one in bundle.report.datasets}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        numbers = ["n", "sumw", "sumw_error", "yield", "yield_error", "n_alone", "n_minus_one"]
        writer.writerow(["dataset", "cut", *numbers, "status"])
        for dataset, flow in bundle.cut_flows.items():
            scale = scales.get(dataset)
            for cut, row in flow.items():
                error = row["sumw2"] ** 0.5
                normalised: list[Any] = ["", ""] if scale is None else [row["sumw"] * scale, error * scale]
                others = (row.get("n_alone", ""), row.get("n_minus_one", ""))
                writer.writerow([dataset, cut, row["n"], row["sumw"], error, *normalised, *others, status[dataset]])


@dataclass(frozen=True)
class View:
    """One histogram of one region, ready to draw: data, and simulation by process, scaled."""

    data: hist.Hist | None
    simulation: Mapping[str, hist.Hist]

    @property
    def total(self) -> hist.Hist | None:
        """Sum of the simulation."""
        total = None
        for one in self.simulation.values():
            total = one if total is None else total + one
        return total


def view(bundle: Bundle, name: str, region: str, variation: str = "nominal") -> View:
    """Pick one histogram: data summed, simulation summed by process label and normalised.

    A dataset that ``variation`` does not move, so that it has not filled it, is there as it is nominally: data,
    simulation that a source does not touch, or a histogram of other observables.

    Simulation without normalisation is left out, unless nothing is normalised: then the sum of all simulation
    is scaled to the data (or kept as it is without data), which :func:`is_normalised` tells.
    """
    histogram = bundle.histograms[name]
    normalised = is_normalised(bundle)
    data: hist.Hist | None = None
    simulation: dict[str, hist.Hist] = {}
    for one in bundle.report.datasets:
        filled = variation if has_variation(histogram, one, variation) else NOMINAL
        piece = _slice(histogram, one, region, filled)
        if piece is None:
            continue
        if one.kind == "data":
            data = piece if data is None else data + piece
        elif one.scale is not None or not normalised:
            scaled = piece * (scale_of(one, filled) or 1.0)
            simulation[one.label] = simulation[one.label] + scaled if one.label in simulation else scaled
    if data is not None and simulation and not normalised:
        expected = float(sum(np.sum(one.values(flow=True)) for one in simulation.values()))
        factor = float(np.sum(data.values(flow=True))) / expected if expected > 0 else 1.0
        simulation = {label: one * factor for label, one in simulation.items()}
    return View(data, simulation)


def is_normalised(bundle: Bundle) -> bool:
    """Whether any simulated dataset is normalised."""
    return any(one.kind == "mc" and one.scale is not None for one in bundle.report.datasets)


def has_variation(histogram: hist.Hist, one: DatasetReport, variation: str) -> bool:
    """Whether a dataset has filled ``variation`` in any region, and can be normalised under it.

    Datasets that are joined share their axes, so a category alone says nothing.
    """
    place = {"dataset": one.name, "variation": variation}
    if any(category not in histogram.axes[axis] for axis, category in place.items()):
        return False
    return variation not in one.not_normalised_variations and bool(cells(histogram[place]).any())


def _slice(histogram: hist.Hist, one: DatasetReport, region: str, variation: str) -> hist.Hist | None:
    """Return the one-dimensional histogram of a dataset, or None if nothing was filled there."""
    place = {"dataset": one.name, "region": region, "variation": variation}
    if any(category not in histogram.axes[axis] for axis, category in place.items()):
        return None
    return histogram[place]
