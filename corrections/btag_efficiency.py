"""Efficiencies of b tagging in simulation as a correctionlib file, from jets and tagged jets in bins of flavour, |η|
and pt.

They belong to a selection, a generator and a sample: the weights of `btagging.fixed_point_weight` are right on average
for the mixture of samples that the file was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import correctionlib.schemav2 as schema
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .evaluation import Floats

FLAVOURS = {"b": 5, "c": 4, "light": 0}
"""Name → hadron flavour."""
ETA_EDGES = (0.0, 0.8, 1.6, 2.5)
PT_EDGES = (20.0, 30.0, 50.0, 70.0, 100.0, 140.0, 200.0, 300.0, 600.0, 1000.0)
"""GeV."""
MIN_EFFECTIVE_JETS = 5.0


class Jets(NamedTuple):
    """Sums over jets in bins `[|η|, pt]`: of their weights, and of the squares."""

    weight: Floats
    squares: Floats


class Table(NamedTuple):
    """Efficiencies `[|η|, pt]` of one flavour, their statistical uncertainties, and which bins were measured.

    The others have the value of all pt in their |η|, or of the whole flavour if that is empty, too.
    """

    efficiency: Floats
    stat: Floats
    measured: npt.NDArray[np.bool_]


def measured(tagged: Jets, every: Jets) -> tuple[Floats, Floats]:
    """Return tagged / all and its statistical uncertainty, in the shape of the input; NaN where nothing is known.

    The uncertainty is that of a binomial share of weighted jets, √((1 − 2ε) Σ w² of the tagged + ε² Σ w² of all) / Σ w,
    and at least 1 / (effective number of jets + 2), what a share of 0 or 1 leaves open. That number is (Σ w)² / Σ w²; a
    bin where it is below `MIN_EFFECTIVE_JETS` is not known, nor is one whose share negative weights have brought out of
    [0, 1].
    """
    effective = np.divide(every.weight**2, every.squares, out=np.zeros_like(every.weight), where=every.squares > 0)
    enough = (effective >= MIN_EFFECTIVE_JETS) & (every.weight > 0)
    share = np.divide(tagged.weight, every.weight, out=np.full_like(every.weight, np.nan), where=enough)
    known = enough & (share >= 0) & (share <= 1)
    variance = np.maximum((1 - 2 * share) * tagged.squares + share**2 * every.squares, 0)
    error = np.divide(np.sqrt(variance), every.weight, out=np.full_like(share, np.nan), where=known)
    return np.where(known, share, np.nan), np.maximum(error, 1 / (effective + 2))


def table(tagged: Jets, every: Jets, name: str) -> Table:
    """Return the table of one flavour and working point; `name` says which, should all of it be empty.

    Raises:
        UserError: there are too few jets of the flavour for a single number.
    """
    values, errors = measured(tagged, every)
    filled = ~np.isnan(values)
    for axis in (1, (0, 1)):
        coarse = [Jets(*(part.sum(axis=axis, keepdims=True) for part in one)) for one in (tagged, every)]
        value, error = measured(*coarse)
        empty = np.isnan(values)
        values, errors = np.where(empty, value, values), np.where(empty, error, errors)
    if np.isnan(values).any():
        raise UserError(
            f"There are too few jets to measure the b-tagging efficiency {name}: fewer than {MIN_EFFECTIVE_JETS:g} "
            "effective ones in all bins together. Process more events, or loosen the selection."
        )
    return Table(values, errors, filled)


def correction_set(tables: Mapping[str, Mapping[str, Table]], about: str) -> schema.CorrectionSet:
    """Return the correctionlib set: working point (`deepJet_M`) → flavour (`b`, `c`, `light`) → table.

    Inputs of each correction: systematic (`nominal`, or `stat`: the statistical uncertainty), flavor, abseta, pt.
    Beyond |η| = 2.5 it is an error, in pt it is clamped.
    """
    inputs = [
        schema.Variable(name="systematic", type="string", description="nominal, or stat: the uncertainty"),
        schema.Variable(name="flavor", type="int", description="hadron flavor definition: 5=b, 4=c, 0=udsg"),
        schema.Variable(name="abseta", type="real"),
        schema.Variable(name="pt", type="real", description="GeV"),
    ]
    corrections = []
    for key, flavours in tables.items():
        names = {"nominal": "efficiency", "stat": "stat"}
        content = [
            schema.CategoryItem(key=name, value=_by_flavour({one: getattr(it, field) for one, it in flavours.items()}))
            for name, field in names.items()
        ]
        corrections.append(
            schema.Correction(
                name=key,
                version=1,
                description=f"b-tagging efficiency of simulation, {key}. {not_measured(flavours)}",
                inputs=inputs,
                output=schema.Variable(name="efficiency", type="real"),
                data=schema.Category(nodetype="category", input="systematic", content=content),
            )
        )
    return schema.CorrectionSet(schema_version=2, description=about, corrections=corrections)


def not_measured(flavours: Mapping[str, Table]) -> str:
    """Return in words which bins of a working point had too few jets."""
    bins = [
        f"{flavour} {ETA_EDGES[i]:g}<|eta|<{ETA_EDGES[i + 1]:g} {PT_EDGES[j]:g}<pt<{PT_EDGES[j + 1]:g}"
        for flavour, one in flavours.items()
        for i, j in np.argwhere(~one.measured)
    ]
    if not bins:
        return "Every bin was measured."
    return f"Too few jets, value of wider bins: {'; '.join(bins)}."


def write(corrections: schema.CorrectionSet, path: Path) -> None:
    """Write the set to `path` (`.json`)."""
    path.write_text(corrections.model_dump_json(exclude_unset=True, indent=1) + "\n", encoding="utf-8")


def _by_flavour(values: Mapping[str, Floats]) -> schema.Category:
    content = [schema.CategoryItem(key=FLAVOURS[name], value=_binned(one)) for name, one in values.items()]
    return schema.Category(nodetype="category", input="flavor", content=content)


def _binned(values: Floats) -> schema.Binning:
    rows: Sequence[schema.Binning] = [
        schema.Binning(
            nodetype="binning", input="pt", edges=list(PT_EDGES), content=[float(one) for one in row], flow="clamp"
        )
        for row in values
    ]
    return schema.Binning(nodetype="binning", input="abseta", edges=list(ETA_EDGES), content=list(rows), flow="error")
