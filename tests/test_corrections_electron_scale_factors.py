"""Electron scale factors: equal to correctionlib by hand for every working point of the official files, and their
corners.
"""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.corrections.catalogue import Catalogue, working_points
from mucoffea.corrections.electron_scale_factors import electron_scale_factor, electron_weight
from mucoffea.errors import UserError
from mucoffea.filesets.eras import find_era
from mucoffea.toys.cms_distortions import write_corrections

ERAS = ("2016postVFP", "2018", "2022postEE")
YEAR = {"2016postVFP": "2016postVFP", "2018": "2018", "2022postEE": "2022Re-recoE+PromptFG"}
KEY = {"2016postVFP": "UL-Electron-ID-SF", "2018": "UL-Electron-ID-SF", "2022postEE": "Electron-ID-SF"}
ELECTRONS = {"pt": np.array([12.0, 25.0, 45.0, 80.0, 300.0]), "eta": np.array([-2.3, -0.4, 0.9, 1.7, 2.2])}
NAMES = {
    **{name: name.capitalize() for name in ("veto", "loose", "medium", "tight")},
    **{f"mva{kind}_WP{n}": f"wp{n}{iso}" for n in (80, 90)
       for kind, iso in (("Fall17V2Iso", "iso"), ("Fall17V2noIso", "noiso"), ("Iso", "iso"), ("NoIso", "noiso"))},
}  # fmt: skip


def record(real: Path, name: str, era: str, point: str | None = None):
    return Catalogue([real / "pog"]).resolve(name, era=era, pog_folders=find_era(era).pog_folders, working_point=point)


def by_hand(path: Path, key: str, year: str, point: str, kind: str, eta: np.ndarray, pt: np.ndarray) -> np.ndarray:
    correction = correctionlib.CorrectionSet.from_file(str(path))[key]
    found = []
    for one_eta, one_pt in zip(eta, pt, strict=True):
        try:
            found.append(correction.evaluate(year, kind, point, float(one_eta), float(one_pt)))
        except (RuntimeError, IndexError):
            found.append(1.0)
    return np.array(found)


@pytest.mark.parametrize("era", ERAS)
def test_every_working_point_equals_correctionlib(real: Path, era: str):
    for point in working_points("electron_id", era):
        one = record(real, "electron_id", era, point)
        for kind in ("sf", "sfup", "sfdown"):
            values, outside, _ = electron_scale_factor(one, ELECTRONS["pt"], ELECTRONS["eta"], variation=kind)
            expected = by_hand(one.path, KEY[era], YEAR[era], NAMES[point], kind, ELECTRONS["eta"], ELECTRONS["pt"])
            assert np.array_equal(values, expected), (point, kind)
        assert outside == np.count_nonzero(expected == 1.0)


@pytest.mark.parametrize(
    ("era", "points"),
    [
        ("2016postVFP", ["RecoBelow20", "RecoAbove20", "RecoAbove20", "RecoAbove20", "RecoAbove20"]),
        ("2018", ["RecoBelow20", "RecoAbove20", "RecoAbove20", "RecoAbove20", "RecoAbove20"]),
        ("2022postEE", ["RecoBelow20", "Reco20to75", "Reco20to75", "RecoAbove75", "RecoAbove75"]),
    ],
)
def test_reconstruction_takes_the_working_point_of_the_momentum(real: Path, era: str, points: list[str]):
    one = record(real, "electron_reco", era)
    for kind in ("sf", "sfup", "sfdown"):
        values, outside, _ = electron_scale_factor(one, ELECTRONS["pt"], ELECTRONS["eta"], variation=kind)
        for place, point in enumerate(points):
            part = {name: column[place : place + 1] for name, column in ELECTRONS.items()}
            (expected,) = by_hand(one.path, KEY[era], YEAR[era], point, kind, part["eta"], part["pt"])
            assert values[place] == expected, (place, kind)
    assert outside == 0


