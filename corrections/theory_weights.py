"""Weights of theory: parton shower, QCD scales and parton densities, from the generator weights that NanoAOD keeps.

NanoAOD keeps each of them as w_var / w_nominal of the event, to be multiplied by `genWeight`. Here a factor is relative
to the nominal member of its own list where the list has one: the set of parton densities that was kept need not be the
one that the sample was generated with. So the nominal factor is always 1, and only the variations differ from it.

Orders and lengths: CMSSW, PhysicsTools/NanoAOD/plugins/GenWeightsTableProducer.cc; where a title of a branch says the
order, the title counts. An event without weights (no matrix-element generator), or with one that is not finite, or
whose nominal weight is zero, has the factor 1 in every variation and counts as `out_of_range`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .evaluation import Array
from .theory_titles import SCALE_POINTS, Kind, lha_ids, pdf_set, scale_positions, title_of
from .weight_factor import Floats, WeightFactor

__all__ = ["parton_shower", "pdf", "qcd_scale", "run_sums", "title_of"]

PARTON_SHOWER_BRANCHES = ("PSWeight",)
QCD_SCALE_BRANCHES = ("LHEScaleWeight",)
PDF_BRANCHES = ("LHEPdfWeight",)

#: Variation → (muR, muF), relative to the nominal scales: 7 points with the nominal one.
QCD_SCALES: Mapping[str, tuple[float, float]] = {
    "qcd_scaleMuRDown_MuFDown": (0.5, 0.5),
    "qcd_scaleMuRDown": (0.5, 1.0),
    "qcd_scaleMuFDown": (1.0, 0.5),
    "qcd_scaleMuFUp": (1.0, 2.0),
    "qcd_scaleMuRUp": (2.0, 1.0),
    "qcd_scaleMuRUp_MuFUp": (2.0, 2.0),
}
#: Members that have a variation; a set with fewer leaves the others at the nominal factor.
PDF_MEMBERS = 100
#: Ratio of a sum of weights to the nominal one.
SANE_SUMS = (0.2, 5.0)
ALPHAS = ("pdf_alphasDown", "pdf_alphasUp")


class Layout(NamedTuple):
    """What a list of weights of parton densities holds, in this order: nominal member?, members, two of α_s?"""

    nominal: bool
    members: int
    alphas: bool


#: By length: 100 members (NNPDF), 40 (PDF4LHC21) or 30 (PDF4LHC15). The nominal one is missing from files in which it
#: is the density of the generator.
PDF_LAYOUTS: Mapping[int, Layout] = {
    members + nominal + 2 * alphas: Layout(nominal, members, alphas)
    for members in (30, 40, 100)
    for nominal in (False, True)
    for alphas in (False, True)
}


def parton_shower(weights: Array, *, run: Literal[2, 3]) -> WeightFactor:
    """Return the factor of `ps_isrUp/Down`, `ps_fsrUp/Down` from `PSWeight`, `[events, weights]`.

    Up is more radiation: the renormalisation scale of the shower halved, α_s larger; down has it doubled. Which of the
    four weights that is depends on the generator, not on the title of the branch: CMSSW puts first what is called
    "Hi" or "2.0". In the samples of Run 2 (Pythia 8.240, `isrDefHi`: factor 0.5) the first two are more radiation; in
    those of Run 3 (Pythia 8.3, `isr:murfac=2.0`) the first two are less. `run` is that of the campaign. One weight is
    the dummy of a sample without variations: factor 1, and its events count as `out_of_range`. Raises UserError for
    another number than 0, 1 or 4.
    """
    more, less = (0, 2) if run == 2 else (2, 0)
    places = {"ps_isrUp": more, "ps_isrDown": less, "ps_fsrUp": more + 1, "ps_fsrDown": less + 1}

    def factors(block: Floats) -> dict[str, Floats] | None:
        if block.shape[1] == 1:
            return None
        if block.shape[1] != 4:
            raise _unknown_length("PSWeight", block.shape[1], "1 (no variations) or 4 (ISR and FSR)")
        return {name: block[:, place] for name, place in places.items()}

    return _by_length(weights, tuple(places), factors)


def qcd_scale(weights: Array, *, title: str | None = None) -> WeightFactor:
    """Return the factor of the six points of `qcd_scale` from `LHEScaleWeight`, `[events, weights]`.

    9 weights have the nominal one in the middle, 8 lack it. They are sorted by muR, then muF: (½,½), (½,1), (½,2),
    (1,½), (1,1), (1,2), (2,½), (2,1), (2,2); the points (½,2) and (2,½) are left out (7-point variation). `title` of
    the branch, by default what the array knows of it, counts if it names the scales. Raises UserError for other
    lengths.
    """
    text = title_of(weights) if title is None else title

    def factors(block: Floats) -> dict[str, Floats]:
        length = block.shape[1]
        if length not in (8, 9):
            raise _unknown_length("LHEScaleWeight", length, "9, or 8 without the nominal one")
        points = [point for point in SCALE_POINTS if length == 9 or point != (1.0, 1.0)]
        places = scale_positions(text, length) or {point: place for place, point in enumerate(points)}
        nominal = block[:, places[1.0, 1.0]] if (1.0, 1.0) in places else None
        return {name: _ratio(block[:, places[point]], nominal) for name, point in QCD_SCALES.items()}

    return _by_length(weights, tuple(QCD_SCALES), factors)


def pdf(weights: Array, *, title: str | None = None, kind: Kind | None = None) -> WeightFactor:
    """Return the factor of `pdf001…`, `pdf_replicas001…` and `pdf_alphasUp/Down` from `LHEPdfWeight`.

    `weights` is `[events, weights]`; `title` of the branch (by default what the array knows of it) names the set, and
    with it its `kind`, which can be given instead; Hessian without either. Of a Hessian set the eigenvectors are
    `pdf001…`. Of a set of N replicas r the members `pdf001…` are 1 + (r − 1)/√(N − 1), so that the square root of the
    sum of their squared shifts is the standard deviation about the nominal member: samples of both kinds can be in one
    result. `pdf_replicas001…` are replicas as they are, and 1 for a Hessian set. Members that a set does not have are
    1. The two last weights are α_s below and above the nominal one, by as much as the set has (PDF4LHC15,
    arXiv:1510.03865: ±0.0015; NNPDF3.1: ±0.002). Raises UserError for a length that is none of `PDF_LAYOUTS`.
    """
    text = title_of(weights) if title is None else title
    ids = lha_ids(text)
    known = pdf_set(ids[0]) if ids else None
    kind = kind or (known.kind if known else "hessian")
    names = [f"{number:03d}" for number in range(1, PDF_MEMBERS + 1)]

    def factors(block: Floats) -> dict[str, Floats]:
        layout = _pdf_layout(block.shape[1])
        if known and ids and (ids[0] == known.first) != layout.nominal:
            raise UserError(
                f"LHEPdfWeight has {block.shape[1]} weights, of the LHA IDs {ids[0]} to {ids[1]} as its title says, "
                f"which do not fit together. Leave the systematics of 'pdf' out for this dataset."
            )
        first = int(layout.nominal)
        nominal = block[:, 0] if layout.nominal else None
        ratios = _ratio(block, nominal)
        one = np.ones(len(block))
        found = dict.fromkeys([*(f"pdf{name}" for name in names), *(f"pdf_replicas{name}" for name in names)], one)
        for place, name in enumerate(names[: layout.members], start=first):
            member = ratios[:, place]
            if kind == "replicas":
                found[f"pdf_replicas{name}"] = member
                member = 1 + (member - 1) / np.sqrt(layout.members - 1)
            found[f"pdf{name}"] = member
        down, up = (ratios[:, -2], ratios[:, -1]) if layout.alphas else (one, one)
        return {**found, **dict(zip(ALPHAS, (down, up), strict=True))}

    every = (*(f"pdf{name}" for name in names), *(f"pdf_replicas{name}" for name in names), *ALPHAS)
    return _by_length(weights, every, factors)


def run_sums(
    *,
    run: Literal[2, 3],
    scale: Sequence[float] = (),
    pdf_members: Sequence[float] = (),
    shower: Sequence[float] = (),
    scale_title: str = "",
    pdf_title: str = "",
) -> dict[str, float]:
    """Return variation → Σ(generator weight × factor) / Σ(generator weight) from the `Runs` tree of a skim.

    The arguments are `LHEScaleSumw`, `LHEPdfSumw` and `PSSumw`, each divided by `genEventSumw` as NanoAOD has them, and
    the titles of the branches of the events; empty is not known. Relative to its nominal member, a list is right only
    if that member is the same in every event, as it is unless the parton densities kept are not those of the
    generator. A list with sums that are not of order one (`SANE_SUMS`; early files added them up when they were
    merged), or of an unknown length, is left out.
    """
    factors: dict[str, tuple[Sequence[float], Callable[[Floats], WeightFactor]]] = {
        "scale": (scale, lambda row: qcd_scale(row, title=scale_title)),
        "pdf": (pdf_members, lambda row: pdf(row, title=pdf_title)),
        "shower": (shower, lambda row: parton_shower(row, run=run)),
    }
    found: dict[str, float] = {}
    for values, factor in factors.values():
        if not values:
            continue
        try:
            one = factor(np.asarray([values], np.float64))
        except UserError:
            continue
        sums = {name: float(value[0]) for name, value in one.variations.items()}
        if not one.out_of_range and all(SANE_SUMS[0] < value < SANE_SUMS[1] for value in sums.values()):
            found |= sums
    return found


def _by_length(
    weights: Array, names: Sequence[str], factors: Callable[[Floats], dict[str, Floats] | None]
) -> WeightFactor:
    """Return the factor of all events from `factors` of those with lists of one length, `[some, length]`."""
    blocks = list(_blocks(weights))
    n = sum(len(block) if isinstance(rows, slice) else len(rows) for rows, block in blocks)
    nominal = np.ones(n)
    found: dict[str, Floats] = {}
    unusable = 0
    for rows, block in blocks:
        values = factors(block) if block.shape[1] else None
        if values is None:
            unusable += len(block)
            continue
        good = np.isfinite(block).all(axis=1)
        for one in {id(value): value for value in values.values()}.values():
            good &= np.isfinite(one)
        bad = ~good
        unusable += int(np.count_nonzero(bad))
        for name, value in values.items():
            kept = np.where(bad, 1.0, value) if bad.any() else value
            if isinstance(rows, slice):
                found[name] = kept
            else:
                found.setdefault(name, np.ones(n))[rows] = kept
    return WeightFactor(nominal, {name: found.get(name, nominal) for name in names}, out_of_range=unusable)


def _blocks(weights: Array) -> list[tuple[slice | npt.NDArray[np.int64], Floats]]:
    """Return the events by the length of their list: their rows, and `[events, length]` the weights."""
    if isinstance(weights, np.ndarray):
        return [(slice(None), weights.astype(np.float64))]
    lengths = ak.to_numpy(ak.num(weights, axis=1))
    flat = ak.to_numpy(ak.flatten(weights, axis=1)).astype(np.float64)
    different = np.unique(lengths)
    if len(different) == 1:
        # In order of the members, since they are used one by one.
        return [(slice(None), np.asfortranarray(flat.reshape(len(lengths), -1)))]
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(lengths) else lengths
    blocks: list[tuple[slice | npt.NDArray[np.int64], Floats]] = []
    for length in different:
        rows = np.flatnonzero(lengths == length)
        blocks.append((rows, flat[starts[rows, None] + np.arange(length)]))
    return blocks


def _ratio(values: Floats, nominal: Floats | None) -> Floats:
    """Return `values`, `[events]` or `[events, members]`, over `nominal`; NaN where that is zero."""
    if nominal is None:
        return values
    divisor = np.where(nominal == 0, np.nan, nominal)
    return values / (divisor if values.ndim == 1 else divisor[:, None])


def _pdf_layout(length: int) -> Layout:
    if length not in PDF_LAYOUTS:
        raise _unknown_length("LHEPdfWeight", length, ", ".join(map(str, sorted(PDF_LAYOUTS))))
    return PDF_LAYOUTS[length]


def _unknown_length(branch: str, length: int, known: str) -> UserError:
    return UserError(
        f"An event has {length} weights in {branch}; known are {known}. What each of them is cannot be told: leave the "
        f"systematics that use {branch} out for this dataset (parameter 'systematics' or 'corrections')."
    )
