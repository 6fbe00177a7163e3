"""A cut flow that adds over chunks: events counted exactly, weights with their correct errors, and N-1.

Built on coffea's `PackedSelection`. coffea's own `Cutflow` cannot be added and takes (sum of w)^2 for the
variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from coffea.analysis_tools import PackedSelection

from ..errors import UserError, closest

Flow = dict[str, dict[str, int | float]]
ALL = "all"
_MAX_BITS_DENSE = 16


def cut_flow(selection: PackedSelection, cuts: Sequence[str], weights: Any = None) -> Flow:
    """Return cut -> yields for `cuts`, which are names in `selection`, applied in order; the first row is
    "all".

    In each row `n`, `sumw`, `sumw2` count the events that pass this and all earlier cuts; `n_alone`, ...
    those that pass this cut whatever the others say; `n_minus_one`, ... those that pass all other cuts (in
    the row "all", which removes nothing: those that pass every cut). `weights` is `[events]`; None weighs
    each event 1. Leaves are plain numbers, so that `coffea.processor.accumulate` adds chunks. Raises
    UserError for a cut that `selection` does not have, is named twice, or is called "all".
    """
    _check(selection, cuts)
    passed = [np.asarray(selection.all(cut), dtype=bool) for cut in cuts]
    n_events = _n_events(selection, passed, weights)
    w = np.ones(n_events) if weights is None else np.asarray(_plain(weights), dtype=np.float64)
    if w.shape != (n_events,):
        raise ValueError(f"weights have shape {w.shape}, the selection {n_events} events")
    return flow_of_masks(cuts, passed, w)


def flow_of_masks(
    cuts: Sequence[str], passed: Sequence[npt.NDArray[np.bool_]], weights: npt.NDArray[np.float64]
) -> Flow:
    """Return the flow of :func:`cut_flow` from one mask `[events]` for each cut and `weights` `[events]`."""
    # Each event has one pattern of passed cuts, and every yield is a sum over patterns: the events are read
    # once.
    patterns, sums = _by_pattern(passed, weights)
    every = (1 << len(cuts)) - 1
    flow: Flow = {ALL: _row(patterns, sums, 0, 0, every)}
    for i, cut in enumerate(cuts):
        flow[cut] = _row(patterns, sums, (1 << (i + 1)) - 1, 1 << i, every ^ (1 << i))
    return flow


def flow_of_combinations(
    cuts: Sequence[str],
    weights: npt.NDArray[np.float64],
    passing: Callable[[Sequence[str]], npt.NDArray[np.bool_]],
) -> Flow:
    """Return the same where passing two cuts is more than passing each: one object must pass both.

    `passing` returns `[events]` that pass a list of cuts.
    """
    squares = weights * weights
    # Unweighted events are counted once, not summed three times.
    unit = bool(np.all(weights == 1.0))
    flow: Flow = {}
    for i, cut in enumerate((ALL, *cuts)):
        alone, others = ([cut], [*cuts[: i - 1], *cuts[i:]]) if i else ([], list(cuts))
        row: dict[str, int | float] = {}
        for suffix, names in (("", cuts[:i]), ("_alone", alone), ("_minus_one", others)):
            # Without a cut every event passes, whatever it holds.
            chosen = passing(names) if names else np.ones(len(weights), dtype=bool)
            n = int(np.count_nonzero(chosen))
            row[f"n{suffix}"] = n
            row[f"sumw{suffix}"] = float(n) if unit else float(weights[chosen].sum())
            row[f"sumw2{suffix}"] = float(n) if unit else float(squares[chosen].sum())
        flow[cut] = row
    return flow


def table(
    flow: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, str | None] | None = None,
    descriptions: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return a merged flow as a table for people: cut, group, events passing, % of all and of the row before.

    Percentages come from the sums; they are never added. None where there is nothing to divide by.
    """
    groups, descriptions = groups or {}, descriptions or {}
    lines: list[dict[str, Any]] = []
    for row in rows(flow):
        absolute, relative = row["efficiency"], row["relative_efficiency"]
        lines.append(
            {
                "Cut": "No cuts" if row["cut"] == ALL else row["cut"],
                "Group": groups.get(row["cut"]) or "",
                "Events Passing": row["n"],
                "Absolute [%]": None if absolute is None else 100 * absolute,
                "Relative [%]": None if relative is None else 100 * relative,
                "Description": descriptions.get(row["cut"], ""),
            }
        )
    return lines


