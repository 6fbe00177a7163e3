"""What the analyses of two leptons share: one loop over channels and variations, the cuts of a pair, and the fills."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..corrections.systematics import NOMINAL
from ..errors import UserError
from ..histograms.filler import Filler
from ..selections.cut_manager import CutManager
from ..selections.flat import FlatCollection
from ..selections.pairs import LeadingPair
from . import base
from .cms_analysis import CmsAnalysis, CmsParameters
from .cms_dilepton_histograms import ELECTRON_MUON, SAME_FLAVOUR, observables
from .cms_events import event_cuts
from .cms_factors import EventFactors, Leptons
from .cms_objects import UNCORRECTED, CorrectedObjects
from .cms_weights import Counters, EventWeights

#: The channel of two leptons of one flavour; the other is called as its region.
DILEPTON = "dilepton"
#: What events are selected by: a systematic that moves none of it leaves the selection alone.
SELECTED_BY = ("muons", "electrons")


class DileptonParameters(CmsParameters):
    """Thresholds of a dilepton analysis; momenta and masses in GeV."""

    leading_min_pt: float = 26.0
    mass_window: tuple[float, float] = (60.0, 120.0)
    #: The leading lepton must be a trigger object, so that the trigger scale factor is that of one lepton.
    trigger_match: bool = True
    #: Histograms of the missing momentum.
    missing_momentum: bool = True


class Selected(NamedTuple):
    """The pairs of a channel, the cuts of their events, and the weights of the pairs."""

    pair: LeadingPair
    cuts: CutManager
    weights: EventWeights


class Dilepton(CmsAnalysis):
    """Two leptons; the analyses say which, and what triggered."""

    parameters: DileptonParameters
    #: Name of the cut that asks for the pair.
    two_leptons: str
    #: How to run on files without trigger objects, a sentence.
    unmatched: str

    @property
    def cuts(self) -> tuple[str, ...]:
        """The cuts in order."""
        of_pairs = (self.two_leptons, "leading_pt", "trigger_match", "opposite_sign", "mass_window")
        return ("certified", "met_filters", "trigger", *of_pairs)

    @abstractmethod
    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which one must have fired."""

    @abstractmethod
    def pair(self, channel: str, objects: CorrectedObjects, variation: str) -> LeadingPair:
        """Return the two leading good leptons of the events that have two."""

    @abstractmethod
    def leptons(self, channel: str, objects: CorrectedObjects, pair: LeadingPair) -> Mapping[str, Sequence[Leptons]]:
        """Return the leptons that are weighed, by collection."""

    @abstractmethod
    def match(self, pair: LeadingPair, trigger_objects: FlatCollection) -> np.ndarray:
        """Return ``[pairs]`` whether the leading lepton is what triggered."""

    def region_cuts(self) -> dict[str, dict[str, bool]]:
        """Return region → cuts that an event of it passes, or fails."""
        every = dict.fromkeys(self.cuts, True)
        pair = dict.fromkeys(self.cuts[:-1], True)
        window = {"z": every, "opposite_sign": pair, "same_sign": {**every, "opposite_sign": False}}
        return {**window, "sideband": {**every, "mass_window": False}, ELECTRON_MUON: pair}

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era = self.era_inputs(events)
        generator = base.generator_weight(events)
        counters: Counters = {}
        varied = self.varied(era, base.is_data(events), selected_by=SELECTED_BY)
        objects = CorrectedObjects(events, era, self.applied_in(era), varied.sources, counters)
        factors = EventFactors(events, era, self.applied_in(era), varied.weights, counters)
        filler = Filler(
            self.histograms,
            events.metadata["dataset"],
            regions=self.regions,
            variations=varied.all,
            moves=varied.moves,
        )
        before = event_cuts(events, era, counters, paths=self.triggers(era), met_filters=self.parameters.met_filters)
        trigger_objects = self.trigger_objects(events, era, counters)
        result = factors.sums(generator)

        for channel in self.channels(events, counters):
            nominal: Selected | None = None
            for variation in varied.shapes:
                chosen = nominal
                if chosen is None or variation not in varied.moves:
                    pair = self.pair(channel, objects, variation)
                    cuts = self.select(events, before, pair, trigger_objects)
                    pair = pair.take(cuts.events(self.cuts[:-2])[pair.event])
                    leptons = {} if variation == UNCORRECTED else self.leptons(channel, objects, pair)
                    chosen = Selected(pair, cuts, self.weigh(factors, generator, pair, leptons, variation))
                self.fill(filler, channel, variation, events, objects, chosen, varied.weights)
                nominal = nominal or chosen
            if channel == DILEPTON and nominal is not None:
                result["cutflow"] = self.cut_flow(generator, nominal)
        return base.result(events, {**result, "hists": filler.histograms, "counters": counters})

    def channels(self, events: Any, counters: Counters) -> tuple[str, ...]:
        """Return the channels that can be filled: that of a muon and an electron where the file has electrons."""
        if ELECTRON_MUON not in self.regions:
            return (DILEPTON,)
        if "Electron" in events.fields:
            return (DILEPTON, ELECTRON_MUON)
        counters.setdefault("events_without_branch", Counter())["Electron"] += len(events)
        return (DILEPTON,)

    @property
    def matches_trigger(self) -> bool:
        """Whether the leading lepton is to be matched to the trigger."""
        return self.parameters.trigger_match and self.parameters.triggers != ()

    def trigger_objects(self, events: Any, era: base.EraInputs, counters: Counters) -> FlatCollection | None:
        """Return what the leading lepton is matched to, or None where matching is not asked for or not possible.

        Raises:
            UserError: the file has no trigger objects, but the trigger scale factor needs them.
        """
        if not self.matches_trigger:
            return None
        if "TrigObj" in events.fields:
            return FlatCollection(events.TrigObj)
        if {"muon_trigger", "electron_trigger"} & set(era.corrections):
            raise UserError(
                "The file has no trigger objects (TrigObj), so the leading lepton cannot be matched to the trigger, "
                f"which its scale factor is for. {self.unmatched}"
            )
        counters.setdefault("events_without_branch", Counter())["TrigObj"] += len(events)
        return None

    def select(
        self,
        events: Any,
        before: Mapping[str, np.ndarray],
        pair: LeadingPair,
        trigger_objects: FlatCollection | None,
    ) -> CutManager:
        """Return all cuts, ``[events]`` each; what needs a pair fails without one."""
        everything = np.ones(len(pair), dtype=bool)
        low, high = self.parameters.mass_window
        of_pairs = {
            self.two_leptons: everything,
            "leading_pt": pair.leading_pt > self.parameters.leading_min_pt,
            "trigger_match": everything if trigger_objects is None else self.match(pair, trigger_objects),
            "opposite_sign": pair.charge == 0,
            "mass_window": (pair.mass > low) & (pair.mass < high),
        }
        selection = CutManager(len(events))
        for name, mask in before.items():
            selection.add(name, mask)
        for name, mask in of_pairs.items():
            of_events = np.zeros(len(events), dtype=bool)
            of_events[pair.event] = mask
            selection.add(name, of_events)
        return selection

    def weigh(
        self,
        factors: EventFactors,
        generator: np.ndarray,
        pair: LeadingPair,
        leptons: Mapping[str, Sequence[Leptons]],
        variation: str,
    ) -> EventWeights:
        """Return the weights of the events with a pair."""
        if variation == UNCORRECTED:
            return EventWeights(generator[pair.event])
        return factors.weights(pair.event, generator, leptons, nominal=variation == NOMINAL)

    def fill(
        self,
        filler: Filler,
        channel: str,
        variation: str,
        events: Any,
        objects: CorrectedObjects,
        chosen: Selected,
        weight_variations: Collection[str],
    ) -> None:
        """Fill the histograms of every region of the channel; with the nominal objects, under each variation of the
        weight, too.
        """
        pair, cuts, weights = chosen
        npvs = np.asarray(events.PV.npvs)
        met = objects.missing_momentum(variation) if self.parameters.missing_momentum else None
        nominal = weights.nominal()
        region_cuts = self.region_cuts()
        entries = []
        for region in SAME_FLAVOUR if channel == DILEPTON else (ELECTRON_MUON,):
            kept = cuts.require(**region_cuts[region])[pair.event]
            seen = observables(pair, npvs, met, kept)
            filler.fill(seen, region=region, variation=variation, weight=nominal[kept])
            if variation == NOMINAL and weight_variations:
                entries.append((kept, filler.entries(seen, region=region)))
        if entries:
            for name, weight in weights.variations(weight_variations):
                for kept, places in entries:
                    places.fill(name, weight[kept])

    def cut_flow(self, generator: np.ndarray, nominal: Selected) -> dict[str, Any]:
        """Return the cut flow of the nominal pairs of one flavour, and what the corrections make of its last row."""
        flow: dict[str, Any] = nominal.cuts.flow(generator, self.cuts)
        kept = nominal.cuts.events(self.cuts)[nominal.pair.event]
        flow["corrections"] = base.yield_row(nominal.weights.nominal()[kept])
        return flow
