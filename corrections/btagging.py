"""b tagging: thresholds of the working points, and the weights that give simulation the tagging of data.

Two methods; an analysis takes one of them (https://twiki.cern.ch/twiki/bin/view/CMS/BTagSFMethods and
https://btv-wiki.docs.cern.ch/PerformanceCalibration):

* `fixed_point_weight`, method 1a, if the analysis cuts on a working point: Π over tagged jets of SF times Π over the
  others of (1 − SF ε) / (1 − ε), over all selected jets within the tracker. ε is the efficiency of the simulation for
  the selection of the analysis (`processors/cms_btag_efficiency.py`). Σ weights is conserved by construction.
* `shape_weight`, if it uses the distribution of the discriminant: Π over jets of SF(flavour, |η|, pt, discriminant).
  It is not normalised: before any cut on b tagging, Σ weights must be what it is without it. Multiply by
  Σ w / Σ (w × shape weight), found in bins of the number of jets on events before that cut, separately for each
  systematic variation; `normalisation` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from . import loading
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, evaluate_flat
from .weight_factor import WeightFactor, up_down

#: Tagger, as the keys of the files begin → column of `Jet`.
DISCRIMINANTS = {
    "deepCSV": "btagDeepB",
    "deepJet": "btagDeepFlavB",
    "particleNet": "btagPNetB",
    "robustParticleTransformer": "btagRobustParTAK4B",
    "UParTAK4": "btagUParTAK4B",
}
#: Systematic source → part of the tagging that it moves, and its name in the file; without the split into parts that
#: are correlated between eras and not, the first of a pair is the whole.
_FIXED_POINT = {
    "btag_bc": ("bc", "correlated"),
    "btag_bc_era": ("bc", "uncorrelated"),
    "btag_light": ("light", "correlated"),
    "btag_light_era": ("light", "uncorrelated"),
}
#: Sources of the shape → hadron flavours that they are for; the others keep the central value.
SHAPE_SOURCES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("hf", "lf", "hfstats1", "hfstats2", "lfstats1", "lfstats2"), (0, 5)),
    **dict.fromkeys(("cferr1", "cferr2"), (4,)),
}
_JES_FLAVOURS = (0, 5)
FLAVOURS = (0, 4, 5)


class BJets(NamedTuple):
    """The jets that are weighed, flat `[jets]`: pt in GeV; `event` is the position of the event of each."""

    pt: Floats
    abseta: Floats
    flavour: npt.NDArray[np.int64]
    discriminant: Floats
    event: npt.NDArray[np.int64]
    n_events: int


def tagger(record: CorrectionRecord) -> str:
    """Return the tagger of a record, as the keys of its file begin (`deepJet`, `particleNet`, …)."""
    return next(iter(record.keys.values())).split("_")[0]


def discriminant(record: CorrectionRecord) -> str:
    """Return the column of `Jet` that holds the discriminant of the tagger of `record`."""
    return DISCRIMINANTS[tagger(record)]


def branches(record: CorrectionRecord) -> tuple[str, ...]:
    """Return the branches that the weights read."""
    return ("Jet_pt", "Jet_eta", "Jet_hadronFlavour", f"Jet_{discriminant(record)}")


def threshold(record: CorrectionRecord) -> float:
    """Return the discriminant above which a jet is tagged, at the working point of `record` (`btag`)."""
    return thresholds(record)[record.fixed["working_point"]]


def thresholds(record: CorrectionRecord) -> dict[str, float]:
    """Return working point, as the file calls it (`L`, `M`, `T`, …) → threshold, for all points of the tagger."""
    correction = loading.correction(record.path, record.keys["threshold"])
    points = loading.domain(record.path, record.keys["threshold"]).choices["working_point"]
    return {str(point): float(correction.evaluate(str(point))) for point in points}


def tagged(record: CorrectionRecord, jets: Any) -> Array:
    """Return which jets are tagged at the working point of `record`, in the shape of the columns of `jets`."""
    return jets[discriminant(record)] > threshold(record)


def selected(
    record: CorrectionRecord,
    jets: Any,
    *,
    pt: Array | None = None,
    event: npt.NDArray[np.int64] | None = None,
    n_events: int | None = None,
) -> BJets:
    """Return the selected jets, flat.

    Args:
        record: says which discriminant.
        jets: columns pt, eta, hadronFlavour and the discriminant; `[events, jets]`, or flat with `event` and
            `n_events`.
        pt: corrected pt in GeV; None takes the file's.
        event: position of the event of each jet.
        n_events: of all events, also those without jets.

    Raises:
        ValueError: `event` without `n_events`, or a flavour that is not 0, 4 or 5.
    """
    momentum = jets["pt"] if pt is None else pt
    if event is None:
        counts = ak.to_numpy(ak.num(momentum, axis=1))
        n_events = len(counts)
        event = np.repeat(np.arange(n_events), counts)
    elif n_events is None:
        raise ValueError("flat jets need the number of events")
    columns = [momentum, *(jets[name] for name in ("eta", "hadronFlavour", discriminant(record)))]
    values = [_flat(column) for column in columns]
    flavour = values[1 + 1].astype(np.int64)
    if not np.isin(flavour, FLAVOURS).all():
        raise ValueError(f"hadron flavours are 0, 4 and 5, not {sorted(set(flavour.tolist()) - set(FLAVOURS))}")
    return BJets(values[0], np.abs(values[1]), flavour, values[3], np.asarray(event), n_events)


def fixed_point_weight(record: CorrectionRecord, efficiency: CorrectionRecord, jets: BJets) -> WeightFactor:
    """Return the weight of method 1a at the working point of `record`, `[events]`.

    `efficiency` is the record `btag_efficiency` of the same working point. Variations: `btag_bc`, `btag_light`
    (correlated between eras) and `btag_bc_era`, `btag_light_era`; in a file without that split (2022: light jets), the
    former are the total and the latter are left out.

    Jets beyond the |η| of the file have the factor 1 and are counted in `out_of_range`; so are jets without tag where
    the efficiency is 1, which leaves no factor to define. `clamped` counts jets that the file clamps in pt, and
    jets without tag where SF × ε > 1, whose factor is 0 instead of negative. Raises UserError for another working
    point of the efficiency, or one outside [0, 1].
    """
    if efficiency.key != f"{tagger(record)}_{record.fixed['working_point']}":
        raise UserError(
            f"The b-tagging efficiency '{efficiency.key}' is not that of {tagger(record)}, working point "
            f"{record.fixed['working_point']}. Take the working point '{record.working_point}' of both corrections."
        )
    has_tag = jets.discriminant > threshold(record)
    eff = efficiencies(efficiency, jets)
    central, beyond, clamped = _scale_factors(record, jets, dict.fromkeys(("bc", "light"), "central"))
    factor, undefined, negative = _method_1a(central, eff, has_tag)
    variations: dict[str, Floats] = {}
    for source, (part, kind) in _FIXED_POINT.items():
        names = _systematics(record, part, kind)
        if names is not None:
            up, down = (_varied(record, jets, eff, has_tag, part, name) for name in names)
            variations |= up_down(source, up, down)
    return WeightFactor(
        _product(factor, jets), variations, beyond + int(np.count_nonzero(undefined)), clamped + negative
    )


def efficiencies(record: CorrectionRecord, jets: BJets) -> Floats:
    """Return the tagging efficiency of each jet in simulation, `[jets]`. Raises UserError outside [0, 1]."""
    inputs = {"flavor": jets.flavour.astype(np.float64), "abseta": jets.abseta, "pt": jets.pt}
    values = np.asarray(evaluate_flat(record.path, record.key, inputs, variation="nominal", default=0.0).values)
    if not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"The b-tagging efficiencies '{record.key}' in {record.path} are not between 0 and 1.")
    return values


def shape_weight(record: CorrectionRecord, jets: BJets, *, variation: str = "nominal") -> WeightFactor:
    """Return the weight of the discriminant's shape, `[events]`: the product over jets; see the module on its norm.

    Variations: `btag_shape_<source>Up/Down` of `SHAPE_SOURCES`; each moves the flavours that it is for. Under a
    variation of the jet energy scale the scale factors move with it: pass its full name as `variation`
    (`jet_energy_scaleUp`; `jet_energy_scale_FlavorQCDDown`; `…_era` sources have the year in the file), with the jets
    so varied; then there are no other variations. A source that the file does not have gives the nominal factors.

    Jets outside the range of the file (|η|, and in Run 3 discriminants below 0) have the factor 1 and are counted.
    """
    if variation != "nominal":
        name = jes_systematic(record, variation)
        flavours: tuple[int, ...] = _JES_FLAVOURS if name != "central" else ()
        return WeightFactor(_product(_shape(record, jets, name, flavours)[0], jets))
    central, beyond = _shape(record, jets, "central", ())
    variations: dict[str, Floats] = {}
    for source, flavours in SHAPE_SOURCES.items():
        up, down = (_shape(record, jets, f"{way}_{source}", flavours)[0] for way in ("up", "down"))
        variations |= up_down(f"btag_shape_{source}", _product(up, jets), _product(down, jets))
    return WeightFactor(_product(central, jets), variations, beyond)


def jes_systematic(record: CorrectionRecord, variation: str) -> str:
    """Return what the shape file calls a variation of the jet energy scale; `central` where it has none.

    `jet_energy_scaleUp` is `up_jes`, `jet_energy_scale_BBEC1_eraDown` of 2018 is `down_jesBBEC1_2018`. The resolution
    of jets has none. Raises UserError for anything that is no variation of jets.
    """
    if variation in ("jet_energy_resolutionUp", "jet_energy_resolutionDown"):
        return "central"
    way = "up" if variation.endswith("Up") else "down"
    source = variation.removesuffix("Up").removesuffix("Down")
    if not source.startswith("jet_energy_scale") or source == variation:
        raise UserError(f"'{variation}' is no variation of jets: the b-tagging shape has none of that name.")
    part = source.removeprefix("jet_energy_scale").removeprefix("_")
    known = loading.domain(record.path, record.key).choices["systematic"]
    if not part.endswith("_era"):
        name = f"{way}_jes{part}"
    else:
        stem = f"{way}_jes{part.removesuffix('era')}"
        name = next((str(one) for one in known if str(one).startswith(stem) and str(one)[len(stem) :].isdigit()), "")
    return name if name in known else "central"


def normalisation(weight: Floats, factor: Floats, n_jets: npt.NDArray[np.int64], most: int = 8) -> Floats:
    """Return Σ w / Σ (w × factor) in bins of the number of jets, 0 to `most` and more, `[most + 1]`; 1 in empty bins.

    All `[events]`, of one process before any cut on b tagging; `factor` is a `shape_weight`, nominal or varied. The
    sums are additive: take those of a whole sample, not of a chunk.
    """
    bins = np.minimum(n_jets, most)
    before = np.bincount(bins, weights=weight, minlength=most + 1)
    after = np.bincount(bins, weights=weight * factor, minlength=most + 1)
    return np.divide(before, after, out=np.ones(most + 1), where=after != 0)


def _method_1a(
    factor: Floats, efficiency: Floats, has_tag: npt.NDArray[np.bool_]
) -> tuple[Floats, npt.NDArray[np.bool_], int]:
    """Return the factor of each jet, which are undefined (then 1), and how many were negative (then 0)."""
    without = 1 - efficiency
    undefined = ~has_tag & (without <= 0)
    numerator = 1 - factor * efficiency
    negative = ~has_tag & ~undefined & (numerator < 0)
    ratio = np.divide(np.maximum(numerator, 0), without, out=np.ones(len(factor)), where=without > 0)
    return np.where(has_tag, factor, ratio), undefined, int(np.count_nonzero(negative))


def _varied(
    record: CorrectionRecord,
    jets: BJets,
    efficiency: Floats,
    has_tag: npt.NDArray[np.bool_],
    part: str,
    systematic: str,
) -> Floats:
    """Return the weight with the scale factors of `part` (`bc`, `light`) under `systematic`, `[events]`."""
    chosen = {**dict.fromkeys(("bc", "light"), "central"), part: systematic}
    factor, _, _ = _scale_factors(record, jets, chosen)
    return _product(_method_1a(factor, efficiency, has_tag)[0], jets)


def _scale_factors(record: CorrectionRecord, jets: BJets, systematics: Mapping[str, str]) -> tuple[Floats, int, int]:
    """Return the scale factor of each jet, and how many are out of range and clamped."""
    values = np.ones(len(jets.pt))
    beyond = clamped = 0
    for part, systematic in systematics.items():
        chosen = (jets.flavour == 0) == (part == "light")
        inputs = {
            "flavor": jets.flavour[chosen].astype(np.float64),
            "abseta": jets.abseta[chosen],
            "pt": jets.pt[chosen],
        }
        found = evaluate_flat(record.path, record.keys[part], inputs, variation=systematic, choices=record.fixed)
        values[chosen] = found.values
        beyond += found.out_of_range
        clamped += found.clamped
    return values, beyond, clamped


def _systematics(record: CorrectionRecord, part: str, kind: str) -> tuple[str, str] | None:
    """Return the names of up and down in the file for the part correlated between eras, or not; None: there is none."""
    known = loading.domain(record.path, record.keys[part]).choices["systematic"]
    if f"up_{kind}" in known:
        return f"up_{kind}", f"down_{kind}"
    return ("up", "down") if kind == "correlated" else None


def _shape(record: CorrectionRecord, jets: BJets, systematic: str, flavours: tuple[int, ...]) -> tuple[Floats, int]:
    """Return the factor of each jet, `systematic` for `flavours` and central for the others; how many are outside."""
    # Finer bins inside of bins make the range of a whole file look empty: that of the central value counts.
    valid = loading.domain(record.path, record.key, {"systematic": "central"}).valid
    variables = {"abseta": jets.abseta, "pt": jets.pt, "discriminant": jets.discriminant}
    inside = np.ones(len(jets.pt), dtype=bool)
    for name, values in variables.items():
        low, high = valid.get(name, (-np.inf, np.inf))
        inside &= (values >= low) & (values < high)
    factor = np.ones(len(jets.pt))
    moved = np.isin(jets.flavour, flavours)
    correction = loading.correction(record.path, record.key)
    for name, chosen in ((systematic, inside & moved), ("central", inside & ~moved)):
        given: dict[str, Any] = {key: values[chosen] for key, values in variables.items()}
        given |= {"systematic": name, "flavor": jets.flavour[chosen]}
        factor[chosen] = correction.evaluate(*(given[one.name] for one in correction.inputs))
    return factor, int(np.count_nonzero(~inside))


def _product(factor: Floats, jets: BJets) -> Floats:
    """Return the product over the jets of each event, `[events]`; 1 without jets."""
    weight = np.ones(jets.n_events)
    np.multiply.at(weight, jets.event, factor)
    return weight


def _flat(array: Any) -> Floats:
    if isinstance(array, ak.Array):
        array = ak.to_numpy(ak.flatten(array, axis=1) if array.ndim > 1 else array)
    return np.ma.filled(np.asanyarray(array).reshape(-1).astype(np.float64), np.nan)
