"""Figures: the numbers on them, the files, their look where it can be measured, and χ²."""

from __future__ import annotations

import itertools
import logging
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import hist
import matplotlib
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from mucoffea.errors import UserError
from mucoffea.plotting.agreement import chi2
from mucoffea.plotting.content import data_points, event_label
from mucoffea.plotting.cut_flow import (
    cut_flow_content,
    cut_order,
    n_minus_one_content,
    plot_cut_flow,
    plot_n_minus_one,
)
from mucoffea.plotting.notes import luminosity_line
from mucoffea.plotting.stack import StackNotes, draw_stack, plot_stack, stack_content
from mucoffea.plotting.style import PALETTE, process_colours, readable, save, style

LABEL = r"$m_{\mu\mu}$ [GeV]"
NOTES = StackNotes(
    luminosity=16.8, com_energy=13, era="2016postVFP", agreement=r"$\chi^2$/ndf = 41.2/39 (uncorrected 812/39)"
)


def make(values: list[float], variances: list[float] | None = None, axis: object = None) -> hist.Hist:
    """A histogram with the given contents, two GeV a bin from 80 GeV on unless an axis is given."""
    axis = axis or hist.axis.Regular(len(values), 80, 80 + 2 * len(values), name="mass", label=LABEL)
    histogram = hist.Hist(axis, storage=hist.storage.Weight())
    histogram.view()["value"] = values
    histogram.view()["variance"] = np.abs(values) if variances is None else variances
    return histogram


