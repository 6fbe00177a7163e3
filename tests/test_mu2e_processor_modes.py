"""Modes of the Mu2e processors: data, beam off, other fits, blind, coincidence times, a trained veto; and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.processors.mu2e_coincidences import CoincidenceParameters, CoincidenceTable, coincidence_table
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_event_info import why_missed
from mucoffea.processors.mu2e_parameters import CosmicParameters
from mucoffea.schemas.eventntuple import from_columns
from mucoffea.toys.mu2e_eventntuple import ToySpec, generate_arrays

from .support.mu2e_events import BACK, FRONT, MID, coincidence, events, segment, track

COLUMNS = (
    *("run", "subrun", "event", "dT", "crv_x", "crv_y", "crv_z", "PEs", "nHits", "nLayers", "angle", "timeStart"),
    *("timeEnd", "crv_time", "sector", "PEs_per_hit", "t0", "d0", "tanDip", "maxr", "mom_mag", "has_coincidence"),
)
GOOD = ([track()], [])


def _at(p: float, **leaves: Any) -> tuple[list, list]:
    return [track([segment(FRONT, p=p), segment(MID), segment(BACK)], **leaves)], []


def _process(array: Any, **parameters: Any) -> dict[str, Any]:
    return CosmicBackground(CosmicParameters(**parameters)).process(array)["hand"]


def _stages(array: Any, **parameters: Any) -> dict[str, dict[str, int]]:
    return _process(array, **parameters)["counters"]["mu2e"]["alpha"]["stages"]


# Data, spill, fits.


def test_data_have_no_cut_on_truth():
    result = _process(events([GOOD, _at(120.0)], kind="data"))
    assert "is_truth_electron" not in result["cutflow"]
    assert result["counters"]["mu2e"]["alpha"]["stages"]["Select"] == {
        "Inclusive": 2,
        "Wide": 2,
        "Extended": 1,
        "Signal": 1,
    }
    assert not any(name.startswith(("mc_", "parent_", "p_true")) for name in result["columns"][0].fields)
    assert result["hists"]["mom_res"].sum(flow=True).value == 0


def test_simulation_without_truth_is_an_error_that_says_how_to_go_on():
    array = events([GOOD], without=("trkmcsim", "trksegsmc"))
    with pytest.raises(UserError, match=r"is_truth_electron .* trkmcsim.*--set cuts.is_truth_electron=false"):
        _process(array)
    assert _stages(array, cuts={"is_truth_electron": False})["Select"]["Inclusive"] == 1


def test_without_beam_there_is_no_cut_on_t0():
    late = [track([segment(FRONT), segment(MID, time=50_000.0), segment(BACK)])], []
    assert _stages(events([late], on_spill=False))["Select"]["Inclusive"] == 1
    assert _stages(events([late]))["Select"]["Inclusive"] == 0
    assert _stages(events([late]), spill="off")["Select"]["Inclusive"] == 1
    assert _stages(events([late], on_spill=None, spill="off"))["Select"]["Inclusive"] == 1


def test_an_unknown_spill_is_an_error_not_a_default():
    with pytest.raises(UserError, match="--set spill=on"):
        _process(events([GOOD], on_spill=None))


def test_a_central_helix_is_read_by_its_name():
    array = events([GOOD, _at(104.0)])
    parameters = ak.with_field(array.trk.lh, -array.trk.lh.d0, "d0")
    central = ak.with_field(array, ak.with_field(array.trk, parameters, "ch"), "trk")
    result = _process(central, fit="ch")
    assert result["counters"]["mu2e"]["alpha"]["stages"]["Select"]["Inclusive"] == 2
    assert result["columns"][0].d0.tolist() == [50.0, 50.0]


def test_a_line_has_no_radius_to_cut_on():
    array = events([GOOD])
    line = ak.with_field(array, ak.with_field(array.trk, array.trk.lh[["d0", "t0err"]], "kl"), "trk")
    with pytest.raises(UserError, match="maxr of the fit"):
        _process(line, fit="kl")
    result = _process(line, fit="kl", cuts={"within_lhr_max_hi": False})
    assert result["counters"]["mu2e"]["alpha"]["stages"]["Select"]["Inclusive"] == 1
    assert "maxr" not in result["columns"][0].fields


# Blind.


def test_events_in_the_blind_window_are_nowhere():
    array = events([_at(104.0), _at(102.0), _at(104.5, quality=0.1), _at(120.0)])
    result = _process(array, blind_window=(103.6, 104.9))
    counts = result["counters"]["mu2e"]["alpha"]
    assert (result["events"], result["sumw"], counts["blinded"]) == (4, 4.0, 2)
    assert counts["stages"]["Select"] == {"Inclusive": 2, "Wide": 2, "Extended": 1}
    assert counts["cutflow"]["all"]["n"] == 2
    assert result["columns"][0].event.tolist() == [2, 4]
    assert result["hists"]["mom_sig"].sum(flow=True).value == 0
    assert result["hists"]["mom_full"].sum(flow=True).value == 2 * 4


def test_without_a_blind_window_nothing_is_hidden():
    counts = _process(events([_at(104.0)]))["counters"]["mu2e"]["alpha"]
    assert (counts["blinded"], counts["stages"]["Select"]["Signal"]) == (0, 1)


# Coincidence times.

#: A coincidence that vetoes and starts too early, one that vetoes, one that starts too early and does not veto.
EARLY = [track([segment(FRONT), segment(MID, time=450.0), segment(BACK)])], [coincidence(405.0)]
TIMELY = [track()], [coincidence()]
STRAY = [track()], [coincidence(100.0)]


@pytest.mark.parametrize(
    ("mode", "selected", "unvetoed"), [("off", 3, 1), ("event", 1, 0), ("filter", 3, 2), ("cutset", 3, 1)]
)
def test_coincidence_times_have_three_modes(mode, selected, unvetoed):
    array = events([EARLY, TIMELY, STRAY])
    result = _process(array, coincidence_time=mode, cuts={"within_t0": False})
    counts = result["counters"]["mu2e"]["alpha"]
    assert counts["stages"]["Select"]["Inclusive"] == selected
    assert counts["stages"]["Unvetoed"]["Inclusive"] == unvetoed
    assert counts["before_coincidence_times"]["Select"]["Inclusive"] == 3
    assert ("within_coinc_start_time" in counts["cutflow"]) == (mode == "event")
    if mode == "filter":
        rows = ak.to_list(result["columns"][0])
        assert [why_missed(row) for row in rows] == ["only coincidences outside the limits on their times"] * 2


def test_each_reason_has_its_words():
    no_middle = [track([segment(FRONT), segment(BACK)])], [coincidence()]
    outside = [track()], [coincidence(800.0), coincidence(1200.0)]
    array = events([GOOD, no_middle, outside, TIMELY])
    cuts = dict.fromkeys(("thru_trk", "within_t0", "within_t0err", "unvetoed"), False)
    words = [why_missed(row) for row in ak.to_list(_process(array, cuts=cuts)["columns"][0])]
    assert words == [
        "no coincidence",
        "no electron track in the middle of the tracker",
        "nearest coincidence outside the window by 50.000 ns",
        "vetoed",
    ]


@pytest.mark.parametrize(
    ("toy", "spill", "cut"),
    [
        ({"helix": "ch"}, True, "within_t0"),
        ({"on_spill": False}, False, "within_t0"),
        ({"data": True, "mix": True}, True, "is_truth_electron"),
        ({"version": "6.3.0"}, True, "unvetoed"),
    ],
)
def test_toys_of_every_kind_are_processed(toy, spill, cut):
    spec = ToySpec(sample="cosmic", events=400, enriched=0.9, **toy)
    kind = "data" if spec.data else "mc"
    array = from_columns(generate_arrays(spec), {"dataset": "hand", "kind": kind, "on_spill": spill})
    counts = _process(array, fit=toy.get("helix"))["counters"]["mu2e"]["alpha"]
    assert counts["stages"]["Select"]["Inclusive"] > 100
    assert counts["stages"]["Unvetoed"]["Inclusive"] < 0.1 * counts["stages"]["Select"]["Inclusive"]
    absent = {"within_t0": not spill, "is_truth_electron": spec.data}.get(cut, False)
    assert (cut in counts["cutflow"]) == (not absent)


# A trained veto.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says: many photoelectrons are a cosmic ray, and so is what it knows nothing of."""
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(1)
    pes = rng.uniform(0, 200, 2000)
    rows = np.stack([rng.uniform(-100, 200, 2000), np.where(rng.random(2000) < 0.1, np.nan, pes)], axis=1)
    labels = (pes > 100) | np.isnan(rows[:, 1])
    matrix = xgboost.DMatrix(rows, labels, nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, matrix, 20)
    folder = tmp_path_factory.mktemp("model")
    booster.save_model(folder / "model.ubj")
    schema = {"features": ["dT", "PEs"], "threshold": 0.5, "model": "model.ubj"}
    (folder / "features.json").write_text(json.dumps(schema))
    return folder / "model.ubj"


