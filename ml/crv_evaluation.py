"""What a veto does to events: scores, thresholds, efficiencies with intervals, and windows in dT to compare with.

An event is vetoed if one of its coincidences has a score at or above the threshold. An event without coincidence
has the score −∞ and is never vetoed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..outputs.intervals import clopper_pearson
from .crv_table import Array, Table

NOT_VETOED = -np.inf


@dataclass(frozen=True)
class Counts:
    """Vetoed and all events of both samples; additive."""

    cosmic_vetoed: int
    cosmic: int
    beam_vetoed: int
    beam: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.cosmic_vetoed + other.cosmic_vetoed,
            self.cosmic + other.cosmic,
            self.beam_vetoed + other.beam_vetoed,
            self.beam + other.beam,
        )

    @property
    def efficiency(self) -> float:
        """Fraction of cosmic events that is vetoed."""
        return self.cosmic_vetoed / self.cosmic if self.cosmic else float("nan")

    @property
    def deadtime(self) -> float:
        """Fraction of signal-like events with pile-up that is vetoed."""
        return self.beam_vetoed / self.beam if self.beam else float("nan")

    def as_row(self, confidence: float) -> dict[str, float]:
        """Return counts and both fractions with Clopper-Pearson intervals."""
        passed, total = (self.cosmic_vetoed, self.beam_vetoed), (self.cosmic, self.beam)
        (low, dead_low), (high, dead_high) = (limits.tolist() for limits in clopper_pearson(passed, total, confidence))
        return {
            "cosmic_events": self.cosmic,
            "cosmic_vetoed": self.cosmic_vetoed,
            "efficiency": self.efficiency,
            "efficiency_low": low,
            "efficiency_high": high,
            "beam_events": self.beam,
            "beam_vetoed": self.beam_vetoed,
            "deadtime": self.deadtime,
            "deadtime_low": dead_low,
            "deadtime_high": dead_high,
        }


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it does where it was chosen.

    Attributes:
        value: vetoed is a score at or above it.
        reached: whether the target was in reach. It is not if too many cosmic events have no coincidence, when every
            coincidence vetoes, or if there are too few events to tell, when all of them are vetoed that can be.
        counts: of the events on which it was chosen.
    """

    value: float
    reached: bool
    counts: Counts


def event_scores(scores: Array, event: Array, n_events: int) -> Array:
    """Return the largest of the scores [R] of the coincidences of each event, [E]; −∞ where it has none."""
    best = np.full(n_events, NOT_VETOED)
    np.maximum.at(best, event, scores.astype(np.float64))
    return best


def count(vetoed: Array, cosmic: Array) -> Counts:
    """Count events [E]."""
    return Counts(
        cosmic_vetoed=int(np.count_nonzero(vetoed & cosmic)),
        cosmic=int(np.count_nonzero(cosmic)),
        beam_vetoed=int(np.count_nonzero(vetoed & ~cosmic)),
        beam=int(np.count_nonzero(~cosmic)),
    )


def choose_threshold(scores: Array, cosmic: Array, target: float) -> Threshold:
    """Return the highest threshold that vetoes a further cosmic event with a probability of at least ``target``.

    Of n cosmic events, ⌈target (n + 1)⌉ have to lie above it: a further event falls below the k-th lowest of n with a
    mean probability of k / (n + 1), whatever the distribution (split conformal prediction: V. Vovk et al., Algorithmic
    Learning in a Random World, 2005). To ask for target × n would give less than the target on other events.

    The threshold lies in the middle between the last score that has to be vetoed and the next one below, so that the
    last digit of a score does not decide.

    Args:
        scores: [E] of events, −∞ for those without coincidence.
        cosmic: [E] bool.
    """
    ordered = np.sort(scores[cosmic])[::-1]
    # The tolerance keeps rounding, as in 0.999 × 1000, from asking for a whole event more.
    needed = int(np.ceil(target * (len(ordered) + 1) - 1e-9))
    last = ordered[min(needed, len(ordered)) - 1] if len(ordered) else NOT_VETOED
    finite = scores[np.isfinite(scores)]
    if np.isfinite(last):
        below = finite[finite < last]
        value = float((last + below.max()) / 2) if len(below) else float(last)
    else:
        value = float(finite.min()) if len(finite) else 0.0
    reached = needed <= len(ordered) and bool(np.isfinite(last))
    return Threshold(value=value, reached=reached, counts=count(scores >= value, cosmic))


def in_window(table: Table, window: tuple[float, float]) -> Array:
    """Return [E]: a coincidence has its dT inside the window, ends included."""
    inside = table.event[(table.dt >= window[0]) & (table.dt <= window[1])]
    return np.bincount(inside, minlength=table.n_events) > 0


def best_window(vetoed: dict[tuple[float, float], Array], cosmic: Array, used: Array, target: float) -> Any:
    """Return the narrowest window that vetoes ``target`` of the cosmic events among ``used``, else the most efficient.

    Args:
        vetoed: window → [E], narrowest first.
        used: [E] the events on which to choose.
    """
    efficiencies = {window: count(mask[used], cosmic[used]).efficiency for window, mask in vetoed.items()}
    for window, efficiency in efficiencies.items():
        if efficiency >= target:
            return window
    return max(efficiencies, key=lambda window: efficiencies[window])


def area_under_curve(scores: Array, positive: Array) -> float:
    """Return the area under the ROC curve, ties counted half; NaN if one class is empty."""
    n_positive = int(np.count_nonzero(positive))
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def roc_curve(scores: Array, cosmic: Array) -> dict[str, Array]:
    """Return the curves against the threshold: ``threshold``, ``efficiency``, ``deadtime``, from loose to tight.

    Scores of −∞ stay in the denominators, so the curve ends before (1, 1) where events have no coincidence.
    """
    thresholds = np.unique(scores[np.isfinite(scores)])
    ordered = {kind: np.sort(scores[cosmic == kind]) for kind in (True, False)}
    above = {
        kind: (len(values) - np.searchsorted(values, thresholds, side="left")) / max(len(values), 1)
        for kind, values in ordered.items()
    }
    return {"threshold": thresholds, "efficiency": above[True], "deadtime": above[False]}


def at_thresholds(curve: dict[str, Array], wanted: Iterable[float]) -> list[dict[str, float]]:
    """Return efficiency and deadtime of ``curve`` at given thresholds."""
    rows = []
    for threshold in wanted:
        place = int(np.searchsorted(curve["threshold"], threshold, side="left"))
        beyond = place >= len(curve["threshold"])
        rows.append(
            {
                "threshold": float(threshold),
                "efficiency": 0.0 if beyond else float(curve["efficiency"][place]),
                "deadtime": 0.0 if beyond else float(curve["deadtime"][place]),
            }
        )
    return rows
