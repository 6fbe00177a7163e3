"""The weight of simulated CMS events: factors of the whole event, and those of the leptons that an analysis selects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..corrections import (
    electron_scale_factors,
    muon_scale_factors,
    pileup,
    prefiring,
    systematics,
    theory_weights,
    top_pt,
)
from ..corrections.catalogue import CorrectionRecord
from ..corrections.weight_factor import WeightFactor
from .base import EraInputs, is_data
from .cms_weights import Counters, EventWeights, of_sources, taken, tally

#: Corrections that weigh each selected muon, and each selected electron.
PER_MUON = ("muon_reco", "muon_id", "muon_iso")
#: How the names of processes begin whose events are weighed by the pt of their tops.
TOP_PAIRS = ("tt", "top pair")
PER_ELECTRON = ("electron_reco", "electron_id")

#: What each correction does, in words; the first weighs simulation in every variation.
GENERATOR = "generator weight"
EFFECTS = {
    GENERATOR: "weighs simulated events as they were generated (genWeight)",
    "pileup": "weighs simulated events by their true number of interactions",
    "prefiring": "weighs simulated events by the probability not to be lost to the prefiring of the Level-1 trigger",
    "top_pt": "weighs simulated top pairs by the pt of the two top quarks",
    "muon_reco": "weighs simulated events by the reconstruction scale factor of each selected muon",
    "muon_id": "weighs simulated events by the identification scale factor of each selected muon",
    "muon_iso": "weighs simulated events by the isolation scale factor of each selected muon",
    "muon_trigger": "weighs simulated events by the trigger scale factor of the leading muon",
    "electron_reco": "weighs simulated events by the reconstruction scale factor of each selected electron",
    "electron_id": "weighs simulated events by the identification scale factor of each selected electron",
    "electron_trigger": "weighs simulated events by the trigger scale factor of the leading electron",
    "btag": "weighs simulated events by the b-tagging scale factors of the selected jets",
    "muon_momentum": "changes the momentum of muons, in data and simulation, before any cut",
    "electron_energy": "changes the energy of electrons, before any cut",
    "jet_energy": "changes the energy of jets, in data and simulation, before any cut",
    "jet_veto": "removes events with a jet in a region of the detector that is not well calibrated",
    "jet_id": "identifies jets from their composition",
    "met": "moves the missing momentum with every corrected object",
    "met_xy": "removes the modulation of the missing momentum in phi",
    "parton_shower": "varies initial- and final-state radiation",
    "qcd_scale": "varies the renormalisation and factorisation scales",
    "pdf": "varies the parton densities and the strong coupling",
}


class Leptons(NamedTuple):
    """One selected lepton of each event, ``[events]``: pt in GeV; ``eta`` of the supercluster for an electron.

    ``trigger`` says that it is the one that fired the trigger.
    """

    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    trigger: bool = False


class EventFactors:
    """The weights of a chunk: factors of whole events, and of the leptons that an analysis selects.

    Args:
        events: the chunk; data have no weight but 1.
        era: of the chunk.
        corrections: names of all corrections that are applied.
        wanted: variations of weights that will be filled; what they need is read, and nothing else.
        counters: added to.
    """

    def __init__(
        self,
        events: Any,
        era: EraInputs,
        corrections: Collection[str],
        wanted: Collection[str],
        counters: Counters,
    ) -> None:
        self._events, self._wanted, self._counters = events, wanted, counters
        self._simulation = not is_data(events)
        self._records = era.corrections
        self._corrections = corrections if self._simulation else ()
        self._era = era
        self._has_prefiring = era.run == 3 or "L1PreFiringWeight" in events.fields
        if self._simulation and "prefiring" in corrections and not self._has_prefiring:
            counters.setdefault("events_without_branch", Counter())["L1PreFiringWeight"] += len(events)
        self._generator_level: dict[str, WeightFactor] = {}
        for name, (branch, make) in GENERATOR_LEVEL.items():
            if name not in self._corrections or not (_any_of(name, wanted) if name != "top_pt" else _top_pairs(events)):
                continue
            if branch in events.fields:
                factor = of_sources(make(events, era), wanted)
            else:
                # One file of several may lack it: its events are in every variation all the same.
                factor = _without(name, len(events), wanted)
                counters.setdefault("events_without_branch", Counter())[branch] += len(events)
            tally(counters, name, factor)
            self._generator_level[name] = factor

    def sums(self, generator: np.ndarray) -> dict[str, Any]:
        """Return what the yields of the chunk's dataset are divided by: sums over all its events, before any selection.

        ``sumw`` is Σ(generator weight), with the top-pt weight, which is to change shapes and not the cross section;
        ``sumw_variations`` has the sum of each variation of a weight that changes what was generated.
        """
        weights = EventWeights(generator)
        for name, factor in self._generator_level.items():
            weights.add(name, factor, {})
        changed = {name for factor in self._generator_level.values() for name in factor.variations}
        varied = {name: float(values.sum()) for name, values in weights.variations(changed)}
        return {"sumw": float(weights.nominal().sum()), **({"sumw_variations": varied} if varied else {})}

    def weights(
        self,
        rows: np.ndarray,
        generator: np.ndarray,
        leptons: Mapping[str, Sequence[Leptons]],
        *,
        nominal: bool,
    ) -> EventWeights:
        """Return the weights of the events at the positions ``rows``.

        Args:
            rows: ``[rows]``.
            generator: ``[events]`` of the whole chunk.
            leptons: ``muons`` and ``electrons`` that are weighed, each ``[rows]``.
            nominal: with the variations of the factors, and what is out of range counted: once a chunk and event.
        """
        weights = EventWeights(generator[rows])
        if not self._simulation:
            return weights
        wanted = self._wanted if nominal else ()
        counters: Counters = self._counters if nominal else {}
        for name, factor in self._generator_level.items():
            weights.add(name, taken(of_sources(factor, wanted), rows), {})
        if "pileup" in self._records:
            n_true = np.asarray(self._events.Pileup.nTrueInt)[rows]
            weights.add("pileup", _pileup(self._records["pileup"], n_true, wanted), counters)
        if "prefiring" in self._corrections and self._has_prefiring:
            weights.add("prefiring", of_sources(_prefiring(self._events, self._era, rows), wanted), counters)
        for flavour, (per_lepton, trigger, factor_of) in _LEPTONS.items():
            self._of_leptons(weights, leptons.get(flavour, ()), per_lepton, trigger, factor_of, wanted, counters)
        return weights

    @property
    def simulation(self) -> bool:
        """Whether there is anything to weigh."""
        return self._simulation

    def add(self, weights: EventWeights, name: str, factor: WeightFactor, *, nominal: bool) -> None:
        """Multiply a factor of the analysis; ``nominal`` as for :meth:`weights`."""
        weights.add(name, of_sources(factor, self._wanted if nominal else ()), self._counters if nominal else {})

    def _of_leptons(
        self,
        weights: EventWeights,
        leptons: Sequence[Leptons],
        per_lepton: Sequence[str],
        trigger: str,
        factor_of: LeptonFactor,
        wanted: Collection[str],
        counters: Counters,
    ) -> None:
        """Multiply the scale factors of the leptons of one flavour."""
        if not leptons:
            return
        pt, eta, phi = (np.stack([getattr(one, name) for one in leptons], axis=1) for name in ("pt", "eta", "phi"))
        for name in per_lepton:
            if name in self._records:
                weights.add(name, factor_of(self._records[name], pt, eta, phi, wanted), counters)
        fired = [one for one in leptons if one.trigger]
        if fired and trigger in self._records:
            (one,) = fired
            pt, eta, phi = (getattr(one, name)[:, np.newaxis] for name in ("pt", "eta", "phi"))
            weights.add(trigger, factor_of(self._records[trigger], pt, eta, phi, wanted), counters)


def _without(correction: str, n_events: int, wanted: Collection[str]) -> WeightFactor:
    """Return the factor 1 for every variation of ``correction`` that is wanted."""
    one = np.ones(n_events)
    names = [
        name
        for source in systematics.sources().values()
        if source.correction == correction
        for name in source.variations
    ]
    return WeightFactor(one, {name: one for name in names if name in wanted})


def _any_of(correction: str, wanted: Collection[str]) -> bool:
    """Whether any variation of a source of ``correction`` is wanted."""
    return any(
        not set(source.variations).isdisjoint(wanted)
        for source in systematics.sources().values()
        if source.correction == correction
    )


def _muon(record: CorrectionRecord, pt: Any, eta: Any, phi: Any, wanted: Collection[str]) -> WeightFactor:  # noqa: ARG001
    if _any_of(record.name, wanted):
        return of_sources(muon_scale_factors.muon_weight(record, pt, eta), wanted)
    # The uncertainties cost four more evaluations.
    nominal = muon_scale_factors.muon_scale_factor(record, pt, eta)
    values = muon_scale_factors.event_weight(nominal.values)
    return WeightFactor(values, {}, nominal.out_of_range, nominal.clamped)


def _electron(record: CorrectionRecord, pt: Any, eta: Any, phi: Any, wanted: Collection[str]) -> WeightFactor:
    return of_sources(electron_scale_factors.electron_weight(record, pt, eta, phi), wanted)


LeptonFactor = Callable[[CorrectionRecord, Any, Any, Any, Collection[str]], WeightFactor]
_LEPTONS: dict[str, tuple[tuple[str, ...], str, LeptonFactor]] = {
    "muons": (PER_MUON, "muon_trigger", _muon),
    "electrons": (PER_ELECTRON, "electron_trigger", _electron),
}


def _pileup(record: CorrectionRecord, n_true: np.ndarray, wanted: Collection[str]) -> WeightFactor:
    if "pileupUp" in wanted:
        return of_sources(pileup.pileup_factor(record, n_true), wanted)
    nominal = pileup.pileup_weight(record, n_true)
    return WeightFactor(np.asarray(nominal.values), {}, nominal.out_of_range, nominal.clamped)


def _prefiring(events: Any, era: EraInputs, rows: np.ndarray) -> WeightFactor:
    weights = events.L1PreFiringWeight[rows] if "L1PreFiringWeight" in events.fields else None
    return prefiring.prefiring_factor(weights, run=era.run, n_events=len(rows))


def _parton_shower(events: Any, era: EraInputs) -> WeightFactor:
    return theory_weights.parton_shower(events.PSWeight, run=era.run)


def _qcd_scale(events: Any, era: EraInputs) -> WeightFactor:  # noqa: ARG001
    return theory_weights.qcd_scale(events.LHEScaleWeight)


def _pdf(events: Any, era: EraInputs) -> WeightFactor:  # noqa: ARG001
    return theory_weights.pdf(events.LHEPdfWeight)


def _top_pairs(events: Any) -> bool:
    """Whether the process of the dataset is top pairs, by its name."""
    return str(events.metadata.get("process", "")).lower().startswith(TOP_PAIRS)


def _top_pt(events: Any, era: EraInputs) -> WeightFactor:
    return top_pt.top_pt_factor(events.GenPart, com_energy=era.com_energy)


#: Factors of the generator, over all events of a chunk: correction → branch or collection that it is in, function.
GENERATOR_LEVEL: dict[str, tuple[str, Callable[[Any, EraInputs], WeightFactor]]] = {
    "parton_shower": ("PSWeight", _parton_shower),
    "qcd_scale": ("LHEScaleWeight", _qcd_scale),
    "pdf": ("LHEPdfWeight", _pdf),
    "top_pt": ("GenPart", _top_pt),
}
