"""Rates in the momentum windows, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..outputs.exposure_rates import SampleRates
from ..outputs.intervals import Estimate
from .mu2e_style import BLUE, ORANGE, Head, mu2e_style, panels
from .style import readable, save

_GREEN = "#029E73"
_PER_ROW = 3


def plot_rates(stem: Path, samples: Mapping[str, SampleRates], head: Head, *, beam: str = "1BB") -> tuple[Path, Path]:
    """Draw rates per wall day in each window, a panel a sample: selected, unvetoed, and the expected background.

    A rate of no events is an upper limit, drawn as an arrow.
    """
    rows = -(-len(samples) // _PER_ROW)
    columns = min(len(samples), _PER_ROW)
    with mu2e_style():
        figure, axes = panels(rows, columns, head, width=7.5 if columns == 1 else 6.2, titled=True)
        for panel, (name, sample) in zip(axes, samples.items(), strict=False):
            _sample(panel, sample, beam)
            panel.set_title(readable(name), loc="left", fontsize="small", fontweight="bold", pad=8)
        for empty in axes[len(samples) :]:
            empty.set_visible(False)
    return save(figure, stem)


def _sample(axes: Axes, sample: SampleRates, beam: str) -> None:
    for shift, colour, marker, label in (
        (-0.12, BLUE, "o", "selected (unscaled)"),
        (0.0, ORANGE, "s", "unvetoed (unscaled)"),
        (0.12, _GREEN, "D", "expected background (scaled)"),
    ):
        points = []
        for place, window in enumerate(sample.windows):
            rates = window.scaled if label.startswith("expected") else window.unscaled
            chosen = None if rates is None else rates.selected if label.startswith("selected") else rates.unvetoed
            if chosen is not None:
                points.append((place + shift, chosen[beam]))
        _points(axes, points, colour, marker, label)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)
    axes.set_xlim(-0.5, len(sample.windows) - 0.5)
    axes.set_xticks(range(len(sample.windows)), [one.name for one in sample.windows])
    axes.tick_params(axis="x", which="minor", top=False, bottom=False)
    axes.set_ylabel(f"Events / wall day ({beam})")
    axes.legend(loc="upper right")


def _points(axes: Axes, points: list[tuple[float, Estimate]], colour: str, marker: str, label: str) -> None:
    if not points:
        return
    places = np.array([place for place, _ in points])
    limit = np.array([one.value <= 0 for _, one in points])
    values = np.array([one.high if one.value <= 0 else one.value for _, one in points])
    down = np.array([0.55 * one.high if one.value <= 0 else one.minus for _, one in points])
    up = np.array([0.0 if one.value <= 0 else one.plus for _, one in points])
    # A bar that reached 0 would end outside a logarithmic scale.
    down = np.minimum(down, 0.98 * values)
    axes.errorbar(
        places,
        values,
        yerr=[down, up],
        uplims=limit,
        fmt=marker,
        color=colour,
        markersize=6,
        linewidth=1.6,
        label=label,
    )
