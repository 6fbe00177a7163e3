"""The Crystal Ball function with two tails: a Gaussian core that goes over into the same power law on both sides.

With t = (x - mean) / sigma, the density is proportional to exp(-t²/2) for |t| < alpha, and beyond to
A (B + |t|)^-n with A = (n/alpha)^n exp(-alpha²/2) and B = n/alpha - alpha, so that it and its derivative are continuous
(J. E. Gaiser, SLAC-R-255, appendix F, for one tail). It is the resolution model of Run 3 muons of the CMS muon POG
(MuonScaReKit, https://gitlab.cern.ch/cms-muonPOG/muonscarekit) and of the Rochester corrections.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]


def cdf(x: npt.ArrayLike, mean: npt.ArrayLike, sigma: npt.ArrayLike, alpha: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """Return the cumulative distribution at `x`; all arguments of one shape, or scalars.

    Raises ValueError unless sigma > 0, alpha > 0 and n > 1, without which there is no distribution; if an argument is
    NaN, or the shapes differ.
    """
    x, mean, sigma, alpha, n = _checked("x", x, mean, sigma, alpha, n)
    t = (x - mean) / sigma
    tail, norm, b = _tail(alpha, n)
    left = -np.abs(t)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        beyond = tail * ((b - left) * alpha / n) ** (1.0 - n)
    within = tail + np.sqrt(2 * np.pi) * (ndtr(left) - ndtr(-alpha))
    lower = np.where(left < -alpha, beyond, within) / norm
    return np.asarray(np.where(t > 0, 1.0 - lower, lower))


def inverse_cdf(
    u: npt.ArrayLike, mean: npt.ArrayLike, sigma: npt.ArrayLike, alpha: npt.ArrayLike, n: npt.ArrayLike
) -> Floats:
    """Return x with `cdf(x, …) = u` for 0 ≤ `u` ≤ 1, the inverse of `cdf`: uniform numbers become distributed ones.

    0 and 1 give -∞ and ∞. Raises ValueError for other `u`, and as `cdf` does.
    """
    u, mean, sigma, alpha, n = _checked("u", u, mean, sigma, alpha, n)
    if ((u < 0) | (u > 1)).any():
        raise ValueError("a probability is between 0 and 1")
    tail, norm, b = _tail(alpha, n)
    # The lower half is precise where u is small; the upper one is its mirror image.
    scaled = np.minimum(u, 1.0 - u) * norm
    # For alpha above 38 the tail is too small for a number, and 0 / 0 is asked for the branch that is not taken.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        beyond = b - (n / alpha) * (scaled / tail) ** (-1.0 / (n - 1.0))
    within = ndtri(np.maximum(scaled - tail, 0.0) / np.sqrt(2 * np.pi) + ndtr(-alpha))
    t = np.where(scaled < tail, beyond, within)
    return np.asarray(mean + sigma * np.where(u > 0.5, -t, t))


def _checked(name: str, *values: npt.ArrayLike) -> tuple[Floats, ...]:
    arrays = tuple(np.asarray(value, np.float64) for value in values)
    shapes = {name: array.shape for name, array in zip((name, "mean", "sigma", "alpha", "n"), arrays, strict=True)}
    if len({shape for shape in shapes.values() if shape}) > 1:
        listed = ", ".join(f"{argument} {shape}" for argument, shape in shapes.items())
        raise ValueError(f"the arguments of a Crystal Ball function have one shape or are scalars, not {listed}")
    nan = [argument for argument, array in zip(shapes, arrays, strict=True) if np.isnan(array).any()]
    if nan:
        raise ValueError(f"a Crystal Ball function is undefined where {' and '.join(nan)} is NaN")
    _, _, sigma, alpha, n = arrays
    if not ((sigma > 0).all() and (alpha > 0).all() and (n > 1).all()):
        raise ValueError("a Crystal Ball function has sigma > 0, alpha > 0 and n > 1")
    return arrays


def _tail(alpha: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the integral of one tail and that of the whole in units of t, and B."""
    tail = n / (alpha * (n - 1.0)) * np.exp(-0.5 * alpha**2)
    return tail, 2.0 * tail + np.sqrt(2 * np.pi) * (1.0 - 2.0 * ndtr(-alpha)), n / alpha - alpha
