"""Figures of the Mu2e cosmic background: momentum windows, summaries, dT, CRV positions, cosmic parents.

All take stage → one-dimensional histogram, raw counts of tracks or coincidences (``hist.Hist``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import hist
import numpy as np
from matplotlib.axes import Axes

from ..outputs.intervals import garwood
from .mu2e_style import BLUE, STAGE_STYLES, Head, draw_lines, mu2e_style, panels
from .style import save

Stages = Mapping[str, hist.Hist]
Lines = Mapping[str, tuple[float, ...]]
Files = tuple[Path, Path]
SUMMARY = (
    ("mom_full", "mom_z", "t0"),
    ("trkqual", "nactive", "t0err"),
    ("d0", "maxr", "pitch_angle"),
    ("dT", "coinc_start_time", "coinc_end_time"),
)
MOMENTUM_SUMMARY = (("mom_z", "mom_T"), ("mom_err", "mom_res"))
#: Histogram → momentum window.
WINDOWS = {"mom_full": "Inclusive", "mom_wide": "Wide", "mom_ext": "Extended", "mom_sig": "Signal"}
#: Bins that are drawn as one, so that the usual thresholds stay on edges.
_REBIN = {"t0": 10, "t0err": 10, "maxr": 2, "pitch_angle": 5, "dT": 5, "mom_T": 2, "mom_err": 2}
_PDG = {
    11: r"$e^-$", -11: r"$e^+$", 13: r"$\mu^-$", -13: r"$\mu^+$", 22: r"$\gamma$", 111: r"$\pi^0$", 211: r"$\pi^+$",
    -211: r"$\pi^-$", 2112: r"$n$", 2212: r"$p$", 0: "none",
}  # fmt: skip


def plot_momentum_windows(
    stem: Path,
    histograms: Mapping[str, Stages],
    head: Head,
    *,
    counts: Mapping[str, Mapping[str, int]] | None = None,
    lines: Lines | None = None,
) -> Files:
    """Draw the momentum in the four windows, 2×2, with the number of events of each stage in the legends.

    Args:
        stem: path of the figure without its ending.
        histograms: name → stage → histogram; ``mom_full``, ``mom_wide``, ``mom_ext``, ``mom_sig``. One that is empty
            or missing (a blinded window) leaves its panel empty.
        head: above the figure.
        counts: stage → window → events; without, the legend names the stages alone.
        lines: histogram → thresholds.
    """
    with mu2e_style():
        figure, axes = panels(2, 2, head, titled=True)
        for panel, (name, window) in zip(axes, WINDOWS.items(), strict=True):
            numbers = {stage: by_window.get(window) for stage, by_window in (counts or {}).items()}
            _draw(panel, name, histograms.get(name, {}), lines or {}, numbers, legend=True)
            panel.set_title(window, loc="left", fontsize="medium", fontweight="bold", pad=8)
    return save(figure, stem)


def plot_summary(stem: Path, histograms: Mapping[str, Stages], head: Head, *, lines: Lines | None = None) -> Files:
    """Draw the quantities of the selection, 4×3, with the thresholds of its active cuts."""
    return _grid(stem, SUMMARY, histograms, head, lines)


def plot_momentum_summary(
    stem: Path, histograms: Mapping[str, Stages], head: Head, *, lines: Lines | None = None
) -> Files:
    """Draw p_z, p_T, the momentum's error and its resolution, 2×2."""
    return _grid(stem, MOMENTUM_SUMMARY, histograms, head, lines)


def plot_dt(stem: Path, stages: Stages, head: Head, *, window: tuple[float, float] | None = None) -> Files:
    """Draw track time − CRV time, with the window of the veto shaded; None is no veto."""
    with mu2e_style():
        figure, (axes,) = panels(1, 1, head, width=8.5, height=5.6)
        if window is not None:
            label = f"veto, {window[0]:g} to {window[1]:g} ns".replace("-", "−")
            axes.axvspan(*window, color="#e8e8e8", zorder=0, label=label)
        _draw(axes, "dT", stages, {"dT": window or ()}, {}, legend=True)
    return save(figure, stem)


def plot_crv_z(stem: Path, stages: Stages, head: Head) -> Files:
    """Draw where along z the coincidences are, each stage normalised to unit area; empty stages are left out."""
    with mu2e_style():
        figure, (axes,) = panels(1, 1, head, width=8.5, height=5.6)
        for stage in ("All", "Preselect", "Select"):
            histogram = stages.get(stage)
            total = 0.0 if histogram is None else float(histogram.values().sum())
            if histogram is None or not total:
                continue
            edges = histogram.axes[0].edges
            colour = BLUE if stage == "Select" else "black"
            style = STAGE_STYLES[stage].get("linestyle", "-")
            axes.stairs(
                histogram.values() / total / np.diff(edges) * 1000,
                edges / 1000,
                color=colour,
                linestyle=style,
                linewidth=2,
                label=f"{stage}: {total:,.0f} coincidences",
            )
            axes.set_xlim(edges[0] / 1000, edges[-1] / 1000)
        axes.set_xlabel("$z$ of the coincidence [m]")
        axes.set_ylabel("Coincidences / m, unit area")
        _finish(axes, log=False, legend=True)
    return save(figure, stem)


