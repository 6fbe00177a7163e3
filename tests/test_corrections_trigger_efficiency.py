"""Trigger factors from efficiencies: probabilities against all outcomes, closure by throwing legs, uncertainties."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.corrections import systematics
from mucoffea.corrections.trigger_efficiency import (
    MuonTrigger,
    double_muon,
    single_muon,
    single_or_double,
    trigger_weight,
)
from mucoffea.errors import UserError
from pydantic import ValidationError
from scipy import stats

from .support.pog_files import category, correction, table, write

ETA, PT = (0.0, 1.2, 2.4), (5.0, 18.0, 27.0, 200.0)
#: Efficiencies in 2 x 3 bins of |eta| and pt: below its threshold a leg is (nearly) blind.
DATA = {
    "single": (0.0, 0.02, 0.88, 0.0, 0.01, 0.80),
    "leading": (0.01, 0.90, 0.93, 0.0, 0.84, 0.88),
    "trailing": (0.91, 0.94, 0.95, 0.85, 0.89, 0.90),
}
MC = {
    "single": (0.0, 0.03, 0.92, 0.0, 0.03, 0.87),
    "leading": (0.02, 0.94, 0.96, 0.01, 0.90, 0.93),
    "trailing": (0.95, 0.97, 0.98, 0.91, 0.94, 0.95),
}
STAT = {"data": 0.01, "mc": 0.004}
NAMES = {"single": "HLT_Mu24", "leading": "HLT_Mu17_Mu8_leading", "trailing": "HLT_Mu17_Mu8_trailing"}


def efficiency(key: str, values: tuple[float, ...], uncertainties: dict[str, float]) -> Any:
    axes = {"abseta": ETA, "pt": PT}
    branches = {"nominal": table(values, axes)}
    branches |= {part: table([size] * 6, axes) for part, size in uncertainties.items()}
    inputs = {"abseta": "real", "pt": "real", "scale_factors": "string"}
    return correction(key, inputs, category("scale_factors", branches))


def write_file(path: Path, *, syst: float | None = None, mc: dict[str, tuple[float, ...]] | None = None) -> Path:
    more = {} if syst is None else {"syst": syst}
    tables = [
        efficiency(f"{NAMES[role]}_{sample}", values, {"stat": STAT[sample]} | more)
        for sample, legs in (("data", DATA), ("mc", mc or MC))
        for role, values in legs.items()
    ]
    return write(path, *tables)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_file(tmp_path / "trigger.json")


def trigger(file: Path, *roles: str) -> MuonTrigger:
    return MuonTrigger(file=file, **{role: NAMES[role] for role in roles})


SINGLE, DOUBLE, EITHER = ("single",), ("leading", "trailing"), ("single", "leading", "trailing")
every_mode = pytest.mark.parametrize("roles", [SINGLE, DOUBLE, EITHER], ids=["single", "double", "either"])


def by_enumeration(single: np.ndarray, leading: np.ndarray, trailing: np.ndarray) -> tuple[float, float, float]:
    """Sum the probabilities of all outcomes: each muon fires nothing, the trailing leg, both legs, or all."""
    found = [0.0, 0.0, 0.0]
    for outcome in product(range(4), repeat=len(single)):
        chance = 1.0
        for level, s, lead, trail in zip(outcome, single, leading, trailing, strict=True):
            chance *= (1 - trail, trail - lead, lead - s, s)[level]
        fires_single = max(outcome, default=0) == 3
        legs = [(i, j) for i in range(len(single)) for j in range(len(single)) if i != j]
        fires_double = any(outcome[i] >= 2 and outcome[j] >= 1 for i, j in legs)
        for place, fired in enumerate((fires_single, fires_double, fires_single or fires_double)):
            found[place] += chance * fired
    return found[0], found[1], found[2]


probabilities = st.tuples(*(st.floats(0, 1),) * 3).map(sorted)


@given(muons=st.lists(probabilities, max_size=4))
def test_probabilities_are_the_sum_over_all_outcomes(muons: list[list[float]]) -> None:
    legs = np.array(muons).reshape(len(muons), 3).T
    single, leading, trailing = (one[None, :] for one in legs)
    expected = by_enumeration(*legs)
    assert single_muon(single)[0] == pytest.approx(expected[0], abs=1e-12)
    assert double_muon(leading, trailing)[0] == pytest.approx(expected[1], abs=1e-12)
    assert single_or_double(single, leading, trailing)[0] == pytest.approx(expected[2], abs=1e-12)


def test_two_muons_have_the_formula_of_the_legs() -> None:
    lead, trail = np.array([[0.8, 0.3]]), np.array([[0.9, 0.7]])
    assert double_muon(lead, trail)[0] == pytest.approx(0.8 * 0.7 + 0.9 * 0.3 - 0.8 * 0.3)
    jagged = double_muon(ak.Array([[0.8, 0.3], [0.8], []]), ak.Array([[0.9, 0.7], [0.9], []]))
    np.testing.assert_allclose(jagged, [0.59, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(single_muon(ak.Array([[0.5, 0.5], [], [1.0, 0.2]])), [0.75, 0.0, 1.0])


def thrown(legs: dict[str, tuple[float, ...]], muons: ak.Array, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return which events fire each trigger, by one number for each muon: the legs are nested."""
    flat = ak.flatten(muons)
    place = 3 * np.digitize(np.abs(flat.eta), ETA[1:-1]) + np.digitize(flat.pt, PT[1:-1])
    number = rng.uniform(size=len(flat))
    fired = {role: ak.unflatten(number < np.array(values)[place], ak.num(muons.pt)) for role, values in legs.items()}
    single = ak.to_numpy(ak.any(fired["single"], axis=1))
    double = ak.to_numpy(ak.any(fired["leading"], axis=1) & (ak.sum(fired["trailing"], axis=1) >= 2))
    return {"single": single, "double": double, "either": single | double}