def test_a_trained_veto_takes_the_place_of_the_window(model: Path):
    strong, weak = coincidence(100.0, PEs=180.0), coincidence(955.0, PEs=20.0)
    array = events([([track()], [strong]), ([track()], [weak]), ([track()], [weak, strong]), GOOD])
    result = _process(array, veto_model=str(model))
    assert result["columns"][0].event.tolist() == [2, 4]
    assert result["columns"][0].missed.tolist() == [4, 1]
    strict = _process(array, veto_model={"path": model, "threshold": 1.0})
    assert strict["columns"][0].event.tolist() == [1, 2, 3, 4]


def test_an_event_without_coincidence_is_never_vetoed_by_a_model(model: Path):
    result = _process(events([GOOD]), veto_model={"path": model, "threshold": 0.0})
    assert result["counters"]["mu2e"]["alpha"]["stages"]["Unvetoed"]["Inclusive"] == 1


def test_the_parameters_know_which_model_it_is(model: Path, tmp_path: Path):
    known = CosmicParameters(veto_model=str(model))
    assert len(known.veto_model.sha256) == 64
    assert known.veto_model.threshold == 0.5
    again = CosmicParameters(**known.model_dump(mode="json"))
    assert again == known == CosmicParameters(veto_model=model.parent)
    with pytest.raises(UserError, match="is not the one with sha256"):
        CosmicParameters(veto_model={"path": model, "sha256": "0" * 64})
    with pytest.raises(UserError, match="cannot be read"):
        CosmicParameters(veto_model=tmp_path / "none.ubj")
    other = tmp_path / "model.ubj"
    other.write_bytes(model.read_bytes())
    (tmp_path / "features.json").write_text(json.dumps({"features": ["dT", "pes"], "threshold": 0.5}))
    with pytest.raises(UserError, match="needs pes, which no coincidence has"):
        _process(events([TIMELY]), veto_model=other)


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    (tmp_path / "model.ubj").write_bytes(b"no model")
    (tmp_path / "features.json").write_text(json.dumps({"features": ["dT"], "threshold": 0.5}))
    pytest.importorskip("xgboost")
    with pytest.raises(UserError, match="is no model of XGBoost"):
        _process(events([TIMELY]), veto_model=tmp_path / "model.ubj")


