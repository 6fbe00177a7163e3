"""The datasets that come with the package, and how requests find them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from mucoffea.errors import UserError
from mucoffea.filesets.eras import find_era, load_eras
from mucoffea.filesets.local import build_fileset
from mucoffea.filesets.models import Dataset
from mucoffea.filesets.registry import DATASETS, check_unique_files, load_registry, read_datasets, resolve, rows

REAL = Path(__file__).parents[2] / "shared/real"
FILESETS = sorted((REAL / "open_data_filesets").glob("*.json"))
real = pytest.mark.skipif(not FILESETS, reason="no filesets at ../shared/real/open_data_filesets")

ZZ_GLUONS = "GluGluToContinToZZTo*"


@pytest.fixture(scope="module")
def registry() -> dict[str, Dataset]:
    """The datasets of CMS; those of Mu2e have an exposure instead of an era and a cross section."""
    return {name: one for name, one in load_registry().items() if one.experiment == "cms"}


def test_the_datasets_of_the_package(registry: dict[str, Dataset]) -> None:
    assert len(registry) == 12 + 1 + 4
    assert [one.name for one in resolve(["demo*"], registry)] == ["demo_data", "demo_dy", "demo_ttbar", "demo_zz4l"]
    for one in registry.values():
        assert one.origin == str(DATASETS / "cms" / f"{one.name}.yaml")
        assert one.era is not None
        assert find_era(one.era).name == one.era
        assert one.description
        assert one.processor in ("cms_dimuon", "cms_four_lepton")


def test_every_cross_section_has_a_source_and_placeholders_say_so(registry: dict[str, Dataset]) -> None:
    placeholders = set()
    for one in registry.values():
        if one.kind == "data":
            assert one.cross_section is None
            continue
        assert one.cross_section is not None
        assert len(one.cross_section.source) > 20
        if one.cross_section.placeholder:
            placeholders.add(one.name)
            assert one.cross_section.order == "LO"
            assert "leading order" in one.cross_section.source
    assert placeholders == {one.name for one in resolve([ZZ_GLUONS], registry)}
    assert len(placeholders) == 6


def test_dilepton_ttbar_is_what_its_source_says(registry: dict[str, Dataset]) -> None:
    section = registry["TTTo2L2Nu_TuneCP5_13TeV-powheg-pythia8"].cross_section
    assert section is not None
    assert section.pb == pytest.approx(831.76 * (3 * 0.1080) ** 2, abs=0.01)


def test_no_file_is_in_two_datasets(registry: dict[str, Dataset]) -> None:
    with_files = [one for one in registry.values() if one.files is not None]
    filesets = [build_fileset(one) for one in with_files]
    check_unique_files(filesets)
    assert sum(len(one.files) for one in filesets) == 439 + 28
    for one in filesets:
        for file in one.files:
            assert file.lfn.startswith("/eos/opendata/cms/")
            assert file.replicas[0].startswith("root://eospublic.cern.ch//eos/opendata/cms/")


@real
@pytest.mark.parametrize("path", [p for p in FILESETS if not p.name.startswith("rucio")], ids=lambda p: p.stem[:30])
def test_open_data_json_agree_with_the_registry(path: Path, registry: dict[str, Dataset], tmp_path: Path) -> None:
    """The 12 public filesets parse unchanged, gzipped too, and the package has the same files and values."""
    (dataset,) = resolve([str(path)], {})
    packed = tmp_path / (path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (again,) = resolve([str(packed)], {})
    assert again.files == dataset.files
    ours = registry[dataset.name]
    assert (ours.files, ours.kind, ours.tree) == (dataset.files, dataset.kind, dataset.tree)
    assert dataset.cross_section is not None
    assert ours.cross_section is not None
    assert ours.cross_section.pb == dataset.cross_section.pb
    assert dataset.cross_section.source == f"as given in {path.name}"
    (content,) = json.loads(path.read_text()).values()
    assert list(content["files"]) == list(dataset.files or ())


@real
def test_fileset_of_a_rucio_query() -> None:
    path = REAL / "open_data_filesets/rucio_ZToMuMu_fileset.json"
    found = resolve([str(path)], {})
    assert [(row["name"], row["kind"], row["files"], row["cross_section"]) for row in rows(found)] == [
        ("ZJets", "mc", 157, 100.0),
        ("SingleMuon", "data", 63, None),
    ]
    check_unique_files([build_fileset(one) for one in found])


def test_luminosities() -> None:
    eras = load_eras()
    values = {name: era.luminosity.fb for name, era in eras.items() if era.luminosity is not None}
    assert list(values) == list(eras)
    # CMS-LUM-17-003, CMS-PAS-LUM-17-004 and -18-002
    assert values["2016preVFP"] + values["2016postVFP"] == pytest.approx(36.31)
    assert (values["2017"], values["2018"]) == (41.48, 59.83)
    assert values["demo"] == pytest.approx(0.02)
    assert all(era.luminosity and len(era.luminosity.source) > 20 for era in eras.values())


def test_data_of_a_part_of_an_era_know_their_luminosity(registry: dict[str, Dataset]) -> None:
    muons = registry["DoubleMuon_Run2016H"]
    whole = find_era("2016postVFP").luminosity
    assert muons.luminosity is not None
    assert whole is not None
    assert muons.luminosity.fb == pytest.approx(8.740)
    assert muons.luminosity.fb < whole.fb
    assert len(muons.files or ()) == 28


def test_eras_are_complete() -> None:
    for era in load_eras().values():
        assert era.pog_folders
        assert era.golden_json
        assert {"single_muon", "single_electron", "double_muon"} == set(era.triggers)
        assert all(name.startswith("Flag_") for name in era.met_filters)
        assert all(path.startswith("HLT_") for paths in era.triggers.values() for path in paths)
        assert ("Flag_HBHENoiseFilter" in era.met_filters) == (era.run == 2)
        assert ("Flag_ecalBadCalibFilter" in era.met_filters) == (era.year in (2017, 2018, 2024))
        assert era.com_energy == (13 if era.run == 2 else 13.6)


@pytest.mark.skipif(not (REAL / "lumi").is_dir(), reason="no golden JSON at ../shared/real/lumi")
def test_names_of_golden_json_are_those_of_the_files() -> None:
    present = {path.name for path in (REAL / "lumi").glob("Cert_*")}
    assert present <= {era.golden_json for era in load_eras().values()}


@pytest.mark.skipif(not (REAL / "pog").is_dir(), reason="no POG files at ../shared/real/pog")
def test_names_of_pog_folders_are_those_of_the_files() -> None:
    present = {path.name for path in (REAL / "pog").glob("*/*/")}
    assert present <= {folder for era in load_eras().values() for folder in era.pog_folders}


def test_requests_keep_their_order_and_merge(registry: dict[str, Dataset]) -> None:
    names = [one.name for one in resolve(["demo_zz4l", "demo*", "demo_dy"], registry)]
    assert names == ["demo_zz4l", "demo_data", "demo_dy", "demo_ttbar"]
    assert resolve(["all"], registry) == list(registry.values())
    yaml = registry["demo_dy"].origin
    assert [one.name for one in resolve([yaml, "demo_dy"], registry)] == ["demo_dy"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("demo_dz", r"no dataset 'demo_dz'. Did you mean 'demo_dy'.*python main.py list"),
        ("DEMO_DY", r"no dataset 'DEMO_DY'. Did you mean 'demo_dy'"),
        ("quux*", r"No dataset matches the pattern 'quux\*'.*python main.py list"),
        ("nofile.json", "nofile.json does not exist"),
        ("nofile.root", r"nofile.root does not exist.*python main.py list"),
        ("no/such/*.root", r"No file matches 'no/such/\*.root'"),
        ("demo_dy.yaml", "demo_dy.yaml does not exist"),
    ],
)
def test_unknown_requests(request_: str, message: str, registry: dict[str, Dataset]) -> None:
    with pytest.raises(UserError, match=message):
        resolve([request_], registry)


def test_a_path_of_another_kind(tmp_path: Path, registry: dict[str, Dataset]) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"notes.txt is neither a dataset nor a file ending in .yaml"):
        resolve([str(tmp_path / "notes.txt")], registry)


def test_two_datasets_of_one_name(tmp_path: Path, registry: dict[str, Dataset]) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("{name: demo_data, kind: data, process: data, glob: x.root}")
    with pytest.raises(UserError, match=r"Two different datasets are called 'demo_data'.*mine.yaml"):
        resolve(["demo_data", str(mine)], registry)
    shutil.copy(mine, tmp_path / "other.yaml")
    with pytest.raises(UserError, match=r"'demo_data' is declared twice: in .*mine.yaml and .*other.yaml"):
        load_registry(tmp_path)


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.root").touch()
    (tmp_path / "d.yaml").write_text("{name: a, kind: data, process: data, files: [deep/a.root]}")
    (tmp_path / "d.json").write_text('{"b": {"files": ["deep/a.root:t"], "metadata": {"isMC": false}}}')
    monkeypatch.chdir("/")
    for name, tree in (("d.yaml", "Events"), ("d.json", "t")):
        (dataset,) = read_datasets(tmp_path / name)
        (file,) = build_fileset(dataset).files
        assert file.replicas == (str(tmp_path / "deep/a.root"),)
        assert file.tree == tree


def test_rows(registry: dict[str, Dataset], tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("{name: g, kind: data, process: data, glob: x.root}")
    toy, quarks, glob = rows(resolve(["demo_dy", "ZZTo4L*", str(tmp_path / "d.yaml")], registry))
    assert toy == {
        "name": "demo_dy",
        "kind": "mc",
        "era": "demo",
        "process": "DY",
        "files": "toy",
        "cross_section": 6077.22,
        "placeholder": False,
        "source": "set by the generator (toys/cms_nanoaod.py)",
        "livetime": None,
        "generated_events": None,
    }
    assert (quarks["files"], quarks["cross_section"]) == (99, 1.256)
    assert (glob["files"], glob["era"], glob["cross_section"], glob["source"]) == ("glob", None, None, None)
