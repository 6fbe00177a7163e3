"""Training of the veto in nested folds: fit, choose on a validation split, quote on events that neither has seen.

All splits are made of events, never of coincidences, so those of one event stay together; events of both samples are
in the same proportion everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import UserError
from .crv_evaluation import Counts, Threshold, area_under_curve, best_window, choose_threshold, count, event_scores
from .crv_evaluation import in_window as events_in_window
from .crv_settings import Booster, Settings
from .crv_table import Array, Table
from .packages import load

Window = tuple[float, float]


@dataclass(frozen=True)
class Chosen:
    """A trained model with the threshold of its validation events.

    Attributes:
        model: an ``xgboost.Booster``.
        validation_auc: of events.
        tried: all candidates, this one among them, where there were several.
    """

    booster: Booster
    model: Any
    threshold: Threshold
    validation_auc: float
    tried: tuple[Chosen, ...] = ()


@dataclass(frozen=True)
class Fold:
    """One outer fold: what was chosen without its test events, and what it does to them."""

    chosen: Chosen
    test: Counts
    baseline: Counts
    window: Window
    window_test: Counts
    auc: dict[str, float]


@dataclass(frozen=True)
class Study:
    """All outer folds.

    Attributes:
        fold_of: [E] the fold in which each event is tested.
        score: [E] of each event, by the model that has not seen it; −∞ without coincidence.
        row_score: [R] the same of each coincidence.
        vetoed: [E] at the threshold of its fold.
    """

    folds: tuple[Fold, ...]
    fold_of: Array
    score: Array
    row_score: Array
    vetoed: Array

    @property
    def test(self) -> Counts:
        """Sum over the test folds: each event counts once."""
        return sum((fold.test for fold in self.folds), Counts(0, 0, 0, 0))

    @property
    def validation(self) -> Counts:
        """Sum over the validation splits, in which an event can count several times: to choose, not to quote."""
        return sum((fold.chosen.threshold.counts for fold in self.folds), Counts(0, 0, 0, 0))

    @property
    def baseline(self) -> Counts:
        """The fixed window in dT on the same events."""
        return sum((fold.baseline for fold in self.folds), Counts(0, 0, 0, 0))

    @property
    def window(self) -> Counts:
        """The window in dT chosen, fold by fold, on the other events."""
        return sum((fold.window_test for fold in self.folds), Counts(0, 0, 0, 0))


def split_events(cosmic: Array, parts: int, seed: tuple[int, ...]) -> Array:
    """Return [E] the part of each event: both samples in equal shares, otherwise random."""
    part = np.empty(len(cosmic), dtype=np.int64)
    for kind in (False, True):
        (members,) = np.nonzero(cosmic == kind)
        shuffled = np.random.default_rng((*seed, int(kind))).permutation(members)
        part[shuffled] = np.arange(len(members)) % parts
    return part


def split_validation(cosmic: Array, pool: Array, share: float, seed: tuple[int, ...]) -> tuple[Array, Array]:
    """Split the events of ``pool`` [E] into training [E] and validation [E], ``share`` of each sample in the latter."""
    validation = np.zeros(len(cosmic), dtype=bool)
    for kind in (False, True):
        (members,) = np.nonzero(pool & (cosmic == kind))
        shuffled = np.random.default_rng((*seed, int(kind))).permutation(members)
        validation[shuffled[: max(round(share * len(members)), 1)]] = True
    return pool & ~validation, validation


def fit(values: Array, label: Array, booster: Booster, settings: Settings) -> Any:
    """Train boosted trees on coincidences [R, F] and their labels [R]; the same input gives the same bytes."""
    xgboost = load("xgboost")
    data = xgboost.DMatrix(values, label=label.astype(np.float32), nthread=settings.threads)
    return xgboost.train(_parameters(booster, settings), data, booster.rounds)


def _parameters(booster: Booster, settings: Settings) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "device": "cpu",
        "max_depth": booster.max_depth,
        "learning_rate": booster.learning_rate,
        "reg_alpha": booster.reg_alpha,
        "scale_pos_weight": booster.scale_pos_weight,
        "seed": settings.seed,
        "nthread": settings.threads,
        "verbosity": 0,
    }


def predict(model: Any, values: Array) -> Array:
    """Return the score of coincidences [R, F], a number between 0 and 1, [R] float32."""
    if not len(values):
        return np.zeros(0, dtype=np.float32)
    return np.asarray(model.inplace_predict(values, missing=np.nan))  # with the threads of its training


def choose(table: Table, training: Array, validation: Array, settings: Settings) -> Chosen:
    """Train every candidate on ``training`` events [E] and return the best on ``validation`` events [E].

    The best reaches the target with the smallest deadtime; among equals the one with the larger area under the ROC
    curve, then the simplest.
    """
    rows = training[table.event]
    longest: dict[Booster, int] = {}
    for booster in settings.candidates:
        kind = booster.model_copy(update={"rounds": 1})
        longest[kind] = max(longest.get(kind, 0), booster.rounds)
    tried = []
    for kind, rounds in longest.items():
        whole = fit(table.values[rows], table.label[rows], kind.model_copy(update={"rounds": rounds}), settings)
        for booster in settings.candidates:
            if booster.model_copy(update={"rounds": 1}) == kind:
                # The first trees of a long training are those of a shorter one.
                model = whole if booster.rounds == rounds else whole[: booster.rounds]
                tried.append(_with_threshold(table, model, booster, validation, settings.target))
    best = min(tried, key=lambda one: (not one.threshold.reached, one.threshold.counts.deadtime, -one.validation_auc))
    return replace(best, tried=tuple(tried)) if len(tried) > 1 else best


def _with_threshold(table: Table, model: Any, booster: Booster, validation: Array, target: float) -> Chosen:
    rows = validation[table.event]
    scores = event_scores(predict(model, table.values[rows]), table.event[rows], table.n_events)[validation]
    cosmic = table.cosmic[validation]
    return Chosen(booster, model, choose_threshold(scores, cosmic, target), area_under_curve(scores, cosmic))


def cross_validate(table: Table, settings: Settings) -> Study:
    """Run all outer folds.

    Raises:
        UserError: there are too few events, or only one kind of coincidence.
    """
    check_size(table, settings)
    fold_of = split_events(table.cosmic, settings.folds, (settings.seed,))
    windows = {window: events_in_window(table, window) for window in settings.scan.windows}
    baseline = events_in_window(table, settings.scan.baseline)
    score = np.full(table.n_events, -np.inf)
    row_score = np.zeros(len(table.event), dtype=np.float32)
    vetoed = np.zeros(table.n_events, dtype=bool)
    folds = []
    for number in range(settings.folds):
        test = fold_of == number
        training, validation = split_validation(table.cosmic, ~test, settings.validation, (settings.seed, number))
        chosen = choose(table, training, validation, settings)
        rows = test[table.event]
        row_score[rows] = predict(chosen.model, table.values[rows])
        score[test] = event_scores(row_score[rows], table.event[rows], table.n_events)[test]
        vetoed[test] = score[test] >= chosen.threshold.value
        window = best_window(windows, table.cosmic, ~test, settings.target)
        folds.append(
            Fold(
                chosen=chosen,
                test=count(vetoed[test], table.cosmic[test]),
                baseline=count(baseline[test], table.cosmic[test]),
                window=window,
                window_test=count(windows[window][test], table.cosmic[test]),
                auc=_areas(table, chosen, training, test, score, row_score),
            )
        )
    return Study(tuple(folds), fold_of, score, row_score, vetoed)


def _areas(
    table: Table, chosen: Chosen, training: Array, test: Array, score: Array, row_score: Array
) -> dict[str, float]:
    """Return the areas under the ROC curves of coincidences (training, test) and of events (validation, test)."""
    rows, test_rows = training[table.event], test[table.event]
    return {
        "coincidences_training": area_under_curve(predict(chosen.model, table.values[rows]), table.label[rows]),
        "coincidences_test": area_under_curve(row_score[test_rows], table.label[test_rows]),
        "events_validation": chosen.validation_auc,
        "events_test": area_under_curve(score[test], table.cosmic[test]),
    }


def train_final(table: Table, settings: Settings) -> Chosen:
    """Train the model that is handed on: on all events but a validation split, on which its threshold is chosen.

    What it can do is what :func:`cross_validate` says of models made in the same way.
    """
    check_size(table, settings)
    everything = np.ones(table.n_events, dtype=bool)
    training, validation = split_validation(
        table.cosmic, everything, settings.validation, (settings.seed, settings.folds)
    )
    return choose(table, training, validation, settings)


def check_size(table: Table, settings: Settings) -> None:
    """Refuse a table that is too small to be split.

    Raises:
        UserError: there are fewer than two events for each fold, or one kind of coincidence is missing.
    """
    for kind, name in ((True, "cosmics"), (False, "conversion electrons")):
        events = int(np.count_nonzero(table.cosmic == kind))
        if events < 4 * settings.folds:
            raise UserError(
                f"The sample of {name} has {events} events, too few for {settings.folds} folds. "
                f"Use at least {4 * settings.folds} events or fewer --folds."
            )
        if not np.any(table.label == kind):
            raise UserError(
                f"No coincidence of {'a cosmic ray' if kind else 'pile-up'} is in the table (labels from "
                f"{table.labels}), so there is nothing to tell apart. Are the samples given in the right order?"
            )