# The table of coincidences.


def test_the_table_has_a_row_for_each_crossing_and_coincidence_and_one_for_an_event_without():
    two = [segment(FRONT), segment(MID), segment(MID, time=1010.0), segment(BACK)]
    pair = [coincidence(950.0), coincidence(980.0, height=1000.0, nHits=0)]
    array = events([([track(two)], pair), GOOD, ([track(pdg=13)], pair)])
    rows = coincidence_table(array)
    assert tuple(rows) == (*COLUMNS[:3], *COLUMNS[3:], "is_cosmic")
    assert rows["event"].tolist() == [1, 1, 1, 1, 2]
    assert rows["dT"][:4].tolist() == [50.0, 20.0, 60.0, 30.0]
    assert rows["t0"].tolist() == [1000.0, 1000.0, 1010.0, 1010.0, 1000.0]
    assert rows["has_coincidence"].tolist() == [True] * 4 + [False]
    assert rows["is_cosmic"].tolist() == [True, False, True, False, False]
    assert rows["PEs_per_hit"][:2].tolist() == [12.5, 0.0]
    for name in COLUMNS[3:16]:
        assert np.isnan(rows[name][4]), name
    np.testing.assert_allclose(rows["mom_mag"], 104.0, rtol=1e-6)


def test_the_analysis_of_coincidences_keeps_selected_events_before_the_veto():
    array = events([TIMELY, _at(50.0), GOOD])
    result = CoincidenceTable().process(array)["hand"]
    rows = result["columns"][0]
    assert tuple(rows.fields) == (*COLUMNS, "is_cosmic")
    assert rows.event.tolist() == [1, 3]
    assert "unvetoed" not in result["cutflow"]
    assert result["counters"]["mu2e"]["MLPreprocess"]["selected"] == 2
    data = CoincidenceTable().process(events([TIMELY], kind="data"))["hand"]["columns"][0]
    assert tuple(data.fields) == COLUMNS
    assert "unvetoed" not in CoincidenceTable().recipe().cuts
    with pytest.raises(ValueError, match="at most 1 item"):
        CoincidenceParameters(cutsets=("alpha", "dev"))


