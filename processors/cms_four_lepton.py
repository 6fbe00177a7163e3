"""Four muons in CMS NanoAOD: the selection of the Open Data anomaly search, one Parquet row per event.

Event filters, muon triggers, at least four good muons; the four of highest pt are kept, with their Z candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import awkward as ak
import numpy as np

from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..outputs.columns import table
from ..selections.branches import branches_of
from ..selections.cut_manager import CutManager
from ..selections.muons import OTHER_MUONS, MuonSelection, described, good_muons
from ..selections.muons import branches as muon_branches
from ..selections.pairs import COLUMNS as PAIR_COLUMNS
from ..selections.pairs import four_leptons
from . import base, cms_events
from .cms_events import cut_requirements, event_cuts
from .muon_weights import EFFECTS, GENERATOR, PER_MUON, Counters, event_weights, weight_requirements
from .requirements import Requirement

HISTOGRAMS = (
    Histogram(name="mass_four_lepton", label=r"$m_{4\mu}$", unit="GeV", bins=60, start=70, stop=670),
    Histogram(name="mass_z1", label=r"$m_{Z_1}$", unit="GeV", bins=60, start=40, stop=120),
    Histogram(name="mass_z2", label=r"$m_{Z_2}$", unit="GeV", bins=60, start=0, stop=120),
    Histogram(name="muon_pt", label=r"muon $p_T$", unit="GeV", bins=50, start=0, stop=200),
)
#: Dimuon paths of 2016 to 2018 and the single-muon paths, for files whose era is not given.
TRIGGERS = (
    "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL",
    "HLT_Mu17_TrkIsoVVL_TkMu8_TrkIsoVVL",
    "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ",
    "HLT_Mu17_TrkIsoVVL_TkMu8_TrkIsoVVL_DZ",
    "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8",
    "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass8",
    "HLT_IsoMu24",
    "HLT_IsoTkMu24",
    "HLT_IsoMu27",
)
REGIONS = ("four_muons",)
#: Columns of each of the four muons; GeV and cm.
MUON_COLUMNS = ("pt", "eta", "phi", "charge", "dxy", "dz")


class FourLeptonParameters(base.Parameters):
    """Thresholds of the four-muon analysis; momenta in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(
        min_pt=5.0, identification="loose", isolation="very_loose", max_dxy=0.5, max_dz=1.0, max_sip3d=4.0
    )
    #: Paths of which one must have fired; None takes those of the era, an empty list asks for none.
    triggers: tuple[str, ...] | None = None
    met_filters: bool = True
    #: Keep only events whose four muons make two pairs of opposite charge.
    two_pairs: bool = False
    corrections: tuple[str, ...] = ("pileup",)


