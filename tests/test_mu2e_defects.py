"""What an earlier analysis of the same events got wrong: each test fails on that behaviour.

Where the tests of the others are: rates and livetime scaling (2), intervals (13), incomplete input (14), on-spill
fractions (17), and the veto efficiency that a result prints (3) are in ``test_mu2e_results*`` and ``test_intervals``;
the time that a pass costs (21) is measured by ``benchmarks/mu2e_cutsets.py`` and here by counting reductions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.histograms.storage import read_hdf5, write_hdf5
from mucoffea.processors import mu2e_cosmic
from mucoffea.processors.mu2e_coincidences import coincidence_table
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_histograms import HISTOGRAMS
from mucoffea.processors.mu2e_parameters import CUTSETS, CosmicParameters
from mucoffea.selections.cut_manager import CutManager
from mucoffea.selections.cutsets import read_cutsets
from mucoffea.selections.mu2e_cuts import CUTS
from mucoffea.selections.mu2e_tracks import reduce_tracks

from .support.mu2e_events import BACK, FRONT, MID, coincidence, events, particle, segment, track

VETOED = [track()], [coincidence()]
GOOD = [track()], []


def _alpha(array: Any, **parameters: Any) -> dict[str, Any]:
    result = CosmicBackground(CosmicParameters(**parameters)).process(array)["hand"]
    return {**result, **result["counters"]["mu2e"]["alpha"]}


def _entries(result: dict[str, Any], name: str, stage: str = "Select") -> float:
    return float(result["hists"][name]["hand", f"alpha/{stage}", "nominal", :].sum(flow=True).value)


def test_1_preselection_does_not_ask_the_veto():
    array = events([VETOED, GOOD])
    assert _alpha(array)["stages"]["Preselect"]["Inclusive"] == 2
    # With every group off but Preselect, as the preselection is run.
    off = _alpha(array, groups={"Tracker": False, "CRV": False, "Veto": False, "Momentum": False})
    assert off["stages"]["Select"]["Inclusive"] == 2
    assert _alpha(array, legacy_veto_in_preselect=True)["stages"]["Preselect"]["Inclusive"] == 1


def test_3_there_are_no_unvetoed_events_where_the_veto_is_off():
    counts = _alpha(events([VETOED]), cuts={"unvetoed": False})
    assert set(counts["stages"]) == {"All", "Preselect", "Select"}
    assert "alpha/Unvetoed" not in counts["hists"]["mom_full"].axes["region"]


def test_4_a_threshold_that_does_nothing_is_an_error_and_every_cutset_is_what_it_says():
    cutsets = read_cutsets(CUTSETS, CUTS)
    assert cutsets["gamma"].thresholds["lo_trkqual"] == 0.2
    d, f = cutsets["SU2020d"], cutsets["SU2020f"]
    assert not d.active["good_trkqual"]
    assert not d.active["within_t0err"]
    assert f.active["good_trkqual"]
    assert f.thresholds["lo_trkqual"] == 0.8
    meant = {"a": (None, True), "b": (0.2, True), "c": (0.8, True), "d": (None, False), "e": (0.2, False)}
    for letter, (quality, t0err) in {**meant, "f": (0.8, False)}.items():
        one = cutsets[f"SU2020{letter}"]
        assert (one.thresholds["lo_trkqual"] if one.active["good_trkqual"] else None) == quality
        assert one.active["within_t0err"] == t0err
    # What was run can be compared with.
    old = cutsets["SU2020d_legacy"]
    assert (old.active, old.thresholds) == (f.active, f.thresholds)
    assert cutsets["gamma_legacy"].thresholds["lo_trkqual"] == 0.8
    with pytest.raises(UserError, match="lo_trkqual"):
        CosmicParameters(own_cutsets={"mine": {"active": {"lo_trkqual": 0.2}}})


def test_4_the_cutsets_are_all_there():
    names = {"alpha", "beta", "gamma", "dev", "MLPreprocess", "dTPreprocess", *(f"SU2020{one}" for one in "abcdef")}
    assert names <= set(read_cutsets(CUTSETS, CUTS))
    assert len(names) == 12


def test_5_events_are_counted_once_and_whatever_their_momentum():
    twice = [track([segment(FRONT), segment(FRONT, p=104.2), segment(MID), segment(BACK)])], []
    energetic = [track([segment(FRONT, p=1500.0), segment(MID), segment(BACK)])], []
    counts = _alpha(events([twice, energetic]))
    assert counts["stages"]["Select"] == {"Inclusive": 2, "Wide": 1, "Extended": 1, "Signal": 1}
    assert _entries(counts, "mom_full") == 3


def test_6_coincidence_times_do_not_hide_losses():
    stray = [track()], [coincidence(), coincidence(100.0)]
    array = events([VETOED, GOOD, stray])
    event = _alpha(array, coincidence_time="event")
    assert event["stages"]["Select"]["Inclusive"] == 2
    assert event["before_coincidence_times"]["Select"]["Inclusive"] == 3
    assert _alpha(array)["stages"]["Select"]["Inclusive"] == 3
    filtered = _alpha(array, coincidence_time="filter")["stages"]
    assert (filtered["Select"]["Inclusive"], filtered["Unvetoed"]["Inclusive"]) == (3, 1)


def test_7_a_track_without_a_surface_does_not_pass_its_cuts():
    bare = [track([segment(100)])], []
    parameters: dict[str, Any] = {"cuts": {"thru_trk": False}}
    array = events([bare])
    assert _alpha(array, **parameters)["stages"]["Select"]["Inclusive"] == 0
    legacy = _alpha(array, **parameters, legacy_vacuous=True)
    assert legacy["stages"]["Select"]["Inclusive"] == 1
    assert legacy["stages"]["Select"]["Signal"] == 1


def test_8_cuts_on_events_may_come_first_or_alone():
    manager = CutManager(3, [1, 0, 2])
    manager.add("event", np.array([True, True, False]), level="event")
    assert [row["n"] for row in manager.flow().values()] == [3, 2]
    array = events([VETOED, GOOD, ([], [])])
    only_veto = {cut.name: cut.name == "unvetoed" for cut in CUTS}
    counts = _alpha(array, cuts=only_veto)
    assert counts["cutflow"]["unvetoed"]["n"] == counts["stages"]["Unvetoed"]["Inclusive"] == 2
    assert counts["columns"][0].track.tolist() == [0, -1]
    nothing = _alpha(array, cuts=dict.fromkeys(only_veto, False))
    assert nothing["stages"]["Select"]["Inclusive"] == 3


def test_9_masks_and_rows_have_no_missing_values():
    result = _alpha(events([([track(particles=[]), track(pdg=13)], []), GOOD]))
    assert "?" not in str(result["columns"][0].type)
    assert result["stages"]["Preselect"]["Inclusive"] == 1


def test_10_bits_belong_to_the_track_that_was_selected():
    bad = track(pdg=13, quality=0.1, nactive=5)
    rows = _alpha(events([([bad, bad, track()], [])]))["columns"][0]
    assert rows.track.tolist() == [2]
    bits = {name: rows[name][0] for name in rows.fields if name.startswith("pass_")}
    assert all(bits.values()), bits
    assert rows.n_tracks.tolist() == [1]


def test_11_resolution_is_against_the_momentum_at_the_same_place():
    """Not where the electron began, not twice for two particles with as many hits, never lost as a whole."""
    tie = track(particles=[particle(11, p=900.0), particle(11, p=800.0)], true=[(FRONT, 104.5), (MID, 104.1)])
    unknown = track(true=[])
    result = _alpha(events([([tie], []), ([unknown], [])]))
    spectrum = result["hists"]["mom_res"]["hand", "alpha/Select", "nominal", :]
    assert spectrum.sum(flow=True).value == 1
    assert spectrum.axes[0].centers[np.argmax(spectrum.values())] == pytest.approx(-0.5, abs=0.05)
    assert result["columns"][0].p_true.tolist() == pytest.approx([104.5, np.nan], nan_ok=True)


def test_11_a_reflected_track_has_its_two_true_momenta():
    there_and_back = track(
        [segment(FRONT, p=104.0, pitch=-0.8), segment(FRONT, p=103.0)], true=[(FRONT, -104.4), (FRONT, 103.1)]
    )
    tracks = reduce_tracks(events([([there_and_back], [])]))
    assert tracks.true_momentum.tolist() == pytest.approx([104.4, 103.1])


def test_11_without_true_crossings_the_leading_particle_counts():
    one = track(particles=[particle(11, p=105.0), particle(11, 30, p=300.0, rank=1), particle(13, -1, p=9e3, rank=-1)])
    tracks = reduce_tracks(events([([one], [])], without=("trksegsmc",)))
    assert tracks.true_momentum.tolist() == [105.0]


def test_12_histograms_are_named_binned_and_stored_as_meant(tmp_path: Path):
    by_name = {one.name: one for one in HISTOGRAMS}
    result = _alpha(events([([track(quality=1.0)], []), GOOD]))
    write_hdf5(result["hists"], tmp_path / "histograms.h5")
    stored = read_hdf5(tmp_path / "histograms.h5")
    for name, histogram in result["hists"].items():
        assert histogram.axes[-1].name == name
        again = stored[name]
        assert again.axes == histogram.axes
        np.testing.assert_array_equal(again.view(flow=True), histogram.view(flow=True))
    for name in ("sid", "nactive", "pdg", "trk_per_event"):
        one = by_name[name]
        assert (one.stop - one.start) / one.bins == 1.0
        assert one.start % 1 == 0.5
    quality = result["hists"]["trkqual"]["hand", "alpha/Select", "nominal", :]
    assert quality.sum().value == quality.sum(flow=True).value == 2
    assert quality.axes[0].edges[1] == pytest.approx(0.01)


def test_15_a_setting_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="cuts_to_toggle"):
        CosmicParameters(cuts_to_toggle={"unvetoed": False})
    with pytest.raises(ValueError, match="Extra inputs"):
        CosmicParameters(branches=["trk"])


def test_16_whether_the_beam_is_on_has_no_default():
    with pytest.raises(UserError, match="whether the beam was on"):
        _alpha(events([GOOD], on_spill=None))


def test_18_truth_is_no_part_of_a_selection_of_data():
    muon = track(particles=[particle(13)])
    array = events([([muon], [])])
    assert _alpha(array)["stages"]["Select"]["Inclusive"] == 0
    assert _alpha(array, cuts={"is_truth_electron": False})["stages"]["Select"]["Inclusive"] == 1
    assert _alpha(events([([muon], [])], kind="data"))["stages"]["Select"]["Inclusive"] == 1


def test_19_every_stage_has_electron_fits():
    hypotheses = [track(), track(pdg=-11), track(pdg=13), track(pdg=-13)]
    result = _alpha(events([(hypotheses, [coincidence()])]))
    for one in HISTOGRAMS:
        expected = 4 if one.name == "pdg" else 1
        assert _entries(result, one.name, "All") == expected, one.name


def test_20_tables_hold_any_number_of_tracks_and_crossings():
    two = track([segment(FRONT), segment(MID), segment(MID, time=1001.0), segment(BACK)])
    rows = coincidence_table(events([([two, track()], [coincidence(), coincidence(900.0)]), GOOD]))
    assert len(rows["dT"]) == 7
    assert all(len(column) == 7 for column in rows.values())


def test_21_tracks_are_reduced_once_for_all_cutsets_and_stages(monkeypatch):
    calls = []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return reduce_tracks(*arguments, **options)

    monkeypatch.setattr(mu2e_cosmic, "reduce_tracks", counted)
    parameters = CosmicParameters(cutsets=("alpha", "beta", "dev"), scans={"lo_trkqual": (0.1, 0.2, 0.3)})
    CosmicBackground(parameters).process(events([GOOD, VETOED]))
    assert len(calls) == 1


def test_22_stages_and_regions_are_the_same_words_everywhere():
    analysis = CosmicBackground()
    result = _alpha(events([GOOD]))
    assert list(analysis.regions) == [f"alpha/{stage}" for stage in result["stages"]]
    assert list(result["hists"]["mom_full"].axes["region"]) == list(analysis.regions)
    assert list(analysis.recipe().regions) == list(analysis.regions)
    assert ak.num(result["columns"][0].track_times).tolist() == [1]
