"""Figures of a correction: values in bins of one input with their uncertainty, and maps in two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import style

Floats = NDArray[np.floating[Any]]


def draw_curve(edges: Floats, values: Floats, *, up: Floats, down: Floats, label: str, title: str) -> Figure:
    """Draw values `[bins]` over `edges` `[bins + 1]`, with the band from `down` to `up` `[bins]`.

    An infinite outer edge is drawn one bin width away from its neighbour. Raises ValueError if lengths disagree.
    """
    if not len(edges) - 1 == len(values) == len(up) == len(down):
        raise ValueError(f"{len(edges)} edges need {len(edges) - 1} values, up and down")
    with style.style():
        figure = style.new_figure(7.0, 5.0)
        figure.set_layout_engine("constrained")  # wide tick labels push the axis label out otherwise
        axes = figure.add_subplot()
        drawn = drawn_edges(edges)
        axes.stairs(up, drawn, baseline=down, fill=True, alpha=0.3, label="uncertainty")
        axes.stairs(values, drawn, baseline=None, label="nominal")
        axes.set(xlabel=label, ylabel="Value", title=title)
        axes.legend()
    return figure


def draw_map(edges: tuple[Floats, Floats], values: Floats, *, labels: tuple[str, str], title: str) -> Figure:
    """Draw values `[bins of x, bins of y]` as colours with a colour bar, over the edges of x and y.

    Serves for uncertainties, too. Infinite outer edges as in `draw_curve`. Raises ValueError if shapes disagree.
    """
    if values.shape != (len(edges[0]) - 1, len(edges[1]) - 1):
        raise ValueError(f"values of shape {values.shape} do not fit {len(edges[0])} and {len(edges[1])} edges")
    with style.style():
        figure = style.new_figure(7.5, 5.0)
        figure.set_layout_engine("constrained")  # wide tick labels push the axis label out otherwise
        axes = figure.add_subplot()
        mesh = axes.pcolormesh(drawn_edges(edges[0]), drawn_edges(edges[1]), values.T)
        figure.colorbar(mesh, ax=axes, label="Value")
        axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    return figure


def drawn_edges(edges: Floats) -> Floats:
    """Return the edges with an infinite outer one put the width of the neighbouring bin beyond the last finite one."""
    drawn = np.array(edges, dtype=float)
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < 2:
        raise ValueError("a bin with two finite edges is needed")
    if np.isposinf(drawn[-1]):
        drawn[-1] = 2 * finite[-1] - finite[-2]
    if np.isneginf(drawn[0]):
        drawn[0] = 2 * finite[0] - finite[1]
    return drawn
