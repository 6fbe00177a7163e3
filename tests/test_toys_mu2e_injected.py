"""Closure of the toy Mu2e samples: what is injected comes back, from the raw branches with numpy alone."""

from __future__ import annotations

import math
from typing import Any

import awkward as ak
import numpy as np
import pytest
from mucoffea.toys.mu2e_eventntuple import (
    ToySpec,
    count_experiments,
    exposure,
    generate_arrays,
    generate_truth,
    truth_experiments,
)
from mucoffea.toys.mu2e_spec import ACCIDENTAL_RANGE, PHYSICAL_DT
from scipy.stats import beta, kstest

from .support.mu2e_cuts import dt, selected, vetoed

NOT_VETO = ("unvetoed", "within_lhr_max_lo", "within_coinc_start_time", "within_coinc_end_time")
WINDOWS = ("within_ext_win", "within_sig_win")
COSMIC = ToySpec(sample="cosmic", events=32_000, seed=4, inefficiency=0.05, enriched=0.3)
COSMIC_MIX = COSMIC.model_copy(update={"mix": True})
CE_MIX = ToySpec(sample="ce", events=24_000, seed=4, mix=True)


def central(k: Any, n: Any, confidence: float) -> tuple[Any, Any]:
    """Return the exact (Clopper-Pearson) interval of a fraction."""
    tail = (1 - confidence) / 2
    low = np.where(np.asarray(k) > 0, beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    return low, np.where(np.asarray(k) < n, beta.ppf(1 - tail, np.asarray(k) + 1, np.maximum(n - k, 1)), 1.0)


def assert_covered(k: Any, n: Any, truth: float) -> None:
    """The truth is within the interval of 99.9 %."""
    low, high = central(int(k), int(n), 0.999)
    assert low < truth < high, (int(k), int(n), truth)


@pytest.fixture(scope="module")
def cosmic() -> ak.Array:
    return generate_arrays(COSMIC)


@pytest.fixture(scope="module")
def cosmic_mix() -> ak.Array:
    return generate_arrays(COSMIC_MIX)


@pytest.fixture(scope="module")
def ce_mix() -> ak.Array:
    return generate_arrays(CE_MIX)


@pytest.mark.parametrize("window", [(-150.0, 150.0), (0.0, 150.0), (-25.0, 150.0)])
def test_the_veto_of_cosmics_misses_what_was_injected(cosmic: ak.Array, window: tuple[float, float]) -> None:
    """Exactly, event by event, for every electron fit; and the fraction of the selected ones within its interval."""
    seen = generate_truth(COSMIC).cosmic_seen.to_numpy()
    timed = ak.to_numpy(ak.any((cosmic.trk.pdg == 11) & ak.any(cosmic.trksegs.sid == 1, axis=2), axis=1))
    veto = ak.to_numpy(vetoed(cosmic, *window))
    assert (veto[timed] == seen[timed]).all()
    assert not veto[~timed].any()
    good = selected(cosmic, *NOT_VETO, *WINDOWS)
    assert good.sum() > 5000
    assert_covered((good & ~veto).sum(), good.sum(), COSMIC.inefficiency)
    assert COSMIC.expected_inefficiency(*window) == COSMIC.inefficiency


def test_beam_pile_up_vetoes_missed_cosmics_too(cosmic_mix: ak.Array) -> None:
    events = cosmic_mix
    good = selected(events, *NOT_VETO, *WINDOWS)
    missed = good & ~ak.to_numpy(vetoed(events))
    expected = COSMIC_MIX.expected_inefficiency(-150, 150)
    assert expected == pytest.approx(0.05 * (1 - 0.28) ** 2)
    assert_covered(missed.sum(), good.sum(), expected)


@pytest.mark.parametrize("window", [(0.0, 150.0), (-150.0, 150.0), (-25.0, 150.0), (5.0, 120.0)])
def test_deadtime(ce_mix: ak.Array, window: tuple[float, float]) -> None:
    good = selected(ce_mix, *NOT_VETO, *WINDOWS)
    assert good.sum() > 8000
    veto = ak.to_numpy(vetoed(ce_mix, *window))
    assert_covered((good & veto).sum(), good.sum(), CE_MIX.expected_deadtime(*window))
    assert CE_MIX.expected_deadtime(0, 150) == pytest.approx(0.28)
    truth = generate_truth(CE_MIX)
    true = ak.to_numpy(ak.any((truth.accidental_dt > window[0]) & (truth.accidental_dt < window[1]), axis=1))
    assert (true[good] == veto[good]).mean() > 0.99  # but for the resolution of the time at the edges


def test_accidental_coincidences_are_independent_and_uniform(ce_mix: ak.Array) -> None:
    counts = ak.num(ce_mix.crvcoincs.time).to_numpy()
    mean = CE_MIX.accidental_rate * (ACCIDENTAL_RANGE[1] - ACCIDENTAL_RANGE[0])
    assert counts.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / len(counts)))
    assert counts.var() == pytest.approx(mean, rel=0.05)
    times = ak.flatten(ce_mix.crvcoincs.time).to_numpy()
    low, high = ACCIDENTAL_RANGE
    assert kstest((times - low) / (high - low), "uniform").pvalue > 1e-3
    assert ak.all(ce_mix.crvcoincsmc.primary.fCoordinates.fY < 5000)


