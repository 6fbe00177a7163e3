"""Figures of systematic uncertainties: up and down of a source in a histogram, and the largest sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..outputs.bundle import Bundle
from ..outputs.report import SourceReport
from ..outputs.systematics import shift, yields
from ..outputs.systematics_table import Row
from .content import event_label
from .notes import StackNotes, draw_corner, draw_head, draw_legend, head_height
from .style import BAND_COLOUR, PALETTE, new_figure, readable, save, style

Array = NDArray[np.float64]

UP_COLOUR, DOWN_COLOUR = PALETTE[2], PALETTE[0]
_WIDTH, _LEFT, _RIGHT, _BOTTOM = 8.0, 1.15, 0.3, 0.75  # figure width and its margins in inches
_MAIN, _GAP, _RATIO = 3.6, 0.12, 2.2  # heights of the two panels and the gap between them in inches
_BAR, _LABELS = 0.34, 3.4  # height of a row of the chart, width of its labels in inches
_FOOT = 1.6  # rows of the chart that the legend takes
_CHARACTERS = 38  # that fit beside a bar
#: A shift in a bin beyond this does not stretch the ratio panel.
_WIDEST = 1.0


@dataclass(frozen=True)
class SourceContent:
    """What a figure of a source shows; every array is ``[bins]`` except ``edges`` ``[bins + 1]``.

    ``ratio_up`` and ``ratio_down`` are varied over nominal, NaN where that is not positive; ``band`` is the relative
    statistical uncertainty of the nominal yield.
    """

    edges: Array
    axis_label: str
    event_label: str
    nominal: Array
    up: Array
    down: Array
    ratio_up: Array
    ratio_down: Array
    band: Array


def source_content(
    bundle: Bundle, name: str, region: str, source: SourceReport, process: str | None = None
) -> SourceContent:
    """Return what a figure of ``source`` shows in a histogram and region, of ``process`` (a label) or all simulation.

    Raises:
        UserError: no simulation is normalised.
    """
    found = yields(bundle, name, region)
    rows = found.of(process)
    nominal = found.nominal[rows].sum(axis=0)[found.inside]
    error = np.sqrt(found.variances[rows].sum(axis=0)[found.inside])
    moved = shift(found, source, bundle.report, process)
    up, down = nominal + moved.up[found.inside], nominal + moved.down[found.inside]
    axis = bundle.histograms[name].axes[-1]
    divisor = np.where(nominal > 0, nominal, np.nan)
    return SourceContent(
        edges=found.edges,
        axis_label=axis.label or axis.name,
        event_label=event_label(axis),
        nominal=nominal,
        up=up,
        down=down,
        ratio_up=up / divisor,
        ratio_down=down / divisor,
        band=error / divisor,
    )


def plot_source(stem: Path, content: SourceContent, source: SourceReport, notes: StackNotes) -> tuple[Path, Path]:
    """Draw nominal, up and down with their ratio, and return the paths of the PNG and the PDF.

    Raises:
        UserError: the files cannot be written.
    """
    with style():
        return save(draw_source(content, source, notes), stem)


def draw_source(content: SourceContent, source: SourceReport, notes: StackNotes) -> Figure:
    """Return the figure of ``content``; call it inside :func:`mucoffea.plotting.style.style`."""
    height = _BOTTOM + _RATIO + _GAP + _MAIN + head_height(notes, _WIDTH)
    figure = new_figure(_WIDTH, height)
    width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    main = figure.add_axes((_LEFT / _WIDTH, (_BOTTOM + _RATIO + _GAP) / height, width, _MAIN / height))
    ratio = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, width, _RATIO / height), sharex=main)
    draw_head(figure, main, notes)
    lines = ((content.nominal, "black", "Nominal"), (content.up, UP_COLOUR, "Up"), (content.down, DOWN_COLOUR, "Down"))
    for values, colour, label in lines:
        mplhep.histplot(
            values, content.edges, color=colour, label=label, linewidth=1.6, yerr=False, ax=main, flow="none"
        )
    handles, labels = main.get_legend_handles_labels()
    legend = draw_legend(main, list(zip(labels, handles, strict=True)), columns=1, fontsize="small")
    corner = [(readable(text), "black") for text in (source.label or source.name, notes.region) if text]
    head = draw_corner(main, legend, corner)
    highest = float(max(np.max(values) for values, _, _ in lines))
    lowest = min(0.0, float(min(np.min(values) for values, _, _ in lines)))
    main.set_ylim(lowest, lowest + ((highest - lowest) or 1.0) / max(1 - head - 0.04, 0.3))
    main.set_ylabel(content.event_label)
    main.tick_params(axis="x", labelbottom=False)
    main.set_xlabel("")
    _draw_ratio(ratio, content)
    main.set_xlim(content.edges[0], content.edges[-1])
    inches = _WIDTH - _LEFT - _RIGHT
    main.yaxis.set_label_coords(-0.80 / inches, 1.0)
    ratio.yaxis.set_label_coords(-0.80 / inches, 0.5)
    return figure


def _draw_ratio(axes: Axes, content: SourceContent) -> None:
    axes.axhline(1, color="black", linewidth=1)
    filled: dict[str, Any] = {"facecolor": "none", "edgecolor": BAND_COLOUR, "hatch": "//////", "linewidth": 0}
    band = np.nan_to_num(content.band)
    axes.stairs(1 + band, content.edges, baseline=1 - band, fill=True, **filled)
    reach = [1e-3]
    for values, colour in ((content.ratio_up, UP_COLOUR), (content.ratio_down, DOWN_COLOUR)):
        axes.stairs(values, content.edges, color=colour, linewidth=1.6, baseline=None)
        reach += [float(one) for one in np.abs(values - 1) if np.isfinite(one)]
    half = min(1.25 * max(reach), _WIDEST)
    axes.set_ylim(1 - half, 1 + half)
    axes.set_ylabel("Varied / nom.", loc="center")
    axes.set_xlabel(readable(content.axis_label))


def plot_largest(
    stem: Path, rows: Sequence[Row], notes: StackNotes, labels: dict[str, str] | None = None
) -> tuple[Path, Path]:
    """Draw the shifts of the yield by each of ``rows`` as bars, and return the paths of the PNG and the PDF.

    ``labels`` maps sources to what stands beside the bars; their names without.

    Raises:
        UserError: the files cannot be written.
    """
    with style():
        return save(draw_largest(rows, notes, labels or {}), stem)


def draw_largest(rows: Sequence[Row], notes: StackNotes, labels: dict[str, str]) -> Figure:
    """Return the chart; call it inside :func:`mucoffea.plotting.style.style`."""
    body = (max(len(rows), 3) + _FOOT) * _BAR
    height = _BOTTOM + body + head_height(notes, _WIDTH)
    figure = new_figure(_WIDTH, height)
    axes = figure.add_axes((_LABELS / _WIDTH, _BOTTOM / height, (_WIDTH - _LABELS - _RIGHT) / _WIDTH, body / height))
    draw_head(figure, axes, notes)
    places = np.arange(len(rows))[::-1]
    for values, colour, label, offset in (
        ([row.up for row in rows], UP_COLOUR, "Up", 0.18),
        ([row.down for row in rows], DOWN_COLOUR, "Down", -0.18),
    ):
        axes.barh(places + offset, values, height=0.34, color=colour, label=label)
    axes.axvline(0, color="black", linewidth=1)
    several = len({row.process for row in rows}) > 1
    names = [_chart_label(labels.get(row.source, row.source), row.process if several else "") for row in rows]
    axes.set_yticks(places, names, fontsize="x-small")
    axes.yaxis.set_tick_params(which="both", length=0)
    axes.minorticks_off()
    axes.set_ylim(len(rows) - max(len(rows), 3) - _FOOT - 0.5, len(rows) - 0.5)
    reach = 1.1 * max([row.size for row in rows], default=0.0) or 1.0
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("Shift of the yield [%]")
    axes.legend(fontsize="x-small", loc="lower right", ncols=2, columnspacing=1.2, borderaxespad=0.3)
    if notes.region:
        axes.text(0.02, 0.5 * _BAR / body, readable(notes.region), fontsize="x-small", transform=axes.transAxes)
    return figure


def _chart_label(text: str, process: str) -> str:
    whole = f"{text}, {process}" if process else text
    return readable(whole if len(whole) <= _CHARACTERS else f"{whole[: _CHARACTERS - 1]}…")