def plot_cosmic_parents(
    stem: Path, counts: Mapping[str, Mapping[int, int]], head: Head, *, percent: bool = False
) -> Files:
    """Draw which cosmic rays the events come from, as bars with central Poisson intervals.

    Args:
        stem: path of the figure without its ending.
        counts: stage → PDG code of the cosmic ray → events; code 0 is none found.
        head: above the figure.
        percent: of the events of a stage instead of their number.
    """
    totals: dict[int, int] = {}
    for by_code in counts.values():
        for code, n in by_code.items():
            totals[code] = totals.get(code, 0) + n
    codes = sorted(totals, key=lambda code: (-totals[code], code))
    with mu2e_style():
        figure, (axes,) = panels(1, 1, head, width=8.5, height=5.6)
        thickness = 0.8 / max(len(counts), 1)
        for place, (stage, by_code) in enumerate(counts.items()):
            values = np.array([by_code.get(code, 0) for code in codes], dtype=float)
            scale = 100 / max(values.sum(), 1.0) if percent else 1.0
            x = np.arange(len(codes)) + (place - (len(counts) - 1) / 2) * thickness
            colour = STAGE_STYLES.get(stage, {"color": BLUE})["color"]
            label = f"{stage}: {values.sum():,.0f} events"
            axes.bar(x, values * scale, thickness * 0.92, color=colour, alpha=0.75, label=label)
            low, high = garwood(values)
            bars = [(values - low) * scale, (high - values) * scale]
            axes.errorbar(x, values * scale, bars, fmt="none", color="black", linewidth=1.2)
        axes.set_xticks(range(len(codes)), [_PDG.get(code, str(code)) for code in codes], fontsize="large")
        axes.tick_params(axis="x", which="both", top=False, bottom=False)
        axes.set_xlabel("Cosmic ray")
        axes.set_ylabel("Events [%]" if percent else "Events")
        if not codes:
            _say_nothing(axes)
        _finish(axes, log=False, legend=bool(codes))
    return save(figure, stem)


def _grid(
    stem: Path,
    names: tuple[tuple[str, ...], ...],
    histograms: Mapping[str, Stages],
    head: Head,
    lines: Lines | None,
) -> Files:
    with mu2e_style():
        figure, axes = panels(len(names), len(names[0]), head)
        for place, (panel, name) in enumerate(zip(axes, (one for row in names for one in row), strict=True)):
            _draw(panel, name, histograms.get(name, {}), lines or {}, {}, legend=place == 0)
    return save(figure, stem)


def _draw(
    axes: Axes, name: str, stages: Stages, lines: Lines, counts: Mapping[str, int | None], *, legend: bool
) -> None:
    """Draw the stages of one histogram over each other, the tightest in front, on a logarithmic scale."""
    label, drawn = name, False
    for place, stage in enumerate(STAGE_STYLES):
        if stage not in stages:
            continue
        histogram = stages[stage][:: hist.rebin(_REBIN.get(name, 1))]
        label = histogram.axes[0].label or name
        axes.set_xlim(histogram.axes[0].edges[0], histogram.axes[0].edges[-1])
        values = histogram.values()
        n = counts.get(stage)
        text = stage if n is None else f"{stage}: {n:,}"
        if not values.any():
            axes.plot(
                [], [], color=STAGE_STYLES[stage]["color"], label=f"{text} (none in range)" if n is None else text
            )
            continue
        drawn = True
        style = dict(STAGE_STYLES[stage])
        if style.pop("fill", False):
            face = _lighter(style["color"])
            axes.stairs(values, histogram.axes[0].edges, fill=True, color=face, zorder=2 + 0.1 * place)
            style["linewidth"] = 1.6
        axes.stairs(values, histogram.axes[0].edges, baseline=None, label=text, zorder=3 + 0.1 * place, **style)
    draw_lines(axes, lines.get(name, ()))
    axes.set_xlabel(label)
    axes.set_ylabel(_entries(name))
    if not drawn:
        _say_nothing(axes)
    _finish(axes, log=drawn, legend=legend and bool(stages))


def _lighter(colour: str) -> tuple[float, float, float]:
    """Return a lighter, opaque tone of ``colour`` for the filling, which no histogram behind shines through."""
    from matplotlib.colors import to_rgb

    red, green, blue = (0.55 * part + 0.45 for part in to_rgb(colour))
    return red, green, blue


def _entries(name: str) -> str:
    if name in ("dT",):
        return "Track–coincidence pairs"
    return "Coincidences" if name.startswith(("coinc", "crv")) else "Tracks"


def _say_nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no entries", transform=axes.transAxes, ha="center", va="center", color="#5a5a5a")
    axes.set_yticks([])


def _finish(axes: Axes, *, log: bool, legend: bool) -> None:
    """Scale the y axis so that the legend has room above what is drawn."""
    low, high = axes.get_ylim()
    lines = len(axes.get_legend_handles_labels()[1]) if legend else 0
    room = min(0.055 * lines + 0.05, 0.5)
    if log:
        axes.set_yscale("log")
        tops = [patch.get_data()[0].max() for patch in axes.patches if hasattr(patch, "get_data")]
        top = max([float(one) for one in tops], default=high)
        axes.set_ylim(0.5, 0.5 * (max(top, 1.0) / 0.5) ** (1 / (1 - room)) * 1.3)
    elif high > low:
        axes.set_ylim(0, high / (1 - room))
    if legend and lines:
        axes.legend(loc="upper right")
