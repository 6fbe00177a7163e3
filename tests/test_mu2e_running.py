"""Runs over Mu2e EventNtuple: recognised by content, from RNTuple, TTree and Parquet, with exposure in the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
import yaml
from mucoffea.errors import UserError
from mucoffea.executors.plan import build_plan
from mucoffea.filesets.layouts import LAYOUTS
from mucoffea.filesets.local import BadFile, build_fileset, inspect
from mucoffea.filesets.models import FileEntry
from mucoffea.filesets.mu2e_exposure import exposure_of_root
from mucoffea.filesets.recognition import recognise
from mucoffea.filesets.registry import load_registry, read_datasets, resolve
from mucoffea.outputs.exposure import Declared, FileShare, sample_exposure
from mucoffea.toys.mu2e_files import ToySpec, generate

from .support.command_line import Command, assert_refused, run_words

ANALYSIS = """
import numpy as np
from mucoffea.processors import base
from mucoffea.processors.requirements import Requirement

class Count(base.Analysis):
    @classmethod
    def corrections(cls, parameters):
        return {}

    def requirements(self, kind, era):
        return (Requirement(component="tracks", branches=("trk.pdg", "crv.time")),)

    def process(self, events):
        electrons = np.asarray((events.trk.pdg == 11).layout.content.data)
        row = {"n": int(electrons.sum()), "sumw": float(electrons.sum()), "sumw2": float(electrons.sum())}
        all_row = base.yield_row(np.ones(len(events)))
        return base.result(events, {"sumw": float(len(events)), "cutflow": {"all": all_row, "electrons": row},
                                    "hists": {}, "columns": None, "counters": {}})
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Format → two files of 300 toy cosmics each; the events are the same."""
    folder = tmp_path_factory.mktemp("mu2e")
    spec = {"sample": "cosmic", "events": 600, "files": 2, "seed": 4}
    return {name: generate(ToySpec(**spec, format=name), folder / name) for name in ("root", "parquet")}


def declare(path: Path, files: Any, **more: Any) -> Path:
    """Write a dataset YAML of cosmics."""
    content = {"name": path.stem, "kind": "mc", "process": "Cosmics", "schema": "eventntuple", "on_spill": True}
    number = {"value": 1000.0, "source": "this test"}
    path.write_text(yaml.safe_dump({**content, "livetime": number, **more, "files": [str(one) for one in files]}))
    return path


def run(command: Command, dataset: Path, out: Path, *more: object) -> tuple[int, dict[str, Any]]:
    ended = command(*run_words(dataset, out, *more, processor="mu2e_cosmic"))
    report = json.loads((out / "report.json").read_text())
    return ended.code, {**report["datasets"][0], "warnings": report["warnings"]}


def entry(path: Path) -> FileEntry:
    names = {"lfn": str(path), "replicas": (str(path),), "tree": "EventNtuple/ntuple", "data_schema": "eventntuple"}
    return FileEntry(**names)


@pytest.mark.parametrize("kind", ["root", "parquet"])
def test_files_are_recognised_and_described(samples: dict[str, list[Path]], kind: str) -> None:
    path = samples[kind][0]
    assert recognise(str(path)) == ("mc", "EventNtuple/ntuple", "eventntuple")
    found = inspect(entry(path))
    assert (found.entries, found.size, found.ntuple_version) == (300, path.stat().st_size, "6.13.2")
    assert found.clusters[0] == 0
    assert found.clusters[-1] == 300
    assert found.exposure is not None
    assert found.exposure.generated is not None
    assert found.exposure.livetime is not None
    assert found.exposure.notes == ()


def test_identity_of_parquet_is_that_of_its_content(samples: dict[str, list[Path]], tmp_path: Path) -> None:
    first, second = samples["parquet"]
    copy = shutil.copy(first, tmp_path / "copy.parquet")
    assert inspect(entry(first)).uuid == inspect(entry(copy)).uuid != inspect(entry(second)).uuid
    pq.write_table(pq.read_table(first).slice(1), copy)
    assert inspect(entry(copy)).uuid != inspect(entry(first)).uuid


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"root" * 10, "is not a Parquet file: it starts with b'root'"),
        (b"PAR1" + b"0" * 50, "is truncated: a Parquet file ends with"),
        (b"PAR1" + b"0" * 50 + b"PAR1", "cannot be read as a Parquet file|truncated or corrupt"),
    ],
)
def test_damaged_parquet(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadFile, match=message):
        inspect(entry(tmp_path / "a.parquet"))


def test_parquet_of_something_else(tmp_path: Path) -> None:
    pq.write_table(pa.table({"Muon_pt": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(BadFile, match="has no events of EventNtuple"):
        recognise(str(tmp_path / "a.parquet"))


def test_root_and_parquet_give_the_same(samples: dict[str, list[Path]], tmp_path: Path, command: Command) -> None:
    """Whole files in one chunk, or in pieces that cross row groups: the same cut flow, counters and exposure."""
    found = []
    for kind, chunk in (("root", 300), ("root", 70), ("parquet", 110)):
        out = tmp_path / f"{kind}{chunk}"
        code, report = run(command, declare(tmp_path / "s.yaml", samples[kind]), out, "--chunksize", chunk)
        assert code == 0
        exposure = {key: report["exposure"][key] for key in ("livetime", "generated", "on_spill", "fraction")}
        found.append(((out / "cutflow.csv").read_text(), report["counters"], exposure))
    assert found[0] == found[1] == found[2]
    assert found[0][2]["fraction"] == 1.0


def test_a_ttree_and_an_analysis_of_the_user(
    samples: dict[str, list[Path]], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split leaves in a TTree, the file named by its path; the same count as from the RNTuple."""
    (tmp_path / "counting_analysis.py").write_text(ANALYSIS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with uproot.open(samples["root"][0]) as file:
        ntuple = file["EventNtuple/ntuple"]
        leaves = {name: ntuple[name].array() for name in ("run", "subrun", "event")}
        leaves |= {"trk.pdg": ntuple["trk.pdg"].array(), "crvcoincs.time": ntuple["crvcoincs.time"].array()}
    types = {name: "int32" if one.ndim == 1 else f"var * {one.type.content.content}" for name, one in leaves.items()}
    with uproot.recreate(tmp_path / "tree.root") as file:
        file.mkdir("EventNtuple").mktree("ntuple", types, counter_name=lambda name: f"n_{name}").extend(leaves)
    flows, kinds = [], []
    for path in (tmp_path / "tree.root", samples["root"][0]):
        out = tmp_path / f"out_{path.stem}"
        ended = command(*run_words(path, out, "--chunksize", 90, processor="counting_analysis:Count"))
        assert ended.code == 0, ended.err
        flow = json.loads((out / "cutflow.json").read_text())[path.stem]
        flows.append({cut: (row["n"], row["sumw"]) for cut, row in flow.items()})
        kinds.append(json.loads((out / "report.json").read_text())["datasets"][0]["kind"])
    assert flows[0] == flows[1]
    assert kinds == ["data", "mc"]  # the tree was written without truth
    leaves["trk.pdgid"] = leaves.pop("trk.pdg")
    types["trk.pdgid"] = types.pop("trk.pdg")
    with uproot.recreate(tmp_path / "old.root") as file:
        file.mkdir("EventNtuple").mktree("ntuple", types, counter_name=lambda name: f"n_{name}").extend(leaves)
    ended = command(*run_words(tmp_path / "old.root", tmp_path / "out", processor="counting_analysis:Count"))
    assert_refused(ended, r"old.root lacks trk.pdg", "Did you mean 'trk.pdgid'")


def test_without_subrun_there_is_no_identity(real: Path, tmp_path: Path) -> None:
    """The file that ROOT wrote has run and event only: the work item says so, and what identifies an event."""
    from mucoffea.executors.worker import Work

    class Nowhere:
        def reachable(self) -> bool:
            return True

        def write(self, item: Any, result: Any) -> None:
            raise AssertionError

        encode = write

    path = real / "mu2e" / "nested_vectors_written_by_root.root"
    declared = declare(tmp_path / "s.yaml", [path], tree="ntuple")
    fileset = build_fileset(read_datasets(declared)[0])
    plan = build_plan([fileset.model_copy(update={"files": tuple(map(inspect, fileset.files))})], chunksize=5000)
    outcome = Work(run_id="a", processor=lambda events: {}, store=Nowhere())(plan.items[0])
    assert outcome.status == "failed"
    assert "lacks subrun: without run, subrun and event number" in outcome.message


def test_dataset_and_files_that_disagree(samples: dict[str, list[Path]], tmp_path: Path, command: Command) -> None:
    of_files = sum(inspect(entry(path)).exposure.livetime for path in samples["root"])  # type: ignore[union-attr]
    for factor, warned in ((1.0005, False), (1.01, True)):
        number = {"value": float(of_files * factor), "source": "this test"}
        declared = declare(tmp_path / "s.yaml", samples["root"], livetime=number)
        _, report = run(command, declared, tmp_path / "out", "--overwrite")
        assert report["exposure"]["livetime"] == pytest.approx(of_files, rel=1e-12)
        assert "subrunNtuple" in report["exposure"]["livetime_source"]
        assert any("livetime: the 2 files say" in line for line in report["warnings"]) is warned


def test_numbers_of_the_dataset_are_scaled(tmp_path: Path, command: Command) -> None:
    """An older version, whose files say nothing: the dataset's number, for the files that were asked for."""
    files = generate(ToySpec(sample="cosmic", events=400, files=4, seed=4, version="6.6.0"), tmp_path / "old")
    declared = declare(tmp_path / "s.yaml", files)
    _, report = run(command, declared, tmp_path / "out", "--max-files", 1)
    assert report["exposure"]["livetime"] == pytest.approx(250.0)
    assert report["exposure"]["generated"] is None
    assert report["exposure"]["generated_source"] == "neither the files nor the dataset say"
    declared = declare(tmp_path / "s.yaml", files, sample_files=8)
    _, report = run(command, declared, tmp_path / "out", "--overwrite")
    assert report["exposure"]["livetime"] == pytest.approx(500.0)


def test_an_incomplete_sample_has_no_exposure_unless_allowed(
    samples: dict[str, list[Path]], tmp_path: Path, command: Command
) -> None:
    good = samples["root"][0]
    broken = tmp_path / "broken.root"
    broken.write_bytes(samples["root"][1].read_bytes()[:2000])
    declared = declare(tmp_path / "s.yaml", [good, broken])
    code, report = run(command, declared, tmp_path / "out")
    assert code == 2
    assert report["exposure"]["livetime"] is None
    assert "--allow-partial" in report["exposure"]["livetime_source"]
    code, report = run(command, declared, tmp_path / "out2", "--allow-partial")
    assert code == 2
    of_good = inspect(entry(good)).exposure
    assert of_good is not None
    assert report["exposure"]["livetime"] == pytest.approx(of_good.livetime)
    assert report["exposure"]["fraction"] == pytest.approx(0.5)


def test_totals_and_subruns_that_disagree(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        folder = file.mkdir("EventNtuple")
        tree = folder.mktree("subrunNtuple", {"genEventCount": "int64", "cosmicLivetime": "float32"})
        tree.extend({"genEventCount": np.array([10, 20]), "cosmicLivetime": np.array([1.5, 2.5], np.float32)})
        folder["n_gen_events"] = (np.array([31.0]), np.array([0.0, 1.0]))
        folder["cosmic_livetime"] = (np.array([4.0]), np.array([0.0, 1.0]))
        folder["version"] = (np.array([6.0, 13.0, 2.0]), np.array([0.0, 1.0, 2.0, 3.0]))
    with uproot.open(tmp_path / "a.root") as file:
        found = exposure_of_root(file)
    assert found["ntuple_version"] == "6.13.2"
    assert (found["exposure"]["generated"], found["exposure"]["livetime"]) == (30, 4.0)
    (note,) = found["exposure"]["notes"]
    assert note == "genEventCount of the subruns sum up to 30, the total n_gen_events is 31"


def test_exposure_of_parts_of_files() -> None:
    files = [
        FileShare(lfn="a", entries=100, processed=50, livetime=10.0, generated=1000),
        FileShare(lfn="b", entries=0, processed=0, livetime=4.0, generated=400),
    ]
    found, warnings = sample_exposure(files, 0, Declared(files=2), on_spill=False, permitted=True)
    assert (found.livetime, found.generated, found.fraction, found.on_spill) == (9.0, 900, 0.5, False)
    assert warnings == []
    some = [files[0], FileShare(lfn="c", entries=1, processed=1)]
    found, _ = sample_exposure(some, 0, Declared(files=2), on_spill=True, permitted=True)
    assert found.livetime is None
    assert found.livetime_source == "only 1 of 2 files say, and the dataset does not"


def test_a_list_of_files(samples: dict[str, list[Path]], tmp_path: Path) -> None:
    shutil.copy(samples["root"][0], tmp_path / "here.root")
    (tmp_path / "names.txt").write_text(f"# all of them\n\nhere.root\n  {samples['root'][1]}  # elsewhere\n")
    text = "{name: a, kind: mc, process: C, schema: eventntuple, file_list: names.txt"
    (tmp_path / "d.yaml").write_text(text + ", generated_events: {value: 1, source: t}}")
    (dataset,) = read_datasets(tmp_path / "d.yaml")
    assert (dataset.tree, dataset.experiment) == ("EventNtuple/ntuple", "mu2e")
    paths = [file.replicas[0] for file in build_fileset(dataset).files]
    assert paths == [str(tmp_path / "here.root"), str(samples["root"][1])]
    (tmp_path / "names.txt").write_text("# none\n")
    with pytest.raises(UserError, match="names no file"):
        build_fileset(dataset)
    (tmp_path / "names.txt").unlink()
    with pytest.raises(UserError, match=r"names.txt does not exist"):
        build_fileset(dataset)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("livetime: {value: 1.0}", "'livetime.source' is missing"),
        ("livetime: {value: 1e7, source: t}", "'livetime.value' must be a number, without quotes"),
        ("livetime: {value: -1.0, source: t}", "livetime.value"),
        ("livetime: {value: 1.0, unit: h, source: t}", "it must be 's'"),
        ("livetime: {value: 1.0, sorce: t}", "Did you mean 'source'"),
        ("generated_events: {value: 1.5, source: t}", "whole number"),
        (
            "generated_events: {value: 5, source: t}\non_spill: 'yes'",
            "'on_spill' must be true or false, without quotes",
        ),
        ("generated_events: {value: 5, source: t}\ncross_section: {value: 5.0, source: t}", "not both"),
        ("", "has no cross section.*or 'livetime:' in s, or 'generated_events:'"),
        ("generated_events: {value: 5, source: t}\nschema: eventntupel", "Did you mean 'eventntuple'"),
    ],
)
def test_mistakes_in_a_dataset(tmp_path: Path, more: str, message: str) -> None:
    schema = "" if "schema" in more else "schema: eventntuple\n"
    (tmp_path / "d.yaml").write_text(f"name: a\nkind: mc\nprocess: C\nfiles: [a.root]\n{schema}{more}\n")
    with pytest.raises(UserError, match=message):
        read_datasets(tmp_path / "d.yaml")


