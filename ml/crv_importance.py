"""What the trees look at: gain, weight and cover of XGBoost, and what shuffling a feature costs on test events."""

from __future__ import annotations

from typing import Any

import numpy as np

from .crv_evaluation import area_under_curve
from .crv_settings import Settings
from .crv_table import Array, Table
from .crv_training import Study, predict

KINDS = ("gain", "weight", "cover")


def tree_importance(model: Any, features: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return feature → share of gain, weight and cover; each kind adds up to 1, unless there is no tree with a cut."""
    found: dict[str, dict[str, float]] = {name: {} for name in features}
    for kind in KINDS:
        scores = model.get_score(importance_type=kind if kind == "weight" else f"total_{kind}")
        values = [float(scores.get(f"f{place}", 0.0)) for place in range(len(features))]
        total = sum(values) or 1.0
        for name, value in zip(features, values, strict=True):
            found[name][kind] = value / total
    return found


def permutation_importance(table: Table, study: Study, settings: Settings, repeats: int = 3) -> dict[str, Array]:
    """Return feature → [repeats × folds] loss of area under the ROC curve of coincidences when it is shuffled.

    Each model is asked about the events that it has not seen.
    """
    losses: dict[str, list[float]] = {name: [] for name in table.features}
    for number, fold in enumerate(study.folds):
        rows = (study.fold_of == number)[table.event]
        values, label = table.values[rows], table.label[rows]
        for column, name in enumerate(table.features):
            for repeat in range(repeats):
                random = np.random.default_rng((settings.seed, number, column, repeat))
                shuffled = values.copy()
                shuffled[:, column] = random.permutation(values[:, column])
                area = area_under_curve(predict(fold.chosen.model, shuffled), label)
                losses[name].append(fold.auc["coincidences_test"] - area)
    return {name: np.array(values) for name, values in losses.items()}
