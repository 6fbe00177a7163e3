"""Pairs of leptons against the vector library and brute force, and the four-lepton pairing."""

from __future__ import annotations

import itertools

import awkward as ak
import numpy as np
import pytest
import vector
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.selections.pairs import (
    Z_MASS,
    closest_to,
    four_leptons,
    leading_pair,
    opposite_sign_pairs,
    pair_mass,
    same_sign_pairs,
)

MUON = 0.1056583755
FIELDS = ("pt", "eta", "phi", "mass", "charge", "pdgId")


def random_leptons(counts: np.ndarray, seed: int = 1) -> ak.Array:
    rng = np.random.default_rng(seed)
    n = int(counts.sum())
    charge = rng.choice([-1, 1], n)
    columns = {
        "pt": rng.exponential(30, n) + 3,
        "eta": rng.uniform(-2.4, 2.4, n),
        "phi": rng.uniform(-np.pi, np.pi, n),
        "mass": np.full(n, MUON),
        "charge": charge,
        "pdgId": -charge * rng.choice([11, 13], n),
    }
    return ak.zip({name: ak.unflatten(values, counts) for name, values in columns.items()})


def momentum(*leptons: dict) -> vector.MomentumObject4D:
    total = vector.obj(px=0.0, py=0.0, pz=0.0, E=0.0)
    for lepton in leptons:
        total = total + vector.obj(**{name: lepton[name] for name in ("pt", "eta", "phi", "mass")})
    return total


counts_lists = st.lists(st.integers(0, 6), max_size=12).map(lambda x: np.array(x, dtype=np.int64))


@settings(max_examples=40, deadline=None)
@given(counts=counts_lists, seed=st.integers(0, 10**6))
def test_leading_pair_against_vector(counts: np.ndarray, seed: int) -> None:
    leptons = random_leptons(counts, seed)
    good = leptons.pt > 10
    pair = leading_pair(leptons, good)
    expected = []
    for event, row in enumerate(leptons.to_list()):
        order = sorted((i for i, one in enumerate(row) if one["pt"] > 10), key=lambda i: -row[i]["pt"])[:2]
        if len(order) == 2:
            expected.append((event, *order, momentum(row[order[0]], row[order[1]]), [row[i] for i in order]))
    assert list(zip(pair.event, pair.first, pair.second, strict=True)) == [item[:3] for item in expected]
    for i, (*_, total, (one, two)) in enumerate(expected):
        assert pair.mass[i] == pytest.approx(total.mass, rel=1e-9)
        assert pair.pt[i] == pytest.approx(total.pt, rel=1e-12)
        assert pair.phi[i] == pytest.approx(total.phi, abs=1e-9)
        assert pair.rapidity[i] == pytest.approx(total.rapidity, abs=1e-11)
        assert pair.charge[i] == one["charge"] + two["charge"]
        assert (pair.leading_pt[i], pair.leading_eta[i], pair.leading_phi[i]) == (one["pt"], one["eta"], one["phi"])
        assert (pair.subleading_pt[i], pair.subleading_eta[i]) == (two["pt"], two["eta"])
        assert pair.subleading_phi[i] == two["phi"]


def test_leading_pair_with_corrected_pt_sorts_again() -> None:
    leptons = random_leptons(np.array([3]))
    pair = leading_pair(leptons, pt=ak.Array([[20.0, 40.0, 30.0]]))
    assert (pair.first[0], pair.second[0], pair.leading_pt[0]) == (1, 2, 40.0)
    tie = leading_pair(leptons, pt=ak.Array([[30.0, 30.0, 30.0]]))
    assert (tie.first[0], tie.second[0]) == (0, 1)


def test_pair_results_are_float64_and_lists_may_be_sliced() -> None:
    leptons = random_leptons(np.array([2, 0, 3, 1, 2]))
    singles = ak.zip({name: ak.values_astype(leptons[name], np.float32) for name in ("pt", "eta", "phi", "mass")})
    singles = ak.with_field(singles, ak.values_astype(leptons.charge, np.int8), "charge")
    kept = np.array([True, True, False, True, True])
    pair = leading_pair(singles[kept])
    assert pair.event.tolist() == [0, 3]
    assert {pair.mass.dtype, pair.rapidity.dtype, pair.leading_pt.dtype} == {np.dtype(np.float64)}
    np.testing.assert_allclose(pair.mass, leading_pair(leptons[kept]).mass, rtol=1e-5)
    assert len(leading_pair(singles[:0])) == 0
    assert len(leading_pair(singles[:, :0])) == 0


