"""χ² between data and simulation."""

from __future__ import annotations

import hist
import numpy as np
import pytest
from mucoffea.plotting.agreement import chi2

from .support.figures import make


def test_chi2_is_the_sum_of_squared_pulls() -> None:
    data, simulation = make([110, 90, 4], [110, 90, 4]), make([100, 100, 4], [25, 0, 1])
    expected = 10**2 / (110 + 25) + 10**2 / (90 + 0)
    assert chi2(data, simulation) == (pytest.approx(expected, rel=1e-14), 2)
    assert chi2(data, simulation, min_expected=4)[1] == 3  # the bound belongs to the bins used
    assert chi2(data, simulation, min_expected=1000) == (0.0, 0)


def test_chi2_of_an_empty_data_bin_is_finite() -> None:
    assert chi2(make([0]), make([10], [0])) == (pytest.approx(10.0), 1)


def test_chi2_ignores_overflow() -> None:
    data, simulation = make([100, 100]), make([100, 100])
    data.view(flow=True)["value"][-1] = 1e6
    assert chi2(data, simulation)[0] == 0.0


def test_chi2_of_poisson_toys_has_the_mean_and_the_variance_of_its_distribution() -> None:
    rng = np.random.default_rng(20)
    bins, toys, expected, per_event = 40, 300, 400.0, 0.25
    values = []
    for _ in range(toys):
        simulation = rng.poisson(expected / per_event, bins) * per_event
        values.append(
            chi2(make(list(rng.poisson(expected, bins))), make(list(simulation), list(simulation * per_event)))[0]
        )
    assert np.mean(values) == pytest.approx(bins, abs=5 * np.sqrt(2 * bins / toys))
    assert np.var(values) == pytest.approx(2 * bins, rel=0.35)


def test_chi2_refuses_other_bins() -> None:
    with pytest.raises(ValueError, match="same bin edges"):
        chi2(make([1, 2]), make([1, 2, 3]))
    two = hist.Hist(hist.axis.Regular(2, 0, 1), hist.axis.Regular(2, 0, 1), storage=hist.storage.Weight())
    with pytest.raises(ValueError, match="one-dimensional"):
        chi2(make([1, 2]), two)
