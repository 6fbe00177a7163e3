"""Figures of a trained cosmic-ray veto: ROC curves, scores, thresholds, importance, ablation, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import PALETTE, new_figure, readable, save, style

Array = NDArray[np.float64]
Row = Mapping[str, Any]
COSMIC, BEAM, THIRD = PALETTE[1], PALETTE[0], PALETTE[2]
COSMIC_LABEL, BEAM_LABEL = "cosmic rays", "conversion electrons + pile-up"


@dataclass(frozen=True)
class VetoScores:
    """What the figures of scores need, of test events and their coincidences.

    Attributes:
        score: [E] −∞ without coincidence.
        cosmic: [E] the sample.
        row_score: [R] of coincidences.
        row_label: [R] True for cosmic rays.
        curves: name → (efficiency, deadtime), each a curve; one a fold, and ``all``.
        thresholds: one a fold.
        target: of the efficiency.
    """

    score: Array
    cosmic: NDArray[np.bool_]
    row_score: Array
    row_label: NDArray[np.bool_]
    curves: Mapping[str, tuple[Array, Array]]
    thresholds: Sequence[float]
    target: float


def draw_all(folder: Path, content: VetoScores, report: Mapping[str, Any]) -> list[Path]:
    """Draw every figure into ``folder`` and return the PNG paths."""
    with style():
        figures = {
            "roc": _roc(content, report["comparison"]),
            "scores": _scores(content),
            "threshold_curve": _threshold_curve(content, report["threshold_curve"]),
            "importance": _importance(report["importance"]),
            "comparison": _comparison(report["comparison"], content.target),
        }
        if report["ablation"]:
            figures["ablation"] = _ablation(report["ablation"])
    return [save(figure, folder / name)[0] for name, figure in figures.items()]


def _axes(width: float = 8.0, height: float = 6.5, *, left: float = 1.15) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    bottom, right, top = 0.85, 0.3, 0.3
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure, figure.add_axes(box)


def _legend(axes: Axes, location: str = "best") -> None:
    axes.legend(loc=location, fontsize=13, frameon=True, framealpha=0.9, edgecolor="none")


def _roc(content: VetoScores, comparison: Sequence[Row]) -> Figure:
    """Inefficiency against deadtime, both logarithmic: the corner that matters."""
    figure, axes = _axes()
    for name, (efficiency, deadtime) in content.curves.items():
        everything = name == "all"
        axes.plot(
            deadtime,
            1 - efficiency,
            drawstyle="steps-post",
            color=COSMIC if everything else "#a0a0a0",
            linewidth=2.2 if everything else 0.9,
            zorder=3 if everything else 2,
            label="all test events" if everything else ("single folds" if name == "0" else None),
        )
    axes.axhline(1 - content.target, color="black", linewidth=1, linestyle=":", label=f"target {content.target:.4g}")
    for row, marker, colour in zip(comparison, ("o", "s", "^"), ("black", BEAM, THIRD), strict=False):
        _point(axes, row, marker, colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    least = [1 / max(int(comparison[0][key]), 1) for key in ("beam_events", "cosmic_events")]
    axes.set_xlim(least[0] / 2, 1.2)
    axes.set_ylim(least[1] / 2, 1.2)
    axes.set_xlabel("Deadtime")
    axes.set_ylabel("1 − veto efficiency")
    _legend(axes, "upper right")
    return figure


def _point(axes: Axes, row: Row, marker: str, colour: str) -> None:
    """One veto with its intervals; at zero the point is put at the upper limit, where a log scale can show it."""
    x, y = row["deadtime"], 1 - row["efficiency"]
    limits = (row["deadtime_low"], row["deadtime_high"]), (1 - row["efficiency_high"], 1 - row["efficiency_low"])
    x, y = x or limits[0][1], y or limits[1][1]
    axes.errorbar(
        [x],
        [y],
        xerr=[[max(x - limits[0][0], 0)], [max(limits[0][1] - x, 0)]],
        yerr=[[max(y - limits[1][0], 0)], [max(limits[1][1] - y, 0)]],
        marker=marker,
        markersize=8,
        color=colour,
        linestyle="none",
        label=readable(str(row["veto"])),
        zorder=4,
    )


def _scores(content: VetoScores) -> Figure:
    figure, axes = _axes()
    bins = np.linspace(0, 1, 101).tolist()
    for kind, colour, label in ((True, COSMIC, "from cosmic rays"), (False, BEAM, "from pile-up")):
        values = content.row_score[content.row_label == kind]
        axes.hist(values, bins, histtype="step", color=colour, linewidth=2, label=f"coincidences {label}")
    for place, threshold in enumerate(content.thresholds):
        named = "thresholds of the folds" if place == 0 else None
        axes.axvline(threshold, color="black", linewidth=0.9, linestyle="--", label=named)
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    axes.set_ylim(0.5, axes.get_ylim()[1] * 8)  # room for the legend
    axes.set_xlabel("Score")
    axes.set_ylabel("Coincidences / 0.01")
    _legend(axes, "upper center")
    return figure


def _threshold_curve(content: VetoScores, rows: Sequence[Row]) -> Figure:
    figure, axes = _axes()
    threshold = np.array([row["threshold"] for row in rows])
    curves = (
        (COSMIC, "1 − veto efficiency", [1 - row["efficiency"] for row in rows]),
        (BEAM, "deadtime", [row["deadtime"] for row in rows]),
    )
    odds = np.log10(threshold / (1 - threshold))
    lowest = 1.0
    for colour, label, values in curves:
        shown = np.where(np.array(values) > 0, values, np.nan)
        lowest = min(lowest, float(np.nanmin(shown, initial=1.0)))
        axes.plot(odds, shown, color=colour, linewidth=2.2, label=label)
    axes.axhline(1 - content.target, color="black", linewidth=1, linestyle=":", label=f"target {content.target:.4g}")
    for place, value in enumerate(content.thresholds):
        named = "thresholds of the folds" if place == 0 else None
        axes.axvline(np.log10(value / (1 - value)), color="black", linewidth=0.9, linestyle="--", label=named)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 2, 60)  # room for the legend
    axes.set_xlim(odds[0], odds[-1])
    axes.set_xlabel(r"Threshold $t$, as $\log_{10}\,t/(1-t)$")
    axes.set_ylabel("Fraction of events")
    _legend(axes, "upper right")
    return figure


def _importance(rows: Sequence[Row]) -> Figure:
    figure, axes = _axes(8.0, max(3.5, 1.3 + 0.55 * len(rows)), left=1.6)
    places = np.arange(len(rows))[::-1]
    largest = max((row["permutation"] for row in rows), default=0.0) or 1.0
    columns = (
        (COSMIC, "loss of AUC when shuffled (largest = 1)", [row["permutation"] / largest for row in rows]),
        (BEAM, "share of gain", [row["gain"] for row in rows]),
        (THIRD, "share of cuts", [row["weight"] for row in rows]),
    )
    for number, (colour, label, values) in enumerate(columns):
        axes.barh(places + 0.26 * (1 - number), values, height=0.24, color=colour, label=label)
    axes.set_yticks(places, [row["feature"] for row in rows])
    axes.minorticks_off()
    axes.set_xlim(0, 1.05)
    axes.set_xlabel("Importance")
    _legend(axes, "lower right")
    return figure


def _ablation(rows: Sequence[Row]) -> Figure:
    studies = list(dict.fromkeys(row["study"] for row in rows))
    titles = {"drop": "one feature left out", "add": "one feature after the other"}
    width, height = 6.0 * len(studies), 6.0
    figure = new_figure(width, height)
    for number, study in enumerate(studies):
        axes = figure.add_axes(((6 * number + 1.3) / width, 1.6 / height, 4.5 / width, 3.9 / height))
        chosen = [row for row in rows if row["study"] == study]
        value = np.array([row["deadtime"] for row in chosen])
        low = np.array([row["deadtime_low"] for row in chosen])
        high = np.array([row["deadtime_high"] for row in chosen])
        places = np.arange(len(chosen))
        axes.errorbar(places, 100 * value, 100 * np.stack([value - low, high - value]), fmt="o", color=BEAM)
        sign = "− " if study == "drop" else "+ "
        names = [row["change"] if row["change"] == "all features" else sign + row["change"] for row in chosen]
        axes.set_xticks(places, names, rotation=50, ha="right", fontsize=13)
        axes.tick_params(axis="x", which="minor", bottom=False, top=False)
        axes.set_yscale("log")
        _plain_ticks(axes)
        axes.set_ylabel("Deadtime [%]")
        axes.set_title(titles.get(study, study), fontsize=15)
    return figure


def _comparison(rows: Sequence[Row], target: float) -> Figure:
    figure = new_figure(10.5, 1.9 + 0.75 * len(rows))
    names = [readable(str(row["veto"])) for row in rows]
    places = np.arange(len(rows))[::-1]
    for number, (what, label) in enumerate((("efficiency", "Veto efficiency [%]"), ("deadtime", "Deadtime [%]"))):
        axes = figure.add_axes((0.22 + 0.39 * number, 0.27, 0.36, 0.66))
        value, low, high = (100 * np.array([row[key] for row in rows]) for key in (what, f"{what}_low", f"{what}_high"))
        axes.errorbar(value, places, xerr=np.stack([value - low, high - value]), fmt="o", color="black", capsize=4)
        axes.set_yticks(places, names if number == 0 else [""] * len(rows), fontsize=15)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.set_xlabel(label, fontsize=16)
        if what == "efficiency":
            axes.axvline(100 * target, color="black", linewidth=1, linestyle=":")
            axes.ticklabel_format(axis="x", useOffset=False)
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        elif low.min() > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        else:
            axes.set_xlim(left=0)
    return figure


def _plain_ticks(axes: Axes) -> None:
    """Write 0.5 and 20 instead of powers of ten."""
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    low, high = axes.get_ylim()
    if high / low < 30:
        axes.yaxis.set_minor_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
