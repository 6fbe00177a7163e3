"""The correction files of the toy undo the distortions of its pseudo-data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.toys import cms_distortions
from mucoffea.toys.cms_nanoaod import (
    DEMO_CROSS_SECTIONS,
    DEMO_LUMINOSITY,
    ToySpec,
    certified_luminosity,
    generate,
    write_corrections,
)

SIMULATED = {"dy": 400_000, "ttbar": 20_000}


MASS_BINS = np.linspace(71.0, 111.0, 41)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with narrow simulation, pseudo-data of the demo's size, and the correction files."""
    folder = tmp_path_factory.mktemp("toys")
    for sample, events in SIMULATED.items():
        generate(ToySpec(sample=sample, events=events, content="narrow"), folder / sample)
    generate(ToySpec(sample="data", luminosity=DEMO_LUMINOSITY, content="narrow"), folder / "data")
    write_corrections(folder)
    return folder


@dataclass(frozen=True)
class Corrections:
    efficiency: Any
    scale: Any
    pileup: Any
    golden: dict[str, list[list[int]]]

    @classmethod
    def of(cls, folder: Path) -> Corrections:
        read = correctionlib.CorrectionSet.from_file
        return cls(
            read(str(folder / "POG/MUO/demo/muon_Z.json.gz")),
            read(str(folder / "POG/MUO/demo/muon_scalesmearing.json.gz")),
            read(str(folder / "POG/LUM/demo/puWeights.json.gz"))["Collisions18_UltraLegacy_goldenJSON"],
            json.loads((folder / "lumi/Cert_demo_Golden.json").read_text()),
        )

    def factor(self, name: str, muons: ak.Array) -> np.ndarray:
        return self.efficiency[name].evaluate(ak.to_numpy(muons.eta), ak.to_numpy(muons.pt), "nominal")

    def corrected_pt(self, muons: ak.Array) -> ak.Array:
        m, a = (self.scale[name].evaluate(muons.eta, muons.phi, "nom") for name in ("m_data", "a_data"))
        return 1.0 / (m / muons.pt + muons.charge * a)

    def smeared_pt(self, muons: ak.Array) -> ak.Array:
        """The resolution of data: the recipe of the Muon POG, whose Crystal Ball is a normal distribution here."""
        absolute = abs(muons.eta)
        terms = [self.scale["poly_params"].evaluate(absolute, 12.0, i) for i in range(3)]
        sigma = terms[0] + terms[1] * muons.pt + terms[2] * muons.pt**2
        k_data, k_mc = (self.scale[f"k_{kind}"].evaluate(absolute, "nom") for kind in ("data", "mc"))
        counts = ak.num(muons.pt)
        noise = ak.unflatten(np.random.default_rng(4).standard_normal(int(ak.sum(counts))), counts)
        return muons.pt * (1.0 + np.sqrt(k_data**2 - k_mc**2) * sigma * noise)

    def certified(self, events: ak.Array) -> np.ndarray:
        run, block = ak.to_numpy(events.run), ak.to_numpy(events.luminosityBlock)
        good = np.zeros(len(run), bool)
        for number, ranges in self.golden.items():
            for first, last in ranges:
                good |= (run == int(number)) & (block >= first) & (block <= last)
        return good


def read(folder: Path) -> ak.Array:
    names = ["run", "luminosityBlock", "genWeight", "Pileup_nTrueInt", "PV_npvs", "HLT_IsoMu24"]
    muon = ["pt", "eta", "phi", "charge", "tightId", "pfRelIso04_all", "sip3d"]
    trigger = ["pt", "eta", "phi", "id", "filterBits"]
    wanted = {*names, *(f"Muon_{n}" for n in muon), *(f"TrigObj_{n}" for n in trigger)}
    with uproot.open(next(folder.glob("*.root"))) as file:
        raw = file["Events"].arrays(filter_name=lambda name: name in wanted)
    events = raw[[name for name in names if name in raw.fields]]
    events["Muon"] = ak.zip({n: raw[f"Muon_{n}"] for n in muon})
    events["TrigObj"] = ak.zip({n: raw[f"TrigObj_{n}"] for n in trigger})
    return events


