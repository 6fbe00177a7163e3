"""The objects of a chunk of CMS events, corrected, under each variation: muons, electrons, jets, missing momentum.

A variation that leaves a collection alone gives its nominal momenta, computed once. The missing momentum follows every
collection that is corrected, through one function of old and new momenta.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from ..corrections import electron_energy, jet_energy, jet_identification, jet_veto, met, met_xy, muon_momentum
from ..corrections.jet_energy import CorrectedJets
from ..corrections.met import Change, Met
from ..corrections.random_numbers import FIELDS as IDENTITY
from ..corrections.systematics import NOMINAL, Systematic, of_variation
from ..selections.flat import FlatCollection
from ..selections.jets import away_from, matched_gen_pt
from .base import EraInputs, is_data
from .cms_weights import Counters, tally

#: No correction at all.
UNCORRECTED = "uncorrected"
MUON = 13
#: What is made of a collection, under which name a source touches it.
_TOUCHED = {"jet masses": "jets", "corrected jets": "jets"}
_UNCLUSTERED: Mapping[str, Literal["up", "down"]] = {"met_unclusteredUp": "up", "met_unclusteredDown": "down"}
_Value = TypeVar("_Value")


class CorrectedObjects:
    """The objects of one chunk; flat columns ``[objects]``, GeV.

    Args:
        events: the chunk.
        era: of the chunk.
        corrections: names of the corrections that are applied.
        sources: systematics that are varied: only a source that touches a collection varies it.
        counters: added to, once for the nominal objects.
    """

    def __init__(
        self,
        events: Any,
        era: EraInputs,
        corrections: Collection[str],
        sources: Sequence[Systematic],
        counters: Counters,
    ) -> None:
        self._events, self._era, self._corrections, self._counters = events, era, corrections, counters
        self._sources = tuple(one for one in sources if one.kind == "shape")
        self._is_data = is_data(events)
        self._made: dict[tuple[str, str], Any] = {}
        self._near_muon: Any = None

    @cached_property
    def muons(self) -> FlatCollection:
        """The muons as they are in the file."""
        return FlatCollection(self._events.Muon)

    @cached_property
    def electrons(self) -> FlatCollection:
        """The electrons as they are in the file."""
        return FlatCollection(self._events.Electron)

    @cached_property
    def jets(self) -> FlatCollection:
        """The jets as they are in the file."""
        return FlatCollection(self._events.Jet)

    def of_electrons(self, name: str, event: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Return the column ``name`` of the electrons at ``place`` in their ``event``, ``[pairs]`` each."""
        return self.electrons[name][self.electrons.starts[event] + place]

    def muon_pt(self, variation: str) -> np.ndarray:
        """Return ``[muons]`` the corrected pt."""
        return self._once("muons", variation, self._muon_pt)

    def electron_pt(self, variation: str) -> np.ndarray:
        """Return ``[electrons]`` the corrected pt."""
        return self._once("electrons", variation, self._electron_pt)

    def jet_pt(self, variation: str) -> np.ndarray:
        """Return ``[jets]`` the corrected pt."""
        return self._once("jets", variation, self._jet_pt)

    def jet_mass(self, variation: str) -> np.ndarray:
        """Return ``[jets]`` the corrected mass."""
        return self._once("jet masses", variation, self._jet_mass)

    @cached_property
    def trigger_objects(self) -> FlatCollection:
        """The objects of the trigger."""
        return FlatCollection(self._events.TrigObj)

    def identified_jets(self, working_point: jet_identification.WorkingPoint | Literal["none"]) -> np.ndarray | None:
        """Return ``[jets]`` which jets are identified at a working point; None for ``none``."""
        if working_point == "none":
            return None
        record = self._era.corrections.get("jet_id")
        return np.asarray(jet_identification.passes(record, self.jets, working_point, chs=self._era.run == 2))

    def vetoed_events(self, variation: str) -> np.ndarray:
        """Return ``[events]`` which events have a jet in a vetoed region of the detector; none without ``jet_veto``."""
        record = self._era.corrections.get("jet_veto")
        if record is None or variation == UNCORRECTED:
            return np.zeros(len(self._events), dtype=bool)
        if self._near_muon is None:
            muons = self.muons["isPFcand"] if "isPFcand" in self.muons.fields else None
            self._near_muon = ~away_from(self.jets, self.muons, jet_veto.MUON_DELTA_R, good=muons)
        identified = self.identified_jets("tight")
        pt = self.jet_pt(variation)
        bad = jet_veto.vetoed(record, self.jets, identified=identified, near_muon=self._near_muon, pt=pt)
        return np.bincount(self.jets.event[bad], minlength=len(self._events)) > 0

    def missing_momentum(self, variation: str) -> Met:
        """Return ``[events]`` pt (GeV) and phi of the missing momentum, moved with all objects that are corrected."""
        return self._once("met", variation, self._met)

    def _once(self, collection: str, variation: str, make: Callable[[str], _Value]) -> _Value:
        """Return what ``make`` gives for ``variation``, or for the nominal one if it leaves ``collection`` alone."""
        source = of_variation(variation, self._sources)
        moved = source is not None and _TOUCHED.get(collection, collection) in source.touches
        key = (collection, variation if moved or variation == UNCORRECTED else NOMINAL)
        if key not in self._made:
            self._made[key] = make(key[1])
        found: _Value = self._made[key]
        return found

    def _muon_pt(self, variation: str) -> np.ndarray:
        record = self._era.corrections.get("muon_momentum")
        if record is None or variation == UNCORRECTED:
            return self.muons["pt"]
        corrected = muon_momentum.corrected_pt(
            record,
            self.muons,
            identity=self._identity(self.muons),
            index=_index(self.muons),
            is_data=self._is_data,
            variation=variation,
            gen_pt=self._generated_pt() if muon_momentum.needs_generator(record, self._is_data) else None,
        )
        if variation == NOMINAL:
            tally(self._counters, "muon_momentum", corrected)
        return np.asarray(corrected.pt)

    def _electron_pt(self, variation: str) -> np.ndarray:
        if "electron_energy" not in self._corrections or variation == UNCORRECTED:
            return self.electrons["pt"]
        record = self._era.corrections.get("electron_energy")
        corrected = electron_energy.corrected_pt(
            record,
            self.electrons,
            identity=self._identity(self.electrons),
            index=_index(self.electrons),
            is_data=self._is_data,
            run=np.asarray(self._events.run)[self.electrons.event],
            variation=variation,
        )
        if variation == NOMINAL:
            tally(self._counters, "electron_energy", corrected)
        elif record is None and electron_energy.without_effect(self.electrons, variation):
            counts = self._counters.setdefault("events_with_a_variation_of_zero", Counter())
            counts[variation] += len(self._events)
        return np.asarray(corrected.pt)

    def _jet_pt(self, variation: str) -> np.ndarray:
        if "jet_energy" not in self._era.corrections or variation == UNCORRECTED:
            return self.jets["pt"]
        return np.asarray(self._once("corrected jets", variation, self._corrected_jets).pt)

    def _jet_mass(self, variation: str) -> np.ndarray:
        if "jet_energy" not in self._era.corrections or variation == UNCORRECTED:
            return self.jets["mass"]
        return np.asarray(self._once("corrected jets", variation, self._corrected_jets).mass)

    def _corrected_jets(self, variation: str) -> CorrectedJets:
        jets, of_jet = self.jets, self.jets.event
        corrected = jet_energy.corrected_jets(
            self._era.corrections["jet_energy"],
            jets,
            rho=np.asarray(jet_energy.median_energy_density(self._events))[of_jet],
            identity=self._identity(jets),
            index=_index(jets),
            is_data=self._is_data,
            run=np.asarray(self._events.run)[of_jet] if self._is_data else None,
            gen_pt=None if self._is_data else self._generator_jet_pt,
            variation=variation,
            nominal=None if variation == NOMINAL else self._made.get(("corrected jets", NOMINAL)),
        )
        if variation == NOMINAL:
            tally(self._counters, "jet_energy", corrected)
        return corrected

    @cached_property
    def _generator_jet_pt(self) -> np.ndarray:
        """``[jets]`` of the matched generator jet, GeV; NaN without."""
        return np.asarray(matched_gen_pt(self.jets, FlatCollection(self._events.GenJet)).pt)

    def _met(self, variation: str) -> Met:
        in_file = self._events[met.met_collection(self._events.fields, self._era.run)]
        found = Met(np.asarray(in_file.pt, np.float64), np.asarray(in_file.phi, np.float64))
        if variation == UNCORRECTED or "met" not in self._corrections:
            return found
        found = met.propagated(found, list(self._changes(variation)))
        record = self._era.corrections.get("met_xy")
        if record is not None:
            npvs, run = self._events.PV[met_xy.vertices(record)], self._events.run if self._is_data else None
            corrected = met_xy.corrected(record, found, npvs, run, self._is_data)
            if variation == NOMINAL:
                tally(self._counters, "met_xy", corrected)
            found = corrected.met
        return met.unclustered(found, in_file, _UNCLUSTERED.get(variation, "nominal"))

    def _changes(self, variation: str) -> Iterator[Change]:
        """Yield what the corrections did to each collection, relative to the file."""
        if "muon_momentum" in self._era.corrections:
            yield Change(self.muons["pt"], self.muon_pt(variation), self.muons["phi"], self.muons.event)
        if "electron_energy" in self._corrections and "Electron" in self._events.fields:
            yield Change(self.electrons["pt"], self.electron_pt(variation), self.electrons["phi"], self.electrons.event)
        if "jet_energy" in self._era.corrections:
            yield met.jet_change(self.jets, self.jet_pt(variation), event=self.jets.event)

    def _identity(self, collection: FlatCollection) -> tuple[np.ndarray, ...]:
        """Return run, luminosity block and event of each object."""
        return tuple(np.asarray(self._events[name])[collection.event] for name in IDENTITY)

    def _generated_pt(self) -> np.ndarray:
        """Return ``[muons]`` the pt of the matched generator muon, GeV; NaN without."""
        particles = FlatCollection(self._events.GenPart)
        index = self.muons["genPartIdx"].astype(np.int64)
        matched = (index >= 0) & (index < particles.counts[self.muons.event])
        place = np.where(matched, particles.starts[self.muons.event] + index, 0)
        if not len(particles):
            return np.full(len(index), np.nan)
        matched &= np.abs(particles["pdgId"][place]) == MUON
        return np.where(matched, particles["pt"][place], np.nan)


def _index(collection: FlatCollection) -> np.ndarray:
    """Return the position of each object in its event, as in the file."""
    return np.arange(len(collection)) - collection.starts[collection.event]