def test_documented_datasets(command: Command) -> None:
    documented = {name: one for name, one in load_registry().items() if one.source == "sam"}
    assert len(documented) == 10
    assert all(one.data_schema == "eventntuple" and one.generated_events for one in documented.values())
    assert sum(one.livetime is not None for one in documented.values()) == 6
    off = documented["CosmicCRYSignalAllOffSpillTriggered-LH.MDC2020as_best_v1_3_v06_03_00"]
    assert off.on_spill is False
    assert off.livetime is not None
    assert off.livetime.value / (off.sample_files or 0) == pytest.approx(13_019.4, rel=1e-3)
    shown = command("list", "CeEndpointMix2BB*").out
    assert "4,000,000" in shown
    assert "sam" in shown
    assert_refused(
        command("--datasets", "CeEndpointMix2BB*", "--processor", "mu2e_cosmic"), "SAM is not asked", "file_list"
    )


def test_an_analysis_of_other_events_is_refused(command: Command, samples: dict[str, list[Path]], tmp_path: Path):
    dataset = declare(tmp_path / "cosmics.yaml", samples["root"])
    ended = command(*run_words(dataset, tmp_path / "out", processor="cms_dimuon"))
    assert_refused(ended, "cms_dimuon reads events of the schema 'nanoaod'", "'cosmics' has 'eventntuple'")


def test_all_means_what_the_analysis_reads():
    registry = load_registry()
    found = {one: {dataset.name for dataset in resolve(["all"], registry, schema=one)} for one in (*LAYOUTS, None)}
    assert "demo_dy" in found["nanoaod"]
    assert "toy_cosmic" in found["eventntuple"]
    assert not found["nanoaod"] & found["eventntuple"]
    assert found["nanoaod"] | found["eventntuple"] == found[None] == set(registry)
