"""Pairs of leptons: opposite and same sign, closest to a mass, four leptons as two Z candidates, and a fast
pair.

Masses and rapidities are computed from pt, eta, phi, mass with plain formulas in float64 (a sum of NanoEvents
candidates would read the charge as well, and is slower): E^2 = p^2 + m^2, y = asinh(pz / mT) with mT^2 = m^2
+ pt^2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .flat import FlatCollection, flat, flattened

#: Columns of the leptons that `leading_pair` and `four_leptons` read.
COLUMNS = ("pt", "eta", "phi", "mass", "charge")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Z_MASS = 91.1876
"""GeV. Particle Data Group, Review of Particle Physics, Phys. Rev. D 110 (2024) 030001."""


@dataclass(frozen=True)
class LeadingPair:
    """The two leptons of highest pt in each event that has two; flat arrays `[pairs]`, float64, GeV.

    `event` is the position of the event in the chunk, `first` and `second` those of the leptons in their
    event.
    """

    event: Integers
    first: Integers
    second: Integers
    leading_pt: Floats
    leading_eta: Floats
    leading_phi: Floats
    subleading_pt: Floats
    subleading_eta: Floats
    subleading_phi: Floats
    charge: Integers
    mass: Floats
    pt: Floats
    phi: Floats
    rapidity: Floats

    def __len__(self) -> int:
        return len(self.event)

    def take(self, mask: npt.NDArray[np.bool_]) -> LeadingPair:
        """Return the pairs where `mask` (`[pairs]`) is True."""
        return LeadingPair(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def leading_pair(leptons: Any, good: Any = None, pt: Any = None) -> LeadingPair:
    """Return the two good leptons of highest pt of every event with at least two, with their sum.

    `leptons` is `[events, leptons]` with pt, eta, phi, mass, charge (the only columns read), or a
    `FlatCollection` of them; `good` is a mask, `pt` (GeV) replaces `leptons.pt`, both jagged or flat, and of
    the same shape (all if None); `pt` (GeV) replaces `leptons.pt`. The order in the file breaks ties.
    """
    columns = flattened(leptons)
    flat_pt = columns["pt"] if pt is None else flat(pt)
    chosen = np.arange(len(columns)) if good is None else np.flatnonzero(flat(good))
    event = columns.event[chosen]
    chosen = _by_descending_pt(chosen, event, flat_pt[chosen])
    n_good = np.bincount(event, minlength=len(columns.counts))
    pair_event = np.flatnonzero(n_good >= 2)
    start = (np.cumsum(n_good) - n_good)[pair_event]
    return _paired(pair_event, (columns, flat_pt, chosen[start]), (columns, flat_pt, chosen[start + 1]))


def mixed_pair(
    leptons: Any, others: Any, good: Any, others_good: Any, pt: Any = None, others_pt: Any = None
) -> LeadingPair:
    """Return the good lepton of highest pt with the good other (a muon and an electron) of highest pt, of every event
    that has both and one lepton only.

    Arguments as of `leading_pair`, for each of the two collections. `leading_*` are those of the lepton, `subleading_*`
    those of the other, whichever has the higher pt.
    """
    sides, counts = [], []
    for collection, mask, momentum in ((leptons, good, pt), (others, others_good, others_pt)):
        columns = flattened(collection)
        flat_pt = columns["pt"] if momentum is None else flat(momentum)
        chosen = np.flatnonzero(flat(mask))
        event = columns.event[chosen]
        chosen = _by_descending_pt(chosen, event, flat_pt[chosen])
        counts.append(np.bincount(event, minlength=len(columns.counts)))
        sides.append((columns, flat_pt, chosen))
    pair_event = np.flatnonzero((counts[0] == 1) & (counts[1] >= 1))
    first, second = (
        (columns, flat_pt, chosen[(np.cumsum(count) - count)[pair_event]])
        for (columns, flat_pt, chosen), count in zip(sides, counts, strict=True)
    )
    return _paired(pair_event, first, second)


def leading(leptons: Any, good: Any, pt: Any, n: int) -> tuple[Integers, Integers]:
    """Return the `n` good leptons of highest pt of every event that has as many: events, and places of the leptons.

    `leptons` is a collection or a `FlatCollection`, `good` and `pt` (GeV) are of its shape. The first array is
    `[chosen]`, positions of events; the second `[chosen, n]`, positions in the flat columns, highest pt first.
    """
    columns = flattened(leptons)
    chosen = np.flatnonzero(flat(good))
    event = columns.event[chosen]
    chosen = _by_descending_pt(chosen, event, flat(pt)[chosen])
    n_good = np.bincount(event, minlength=len(columns.counts))
    events = np.flatnonzero(n_good >= n)
    return events, chosen[(np.cumsum(n_good) - n_good)[events][:, np.newaxis] + np.arange(n)]


_Side = tuple[FlatCollection, npt.NDArray[Any], Integers]


def _paired(pair_event: Integers, first: _Side, second: _Side) -> LeadingPair:
    """Return the pairs of the leptons at given positions of two collections, each with its pt."""
    # Taken before they are cast: most leptons are in no pair.
    one, two = (
        tuple(
            values[place].astype(np.float64)
            for values in (flat_pt, *(columns[name] for name in ("eta", "phi", "mass")))
        )
        for columns, flat_pt, place in (first, second)
    )
    charge, other = (columns["charge"].astype(np.int64, copy=False)[place] for columns, _, place in (first, second))
    total = _sum(one, two)
    return LeadingPair(
        event=pair_event,
        first=first[2] - first[0].starts[pair_event],
        second=second[2] - second[0].starts[pair_event],
        leading_pt=one[0],
        leading_eta=one[1],
        leading_phi=one[2],
        subleading_pt=two[0],
        subleading_eta=two[1],
        subleading_phi=two[2],
        charge=charge + other,
        mass=total.mass,
        pt=total.pt,
        phi=total.phi,
        rapidity=total.rapidity,
    )


def opposite_sign_pairs(leptons: Any, *, same_flavour: bool = False) -> ak.Array:
    """Return the pairs of opposite charge, `[events, pairs]` with fields `first` and `second` (lepton
    records).

    `same_flavour` also asks for equal |pdgId|, for a collection that mixes electrons and muons. Reads only
    charge (and pdgId); the columns of the leptons stay unread until they are used.
    """
    return _pairs(leptons, -1, same_flavour)


def same_sign_pairs(leptons: Any, *, same_flavour: bool = False) -> ak.Array:
    """Return the pairs of equal charge; otherwise as `opposite_sign_pairs`."""
    return _pairs(leptons, 1, same_flavour)


def pair_mass(pairs: ak.Array) -> ak.Array:
    """Return the invariant mass of each pair, in the shape of `pairs`, float64, GeV."""
    one, two = pairs["first"], pairs["second"]
    momenta = [_momentum(*(ak.values_astype(p[name], np.float64) for name in _KINEMATIC)) for p in (one, two)]
    px, py, pz, energy = (a + b for a, b in zip(*momenta, strict=True))
    squared = energy**2 - px**2 - py**2 - pz**2
    return np.sqrt(ak.where(squared > 0, squared, 0.0))


def closest_to(pairs: ak.Array, mass: float = Z_MASS) -> ak.Array:
    """Return the pair of each event whose mass is closest to `mass` (GeV): `[events]`, None where there is
    none.

    The result has `first`, `second` and `mass`.
    """
    masses = pair_mass(pairs)
    best = ak.argmin(np.abs(masses - mass), axis=1, keepdims=True)
    return ak.firsts(ak.zip({"first": pairs["first"], "second": pairs["second"], "mass": masses}, depth_limit=2)[best])


def four_leptons(leptons: Any, *, same_flavour: bool = False, z_mass: float = Z_MASS) -> ak.Array:
    """Return, for the first four leptons of each event, two Z candidates and the sum of the four: `[events]`
    records.

    Z1 is the opposite-sign pair with the mass closest to `z_mass` (GeV) of those whose other two leptons have
    opposite signs too; Z2 is these other two. `same_flavour` also asks for equal |pdgId| in each pair.
    Fields: `mass`, `pt`, `rapidity` (of the four), `z1_mass`, `z2_mass` (GeV, float64), `z1_first`,
    `z1_second`, `z2_first`, `z2_second` (positions of the leptons, int64) and `has_pairs`. With fewer than
    four leptons all values are NaN, and without two such pairs those of the Z candidates; the positions are
    then -1.
    """
    counts = ak.to_numpy(ak.num(leptons["pt"], axis=1))
    enough = np.flatnonzero(counts >= 4)
    index = (np.cumsum(counts) - counts)[enough][:, np.newaxis] + np.arange(4)
    momenta = np.stack(_momentum(*(flat(leptons[name])[index].astype(np.float64) for name in _KINEMATIC)))
    compatible = _charge_product(leptons, index, same_flavour)
    masses = np.full((len(enough), len(_PAIRS)), np.nan)
    for k, (i, j) in enumerate(_PAIRS):
        valid = compatible[:, i, j] & compatible[:, _REST[k][0], _REST[k][1]]
        masses[:, k] = np.where(valid, _mass(momenta[..., i] + momenta[..., j]), np.nan)
    has_pairs = ~np.isnan(masses).all(axis=1)
    distance = np.where(np.isnan(masses), np.inf, np.abs(masses - z_mass))
    best = np.argmin(distance, axis=1)
    pick = np.arange(len(enough))
    total = _total(*momenta.sum(axis=-1))
    columns: dict[str, npt.NDArray[Any]] = {
        "mass": total.mass,
        "pt": total.pt,
        "rapidity": total.rapidity,
        "z1_mass": masses[pick, best],
        "z2_mass": masses[pick, _OTHER[best]],
    }
    result = {name: _spread(values, enough, len(counts), np.nan) for name, values in columns.items()}
    for z, table in (("z1", np.array(_PAIRS)), ("z2", np.array(_REST))):
        for position, which in enumerate(("first", "second")):
            values = np.where(has_pairs, table[best, position], -1)
            result[f"{z}_{which}"] = _spread(values, enough, len(counts), -1)
    result["has_pairs"] = _spread(has_pairs, enough, len(counts), False)
    return ak.zip(result)


_KINEMATIC = ("pt", "eta", "phi", "mass")
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_REST = ((2, 3), (1, 3), (1, 2), (0, 3), (0, 2), (0, 1))
_OTHER = np.array([5, 4, 3, 2, 1, 0])


@dataclass(frozen=True)
class _Total:
    mass: Floats
    pt: Floats
    phi: Floats
    rapidity: Floats


def _pairs(leptons: Any, sign: int, same_flavour: bool) -> ak.Array:
    pairs = ak.combinations(leptons, 2, fields=["first", "second"])
    # The masks come from pairs of the single columns: taking them from the pairs would carry every column.
    one, two = ak.unzip(ak.combinations(leptons["charge"], 2))
    keep = one * two * sign > 0
    if same_flavour:
        one, two = ak.unzip(ak.combinations(np.abs(leptons["pdgId"]), 2))
        keep = keep & (one == two)
    return pairs[keep]


def _charge_product(leptons: Any, index: Integers, same_flavour: bool) -> npt.NDArray[np.bool_]:
    """Return `[events, 4, 4]`, True where two leptons can be a pair."""
    charge = flat(leptons["charge"])[index]
    compatible = charge[:, :, np.newaxis] * charge[:, np.newaxis, :] < 0
    if same_flavour:
        flavour = np.abs(flat(leptons["pdgId"])[index])
        compatible &= flavour[:, :, np.newaxis] == flavour[:, np.newaxis, :]
    return np.asarray(compatible)


def _by_descending_pt(chosen: Integers, event: Integers, pt: Floats) -> Integers:
    """Sort within each event; NanoAOD is sorted, so mostly there is nothing to do."""
    disordered = (pt[1:] > pt[:-1]) & (event[1:] == event[:-1])
    if not disordered.any():
        return chosen
    affected = np.isin(event, np.unique(event[1:][disordered]))
    part = chosen[affected]
    result = chosen.copy()
    result[affected] = part[np.lexsort((-pt[affected], event[affected]))]
    return result


def _momentum(pt: Any, eta: Any, phi: Any, mass: Any) -> tuple[Any, Any, Any, Any]:
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return px, py, pz, np.sqrt(pt**2 + pz**2 + mass**2)


def _sum(one: tuple[Floats, ...], two: tuple[Floats, ...]) -> _Total:
    a, b = _momentum(*one), _momentum(*two)
    return _total(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])


def _total(px: Floats, py: Floats, pz: Floats, energy: Floats) -> _Total:
    pt_squared = px * px + py * py
    transverse = energy * energy - pz * pz  # mT^2 = m^2 + pt^2
    mass = np.sqrt(np.maximum(transverse - pt_squared, 0.0))
    transverse = np.sqrt(np.maximum(transverse, pt_squared))
    # asinh keeps its precision at large |pz|, where log((E + pz) / (E - pz)) loses it.
    rapidity = np.arcsinh(np.divide(pz, transverse, out=np.zeros_like(pz), where=transverse > 0))
    return _Total(mass, np.sqrt(pt_squared), np.arctan2(py, px), rapidity)


def _mass(momentum: Floats) -> Floats:
    px, py, pz, energy = momentum
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))


def _spread(values: npt.NDArray[Any], where: Integers, length: int, default: Any) -> npt.NDArray[Any]:
    result = np.full(length, default, dtype=values.dtype)
    result[where] = values
    return result
