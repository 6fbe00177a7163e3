"""Training of the veto: closure, no leak of test events, groups, determinism."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.ml import packages
from mucoffea.ml.crv_ablation import add_one, drop_one, number_of_studies
from mucoffea.ml.crv_settings import Booster, Settings
from mucoffea.ml.crv_table import Table, build_table
from mucoffea.ml.crv_training import cross_validate, predict, split_events, split_validation, train_final
from scipy import stats

from .support.coincidences import coincidences, two_gaussians

pytest.importorskip("xgboost", reason="the extra ml is not installed")

FAST = Settings(folds=3, target=0.99, booster=Booster(rounds=40), threads=1)


@pytest.fixture(scope="module")
def table() -> Table:
    cosmic = coincidences("cosmic", 1500, missed=0.002)
    return build_table(cosmic, coincidences("electron", 1500, pile_up=1.0), FAST)


def test_splits_keep_events_whole_and_samples_in_proportion(table: Table) -> None:
    fold_of = split_events(table.cosmic, 5, (42,))
    for number in range(5):
        test = fold_of == number
        training, validation = split_validation(table.cosmic, ~test, 0.25, (42, number))
        assert np.array_equal(training.astype(int) + validation + test, np.ones(table.n_events, dtype=int))
        for kind in (True, False):
            members = table.cosmic == kind
            assert np.count_nonzero(test & members) == 300
            assert np.count_nonzero(validation & members) == 300
        rows = [set(table.event[mask[table.event]]) for mask in (test, training, validation)]
        assert all(not one & other for one, other in combinations(rows, 2))


def test_the_best_possible_score_is_found_and_not_beaten() -> None:
    """Two Gaussians 1.5 standard deviations apart: no score has a larger area than Φ(1.5/√2) = 0.856."""
    features = ("dT", "PEs")
    settings = Settings(folds=3, target=0.9, features=features, booster=Booster(rounds=40, max_depth=2), threads=1)
    study = cross_validate(build_table(*two_gaussians(6000, 1.5), settings), settings)
    best = stats.norm.cdf(1.5 / np.sqrt(2))
    error = np.sqrt(best * (1 - best) / 2000)  # larger than that of the area of one fold
    areas = [fold.auc["events_test"] for fold in study.folds]
    assert best - 3 * error < np.mean(areas) < best + 3 * error
    # At the target the optimum is a cut on dT at 1.5 − z, where the beam passes with Φ(z − 1.5).
    assert study.test.deadtime == pytest.approx(stats.norm.cdf(stats.norm.ppf(0.9) - 1.5), abs=0.04)
    assert study.test.efficiency == pytest.approx(0.9, abs=0.02)


def test_test_events_decide_nothing(table: Table) -> None:
    """Turning the test events of the first fold into nonsense leaves its model, threshold and window as they were."""
    before = cross_validate(table, FAST)
    tested = (before.fold_of == 0)[table.event]
    values = table.values.copy()
    values[tested] = np.random.default_rng(9).normal(1e3, 1e5, values[tested].shape)
    spoilt = replace(
        table,
        values=values,
        dt=np.where(tested, 1e6, table.dt),
        label=np.where(tested, ~table.label, table.label),
    )
    after = cross_validate(spoilt, FAST)
    one, other = before.folds[0], after.folds[0]
    assert one.chosen.threshold == other.chosen.threshold
    assert bytes(one.chosen.model.save_raw("ubj")) == bytes(other.chosen.model.save_raw("ubj"))
    assert one.window == other.window
    assert one.test != other.test
    assert before.folds[1].chosen.threshold != after.folds[1].chosen.threshold


def test_validation_events_are_not_trained_on(table: Table) -> None:
    training, validation = split_validation(table.cosmic, np.ones(table.n_events, dtype=bool), 0.25, (42, 3))
    rows = validation[table.event]
    spoilt = replace(table, label=np.where(rows, ~table.label, table.label))
    assert bytes(train_final(table, FAST).model.save_raw("ubj")) == bytes(train_final(spoilt, FAST).model.save_raw())
    assert not np.any(training & validation)


def test_each_event_is_tested_once_and_the_sums_agree(table: Table) -> None:
    study = cross_validate(table, FAST)
    assert (study.test.cosmic, study.test.beam) == (1500, 1500)
    assert (study.baseline.cosmic, study.window.beam) == (1500, 1500)
    assert study.test.cosmic_vetoed == np.count_nonzero(study.vetoed & table.cosmic)
    without = np.setdiff1d(np.arange(table.n_events), table.event)
    assert len(without) > 100
    assert not study.vetoed[without].any()
    assert np.isneginf(study.score[without]).all()


def test_the_veto_beats_a_window_in_time(table: Table) -> None:
    study = cross_validate(table, FAST.model_copy(update={"target": 0.97}))
    assert study.test.efficiency == pytest.approx(0.97, abs=0.015)
    assert study.test.deadtime < 0.2 * study.baseline.deadtime


def test_pile_up_of_cosmic_events_is_learnt_as_pile_up(table: Table) -> None:
    """With labels from truth, coincidences of the beam score alike in both samples."""
    study = cross_validate(table, FAST)
    beam = ~table.label
    from_cosmics, from_electrons = (
        np.mean(study.row_score[beam & (table.cosmic[table.event] == kind)]) for kind in (True, False)
    )
    assert from_cosmics == pytest.approx(from_electrons, abs=0.02)


def test_the_same_seed_gives_the_same_bytes_another_seed_does_not(table: Table) -> None:
    one, other = train_final(table, FAST), train_final(table, FAST)
    assert bytes(one.model.save_raw("ubj")) == bytes(other.model.save_raw("ubj"))
    assert one.threshold == other.threshold
    assert one.threshold != train_final(table, FAST.model_copy(update={"seed": 1})).threshold


def test_the_grid_is_searched_on_validation_events(table: Table) -> None:
    useless, good = Booster(rounds=1, max_depth=1, learning_rate=0.001), Booster(rounds=40)
    study = cross_validate(table, FAST.model_copy(update={"grid": (useless, good)}))
    assert [fold.chosen.booster for fold in study.folds] == [good] * 3


def test_rounds_of_a_grid_are_those_of_separate_trainings(table: Table) -> None:
    grid = (Booster(rounds=10), Booster(rounds=40), Booster(rounds=20, max_depth=2))
    tried = train_final(table, FAST.model_copy(update={"grid": grid})).tried
    assert {one.booster for one in tried} == set(grid)
    for one in tried:
        alone = train_final(table, FAST.model_copy(update={"booster": one.booster}))
        assert predict(one.model, table.values).tobytes() == predict(alone.model, table.values).tobytes()
        assert one.threshold == alone.threshold


def test_ablation_finds_the_feature_that_matters() -> None:
    settings = Settings(folds=2, target=0.9, features=("PEs", "dT", "crv_x"), booster=Booster(rounds=20), threads=1)
    data = build_table(*two_gaussians(1500, 2.0), settings)
    calls: list[None] = []
    dropped = drop_one(data, settings, lambda: calls.append(None))
    added = add_one(data, settings, lambda: calls.append(None))
    assert len(calls) == number_of_studies(3) == 10
    assert [dropped[0].change, dropped[1].change] == ["", "dT"]
    assert dropped[1].test.deadtime > 2 * dropped[0].test.deadtime
    assert added[0].change == "dT"
    assert set(added[-1].features) == set(settings.features)
    assert added[0].reached == 2


def test_nothing_to_score_and_too_little_to_learn_from(table: Table) -> None:
    model = train_final(table, FAST).model
    assert len(predict(model, table.values[:0])) == 0
    small = build_table(coincidences("cosmic", 5), coincidences("electron", 50), FAST)
    with pytest.raises(UserError, match="cosmics has 5 events, too few for 3 folds"):
        cross_validate(small, FAST)
    with pytest.raises(UserError, match="right order"):
        cross_validate(build_table(coincidences("electron", 50), coincidences("electron", 50), FAST), FAST)


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(UserError, match=r"pip install 'mucoffea\[ml\]'"):
        packages.load("a_package_that_nobody_has")
