"""Z → μμ in CMS NanoAOD: trigger, two good muons, the mass peak, and control regions (with one of e-μ pairs).

The order is correct → select objects → select events → weigh → fill: with the nominal corrections, with none
(``uncorrected``: a result shows what its corrections do), and under each systematic variation that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..errors import UserError
from ..selections import electrons
from ..selections.electrons import ElectronSelection, good_electrons
from ..selections.flat import FlatCollection
from ..selections.muons import MuonSelection, described, good_muons
from ..selections.pairs import LeadingPair, leading_pair, mixed_pair
from ..selections.triggers import MAX_DELTA_R, flat_matched
from . import base, cms_events
from .cms_dilepton import DILEPTON, Dilepton, DileptonParameters
from .cms_dilepton_histograms import ELECTRON_MUON, SAME_FLAVOUR, specifications
from .cms_factors import Leptons
from .cms_objects import CorrectedObjects
from .cms_requirements import Reads, requirements
from .requirements import Requirement

#: Tried where no era says which triggers were unprescaled; a path that a file lacks has not fired.
TRIGGERS = ("HLT_IsoMu24", "HLT_IsoTkMu24", "HLT_IsoMu27", "HLT_IsoMu20", "HLT_IsoTkMu20")


class DimuonParameters(DileptonParameters):
    """Thresholds of the dimuon analysis; momenta and masses in GeV, distances in cm."""

    muon: MuonSelection = MuonSelection(max_dxy=0.2, max_dz=0.5)
    electron: ElectronSelection = ElectronSelection()
    #: The control region of a muon and an electron, where the file has electrons.
    electron_muon: bool = True
    corrections: tuple[str, ...] = (
        *("pileup", "prefiring", "muon_reco", "muon_id", "muon_iso", "muon_trigger", "muon_momentum"),
        *("electron_reco", "electron_id", "electron_energy", "met", "met_xy", "parton_shower", "qcd_scale", "pdf"),
    )


class Dimuon(Dilepton):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = DimuonParameters
    parameters: DimuonParameters
    two_leptons = "two_muons"
    unmatched = (
        "Leave both out: --set trigger_match=false --set 'corrections=[pileup, muon_id, muon_iso, muon_momentum]'."
    )

    def __init__(
        self, parameters: DimuonParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        self.regions = (*SAME_FLAVOUR, *((ELECTRON_MUON,) if self.parameters.electron_muon else ()))
        self.histograms = specifications("muon", r"\mu", self.regions, met=self.parameters.missing_momentum)
        for era in self.eras.values():
            paths = era.triggers.get("single_muon", ())
            if "muon_trigger" in era.corrections and set(self.triggers(era)) != set(paths):
                raise UserError(
                    f"The trigger scale factor of era {era.era} is that of {', '.join(paths) or 'no known path'}, "
                    f"not of {', '.join(self.triggers(era))}. Leave it out: "
                    f"--set 'corrections=[pileup, muon_id, muon_iso, muon_momentum]'."
                )

    @classmethod
    def corrections(cls, parameters: DimuonParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        muon, electron = parameters.muon, parameters.electron.identification
        points: dict[str, str | None] = {
            "muon_id": muon.identification,
            # Isolation is measured on identified muons, the trigger on identified and isolated ones.
            "muon_iso": muon.isolation if muon.identification == "tight" else f"{muon.isolation}_{muon.identification}",
            "muon_trigger": muon.identification,
            "electron_id": electron,
        }
        idle = {
            "muon_id": muon.identification == "none",
            "muon_iso": muon.isolation == "none",
            "muon_trigger": parameters.triggers == (),
            "electron_id": electron == "none" or not parameters.electron_muon,
            "electron_reco": not parameters.electron_muon,
            "electron_energy": not parameters.electron_muon,
            "met_xy": not parameters.missing_momentum,
            "jet_energy": not parameters.missing_momentum,
        }
        return cls.with_file({name: points.get(name) for name in parameters.corrections if not idle.get(name, False)})

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        reads = Reads(
            paths=self.triggers(era),
            paths_are_known=chosen.triggers is not None or "single_muon" in era.triggers,
            met_filters=chosen.met_filters,
            muon=chosen.muon,
            electron=chosen.electron if chosen.electron_muon else None,
            electrons_are_optional=True,
            trigger_objects=self.matches_trigger,
            trigger_advice=self.unmatched,
            missing_momentum=chosen.missing_momentum,
            others={"histogram npvs": ("PV_npvs",)},
            corrections=self.applied_in(era),
            systematics=self.systematics(era),
        )
        return requirements(kind, era, reads)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen, (low, high) = self.parameters, self.parameters.mass_window
        match = f"leading muon within ΔR < {MAX_DELTA_R:g} of an isolated muon of the trigger"
        mixed = f"one such muon and an electron with {electrons.described(chosen.electron)}"
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "two_muons": f"at least two muons with {described(chosen.muon)}; the two of highest pt are the pair"
            + (f" (region {ELECTRON_MUON}: {mixed})" if chosen.electron_muon else ""),
            "leading_pt": f"leading muon pt > {chosen.leading_min_pt:g} GeV",
            "trigger_match": match if self.matches_trigger else "off",
            "opposite_sign": "the two leptons have opposite charge",
            "mass_window": f"{low:g} < m(μμ) < {high:g} GeV",
        }
        return self.recipe_of(cuts, {name: self.region_cuts()[name] for name in self.regions})

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """See :meth:`Dilepton.triggers`."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        return era.triggers.get("single_muon", TRIGGERS)

    def match(self, pair: LeadingPair, trigger_objects: FlatCollection) -> np.ndarray:
        """See :meth:`Dilepton.match`."""
        return flat_matched(pair.event, pair.leading_eta, pair.leading_phi, trigger_objects)

    def pair(self, channel: str, objects: CorrectedObjects, variation: str) -> LeadingPair:
        """See :meth:`Dilepton.pair`; of a muon and an electron, the muon is the leading one."""
        muon_pt = objects.muon_pt(variation)
        muons = good_muons(objects.muons, self.parameters.muon, pt=muon_pt)
        if channel == DILEPTON:
            return leading_pair(objects.muons, muons, pt=muon_pt)
        electron_pt = objects.electron_pt(variation)
        good = good_electrons(objects.electrons, self.parameters.electron, pt=electron_pt)
        return mixed_pair(objects.muons, objects.electrons, muons, good, pt=muon_pt, others_pt=electron_pt)

    def leptons(self, channel: str, objects: CorrectedObjects, pair: LeadingPair) -> Mapping[str, Sequence[Leptons]]:
        """See :meth:`Dilepton.leptons`."""
        first = Leptons(pair.leading_pt, pair.leading_eta, pair.leading_phi, trigger=True)
        if channel == DILEPTON:
            return {"muons": (first, Leptons(pair.subleading_pt, pair.subleading_eta, pair.subleading_phi))}
        eta = pair.subleading_eta + objects.of_electrons("deltaEtaSC", pair.event, pair.second)
        return {"muons": (first,), "electrons": (Leptons(pair.subleading_pt, eta, pair.subleading_phi),)}
