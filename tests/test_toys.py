"""The toy NanoAOD: determinism, names and types, generator truth, and correction files that undo distortions."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.errors import UserError
from mucoffea.toys import cms_distortions, cms_physics
from mucoffea.toys.cms_nanoaod import (
    DEMO_CROSS_SECTIONS,
    DEMO_LUMINOSITY,
    ToySpec,
    certified_luminosity,
    generate,
    write_corrections,
)
from pydantic import ValidationError

REAL = Path(__file__).parents[2] / "shared/real"
SIMULATED = {"dy": 400_000, "ttbar": 20_000}
MASS_BINS = np.linspace(71.0, 111.0, 41)


def real_file(name: str) -> Path:
    path = REAL / name
    if not path.exists():
        pytest.skip(f"the real file {path} is not here")
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with narrow simulation, pseudo-data of the demo's size, and the correction files."""
    folder = tmp_path_factory.mktemp("toys")
    for sample, events in SIMULATED.items():
        generate(ToySpec(sample=sample, events=events, content="narrow"), folder / sample)
    generate(ToySpec(sample="data", luminosity=DEMO_LUMINOSITY, content="narrow"), folder / "data")
    write_corrections(folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 2000 events of every sample with the standard branches, in two files each."""
    folder = tmp_path_factory.mktemp("small")
    for sample in ("dy", "ttbar", "zz4l", "data"):
        generate(ToySpec(sample=sample, events=2000, files=2, basket_events=300), folder / sample)
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


@pytest.mark.parametrize("kind", ["id", "iso", "trigger"])
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
    ("toy", "real"),
    [
        ("POG/MUO/demo/muon_Z.json.gz", "pog/MUO/2018_UL/muon_Z.json.gz"),
        ("POG/MUO/demo/muon_scalesmearing.json.gz", "pog/MUO/2022_Summer22EE/muon_scalesmearing.json.gz"),
        ("POG/LUM/demo/puWeights.json.gz", "pog/LUM/2018_UL/puWeights.json.gz"),
    ],
)
def test_correction_files_have_the_interface_of_the_real_ones(demo: Path, toy: str, real: str) -> None:
    made = correctionlib.CorrectionSet.from_file(str(demo / toy))
    official = correctionlib.CorrectionSet.from_file(str(real_file(real)))
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


def test_same_spec_gives_same_arrays_and_another_seed_does_not(small: Path, tmp_path: Path) -> None:
    again = generate(ToySpec(sample="data", events=2000, files=2, basket_events=300), tmp_path / "again")
    other = generate(ToySpec(sample="data", events=2000, files=2, basket_events=300, seed=2), tmp_path / "other")
    for number, path in enumerate(again):
        first, second, third = (
            uproot.open(file)["Events"].arrays() for file in (path, small / "data" / path.name, other[number])
        )
        assert ak.array_equal(first, second, equal_nan=True)
        assert not ak.array_equal(first.Muon_pt, third.Muon_pt)


def test_narrow_files_hold_the_same_muons_as_standard_ones(small: Path, tmp_path: Path) -> None:
    spec = ToySpec(sample="dy", events=2000, files=2, basket_events=300, content="narrow", compression="lz4")
    narrow, standard = (uproot.open(path)["Events"] for path in (generate(spec, tmp_path)[0], small / "dy/dy_0.root"))
    names = set(narrow.keys())
    assert len(names) == 46
    assert names <= set(standard.keys())
    assert ak.array_equal(narrow.arrays(), standard.arrays(list(narrow.keys())))


@pytest.mark.slow
def test_wide_files_are_as_wide_as_real_ones(tmp_path: Path) -> None:
    # Data have fewer branches than simulation.
    (path,) = generate(ToySpec(sample="data", events=50, content="wide"), tmp_path)
    tree = uproot.open(path)["Events"]
    assert len(tree.branches) >= 1500
    assert tree["HLT_Mu17_TrkIsoVVL_Ele12_CaloIdL_TrackIdL_IsoVL_DZ"].array().to_list() == [False] * 50
    assert ak.all(ak.num(tree["Muon_ptErr"].array()) == tree["nMuon"].array())


@pytest.mark.parametrize("sample", ["dy", "data"])
def test_names_and_types_are_those_of_real_nanoaod(small: Path, sample: str) -> None:
    tree = uproot.open(small / f"{sample}/{sample}_0.root")["Events"]
    real = uproot.open(real_file("nanoaod/nano_dy.root"))["Events"]
    # Branches of NanoAOD version 9 that the older real file lacks.
    newer = {"Flag_BadPFMuonDzFilter"}
    assert set(tree.keys()) - set(real.keys()) == newer
    for name in set(tree.keys()) - newer:
        counter = real[name].typename == "uint32_t" and name.startswith("n")
        # uproot writes counters as int32, and has no other choice.
        assert tree[name].typename == ("int32_t" if counter else real[name].typename), name
        counted = tree[name].count_branch
        assert (counted and counted.name) == (real[name].count_branch and real[name].count_branch.name)


def test_data_have_no_generator_branches(small: Path) -> None:
    file = uproot.open(small / "data/data_0.root")
    assert not [name for name in file["Events"].keys() if "gen" in name.lower() or "Pileup" in name]  # noqa: SIM118
    assert file["Runs"].keys() == ["run"]
    blocks = file["LuminosityBlocks"].arrays()
    events = file["Events"].arrays(["run", "luminosityBlock"])
    listed = set(zip(blocks.run.to_list(), blocks.luminosityBlock.to_list(), strict=True))
    assert listed == set(zip(events.run.to_list(), events.luminosityBlock.to_list(), strict=True))


def test_runs_tree_sums_the_weights_and_events_are_unique(small: Path) -> None:
    numbers = []
    for number in (0, 1):
        file = uproot.open(small / f"dy/dy_{number}.root")
        weight = file["Events/genWeight"].array(library="np").astype(np.float64)
        numbers.append(file["Events/event"].array(library="np"))
        runs = file["Runs"].arrays(library="np")
        assert runs["genEventCount"].tolist() == [len(weight)]
        assert runs["genEventSumw"][0] == pytest.approx(weight.sum(), rel=1e-12)
        assert runs["genEventSumw2"][0] == pytest.approx((weight**2).sum(), rel=1e-12)
        assert np.mean(weight < 0) == pytest.approx(0.16, abs=0.04)
        assert file["Events/Muon_pt"].num_baskets == 4
    assert len(np.unique(np.concatenate(numbers))) == 2000


def test_objects_are_ordered_and_muons_point_to_their_generator_particle(small: Path) -> None:
    events = uproot.open(small / "dy/dy_0.root")["Events"].arrays()
    for name in ("Muon", "Jet", "Electron"):
        pt = events[f"{name}_pt"]
        assert ak.all(pt[:, 1:] <= pt[:, :-1])
    prompt = events.Muon_genPartIdx >= 0
    origin = events.Muon_genPartIdx[prompt]
    assert ak.all(events.GenPart_pdgId[origin] == events.Muon_pdgId[prompt])
    assert ak.mean(abs(events.Muon_pt[prompt] / events.GenPart_pt[origin] - 1)) < 0.02
    hard = events.GenPart_genPartIdxMother[origin]
    mother = abs(events.GenPart_pdgId[hard])
    assert ak.all(mother == ak.where(events.Muon_genPartFlav[prompt] == 15, 15, 23))


def test_trigger_objects_agree_with_the_trigger_path(small: Path) -> None:
    events = uproot.open(small / "data/data_0.root")["Events"].arrays()
    leg = (events.TrigObj_id == 13) & (events.TrigObj_filterBits & 10 == 10)
    assert ak.all(ak.any(leg, axis=1) == events.HLT_IsoMu24)
    assert 0.05 < ak.mean(events.HLT_IsoMu24) < 0.5


def test_z_peak_and_lepton_momenta_of_the_generator() -> None:
    truth = cms_physics.generate_truth("dy", 50_000, np.random.default_rng(11))
    boson = truth.pdg_id == 23
    mass = truth.mass[boson]
    counts, edges = np.histogram(mass, np.arange(86.2, 96.25, 0.5))
    assert edges[np.argmax(counts)] <= 91.19 <= edges[np.argmax(counts) + 1]
    # Half of a Breit-Wigner lies within its half width.
    assert np.mean(abs(mass - 91.1876) < 2.4952 / 2) == pytest.approx(0.5 * 0.96, abs=0.02)
    assert mass.min() > 50.0
    pt_counts, pt_edges = np.histogram(truth.pt[boson], np.arange(0, 40, 1.0))
    assert 3.0 < pt_edges[np.argmax(pt_counts)] < 7.0
    leptons = momenta(truth, (truth.mother == 0) & ~boson)
    np.testing.assert_allclose(invariant_mass(leptons.reshape(4, -1, 2).sum(axis=2)), mass, rtol=1e-6)


def test_four_leptons_come_from_two_z_bosons() -> None:
    truth = cms_physics.generate_truth("zz4l", 5_000, np.random.default_rng(12))
    bosons = momenta(truth, truth.pdg_id == 23).reshape(4, -1, 2)
    leptons = momenta(truth, truth.status == 1).reshape(4, -1, 4)
    np.testing.assert_allclose(leptons.sum(axis=2), bosons.sum(axis=2), rtol=1e-6, atol=1e-6)
    pairs = invariant_mass(leptons.reshape(4, -1, 2, 2).sum(axis=3))
    np.testing.assert_allclose(pairs, truth.mass[truth.pdg_id == 23].reshape(-1, 2), rtol=1e-5)
    total = invariant_mass(leptons.sum(axis=2))
    assert np.all(total > pairs.sum(axis=1))
    assert np.percentile(total, 1) > 175.0
    kinds = (abs(truth.pdg_id[truth.status == 1]).reshape(-1, 4) == 13).sum(axis=1)
    assert np.bincount(kinds, minlength=5)[[0, 2, 4]] / 5000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_mixture_keeps_each_event_together() -> None:
    which = np.random.default_rng(1).integers(0, 3, 3000)
    truth = cms_physics.generate_mixture(("dy", "ttbar", "zz4l"), which, np.random.default_rng(13))
    assert all(len(getattr(truth, field.name)) for field in fields(truth))
    first = truth.pdg_id[np.flatnonzero(truth.index_in_event() == 0)]
    np.testing.assert_array_equal(first == 6, which == 1)
    hard = np.isin(truth.pdg_id, (23, 6, -6)) & (truth.mother < 0)
    system = np.stack([np.bincount(truth.event[hard], p[hard]) for p in _transverse(truth)])
    np.testing.assert_allclose(system, -truth.recoil, atol=1e-6)


def _transverse(truth: cms_physics.Truth) -> tuple[np.ndarray, np.ndarray]:
    return truth.pt * np.cos(truth.phi), truth.pt * np.sin(truth.phi)


def momenta(truth: cms_physics.Truth, chosen: np.ndarray) -> np.ndarray:
    """Four-momenta (E, px, py, pz) of the chosen particles, [4, particles]."""
    px, py = (component[chosen] for component in _transverse(truth))
    pz = truth.pt[chosen] * np.sinh(truth.eta[chosen])
    return np.stack([np.sqrt(px**2 + py**2 + pz**2 + truth.mass[chosen] ** 2), px, py, pz])


def invariant_mass(momentum: np.ndarray) -> np.ndarray:
    return np.sqrt(momentum[0] ** 2 - (momentum[1:] ** 2).sum(axis=0))


def test_marker_spares_complete_files_and_replaces_others(tmp_path: Path) -> None:
    spec = ToySpec(sample="zz4l", events=100, files=2)
    paths = generate(spec, tmp_path)
    written = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in generate(spec, tmp_path)] == written
    paths[0].unlink()
    assert generate(spec, tmp_path) == paths
    assert paths[0].exists()
    (one,) = generate(spec.model_copy(update={"files": 1}), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.json", one.name]
    assert uproot.open(one)["Events"].num_entries == 100


def test_a_toy_without_events_is_an_empty_tree(tmp_path: Path) -> None:
    (path,) = generate(ToySpec(sample="dy", events=0), tmp_path)
    file = uproot.open(path)
    assert file["Events"].num_entries == 0
    assert "Muon_pt" in file["Events"]
    assert file["Runs/genEventSumw"].array().to_list() == [0.0]


@pytest.mark.parametrize(
    "values",
    [
        {"sample": "dy"},
        {"sample": "dy", "events": 10, "luminosity": 1.0},
        {"sample": "data"},
        {"sample": "data", "events": 10, "luminosity": 1.0},
        {"sample": "dy", "events": -1},
        {"sample": "dy", "events": 10, "event": 10},
        {"sample": "wjets", "events": 10},
    ],
)
def test_specifications_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ToySpec(**values)


def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        generate(ToySpec(sample="dy", events=1), tmp_path / "file" / "toy")