def rows(flow: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the flow as a table, one dictionary a cut, with efficiencies and errors, for printing and CSV.

    Added to the yields: `error` (sqrt of sumw2), `efficiency` and `relative_efficiency` (to all events, and
    to the cut before) with binomial errors, and the same of the weights (`weighted_...`) with the errors of a
    weighted fraction, [(1 - e)^2 sumw2(pass) + e^2 sumw2(fail)] / sumw^2. None where there is nothing to
    divide by.
    """
    table: list[dict[str, Any]] = []
    first: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    for cut, row in flow.items():
        first = first or row
        line: dict[str, Any] = {"cut": cut, **row, "error": math.sqrt(row["sumw2"])}
        for name, base in (("efficiency", first), ("relative_efficiency", before or row)):
            line[name], line[f"{name}_error"] = _binomial(row["n"], base["n"])
            line[f"weighted_{name}"], line[f"weighted_{name}_error"] = _weighted_fraction(row, base)
        table.append(line)
        before = row
    return table


def _check(selection: PackedSelection, cuts: Sequence[str]) -> None:
    for i, cut in enumerate(cuts):
        if cut not in selection.names:
            raise UserError(
                f"The cut flow names a cut '{cut}' that the selection does not have."
                f"{closest(cut, selection.names)} It has: {', '.join(selection.names)}."
            )
        if cut == ALL or cut in cuts[:i]:
            raise UserError(f"The cut flow cannot have a cut '{cut}': the name is taken. Rename or remove it.")


def _plain(weights: Any) -> npt.NDArray[np.float64]:
    return ak.to_numpy(weights) if isinstance(weights, ak.Array) else np.asarray(weights)


def _n_events(selection: PackedSelection, passed: Sequence[npt.NDArray[np.bool_]], weights: Any) -> int:
    if passed:
        return len(passed[0])
    if selection.names:
        return len(selection.all(selection.names[0]))
    return 0 if weights is None else len(weights)


def _by_pattern(
    passed: Sequence[npt.NDArray[np.bool_]], weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint64], tuple[npt.NDArray[Any], ...]]:
    """Return the patterns (bit i is cut i) and, for each, the number of events, sum of w and sum of w^2."""
    code = np.zeros(len(weights), dtype=np.uint64)
    for i, mask in enumerate(passed):
        code |= mask.astype(np.uint64) << np.uint64(i)
    place: npt.NDArray[np.intp]
    if len(passed) <= _MAX_BITS_DENSE:
        patterns, place = np.arange(1 << len(passed), dtype=np.uint64), code.astype(np.intp)
    else:
        patterns, place = np.unique(code, return_inverse=True)
    n = np.bincount(place, minlength=len(patterns))
    sumw = np.bincount(place, weights, minlength=len(patterns))
    sumw2 = np.bincount(place, weights * weights, minlength=len(patterns))
    return patterns, (n, sumw, sumw2)


def _row(
    patterns: npt.NDArray[np.uint64],
    sums: tuple[npt.NDArray[Any], ...],
    cumulative: int,
    alone: int,
    others: int,
) -> dict[str, int | float]:
    row: dict[str, int | float] = {}
    for suffix, required in (("", cumulative), ("_alone", alone), ("_minus_one", others)):
        chosen = (patterns & np.uint64(required)) == np.uint64(required)
        row[f"n{suffix}"] = int(sums[0][chosen].sum())
        row[f"sumw{suffix}"] = float(sums[1][chosen].sum())
        row[f"sumw2{suffix}"] = float(sums[2][chosen].sum())
    return row


def _binomial(passed: int, total: int) -> tuple[float | None, float | None]:
    if total == 0:
        return None, None
    efficiency = passed / total
    return efficiency, math.sqrt(efficiency * (1 - efficiency) / total)


def _weighted_fraction(row: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if base["sumw"] == 0:
        return None, None
    fraction = row["sumw"] / base["sumw"]
    # Rounding may leave the failed part a hair below zero.
    failed = max(base["sumw2"] - row["sumw2"], 0.0)
    return fraction, math.sqrt((1 - fraction) ** 2 * row["sumw2"] + fraction**2 * failed) / abs(base["sumw"])
