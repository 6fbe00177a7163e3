"""Figures of Mu2e scans and projections: maps of dT windows, threshold scans, uncertainty against wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..outputs.intervals import Estimate
from ..outputs.mu2e_scans import ThresholdPoint, VetoWindow, window_map
from ..outputs.projection import Projection, ToyStudy
from .mu2e_style import BLUE, ORANGE, Head, mu2e_style, panels
from .style import readable, save

Files = tuple[Path, Path]
#: Inefficiencies are drawn in 10⁻⁴.
_UNITS = 1e4
GREEN, GREY = "#029E73", "#6f6f6f"


def plot_window_maps(
    stem: Path, windows: Sequence[VetoWindow], chosen: VetoWindow | None, head: Head, *, required: float
) -> Files:
    """Draw veto efficiency and, where there is one, deadtime over the edges of the dT window.

    Numbers stand in the cells; a thick line bounds the windows that reach ``required``, a star marks the choice.
    """
    quantities = [("efficiency", "Veto efficiency [%]", "viridis")]
    if any(one.deadtime is not None for one in windows):
        quantities.append(("deadtime", "Deadtime [%]", "viridis_r"))
    lows, highs, efficiency = window_map(windows, "efficiency")
    with mu2e_style():
        figure, axes = panels(1, len(quantities), head, width=10.5, height=5.2, titled=True)
        for panel, (quantity, title, colours) in zip(axes, quantities, strict=True):
            _map(figure, panel, lows, highs, 100 * window_map(windows, quantity)[2], title, colours)
            _boundary(panel, efficiency >= required)
            if chosen is not None:
                x, y = list(highs).index(chosen.high), list(lows).index(chosen.low)
                panel.plot([x + 0.32], [y + 0.3], "*", color="white", markeredgecolor="black", markersize=15)
            panel.set_title(f"outlined: efficiency ≥ {100 * required:g} %", fontsize="small", loc="right")
    return save(figure, stem)


def plot_window_choice(
    stem: Path, windows: Sequence[VetoWindow], chosen: VetoWindow | None, head: Head, *, required: float
) -> Files:
    """Draw 1 − veto efficiency against deadtime, or against the width without a deadtime, each window a point."""
    with_deadtime = all(one.deadtime is not None for one in windows)
    with mu2e_style():
        figure, (axes,) = panels(1, 1, head, width=8.5, height=5.6)
        for one in windows:
            missed = one.efficiency.complement().scaled(100)
            x = one.deadtime.scaled(100) if one.deadtime is not None and with_deadtime else None
            colour, zorder = (ORANGE, 5) if one == chosen else (BLUE, 3)
            axes.errorbar(
                [one.width if x is None else x.value],
                [missed.value],
                xerr=None if x is None else _bars([x]),
                yerr=_bars([missed]),
                fmt="o",
                color=colour,
                markersize=7 if one == chosen else 4,
                linewidth=1.2,
                zorder=zorder,
                label=f"chosen: {one.name}".replace("-", "−") if one == chosen else None,
            )
        axes.axhline(100 * (1 - required), color="black", linestyle="--", linewidth=1.5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Deadtime [%]" if with_deadtime else "Width of the window [ns]")
        axes.set_ylabel("1 − veto efficiency [%]")
        if chosen is not None:
            axes.legend(loc="upper right")
    return save(figure, stem)


def plot_scan(
    stem: Path, samples: Mapping[str, Sequence[ThresholdPoint]], threshold: str, head: Head, *, at: float | None = None
) -> Files:
    """Draw, against a threshold, which part of all events is selected and which of these the veto misses.

    Args:
        stem: path of the figure without its ending.
        samples: name → points of its scan; a row of panels each, since cosmics and signal differ by far.
        threshold: name of what was scanned.
        head: above the figure.
        at: the threshold of the cutset.
    """
    vetoed = any(one.inefficiency is not None for points in samples.values() for one in points)
    quantities = [("efficiency", "Selected of all events [%]", BLUE)]
    if vetoed:
        quantities.append(("inefficiency", "Not vetoed of the selected [%]", ORANGE))
    with mu2e_style():
        figure, axes = panels(len(samples), len(quantities), head, width=7.2, height=4.2, titled=True)
        for row, (name, points) in enumerate(samples.items()):
            for column, (quantity, label, colour) in enumerate(quantities):
                panel = axes[row * len(quantities) + column]
                _curve(panel, points, quantity, colour, name)
                if at is not None:
                    panel.axvline(at, color="black", linestyle="--", linewidth=1.5)
                panel.set_xlabel(threshold)
                panel.set_ylabel(label)
                panel.set_ylim(0, panel.get_ylim()[1] * 1.1)
                panel.set_title(readable(name), loc="left", fontsize="small", fontweight="bold", pad=8)
    return save(figure, stem)


def plot_projection(
    stem: Path,
    expectation: Projection,
    target: float,
    head: Head,
    *,
    toys: ToyStudy | None = None,
    discrete: Projection | None = None,
    marks: Mapping[str, float | None] | None = None,
) -> Files:
    """Draw the uncertainty of the inefficiency against wall days, with the target.

    Args:
        stem: path of the figure without its ending.
        expectation: of real-valued counts.
        target: of the uncertainty.
        head: above the figure.
        toys: adds the band of 68 % of the experiments, and below it the fraction that has reached the target.
        discrete: adds the curve of counts rounded down.
        marks: text → day, for vertical lines.
    """
    with mu2e_style():
        figure, axes = panels(2 if toys else 1, 1, head, width=9.5, height=5.2 if not toys else 4.2)
        upper = axes[0]
        if toys is not None:
            _band(upper, toys)
            _reached(axes[1], toys)
        if discrete is not None:
            _uncertainty(upper, discrete, GREY, 1.0, "counts rounded down")
        _uncertainty(upper, expectation, ORANGE, 2.0, "expected counts")
        upper.axhline(_UNITS * target, color="black", linestyle="--", linewidth=1.5, label=f"target {target:g}")
        _mark(axes, marks or {})
        known = expectation.uncertainty[np.isfinite(expectation.uncertainty)]
        upper.set_xlim(0, float(expectation.wall_days[-1]))
        upper.set_ylim(0, _UNITS * min(6 * target, 1.2 * float(np.max(known, initial=target))))
        upper.set_xlabel("Wall time [days]")
        upper.set_ylabel("Uncertainty of the inefficiency [$10^{-4}$]")
        upper.legend(loc="upper right")
    return save(figure, stem)


def _uncertainty(axes: Axes, one: Projection, colour: str, width: float, label: str) -> None:
    known = np.isfinite(one.uncertainty)
    axes.plot(one.wall_days[known], _UNITS * one.uncertainty[known], color=colour, linewidth=width, label=label)


def _mark(axes: Sequence[Axes], marks: Mapping[str, float | None]) -> None:
    """Draw days as vertical lines in all panels, named in the first."""
    for (text, day), style in zip(marks.items(), ("-.", ":", (0, (1, 3))), strict=False):
        if day is not None:
            for panel in axes:
                panel.axvline(day, color="black", linestyle=style, linewidth=1.2)
            axes[0].plot([], [], color="black", linestyle=style, linewidth=1.2, label=f"{text}: {day:,.0f} days")


def _band(axes: Axes, toys: ToyStudy) -> None:
    low, middle, high = _UNITS * toys.quantiles
    axes.fill_between(toys.wall_days, low, high, color=BLUE, alpha=0.25, linewidth=0, label="68 % of experiments")
    axes.plot(toys.wall_days, middle, color=BLUE, linewidth=1.2, label="median experiment")


def _reached(axes: Axes, toys: ToyStudy) -> None:
    axes.plot(toys.wall_days, 100 * toys.reached, color=BLUE, label="keep the target from then on")
    axes.plot(toys.wall_days, 100 * toys.coverage, color=GREEN, linewidth=1.2, label="interval holds the truth")
    axes.set_xlim(0, float(toys.wall_days[-1]))
    axes.set_ylim(0, 125)
    axes.set_xlabel("Wall time [days]")
    axes.set_ylabel("Experiments [%]")
    axes.legend(loc="upper right", ncols=2)


def _map(figure: Figure, axes: Axes, lows: Any, highs: Any, values: Any, title: str, colours: str) -> None:
    """Draw a grid [low, high] of numbers as coloured cells with the numbers in them."""
    image = axes.pcolormesh(np.arange(len(highs) + 1) - 0.5, np.arange(len(lows) + 1) - 0.5, values, cmap=colours)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    digits = 3 if np.nanmax(values) - np.nanmin(values) < 1 else 2 if title.startswith("Veto") else 1
    for y, x in np.argwhere(np.isfinite(values)):
        bright = (values[y, x] > middle) == (colours == "viridis")
        axes.text(
            x, y, f"{values[y, x]:.{digits}f}", ha="center", va="center", fontsize=11,
            color="black" if bright else "white",
        )  # fmt: skip
    axes.set_xticks(range(len(highs)), [f"{high:g}" for high in highs])
    axes.set_yticks(range(len(lows)), [f"{low:g}".replace("-", "−") for low in lows])
    axes.tick_params(which="both", top=False, right=False, bottom=False, left=False)
    axes.set_xlabel("Upper edge of the window [ns]")
    axes.set_ylabel("Lower edge [ns]")
    bar = figure.colorbar(image, ax=axes, pad=0.015)
    bar.set_label(title)


def _boundary(axes: Axes, good: Any) -> None:
    """Outline the cells that are ``good`` [low, high]."""
    padded = np.pad(good, 1)
    for y, x in np.argwhere(padded):
        for dy, dx, xs, ys in (
            (0, -1, (-0.5, -0.5), (-0.5, 0.5)),
            (0, 1, (0.5, 0.5), (-0.5, 0.5)),
            (-1, 0, (-0.5, 0.5), (-0.5, -0.5)),
            (1, 0, (-0.5, 0.5), (0.5, 0.5)),
        ):
            if not padded[y + dy, x + dx]:
                axes.plot([x - 1 + one for one in xs], [y - 1 + one for one in ys], color="#d62728", linewidth=3)


def _curve(axes: Axes, points: Sequence[ThresholdPoint], quantity: str, colour: str, name: str) -> None:
    known = [(one.threshold, getattr(one, quantity)) for one in points if getattr(one, quantity) is not None]
    if not known:
        return
    estimates = [estimate.scaled(100) for _, estimate in known]
    axes.errorbar(
        [threshold for threshold, _ in known],
        [estimate.value for estimate in estimates],
        yerr=_bars(estimates),
        fmt="o-",
        color=colour,
        markersize=5,
        linewidth=1.4,
        label=name,
    )


def _bars(estimates: Sequence[Estimate]) -> list[list[float]]:
    return [[max(one.minus, 0.0) for one in estimates], [max(one.plus, 0.0) for one in estimates]]
