"""The numbers of a stack figure, computed apart from the drawing so that they can be tested and reused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import hist
import numpy as np
from hist.intervals import poisson_interval
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A larger part of the yield than this outside the axis is written on the figure.
OUTSIDE_NOTE = 0.005


@dataclass(frozen=True)
class Points:
    """Values ``[bins]`` with the lengths ``[bins]`` of the error bars below and above."""

    values: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class StackContent:
    """What a stack figure shows; every array is ``[bins]`` except ``edges`` ``[bins + 1]``.

    ``stack`` holds (label, values), the smallest yield first. ``total`` is its sum and ``total_error`` the
    root of the summed variances. ``ratio`` is data over total, with the errors of the data alone; ``band``
    is ``total_error / total``; both are NaN where the total is not positive, and the ratio also in empty
    bins that expect less than one event. ``outside`` maps ``data`` and ``simulation`` to the fraction of the
    yield in the under- and overflow bins; a side without entries is absent.
    """

    edges: Array
    categories: tuple[str, ...]
    axis_label: str
    event_label: str
    data: Points | None
    stack: tuple[tuple[str, Array], ...]
    total: Array | None
    total_error: Array | None
    ratio: Points | None
    band: Array | None
    uncorrected_total: Array | None
    uncorrected_ratio: Points | None
    outside: dict[str, float]


def stack_content(
    data: hist.Hist | None,
    simulation: Mapping[str, hist.Hist],
    uncorrected: tuple[hist.Hist | None, hist.Hist | None] | None = None,
) -> StackContent:
    """Compute what a stack figure of ``data`` and ``simulation`` (label → normalised histogram) shows.

    ``uncorrected`` holds data and total simulation before corrections; data that is None there is ``data``.

    Raises:
        ValueError: there is nothing to draw, or the histograms differ in their bins, or are not
            one-dimensional with variances.
    """
    before_data, before = uncorrected or (None, None)
    named = {"data": data, "uncorrected data": before_data, "uncorrected simulation": before, **simulation}
    present = {name: histogram for name, histogram in named.items() if histogram is not None}
    _check_same_axis(present)
    axis = next(iter(present.values())).axes[0]
    values = {label: np.asarray(histogram.values(), dtype=float) for label, histogram in simulation.items()}
    total = np.sum(list(values.values()), axis=0) if values else None
    error = np.sqrt(np.sum([h.variances() for h in simulation.values()], axis=0)) if values else None
    points = None if data is None else data_points(data)
    points_before = points if before_data is None else data_points(before_data)
    total_before = None if before is None else np.asarray(before.values(), dtype=float)
    return StackContent(
        edges=np.asarray(axis.edges, dtype=float),
        categories=_categories(axis),
        axis_label=axis.label or axis.name,
        event_label=event_label(axis),
        data=points,
        stack=tuple(sorted(values.items(), key=lambda item: float(item[1].sum()))),
        total=total,
        total_error=error,
        ratio=_ratio(points, total),
        band=None if total is None or error is None else _divided(error, total),
        uncorrected_total=total_before,
        uncorrected_ratio=_ratio(points_before, total_before),
        outside=_outside(data, simulation),
    )


def data_points(data: hist.Hist) -> Points:
    """Return the points of ``data`` with Garwood's central 68.3 % intervals.

    (F. Garwood, Biometrika 28 (1936) 437.) Weighted data is scaled to an equivalent count; a negative bin
    gets the root of its variance.
    """
    values = np.asarray(data.values(), dtype=float)
    variances = np.asarray(data.variances(), dtype=float)
    low, high = np.sqrt(variances), np.sqrt(variances)
    filled = values > 0
    interval = poisson_interval(values[filled], variances[filled])
    low[filled], high[filled] = values[filled] - interval[0], interval[1] - values[filled]
    empty = (values == 0) & (variances == 0)
    high[empty] = poisson_interval(np.zeros(1))[1]
    return Points(values, low, high)


def visible(points: Points, expected: Array | None) -> NDArray[np.bool_]:
    """Return which points are drawn: not an empty bin, unless simulation expects an event there."""
    filled = points.values != 0
    return filled if expected is None else filled | (expected >= 1)


def event_label(axis: hist.axis.AxesMixin) -> str:
    """Return the label of the vertical axis: ``Events / 2 GeV``, or ``Events / bin`` where the widths differ.

    The unit is what stands in square brackets at the end of the label of ``axis``.
    """
    widths = np.diff(axis.edges)
    if not np.allclose(widths, widths[0], rtol=1e-6):
        return "Events / bin"
    unit = re.search(r"\[([^\[\]]+)\]\s*$", axis.label or "")
    if _categories(axis) or (unit is None and np.isclose(widths[0], 1)):
        return "Events"
    width = f"{widths[0]:.3g}" if widths[0] < 1000 else f"{widths[0]:.0f}"
    if unit is None:
        return f"Events / {width}"
    return f"Events / {unit.group(1)}" if width == "1" else f"Events / {width} {unit.group(1)}"


def _check_same_axis(histograms: Mapping[str, hist.Hist]) -> None:
    if not histograms:
        raise ValueError("a stack figure needs data or at least one simulated process")
    first, reference = next(iter(histograms.items()))
    for name, histogram in histograms.items():
        if histogram.ndim != 1:
            raise ValueError(f"'{name}' has {histogram.ndim} axes; a stack figure shows one-dimensional histograms")
        if histogram.variances() is None:
            raise ValueError(f"'{name}' has no variances; use the storage Weight")
        axis, expected = histogram.axes[0], reference.axes[0]
        if not np.array_equal(axis.edges, expected.edges) or _categories(axis) != _categories(expected):
            raise ValueError(f"'{name}' and '{first}' have different bins")


def _categories(axis: object) -> tuple[str, ...]:
    if isinstance(axis, hist.axis.StrCategory | hist.axis.IntCategory):
        return tuple(str(category) for category in axis)
    return ()


def _divided(numerator: Array, denominator: Array) -> Array:
    """Return the quotient, NaN where the denominator is not positive."""
    result = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _ratio(points: Points | None, total: Array | None) -> Points | None:
    if points is None or total is None:
        return None
    values = _divided(points.values, total)
    values[~visible(points, total)] = np.nan
    return Points(values, _divided(points.low, total), _divided(points.high, total))


def _outside(data: hist.Hist | None, simulation: Mapping[str, hist.Hist]) -> dict[str, float]:
    groups = {"data": [] if data is None else [data], "simulation": list(simulation.values())}
    result = {}
    for name, histograms in groups.items():
        everything = float(sum(np.abs(histogram.values(flow=True)).sum() for histogram in histograms))
        inside = float(sum(np.abs(histogram.values()).sum() for histogram in histograms))
        if everything > 0:
            result[name] = (everything - inside) / everything
    return result
