"""Scans in one pass over the data: the dT window of the veto, and thresholds of cuts.

The window scan asks, for each closed window [a, b], which fraction of the events has a coincidence with a ≤ dT ≤ b:
of cosmics that is the veto efficiency, of conversion electrons with pile-up the deadtime. Both are fractions of all
events before any requirement on coincidences, so that no loss hides in a denominator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ..errors import UserError, closest
from .exposure_rates import SELECTED, UNVETOED
from .intervals import Convention, Estimate
from .mu2e_tables import Column, Table

#: What a window must reach.
REQUIRED = 0.999
Array = npt.NDArray[np.float64]


class VetoWindow(BaseModel):
    """A closed dT window in ns, with what it does. ``deadtime`` is None without a sample of conversion electrons."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    efficiency: Estimate
    deadtime: Estimate | None = None

    @property
    def width(self) -> float:
        """Width in ns."""
        return self.high - self.low

    @property
    def name(self) -> str:
        """The window as written: [5, 120] ns."""
        return f"[{self.low:g}, {self.high:g}] ns"


class ThresholdPoint(BaseModel):
    """A threshold with what it leaves: events and their fractions of all events, and the veto on them."""

    model_config = ConfigDict(frozen=True)

    threshold: float
    selected: int
    unvetoed: int | None
    efficiency: Estimate | None
    inefficiency: Estimate | None


def veto_windows(
    cosmics: Mapping[str, Any], electrons: Mapping[str, Any] | None, convention: Convention
) -> tuple[VetoWindow, ...]:
    """Return the windows that both samples have, by their limits.

    Args:
        cosmics, electrons: counts of a cutset: ``dt_windows``, "low,high" → events; ``dt_events``, all of them; and
            ``before_coincidence_times``, the common denominator where events were rejected for those times. Electrons
            that were are lost in every window.
        convention: of the intervals.

    Raises:
        UserError: there is no window scan, no event, or no window in common.
    """
    windows = _counted(cosmics, "cosmics")
    others = None if electrons is None else _counted(electrons, "conversion electrons")
    shared = [name for name in windows if others is None or name in others]
    if not shared:
        raise UserError("The two results have no dT window in common. Make both with the same dt_windows.")
    found = []
    for name in shared:
        low, high = (float(edge) for edge in name.split(","))
        efficiency = convention.fraction(windows[name], all_events(cosmics))
        deadtime = None
        if electrons is not None and others is not None:
            total = all_events(electrons)
            deadtime = convention.fraction(others[name] + total - electrons["dt_events"], total)
        assert efficiency is not None  # _counted made sure that there are events
        found.append(VetoWindow(low=low, high=high, efficiency=efficiency, deadtime=deadtime))
    return tuple(sorted(found, key=lambda one: (one.low, one.high)))


def all_events(counts: Mapping[str, Any]) -> int:
    """Return the selected events before any cut on the times of coincidences."""
    before = (counts.get("before_coincidence_times") or {}).get(SELECTED) or {}
    return int(before.get("Inclusive", counts["dt_events"]))


def narrowest(windows: Sequence[VetoWindow], required: float = REQUIRED, *, surely: bool = False) -> VetoWindow | None:
    """Return the narrowest window with an efficiency of at least ``required``; None if none has.

    Among equally narrow ones the most efficient. With ``surely`` the lower limit of the efficiency must reach it, not
    the efficiency itself: one chosen out of many lies above its truth more often than below.
    """
    good = [one for one in windows if (one.efficiency.low if surely else one.efficiency.value) >= required]
    return min(good, key=lambda one: (one.width, -one.efficiency.value), default=None)


def window_map(windows: Sequence[VetoWindow], quantity: str) -> tuple[Array, Array, Array]:
    """Return lower edges [A], upper edges [B], and ``efficiency`` or ``deadtime`` [A, B], NaN if not scanned."""
    lows, highs = (sorted({getattr(one, edge) for one in windows}) for edge in ("low", "high"))
    grid = np.full((len(lows), len(highs)), np.nan)
    for one in windows:
        estimate: Estimate | None = getattr(one, quantity)
        if estimate is not None:
            grid[lows.index(one.low), highs.index(one.high)] = estimate.value
    return np.array(lows), np.array(highs), grid


