"""Which branches a toy NanoAOD file has: names of NanoAOD version 9, for narrow, standard and wide files.

Names follow the documentation of the CMS NanoAOD group (https://cms-nanoaod-integration.web.cern.ch). A *narrow*
file has exactly 46 branches, counters included, and serves benchmarks; a *wide* file adds fillers with realistic
names and constant content until it is as wide as real NanoAOD, where opening a file costs more than reading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, Literal

import numpy as np

Content = Literal["narrow", "standard", "wide"]

FLAGS = (
    "Flag_goodVertices",
    "Flag_globalSuperTightHalo2016Filter",
    "Flag_HBHENoiseFilter",
    "Flag_HBHENoiseIsoFilter",
    "Flag_EcalDeadCellTriggerPrimitiveFilter",
    "Flag_BadPFMuonFilter",
    "Flag_BadPFMuonDzFilter",
    "Flag_eeBadScFilter",
    "Flag_ecalBadCalibFilter",
)
GENERATOR_ONLY = (
    "genWeight",
    "Pileup_nTrueInt",
    "Pileup_nPU",
    "Muon_genPartIdx",
    "Muon_genPartFlav",
    "Electron_genPartIdx",
    "Jet_hadronFlavour",
    "Jet_partonFlavour",
    "Jet_genJetIdx",
)

_NARROW_MUON = "pt eta phi mass charge dxy dz sip3d pfRelIso04_all looseId mediumId tightId nTrackerLayers"
_NARROW = {"Muon": _NARROW_MUON, "TrigObj": "pt eta phi id filterBits", "Jet": "pt eta phi mass"}
_STANDARD = {
    "Muon": f"{_NARROW_MUON} pfIsoId isGlobal isTracker ip3d pfRelIso03_all tkRelIso mediumPromptId softId highPtId "
    "isPFcand genPartIdx genPartFlav jetIdx pdgId",
    "Electron": "pt eta phi mass charge dxy dz sip3d pfRelIso03_all cutBased mvaFall17V2Iso_WP90 mvaFall17V2Iso_WP80 "
    "deltaEtaSC pdgId genPartIdx r9 seedGain dEscaleUp dEscaleDown dEsigmaUp dEsigmaDown",
    "Jet": "pt eta phi mass jetId puId btagDeepFlavB rawFactor area nMuons nElectrons chHEF neHEF chEmEF neEmEF muEF "
    "muonSubtrFactor muonIdx1 muonIdx2 electronIdx1 hadronFlavour partonFlavour genJetIdx",
    "TrigObj": "pt eta phi id filterBits l1pt",
    "GenJet": "pt eta phi mass partonFlavour hadronFlavour",
    "GenPart": "pt eta phi mass pdgId status statusFlags genPartIdxMother",
}
_NARROW_EVENT = (
    *("run", "luminosityBlock", "event", "genWeight", "Pileup_nTrueInt", "PV_npvs", "HLT_IsoMu24"),
    *("PV_x", "PV_y", "PV_z"),
    *FLAGS,
    *("MET_pt", "MET_phi"),
)
# Pseudo-data have two generator branches less; these keep the number of branches.
_NARROW_EVENT_DATA = ("PV_npvsGood", "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8")

_MUON_FILL = (
    "dxyErr dzErr dxybs ptErr dxybsErr miniPFRelIso_all miniPFRelIso_chg pfRelIso03_chg jetPtRelv2 jetRelIso softMva "
    "segmentComp tunepRelPt mvaLowPt mvaTTH inTimeMuon isStandalone softMvaId triggerIdLoose nStations tightCharge "
    "fsrPhotonIdx miniIsoId multiIsoId mvaId mvaLowPtId puppiIsoId tkIsoId cleanmask"
)
_ELECTRON_FILL = (
    "dr03EcalRecHitSumEt dr03HcalDepth1TowerSumEt dr03TkSumPt dr03TkSumPtHEEP dxyErr dzErr eCorr eInvMinusPInv "
    "energyErr hoe ip3d jetPtRelv2 jetRelIso miniPFRelIso_all miniPFRelIso_chg mvaFall17V2Iso mvaFall17V2noIso "
    "pfRelIso03_chg r9 scEtOverPt sieie mvaTTH convVeto cutBased_HEEP isPFcand mvaFall17V2Iso_WPL "
    "mvaFall17V2noIso_WP80 mvaFall17V2noIso_WP90 mvaFall17V2noIso_WPL jetIdx photonIdx tightCharge vidNestedWPBitmap "
    "vidNestedWPBitmapHEEP lostHits seedGain cleanmask dEscaleDown dEscaleUp dEsigmaDown dEsigmaUp"
)
_JET_FILL = (
    "btagCSVV2 btagDeepB btagDeepCvB btagDeepCvL btagDeepFlavCvB btagDeepFlavCvL btagDeepFlavQG chEmEF "
    "chFPV0EF chHEF hfsigmaEtaEta hfsigmaPhiPhi muEF muonSubtrFactor neEmEF neHEF puIdDisc qgl bRegCorr bRegRes "
    "cRegCorr cRegRes electronIdx1 electronIdx2 hfadjacentEtaStripsSize hfcentralEtaStripSize muonIdx1 muonIdx2 "
    "nConstituents cleanmask"
)
_TRIGOBJ_FILL = "l1pt_2 l2pt l1iso l1charge"
_FILL_COLUMNS = {"Muon": _MUON_FILL, "Electron": _ELECTRON_FILL, "Jet": _JET_FILL, "TrigObj": _TRIGOBJ_FILL}
# Columns of filler collections are whole numbers where their name says so, otherwise float.
_BOOLEAN = ("isStandalone", "inTimeMuon", "softMvaId", "triggerIdLoose", "convVeto", "isPFcand", "cutBased_HEEP")
_BYTES = (
    "cleanmask",
    "lostHits",
    "seedGain",
    "miniIsoId",
    "multiIsoId",
    "mvaId",
    "mvaLowPtId",
    "puppiIsoId",
    "tkIsoId",
)
_WHOLE = (
    *("Idx", "Idx1", "Idx2", "tightCharge", "nStations", "Bitmap", "BitmapHEEP", "nConstituents"),
    *("StripsSize", "StripSize", "l1iso", "l1charge"),
)


def _filler_type(column: str) -> type[np.generic]:
    if column in _BOOLEAN or "_WP" in column:
        return np.bool_
    if column in _BYTES:
        return np.uint8
    return np.int32 if column.endswith(_WHOLE) else np.float32


# Templates and what goes into their places, for paths, seeds and event quantities of a wide file.
_JET_PT = (15, 25, 40, 60, 80, 140, 200, 260, 320, 400, 450, 500, 550)
_LEGS = (8, 12, 17, 23)
_PATHS: tuple[tuple[Any, ...], ...] = (
    ("HLT_{}Mu{}", ("", "Iso", "Tk", "OldMu100_or_Tk"), (8, 12, 15, 17, 19, 20, 27, 30, 50, 100)),
    (
        "HLT_IsoMu{}_eta2p1_{}ChargedIsoPFTauHPS{}_Trk1_eta2p1{}",
        (20, 24, 27),
        ("Loose", "Medium", "Tight"),
        (20, 27, 35),
        ("_CrossL1", "_TightID_CrossL1"),
    ),
    ("HLT_{}ChargedIsoPFTau{}_Trk{}_eta2p1{}", ("Loose", "Medium", "Tight"), (20, 50, 180), (30, 50), ("", "_1pr")),
    ("HLT_Mu{}_TrkIsoVVL_Ele{}_CaloIdL_TrackIdL_IsoVL{}", _LEGS, _LEGS, ("", "_DZ")),
    (
        "HLT_DoubleMu{}_{}",
        (2, 3, 4, 5, 20, 33, 43, 48),
        ("NoFiltersNoVtx", "Trk_Tau3mu", "Photon17", "DZ_PFHT350", "Mass8", "Jpsi_Displaced", "Upsilon"),
    ),
    ("HLT_Mu{}_part{}", ("7_IP4", "8_IP3", "8_IP5", "8_IP6", "9_IP4", "9_IP5", "9_IP6", "12_IP6"), range(5)),
    ("HLT_Ele{}_WP{}_Gsf{}", (15, 17, 20, 27, 28, 30, 35, 38, 40), ("Loose", "Tight"), ("", "_L1EGMT", "_eta2p1")),
    ("HLT_Ele{}_CaloIdL_TrackIdL_IsoVL{}", ("23_Ele12", "15_Ele8", "17_Ele12", "24_Ele22"), ("", "_DZ")),
    (
        "HLT_Photon{}{}",
        (20, 33, 50, 75, 90, 120, 150, 175, 200, 300),
        ("", "_R9Id90_HE10_IsoM", "_NoHE", "_HoverELoose"),
    ),
    ("HLT_{}{}", ("PFJet", "PFJetFwd", "AK8PFJet", "AK8PFJetFwd", "DiPFJetAve", "CaloJet"), _JET_PT),
    ("HLT_PFHT{}", (180, 250, 370, 430, 510, 590, 680, 780, 890, 1050)),
    ("HLT_PFMET{}_PFMHT{}_IDTight{}", range(100, 150, 10), range(100, 150, 10), ("", "_PFHT60")),
    (
        "HLT_AK8PFJet{}_TrimMass{}{}",
        (330, 360, 380, 400, 420),
        (30, 50),
        ("", "_PFAK8BTagDeepCSV_p1", "_PFAK8BTagDeepCSV_p17"),
    ),
    ("HLT_BTagMu_AK{}{}_Mu5{}", ("4DiJet", "4Jet", "8DiJet", "8Jet"), (20, 40, 70, 110, 170, 300), ("", "_noalgo")),
    ("L1_SingleMu{}{}", range(3, 26), ("", "er1p5", "_DQ", "_BMTF", "_OMTF", "_EMTF")),
    ("L1_SingleEG{}{}", range(8, 62, 2), ("", "er2p5", "er2p1")),
    ("L1_Single{}EG{}{}", ("Iso", "LooseIso"), range(22, 38, 2), ("", "er1p5", "er2p1", "er2p5")),
    ("L1_SingleJet{}{}", range(20, 220, 10), ("", "er2p5", "_FWD3p0")),
    ("L1_DoubleMu{}{}", range(20), ("", "_SQ", "_OQ", "_SQ_OS", "_SQ_OS_dR_Max1p4", "er1p5_SQ")),
    ("L1_DoubleEG_{}_{}_er2p5", range(20, 30), range(8, 18, 2)),
    ("L1_{}Tau{}er2p1", ("Single", "Double", "DoubleIso"), range(26, 76, 2)),
    ("L1_HTT{}er{}", range(120, 460, 20), ("", "_QuadJet_70_55_40_35_er2p4")),
    ("L1_ETMHF{}{}", range(80, 160, 10), ("", "_HTT60er", "_NotSecondBunchInTrain")),
    ("L1_Mu{}_{}{}er2p5", (5, 6, 7, 20), ("EG", "LooseIsoEG", "DoubleEG"), range(8, 26, 2)),
)
_QUANTITIES: tuple[tuple[Any, ...], ...] = (
    ("{}MET_{}", ("Calo", "Chs", "Raw", "RawPuppi", "Tk"), ("pt", "phi", "sumEt")),
    ("MET_{}", ("MetUnclustEnUpDeltaX", "MetUnclustEnUpDeltaY", "covXX", "covXY", "covYY", "significance")),
    ("PuppiMET_{}{}{}", ("pt", "phi"), ("JER", "JES", "Unclustered"), ("Up", "Down")),
    ("PV_{}", ("ndof", "x", "y", "chi2", "score")),
    ("fixedGridRhoFastjet{}", ("Central", "CentralCalo", "CentralChargedPileUp", "CentralNeutral")),
    ("SoftActivityJetHT{}", ("", 2, 5, 10)),
)


def _names(table: tuple[tuple[Any, ...], ...]) -> list[str]:
    return [template.format(*choice) for template, *choices in table for choice in product(*choices)]


def filler_branches(columns: Mapping[str, tuple[str, ...]]) -> dict[str, type[np.generic]]:
    """Return names and types of the filler branches of a wide file; ``Muon_...`` and others are one value an object.

    ``columns`` says which collections the file has; names that it holds already are left out by the caller.
    """
    branches: dict[str, type[np.generic]] = {}
    branches.update(dict.fromkeys(_names(_PATHS), np.bool_))
    branches.update(dict.fromkeys(_names(_QUANTITIES), np.float32))
    for collection, text in _FILL_COLUMNS.items():
        if collection in columns:
            branches.update({f"{collection}_{column}": _filler_type(column) for column in text.split()})
    return branches


def event_names(content: Content, *, data: bool) -> tuple[str, ...] | None:
    """Return the names of the event-level branches to write, or None for all that there are."""
    if content != "narrow":
        return None
    if not data:
        return _NARROW_EVENT
    return (*(name for name in _NARROW_EVENT if name not in GENERATOR_ONLY), *_NARROW_EVENT_DATA)


def collection_columns(content: Content, *, data: bool) -> dict[str, tuple[str, ...]]:
    """Return the columns to write of each collection."""
    table = _NARROW if content == "narrow" else _STANDARD
    return {
        name: tuple(column for column in text.split() if not (data and f"{name}_{column}" in GENERATOR_ONLY))
        for name, text in table.items()
        if not (data and name.startswith("Gen"))
    }
