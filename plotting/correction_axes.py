"""Axes of figures of corrections: infinite outer bins, logarithmic momenta, texts that fit."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Direction = Literal["x", "y"]

_MOMENTUM = re.compile(r"(?i)pt|energy|mass|^p$|GeV")
_DECADE = 4.0  # momenta over more than this factor are logarithmic


def drawn_edges(edges: Floats) -> Floats:
    """Return the edges with an infinite outer one put the width of the neighbouring bin beyond the last finite one.

    One unit beyond it where it is the only finite edge, and at 1 unit from 0 where none is.
    """
    drawn = np.array(edges, dtype=float)
    finite = drawn[np.isfinite(drawn)]
    if len(finite) == 0:
        return np.array([-1.0, 1.0])
    first, last = (finite[1] - finite[0], finite[-1] - finite[-2]) if len(finite) > 1 else (1.0, 1.0)
    if np.isposinf(drawn[-1]):
        drawn[-1] = finite[-1] + last
    if np.isneginf(drawn[0]):
        drawn[0] = finite[0] - first
    return drawn


def set_range(axes: Axes, edges: Floats, label: str, direction: Direction = "x") -> None:
    """Show all bins along x or y, momenta over more than a factor of 4 logarithmically, and mark infinite ones.

    A logarithmic axis with a bin from 0 begins a little below the end of that bin.
    """
    drawn = drawn_edges(edges)
    low, high = float(drawn[0]), float(drawn[-1])
    positive = drawn[drawn > 0]
    if _MOMENTUM.search(label) and low >= 0 and len(positive) > 1 and high > _DECADE * positive[0]:
        low = low if low > 0 else 0.6 * float(positive[0])
        _make_logarithmic(axes, direction, high / low)
    elif drawn[1] - low > _DECADE * (high - drawn[1]) and len(drawn) > 2:
        # One bin that is much wider than all others together would hide them.
        _mark(axes, float(drawn[1]), f"← {low:g}".replace("-", "−"), direction)
        low = float(drawn[1]) - 0.1 * (high - float(drawn[1]))
    set_limits = axes.set_xlim if direction == "x" else axes.set_ylim
    set_limits(low, high)
    _mark_overflow(axes, edges, direction)


def shortened(text: str, most: int) -> str:
    """Return the text, without its middle if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"


def _make_logarithmic(axes: Axes, direction: Direction, factor: float) -> None:
    if direction == "x":
        axes.set_xscale("log")
        axis: Any = axes.xaxis
    else:
        axes.set_yscale("log")
        axis = axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if factor < 300 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _mark_overflow(axes: Axes, edges: Floats, direction: Direction) -> None:
    """Draw a line where an infinite bin begins, and say so."""
    for infinite, begin, arrow in (
        (np.isposinf(edges[-1]), edges[-2], "→ ∞" if direction == "x" else "↑ ∞"),
        (np.isneginf(edges[0]), edges[1], "← −∞" if direction == "x" else "↓ −∞"),
    ):
        if not infinite or not np.isfinite(begin):
            continue
        _mark(axes, float(begin), arrow, direction)


def _mark(axes: Axes, begin: float, arrow: str, direction: Direction) -> None:
    """Draw a line with an arrow outside the frame, where it hides no numbers."""
    below = arrow[0] in "←↓"
    if direction == "x":
        axes.axvline(begin, color="#555555", linestyle="--", linewidth=1.2)
        place = blended_transform_factory(axes.transData, axes.transAxes)
        side: Any = "right" if below else "left"
        axes.text(begin, 1.005, arrow, transform=place, ha=side, va="bottom", size=12, color="#555555")
    else:
        axes.axhline(begin, color="#555555", linestyle="--", linewidth=1.2)
        place = blended_transform_factory(axes.transAxes, axes.transData)
        upright: Any = "top" if below else "bottom"
        axes.text(1.005, begin, arrow, transform=place, ha="left", va=upright, size=12, color="#555555")
