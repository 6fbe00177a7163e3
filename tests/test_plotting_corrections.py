"""Figures of corrections: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from mucoffea.plotting import corrections
from mucoffea.plotting.correction_axes import drawn_edges, shortened
from mucoffea.plotting.corrections import Curve

EDGES = np.array([15.0, 20.0, 30.0, np.inf])
VALUES = np.array([0.9, 0.95, 1.0])


def _draw(*curves: Curve, edges: np.ndarray = EDGES, label: str = "pt") -> Figure:
    figure = corrections.draw_curves(edges, curves, label=label, value_label="weight", title="t", note="n")
    figure.canvas.draw()
    return figure


def _steps(figure: Figure, panel: int) -> list[StepPatch]:
    return [patch for patch in figure.axes[panel].patches if isinstance(patch, StepPatch)]


def _texts(figure: Figure) -> list[str]:
    return [text.get_text().strip() for text in figure.axes[0].texts]


def test_a_curve_has_the_values_and_the_band() -> None:
    figure = _draw(Curve("a", VALUES, VALUES + 0.01, VALUES - 0.02))
    assert len(figure.axes) == 1
    band, curve = _steps(figure, 0)
    np.testing.assert_array_equal(curve.get_data().values, VALUES)
    np.testing.assert_array_equal(curve.get_data().edges, [15, 20, 30, 40])
    np.testing.assert_array_equal(band.get_data().values, VALUES + 0.01)
    np.testing.assert_array_equal(band.get_data().baseline, VALUES - 0.02)


def test_a_second_curve_has_its_ratio_to_the_first() -> None:
    figure = _draw(Curve("a", VALUES, VALUES + 0.01, VALUES - 0.02), Curve("b", np.array([1.0, np.nan, 1.1])))
    assert len(figure.axes) == 2
    ratio = _steps(figure, 1 if figure.axes[1].get_ylabel() == "ratio" else 0)
    np.testing.assert_allclose(ratio[0].get_data().values, 1 + 0.01 / VALUES)
    np.testing.assert_array_equal(ratio[1].get_data().values, np.ones(3))
    np.testing.assert_allclose(ratio[2].get_data().values, np.array([1.0, np.nan, 1.1]) / VALUES)


def test_an_infinite_bin_is_marked() -> None:
    assert _texts(_draw(Curve("a", VALUES))) == ["→ ∞"]
    assert _texts(_draw(Curve("a", VALUES), edges=np.array([-np.inf, -1.0, 1.0, np.inf]), label="eta")) == [
        "→ ∞",
        "← −∞",
    ]
    assert _texts(_draw(Curve("a", VALUES), edges=np.array([15.0, 20.0, 30.0, 40.0]))) == []


@pytest.mark.parametrize(
    ("label", "edges", "scale"),
    [
        ("pt", [15.0, 30.0, 60.0, 120.0], "log"),
        ("pt", [0.0, 30.0, 60.0, 300.0], "log"),
        ("pt", [15.0, 20.0, 25.0, 30.0], "linear"),
        ("eta", [0.1, 0.5, 1.0, 2.4], "linear"),
        ("met_pt", [-1.0, 30.0, 60.0, 300.0], "linear"),
    ],
)
def test_momenta_over_a_wide_range_are_logarithmic(label: str, edges: list[float], scale: str) -> None:
    axes = _draw(Curve("a", VALUES), edges=np.array(edges), label=label).axes[0]
    assert axes.get_xscale() == scale
    assert axes.get_xlim()[1] == edges[-1]


def test_a_map_has_x_along_x_and_its_numbers() -> None:
    values = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.25]])
    figure = corrections.draw_map(
        (EDGES, np.array([-1.0, 0.0, 1.0])), values, labels=("x", "y"), value_label="weight", title="t"
    )
    figure.canvas.draw()
    drawn = figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(drawn, np.nan).reshape(2, 3), values.T)
    assert figure.axes[1].get_ylabel() == "weight"
    numbers = {text.get_text() for text in figure.axes[0].texts}
    assert {"1.000", "2.000", "3.000", "5.000", "6.250"} <= numbers
    assert "nan" not in numbers


def test_white_is_one_for_factors() -> None:
    values = np.array([[0.9, 1.0], [1.02, 0.97], [0.95, 0.99]])
    edges = (EDGES, np.array([-1.0, 0.0, 1.0]))
    figure = corrections.draw_map(edges, values, labels=("x", "y"), value_label="weight", title="t")
    assert figure.axes[0].collections[0].norm(1.0) == 0.5


def test_many_cells_have_no_numbers() -> None:
    edges = (np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    figure = corrections.draw_map(edges, np.ones((20, 20)), labels=("x", "y"), value_label="w", title="t")
    assert not figure.axes[0].texts


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, -3.0])
def test_all_the_same_values_are_drawn(value: float) -> None:
    edges = (EDGES, np.array([-1.0, 0.0, 1.0]))
    corrections.draw_map(edges, np.full((3, 2), value), labels=("x", "y"), value_label="w", title="t").canvas.draw()
    _draw(Curve("a", np.full(3, value)), Curve("b", np.full(3, value)))


@pytest.mark.parametrize(
    ("edges", "drawn"),
    [
        ([-np.inf, 0.0, 2.0, np.inf], [-2, 0, 2, 4]),
        ([3.0, np.inf], [3, 4]),
        ([-np.inf, 3.0], [2, 3]),
        ([-np.inf, np.inf], [-1, 1]),
        ([0.0, 2.0, 3.0], [0, 2, 3]),
    ],
)
def test_infinite_edges_are_drawn_nearby(edges: list[float], drawn: list[float]) -> None:
    np.testing.assert_array_equal(drawn_edges(np.array(edges)), drawn)
    values = np.ones(len(edges) - 1)
    figure = corrections.draw_curves(np.array(edges), [Curve("a", values)], label="pt", value_label="w", title="t")
    figure.canvas.draw()


def test_a_long_title_keeps_its_ends() -> None:
    assert shortened("abc", 10) == "abc"
    assert shortened("a" * 20 + "b" * 20, 11) == "aaaa…bbbbbb"


def test_dollars_in_names_are_no_formula() -> None:
    _draw(Curve("$x", VALUES), label="$HOME/x$y_")


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 values"):
        _draw(Curve("a", np.ones(2)))
    with pytest.raises(ValueError, match="curve is needed"):
        _draw()
    with pytest.raises(ValueError, match="do not fit"):
        corrections.draw_map((EDGES, EDGES), np.ones((2, 3)), labels=("x", "y"), value_label="w", title="t")
