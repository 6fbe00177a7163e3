"""One lepton, jets and missing momentum in CMS NanoAOD: a sample of top pairs, with and without a b tag.

The order is correct → select objects → select events → weigh → fill, under each variation. Regions are those of a muon
and of an electron, each with a b-tagged jet (top pairs) and without (W and jets).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..corrections import btagging
from ..corrections.systematics import NOMINAL
from ..errors import UserError
from ..histograms.filler import Filler
from ..selections import electrons, jets, muons
from ..selections.cut_manager import CutManager
from ..selections.electrons import ElectronSelection, good_electrons
from ..selections.flat import FlatCollection
from ..selections.jets import JetSelection, away_from, good_jets
from ..selections.muons import MuonSelection, good_muons
from ..selections.triggers import MAX_DELTA_R, flat_matched
from . import base, cms_events
from .cms_analysis import CmsAnalysis, CmsParameters, Varied
from .cms_dielectron import ELECTRON, SINGLE_ELECTRON
from .cms_dielectron import TRIGGERS as ELECTRON_TRIGGERS
from .cms_dimuon import TRIGGERS as MUON_TRIGGERS
from .cms_events import event_cuts
from .cms_factors import EventFactors, Leptons
from .cms_leptons_jets_histograms import HISTOGRAMS, observables
from .cms_objects import UNCORRECTED, CorrectedObjects
from .cms_requirements import Reads, requirements
from .cms_weights import Counters, EventWeights
from .requirements import Requirement

CHANNELS = ("muon", "electron")
REGIONS = tuple(f"{channel}_{tag}" for channel in CHANNELS for tag in ("tagged", "untagged"))
SELECTED_BY = ("muons", "electrons", "jets")
#: Generator-level flavour of jets that can be weighed for b tagging: within the tracker.
MAX_TAGGED_ETA = 2.5


class LeptonsJetsParameters(CmsParameters):
    """Thresholds; momenta in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(min_pt=26.0, max_dxy=0.2, max_dz=0.5)
    electron: ElectronSelection = ElectronSelection(min_pt=35.0, identification="tight")
    #: Any other of these vetoes the event.
    loose_muon: MuonSelection = MuonSelection(min_pt=10.0, identification="loose", isolation="loose")
    loose_electron: ElectronSelection = ElectronSelection(min_pt=15.0, identification="veto")
    jet: JetSelection = JetSelection()
    min_jets: int = 4
    min_tags: int = 1
    trigger_match: bool = True
    #: Data whose name begins so are of that channel alone: an event that fired both triggers is in both datasets.
    primary_datasets: Mapping[str, tuple[str, ...]] = {
        "muon": ("SingleMuon", "Muon", "DoubleMuon"),
        "electron": ("SingleElectron", "EGamma"),
    }
    corrections: tuple[str, ...] = (
        *("pileup", "prefiring", "top_pt", "muon_reco", "muon_id", "muon_iso", "muon_trigger", "muon_momentum"),
        *("electron_reco", "electron_id", "electron_trigger", "electron_energy", "jet_energy", "jet_id", "jet_veto"),
        *("btag", "btag_efficiency", "met", "met_xy", "parton_shower", "qcd_scale", "pdf"),
    )


class Objects(NamedTuple):
    """The selected objects of a chunk under one variation; masks are flat, counts are ``[events]``."""

    good: Mapping[str, np.ndarray]
    n_good: Mapping[str, np.ndarray]
    n_loose: Mapping[str, np.ndarray]
    jets: np.ndarray
    n_jets: np.ndarray
    n_tags: np.ndarray
    vetoed: np.ndarray


#: Of a channel: its cuts, the weights of the selected events, the objects, and the positions of these events.
Chosen = tuple[CutManager, EventWeights, Objects, np.ndarray]


