"""Inefficiency against wall time: the numbers of earlier studies, their limits, and toys against the expectation."""

from __future__ import annotations

import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.outputs.beam_structure import BEAM_MODES, DAY, RunningPlan
from mucoffea.outputs.projection import (
    METHODS,
    Inefficiency,
    closed_form_days,
    crossings,
    days_to_target,
    project,
    throw_toys,
)

L0 = 1.06887e7
ONE_SIGMA = 0.682689492137086  # z = 1 exactly
DAYS = np.arange(2001)


def start(unvetoed, selected, livetime=L0):
    return Inefficiency(selected=selected, unvetoed=unvetoed, livetime=livetime)


def discrete(unvetoed, selected, fraction, target):
    plan = RunningPlan.constant(fraction)
    projected = project(start(unvetoed, selected), plan, DAYS, confidence=ONE_SIGMA, discrete=True)
    found = crossings(DAYS, projected.uncertainty, target)
    return found.first, found.permanent


def test_closed_form_gives_the_numbers_of_earlier_studies():
    assert closed_form_days(start(5, 18914, 1.06288e7)) == pytest.approx(171.94, abs=5e-3)
    assert closed_form_days(start(6, 11693)) == pytest.approx(542.89, abs=5e-3)
    assert closed_form_days(start(0, 11693)) is None


@pytest.mark.parametrize(
    ("counts", "fraction", "at_target", "at_one_and_a_half"),
    [
        ((7, 27142), 0.72, (146, 159), (22, 77)),
        ((8, 25921), 0.72, (191, 202), (80, 92)),
        ((5, 18914), 0.72, (228, 245), (31, 110)),
        ((7, 19428), 0.72, (310, 322), (122, 136)),
        ((6, 11693), 0.28, (1899, 1936), None),
    ],
)
def test_discrete_counts_give_the_numbers_of_earlier_studies(counts, fraction, at_target, at_one_and_a_half):
    assert discrete(*counts, fraction, 1e-4) == at_target
    if at_one_and_a_half:
        assert discrete(*counts, fraction, 1.5e-4) == at_one_and_a_half


def test_the_early_crossing_of_discrete_counts_is_an_artefact_of_no_event():
    plan = RunningPlan.constant(0.72)
    sawtooth = project(start(7, 27142), plan, DAYS, discrete=True)
    assert sawtooth.unvetoed[22] == 0
    smooth = project(start(7, 27142), plan, DAYS)
    assert np.all(np.diff(smooth.uncertainty[1:]) < 0)
    found = crossings(DAYS, smooth.uncertainty, 1.5e-4)
    assert found.first == found.permanent


def test_real_counts_at_95_percent():
    days = days_to_target(start(5, 18914, 1.06288e7), RunningPlan.constant(1.0), confidence=0.95)
    assert days == pytest.approx(683, abs=0.5)


def test_expectation_approaches_the_closed_form():
    few = start(5, 18914)
    closed = closed_form_days(few, 1e-5)
    plan = RunningPlan.constant(1.0)
    for method in METHODS:
        found = days_to_target(few, plan, 1e-5, method=method, confidence=ONE_SIGMA)
        assert found == pytest.approx(closed, rel=0.004 if method in ("wilson", "sqrt") else 0.05)
    assert days_to_target(few, plan, method="sqrt", confidence=ONE_SIGMA) == pytest.approx(closed_form_days(few))


def test_days_to_target_is_where_the_uncertainty_is_the_target():
    plan = RunningPlan.parse("1BB:50,2BB", "off")
    days = days_to_target(start(10, 20154, 1.068e7), plan)
    assert project(start(10, 20154, 1.068e7), plan, [days]).uncertainty[0] == pytest.approx(1e-4)
    assert days_to_target(start(10, 20154), plan, 1e-9) is None


