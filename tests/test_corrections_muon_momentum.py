"""Muon momentum of Run 3: the recipe of the POG by hand, ranges and counts, variations, random numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from mucoffea.corrections import muon_momentum
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.muon_momentum import STREAM, VARIATIONS, corrected_pt
from mucoffea.corrections.random_numbers import uniform
from mucoffea.errors import UserError
from scipy import stats

REAL = Path(__file__).parents[2] / "shared/real"
N = 4_000
LOW, HIGH = 26.0, 200.0


@pytest.fixture(scope="module")
def record(real: Path) -> CorrectionRecord:
    return Catalogue([real / "pog"]).resolve("muon_momentum", era="2022postEE", pog_folders=["2022_Summer22EE"])


@pytest.fixture(scope="module")
def files(record: CorrectionRecord) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(str(record.path))


@pytest.fixture(scope="module")
def muons() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "pt": np.concatenate([rng.uniform(15, 220, N - 200), rng.uniform(25.9, 26.1, 100), rng.uniform(199, 201, 100)]),
        "eta": rng.uniform(-2.39, 2.39, N),
        "phi": rng.uniform(-np.pi, np.pi, N),
        "charge": rng.choice([-1, 1], N),
        "nTrackerLayers": rng.integers(5, 19, N),
    }


def identity(n: int) -> tuple[np.ndarray, ...]:
    return np.full(n, 1), np.arange(n) // 100, np.arange(n)


def corrected(record: CorrectionRecord, muons: Any, *, is_data: bool = False, variation: str = "nominal") -> Any:
    n = len(muons["pt"])
    index = np.zeros(n, np.int64)
    return corrected_pt(record, muons, identity=identity(n), index=index, is_data=is_data, variation=variation)


def scaled_by_hand(files: Any, muons: dict[str, np.ndarray], kind: str) -> np.ndarray:
    m, a = (files[f"{name}_{kind}"].evaluate(muons["eta"], muons["phi"], "nom") for name in ("m", "a"))
    return 1.0 / (m / muons["pt"] + muons["charge"] * a)


def parameters(files: Any, muons: dict[str, np.ndarray], name: str, n: int) -> list[np.ndarray]:
    absolute, layers = np.abs(muons["eta"]), muons["nTrackerLayers"].astype(float)
    return [files[name].evaluate(absolute, layers, i) for i in range(n)]


def shift_by_hand(files: Any, muons: dict[str, np.ndarray], scaled: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return k σ z, NaN without resolution; z is from scipy's function of one tail, mirrored."""
    first, second, third = parameters(files, muons, "poly_params", 3)
    sigma = np.maximum(first + second * scaled + third * scaled**2, 0.0)
    k_data, k_mc = (files[name].evaluate(np.abs(muons["eta"]), "nom") for name in ("k_data", "k_mc"))
    k = np.where(k_mc < k_data, np.sqrt(np.maximum(k_data**2 - k_mc**2, 0.0)), 0.0)
    z = np.full(len(u), np.nan)
    for i, (mean, width, n, alpha) in enumerate(zip(*parameters(files, muons, "cb_params", 4), strict=True)):
        if width > 0 and n > 1 and alpha > 0:
            one = stats.crystalball(beta=alpha, m=n)
            below = 2.0 * min(u[i], 1.0 - u[i]) * one.cdf(0.0)
            with np.errstate(over="ignore"):  # n is 1.00005 in one bin
                z[i] = mean + width * np.sign(0.5 - u[i]) * one.ppf(below)
    return k * sigma * z


@pytest.mark.parametrize("is_data", [True, False])
def test_the_scale_by_hand(record: CorrectionRecord, files: Any, muons: Any, is_data: bool) -> None:
    steady = muons | {"eta": np.abs(muons["eta"]) % 0.4}  # k is 0 there: simulation is not smeared
    found = corrected(record, steady, is_data=is_data)
    inside = (steady["pt"] >= LOW) & (steady["pt"] <= HIGH)
    expected = np.where(inside, scaled_by_hand(files, steady, "data" if is_data else "mc"), steady["pt"])
    np.testing.assert_allclose(found.pt, expected, rtol=1e-14)
    assert np.all(found.pt[~inside] == steady["pt"][~inside])
    assert found.clamped == 0


