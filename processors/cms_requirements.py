"""The branches that a CMS analysis reads, composed from what it selects, corrects and varies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..corrections import (
    electron_energy,
    electron_scale_factors,
    jet_energy,
    jet_identification,
    jet_veto,
    met,
    met_xy,
    muon_momentum,
    pileup,
    prefiring,
    top_pt,
)
from ..corrections.systematics import Systematic
from ..selections import electrons as electron_selection
from ..selections import jets as jet_selection
from ..selections import muons as muon_selection
from ..selections.branches import branches_of
from ..selections.electrons import ElectronSelection
from ..selections.jets import JetSelection
from ..selections.muons import OTHER_MUONS, MuonSelection
from ..selections.pairs import COLUMNS as PAIR_COLUMNS
from ..selections.triggers import object_branches
from . import base
from .cms_events import cut_requirements
from .requirements import Need, Requirement

ENERGY = "electron_energy"


@dataclass(frozen=True)
class Reads:
    """What an analysis reads.

    Args:
        paths: trigger paths of which one must have fired.
        paths_are_known: they were chosen for these data (by the user or the era), so that a missing one is news.
        met_filters: whether the event filters are applied.
        muon: the selection of muons, if there is one.
        loose_muon: of those that veto an event.
        electron: the selection of electrons, if there is one.
        loose_electron: of those that veto an event.
        jet: the selection of jets, if there is one.
        electrons_are_optional: the analysis does without them where a file has none.
        trigger_objects: whether leptons are matched to the trigger.
        trigger_advice: how to do without.
        missing_momentum: whether it is filled or cut on.
        others: component → branches.
        corrections: names of those that are applied.
        systematics: that are varied.
    """

    paths: Sequence[str] = ()
    paths_are_known: bool = False
    met_filters: bool = True
    muon: MuonSelection | None = None
    loose_muon: MuonSelection | None = None
    electron: ElectronSelection | None = None
    loose_electron: ElectronSelection | None = None
    jet: JetSelection | None = None
    electrons_are_optional: bool = False
    trigger_objects: bool = False
    trigger_advice: str = ""
    missing_momentum: bool = False
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    corrections: Collection[str] = ()
    systematics: Sequence[Systematic] = ()


def requirements(kind: base.Kind, era: base.EraInputs, reads: Reads) -> tuple[Requirement, ...]:
    """Return what an analysis of ``kind`` in ``era`` reads."""
    named = reads.paths_are_known
    found = list(cut_requirements(kind, era, paths=reads.paths, met_filters=reads.met_filters, named=named))
    found += [*_of_leptons(reads), *_of_jets(era, reads)]
    if reads.trigger_objects:
        need: Need = "all" if {"muon_trigger", "electron_trigger"} & set(era.corrections) else "together"
        advice = reads.trigger_advice
        found.append(Requirement(component="trigger matching", branches=object_branches(), need=need, advice=advice))
    found += [Requirement(component=name, branches=tuple(branches)) for name, branches in reads.others.items()]
    found += _of_objects(kind, era, reads)
    if kind == "mc":
        found += _of_weights(era, reads)
    return tuple(found)


def _of_leptons(reads: Reads) -> list[Requirement]:
    """Return what the selections of leptons and jets read."""
    found = []
    pair = {"muon": ("Muon", PAIR_COLUMNS), "electron": ("Electron", PAIR_COLUMNS)}
    if reads.muon is not None:
        branches = muon_selection.branches(reads.muon)
        found.append(Requirement(component="muon selection", branches=branches, advice=OTHER_MUONS))
        found.append(Requirement(component="muon pair", branches=branches_of(*pair["muon"])))
    if reads.electron is not None:
        need: Need = "together" if reads.electrons_are_optional else "all"
        branches = electron_selection.branches(reads.electron)
        every = tuple(dict.fromkeys((*branches, *branches_of(*pair["electron"]))))
        found.append(Requirement(component="electron selection", branches=every, need=need))
    if reads.loose_muon is not None:
        branches = muon_selection.branches(reads.loose_muon)
        found.append(Requirement(component="veto of muons", branches=branches, advice=OTHER_MUONS))
    if reads.loose_electron is not None:
        branches = electron_selection.branches(reads.loose_electron)
        found.append(Requirement(component="veto of electrons", branches=branches))
    return found


def _of_jets(era: base.EraInputs, reads: Reads) -> list[Requirement]:
    """Return what the selection of jets reads."""
    found = []
    if reads.jet is not None:
        found.append(Requirement(component="jet selection", branches=jet_selection.branches(reads.jet)))
        if reads.jet.min_delta_r is not None:
            lepton = "Muon" if reads.muon is not None else "Electron"
            found.append(Requirement(component="jet selection", branches=branches_of(lepton, ("eta", "phi"))))
    if (reads.jet is not None and reads.jet.identification != "none") or "jet_veto" in era.corrections:
        how: Need = "all" if era.run == 2 else "none"
        names = ("jetId",) if era.run == 2 else jet_identification.COLUMNS
        found.append(Requirement(component="jet identification", branches=branches_of("Jet", names), need=how))
    if "jet_veto" in era.corrections:
        found.append(Requirement(component="jet veto", branches=branches_of("Muon", ("eta", "phi"))))
        found.append(Requirement(component="jet veto", branches=("Muon_isPFcand",), need="none"))
    return found


def _of_objects(kind: base.Kind, era: base.EraInputs, reads: Reads) -> list[Requirement]:
    """Return what the corrections of objects read."""
    records, is_data = era.corrections, kind == "data"
    varied = {one.name for one in reads.systematics}
    found = []

    def need(name: str, component: str, branches: Sequence[str], how: Need = "all") -> None:
        found.append(Requirement(component=component, branches=tuple(branches), need=how, advice=leave_out(name)))

    if "muon_momentum" in records:
        branches = muon_momentum.branches(records["muon_momentum"], is_data)
        need("muon_momentum", "muon momentum", branches)
    if "electron_energy" in reads.corrections and (reads.electron is not None):
        record = records.get("electron_energy")
        branches = electron_energy.branches(record, is_data=is_data)
        if not is_data and {"electron_scale", "electron_resolution"} & varied:
            branches = (*branches, *electron_energy.varied_branches(record))
        how: Need = "together" if reads.electrons_are_optional else "all"
        need("electron_energy", "electron energy", branches, how)
    if "jet_energy" in records:
        branches = (*jet_energy.BRANCHES, *(() if is_data else jet_energy.SIMULATION_BRANCHES))
        need("jet_energy", "jet energy", (*branches, *(met.JET_BRANCHES if reads.missing_momentum else ())))
        need("jet_energy", "jet energy", jet_energy.RHO_BRANCHES, "first known")
    if "jet_veto" in records:
        need("jet_veto", "jet veto", jet_veto.BRANCHES)
    if reads.missing_momentum:
        names = met.COLLECTIONS[era.run]
        vary = "met_unclustered" in varied and not is_data
        for branches in zip(*(met.branches(name, vary_unclustered=vary) for name in names), strict=False):
            need("met", "missing momentum", branches, "first known" if len(names) > 1 else "all")
        if "met_xy" in records:
            need("met_xy", "missing momentum in phi", met_xy.branches(records["met_xy"], is_data=is_data))
    return found


def _of_weights(era: base.EraInputs, reads: Reads) -> list[Requirement]:
    """Return what the weights of simulation read."""
    records = era.corrections
    varied = {one.correction for one in reads.systematics}
    found = []

    def need(name: str, branches: Sequence[str], how: Need = "all") -> None:
        found.append(
            Requirement(component=f"weight {name}", branches=tuple(branches), need=how, advice=leave_out(name))
        )

    if "pileup" in records:
        need("pileup", pileup.BRANCHES)
    if "prefiring" in reads.corrections:
        # NanoAOD before version 7 does not have them: a run says that it does without.
        need("prefiring", prefiring.branches(era.run), "together")
    if "top_pt" in reads.corrections:
        need("top_pt", top_pt.BRANCHES, "together")
    if reads.electron is not None and any(name.startswith("electron_") for name in records if name != ENERGY):
        how: Need = "together" if reads.electrons_are_optional else "all"
        need("electron_id", electron_scale_factors.BRANCHES, how)
    for name, branch in (("parton_shower", "PSWeight"), ("qcd_scale", "LHEScaleWeight"), ("pdf", "LHEPdfWeight")):
        if name in varied:
            need(name, (branch,), "none")
    return found


def leave_out(name: str) -> str:
    """Return how to do without a correction."""
    return f"To do without it, leave '{name}' out of the parameter 'corrections'."