def test_opposite_and_same_sign_are_all_pairs() -> None:
    leptons = random_leptons(np.array([4, 0, 1, 5, 3]))
    opposite, same = opposite_sign_pairs(leptons), same_sign_pairs(leptons)
    n = ak.num(leptons.pt)
    np.testing.assert_array_equal(ak.num(opposite) + ak.num(same), n * (n - 1) // 2)
    assert ak.all(opposite.first.charge + opposite.second.charge == 0)
    assert ak.all(same.first.charge == same.second.charge)
    flavoured = opposite_sign_pairs(leptons, same_flavour=True)
    expected = [
        sum(
            a["charge"] != b["charge"] and abs(a["pdgId"]) == abs(b["pdgId"]) for a, b in itertools.combinations(row, 2)
        )
        for row in leptons.to_list()
    ]
    assert ak.num(flavoured).to_list() == expected


def test_pair_mass_and_closest_against_vector() -> None:
    leptons = random_leptons(np.array([4, 0, 1, 5, 3, 6]))
    best = closest_to(opposite_sign_pairs(leptons))
    for row, found in zip(leptons.to_list(), best.to_list(), strict=True):
        masses = [momentum(a, b).mass for a, b in itertools.combinations(row, 2) if a["charge"] != b["charge"]]
        if not masses:
            assert found is None
            continue
        assert found["mass"] == pytest.approx(min(masses, key=lambda mass: abs(mass - Z_MASS)), rel=1e-9)
        assert momentum(found["first"], found["second"]).mass == pytest.approx(found["mass"], rel=1e-9)
    assert pair_mass(opposite_sign_pairs(leptons[:0])).to_list() == []


def four_by_hand(row: list[dict]) -> tuple[float, float] | None:
    row = row[:4]
    options = []
    for one in itertools.combinations(range(4), 2):
        two = tuple(i for i in range(4) if i not in one)
        if all(row[a]["charge"] != row[b]["charge"] for a, b in (one, two)):
            options.append([momentum(row[a], row[b]).mass for a, b in (one, two)])
    return min(options, key=lambda pair: abs(pair[0] - Z_MASS)) if options else None


@settings(max_examples=40, deadline=None)
@given(counts=counts_lists, seed=st.integers(0, 10**6))
def test_four_leptons_by_hand(counts: np.ndarray, seed: int) -> None:
    leptons = random_leptons(counts, seed)
    result = four_leptons(leptons)
    assert len(result) == len(counts)
    for row, found in zip(leptons.to_list(), result.to_list(), strict=True):
        expected = four_by_hand(row) if len(row) >= 4 else None
        assert found["has_pairs"] == (expected is not None)
        if len(row) >= 4:
            total = momentum(*row[:4])
            assert found["mass"] == pytest.approx(total.mass, rel=1e-9)
            assert found["pt"] == pytest.approx(total.pt, rel=1e-9)
            assert found["rapidity"] == pytest.approx(total.rapidity, abs=1e-9)
        else:
            assert np.isnan(found["mass"])
        if expected is None:
            assert np.isnan(found["z1_mass"])
            assert (found["z1_first"], found["z2_second"]) == (-1, -1)
            continue
        assert [found["z1_mass"], found["z2_mass"]] == pytest.approx(expected, rel=1e-9)
        positions = [found[name] for name in ("z1_first", "z1_second", "z2_first", "z2_second")]
        assert sorted(positions) == [0, 1, 2, 3]
        assert momentum(row[positions[2]], row[positions[3]]).mass == pytest.approx(found["z2_mass"], rel=1e-9)


def test_four_leptons_of_two_flavours() -> None:
    base = {"eta": 0.0, "mass": 0.0}
    row = [
        {**base, "pt": 50.0, "phi": 0.0, "charge": 1, "pdgId": -13},
        {**base, "pt": 41.0, "phi": np.pi, "charge": -1, "pdgId": 11},
        {**base, "pt": 20.0, "phi": 1.0, "charge": -1, "pdgId": 13},
        {**base, "pt": 10.0, "phi": 2.0, "charge": 1, "pdgId": -11},
    ]
    any_flavour, same_flavour = (four_leptons(ak.Array([row]), same_flavour=flag)[0] for flag in (False, True))
    assert (any_flavour.z1_first, any_flavour.z1_second) == (0, 1)
    assert {same_flavour.z1_first + same_flavour.z1_second, same_flavour.z2_first + same_flavour.z2_second} == {2, 4}
    assert four_leptons(ak.Array([[{**one, "charge": 1} for one in row]]))[0].has_pairs is np.False_


def test_collinear_and_massless_pairs_are_numbers() -> None:
    one = {"pt": 40.0, "eta": 2.4, "phi": 1.0, "mass": 0.0, "charge": 1}
    pair = leading_pair(ak.Array([[one, {**one, "charge": -1}]]))
    assert pair.mass[0] == pytest.approx(0.0, abs=1e-4)
    assert pair.rapidity[0] == pytest.approx(2.4)
