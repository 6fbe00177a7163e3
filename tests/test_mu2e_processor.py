"""The Mu2e processor on toy events: additive, several cutsets as if alone, scans as if run one by one."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.processor import accumulate
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_histograms import HISTOGRAMS
from mucoffea.processors.mu2e_parameters import DT_WINDOWS, CosmicParameters
from mucoffea.schemas.eventntuple import from_columns
from mucoffea.selections.mu2e_cuts import CUTS
from mucoffea.toys.mu2e_eventntuple import ToySpec, generate_arrays

N_EVENTS = 6000
SEVERAL = ("alpha", "SU2020b", "dev", "MLPreprocess")
SCANS = {"lo_trkqual": {"start": 0, "stop": 1, "n": 5}, "hi_d0_mm": (60.0, 100.0), "hi_veto_dt_ns": (30.0, 150.0)}
METADATA = {"dataset": "toy", "kind": "mc", "on_spill": True}


@pytest.fixture(scope="module")
def cosmics() -> ak.Array:
    spec = ToySpec(sample="cosmic", events=N_EVENTS, seed=3, mix=True, inefficiency=0.1, enriched=0.3)
    return generate_arrays(spec)


def _process(array: ak.Array, parameters: CosmicParameters, **metadata: Any) -> dict[str, Any]:
    events = from_columns(array, {**METADATA, **metadata})
    return CosmicBackground(parameters).process(events)["toy"]


@pytest.fixture(scope="module")
def several(cosmics: ak.Array) -> dict[str, Any]:
    return _process(cosmics, CosmicParameters(cutsets=SEVERAL, scans=SCANS))


def _same(one: Any, two: Any) -> None:
    """Compare two results: counts exactly, histograms and columns bit for bit."""
    assert one["counters"] == two["counters"]
    assert one["cutflow"] == two["cutflow"]
    assert (one["events"], one["sumw"]) == (two["events"], two["sumw"])
    for name, histogram in one["hists"].items():
        assert histogram == two["hists"][name], name
    left, right = (ak.concatenate(result["columns"]) for result in (one, two))
    assert left.fields == right.fields
    for name in left.fields:
        assert ak.array_equal(left[name], right[name], equal_nan=True), name


@pytest.mark.parametrize("size", [1, 700])
def test_a_result_does_not_depend_on_chunks(cosmics, size):
    some = cosmics[: 12 if size == 1 else N_EVENTS]
    parameters = CosmicParameters(cutsets=("SU2020b", "dev"), scans=SCANS)
    whole = _process(some, parameters)
    parts = [_process(some[start : start + size], parameters) for start in range(0, len(some), size)]
    _same(whole, accumulate(parts))


def test_several_cutsets_in_one_pass_are_those_of_separate_passes(cosmics, several):
    for number, name in enumerate(SEVERAL):
        alone = _process(cosmics, CosmicParameters(cutsets=(name,), scans=SCANS))
        assert several["counters"]["mu2e"][name] == alone["counters"]["mu2e"][name]
        for one in HISTOGRAMS:
            for stage in ("All", "Preselect", "Select"):
                region = f"{name}/{stage}"
                theirs = alone["hists"][one.name]["toy", region, "nominal", :].view(flow=True)
                np.testing.assert_array_equal(
                    several["hists"][one.name]["toy", region, "nominal", :].view(flow=True), theirs
                )
        rows = several["columns"][0]
        rows = rows[rows.cutset == number]
        for field in ("event", "p_front", "pass_good_trkqual", "min_dT"):
            assert ak.array_equal(rows[field], alone["columns"][0][field], equal_nan=True)
        assert ak.all(rows[f"cutset_{name}"])


def test_scans_are_what_runs_with_each_threshold_give(cosmics, several):
    parameters = CosmicParameters(cutsets=("SU2020b",), scans=SCANS)
    for threshold in SCANS:
        for value in parameters.scan_values(threshold):
            run = _process(cosmics, CosmicParameters(cutsets=("SU2020b",), thresholds={threshold: value}))
            stages = run["counters"]["mu2e"]["SU2020b"]["stages"]
            expected = {stage: stages[stage]["Inclusive"] for stage in ("Select", "Unvetoed")}
            assert several["counters"]["mu2e"]["SU2020b"]["scans"][threshold][str(value)] == expected


def test_a_scan_of_a_momentum_window_asks_its_other_end(cosmics):
    scanned = _process(cosmics, CosmicParameters(scans={"hi_ext_win_mevc": (104.0, 110.0)}))
    counts = scanned["counters"]["mu2e"]["alpha"]
    assert counts["scans"]["hi_ext_win_mevc"]["110.0"]["Select"] == counts["stages"]["Select"]["Extended"]
    assert counts["scans"]["hi_ext_win_mevc"]["104.0"]["Select"] < counts["stages"]["Select"]["Extended"]


def test_leaving_one_cut_out_is_a_row_of_the_flow(cosmics, several):
    flow = several["counters"]["mu2e"]["alpha"]["cutflow"]
    for name in ("good_trkqual", "within_d0", "unvetoed", "one_reco_electron"):
        without = _process(cosmics, CosmicParameters(cuts={name: False}))["cutflow"]
        assert flow[name]["n_minus_one"] == list(without.values())[-1]["n"]


def test_stages_ask_what_they_say(several):
    """Preselect has no veto; Select has neither veto nor momentum; the rows of the flow agree with the stages."""
    for name in ("alpha", "SU2020b", "dev"):
        counts = several["counters"]["mu2e"][name]
        flow, stages = counts["cutflow"], counts["stages"]
        assert stages["All"]["Inclusive"] == N_EVENTS
        assert stages["Preselect"]["Inclusive"] == flow["is_truth_electron"]["n"]
        names = list(flow)
        before_veto = names[names.index("unvetoed") - 1]
        assert stages["Select"]["Inclusive"] == flow[before_veto]["n"]
        assert stages["Unvetoed"]["Inclusive"] == flow["unvetoed"]["n"]
        assert stages["Unvetoed"]["Wide"] == flow["within_wide_win"]["n"]
        assert stages["Unvetoed"]["Extended"] == flow["within_ext_win"]["n"]
        assert stages["Unvetoed"]["Signal"] == flow["within_sig_win"]["n"]
        for stage in stages.values():
            assert stage["Inclusive"] >= stage["Wide"] >= stage["Extended"] >= stage["Signal"]
    assert "Unvetoed" not in several["counters"]["mu2e"]["MLPreprocess"]["stages"]


def test_windows_in_dt_count_what_the_veto_does(several):
    counts = several["counters"]["mu2e"]["SU2020b"]
    assert len(counts["dt_windows"]) == len(DT_WINDOWS) == 55
    assert counts["dt_events"] == counts["stages"]["Select"]["Inclusive"]
    dev = several["counters"]["mu2e"]["dev"]
    # No dT of the toy lies on an edge of the window, so that open and closed are the same.
    before = dev["before_coincidence_times"]
    assert counts["dt_windows"]["0,150"] == before["Select"]["Inclusive"] - before["Unvetoed"]["Inclusive"]


def test_every_histogram_is_filled_at_every_stage(several):
    assert len(HISTOGRAMS) == 22
    regions = {f"{name}/{stage}" for name in SEVERAL for stage in ("All", "Preselect", "Select", "Unvetoed")}
    regions -= {"MLPreprocess/Unvetoed"}
    for one in HISTOGRAMS:
        histogram = several["hists"][one.name]
        assert histogram.axes.name == ("dataset", "region", "variation", one.name)
        assert set(histogram.axes["region"]) == regions
        for region in ("alpha/All", "alpha/Preselect", "alpha/Select"):
            assert histogram["toy", region, "nominal", :].sum(flow=True).value > 0, (one.name, region)


def test_histograms_hold_the_selected_tracks(several):
    """Each selected event has one electron fit that crosses each surface once or twice."""
    counts = several["counters"]["mu2e"]["alpha"]["stages"]["Select"]
    for name in ("trkqual", "nactive", "pdg", "trk_per_event"):
        assert several["hists"][name]["toy", "alpha/Select", "nominal", :].sum(flow=True).value == counts["Inclusive"]
    assert several["hists"]["mom_ext"]["toy", "alpha/Select", "nominal", :].sum().value == counts["Extended"]
    spectrum = several["hists"]["mom_res"]["toy", "alpha/Select", "nominal", :]
    centres, values = spectrum.axes[0].centers, spectrum.values()
    assert abs(np.average(centres, weights=values)) < 0.5


def test_rows_are_the_survivors(several):
    rows = several["columns"][0]
    survivors = rows[rows.cutset == 0]
    counts = several["counters"]["mu2e"]["alpha"]["stages"]["Unvetoed"]
    assert len(survivors) == counts["Inclusive"]
    assert ak.sum(survivors.pass_within_wide_win) == counts["Wide"]
    assert ak.all(survivors.pass_unvetoed)
    assert not ak.any(survivors.vetoed)
    assert {f"pass_{cut.name}" for cut in CUTS} <= set(rows.fields)
    order = ak.to_numpy(rows.event).astype(np.int64) * 10 + ak.to_numpy(rows.cutset)
    in_subrun = ak.to_numpy(rows.subrun).astype(np.int64) * 10**9 + order
    assert (np.diff(in_subrun) > 0).all()


def test_what_is_said_of_a_missed_event_is_so(several):
    rows = several["columns"][0]
    rows = rows[rows.cutset == 0]
    none = rows[rows.missed == 1]
    outside = rows[rows.missed == 3]
    assert len(none) + len(outside) == len(rows) > 0
    assert ak.all(none.n_coincidences == 0)
    assert ak.all(np.isnan(none.min_dT))
    assert ak.all(np.abs(outside.min_dT) >= 150)
    np.testing.assert_allclose(outside.missed_by, np.abs(outside.min_dT) - 150)


def test_selected_events_can_be_kept_and_rows_left_out(cosmics):
    selected = _process(cosmics, CosmicParameters(columns="selected"))
    assert len(selected["columns"][0]) == selected["counters"]["mu2e"]["alpha"]["stages"]["Select"]["Inclusive"]
    assert ak.any(selected["columns"][0].vetoed)
    assert "columns" not in _process(cosmics, CosmicParameters(columns="none"))


def test_the_recipe_says_every_region_and_active_cut():
    analysis = CosmicBackground(CosmicParameters(cutsets=("alpha", "gamma")))
    recipe = analysis.recipe()
    assert set(recipe.regions) == set(analysis.regions)
    assert "alpha: > 0.8; gamma: > 0.2" in recipe.cuts["good_trkqual"]
    assert "alpha: < 680; gamma: off" in recipe.cuts["within_lhr_max_hi"]
    assert recipe.cuts["unvetoed"].endswith("-150 < dT < 150 ns")
    assert "within_lhr_max_lo" not in recipe.cuts
    assert list(recipe.regions["alpha/Preselect"]) == [cut.name for cut in CUTS[:5]]
    assert CosmicBackground.corrections(CosmicParameters()) == {}


def test_requirements_follow_the_parameters():
    def needed(kind: Any, **parameters: Any) -> set[str]:
        found = CosmicBackground(CosmicParameters(**parameters)).requirements(kind, None)
        return {branch for one in found if one.need == "all" for branch in one.branches}

    assert {"trk.mcsim.pdg", "trk.pars.d0", "trk.segs.mom.x", "crv.time"} <= needed("mc")
    assert not any("mcsim" in name for name in needed("data"))
    assert "trk.mcsim.pdg" not in needed("mc", cuts={"is_truth_electron": False})
    assert "trk.ch.d0" in needed("mc", fit="ch")
    assert "crv.timeStart" not in needed("mc")
    assert "crv.timeStart" in needed("mc", cutsets=("dev",)) & needed("mc", coincidence_time="filter")