def peak(n: int = 20000, seed: int = 1, weight: float = 1.0) -> hist.Hist:
    rng = np.random.default_rng(seed)
    mass = np.concatenate([rng.normal(91, 2.5, n), rng.uniform(60, 120, n // 10)])
    axis = hist.axis.Regular(30, 60, 120, name="mass", label=LABEL)
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(mass, weight=np.full(mass.size, weight))


def flow(counts: list[int], minus_one: list[int], weight: float = 1.0) -> dict[str, dict[str, float]]:
    """A cut flow ``all``, ``cut 0``, … with the same weight for every event."""
    names = ["all", *(f"cut {index}" for index in range(len(counts) - 1))]
    return {
        name: {
            "n": n,
            "sumw": n * weight,
            "sumw2": n * weight**2,
            "n_minus_one": rest,
            "sumw_minus_one": rest * weight,
            "sumw2_minus_one": rest * weight**2,
        }
        for name, n, rest in zip(names, counts, minus_one, strict=True)
    }


FLOW = flow([1000, 800, 400], [400, 500, 800], weight=0.5)


def drawn(**arguments: object) -> Figure:
    data, simulation = arguments.pop("data", None), arguments.pop("simulation", {})
    content = stack_content(data, simulation, arguments.pop("uncorrected", None))
    with style():
        figure = draw_stack(content, arguments.pop("notes", NOTES), colours=process_colours(simulation), **arguments)
        figure.canvas.draw()
    return figure


def check_files(paths: tuple[Path, Path]) -> None:
    png, pdf = paths
    image = matplotlib.image.imread(png)
    assert image.shape[0] > 200
    assert image.shape[1] > 600
    assert image[..., :3].std() > 0.02, "the figure is blank"
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in png.parent.iterdir()) == sorted({png.name, pdf.name})


# --- χ² ---------------------------------------------------------------------------------------------------


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


# --- the numbers of a stack -------------------------------------------------------------------------------


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


# --- the figure -------------------------------------------------------------------------------------------


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


# --- files ------------------------------------------------------------------------------------------------

REPRODUCE = """
import sys
from pathlib import Path
import hist, numpy as np
from mucoffea.plotting.stack import StackNotes, plot_stack
h = hist.Hist(hist.axis.Regular(10, 0, 1, name="x", label="x [cm]"), storage=hist.storage.Weight())
h.fill(np.linspace(0, 1, 500) ** 2)
plot_stack(Path(sys.argv[1]), data=h, simulation={"Z": 0.6 * h, "tt": 0.4 * h}, uncorrected=(None, 1.2 * h),
           notes=StackNotes(agreement=r"$\\chi^2$/ndf = 1/2", warnings=("PARTIAL",)))
"""


def test_files_are_the_same_bytes_from_any_process(tmp_path: Path) -> None:
    contents = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"}
        stem = tmp_path / seed / "figure"
        subprocess.run([sys.executable, "-W", "error", "-c", REPRODUCE, str(stem)], env=environment, check=True)
        contents.append([(stem.parent / f"figure.{kind}").read_bytes() for kind in ("png", "pdf")])
    assert contents[0] == contents[1]
    assert b"/CreationDate" not in contents[0][1]


def test_two_calls_give_the_same_bytes_and_leave_no_state(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    arguments = {"data": peak(), "simulation": {"Z": peak(seed=2)}, "notes": NOTES}
    first = [path.read_bytes() for path in plot_stack(tmp_path / "mass", **arguments)]
    second = [path.read_bytes() for path in plot_stack(tmp_path / "mass", **arguments)]
    assert first == second
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_a_stem_with_dots_keeps_its_name(tmp_path: Path) -> None:
    paths = plot_stack(tmp_path / "new" / "mass.v1.5", data=peak(), simulation={}, notes=NOTES)
    assert [path.name for path in paths] == ["mass.v1.5.png", "mass.v1.5.pdf"]
    check_files(paths)


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"file/mass\.png' cannot be written: .*output folder"):
        plot_stack(tmp_path / "file" / "mass", data=peak(), simulation={}, notes=NOTES)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mass.png").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save(Figure(), tmp_path / "mass")
    assert [path.name for path in tmp_path.iterdir()] == ["mass.png"]
    assert (tmp_path / "mass.png").read_bytes() == b"old"


def test_files_are_plain_readable_files(tmp_path: Path) -> None:
    (tmp_path / "reference").touch()
    expected = stat.S_IMODE((tmp_path / "reference").stat().st_mode)
    for path in save(Figure(), tmp_path / "mass"):
        assert stat.S_IMODE(path.stat().st_mode) == expected


def test_colours_are_distinct_chosen_first_and_stable() -> None:
    assert len(set(PALETTE)) == 10
    assert process_colours(["a", "b"]) == {"a": PALETTE[0], "b": PALETTE[1]}
    chosen = process_colours(["a", "b", "c"], {"b": PALETTE[0], "unused": "red"})
    assert chosen == {"a": PALETTE[1], "b": PALETTE[0], "c": PALETTE[2]}
    assert len(process_colours([str(index) for index in range(25)])) == 25


# --- cut flows --------------------------------------------------------------------------------------------


def test_cut_flow_yields_and_errors() -> None:
    content = cut_flow_content({"Z": FLOW})
    assert content.cuts == ("all", "cut 0", "cut 1")
    values, errors = content.series["Z"]
    np.testing.assert_allclose(values, [500, 400, 200])
    np.testing.assert_allclose(errors, 0.5 * np.sqrt([1000, 800, 400]))
    values, errors = cut_flow_content({"Z": FLOW}, weighted=False).series["Z"]
    np.testing.assert_allclose(values, [1000, 800, 400])
    np.testing.assert_allclose(errors, np.sqrt([1000, 800, 400]))


def test_cuts_of_several_flows_keep_their_order() -> None:
    simulation = {cut: {"n": 1.0} for cut in ("all", "a", "b")}
    data = {cut: {"n": 1.0} for cut in ("all", "golden", "a", "b", "c")}
    assert cut_order([simulation, data]) == ("all", "golden", "a", "b", "c")
    assert cut_order([data, simulation]) == ("all", "golden", "a", "b", "c")
    assert cut_order([]) == ()


def test_n_minus_one_is_binomial_without_weights() -> None:
    content = n_minus_one_content({"Z": FLOW})
    assert content.cuts == ("cut 0", "cut 1")
    values, errors = content.series["Z"]
    np.testing.assert_allclose(values, [400 / 500, 400 / 800])
    np.testing.assert_allclose(errors, [np.sqrt(0.8 * 0.2 / 500), np.sqrt(0.5 * 0.5 / 800)])


def test_n_minus_one_error_of_weighted_events_is_the_spread_of_toys() -> None:
    rng = np.random.default_rng(5)
    efficiencies, errors = [], []
    for _ in range(400):
        weight = rng.choice([-1.0, 1.0, 2.0], size=2000, p=[0.1, 0.6, 0.3])
        kept = weight[rng.random(2000) < 0.7]
        total = {"sumw": weight.sum(), "sumw2": (weight**2).sum()}
        passed = {"sumw": kept.sum(), "sumw2": (kept**2).sum()}
        passed |= {"sumw_minus_one": total["sumw"], "sumw2_minus_one": total["sumw2"]}
        (value,), (error,) = n_minus_one_content({"Z": {"all": total, "cut": passed}}).series["Z"]
        efficiencies.append(value)
        errors.append(error)
    assert np.std(efficiencies) == pytest.approx(np.mean(errors), rel=0.15)


FLOWS = {
    "several": {"Data": flow([990, 700, 390], [390, 490, 700]), "Z → μμ": FLOW, r"$t\bar{t}$": FLOW},
    "none": {},
    "no events": {"Z": flow([0, 0, 0], [0, 0, 0])},
    "negative": {"Z": flow([10, 8, 4], [4, 5, 8], weight=-1.0)},
    "only all": {"Z": {"all": {"n": 1, "sumw": 1.0, "sumw2": 1.0}}},
    "absent cut": {"Z": FLOW, "Data": {name: FLOW[name] for name in ("all", "cut 1")}},
    "long names": {
        f"DYJetsToLL_M-50_{index}": {f"a cut with a very long name {k}": v for k, v in FLOW.items()}
        for index in range(6)
    },
}


@pytest.mark.parametrize("case", FLOWS)
def test_cut_flows_are_drawn(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notes = NOTES.model_copy(update={"warnings": ("PARTIAL: 3 of 10 files",)})
    check_files(plot_cut_flow(tmp_path / "a" / "cut_flow", FLOWS[case], notes=notes))
    check_files(plot_cut_flow(tmp_path / "b" / "cut_flow", FLOWS[case], notes=notes, weighted=False))
    check_files(plot_n_minus_one(tmp_path / "c" / "n_minus_one", FLOWS[case], notes=notes))
    assert not caplog.records


def test_cut_flow_files_are_deterministic(tmp_path: Path) -> None:
    for plot in (plot_cut_flow, plot_n_minus_one):
        runs = [[path.read_bytes() for path in plot(tmp_path / name, FLOWS["several"], notes=NOTES)] for name in "ab"]
        assert runs[0] == runs[1]
