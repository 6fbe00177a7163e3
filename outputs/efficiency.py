"""Trigger efficiencies of data and simulation from tag-and-probe histograms, and the correction file with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import correctionlib
import correctionlib.schemav2 as schema
import hist
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .intervals import clopper_pearson

Floats = npt.NDArray[np.float64]


class Counts(NamedTuple):
    """Sums over probes `[|η|, pt]`: of weights, and of their squares."""

    weight: Floats
    squares: Floats

    def minus(self, background: Counts) -> Counts:
        """Return the counts without an independent background; the squares add."""
        return Counts(self.weight - background.weight, self.squares + background.squares)


class Efficiency(NamedTuple):
    """Values `[|η|, pt]` with their intervals of 68.27 %; NaN where there are no probes."""

    value: Floats
    low: Floats
    high: Floats

    @property
    def error(self) -> Floats:
        """The larger distance to the limits."""
        return np.maximum(self.value - self.low, self.high - self.value)


class Study(NamedTuple):
    """Efficiencies of data and simulation and their ratio; edges of |η| and pt (GeV)."""

    data: Efficiency
    simulation: Efficiency
    scale_factor: Efficiency
    eta_edges: tuple[float, ...]
    pt_edges: tuple[float, ...]


def counts(histogram: hist.Hist, scales: Mapping[str, float], regions: Sequence[str]) -> Counts:
    """Return the probes of datasets, each times its scale, in `regions` (one a bin of |η|).

    The last bin takes what lies above it; what lies below the first one is left out.
    """
    shape = (len(regions), len(histogram.axes[-1]))
    weight, squares = np.zeros(shape), np.zeros(shape)
    for name, scale in scales.items():
        for place, one in enumerate(regions):
            view: Any = histogram[name, one, "nominal", :].view(flow=True)
            for total, field, factor in ((weight, "value", scale), (squares, "variance", scale**2)):
                found = np.array(view[field][1:-1])
                found[-1] += view[field][-1]
                total[place] += factor * found
    return Counts(weight, squares)


def efficiency(passing: Counts, every: Counts) -> Efficiency:
    """Return passing / all with Clopper-Pearson limits, of the effective number of probes (Σ w)² / Σ w².

    That is the number itself for data without a background. A bin with less than one effective probe is NaN; a share
    that a subtracted background or negative weights bring out of [0, 1] is set to the nearer end.
    """
    n = np.divide(every.weight**2, every.squares, out=np.zeros_like(every.weight), where=every.squares > 0)
    known = (n >= 1) & (every.weight > 0)
    share = np.clip(np.divide(passing.weight, every.weight, out=np.zeros_like(n), where=known), 0, 1)
    low, high = clopper_pearson(share * n, n)
    return Efficiency(*(np.where(known, one, np.nan) for one in (share, low, high)))


def ratio(data: Efficiency, simulation: Efficiency) -> Efficiency:
    """Return data / simulation, the uncertainties added in quadrature; NaN where either is, or simulation is 0."""
    known = simulation.value > 0
    below = np.where(known, simulation.value, np.nan)
    value = data.value / below
    up = np.hypot(data.high - data.value, value * (simulation.value - simulation.low)) / below
    down = np.hypot(data.value - data.low, value * (simulation.high - simulation.value)) / below
    return Efficiency(value, np.maximum(value - down, 0), value + up)


def empty_bins(found: Efficiency, study: Study) -> list[str]:
    """Return the bins that were not measured, in words."""
    return [
        f"{study.eta_edges[i]:g}<|eta|<{study.eta_edges[i + 1]:g} {study.pt_edges[j]:g}<pt<{study.pt_edges[j + 1]:g}"
        for i, j in np.argwhere(np.isnan(found.value))
    ]


def correction_set(study: Study, name: str, about: str) -> schema.CorrectionSet:
    """Return the correctionlib set with `<name>_data`, `<name>_mc` and `<name>_sf`.

    Inputs of each: abseta (an error beyond the last edge), pt in GeV (clamped), and scale_factors (`nominal`, or
    `stat`: the uncertainty). A bin that was not measured has the value of the nearest one in pt, and 1 for `stat`.
    """
    inputs = [
        schema.Variable(name="abseta", type="real", description="|eta| of the muon"),
        schema.Variable(name="pt", type="real", description="pt of the muon in GeV"),
        schema.Variable(name="scale_factors", type="string", description="nominal, or stat: the uncertainty"),
    ]
    parts = {"data": study.data, "mc": study.simulation, "sf": study.scale_factor}
    words = {"data": "efficiency in data", "mc": "efficiency in simulation", "sf": "efficiency, data / simulation"}
    corrections = []
    for key, found in parts.items():
        values = {"nominal": _filled(found.value, key), "stat": np.where(np.isnan(found.error), 1.0, found.error)}
        empty = empty_bins(found, study)
        remark = f"Not measured (nearest bin in pt, uncertainty 1): {', '.join(empty)}." if empty else ""
        corrections.append(
            schema.Correction(
                name=f"{name}_{key}",
                version=1,
                description=f"{name}: {words[key]}. {remark}".strip(),
                inputs=inputs,
                output=schema.Variable(name="weight", type="real"),
                data=schema.Category(
                    nodetype="category",
                    input="scale_factors",
                    content=[
                        schema.CategoryItem(key=one, value=_binned(table, study)) for one, table in values.items()
                    ],
                ),
            )
        )
    return schema.CorrectionSet(schema_version=2, description=about, corrections=corrections)


def write(corrections: schema.CorrectionSet, path: Path) -> None:
    """Write the set to `path` (`.json`), after correctionlib has read it."""
    text = corrections.model_dump_json(exclude_unset=True, indent=1) + "\n"
    correctionlib.CorrectionSet.from_string(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _filled(values: Floats, key: str) -> Floats:
    filled = values.copy()
    for row in filled:
        known = np.flatnonzero(~np.isnan(row))
        if not len(known):
            raise UserError(
                f"A bin of |eta| has no probes at all for '{key}', so its trigger efficiency is unknown. Process more "
                "events, of data and of simulation."
            )
        nearest = known[np.abs(np.arange(len(row))[:, None] - known).argmin(axis=1)]
        row[:] = row[nearest]
    return filled


def _binned(values: Floats, study: Study) -> schema.Binning:
    rows: Sequence[schema.Binning] = [
        schema.Binning(
            nodetype="binning",
            input="pt",
            edges=list(study.pt_edges),
            content=[float(one) for one in row],
            flow="clamp",
        )
        for row in values
    ]
    return schema.Binning(
        nodetype="binning", input="abseta", edges=list(study.eta_edges), content=list(rows), flow="error"
    )
