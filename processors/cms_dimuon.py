"""Z → μμ in CMS NanoAOD: trigger, two good muons, the mass peak, and control regions.

The order is correct → select objects → select events → weigh → fill, once with all corrections (``nominal``) and
once without (``uncorrected``), so that each result shows what the corrections do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..corrections.muon_momentum import scaled_pt
from ..errors import UserError
from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..selections.branches import branches_of
from ..selections.cut_manager import CutManager
from ..selections.flat import FlatCollection
from ..selections.muons import OTHER_MUONS, MuonSelection, described, good_muons
from ..selections.muons import branches as muon_branches
from ..selections.pairs import COLUMNS as PAIR_COLUMNS
from ..selections.pairs import LeadingPair, leading_pair
from ..selections.triggers import MAX_DELTA_R, flat_matched, object_branches
from . import base, cms_events
from .cms_events import cut_requirements, event_cuts
from .muon_weights import (
    EFFECTS,
    GENERATOR,
    Counters,
    event_weights,
    scale_requirement,
    tally,
    weight_requirements,
)
from .requirements import Need, Requirement

HISTOGRAMS = (
    Histogram(name="mass", label=r"$m_{\mu\mu}$", unit="GeV", bins=60, start=60, stop=120, regions=("z", "same_sign")),
    Histogram(
        name="mass_spectrum",
        label=r"$m_{\mu\mu}$",
        unit="GeV",
        bins=60,
        start=10,
        stop=250,
        regions=("opposite_sign",),
    ),
    Histogram(name="npvs", label="reconstructed vertices", bins=80, start=0, stop=80),
    Histogram(name="pt", label=r"$p_T^{\mu\mu}$", unit="GeV", bins=50, start=0, stop=200),
    Histogram(name="rapidity", label=r"$y_{\mu\mu}$", bins=48, start=-2.4, stop=2.4),
    Histogram(name="leading_pt", label=r"leading muon $p_T$", unit="GeV", bins=62, start=26, stop=150),
    Histogram(name="subleading_pt", label=r"subleading muon $p_T$", unit="GeV", bins=50, start=20, stop=120),
    Histogram(name="eta", label=r"muon $\eta$", bins=48, start=-2.4, stop=2.4),
    Histogram(name="phi", label=r"muon $\phi$", bins=32, start=-np.pi, stop=np.pi),
)
REGIONS = ("z", "opposite_sign", "same_sign")
#: Tried where no era says which triggers were unprescaled; a path that a file lacks has not fired.
TRIGGERS = ("HLT_IsoMu24", "HLT_IsoTkMu24", "HLT_IsoMu27", "HLT_IsoMu20", "HLT_IsoTkMu20")

UNMATCHED = "Leave both out: --set trigger_match=false --set 'corrections=[pileup, muon_id, muon_iso, muon_scale]'."


class DimuonParameters(base.Parameters):
    """Thresholds of the dimuon analysis; momenta and masses in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(max_dxy=0.2, max_dz=0.5)
    leading_min_pt: float = 26.0
    mass_window: tuple[float, float] = (60.0, 120.0)
    #: Paths of which one must have fired; None takes those of the era, an empty list asks for none.
    triggers: tuple[str, ...] | None = None
    #: The leading muon must be a trigger object, so that the trigger scale factor is that of one muon.
    trigger_match: bool = True
    met_filters: bool = True
    #: Corrections to apply where the era has them.
    corrections: tuple[str, ...] = ("pileup", "muon_id", "muon_iso", "muon_trigger", "muon_scale")


