"""Muon resolution, electrons and b tagging of the toy: the correction files say what is different in pseudo-data."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.toys import cms_btag_distortions, cms_distortions, cms_electron_distortions
from mucoffea.toys.cms_detector import draw_pileup, reconstruct_electrons, reconstruct_muons
from mucoffea.toys.cms_nanoaod import ToySpec, generate, write_corrections
from mucoffea.toys.cms_physics import generate_truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corrections")
    write_corrections(path)
    return path


def payload(folder: Path, name: str) -> Any:
    return correctionlib.CorrectionSet.from_file(str(folder / f"POG/{name}.json.gz"))


def muons(n: int, *, data: bool) -> dict[str, np.ndarray]:
    """Return the columns of the prompt muons of ``n`` Drell-Yan events, with one pile-up profile."""
    rng = [np.random.default_rng((7, data, number)) for number in range(4)]
    truth, pileup = generate_truth("dy", n, rng[0]), draw_pileup(rng[1], n, data=False)
    columns = reconstruct_muons(truth, pileup, rng[2], rng[3], data=data).columns
    kept = (columns["genPartIdx"] >= 0) & (columns["pt"] > 26) & (np.abs(columns["eta"]) < 2.4)
    return {name: column[kept] for name, column in columns.items()}


def normal_smearing(files: Any, pt: np.ndarray, eta: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """The recipe of the Muon POG by hand: pt (1 + sqrt(k_data^2 - k_mc^2) sigma CB), here with a normal number."""
    absolute = np.abs(eta)
    terms = [files["poly_params"].evaluate(absolute, layers, i) for i in range(3)]
    sigma = terms[0] + terms[1] * pt + terms[2] * pt**2
    k_data, k_mc = (files[f"k_{kind}"].evaluate(absolute, "nom") for kind in ("data", "mc"))
    noise = np.random.default_rng(8).standard_normal(len(pt))
    return pt * (1.0 + np.sqrt(k_data**2 - k_mc**2) * sigma * noise)


def test_smeared_simulation_has_the_resolution_of_scale_corrected_data(folder: Path) -> None:
    files = payload(folder, "MUO/demo/muon_scalesmearing")
    data, simulation = muons(150_000, data=True), muons(150_000, data=False)
    eta, phi, charge = (data[name].astype(float) for name in ("eta", "phi", "charge"))
    m, a = (files[name].evaluate(eta, phi, "nom") for name in ("m_data", "a_data"))
    scaled = 1.0 / (m / data["pt"] + charge * a) / data["true_pt"] - 1.0
    kept = np.abs(simulation["eta"]) < 2.4
    simulation = {name: column[kept] for name, column in simulation.items()}
    pt, eta_mc = simulation["pt"].astype(float), simulation["eta"].astype(float)
    smeared = (
        normal_smearing(files, pt, eta_mc, simulation["nTrackerLayers"].astype(float)) / simulation["true_pt"] - 1.0
    )
    plain = pt / simulation["true_pt"] - 1.0
    bins = np.linspace(-0.06, 0.06, 31)
    edges = cms_distortions.RESOLUTION_ETA_EDGES
    for low, high in pairwise(edges):
        here, here_mc = (np.abs(x) >= low for x in (eta, eta_mc))
        here, here_mc = here & (np.abs(eta) < high), here_mc & (np.abs(eta_mc) < high)
        seen = np.histogram(scaled[here], bins)[0]
        closed, open_ = (chi2(seen, np.histogram(x[here_mc], bins)[0]) for x in (smeared, plain))
        # 30 bins: the expected spread of chi2 per bin around 1 is 0.26.
        assert closed < 1.9, (low, closed)
        assert open_ > 5.0, (low, open_)


def chi2(seen: np.ndarray, expected: np.ndarray) -> float:
    scaled = expected * (seen.sum() / expected.sum())
    variance = seen + scaled * (seen.sum() / expected.sum())
    return float(((seen - scaled) ** 2 / np.maximum(variance, 1.0)).mean())


def test_crystal_ball_of_the_file_is_nearly_normal(folder: Path) -> None:
    files = payload(folder, "MUO/demo/muon_scalesmearing")
    assert [files["cb_params"].evaluate(1.0, 12.0, i) for i in range(4)] == list(cms_distortions.CRYSTAL_BALL)
    k_data, k_mc = files["k_data"], files["k_mc"]
    assert k_data.evaluate(2.0, "nom") > k_mc.evaluate(2.0, "nom")
    pt = np.array([30.0, 90.0])
    strength = np.sqrt(k_data.evaluate(0.5, "nom") ** 2 - k_mc.evaluate(0.5, "nom") ** 2)
    terms = [files["poly_params"].evaluate(0.5, 12.0, i) for i in range(3)]
    excess = cms_distortions.resolution_excess(pt, np.array([0.5, -0.5]))
    np.testing.assert_allclose(excess, strength * (terms[0] + terms[1] * pt))


def electrons(n: int, *, data: bool) -> dict[str, np.ndarray]:
    rng = [np.random.default_rng((9, data, number)) for number in range(3)]
    truth = generate_truth("dy", n, rng[0])
    columns = reconstruct_electrons(truth, rng[1], rng[2], data=data).columns
    columns = {name: column[columns["true_pt"] > 30] for name, column in columns.items()}
    accepted = (np.abs(truth.pdg_id) == 11) & (np.abs(truth.eta) < 2.5) & (truth.pt > 30)
    return columns | {"n_true": np.array(accepted.sum())}


def test_electron_efficiencies_differ_by_the_scale_factors_of_the_file(folder: Path) -> None:
    factors = payload(folder, "EGM/demo/electron")["UL-Electron-ID-SF"]
    data, simulation = electrons(300_000, data=True), electrons(300_000, data=False)
    eta = (simulation["eta"] + simulation["deltaEtaSC"]).astype(float)
    pt = np.maximum(simulation["pt"].astype(float), 20.0)
    found = factors.evaluate("2018", "sf", "RecoAbove20", eta, pt)
    # 150 000 electrons: an error of 0.05 % of the reconstruction, 0.1 % of the identification.
    assert len(data["pt"]) / data["n_true"] == pytest.approx(found.sum() / simulation["n_true"], abs=0.003)
    for grade, point in enumerate(cms_electron_distortions.GRADES, start=1):
        weight = factors.evaluate("2018", "sf", point, eta, pt) * found
        weighted = (weight * (simulation["cutBased"] >= grade)).sum() / found.sum()
        seen, plain = (np.mean(sample["cutBased"] >= grade) for sample in (data, simulation))
        assert seen == pytest.approx(weighted, abs=0.004)
        assert plain > seen + 0.005


def test_electron_energies_are_corrected_less_shifted(folder: Path) -> None:
    for data in (True, False):
        sample = electrons(5_000, data=data)
        energy = sample["pt"].astype(float) * np.cosh(sample["eta"].astype(float))
        barrel = np.abs(sample["eta"]) < 1.4
        np.testing.assert_allclose(sample["dEscaleUp"][barrel], -0.001 * energy[barrel], rtol=2e-3)
        np.testing.assert_array_equal(sample["dEscaleUp"], -sample["dEscaleDown"])
        assert np.any(sample["dEsigmaUp"] != 0) == (not data)
        assert set(np.unique(sample["seedGain"])) <= {1, 6, 12}


def test_scale_factors_of_the_electron_file_are_those_of_the_generator(folder: Path) -> None:
    factors = payload(folder, "EGM/demo/electron")["UL-Electron-ID-SF"]
    rng = np.random.default_rng(3)
    eta, pt = rng.uniform(-2.5, 2.5, 2000), rng.uniform(20.0, 300.0, 2000)
    for point in ("RecoAbove20", "Veto", "Loose", "Medium", "Tight", "wp80iso", "wp80noiso", "wp90iso", "wp90noiso"):
        expected = cms_electron_distortions.scale_factor(point, eta, pt)
        np.testing.assert_array_equal(factors.evaluate("2018", "sf", point, eta, pt), expected)
        up = factors.evaluate("2018", "sfup", point, eta, pt)
        np.testing.assert_allclose(up - expected, cms_electron_distortions.UNCERTAINTY)
    assert factors.evaluate("2018", "sf", "RecoBelow20", 0.3, 15.0) < 1.0


@pytest.mark.parametrize("flavour", cms_btag_distortions.FLAVOURS)
def test_b_tagging_of_data_is_that_of_simulation_times_factor_or_shape(folder: Path, flavour: int) -> None:
    files = payload(folder, "BTV/demo/btagging")
    rng, n = np.random.default_rng(flavour), 400_000
    pt, kinds = rng.uniform(20.0, 200.0, n), np.full(n, flavour)
    seen, simulated = (
        cms_btag_distortions.draw_discriminant(rng.random(n), kinds, pt, data=data) for data in (True, False)
    )
    method = "deepJet_incl" if flavour == 0 else "deepJet_comb"
    shape = files["deepJet_shape"].evaluate("central", flavour, 1.0, pt, simulated)
    assert shape.mean() == pytest.approx(1.0, abs=0.005)
    for point in "LMT":
        threshold = files["deepJet_wp_values"].evaluate(point)
        factor = files[method].evaluate("central", point, flavour, 1.0, pt)
        share, before = np.mean(seen > threshold), np.mean(simulated > threshold)
        # Binomial errors of both below 0.12 %.
        assert share == pytest.approx(np.mean((simulated > threshold) * factor), abs=0.004)
        assert share == pytest.approx(np.mean((simulated > threshold) * shape), abs=0.004)
        assert abs(share - before) > 0.003 if flavour else share > before
    assert files[method].evaluate("up", "M", flavour, 1.0, 60.0) > files[method].evaluate(
        "down", "M", flavour, 1.0, 60.0
    )


def test_e_mu_events_have_their_trigger_and_reconstruction_factor_is_named_as_in_2018(
    tmp_path: Path, folder: Path, real: Path
) -> None:
    (path,) = generate(ToySpec(sample="ttbar", events=3_000), tmp_path)
    names = ["HLT_Mu12_TrkIsoVVL_Ele23_CaloIdL_TrackIdL_IsoVL_DZ", "Muon_pt", "Electron_pt", "Electron_cutBased"]
    events = uproot.open(path)["Events"].arrays(names)
    mixed = ak.any(events.Muon_pt > 15, axis=1) & ak.any(
        (events.Electron_pt > 25) & (events.Electron_cutBased > 1), axis=1
    )
    assert ak.sum(mixed) > 200
    assert ak.mean(events[names[0]][mixed]) > 0.75
    assert not ak.any(events[names[0]][ak.num(events.Electron_pt) == 0])
    for toy, official in (
        ("EGM/demo/electron", "EGM/2018_UL/electron"),
        ("BTV/demo/btagging", "BTV/2018_UL/btagging"),
        ("MUO/demo/muon_Z", "MUO/2018_UL/muon_Z"),
    ):
        published = correctionlib.CorrectionSet.from_file(str(real / f"pog/{official}.json.gz"))
        made = payload(folder, toy)
        assert set(made) <= set(published)
        for name in made:
            assert [(i.name, i.type) for i in made[name].inputs] == [(i.name, i.type) for i in published[name].inputs]
