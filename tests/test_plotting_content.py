"""The numbers of a stack: total, band, ratio, errors of the data, and its axis."""

from __future__ import annotations

import math

import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.plotting.content import data_points, event_label
from mucoffea.plotting.stack import stack_content

from .support.figures import LABEL, drawn, make


def test_total_band_and_ratio() -> None:
    simulation = {"Z": make([80, 40, 0], [16, 9, 0]), "ZZ": make([20, -10, 0], [9, 16, 0])}
    content = stack_content(make([110, 36, 0]), simulation, (None, make([88, 72, 0])))
    assert [label for label, _ in content.stack] == ["ZZ", "Z"], "the smallest yield lies at the bottom"
    np.testing.assert_allclose(content.total, [100, 30, 0])
    np.testing.assert_allclose(content.total_error, [5, 5, 0])
    np.testing.assert_allclose(content.band, [0.05, 5 / 30, np.nan])
    np.testing.assert_allclose(content.ratio.values, [1.1, 1.2, np.nan])
    np.testing.assert_allclose(content.ratio.low, [content.data.low[0] / 100, content.data.low[1] / 30, np.nan])
    np.testing.assert_allclose(content.uncorrected_ratio.values, [1.25, 0.5, np.nan])


def test_uncorrected_ratio_takes_its_own_data() -> None:
    content = stack_content(make([10.0]), {"Z": make([10.0])}, (make([30.0]), make([20.0])))
    assert content.ratio.values == [1.0]
    assert content.uncorrected_ratio.values == [1.5]


def test_data_errors_are_garwood_intervals() -> None:
    """By their definition: at each end of the interval the count, or one further out, has the tail of one σ."""
    counts = [0, 1, 3, 10]
    points = data_points(make([float(count) for count in counts]))
    tail = 0.5 * math.erfc(1 / math.sqrt(2))

    def at_most(count: int, mean: float) -> float:
        return sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(count + 1))

    for count, low, high in zip(counts, points.low, points.high, strict=True):
        assert at_most(count, count + high) == pytest.approx(tail, rel=1e-9)
        if count:
            assert 1 - at_most(count - 1, count - low) == pytest.approx(tail, rel=1e-9)
    assert points.low[0] == 0


def test_data_errors_scale_with_weights_and_survive_negative_bins() -> None:
    weighted, counts = data_points(make([5.0, -3.0], [2.5, 4.0])), data_points(make([10.0]))
    assert weighted.high[0] == pytest.approx(0.5 * counts.high[0])
    assert (weighted.low[1], weighted.high[1]) == (2.0, 2.0)


def test_fraction_outside_the_axis() -> None:
    data, simulation = make([50, 49]), make([50, 50])
    data.view(flow=True)["value"][-1] = 1
    content = stack_content(data, {"Z": simulation})
    assert content.outside == {"data": pytest.approx(0.01), "simulation": 0.0}
    texts = [text.get_text() for text in drawn(data=data, simulation={"Z": simulation}).axes[0].texts]
    assert "Outside the axis: data 1.0 %" in texts


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (hist.axis.Regular(30, 60, 120, label=LABEL), "Events / 2 GeV"),
        (hist.axis.Regular(60, 60, 120, label=LABEL), "Events / GeV"),
        (hist.axis.Regular(24, 60, 120, label=LABEL), "Events / 2.5 GeV"),
        (hist.axis.Regular(64, -np.pi, np.pi, label=r"$\phi$"), "Events / 0.0982"),
        (hist.axis.Regular(2, 0, 8000, label="H [GeV]"), "Events / 4000 GeV"),
        (hist.axis.Variable([60, 80, 120], label=LABEL), "Events / bin"),
        (hist.axis.Integer(0, 60, label="N(PV)"), "Events"),
        (hist.axis.StrCategory(["a", "b"], label="region"), "Events"),
    ],
)
def test_event_label_has_width_and_unit(axis: object, expected: str) -> None:
    assert event_label(axis) == expected


@pytest.mark.parametrize(
    ("data", "simulation", "match"),
    [
        (None, {}, "needs data or at least one"),
        (make([1, 2]), {"Z": make([1, 2, 3])}, "'Z' and 'data' have different bins"),
        (hist.Hist(hist.axis.Regular(2, 0, 1), hist.axis.Regular(2, 0, 1)), {}, "one-dimensional"),
    ],
)
def test_what_cannot_be_stacked_is_refused(data: hist.Hist | None, simulation: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        stack_content(data, simulation)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.integers(1, 5))
def test_the_stack_always_adds_up_to_the_total(values: list[float], processes: int) -> None:
    simulation = {str(index): make([value * (index + 1) for value in values]) for index in range(processes)}
    content = stack_content(None, simulation)
    np.testing.assert_allclose(np.sum([part for _, part in content.stack], axis=0), content.total, rtol=1e-12)
    yields = [part.sum() for _, part in content.stack]
    assert yields == sorted(yields)
