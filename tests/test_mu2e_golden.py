"""Seven recorded events of the off-spill sample, each with one electron track: every number that is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_event_info import event_info, event_list
from mucoffea.processors.mu2e_parameters import CosmicParameters
from mucoffea.schemas.eventntuple import from_columns
from mucoffea.selections.mu2e_tracks import reduce_tracks

#: subrun, event, p at the entrance, time in the middle, its error, d0, pz/pT, tanDip of the fit, largest radius, active
#: hits, quality, coincidence, hits and momentum of the electron, code and momentum of the cosmic ray.
TABLE = """
4846 283585 118.998 59084.511 2.7378 80.38 0.9399 0.9802 489.51 26 0.9766 - 26 119.83 13 10662.3
18802 50292 129.355 86870.573 1.8836 31.71 0.8082 -0.4323 548.21 63 0.8821 - 61 336.30 2112 31726.9
19742 359830 135.127 31341.442 0.4361 84.84 0.6479 0.6500 643.43 53 0.9194 - 54 949.35 2112 4979.4
23219 61287 119.816 69961.570 34.3583 63.65 0.7435 -0.2808 617.60 68 0.8864 - 63 121.19 2112 5761.3
29493 178482 131.920 48114.303 12.5189 17.59 0.8012 -0.3413 622.91 68 0.9574 - 66 676.23 2112 24595.9
37020 103500 98.076 27301.433 2.5867 83.98 0.7078 -0.3564 506.19 29 0.9171 27124.877 30 97.97 13 1664.1
78889 161916 105.490 59266.842 2.0912 71.16 0.9054 0.9339 586.12 34 0.9530 - 34 105.34 13 11189.0
"""
GOLDEN = [line.split() for line in TABLE.split("\n") if line]
#: These were selected with cuts that had no limit on the error of t0.
AS_RECORDED = CosmicParameters(cuts={"within_t0err": False})
THE_ONE = (1202, 19742, 359830)
NEAR_THE_SIGNAL = (1202, 78889, 161916)


@pytest.fixture(scope="module")
def golden(real: Path) -> Any:
    array = ak.from_parquet(real / "mu2e" / "golden_events.parquet")
    return from_columns(array, {"dataset": "golden", "kind": "mc", "on_spill": False})


def _rows(events: Any, parameters: CosmicParameters) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    result = CosmicBackground(parameters).process(events)["golden"]
    return ak.to_list(result["columns"][0]), result["counters"]["mu2e"]["alpha"]


def _as_printed(value: float, printed: str) -> str:
    # A single-precision number is printed from double precision, as in the table.
    return f"{value:.{len(printed.partition('.')[2])}f}"


def _assert_printed(values: Any, printed: Any) -> None:
    assert [_as_printed(float(value), text) for value, text in zip(values, printed, strict=True)] == list(printed)


def test_every_value_of_the_table(golden):
    rows, _ = _rows(golden, AS_RECORDED)
    table = list(zip(*GOLDEN, strict=True))
    assert [(str(row["subrun"]), str(row["event"])) for row in rows] == list(zip(table[0], table[1], strict=True))
    names = ("p_front", "t_mid", "t0err", "d0", "pitch", None, "maxr", None, "trkqual")
    for column, name in enumerate(names, start=2):
        if name:
            _assert_printed([row[name] for row in rows], table[column])
    assert [str(row["nactive"]) for row in rows] == list(table[9])
    assert [row["mc_pdg"] for row in rows] == [11] * 7
    assert [str(row["mc_nhits"]) for row in rows] == list(table[12])
    _assert_printed([row["mc_p"] for row in rows], table[13])
    assert [str(row["parent_pdg"]) for row in rows] == list(table[14])
    _assert_printed([row["parent_p"] for row in rows], table[15])
    assert {row["run"] for row in rows} == {1202}


def test_the_dip_of_the_fit_is_not_the_pitch(golden):
    """tanDip of this production is wrong, which is why pz/pT comes from the momentum."""
    tracks = reduce_tracks(golden)
    at_front = ak.flatten(golden.trk.lh.tanDip[golden.trk.segs.sid == 0], axis=None)
    _assert_printed(at_front, [line[7] for line in GOLDEN])
    assert np.sign(tracks.front.first("pitch")).tolist() == [1] * 7


def test_coincidence_times_and_differences(golden):
    rows, _ = _rows(golden, AS_RECORDED)
    for row, line in zip(rows, GOLDEN, strict=True):
        assert [_as_printed(time, line[11]) for time in row["coincidence_times"]] == (
            [] if line[11] == "-" else [line[11]]
        )
        assert [_as_printed(time, line[3]) for time in row["track_times"]] == [line[3]]
    dts = [row["min_dT"] for row in rows]
    assert [not np.isnan(dt) for dt in dts] == [line[11] != "-" for line in GOLDEN]
    assert dts[5] == pytest.approx(27301.433 - 27124.877, abs=2e-3)
    assert [row["missed"] for row in rows] == [1, 1, 1, 1, 1, 3, 1]
    assert rows[5]["missed_by"] == pytest.approx(dts[5] - 150)


def test_each_track_crosses_each_surface_once_and_goes_downstream(golden):
    tracks = reduce_tracks(golden)
    for surface in (tracks.front, tracks.mid, tracks.back):
        assert surface.number.tolist() == [1] * 7
    assert tracks.downstream.all()
    assert (tracks.front.values["pz"] > 0).all()
    assert tracks.n_electrons.tolist() == [1] * 7


def test_who_survives_the_current_alpha(golden):
    rows, counts = _rows(golden, CosmicParameters())
    assert event_list(rows) == [THE_ONE]
    assert counts["stages"]["Select"] == {"Inclusive": 1, "Wide": 1, "Extended": 0, "Signal": 0}
    assert counts["stages"]["Unvetoed"] == {"Inclusive": 1, "Wide": 1, "Extended": 0, "Signal": 0}
    assert "within_t0" not in counts["cutflow"]  # off-spill
    assert [counts["cutflow"][cut]["n"] for cut in ("all", "has_hits", "within_wide_win", "within_ext_win")] == [
        7,
        1,
        1,
        0,
    ]


def test_only_one_is_near_the_signal(golden):
    rows, counts = _rows(golden, AS_RECORDED)
    inside = [row for row in rows if row["pass_within_ext_win"]]
    assert event_list(inside) == [NEAR_THE_SIGNAL]
    assert counts["stages"]["Select"] == {"Inclusive": 7, "Wide": 7, "Extended": 1, "Signal": 0}


def test_the_text_of_an_event(golden):
    rows, _ = _rows(golden, AS_RECORDED)
    text = event_info(rows, source="golden")
    assert text.count("-" * 40) == 7
    with_coincidence = text.split("-" * 40)[5]
    for words in (
        "Subrun:          37020",
        "27301.432601",
        "27124.876953",
        "dt [ns]:         176.5556",
        "by 26.556 ns",
    ):
        assert words in with_coincidence
    assert "dt [ns]:         N/A" in text.split("-" * 40)[0]
    assert "Coinc time [ns]: None" in text.split("-" * 40)[0]
