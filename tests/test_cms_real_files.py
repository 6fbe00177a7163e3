"""Every CMS analysis with official correction files on real NanoAOD, all systematics on; its weights as correctionlib
gives them.
"""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea import cli
from mucoffea.histograms.storage import read_hdf5

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real input files are not here")
POG = REAL / "pog"
#: What these files do not have: prefiring and electron scale branches are of NanoAODv9, RoccoR2016bUL is not here.
WITHOUT = {
    "nano_dy.root": {"prefiring", "electron_energy"},
    "nano_dimuon.root": set(),
    "nano_tt_v12.root": set(),
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": {"prefiring", "electron_energy", "muon_momentum"},
}
ERAS = {
    "nano_dy.root": "2018",
    "nano_dimuon.root": "2018",
    "nano_tt_v12.root": "2022postEE",
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": "2016postVFP",
}
FAST = ("cms_dimuon", "nano_dy.root")


def run(analysis: str, file: str, out: Path, *more: str) -> Path:
    """Run ``analysis`` over a real file with everything that the file has, and return the result."""
    from mucoffea.processors import find_analysis

    asked = find_analysis(analysis)().parameters.corrections
    kept = [name for name in asked if name not in WITHOUT[file] and not name.startswith("btag_eff")]
    words = [
        *("--datasets", str(REAL / "nanoaod" / file), "--processor", analysis, "--era", ERAS[file]),
        *("--systematics", "all", "--output-dir", str(out), "--no-plots", "--set", "triggers=[]"),
        *("--set", "met_filters=false", "--set", f"corrections=[{', '.join(kept)}]", *more),
    ]
    assert cli.main(words) == 0
    return out


def cases() -> list:
    """Analysis and file; all but one are slow."""
    found = []
    for analysis in ("cms_dimuon", "cms_dielectron", "cms_four_lepton", "cms_leptons_jets"):
        for file in ERAS:
            if (analysis, ERAS[file]) == ("cms_leptons_jets", "2016postVFP"):
                continue  # there is no b-tagging file of that era here
            marks = [] if (analysis, file) == FAST else [pytest.mark.slow]
            found.append(pytest.param(analysis, file, marks=marks))
    return found


@pytest.mark.parametrize(("analysis", "file"), cases())
def test_real_events_go_through_with_all_corrections(
    analysis: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(POG))
    more = () if analysis == "cms_four_lepton" else ("--set", "trigger_match=false")
    out = run(analysis, file, tmp_path / "out", *more)
    report = json.loads((out / "report.json").read_text())
    (dataset,) = report["datasets"]
    assert dataset["events_processed"] == dataset["events_planned"] > 0
    used = {row["name"] for row in report["corrections"]}
    assert used >= ({"muon_id"} if "dielectron" not in analysis else {"electron_id", "met_xy"})
    for histogram in read_hdf5(out / "histograms.h5").values():
        content = histogram.view(flow=True)
        assert all(np.isfinite(content[field]).all() for field in ("value", "variance"))


def test_the_weights_of_real_muons_are_those_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(POG))
    alone = ("--set", "trigger_match=false", "--set", "electron_muon=false", "--set", "missing_momentum=false")
    out = run(
        "cms_dimuon", "nano_dy.root", tmp_path / "out", *alone, "--set", "corrections=[pileup, muon_id, muon_iso]"
    )
    mass = read_hdf5(out / "histograms.h5")["mass"]
    with uproot.open(REAL / "nanoaod" / "nano_dy.root") as file:
        tree = file["Events"]
        names = ("pt", "eta", "phi", "mass", "charge", "tightId", "pfRelIso04_all", "dxy", "dz")
        muons = ak.zip({name: tree[f"Muon_{name}"].array() for name in names})
        weight, n_true = tree["genWeight"].array(library="np"), tree["Pileup_nTrueInt"].array(library="np")
    good = muons[
        (muons.pt > 20) & (abs(muons.eta) < 2.4) & muons.tightId & (muons.pfRelIso04_all < 0.15)
        & (abs(muons.dxy) < 0.2) & (abs(muons.dz) < 0.5)
    ]  # fmt: skip
    pair = ak.num(good) >= 2
    one, two = good[pair][:, 0], good[pair][:, 1]
    m2 = 2 * one.pt * two.pt * (np.cosh(one.eta - two.eta) - np.cos(one.phi - two.phi))
    chosen = (one.pt > 26) & (one.charge + two.charge == 0) & (m2 > 60**2) & (m2 < 120**2)
    files = {name: correctionlib.CorrectionSet.from_file(str(POG / name)) for name in FILES}
    pu = files["LUM/2018_UL/puWeights.json.gz"]["Collisions18_UltraLegacy_goldenJSON"]
    muon = files["MUO/2018_UL/muon_Z.json.gz"]
    expected = {}
    for variation, kinds in {
        "nominal": ("nominal", None, 0),
        "pileupUp": ("up", None, 0),
        "muon_id_systDown": ("nominal", "syst", -1),
    }.items():
        factor = weight[ak.to_numpy(pair)] * pu.evaluate(n_true[ak.to_numpy(pair)].astype(float), kinds[0])
        for key in ("NUM_TightID_DEN_TrackerMuons", "NUM_TightRelIso_DEN_TightIDandIPCut"):
            for lepton in (one, two):
                value = muon[key].evaluate(lepton.eta, lepton.pt, "nominal")
                if kinds[1] and "TightID_DEN_TrackerMuons" in key:
                    value = value + kinds[2] * muon[key].evaluate(lepton.eta, lepton.pt, kinds[1])
                factor = factor * ak.to_numpy(value)
        expected[variation] = factor[ak.to_numpy(chosen)].sum()
    for variation, value in expected.items():
        found = mass[{"region": "z", "variation": variation}].sum(flow=True).value
        assert found == pytest.approx(value, rel=1e-9), variation


FILES = ("LUM/2018_UL/puWeights.json.gz", "MUO/2018_UL/muon_Z.json.gz")
