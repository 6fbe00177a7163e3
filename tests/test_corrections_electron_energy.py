"""Electron energy: equal to correctionlib by hand, closure of scale and resolution, random numbers of each electron."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.electron_energy import (
    CHANGES,
    VARIATIONS,
    branches,
    corrected_pt,
    varied_branches,
    without_effect,
)
from mucoffea.corrections.random_numbers import normal
from mucoffea.errors import UserError
from mucoffea.filesets.eras import find_era
from scipy.stats import chi2


class Columns(dict):
    """Columns with the `fields` of a collection."""

    @property
    def fields(self) -> list[str]:
        return list(self)


def toy_electrons(n: int, seed: int = 1) -> tuple[Columns, dict[str, Any]]:
    """Flat electrons, and who they are."""
    rng = np.random.default_rng(seed)
    columns = Columns(
        pt=rng.uniform(15, 120, n),
        eta=rng.uniform(-2.4, 2.4, n),
        deltaEtaSC=rng.normal(0, 0.01, n),
        r9=rng.uniform(0.4, 1.0, n),
        seedGain=rng.choice([12, 6, 1], n, p=[0.9, 0.08, 0.02]),
    )
    identity = (np.full(n, 360000), np.full(n, 7), np.arange(n) // 2)
    return columns, {"identity": identity, "index": np.arange(n) % 2}


@pytest.fixture(scope="module")
def run3(request: pytest.FixtureRequest):
    real = request.getfixturevalue("real")
    era = find_era("2022postEE")
    return Catalogue([real / "pog"]).resolve("electron_energy", era="2022postEE", pog_folders=era.pog_folders)


def file_of(record: Any) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(str(record.path))


def test_data_are_scaled_as_correctionlib_does(run3):
    electrons, who = toy_electrons(2_000)
    run = np.random.default_rng(2).integers(359600, 362700, 2_000)
    found = corrected_pt(run3, electrons, is_data=True, run=run, **who)
    scale = file_of(run3).compound["Scale"]
    place = electrons["eta"] + electrons["deltaEtaSC"]
    gain = electrons["seedGain"].astype(float)
    factor = scale.evaluate("scale", run.astype(float), place, electrons["r9"], electrons["pt"], gain)
    np.testing.assert_allclose(found.pt, electrons["pt"] * factor, rtol=1e-14)
    assert found.out_of_range == 0
    # Closure: electrons whose energy was off by the inverse come back.
    assert np.abs(factor - 1).max() > 1e-3


def test_simulation_is_smeared_and_varied_as_correctionlib_says(run3):
    electrons, who = toy_electrons(2_000)
    place = electrons["eta"] + electrons["deltaEtaSC"]
    smearing = file_of(run3)["SmearAndSyst"]

    def value(name: str) -> np.ndarray:
        return smearing.evaluate(name, electrons["pt"], electrons["r9"], place)

    number = normal(who["identity"], stream="electron energy", index=who["index"])
    sigma, error, scale = value("smear"), value("esmear"), value("escale")
    expected = {
        "nominal": 1 + sigma * number,
        "electron_resolutionUp": 1 + (sigma + error) * number,
        "electron_resolutionDown": 1 + (sigma - error) * number,
        "electron_scaleUp": (1 + sigma * number) * (1 + scale),
        "electron_scaleDown": (1 + sigma * number) * (1 - scale),
    }
    for variation in VARIATIONS:
        found = corrected_pt(run3, electrons, is_data=False, variation=variation, **who)
        np.testing.assert_allclose(found.pt, electrons["pt"] * expected[variation], rtol=1e-13, err_msg=variation)


def test_the_smearing_widens_by_what_the_file_says(run3):
    electrons, who = toy_electrons(60_000)
    electrons["pt"], electrons["r9"] = np.full(60_000, 45.0), np.full(60_000, 0.95)
    found = corrected_pt(run3, electrons, is_data=False, **who)
    place = electrons["eta"] + electrons["deltaEtaSC"]
    sigma = file_of(run3)["SmearAndSyst"].evaluate("smear", electrons["pt"], electrons["r9"], place)
    pull = (found.pt / electrons["pt"] - 1) / sigma
    bins = np.digitize(np.abs(place), [0.5, 1.0, 1.5, 2.0])
    total = 0.0
    for number in range(5):
        of_bin = pull[bins == number]
        # A sample variance of n normal numbers has a width of √(2/n).
        total += (of_bin.var() - 1) ** 2 * len(of_bin) / 2 + of_bin.mean() ** 2 * len(of_bin)
    assert chi2.sf(total, 10) > 1e-3, total


def test_every_electron_has_its_own_random_number(run3):
    """Peers shared one number among all leptons of an event."""
    electrons, who = toy_electrons(20_000)
    electrons = Columns({name: np.full(20_000, np.mean(values)) for name, values in electrons.items()})
    found = np.asarray(corrected_pt(run3, electrons, is_data=False, **who).pt)
    assert len(np.unique(found)) == len(found)
    first, second = found[::2], found[1::2]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(10_000)


def test_chunks_and_selections_change_no_number(run3):
    electrons, who = toy_electrons(501)
    whole = corrected_pt(run3, electrons, is_data=False, **who).pt
    chosen = np.random.default_rng(3).random(501) < 0.3
    part = Columns({name: values[chosen] for name, values in electrons.items()})
    identity = tuple(values[chosen] for values in who["identity"])
    again = corrected_pt(run3, part, identity=identity, index=who["index"][chosen], is_data=False).pt
    assert np.array_equal(whole[chosen], again)


def test_jagged_is_flat(run3):
    electrons, who = toy_electrons(400)
    flat = corrected_pt(run3, electrons, is_data=False, **who)
    jagged = Columns({name: ak.unflatten(values, [2] * 200) for name, values in electrons.items()})
    identity = tuple(values[::2] for values in who["identity"])
    index = ak.unflatten(who["index"], [2] * 200)
    found = corrected_pt(run3, jagged, identity=identity, index=index, is_data=False)
    assert np.array_equal(ak.to_numpy(ak.flatten(found.pt)), flat.pt)


def test_real_electrons_of_2022(run3, real: Path):
    import uproot

    with uproot.open(real / "nanoaod/nano_tt_v12.root") as file:
        tree = file["Events"]
        electrons = ak.zip({name: tree[f"Electron_{name}"].array() for name in ("pt", "eta", "deltaEtaSC", "r9")})
        identity = tuple(tree[name].array(library="np") for name in ("run", "luminosityBlock", "event"))
    found = corrected_pt(run3, electrons, identity=identity, index=ak.local_index(electrons.pt), is_data=False)
    ratio = ak.flatten(found.pt / electrons.pt)
    assert ak.all(abs(ratio - 1) < 0.3)
    assert ak.std(ratio) > 0.005
    assert found.out_of_range == 0


def test_run_2_has_the_energy_in_the_file_and_its_variations_in_branches():
    electrons, who = toy_electrons(300)
    rng = np.random.default_rng(4)
    energy = np.sqrt((electrons["pt"] * np.cosh(electrons["eta"])) ** 2 + 0.000511**2)
    # NanoAODv9: the corrected energy minus the varied one.
    size = rng.uniform(0.001, 0.01, 300) * energy
    more = {"mass": np.full(300, 0.000511), "dEscaleUp": -size, "dEscaleDown": size}
    varied = Columns({**electrons, **more, "dEsigmaUp": 0.5 * size, "dEsigmaDown": -0.5 * size})
    options = {"is_data": False, **who}
    nominal = corrected_pt(None, varied, **options)
    assert np.array_equal(nominal.pt, electrons["pt"])
    up = corrected_pt(None, varied, variation="electron_scaleUp", **options).pt
    down = corrected_pt(None, varied, variation="electron_scaleDown", **options).pt
    np.testing.assert_allclose(up / electrons["pt"], 1 + size / energy, rtol=1e-12)
    np.testing.assert_allclose(down / electrons["pt"], 1 - size / energy, rtol=1e-12)
    wide = corrected_pt(None, varied, variation="electron_resolutionUp", **options).pt
    np.testing.assert_allclose(wide / electrons["pt"], 1 - 0.5 * size / energy, rtol=1e-12)


def test_mistakes_are_said():
    electrons, who = toy_electrons(3)
    with pytest.raises(UserError, match="Did you mean 'electron_scaleUp'"):
        corrected_pt(None, electrons, is_data=False, variation="electron_scalUp", **who)
    with pytest.raises(UserError, match="varied in simulation only"):
        corrected_pt(None, electrons, is_data=True, variation="electron_scaleUp", **who)
    with pytest.raises(UserError, match="Electron_dEscaleUp, which NanoAODv9 has"):
        corrected_pt(None, electrons, is_data=False, variation="electron_scaleUp", **who)
    fake = SimpleNamespace(keys={}, path=Path("x"))
    with pytest.raises(UserError, match="depends on the run"):
        corrected_pt(fake, electrons, is_data=True, **who)


def test_what_is_read_is_declared():
    assert branches(None, is_data=False) == ("Electron_pt",)
    assert {f"Electron_{name}" for name in CHANGES.values()} <= set(varied_branches(None))
    record = SimpleNamespace(keys={"scale": "Scale"})
    assert "run" in branches(record, is_data=True)
    assert "Electron_seedGain" not in branches(record, is_data=False)


def test_a_branch_of_zeros_is_told():
    """In simulation of the ultra-legacy NanoAODv9 the scale variations are zero."""
    electrons = Columns(dEscaleUp=np.zeros(3), dEsigmaUp=np.array([0.0, 0.1, 0.0]))
    assert without_effect(electrons, "electron_scaleUp")
    assert not without_effect(electrons, "electron_resolutionUp")
    assert not without_effect(Columns(dEscaleUp=np.zeros(0)), "electron_scaleUp")
