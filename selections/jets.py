"""Good jets, away from leptons, matched to generator jets, and in the order of their pt.

Everything keeps the positions that the jets have in the file: `Muon_jetIdx` and its like, and the random numbers of
the corrections, stay right whatever is selected or put into another order.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from .branches import branches_of, column
from .flat import FlatCollection, flat, flattened

Identification = Literal["tight", "tight_lepton_veto", "none"]
PileupIdentification = Literal["loose", "medium", "tight", "none"]

MAX_PILEUP_PT = 50.0
"""GeV. The identification of pile-up jets is for jets below it: twiki.cern.ch/twiki/bin/view/CMS/PileupJetIDUL."""
#: Bits of Jet_puId that are set. The points are nested, and the order of the bits is not the same in all eras of v9:
#: their number is right for each.
_PILEUP_BITS = {"loose": 1, "medium": 2, "tight": 3}
_MATCH_DELTA_R = 0.2
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class JetSelection(BaseModel):
    """What makes a good jet. pt in GeV; `min_delta_r` is the distance to every good lepton, None leaves it out.

    `pileup_id` is for CHS jets (Run 2) below 50 GeV; PUPPI jets do not have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pt: float = Field(default=30.0, ge=0)
    max_abs_eta: float = Field(default=2.5, gt=0)
    identification: Identification = "tight"
    pileup_id: PileupIdentification = "none"
    min_delta_r: float | None = Field(default=0.4, gt=0)


def branches(selection: JetSelection) -> tuple[str, ...]:
    """Return the branches that `good_jets` and `away_from` read of the jets for `selection`; those of the
    identification depend on the file (`corrections.jet_identification.branches`)."""
    columns = ["pt", "eta"]
    if selection.min_delta_r is not None:
        columns.append("phi")
    if selection.pileup_id != "none":
        columns.append("puId")
    return branches_of("Jet", columns)


def described(selection: JetSelection) -> str:
    """Return `selection` in words, with the cuts that `good_jets` makes and no others."""
    parts = [f"pt > {selection.min_pt:g} GeV", f"|η| < {selection.max_abs_eta:g}"]
    if selection.identification != "none":
        parts.append(f"{selection.identification.replace('_', ' ')} identification")
    if selection.pileup_id != "none":
        parts.append(f"{selection.pileup_id} pile-up identification below {MAX_PILEUP_PT:g} GeV")
    if selection.min_delta_r is not None:
        parts.append(f"ΔR > {selection.min_delta_r:g} from good leptons")
    return ", ".join(parts)


def good_jets(jets: Any, selection: JetSelection, pt: Any = None, identified: Any = None, away_from: Any = None) -> Any:
    """Return the mask `[events, jets]` of the jets that pass every cut; NaN never passes.

    `jets` may be a `FlatCollection`; the masks are then flat, `[jets]`. `pt` (GeV) replaces `jets.pt`; `identified` is
    the mask of the identification (`corrections.jet_identification.passes`), `away_from` that of the distance to
    leptons (the function of this name): neither changes with a correction of pt, so they are made once for all
    variations. Raises UserError if a column is missing, and ValueError if a mask that the selection needs is not given.
    """
    pt = _field(jets, "pt") if pt is None else pt
    mask = (pt > selection.min_pt) & (np.abs(_field(jets, "eta")) < selection.max_abs_eta)
    for asked, given, name in (
        (selection.identification != "none", identified, "identified"),
        (selection.min_delta_r is not None, away_from, "away_from"),
    ):
        if asked and given is None:
            raise ValueError(f"the selection of jets needs the mask '{name}'")
        if asked:
            mask = mask & given
    if selection.pileup_id != "none":
        bits = _field(jets, "puId")
        number = (bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1)
        mask = mask & ((pt >= MAX_PILEUP_PT) | (number >= _PILEUP_BITS[selection.pileup_id]))
    return mask


def away_from(jets: Any, leptons: Any, min_delta_r: float, good: Any = None) -> Any:
    """Return the mask of the jets that have no lepton nearer than `min_delta_r`, in the structure of `jets`.

    Jets and leptons (eta, phi; `[events, …]` each) may be `FlatCollection`; `good` is a mask of the leptons that count.
    """
    jet_columns, lepton_columns = flattened(jets), flattened(leptons)
    jet, _, delta_r = _pairs(jet_columns, lepton_columns, None if good is None else flat(good))
    near = np.bincount(jet[delta_r < min_delta_r], minlength=len(jet_columns)) > 0
    return _shaped(~near, jets, jet_columns)


class GenMatch(NamedTuple):
    """The generator jet of each jet: pt (GeV; NaN without), distance ΔR (NaN), and position in the event (-1)."""

    pt: Any
    delta_r: Any
    index: Any