def test_physical_dt(cosmic: ak.Array) -> None:
    """One to three coincidences; a peak at 42 to 48 ns and a tail to some 120 ns."""
    good = selected(cosmic, *NOT_VETO, *WINDOWS)
    counts = ak.num(cosmic.crvcoincs.time)
    assert set(counts.to_numpy()) == {0, 1, 2, 3}
    single = ak.to_numpy(ak.flatten(dt(cosmic)[good & (counts == 1).to_numpy()]))
    content, edges = np.histogram(single, np.arange(0, 151, 6))
    assert 36 <= edges[content.argmax()] <= 48
    assert 0.002 < (single > 110).mean() < 0.05
    assert single.min() > PHYSICAL_DT[0] - 4
    assert single.max() < 150
    assert ak.all(cosmic.crvcoincsmc.primary.fCoordinates.fY > 5000)


def test_truth_of_mixed_coincidences_follows_the_branches(cosmic_mix: ak.Array) -> None:
    events, truth = cosmic_mix[:8000], generate_truth(COSMIC_MIX, 8000)
    from_sky = events.crvcoincsmc.primary.fCoordinates.fY > 5000
    assert ak.all(ak.sum(from_sky, axis=1) == ak.num(truth.cosmic_dt))
    assert ak.all(ak.sum(~from_sky, axis=1) == ak.num(truth.accidental_dt))
    assert ak.all((ak.num(truth.cosmic_dt) > 0) == truth.cosmic_seen)
    assert {13, -13, 2112} >= set(ak.flatten(events.crvcoincsmc.primaryPdgId[from_sky]).to_numpy())
    assert {22, 2112} == set(ak.flatten(events.crvcoincsmc.primaryPdgId[~from_sky]).to_numpy())


@pytest.mark.parametrize("name", ["PEs", "nHits", "nLayers", "sectorType", "x", "y", "z", "angle"])
def test_no_feature_on_its_own_tells_the_beam_from_cosmics(cosmic_mix: ak.Array, name: str) -> None:
    """Each kind of coincidence is found wherever the other is: a quarter of it in the central 95 %."""
    events = cosmic_mix[:8000]
    from_sky = ak.flatten(events.crvcoincsmc.primary.fCoordinates.fY > 5000).to_numpy()
    one = events.crvcoincs[name] if len(name) > 1 else events.crvcoincs.pos.fCoordinates[f"f{name.upper()}"]
    values = ak.flatten(one).to_numpy()
    for first in (from_sky, ~from_sky):
        low, high = np.nanpercentile(values[first & np.isfinite(values)], [2.5, 97.5])
        other = values[~first]
        assert ((other >= low) & (other <= high)).mean() > 0.25
    # Values that stand out, such as centres of counters, are as frequent for both.
    special = ~np.isfinite(values) | (values == -999)
    assert abs(special[from_sky].mean() - special[~from_sky].mean()) < 0.01


