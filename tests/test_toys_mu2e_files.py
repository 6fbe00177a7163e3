"""Files of the toy Mu2e samples: what uproot and pyarrow see, the exposure, and how datasets and commands make them."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
import yaml
from mucoffea.cli.toy_sources import make_toy
from mucoffea.errors import UserError
from mucoffea.filesets.models import Dataset
from mucoffea.filesets.registry import load_registry
from mucoffea.schemas.eventntuple import from_columns
from mucoffea.toys import mu2e_files
from mucoffea.toys.mu2e_eventntuple import TREE, ToySpec, generate, generate_arrays
from mucoffea.toys.mu2e_spec import EVENTS_PER_BLOCK

from .support.command_line import Command, assert_refused

SPEC = ToySpec(sample="cosmic", events=EVENTS_PER_BLOCK + 1500, seed=3, mix=True, files=2)


@pytest.fixture(scope="module")
def root_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generate(SPEC, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def parquet_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generate(SPEC.model_copy(update={"format": "parquet"}), tmp_path_factory.mktemp("parquet"))


def test_root_files_hold_the_events(root_files: list[Path]) -> None:
    assert [path.name for path in root_files] == ["mu2e_cosmic_0.root", "mu2e_cosmic_1.root"]
    parts = []
    for path in root_files:
        with uproot.open(path) as file:
            assert file.classnames(cycle=False)[TREE] == "ROOT::RNTuple"
            parts.append(file[TREE].arrays())
    assert ak.array_equal(ak.concatenate(parts), generate_arrays(SPEC))


def test_types_as_uproot_reports_them(root_files: list[Path]) -> None:
    with uproot.open(root_files[0]) as file:
        names = dict(zip(file[TREE].keys(), (str(one.typename) for one in file[TREE].values()), strict=True))
        keys = set(file[TREE].keys())
        kinds = ak.type(file[TREE].arrays(entry_stop=1)).content
    assert names["run"] == "std::int32_t"
    assert {"trk.pdg", "trkqual.result", "trksegs.mom.fCoordinates.fZ", "crvcoincs.pos.fCoordinates.fX"} <= keys
    assert {"trksegpars_lh.maxr", "trkmcsim.prirel._rel", "crvcoincsmc.primary.fCoordinates.fY"} <= keys
    assert kinds == ak.type(generate_arrays(SPEC, 1)).content


def test_parquet_files_hold_the_same(root_files: list[Path], parquet_files: list[Path]) -> None:
    events = ak.concatenate([ak.from_parquet(path) for path in parquet_files])
    assert ak.array_equal(events, generate_arrays(SPEC))
    schema = pq.read_schema(parquet_files[0])
    assert str(schema.field("run").type) == "int32"
    segment = schema.field("trksegs").type.value_type.value_type
    assert str(segment.field("time").type) == "double"
    assert str(segment.field("mom").type.field("fCoordinates").type.field("fX").type) == "float"
    assert pq.ParquetFile(parquet_files[0]).num_row_groups == 1
    assert len(root_files) == len(parquet_files)


def test_the_exposure_stands_in_the_files(root_files: list[Path], parquet_files: list[Path]) -> None:
    totals = {"n_gen_events": 0.0, "n_proc_events": 0.0, "cosmic_livetime": 0.0}
    for path in root_files:
        with uproot.open(path) as file:
            rows = file["EventNtuple/subrunNtuple"].arrays(library="np")
            assert rows["genEventCount"].dtype == np.int64
            assert rows["cosmicLivetime"].dtype == np.float32
            version = file["EventNtuple/version"]
            assert list(version.values()) == [6, 13, 2]
            assert version.axis().labels() == ["major", "minor", "patch"]
            branches = {"n_gen_events": "genEventCount", "n_proc_events": "procEventCount"}
            branches["cosmic_livetime"] = "cosmicLivetime"
            for name, branch in branches.items():
                (value,) = file[f"EventNtuple/{name}"].values()
                assert value == pytest.approx(rows[branch].sum(dtype=float), rel=1e-6)
                totals[name] += value
            assert file["EventNtuple"].classnames(cycle=False)["n_gen_events"] == "TH1I"
            events = file[TREE].arrays(["run", "subrun"])
            assert set(events.subrun.to_numpy()) == set(rows["subrun"])
    assert totals["n_gen_events"] == SPEC.generated_events
    assert totals["n_proc_events"] == SPEC.events
    assert totals["cosmic_livetime"] == pytest.approx(SPEC.livetime, rel=1e-6)
    found = [json.loads(pq.read_schema(path).metadata[mu2e_files.EXPOSURE_KEY]) for path in parquet_files]
    assert sum(one["generated"] for one in found) == SPEC.generated_events
    assert sum(one["livetime"] for one in found) == pytest.approx(SPEC.livetime, rel=1e-12)
    assert {one["version"] for one in found} == {"6.13.2"}


def test_totals_that_are_too_large_for_integers_are_written_all_the_same(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "large.root") as file:
        file["n"] = mu2e_files._one_bin("n", 4_110_000_000)
    with uproot.open(tmp_path / "large.root") as file:
        assert file["n"].classname == "TH1D"
        assert list(file["n"].values()) == [4_110_000_000]


def test_older_versions_and_data_have_no_totals(tmp_path: Path) -> None:
    (old,) = generate(ToySpec(sample="ce", events=5, version="6.6.0"), tmp_path / "old")
    (data,) = generate(ToySpec(sample="cosmic", events=5, data=True), tmp_path / "data")
    with uproot.open(old) as file:
        assert set(file.keys(cycle=False)) == {"EventNtuple", TREE}
    with uproot.open(data) as file:
        names = {name.removeprefix("EventNtuple/") for name in file.keys(cycle=False)}
        assert names == {"EventNtuple", "ntuple", "subrunNtuple", "n_proc_events", "version"}
        assert set(file["EventNtuple/subrunNtuple"].keys()) == {"run", "subrun"}


@pytest.mark.parametrize("kind", ["root", "parquet"])
def test_a_sample_without_events(tmp_path: Path, kind: str) -> None:
    (path,) = generate(ToySpec(sample="ce", events=0, format=kind), tmp_path)
    events = uproot.open(path)[TREE].arrays() if kind == "root" else ak.from_parquet(path)
    assert len(events) == 0
    assert ak.type(events).content == ak.type(generate_arrays(ToySpec(sample="ce", events=1))).content


def test_the_schema_reads_what_the_toy_gives() -> None:
    events = from_columns(generate_arrays(ToySpec(sample="cosmic", events=300, mix=True)))
    assert {"run", "subrun", "event", "trk", "crv", "crvmc"} <= set(events.fields)
    assert {"qual", "segs", "lh", "mcsim", "segsmc", "pars"} <= set(events.trk.fields)
    assert ak.all(ak.num(events.trk.segs, axis=2) == ak.num(events.trk.lh, axis=2), axis=None)


def test_files_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ToySpec(sample="ce", events=20)
    (path,) = generate(spec, tmp_path)
    before = path.stat().st_mtime_ns
    assert generate(spec, tmp_path) == [path]
    assert path.stat().st_mtime_ns == before
    generate(spec.model_copy(update={"seed": 2}), tmp_path)
    assert path.stat().st_mtime_ns > before
    between = path.stat().st_mtime_ns
    monkeypatch.setattr(mu2e_files, "GENERATOR_VERSION", 99)
    generate(spec.model_copy(update={"seed": 2}), tmp_path)
    assert path.stat().st_mtime_ns > between
    parquet = generate(spec.model_copy(update={"format": "parquet"}), tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == [parquet[0].name, "toy.json"]


def test_the_toy_datasets_of_the_package() -> None:
    registry = load_registry()
    for name in ("toy_cosmic", "toy_cosmic_mix", "toy_ce", "toy_ce_mix"):
        dataset = registry[name]
        assert (dataset.experiment, dataset.kind, dataset.tree) == ("mu2e", "mc", TREE)
        assert (dataset.data_schema, dataset.on_spill) == ("eventntuple", True)
        spec = ToySpec(**(dataset.toy or {}))
        assert 20_000 <= spec.events <= 50_000
        assert spec.mix == name.endswith("mix")


def _dataset(**changes: object) -> Dataset:
    values: dict[str, object] = {"name": "mine", "experiment": "mu2e", "kind": "mc", "process": "CE"}
    values |= {"schema": "eventntuple", "tree": TREE, "origin": "mine.yaml", "toy": {"sample": "ce", "events": 30}}
    return Dataset(**{**values, **changes})  # type: ignore[arg-type]


def test_a_dataset_gets_its_files_from_the_generator_of_its_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path))
    said: list[str] = []
    dataset, folders = make_toy(_dataset(), said.append)
    assert (dataset.toy, folders) == (None, [])
    (name,) = dataset.files or ()
    with uproot.open(name) as file:
        assert file[TREE].num_entries == 30
    assert "toy sample 'mine'" in said[0]
    cms = Dataset(name="dy", kind="mc", process="DY", toy={"sample": "dy", "events": 30})
    made, folders = make_toy(cms, said.append)
    assert folders == [tmp_path / "toys"]
    with uproot.open((made.files or ())[0]) as file:
        assert file["Events"].num_entries == 30


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"toy": {"sample": "cosmics", "events": 5}}, ["'sample' is 'cosmics'", "Did you mean 'cosmic'", "cosmic, ce"]),
        ({"toy": {"sample": "ce", "event": 5}}, ["'events' is missing"]),
        ({"toy": {"sample": "ce", "events": 5, "mixed": True}}, ["there is no 'mixed'", "Did you mean 'mix'"]),
        ({"toy": {"sample": "ce", "events": 5, "mix": "False"}}, ["'mix' is 'False'", "boolean"]),
        ({"toy": {"sample": "ce", "events": 5.5}}, ["'events' is 5.5", "integer"]),
        ({"toy": {"sample": "ce", "events": 5, "on_spill": False}}, ["come with the beam"]),
        (
            {"toy": {"sample": "cosmic", "events": 5, "on_spill": False}, "on_spill": True},
            ["'on_spill' is True and False"],
        ),
        ({"kind": "data"}, ["says 'kind: data', but its toy is mc"]),
        ({"schema": "nanoaod"}, ["schema: eventntuple"]),
        ({"tree": "ntuple"}, [f"tree: {TREE}"]),
        ({"experiment": "mu2"}, ["experiment 'mu2'", "Did you mean 'mu2e'", "cms, mu2e"]),
    ],
)
def test_a_wrong_toy_entry_is_named(changes: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        make_toy(_dataset(**changes), print)
    for part in ("'mine' (mine.yaml)", *parts):
        assert part in str(error.value)


def test_the_command_line_makes_toys(command: Command, tmp_path: Path) -> None:
    ended = command("toy", "mu2e_cosmic", "--events", 600, "--mix", "--files", 2, "--output-dir", tmp_path)
    assert ended.code == 0
    for number in (0, 1):
        path = tmp_path / f"mu2e_cosmic/mu2e_cosmic_{number}.root"
        assert str(path) in ended.out
        with uproot.open(path) as file:
            assert file[TREE].num_entries == 300
    for part in ("600 events", "9,445,200 generated", "2,454 s", "misses 0.01", "deadtime 0.28"):
        assert part in ended.out
    again = command("toy", "mu2e_cosmic", "--events", 500, "--output-dir", tmp_path)
    assert_refused(again, "holds a toy with other settings", "--overwrite")
    words = ("--off-spill", "--as-data", "--helix", "ch", "--ntuple-version", "6.3.0", "--format", "parquet")
    assert command("toy", "mu2e_cosmic", "--events", 50, *words, "--overwrite", "--output-dir", tmp_path).code == 0
    (path,) = (tmp_path / "mu2e_cosmic").glob("*.*et")
    assert "trksegpars_ch" in pq.read_schema(path).names
    assert "trkmcsim" not in pq.read_schema(path).names


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["mu2e_cosmc", "--events", "5"], ["SAMPLE is mu2e_cosmc", "Did you mean 'mu2e_cosmic'"]),
        (["mu2e_ce"], ["takes --events"]),
        (["mu2e_ce", "--events", "5", "--off-spill"], ["--off-spill is for the sample 'cosmic'"]),
        (["mu2e_cosmic", "--events", "5", "--off-spill", "--mix"], ["either --mix or --off-spill"]),
        (["mu2e_ce", "--events", "5", "--luminosity", "3"], ["--luminosity is not for the sample mu2e_ce"]),
        (["dy", "--events", "5", "--mix"], ["--mix is not for the sample dy"]),
        (["mu2e_ce", "--events", "5", "--ntuple-version", "6.6"], ["--ntuple-version is 6.6", "'6.6.0'"]),
        (["mu2e_ce", "--events", "5", "--deadtime", "1"], ["--deadtime is 1", "less than 1"]),
        (["mu2_ce", "--events", "5"], ["SAMPLE is mu2_ce", "'mu2e_cosmic' or 'mu2e_ce'"]),
    ],
)
def test_a_toy_that_cannot_be_made(command: Command, tmp_path: Path, words: list[str], parts: list[str]) -> None:
    assert_refused(command("toy", *words, "--output-dir", tmp_path / "toys"), *parts, "toy --help")
    assert not (tmp_path / "toys").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="'mu2e_ce' cannot be written"):
        generate(ToySpec(sample="ce", events=5), tmp_path / "file" / "below")


def test_the_analysis_runs_on_a_toy_dataset(command: Command, tmp_path: Path) -> None:
    """By name of a dataset file, from generation to the cut flow."""
    declared = {"name": "mine", "experiment": "mu2e", "kind": "mc", "process": "CE", "schema": "eventntuple"}
    declared |= {"tree": TREE, "on_spill": True, "toy": {"sample": "ce", "events": 400, "mix": True}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(declared))
    words = ("--datasets", tmp_path / "mine.yaml", "--processor", "mu2e_cosmic", "--no-plots")
    ended = command(*words, "--output-dir", tmp_path / "out")
    assert ended.code == 0
    (sample,) = json.loads((tmp_path / "out/report.json").read_text())["datasets"]
    assert sample["events_processed"] == 400
    assert sample["exposure"]["generated"] == ToySpec(sample="ce", events=400).generated_events
    assert sample["exposure"]["livetime"] is None
