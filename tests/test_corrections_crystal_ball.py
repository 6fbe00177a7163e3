"""The Crystal Ball function with two tails against numerical integrals, scipy's of one tail, and its own inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.corrections.crystal_ball import cdf, inverse_cdf
from scipy import integrate, stats

#: alpha, n: tails that begin early and late, and fall slowly and steeply.
SHAPES = [(1.0, 3.0), (1.5, 1.05), (0.5, 8.0), (3.0, 50.0), (2.0, 2.0)]
shapes = pytest.mark.parametrize(("alpha", "n"), SHAPES)


def density(t: float, alpha: float, n: float) -> float:
    """The function as it is defined, not normalised."""
    if abs(t) < alpha:
        return float(np.exp(-0.5 * t * t))
    return float(np.exp(-0.5 * alpha * alpha) * (1.0 + (abs(t) - alpha) * alpha / n) ** -n)


@shapes
def test_cdf_is_the_integral_of_the_density(alpha: float, n: float) -> None:
    # The parts of the integral that quad reaches: up to infinity where the tail falls fast enough for it.
    half = integrate.quad(density, 0, alpha, (alpha, n))[0] + n / alpha / (n - 1) * np.exp(-0.5 * alpha * alpha)
    if n > 2.5:
        tail = integrate.quad(density, alpha, np.inf, (alpha, n))[0]
        assert tail == pytest.approx(n / alpha / (n - 1) * np.exp(-0.5 * alpha * alpha), rel=1e-7)
    for t in (-20.0, -alpha - 0.1, -alpha, -0.3, 0.0, 0.7, alpha, 6.0, 40.0):
        expected = 0.5 + integrate.quad(density, 0, t, (alpha, n), points=[np.sign(t) * alpha])[0] / (2 * half)
        assert float(cdf(3.0 + 1.7 * t, 3.0, 1.7, alpha, n)) == pytest.approx(expected, abs=1e-9)


@shapes
def test_the_lower_tail_is_that_of_one_tail(alpha: float, n: float) -> None:
    # scipy.stats.crystalball has a lower tail alone: the same shape up to the mean, another norm.
    one = stats.crystalball(beta=alpha, m=n)
    t = np.array([-50.0, -8.0, -alpha, -1.0, -0.2, 0.0])
    np.testing.assert_allclose(cdf(t, 0.0, 1.0, alpha, n), 0.5 * one.cdf(t) / one.cdf(0.0), rtol=1e-10)


def test_without_tails_it_is_normal() -> None:
    t = np.linspace(-5, 5, 21)
    np.testing.assert_allclose(cdf(t, 0.0, 1.0, 30.0, 5.0), stats.norm.cdf(t), atol=1e-15)
    u = np.linspace(0.01, 0.99, 21)
    np.testing.assert_allclose(inverse_cdf(u, 0.0, 1.0, 30.0, 5.0), stats.norm.ppf(u), atol=1e-14)


@given(
    u=st.floats(1e-9, 1 - 1e-9),
    mean=st.floats(-1, 1),
    sigma=st.floats(0.1, 4),
    alpha=st.floats(0.2, 5),
    n=st.floats(1.2, 140),
)
def test_inverse_undoes_the_function(u: float, mean: float, sigma: float, alpha: float, n: float) -> None:
    x = inverse_cdf(u, mean, sigma, alpha, n)
    assert float(cdf(x, mean, sigma, alpha, n)) == pytest.approx(u, rel=1e-6, abs=1e-12)
    mirrored = inverse_cdf(1.0 - u, mean, sigma, alpha, n)
    assert float(x - mean) == pytest.approx(float(mean - mirrored), rel=1e-6, abs=1e-9)


@given(pair=st.tuples(st.floats(0, 1), st.floats(0, 1)), alpha=st.floats(0.2, 5), n=st.floats(1.2, 140))
def test_inverse_rises(pair: tuple[float, float], alpha: float, n: float) -> None:
    low, high = inverse_cdf(np.array(sorted(pair)), 0.0, 1.0, alpha, n)
    assert low <= high


def test_numbers_drawn_are_distributed_so() -> None:
    drawn = inverse_cdf(np.random.default_rng(5).uniform(size=20_000), 0.2, 0.9, 1.3, 4.0)
    # Kolmogorov-Smirnov: 1.63 / sqrt(n) is exceeded in 1 % of samples.
    assert stats.kstest(drawn, lambda x: cdf(x, 0.2, 0.9, 1.3, 4.0)).statistic < 1.63 / np.sqrt(20_000)


@pytest.mark.parametrize("alpha", [0.3, 1.5, 40.0])
def test_ends(alpha: float) -> None:
    np.testing.assert_array_equal(inverse_cdf(np.array([0.0, 1.0]), 0.1, 2.0, alpha, 3.0), [-np.inf, np.inf])
    assert float(inverse_cdf(0.5, 0.1, 2.0, alpha, 3.0)) == pytest.approx(0.1)
    np.testing.assert_array_equal(cdf(np.array([-np.inf, np.inf]), 0.1, 2.0, alpha, 3.0), [0.0, 1.0])
    assert inverse_cdf(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1, 0, 1, 1, 2), "between 0 and 1"),
        ((1.1, 0, 1, 1, 2), "between 0 and 1"),
        ((np.nan, 0, 1, 1, 2), "u is NaN"),
        ((0.5, np.nan, 1, np.nan, 2), "mean and alpha is NaN"),
        ((0.5, 0, 0, 1, 2), "sigma > 0"),
        ((0.5, 0, 1, -1, 2), "alpha > 0"),
        ((0.5, 0, 1, 1, 1), "n > 1"),
        ((np.zeros(3), np.zeros(2), 1, 1, 2), r"one shape or are scalars, not u \(3,\), mean \(2,\)"),
    ],
)
def test_what_is_no_distribution(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inverse_cdf(*arguments)
