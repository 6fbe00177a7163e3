"""How long to run until the veto's inefficiency is known well enough.

A sample of known live time L0 has n0 selected events, of which the veto misses k0. After live seconds T one expects
n = n0·T/L0 and k = k0·T/L0; the uncertainty of k/n is then half the width of its interval. Four answers:

- :func:`closed_form_days`: Poisson errors of k alone, σ = (k/n)/√k, solved for the live time;
- :func:`project`: the interval of the expected, real-valued counts;
- :func:`project` with ``discrete``: counts rounded down to whole events, as earlier studies did. It is a saw-tooth, and
  while k is 0 its uncertainty is too small by far; it is there to compare with them;
- :func:`throw_toys`: experiments thrown at random: the spread of the answer, and the coverage of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import UserError
from . import intervals
from .beam_structure import DAY, RunningPlan

Array = npt.NDArray[np.float64]
Method = Literal["wilson", "clopper-pearson", "garwood", "sqrt"]
METHODS: tuple[Method, ...] = ("wilson", "clopper-pearson", "garwood", "sqrt")
TARGET = 1e-4


class Inefficiency(BaseModel):
    """What is known at the start: ``unvetoed`` of ``selected`` events in ``livetime`` seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    selected: int = Field(gt=0)
    unvetoed: int = Field(ge=0)
    livetime: float = Field(gt=0)

    @model_validator(mode="after")
    def _part_of_the_whole(self) -> Inefficiency:
        if self.unvetoed > self.selected:
            raise ValueError(f"{self.unvetoed} unvetoed events are more than the {self.selected} selected ones")
        return self

    @property
    def value(self) -> float:
        """The inefficiency."""
        return self.unvetoed / self.selected


class Crossings(BaseModel):
    """When an uncertainty comes down to a target, in days; None is never, up to the last time looked at.

    ``first`` is the first time at or below it, ``sustained`` the first with several such times in a row, ``permanent``
    the first from which on it stays there.
    """

    model_config = ConfigDict(frozen=True)

    first: float | None
    sustained: float | None
    permanent: float | None


@dataclass(frozen=True)
class Projection:
    """Counts and uncertainty against wall time, each of ``[times]``."""

    wall_days: Array
    selected: Array
    unvetoed: Array
    uncertainty: Array


@dataclass(frozen=True)
class ToyStudy:
    """What experiments thrown at random find, at each of ``wall_days``.

    ``quantiles`` are the 16 %, 50 % and 84 % quantiles of the uncertainty, ``[3, times]``; ``reached`` is the fraction
    of experiments whose uncertainty is at or below the target from then on, and ``coverage`` the fraction whose
    interval holds the true inefficiency. ``permanent`` are those quantiles of the day from which the target is kept
    (None: not within the times).
    """

    wall_days: Array
    quantiles: Array
    reached: Array
    coverage: Array
    permanent: tuple[float | None, float | None, float | None]
    experiments: int
    seed: int


def closed_form_days(start: Inefficiency, target: float = TARGET) -> float | None:
    """Return live days until (k/n)/√k is ``target``: (ε/target)² / (k0/L0). None without an unvetoed event."""
    _check_target(target)
    if start.unvetoed == 0:
        return None
    return (start.value / target) ** 2 / (start.unvetoed / start.livetime) / DAY


def limits(unvetoed: npt.ArrayLike, selected: npt.ArrayLike, method: Method, confidence: float) -> tuple[Array, Array]:
    """Return the limits of the inefficiency k/n, of any shape; (0, 1) where nothing is selected.

    ``garwood`` and ``sqrt`` take n as exact: Garwood limits of k over n, and k ± z√k over n.
    """
    k, n = np.asarray(unvetoed, dtype=np.float64), np.asarray(selected, dtype=np.float64)
    if method == "wilson":
        return intervals.wilson(k, n, confidence)
    if method == "clopper-pearson":
        return intervals.clopper_pearson(k, n, confidence)
    if method == "garwood":
        low, high = intervals.garwood(k, confidence)
    elif method == "sqrt":
        half = intervals.z_of(confidence) * np.sqrt(k)
        low, high = k - half, k + half
    else:
        raise UserError(f"There is no method '{method}' for the uncertainty. There are: {', '.join(METHODS)}.")
    total = np.where(n > 0, n, 1.0)
    return np.where(n > 0, low / total, 0.0), np.where(n > 0, high / total, 1.0)


def half_width(unvetoed: npt.ArrayLike, selected: npt.ArrayLike, method: Method, confidence: float) -> Array:
    """Return half the width of the interval of k/n; infinite where nothing is selected."""
    low, high = limits(unvetoed, selected, method, confidence)
    return np.where(np.asarray(selected) > 0, (high - low) / 2, np.inf)


def project(
    start: Inefficiency,
    plan: RunningPlan,
    wall_days: npt.ArrayLike,
    *,
    method: Method = "wilson",
    confidence: float = intervals.CONFIDENCE,
    discrete: bool = False,
) -> Projection:
    """Return the expected counts and the uncertainty of the inefficiency after ``wall_days`` (``[times]``)."""
    wall = np.asarray(wall_days, dtype=np.float64)
    grown = plan.live_seconds(wall) / start.livetime
    selected, unvetoed = np.asarray(start.selected * grown), np.asarray(start.unvetoed * grown)
    if discrete:
        selected, unvetoed = np.floor(selected), np.floor(unvetoed)
    return Projection(
        wall_days=wall,
        selected=selected,
        unvetoed=unvetoed,
        uncertainty=half_width(unvetoed, selected, method, confidence),
    )


