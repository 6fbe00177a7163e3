"""The scan of dT windows and threshold scans, from counts to tables."""

from __future__ import annotations

import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.outputs.intervals import Convention, wilson
from mucoffea.outputs.mu2e_scans import (
    narrowest,
    scan_table,
    threshold_points,
    veto_windows,
    window_map,
    windows_table,
)

STANDARD = Convention()
NAMES = [(low, high) for low in (-10, -5, 0, 5, 10) for high in range(110, 161, 5)]


def counts(efficiency, events):
    found = {f"{low},{high}": round(efficiency(low, high) * events) for low, high in NAMES}
    return {"dt_windows": found, "dt_events": events}


COSMICS = counts(lambda low, high: 0.9999 - max(low, 0) * 2e-5 - (160 - high) * 1.2e-5, 20_000)
ELECTRONS = counts(lambda low, high: 0.0019 * (high - low), 500_000)


def test_the_reference_windows():
    """[0, 150]: 10 of 20 678 cosmics missed, 417 756 of 579 342 electrons kept."""
    cosmics = {"dt_windows": {"0,150": 20_668, "5,120": 20_657}, "dt_events": 20_678}
    electrons = {"dt_windows": {"0,150": 579_342 - 417_756, "5,120": 133_365}, "dt_events": 579_342}
    baseline, narrow = veto_windows(cosmics, electrons, STANDARD)
    assert 100 * baseline.efficiency.value == pytest.approx(99.95, abs=6e-3)
    assert 100 * baseline.deadtime.value == pytest.approx(27.89, abs=6e-3)
    assert 100 * narrow.deadtime.value == pytest.approx(23.02, abs=6e-3)
    assert narrowest((baseline, narrow), 0.999).name == "[0, 150] ns"
    assert narrowest((baseline, narrow), 0.998).name == "[5, 120] ns"


def test_all_55_windows_with_intervals_of_all_events():
    windows = veto_windows(COSMICS, ELECTRONS, STANDARD)
    assert len(windows) == 55
    for one in windows:
        low, high = wilson(COSMICS["dt_windows"][f"{one.low:g},{one.high:g}"], 20_000)
        assert (one.efficiency.low, one.efficiency.high) == (low, high)


def test_efficiency_and_deadtime_grow_with_the_window():
    lows, highs, efficiency = window_map(veto_windows(COSMICS, ELECTRONS, STANDARD), "efficiency")
    _, _, deadtime = window_map(veto_windows(COSMICS, ELECTRONS, STANDARD), "deadtime")
    assert efficiency.shape == deadtime.shape == (5, 11) == (len(lows), len(highs))
    assert np.all(np.diff(deadtime, axis=1) > 0)
    assert np.all(np.diff(deadtime, axis=0) < 0)
    assert np.all(np.diff(efficiency, axis=1) >= 0)


def test_the_choice_is_the_narrowest_that_suffices():
    windows = veto_windows(COSMICS, ELECTRONS, STANDARD)
    chosen = narrowest(windows)
    assert chosen.efficiency.value >= 0.999
    assert all(one.efficiency.value < 0.999 for one in windows if one.width < chosen.width)
    sure = narrowest(windows, surely=True)
    assert sure.efficiency.low >= 0.999
    assert sure.width > chosen.width
    assert narrowest(windows, 0.99999) is None


def test_the_table_says_what_is_chosen_and_that_none_is():
    windows = veto_windows(COSMICS, None, STANDARD)
    table = windows_table(windows, narrowest(windows), (20_000, None), 0.999)
    assert [row[-1] for row in table.rows].count("chosen") == 1
    assert all(row[4] is None for row in table.rows)
    none = windows_table(windows, None, (20_000, None), 0.99999)
    assert "no window reaches 99.999 %" in none.remarks[0]


def test_results_without_a_scan_are_refused():
    with pytest.raises(UserError, match="no scan of dT windows"):
        veto_windows({}, None, STANDARD)
    with pytest.raises(UserError, match="no scan of dT windows"):
        veto_windows({"dt_windows": {"0,150": 0}, "dt_events": 0}, None, STANDARD)
    with pytest.raises(UserError, match="in common"):
        veto_windows(COSMICS, {"dt_windows": {"1,2": 3}, "dt_events": 4}, STANDARD)


SCANNED = {
    "stages": {"All": {"Inclusive": 1000}},
    "scans": {
        "lo_trkqual": {
            "0.2": {"Select": 500, "Unvetoed": 5},
            "0.0": {"Select": 600, "Unvetoed": 6},
            "0.95": {"Select": 0, "Unvetoed": 0},
        }
    },
}


def test_a_threshold_scan_is_sorted_and_has_intervals():
    points = threshold_points(SCANNED, "lo_trkqual", STANDARD)
    assert [one.threshold for one in points] == [0.0, 0.2, 0.95]
    assert (points[0].efficiency.low, points[0].efficiency.high) == wilson(600, 1000)
    assert (points[1].inefficiency.low, points[1].inefficiency.high) == wilson(5, 500)
    assert points[2].inefficiency is None
    table = scan_table(points, "lo_trkqual", "cosmics", signal=False)
    assert table.rows[1][6].value == pytest.approx(99)
    assert table.rows[2][6] is None


def test_a_scan_without_veto_and_one_that_is_not_there():
    without = {**SCANNED, "scans": {"hi_d0_mm": {"100": {"Select": 5}}}}
    assert threshold_points(without, "hi_d0_mm", STANDARD)[0].inefficiency is None
    with pytest.raises(UserError, match="Did you mean 'lo_trkqual'"):
        threshold_points(SCANNED, "lo_trkqul", STANDARD)
    with pytest.raises(UserError, match="It has none"):
        threshold_points({"scans": {}}, "lo_trkqual", STANDARD)


def test_events_rejected_for_coincidence_times_stay_in_the_denominator():
    """A cut that rejects a fifth of the events must not make efficiency or deadtime look better."""
    before = {"before_coincidence_times": {"Select": {"Inclusive": 100}}}
    cosmics = {"dt_windows": {"0,150": 80}, "dt_events": 80, **before}
    electrons = {"dt_windows": {"0,150": 20}, "dt_events": 80, **before}
    (window,) = veto_windows(cosmics, electrons, STANDARD)
    assert window.efficiency.value == 0.8
    assert window.deadtime.value == 0.4
