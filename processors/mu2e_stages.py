"""Stages of the Mu2e selection, counted by masks: All, Preselect, Select, Unvetoed, in each momentum window.

Preselect asks the cuts of its group alone. Select asks every active cut but those on momentum and the veto. Unvetoed
asks the veto too, and is absent where the veto is off, so that nobody reads an efficiency that was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..selections.cut_manager import CutManager
from ..selections.cut_scan import best_of_objects, scan
from ..selections.cutsets import Cutset
from ..selections.mu2e_arrays import Mask
from ..selections.mu2e_cuts import (
    BY_NAME,
    COMPARISONS,
    CRV,
    MOMENTUM,
    PRESELECT,
    VETO,
    VETO_CUT,
    Chunk,
    Direction,
    compared,
    cut_mask,
    defined,
)
from ..selections.mu2e_tracks import Tracks

STAGES = ("All", "Preselect", "Select", "Unvetoed")
INCLUSIVE = "Inclusive"
#: Name → threshold of a cut → how many events pass.
Scans = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True)
class Stage:
    """What passes a stage: the cuts it asks, tracks [T], events [E]."""

    name: str
    cuts: tuple[str, ...]
    objects: Mask
    events: Mask


class Masks:
    """The masks of a chunk; cutsets with equal thresholds share them."""

    def __init__(self, chunk: Chunk, *, on_spill: bool) -> None:
        self.chunk = chunk
        self.cuts = defined(chunk, on_spill=on_spill)
        self._known: dict[tuple[object, ...], Mask] = {}

    def key(self, name: str, cutset: Cutset) -> tuple[object, ...]:
        """Return what the mask of the cut ``name`` depends on."""
        return (name, *(cutset.thresholds[key] for key in BY_NAME[name].thresholds))

    def __call__(self, name: str, cutset: Cutset) -> Mask:
        key = self.key(name, cutset)
        if key not in self._known:
            self._known[key] = cut_mask(name, self.chunk, cutset.thresholds)
        return self._known[key]

    def manager(self, cutset: Cutset) -> CutManager:
        """Return all cuts of ``cutset`` that are defined here, active as it says."""
        manager = CutManager(len(self.chunk.tracks.counts), self.chunk.tracks.counts)
        for cut in self.cuts:
            manager.add(
                cut.name,
                self(cut.name, cutset),
                level=cut.level,
                description=cut.description,
                group=cut.group,
                active=cutset.active[cut.name],
            )
        return manager


def stages(manager: CutManager, *, veto_in_preselect: bool = False) -> tuple[Stage, ...]:
    """Return the stages of a cutset, in order; the last is absent where the veto is not active."""
    groups = {name: BY_NAME[name].group for name in manager.active}
    preselect = [name for name, group in groups.items() if group == PRESELECT or (veto_in_preselect and group == VETO)]
    select = [name for name, group in groups.items() if group not in (MOMENTUM, VETO)]
    asked = {"All": [], "Preselect": preselect, "Select": select}
    if VETO_CUT in groups:
        asked["Unvetoed"] = [*select, VETO_CUT]
    return tuple(
        Stage(name, tuple(cuts), manager.objects(tuple(cuts)), manager.events(tuple(cuts)))
        for name, cuts in asked.items()
    )


def any_track(marked: Mask, tracks: Tracks) -> Mask:
    """Return ``[E]`` whether any track of an event is ``marked`` [T]."""
    found = np.zeros(len(tracks.counts), dtype=bool)
    found[tracks.event[marked]] = True
    return found


def count_momentum_windows(stage: Stage, masks: Masks, cutset: Cutset, windows: Mapping[str, str]) -> dict[str, int]:
    """Return momentum window → number of events with a track that passes the stage and is in the window.

    Inclusive are all events of the stage. Before any cut, only electron fits count in a window.
    """
    tracks = masks.chunk.tracks
    objects = stage.objects if stage.name != "All" else tracks.electron
    found = {INCLUSIVE: int(np.count_nonzero(stage.events))}
    for window, cut in windows.items():
        found[window] = int(np.count_nonzero(any_track(objects & masks(cut, cutset), tracks)))
    return found


def before_coincidence_times(manager: CutManager, found: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return Select and Unvetoed without the cuts on coincidence times.

    Acceptance, veto efficiency and deadtime are to be quoted on these: an event that a coincidence at a wrong time
    rejects is lost to both.
    """
    stages_after = [stage for stage in found if stage.name in ("Select", "Unvetoed")]
    asked = {stage.name: tuple(name for name in stage.cuts if BY_NAME[name].group != CRV) for stage in stages_after}
    return tuple(Stage(name, cuts, manager.objects(cuts), manager.events(cuts)) for name, cuts in asked.items())


def scan_threshold(
    name: str, values: Sequence[float], masks: Masks, manager: CutManager, cutset: Cutset, select: Stage
) -> dict[str, dict[str, int]]:
    """Return threshold → events selected, and unvetoed, if the threshold ``name`` were that.

    Everything else is as in the stage Select; the cut of the threshold itself is asked even where it is not active,
    and so is its other limit.
    """
    cut = next(cut for cut in masks.cuts if name in cut.thresholds)
    others = tuple(one for one in select.cuts if one != cut.name)
    veto = manager.is_active(VETO_CUT)
    if cut.name == VETO_CUT:
        n_selected = int(np.count_nonzero(select.events))
        vetoed = scan(_nearest_veto(name, masks.chunk, cutset, select.events), values, COMPARED_DT[name])
        return {key: {"Select": n_selected, "Unvetoed": n_selected - n} for key, n in vetoed.items()}
    direction, value_of = COMPARISONS[name]
    chunk = masks.chunk
    passing = manager.objects(others)
    for other in cut.thresholds:
        if other != name:
            limit, of = COMPARISONS[other]
            passing = passing & compared(of(chunk), limit, cutset.thresholds[other])
    values_of = value_of(chunk)
    if cut.level == "event":
        best = np.where(manager.events(others), values_of, np.nan)
    else:
        best = best_of_objects(values_of, passing, chunk.tracks.event, len(chunk.tracks.counts), direction)
    found = {key: {"Select": n} for key, n in scan(best, values, direction).items()}
    if veto:
        unvetoed = np.where(masks(VETO_CUT, cutset), best, np.nan)
        for key, n in scan(unvetoed, values, direction).items():
            found[key]["Unvetoed"] = n
    return found


#: A dT vetoes where it is above the lower end of the window, and below the upper end.
COMPARED_DT: Mapping[str, Direction] = {"lo_veto_dt_ns": ">", "hi_veto_dt_ns": "<"}


def _nearest_veto(name: str, chunk: Chunk, cutset: Cutset, selected: Mask) -> np.ndarray:
    """Return ``[E]`` the dT of an event that vetoes the longest while one end of the window moves; NaN without."""
    other = next(key for key in COMPARED_DT if key != name)
    pairs = chunk.pairs
    inside = compared(pairs.dt, ">" if other == "lo_veto_dt_ns" else "<", cutset.thresholds[other])
    direction = COMPARED_DT[name]
    return best_of_objects(pairs.dt, inside & selected[pairs.event], pairs.event, pairs.n_events, direction)
