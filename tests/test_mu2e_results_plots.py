"""Figures of the Mu2e analysis: what is drawn where, and that every command leaves its files."""

from __future__ import annotations

import json

import matplotlib
import numpy as np
import pytest
from mucoffea.cli import main
from mucoffea.cli.mu2e_plots import cosmic_parents, cutset_of, stage_histograms
from mucoffea.cli.mu2e_results import read_result, samples
from mucoffea.plotting import mu2e
from mucoffea.plotting.mu2e_style import STAGE_STYLES, STYLE_FILE, Head, cut_lines, mu2e_style
from mucoffea.processors.mu2e_parameters import CosmicParameters

from .support.mu2e_result import counters, exposure, histograms, write_result

HEAD = Head("made up")


@pytest.fixture
def saved(monkeypatch):
    """Keep figures instead of writing them."""
    kept = []

    def keep(figure, stem):
        kept.append(figure)
        return stem.with_suffix(".png"), stem.with_suffix(".pdf")

    monkeypatch.setattr(mu2e, "save", keep)
    return kept


def stages(name):
    one = histograms("d", "c")[name]
    return {stage: one["d", f"c/{stage}", "nominal", :] for stage in STAGE_STYLES}


def lines_in(axes):
    """Where dashed vertical lines are."""
    return [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata()) == 2]


def test_lines_are_those_of_active_cuts_alone():
    (alpha,) = CosmicParameters(cutsets=("alpha",)).resolved()
    lines = cut_lines(alpha.thresholds, alpha.active)
    assert lines["d0"] == (100,)
    assert lines["maxr"] == (680,)  # the lower limit is off
    assert lines["dT"] == (-150, 150)
    assert lines["pitch_angle"] == (0.5, 1.0)
    assert lines["mom_z"] == (0.0,)
    assert "coinc_start_time" not in lines
    off = cut_lines(alpha.thresholds, {**alpha.active, "within_d0": False, "is_downstream": False})
    assert not {"d0", "mom_z"} & set(off)


def test_the_summary_draws_them_where_they_belong(tmp_path, saved):
    names = [name for row in mu2e.SUMMARY for name in row]
    mu2e.plot_summary(
        tmp_path / "s", {name: stages(name) for name in names}, HEAD, lines={"d0": (100.0,), "mom_z": (0.0,)}
    )
    (figure,) = saved
    assert len(figure.axes) == 12
    drawn = {name: lines_in(axes) for name, axes in zip(names, figure.axes, strict=True)}
    assert {name: places for name, places in drawn.items() if places} == {"mom_z": [0.0], "d0": [100.0]}


def test_legends_count_events_not_histogram_entries(tmp_path, saved):
    names = ("mom_full", "mom_wide", "mom_ext", "mom_sig")
    counts = {stage: {"Inclusive": 1234, "Wide": 5, "Extended": 6, "Signal": 7} for stage in STAGE_STYLES}
    mu2e.plot_momentum_windows(tmp_path / "m", {name: stages(name) for name in names}, HEAD, counts=counts)
    texts = [text.get_text() for text in saved[0].axes[0].get_legend().get_texts()]
    assert texts == [f"{stage}: 1,234" for stage in STAGE_STYLES]
    assert [axes.get_title(loc="left") for axes in saved[0].axes] == ["Inclusive", "Wide", "Extended", "Signal"]


def test_crv_positions_have_unit_area(tmp_path, saved):
    mu2e.plot_crv_z(tmp_path / "c", stages("crv_z"), HEAD)
    drawn = [patch.get_data() for patch in saved[0].axes[0].patches]
    assert len(drawn) == 3
    for values, edges, _ in drawn:
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)


def test_dt_shades_the_window_and_nothing_without_a_veto(tmp_path, saved):
    mu2e.plot_dt(tmp_path / "a", stages("dT"), HEAD, window=(0, 150))
    mu2e.plot_dt(tmp_path / "b", stages("dT"), HEAD)
    with_veto, without = (figure.axes[0] for figure in saved)
    assert lines_in(with_veto) == [0, 150]
    assert lines_in(without) == []


def test_bars_of_cosmic_parents_are_counts_or_percent(tmp_path, saved):
    codes = {"Unvetoed": {13: 6, -13: 4, 2112: 2}}
    mu2e.plot_cosmic_parents(tmp_path / "a", codes, HEAD)
    mu2e.plot_cosmic_parents(tmp_path / "b", codes, HEAD, percent=True)
    heights = [[patch.get_height() for patch in figure.axes[0].patches] for figure in saved]
    assert heights[0] == [6, 4, 2]
    assert sum(heights[1]) == pytest.approx(100)


def test_nothing_to_draw_is_said(tmp_path, saved):
    mu2e.plot_dt(tmp_path / "a", {}, HEAD)
    mu2e.plot_cosmic_parents(tmp_path / "b", {}, HEAD)
    for figure in saved:
        assert "no entries" in [text.get_text() for text in figure.axes[0].texts]


def test_the_style_comes_from_its_file_and_goes_away_again():
    before = dict(matplotlib.rcParams)
    with mu2e_style():
        assert matplotlib.rcParams["xtick.direction"] == "in"
        assert matplotlib.rcParams["axes.linewidth"] == 2
    assert dict(matplotlib.rcParams) == before
    assert "font.family" in STYLE_FILE.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_result(tmp_path_factory.mktemp("mu2e") / "result", exposed=exposure())


def test_what_is_drawn_comes_from_the_result(folder):
    result = read_result(folder)
    (sample,) = samples(result, None)
    found = stage_histograms(result, sample)
    assert len(found) == 22
    assert set(found["dT"]) == set(STAGE_STYLES)
    assert cosmic_parents(result, sample) == {"Unvetoed": {13: 6, -13: 4, 2112: 2}}
    assert cutset_of(result, "SU2020b").thresholds["lo_trkqual"] == 0.2


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("rates", "rates.png rates.pdf"),
        ("scan", "scan_lo_trkqual.png"),
        pytest.param("windows", "window_maps.png window_choice.pdf", marks=pytest.mark.slow),
        pytest.param("project", "projection.pdf", marks=pytest.mark.slow),
    ],
)
def test_every_tool_draws(folder, tmp_path, tool, expected):
    assert main(["mu2e", tool, str(folder), "--output-dir", str(tmp_path)]) == 0
    assert all((tmp_path / name).exists() for name in expected.split())


@pytest.mark.slow
def test_plots_draws_every_figure(folder, tmp_path):
    assert main(["mu2e", "plots", str(folder), "--output-dir", str(tmp_path)]) == 0
    names = {path.name for path in (tmp_path / "plots" / "toy_cosmics" / "SU2020b").iterdir()}
    stems = ("momentum_windows", "summary", "momentum_summary", "dt", "crv_z", "cosmic_parents")
    assert names == {f"{stem}.{end}" for stem in stems for end in ("png", "pdf")}


def test_a_blinded_signal_window_leaves_its_panel_empty(tmp_path, saved):
    blind = counters()
    for by_window in blind["stages"].values():
        del by_window["Signal"]
    result = write_result(tmp_path / "r", exposed=exposure(), counts=blind)
    assert main(["mu2e", "rates", str(result), "--no-plots"]) == 0
    content = json.loads((result / "mu2e" / "rates.json").read_text())
    assert any("blinded" in remark for remark in content["tables"][0]["remarks"])
    names = ("mom_full", "mom_wide", "mom_ext")
    mu2e.plot_momentum_windows(tmp_path / "m", {name: stages(name) for name in names}, HEAD, counts=blind["stages"])
    assert "no entries" in [text.get_text() for text in saved[0].axes[3].texts]
