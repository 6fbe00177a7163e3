"""The 20 cuts of the Mu2e cosmic background analysis: what they are called, what they ask, and their masks.

A cut with thresholds is a row of comparisons ``value > threshold`` or ``value < threshold``, all strict, of one value
a track or event; a value that does not exist (NaN) fails. Cuts on a surface ask that *all* crossings pass, so that the
value is the lowest or the highest of them. A track that never crosses the surface fails such a cut; with
``vacuous_truth`` it passes, as "all of none" is true: the cuts of 2025 were so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .cutsets import CutDeclaration
from .mu2e_arrays import Mask, Numbers
from .mu2e_crv import Coincidences, TimeDifferences
from .mu2e_tracks import Crossings, Tracks

Direction = Literal["<", ">"]
Level = Literal["event", "object"]
PRESELECT, TRACKER, CRV, VETO, MOMENTUM = GROUPS = ("Preselect", "Tracker", "CRV", "Veto", "Momentum")
#: The tracks of a beam-off event have no time within the micro-bunch.
ON_SPILL_ONLY = ("within_t0",)
#: Momentum window of the result tables → cut.
WINDOWS = {"Wide": "within_wide_win", "Extended": "within_ext_win", "Signal": "within_sig_win"}
VETO_CUT = "unvetoed"
TIME_CUTS = ("within_coinc_start_time", "within_coinc_end_time")


def _cut(
    name: str, group: str, description: str, *thresholds: str, level: Level = "object", truth: bool = False
) -> CutDeclaration:
    return CutDeclaration(
        name=name, group=group, level=level, description=description, thresholds=thresholds, truth=truth
    )


#: In the order of the cut flow.
CUTS: tuple[CutDeclaration, ...] = (
    _cut("thru_trk", PRESELECT, "the track crosses the tracker's entrance, middle and exit"),
    _cut("is_reco_electron", PRESELECT, "the track is fitted as an electron"),
    _cut("one_reco_electron", PRESELECT, "the event has exactly one electron fit, before any other cut", level="event"),
    _cut("is_downstream", PRESELECT, "all segments at entrance, middle and exit go downstream, pz > 0"),
    _cut(
        "is_truth_electron",
        PRESELECT,
        "an electron has the most hits among the simulated particles of the track",
        "track_pdg",
        truth=True,
    ),
    _cut("good_trkqual", TRACKER, "track quality", "lo_trkqual"),
    _cut("within_t0", TRACKER, "time in the middle of the tracker", "lo_t0_ns", "hi_t0_ns"),
    _cut("within_t0err", TRACKER, "error of t0 in the middle of the tracker", "hi_t0err"),
    _cut("has_hits", TRACKER, "active hits", "lo_nactive"),
    _cut("within_d0", TRACKER, "smallest distance from the axis, at the entrance", "hi_d0_mm"),
    _cut("within_pitch_angle_lo", TRACKER, "pz/pT at the entrance, lower limit", "lo_pitch_angle"),
    _cut("within_pitch_angle_hi", TRACKER, "pz/pT at the entrance, upper limit", "hi_pitch_angle"),
    _cut("within_lhr_max_lo", TRACKER, "largest distance from the axis, at the entrance, lower limit", "lo_maxr_mm"),
    _cut("within_lhr_max_hi", TRACKER, "largest distance from the axis, at the entrance, upper limit", "hi_maxr_mm"),
    _cut(TIME_CUTS[0], CRV, "all coincidences of the event start late enough", "lo_crv_start_ns", level="event"),
    _cut(TIME_CUTS[1], CRV, "all coincidences of the event end early enough", "hi_crv_end_ns", level="event"),
    _cut(
        VETO_CUT,
        VETO,
        "no coincidence in the dT window of any electron track",
        "lo_veto_dt_ns",
        "hi_veto_dt_ns",
        level="event",
    ),
    _cut("within_wide_win", MOMENTUM, "p at the entrance, wide window", "lo_wide_win_mevc", "hi_wide_win_mevc"),
    _cut("within_ext_win", MOMENTUM, "p at the entrance, extended window", "lo_ext_win_mevc", "hi_ext_win_mevc"),
    _cut("within_sig_win", MOMENTUM, "p at the entrance, signal window", "lo_sig_win_mevc", "hi_sig_win_mevc"),
)
BY_NAME: Mapping[str, CutDeclaration] = {cut.name: cut for cut in CUTS}


@dataclass(frozen=True)
class Chunk:
    """What the cuts look at: everything computed once for all cutsets.

    Args:
        tracks: reduced tracks.
        coincidences: those of the same events.
        pairs: dT of the coincidences that may veto.
        vacuous_truth: whether a track without a surface passes the cuts on it.
        vetoed: ``[E]`` what vetoes instead of the dT window, a trained model for example.
    """

    tracks: Tracks
    coincidences: Coincidences
    pairs: TimeDifferences
    vacuous_truth: bool = False
    vetoed: Mask | None = None


def _ranged(quantity: str, end: Literal["lowest", "highest"]) -> Callable[[Chunk], Numbers]:
    def value(chunk: Chunk) -> Numbers:
        tracks = chunk.tracks
        values: Numbers = getattr(tracks.ranges[quantity], end)
        surface: Crossings = tracks.mid if quantity in ("time", "t0err") else tracks.front
        return values if chunk.vacuous_truth else np.where(surface.present, values, np.nan)

    return value


def _earliest_start(chunk: Chunk) -> Numbers:
    start = chunk.coincidences["timeStart"]
    found = np.full(len(chunk.coincidences.counts), np.inf, dtype=np.result_type(start, np.float32))
    np.minimum.at(found, chunk.coincidences.event, start)
    return found


def _latest_end(chunk: Chunk) -> Numbers:
    end = chunk.coincidences["timeEnd"]
    found = np.full(len(chunk.coincidences.counts), -np.inf, dtype=np.result_type(end, np.float32))
    np.maximum.at(found, chunk.coincidences.event, end)
    return found


#: Threshold → how the value compares with it, and the value: ``[T]``, or ``[E]`` for cuts on events.
COMPARISONS: Mapping[str, tuple[Direction, Callable[[Chunk], Numbers]]] = {
    "lo_trkqual": (">", lambda chunk: chunk.tracks.quality),
    "lo_t0_ns": (">", _ranged("time", "lowest")),
    "hi_t0_ns": ("<", _ranged("time", "highest")),
    "hi_t0err": ("<", _ranged("t0err", "highest")),
    "lo_nactive": (">", lambda chunk: chunk.tracks.nactive),
    "hi_d0_mm": ("<", _ranged("d0", "highest")),
    "lo_pitch_angle": (">", _ranged("pitch", "lowest")),
    "hi_pitch_angle": ("<", _ranged("pitch", "highest")),
    "lo_maxr_mm": (">", _ranged("maxr", "lowest")),
    "hi_maxr_mm": ("<", _ranged("maxr", "highest")),
    "lo_crv_start_ns": (">", _earliest_start),
    "hi_crv_end_ns": ("<", _latest_end),
    **{f"lo_{window}_win_mevc": (">", _ranged("p", "lowest")) for window in ("wide", "ext", "sig")},
    **{f"hi_{window}_win_mevc": ("<", _ranged("p", "highest")) for window in ("wide", "ext", "sig")},
}


def _downstream(chunk: Chunk) -> Mask:
    tracks = chunk.tracks
    return tracks.downstream if chunk.vacuous_truth else tracks.downstream & tracks.in_tracker


def _thresholds_pass(cut: CutDeclaration, chunk: Chunk, thresholds: Mapping[str, float]) -> Mask:
    passed = [compared(COMPARISONS[key][1](chunk), COMPARISONS[key][0], thresholds[key]) for key in cut.thresholds]
    return np.logical_and.reduce(passed)


def compared(values: Numbers, direction: Direction, threshold: float) -> Mask:
    """Return where ``values`` are above, or below, ``threshold``: in their own precision, so that the limit fails."""
    limit = float(threshold)
    return np.asarray(values > limit if direction == ">" else values < limit)


def cut_mask(name: str, chunk: Chunk, thresholds: Mapping[str, float]) -> Mask:
    """Return the mask of the cut ``name``: ``[T]``, or ``[E]`` where its level is the event.

    Args:
        name: one of :data:`CUTS` that :func:`defined` has.
        chunk: reduced tracks and coincidences.
        thresholds: key → value, of one cutset.
    """
    cut, tracks = BY_NAME[name], chunk.tracks
    if name == "thru_trk":
        return tracks.front.present & tracks.mid.present & tracks.back.present
    if name == "is_reco_electron":
        return tracks.electron
    if name == "one_reco_electron":
        return np.asarray(tracks.n_electrons == 1)
    if name == "is_downstream":
        return _downstream(chunk)
    if name == "is_truth_electron":
        if tracks.genealogy is None:
            raise ValueError("the cut is_truth_electron is not defined without simulated particles")
        return tracks.genealogy.matched(thresholds["track_pdg"])
    if name == VETO_CUT:
        return ~vetoed(chunk, thresholds)
    return _thresholds_pass(cut, chunk, thresholds)


def vetoed(chunk: Chunk, thresholds: Mapping[str, float]) -> Mask:
    """Return ``[E]`` whether the CRV vetoes an event."""
    if chunk.vetoed is not None:
        return chunk.vetoed
    return chunk.pairs.any_within(thresholds["lo_veto_dt_ns"], thresholds["hi_veto_dt_ns"])


def defined(chunk: Chunk, *, on_spill: bool) -> tuple[CutDeclaration, ...]:
    """Return the cuts that mean something here, in order.

    Without simulated particles there is no truth, off-spill no time in the micro-bunch, a fit of straight lines has no
    radius, and old files have neither start nor end of a coincidence.
    """
    absent = set(() if on_spill else ON_SPILL_ONLY)
    if "maxr" not in chunk.tracks.ranges:
        absent |= {"within_lhr_max_lo", "within_lhr_max_hi"}
    if "timeStart" not in chunk.coincidences or "timeEnd" not in chunk.coincidences:
        absent |= set(TIME_CUTS)
    truth = chunk.tracks.genealogy is not None
    return tuple(cut for cut in CUTS if cut.name not in absent and (truth or not cut.truth))
