"""Tracks of a Mu2e EventNtuple as flat numbers, each computed once: what every cut, histogram and column is made of.

A cut of the form "all segments at TT_Front have q < limit" is ``highest < limit`` of the highest q of the track, so
that any number of cutsets and thresholds costs comparisons of one number a track.

Letters in shapes: E event, T track (a fit hypothesis), S segment, M particle of a track's genealogy, X crossing of a
surface. Flat arrays run over all tracks, crossings or particles of the chunk, in the order of the file. Momenta in
MeV/c, lengths in mm, times in ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_arrays import Mask, Numbers, components, lists, magnitude, numbers, taken

#: Surface ids of the tracker's entrance, middle and exit; those of other surfaces have changed with versions.
TT_FRONT, TT_MID, TT_BACK = 0, 1, 2
#: PDG code of the hypothesis of a conversion electron.
ELECTRON = 11


@dataclass(frozen=True)
class Crossings:
    """The crossings [X] of one surface by the tracks of a chunk, in the order of tracks.

    Args:
        track: position of the track of each crossing, ``[X]``.
        n_tracks: number of tracks, T.
        values: quantity → its value at each crossing, ``[X]``.
    """

    track: npt.NDArray[np.int64]
    n_tracks: int
    values: Mapping[str, Numbers]

    @cached_property
    def number(self) -> npt.NDArray[np.int64]:
        """How often each track crosses the surface, ``[T]``."""
        return np.bincount(self.track, minlength=self.n_tracks)

    @cached_property
    def present(self) -> Mask:
        """Whether each track crosses the surface at all, ``[T]``."""
        return self.number > 0

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return (np.cumsum(self.number) - self.number)[self.present]

    def lowest(self, name: str) -> Numbers:
        """Return ``[T]`` the lowest ``name`` of each track; +inf without a crossing, NaN where any is NaN."""
        return self._reduced(np.minimum, name, np.inf)

    def highest(self, name: str) -> Numbers:
        """Return ``[T]`` the highest ``name`` of each track; -inf without a crossing, NaN where any is NaN."""
        return self._reduced(np.maximum, name, -np.inf)

    @cached_property
    def first_crossing(self) -> npt.NDArray[np.int64]:
        """Position of the first crossing of each track in the file, ``[T]``; -1 without."""
        found = np.full(self.n_tracks, -1, dtype=np.int64)
        found[self.present] = self._starts
        return found

    def first(self, name: str) -> Numbers:
        """Return ``[T]`` the value at the first crossing in the file; NaN without."""
        return taken(self.values[name], self.first_crossing, np.nan)

    def _reduced(self, operation: np.ufunc, name: str, empty: float) -> Numbers:
        values = self.values[name]
        found = np.full(self.n_tracks, empty, dtype=np.result_type(values.dtype, np.float32))
        if len(values):
            found[self.present] = operation.reduceat(values, self._starts)
        return found


@dataclass(frozen=True)
class Range:
    """Lowest and highest value of a quantity over the crossings of each track, ``[T]`` each."""

    lowest: Numbers
    highest: Numbers


class Genealogy:
    """The simulated particles [M] of the tracks of a chunk: those with hits on the track, and their ancestors.

    Args:
        particles: ``[E,T,M]`` records with ``pdg``, ``nhits``, and as needed ``rank``, ``startCode``, ``mom``.
        n_tracks: number of tracks, T.
    """

    def __init__(self, particles: Any, n_tracks: int) -> None:
        self._particles = lists(particles)
        self.n_tracks = n_tracks
        self.counts: npt.NDArray[np.int64] = numbers(ak.num(self._particles.pdg, axis=2))
        self.track: npt.NDArray[np.int64] = np.repeat(np.arange(n_tracks), self.counts)
        self._columns: dict[str, Numbers] = {}

    def __getitem__(self, name: str) -> Numbers:
        if name not in self._columns:
            self._columns[name] = numbers(self._particles[name])
        return self._columns[name]

    @cached_property
    def momentum(self) -> Numbers:
        """|p| where the particle began, ``[M]``."""
        return magnitude(*components(self._particles.mom))

    @cached_property
    def most_hits(self) -> Mask:
        """Whether a particle has the most hits of its track, ``[M]``; several may."""
        nhits = self["nhits"]
        best = Crossings(self.track, self.n_tracks, {"nhits": nhits}).highest("nhits")
        return np.asarray(nhits == best[self.track])

    def matched(self, pdg: float) -> Mask:
        """Return ``[T]`` whether a particle of code ``pdg`` has the most hits; False where nothing is known."""
        found = np.zeros(self.n_tracks, dtype=bool)
        found[self.track[self.most_hits & (self["pdg"] == pdg)]] = True
        return found

    @cached_property
    def leading(self) -> npt.NDArray[np.int64]:
        """Position of the first particle with the most hits, ``[T]``; -1 where the genealogy is empty."""
        return self._first(self.most_hits)

    @cached_property
    def cosmic_parent(self) -> npt.NDArray[np.int64]:
        """Position of the ancestor (rank -1) with the largest momentum, ``[T]``; -1 without."""
        ancestor = self["rank"] == -1
        momentum = np.where(ancestor, self.momentum, -1.0)
        best = Crossings(self.track, self.n_tracks, {"p": momentum}).highest("p")
        return self._first(ancestor & (momentum == best[self.track]))

    def _first(self, chosen: Mask) -> npt.NDArray[np.int64]:
        where = np.flatnonzero(chosen)
        found = np.full(self.n_tracks, -1, dtype=np.int64)
        # Backwards, so that the first of each track is written last.
        found[self.track[where[::-1]]] = where[::-1]
        return found


@dataclass(frozen=True)
class Tracks:
    """All tracks [T] of a chunk.

    ``front``, ``mid`` and ``back`` are the crossings of the tracker's entrance (with ``p``, ``pz``, ``pt``, ``pitch``
    = pz/pT, ``momerr``, ``d0`` and, where the fit has it, ``maxr``), middle (``time``, ``t0err``) and exit.
    ``ranges`` has the lowest and highest ``p``, ``pitch``, ``d0``, ``maxr``, ``time``, ``t0err`` of each track.
    """

    counts: npt.NDArray[np.int64]
    """Tracks of each event, ``[E]``."""
    event: npt.NDArray[np.int64]
    """Position of the event of each track, ``[T]``."""
    pdg: Numbers
    nactive: Numbers
    quality: Numbers
    """trkqual.result, ``[T]``."""
    front: Crossings
    mid: Crossings
    back: Crossings
    in_tracker: Mask
    """Whether the track has a segment at one of the three surfaces, ``[T]``."""
    downstream: Mask
    """Whether all its segments at the three surfaces have pz > 0, ``[T]``; True without any."""
    ranges: Mapping[str, Range]
    genealogy: Genealogy | None
    true_momentum: Numbers
    """|p| of the simulated particle for each crossing of the front, ``[X]``; NaN where unknown."""

    @cached_property
    def electron(self) -> Mask:
        """Whether a track is fitted as an electron, ``[T]``."""
        return np.asarray(self.pdg == ELECTRON)

    @cached_property
    def n_electrons(self) -> npt.NDArray[np.int64]:
        """Electron fits of each event, ``[E]``, counted before any cut."""
        return np.bincount(self.event[self.electron], minlength=len(self.counts))

    def __len__(self) -> int:
        return len(self.event)


def reduce_tracks(events: Any, fit: str = "pars", *, truth: bool = True) -> Tracks:
    """Return the tracks of ``events`` reduced to one number per quantity and track.

    Args:
        events: ``[E]`` records with ``trk`` as the schema of the EventNtuple has it.
        fit: field of ``trk`` with the fit parameters: ``lh``, ``ch``, ``kl``, or ``pars`` for what the file has.
        truth: whether to look at simulated particles; never done without ``trk.mcsim``.
    """
    trk = events.trk
    counts = numbers(ak.num(trk.pdg, axis=1))
    segments = lists(trk.segs)
    parameters = lists(trk[fit])
    sid = numbers(segments.sid)
    track = np.repeat(np.arange(int(counts.sum())), numbers(ak.num(segments.sid, axis=2)))
    n_tracks = int(counts.sum())
    momentum = components(segments.mom)
    front, mid, back = (np.flatnonzero(sid == surface) for surface in (TT_FRONT, TT_MID, TT_BACK))
    at_front = Crossings(track[front], n_tracks, _at_front(segments, parameters, momentum, front))
    of_mid = {"time": numbers(segments.time)[mid], "t0err": numbers(parameters.t0err)[mid]}
    at_mid = Crossings(track[mid], n_tracks, of_mid)
    in_tracker = (sid >= TT_FRONT) & (sid <= TT_BACK)
    backwards = in_tracker & ~(momentum[2] > 0)
    names = [name for name in ("p", "pitch", "d0", "maxr") if name in at_front.values]
    ranges = {name: Range(at_front.lowest(name), at_front.highest(name)) for name in names}
    ranges |= {name: Range(at_mid.lowest(name), at_mid.highest(name)) for name in ("time", "t0err")}
    genealogy = Genealogy(trk.mcsim, n_tracks) if truth and "mcsim" in trk.fields else None
    return Tracks(
        counts=counts,
        event=np.repeat(np.arange(len(counts)), counts),
        pdg=numbers(trk.pdg, missing=0),
        nactive=numbers(trk.nactive, missing=0),
        quality=numbers(trk.qual.result, missing=np.nan),
        front=at_front,
        mid=at_mid,
        back=Crossings(track[back], n_tracks, {}),
        in_tracker=np.bincount(track[in_tracker], minlength=n_tracks) > 0,
        downstream=np.bincount(track[backwards], minlength=n_tracks) == 0,
        ranges=ranges,
        genealogy=genealogy,
        true_momentum=_true_momentum(trk, at_front, genealogy) if truth else np.full(len(front), np.nan),
    )


def _at_front(segments: Any, parameters: Any, momentum: tuple[Numbers, ...], front: Numbers) -> dict[str, Numbers]:
    x, y, z = (component[front] for component in momentum)
    transverse = magnitude(x, y)
    pitch = np.divide(z, transverse, out=np.zeros_like(transverse), where=transverse > 0)
    values = {"p": magnitude(x, y, z), "pz": z, "pt": transverse, "pitch": pitch}
    values["momerr"] = numbers(segments.momerr)[front]
    # Signed for a central helix and a line, unsigned for a loop helix: the distance is meant.
    values["d0"] = np.abs(numbers(parameters.d0)[front])
    if "maxr" in parameters.fields:
        values["maxr"] = numbers(parameters.maxr)[front]
    return values


def _true_momentum(trk: Any, front: Crossings, genealogy: Genealogy | None) -> Numbers:
    """Return ``[X]`` the true |p| at each crossing of the front, or at the origin where a file has no true crossings.

    A track that crosses the front twice, there and back, has two true crossings: the one in the same direction counts.
    """
    found = np.full(len(front.track), np.nan)
    if "segsmc" in trk.fields:
        steps = lists(trk.segsmc)
        of_track = np.repeat(np.arange(front.n_tracks), numbers(ak.num(steps.sid, axis=2)))
        x, y, z = components(steps.mom)
        chosen = np.flatnonzero(numbers(steps.sid) == TT_FRONT)[::-1]
        for sign in (1, -1):
            first = np.full(front.n_tracks, np.nan)
            this = chosen[np.sign(z[chosen]) == sign]
            first[of_track[this]] = magnitude(x[this], y[this], z[this])
            found = np.where(np.sign(front.values["pz"]) == sign, first[front.track], found)
    elif genealogy is not None and len(genealogy.track):
        leading = genealogy.leading[front.track]
        found = np.where(leading >= 0, genealogy.momentum[leading], np.nan)
    return found
