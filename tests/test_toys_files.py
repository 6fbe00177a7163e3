"""The files of the toy NanoAOD: determinism, names and types of real ones, and links between objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from mucoffea.errors import UserError
from mucoffea.toys.cms_nanoaod import ToySpec, generate
from pydantic import ValidationError


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 2000 events of every sample with the standard branches, in two files each."""
    folder = tmp_path_factory.mktemp("samples")
    for sample in ("dy", "ttbar", "zz4l", "data"):
        generate(ToySpec(sample=sample, events=2000, files=2, basket_events=300), folder / sample)
    return folder


def test_same_spec_gives_same_arrays_and_another_seed_does_not(samples: Path, tmp_path: Path) -> None:
    again = generate(ToySpec(sample="data", events=2000, files=2, basket_events=300), tmp_path / "again")
    other = generate(ToySpec(sample="data", events=2000, files=2, basket_events=300, seed=2), tmp_path / "other")
    for number, path in enumerate(again):
        first, second, third = (
            uproot.open(file)["Events"].arrays() for file in (path, samples / "data" / path.name, other[number])
        )
        assert ak.array_equal(first, second, equal_nan=True)
        assert not ak.array_equal(first.Muon_pt, third.Muon_pt)


def test_narrow_files_hold_the_same_muons_as_standard_ones(samples: Path, tmp_path: Path) -> None:
    spec = ToySpec(sample="dy", events=2000, files=2, basket_events=300, content="narrow", compression="lz4")
    narrow, standard = (uproot.open(path)["Events"] for path in (generate(spec, tmp_path)[0], samples / "dy/dy_0.root"))
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
def test_names_and_types_are_those_of_real_nanoaod(samples: Path, real: Path, sample: str) -> None:
    tree = uproot.open(samples / f"{sample}/{sample}_0.root")["Events"]
    official = uproot.open(real / "nanoaod/nano_dy.root")["Events"]
    # Branches of NanoAOD version 9 that the older real file lacks.
    newer = {"Flag_BadPFMuonDzFilter"}
    newer |= {f"PuppiMET_{part}Unclustered{way}" for part in ("pt", "phi") for way in ("Up", "Down")}
    newer |= {f"L1PreFiringWeight_{name}" for name in ("Nom", "Up", "Dn")} if sample == "dy" else set()
    newer |= {f"Electron_d{what}{way}" for what in ("Escale", "Esigma") for way in ("Up", "Down")}
    assert set(tree.keys()) - set(official.keys()) <= newer
    for name in set(tree.keys()) - newer:
        counter = official[name].typename == "uint32_t" and name.startswith("n")
        # uproot writes counters as int32, and has no other choice.
        assert tree[name].typename == ("int32_t" if counter else official[name].typename), name
        counted = tree[name].count_branch
        assert (counted and counted.name) == (official[name].count_branch and official[name].count_branch.name)


def test_data_have_no_generator_branches(samples: Path) -> None:
    file = uproot.open(samples / "data/data_0.root")
    assert not [name for name in file["Events"].keys() if "gen" in name.lower() or "Pileup" in name]  # noqa: SIM118
    assert file["Runs"].keys() == ["run"]
    blocks = file["LuminosityBlocks"].arrays()
    events = file["Events"].arrays(["run", "luminosityBlock"])
    listed = set(zip(blocks.run.to_list(), blocks.luminosityBlock.to_list(), strict=True))
    assert listed == set(zip(events.run.to_list(), events.luminosityBlock.to_list(), strict=True))


def test_runs_tree_sums_the_weights_and_events_are_unique(samples: Path) -> None:
    numbers = []
    for number in (0, 1):
        file = uproot.open(samples / f"dy/dy_{number}.root")
        weight = file["Events/genWeight"].array(library="np").astype(np.float64)
        numbers.append(file["Events/event"].array(library="np"))
        runs = file["Runs"].arrays(library="np")
        assert runs["genEventCount"].tolist() == [len(weight)]
        assert runs["genEventSumw"][0] == pytest.approx(weight.sum(), rel=1e-12)
        assert runs["genEventSumw2"][0] == pytest.approx((weight**2).sum(), rel=1e-12)
        assert np.mean(weight < 0) == pytest.approx(0.16, abs=0.04)
        assert file["Events/Muon_pt"].num_baskets == 4
    assert len(np.unique(np.concatenate(numbers))) == 2000


def test_objects_are_ordered_and_muons_point_to_their_generator_particle(samples: Path) -> None:
    events = uproot.open(samples / "dy/dy_0.root")["Events"].arrays()
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


def test_trigger_objects_agree_with_the_trigger_path(samples: Path) -> None:
    events = uproot.open(samples / "data/data_0.root")["Events"].arrays()
    leg = (events.TrigObj_id == 13) & (events.TrigObj_filterBits & 10 == 10)
    assert ak.all(ak.any(leg, axis=1) == events.HLT_IsoMu24)
    assert 0.05 < ak.mean(events.HLT_IsoMu24) < 0.5


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
