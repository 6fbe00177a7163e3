"""Which features the veto needs: leaving out each one, and adding one after the other.

Every row is a study of its own in nested folds. What is added next is decided on validation events; what is quoted
comes from test events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .crv_evaluation import Counts
from .crv_settings import Settings
from .crv_table import Table
from .crv_training import Study, cross_validate


@dataclass(frozen=True)
class Step:
    """One set of features.

    Attributes:
        change: the feature left out or added; empty for the full set.
        auc: mean over the folds, of test events.
        reached: folds in which the target was in reach.
    """

    change: str
    features: tuple[str, ...]
    test: Counts
    auc: float
    reached: int


def drop_one(table: Table, settings: Settings, done: Callable[[], None] = lambda: None) -> tuple[Step, ...]:
    """Study all features, then all but each one; the most needed first. ``done`` is called after each study."""
    steps = [_step("", table, settings, done)[0]]
    if len(table.features) > 1:
        for name in table.features:
            others = tuple(feature for feature in table.features if feature != name)
            steps.append(_step(name, table.with_features(others), settings, done)[0])
    return (steps[0], *sorted(steps[1:], key=lambda step: -step.test.deadtime))


def add_one(table: Table, settings: Settings, done: Callable[[], None] = lambda: None) -> tuple[Step, ...]:
    """Begin with the best single feature and add the best of the others, until all are in."""
    steps: list[Step] = []
    kept: tuple[str, ...] = ()
    while len(kept) < len(table.features):
        tried = [
            _step(name, table.with_features((*kept, name)), settings, done)
            for name in table.features
            if name not in kept
        ]
        best, _ = min(tried, key=lambda pair: _order(*pair))
        steps.append(best)
        kept = best.features
    return tuple(steps)


def number_of_studies(features: int) -> int:
    """Return how many studies :func:`drop_one` and :func:`add_one` make together."""
    return 1 + (features if features > 1 else 0) + features * (features + 1) // 2


def _step(change: str, table: Table, settings: Settings, done: Callable[[], None]) -> tuple[Step, Study]:
    study = cross_validate(table, settings)
    done()
    auc = sum(fold.auc["events_test"] for fold in study.folds) / len(study.folds)
    reached = sum(fold.chosen.threshold.reached for fold in study.folds)
    return Step(change, table.features, study.test, auc, reached), study


def _order(step: Step, study: Study) -> tuple[int, float, float]:
    """The best has its target in reach in most folds, then the smallest deadtime; of validation events."""
    area = sum(fold.chosen.validation_auc for fold in study.folds)
    return -step.reached, study.validation.deadtime, -area