def test_the_trigger_of_2022(real: Path):
    correction = correctionlib.CorrectionSet.from_file(str(real / "pog/EGM/2022_Summer22EE/electronHlt.json.gz"))
    paths = {"loose": "LooseID", "medium": "MediumID", "tight": "TightID", "mvaIso_WP80": "MVAiso80ID"}
    pt, eta = ELECTRONS["pt"][2:], ELECTRONS["eta"][2:]
    for point, path in paths.items():
        one = record(real, "electron_trigger", "2022postEE", point)
        values, outside, _ = electron_scale_factor(one, ELECTRONS["pt"], ELECTRONS["eta"])
        expected = correction["Electron-HLT-SF"].evaluate(YEAR["2022postEE"], "sf", f"HLT_SF_Ele30_{path}", eta, pt)
        assert np.array_equal(values[2:], expected)
        assert values[0] == 1.0
        assert outside >= 1  # below the threshold of the trigger


@pytest.mark.parametrize(
    ("era", "file"),
    [("2018", "nano_dy"), ("2022postEE", "nano_tt_v12"), ("2016postVFP", "nanoAOD_2015_CMS_Open_Data_ttbar")],
)
def test_real_electrons(real: Path, era: str, file: str):
    with uproot.open(real / f"nanoaod/{file}.root") as root:
        pt, eta, delta = (root["Events"][f"Electron_{name}"].array() for name in ("pt", "eta", "deltaEtaSC"))
    one = record(real, "electron_id", era, "medium")
    factor = electron_weight(one, pt, eta + delta)
    assert len(factor.nominal) == len(pt)
    flat = [ak.to_numpy(ak.flatten(column)).astype(float) for column in (eta + delta, pt)]
    per_electron = by_hand(one.path, KEY[era], YEAR[era], "Medium", "sf", *flat)
    expected = ak.to_numpy(ak.prod(ak.unflatten(per_electron, ak.num(pt)), axis=1))
    np.testing.assert_allclose(factor.nominal, expected, rtol=1e-14)
    assert np.all(factor.variations["electron_idUp"] >= factor.nominal - 1e-12)
    assert np.all(factor.variations["electron_idDown"] <= factor.nominal + 1e-12)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("corrections")
    write_corrections(folder)
    return lambda name: Catalogue([folder]).resolve(name, era="demo", pog_folders=["demo"])


@pytest.mark.parametrize("name", ["electron_id", "electron_reco"])
def test_jagged_and_rectangular_agree(toy, name: str):
    rng = np.random.default_rng(1)
    pt, eta = rng.uniform(21, 90, (40, 2)), rng.uniform(-2.4, 2.4, (40, 2))
    flat = electron_weight(toy(name), pt, eta)
    jagged = electron_weight(toy(name), ak.from_regular(ak.Array(pt)), ak.from_regular(ak.Array(eta)))
    assert np.array_equal(flat.nominal, jagged.nominal)
    assert set(flat.variations) == {f"{name}Up", f"{name}Down"}
    for variation, values in flat.variations.items():
        assert np.array_equal(values, jagged.variations[variation])
    reversed_order = electron_weight(toy(name), pt[::-1], eta[::-1])
    assert np.array_equal(reversed_order.nominal[::-1], flat.nominal)


def test_corners(toy):
    none = electron_weight(toy("electron_id"), ak.Array([[], []]), ak.Array([[], []]))
    assert none.nominal.tolist() == [1.0, 1.0]
    lost = electron_weight(toy("electron_id"), np.array([[np.nan], [2.0]]), np.array([[0.1], [0.1]]))
    assert lost.nominal.tolist() == [1.0, 1.0]
    assert lost.out_of_range == 2
    with pytest.raises(UserError, match="no variation 'up'"):
        electron_scale_factor(toy("electron_id"), np.array([30.0]), np.array([0.1]), variation="up")