def windows_table(
    windows: Sequence[VetoWindow], chosen: VetoWindow | None, events: tuple[int, int | None], required: float
) -> Table:
    """Return the table of all windows; ``events`` are those of the cosmics and of the conversion electrons."""
    rows = tuple(
        (
            one.low,
            one.high,
            one.width,
            one.efficiency.scaled(100),
            None if one.deadtime is None else one.deadtime.scaled(100),
            "chosen" if one == chosen else "",
        )
        for one in windows
    )
    if chosen is None:
        best = max(windows, key=lambda one: one.efficiency.value)
        choice = f"no window reaches {100 * required:g} %; the best is {best.name}"
    else:
        choice = f"the narrowest window with at least {100 * required:g} % is {chosen.name}"
    return Table(
        title="dT windows of the veto",
        columns=(
            Column("low", "From [ns]"),
            Column("high", "To [ns]"),
            Column("width", "Width [ns]"),
            Column("efficiency", "Veto efficiency [%]", estimate=True),
            Column("deadtime", "Deadtime [%]", estimate=True),
            Column("choice", "Choice"),
        ),
        rows=rows,
        remarks=(choice, "both are fractions of all events before requirements on coincidences"),
        about={
            "cosmic_events": events[0],
            "electron_events": events[1],
            "required": required,
            "chosen": None if chosen is None else [chosen.low, chosen.high],
        },
    )


def threshold_points(counts: Mapping[str, Any], scan: str, convention: Convention) -> tuple[ThresholdPoint, ...]:
    """Return the points of a scan, by threshold.

    Args:
        counts: of a cutset: ``scans``, name → threshold → stage → events, and ``stages``, for all events.
        scan: name of the scanned threshold.
        convention: of the intervals.

    Raises:
        UserError: there is no such scan.
    """
    scans = counts.get("scans") or {}
    if scan not in scans:
        known = f"It has: {', '.join(scans)}." if scans else "It has none; make one with --set scans=…"
        raise UserError(f"The result has no scan of '{scan}'.{closest(scan, scans)} {known}")
    total = counts["stages"]["All"]["Inclusive"]
    points = []
    for threshold, left in scans[scan].items():
        selected, unvetoed = left[SELECTED], left.get(UNVETOED)
        points.append(
            ThresholdPoint(
                threshold=float(threshold),
                selected=selected,
                unvetoed=unvetoed,
                efficiency=convention.fraction(selected, total),
                inefficiency=None if unvetoed is None else convention.fraction(unvetoed, selected),
            )
        )
    return tuple(sorted(points, key=lambda one: one.threshold))


def scan_table(points: Sequence[ThresholdPoint], scan: str, dataset: str, *, signal: bool) -> Table:
    """Return the table of a threshold scan."""
    vetoed = "Deadtime [%]" if signal else "Veto efficiency [%]"
    rows = tuple(
        (
            dataset,
            scan,
            one.threshold,
            one.selected,
            one.unvetoed,
            None if one.efficiency is None else one.efficiency.scaled(100),
            None if one.inefficiency is None else one.inefficiency.complement().scaled(100),
        )
        for one in points
    )
    return Table(
        title=f"{dataset}: scan of {scan}",
        columns=(
            Column("dataset", "Sample", shown=False),
            Column("scan", "Scan", shown=False),
            Column("threshold", scan),
            Column("selected", "Selected"),
            Column("unvetoed", "Unvetoed"),
            Column("efficiency", "Of all events [%]", estimate=True),
            Column("vetoed", vetoed, estimate=True),
        ),
        rows=rows,
        about={"dataset": dataset, "scan": scan},
    )


def _counted(counts: Mapping[str, Any], what: str) -> Mapping[str, int]:
    windows: Mapping[str, int] = counts.get("dt_windows") or {}
    if not windows or not counts.get("dt_events"):
        raise UserError(
            f"The result of the {what} has no scan of dT windows, or no event in it. Make it with dt_windows set "
            f"and a cutset that selects something, such as dTPreprocess."
        )
    return windows
