"""Confidence intervals of counts, fractions and rates, all at one confidence level.

Every function takes numbers or arrays that broadcast, and returns ``(low, high)`` as float64 arrays of the broadcast
shape (0-d for numbers). Counts may be real numbers where a formula is continuous in them (an expectation); they must
be finite and not negative. Sources: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; C. J. Clopper and E. S. Pearson,
Biometrika 26 (1934) 404; F. Garwood, Biometrika 28 (1936) 437; J. Przyborowski and H. Wilenski, Biometrika 31 (1940)
313 for the ratio of two rates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from ..errors import UserError

Array = npt.NDArray[np.float64]
Numbers = npt.ArrayLike
Limits = tuple[Array, Array]

#: Of one standard deviation of a normal distribution, to four decimals: the default everywhere.
CONFIDENCE = 0.6827


class Estimate(BaseModel):
    """A number with its interval, in the unit of whoever made it. ``minus`` and ``plus`` are the distances to it."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float

    @property
    def minus(self) -> float:
        """How far the lower limit lies below the value (not negative)."""
        return self.value - self.low

    @property
    def plus(self) -> float:
        """How far the upper limit lies above the value (not negative)."""
        return self.high - self.value

    def scaled(self, factor: float) -> Estimate:
        """Return value and limits times an exact ``factor``."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(value=self.value * factor, low=low, high=high)

    def complement(self) -> Estimate:
        """Return the estimate of one minus this."""
        return Estimate(value=1 - self.value, low=1 - self.high, high=1 - self.low)

    def times(self, other: Estimate) -> Estimate:
        """Return the product with an independent estimate.

        The distances to the limits add in quadrature, upwards and downwards apart: (Δ(ab))² = (bΔa)² + (aΔb)². With
        a = 0 the upper limit is that of a, times b.
        """
        value = self.value * other.value
        down = np.hypot(other.value * self.minus, self.value * other.minus)
        up = np.hypot(other.value * self.plus, self.value * other.plus)
        return Estimate(value=value, low=max(value - float(down), 0.0), high=value + float(up))


class Convention(BaseModel):
    """How limits are drawn: the same ``confidence`` for fractions and for counts.

    ``legacy`` reproduces the tables of earlier analyses, where the two differed: Wilson limits at exactly z = 1,
    Poisson limits at 0.68, and for no count a one-sided limit (1.1394) where all others are central. ``confidence``
    is not used then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    legacy: bool = False

    @property
    def z(self) -> float:
        """Standard deviations of a normal distribution that the limits stand for."""
        return 1.0 if self.legacy else z_of(self.confidence)

    def fraction(self, passed: float, total: float) -> Estimate | None:
        """Return ``passed / total`` with Wilson limits; None where ``total`` is 0: then there is nothing to say."""
        if total == 0:
            return None
        low, high = _wilson(*_fractions(passed, total), self.z)
        return Estimate(value=passed / total, low=float(low), high=float(high))

    def count(self, n: float) -> Estimate:
        """Return a count with Garwood limits."""
        low, high = legacy_poisson(n) if self.legacy else garwood(n, self.confidence)
        return Estimate(value=n, low=float(low), high=float(high))


def z_of(confidence: float) -> float:
    """Return z such that a normal distribution holds ``confidence`` within ±z standard deviations."""
    _check_confidence(confidence)
    return float(stats.norm.ppf(0.5 + confidence / 2))


def wilson(k: Numbers, n: Numbers, confidence: float = CONFIDENCE) -> Limits:
    """Return the Wilson score interval of the fraction ``k/n``; (0, 1) where ``n`` is 0. Real counts are allowed."""
    return _wilson(*_fractions(k, n), z_of(confidence))


def clopper_pearson(k: Numbers, n: Numbers, confidence: float = CONFIDENCE) -> Limits:
    """Return the exact central interval of the fraction ``k/n``: coverage ≥ ``confidence``; (0, 1) for n = 0."""
    _check_confidence(confidence)
    passed, total = _fractions(k, n)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(passed > 0, stats.beta.ppf(tail, passed, total - passed + 1), 0.0)
        high = np.where(passed < total, stats.beta.ppf(1 - tail, passed + 1, total - passed), 1.0)
    return low, high


def garwood(k: Numbers, confidence: float = CONFIDENCE) -> Limits:
    """Return the exact central interval of the mean of a Poisson count ``k``; for k = 0 it is (0, −ln((1−C)/2))."""
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    return _garwood(_counts(k), tail, 1 - tail)


def poisson_upper(k: Numbers, confidence: float = CONFIDENCE) -> Array:
    """Return the one-sided upper limit of the mean of a Poisson count ``k``."""
    _check_confidence(confidence)
    return np.asarray(stats.chi2.ppf(confidence, 2 * _counts(k) + 2) / 2, dtype=np.float64)


def legacy_poisson(k: Numbers) -> Limits:
    """Return 0.68 Garwood limits, with the one-sided limit (0, 1.1394) for k = 0, as earlier tables have them."""
    counts = _counts(k)
    low, high = _garwood(counts, 0.16, 0.84)
    return low, np.where(counts == 0, poisson_upper(0, 0.68), high)


def poisson_ratio(
    k1: Numbers, k2: Numbers, exposure1: Numbers = 1.0, exposure2: Numbers = 1.0, confidence: float = CONFIDENCE
) -> Limits:
    """Return the exact interval of the ratio (k1/exposure1) / (k2/exposure2) of two independent Poisson rates.

    Given k1 + k2, k1 is binomial with p = ρ/(1 + ρ), ρ being the ratio of the means; its Clopper–Pearson limits are
    those of ρ. The upper limit is infinite for k2 = 0, and (0, ∞) is all that no counts at all say.
    """
    first, second = np.broadcast_arrays(_counts(k1), _counts(k2))
    low, high = clopper_pearson(first, first + second, confidence)
    scale = np.asarray(exposure2, dtype=np.float64) / np.asarray(exposure1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return low / (1 - low) * scale, np.where(high < 1, high / (1 - high), np.inf) * scale


def _wilson(passed: Array, total: Array, z: float) -> Limits:
    n = np.where(total > 0, total, 1.0)
    p = passed / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula gives 0 and 1 exactly; rounding must not carry it beyond them.
    low = np.where((total > 0) & (passed > 0), np.maximum(centre - half, 0.0), 0.0)
    high = np.where((total > 0) & (passed < total), np.minimum(centre + half, 1.0), 1.0)
    return low, high


def _garwood(counts: Array, lower: float, upper: float) -> Limits:
    with np.errstate(invalid="ignore"):
        low = np.where(counts > 0, stats.chi2.ppf(lower, 2 * counts) / 2, 0.0)
    return low, np.asarray(stats.chi2.ppf(upper, 2 * counts + 2) / 2, dtype=np.float64)


def _counts(k: Numbers) -> Array:
    counts = np.asarray(k, dtype=np.float64)
    if not np.all(np.isfinite(counts) & (counts >= 0)):
        raise UserError(f"Counts must be finite and not negative; got {k!r}.")
    return counts


def _fractions(k: Numbers, n: Numbers) -> Limits:
    passed, total = np.broadcast_arrays(_counts(k), _counts(n))
    if np.any(passed > total):
        raise UserError(f"More passed ({k!r}) than there were ({n!r}); a fraction needs 0 ≤ passed ≤ total.")
    return passed, total


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UserError(f"A confidence level lies between 0 and 1, such as {CONFIDENCE}; got {confidence}.")