def test_scale_and_smearing_by_hand(record: CorrectionRecord, files: Any, muons: Any) -> None:
    few = {name: column[-1000:] for name, column in muons.items()}
    n = len(few["pt"])
    u = np.asarray(uniform(identity(n), stream=STREAM, index=np.zeros(n, np.int64)))
    inside = (few["pt"] >= LOW) & (few["pt"] <= HIGH)
    scaled = scaled_by_hand(files, few, "mc")
    again = inside & (scaled >= LOW) & (scaled <= HIGH)
    shift = shift_by_hand(files, few, scaled, u)
    k_is_zero = np.less_equal(*(files[name].evaluate(np.abs(few["eta"]), "nom") for name in ("k_data", "k_mc")))
    reasonable = (np.abs(shift) < np.inf) & (1 + shift >= 0.1) & (1 + shift <= 2.0)
    expected = np.where(again & reasonable, scaled * (1 + shift), np.where(inside, scaled, few["pt"]))
    found = corrected(record, few)
    np.testing.assert_allclose(found.pt, expected, rtol=1e-9)
    # Every branch of the recipe is met, and what is not as the file says is counted once.
    assert np.count_nonzero(inside & ~again) > 0
    assert np.count_nonzero(again & ~reasonable & np.isnan(shift)) > 0
    assert np.count_nonzero(again & ~reasonable & ~np.isnan(shift)) > 0
    assert found.out_of_range == np.count_nonzero(~(again & (reasonable | k_is_zero)))


def test_outside_is_unchanged_and_counted(record: CorrectionRecord) -> None:
    pt = ak.Array([[25.9, 26.0], [], [200.1, np.nan, 50.0]])
    eta = ak.Array([[0.0, 0.0], [], [0.0, 0.0, 2.45]])
    same = ak.ones_like(pt)
    muons = ak.zip({"pt": pt, "eta": eta, "phi": same, "charge": same, "nTrackerLayers": 12 * same})
    known = {"identity": identity(3), "index": ak.local_index(pt)}
    for is_data, variations in ((True, ("nominal",)), (False, VARIATIONS)):
        for variation in variations:
            found = corrected_pt(record, muons, is_data=is_data, variation=variation, **known)
            assert (found.out_of_range, found.clamped) == (3, 1)
            assert (found.pt[0, 0], found.pt[2, 0]) == (25.9, 200.1)
            assert found.pt[0, 1] != 26.0
            assert np.isnan(found.pt[2, 1])
            assert ak.num(found.pt).tolist() == [2, 0, 3]
    assert ak.to_list(pt[0]) == [25.9, 26.0]


def test_extreme_muons_raise_no_warning(record: CorrectionRecord) -> None:
    # Warnings are errors here: the uncertainty of a scale of 1e300 once overflowed.
    pt = np.array([0.0, -1.0, 1e-300, 1e300, np.inf, np.nan, 26.0, 200.0])
    n = len(pt)
    muons = {
        "pt": pt,
        "eta": np.full(n, 2.1),
        "phi": np.zeros(n),
        "charge": np.ones(n),
        "nTrackerLayers": np.full(n, 5),
    }
    for variation in VARIATIONS:
        found = corrected(record, muons, variation=variation)
        np.testing.assert_array_equal(found.pt[:6], pt[:6])
        assert np.all(np.isfinite(found.pt[6:]))


