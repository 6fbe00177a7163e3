"""Threshold scans: the same numbers as cutting at each threshold in turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.selections.cut_scan import best_of_objects, scan

THRESHOLDS = [-1.0, 0.0, 0.5, 0.5, 2.0]
Values = st.lists(st.lists(st.tuples(st.sampled_from([*THRESHOLDS, 0.25, 3.0, np.nan]), st.booleans()), max_size=3))


@pytest.mark.parametrize("direction", [">", "<"])
@given(events=Values)
def test_as_cutting_at_each_threshold(direction: str, events: list[list[tuple[float, bool]]]):
    counts = [len(one) for one in events]
    flat = [pair for one in events for pair in one]
    best = best_of_objects([value for value, _ in flat], [passed for _, passed in flat], counts, direction)
    found = scan(best, THRESHOLDS, direction)
    assert list(found) == ["-1.0", "0.0", "0.5", "2.0"]
    for threshold in THRESHOLDS:
        passing = sum(
            any(passed and (value > threshold if direction == ">" else value < threshold) for value, passed in one)
            for one in events
        )
        assert found[str(threshold)] == passing


def test_no_events():
    assert scan(best_of_objects([], [], [], ">"), [1.0], ">") == {"1.0": 0}
