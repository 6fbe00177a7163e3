"""Muon scale factors: golden numbers of the real files, all their keys, variations, counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
from mucoffea.corrections import systematics
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord, working_points
from mucoffea.corrections.muon_scale_factors import VARIATIONS, event_weight, muon_scale_factor, muon_weight
from mucoffea.errors import UserError

REAL = Path(__file__).parents[2] / "shared/real"
needs_pog = pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="the real POG files are not here")


@pytest.fixture(scope="module")
def identification() -> CorrectionRecord:
    return Catalogue([REAL / "pog"]).resolve("muon_id", era="2018", pog_folders=["2018_UL"])


def by_hand(path: Path, key: str, **where: float | str) -> float:
    """Read one value from the tree of a correctionlib file, in a way of its own: linear search of the bins."""
    tree = json.loads(gzip.decompress(path.read_bytes()))
    node = next(item["data"] for item in tree["corrections"] if item["name"] == key)
    while isinstance(node, dict):
        if node["nodetype"] == "transform":
            where[node["input"]] = abs(where[node["input"]])
            node = node["content"]
        elif node["nodetype"] == "category":
            node = next(item["value"] for item in node["content"] if item["key"] == where[node["input"]])
        else:
            edges = [float(edge) for edge in node["edges"]]
            node = node["content"][max(i for i in range(len(edges) - 1) if edges[i] <= where[node["input"]])]
    return float(node)


@needs_pog
def test_golden_identification_2018(identification: CorrectionRecord) -> None:
    # POG/MUO/2018_UL/muon_Z.json.gz, NUM_TightID_DEN_TrackerMuons, |eta| 0-0.9, pt 40-50 GeV.
    result = muon_scale_factor(identification, np.array([45.0]), np.array([0.5]))
    assert result.values[0] == 0.9919452184414852
    assert muon_scale_factor(identification, np.array([45.0]), np.array([0.5]), variation="up").values[0] == (
        0.9922409017136408
    )


@needs_pog
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("muon_id", "NUM_TightID_DEN_TrackerMuons"),
        ("muon_iso", "NUM_TightRelIso_DEN_TightIDandIPCut"),
        ("muon_trigger", "NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight"),
    ],
)
def test_bins_by_hand(name: str, key: str) -> None:
    record = Catalogue([REAL / "pog"]).resolve(name, era="2018", pog_folders=["2018_UL"])
    pt, eta = np.array([27.0, 35.0, 55.0, 250.0, 1e5]), np.array([-2.2, 0.95, 1.3, -0.1, 2.39])
    for variation, pog in (("nominal", "nominal"), ("up", "systup"), ("down", "systdown")):
        result = muon_scale_factor(record, pt, eta, variation=variation)
        expected = [by_hand(record.path, key, pt=p, eta=e, scale_factors=pog) for p, e in zip(pt, eta, strict=True)]
        np.testing.assert_allclose(result.values, expected, rtol=1e-15)  # the parsers differ in the last bit
        assert result.out_of_range == 0


@needs_pog
def test_variations_are_total_and_statistical(identification: CorrectionRecord) -> None:
    pt, eta = np.array([22.0, 33.0, 44.0]), np.array([0.3, 1.1, -2.0])
    value = {name: muon_scale_factor(identification, pt, eta, variation=name).values for name in VARIATIONS}
    key = identification.key
    stat, syst = (
        [by_hand(identification.path, key, pt=p, eta=e, scale_factors=kind) for p, e in zip(pt, eta, strict=True)]
        for kind in ("stat", "syst")
    )
    np.testing.assert_allclose(value["statup"] - value["nominal"], stat, rtol=1e-9)
    np.testing.assert_allclose(value["nominal"] - value["statdown"], stat, rtol=1e-9)
    # systup is nominal plus the total uncertainty: statistical and systematic in quadrature.
    np.testing.assert_allclose(value["systup"] - value["nominal"], np.hypot(stat, syst), rtol=1e-9)
    np.testing.assert_array_equal(value["up"], value["systup"])
    for raw in ("stat", "syst", "AltSig", "Up"):
        with pytest.raises(UserError, match="has no variation"):
            muon_scale_factor(identification, pt, eta, variation=raw)


@needs_pog
def test_outside_is_one_and_counted(identification: CorrectionRecord) -> None:
    pt = ak.Array([[14.9, 45.0], [], [45.0, np.nan]])
    eta = ak.Array([[0.5, 0.5], [], [2.4, 0.5]])
    for variation in ("nominal", "down", "statup"):
        result = muon_scale_factor(identification, pt, eta, variation=variation)
        assert result.out_of_range == 3
        assert result.values[0, 0] == result.values[2, 0] == result.values[2, 1] == 1.0
        assert 0.99 < result.values[0, 1] < 0.993
    np.testing.assert_array_equal(event_weight(muon_scale_factor(identification, pt, eta).values)[1:], [1.0, 1.0])


@needs_pog
@pytest.mark.parametrize(
    "empty",
    [
        np.array([], dtype=np.float32),
        ak.Array(np.zeros((0, 2)))[:, :0],
        ak.values_astype(ak.Array([[], []]), np.float32),
    ],
)
def test_empty(identification: CorrectionRecord, empty: object) -> None:
    result = muon_scale_factor(identification, empty, empty)
    assert (len(result.values), result.out_of_range) == (len(empty), 0)
    if empty.ndim > 1:
        np.testing.assert_array_equal(event_weight(result.values), np.ones(len(empty)))


def test_event_weight_is_the_product() -> None:
    weight = event_weight(ak.Array([[0.5, 4.0], [], [3.0]]))
    np.testing.assert_array_equal(weight, [2.0, 1.0, 3.0])
    assert weight.dtype == np.float64
    np.testing.assert_array_equal(event_weight(np.array([[0.5, 4.0], [1.0, 3.0]])), [2.0, 3.0])


FOLDERS = {"2016postVFP": "2016postVFP_UL", "2018": "2018_UL", "2022postEE": "2022_Summer22EE"}
#: Correction → file, and a pt in GeV at which all of its keys have a value.
WEIGHTS = {
    "muon_reco": ("muon_Z", 50.0),
    "muon_id": ("muon_Z", 50.0),
    "muon_iso": ("muon_Z", 50.0),
    "muon_trigger": ("muon_Z", 60.0),
    "muon_id_low_pt": ("muon_JPsi", 10.0),
    "muon_reco_high_pt": ("muon_HighPt", 300.0),
    "muon_id_high_pt": ("muon_HighPt", 300.0),
    "muon_iso_high_pt": ("muon_HighPt", 300.0),
    "muon_trigger_high_pt": ("muon_HighPt", 300.0),
}


def all_records(era: str) -> list[CorrectionRecord]:
    """Return every working point of every weight of muons in this era."""
    search = Catalogue([REAL / "pog"])
    names = [name for name in WEIGHTS if (name, era) != ("muon_reco", "2022postEE")]
    return [
        search.resolve(name, era=era, pog_folders=[FOLDERS[era]], working_point=point)
        for name in names
        for point in working_points(name, era)
    ]


@needs_pog
@pytest.mark.parametrize("era", FOLDERS)
def test_every_key_of_the_real_files_equals_correctionlib_by_hand(era: str) -> None:
    records = all_records(era)
    for file in ("muon_Z", "muon_JPsi", "muon_HighPt"):
        path = REAL / "pog/MUO" / FOLDERS[era] / f"{file}.json.gz"
        by_hand = correctionlib.CorrectionSet.from_file(str(path))
        here = [record for record in records if WEIGHTS[record.name][0] == file]
        assert {record.key for record in here} == set(by_hand)
        assert {record.path for record in here} == {path}
        for record in here:
            check_spot_values(record, by_hand[record.key])


def check_spot_values(record: CorrectionRecord, by_hand: correctionlib.highlevel.Correction) -> None:
    pt, eta = np.full((3, 1), WEIGHTS[record.name][1]), np.array([[0.3], [-1.1], [2.05]])
    last = pt * np.cosh(eta) if by_hand.inputs[1].name == "p" else pt
    places = list(zip(eta[:, 0], last[:, 0], strict=True))
    value = {name: evaluated(by_hand, places, name) for name in ("nominal", "systup", "systdown", "stat", "syst")}
    weight = muon_weight(record, pt, eta)
    assert (weight.out_of_range, weight.clamped) == (0, 0), record.key
    np.testing.assert_array_equal(weight.nominal, value["nominal"])
    varied = {name.removeprefix(f"{record.name}_"): values for name, values in weight.variations.items()}
    if np.isnan(value["stat"]).any():
        value |= {"stat": 0.0, "up": value["systup"], "down": value["systdown"]}
    else:
        value |= {"up": value["nominal"] + value["syst"], "down": value["nominal"] - value["syst"]}
    np.testing.assert_allclose(varied["statUp"], value["nominal"] + value["stat"], rtol=1e-14)
    np.testing.assert_allclose(varied["statDown"], value["nominal"] - value["stat"], rtol=1e-14)
    np.testing.assert_allclose(varied["systUp"], value["up"], rtol=1e-14)
    np.testing.assert_allclose(varied["systDown"], value["down"], rtol=1e-14)
    assert set(weight.variations) <= {name for one in systematics.sources().values() for name in one.variations}


def evaluated(by_hand: correctionlib.highlevel.Correction, places: list[tuple[float, float]], name: str) -> np.ndarray:
    """Return the values, NaN where the file has none."""
    try:
        return np.array([by_hand.evaluate(float(eta), float(pt), name) for eta, pt in places])
    except (IndexError, RuntimeError):
        return np.full(len(places), np.nan)


@needs_pog
def test_a_file_with_the_total_uncertainty_alone() -> None:
    record = Catalogue([REAL / "pog"]).resolve("muon_id_low_pt", era="2018", pog_folders=["2018_UL"])
    pt, eta = ak.Array([[5.0, 12.0], [], [8.0]]), ak.Array([[0.3, -1.3], [], [2.1]])
    weight = muon_weight(record, pt, eta)
    for direction, name in (("Up", "up"), ("Down", "down")):
        np.testing.assert_array_equal(weight.variations[f"muon_id_low_pt_stat{direction}"], weight.nominal)
        total = event_weight(muon_scale_factor(record, pt, eta, variation=name).values)
        np.testing.assert_array_equal(weight.variations[f"muon_id_low_pt_syst{direction}"], total)
        assert np.all((total != weight.nominal) == [True, False, True])
        stat = muon_scale_factor(record, pt, eta, variation=f"stat{name}").values
        assert ak.all(stat == muon_scale_factor(record, pt, eta).values)


@needs_pog
def test_weight_of_an_event_is_the_product_in_every_variation(identification: CorrectionRecord) -> None:
    pt, eta = ak.Array([[45.0, 33.0], [], [10.0], [70.0]]), ak.Array([[0.5, -2.1], [], [0.0], [1.0]])
    weight = muon_weight(identification, pt, eta)
    assert (weight.nominal[1], weight.nominal[2], weight.out_of_range) == (1.0, 1.0, 1)
    key = identification.key
    factors = [
        {kind: by_hand(identification.path, key, pt=p, eta=e, scale_factors=kind) for kind in ("nominal", "stat")}
        for p, e in ((45.0, 0.5), (33.0, -2.1))
    ]
    assert weight.nominal[0] == pytest.approx(np.prod([one["nominal"] for one in factors]), rel=1e-14)
    up = np.prod([one["nominal"] + one["stat"] for one in factors])
    assert weight.variations["muon_id_statUp"][0] == pytest.approx(up, rel=1e-14)
    assert weight.variations["muon_id_systDown"][1:3].tolist() == [1.0, 1.0]
    square = muon_weight(identification, np.array([[45.0, 33.0]]), np.array([[0.5, -2.1]]))
    np.testing.assert_array_equal(square.nominal, weight.nominal[:1])


@needs_pog
def test_the_era_without_reconstruction_says_so() -> None:
    with pytest.raises(UserError, match="'muon_reco' is not known for era '2022postEE'"):
        Catalogue([REAL / "pog"]).resolve("muon_reco", era="2022postEE", pog_folders=["2022_Summer22EE"])
