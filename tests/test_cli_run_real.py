"""The main job on real files: selection by hand, official corrections, golden JSON, Open Data, RNTuple."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from coffea.lumi_tools import LumiMask
from mucoffea.outputs.bundle import read_bundle
from mucoffea.outputs.provenance import read_provenance

from .support.command_line import Command, run_words
from .support.results import assert_same_histograms, cut_flows, read_report

pytestmark = pytest.mark.usefixtures("_wide_terminal")

MUON_MASS = 0.1056584


def by_hand(path: Path) -> tuple[ak.Array, ak.Array, ak.Array]:
    """Select two tight, isolated muons of opposite charge around the Z with awkward alone; also all events."""
    names = ["HLT_IsoMu24", "genWeight", "Pileup_nTrueInt", "run", "luminosityBlock"]
    muon = ["pt", "eta", "phi", "mass", "charge", "dxy", "dz", "tightId", "pfRelIso04_all"]
    with uproot.open(path) as file:
        tree = file["Events"]
        events = tree.arrays([name for name in names if name in tree])
        muons = ak.zip({name: tree[f"Muon_{name}"].array() for name in muon}, with_name="Momentum4D")
    good = muons.tightId & (muons.pfRelIso04_all < 0.15) & (muons.pt > 20) & (abs(muons.eta) < 2.4)
    good = muons[good & (abs(muons.dxy) < 0.2) & (abs(muons.dz) < 0.5)]
    good = good[ak.argsort(good.pt, ascending=False)]
    two = events.HLT_IsoMu24 & (ak.num(good) >= 2)
    pairs = good[two][:, :2]
    e = np.sqrt((pairs.pt * np.cosh(pairs.eta)) ** 2 + MUON_MASS**2)
    px, py, pz = pairs.pt * np.cos(pairs.phi), pairs.pt * np.sin(pairs.phi), pairs.pt * np.sinh(pairs.eta)
    mass = np.sqrt(sum(sign * ak.sum(x, axis=1) ** 2 for sign, x in ((1, e), (-1, px), (-1, py), (-1, pz))))
    kept = (pairs.pt[:, 0] > 26) & (ak.sum(pairs.charge, axis=1) == 0) & (mass > 60) & (mass < 120)
    return pairs[kept], events[two][kept], events


def test_real_data_and_simulation_without_an_era(command: Command, real: Path, tmp_path: Path):
    data, simulation = real / "nanoaod/nano_dimuon.root", real / "nanoaod/nano_dy.root"
    ended = command(*run_words([data, simulation], tmp_path / "out", "--set", "trigger_match=false"))
    assert ended.code == 0
    report, flows = read_report(tmp_path / "out"), cut_flows(tmp_path / "out")
    assert [(one["name"], one["kind"]) for one in report["datasets"]] == [("nano_dimuon", "data"), ("nano_dy", "mc")]
    assert report["status"] == "complete"
    for path in (data, simulation):
        pairs, _, events = by_hand(path)
        flow = flows[path.stem]
        assert flow["all"]["n"] == len(events) == 40
        assert flow["trigger"]["n"] == ak.sum(events.HLT_IsoMu24)
        assert flow["mass_window"]["n"] == len(pairs) > 0
    # What is left out for want of an era is said in the terminal and in the report.
    missing = "no era: corrections, luminosity mask and MET filters off (nano_dimuon, nano_dy)"
    assert missing in ended.out
    assert missing in report["warnings"]
    assert report["corrections"] == []
    assert report["era"] is None
    assert "not normalised: nano_dy: no cross section" in report["warnings"]


def corrected_weights(path: Path, pog: Path) -> np.ndarray:
    """Weights of the pairs selected by hand with the corrections of 2018, from correctionlib alone."""
    pairs, events, _ = by_hand(path)
    muon = correctionlib.CorrectionSet.from_file(str(pog / "MUO/2018_UL/muon_Z.json.gz"))
    pileup = correctionlib.CorrectionSet.from_file(str(pog / "LUM/2018_UL/puWeights.json.gz"))
    weight = ak.to_numpy(events.genWeight).astype(float)
    weight *= pileup["Collisions18_UltraLegacy_goldenJSON"].evaluate(
        ak.to_numpy(events.Pileup_nTrueInt).astype(float), "nominal"
    )
    for key, muons in (
        ("NUM_TightID_DEN_TrackerMuons", (0, 1)),
        ("NUM_TightRelIso_DEN_TightIDandIPCut", (0, 1)),
        ("NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight", (0,)),
    ):
        for number in muons:
            eta, pt = (ak.to_numpy(pairs[name][:, number]).astype(float) for name in ("eta", "pt"))
            weight *= muon[key].evaluate(np.abs(eta), pt, "nominal")
    return weight


def test_real_corrections_of_2018(command: Command, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(real / "pog"))
    data, simulation = real / "nanoaod/nano_dimuon.root", real / "nanoaod/nano_dy.root"
    more = ("--era", "2018", "--set", "trigger_match=false")
    four = ("--set", "corrections=[pileup, muon_id, muon_iso, muon_trigger]")
    ended = command(*run_words([data, simulation], tmp_path / "out", *more, *four))
    assert ended.code == 0
    report, flow = read_report(tmp_path / "out"), cut_flows(tmp_path / "out")["nano_dy"]
    assert (report["era"], report["luminosity"], report["com_energy"]) == ("2018", 59.83, 13.0)
    applied = {one["name"]: one for one in report["corrections"]}
    assert set(applied) == {"luminosity_mask", "pileup", "muon_id", "muon_iso", "muon_trigger"}
    for one in read_provenance(tmp_path / "out").corrections:
        path = Path(one.path)
        assert path.is_relative_to(real)
        assert one.sha256 == applied[one.name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == applied[one.name]["file"]
    # The two files are older than NanoAODv9 and lack one of its event filters, which the terminal and report say.
    assert all(one["counters"]["events_without_branch"]["Flag_BadPFMuonDzFilter"] == 40 for one in report["datasets"])
    assert "Flag_BadPFMuonDzFilter 40" in ended.out
    counters = report["datasets"][1]["counters"]
    assert set(counters["out_of_range"]) >= set(applied) - {"luminosity_mask"}

    weight = corrected_weights(simulation, real / "pog")
    assert flow["corrections"]["n"] == len(weight) > 0
    assert flow["corrections"]["sumw"] == pytest.approx(weight.sum(), rel=1e-6)
    assert flow["corrections"]["sumw"] != pytest.approx(flow["mass_window"]["sumw"], rel=1e-3)
    peak = read_bundle(tmp_path / "out").histograms["mass"]["nano_dy", "z", :, sum]
    assert peak["nominal"].value == pytest.approx(flow["corrections"]["sumw"])
    assert peak["uncorrected"].value == pytest.approx(flow["mass_window"]["sumw"])


def test_the_golden_json_takes_uncertified_blocks_out(
    command: Command, real: Path, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    data = real / "nanoaod/nano_dimuon.root"  # one luminosity block of run 315267
    (tmp_path / "lumi").mkdir()
    (tmp_path / "lumi" / name).write_text(json.dumps({"315267": [[1, 204], [206, 300]]}))
    cases = (
        (data, "2018", f"{real / 'pog'}", real / "lumi" / name),
        (data, "2018", f"{tmp_path}:{real / 'pog'}", tmp_path / "lumi" / name),
        (toys / "data.root", "demo", f"{toys}", toys / "lumi/Cert_demo_Golden.json"),
    )
    found = []
    for path, era, folders, mask in cases:
        monkeypatch.setenv("MUCOFFEA_CORRECTIONS", folders)
        words = run_words(path, tmp_path / "out", "--overwrite", "--era", era, "--set", "corrections=[]")
        assert command(*words).code == 0
        with uproot.open(path) as file:
            run, block = (file["Events"][name].array(library="np") for name in ("run", "luminosityBlock"))
        found.append(cut_flows(tmp_path / "out")[path.stem]["certified"]["n"])
        assert found[-1] == LumiMask(str(mask))(run, block).sum()
    assert found[:2] == [40, 0]
    assert 0 < found[2] < len(run)


def test_open_data_of_2015(command: Command, real: Path, tmp_path: Path):
    file = real / "nanoaod/nanoAOD_2015_CMS_Open_Data_ttbar.root"
    ended = command(*run_words(file, tmp_path / "out"))
    assert ended.code == 0
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert (dataset["kind"], dataset["events_processed"]) == ("mc", 200)
    assert "events without branch: TrigObj 200" in ended.out
    flow = cut_flows(tmp_path / "out")[file.stem]
    with uproot.open(file) as source:
        tree = source["Events"]
        paths = [p for p in ("HLT_IsoMu20", "HLT_IsoTkMu20", "HLT_IsoMu24", "HLT_IsoMu27") if p in tree]
        fired = np.any([tree[path].array(library="np") for path in paths], axis=0)
    assert flow["trigger"]["n"] == fired.sum()


@pytest.mark.parametrize("processor", ["cms_dimuon", pytest.param("cms_four_lepton", marks=pytest.mark.slow)])
def test_the_rntuple_twin_gives_the_identical_result(command: Command, real: Path, tmp_path: Path, processor: str):
    for kind, name in (("tree", "nano_dimuon"), ("ntuple", "nano_dimuon_rntuple")):
        (tmp_path / kind).mkdir()
        shutil.copy(real / f"nanoaod/{name}.root", tmp_path / kind / "nano_dimuon.root")
        file = tmp_path / kind / "nano_dimuon.root"
        assert command(*run_words(file, tmp_path / f"{kind}-out", processor=processor)).code == 0
    one, two = tmp_path / "tree-out", tmp_path / "ntuple-out"
    assert (one / "cutflow.json").read_bytes() == (two / "cutflow.json").read_bytes()
    assert_same_histograms(read_bundle(one), read_bundle(two), tolerance=0)
    for table in one.glob("columns/*.parquet"):
        assert pq.read_table(table).equals(pq.read_table(two / "columns" / table.name))
