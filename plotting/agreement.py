"""How well data and simulation agree, as a number."""

from __future__ import annotations

import hist
import numpy as np


def chi2(data: hist.Hist, simulation: hist.Hist, *, min_expected: float = 5.0) -> tuple[float, int]:
    """Return χ² and the number of degrees of freedom of a comparison bin by bin.

    χ² = Σ (d − m)² / (σ_d² + σ_m²) over the bins inside the axis whose expectation m is at least
    ``min_expected``. σ_m² is the variance of the simulation. σ_d² is the variance of the data, d for counts;
    a bin without data has no variance of its own and takes m instead (Pearson), so that it counts with a
    finite weight. ``ndf`` is the number of bins used, as nothing is fitted. Near ``min_expected`` χ² is
    biased upwards, because a downward fluctuation also shrinks its own σ_d; for exact p-values rebin to
    about 50 expected events a bin.

    Args:
        data: one-dimensional histogram of observed events.
        simulation: the normalised expectation, with the same axis.
        min_expected: smallest expectation of a bin that is used.

    Raises:
        ValueError: a histogram is not one-dimensional, the edges differ, or variances are missing.
    """
    if data.ndim != 1 or simulation.ndim != 1:
        raise ValueError(f"chi2 compares one-dimensional histograms, not {data.ndim}-D with {simulation.ndim}-D")
    if not np.array_equal(data.axes[0].edges, simulation.axes[0].edges):
        raise ValueError("chi2 needs data and simulation with the same bin edges")
    data_variance, variance = data.variances(), simulation.variances()
    if data_variance is None or variance is None:
        raise ValueError("chi2 needs histograms with variances (storage Weight, or unweighted counts)")
    observed, expected = data.values(), simulation.values()
    used = expected >= min_expected
    sigma2 = np.where(data_variance > 0, data_variance, expected) + variance
    terms = (observed[used] - expected[used]) ** 2 / sigma2[used]
    return float(terms.sum()), int(used.sum())
