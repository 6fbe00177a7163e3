"""Scores of events, thresholds, intervals and windows."""

from __future__ import annotations

import numpy as np
import pytest
from mucoffea.ml.crv_evaluation import (
    Counts,
    area_under_curve,
    at_thresholds,
    best_window,
    choose_threshold,
    count,
    event_scores,
    in_window,
    roc_curve,
)
from mucoffea.ml.crv_settings import Settings
from mucoffea.ml.crv_table import build_table
from scipy import stats

from .support.coincidences import coincidences


def test_an_event_has_the_score_of_its_best_coincidence_and_none_without() -> None:
    scores = event_scores(np.array([0.2, 0.9, 0.0], dtype=np.float32), np.array([0, 0, 2]), 4)
    assert scores[0] == np.float32(0.9)
    assert scores[2] == 0
    assert np.isneginf(scores[[1, 3]]).all()


@pytest.mark.parametrize("threshold", [0.0, -1.0, -1e300])
def test_no_threshold_vetoes_an_event_without_coincidence(threshold: float) -> None:
    scores = event_scores(np.zeros(1, dtype=np.float32), np.array([0]), 2)
    assert (scores >= threshold).tolist() == [True, False]


def test_the_threshold_is_the_highest_that_reaches_the_target() -> None:
    random = np.random.default_rng(1)
    scores = np.r_[random.beta(5, 1, 1000), random.beta(1, 5, 3000)]
    cosmic = np.arange(4000) < 1000
    for target, vetoed in ((0.9, 901), (0.99, 991), (0.999, 1000), (1.0, 1000)):
        threshold = choose_threshold(scores, cosmic, target)
        assert threshold.reached == (target < 1)
        assert threshold.counts.cosmic_vetoed == vetoed
        assert threshold.value not in scores
        assert threshold.counts == count(scores >= threshold.value, cosmic)
        next_cosmic = np.sort(scores[cosmic & (scores > threshold.value)])[0]
        assert np.count_nonzero(scores[cosmic] > next_cosmic) == vetoed - 1


@pytest.mark.parametrize(("n", "target"), [(40, 0.9), (400, 0.99), (1500, 0.999)])
def test_other_events_are_vetoed_with_the_target_on_average(n: int, target: float) -> None:
    """For uniform scores the probability of other events is one minus the threshold."""
    random = np.random.default_rng(5)
    everything = np.ones(n, dtype=bool)
    efficiency = [1 - choose_threshold(random.random(n), everything, target).value for _ in range(2000)]
    error = np.std(efficiency) / np.sqrt(2000)
    assert target - 4 * error < np.mean(efficiency) < target + 1.5 / n + 4 * error


def test_a_target_out_of_reach_vetoes_all_it_can() -> None:
    scores = np.r_[np.full(2, -np.inf), np.linspace(0.1, 0.9, 98), -np.inf, 0.05, 0.5]
    cosmic = np.arange(103) < 100
    threshold = choose_threshold(scores, cosmic, 0.99)
    assert not threshold.reached
    assert threshold.counts == Counts(98, 100, 2, 3)
    nothing = choose_threshold(np.full(4, -np.inf), np.array([True, True, False, False]), 0.9)
    assert (nothing.reached, nothing.counts) == (False, Counts(0, 2, 0, 2))


def test_counts_add_and_have_intervals() -> None:
    total = Counts(9, 10, 1, 20) + Counts(10, 10, 3, 20)
    row = total.as_row(0.6827)
    assert (row["efficiency"], row["deadtime"]) == (19 / 20, 4 / 40)
    assert row["efficiency_low"] < 0.95 < row["efficiency_high"]
    assert np.isnan(Counts(0, 0, 0, 0).efficiency)


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.999])
def test_intervals_cover_at_least_as_often_as_they_say(truth: float) -> None:
    """The coverage is a sum over all outcomes, not an experiment."""
    rows = [Counts(passed, 200, passed, 200).as_row(0.6827) for passed in range(201)]
    for name in ("efficiency", "deadtime"):
        inside = [row[f"{name}_low"] <= truth <= row[f"{name}_high"] for row in rows]
        assert stats.binom.pmf(np.arange(201), 200, truth)[inside].sum() >= 0.6827


def test_the_area_is_the_chance_to_order_a_pair_rightly() -> None:
    random = np.random.default_rng(2)
    scores = np.round(random.normal(size=300), 1)
    scores[::50] = -np.inf
    positive = random.random(300) < 0.3
    pairs = scores[positive][:, None], scores[~positive][None, :]
    assert area_under_curve(scores, positive) == pytest.approx(
        np.mean((pairs[0] > pairs[1]) + 0.5 * (pairs[0] == pairs[1]))
    )
    assert np.isnan(area_under_curve(scores, np.ones(300, dtype=bool)))


def test_the_curve_counts_what_a_threshold_does() -> None:
    scores = np.r_[0.1, 0.5, 0.9, -np.inf, 0.5, 0.2, -np.inf]
    cosmic = np.arange(7) < 4
    curve = roc_curve(scores, cosmic)
    for threshold, efficiency, deadtime in zip(*curve.values(), strict=True):
        counts = count(scores >= threshold, cosmic)
        assert (counts.efficiency, counts.deadtime) == (efficiency, deadtime)
    assert curve["efficiency"][0] == 0.75
    assert at_thresholds(curve, [0.0, 0.3, 0.95]) == [
        {"threshold": 0.0, "efficiency": 0.75, "deadtime": pytest.approx(2 / 3)},
        {"threshold": 0.3, "efficiency": 0.5, "deadtime": pytest.approx(1 / 3)},
        {"threshold": 0.95, "efficiency": 0.0, "deadtime": 0.0},
    ]


def test_windows_are_closed_and_the_narrowest_good_one_is_taken() -> None:
    table = build_table(coincidences("cosmic", 400, missed=0.02), coincidences("electron", 400), Settings())
    edge = float(table.dt[np.flatnonzero(table.cosmic[table.event])[0]])
    assert in_window(table, (edge, edge)).sum() == 1
    windows = {window: in_window(table, window) for window in ((20.0, 60.0), (0.0, 70.0), (-10.0, 400.0))}
    everything = np.ones(800, dtype=bool)
    efficiencies = [count(mask, table.cosmic).efficiency for mask in windows.values()]
    assert efficiencies == sorted(efficiencies)
    for window, efficiency in zip(windows, efficiencies, strict=True):
        assert best_window(windows, table.cosmic, everything, efficiency) == window
    assert efficiencies[-1] < 1
    assert best_window(windows, table.cosmic, everything, 1.0) == (-10.0, 400.0)