def test_bins_without_resolution_have_the_scale_alone(record: CorrectionRecord, files: Any) -> None:
    n = 50
    muons = {"pt": np.full(n, 60.0), "eta": np.full(n, 1.7), "phi": np.linspace(-3, 3, n)}
    muons |= {"charge": np.ones(n), "nTrackerLayers": np.full(n, 6)}
    assert [files["cb_params"].evaluate(1.7, 6.0, i) for i in range(4)] == [0.0] * 4
    found = corrected(record, muons)
    assert found.out_of_range == n
    np.testing.assert_allclose(found.pt, scaled_by_hand(files, muons, "mc"), rtol=1e-14)
    np.testing.assert_array_equal(corrected(record, muons, variation="muon_resolutionUp").pt, found.pt)
    assert corrected(record, muons | {"nTrackerLayers": np.full(n, 14)}).out_of_range == 0


def test_variation_of_the_scale_follows_the_covariance(record: CorrectionRecord, files: Any, muons: Any) -> None:
    nominal = corrected(record, muons)
    place = muons["eta"], muons["phi"]
    m, rho = (files["m_mc"].evaluate(*place, name) for name in ("stat", "rho_stat"))
    a = files["a_mc"].evaluate(*place, "stat")
    covariance = np.array([[m * m, rho * m * a], [rho * m * a, a * a]])
    gradient = np.array([1 / nominal.pt, muons["charge"]])  # of the curvature, with respect to m and a
    expected = nominal.pt**2 * np.sqrt(np.einsum("in,ijn,jn->n", gradient, covariance, gradient))
    inside = (muons["pt"] >= LOW) & (muons["pt"] <= HIGH)
    for direction, sign in (("Up", 1.0), ("Down", -1.0)):
        varied = corrected(record, muons, variation=f"muon_scale{direction}")
        assert varied[1:] == nominal[1:]
        np.testing.assert_allclose(varied.pt, nominal.pt + sign * np.where(inside, expected, 0.0), rtol=1e-12)
    assert 1e-4 < np.median(expected / nominal.pt) < 1e-3


def test_variation_of_the_resolution_by_hand(record: CorrectionRecord, files: Any, muons: Any) -> None:
    nominal, absolute = corrected(record, muons), np.abs(muons["eta"])
    part = files["k_mc"].evaluate(absolute, "stat") / files["k_mc"].evaluate(absolute, "nom")
    inside = (muons["pt"] >= LOW) & (muons["pt"] <= HIGH)
    scaled = np.where(inside, scaled_by_hand(files, muons, "mc"), muons["pt"])
    up, down = (corrected(record, muons, variation=f"muon_resolution{one}").pt for one in ("Up", "Down"))
    for varied, sign in ((up, 1.0), (down, -1.0)):
        factor = 1.0 + (1.0 + sign * part) * (nominal.pt / scaled - 1.0)
        expected = scaled * np.where((factor >= 0.1) & (factor <= 2.0), factor, 1.0)
        np.testing.assert_allclose(varied, expected, rtol=1e-10)
    assert np.std(up / scaled) > np.std(nominal.pt / scaled) > np.std(down / scaled)
    assert np.all((up == scaled) == (nominal.pt == scaled))


def test_nominal_is_the_same_with_and_without_variations(record: CorrectionRecord, muons: Any) -> None:
    first, given = corrected(record, muons), {name: column.copy() for name, column in muons.items()}
    for variation in VARIATIONS[1:]:
        assert not np.array_equal(corrected(record, muons, variation=variation).pt, first.pt)
    np.testing.assert_array_equal(corrected(record, muons).pt, first.pt)
    for name, column in muons.items():  # and nothing is changed in place
        np.testing.assert_array_equal(column, given[name])


def test_every_muon_of_an_event_has_its_own_random_number(record: CorrectionRecord) -> None:
    # All muons of an event once shared one in a peer's code: four equal muons must not stay equal.
    one = {"pt": 50.0, "eta": 1.3, "phi": 0.5, "charge": 1, "nTrackerLayers": 13}
    muons = ak.Array([[one] * 4, [], [one] * 2])
    found = corrected_pt(record, muons, identity=identity(3), index=ak.local_index(muons.pt), is_data=False)
    assert len(set(ak.flatten(found.pt).tolist())) == 6
    # And the smearings of the first and second muon of an event do not go together.
    n = 4_000
    pairs = {name: np.full(2 * n, float(value)) for name, value in one.items()}
    events = tuple(np.repeat(column, 2) for column in identity(n))
    pt = corrected_pt(record, pairs, identity=events, index=np.tile([0, 1], n), is_data=False).pt.reshape(n, 2)
    assert abs(np.corrcoef(pt.T)[0, 1]) < 4.0 / np.sqrt(n)