def test_crossings_of_a_sawtooth():
    uncertainty = np.array([2, 1, 2, 1, 1, 2, 1, 1, 1]) * 1e-4
    found = crossings(np.arange(9) * 10.0, uncertainty, 1e-4, in_a_row=2)
    assert (found.first, found.sustained, found.permanent) == (10, 30, 60)
    never = crossings([0, 1], [2, 2], 1e-4)
    assert (never.first, never.sustained, never.permanent) == (None, None, None)
    assert crossings([0, 1, 2], [1, 1, 2], 0.999).permanent is None


def test_sustained_needs_its_times_to_lie_within_what_was_looked_at():
    assert crossings(np.arange(4), [1e-5] * 4, 1e-4, in_a_row=5).sustained is None
    assert crossings(np.arange(5), [1e-5] * 5, 1e-4, in_a_row=5).sustained == 0


def test_beam_fractions_come_from_the_structure_of_the_beam():
    assert BEAM_MODES["1BB"].on_spill == 0.322
    assert BEAM_MODES["2BB"].on_spill == 0.246
    assert BEAM_MODES["1BB"].live("off") == pytest.approx(0.678)


def test_running_plans_mix_beam_modes():
    plan = RunningPlan.parse("1BB:100, 2BB:50, 1BB", "on")
    live = plan.live_seconds([0, 50, 100, 120, 200]) / DAY
    expected = [0, 16.1, 32.2, 32.2 + 20 * 0.246, 32.2 + 50 * 0.246 + 50 * 0.322]
    np.testing.assert_allclose(live, expected)
    assert plan.days is None
    assert RunningPlan.parse("1BB:100,2BB:50", "on").days == 150
    # The last stretch goes on beyond its days, so that one may ask how much longer it takes.
    assert RunningPlan.parse("1BB:10", "on").live_seconds(20) == pytest.approx(20 * 0.322 * DAY)


@pytest.mark.parametrize("text", ["3BB", "1BB,2BB:3", "1BB:x", "1BB:-3", "1BB:nan", "1BB:inf", ""])
def test_a_wrong_plan_is_a_users_error(text):
    with pytest.raises(UserError):
        RunningPlan.parse(text, "on")


def test_toys_agree_with_the_expectation_and_cover():
    known, plan, days = start(40, 40_000), RunningPlan.constant(0.7), np.arange(10, 600, 10)
    toys = throw_toys(known, plan, days, target=1e-4, experiments=2000, seed=5)
    expected = project(known, plan, days)
    np.testing.assert_allclose(toys.quantiles[1][20:], expected.uncertainty[20:], rtol=0.05)
    assert np.all(toys.quantiles[0] <= toys.quantiles[2])
    assert toys.coverage[20:].mean() == pytest.approx(0.6827, abs=0.03)
    smooth = days_to_target(known, plan, 1e-4)
    assert toys.permanent[0] <= smooth <= toys.permanent[2]
    assert np.all(np.diff(toys.reached) >= 0)
    assert toys.reached[days >= toys.permanent[1]][0] >= 0.5


def test_toys_are_the_same_for_the_same_seed_and_touch_no_global_state():
    known, plan, days = start(5, 18914), RunningPlan.constant(1.0), np.arange(10, 300, 10)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is that nobody touches it
    first, second = (throw_toys(known, plan, days, experiments=50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.quantiles, second.quantiles)
    assert not np.array_equal(first.quantiles, throw_toys(known, plan, days, experiments=50, seed=4).quantiles)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_an_uncertain_start_widens_the_answer():
    known, plan, days = start(5, 18914), RunningPlan.constant(1.0), np.arange(5, 1500, 5)
    narrow = throw_toys(known, plan, days, experiments=600)
    wide = throw_toys(known, plan, days, experiments=600, uncertain_start=True)
    assert wide.permanent[2] - wide.permanent[0] > 1.25 * (narrow.permanent[2] - narrow.permanent[0])


def test_more_unvetoed_than_selected_is_refused():
    with pytest.raises(ValueError, match="more than"):
        start(3, 2)
