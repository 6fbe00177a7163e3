"""Cut flows: yields, order of the cuts, N−1 efficiencies with their errors, and the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mucoffea.plotting.cut_flow import cut_flow_content, cut_order, n_minus_one_content, plot_cut_flow, plot_n_minus_one

from .support.figures import FLOW, NOTES, check_files, flow


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