def toy(seed: int, n: int) -> ak.Array:
    rng = np.random.default_rng(seed)
    counts = rng.choice([1, 2, 3], n, p=[0.2, 0.6, 0.2])
    pt = 6.0 + rng.exponential(18.0, counts.sum())
    muons = ak.zip({"pt": np.minimum(pt, 199.0), "eta": rng.uniform(-2.39, 2.39, len(pt))})
    return ak.unflatten(muons, counts)


@every_mode
def test_weight_undoes_the_difference_of_data_and_simulation(
    file: Path, roles: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    mode = request.node.callspec.id
    data, simulation = toy(1, 200_000), toy(2, 200_000)
    fired = thrown(DATA, data, np.random.default_rng(3))[mode]
    fired_mc = thrown(MC, simulation, np.random.default_rng(4))[mode]
    weight = trigger_weight(trigger(file, *roles), simulation.pt, simulation.eta)
    bins = np.concatenate([np.linspace(6, 60, 19), [90.0, 200.0]])
    leading, leading_mc = (ak.to_numpy(ak.max(one.pt, axis=1)) for one in (data, simulation))
    seen = np.histogram(leading[fired], bins)[0]
    kept = weight.nominal[fired_mc]
    expected = np.histogram(leading_mc[fired_mc], bins, weights=kept)[0]
    variance = np.histogram(leading_mc[fired_mc], bins, weights=kept**2)[0] + seen
    plain = np.histogram(leading_mc[fired_mc], bins)[0]
    filled = variance > 0
    chi2 = np.sum((seen - expected)[filled] ** 2 / variance[filled])
    before = np.sum((seen - plain)[filled] ** 2 / (seen + plain)[filled])
    # Single: chi2 = 21.5 of 16 bins (before: 341); double: 26.8 of 20 (702); either: 28.8 of 20 (584).
    assert stats.chi2.sf(chi2, filled.sum()) > 1e-3, chi2
    assert before > 10 * filled.sum(), before


@every_mode
def test_factor_and_its_uncertainties_by_hand(file: Path, roles: tuple[str, ...]) -> None:
    pt, eta = ak.Array([[50.0, 20.0], [30.0], []]), ak.Array([[0.5, -2.0], [1.5], []])
    weight = trigger_weight(trigger(file, *roles), pt, eta)
    places = [(2, 4), (5,), ()]
    calculated = {SINGLE: 0, DOUBLE: 1, EITHER: 2}[roles]

    def probability(legs: dict[str, tuple[float, ...]], shift: float, event: int) -> float:
        chosen = {role: np.clip(np.array(values)[list(places[event])] + shift, 0, 1) for role, values in legs.items()}
        return by_enumeration(chosen["single"], chosen["leading"], chosen["trailing"])[calculated]

    for event in (0, 1):
        data, simulation = probability(DATA, 0, event), probability(MC, 0, event)
        if simulation == 0:  # one muon does not fire two legs
            assert (weight.nominal[event], weight.variations["muon_trigger_statUp"][event]) == (1.0, 1.0)
            continue
        spread = [
            (probability(legs, STAT[sample], event) - probability(legs, -STAT[sample], event)) / 2
            for sample, legs in (("data", DATA), ("mc", MC))
        ]
        factor = data / simulation
        error = factor * np.hypot(spread[0] / data, spread[1] / simulation)
        assert weight.nominal[event] == pytest.approx(factor, rel=1e-12)
        assert weight.variations["muon_trigger_statUp"][event] == pytest.approx(factor + error, rel=1e-12)
        assert weight.variations["muon_trigger_statDown"][event] == pytest.approx(factor - error, rel=1e-12)
        assert 0 < error < 0.03
    np.testing.assert_array_equal(weight.variations["muon_trigger_systUp"], weight.nominal)
    assert weight.nominal[2] == 1.0
    assert weight.out_of_range == (roles == DOUBLE)
    assert set(weight.variations) <= {name for one in systematics.sources().values() for name in one.variations}


def test_a_single_muon_has_the_ratio_of_its_efficiencies(tmp_path: Path) -> None:
    file = write_file(tmp_path / "trigger.json", syst=0.02)
    weight = trigger_weight(trigger(file, "single"), np.array([[50.0]]), np.array([[-0.3]]))
    assert weight.nominal[0] == pytest.approx(0.88 / 0.92)
    for part, (data, simulation) in {"stat": (0.01, 0.004), "syst": (0.02, 0.02)}.items():
        error = 0.88 / 0.92 * np.hypot(data / 0.88, simulation / 0.92)
        assert weight.variations[f"muon_trigger_{part}Up"][0] == pytest.approx(0.88 / 0.92 + error)


def test_the_stat_uncertainty_is_the_spread_of_measured_efficiencies(tmp_path: Path) -> None:
    # Two muons of one bin share the error of that bin: the spread of the factor over measurements is the uncertainty.
    rng, pt, eta = np.random.default_rng(6), np.array([[50.0, 60.0]]), np.array([[0.1, -0.4]])
    file = write_file(tmp_path / "trigger.json")
    weight = trigger_weight(trigger(file, "single"), pt, eta)
    data, simulation = (
        value + STAT[name] * rng.standard_normal(20_000) for name, value in (("data", 0.88), ("mc", 0.92))
    )
    factors = (1 - (1 - data) ** 2) / (1 - (1 - simulation) ** 2)
    assert weight.variations["muon_trigger_statUp"][0] - weight.nominal[0] == pytest.approx(np.std(factors), rel=0.05)


def test_muons_outside_the_range_fire_nothing_and_are_counted(file: Path) -> None:
    pt, eta = ak.Array([[50.0, 4.0], [300.0], [np.nan], [50.0]]), ak.Array([[0.5, 0.5], [0.5], [0.5], [0.5]])
    weight = trigger_weight(trigger(file, "single"), pt, eta)
    assert weight.out_of_range == 3
    np.testing.assert_array_equal(weight.nominal, [weight.nominal[3], 1.0, 1.0, weight.nominal[3]])
    np.testing.assert_array_equal(weight.variations["muon_trigger_statUp"][1:3], [1.0, 1.0])


def test_a_stricter_leg_of_higher_efficiency_is_counted(tmp_path: Path) -> None:
    odd = MC | {"trailing": (*MC["trailing"][:2], 0.90, *MC["trailing"][3:])}
    file = write_file(tmp_path / "trigger.json", mc=odd)
    pt, eta = np.array([[50.0, 60.0]]), np.array([[0.5, -0.5]])
    weight = trigger_weight(trigger(file, *DOUBLE), pt, eta)
    assert weight.clamped == 2
    expected = double_muon(np.array([[0.93, 0.93]]), np.array([[0.95, 0.95]])) / 0.96**2
    np.testing.assert_allclose(weight.nominal, expected)


@every_mode
def test_independent_of_chunks_and_of_the_order_of_muons(file: Path, roles: tuple[str, ...]) -> None:
    muons, known = toy(8, 300), trigger(file, *roles)
    whole = trigger_weight(known, muons.pt, muons.eta)
    parts = [trigger_weight(known, one.pt, one.eta) for one in (muons[:7], muons[7:7], muons[7:])]
    np.testing.assert_array_equal(np.concatenate([part.nominal for part in parts]), whole.nominal)
    assert sum(part.out_of_range for part in parts) == whole.out_of_range
    turned = trigger_weight(known, muons.pt[:, ::-1], muons.eta[:, ::-1])
    np.testing.assert_allclose(turned.nominal, whole.nominal, rtol=1e-13)


def test_what_is_no_trigger(file: Path, tmp_path: Path) -> None:
    pt, eta = np.array([[50.0]]), np.array([[0.5]])
    with pytest.raises(ValidationError, match="needs a single-muon path, or both legs"):
        MuonTrigger(file=file)
    with pytest.raises(ValidationError, match="a leading and a trailing leg"):
        MuonTrigger(file=file, leading="HLT_Mu17_Mu8_leading")
    with pytest.raises(UserError, match=r"no correction 'HLT_Mu25_data'\. Did you mean 'HLT_Mu24_data'"):
        trigger_weight(MuonTrigger(file=file, single="HLT_Mu25"), pt, eta)
    odd = MC | {"single": (1.02,) * 6}
    with pytest.raises(UserError, match=r"'HLT_Mu24_mc' .* is 1\.02 for a muon: an efficiency is between 0 and 1"):
        trigger_weight(trigger(write_file(tmp_path / "odd.json", mc=odd), "single"), pt, eta)
