"""Figures of trigger efficiencies: the turn-on of data and simulation in each bin of |η|, and their ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..outputs.efficiency import Efficiency, Study
from .style import DATA_COLOUR, PALETTE, new_figure, readable, save, style


def plot_turn_ons(folder: Path, study: Study, name: str) -> list[Path]:
    """Draw a figure for each bin of |η|, and return the PNG paths."""
    return [_plot(folder / f"{name}_eta{place}", study, name, place) for place in range(len(study.eta_edges) - 1)]


def _plot(stem: Path, study: Study, name: str, place: int) -> Path:
    edges = np.array(study.pt_edges)
    with style():
        figure = new_figure(8.0, 7.0)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        figure.subplots_adjust(left=0.14, right=0.96, bottom=0.11, top=0.92, hspace=0.08)
        _points(top, edges, study.simulation, place, color=PALETTE[0], marker="s", label="Simulation")
        _points(top, edges, study.data, place, color=DATA_COLOUR, marker="o", label="Data")
        _points(bottom, edges, study.scale_factor, place, color=DATA_COLOUR, marker="o")
        bottom.axhline(1.0, color="grey", linewidth=1)
        top.set(ylim=(0, 1.25), ylabel="Efficiency")
        bottom.set(xlim=(edges[0], edges[-1]), xlabel="Muon $p_T$ (GeV)", ylabel="Data / sim.", xscale="log")
        low = study.scale_factor.value[place][study.scale_factor.error[place] < 0.2]
        spread = max(0.1, 1.5 * float(np.max(np.abs(low - 1)))) if len(low) else 0.5
        bottom.set_ylim(1 - spread, 1 + spread)
        ticks = [20, 30, 40, 60, 100, 200]
        bottom.set_xticks(ticks, [str(tick) for tick in ticks])
        bottom.minorticks_off()
        eta = rf"${study.eta_edges[place]:g} < |\eta| < {study.eta_edges[place + 1]:g}$"
        top.set_title(readable(name), loc="left", fontsize="small")
        top.set_title(eta, loc="right", fontsize="small")
        top.legend(loc="upper left", ncols=2, fontsize="small")
    return save(figure, stem)[0]


def _points(axes: Any, edges: Any, found: Efficiency, place: int, **how: Any) -> None:
    value = found.value[place]
    middle = np.sqrt(edges[:-1] * edges[1:])
    across = np.stack([middle - edges[:-1], edges[1:] - middle])
    along = np.stack([value - found.low[place], found.high[place] - value])
    known = ~np.isnan(value)
    axes.errorbar(
        middle[known], value[known], xerr=across[:, known], yerr=along[:, known], linestyle="none", markersize=5, **how
    )