class LeptonsJets(CmsAnalysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = LeptonsJetsParameters
    parameters: LeptonsJetsParameters
    histograms = HISTOGRAMS
    regions = REGIONS
    cuts = (
        "certified",
        "met_filters",
        "trigger",
        "one_lepton",
        "trigger_match",
        "lepton_veto",
        "jet_veto",
        "jets",
        "tag",
    )

    @classmethod
    def corrections(cls, parameters: LeptonsJetsParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        muon = parameters.muon
        points = {
            "muon_id": muon.identification,
            "muon_iso": muon.isolation if muon.identification == "tight" else f"{muon.isolation}_{muon.identification}",
            "muon_trigger": muon.identification,
            "electron_id": parameters.electron.identification,
            "electron_trigger": parameters.electron.identification,
        }
        return cls.with_file({name: points.get(name) for name in parameters.corrections})

    def __init__(
        self, parameters: LeptonsJetsParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        for era in self.eras.values():
            if "btag" not in era.corrections:
                raise UserError(
                    f"The jets of era {era.era or '(none)'} cannot be tagged: there is no correction 'btag', whose "
                    "file has the working point. Keep it in the parameter 'corrections', and name an era that has it."
                )

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        reads = Reads(
            paths=tuple(path for channel in CHANNELS for path in self.triggers(channel, era)),
            paths_are_known=chosen.triggers is not None,
            met_filters=chosen.met_filters,
            muon=chosen.muon,
            loose_muon=chosen.loose_muon,
            electron=chosen.electron,
            loose_electron=chosen.loose_electron,
            jet=chosen.jet,
            trigger_objects=chosen.trigger_match,
            missing_momentum=True,
            others={"b tagging": btagging.branches(era.corrections["btag"])[3:]} if "btag" in era.corrections else {},
            corrections=self.applied_in(era),
            systematics=self.systematics(era),
        )
        return requirements(kind, era, reads)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen = self.parameters
        before = self.in_words(
            lambda era: cms_events.described(
                era,
                triggers=[*self.triggers("muon", era), *self.triggers("electron", era)],
                met_filters=chosen.met_filters,
            )
        )
        cuts = {
            **before,
            "one_lepton": f"one muon with {muons.described(chosen.muon)}, or one electron with "
            f"{electrons.described(chosen.electron)}",
            "trigger_match": f"the lepton within ΔR < {MAX_DELTA_R:g} of what triggered"
            if chosen.trigger_match
            else "off",
            "lepton_veto": "no other muon or electron with looser cuts",
            "jet_veto": "no jet in a vetoed region of the detector",
            "jets": f"at least {chosen.min_jets} jets with {jets.described(chosen.jet)}",
            "tag": f"at least {chosen.min_tags} of them b-tagged",
        }
        return self.recipe_of(cuts, self.region_cuts())

    def region_cuts(self) -> dict[str, dict[str, bool]]:
        """Return region → cuts that an event of it passes, or fails."""
        every = dict.fromkeys(self.cuts, True)
        return {region: {**every, "tag": region.endswith("_tagged")} for region in REGIONS}

    def triggers(self, channel: str, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which one must have fired in a channel."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        return era.triggers.get(f"single_{channel}", MUON_TRIGGERS if channel == "muon" else ELECTRON_TRIGGERS)

    def channels(self, events: Any) -> tuple[str, ...]:
        """Return the channels that the dataset may fill: data of a primary dataset of one channel are of that alone."""
        name = events.metadata["dataset"]
        of = [
            channel
            for channel, prefixes in self.parameters.primary_datasets.items()
            if base.is_data(events) and name.startswith(prefixes)
        ]
        return tuple(of) or CHANNELS

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era = self.era_inputs(events)
        generator = base.generator_weight(events)
        counters: Counters = {}
        varied = self.varied(era, base.is_data(events), selected_by=SELECTED_BY)
        corrected = CorrectedObjects(events, era, self.applied_in(era), varied.sources, counters)
        factors = EventFactors(events, era, self.applied_in(era), varied.weights, counters)
        filler = Filler(
            HISTOGRAMS, events.metadata["dataset"], regions=REGIONS, variations=varied.all, moves=varied.moves
        )
        result = factors.sums(generator)
        before = {
            channel: event_cuts(
                events, era, counters, paths=self.triggers(channel, era), met_filters=self.parameters.met_filters
            )
            for channel in self.channels(events)
        }
        chosen: dict[str, Chosen] = {}
        for variation in varied.shapes:
            if variation not in varied.moves:
                objects = self.select_objects(events, era, corrected, variation)
            for channel, passed in before.items():
                if variation not in varied.moves:
                    cuts = self.select(channel, events, passed, objects, corrected)
                    rows = np.flatnonzero(cuts.events(self.cuts[:-1]))
                    weights = self.weigh(channel, era, factors, generator, rows, objects, corrected, variation)
                    now = cuts, weights, objects, rows
                else:
                    now = chosen[channel]
                self.fill(filler, channel, variation, corrected, now, varied)
                if variation == NOMINAL:
                    chosen[channel] = now
        result["cutflow"] = self.cut_flow(generator, chosen)
        return base.result(events, {**result, "hists": filler.histograms, "counters": counters})

    def select_objects(self, events: Any, era: base.EraInputs, corrected: CorrectedObjects, variation: str) -> Objects:
        """Return the good and loose leptons, and the good jets away from the good leptons."""
        chosen = self.parameters
        good = {
            "muon": good_muons(corrected.muons, chosen.muon, pt=corrected.muon_pt(variation)),
            "electron": good_electrons(corrected.electrons, chosen.electron, pt=corrected.electron_pt(variation)),
        }
        loose = {
            "muon": good_muons(corrected.muons, chosen.loose_muon, pt=corrected.muon_pt(variation)),
            "electron": good_electrons(corrected.electrons, chosen.loose_electron, pt=corrected.electron_pt(variation)),
        }
        of = {"muon": corrected.muons, "electron": corrected.electrons}
        jet_pt = corrected.jet_pt(variation)
        away = None
        if chosen.jet.min_delta_r is not None:
            away = away_from(corrected.jets, corrected.muons, chosen.jet.min_delta_r, good=good["muon"])
            away = away & away_from(corrected.jets, corrected.electrons, chosen.jet.min_delta_r, good=good["electron"])
        identified = corrected.identified_jets(chosen.jet.identification)
        mask = good_jets(corrected.jets, chosen.jet, pt=jet_pt, identified=identified, away_from=away)
        tagged = mask & btagging.tagged(era.corrections["btag"], corrected.jets)
        n_events = len(events)
        return Objects(
            good=good,
            n_good={name: _count(of[name], mask, n_events) for name, mask in good.items()},
            n_loose={name: _count(of[name], mask, n_events) for name, mask in loose.items()},
            jets=mask,
            n_jets=_count(corrected.jets, mask, n_events),
            n_tags=_count(corrected.jets, tagged, n_events),
            vetoed=corrected.vetoed_events(variation),
        )

    def select(
        self,
        channel: str,
        events: Any,
        passed: Mapping[str, np.ndarray],
        objects: Objects,
        corrected: CorrectedObjects,
    ) -> CutManager:
        """Return all cuts of a channel, ``[events]`` each."""
        other = "electron" if channel == "muon" else "muon"
        one = (objects.n_good[channel] == 1) & (objects.n_good[other] == 0)
        selection = CutManager(len(events))
        for name, mask in passed.items():
            selection.add(name, mask)
        selection.add("one_lepton", one)
        selection.add("trigger_match", self.matched(channel, events, objects, corrected))
        # The good lepton is loose, too.
        selection.add("lepton_veto", (objects.n_loose[channel] <= 1) & (objects.n_loose[other] == 0))
        selection.add("jet_veto", ~objects.vetoed)
        selection.add("jets", objects.n_jets >= self.parameters.min_jets)
        selection.add("tag", objects.n_tags >= self.parameters.min_tags)
        return selection

    def matched(self, channel: str, events: Any, objects: Objects, corrected: CorrectedObjects) -> np.ndarray:
        """Return ``[events]`` whether a good lepton of the channel is what triggered; True where that is not asked."""
        if not self.parameters.trigger_match or self.parameters.triggers == ():
            return np.ones(len(events), dtype=bool)
        leptons = corrected.muons if channel == "muon" else corrected.electrons
        place = np.flatnonzero(objects.good[channel])
        kinds = {} if channel == "muon" else {"filter_bits": SINGLE_ELECTRON, "pdg_id": ELECTRON}
        found = flat_matched(
            leptons.event[place], leptons["eta"][place], leptons["phi"][place], corrected.trigger_objects, **kinds
        )
        return np.bincount(leptons.event[place][found], minlength=len(events)) > 0

    def weigh(
        self,
        channel: str,
        era: base.EraInputs,
        factors: EventFactors,
        generator: np.ndarray,
        rows: np.ndarray,
        objects: Objects,
        corrected: CorrectedObjects,
        variation: str,
    ) -> EventWeights:
        """Return the weights of the events at ``rows``, each with one good lepton of the channel."""
        if variation == UNCORRECTED:
            return EventWeights(generator[rows])
        lepton = {f"{channel}s": (_lepton(channel, objects, corrected, rows, variation),)}
        weights = factors.weights(rows, generator, lepton, nominal=variation == NOMINAL)
        if factors.simulation and {"btag", "btag_efficiency"} <= era.corrections.keys():
            record = era.corrections["btag"]
            in_rows = np.full(len(generator), -1)
            in_rows[rows] = np.arange(len(rows))
            event = in_rows[corrected.jets.event]
            kept = objects.jets & (event >= 0) & (np.abs(corrected.jets["eta"]) < MAX_TAGGED_ETA)
            columns = {
                name: corrected.jets[name][kept] for name in ("eta", "hadronFlavour", btagging.discriminant(record))
            }
            pt = corrected.jet_pt(variation)[kept]
            selected = btagging.selected(record, columns, pt=pt, event=event[kept], n_events=len(rows))
            factor = btagging.fixed_point_weight(record, era.corrections["btag_efficiency"], selected)
            factors.add(weights, "btag", factor, nominal=variation == NOMINAL)
        return weights

    def cut_flow(self, generator: np.ndarray, chosen: Mapping[str, Chosen]) -> dict[str, Any]:
        """Return the cut flow of all channels together: a cut is that of the channel whose lepton the event has."""
        managers = [cuts for cuts, *_ in chosen.values()]
        leptons = [cuts.events(("one_lepton",)) for cuts in managers]
        together = CutManager(len(generator))
        for name in self.cuts:
            masks = [cuts.events((name,)) for cuts in managers]
            together.add(name, np.select(leptons, masks, default=np.any(masks, axis=0)))
        flow: dict[str, Any] = together.flow(generator, self.cuts)
        last = [weights.nominal()[cuts.events(self.cuts)[rows]] for cuts, weights, _, rows in chosen.values()]
        flow["corrections"] = base.yield_row(np.concatenate(last))
        return flow

    def fill(
        self,
        filler: Filler,
        channel: str,
        variation: str,
        corrected: CorrectedObjects,
        chosen: Chosen,
        varied: Varied,
    ) -> None:
        """Fill the regions of the channel; with the nominal objects, under each variation of the weight, too."""
        cuts, weights, objects, rows = chosen
        nominal = weights.nominal()
        lepton = _lepton(channel, objects, corrected, rows, variation)
        seen = observables(rows, lepton, objects.jets, objects.n_jets, objects.n_tags, corrected, variation)
        entries = []
        for region, required in self.region_cuts().items():
            if region.startswith(f"{channel}_"):
                kept = cuts.require(**required)[rows]
                here = {name: values[kept] for name, values in seen.items()}
                filler.fill(here, region=region, variation=variation, weight=nominal[kept])
                if variation == NOMINAL and varied.weights:
                    entries.append((kept, filler.entries(here, region=region)))
        for name, weight in weights.variations(varied.weights) if entries else ():
            for kept, places in entries:
                places.fill(name, weight[kept])


def _lepton(channel: str, objects: Objects, corrected: CorrectedObjects, rows: np.ndarray, variation: str) -> Leptons:
    """Return the one good lepton of each of the events at ``rows``; the pseudorapidity of an electron is that of its
    supercluster.
    """
    columns = corrected.muons if channel == "muon" else corrected.electrons
    place = np.flatnonzero(objects.good[channel])
    first = np.full(len(columns.counts), -1)
    first[columns.event[place]] = place
    where = first[rows]
    pt = corrected.muon_pt(variation) if channel == "muon" else corrected.electron_pt(variation)
    eta = columns["eta"][where]
    if channel == "electron":
        eta = eta + columns["deltaEtaSC"][where]
    phi = columns["phi"][where]
    return Leptons(pt[where].astype(np.float64), eta.astype(np.float64), phi.astype(np.float64), trigger=True)


def _count(collection: FlatCollection, mask: np.ndarray, n_events: int) -> np.ndarray:
    return np.bincount(collection.event[mask], minlength=n_events)
