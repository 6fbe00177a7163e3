"""Figures of a correction: values in bins of one input with their uncertainty, and maps in two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import style
from .correction_axes import drawn_edges, set_range, shortened

Floats = NDArray[np.floating[Any]]

#: Most cells of a map that hold their numbers.
MOST_NUMBERS = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.13, 0.96, 0.88, 0.12


class Curve(NamedTuple):
    """Values `[bins]` with the ends of their uncertainty, NaN where there are none; no band without `up`, `down`."""

    label: str
    values: Floats
    up: Floats | None = None
    down: Floats | None = None


def draw_curves(
    edges: Floats, curves: Sequence[Curve], *, label: str, value_label: str, title: str, note: str = ""
) -> Figure:
    """Draw curves over `edges` `[bins + 1]` with their bands; from two on, their ratios to the first below.

    `note` says at which values of the other inputs. An infinite outer edge is drawn one bin width away from its
    neighbour, and marked. Raises ValueError if lengths disagree or there is no curve.
    """
    if not curves:
        raise ValueError("a curve is needed")
    for one in curves:
        if any(part is not None and len(part) != len(edges) - 1 for part in one[1:]):
            raise ValueError(f"{len(edges)} edges need {len(edges) - 1} values, up and down")
    drawn = drawn_edges(edges)
    with style.style():
        figure = style.new_figure(8.5, 7.5 if len(curves) > 1 else 6.0)
        frame = {
            "left": _LEFT + 0.04,
            "right": _RIGHT,
            "top": _TOP if len(curves) > 1 else 0.85,
            "bottom": _BOTTOM,
            "hspace": 0.06,
        }
        if len(curves) > 1:
            grid = figure.add_gridspec(2, 1, height_ratios=(2.2, 1.0), **frame)
            upper = figure.add_subplot(grid[0])
            lower = figure.add_subplot(grid[1], sharex=upper)
            _draw_ratios(lower, drawn, curves)
            upper.tick_params(which="both", labelbottom=False)
        else:
            upper = lower = figure.add_subplot(figure.add_gridspec(1, 1, **frame)[0])
        for one, colour in zip(curves, _colours(len(curves)), strict=True):
            _draw_curve(upper, drawn, one, colour)
        _finish_curves(upper, curves, value_label)
        set_range(upper, edges, label)
        lower.set_xlabel(style.readable(label))
        if lower is not upper:
            figure.align_ylabels([upper, lower])
        _head(figure, title, note)
    return figure


def draw_map(
    edges: tuple[Floats, Floats],
    values: Floats,
    *,
    labels: tuple[str, str],
    value_label: str,
    title: str,
    note: str = "",
) -> Figure:
    """Draw values `[bins of x, bins of y]` as colours with a colour bar; in cells that are few, the numbers, too.

    White is 1 for values around it; cells without a value are grey. Infinite outer edges as in `draw_curves`. Serves
    for uncertainties, too. Raises ValueError if shapes disagree.
    """
    if values.shape != (len(edges[0]) - 1, len(edges[1]) - 1):
        raise ValueError(f"values of shape {values.shape} do not fit {len(edges[0])} and {len(edges[1])} edges")
    drawn = drawn_edges(edges[0]), drawn_edges(edges[1])
    with style.style():
        figure = style.new_figure(9.5, 6.5)
        axes = figure.add_axes((_LEFT, _BOTTOM + 0.01, 0.66, 0.74))
        bar_axes = figure.add_axes((_LEFT + 0.705, _BOTTOM + 0.01, 0.025, 0.74))
        axes.set_facecolor("#c8c8c8")
        shown = np.ma.masked_invalid(values)
        norm, colours, beyond = _colouring(values)
        mesh = axes.pcolormesh(*drawn, shown.T, cmap=colours, norm=norm, rasterized=values.size > 2000)
        bar = figure.colorbar(mesh, cax=bar_axes, extend=beyond)
        bar.set_label(style.readable(shortened(value_label, 45)))
        bar.formatter.set_useOffset(False)  # type: ignore[attr-defined]
        set_range(axes, edges[0], labels[0], "x")
        set_range(axes, edges[1], labels[1], "y")
        axes.set(xlabel=style.readable(labels[0]), ylabel=style.readable(labels[1]))
        axes.tick_params(which="both", direction="out", top=False, right=False)
        if values.size <= MOST_NUMBERS:
            _write_numbers(figure, axes, drawn, values, mesh)
        _head(figure, title, note)
    return figure


def _colours(number: int) -> list[str]:
    return [style.PALETTE[place % len(style.PALETTE)] for place in range(number)]


def _draw_curve(axes: Axes, drawn: Floats, one: Curve, colour: str) -> None:
    if one.up is not None and one.down is not None:
        # A band ends where values do: a step from or to NaN would be filled down to 0.
        up, down = (np.where(np.isfinite(part), part, one.values) for part in (one.up, one.down))
        axes.stairs(up, drawn, baseline=down, fill=True, alpha=0.3, color=colour, linewidth=0)
    label = style.readable(shortened(one.label, 60))
    axes.stairs(one.values, drawn, baseline=None, color=colour, linewidth=2.2, label=label)


def _draw_ratios(axes: Axes, drawn: Floats, curves: Sequence[Curve]) -> None:
    """Draw each curve divided by the values of the first; the band of the first around 1."""
    reference = curves[0].values
    for one, colour in zip(curves, _colours(len(curves)), strict=True):
        divided = Curve("", *(None if part is None else _ratio(part, reference) for part in one[1:]))  # type: ignore[arg-type]
        _draw_curve(axes, drawn, divided, colour)
    axes.set_ylabel("ratio", loc="center")
    axes.margins(y=0.15)
    axes.ticklabel_format(axis="y", useOffset=False)


def _ratio(values: Floats, reference: Floats) -> Floats:
    return np.divide(values, reference, out=np.full(len(values), np.nan), where=reference != 0)


def _finish_curves(axes: Axes, curves: Sequence[Curve], value_label: str) -> None:
    parts = [part[np.isfinite(part)] for one in curves for part in one[1:] if part is not None]
    values = np.concatenate(parts) if parts else np.zeros(0)
    if len(values) and values.min() > 0 and values.max() > 1e3 * values.min():
        axes.set_yscale("log")
    elif len(values):
        low, high = float(values.min()), float(values.max())
        # Nearly equal values: rounding errors are no structure.
        height = max(high - low, 0.02 * max(abs(low), abs(high)), 1e-9)
        axes.set_ylim(low - 0.1 * height, high + (0.18 + 0.09 * len(curves)) * height)
        axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(style.readable(shortened(value_label, 40)))
    axes.legend(loc="upper right", fontsize=13, frameon=False)


def _colouring(values: Floats) -> tuple[Normalize, str, str]:
    """Return norm, colour map and ends of the colour bar: around 1 for factors; a few extreme cells are beyond."""
    found = values[np.isfinite(values)]
    if not len(found):
        return Normalize(0, 1), "viridis", "neither"
    low, high = float(found.min()), float(found.max())
    if low > 0.3 and high < 3.0 and low < 1.0 < high:
        size = max(float(np.quantile(np.abs(found - 1.0), 0.99)), 1e-6)
        beyond = "both" if max(high - 1.0, 1.0 - low) > 1.001 * size else "neither"
        return TwoSlopeNorm(1.0, 1.0 - size, 1.0 + size), "RdBu_r", beyond
    first, last = (float(edge) for edge in np.quantile(found, (0.01, 0.99)))
    if last > first and high - low > 5 * (last - first):
        ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
        return Normalize(first, last), "viridis", ends.get((low < first, high > last), "neither")
    return Normalize(low, high if high > low else low + 1e-6), "viridis", "neither"


def _write_numbers(figure: Figure, axes: Axes, drawn: tuple[Floats, Floats], values: Floats, mesh: Any) -> None:
    """Write each value into its cell, as large as fits, and not at all if that is unreadable."""
    bounds = [
        np.clip(edges, min(limit), max(limit))
        for edges, limit in zip(drawn, (axes.get_xlim(), axes.get_ylim()), strict=True)
    ]
    x = axes.transData.transform([(edge, bounds[1][0]) for edge in bounds[0]])[:, 0]
    y = axes.transData.transform([(bounds[0][0], edge) for edge in bounds[1]])[:, 1]
    back = axes.transData.inverted()
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        text = f"{value:.3f}" if value == 0 or 0.01 < abs(value) < 100 else f"{value:.3g}"
        width, height = ((edges[at + 1] - edges[at]) * 72 / figure.dpi for edges, at in ((x, i), (y, j)))
        size = min(width / (0.62 * len(text)), height / 1.3, 13.0)
        turned = height > width and size < 7
        if turned:
            size = min(height / (0.62 * len(text)), width / 1.3, 11.0)
        if size < 4.5:
            continue
        across, along = back.transform(((x[i] + x[i + 1]) / 2, (y[j] + y[j + 1]) / 2))
        red, green, blue, _ = mesh.cmap(mesh.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        turn = 90.0 if turned else 0.0
        colour = "white" if dark else "black"
        axes.text(across, along, text, size=size, ha="center", va="center", rotation=turn, color=colour)


def _head(figure: Figure, title: str, note: str) -> None:
    characters = int(9.5 * figure.get_figwidth())
    height = figure.get_figheight()
    figure.text(0.015, 1 - 0.1 / height, style.readable(shortened(title, characters)), size=15, va="top")
    note = style.readable(shortened(note, int(1.25 * characters)))
    figure.text(0.015, 1 - 0.42 / height, note, size=12, va="top", color="#444444")
