"""Cut flows: the yield after each cut, and what each cut does after all the others (N−1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .notes import NOTE_COLOUR, StackNotes, draw_head, draw_legend, head_height
from .style import DATA_COLOUR, new_figure, process_colours, readable, save, style

Array = NDArray[np.float64]
#: cut → counter (``n``, ``sumw``, ``sumw2``, ``sumw_minus_one``, …) → value; the first cut is ``all``.
Flow = Mapping[str, Mapping[str, float]]

_LEFT, _RIGHT, _BOTTOM = 1.15, 0.3, 0.75  # margins in inches
_ANGLE = 40  # degrees by which the names of the cuts are turned
_CHARACTER = 0.105  # inches a character of a cut name takes, roughly


@dataclass(frozen=True)
class FlowContent:
    """The ``cuts``, and label → (values, errors), each ``[cuts]`` and NaN where the label lacks the cut."""

    cuts: tuple[str, ...]
    series: dict[str, tuple[Array, Array]]


def cut_order(flows: Iterable[Flow]) -> tuple[str, ...]:
    """Return all cuts in one order; a cut that only some flows have follows the one before it there."""
    order: list[str] = []
    for flow in flows:
        position = 0
        for cut in flow:
            if cut in order:
                position = order.index(cut) + 1
            else:
                order.insert(position, cut)
                position += 1
    return tuple(order)


def cut_flow_content(flows: Mapping[str, Flow], *, weighted: bool = True) -> FlowContent:
    """Return the cumulative yields with their errors, √Σw² if ``weighted`` and else √n."""
    value, variance = ("sumw", "sumw2") if weighted else ("n", "n")
    cuts = cut_order(flows.values())
    series = {}
    for label, flow in flows.items():
        values = np.array([flow[cut][value] if cut in flow else np.nan for cut in cuts], dtype=float)
        variances = np.array([flow[cut][variance] if cut in flow else np.nan for cut in cuts], dtype=float)
        series[label] = values, np.sqrt(variances)
    return FlowContent(cuts, series)


def n_minus_one_content(flows: Mapping[str, Flow]) -> FlowContent:
    """Return the efficiency ε of each cut among the events that pass all others, with its error.

    ε = Σw(all cuts) / Σw(all cuts but this). The passing events are part of the others, hence
    σ² = [(1 − 2ε) Σw²(pass) + ε² Σw²(all but this)] / Σw(all but this)², which is binomial without weights.
    """
    cuts = tuple(cut for cut in cut_order(flows.values()) if cut != "all")
    series = {}
    for label, flow in flows.items():
        last = list(flow.values())[-1] if flow else {}
        pairs = [_efficiency(last, flow[cut]) if cut in flow else (np.nan, np.nan) for cut in cuts]
        columns = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        series[label] = columns[:, 0], columns[:, 1]
    return FlowContent(cuts, series)


def _efficiency(passed: Mapping[str, float], cut: Mapping[str, float]) -> tuple[float, float]:
    total = cut.get("sumw_minus_one", 0.0)
    if not total > 0:
        return np.nan, np.nan
    efficiency = passed["sumw"] / total
    variance = (1 - 2 * efficiency) * passed["sumw2"] + efficiency**2 * cut["sumw2_minus_one"]
    return efficiency, float(np.sqrt(max(variance, 0.0))) / total


def plot_cut_flow(
    stem: Path,
    flows: Mapping[str, Flow],
    *,
    notes: StackNotes,
    weighted: bool = True,
    colours: Mapping[str, str] | None = None,
) -> tuple[Path, Path]:
    """Draw the yield left after each cut, one line a label, and return the paths of the PNG and the PDF.

    Args:
        stem: the path without its ending.
        flows: label (dataset or process) → cut flow, in the units in which they shall be compared.
        notes: what is written on the figure.
        weighted: Σw with √Σw², or else the number of events with its root.
        colours: label → colour, as in a stack; ``notes.data_label`` is black with points.

    Raises:
        UserError: the files cannot be written.
    """
    content = cut_flow_content(flows, weighted=weighted)
    with style():
        chosen = process_colours((label for label in flows if label != notes.data_label), colours)
        return save(_draw_flow(content, notes, chosen, weighted), stem)


def plot_n_minus_one(
    stem: Path, flows: Mapping[str, Flow], *, notes: StackNotes, colours: Mapping[str, str] | None = None
) -> tuple[Path, Path]:
    """Draw the N−1 efficiency of each cut as horizontal bars, one a label; see :func:`n_minus_one_content`.

    Raises:
        UserError: the files cannot be written.
    """
    content = n_minus_one_content(flows)
    with style():
        chosen = process_colours((label for label in flows if label != notes.data_label), colours)
        return save(_draw_bars(content, notes, {notes.data_label: DATA_COLOUR, **chosen}), stem)


def _draw_flow(content: FlowContent, notes: StackNotes, colours: Mapping[str, str], weighted: bool) -> Figure:
    figure, axes = _flow_panel(content.cuts, notes)
    draw_head(figure, axes, notes)
    edges = np.arange(len(content.cuts) + 1) - 0.5
    entries: list[tuple[str, Any]] = []
    for label, (values, errors) in content.series.items():
        shown = np.where(values > 0, values, np.nan)  # what is not positive has no place on a logarithmic axis
        centres = edges[:-1] + 0.5
        if label == notes.data_label:
            points = axes.errorbar(centres, shown, errors, fmt="o", color=DATA_COLOUR, markersize=5, zorder=4)
            entries.insert(0, (label, points))
            continue
        line = axes.stairs(shown, edges, baseline=None, color=colours[label], linewidth=2)
        axes.errorbar(centres, shown, errors, fmt="none", color=colours[label], elinewidth=1.5)
        entries.append((label, line))
    axes.set_xlim(edges[0], max(edges[-1], 0.5))
    names = [readable(cut) for cut in content.cuts]
    axes.set_xticks(range(len(names)), names, rotation=_ANGLE, ha="right", va="top", rotation_mode="anchor")
    axes.xaxis.set_tick_params(which="both", top=False)
    axes.xaxis.set_tick_params(which="minor", bottom=False)
    axes.set_ylabel("Weighted events" if weighted else "Events")
    axes.yaxis.set_label_coords(-0.80 / (axes.get_position().width * figure.get_figwidth()), 1.0)
    _log_range(axes, content, _legend(axes, entries))
    return figure


def _flow_panel(cuts: tuple[str, ...], notes: StackNotes) -> tuple[Figure, Axes]:
    """Return figure and axes with room for the slanted names of the cuts below and to the left."""
    step = max(0.55, 6.55 / max(len(cuts), 1))
    across, down = _CHARACTER * np.cos(np.radians(_ANGLE)), _CHARACTER * np.sin(np.radians(_ANGLE))
    left = max([_LEFT, *(len(cut) * across - (index + 0.5) * step + 0.2 for index, cut in enumerate(cuts))])
    bottom = 0.4 + max((len(cut) for cut in cuts), default=0) * down
    width = left + step * max(len(cuts), 1) + _RIGHT
    return _one_panel(width, 4.9, head_height(notes, width), left=left, bottom=bottom)


def _draw_bars(content: FlowContent, notes: StackNotes, colours: Mapping[str, str]) -> Figure:
    labels, cuts = list(content.series), content.cuts
    left = 0.45 + max((len(cut) for cut in cuts), default=0) * _CHARACTER * 1.05
    rows, bars = max(len(cuts), 1), max(len(labels), 1)
    height = max(2.2, rows * (0.15 + 0.21 * bars) + 0.4)
    figure, axes = _one_panel(left + 6.6, height, head_height(notes, left + 6.6), left=left, bottom=_BOTTOM)
    draw_head(figure, axes, notes)
    thickness, highest = 0.84 / bars, 1.0
    entries: list[tuple[str, Any]] = []
    for index, label in enumerate(labels):
        values, errors = content.series[label]
        centres = np.arange(len(cuts), dtype=np.float64) + (index - (len(labels) - 1) / 2) * thickness
        drawn = axes.barh(
            centres,
            np.nan_to_num(values),
            height=thickness * 0.9,
            color=colours[label],
            xerr=np.nan_to_num(errors),
            error_kw={"elinewidth": 1, "ecolor": NOTE_COLOUR},
        )
        entries.append((label, drawn))
        _write_values(axes, centres, values, errors)
        highest = max([highest, *(values + errors)[np.isfinite(values)]])
    axes.set_xlim(0, 1.16 * highest)
    head = _legend(axes, entries)
    axes.set_ylim(rows - 0.5, -0.5 - rows * head / (1 - head))
    axes.set_yticks(range(len(cuts)), [readable(cut) for cut in cuts])
    axes.yaxis.set_tick_params(which="both", left=False, right=False)
    axes.set_xlabel("Efficiency after all other cuts")
    return figure


def _write_values(axes: Axes, centres: Array, values: Array, errors: Array) -> None:
    for centre, value, error in zip(centres, values, errors, strict=True):
        known = np.isfinite(value)
        axes.annotate(
            f"{100 * value:.1f} %" if known else "no events",
            (max(value + error, 0.0) if known else 0.0, centre),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="xx-small",
            color="black" if known else NOTE_COLOUR,
        )


def _one_panel(width: float, height: float, head: float, *, left: float, bottom: float) -> tuple[Figure, Axes]:
    full = bottom + height + head
    figure = new_figure(width, full)
    axes = figure.add_axes((left / width, bottom / full, (width - left - _RIGHT) / width, height / full))
    return figure, axes


def _legend(axes: Axes, entries: list[tuple[str, Any]]) -> float:
    """Draw the legend along the top and return the fraction of the height that it takes."""
    if not entries:
        return 0.0
    legend = draw_legend(axes, entries, columns=4, fontsize="x-small")
    frame = axes.get_window_extent()
    return float(min((frame.y1 - legend.get_window_extent().y0) / frame.height, 0.8))


def _log_range(axes: Axes, content: FlowContent, head: float) -> None:
    """Choose a logarithmic range that holds the positive yields below the ``head`` fraction of the panel."""
    everything = np.concatenate([values for values, _ in content.series.values()] or [np.zeros(1)])
    positive = everything[np.isfinite(everything) & (everything > 0)]
    if not positive.size:
        axes.text(
            0.03,
            0.96,
            "No entries",
            color=NOTE_COLOUR,
            fontsize="x-small",
            va="top",
            transform=axes.transAxes,
        )
    highest = 1.3 * float(positive.max(initial=0.0)) or 10.0
    lowest = min(0.4 * float(positive.min(initial=highest)), 0.05 * highest)
    axes.set_ylim(lowest, lowest * (highest / lowest) ** (1 / max(1 - head - 0.03, 0.2)))
    axes.set_yscale("log")
