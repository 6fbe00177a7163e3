"""How a correction changes from one file to another: old and new values and their ratio, and a map of the change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .style import PALETTE, new_figure, readable, save, style

Floats = npt.NDArray[np.float64]

#: Most curves of a figure: those of the bins that changed most.
CURVES = 4
#: Most rows of the overview.
ROWS = 30


class DifferenceSlice(NamedTuple):
    """Old and new values on the bins of one or two inputs.

    `old` and `new` are `[x bins, y bins]`, or `[x bins]` if `y_label` is empty; NaN where there is no value.
    `note` says at which values of the other inputs.
    """

    title: str
    old_label: str
    new_label: str
    x_label: str
    x_edges: Floats
    y_label: str
    y_edges: Floats
    old: Floats
    new: Floats
    note: str = ""


class OverviewRow(NamedTuple):
    """One correction: its name, and its largest and mean relative change (not in per cent)."""

    name: str
    largest: float
    mean: float


def draw_difference(values: DifferenceSlice) -> Figure:
    """Return a figure of old and new values against x with their ratio, and of the relative change in x and y."""
    with style():
        two = bool(values.y_label)
        figure = new_figure(17.0 if two else 9.0, 8.0)
        grid = figure.add_gridspec(
            2, 2 if two else 1, height_ratios=(2.0, 1.0), hspace=0.06, wspace=0.24, left=0.075 if two else 0.14,
            right=0.93 if two else 0.96, top=0.86, bottom=0.11,
        )  # fmt: skip
        upper = figure.add_subplot(grid[0, 0])
        lower = figure.add_subplot(grid[1, 0], sharex=upper)
        _draw_curves(upper, lower, values)
        if two:
            _draw_map(figure, figure.add_subplot(grid[:, 1]), values)
        figure.text(0.01, 0.985, readable(_shortened(values.title, 126 if two else 60)), size=17, va="top")
        figure.text(
            0.01, 0.94, readable(_shortened(values.note, 150 if two else 75)), size=14, va="top", color="#444444"
        )
    return figure


def draw_overview(rows: Sequence[OverviewRow], *, old_label: str, new_label: str) -> Figure:
    """Return a figure of the largest and the mean change of each correction, the largest first.

    At most `ROWS` are drawn; the figure says how many are left out.
    """
    shown = sorted(rows, key=lambda row: -row.largest)[:ROWS]
    with style():
        figure = new_figure(13.0, 2.2 + 0.42 * max(len(shown), 2))
        axes = figure.add_axes((0.42, 1.0 / figure.get_figheight(), 0.55, 1 - 2.0 / figure.get_figheight()))
        places = np.arange(len(shown))
        axes.barh(places, [100 * row.largest for row in shown], height=0.7, color=PALETTE[0], label="largest")
        axes.barh(places, [100 * row.mean for row in shown], height=0.34, color=PALETTE[1], label="mean")
        axes.set_yticks(places, [readable(_shortened(row.name, 64)) for row in shown], size=11)
        axes.tick_params(axis="y", which="both", length=0)
        axes.invert_yaxis()
        sizes = [100 * size for row in shown for size in (row.largest, row.mean) if size > 0]
        if sizes and max(sizes) > 50 * min(sizes):
            axes.set_xscale("log")
            axes.set_xlim(min(sizes) / 2, max(sizes) * 2)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("relative change (%)")
        place = (0.97, 1 - 0.55 / figure.get_figheight())
        figure.legend(loc="center right", bbox_to_anchor=place, ncols=2, fontsize=14, frameon=False)
        left = len(rows) - len(shown)
        more = f" ({left} smaller ones are not shown)" if left else ""
        title = f"{old_label}  →  {new_label}{more}"
        figure.text(0.01, 1 - 0.25 / figure.get_figheight(), readable(title), size=16, va="top")
    return figure


def write_figures(folder: Path, slices: dict[str, DifferenceSlice], overview: Figure | None) -> list[Path]:
    """Draw each slice as `folder/<name>.png` and `.pdf`, the overview as `overview.*`; return the paths.

    Raises UserError if they cannot be written.
    """
    paths: list[Path] = []
    if overview is not None:
        paths += save(overview, folder / "overview")
    for name, one in slices.items():
        paths += save(draw_difference(one), folder / name)
    return paths


def _draw_curves(upper: Axes, lower: Axes, values: DifferenceSlice) -> None:
    """Draw old (dashed) and new values, and below the ratio new / old, of the bins in y that changed most."""
    chosen = _most_changed(values)
    handles: list[Line2D] = []
    drawn: list[Floats] = []
    ratios: list[Floats] = []
    for place, colour in zip(chosen, PALETTE, strict=False):
        old, new = (array if place is None else array[:, place] for array in (values.old, values.new))
        upper.stairs(old, values.x_edges, color=colour, linestyle="--", linewidth=1.6, baseline=None)
        upper.stairs(new, values.x_edges, color=colour, linewidth=2.0, baseline=None)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(old != 0, new / old, np.nan)
        drawn += [old, new]
        ratios.append(ratio)
        lower.stairs(ratio, values.x_edges, color=colour, linewidth=2.0, baseline=None)
        if place is not None:
            low, high = values.y_edges[place : place + 2]
            handles.append(Line2D([], [], color=colour, label=_range(low, high)))
    styles = [Line2D([], [], color="black", linestyle=kind, label=label) for kind, label in _both(values)]
    first = upper.legend(handles=styles, loc="upper left", fontsize=13, frameon=False)
    if handles:
        upper.add_artist(first)
        title = _shortened(values.y_label, 30)
        upper.legend(handles=handles, loc="upper right", fontsize=13, title=title, title_fontsize=13, frameon=False)
    if _set_value_scale(upper, *drawn):
        low, high = upper.get_ylim()
        upper.set_ylim(low, high * (high / low) ** 0.3)
    else:
        upper.margins(y=0.08)
        low, high = upper.get_ylim()
        upper.set_ylim(low, high + (0.2 + 0.09 * len(handles)) * (high - low))
    upper.set_ylabel("value")
    lower.axhline(1.0, color="black", linewidth=1.0, linestyle=":")
    if not _set_value_scale(lower, *ratios):
        lower.margins(y=0.15)
    lower.set_ylabel("new / old", loc="center")
    lower.set_xlabel(readable(values.x_label))
    for axes in (upper, lower):
        _set_scale(axes, values.x_edges, values.x_label)
    upper.tick_params(which="both", labelbottom=False)
    figure = upper.get_figure()
    if figure is not None:
        figure.align_ylabels([upper, lower])


def _both(values: DifferenceSlice) -> list[tuple[str, str]]:
    return [("--", _shortened(f"old: {values.old_label}", 42)), ("-", _shortened(f"new: {values.new_label}", 42))]


def _draw_map(figure: Any, axes: Axes, values: DifferenceSlice) -> None:
    """Draw the change in both inputs, white where there is none, grey without a value."""
    change, label = _change(values)
    sizes = np.abs(change[np.isfinite(change)])
    # A few extreme bins would leave the rest without colour.
    limit = float(np.quantile(sizes[sizes > 0], 0.98)) if np.any(sizes > 0) else 1.0
    axes.set_facecolor("#c8c8c8")
    shown = axes.pcolormesh(
        values.x_edges,
        values.y_edges,
        np.ma.masked_invalid(change).T,
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0.0, -limit, limit),
        rasterized=True,
    )
    beyond = "both" if np.any(sizes > limit) else "neither"
    bar = figure.colorbar(shown, ax=axes, extend=beyond, pad=0.02, aspect=30)
    bar.set_label(label)
    axes.set_xlabel(readable(values.x_label))
    axes.set_ylabel(readable(values.y_label))
    _set_scale(axes, values.x_edges, values.x_label)
    axes.set_ylim(values.y_edges[0], values.y_edges[-1])


def _change(values: DifferenceSlice) -> tuple[Floats, str]:
    """Return the relative change in per cent, or the absolute one where most changed values were 0; NaN without."""
    difference = values.new - values.old
    changed = np.abs(difference) > 0
    if np.count_nonzero(changed & (values.old == 0)) > np.count_nonzero(changed & (values.old != 0)):
        return difference, "change, new − old"
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(difference == 0, 0.0, 100 * difference / np.abs(values.old))
    return np.where(np.isfinite(relative), relative, np.nan), "relative change, (new − old) / |old| (%)"


def _most_changed(values: DifferenceSlice) -> list[int | None]:
    """Return the bins in y whose values change most, in ascending order; [None] if there is no y."""
    if not values.y_label:
        return [None]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(np.where(values.old != 0, values.new / values.old - 1, values.new))
    sizes = np.nan_to_num(np.nanmax(np.where(np.isfinite(change), change, -1.0), axis=0), nan=-1.0)
    order = np.argsort(-sizes, kind="stable")
    changed = _distinct(values, [int(one) for one in order if sizes[one] > 0])[:CURVES]
    # One bin without a change beside the changed ones shows what stayed.
    same = [int(one) for one in order if sizes[one] == 0] if changed and len(changed) < CURVES else []
    beside = sorted(same, key=lambda one: abs(one - changed[0]))[:1]
    return [*sorted([*changed, *beside])] or [0]


def _distinct(values: DifferenceSlice, places: list[int]) -> list[int]:
    """Return the bins without those whose values are all those of an earlier one: η and −η share theirs."""
    kept: dict[bytes, int] = {}
    for place in places:
        kept.setdefault(np.stack([values.old[:, place], values.new[:, place]]).tobytes(), place)
    return list(kept.values())


def _set_scale(axes: Axes, edges: Floats, label: str) -> None:
    """Let x be logarithmic over more than a decade, if it is above zero, or a momentum with a bin from zero."""
    positive = edges[edges > 0]
    from_zero = edges[0] == 0 and "GeV" in label
    if (edges[0] > 0 or from_zero) and len(positive) > 1 and positive[-1] > 15 * positive[0]:
        axes.set_xscale("log")
        axes.set_xlim(positive[0] * (0.7 if from_zero else 1.0), positive[-1])
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if positive[-1] < 200 * positive[0] else (1.0,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(edges[0], edges[-1])


def _set_value_scale(axes: Axes, *arrays: Floats) -> bool:
    """Let y be logarithmic if the values are above zero and span more than three decades; return whether."""
    found = np.concatenate([array[np.isfinite(array)] for array in arrays])
    spans = bool(len(found)) and found.min() > 0 and found.max() > 1e3 * found.min()
    if spans:
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)
    return spans


def _range(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}".replace("-", "−")


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"
