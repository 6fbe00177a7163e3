"""Missing transverse momentum: it follows every corrected object, through one function of old and new momenta.

Order of the steps, each optional but the first:

1. the MET of the file, which is type-1 corrected with the jet energy corrections of the file (`met_collection`), or
   `type1` from the raw MET;
2. `propagated`: every collection whose momenta are corrected or varied, all of them in one call;
3. `met_xy.corrected`: the modulation in phi, whose payloads take the type-1 MET "without XY corrections";
4. `unclustered`: the variation of energy outside jets and leptons.

Steps 2 to 4 add vectors that do not depend on the MET, so that they commute; only that each is done once matters.

Type-1 correction (https://twiki.cern.ch/twiki/bin/view/CMS/METType1Type2Formulae; CMSSW, PFJetMETcorrInputProducerT):
MET = raw MET − Σ (p_T(all levels) − p_T(L1)) over the jets whose p_T with all corrections and without muons is above
15 GeV, and whose electromagnetic energy fraction is below 0.9. PUPPI jets have no L1 correction. Muons are taken out of
a jet before it is corrected (`muonSubtrFactor`), so that a muon and the jet around it are propagated separately and
nothing is counted twice; an electron in a jet is that jet's energy, see `enters_type1`.

With the file's MET, replacing the file's jet energy by another moves the MET by −ΣΔp_T of the jets that are in it. It
is exact for jets in `Jet`; jets below its threshold, known only as `CorrT1METJet`, keep the correction of the file.
An analysis that uses another jet energy correction than its file and cares for MET resolution below 1 GeV recalculates
with `type1`; for systematic variations and for everything else the file's MET is enough.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .evaluation import Array, Floats

MIN_PT = 15.0
"""GeV; of a jet with all corrections, without its muons, to enter the type-1 correction."""
MAX_EM_FRACTION = 0.9
#: Columns of jets that the type-1 convention reads.
JET_BRANCHES = ("Jet_muonSubtrFactor", "Jet_chEmEF", "Jet_neEmEF")
#: Collections of the MET of each run of the LHC, the first that a file has is taken: PF in Run 2, PUPPI in Run 3.
#: NanoAODv15 calls PFMET what v9 and v12 call MET.
COLLECTIONS: dict[int, tuple[str, ...]] = {2: ("MET", "PFMET"), 3: ("PuppiMET",)}
_UP_DELTA = ("MetUnclustEnUpDeltaX", "MetUnclustEnUpDeltaY")


class Met(NamedTuple):
    """Missing transverse momentum, `[events]` each, float64; `pt` in GeV, `phi` in (−π, π]."""

    pt: Floats
    phi: Floats


class Change(NamedTuple):
    """What a correction did to a collection.

    `old_pt`, `new_pt` (GeV) and `phi` are `[events, objects]`, or flat `[objects]` with `event`, the position of the
    event of each object. `fraction` is the part of each object that takes part (0 or False: not at all; jets without
    their muons: 1 − muonSubtrFactor); None means all of it.
    """

    old_pt: Array
    new_pt: Array
    phi: Array
    event: npt.NDArray[np.int64] | None = None
    fraction: Array | None = None


class Type1Jets(NamedTuple):
    """Jets for a recalculation of the type-1 correction, `[events, jets]`, or flat with `event`.

    `raw_pt` is without any correction and without muons, GeV: `Jet_pt × (1 − rawFactor) × (1 − muonSubtrFactor)`, or
    `CorrT1METJet_rawPt × (1 − muonSubtrFactor)`. `full` and `l1` are the factors of all levels and of L1 alone (1 for
    PUPPI). `em_fraction` is None where the file does not have it (`CorrT1METJet` before NanoAODv15).
    """

    raw_pt: Array
    phi: Array
    full: Array
    l1: Array | float = 1.0
    em_fraction: Array | None = None
    event: npt.NDArray[np.int64] | None = None


def propagated(met: Met, changes: Sequence[Change]) -> Met:
    """Return the MET after the corrections: met − Σ (new − old) over all objects of all `changes`, as vectors.

    Events in which nothing changed keep their MET bit for bit; objects without a momentum before and after (None, NaN)
    do not count. Raises ValueError if a correction lost the momentum of an object, or if shapes differ.
    """
    total_x, total_y = np.zeros(len(met.pt)), np.zeros(len(met.pt))
    for change in changes:
        difference, phi, event = _flat_difference(change, len(met.pt))
        total_x += np.bincount(event, weights=difference * np.cos(phi), minlength=len(met.pt))
        total_y += np.bincount(event, weights=difference * np.sin(phi), minlength=len(met.pt))
    return shifted(met, -total_x, -total_y)


def shifted(met: Met, x: Floats, y: Floats) -> Met:
    """Return the MET with the vector (`x`, `y`), GeV, added to it in each event; all `[events]`."""
    pt, phi = np.asarray(met.pt, np.float64), wrapped(met.phi)
    moved_x, moved_y = pt * np.cos(phi) + x, pt * np.sin(phi) + y
    still = (x == 0) & (y == 0)
    return Met(np.where(still, pt, np.hypot(moved_x, moved_y)), np.where(still, phi, angle(moved_x, moved_y)))


def angle(x: Floats, y: Floats) -> Floats:
    """Return the azimuth of a vector in (−π, π]."""
    return wrapped(np.arctan2(y, x))


def wrapped(phi: Any) -> Floats:
    """Return `phi` in (−π, π], as it is where it already was: single precision can be beyond π."""
    values = np.asarray(phi, np.float64)
    turns = np.ceil((values - np.pi) / (2 * np.pi))
    # Once around and rounding leaves −π itself, or a hair below it.
    around = values - 2 * np.pi * turns
    return np.where((values > -np.pi) & (values <= np.pi), values, np.where(around <= -np.pi, np.pi, around))


def enters_type1(jets: Any, pt: Array, *, overlaps: Array | None = None) -> Array:
    """Return which jets are in the type-1 MET, in the shape of `pt`: those whose changes move it.

    Args:
        jets: has the columns muonSubtrFactor, chEmEF, neEmEF.
        pt: of the jets, GeV, as the MET was made with: that of the file.
        overlaps: jets that are an electron of the analysis, whose energy is propagated as that of the electron: left
            out, so that it is not counted twice. None leaves none out.
    """
    without_muons = pt * (1 - jets["muonSubtrFactor"])
    mask = (without_muons > MIN_PT) & (jets["chEmEF"] + jets["neEmEF"] < MAX_EM_FRACTION)
    return mask if overlaps is None else mask & ~overlaps


def jet_change(
    jets: Any,
    new_pt: Array,
    *,
    old_pt: Array | None = None,
    event: npt.NDArray[np.int64] | None = None,
    overlaps: Array | None = None,
) -> Change:
    """Return the change of jets for `propagated`: those in the type-1 MET, each without its muons.

    Args:
        jets: columns pt, phi, muonSubtrFactor, chEmEF, neEmEF of the file.
        new_pt: corrected or varied, GeV.
        old_pt: what the MET was made with, GeV; None takes the file's.
        event: of each jet, if the columns are flat.
        overlaps: see `enters_type1`.
    """
    old = jets["pt"] if old_pt is None else old_pt
    fraction = (1 - jets["muonSubtrFactor"]) * enters_type1(jets, old, overlaps=overlaps)
    return Change(old, new_pt, jets["phi"], event, fraction)


def type1(raw: Met, jets: Sequence[Type1Jets]) -> Met:
    """Return the type-1 MET from the raw one (`RawMET`, `RawPuppiMET`) and all jets (`Jet` and `CorrT1METJet`).

    Formula: see the module. Raises ValueError if shapes differ.
    """
    changes = []
    for one in jets:
        full = one.full * one.raw_pt
        mask = full > MIN_PT
        if one.em_fraction is not None:
            mask = mask & (one.em_fraction < MAX_EM_FRACTION)
        changes.append(Change(one.l1 * one.raw_pt, full, one.phi, one.event, mask))
    return propagated(raw, changes)


def unclustered(met: Met, file_met: Any, direction: Literal["up", "down", "nominal"]) -> Met:
    """Return `met` with the unclustered energy varied by one standard deviation.

    Args:
        met: the MET so far, with whatever was propagated.
        file_met: the same MET as it is in the file: NanoEvents' `events.MET`, or anything with `fields` and columns
            `[events]`. NanoAODv9 has the vector `MetUnclustEnUpDeltaX/Y` of the upward shift, the opposite of which is
            the downward one; PuppiMET, and v15, have `ptUnclusteredUp/Down` and `phiUnclusteredUp/Down`, whose
            difference to the file's MET is what is added.
        direction: `up`, `down`; `nominal` returns `met`.

    Raises:
        UserError: the file has neither.
    """
    if direction == "nominal":
        return met
    fields = set(file_met.fields)
    if fields.issuperset(_UP_DELTA):
        sign = 1.0 if direction == "up" else -1.0
        x, y = (sign * np.asarray(file_met[name], np.float64) for name in _UP_DELTA)
        return shifted(met, x, y)
    names = [f"{column}Unclustered{direction.capitalize()}" for column in ("pt", "phi")]
    if not fields.issuperset(names):
        raise UserError(
            f"The missing momentum of the file has no variation of the unclustered energy: neither {_UP_DELTA[0]} nor "
            f"{names[0]}. Leave the systematic met_unclustered out, or use NanoAODv9 or later."
        )
    varied, nominal = _vector(file_met, *names), _vector(file_met, "pt", "phi")
    return shifted(met, varied[0] - nominal[0], varied[1] - nominal[1])


def met_collection(fields: Collection[str], run: int) -> str:
    """Return the collection of the MET to use: the one place where NanoAOD v9, v12 and v15 differ.

    `fields` are the collections of a file (`events.fields`), `run` that of the LHC: 2 takes the particle-flow MET
    (`MET`, `PFMET` from v15 on), 3 `PuppiMET`. Raises UserError if the file does not have it.
    """
    candidates = COLLECTIONS[run]
    for name in candidates:
        if name in fields:
            return name
    raise UserError(
        f"The file has no missing momentum {' or '.join(candidates)}, which is that of Run {run}. Use NanoAODv9 or "
        "later, or name the era of the file."
    )


def branches(collection: str, *, vary_unclustered: bool = False) -> tuple[str, ...]:
    """Return the branches of the MET `collection` (`MET`, `PFMET`, `PuppiMET`) that are read."""
    columns = ["pt", "phi"]
    if vary_unclustered and collection == "MET":
        columns += _UP_DELTA
    elif vary_unclustered:
        columns += [f"{column}Unclustered{way}" for way in ("Up", "Down") for column in ("pt", "phi")]
    return tuple(f"{collection}_{column}" for column in columns)


def _vector(columns: Any, pt: str, phi: str) -> tuple[Floats, Floats]:
    size, azimuth = np.asarray(columns[pt], np.float64), np.asarray(columns[phi], np.float64)
    return size * np.cos(azimuth), size * np.sin(azimuth)


def _flat_difference(change: Change, n_events: int) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return (new − old) × fraction, phi and event of each object, flat."""
    event = change.event
    if event is None:
        counts = ak.to_numpy(ak.num(change.old_pt, axis=1))
        if len(counts) != n_events:
            raise ValueError(f"objects of {len(counts)} events cannot change the MET of {n_events}")
        event = np.repeat(np.arange(n_events), counts)
    old, new, phi = (_flat(one) for one in (change.old_pt, change.new_pt, change.phi))
    fraction = np.ones(len(old)) if change.fraction is None else _flat(change.fraction)
    if not len(event) == len(old) == len(new) == len(phi) == len(fraction):
        raise ValueError(f"old, new, phi, event and fraction differ in shape: {len(old)}, {len(new)}, {len(phi)}, …")
    absent = np.isnan(old) & np.isnan(new)
    difference = np.where(absent | (fraction == 0), 0.0, (new - old) * fraction)
    if not np.isfinite(difference).all():
        lost = np.count_nonzero(~np.isfinite(difference))
        raise ValueError(f"{lost} objects have no momentum before or after a correction: the MET cannot follow them")
    return difference, np.where(absent, 0.0, phi), np.asarray(event)


def _flat(array: Any) -> Floats:
    """Return `[objects]` float64 from `[events, objects]` or `[objects]`; None becomes NaN."""
    if isinstance(array, ak.Array):
        array = ak.to_numpy(ak.flatten(array, axis=None) if array.ndim == 1 else ak.flatten(array, axis=1))
    return np.ma.filled(np.asanyarray(array).reshape(-1).astype(np.float64), np.nan)
