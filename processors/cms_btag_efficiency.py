"""How often simulation tags jets as b, in bins of flavour, |η| and pt: what the weights of b tagging need.

The order is correct → select objects → select events → weigh → fill, before any cut on b tagging. Take the selection of
jets and leptons of your own analysis. ``python main.py btag-efficiency`` makes the correction file of the result.
Regions are ``<flavour>_<|η| bin>_<all or working point>``, of jets, not of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..corrections import btagging
from ..corrections.btag_efficiency import ETA_EDGES, FLAVOURS, PT_EDGES
from ..corrections.systematics import NOMINAL
from ..errors import UserError
from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..selections import electrons, jets, muons
from ..selections.cut_manager import CutManager
from ..selections.electrons import ElectronSelection, good_electrons
from ..selections.jets import JetSelection, away_from, good_jets
from ..selections.muons import MuonSelection, good_muons
from . import base, cms_events
from .cms_analysis import CmsAnalysis, CmsParameters
from .cms_events import event_cuts
from .cms_factors import EventFactors
from .cms_objects import CorrectedObjects
from .cms_requirements import Reads, requirements
from .cms_weights import Counters
from .requirements import Requirement

HISTOGRAM = "jet_pt"
HISTOGRAMS = (Histogram(name=HISTOGRAM, label="jet $p_T$", unit="GeV", edges=PT_EDGES),)
#: The denominator of all working points.
ALL = "all"


def region(flavour: str, eta: int, tag: str) -> str:
    """Return the region of jets of ``flavour`` in a bin of |η|; ``tag`` is ``all`` or a key such as ``deepJet_M``."""
    return f"{flavour}_eta{eta}_{tag}"


class BTagEfficiencyParameters(CmsParameters):
    """Thresholds; momenta in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(min_pt=26.0, max_dxy=0.2, max_dz=0.5)
    electron: ElectronSelection = ElectronSelection(min_pt=35.0, identification="tight")
    jet: JetSelection = JetSelection()
    min_leptons: int = 1
    min_jets: int = 2
    corrections: tuple[str, ...] = (
        *("pileup", "prefiring", "top_pt", "muon_momentum", "electron_energy", "jet_energy", "jet_id", "jet_veto"),
        "btag",
    )


