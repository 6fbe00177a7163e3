"""The additive cut flow: brute force, chunks, weights, errors, mistakes."""

from __future__ import annotations

import itertools
import json
import math

import awkward as ak
import numpy as np
import pytest
from coffea.analysis_tools import PackedSelection
from coffea.processor import accumulate
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.selections.cut_flow import cut_flow, rows

CUTS = ["trigger", "two muons", "mass", "unused"]


def make(masks: dict[str, np.ndarray], dtype: str = "uint32") -> PackedSelection:
    selection = PackedSelection(dtype=dtype)
    for name, mask in masks.items():
        selection.add(name, mask)
    return selection


def sample(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = rng.normal(1.0, 1.0, n)  # some are negative
    return {cut: rng.random(n) < 0.6 for cut in CUTS}, weights


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 200), seed=st.integers(0, 10**6))
def test_against_brute_force(n: int, seed: int) -> None:
    masks, weights = sample(n, seed)
    cuts = CUTS[:3]
    flow = cut_flow(make(masks), cuts, weights)
    assert list(flow) == ["all", *cuts]
    for i, cut in enumerate(["all", *cuts]):
        others = [name for name in cuts if name != cut]
        for suffix, names in (("", cuts[:i]), ("_alone", [cut] if i else []), ("_minus_one", others)):
            kept = np.logical_and.reduce([masks[name] for name in names], axis=0) & np.ones(n, dtype=bool)
            assert flow[cut][f"n{suffix}"] == np.count_nonzero(kept)
            assert flow[cut][f"sumw{suffix}"] == pytest.approx(np.sum(weights[kept]), abs=1e-11)
            assert math.sqrt(flow[cut][f"sumw2{suffix}"]) == pytest.approx(np.linalg.norm(weights[kept]), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), borders=st.lists(st.integers(0, 500), max_size=8))
def test_any_chunks_add_to_the_single_pass(seed: int, borders: list[int]) -> None:
    masks, weights = sample(500, seed)
    single = cut_flow(make(masks), CUTS, weights)
    edges = [0, *sorted(borders), 500]
    parts = [
        cut_flow(make({cut: mask[a:b] for cut, mask in masks.items()}), CUTS, weights[a:b])
        for a, b in itertools.pairwise(edges)
    ]
    total = accumulate(parts)
    assert list(total) == list(single)
    for cut, row in single.items():
        for name, value in row.items():
            if name.startswith("n"):
                assert total[cut][name] == value
            else:
                # relative to the sum of absolute weights: with signs the sum itself may vanish
                assert total[cut][name] == pytest.approx(value, abs=1e-12 * np.sum(np.abs(weights)) * 10)


def test_leaves_are_plain_numbers_and_weights_may_be_awkward() -> None:
    masks, weights = sample(50, 1)
    flow = cut_flow(make(masks), CUTS, ak.Array(weights))
    assert {type(value) for row in flow.values() for value in row.values()} == {int, float}
    assert json.loads(json.dumps(flow)) == flow
    unweighted = cut_flow(make(masks), CUTS)
    assert all(row["n"] == row["sumw"] == row["sumw2"] for row in unweighted.values())


def test_empty_chunk_and_no_cuts() -> None:
    masks, weights = sample(0, 1)
    flow = cut_flow(make(masks), CUTS, weights)
    assert all(value == 0 for row in flow.values() for value in row.values())
    assert [line["efficiency"] for line in rows(flow)] == [None] * 5
    masks, weights = sample(10, 1)
    assert cut_flow(make(masks), [], weights)["all"]["n"] == 10
    assert cut_flow(PackedSelection(), [], weights)["all"]["n"] == 10


@pytest.mark.parametrize("n_cuts", [16, 17, 40])
def test_many_cuts(n_cuts: int) -> None:
    rng = np.random.default_rng(7)
    masks = {f"cut {i}": rng.random(300) < 0.95 for i in range(n_cuts)}
    flow = cut_flow(make(masks, "uint64"), list(masks))
    everything = np.logical_and.reduce(list(masks.values()))
    assert flow[f"cut {n_cuts - 1}"]["n"] == flow["all"]["n_minus_one"] == everything.sum()
    for i in range(n_cuts):
        others = [mask for j, mask in enumerate(masks.values()) if j != i]
        assert flow[f"cut {i}"]["n_minus_one"] == np.logical_and.reduce(others).sum()


def test_mistakes() -> None:
    masks, weights = sample(5, 1)
    with pytest.raises(UserError, match=r"a cut 'two muon' .*Did you mean 'two muons'"):
        cut_flow(make(masks), ["two muon"], weights)
    with pytest.raises(UserError, match="the name is taken"):
        cut_flow(make(masks), ["mass", "mass"], weights)
    with pytest.raises(UserError, match="the name is taken"):
        cut_flow(make({"all": masks["mass"]}), ["all"], weights)
    with pytest.raises(ValueError, match="weights have shape"):
        cut_flow(make(masks), CUTS, weights[:3])


def test_rows_efficiencies_and_errors() -> None:
    masks = {"a": np.array([1, 1, 1, 0], dtype=bool), "b": np.array([1, 0, 0, 0], dtype=bool)}
    table = rows(cut_flow(make(masks), ["a", "b"], np.array([2.0, 1.0, 1.0, 4.0])))
    assert [line["cut"] for line in table] == ["all", "a", "b"]
    last = table[2]
    assert (last["efficiency"], last["relative_efficiency"]) == (0.25, pytest.approx(1 / 3))
    assert last["efficiency_error"] == pytest.approx(math.sqrt(0.25 * 0.75 / 4))
    assert last["relative_efficiency_error"] == pytest.approx(math.sqrt(2 / 9 / 3))
    assert (last["weighted_efficiency"], last["weighted_relative_efficiency"]) == (0.25, 0.5)
    # passed: 2^2; failed of "a": 1 + 1; fraction 1/2 of sumw 4.
    assert last["weighted_relative_efficiency_error"] == pytest.approx(math.sqrt(0.25 * 4 + 0.25 * 2) / 4)
    assert last["error"] == 2.0
    assert table[0]["efficiency"] == 1.0
    assert table[0]["efficiency_error"] == 0.0


def test_weighted_error_is_the_spread_of_toys() -> None:
    rng = np.random.default_rng(11)
    fractions, errors = [], []
    for _ in range(400):
        n = rng.poisson(500)
        flow = cut_flow(make({"a": rng.random(n) < 0.3}), ["a"], rng.exponential(1.0, n))
        line = rows(flow)[1]
        fractions.append(line["weighted_efficiency"])
        errors.append(line["weighted_efficiency_error"])
    assert np.std(fractions) == pytest.approx(np.mean(errors), rel=0.12)