def crossings(times: npt.ArrayLike, uncertainty: npt.ArrayLike, target: float, in_a_row: int = 5) -> Crossings:
    """Return when ``uncertainty`` (``[times]``) comes down to ``target``; ``sustained`` asks for ``in_a_row`` times."""
    _check_target(target)
    moments = np.asarray(times, dtype=np.float64)
    below = np.asarray(uncertainty, dtype=np.float64) <= target
    runs = np.convolve(below, np.ones(in_a_row, dtype=np.int64))[in_a_row - 1 :] == in_a_row
    return Crossings(
        first=_first(moments, below),
        sustained=_first(moments, runs[: len(moments)]),
        permanent=_first(moments, _kept(below)),
    )


def days_to_target(
    start: Inefficiency,
    plan: RunningPlan,
    target: float = TARGET,
    *,
    method: Method = "wilson",
    confidence: float = intervals.CONFIDENCE,
) -> float | None:
    """Return the wall days after which the expected uncertainty is ``target``; None if not within a million."""
    from scipy.optimize import brentq

    _check_target(target)

    def excess(log_days: float) -> float:
        expected = project(start, plan, np.exp(log_days), method=method, confidence=confidence)
        return float(np.log(expected.uncertainty) - np.log(target))

    shortest, longest = np.log(1e-3), np.log(1e6)
    if excess(longest) > 0:
        return None
    if excess(shortest) <= 0:
        return 0.0
    return float(np.exp(brentq(excess, shortest, longest, xtol=1e-10)))


def throw_toys(
    start: Inefficiency,
    plan: RunningPlan,
    wall_days: npt.ArrayLike,
    *,
    target: float = TARGET,
    method: Method = "wilson",
    confidence: float = intervals.CONFIDENCE,
    experiments: int = 1000,
    seed: int = 1,
    uncertain_start: bool = False,
) -> ToyStudy:
    """Throw experiments that each take data day after day, and look at them at ``wall_days`` (increasing, ``[times]``).

    Missed and vetoed events are independent Poisson processes. With ``uncertain_start`` each experiment has a truth of
    its own, drawn from what the start tells: few unvetoed events at the start make the answer uncertain.
    """
    _check_target(target)
    wall = np.asarray(wall_days, dtype=np.float64)
    random = np.random.default_rng(seed)
    true, rate = _truths(start, experiments, random if uncertain_start else None)
    steps = np.diff(plan.live_seconds(wall), prepend=0.0)
    missed = np.cumsum(random.poisson(rate * true * steps), axis=1)
    total = missed + np.cumsum(random.poisson(rate * (1 - true) * steps), axis=1)
    low, high = limits(missed, total, method, confidence)
    uncertainty = half_width(missed, total, method, confidence)
    kept = _kept(uncertainty <= target)
    return ToyStudy(
        wall_days=wall,
        quantiles=np.quantile(uncertainty, [0.16, 0.5, 0.84], axis=0, method="inverted_cdf"),
        reached=kept.mean(axis=0),
        coverage=((low <= true) & (true <= high)).mean(axis=0),
        permanent=_quantiles(wall, kept),
        experiments=experiments,
        seed=seed,
    )


def _truths(start: Inefficiency, experiments: int, random: np.random.Generator | None) -> tuple[Array, Array]:
    """Return the true inefficiency and rate of selected events per second, each ``[experiments, 1]``.

    With ``random`` from the Jeffreys posteriors Beta(k0+½, n0−k0+½) and Gamma(n0+½); otherwise as the start has them.
    """
    shape = (experiments, 1)
    if random is None:
        return np.full(shape, start.value), np.full(shape, start.selected / start.livetime)
    true = random.beta(start.unvetoed + 0.5, start.selected - start.unvetoed + 0.5, shape)
    return true, random.gamma(start.selected + 0.5, 1 / start.livetime, shape)


def _kept(below: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where ``below`` is true from there to the end of the last axis."""
    return np.flip(np.logical_and.accumulate(np.flip(below, axis=-1), axis=-1), axis=-1)


def _first(times: Array, true: npt.NDArray[np.bool_]) -> float | None:
    return float(times[np.argmax(true)]) if true.any() else None


def _quantiles(times: Array, kept: npt.NDArray[np.bool_]) -> tuple[float | None, float | None, float | None]:
    days = np.sort(np.where(kept.any(axis=1), times[np.argmax(kept, axis=1)], np.inf))
    chosen = np.quantile(days, [0.16, 0.5, 0.84], method="inverted_cdf")
    early, middle, late = (float(day) if np.isfinite(day) else None for day in chosen)
    return early, middle, late


def _check_target(target: float) -> None:
    if not 0 < target < 1:
        raise UserError(f"The target uncertainty lies between 0 and 1, such as {TARGET}; got {target}.")
