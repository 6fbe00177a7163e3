"""Stacks: simulated processes on top of each other, data as points, and their ratio below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hist
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from .content import OUTSIDE_NOTE, Array, Points, StackContent, stack_content, visible
from .notes import NOTE_COLOUR, StackNotes, draw_corner, draw_head, draw_legend, head_height
from .style import (
    BAND_COLOUR,
    DATA_COLOUR,
    UNCORRECTED_COLOUR,
    new_figure,
    process_colours,
    readable,
    save,
    style,
)

__all__ = ["StackContent", "StackNotes", "draw_stack", "plot_stack", "stack_content"]

_BAND: dict[str, Any] = {"fill": True, "facecolor": "none", "edgecolor": BAND_COLOUR, "hatch": "//////", "linewidth": 0}
_BAND_LABEL = "Stat. uncertainty"
_WIDE: dict[str, Any] = {"fill": True, "facecolor": BAND_COLOUR, "alpha": 0.35, "linewidth": 0}
_WIDE_LABEL = "Stat. ⊕ syst. uncertainty"
Band = tuple[Array, Array]
_UNCORRECTED_LABEL = "Uncorrected"
_WIDTH, _LEFT, _RIGHT, _BOTTOM = 8.0, 1.15, 0.3, 0.75  # figure width and its margins in inches
_MAIN, _GAP, _RATIO = 4.9, 0.12, 1.6  # heights of the two panels and the gap between them in inches
_HALF_RANGES = (0.1, 0.2, 0.5, 1.0)


def plot_stack(
    stem: Path,
    *,
    data: hist.Hist | None,
    simulation: Mapping[str, hist.Hist],
    uncorrected: tuple[hist.Hist | None, hist.Hist | None] | None = None,
    notes: StackNotes,
    log: bool = False,
    colours: Mapping[str, str] | None = None,
    band: Band | None = None,
) -> tuple[Path, Path]:
    """Draw data against stacked simulation with a ratio panel, and return the paths of the PNG and the PDF.

    Args:
        stem: the path without its ending.
        data: observed events, or None.
        simulation: label → normalised histogram; may be empty where there is data. The total carries a band
            of the statistical uncertainty of the simulation, the root of the summed variances.
        uncorrected: (data, total simulation) before corrections, for contrast: dashed line and open markers;
            data that is None there is ``data``.
        notes: what is written on the figure.
        log: logarithmic vertical axis.
        colours: label → colour; the others are taken from the palette in the order of ``simulation``.
        band: how far the total may be above and below, statistical and systematic, ``[bins]``; None draws the
            statistical uncertainty alone.

    Raises:
        ValueError: see :func:`stack_content`.
        UserError: the files cannot be written.
    """
    content = stack_content(data, simulation, uncorrected)
    with style():
        figure = draw_stack(content, notes, log=log, colours=process_colours(simulation, colours), band=band)
        return save(figure, stem)


def draw_stack(
    content: StackContent,
    notes: StackNotes,
    *,
    log: bool = False,
    colours: Mapping[str, str],
    band: Band | None = None,
) -> Figure:
    """Return the figure of ``content``; its first axes hold the stack, its second, if any, the ratio.

    Call it inside :func:`mucoffea.plotting.style.style`.
    """
    figure, main, ratio = _panels(content, head_height(notes, _WIDTH))
    draw_head(figure, main, notes)
    _draw_simulation(main, content, colours, band)
    if content.data is not None:
        _draw_points(
            main,
            _shown(content.data, content.total),
            content.edges,
            colour=DATA_COLOUR,
            label=notes.data_label,
        )
    legend = _draw_legend(main, content, notes)
    head = draw_corner(main, legend, _corner_lines(content, notes))
    _scale_y(main, content, head=head, log=log)
    if ratio is not None:
        _draw_ratio(ratio, content, band)
    _label_x(main, ratio, content)
    return figure


def _panels(content: StackContent, head: float) -> tuple[Figure, Axes, Axes | None]:
    """Return the figure with fixed margins, so that panels of several figures line up side by side."""
    with_ratio = content.ratio is not None or content.uncorrected_ratio is not None
    lower = _RATIO + _GAP if with_ratio else 0.0
    height = _BOTTOM + lower + _MAIN + head
    figure = new_figure(_WIDTH, height)
    width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    main = figure.add_axes((_LEFT / _WIDTH, (_BOTTOM + lower) / height, width, _MAIN / height))
    if not with_ratio:
        return figure, main, None
    ratio = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, width, _RATIO / height), sharex=main)
    return figure, main, ratio


def _draw_simulation(axes: Axes, content: StackContent, colours: Mapping[str, str], band: Band | None) -> None:
    edges = content.edges
    if content.stack and content.total is not None and content.total_error is not None:
        labels = [label for label, _ in content.stack]
        mplhep.histplot(
            [values for _, values in content.stack],
            edges,
            stack=True,
            histtype="fill",
            label=labels,
            color=[colours[label] for label in labels],
            yerr=False,
            flow="none",
            ax=axes,
        )
        axes.stairs(content.total, edges, color="black", linewidth=0.8, baseline=None)
        if band is not None:
            axes.stairs(content.total + band[0], edges, baseline=content.total - band[1], label=_WIDE_LABEL, **_WIDE)
        upper, lower = content.total + content.total_error, content.total - content.total_error
        axes.stairs(upper, edges, baseline=lower, label=_BAND_LABEL, **_BAND)
    if content.uncorrected_total is not None:
        axes.stairs(
            content.uncorrected_total,
            edges,
            color=UNCORRECTED_COLOUR,
            linewidth=1.6,
            linestyle="--",
            baseline=None,
            label=_UNCORRECTED_LABEL,
        )


def _draw_points(
    axes: Axes, points: Points, edges: Array, *, colour: str, label: str | None = None, filled: bool = True
) -> None:
    mplhep.histplot(
        points.values,
        edges,
        yerr=[points.low, points.high],
        histtype="errorbar",
        label=label,
        color=colour,
        marker="o",
        markersize=5,
        markerfacecolor=colour if filled else "white",
        elinewidth=1.2,
        zorder=4 if filled else 3,
        flow="none",
        ax=axes,
    )


def _shown(points: Points, expected: Array | None) -> Points:
    """Return ``points`` with NaN where none is drawn."""
    return Points(np.where(visible(points, expected), points.values, np.nan), points.low, points.high)


def _draw_legend(axes: Axes, content: StackContent, notes: StackNotes) -> Legend:
    handles, labels = axes.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    stacked = [label for label, _ in reversed(content.stack)]
    order = [notes.data_label, *stacked, _BAND_LABEL, _WIDE_LABEL, _UNCORRECTED_LABEL]
    names = [label for label in order if label in known]
    columns = 1 if len(names) <= 6 else 2
    return draw_legend(axes, [(name, known[name]) for name in names], columns=columns, fontsize="small")


def _corner_lines(content: StackContent, notes: StackNotes) -> list[tuple[str, str]]:
    lines = [(text, "black") for text in (notes.region, notes.agreement) if text]
    outside = [f"{name} {100 * part:.1f} %" for name, part in content.outside.items() if part > OUTSIDE_NOTE]
    if outside:
        lines.append((f"Outside the axis: {', '.join(outside)}", NOTE_COLOUR))
    if not content.outside:
        lines.append(("No entries", NOTE_COLOUR))
    return lines


def _scale_y(axes: Axes, content: StackContent, *, head: float, log: bool) -> None:
    """Choose the vertical range so that everything drawn stays below the ``head`` fraction of the panel."""
    tops, bottoms = _reach(content)
    highest = max(tops, default=0.0)
    room = max(1 - head - 0.04, 0.3)
    axes.set_ylabel(content.event_label)
    if log:
        positive = [value for value in bottoms if value > 0]
        highest = highest if highest > 0 else 1.0
        lowest = min(max(0.4 * min(positive, default=0.1), highest * 1e-7), 0.05 * highest)
        axes.set_ylim(lowest, lowest * (highest / lowest) ** (1 / room))
        axes.set_yscale("log")  # after the limits: an autoscale without positive contents would warn
        return
    lowest = min(0.0, 1.1 * min(bottoms, default=0.0))
    span = highest - lowest if highest > lowest else 1.0
    axes.set_ylim(lowest, lowest + span / room)
    exponent = 3 * int(np.floor(np.log10(span) / 3))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10], prune="lower" if lowest == 0 else None))
    if not -3 <= exponent <= 3 or span >= 2e4:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**exponent:g}"))
        axes.set_ylabel(rf"$10^{{{exponent}}}$ {content.event_label.replace('Events', 'events')}")


def _reach(content: StackContent) -> tuple[list[float], list[float]]:
    """Return the upper ends and the lower ends of everything in the stack panel."""
    tops, bottoms = [], []
    if content.data is not None:
        points = _shown(content.data, content.total)
        tops.append(points.values + points.high)
        bottoms.append(points.values)
    if content.total is not None and content.total_error is not None:
        tops.append(content.total + content.total_error)
        bottoms.append(content.total)
    if content.uncorrected_total is not None:
        tops.append(content.uncorrected_total)
    finite = [[float(v) for v in np.concatenate(part) if np.isfinite(v)] if part else [] for part in (tops, bottoms)]
    return finite[0], finite[1]


def _draw_ratio(axes: Axes, content: StackContent, band: Band | None) -> None:
    half = _half_range([points for points in (content.ratio, content.uncorrected_ratio) if points is not None])
    axes.axhline(1, color="black", linewidth=1, linestyle="--")
    if band is not None and content.total is not None:
        up, down = (np.divide(one, content.total, out=np.zeros_like(one), where=content.total > 0) for one in band)
        axes.stairs(1 + up, content.edges, baseline=1 - down, **_WIDE)
    if content.band is not None:
        axes.stairs(1 + content.band, content.edges, baseline=1 - content.band, **_BAND)
    for points, colour, filled in (
        (content.uncorrected_ratio, UNCORRECTED_COLOUR, False),
        (content.ratio, DATA_COLOUR, True),
    ):
        if points is not None:
            _draw_points(axes, points, content.edges, colour=colour, filled=filled)
            _mark_beyond(axes, points, content.edges, half, colour)
    axes.set_ylim(1 - half, 1 + half)
    axes.set_ylabel("Data / sim.", loc="center")
    axes.yaxis.set_major_locator(FixedLocator([1 - half / 2, 1, 1 + half / 2]))


def _half_range(ratios: list[Points]) -> float:
    """Return the smallest of the usual half widths that holds 95 % of the precise points."""
    reach = []
    for points in ratios:
        error = (points.low + points.high) / 2
        precise = np.isfinite(points.values) & (error < 0.3)
        reach += list((np.abs(points.values - 1) + error)[precise])
    needed = float(np.quantile(reach, 0.95)) if reach else _HALF_RANGES[-1]
    return next((half for half in _HALF_RANGES if half >= needed), _HALF_RANGES[-1])


def _mark_beyond(axes: Axes, points: Points, edges: Array, half: float, colour: str) -> None:
    """Point at the values beyond the panel with a triangle at its edge."""
    centres = (edges[:-1] + edges[1:]) / 2
    for beyond, marker, height in (
        (points.values > 1 + half, "^", 1 + 0.93 * half),
        (points.values < 1 - half, "v", 1 - 0.93 * half),
    ):
        if beyond.any():
            axes.plot(centres[beyond], np.full(beyond.sum(), height), marker, color=colour, markersize=5)


def _label_x(main: Axes, ratio: Axes | None, content: StackContent) -> None:
    lowest = main if ratio is None else ratio
    main.set_xlim(content.edges[0], content.edges[-1])
    if content.categories:
        lowest.set_xticks((content.edges[:-1] + content.edges[1:]) / 2, content.categories)
        lowest.xaxis.set_tick_params(which="minor", bottom=False, top=False)
        main.xaxis.set_tick_params(which="minor", bottom=False, top=False)
    if ratio is not None:
        main.set_xlabel("")
        main.tick_params(axis="x", labelbottom=False)
    lowest.set_xlabel(readable(content.axis_label))
    for axes in (main, ratio):
        if axes is not None:
            inches = _WIDTH - _LEFT - _RIGHT
            axes.yaxis.set_label_coords(-0.80 / inches, 1.0 if axes is main else 0.5)
