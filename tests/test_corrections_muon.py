"""Muon scale factors and momentum scale: golden numbers of the real files, closure, counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.muon_momentum import scaled_pt
from mucoffea.corrections.muon_scale_factors import VARIATIONS, event_weight, muon_scale_factor
from mucoffea.errors import UserError

REAL = Path(__file__).parents[2] / "shared/real"
needs_pog = pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="the real POG files are not here")


@pytest.fixture(scope="module")
def identification() -> CorrectionRecord:
    return Catalogue([REAL / "pog"]).resolve("muon_id", era="2018", pog_folders=["2018_UL"])


@pytest.fixture(scope="module")
def scale() -> CorrectionRecord:
    return Catalogue([REAL / "pog"]).resolve("muon_scale", era="2022postEE", pog_folders=["2022_Summer22EE"])


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


@needs_pog
@pytest.mark.parametrize("is_data", [True, False])
def test_scale_by_hand(scale: CorrectionRecord, is_data: bool) -> None:
    kind = "data" if is_data else "mc"
    pt, eta, phi = np.array([30.0, 45.0, 120.0]), np.array([-2.2, 0.5, 1.9]), np.array([-3.0, 0.5, 3.1])
    charge = np.array([1, -1, 1])
    result = scaled_pt(scale, pt, eta, phi, charge, is_data=is_data)
    for i in range(3):
        place = {"eta": eta[i], "phi": phi[i], "variation": "nom"}
        m, a = (by_hand(scale.path, f"{role}_{kind}", **place) for role in ("m", "a"))
        assert result.values[i] == pytest.approx(1.0 / (m / pt[i] + charge[i] * a), rel=1e-14)
    assert (result.out_of_range, result.clamped) == (0, 0)
    assert np.all(np.abs(result.values / pt - 1) < 0.05)


@needs_pog
def test_scale_outside_is_unchanged_and_counted(scale: CorrectionRecord) -> None:
    pt = ak.Array([[25.9, 26.0], [], [200.1, np.nan, 50.0]])
    eta, phi = ak.zeros_like(pt), ak.ones_like(pt)
    eta = ak.Array([[0.0, 0.0], [], [0.0, 0.0, 2.45]])
    result = scaled_pt(scale, pt, eta, phi, ak.ones_like(pt), is_data=True)
    assert (result.out_of_range, result.clamped) == (3, 1)
    assert (result.values[0, 0], result.values[2, 0]) == (25.9, 200.1)
    assert result.values[0, 1] != 26.0
    assert np.isnan(result.values[2, 1])
    single = scaled_pt(scale, np.array([26.0]), np.zeros(1), np.ones(1), np.ones(1), is_data=True)
    assert result.values[0, 1] == single.values[0]


@needs_pog
def test_scale_variation_follows_the_published_formula(scale: CorrectionRecord) -> None:
    pt, eta, phi, charge = (np.array([x]) for x in (45.0, 0.5, 0.5, -1.0))
    nominal, up, down = (
        scaled_pt(scale, pt, eta, phi, charge, is_data=False, variation=name).values[0]
        for name in ("nom", "up", "down")
    )
    where = {"eta": 0.5, "phi": 0.5}
    m, a = (by_hand(scale.path, f"{role}_mc", **where, variation="stat") for role in ("m", "a"))
    rho = by_hand(scale.path, "m_mc", **where, variation="rho_stat")
    covariance = np.array([[m * m, rho * m * a], [rho * m * a, a * a]])
    gradient = np.array([1 / nominal, -1.0])  # of the curvature, with respect to m and a, for charge -1
    expected = nominal**2 * np.sqrt(gradient @ covariance @ gradient)
    assert up - nominal == pytest.approx(expected, rel=1e-9)
    assert nominal - down == pytest.approx(expected, rel=1e-9)
    with pytest.raises(UserError, match="in simulation only"):
        scaled_pt(scale, pt, eta, phi, charge, is_data=True, variation="up")


def write_scale(path: Path, m: float, a: float) -> CorrectionRecord:
    inputs = [{"name": "eta", "type": "real"}, {"name": "phi", "type": "real"}, {"name": "variation", "type": "string"}]

    def table(name: str, value: float) -> dict:
        leaf = {"nodetype": "category", "input": "variation", "content": [{"key": "nom", "value": value}]}
        data = {"nodetype": "binning", "input": "eta", "edges": [-2.4, 2.4], "content": [leaf], "flow": "error"}
        return {"name": name, "version": 1, "inputs": inputs, "output": {"name": "x", "type": "real"}, "data": data}

    tables = [table("m_data", m), table("a_data", a), table("m_mc", 1.0), table("a_mc", 0.0)]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schema_version": 2, "corrections": tables}))
    return Catalogue([path.parents[3]]).resolve("muon_scale", era="demo", pog_folders=["demo"])


def test_scale_closure_and_undefined_places(tmp_path: Path) -> None:
    record = write_scale(tmp_path / "POG/MUO/demo/muon_scalesmearing.json", m=1.01, a=2e-4)
    rng = np.random.default_rng(3)
    true_pt, charge = rng.uniform(5, 500, 1000), rng.choice([-1, 1], 1000)
    distorted = 1.01 / (1 / true_pt - charge * 2e-4)
    eta = rng.uniform(-2.3, 2.3, 1000)
    result = scaled_pt(record, distorted, eta, eta, charge, is_data=True)
    np.testing.assert_allclose(result.values, true_pt, rtol=1e-12)
    assert result.out_of_range == 0
    simulation = scaled_pt(record, distorted, eta, eta, charge, is_data=False)
    np.testing.assert_allclose(simulation.values, distorted, rtol=1e-15)
    # Outside the table, and a curvature turned through zero, leave pt alone.
    odd = scaled_pt(record, np.array([50.0, 1e5]), np.array([2.5, 0.0]), np.zeros(2), np.array([1, -1]), is_data=True)
    assert (odd.values.tolist(), odd.out_of_range) == ([50.0, 1e5], 2)
