"""Jets and missing momentum of the toy: its correction files undo what is wrong with the pseudo-data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.toys import cms_jet_distortions as known
from mucoffea.toys import cms_missing_momentum as missing
from mucoffea.toys.cms_detector import Collection, Pileup, draw_pileup
from mucoffea.toys.cms_distortions import PILEUP_CORRECTION
from mucoffea.toys.cms_jets import reconstruct_jets
from mucoffea.toys.cms_nanoaod import DEMO_CROSS_SECTIONS, ToySpec, generate, write_corrections
from mucoffea.toys.cms_physics import generate_truth

BASE = "Summer19UL18"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Drell-Yan and top pairs, pseudo-data, and corrections."""
    folder = tmp_path_factory.mktemp("jets")
    generate(ToySpec(sample="dy", events=60_000, seed=4), folder / "dy")
    generate(ToySpec(sample="ttbar", events=8_000, seed=4), folder / "ttbar")
    generate(ToySpec(sample="data", events=60_000, seed=4), folder / "data")
    write_corrections(folder)
    return folder


def events(demo: Path, sample: str) -> ak.Array:
    prefixes = ("Jet_", "GenJet_", "MET_", "RawMET_", "PuppiMET_", "GenMET_", "Muon_", "Electron_", "GenPart_")
    single = ("run", "genWeight", "fixedGridRhoFastjetAll", "PV_npvs", "Pileup_nTrueInt")
    with uproot.open(demo / sample / f"{sample}_0.root") as file:
        return file["Events"].arrays(filter_name=lambda name: name.startswith(prefixes) or name in single)


def payload(demo: Path, name: str) -> Any:
    return correctionlib.CorrectionSet.from_file(str(demo / f"POG/JME/demo/{name}.json.gz"))


def flat(values: ak.Array) -> np.ndarray:
    return ak.to_numpy(ak.flatten(values)).astype(float)


