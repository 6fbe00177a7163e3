"""CRV coincidences against tracks of a Mu2e EventNtuple: time differences, the veto, and why an event was missed.

dT = time of a track in the middle of the tracker - mean time of a coincidence, in ns. A cosmic ray hits the CRV first,
so that its dT is positive, 42 to 48 ns at the peak. Only tracks fitted as electrons count, with no other cut.
Letters in shapes as in :mod:`.mu2e_tracks`, and C coincidence, D pair of crossing and coincidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_arrays import Mask, Numbers, numbers
from .mu2e_tracks import Tracks

#: The most likely dT of a cosmic ray, ns.
PEAK_DT = 42.2
#: Values of :func:`reason_missed`.
REASONS = {
    0: "vetoed",
    1: "no coincidence",
    2: "no electron track in the middle of the tracker",
    3: "all coincidences outside the window",
    4: "vetoed by time, not by the model",
    5: "only coincidences outside the limits on their times",
}


class Coincidences:
    """The coincidences [C] of a chunk; each quantity is read at its first use.

    Args:
        crv: ``[E,C]`` records with ``time`` and, as needed, ``timeStart``, ``timeEnd``, ``pos``, ....
    """

    def __init__(self, crv: Any) -> None:
        self._crv = crv
        self.counts: npt.NDArray[np.int64] = numbers(ak.num(crv.time, axis=1))
        self.starts: npt.NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        self.event: npt.NDArray[np.int64] = np.repeat(np.arange(len(self.counts)), self.counts)
        self._columns: dict[str, Numbers] = {}

    def __contains__(self, name: str) -> bool:
        vector, _, component = name.partition(".")
        return vector in self._crv.fields and (not component or component in self._crv[vector].fields)

    def __getitem__(self, name: str) -> Numbers:
        if name not in self._columns:
            vector, _, component = name.partition(".")
            of = self._crv[vector]
            self._columns[name] = numbers(getattr(of, component) if component else of)
        return self._columns[name]

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True)
class TimeDifferences:
    """dT of each pair [D] of a middle crossing and a coincidence, in the order event, track, crossing, coincidence."""

    n_events: int
    event: npt.NDArray[np.int64]
    crossing: npt.NDArray[np.int64]
    """Position among the crossings of the middle."""
    coincidence: npt.NDArray[np.int64]
    """Position among the coincidences."""
    dt: npt.NDArray[np.float64]

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Pairs of each event, ``[E]``."""
        return np.bincount(self.event, minlength=self.n_events)

    def take(self, chosen: Mask) -> TimeDifferences:
        """Return the pairs that ``chosen`` [D] marks."""
        return TimeDifferences(
            self.n_events, self.event[chosen], self.crossing[chosen], self.coincidence[chosen], self.dt[chosen]
        )

    def any_within(self, low: float, high: float, *, closed: bool = False) -> Mask:
        """Return ``[E]`` whether any dT is in the open window from ``low`` to ``high``, or the closed one."""
        inside = (self.dt >= low) & (self.dt <= high) if closed else (self.dt > low) & (self.dt < high)
        found = np.zeros(self.n_events, dtype=bool)
        found[self.event[inside]] = True
        return found

    def closest(self, target: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return ``[E]`` the dT closest to ``target`` and its place in the event's list; NaN and -1 without any.

        Of two that are equally close, the first counts.
        """
        order = np.lexsort((np.abs(self.dt - target), self.event))
        _, first = np.unique(self.event[order], return_index=True)
        best = order[first]
        values, places = np.full(self.n_events, np.nan), np.full(self.n_events, -1, dtype=np.int64)
        starts = np.cumsum(self.counts) - self.counts
        values[self.event[best]] = self.dt[best]
        places[self.event[best]] = best - starts[self.event[best]]
        return values, places


def time_differences(tracks: Tracks, coincidences: Coincidences, *, kept: Mask | None = None) -> TimeDifferences:
    """Return dT of every middle crossing of every electron track with every coincidence of its event.

    Args:
        tracks: reduced tracks.
        coincidences: those of the same events.
        kept: coincidences [C] that may veto; all without.
    """
    crossing = np.flatnonzero(tracks.electron[tracks.mid.track])
    event = tracks.event[tracks.mid.track[crossing]]
    each = coincidences.counts[event]
    pair = np.repeat(np.arange(len(crossing)), each)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(each) - each, each)
    coincidence = coincidences.starts[event][pair] + place
    time = tracks.mid.values["time"][crossing[pair]].astype(np.float64)
    dt = time - coincidences["time"][coincidence]
    found = TimeDifferences(len(tracks.counts), event[pair], crossing[pair], coincidence, dt)
    return found if kept is None else found.take(kept[coincidence])


def within_times(coincidences: Coincidences, low: float, high: float) -> Mask:
    """Return ``[C]`` whether a coincidence starts after ``low`` and ends before ``high``, ns."""
    return np.asarray((coincidences["timeStart"] > low) & (coincidences["timeEnd"] < high))


def count_windows(pairs: TimeDifferences, chosen: Mask, windows: Iterable[tuple[float, float]]) -> dict[str, int]:
    """Return for each closed window, as ``"low,high"``, the number of ``chosen`` [E] events with a dT in it.

    Windows with the same lower end are answered together: by the lowest dT above it in each event.
    """
    pairs = pairs.take(chosen[pairs.event])
    found: dict[str, int] = {}
    lowest: dict[float, npt.NDArray[np.float64]] = {}
    for low, high in windows:
        if low not in lowest:
            above = pairs.dt >= low
            each = np.full(pairs.n_events, np.inf)
            np.minimum.at(each, pairs.event[above], pairs.dt[above])
            lowest[low] = each[np.isfinite(each)]
        found[window_name(low, high)] = int(np.count_nonzero(lowest[low] <= high))
    return found


def window_name(low: float, high: float) -> str:
    """Return the name of a dT window, such as ``"0,150"``."""
    return f"{low:g},{high:g}"


def outside_by(pairs: TimeDifferences, low: float, high: float) -> npt.NDArray[np.float64]:
    """Return ``[E]`` by how many ns the nearest dT misses the window: 0 inside, NaN without any dT."""
    distance = np.maximum(np.maximum(low - pairs.dt, pairs.dt - high), 0.0)
    nearest = np.full(pairs.n_events, np.inf)
    np.minimum.at(nearest, pairs.event, distance)
    return np.where(np.isfinite(nearest), nearest, np.nan)


def reason_missed(
    pairs: TimeDifferences, tracks: Tracks, coincidences: Coincidences, vetoed: Mask, window: tuple[float, float]
) -> Numbers:
    """Return ``[E]`` why the veto missed an event, a key of :data:`REASONS`.

    Args:
        pairs: those that may veto.
        tracks: of the same events.
        coincidences: all of them.
        vetoed: events [E] that are vetoed.
        window: in dT.
    """
    reason = np.where(pairs.counts > 0, 3, 5)
    reason[pairs.any_within(*window)] = 4
    crossing = tracks.event[tracks.mid.track[tracks.electron[tracks.mid.track]]]
    reason[np.bincount(crossing, minlength=pairs.n_events) == 0] = 2
    reason[coincidences.counts == 0] = 1
    reason[vetoed] = 0
    return reason.astype(np.int8)
