"""Confidence intervals: against statsmodels and scipy, at their ends, and by their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.outputs import intervals
from mucoffea.outputs.intervals import CONFIDENCE, Convention, Estimate
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

COUNTS = [(0, 5), (1, 5), (5, 5), (3, 17), (10, 20154), (585461, 4_000_000), (0, 1), (1, 1)]


@pytest.mark.parametrize("confidence", [0.5, CONFIDENCE, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_wilson_and_clopper_pearson_agree_with_statsmodels(k, n, confidence):
    for ours, method in ((intervals.wilson, "wilson"), (intervals.clopper_pearson, "beta")):
        expected = proportion_confint(k, n, alpha=1 - confidence, method=method)
        np.testing.assert_allclose(ours(k, n, confidence), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("confidence", [CONFIDENCE, 0.95])
@pytest.mark.parametrize("k", [1, 2, 7, 416, 20154])
def test_garwood_agrees_with_statsmodels(k, confidence):
    np.testing.assert_allclose(
        intervals.garwood(k, confidence), confint_poisson(k, 1, method="exact-c", alpha=1 - confidence), rtol=1e-9
    )


def test_garwood_without_a_count_is_central():
    low, high = intervals.garwood(0, 0.68)
    assert low == 0
    assert high == pytest.approx(1.8326, abs=5e-5)
    assert intervals.garwood(0)[1] == pytest.approx(-np.log((1 - CONFIDENCE) / 2))


def test_legacy_limits_are_those_of_earlier_tables():
    low, high = intervals.legacy_poisson([0, 1, 10])
    assert high[0] == pytest.approx(1.1394, abs=5e-5)
    np.testing.assert_allclose(low[1:], stats.chi2.ppf(0.16, [2, 20]) / 2)
    np.testing.assert_allclose(high[1:], stats.chi2.ppf(0.84, [4, 22]) / 2)
    assert Convention(legacy=True).z == 1
    assert Convention().z == pytest.approx(1, abs=1e-4)


def test_arrays_and_numbers_give_the_same():
    k, n = np.array([pair[0] for pair in COUNTS]), np.array([pair[1] for pair in COUNTS])
    for function in (intervals.wilson, intervals.clopper_pearson):
        low, high = function(k, n)
        assert low.shape == high.shape == k.shape
        for i in range(len(k)):
            assert function(k[i], n[i]) == (low[i], high[i])


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(0.05, 0.999))
def test_a_fraction_lies_within_its_limits_and_they_mirror(k, n, confidence):
    k = min(k, n)
    for function in (intervals.wilson, intervals.clopper_pearson):
        low, high = function(k, n, confidence)
        assert 0 <= low <= k / n + 1e-12
        assert k / n - 1e-12 <= high <= 1
        mirrored_low, mirrored_high = function(n - k, n, confidence)
        np.testing.assert_allclose([low, high], [1 - mirrored_high, 1 - mirrored_low], atol=1e-9)


def test_coverage_of_fractions():
    """Summed over all outcomes, so exact. Clopper–Pearson covers at least 68.27 % of the time everywhere; Wilson does
    on average, and anything from 55 % to 85 % at single values, because counts are whole numbers."""
    n = 200
    k = np.arange(n + 1)
    true = np.linspace(0.01, 0.99, 197)[:, np.newaxis]
    weights = stats.binom.pmf(k, n, true)

    def coverage(limits):
        return np.where((limits[0] <= true) & (true <= limits[1]), weights, 0).sum(axis=1)

    assert np.all(coverage(intervals.clopper_pearson(k, n)) >= CONFIDENCE)
    assert coverage(intervals.wilson(k, n)).mean() == pytest.approx(CONFIDENCE, abs=0.01)
    assert coverage(intervals.wilson(k, n)).min() > 0.5


@pytest.mark.parametrize("mean", [0.3, 1.7, 12.4, 80.0])
def test_garwood_covers_at_least_its_confidence(mean):
    k = np.arange(400)
    low, high = intervals.garwood(k)
    assert stats.poisson.pmf(k, mean)[(low <= mean) & (mean <= high)].sum() >= CONFIDENCE


def test_ratio_of_rates():
    # With a large second count the ratio is the first rate alone.
    low, high = intervals.poisson_ratio(10, 10**9, exposure2=10**9)
    np.testing.assert_allclose([low, high], intervals.garwood(10), rtol=1e-6)
    assert intervals.poisson_ratio(3, 0)[1] == np.inf
    assert intervals.poisson_ratio(0, 3)[0] == 0
    assert intervals.poisson_ratio(0, 0) == (0, np.inf)
    # Swapping the two inverts the limits.
    low, high = intervals.poisson_ratio(20, 50, 2.0, 3.0)
    inverse = intervals.poisson_ratio(50, 20, 3.0, 2.0)
    np.testing.assert_allclose([low, high], [1 / inverse[1], 1 / inverse[0]])


def test_coverage_of_the_ratio_of_rates():
    rng = np.random.default_rng(7)
    k1, k2 = rng.poisson(12, 4000), rng.poisson(30, 4000)
    low, high = intervals.poisson_ratio(k1, k2)
    assert np.mean((low <= 0.4) & (high >= 0.4)) >= CONFIDENCE - 0.02


def test_product_of_estimates():
    a, b = Estimate(value=0.0, low=0.0, high=0.1), Estimate(value=5.0, low=4.0, high=7.0)
    assert a.times(b) == Estimate(value=0, low=0, high=0.5)
    product = Estimate(value=2, low=1.7, high=2.4).times(b)
    assert product.minus == pytest.approx(np.hypot(5 * 0.3, 2 * 1))
    assert product.plus == pytest.approx(np.hypot(5 * 0.4, 2 * 2))
    assert b.scaled(2).high == 14
    assert Estimate(value=0.2, low=0.1, high=0.4).complement().low == pytest.approx(0.6)


def test_coverage_of_a_product():
    """An inefficiency times a count: what the expected background is made of."""
    rng, convention = np.random.default_rng(3), Convention()
    hits = 0
    for _ in range(1500):
        n = rng.poisson(4000)
        fraction = convention.fraction(rng.binomial(n, 0.005), n)
        low_high = fraction.times(convention.count(rng.poisson(400)))
        hits += low_high.low <= 2.0 <= low_high.high
    assert hits / 1500 == pytest.approx(CONFIDENCE, abs=0.06)


def test_nothing_to_say_is_none():
    assert Convention().fraction(0, 0) is None
    assert intervals.wilson(0, 0) == (0, 1)
    assert intervals.clopper_pearson(0, 0) == (0, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: intervals.wilson(3, 2),
        lambda: intervals.garwood(-1),
        lambda: intervals.garwood(float("nan")),
        lambda: intervals.garwood(1, 68.27),
        lambda: intervals.clopper_pearson(1, 2, 0),
    ],
)
def test_impossible_input_is_a_users_error(call):
    with pytest.raises(UserError):
        call()