def level(demo: Path, sample: ak.Array, tag: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pt of the file, and raw pt times the correction ``tag``."""
    rho = flat(ak.broadcast_arrays(sample.fixedGridRhoFastjetAll, sample.Jet_pt)[0])
    pt, eta, area = flat(sample.Jet_pt), flat(sample.Jet_eta), flat(sample.Jet_area)
    raw = pt * (1.0 - flat(sample.Jet_rawFactor))
    compound = payload(demo, "jet_jerc").compound[f"{BASE}_{tag}_L1L2L3Res_AK4PFchs"]
    return pt, raw * compound.evaluate(area, eta, raw, rho)


def test_raw_pt_times_correction_is_the_pt_of_the_file_and_data_lack_the_residual(demo: Path) -> None:
    pt, corrected = level(demo, events(demo, "dy"), "V5_MC")
    np.testing.assert_allclose(corrected, pt, rtol=3e-5)
    data = events(demo, "data")
    pt, corrected = level(demo, data, "RunC_V5_DATA")
    np.testing.assert_allclose(corrected, pt * known.residual(flat(data.Jet_eta)), rtol=3e-5)
    assert not np.allclose(level(demo, data, "RunA_V5_DATA")[1], corrected, rtol=1e-3)


def smeared(demo: Path, sample: ak.Array) -> np.ndarray:
    """Return the pt of simulated jets with the resolution of data: the hybrid method, noise where unmatched."""
    jets = payload(demo, "jet_jerc")
    rho = flat(ak.broadcast_arrays(sample.fixedGridRhoFastjetAll, sample.Jet_pt)[0])
    pt, eta, position = flat(sample.Jet_pt), flat(sample.Jet_eta), sample.Jet_genJetIdx
    ratio = jets[f"{BASE}_JRV2_MC_ScaleFactor_AK4PFchs"].evaluate(eta, "nom")
    sigma = jets[f"{BASE}_JRV2_MC_PtResolution_AK4PFchs"].evaluate(eta, pt, rho)
    matched = flat(position) >= 0
    found = ak.fill_none(ak.pad_none(sample.GenJet_pt, 1), 0.0)[ak.where(position >= 0, position, 0)]
    noise = np.random.default_rng(1).standard_normal(len(pt)) * sigma * np.sqrt(ratio**2 - 1.0)
    return np.where(matched, flat(found) + ratio * (pt - flat(found)), pt * (1.0 + noise))


def weights(demo: Path, sample: ak.Array, name: str) -> np.ndarray:
    """Return the weight of each jet: pile-up, sign of the generator weight, and the yield in 60 000 mixed events."""
    pileup = correctionlib.CorrectionSet.from_file(str(demo / "POG/LUM/demo/puWeights.json.gz"))
    sign = np.sign(ak.to_numpy(sample.genWeight).astype(float))
    weight = pileup[PILEUP_CORRECTION].evaluate(ak.to_numpy(sample.Pileup_nTrueInt).astype(float), "nominal") * sign
    weight *= 60_000 * DEMO_CROSS_SECTIONS[name] / sum(DEMO_CROSS_SECTIONS.values()) / sign.sum()
    return np.repeat(weight, ak.to_numpy(ak.num(sample.Jet_pt)))


def simulated(demo: Path, bins: np.ndarray, *, corrected: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected counts of jets in bins of pt, and their variance."""
    expected, variance = np.zeros(len(bins) - 1), np.zeros(len(bins) - 1)
    for name in ("dy", "ttbar"):
        sample = events(demo, name)
        pt, weight = (smeared(demo, sample) if corrected else flat(sample.Jet_pt)), weights(demo, sample, name)
        kept = ~veto(demo, sample) if corrected else np.ones(len(pt), bool)
        expected += np.histogram(pt[kept], bins, weights=weight[kept])[0]
        variance += np.histogram(pt[kept], bins, weights=weight[kept] ** 2)[0]
    return expected, variance


def chi2(data: np.ndarray, simulation: tuple[np.ndarray, np.ndarray], bins: np.ndarray) -> float:
    seen, (expected, variance) = np.histogram(data, bins)[0], simulation
    return float(((seen - expected) ** 2 / np.maximum(seen + variance, 1.0)).mean())


def made(n: int, *, data: bool) -> dict[str, np.ndarray]:
    """Return the columns of jets of ``n`` top pairs, without the noise."""
    rng = [np.random.default_rng((3, data, number)) for number in range(4)]
    truth, pileup = generate_truth("ttbar", n, rng[0]), draw_pileup(rng[1], n, data=False)
    jets = reconstruct_jets(truth, pileup, 0.5 * pileup.n_true, (rng[2], rng[3]), data=data).reconstructed.columns
    return {name: column[jets["true_pt"] > 0] for name, column in jets.items()}


def test_response_of_matched_jets_in_data_has_the_injected_scale_and_width(demo: Path) -> None:
    """The truth is not in the files of pseudo-data: the generator of the jets is asked itself."""
    widths = {}
    for data in (False, True):
        jets = made(30_000, data=data)
        chosen = (jets["true_pt"] > 60.0) & (np.abs(jets["eta"]) < 1.3)
        response = jets["pt"][chosen] / jets["true_pt"][chosen] - 1.0
        pull = (jets["unscaled_pt"] / jets["true_pt"] - 1.0) / known.jet_resolution(jets["true_pt"])
        widths[data] = pull[chosen].std()
        expected = np.mean(1.0 / known.residual(jets["eta"][chosen])) - 1.0 if data else 0.0
        # Some 40 000 jets of 13 % resolution: an error of 0.0007.
        assert response.mean() == pytest.approx(expected, abs=0.003)
    ratio = np.mean(known.resolution_ratio(np.array([-1.0, 1.0])))
    assert widths[True] / widths[False] == pytest.approx(ratio, abs=0.02)


def veto(demo: Path, sample: ak.Array) -> np.ndarray:
    correction = payload(demo, "jetvetomaps")[f"{BASE}_V1"]
    return correction.evaluate("jetvetomap", flat(sample.Jet_eta), flat(sample.Jet_phi)) > 0


def test_jet_spectra_agree_once_scale_resolution_and_noise_are_corrected(demo: Path) -> None:
    data = events(demo, "data")
    bins = np.concatenate([np.arange(30.0, 60.0, 2.0), [60, 70, 80, 100, 130, 180]])
    clean = ~veto(demo, data)
    closed = chi2(level(demo, data, "RunC_V5_DATA")[1][clean], simulated(demo, bins, corrected=True), bins)
    # 20 bins: the expected spread of chi2 per bin around 1 is 0.32.
    assert closed < 1.9, closed


def test_each_jet_correction_is_needed(demo: Path) -> None:
    """The response, of one process and one pile-up profile, from the generator itself: files of data have no truth."""
    n = 200_000
    data, simulation = (made(n, data=data) for data in (True, False))
    jets = payload(demo, "jet_jerc")
    residual = jets[f"{BASE}_RunC_V5_DATA_L2L3Residual_AK4PFchs"].evaluate(data["eta"].astype(float), 50.0)
    eta, pt = simulation["eta"].astype(float), simulation["pt"].astype(float)
    ratio = jets[f"{BASE}_JRV2_MC_ScaleFactor_AK4PFchs"].evaluate(eta, "nom")
    wider = simulation["true_pt"] + ratio * (pt - simulation["true_pt"])
    bins = np.linspace(0.6, 1.4, 21)
    corrected, seen = data["pt"] * residual, data["pt"].astype(float)
    above, above_mc = (jets["true_pt"] > 50.0 for jets in (data, simulation))

    def differ(first: np.ndarray, second: np.ndarray) -> float:
        a, _ = np.histogram((first / data["true_pt"])[above], bins)
        b, _ = np.histogram((second / simulation["true_pt"])[above_mc], bins)
        return float(((a - b) ** 2 / (a + b)).mean())

    # 20 bins: the expected spread of chi2 per bin around 1 is 0.32.
    assert differ(corrected, wider) < 1.9
    assert differ(corrected, pt) > 3.0
    assert differ(seen, wider) > 3.0


def test_noise_is_in_the_vetoed_region_of_data_alone(demo: Path) -> None:
    shares = {sample: veto(demo, events(demo, sample)).sum() / 60_000 for sample in ("dy", "data")}
    assert shares["data"] - shares["dy"] == pytest.approx(known.HOT_JETS, rel=0.15)
    assert shares["dy"] < 0.002


def components(pt: ak.Array, phi: ak.Array) -> np.ndarray:
    return np.stack([ak.to_numpy(pt).astype(float) * turn(ak.to_numpy(phi)) for turn in (np.cos, np.sin)])


def total(pt: ak.Array, phi: ak.Array) -> np.ndarray:
    return np.stack([ak.to_numpy(ak.sum(pt * turn(phi), axis=1)).astype(float) for turn in (np.cos, np.sin)])


def corrected_met(demo: Path, sample: ak.Array, *, data: bool) -> np.ndarray:
    files = payload(demo, "met")
    kind = "data" if data else "mc"
    run = ak.to_numpy(sample.run).astype(float)
    inputs = [ak.to_numpy(x).astype(float) for x in (sample.MET_pt, sample.MET_phi, sample.PV_npvs)]
    pt, phi = (files[f"{part}_metphicorr_pfmet_{kind}"].evaluate(*inputs, run) for part in ("pt", "phi"))
    return np.stack([pt * np.cos(phi), pt * np.sin(phi)])


@pytest.mark.parametrize("data", [False, True])
def test_met_file_takes_the_modulation_off(demo: Path, data: bool) -> None:
    sample = events(demo, "data" if data else "dy")
    npvs = ak.to_numpy(sample.PV_npvs)
    before, after = components(sample.MET_pt, sample.MET_phi), corrected_met(demo, sample, data=data)
    np.testing.assert_allclose(before - after, known.met_shift("MET", npvs, data=data), atol=1e-3)
    for axis in (0, 1):
        slope, error = np.polyfit(npvs, after[axis], 1, cov=True)[0][0], 0.015
        assert abs(slope) < 3 * error
        assert abs(np.polyfit(npvs, before[axis], 1)[0]) > 5 * error


def test_met_is_what_the_objects_of_the_file_leave(demo: Path) -> None:
    """Corrected MET + sum (measured - true) - sum of neutrinos is the fluctuation of what is in no object."""
    sample = events(demo, "dy")
    chosen = ak.all(sample.Jet_genJetIdx >= 0, axis=1) & ak.all(sample.Muon_genPartIdx >= 0, axis=1)
    sample = sample[chosen]
    residual = corrected_met(demo, sample, data=False) - components(sample.GenMET_pt, sample.GenMET_phi)
    spread = residual.std()
    for name, origin, position in (
        ("Jet", "GenJet", "genJetIdx"),
        ("Muon", "GenPart", "genPartIdx"),
        ("Electron", "GenPart", "genPartIdx"),
    ):
        true = sample[f"{origin}_pt"][sample[f"{name}_{position}"]]
        residual += total(sample[f"{name}_pt"] - true, sample[f"{name}_phi"])
    pull = residual / missing.unclustered_width("MET", ak.to_numpy(sample.Pileup_nTrueInt))
    n = pull.size
    # 3 sigma of mean and of variance; generator momenta are rounded to 2^-11.
    assert abs(pull.mean()) < 3 / np.sqrt(n)
    assert pull.var() == pytest.approx(1.0, abs=3 * np.sqrt(2 / n) + 0.003)
    assert spread > 1.01 * residual.std()


def test_shifted_jets_move_met_by_minus_their_change() -> None:
    truth = generate_truth("dy", 500, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0, 500)
    n = counts.sum()
    columns = {"pt": rng.uniform(20, 90, n), "true_pt": rng.uniform(20, 90, n), "eta": np.zeros(n)}
    jets = Collection(counts, {**columns, "phi": rng.uniform(-3, 3, n)})
    higher = Collection(counts, {**jets.columns, "pt": jets.columns["pt"] * 1.02})
    pileup = Pileup(np.full(500, 30.0, np.float32), np.full(500, 30), np.full(500, 25))
    first, second = (
        missing.missing_momentum(truth, pileup, (), part, np.random.default_rng(3), data=False)
        for part in (jets, higher)
    )
    for name in ("MET", "PuppiMET"):
        moved = components(second[f"{name}_pt"], second[f"{name}_phi"]) - components(
            first[f"{name}_pt"], first[f"{name}_phi"]
        )
        # The file has float32: 10^-7 of some 100 GeV, in pt and in phi, twice.
        np.testing.assert_allclose(moved, -missing.vector_sum(jets, 0.02 * jets.columns["pt"]), atol=2e-4)


def test_raw_met_is_met_without_response_corrections(demo: Path) -> None:
    sample = events(demo, "data")
    response = known.relative_response(flat(sample.Jet_eta))
    change = ak.unflatten(flat(sample.Jet_pt) * (1.0 - 1.0 / response), ak.num(sample.Jet_pt))
    expected = components(sample.MET_pt, sample.MET_phi) + total(change, sample.Jet_phi)
    np.testing.assert_allclose(components(sample.RawMET_pt, sample.RawMET_phi), expected, atol=2e-2)


def test_generator_jets_are_those_that_jets_point_to(demo: Path) -> None:
    sample = events(demo, "dy")
    matched = sample.Jet_genJetIdx >= 0
    partner = sample.Jet_genJetIdx[matched]
    assert ak.all(sample.GenJet_eta[partner] == sample.Jet_eta[matched])
    assert ak.all(sample.GenJet_phi[partner] == sample.Jet_phi[matched])
    assert ak.all(sample.GenJet_pt[:, 1:] <= sample.GenJet_pt[:, :-1])
    assert 0.3 < ak.mean(ak.flatten(matched)) < 0.8
    assert "GenJet_pt" not in events(demo, "data").fields
    parts = sum(sample[f"Jet_{part}"] for part in ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"))
    assert ak.all((parts > 0.95) & (parts < 1.05))


@pytest.mark.parametrize("name", ["jet_jerc", "jetvetomaps", "met"])
def test_files_have_the_interface_of_the_real_ones(demo: Path, real: Path, name: str) -> None:
    official = correctionlib.CorrectionSet.from_file(str(real / f"pog/JME/2018_UL/{name}.json.gz"))
    made = payload(demo, name)
    assert set(made) <= set(official)
    assert set(made.compound) <= set(official.compound)
    for key in made:
        assert [(i.name, i.type) for i in made[key].inputs] == [(i.name, i.type) for i in official[key].inputs]
    for key in made.compound:
        assert [i.name for i in made.compound[key].inputs] == [i.name for i in official.compound[key].inputs]
