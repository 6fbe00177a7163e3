"""Figures of what changed in a correction: both kinds, and values that are hard to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mucoffea.plotting.correction_differences import (
    DifferenceSlice,
    OverviewRow,
    draw_difference,
    draw_overview,
    write_figures,
)

PT = np.array([15.0, 30.0, 60.0, 500.0])
ETA = np.array([-2.4, 0.0, 2.4])


def two(old: np.ndarray, new: np.ndarray) -> DifferenceSlice:
    return DifferenceSlice("SF_V1 → SF_V2", "old.json", "new.json", "pt (GeV)", PT, "eta", ETA, old, new, "at nominal")


def one(old: np.ndarray, new: np.ndarray) -> DifferenceSlice:
    return DifferenceSlice("SF", "old.json", "new.json", "pt (GeV)", PT, "", np.array([]), old, new)


def test_two_inputs_have_curves_a_ratio_and_a_map() -> None:
    old = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0]])
    new = old.copy()
    new[1, 1] = 3.0
    figure = draw_difference(two(old, new))
    upper, lower, picture = figure.axes[:3]
    assert upper.get_xscale() == lower.get_xscale() == picture.get_xscale() == "log"
    ratios = [patch.get_data().values.tolist() for patch in lower.patches]
    assert [1.0, 1.5, 1.0] in ratios
    shown = picture.collections[0].get_array()
    assert np.asarray(shown).reshape(2, 3).tolist() == [[0.0, 0.0, 0.0], [0.0, 50.0, 0.0]], "per cent, rows are eta"
    assert lower.get_xlabel() == picture.get_xlabel() == "pt (GeV)"
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["SF_V1 → SF_V2", "at nominal"]


def test_one_input_has_no_map_and_values_over_decades_a_logarithmic_axis() -> None:
    figure = draw_difference(one(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 1e6])))
    assert len(figure.axes) == 2
    assert figure.axes[0].get_yscale() == "log"


def test_a_map_that_was_empty_shows_absolute_changes() -> None:
    old = np.zeros((3, 2))
    new = old.copy()
    new[0, 0] = 100.0
    figure = draw_difference(two(old, new))
    assert figure.axes[3].get_ylabel() == "change, new − old"
    assert float(np.max(figure.axes[2].collections[0].get_array())) == 100.0


@pytest.mark.parametrize(
    "new",
    [np.full((3, 2), np.nan), np.ones((3, 2)), np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, -1.0]])],
)
def test_values_that_are_missing_or_the_same(new: np.ndarray, tmp_path: Path) -> None:
    paths = write_figures(tmp_path, {"name": two(np.ones((3, 2)), new)}, None)
    assert [path.name for path in paths] == ["name.png", "name.pdf"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_the_overview_has_the_largest_first_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = [OverviewRow(f"SF{number}", 0.001 * number, 0.0005 * number) for number in range(1, 41)]
    figure = draw_overview(rows, old_label="a", new_label="b")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert (labels[0], len(labels)) == ("SF40", 30)
    assert "10 smaller ones are not shown" in figure.texts[0].get_text()
    assert [path.name for path in write_figures(tmp_path, {}, figure)] == ["overview.png", "overview.pdf"]
