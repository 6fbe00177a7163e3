"""How often a muon fires the single-muon trigger: tag and probe on Z → μμ, in bins of |η| and pt of the probe.

The tag fires the trigger, so that the event is there whatever the probe does; where both muons can be tags, each is a
probe as well. ``python main.py trigger-efficiency`` makes efficiencies and scale factors of the result. Regions are
``<pass|all>_eta<bin>`` of opposite charge and ``<pass|all>_ss_eta<bin>`` of same charge, the background; of probes, not
of events. Method: CMS, JINST 13 (2018) P06015 and 16 (2021) P07001.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..corrections.systematics import NOMINAL
from ..errors import UserError
from ..histograms.filler import Filler
from ..histograms.specification import Histogram
from ..selections.cut_manager import CutManager
from ..selections.flat import FlatCollection
from ..selections.muons import MuonSelection, described, good_muons
from ..selections.pairs import LeadingPair, leading_pair
from ..selections.triggers import flat_matched, object_branches
from . import base, cms_events
from .cms_analysis import CmsAnalysis, CmsParameters
from .cms_dimuon import TRIGGERS
from .cms_events import event_cuts
from .cms_factors import EventFactors, Leptons
from .cms_objects import CorrectedObjects
from .cms_requirements import Reads, requirements
from .requirements import Requirement

ETA_EDGES = (0.0, 0.9, 1.2, 2.1, 2.4)
PT_EDGES = (20.0, 22.0, 24.0, 26.0, 30.0, 40.0, 50.0, 60.0, 120.0, 200.0)
HISTOGRAM = "probe_pt"
HISTOGRAMS = (Histogram(name=HISTOGRAM, label="probe $p_T$", unit="GeV", edges=PT_EDGES),)
ALL, PASS = "all", "pass"


def region(which: str, eta: int, *, same_sign: bool = False) -> str:
    """Return the region of the probes of ``which`` (``all`` or ``pass``) in a bin of |η|."""
    return f"{which}_{'ss_' if same_sign else ''}eta{eta}"


class TriggerEfficiencyParameters(CmsParameters):
    """Thresholds; momenta and masses in GeV, distances in cm."""

    #: Of the tag and of the probe: the efficiency is that of muons that pass it.
    muon: MuonSelection = MuonSelection(max_dxy=0.2, max_dz=0.5)
    tag_min_pt: float = 26.0
    mass_window: tuple[float, float] = (81.0, 101.0)
    #: Bits of the trigger object that the tag fired (2: an isolated muon).
    tag_filter_bits: int = 2
    #: Bits and least pt of the object that makes a probe pass: those of another path measure that one.
    probe_filter_bits: int = 2
    probe_min_object_pt: float = 0.0
    corrections: tuple[str, ...] = ("pileup", "muon_id", "muon_iso", "muon_momentum")


class Probes(NamedTuple):
    """Pairs of a tag and a probe, ``[probes]``: place of the event, pt in GeV, and what the probe is."""

    event: np.ndarray
    pt: np.ndarray
    abseta: np.ndarray
    passing: np.ndarray
    same_sign: np.ndarray


class TriggerEfficiency(CmsAnalysis):
    """See the module.

    Raises:
        UserError: the trigger scale factor is to be applied to what it is made from.
    """

    parameters_model: ClassVar[type[base.Parameters]] = TriggerEfficiencyParameters
    parameters: TriggerEfficiencyParameters
    histograms = HISTOGRAMS
    cuts = ("certified", "met_filters", "trigger", "two_muons", "mass_window", "tag", "opposite_sign")

    def __init__(
        self, parameters: TriggerEfficiencyParameters | None = None, eras: Mapping[str, base.EraInputs] | None = None
    ) -> None:
        super().__init__(parameters, eras)
        if "muon_trigger" in self.parameters.corrections:
            raise UserError("Leave 'muon_trigger' out of the parameter 'corrections': this analysis measures it.")
        self.regions = tuple(
            region(which, eta, same_sign=sign)
            for sign in (False, True)
            for which in (ALL, PASS)
            for eta in range(len(ETA_EDGES) - 1)
        )

    @classmethod
    def corrections(cls, parameters: TriggerEfficiencyParameters) -> Mapping[str, str | None]:
        """See :meth:`base.Analysis.corrections`."""
        muon = parameters.muon
        points = {
            "muon_id": muon.identification,
            "muon_iso": muon.isolation if muon.identification == "tight" else f"{muon.isolation}_{muon.identification}",
        }
        idle = {"muon_id": muon.identification == "none", "muon_iso": muon.isolation == "none"}
        return cls.with_file({name: points.get(name) for name in parameters.corrections if not idle.get(name, False)})

    def variations(self, era: base.EraInputs) -> tuple[str, ...]:  # noqa: ARG002 (an efficiency has none)
        """See :meth:`base.Analysis.variations`."""
        return (NOMINAL,)

    def triggers(self, era: base.EraInputs) -> tuple[str, ...]:
        """Return the paths of which the tag must have fired one."""
        chosen = self.parameters.triggers
        return chosen if chosen is not None else era.triggers.get("single_muon", TRIGGERS)

    def requirements(self, kind: base.Kind, era: base.EraInputs) -> tuple[Requirement, ...]:
        """See :meth:`base.Analysis.requirements`."""
        chosen = self.parameters
        objects = (*object_branches(), *(("TrigObj_pt",) if chosen.probe_min_object_pt > 0 else ()))
        reads = Reads(
            paths=self.triggers(era),
            paths_are_known=chosen.triggers is not None or "single_muon" in era.triggers,
            met_filters=chosen.met_filters,
            muon=chosen.muon,
            others={"trigger matching": objects},
            corrections=self.applied_in(era),
        )
        return requirements(kind, era, reads)

    def recipe(self) -> base.Recipe:
        """See :meth:`base.Analysis.recipe`."""
        chosen, (low, high) = self.parameters, self.parameters.mass_window
        before = self.in_words(
            lambda era: cms_events.described(era, triggers=self.triggers(era), met_filters=chosen.met_filters)
        )
        cuts = {
            **before,
            "two_muons": f"at least two muons with {described(chosen.muon)}; the two of highest pt are the pair",
            "mass_window": f"{low:g} < m(μμ) < {high:g} GeV",
            "tag": f"a muon with pt > {chosen.tag_min_pt:g} GeV is an object of the trigger; the other is the probe",
            "opposite_sign": "the two muons have opposite charge",
        }
        every = dict.fromkeys(self.cuts, True)
        return self.recipe_of(cuts, {name: {**every, "opposite_sign": "_ss_" not in name} for name in self.regions})

    def process(self, events: Any) -> dict[str, dict[str, Any]]:
        """Return the result of one chunk of NanoEvents."""
        era, counters = self.era_inputs(events), dict[str, Any]()
        generator = base.generator_weight(events)
        objects = CorrectedObjects(events, era, self.applied_in(era), (), counters)
        factors = EventFactors(events, era, self.applied_in(era), frozenset(), counters)
        filler = Filler(HISTOGRAMS, events.metadata["dataset"], regions=self.regions, variations=(NOMINAL,))
        before = event_cuts(events, era, counters, paths=self.triggers(era), met_filters=self.parameters.met_filters)
        pt = objects.muon_pt(NOMINAL)
        pair = leading_pair(objects.muons, good_muons(objects.muons, self.parameters.muon, pt=pt), pt=pt)
        is_tag, passing = self.tags(pair, events), self.passing(pair, events)
        cuts = self.select(len(events), before, pair, is_tag)
        kept = cuts.events(self.cuts[:-1])[pair.event]
        pair, is_tag, passing = pair.take(kept), is_tag[:, kept], passing[:, kept]
        legs = (
            Leptons(pair.leading_pt, pair.leading_eta, pair.leading_phi),
            Leptons(pair.subleading_pt, pair.subleading_eta, pair.subleading_phi),
        )
        weight = np.zeros(len(events))
        weight[pair.event] = factors.weights(pair.event, generator, {"muons": legs}, nominal=True).nominal()
        fill(filler, probes(pair, is_tag, passing), weight)
        flow = cuts.flow(generator, self.cuts)
        flow["corrections"] = base.yield_row(weight[pair.event[pair.charge == 0]])
        sums = factors.sums(generator)
        return base.result(events, {**sums, "cutflow": flow, "hists": filler.histograms, "counters": counters})

    def tags(self, pair: LeadingPair, events: Any) -> np.ndarray:
        """Return ``[2, pairs]`` whether the leading and the subleading muon can be the tag."""
        matched = _matched(pair, FlatCollection(events.TrigObj), self.parameters.tag_filter_bits)
        return matched & (np.stack([pair.leading_pt, pair.subleading_pt]) > self.parameters.tag_min_pt)

    def passing(self, pair: LeadingPair, events: Any) -> np.ndarray:
        """Return ``[2, pairs]`` whether the leading and the subleading muon pass as a probe."""
        found, lowest = events.TrigObj, self.parameters.probe_min_object_pt
        if lowest > 0:
            found = found[found.pt > lowest]
        return _matched(pair, FlatCollection(found), self.parameters.probe_filter_bits)

    def select(
        self, n_events: int, before: Mapping[str, np.ndarray], pair: LeadingPair, is_tag: np.ndarray
    ) -> CutManager:
        """Return all cuts, ``[events]`` each."""
        low, high = self.parameters.mass_window
        selection = CutManager(n_events)
        for name, mask in before.items():
            selection.add(name, mask)
        of_pairs = {
            "two_muons": np.ones(len(pair), dtype=bool),
            "mass_window": (pair.mass > low) & (pair.mass < high),
            "tag": is_tag.any(axis=0),
            "opposite_sign": pair.charge == 0,
        }
        for name, mask in of_pairs.items():
            of_events = np.zeros(n_events, dtype=bool)
            of_events[pair.event] = mask
            selection.add(name, of_events)
        return selection


def probes(pair: LeadingPair, is_tag: np.ndarray, passing: np.ndarray) -> Probes:
    """Return the probes: the muon beside each tag; ``is_tag`` and ``passing`` are ``[2, pairs]`` in order of pt."""
    columns = (
        (pair.subleading_pt, pair.subleading_eta, passing[1], is_tag[0]),
        (pair.leading_pt, pair.leading_eta, passing[0], is_tag[1]),
    )
    parts = [
        (pair.event[tagged], pt[tagged], np.abs(eta[tagged]), fires[tagged], pair.charge[tagged] != 0)
        for pt, eta, fires, tagged in columns
    ]
    return Probes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def fill(filler: Filler, found: Probes, weight: np.ndarray) -> None:
    """Fill the pt of the probes, each with the weight of its event (``[events]``), in every region."""
    eta = np.digitize(found.abseta, ETA_EDGES) - 1
    of_probe = weight[found.event]
    for sign in (False, True):
        for which, chosen in ((ALL, np.ones(len(eta), dtype=bool)), (PASS, found.passing)):
            for place in range(len(ETA_EDGES) - 1):
                here = chosen & (found.same_sign == sign) & (eta == place)
                name = region(which, place, same_sign=sign)
                filler.fill({HISTOGRAM: found.pt[here]}, region=name, variation=NOMINAL, weight=of_probe[here])


def _matched(pair: LeadingPair, objects: FlatCollection, bits: int) -> np.ndarray:
    """Return ``[2, pairs]`` whether the leading and the subleading muon have a trigger object with ``bits``."""
    legs = ((pair.leading_eta, pair.leading_phi), (pair.subleading_eta, pair.subleading_phi))
    return np.stack([flat_matched(pair.event, eta, phi, objects, filter_bits=bits) for eta, phi in legs])