def test_independent_of_chunks_and_of_a_selection_before(record: CorrectionRecord, muons: Any) -> None:
    index = np.arange(N) % 3
    events = tuple(column // 3 for column in identity(N))
    for variation in ("nominal", "muon_scaleUp", "muon_resolutionDown"):
        known = {"is_data": False, "variation": variation}
        whole = corrected_pt(record, muons, identity=events, index=index, **known).pt
        for part in (slice(0, 1), slice(7, 500), muons["pt"] > 60, np.random.default_rng(2).permutation(N)):
            some = {name: column[part] for name, column in muons.items()}
            chunk = corrected_pt(record, some, identity=tuple(x[part] for x in events), index=index[part], **known)
            np.testing.assert_array_equal(chunk.pt, whole[part])


def test_flat_and_jagged_are_the_same(record: CorrectionRecord, muons: Any) -> None:
    counts = np.full(N // 4, 4)
    jagged = ak.unflatten(ak.zip(muons), counts)
    events = identity(N // 4)
    found = corrected_pt(record, jagged, identity=events, index=ak.local_index(jagged.pt), is_data=False)
    repeated = tuple(np.repeat(column, 4) for column in events)
    flat = corrected_pt(record, muons, identity=repeated, index=np.arange(N) % 4, is_data=False)
    np.testing.assert_array_equal(ak.flatten(found.pt), flat.pt)
    assert found[1:] == flat[1:]
    assert isinstance(flat.pt, np.ndarray)


def test_data_are_not_smeared_and_not_varied(record: CorrectionRecord, muons: Any) -> None:
    layerless = {name: column for name, column in muons.items() if name != "nTrackerLayers"}
    first = corrected(record, layerless, is_data=True)
    other = corrected_pt(record, layerless, identity=identity(N), index=np.full(N, 3), is_data=True, gen_pt=np.zeros(N))
    np.testing.assert_array_equal(first.pt, other.pt)
    with pytest.raises(UserError, match="in simulation only; 'muon_scaleUp'"):
        corrected(record, muons, is_data=True, variation="muon_scaleUp")
    with pytest.raises(UserError, match=r"no variation 'muon_scaleup'\. Did you mean 'muon_scaleUp'"):
        corrected(record, muons, variation="muon_scaleup")
    assert muon_momentum.branches(record, is_data=True) == muon_momentum.BRANCHES
    assert "Muon_nTrackerLayers" in muon_momentum.branches(record, is_data=False)
    assert not muon_momentum.needs_generator(record, is_data=False)


@pytest.mark.parametrize("role", ["k_mc", "k_data", "cb_params", "poly_params", "m_mc"])
def test_a_record_without_the_resolution_is_refused(record: CorrectionRecord, muons: Any, role: str) -> None:
    keys = {name: key for name, key in record.keys.items() if name != role}
    lacking = record.model_copy(update={"keys": keys})
    with pytest.raises(UserError, match=f"has no role '{role}' among its keys"):
        corrected(lacking, muons)
    assert corrected(lacking, muons, is_data=True).out_of_range > 0


def test_a_file_without_the_resolution_is_refused(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "POG/MUO/2022_Summer22EE/muon_scalesmearing.json"
    path.parent.mkdir(parents=True)
    source = correctionlib.CorrectionSet.from_file(str(real / "pog/MUO/2022_Summer22EE/muon_scalesmearing.json.gz"))
    document = json.loads(source._data)
    document["corrections"] = [one for one in document["corrections"] if one["name"] != "k_mc"]
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="no correction 'k_mc'"):
        Catalogue([tmp_path]).resolve("muon_momentum", era="2022postEE", pog_folders=["2022_Summer22EE"])
