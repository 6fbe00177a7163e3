"""Corner cases of nested arrays in the Mu2e selection, each written by hand."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_parameters import CosmicParameters
from mucoffea.selections.cut_manager import CutManager
from mucoffea.selections.mu2e_crv import Coincidences, count_windows, outside_by, time_differences
from mucoffea.selections.mu2e_cuts import BY_NAME, Chunk, cut_mask
from mucoffea.selections.mu2e_tracks import reduce_tracks

from .support.mu2e_events import BACK, FRONT, MID, coincidence, events, particle, segment, track

THRESHOLDS = dict(CosmicParameters().resolved()[0].thresholds)


def _chunk(array, *, vacuous: bool = False) -> Chunk:
    tracks, coincidences = reduce_tracks(array), Coincidences(array.crv)
    return Chunk(tracks, coincidences, time_differences(tracks, coincidences), vacuous)


def _mask(name: str, *of_events, vacuous: bool = False, **thresholds: float) -> list[bool]:
    chunk = _chunk(events(of_events), vacuous=vacuous)
    return cut_mask(name, chunk, {**THRESHOLDS, **thresholds}).tolist()


def _alone(one) -> tuple[list, list]:
    return [one], []


@pytest.mark.parametrize(
    ("name", "good", "limit"),
    [
        ("good_trkqual", {"quality": 0.81}, {"quality": 0.8}),
        ("has_hits", {"nactive": 21}, {"nactive": 20}),
        ("is_reco_electron", {"pdg": 11}, {"pdg": -11}),
    ],
)
def test_cuts_on_leaves_of_a_track_are_strict(name, good, limit):
    assert _mask(name, _alone(track(**good)), _alone(track(**limit))) == [True, False]


@pytest.mark.parametrize(
    ("name", "sid", "good", "limits"),
    [
        ("within_t0", MID, {"time": 641.0}, [{"time": 640.0}, {"time": 1650.0}]),
        ("within_t0err", MID, {"t0err": 0.899}, [{"t0err": 0.9}]),
        ("within_d0", FRONT, {"d0": 99.9}, [{"d0": 100.0}]),
        ("within_pitch_angle_lo", FRONT, {"pitch": 0.51}, [{"pitch": 0.49}]),
        ("within_pitch_angle_hi", FRONT, {"pitch": 0.99}, [{"pitch": 1.01}]),
        ("within_lhr_max_lo", FRONT, {"maxr": 450.1}, [{"maxr": 450.0}]),
        ("within_lhr_max_hi", FRONT, {"maxr": 679.9}, [{"maxr": 680.0}]),
        ("within_wide_win", FRONT, {"p": 86.0}, [{"p": 84.9}, {"p": 200.1}]),
        ("within_ext_win", FRONT, {"p": 100.1}, [{"p": 99.9}, {"p": 110.1}]),
        ("within_sig_win", FRONT, {"p": 103.7}, [{"p": 103.5}, {"p": 105.0}]),
    ],
)
def test_cuts_on_a_surface_ask_all_its_crossings(name, sid, good, limits):
    """A good crossing passes, a bad one fails alone and beside a good one, and other surfaces do not matter."""
    (other,) = {FRONT, MID} - {sid}
    assert _mask(name, _alone(track([segment(sid, **good)]))) == [True]
    for bad in limits:
        only, beside = track([segment(sid, **bad)]), track([segment(sid, **good), segment(sid, **bad)])
        elsewhere = track([segment(sid, **good), segment(other, **bad)])
        assert _mask(name, _alone(only), _alone(beside), _alone(elsewhere)) == [False, False, True]


def test_a_limit_is_met_in_the_precision_of_the_file():
    """0.9 in single precision is less than 0.9 in double; a recorded 0.9 is not less than 0.9."""
    assert float(np.float32(0.9)) < 0.9
    assert _mask("within_t0err", _alone(track([segment(MID, t0err=0.9)]))) == [False]
    scanned = CosmicParameters(scans={"hi_t0err": (0.9, 0.91)}, cuts={"within_t0err": False})
    at_limit = events([_alone(track([segment(FRONT), segment(MID, t0err=0.9), segment(BACK)]))])
    counts = CosmicBackground(scanned).process(at_limit)["hand"]["counters"]["mu2e"]["alpha"]["scans"]["hi_t0err"]
    assert [counts["0.9"]["Select"], counts["0.91"]["Select"]] == [0, 1]
    exact = track([segment(FRONT, p=104.9, pitch=0.0)])
    assert _mask("within_sig_win", _alone(exact)) == [False]


def test_a_momentum_without_a_transverse_part_has_pitch_zero():
    along = segment(FRONT)
    along["segment"]["mom"]["fCoordinates"] = {"fX": 0.0, "fY": 0.0, "fZ": 104.0}
    tracks = reduce_tracks(events([_alone(track([along]))]))
    assert tracks.front.values["pitch"].tolist() == [0.0]
    assert tracks.front.values["p"].tolist() == [104.0]


def test_two_crossings_of_the_front():
    """A reflected track: it fails downstream, and each cut looks at both crossings."""
    back_first = track([segment(FRONT, pitch=-0.8), segment(FRONT, p=103.0), segment(MID), segment(BACK)])
    chunk = _chunk(events([_alone(back_first)]))
    assert chunk.tracks.front.number.tolist() == [2]
    assert chunk.tracks.ranges["p"].lowest.tolist() == pytest.approx([103.0])
    assert chunk.tracks.ranges["p"].highest.tolist() == pytest.approx([104.0])
    assert cut_mask("is_downstream", chunk, THRESHOLDS).tolist() == [False]
    assert cut_mask("thru_trk", chunk, THRESHOLDS).tolist() == [True]


def test_segments_outside_the_tracker_may_go_anywhere():
    upstream_elsewhere = track([segment(FRONT), segment(MID), segment(BACK), segment(100, pitch=-0.8)])
    assert _mask("is_downstream", _alone(upstream_elsewhere)) == [True]
    assert _mask("is_downstream", _alone(track([segment(FRONT), segment(MID, pitch=-0.1)]))) == [False]


def test_tracks_without_segments_and_events_without_tracks():
    array = events([([], []), _alone(track([])), _alone(track())])
    chunk = _chunk(array)
    assert chunk.tracks.counts.tolist() == [0, 1, 1]
    for name in BY_NAME:
        mask = cut_mask(name, chunk, THRESHOLDS)
        assert len(mask) == (3 if BY_NAME[name].level == "event" else 2)
    for name in ("thru_trk", "is_downstream", "within_d0", "within_t0"):
        assert cut_mask(name, chunk, THRESHOLDS).tolist() == [False, True]
    assert cut_mask("unvetoed", chunk, THRESHOLDS).tolist() == [True, True, True]


def test_a_chunk_without_events_or_tracks_has_a_result():
    for of_events in ([], [([], [])], [([], [coincidence()])]):
        array = events(of_events)
        result = CosmicBackground(CosmicParameters(scans={"lo_trkqual": (0.1,)})).process(array)["hand"]
        assert result["events"] == len(of_events)
        assert result["cutflow"]["all"]["n"] == len(of_events)
        assert len(result["columns"][0]) == 0
        assert result["counters"]["mu2e"]["alpha"]["stages"]["Select"]["Inclusive"] == 0


def test_an_empty_genealogy_has_no_truth_electron():
    none, muon = track(particles=[]), track(particles=[particle(13)])
    array = events([_alone(none), _alone(muon), _alone(track()), ([none, track()], [])])
    mask = cut_mask("is_truth_electron", _chunk(array), THRESHOLDS)
    assert mask.dtype == bool
    assert mask.tolist() == [False, False, True, False, True]


def test_the_electron_must_have_the_most_hits():
    ancestor = particle(11, -1, rank=-1)
    second = track(particles=[particle(13, 30), particle(11, 29, rank=1), ancestor])
    tie = track(particles=[particle(13, 30), particle(11, 30, rank=1)])
    assert _mask("is_truth_electron", _alone(second), _alone(tie)) == [False, True]
    assert _mask("is_truth_electron", _alone(second), track_pdg=13) == [True]


def test_a_track_that_is_none_is_dropped_not_kept_as_missing():
    array = events([([track(), track(pdg=13)], []), _alone(track())])
    masked = ak.mask(array.trk, array.trk.pdg == 11)
    plain = reduce_tracks(ak.with_field(array, ak.drop_none(masked, axis=1), "trk"))
    assert plain.counts.tolist() == [1, 1]
    missing = ak.Array([[True, None], [False]])
    manager = CutManager(2, [2, 1])
    manager.add("known", missing)
    assert manager.objects().tolist() == [True, False, False]


def test_masks_of_events_and_of_tracks_combine_both_ways():
    counts = [2, 0, 1]
    manager = CutManager(3, counts)
    manager.add("event first", np.array([True, True, False]), level="event")
    manager.add("track", np.array([False, True, True]), level="object")
    manager.add("event last", np.array([True, True, True]), level="event")
    assert manager.events().tolist() == [True, False, False]
    assert manager.events(["event first"]).tolist() == [True, True, False]
    assert manager.objects(["event first"]).tolist() == [True, True, False]
    assert manager.events([]).tolist() == [True, True, True]
    assert [row["n"] for row in manager.flow().values()] == [3, 2, 1, 1]


def test_as_many_tracks_as_events_are_still_tracks():
    """A mask of two tracks in one of two events must not be taken for one of events."""
    array = events([([track(quality=0.1), track()], []), ([], [])])
    found = CosmicBackground(CosmicParameters(cuts={"one_reco_electron": False})).process(array)["hand"]
    assert found["counters"]["mu2e"]["alpha"]["stages"]["Select"]["Inclusive"] == 1


def test_the_order_of_dt_is_track_then_segment_then_coincidence():
    two = [segment(FRONT), segment(MID, time=1000.0), segment(MID, time=1010.0), segment(BACK)]
    other = [segment(FRONT), segment(MID, time=1100.0), segment(BACK)]
    pairs = _chunk(
        events([([track(two), track(other)], [coincidence(950.0), coincidence(980.0)]), ([track()], [])])
    ).pairs
    assert pairs.dt.tolist() == [50.0, 20.0, 60.0, 30.0, 150.0, 120.0]
    assert pairs.counts.tolist() == [6, 0]
    values, places = pairs.closest(0.0)
    assert (values[0], places.tolist()) == (20.0, [1, -1])
    assert np.isnan(values[1])


def test_dt_is_that_of_electron_fits_in_the_middle():
    of_events = [
        ([track(pdg=13), track()], [coincidence()]),
        ([track([segment(FRONT), segment(BACK)])], [coincidence()]),
        ([track()], []),
    ]
    pairs = _chunk(events(of_events)).pairs
    assert pairs.event.tolist() == [0]
    assert pairs.dt.tolist() == [45.0]


@pytest.mark.parametrize(("dt", "vetoed"), [(-150.0, False), (-149.5, True), (149.5, True), (150.0, False)])
def test_the_veto_window_is_open(dt, vetoed):
    assert _mask("unvetoed", ([track()], [coincidence(1000.0 - dt)])) == [not vetoed]


def test_windows_of_the_study_are_closed_and_count_events_once():
    dts = ([0.0, 10.0], [110.0], [160.5], [], [-10.0, 200.0])
    array = events([([track()], [coincidence(1000.0 - dt) for dt in one]) for one in dts])
    pairs = _chunk(array).pairs
    chosen = np.ones(5, dtype=bool)
    windows = [(0.0, 110.0), (-10.0, 110.0), (10.0, 160.0), (1.0, 9.0)]
    assert count_windows(pairs, chosen, windows) == {"0,110": 2, "-10,110": 3, "10,160": 2, "1,9": 0}
    brute = {f"{low:g},{high:g}": int(pairs.any_within(low, high, closed=True).sum()) for low, high in windows}
    assert count_windows(pairs, chosen, windows) == brute
    np.testing.assert_allclose(outside_by(pairs, 0.0, 150.0), [0.0, 0.0, 10.5, np.nan, 10.0])