class BTagEfficiency(CmsAnalysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = BTagEfficiencyParameters
    parameters: BTagEfficiencyParameters
    histograms = HISTOGRAMS
    cuts = ("met_filters", "leptons", "jet_veto", "jets")

    def __init__(
        self, parameters: BTagEfficiencyParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        tags = [ALL]
        for era in self.eras.values():
            if "btag" not in era.corrections:
                raise UserError(
                    f"There are no working points of b tagging in era {era.era or '(none)'}: it has no correction "
                    "'btag'. Keep it in the parameter 'corrections', and name an era that has it."
                )
            record = era.corrections["btag"]
            tags += [f"{btagging.tagger(record)}_{point}" for point in btagging.thresholds(record)]
        self.regions = tuple(
            region(flavour, eta, tag)
            for flavour in FLAVOURS
            for eta in range(len(ETA_EDGES) - 1)
            for tag in dict.fromkeys(tags)
        )

    @classmethod
    def corrections(cls, parameters: BTagEfficiencyParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        return cls.with_file(dict.fromkeys(parameters.corrections))

    def variations(self, era: base.EraInputs) -> tuple[str, ...]:  # noqa: ARG002 (an efficiency has none)
        """See :meth:`base.Analysis.variations`."""
        return (NOMINAL,)

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        others = {"b tagging": btagging.branches(era.corrections["btag"])} if "btag" in era.corrections else {}
        reads = Reads(
            met_filters=chosen.met_filters,
            muon=chosen.muon,
            electron=chosen.electron,
            jet=chosen.jet,
            others=others,
            corrections=self.applied_in(era),
        )
        return requirements(kind, era, reads)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen = self.parameters
        before = self.in_words(lambda era: cms_events.described(era, triggers=(), met_filters=chosen.met_filters))
        cuts = {
            **before,
            "leptons": f"at least {chosen.min_leptons} muons with {muons.described(chosen.muon)}, or electrons with "
            f"{electrons.described(chosen.electron)}",
            "jet_veto": "no jet in a vetoed region of the detector",
            "jets": f"at least {chosen.min_jets} jets with {jets.described(chosen.jet)}",
        }
        return self.recipe_of(cuts, {name: dict.fromkeys(self.cuts, True) for name in self.regions})

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of simulation.

        Raises:
            UserError: the chunk is data, whose jets have no flavour.
        """
        if base.is_data(events):
            raise UserError(
                f"The dataset {events.metadata['dataset']} is data, whose jets have no flavour: b-tagging efficiencies "
                "are those of simulation. Leave it out of --datasets."
            )
        era, counters = self.era_inputs(events), dict[str, Any]()
        generator = base.generator_weight(events)
        corrected = CorrectedObjects(events, era, self.applied_in(era), (), counters)
        factors = EventFactors(events, era, self.applied_in(era), frozenset(), counters)
        filler = Filler(HISTOGRAMS, events.metadata["dataset"], regions=self.regions, variations=(NOMINAL,))
        good, n_leptons = self.select_jets(corrected)
        n_jets = _count(corrected.jets.event, good, len(events))
        cuts = self.select(events, era, n_leptons, n_jets, corrected, counters)
        rows = np.flatnonzero(cuts.events(self.cuts))
        weight = np.zeros(len(events))
        weight[rows] = factors.weights(rows, generator, {}, nominal=True).nominal()
        kept = good & cuts.events(self.cuts)[corrected.jets.event]
        self.fill(filler, era, corrected, kept, weight)
        flow = cuts.flow(generator, self.cuts)
        flow["corrections"] = base.yield_row(weight[rows])
        sums = factors.sums(generator)
        return base.result(events, {**sums, "cutflow": flow, "hists": filler.histograms, "counters": counters})

    def select_jets(self, corrected: CorrectedObjects) -> tuple[np.ndarray, np.ndarray]:
        """Return ``[jets]`` the good ones, away from good leptons, and ``[events]`` the number of these leptons."""
        chosen = self.parameters
        n_events = len(corrected.jets.counts)
        leptons = (
            (corrected.muons, good_muons(corrected.muons, chosen.muon, pt=corrected.muon_pt(NOMINAL))),
            (corrected.electrons, good_electrons(corrected.electrons, chosen.electron, corrected.electron_pt(NOMINAL))),
        )
        away = np.ones(len(corrected.jets), dtype=bool)
        if chosen.jet.min_delta_r is not None:
            for collection, good in leptons:
                away &= away_from(corrected.jets, collection, chosen.jet.min_delta_r, good=good)
        identified = corrected.identified_jets(chosen.jet.identification)
        mask = good_jets(
            corrected.jets, chosen.jet, pt=corrected.jet_pt(NOMINAL), identified=identified, away_from=away
        )
        return mask, sum((_count(one.event, good, n_events) for one, good in leptons), np.zeros(n_events, int))

    def select(
        self,
        events: Any,
        era: base.EraInputs,
        n_leptons: np.ndarray,
        n_jets: np.ndarray,
        corrected: CorrectedObjects,
        counters: Counters,
    ) -> CutManager:
        """Return all cuts, ``[events]`` each."""
        passed = event_cuts(events, era, counters, paths=(), met_filters=self.parameters.met_filters)
        selection = CutManager(len(events))
        selection.add("met_filters", passed["met_filters"])
        selection.add("leptons", n_leptons >= self.parameters.min_leptons)
        selection.add("jet_veto", ~corrected.vetoed_events(NOMINAL))
        selection.add("jets", n_jets >= self.parameters.min_jets)
        return selection

    def fill(
        self, filler: Filler, era: base.EraInputs, corrected: CorrectedObjects, kept: np.ndarray, weight: np.ndarray
    ) -> None:
        """Fill the pt of the jets ``kept``, each with the weight of its event, in every region."""
        record, collection = era.corrections["btag"], corrected.jets
        pt, abseta = corrected.jet_pt(NOMINAL)[kept], np.abs(collection["eta"][kept])
        of_jet = weight[collection.event[kept]]
        flavour, eta = collection["hadronFlavour"][kept], np.digitize(abseta, ETA_EDGES) - 1
        for tag, mask in _tags(record, collection[btagging.discriminant(record)][kept]):
            for name, number in FLAVOURS.items():
                for place in range(len(ETA_EDGES) - 1):
                    here = mask & (flavour == number) & (eta == place)
                    filler.fill(
                        {HISTOGRAM: pt[here]}, region=region(name, place, tag), variation=NOMINAL, weight=of_jet[here]
                    )


def _tags(record: Any, discriminant: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    """Yield ``all`` and the working points, with the jets that pass them."""
    yield ALL, np.ones(len(discriminant), dtype=bool)
    for point, threshold in btagging.thresholds(record).items():
        yield f"{btagging.tagger(record)}_{point}", discriminant > threshold


def _count(event: np.ndarray, mask: np.ndarray, n_events: int) -> np.ndarray:
    """Return ``[events]`` the number of objects that pass ``mask``."""
    return np.bincount(event[mask], minlength=n_events)
