"""The study as a report and as tables that can be read without mucoffea."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .crv_ablation import Step
from .crv_evaluation import Counts, at_thresholds, roc_curve
from .crv_export import versions
from .crv_importance import permutation_importance, tree_importance
from .crv_settings import Settings
from .crv_table import Table
from .crv_training import Chosen, Study

KIND = "mu2e_crv_veto"
Row = dict[str, Any]

NOTES = (
    "Efficiency: vetoed fraction of the selected cosmic events; deadtime: vetoed fraction of the selected conversion "
    "electrons with pile-up. Events without coincidence are never vetoed and count in both denominators.",
    "Every number comes from events that took part neither in the training nor in the choice of threshold, window or "
    "hyper-parameters. The intervals are Clopper-Pearson and hold the statistics of the test events; the spread over "
    "the folds also holds that of training and threshold, which a single model has too.",
    "The ablation is made with at most 100 trees a model. A grid point is chosen on the validation events that also "
    "give the threshold, which costs a little of the target.",
    "Purity, accuracy and F1 depend on the sizes of the samples and are left out.",
)


def describe(
    table: Table,
    study: Study,
    final: Chosen,
    settings: Settings,
    ablation: Mapping[str, Sequence[Step]] | None = None,
) -> dict[str, Any]:
    """Return the whole study as plain values: what ``report.json`` holds."""
    return {
        "kind": KIND,
        "settings": settings.model_dump(mode="json"),
        "inputs": [vars(source) for source in table.sources],
        "labels": table.labels,
        "coincidences": {"cosmic": int(table.label.sum()), "pile_up": int((~table.label).sum())},
        "warnings": [*table.warnings, *_warnings(study, final, settings)],
        "notes": list(NOTES),
        "comparison": comparison(study, settings),
        "folds": [fold_row(study, number) for number in range(len(study.folds))],
        "final": {"threshold": final.threshold.value, **final.booster.model_dump(mode="json")},
        "threshold_curve": threshold_curve(table, study),
        "importance": importance(table, study, final, settings),
        "ablation": [
            {"study": kind, **step_row(step, settings)} for kind, steps in (ablation or {}).items() for step in steps
        ],
        "optimisation": optimisation(study, final),
        "versions": versions(),
    }


def comparison(study: Study, settings: Settings) -> list[Row]:
    """Return the rows ``trained``, ``best window`` and ``window a..b``, all of the same test events."""
    low, high = settings.scan.baseline
    rows = {
        "trained veto": [fold.test for fold in study.folds],
        "best window": [fold.window_test for fold in study.folds],
        f"window [{low:g}, {high:g}] ns": [fold.baseline for fold in study.folds],
    }
    return [
        {"veto": name, **_row(sum(counts, Counts(0, 0, 0, 0)), settings), **_spread(counts)}
        for name, counts in rows.items()
    ]


def _spread(counts: Sequence[Counts]) -> Row:
    """Return the standard deviations over the folds: what to expect from one training with its threshold."""
    return {
        f"{name}_spread": float(np.std([getattr(one, name) for one in counts], ddof=1))
        for name in ("efficiency", "deadtime")
    }


def _row(counts: Counts, settings: Settings) -> Row:
    merit = counts.efficiency * (1 - counts.deadtime)
    return {**counts.as_row(settings.confidence), "figure_of_merit": merit}


def fold_row(study: Study, number: int) -> Row:
    """Return what one fold chose and found."""
    fold = study.folds[number]
    return {
        "fold": number,
        "threshold": fold.chosen.threshold.value,
        "target_in_reach": fold.chosen.threshold.reached,
        "validation_efficiency": fold.chosen.threshold.counts.efficiency,
        "validation_deadtime": fold.chosen.threshold.counts.deadtime,
        "efficiency": fold.test.efficiency,
        "deadtime": fold.test.deadtime,
        "cosmic_events": fold.test.cosmic,
        "cosmic_vetoed": fold.test.cosmic_vetoed,
        "beam_events": fold.test.beam,
        "beam_vetoed": fold.test.beam_vetoed,
        **{f"auc_{name}": value for name, value in fold.auc.items()},
        "window_low": fold.window[0],
        "window_high": fold.window[1],
        **fold.chosen.booster.model_dump(mode="json"),
    }


def threshold_curve(table: Table, study: Study, points: int = 200) -> list[Row]:
    """Return efficiency and deadtime of all test events against one threshold for all folds."""
    curve = roc_curve(study.score, table.cosmic)
    # Where the odds of the score change evenly; near 0 and 1 the curve is steepest.
    wanted = 1 / (1 + np.exp(-np.linspace(-9, 9, points)))
    return at_thresholds(curve, wanted.tolist())


def importance(table: Table, study: Study, final: Chosen, settings: Settings) -> list[Row]:
    """Return one row a feature, the most important first."""
    shuffled = permutation_importance(table, study, settings)
    trees = tree_importance(final.model, table.features)
    rows = [
        {
            "feature": name,
            **trees[name],
            "permutation": float(shuffled[name].mean()),
            "permutation_spread": float(shuffled[name].std(ddof=1)),
        }
        for name in table.features
    ]
    return sorted(rows, key=lambda row: -row["permutation"])


def step_row(step: Step, settings: Settings) -> Row:
    """Return one row of the ablation."""
    return {
        "change": step.change or "all features",
        "features": " ".join(step.features),
        "folds_with_target_in_reach": step.reached,
        "auc": step.auc,
        **_row(step.test, settings),
    }


def optimisation(study: Study, final: Chosen) -> list[Row]:
    """Return what every grid point did on the validation events of each fold, and of the final model."""
    chosen = {**{str(number): fold.chosen for number, fold in enumerate(study.folds)}, "final": final}
    return [
        {
            "fold": name,
            **one.booster.model_dump(mode="json"),
            "validation_auc": one.validation_auc,
            "threshold": one.threshold.value,
            "target_in_reach": one.threshold.reached,
            "validation_efficiency": one.threshold.counts.efficiency,
            "validation_deadtime": one.threshold.counts.deadtime,
            "chosen": one.booster == best.booster,
        }
        for name, best in chosen.items()
        for one in best.tried
    ]


def _warnings(study: Study, final: Chosen, settings: Settings) -> list[str]:
    reached = [fold.chosen.threshold.reached for fold in study.folds] + [final.threshold.reached]
    found = []
    if not all(reached):
        found.append(
            f"The target of {settings.target:g} was out of reach in {reached.count(False)} of {len(reached)} "
            f"validation samples: too many cosmic events have no coincidence, or there are fewer than "
            f"1/(1 − target) of them."
        )
    deciding = min(fold.chosen.threshold.counts.cosmic for fold in study.folds) * (1 - settings.target)
    if deciding < 10:
        found.append(
            f"Only about {deciding:.2g} validation events lie beyond the target and decide each threshold; "
            f"it fluctuates accordingly. More cosmic events make it stable."
        )
    return found


def write(folder: Path, report: Mapping[str, Any], table: Table, study: Study) -> None:
    """Write ``report.json``, one CSV a table, the comparison as LaTeX, and the score of every event."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(_without_nan(report), indent=2, allow_nan=False) + "\n")
    for name in ("comparison", "folds", "threshold_curve", "importance", "ablation", "optimisation"):
        if report[name]:
            write_csv(folder / f"{name}.csv", report[name])
    (folder / "comparison.tex").write_text(latex(report["comparison"]))
    pq.write_table(scores(table, study), folder / "scores.parquet", compression="zstd")


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with the same keys."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def latex(rows: Sequence[Row]) -> str:
    """Return the comparison as a LaTeX tabular, in per cent."""
    lines = [
        f"{row['veto']} & {_percent_latex(row, 'efficiency')} & {_percent_latex(row, 'deadtime')} \\\\" for row in rows
    ]
    head = "Veto & Efficiency [\\%] & Deadtime [\\%] \\\\"
    return "\n".join(["\\begin{tabular}{lcc}", "\\hline", head, "\\hline", *lines, "\\hline", "\\end{tabular}", ""])


def _percent_latex(row: Row, name: str) -> str:
    value, low, high = (100 * row[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"${value:.3f}_{{-{value - low:.3f}}}^{{+{high - value:.3f}}}$"


def scores(table: Table, study: Study) -> pa.Table:
    """Return one row an event: which it is, in which fold it was tested, its score (null without coincidence)."""
    has = np.isfinite(study.score)
    thresholds = np.array([fold.chosen.threshold.value for fold in study.folds])
    coincidences = np.bincount(table.event, minlength=table.n_events)
    return pa.table(
        {
            "cosmic_sample": table.cosmic,
            **table.key,
            "fold": study.fold_of,
            "coincidences": coincidences,
            "score": pa.array(np.where(has, study.score, 0.0), mask=~has),
            "threshold": thresholds[study.fold_of],
            "vetoed": study.vetoed,
        }
    )


def _without_nan(value: Any) -> Any:
    """Return ``value`` with null for what is no number, since JSON has none."""
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