class Dimuon(base.Analysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = DimuonParameters
    schema = "nanoaod"
    parameters: DimuonParameters
    histograms = HISTOGRAMS
    regions = REGIONS
    cuts = (
        "certified",
        "met_filters",
        "trigger",
        "two_muons",
        "leading_pt",
        "trigger_match",
        "opposite_sign",
        "mass_window",
    )

    def __init__(
        self, parameters: DimuonParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        for era in self.eras.values():
            paths = era.triggers.get("single_muon", ())
            if "muon_trigger" in era.corrections and set(self.triggers(era)) != set(paths):
                raise UserError(
                    f"The trigger scale factor of era {era.era} is that of {', '.join(paths) or 'no known path'}, "
                    f"not of {', '.join(self.triggers(era))}. Leave it out: "
                    f"--set 'corrections=[pileup, muon_id, muon_iso, muon_scale]'."
                )

    @classmethod
    def corrections(cls, parameters: DimuonParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        identification, isolation = parameters.muon.identification, parameters.muon.isolation
        points: dict[str, str | None] = {
            "muon_id": identification,
            # Isolation is measured on identified muons, the trigger on identified and isolated ones.
            "muon_iso": isolation if identification == "tight" else f"{isolation}_{identification}",
            "muon_trigger": identification,
        }
        idle = {
            "muon_id": identification == "none",
            "muon_iso": isolation == "none",
            "muon_trigger": parameters.triggers == (),
        }
        return {name: points.get(name) for name in parameters.corrections if not idle.get(name, False)}

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        named = chosen.triggers is not None or "single_muon" in era.triggers
        found = [
            *cut_requirements(kind, era, paths=self.triggers(era), met_filters=chosen.met_filters, named=named),
            Requirement(component="muon selection", branches=muon_branches(chosen.muon), advice=OTHER_MUONS),
            Requirement(component="muon pair", branches=branches_of("Muon", PAIR_COLUMNS)),
            Requirement(component="histogram npvs", branches=("PV_npvs",)),
        ]
        if self.matches_trigger:
            need: Need = "all" if "muon_trigger" in era.corrections else "together"
            found.append(
                Requirement(component="trigger matching", branches=object_branches(), need=need, advice=UNMATCHED)
            )
        if "muon_scale" in era.corrections:
            found.append(scale_requirement())
        if kind == "mc":
            found += weight_requirements(era.corrections, trigger=True)
        return tuple(found)

    def variations(self, era: base.EraInputs) -> tuple[str, ...]:
        """See :meth:`base.Analysis.variations`."""
        return ("nominal", "uncorrected") if era.corrections else ("nominal",)

    @property
    def region_cuts(self) -> dict[str, dict[str, bool]]:
        """Region → cuts that an event of it passes, or fails."""
        every = dict.fromkeys(self.cuts, True)
        chosen = (every, dict.fromkeys(self.cuts[:-1], True), {**every, "opposite_sign": False})
        return dict(zip(REGIONS, chosen, strict=True))

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen, (low, high) = self.parameters, self.parameters.mass_window
        match = f"leading muon within ΔR < {MAX_DELTA_R:g} of an isolated muon of the trigger"
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "two_muons": f"at least two muons with {described(chosen.muon)}; the two of highest pt are the pair",
            "leading_pt": f"leading muon pt > {chosen.leading_min_pt:g} GeV",
            "trigger_match": match if chosen.trigger_match and chosen.triggers != () else "off",
            "opposite_sign": "the two muons have opposite charge",
            "mass_window": f"{low:g} < m(μμ) < {high:g} GeV",
        }
        applied = self.applied(EFFECTS)
        return base.Recipe(
            cuts={name: cuts[name] for name in self.cuts},
            regions=self.region_cuts,
            corrections={name: EFFECTS[name] for name in (GENERATOR, *applied)},
            variations={"nominal": (GENERATOR, *applied), **({"uncorrected": (GENERATOR,)} if applied else {})},
        )

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era = self.era_inputs(events)
        generator = base.generator_weight(events)
        variations = self.variations(era)
        filler = Filler(HISTOGRAMS, events.metadata["dataset"], regions=REGIONS, variations=variations)
        counters: Counters = {}
        before = event_cuts(events, era, counters, paths=self.triggers(era), met_filters=self.parameters.met_filters)
        muons = FlatCollection(events.Muon)
        trigger_objects = self.trigger_objects(events, era, counters)
        result: dict[str, Any] = {"sumw": float(generator.sum())}

        for variation in variations:
            corrected = variation == "nominal"
            pair = self.muon_pair(events, muons, era, corrected, counters)
            selection = self.select(events, before, pair, trigger_objects)
            pair = pair.take(selection.events(self.cuts[:-2])[pair.event])
            weight = self.weigh(events, era, pair, generator, corrected, counters)
            self.fill(filler, variation, events, pair, selection, weight)
            if corrected:
                result["cutflow"] = selection.flow(generator, self.cuts)
                result["cutflow"]["corrections"] = base.yield_row(weight[selection.events(self.cuts)[pair.event]])

        result["hists"] = filler.histograms
        result["counters"] = counters
        return base.result(events, result)

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which one must have fired."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        return era.triggers.get("single_muon", TRIGGERS)

    @property
    def matches_trigger(self) -> bool:
        """Whether the leading muon is to be matched to the trigger."""
        return self.parameters.trigger_match and self.parameters.triggers != ()

    def muon_pair(
        self, events: Any, muons: FlatCollection, era: base.EraInputs, corrected: bool, counters: Counters
    ) -> LeadingPair:
        """Return the two leading good muons of the events that have two."""
        pt = muons["pt"]
        if corrected and "muon_scale" in era.corrections:
            columns = (muons[name] for name in ("pt", "eta", "phi", "charge"))
            scaled = scaled_pt(era.corrections["muon_scale"], *columns, is_data=base.is_data(events))
            tally(counters, "muon_scale", scaled)
            pt = np.asarray(scaled.values)
        return leading_pair(muons, good_muons(muons, self.parameters.muon, pt=pt), pt=pt)

    def select(
        self,
        events: Any,
        before: Mapping[str, np.ndarray],
        pair: LeadingPair,
        trigger_objects: FlatCollection | None,
    ) -> CutManager:
        """Return all cuts, ``[events]`` each; what needs a pair fails without one."""
        match = np.ones(len(pair), dtype=bool)
        if trigger_objects is not None:
            match = flat_matched(pair.event, pair.leading_eta, pair.leading_phi, trigger_objects)
        low, high = self.parameters.mass_window
        of_pairs = {
            "two_muons": np.ones(len(pair), dtype=bool),
            "leading_pt": pair.leading_pt > self.parameters.leading_min_pt,
            "trigger_match": match,
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

    def trigger_objects(self, events: Any, era: base.EraInputs, counters: Counters) -> FlatCollection | None:
        """Return what the leading muon is matched to, or None where matching is not asked for or not possible.

        Raises:
            UserError: the file has no trigger objects, but the trigger scale factor needs them.
        """
        if not self.matches_trigger:
            return None
        if "TrigObj" in events.fields:
            return FlatCollection(events.TrigObj)
        if "muon_trigger" in era.corrections:
            raise UserError(
                "The file has no trigger objects (TrigObj), so the leading muon cannot be matched to the trigger, "
                f"which its scale factor is for. {UNMATCHED}"
            )
        counters.setdefault("events_without_branch", Counter())["TrigObj"] += len(events)
        return None

    def weigh(
        self,
        events: Any,
        era: base.EraInputs,
        pair: LeadingPair,
        generator: np.ndarray,
        corrected: bool,
        counters: Counters,
    ) -> np.ndarray:
        """Return ``[pairs]`` the weight of each event with a pair."""
        if base.is_data(events) or not corrected:
            return generator[pair.event]
        return event_weights(
            generator[pair.event],
            era.corrections,
            counters,
            n_true_interactions=lambda: events.Pileup.nTrueInt[pair.event],
            muon_pt=np.stack([pair.leading_pt, pair.subleading_pt], axis=1),
            muon_eta=np.stack([pair.leading_eta, pair.subleading_eta], axis=1),
            trigger_pt=pair.leading_pt,
            trigger_eta=pair.leading_eta,
        ).weight()

    def fill(
        self,
        filler: Filler,
        variation: str,
        events: Any,
        pair: LeadingPair,
        selection: CutManager,
        weight: np.ndarray,
    ) -> None:
        """Fill the histograms of every region."""
        npvs = np.asarray(events.PV.npvs)[pair.event]
        muons = {
            "eta": np.stack([pair.leading_eta, pair.subleading_eta], axis=1),
            "phi": np.stack([pair.leading_phi, pair.subleading_phi], axis=1),
        }
        for region, cuts in self.region_cuts.items():
            chosen = selection.require(**cuts)[pair.event]
            observables = {
                "mass": pair.mass[chosen],
                "mass_spectrum": pair.mass[chosen],
                "npvs": npvs[chosen],
                "pt": pair.pt[chosen],
                "rapidity": pair.rapidity[chosen],
                "leading_pt": pair.leading_pt[chosen],
                "subleading_pt": pair.subleading_pt[chosen],
                **{name: values[chosen] for name, values in muons.items()},
            }
            filler.fill(observables, region=region, variation=variation, weight=weight[chosen])