class FourLepton(base.Analysis):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = FourLeptonParameters
    schema = "nanoaod"
    parameters: FourLeptonParameters
    histograms = HISTOGRAMS
    regions = REGIONS

    @classmethod
    def corrections(cls, parameters: FourLeptonParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        return dict.fromkeys(parameters.corrections)

    @property
    def cuts(self) -> tuple[str, ...]:
        """The cuts in order."""
        last = ("two_pairs",) if self.parameters.two_pairs else ()
        return ("certified", "met_filters", "trigger", "four_muons", *last)

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        named = self.triggers(era) is not TRIGGERS
        found = (
            *cut_requirements(kind, era, paths=self.triggers(era), met_filters=chosen.met_filters, named=named),
            Requirement(component="muon selection", branches=muon_branches(chosen.muon), advice=OTHER_MUONS),
            Requirement(component="four muons", branches=branches_of("Muon", PAIR_COLUMNS)),
            Requirement(component="columns", branches=branches_of("Muon", MUON_COLUMNS)),
        )
        return found if kind == "data" else (*found, *weight_requirements(era.corrections, trigger=False))

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen = self.parameters
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "four_muons": f"at least four muons with {described(chosen.muon)}; the four of highest pt are kept",
            "two_pairs": "the four muons make two pairs of opposite charge",
        }
        applied = self.applied(("pileup", *PER_MUON))
        return base.Recipe(
            cuts={name: cuts[name] for name in self.cuts},
            regions={"four_muons": dict.fromkeys(self.cuts, True)},
            corrections={name: EFFECTS[name] for name in (GENERATOR, *applied)},
            variations={"nominal": (GENERATOR, *applied)},
        )

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which one must have fired."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        return (*era.triggers.get("double_muon", ()), *era.triggers.get("single_muon", ())) or TRIGGERS

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era = self.era_inputs(events)
        generator = base.generator_weight(events)
        counters: Counters = {}

        good = good_muons(events.Muon, self.parameters.muon)
        four = ak.to_numpy(ak.sum(good, axis=1) >= 4)
        muons = _leading_four(events.Muon[four], good[four])
        candidates = four_leptons(muons)
        selection = self.select(events, era, four, ak.to_numpy(candidates.has_pairs), counters)

        passed = selection.events(self.cuts)
        kept = passed[four]
        weight = generator[passed]
        if not base.is_data(events):
            weight = event_weights(
                generator[passed],
                era.corrections,
                counters,
                n_true_interactions=lambda: events.Pileup.nTrueInt[passed],
                muon_pt=muons.pt[kept],
                muon_eta=muons.eta[kept],
            ).weight()
        filler = Filler(HISTOGRAMS, events.metadata["dataset"], regions=REGIONS)
        filler.fill(
            {
                "mass_four_lepton": candidates.mass[kept],
                "mass_z1": candidates.z1_mass[kept],
                "mass_z2": candidates.z2_mass[kept],
                "muon_pt": muons.pt[kept],
            },
            region="four_muons",
            variation="nominal",
            weight=weight,
        )
        flow = selection.flow(generator, self.cuts)
        flow["corrections"] = base.yield_row(weight)
        return base.result(
            events,
            {
                "sumw": float(generator.sum()),
                "cutflow": flow,
                "hists": filler.histograms,
                "columns": _rows(events[passed], muons[kept], candidates[kept], weight),
                "counters": counters,
            },
        )

    def select(
        self, events: Any, era: base.EraInputs, four: np.ndarray, has_pairs: np.ndarray, counters: Counters
    ) -> CutManager:
        """Return all cuts, ``[events]`` each."""
        selection = CutManager(len(events))
        cuts = event_cuts(events, era, counters, paths=self.triggers(era), met_filters=self.parameters.met_filters)
        for name, mask in cuts.items():
            selection.add(name, mask)
        selection.add("four_muons", four)
        pairs = np.zeros(len(events), dtype=bool)
        pairs[four] = has_pairs
        selection.add("two_pairs", pairs)
        return selection


def _leading_four(muons: Any, good: Any) -> ak.Array:
    """Return the four good muons of highest pt of each event, ``[events, 4]``, with the columns that are used."""
    picked = ak.zip({name: muons[name][good] for name in (*MUON_COLUMNS, "mass")})
    order = ak.argsort(picked.pt, axis=1, ascending=False, stable=True)
    return picked[order][:, :4]


def _rows(events: Any, muons: ak.Array, candidates: ak.Array, weight: np.ndarray) -> list[ak.Array]:
    """Return one row per event: identity, weight, the four muons, the Z candidates, the four-muon system."""
    columns: dict[str, Any] = {
        "run": events.run,
        "luminosityBlock": events.luminosityBlock,
        "event": events.event,
        "weight": weight,
    }
    for number in range(4):
        for name in MUON_COLUMNS:
            columns[f"muon{number + 1}_{name}"] = muons[name][:, number]
    columns |= {
        "z1_mass": candidates.z1_mass,
        "z2_mass": candidates.z2_mass,
        "mass": candidates.mass,
        "four_muon_pt": candidates.pt,
        "four_muon_rapidity": candidates.rapidity,
    }
    return table(**columns)