def prepare(demo: Path, sample: str, corrections: Corrections | None) -> tuple[ak.Array, np.ndarray]:
    """Events with muons in order of (corrected) pt, and their weights, normalised to the luminosity of the data."""
    events = read(demo / sample)
    if sample == "data":
        if corrections:
            events = events[corrections.certified(events)]
            events["Muon"] = ak.with_field(events.Muon, corrections.corrected_pt(events.Muon), "pt")
        weight = np.ones(len(events))
    else:
        sign = ak.to_numpy(events.genWeight).astype(float)
        weight = sign * DEMO_LUMINOSITY * DEMO_CROSS_SECTIONS[sample] / sign.sum()
        if corrections:
            weight = weight * corrections.pileup.evaluate(ak.to_numpy(events.Pileup_nTrueInt), "nominal")
            events["Muon"] = ak.with_field(events.Muon, corrections.smeared_pt(events.Muon), "pt")
    events["Muon"] = events.Muon[ak.argsort(events.Muon.pt, ascending=False)]
    return events, weight


def select(demo: Path, sample: str, corrections: Corrections | None) -> dict[str, np.ndarray]:
    """Select two good muons of opposite charge, the leading one matched to the trigger; mass, vertices and weights."""
    events, weight = prepare(demo, sample, corrections)
    muons = events.Muon
    events["Muon"] = muons[(muons.pt > 20) & (abs(muons.eta) < 2.4) & muons.tightId & (muons.pfRelIso04_all < 0.15)]
    kept = events.HLT_IsoMu24 & (ak.num(events.Muon) == 2)
    events, weight = events[kept], weight[ak.to_numpy(kept)]
    leg = events.TrigObj[(events.TrigObj.id == 13) & (events.TrigObj.filterBits & 10 == 10)]
    first, second = events.Muon[:, 0], events.Muon[:, 1]
    turn = (leg.phi - first.phi + np.pi) % (2 * np.pi) - np.pi
    kept = ak.any(np.hypot(leg.eta - first.eta, turn) < 0.1, axis=1)
    kept = kept & (first.pt > 26) & (first.charge * second.charge < 0)
    first, second, weight = first[kept], second[kept], weight[ak.to_numpy(kept)]
    if corrections and sample != "data":
        for muon in (first, second):
            weight = weight * corrections.factor("NUM_TrackerMuons_DEN_genTracks", muon)
            weight = weight * corrections.factor("NUM_TightID_DEN_TrackerMuons", muon)
            weight = weight * corrections.factor("NUM_TightRelIso_DEN_TightIDandIPCut", muon)
        weight = weight * corrections.factor("NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight", first)
    opening = np.cosh(first.eta - second.eta) - np.cos(first.phi - second.phi)
    mass = ak.to_numpy(np.sqrt(2 * first.pt * second.pt * opening))
    return {"mass": mass, "npvs": ak.to_numpy(events.PV_npvs[kept]), "weight": weight}


def chi2(demo: Path, corrections: Corrections | None, name: str, bins: np.ndarray) -> float:
    """Chi-square per bin between pseudo-data and the sum of simulations."""
    data = select(demo, "data", corrections)
    counts, _ = np.histogram(data[name], bins)
    expected, variance = np.zeros(len(bins) - 1), counts.astype(float)
    for sample in SIMULATED:
        part = select(demo, sample, corrections)
        expected += np.histogram(part[name], bins, weights=part["weight"])[0]
        variance += np.histogram(part[name], bins, weights=part["weight"] ** 2)[0]
    return float(((counts - expected) ** 2 / np.maximum(variance, 1.0)).mean())


@pytest.mark.parametrize(("name", "bins"), [("mass", MASS_BINS), ("npvs", np.arange(5, 55, 2))])
def test_corrected_data_and_simulation_agree_and_uncorrected_do_not(demo: Path, name: str, bins: np.ndarray) -> None:
    # About 40 and 25 bins: the expected spread of chi2 per bin around 1 is 0.22 and 0.29.
    # Prefiring, whose weights narrow files lack, is left: 1 % of the yield.
    assert chi2(demo, Corrections.of(demo), name, bins) < 1.7
    assert chi2(demo, None, name, bins) > 5.0


