"""The figure of a stack: the numbers on it, its text, and its look where it can be measured."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import hist
import numpy as np
import pytest
from mucoffea.plotting.cut_flow import plot_cut_flow, plot_n_minus_one
from mucoffea.plotting.notes import luminosity_line
from mucoffea.plotting.stack import StackNotes, plot_stack, stack_content
from mucoffea.plotting.style import PALETTE, process_colours, readable

from .support.figures import FLOW, LABEL, NOTES, check_files, drawn, make, peak


def test_the_figure_shows_the_numbers() -> None:
    simulation = {"Z": make([80, 40]), "ZZ": make([20, 10])}
    main, ratio = drawn(data=make([110, 45]), simulation=simulation, uncorrected=(None, make([88, 90]))).axes
    points = main.containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata(), [110, 45])
    stacked = [patch.get_data().values for patch in main.patches if patch.get_fill()]
    np.testing.assert_allclose(stacked[:2], [[100, 50], [20, 10]])
    np.testing.assert_allclose(ratio.containers[0].lines[0].get_ydata(), [1.25, 0.5])
    np.testing.assert_allclose(ratio.containers[1].lines[0].get_ydata(), [1.1, 0.9])
    legend = [text.get_text() for text in main.get_legend().get_texts()]
    assert legend == ["Data", "Z", "ZZ", "Stat. uncertainty", "Uncorrected"]
    assert main.get_ylabel() == "Events / 2 GeV"
    assert ratio.get_xlabel() == LABEL
    assert ratio.get_ylim()[0] <= 0.5


def test_ratios_beyond_the_panel_are_marked() -> None:
    contents = [400.0] * 40
    ratio = drawn(data=make([1200.0, *contents[1:]]), simulation={"Z": make(contents)}).axes[1]
    marks = [line for line in ratio.lines if line.get_marker() == "^"]
    np.testing.assert_allclose(marks[0].get_xdata(), [81])
    assert ratio.get_ylim()[1] < 3
    assert ratio.get_ylim()[0] < marks[0].get_ydata()[0] < ratio.get_ylim()[1]


def test_large_yields_put_their_power_into_the_label() -> None:
    main = drawn(data=None, simulation={"Z": make([4e6, 2e6])}).axes[0]
    assert main.get_ylabel() == "$10^{6}$ events / 2 GeV"
    assert max(float(text.get_text()) for text in main.get_yticklabels()) < 10


def test_notes_and_warnings_are_written() -> None:
    warnings = ("PARTIAL: 3 of 10 files", "not normalised: no cross section", "no era: corrections off")
    notes = NOTES.model_copy(update={"warnings": warnings, "label": "Work in progress", "region": "two muons"})
    figure = drawn(data=peak(), simulation={"Z": peak(seed=2)}, notes=notes)
    written = "\n".join(text.get_text() for text in [*figure.texts, *figure.axes[0].texts])
    for expected in (*warnings, "mucoffea demo", "Work in progress", "two muons", "16.8", "13 TeV", "41.2/39"):
        assert expected in written
    assert "CMS" not in written
    assert "Simulation" not in written


def test_luminosity_line_leaves_out_what_is_unknown() -> None:
    assert luminosity_line(NOTES) == "16.8 fb$^{-1}$, 2016postVFP (13 TeV)"
    assert luminosity_line(StackNotes(era="2018")) == "2018"
    assert luminosity_line(StackNotes(com_energy=13.6)) == "(13.6 TeV)"
    assert luminosity_line(StackNotes()) == ""


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("processes", [1, 4, 11])
def test_nothing_overlaps(log: bool, processes: int) -> None:
    long = {"label": "Work in progress", "experiment": "CMS Open Data", "warnings": ("a long warning " * 12,)}
    simulation = {f"Process with name {index}": peak(seed=index, weight=0.2) for index in range(processes)}
    figure = drawn(data=peak(), simulation=simulation, log=log, notes=NOTES.model_copy(update=long))
    main = figure.axes[0]
    legend = main.get_legend().get_window_extent()
    inside = [text for text in main.texts if text.get_position()[1] < 1]
    head = [text for text in main.texts if text not in inside and text.get_text().strip()]
    assert len(inside) == 1
    assert len(head) == 3
    assert not any(text.get_window_extent().overlaps(legend) for text in inside)
    boxes = sorted((text.get_window_extent() for text in head), key=lambda box: box.x0)
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes)), "the line above the axes overlaps"
    assert boxes[-1].y1 < figure.texts[0].get_window_extent().y0, "the warnings lie above that line"
    lowest = min([legend.y0, *(text.get_window_extent().y0 for text in inside)])
    content = stack_content(peak(), simulation)
    highest = max((content.data.values + content.data.high).max(), content.total.max())
    assert main.transData.transform((60, highest))[1] < lowest, "the contents reach into the legend"
    everything = [*main.texts, *figure.texts, main.yaxis.label, figure.axes[1].xaxis.label]
    for text in everything:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text


EMPTY = make([0.0] * 5)


CASES = {
    "data and simulation": (make([5, 9, 30, 8, 0]), {"Z": make([5, 8, 31, 9, 1]), "tt": make([1, 1, 1, 1, 1])}),
    "data only": (make([5, 9, 30, 8, 0]), {}),
    "simulation only": (None, {"Z": make([5, 8, 31, 9, 1]), "tt": make([1, 1, 1, 1, 1])}),
    "one process": (make([5, 9, 30, 8, 0]), {"Z": make([5, 8, 31, 9, 1])}),
    "empty": (EMPTY, {"Z": EMPTY}),
    "empty data": (EMPTY, {"Z": make([5, 8, 31, 9, 1])}),
    "negative bins": (make([5, 9, 30, 8, 0]), {"Z": make([5, 8, -31, 9, 1]), "tt": make([-9, 1, 1, 1, -1])}),
    "all negative": (None, {"Z": make([-5.0, -3.0, -1.0])}),
    "tiny": (None, {"Z": make([1e-9, 3e-9], [1e-19, 1e-19])}),
    "huge": (make([1e9, 2e9]), {"Z": make([1e9, 2e9])}),
    "one bin": (make([3.0]), {"Z": make([2.5])}),
    "variable": tuple(
        f(make([3.0, 9.0], axis=hist.axis.Variable([0, 1, 5], label="d [mm]")))
        for f in (lambda h: h, lambda h: {"Z": h})
    ),
    "categories": (make([3.0, 9.0], axis=hist.axis.StrCategory(["signal", "control"], label="region")), {}),
    "no flow": (make([3.0, 9.0], axis=hist.axis.Regular(2, 0, 1, flow=False, name="x")), {}),
    "unicode": (None, {"Z → μμ": make([5.0]), r"$t\bar{t}$": make([1.0]), "日 ⁻": make([2.0])}),
}


@pytest.mark.parametrize("log", [False, True], ids=["linear", "log"])
@pytest.mark.parametrize("case", [name for name in CASES if name != "unicode"])
def test_every_case_is_drawn(case: str, log: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, simulation = CASES[case]
    with caplog.at_level(logging.WARNING):
        check_files(plot_stack(tmp_path / "mass", data=data, simulation=simulation, notes=NOTES, log=log))
    assert not caplog.records, "matplotlib complains, for example about fonts"


def test_greek_arrows_and_superscripts_have_glyphs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    simulation = {"Z → μμ": make([5.0]), r"$t\bar{t}$, $\sigma_{\eta}$": make([1.0]), "√s ⁻¹ ≥ Δφ − ℓ": make([2.0])}
    check_files(plot_stack(tmp_path / "mass", data=None, simulation=simulation, notes=NOTES))
    assert not caplog.records


def test_labels_that_are_no_formula_are_written_as_they_are(tmp_path: Path) -> None:
    broken = r"$HOME/\nosuch$"
    notes = StackNotes(experiment=broken, label=broken, era=broken, agreement=broken, warnings=(broken, "$a$"))
    axis = hist.axis.Regular(1, 0, 1, label=broken)
    arguments = {"data": make([2.0], axis=axis), "simulation": {broken: make([2.0], axis=axis)}, "notes": notes}
    figure = drawn(**arguments)
    assert figure.axes[1].get_xlabel() == r"\$HOME/\nosuch\$"
    flows = {broken: {"all": FLOW["all"], broken: FLOW["cut 0"]}}
    check_files(plot_stack(tmp_path / "a" / "mass", **arguments))
    check_files(plot_cut_flow(tmp_path / "b" / "flow", flows, notes=notes))
    check_files(plot_n_minus_one(tmp_path / "c" / "flow", flows, notes=notes))
    assert readable(LABEL) == LABEL
    assert readable("5 $ and μ") == "5 $ and μ"


def test_simulation_alone_has_no_ratio_panel() -> None:
    assert len(drawn(simulation={"Z": peak()}).axes) == 1
    assert len(drawn(data=peak()).axes) == 1
    assert len(drawn(data=peak(), simulation={"Z": peak()}).axes) == 2


def test_colours_are_distinct_chosen_first_and_stable() -> None:
    assert len(set(PALETTE)) == 10
    assert process_colours(["a", "b"]) == {"a": PALETTE[0], "b": PALETTE[1]}
    chosen = process_colours(["a", "b", "c"], {"b": PALETTE[0], "unused": "red"})
    assert chosen == {"a": PALETTE[1], "b": PALETTE[0], "c": PALETTE[2]}
    assert len(process_colours([str(index) for index in range(25)])) == 25