def test_coincidence_times_remove_what_they_are_documented_to_remove(cosmic: ak.Array, ce_mix: ak.Array) -> None:
    good = selected(cosmic, *NOT_VETO, *WINDOWS)
    late = ~ak.to_numpy(ak.all(cosmic.crvcoincs.timeEnd < 1700, axis=1))
    assert 0.003 < (late & good).sum() / good.sum() < 0.05
    early = ~ak.to_numpy(ak.all(ce_mix.crvcoincs.timeStart > 420, axis=1))
    good = selected(ce_mix, *NOT_VETO, *WINDOWS)
    assert (early & good).sum() / good.sum() == pytest.approx(0.35, abs=0.1)


def test_exposure_adds_up() -> None:
    spec = ToySpec(sample="cosmic", events=2_610_933)
    assert spec.livetime == pytest.approx(10_680_000, rel=1e-3)
    assert spec.generated_events == pytest.approx(4.11e10, rel=1e-3)
    whole, parts = exposure(spec, 0, 10_500), [exposure(spec, *r) for r in ((0, 1), (1, 3777), (3777, 10_500))]
    for name in ("generated", "processed", "livetime"):
        total = sum(getattr(one, name).sum() for one in parts)
        assert total == pytest.approx(getattr(whole, name).sum(), rel=1e-12), name
    assert whole.processed.sum() == 10_500
    assert list(whole.subrun) == list(range(11))
    assert ToySpec(sample="ce", events=10).livetime is None
    assert exposure(ToySpec(sample="ce", events=10, data=True), 0, 10).generated is None


@pytest.mark.parametrize("spec", [COSMIC, COSMIC_MIX, CE_MIX], ids=["cosmic", "cosmic_mix", "ce_mix"])
def test_intervals_of_a_thousand_counting_experiments_cover(spec: ToySpec) -> None:
    """Exact intervals of 68.27 % cover at least that often, selection and veto alike."""
    spec = spec.model_copy(update={"events": 5000})
    counts = count_experiments(spec, 1000, efficiency=0.2, seed=3)
    n = counts.generated
    low, high = central(counts.selected, np.full(1000, n), 0.6827)
    assert np.mean((low < counts.true_efficiency) & (counts.true_efficiency < high)) > 0.6827 - 3 * 0.0147
    low, high = central(counts.unvetoed, counts.selected, 0.6827)
    assert np.mean((low < counts.true_unvetoed) & (counts.true_unvetoed < high)) > 0.6827 - 3 * 0.0147
    again = count_experiments(spec, 1000, efficiency=0.2, seed=3)
    assert (again.unvetoed == counts.unvetoed).all()


def test_intervals_of_a_thousand_samples_of_events_cover() -> None:
    spec = ToySpec(sample="cosmic", events=0, seed=9, inefficiency=0.05, mix=True)
    expected = spec.expected_inefficiency(-150, 150)
    k, n = np.zeros(1000, int), np.zeros(1000, int)
    for number, truth in enumerate(truth_experiments(spec, 1000, 120)):
        assert len(truth) == 120
        timed = (truth.t_mid > 640) & (truth.t_mid < 1650)
        n[number] = ak.sum(timed)
        k[number] = ak.sum(timed & ~truth.cosmic_seen & ~ak.any(abs(truth.accidental_dt) < 150, axis=1))
    low, high = central(k, n, 0.6827)
    assert np.mean((low < expected) & (expected < high)) > 0.6827 - 3 * 0.0147
    assert_covered(k.sum(), n.sum(), expected)


@pytest.mark.parametrize("spec", [COSMIC, CE_MIX], ids=["cosmic", "ce_mix"])
def test_what_is_selected_is_what_is_fiducial(spec: ToySpec, cosmic: ak.Array, ce_mix: ak.Array) -> None:
    """But for what the resolution, a lost genealogy and a failed score move."""
    events = cosmic if spec is COSMIC else ce_mix
    good = selected(events, *NOT_VETO, "within_wide_win", *WINDOWS)
    fiducial = generate_truth(spec).fiducial.to_numpy()
    assert good[fiducial].mean() > 0.95
    assert good[~fiducial].mean() < 0.05
    assert good.sum() == pytest.approx(fiducial.sum(), rel=0.04)