# Bad parameters.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cutsets": ("alpa",)}, "Did you mean 'alpha'"),
        ({"cutsets": ("alpha", "alpha")}, "named twice"),
        ({"cuts": {"good_trkqal": False}}, "Did you mean 'good_trkqual'"),
        ({"groups": {"Trackers": False}}, "Did you mean 'Tracker'"),
        ({"thresholds": {"lo_trkqul": 0.1}}, "Did you mean 'lo_trkqual'"),
        ({"scans": {"hi_d0": (1.0,)}}, "Did you mean 'hi_d0_mm'"),
        ({"dt_windows": ((150.0, 0.0),)}, "ends before it begins"),
        ({"blind_window": (104.9, 103.6)}, "ends before it begins"),
        ({"own_cutsets": {"mine": {"active": {"lo_trkqual": 0.2}}}, "cutsets": ("mine",)}, "lo_trkqual"),
    ],
)
def test_a_wrong_parameter_is_refused_with_the_right_name(parameters, message):
    with pytest.raises(UserError, match=message):
        CosmicParameters(**parameters)


def test_cutsets_of_ones_own_inherit():
    own = {"mine": {"inherits": "gamma", "thresholds": {"hi_d0_mm": 60}}}
    (cutset,) = CosmicParameters(cutsets=("mine",), own_cutsets=own).resolved()
    assert (cutset.thresholds["hi_d0_mm"], cutset.thresholds["lo_trkqual"]) == (60.0, 0.2)
    assert not cutset.active["within_lhr_max_hi"]


def test_toggles_apply_to_groups_then_cuts():
    parameters = CosmicParameters(groups={"Tracker": False, "Momentum": False}, cuts={"good_trkqual": True})
    (cutset,) = parameters.resolved()
    tracker = [name for name in ("within_d0", "has_hits", "within_sig_win") if cutset.active[name]]
    assert (tracker, cutset.active["good_trkqual"], cutset.active["unvetoed"]) == ([], True, True)
    assert parameters.cutsets_sha256 != CosmicParameters().cutsets_sha256
