"""Threshold scans: the same numbers as cutting at each threshold in turn."""

from __future__ import annotations

import numpy as np
import pytest
from coffea.processor import accumulate
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.selections.cut_scan import best_of_objects, scan

THRESHOLDS = [-1.0, 0.0, 0.5, 0.5, 2.0]
Values = st.lists(st.lists(st.tuples(st.sampled_from([*THRESHOLDS, 0.25, 3.0, np.nan]), st.booleans()), max_size=3))


@pytest.mark.parametrize("direction", [">", "<"])
@given(events=Values)
def test_as_cutting_at_each_threshold(direction: str, events: list[list[tuple[float, bool]]]):
    of = [event for event, one in enumerate(events) for _ in one]
    flat = [pair for one in events for pair in one]
    best = best_of_objects([value for value, _ in flat], [passed for _, passed in flat], of, len(events), direction)
    found = scan(best, THRESHOLDS, direction)
    assert list(found) == ["-1.0", "0.0", "0.5", "2.0"]
    for threshold in THRESHOLDS:
        passing = sum(
            any(passed and (value > threshold if direction == ">" else value < threshold) for value, passed in one)
            for one in events
        )
        assert found[str(threshold)] == passing


@pytest.mark.parametrize("direction", [">", "<"])
def test_a_threshold_that_is_met_exactly_fails_in_any_precision(direction: str):
    # 0.8 in single precision is above 0.8 in double precision.
    values = np.array([0.8, 0.2, 0.9], dtype=np.float32)
    best = best_of_objects(values, np.ones(3, dtype=bool), [0, 1, 2], 3, direction)
    assert best.dtype == np.float32
    expected = int(np.count_nonzero(values > 0.8 if direction == ">" else values < 0.8))
    assert scan(best, [0.8], direction) == {"0.8": expected} == {"0.8": 1}


def test_chunks_add_and_whole_numbers_are_values():
    first, second = scan([1, 2, 3], [1.5, 2], ">"), scan([2, 5], [1.5, 2], ">")
    assert accumulate([first, second]) == scan([1, 2, 3, 2, 5], [1.5, 2], ">") == {"1.5": 4, "2.0": 2}
    with pytest.raises(ValueError, match="nan"):
        scan([1.0], [np.nan], "<")


def test_no_events():
    assert scan(best_of_objects([], [], [], 0, ">"), [1.0], ">") == {"1.0": 0}
