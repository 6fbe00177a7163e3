"""Corrections and selections on real NanoAOD through coffea: virtual arrays, columns read, zero-length trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.analysis_tools import PackedSelection
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from coffea.nanoevents.trace import trace_with_length_zero_array
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.luminosity_mask import certified
from mucoffea.corrections.muon_momentum import corrected_pt
from mucoffea.corrections.muon_scale_factors import event_weight, muon_scale_factor
from mucoffea.corrections.pileup import pileup_weight
from mucoffea.corrections.random_numbers import positions
from mucoffea.selections.cut_flow import cut_flow
from mucoffea.selections.electrons import ElectronSelection, good_electrons
from mucoffea.selections.filters import passes
from mucoffea.selections.muons import MuonSelection, good_muons
from mucoffea.selections.pairs import closest_to, four_leptons, leading_pair, opposite_sign_pairs
from mucoffea.selections.triggers import fired, matched

REAL = Path(__file__).parents[2] / "shared/real"
pytestmark = [
    pytest.mark.skipif(not (REAL / "nanoaod").is_dir(), reason="the real NanoAOD files are not here"),
    pytest.mark.filterwarnings("ignore:Branch .* already exists:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning"),
]
COLUMNS = {
    "Electron_cutBased", "Electron_deltaEtaSC", "Electron_dxy", "Electron_dz", "Electron_eta", "Electron_pt",
    "Flag_goodVertices", "HLT_IsoMu24", "Muon_charge", "Muon_dxy", "Muon_dz", "Muon_eta", "Muon_mass",
    "Muon_nTrackerLayers", "Muon_pfRelIso04_all", "Muon_phi", "Muon_pt", "Muon_sip3d", "Muon_tightId",
    "Pileup_nTrueInt", "TrigObj_eta", "TrigObj_filterBits", "TrigObj_id", "TrigObj_phi", "event",
    "luminosityBlock", "nElectron", "nMuon", "nTrigObj", "run",
}  # fmt: skip


def open_events(name: str, **options: Any) -> ak.Array:
    source = {str(REAL / "nanoaod" / name): "Events"}
    return NanoEventsFactory.from_root(source, schemaclass=NanoAODSchema, mode="virtual", **options).events()


def analyse(events: ak.Array) -> dict[str, Any]:
    search = Catalogue([REAL / "pog"])
    identification = search.resolve("muon_id", era="2018", pog_folders=["2018_UL"])
    pileup = search.resolve("pileup", era="2018", pog_folders=["2018_UL"])
    scale = search.resolve("muon_momentum", era="2022postEE", pog_folders=["2022_Summer22EE"])
    golden = search.find_luminosity_mask("Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt")
    muons, n_events = events.Muon, len(events)
    index = positions(muons.pt)
    pt = corrected_pt(scale, muons, identity=events, index=index, is_data=False).pt
    good = good_muons(muons, MuonSelection(min_pt=5, max_dxy=0.2, max_dz=0.5, max_sip3d=4), pt)
    pair = leading_pair(muons, good, pt)
    factor = muon_scale_factor(identification, muons.pt, muons.eta)
    weight = pileup_weight(pileup, events.Pileup.nTrueInt).values * event_weight(factor.values[good])
    selection = PackedSelection()
    selection.add("trigger", fired(events.HLT, ["HLT_IsoMu24", "HLT_NotInThisRun"], n_events))
    selection.add("filters", passes(events.Flag, ["goodVertices"], n_events))
    selection.add("pair", np.isin(np.arange(n_events), pair.event))
    return {
        "flow": cut_flow(selection, selection.names, weight),
        "best": closest_to(opposite_sign_pairs(muons[good])),
        "four": four_leptons(muons),
        "pair": pair,
        "matched": matched(muons, events.TrigObj),
        "electrons": good_electrons(events.Electron, ElectronSelection()),
        "certified": certified(golden, events.run, events.luminosityBlock),
    }


def test_real_simulation_and_the_columns_read() -> None:
    log: list[Any] = []
    result = analyse(open_events("nano_dy.root", access_log=log))
    assert {entry.branch for entry in log} == COLUMNS
    flow = result["flow"]
    assert flow["all"]["n"] == 40
    assert flow["pair"]["n_alone"] == len(result["pair"]) > 0
    assert flow["all"]["sumw"] == pytest.approx(40, rel=0.2)
    assert not result["certified"].any()  # simulation has run 1
    masses = ak.drop_none(result["best"].mass)
    assert ak.all(masses > 0)
    assert ak.sum(result["matched"]) > 0


def test_zero_length_trace_finds_the_same_columns() -> None:
    touched = trace_with_length_zero_array(analyse, open_events("nano_dy.root"), throw=True)
    assert set(touched) == COLUMNS


@pytest.mark.parametrize(
    ("name", "identification"),
    [
        ("nano_dimuon.root", "loose"),
        ("nano_tt_v12.root", "loose"),
        # The identification flags of this file are all False.
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", "none"),
    ],
)
def test_muons_of_every_version(name: str, identification: str) -> None:
    events = open_events(name)
    muons = events.Muon
    good = good_muons(muons, MuonSelection(min_pt=3, identification=identification, isolation="none"))
    assert 0 < ak.sum(good) <= ak.sum(ak.num(muons))
    pair = leading_pair(muons, good)
    # The same pair from coffea's own candidates, in float32.
    kept = muons[good][pair.event]
    candidates = kept[:, 0] + kept[:, 1]
    np.testing.assert_allclose(pair.pt, candidates.pt, rtol=2e-4, atol=2e-3)
    np.testing.assert_array_equal(pair.charge, candidates.charge)


def test_certified_data() -> None:
    events = open_events("nano_dimuon.root")
    path = REAL / "lumi/Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    mask = certified(path, events.run, events.luminosityBlock)
    assert mask.shape == (len(events),)
    assert mask.dtype == bool
