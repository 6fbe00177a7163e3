"""The table of events of the Mu2e analysis: a row for each event and cutset, with everything a survivor is asked for.

Where several tracks of an event pass, the row describes the one of the best quality, the first of equals. Missing
numbers are NaN, missing codes 0, missing places -1.

Columns: ``run``, ``subrun``, ``event``; ``cutset`` (place in the list of cutsets) and ``cutset_<name>``;
``pass_<cut>``, the bits of the track; ``p_front``, ``pz_front``, ``pitch``, ``d0``, ``maxr``, ``momerr``, ``t_mid``,
``t0err`` at the first crossing; ``nactive``, ``trkqual``, ``pdg``, ``track``, ``n_tracks``; ``min_dT``, ``cent_dT``,
``peak_dT`` of the event with their ``_idx``, ``vetoed``, ``missed`` (a key of :data:`.mu2e_event_info.REASONS`) and
``missed_by`` in ns; ``track_times``, ``coincidence_times`` [E, n]; for simulation ``p_true``, ``mc_pdg``, ``mc_nhits``,
``mc_p``, ``mc_start_code``, ``parent_pdg``, ``parent_p``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from ..selections.cutsets import Cutset
from ..selections.mu2e_arrays import Mask, Numbers, numbers, taken
from ..selections.mu2e_crv import PEAK_DT, outside_by, reason_missed
from ..selections.mu2e_cuts import Chunk, vetoed
from ..selections.mu2e_tracks import Crossings, Genealogy, Tracks
from .mu2e_stages import Masks, Stage

Columns = dict[str, Any]
IDENTITY = ("run", "subrun", "event")
#: Place of the event in its chunk, which :func:`in_order` takes out.
PLACE = "place"


def event_rows(events: Any, stage: Stage, masks: Masks, cutset: Cutset, names: Sequence[str]) -> Columns:
    """Return the columns of the events that pass ``stage``, in the order of the file.

    Args:
        events: ``[E]`` records with run, subrun and event.
        stage: the survivors, for example.
        masks: of the chunk.
        cutset: the one that ``stage`` belongs to.
        names: all cutsets of the run, in order.
    """
    chunk = masks.chunk
    tracks = chunk.tracks
    best = best_tracks(tracks, stage.objects)
    event = np.flatnonzero(stage.events)
    # An event can pass cuts on events alone without having a track.
    track = best[event]
    columns: Columns = {PLACE: event, **{name: numbers(events[name])[event] for name in IDENTITY}}
    columns["cutset"] = np.full(len(event), names.index(cutset.name), dtype=np.int32)
    columns |= {f"cutset_{name}": np.full(len(event), name == cutset.name) for name in names}
    columns |= {f"pass_{cut.name}": _bit(masks(cut.name, cutset), event, track, cut.level) for cut in masks.cuts}
    columns |= track_columns(tracks, track)
    columns["n_tracks"] = np.bincount(tracks.event[stage.objects], minlength=len(tracks.counts))[event].astype(np.int32)
    columns |= crv_columns(chunk, cutset, event)
    columns["track_times"] = _of_events(tracks.event[tracks.mid.track], stage, tracks, event)
    columns["coincidence_times"] = _jagged(chunk.coincidences["time"], chunk.coincidences.event, event)
    if tracks.genealogy is not None:
        columns["p_true"] = _first(Crossings(tracks.front.track, len(tracks), {"p": tracks.true_momentum}), "p", track)
        columns |= truth_columns(tracks.genealogy, track)
    return columns


def in_order(tables: Sequence[Columns]) -> Columns:
    """Return the rows of all cutsets as one table in the order of events, so that it does not depend on the chunks."""
    joined = {name: _joined([one[name] for one in tables]) for name in tables[0]}
    order = np.lexsort((joined["cutset"], joined.pop(PLACE)))
    return {name: values[order] for name, values in joined.items()}


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else ak.concatenate(parts)


def best_tracks(tracks: Tracks, chosen: Mask) -> np.ndarray:
    """Return ``[E]`` the position of the chosen track of the highest quality, the first of equals; -1 without any."""
    where = np.flatnonzero(chosen)
    order = where[np.lexsort((where, -np.nan_to_num(tracks.quality[where], nan=-np.inf), tracks.event[where]))]
    event, first = np.unique(tracks.event[order], return_index=True)
    best = np.full(len(tracks.counts), -1, dtype=np.int64)
    best[event] = order[first]
    return best


def track_columns(tracks: Tracks, track: np.ndarray) -> Columns:
    """Return the quantities of the tracks at the positions ``track``; -1 stands for no track."""
    front, mid = tracks.front, tracks.mid
    names = {"p": "p_front", "pz": "pz_front", "pitch": "pitch", "d0": "d0", "maxr": "maxr", "momerr": "momerr"}
    columns: Columns = {column: _first(front, name, track) for name, column in names.items() if name in front.values}
    columns |= {"t_mid": _first(mid, "time", track), "t0err": _first(mid, "t0err", track)}
    starts = np.cumsum(tracks.counts) - tracks.counts
    columns["nactive"] = taken(tracks.nactive.astype(np.int32), track, 0)
    columns["trkqual"] = taken(tracks.quality.astype(np.float32), track, np.nan)
    columns["pdg"] = taken(tracks.pdg.astype(np.int32), track, 0)
    place = np.arange(len(tracks)) - starts[tracks.event]
    columns["track"] = taken(place.astype(np.int32), track, -1)
    return columns


def crv_columns(chunk: Chunk, cutset: Cutset, event: np.ndarray) -> Columns:
    """Return dT of the events at the positions ``event``, and why the veto missed them."""
    low, high = cutset.thresholds["lo_veto_dt_ns"], cutset.thresholds["hi_veto_dt_ns"]
    hit = vetoed(chunk, cutset.thresholds)
    wanted = np.zeros(len(hit), dtype=bool)
    wanted[event] = True
    pairs = chunk.pairs.take(wanted[chunk.pairs.event])
    columns: Columns = {"n_coincidences": chunk.coincidences.counts[event].astype(np.int32)}
    for name, target in (("min_dT", 0.0), ("cent_dT", (low + high) / 2), ("peak_dT", PEAK_DT)):
        values, places = pairs.closest(target)
        columns[name], columns[f"{name}_idx"] = values[event], places[event].astype(np.int32)
    columns["vetoed"] = hit[event]
    columns["missed"] = reason_missed(pairs, chunk.tracks, chunk.coincidences, hit, (low, high))[event]
    columns["missed_by"] = outside_by(pairs, low, high)[event]
    return columns


def truth_columns(genealogy: Genealogy, track: np.ndarray) -> Columns:
    """Return the particle that made the track, and the cosmic ray it comes from."""
    leading = taken(genealogy.leading, track, -1)
    parent = taken(genealogy.cosmic_parent, track, -1)
    return {
        "mc_pdg": taken(genealogy["pdg"].astype(np.int32), leading, 0),
        "mc_nhits": taken(genealogy["nhits"].astype(np.int32), leading, 0),
        "mc_p": taken(genealogy.momentum, leading, np.nan),
        "mc_start_code": taken(genealogy["startCode"].astype(np.int32), leading, 0),
        "parent_pdg": taken(genealogy["pdg"].astype(np.int32), parent, 0),
        "parent_p": taken(genealogy.momentum, parent, np.nan),
    }


def _first(crossings: Crossings, name: str, track: np.ndarray) -> Numbers:
    return taken(crossings.values[name], taken(crossings.first_crossing, track, -1), np.nan)


def _bit(mask: Mask, event: np.ndarray, track: np.ndarray, level: str) -> Mask:
    if level == "event":
        return mask[event]
    found = np.zeros(len(track), dtype=bool)
    found[track >= 0] = mask[track[track >= 0]]
    return found


def _of_events(event_of: np.ndarray, stage: Stage, tracks: Tracks, event: np.ndarray) -> ak.Array:
    """Return ``[rows, n]`` the times in the middle of all passing tracks of an event."""
    chosen = stage.objects[tracks.mid.track]
    return _jagged(tracks.mid.values["time"][chosen], event_of[chosen], event)


def _jagged(values: Numbers, event_of: np.ndarray, event: np.ndarray) -> ak.Array:
    """Return ``[rows, n]`` the values of each event at the positions ``event``; both in the order of events."""
    n_events = int(max(event.max(initial=-1), event_of.max(initial=-1))) + 1
    wanted = np.zeros(n_events, dtype=bool)
    wanted[event] = True
    counts = np.bincount(event_of, minlength=n_events)[event]
    return ak.unflatten(values[wanted[event_of]], counts)
