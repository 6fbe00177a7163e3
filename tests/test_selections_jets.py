"""Selection of jets: cuts, distance to leptons, generator jets, order and cross references."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.selections.flat import FlatCollection
from mucoffea.selections.jets import (
    JetSelection,
    away_from,
    branches,
    by_descending_pt,
    described,
    good_jets,
    in_order,
    matched_gen_pt,
)


def random_objects(rng: np.random.Generator, n_events: int, most: int) -> ak.Array:
    counts = rng.integers(0, most + 1, n_events)
    n = int(counts.sum())
    columns = {"pt": rng.uniform(10, 100, n), "eta": rng.uniform(-2, 2, n), "phi": rng.uniform(-np.pi, np.pi, n)}
    return ak.zip({name: ak.unflatten(values, counts) for name, values in columns.items()})


def delta_r(one: dict, other: dict) -> float:
    phi = (one["phi"] - other["phi"] + np.pi) % (2 * np.pi) - np.pi
    return float(np.hypot(one["eta"] - other["eta"], phi))


@given(st.integers(0, 2**31))
def test_jets_near_a_good_lepton_go(seed: int):
    rng = np.random.default_rng(seed)
    jets, leptons = random_objects(rng, 8, 4), random_objects(rng, 8, 3)
    good = leptons.pt > 40
    found = away_from(jets, leptons, 0.8, good=good).tolist()
    flat = away_from(FlatCollection(jets), FlatCollection(leptons), 0.8, good=ak.flatten(good))
    for mask, event_jets, event_leptons in zip(found, jets.tolist(), leptons.tolist(), strict=True):
        chosen = [one for one in event_leptons if one["pt"] > 40]
        assert mask == [all(delta_r(jet, one) >= 0.8 for one in chosen) for jet in event_jets]
    assert flat.tolist() == ak.flatten(found).tolist()


@given(st.integers(0, 2**31))
def test_the_nearest_generator_jet_of_those_that_pass(seed: int):
    """Peers' bug 6: a match that fails the cut must not stand in the way of one that passes."""
    rng = np.random.default_rng(seed)
    jets, generated = random_objects(rng, 8, 4), random_objects(rng, 8, 5)
    limit = ak.ones_like(jets.pt) * 30.0
    match = matched_gen_pt(jets, generated, max_delta_r=1.0, max_pt_difference=limit)
    for event in range(8):
        for place, jet in enumerate(jets[event].tolist()):
            candidates = [
                (delta_r(jet, one), index, one["pt"])
                for index, one in enumerate(generated[event].tolist())
                if delta_r(jet, one) < 1.0 and abs(jet["pt"] - one["pt"]) < 30.0
            ]
            if candidates:
                _, index, pt = min(candidates)
                assert match.index[event][place] == index
                assert match.pt[event][place] == pytest.approx(pt)
            else:
                assert match.index[event][place] == -1
                assert np.isnan(match.pt[event][place])


@given(st.integers(0, 2**31))
def test_cross_references_follow_the_order(seed: int):
    """Peers' bug 8: jets were sorted after their correction, Muon_jetIdx still pointed at the old places."""
    rng = np.random.default_rng(seed)
    jets = random_objects(rng, 6, 5)
    corrected = jets.pt * ak.unflatten(rng.uniform(0.5, 1.5, ak.sum(ak.num(jets))), ak.num(jets))
    good = corrected > 30
    n_muons = rng.integers(0, 3, 6)
    index = ak.Array(
        [[int(rng.integers(-1, len(event))) for _ in range(n)] for n, event in zip(n_muons, jets.tolist(), strict=True)]
    )
    index = ak.values_astype(index, np.int64) if len(ak.flatten(index)) else ak.unflatten(np.zeros(0, int), n_muons * 0)
    positions = by_descending_pt(corrected, good)
    ordered = corrected[positions]
    assert ak.all(ordered[:, 1:] <= ordered[:, :-1])
    for event, (old, new) in enumerate(zip(index.tolist(), in_order(index, positions).tolist(), strict=True)):
        for before, after in zip(old, new, strict=True):
            if before >= 0 and good[event][before]:
                assert ordered[event][after] == corrected[event][before]
            else:
                assert after == -1


def test_cuts_and_words():
    jets = ak.Array(
        [
            [
                {"pt": 40.0, "eta": 0.1, "puId": 0},
                {"pt": 60.0, "eta": -2.4, "puId": 0},
                {"pt": 20.0, "eta": 0.0, "puId": 7},
            ]
        ]
    )
    plain = JetSelection(identification="none", min_delta_r=None)
    assert good_jets(jets, plain).tolist() == [[True, True, False]]
    pileup = plain.model_copy(update={"pileup_id": "loose"})
    # Jets above 50 GeV need no identification of pile-up.
    assert good_jets(jets, pileup).tolist() == [[False, True, False]]
    assert good_jets(jets, plain, pt=ak.Array([[10.0, 70.0, 35.0]])).tolist() == [[False, True, True]]
    with pytest.raises(ValueError, match="needs the mask 'identified'"):
        good_jets(jets, JetSelection())
    assert "pt > 30 GeV" in described(JetSelection())
    assert set(branches(pileup)) == {"Jet_pt", "Jet_eta", "Jet_puId"}
    nan = ak.Array([[{"pt": np.nan, "eta": 0.0}]])
    assert good_jets(nan, plain).tolist() == [[False]]
