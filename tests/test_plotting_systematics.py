"""Figures of systematic sources: the numbers on them, and that they are not blank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from mucoffea.outputs.report import SourceReport
from mucoffea.outputs.systematics_table import largest, table
from mucoffea.plotting.notes import StackNotes
from mucoffea.plotting.style import style
from mucoffea.plotting.systematics import draw_largest, draw_source, plot_largest, plot_source, source_content

from .support.figures import check_files
from .support.varied_result import NOMINAL, REGION, bundle

SOURCE = SourceReport(name="muon_scale", label="muon momentum scale", kind="shape", variations=("up", "down"))
TILT = np.array([1, 1.1, 1.05, 1, 0.8, 1])
NOTES = StackNotes(luminosity=59.8, com_energy=13, era="2018", region="signal", experiment="mucoffea")
CONTENTS = {
    "z": {"nominal": NOMINAL, "up": TILT * NOMINAL, "down": NOMINAL / TILT},
    "tt": {"nominal": np.array([0, 0, 0, 10.0, 0, 0])},
}


def drawn_steps(axes: Axes) -> list[np.ndarray]:
    return [patch.get_data().values for patch in axes.patches if not patch.get_fill()]


def test_the_figure_shows_nominal_up_down_and_their_ratio():
    content = source_content(bundle(CONTENTS, [SOURCE]), "mass", REGION, SOURCE, "z")
    np.testing.assert_allclose(content.ratio_up, TILT[1:-1])
    np.testing.assert_allclose(content.band, 1 / np.sqrt(NOMINAL[1:-1]))
    with style():
        main, ratio = draw_source(content, SOURCE, NOTES).axes
    inside = NOMINAL[1:-1]
    for shown, expected in zip(drawn_steps(main), (inside, inside * TILT[1:-1], inside / TILT[1:-1]), strict=True):
        np.testing.assert_allclose(shown, expected)
    np.testing.assert_allclose(drawn_steps(ratio)[0], TILT[1:-1])
    assert ratio.get_ylim()[0] < 0.8 < 1.25 < ratio.get_ylim()[1]
    assert [text.get_text() for text in main.get_legend().get_texts()] == ["Nominal", "Up", "Down"]
    assert {"muon momentum scale", "signal"} <= {text.get_text() for text in main.texts}
    assert main.get_ylim()[1] > 105


def test_bins_without_nominal_yield_have_no_ratio():
    content = source_content(bundle(CONTENTS, [SOURCE]), "mass", REGION, SOURCE, "tt")
    assert np.isnan(content.ratio_up).tolist() == [True, True, False, True]
    whole = source_content(bundle(CONTENTS, [SOURCE]), "mass", REGION, SOURCE)
    np.testing.assert_allclose(whole.nominal, NOMINAL[1:-1] + np.array([0, 0, 10, 0]))


def test_the_chart_has_a_bar_for_each_shift():
    rows = largest(table(bundle(CONTENTS, [SOURCE]), [SOURCE], ["mass"]))
    assert len(rows) == 3
    with style():
        (axes,) = draw_largest(rows, NOTES, {SOURCE.name: SOURCE.label}).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([*(row.up for row in rows), *(row.down for row in rows)])
    assert {text.get_text() for text in axes.get_yticklabels()} == {
        "muon momentum scale, z",
        "muon momentum scale, tt",
        "muon momentum scale, total",
    }


def test_files_are_written(tmp_path: Path):
    content = source_content(bundle(CONTENTS, [SOURCE]), "mass", REGION, SOURCE)
    check_files(plot_source(tmp_path / "one" / "source", content, SOURCE, NOTES))
    rows = largest(table(bundle(CONTENTS, [SOURCE]), [SOURCE], ["mass"]))
    check_files(plot_largest(tmp_path / "two" / "largest", rows, NOTES))
    check_files(plot_largest(tmp_path / "three" / "none", [], NOTES))