def test_each_efficiency_of_data_is_the_simulated_one_times_the_scale_factor(demo: Path) -> None:
    corrections = Corrections.of(demo)
    passed: dict[str, list[np.ndarray]] = {}
    for sample in ("data", *SIMULATED):
        events, weight = prepare(demo, sample, corrections)
        muons = ak.flatten(events.Muon)
        weight = np.repeat(weight, ak.to_numpy(ak.num(events.Muon)))
        probe = ak.to_numpy((muons.pt > 30) & (abs(muons.eta) < 2.4) & (muons.sip3d < 4))
        muons, weight = muons[probe], weight[probe]
        tight = ak.to_numpy(muons.tightId)
        isolated = tight & ak.to_numpy(muons.pfRelIso04_all < 0.15)
        simulation = sample != "data"
        identified = corrections.factor("NUM_TightID_DEN_TrackerMuons", muons) if simulation else 1.0
        quiet = corrections.factor("NUM_TightRelIso_DEN_TightIDandIPCut", muons) if simulation else 1.0
        columns = [weight, weight * tight, weight * identified * tight, weight * isolated]
        columns.append(weight * quiet * isolated)
        sums = np.array([column.sum() for column in columns])
        passed.setdefault("mc" if simulation else "data", []).append(sums)
    data, simulation = (np.sum(passed[kind], axis=0) for kind in ("data", "mc"))
    data_id, data_iso = data[1] / data[0], data[3] / data[1]
    # About 50 000 probes: a binomial error of 0.1 %.
    assert simulation[2] / simulation[0] == pytest.approx(data_id, abs=0.004)
    assert simulation[4] / simulation[1] == pytest.approx(data_iso, abs=0.004)
    assert simulation[1] / simulation[0] > data_id + 0.01
    assert simulation[3] / simulation[1] > data_iso + 0.01


def test_the_yield_shows_missing_luminosity_blocks(demo: Path) -> None:
    corrections = Corrections.of(demo)
    events = read(demo / "data")
    expected = DEMO_LUMINOSITY * sum(DEMO_CROSS_SECTIONS.values())
    certified = corrections.certified(events).sum()
    assert abs(certified - expected) < 4 * np.sqrt(expected)
    assert len(events) > 1.1 * expected
    assert certified_luminosity(ToySpec(sample="data", luminosity=DEMO_LUMINOSITY)) == DEMO_LUMINOSITY


def test_scale_correction_restores_the_pt_to_float_precision(demo: Path) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    pt, charge = rng.uniform(3, 300, n).astype(np.float32), rng.choice([-1, 1], n)
    eta, phi = rng.uniform(-2.5, 2.5, n).astype(np.float32), rng.uniform(-np.pi, np.pi, n).astype(np.float32)
    shown = cms_distortions.distort_pt(pt.astype(float), eta, phi, charge).astype(np.float32)
    muons = ak.zip({"pt": shown, "eta": eta, "phi": phi, "charge": charge})
    corrected = ak.to_numpy(Corrections.of(demo).corrected_pt(muons))
    np.testing.assert_allclose(corrected, pt, rtol=3e-7)
    assert 0.005 < np.mean(shown / pt - 1) < 0.015


@pytest.mark.parametrize("kind", ["reco", "id", "iso", "trigger"])
def test_scale_factor_of_generator_and_file_are_the_same(demo: Path, kind: cms_distortions.Efficiency) -> None:
    rng = np.random.default_rng(6)
    eta, pt = rng.uniform(-2.4, 2.4, 5000), rng.uniform(cms_distortions.SF_PT_EDGES[kind][0], 300, 5000)
    correction = Corrections.of(demo).efficiency[cms_distortions.SF_NAMES[kind]]
    expected = cms_distortions.scale_factor(kind, eta, pt)
    np.testing.assert_array_equal(correction.evaluate(eta, pt, "nominal"), expected)
    assert expected.min() > 0.92
    assert expected.max() < 1.0


def inputs_of(correction: Any) -> list[tuple[str, str]]:
    return [(variable.name, variable.type) for variable in correction.inputs]


@pytest.mark.parametrize(
    ("toy", "published"),
    [
        ("POG/MUO/demo/muon_Z.json.gz", "pog/MUO/2018_UL/muon_Z.json.gz"),
        ("POG/MUO/demo/muon_scalesmearing.json.gz", "pog/MUO/2022_Summer22EE/muon_scalesmearing.json.gz"),
        ("POG/LUM/demo/puWeights.json.gz", "pog/LUM/2018_UL/puWeights.json.gz"),
    ],
)
def test_correction_files_have_the_interface_of_the_real_ones(demo: Path, real: Path, toy: str, published: str) -> None:
    made = correctionlib.CorrectionSet.from_file(str(demo / toy))
    official = correctionlib.CorrectionSet.from_file(str(real / published))
    assert set(made) <= set(official)
    for name, correction in made.items():
        assert inputs_of(correction) == inputs_of(official[name])


def test_pileup_weights_conserve_the_number_of_events(demo: Path) -> None:
    pileup = Corrections.of(demo).pileup
    values = np.arange(99.0)
    for variation in ("nominal", "up", "down"):
        weights = pileup.evaluate(values, variation)
        assert (weights * cms_distortions.pileup_profile("mc")).sum() == pytest.approx(1.0, abs=1e-6)
    assert pileup.evaluate(60.0, "up") > pileup.evaluate(60.0, "nominal") > pileup.evaluate(60.0, "down")
