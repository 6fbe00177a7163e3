"""Figures of corrections: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from mucoffea.plotting import corrections

EDGES = np.array([15.0, 20.0, 30.0, np.inf])


def test_a_curve_has_the_values_and_the_band() -> None:
    values = np.array([0.9, 0.95, 1.0])
    figure = corrections.draw_curve(EDGES, values, up=values + 0.01, down=values - 0.02, label="x", title="t")
    band, curve = (patch for patch in figure.axes[0].patches if isinstance(patch, StepPatch))
    np.testing.assert_array_equal(curve.get_data().values, values)
    np.testing.assert_array_equal(curve.get_data().edges, [15, 20, 30, 40])
    np.testing.assert_array_equal(band.get_data().values, values + 0.01)
    np.testing.assert_array_equal(band.get_data().baseline, values - 0.02)


def test_a_map_has_x_along_x() -> None:
    values = np.arange(6.0).reshape(3, 2)
    figure = corrections.draw_map((EDGES, np.array([-1.0, 0.0, 1.0])), values, labels=("x", "y"), title="t")
    drawn = figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(np.asarray(drawn).reshape(2, 3), values.T)


def test_infinite_edges_on_both_sides() -> None:
    np.testing.assert_array_equal(corrections.drawn_edges(np.array([-np.inf, 0.0, 2.0, np.inf])), [-2, 0, 2, 4])


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 values"):
        corrections.draw_curve(EDGES, np.ones(2), up=np.ones(2), down=np.ones(2), label="x", title="t")
    with pytest.raises(ValueError, match="do not fit"):
        corrections.draw_map((EDGES, EDGES), np.ones((2, 3)), labels=("x", "y"), title="t")
    with pytest.raises(ValueError, match="finite"):
        corrections.drawn_edges(np.array([0.0, np.inf]))