def matched_gen_pt(
    jets: Any,
    gen_jets: Any,
    *,
    max_delta_r: float = _MATCH_DELTA_R,
    pt: Any = None,
    max_pt_difference: Any = None,
) -> GenMatch:
    """Return the nearest generator jet of those that pass the cuts, in the structure of `jets`.

    `jets` have eta, phi (and pt), `gen_jets` pt, eta, phi; either may be a `FlatCollection`. `max_delta_r` is half the
    radius of AK4 jets, as the smearing needs it (`Jet_genJetIdx` is made with 0.4). `max_pt_difference` (GeV, of the
    shape of the jets) is a limit on |pt - pt_gen|, `pt` replaces `jets.pt` in it. A generator jet that fails a cut
    never stands in the way of one that passes.
    """
    jet_columns, gen_columns = flattened(jets), flattened(gen_jets)
    jet, gen, delta_r = _pairs(jet_columns, gen_columns, None)
    gen_pt = gen_columns["pt"].astype(np.float64)
    passed = delta_r < max_delta_r
    if max_pt_difference is not None:
        jet_pt = jet_columns["pt"] if pt is None else flat(pt)
        passed &= np.abs(jet_pt[jet] - gen_pt[gen]) < flat(max_pt_difference)[jet]
    jet, gen, delta_r = jet[passed], gen[passed], delta_r[passed]
    order = np.lexsort((delta_r, jet))
    jet, first = np.unique(jet[order], return_index=True)
    nearest = order[first]
    n = len(jet_columns)
    found_pt, found_delta_r, index = np.full(n, np.nan), np.full(n, np.nan), np.full(n, -1, np.int64)
    found_pt[jet], found_delta_r[jet] = gen_pt[gen[nearest]], delta_r[nearest]
    index[jet] = gen[nearest] - gen_columns.starts[gen_columns.event[gen[nearest]]]
    return GenMatch(*(_shaped(values, jets, jet_columns) for values in (found_pt, found_delta_r, index)))


def by_descending_pt(pt: Any, good: Any = None) -> ak.Array:
    """Return `[events, good jets]` the positions in the file of the good jets, highest pt (GeV) first.

    `pt` and the mask `good` are `[events, jets]`. Take jets with it (`jets[positions]`) and keep it: the positions are
    the index for random numbers, and `in_order` translates cross references. Ties keep the order of the file.
    """
    # stable=True: two jets of one pt must not swap places between versions of a library.
    order = ak.argsort(pt, axis=1, ascending=False, stable=True)
    return order if good is None else order[good[order]]


def in_order(index: Any, positions: Any) -> Any:
    """Return cross references to jets of the file, as places in the ordered jets; -1 for none, or one left out.

    `index` is `[events, objects]` (`Muon_jetIdx`, -1: no jet), `positions` `[events, jets]` of `by_descending_pt`.
    """
    objects, jets = ak.to_numpy(ak.num(index)), ak.to_numpy(ak.num(positions))
    references = flat(index).astype(np.int64)
    size = int(max(references.max(initial=-1), flat(positions).max(initial=-1))) + 1
    places = np.full((len(jets), size + 1), -1, np.int64)
    # The last column stands for -1, no jet, and stays -1.
    places[np.repeat(np.arange(len(jets)), jets), flat(positions)] = flat(ak.local_index(positions, axis=1))
    return ak.unflatten(places[np.repeat(np.arange(len(objects)), objects), references], objects)


def _pairs(
    jets: FlatCollection, others: FlatCollection, good: npt.NDArray[np.bool_] | None
) -> tuple[Integers, Integers, Floats]:
    """Return every pair of a jet and a (good) other object of one event: positions of both, and ΔR."""
    if len(jets.counts) != len(others.counts):
        raise ValueError(f"the jets are of {len(jets.counts)} events, the others of {len(others.counts)}")
    chosen = np.arange(len(others)) if good is None else np.flatnonzero(good)
    counts = np.bincount(others.event[chosen], minlength=len(others.counts))
    starts = np.cumsum(counts) - counts
    number = counts[jets.event]
    jet = np.repeat(np.arange(len(jets)), number)
    within = np.arange(len(jet)) - np.repeat(np.cumsum(number) - number, number)
    other = chosen[starts[jets.event[jet]] + within]
    eta, phi = (jets[name].astype(np.float64)[jet] - others[name].astype(np.float64)[other] for name in ("eta", "phi"))
    return jet, other, np.hypot(eta, np.remainder(phi + np.pi, 2 * np.pi) - np.pi)


def _shaped(values: Any, jets: Any, columns: FlatCollection) -> Any:
    return values if isinstance(jets, FlatCollection) else ak.unflatten(values, columns.counts)


_field = partial(
    column, of="Jet", advice="Choose another working point (identification or pile-up), or a file that has the branch."
)
