"""Cosmic background and CRV veto of Mu2e: which cosmic rays look like a conversion electron, and which are vetoed.

The order is reduce → cuts → stages → count → fill → columns. Tracks and coincidences are reduced to one number per
quantity once; each cutset is then comparisons, and events are counted by masks.

The result has ``counters["mu2e"][cutset]`` with ``cutflow``, ``stages`` (stage → momentum window → events),
``before_coincidence_times`` (Select and Unvetoed without the cuts on coincidence times, in each window: the common
denominator), ``scans``, ``dt_windows`` with ``dt_events``, and ``blinded``. Regions are ``<cutset>/<stage>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..outputs.columns import table
from ..selections import veto_model
from ..selections.cut_manager import CutManager
from ..selections.cutsets import Cutset
from ..selections.mu2e_arrays import Mask
from ..selections.mu2e_crv import Coincidences, TimeDifferences, count_windows, time_differences, within_times
from ..selections.mu2e_cuts import VETO_CUT, WINDOWS, Chunk
from ..selections.mu2e_tracks import Tracks, reduce_tracks
from . import base
from .mu2e_coincidences import coincidence_rows
from .mu2e_columns import event_rows, in_order
from .mu2e_histograms import HISTOGRAMS, StageFiller
from .mu2e_parameters import CosmicParameters, check_defined
from .mu2e_recipe import cut_sentences, region_cuts
from .mu2e_requirements import coincidence_requirements, cut_requirements, histogram_requirements
from .mu2e_stages import (
    STAGES,
    Masks,
    Stage,
    any_track,
    before_coincidence_times,
    count_momentum_windows,
    scan_threshold,
    stages,
)


class CosmicBackground(base.Analysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = CosmicParameters
    schema = "eventntuple"
    parameters: CosmicParameters
    histograms = HISTOGRAMS

    def __init__(
        self, parameters: CosmicParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        self.cutsets = self.parameters.resolved()
        #: Every cutset has every stage, so that the axes do not depend on what was found.
        self.regions = tuple(f"{cutset.name}/{stage}" for cutset in self.cutsets for stage in self._stage_names(cutset))

    @classmethod
    def corrections(cls, parameters: CosmicParameters) -> Mapping[str, str | None]:  # noqa: ARG003 (none exist)
        """See :meth:`base.Analysis.corrections`."""
        return {}

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Any, ...]:  # noqa: ARG002 (no eras)
        """See :meth:`base.Analysis.requirements`."""
        of_model = coincidence_requirements()[:1] if self.parameters.veto_model else ()
        return (*cut_requirements(self.parameters, kind), *histogram_requirements(kind), *of_model)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        return base.Recipe(
            cuts=cut_sentences(self.parameters, self.cutsets), regions=region_cuts(self.parameters, self.cutsets)
        )

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        n_events = len(events)
        on_spill = self.parameters.on_spill(events.metadata)
        events, tracks = self.reduce(events)
        coincidences = Coincidences(events.crv)
        pairs = time_differences(tracks, coincidences)
        filler = StageFiller(events.metadata["dataset"], self.regions)
        of_cutsets: dict[str, dict[str, Any]] = {}
        rows: list[dict[str, Any]] = []
        shared: dict[object, Masks] = {}

        for cutset in self.cutsets:
            masks = self.masks(shared, cutset, tracks, coincidences, pairs, on_spill)
            check_defined((cutset,), masks.cuts, is_data=base.is_data(events), on_spill=on_spill)
            manager = masks.manager(cutset)
            found = stages(manager, veto_in_preselect=self.parameters.legacy_veto_in_preselect)
            of_cutsets[cutset.name] = {
                **self.count(cutset, masks, manager, found),
                "blinded": n_events - len(events),
            }
            self.fill(filler, cutset, masks, found)
            rows += self.rows(events, cutset, masks, found)

        result = {
            "sumw": float(n_events),
            "cutflow": of_cutsets[self.cutsets[0].name]["cutflow"],
            "hists": filler.histograms,
            "counters": {"mu2e": of_cutsets},
        }
        if rows:
            result["columns"] = table(**in_order(rows))
        return base.result(events, {**result, "events": n_events})

    def reduce(self, events: Any) -> tuple[Any, Tracks]:
        """Return the events that may be looked at, and their tracks."""
        fit = self.parameters.fit or "pars"
        is_mc = not base.is_data(events)
        tracks = reduce_tracks(events, fit, truth=is_mc)
        if self.parameters.blind_window is not None:
            low, high = self.parameters.blind_window
            p = tracks.front.values["p"]
            blind = np.zeros(len(tracks), dtype=bool)
            blind[tracks.front.track[(p > low) & (p < high)]] = True
            seen = ~any_track(blind & tracks.electron, tracks)
            if not seen.all():
                events = events[seen]
                tracks = reduce_tracks(events, fit, truth=is_mc)
        return events, tracks

    def masks(
        self,
        shared: dict[object, Masks],
        cutset: Cutset,
        tracks: Tracks,
        coincidences: Coincidences,
        pairs: TimeDifferences,
        on_spill: bool,
    ) -> Masks:
        """Return the masks of a cutset; cutsets that let the same coincidences veto share them."""
        chosen = self.parameters
        limits = (cutset.thresholds["lo_crv_start_ns"], cutset.thresholds["hi_crv_end_ns"])
        key = limits if chosen.coincidence_time == "filter" else None
        if key not in shared:
            kept = pairs if key is None else pairs.take(within_times(coincidences, *limits)[pairs.coincidence])
            vetoed = self.vetoed_by_model(tracks, coincidences, kept)
            shared[key] = Masks(Chunk(tracks, coincidences, kept, chosen.legacy_vacuous, vetoed), on_spill=on_spill)
        return shared[key]

    def vetoed_by_model(self, tracks: Tracks, coincidences: Coincidences, pairs: TimeDifferences) -> Mask | None:
        """Return ``[E]`` whether the highest score of an event's coincidences reaches the threshold.

        None without a model. An event without coincidence is not vetoed.
        """
        model = self.parameters.veto_model
        if model is None:
            return None
        event, coincidence, columns = coincidence_rows(tracks, coincidences, pairs, tracks.electron)
        there = coincidence >= 0
        scores = veto_model.score(model.path, {name: one[there] for name, one in columns.items()}, model.sha256)
        vetoed = np.zeros(len(tracks.counts), dtype=bool)
        vetoed[event[there][model.vetoes(scores)]] = True
        return vetoed

    def count(self, cutset: Cutset, masks: Masks, manager: CutManager, found: tuple[Stage, ...]) -> dict[str, Any]:
        """Return what is counted for a cutset."""
        windows = self.parameters.visible_windows(cutset)
        of_stage = {stage.name: stage for stage in found}
        select = of_stage["Select"]
        counted = {
            "cutflow": manager.flow(),
            "stages": {stage.name: count_momentum_windows(stage, masks, cutset, windows) for stage in found},
            "before_coincidence_times": {
                stage.name: count_momentum_windows(stage, masks, cutset, windows)
                for stage in before_coincidence_times(manager, found)
            },
            "dt_events": int(np.count_nonzero(select.events)),
            "dt_windows": count_windows(masks.chunk.pairs, select.events, self.parameters.dt_windows),
        }
        names = [name for name in self.parameters.scans if any(name in cut.thresholds for cut in masks.cuts)]
        if names:
            counted["scans"] = {
                name: scan_threshold(name, self.parameters.scan_values(name), masks, manager, cutset, select)
                for name in names
            }
        return counted

    def fill(self, filler: StageFiller, cutset: Cutset, masks: Masks, found: tuple[Stage, ...]) -> None:
        """Fill the histograms of every stage."""
        for stage in found:
            asked = tuple(masks.key(name, cutset) for name in stage.cuts)
            limits = tuple(masks.key(cut, cutset) for cut in WINDOWS.values())
            filler.fill(
                f"{cutset.name}/{stage.name}",
                (id(masks), asked, limits),
                masks.chunk,
                stage.objects,
                stage.events,
                cutset.thresholds,
            )

    def rows(self, events: Any, cutset: Cutset, masks: Masks, found: tuple[Stage, ...]) -> list[dict[str, Any]]:
        """Return the columns of the events to keep, in a list, which is empty where none are wanted.

        Survivors are those of the last stage: selected and not vetoed, or selected where the veto is off.
        """
        if self.parameters.columns == "none":
            return []
        stage = found[-1] if self.parameters.columns == "survivors" else found[2]
        return [event_rows(events, stage, masks, cutset, [one.name for one in self.cutsets])]

    @staticmethod
    def _stage_names(cutset: Cutset) -> tuple[str, ...]:
        return STAGES if cutset.active[VETO_CUT] else STAGES[:-1]
