"""How many events would pass at other thresholds, for any number of thresholds in one pass over the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Direction = Literal[">", "<"]


def best_of_objects(
    values: npt.ArrayLike, passed: npt.ArrayLike, event: npt.ArrayLike, n_events: int, direction: Direction
) -> npt.NDArray[np.floating[Any]]:
    """Return ``[events]`` the value of the object that passes longest when the threshold is tightened; nan without.

    It has the precision of ``values``.

    Args:
        values: ``[objects]``, flat; nan passes no threshold.
        passed: ``[objects]`` which pass all other cuts.
        event: ``[objects]`` the place of the event of each object, in any order.
        n_events: number of events.
        direction: the cut is ``value > threshold`` or ``value < threshold``.
    """
    flat, chosen = _floating(values), np.asarray(passed, dtype=bool)
    chosen = chosen & ~np.isnan(flat)
    of = np.asarray(event, dtype=np.intp)[chosen]
    best = np.full(n_events, -np.inf if direction == ">" else np.inf, dtype=flat.dtype)
    (np.maximum if direction == ">" else np.minimum).at(best, of, flat[chosen])
    found = np.zeros(n_events, dtype=bool)
    found[of] = True
    best[~found] = np.nan
    return best


def scan(best: npt.ArrayLike, thresholds: Sequence[float], direction: Direction) -> dict[str, int]:
    """Return threshold → number of events that pass it; additive over chunks.

    Args:
        best: ``[events]`` the value of the best object that passes all other cuts; nan if there is none.
        thresholds: in any order.
        direction: the cut is ``best > threshold`` or ``best < threshold``, strictly, in the precision of ``best``: as
            NumPy compares an array with a number.

    Raises:
        ValueError: a threshold is nan.
    """
    values = _floating(best)
    ordered = np.sort(values[~np.isnan(values)])
    at = np.asarray(thresholds, dtype=np.float64).astype(values.dtype)
    if np.isnan(at).any():
        raise ValueError("a threshold is nan, with which nothing compares")
    if direction == ">":
        passing = len(ordered) - np.searchsorted(ordered, at, side="right")
    else:
        passing = np.searchsorted(ordered, at, side="left")
    return {str(float(threshold)): int(number) for threshold, number in zip(thresholds, passing, strict=True)}


def _floating(values: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    """Return an array of floats, in the precision it has; whole numbers become double precision."""
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
