"""Z → ee in CMS NanoAOD: trigger, two good electrons, the mass peak, and control regions.

The order is correct → select objects → select events → weigh → fill, as in :mod:`.cms_dimuon`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..selections.electrons import ElectronSelection, described, good_electrons
from ..selections.flat import FlatCollection
from ..selections.pairs import LeadingPair, leading_pair
from ..selections.triggers import MAX_DELTA_R, flat_matched
from . import base, cms_events
from .cms_dilepton import Dilepton, DileptonParameters
from .cms_dilepton_histograms import SAME_FLAVOUR, specifications
from .cms_factors import Leptons
from .cms_objects import CorrectedObjects
from .cms_requirements import Reads, requirements
from .requirements import Requirement

#: Tried where no era says which triggers were unprescaled; a path that a file lacks has not fired.
TRIGGERS = ("HLT_Ele32_WPTight_Gsf", "HLT_Ele30_WPTight_Gsf", "HLT_Ele27_WPTight_Gsf", "HLT_Ele35_WPTight_Gsf")
ELECTRON = 11
#: TrigObj_filterBits of an electron that passed the last filter of a single-electron path (tight working point).
SINGLE_ELECTRON = 1 << 1


class DielectronParameters(DileptonParameters):
    """Thresholds of the dielectron analysis; momenta and masses in GeV, distances in cm."""

    electron: ElectronSelection = ElectronSelection()
    leading_min_pt: float = 35.0
    corrections: tuple[str, ...] = (
        *("pileup", "prefiring", "electron_reco", "electron_id", "electron_trigger", "electron_energy"),
        *("met", "met_xy", "parton_shower", "qcd_scale", "pdf"),
    )


class Dielectron(Dilepton):
    """See the module."""

    parameters_model: ClassVar[type[base.Parameters]] = DielectronParameters
    parameters: DielectronParameters
    two_leptons = "two_electrons"
    unmatched = "Leave both out: --set trigger_match=false --set 'corrections=[pileup, electron_reco, electron_id]'."

    def __init__(
        self, parameters: DielectronParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        self.regions = SAME_FLAVOUR
        self.histograms = specifications("electron", "e", self.regions, met=self.parameters.missing_momentum)

    @classmethod
    def corrections(cls, parameters: DielectronParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        identification = parameters.electron.identification
        points: dict[str, str | None] = {"electron_id": identification, "electron_trigger": identification}
        idle = {
            "electron_id": parameters.electron.identification == "none",
            "electron_trigger": parameters.triggers == (),
            "met_xy": not parameters.missing_momentum,
            "jet_energy": not parameters.missing_momentum,
        }
        return cls.with_file({name: points.get(name) for name in parameters.corrections if not idle.get(name, False)})

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        reads = Reads(
            paths=self.triggers(era),
            paths_are_known=chosen.triggers is not None or "single_electron" in era.triggers,
            met_filters=chosen.met_filters,
            electron=chosen.electron,
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
        match = f"leading electron within ΔR < {MAX_DELTA_R:g} of a tight electron of the trigger"
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "two_electrons": f"at least two electrons with {described(chosen.electron)}; the two of highest pt are the "
            "pair",
            "leading_pt": f"leading electron pt > {chosen.leading_min_pt:g} GeV",
            "trigger_match": match if self.matches_trigger else "off",
            "opposite_sign": "the two electrons have opposite charge",
            "mass_window": f"{low:g} < m(ee) < {high:g} GeV",
        }
        return self.recipe_of(cuts, {name: self.region_cuts()[name] for name in self.regions})

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """See :meth:`Dilepton.triggers`."""
        if self.parameters.triggers is not None:
            return self.parameters.triggers
        return era.triggers.get("single_electron", TRIGGERS)

    def match(self, pair: LeadingPair, trigger_objects: FlatCollection) -> np.ndarray:
        """See :meth:`Dilepton.match`."""
        place = (pair.event, pair.leading_eta, pair.leading_phi)
        return flat_matched(*place, trigger_objects, filter_bits=SINGLE_ELECTRON, pdg_id=ELECTRON)

    def pair(self, channel: str, objects: CorrectedObjects, variation: str) -> LeadingPair:  # noqa: ARG002
        """See :meth:`Dilepton.pair`."""
        pt = objects.electron_pt(variation)
        return leading_pair(
            objects.electrons, good_electrons(objects.electrons, self.parameters.electron, pt=pt), pt=pt
        )

    def leptons(
        self,
        channel: str,  # noqa: ARG002
        objects: CorrectedObjects,
        pair: LeadingPair,
    ) -> Mapping[str, Sequence[Leptons]]:
        """See :meth:`Dilepton.leptons`; scale factors are in the pseudorapidity of the supercluster."""
        first, second = (
            eta + objects.of_electrons("deltaEtaSC", pair.event, place)
            for eta, place in ((pair.leading_eta, pair.first), (pair.subleading_eta, pair.second))
        )
        return {
            "electrons": (
                Leptons(pair.leading_pt, first, pair.leading_phi, trigger=True),
                Leptons(pair.subleading_pt, second, pair.subleading_phi),
            )
        }
