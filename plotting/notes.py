"""What a figure says about itself: experiment, luminosity, era, agreement and, above all, warnings."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib
import mplhep
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from pydantic import BaseModel, ConfigDict

from .style import readable

#: Colour of remarks that are neither result nor warning.
NOTE_COLOUR = "#5a5a5a"
_WARNING_TEXT = "#8f1402"
_WARNING_FACE = "#fdecea"
# Heights in inches: experiment line above the axes, warning line, frame of the warnings, corner line.
_LABEL_HEIGHT, _WARNING_HEIGHT, _WARNING_FRAME, _CORNER_HEIGHT = 0.5, 0.215, 0.2, 0.285
_CHARACTERS = 9.5  # that fit into an inch of a warning line


class StackNotes(BaseModel):
    """The words on a figure.

    ``luminosity`` is in /fb, ``com_energy`` in TeV; what is ``None`` is left out. ``experiment`` stands in
    bold at the top left, followed by ``label`` in italics. Each of ``warnings`` gets a line of its own in a
    red strip above the axes. ``data_label`` names the data: in a stack's legend, and among the labels of a
    cut flow. ``region`` and ``agreement`` (for example χ²/ndf) stand inside a stack, top left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    luminosity: float | None = None
    com_energy: float | None = None
    era: str | None = None
    experiment: str = "mucoffea demo"
    label: str = ""
    warnings: tuple[str, ...] = ()
    agreement: str | None = None
    region: str | None = None
    data_label: str = "Data"


def luminosity_line(notes: StackNotes) -> str:
    """Return ``16.8 fb⁻¹, 2016postVFP (13 TeV)`` with only the known parts, or an empty string."""
    parts = []
    if notes.luminosity is not None:
        parts.append(rf"{notes.luminosity:.3g} fb$^{{-1}}$")
    if notes.era:
        parts.append(readable(notes.era))
    line = ", ".join(parts)
    if notes.com_energy is not None:
        line = f"{line} ({notes.com_energy:g} TeV)".strip()
    return line


def head_height(notes: StackNotes, width: float) -> float:
    """Return the inches that :func:`draw_head` needs above the axes of a figure ``width`` inches wide."""
    lines = len(_warning_lines(notes, width))
    return _LABEL_HEIGHT + (lines * _WARNING_HEIGHT + _WARNING_FRAME if lines else 0.0)


def draw_head(figure: Figure, axes: Axes, notes: StackNotes) -> None:
    """Draw the experiment and luminosity line above ``axes``, and the warnings above that line.

    Call it first: mplhep draws the whole figure, as it then is, to place the line.
    """
    size = float(matplotlib.rcParams["font.size"])
    texts = _experiment_line(axes, notes, size)
    width = axes.get_window_extent().width
    needed = sum(text.get_window_extent().width for text in texts) + 0.04 * width
    if needed > width:  # mplhep places the label from the size of the experiment, so both are drawn anew
        for text in texts:
            text.remove()
        _experiment_line(axes, notes, size * width / needed)
    lines = _warning_lines(notes, figure.get_figwidth())
    if lines:
        figure.text(
            0.5,
            1 - 0.14 / figure.get_figheight(),
            "\n".join(lines),
            ha="center",
            va="top",
            fontsize="x-small",
            linespacing=1.15,
            color=_WARNING_TEXT,
            parse_math=False,  # the names of files may hold dollar signs
            bbox={"facecolor": _WARNING_FACE, "edgecolor": _WARNING_TEXT, "linewidth": 0.8, "pad": 4},
        )


def _experiment_line(axes: Axes, notes: StackNotes, size: float) -> list[Text]:
    texts = mplhep.label.exp_label(
        exp=readable(notes.experiment),
        llabel=f" {readable(notes.label)}" if notes.label else "",  # text= would put "Simulation" in front
        com=None,
        rlabel=luminosity_line(notes) or None,
        fontsize=size,
        scilocator_adjust=False,  # True would ask pyplot for the current axes
        ax=axes,
    )
    return [text for text in texts if text is not None]


def draw_legend(axes: Axes, entries: list[tuple[str, Any]], *, columns: int, fontsize: str) -> Legend:
    """Draw the legend of (label, artist) at the top right, in as many of ``columns`` columns as fit."""
    labels, handles = [readable(label) for label, _ in entries], [handle for _, handle in entries]
    for ncols in range(max(min(columns, len(entries)), 1), 0, -1):
        legend = axes.legend(
            handles,
            labels,
            loc="upper right",
            ncols=ncols,
            fontsize=fontsize,
            labelspacing=0.35,
            columnspacing=1.2,
            borderaxespad=0.3,
        )
        if legend.get_window_extent().width < 0.99 * axes.get_window_extent().width:
            break
    return legend


def draw_corner(axes: Axes, legend: Legend, lines: list[tuple[str, str]]) -> float:
    """Write ``lines`` of (text, colour) at the top left, or below the legend where they would touch it.

    Returns:
        The fraction of the height of ``axes`` that the legend and the lines take, from the top.
    """
    frame, box = axes.get_window_extent(), legend.get_window_extent()
    texts = _column(axes, lines, 0.96)
    if any(_near(text.get_window_extent(), box) for text in texts):
        for text in texts:
            text.remove()
        texts = _column(axes, lines, (box.y0 - frame.y0) / frame.height - 0.01)
    lowest = min([box.y0, *(text.get_window_extent().y0 for text in texts)])
    return float(1 - (lowest - frame.y0) / frame.height)


def _column(axes: Axes, lines: list[tuple[str, str]], start: float) -> list[Text]:
    step = _CORNER_HEIGHT * axes.figure.dpi / axes.get_window_extent().height
    return [
        axes.text(
            0.03,
            start - index * step,
            readable(line),
            color=colour,
            fontsize="x-small",
            va="top",
            transform=axes.transAxes,
        )
        for index, (line, colour) in enumerate(lines)
    ]


def _near(text: Bbox, legend: Bbox) -> bool:
    return bool(text.y1 > legend.y0 and text.x1 + 4 > legend.x0)


def _warning_lines(notes: StackNotes, width: float) -> list[str]:
    characters = int(width * _CHARACTERS)
    return [line for warning in notes.warnings for line in textwrap.wrap(warning, characters)]
