"""Bad input at the command line: one paragraph that says what and how to mend it, the exit code, and nothing lost."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uproot
import yaml
from mucoffea import cli
from mucoffea.processors.cms_dimuon import Dimuon
from mucoffea.toys.cms_nanoaod import ToySpec, generate

MAIN = Path(__file__).parents[1] / "main.py"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process; an exception that escapes it fails the test, as a traceback would the user."""

    def run(*words: object) -> Ended:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 600 Drell-Yan events in baskets of 200."""
    (path,) = generate(ToySpec(sample="dy", events=600, seed=8, basket_events=200), tmp_path_factory.mktemp("small"))
    return path


@pytest.fixture(scope="module")
def first_result(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a run."""
    folder = tmp_path_factory.mktemp("first") / "result"
    assert cli.main(run_words(small, folder)) == 0
    return folder


@pytest.fixture
def earlier(first_result: Path, tmp_path: Path) -> Path:
    """A copy of the result of an earlier run, with a file of the user beside it."""
    folder = tmp_path / "earlier"
    shutil.copytree(first_result, folder)
    (folder / "notes.txt").write_text("do not lose me")
    return folder


def run_words(dataset: object, folder: object, *more: object) -> list[str]:
    """The words of a run without plots."""
    words = ("--datasets", dataset, "--processor", "cms_dimuon", "--output-dir", folder, "--no-plots", *more)
    return [str(word) for word in words]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file of the result in ``folder`` with the hash of its content; what a failed run left is no result."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "unfinished"
    }


def assert_refused(ended: Ended, *patterns: str) -> None:
    """Exit code 1 and one paragraph on the error stream that matches every pattern."""
    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert "\n\n" not in ended.err.strip()
    assert ended.err.count("error: ") == 1
    for pattern in patterns:
        assert re.search(pattern, ended.err), f"{pattern!r} is not in: {ended.err}"


def write_dataset(path: Path, files: list[Path], **more: Any) -> Path:
    """Write a dataset YAML of simulation with a cross section of 50 pb."""
    content = {
        "name": path.stem,
        "kind": "mc",
        "process": "dy",
        "cross_section": {"value": 50.0, "source": "this test"},
        "files": [str(file) for file in files],
        **more,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """Read the report of a result."""
    return json.loads((folder / "report.json").read_text())


def truncated(path: Path, copy: Path) -> Path:
    """Make a copy that lacks its second half."""
    content = path.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    return copy


def with_bad_basket(path: Path, copy: Path, number: int = 1) -> Path:
    """Make a copy with zeros in one basket of Muon_pt, which opens without complaint."""
    shutil.copy(path, copy)
    with uproot.open(path) as file:
        offset = file["Events/Muon_pt"].member("fBasketSeek")[number]
    with copy.open("r+b") as file:
        file.seek(offset + 120)
        file.write(bytes(200))
    return copy


def rewritten(path: Path, copy: Path, *, without: str = "", events: int | None = None) -> Path:
    """Make a copy of the tree ``Events`` with uproot, without one branch, or of the first events alone."""
    with uproot.open(path) as source, uproot.recreate(copy) as target:
        tree = source["Events"]
        names = [name for name in tree.keys() if name != without and not name.startswith("n")]  # noqa: SIM118
        arrays = tree.arrays(names, entry_stop=events)
        types = {name: arrays[name].type.content for name in names}
        target.mktree("Events", types, counter_name=lambda counted: "n" + counted.split("_")[0]).extend(
            {name: arrays[name] for name in names}
        )
    return copy


# Names that do not exist.


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--datasets", "demo_dyy"], ["no dataset 'demo_dyy'", "Did you mean 'demo_dy'", "main.py list"]),
        (["--datasets", "demmo*"], ["No dataset matches the pattern 'demmo\\*'", "main.py list"]),
        (["--datasets", "demo_dy", "--executor", "future"], ["no executor 'future'", "Did you mean 'futures'"]),
        (["--datasets", "demo_dy", "--executor", "dask-slurm"], ["'dask-slurm' is not available", "iterative"]),
        (["--datasets", "nowhere/events.root"], ["nowhere/events.root does not exist"]),
        (["--datasets", "nowhere.yaml"], ["nowhere.yaml does not exist"]),
        (["--datasets", "nowhere.json.gz"], ["nowhere.json.gz does not exist"]),
        (["--datasets", "nowhere/*.root"], ["No file matches 'nowhere/\\*.root'"]),
    ],
)
def test_an_unknown_name(command: Command, tmp_path: Path, words: list[str], patterns: list[str]):
    assert_refused(command(*words, "--output-dir", tmp_path / "out"), *patterns)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--processor", "cms_dimuons"], ["no processor 'cms_dimuons'", "Did you mean 'cms_dimuon'"]),
        (["--era", "2081"], ["no era '2081'", "Did you mean '2018'"]),
        (["--set", "muon.min_ptt=25"], ["muon.min_ptt", "no such parameter", "Did you mean 'min_pt'"]),
        (["--set", "leading_pt=25"], ["'leading_pt'", "no such parameter", "Did you mean 'leading_min_pt'"]),
        (["--set", "muon.min_pt=lots"], ["muon.min_pt", "number"]),
        (["--set", "muon.identification=tigth"], ["muon.identification", "'tight'"]),
        (["--set", "mass_window=60"], ["mass_window"]),
        (["--set", "muon=5"], ["'muon'"]),
        (["--set", "muon.min_pt"], ["--set takes KEY=VALUE", "muon.min_pt=25"]),
        (["--set", "mass_window=[60, 120"], ["mass_window=\\[60, 120"]),
        (["--set", "corrections=[pileupp]", "--era", "demo"], ["'pileupp'", "Did you mean 'pileup'"]),
        (["--chunksize", "0"], ["--chunksize must be at least 1, not 0"]),
        (["--chunksize", "-5"], ["--chunksize must be at least 1, not -5"]),
        (["--max-files", "0"], ["--max-files must be at least 1, not 0"]),
        (["--max-chunks", "0"], ["--max-chunks must be at least 1, not 0"]),
        (["--workers", "0"], ["--workers must be at least 1, not 0"]),
        (["--executor", "futures", "--workers", "-1"], ["--workers must be at least 1, not -1"]),
    ],
)
def test_a_wrong_value_of_an_option_leaves_no_folder(
    command: Command, toys: Path, small: Path, tmp_path: Path, monkeypatch, words: list[str], patterns: list[str]
):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    ended = command(*run_words(small, tmp_path / "out"), *words)
    assert_refused(ended, *patterns)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--datasets", "demo_dyy"], ["Did you mean 'demo_dy'"]),
        (["--executor", "future"], ["Did you mean 'futures'"]),
        (["--era", "2081"], ["Did you mean '2018'"]),
        (["--set", "muon.min_ptt=25"], ["no such parameter"]),
        (["--chunksize", "0"], ["--chunksize must be at least 1"]),
        (["--workers", "0"], ["--workers must be at least 1"]),
    ],
)
def test_the_earlier_result_survives_a_run_that_fails_with_overwrite(
    command: Command, small: Path, earlier: Path, words: list[str], patterns: list[str]
):
    before = snapshot(earlier)
    assert_refused(command(*run_words(small, earlier, "--overwrite"), *words), *patterns)
    assert snapshot(earlier) == before


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("muon: {min_ptt: 25}\n", ["parameters.yaml", "min_ptt", "Did you mean 'min_pt'"]),
        ("muon: {min_pt: twenty}\n", ["parameters.yaml", "muon.min_pt"]),
        ("- muon\n", ["parameters.yaml", "'name: value'"]),
        ("muon: {min_pt: 25\n", ["parameters.yaml", "cannot be read as YAML"]),
    ],
)
def test_a_wrong_configuration_file(command: Command, small: Path, tmp_path: Path, text: str, patterns: list[str]):
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    assert_refused(command(*run_words(small, tmp_path / "out", "--config", path)), *patterns)
    assert_refused(command(*run_words(small, tmp_path / "out", "--config", tmp_path / "no.yaml")), r"no\.yaml")
    assert not (tmp_path / "out").exists()


# Files that cannot be read.


def html(small: Path, folder: Path) -> Path:
    """What a web server sends instead of a file that has moved."""
    path = folder / "page.root"
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    return path


def without_tree(small: Path, folder: Path) -> Path:
    """A ROOT file with a tree of another name, as a skim might have."""
    path = folder / "skim.root"
    with uproot.recreate(path) as file:
        file.mktree("Event", {"x": "int32"}).extend({"x": [1, 2]})
        file.mktree("Runs", {"run": "uint32"}).extend({"run": [1]})
    return path


def half(small: Path, folder: Path) -> Path:
    """The first half of a ROOT file."""
    return truncated(small, folder / "half.root")


def nothing(small: Path, folder: Path) -> Path:
    """A file of no bytes, as an interrupted copy leaves it."""
    path = folder / "nothing.root"
    path.touch()
    return path


BAD_FILES = [
    (html, ["page.root", "not a ROOT file"]),
    (without_tree, ["skim.root", "no tree 'Events'", "Did you mean 'Event'", "Runs"]),
    (half, ["half.root", "truncated", "copy it again"]),
    (nothing, ["nothing.root", "empty", "copy it again"]),
]


@pytest.mark.parametrize(("make", "patterns"), BAD_FILES)
def test_a_bad_file_alone(command: Command, small: Path, tmp_path: Path, make, patterns: list[str]):
    bad = make(small, tmp_path)
    by_path = command(*run_words(f"{bad}:Events", tmp_path / "out"))
    assert_refused(by_path, *patterns)
    declared = write_dataset(tmp_path / "declared.yaml", [bad])
    ended = command(*run_words(declared, tmp_path / "out"))
    assert ended.code == 1
    everything = ended.out + ended.err
    assert all(re.search(pattern, everything) for pattern in patterns), everything
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("make", "patterns"), BAD_FILES)
def test_a_bad_file_beside_a_good_one_is_named_and_the_good_one_processed(
    command: Command, small: Path, tmp_path: Path, make, patterns: list[str]
):
    bad = make(small, tmp_path)
    declared = write_dataset(tmp_path / "both.yaml", [small, bad], era="demo")
    words = run_words(declared, tmp_path / "out", "--set", "corrections=[]")
    ended = command(*words)
    assert ended.code == 2
    assert all(re.search(pattern, ended.out + ended.err) for pattern in patterns), ended
    report = read_report(tmp_path / "out")
    (dataset,) = report["datasets"]
    assert list(dataset["bad_files"]) == [str(bad)]
    assert all(re.search(pattern, dataset["bad_files"][str(bad)]) for pattern in patterns)
    assert report["status"] == "incomplete"
    assert (dataset["files"], dataset["events_processed"], dataset["scale"]) == (2, 600, None)
    assert "--allow-partial" in dataset["not_normalised"]
    assert any(line.startswith("PARTIAL") and "1 of 2 files" in line for line in report["warnings"])
    assert "PARTIAL" in ended.out

    assert command(*words, "--overwrite", "--allow-partial").code == 2
    report = read_report(tmp_path / "out")
    (dataset,) = report["datasets"]
    with uproot.open(small) as file:
        sumw = float(file["Runs/genEventSumw"].array()[0])
    assert dataset["scale"] == pytest.approx(20.0 * 50.0 / sumw, rel=1e-12)
    assert any(line.startswith("PARTIAL") for line in report["warnings"])


def test_a_bad_file_in_a_folder_with_good_ones(command: Command, small: Path, tmp_path: Path):
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copy(small, folder / "a.root")
    truncated(small, folder / "b.root")
    ended = command(*run_words(folder, tmp_path / "out"))
    assert ended.code == 2
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert (dataset["name"], dataset["kind"], dataset["events_processed"]) == ("files", "mc", 600)
    assert list(dataset["bad_files"]) == [str(folder / "b.root")]


def test_a_bad_dataset_beside_a_good_one(command: Command, small: Path, tmp_path: Path):
    bad = write_dataset(tmp_path / "bad.yaml", [truncated(small, tmp_path / "half.root")])
    good = write_dataset(tmp_path / "good.yaml", [small])
    ended = command("--datasets", good, bad, *run_words(good, tmp_path / "out")[2:])
    assert ended.code == 2
    report = read_report(tmp_path / "out")
    assert [one["events_processed"] for one in report["datasets"]] == [600, 0]
    assert any(re.match("PARTIAL: bad: .*1 of 1 files", line) for line in report["warnings"])
    # Given by their paths, nobody can say what kind of events the bad file has: nothing starts.
    ended = command("--datasets", small, tmp_path / "half.root", *run_words(good, tmp_path / "paths")[2:])
    assert_refused(ended, "half.root", "truncated")
    assert not (tmp_path / "paths").exists()


def test_a_corrupt_basket_costs_its_chunk_and_no_more(command: Command, small: Path, tmp_path: Path):
    bad = with_bad_basket(small, tmp_path / "basket.root")
    declared = write_dataset(tmp_path / "basket.yaml", [bad], era="demo")
    words = run_words(declared, tmp_path / "out", "--chunksize", 200, "--set", "corrections=[]")
    ended = command(*words)
    assert ended.code == 2
    assert "basket.root" in " ".join(ended.out.split())
    report = read_report(tmp_path / "out")
    (dataset,) = report["datasets"]
    assert (dataset["events_processed"], dataset["events_failed"], dataset["scale"]) == (400, 200, None)
    assert "PARTIAL: basket: 400 of 600 events processed" in report["warnings"]
    ledger = json.loads((tmp_path / "out/ledger.json").read_text())
    (failed,) = [row for row in ledger if row["status"] == "failed"]
    assert failed["entries"] == [200, 400]
    assert "basket.root" in failed["message"]
    assert failed["traceback"]
    # The sum of weights is that of the events read, so the expectation of the whole is not biased.
    assert command(*words, "--overwrite", "--allow-partial").code == 2
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    with uproot.open(small) as file:
        weights = file["Events/genWeight"].array(library="np").astype(float)
    assert dataset["sumw"] == pytest.approx(weights[:200].sum() + weights[400:].sum(), rel=1e-12)
    assert dataset["scale"] == pytest.approx(20.0 * 50.0 / dataset["sumw"], rel=1e-12)


def test_when_every_chunk_fails_the_report_says_so(command: Command, small: Path, tmp_path: Path):
    bad = with_bad_basket(small, tmp_path / "basket.root")
    ended = command(*run_words(bad, tmp_path / "out"))
    assert ended.code in (1, 2)
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert (dataset["events_processed"], dataset["events_failed"], dataset["scale"]) == (0, 600, None)


def test_empty_trees_alone(command: Command, tmp_path: Path):
    (empty,) = generate(ToySpec(sample="dy", events=0), tmp_path / "empty")
    for dataset in (empty, write_dataset(tmp_path / "alone.yaml", [empty])):
        assert_refused(command(*run_words(dataset, tmp_path / "out")), "nothing to process", "empty", "alone|dy_0")
        assert not (tmp_path / "out").exists()


def test_an_empty_tree_beside_others(command: Command, small: Path, tmp_path: Path):
    (empty,) = generate(ToySpec(sample="dy", events=0), tmp_path / "empty")
    alone = write_dataset(tmp_path / "alone.yaml", [empty], era="demo")
    good = write_dataset(tmp_path / "good.yaml", [small], era="demo")
    words = run_words(good, tmp_path / "out", "--set", "corrections=[]")
    assert command("--datasets", good, alone, *words[2:]).code == 0
    report = read_report(tmp_path / "out")
    assert [one["events_processed"] for one in report["datasets"]] == [600, 0]
    assert any("alone" in line for line in report["warnings"])
    # In one dataset with a file that has events, it changes nothing.
    both = write_dataset(tmp_path / "both.yaml", [empty, small], era="demo")
    assert command(*run_words(both, tmp_path / "both", "--set", "corrections=[]")).code == 0
    (joined,) = read_report(tmp_path / "both")["datasets"]
    assert joined["scale"] == pytest.approx(report["datasets"][0]["scale"], rel=1e-12)
    assert joined["files"] == 2


@pytest.mark.parametrize(
    ("words", "patterns", "mended"),
    [
        (
            ["triggers=[HLT_IsoMu25]"],
            ["none of the trigger paths HLT_IsoMu25", "'IsoMu24'"],
            ["triggers=[HLT_IsoMu24]"],
        ),
        ([], ["Muon_tightId", "lacking.root", "working point"], ["muon.identification=loose"]),
    ],
)
def test_what_only_processing_finds_costs_nothing(
    command: Command,
    small: Path,
    earlier: Path,
    tmp_path: Path,
    words: list[str],
    patterns: list[str],
    mended: list[str],
):
    file = rewritten(small, tmp_path / "lacking.root", without="Muon_tightId")
    first = run_words(file, tmp_path / "out", *(f"--set={word}" for word in words))
    assert_refused(command(*first), *patterns)
    # What was wrong is mended: nothing of the first attempt is in the way, nor taken for a result.
    assert not (tmp_path / "out/report.json").exists()
    if words:
        file = small
    assert command(*run_words(file, tmp_path / "out", *(f"--set={word}" for word in mended))).code == 0
    before = snapshot(earlier)
    assert_refused(command(*first, "--output-dir", earlier, "--overwrite"), *patterns)
    assert snapshot(earlier) == before


def test_data_declared_as_simulation(command: Command, toys: Path, tmp_path: Path):
    declared = write_dataset(tmp_path / "wrong.yaml", [toys / "data.root"])
    assert_refused(command(*run_words(declared, tmp_path / "out")), "genWeight", "data.root")


def test_a_folder_without_root_files(command: Command, tmp_path: Path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/readme.txt").write_text("nothing here")
    assert_refused(command(*run_words(tmp_path / "files", tmp_path / "out")), "files", r"no ROOT files")


def test_the_same_file_in_two_datasets(command: Command, small: Path, tmp_path: Path):
    link = tmp_path / "other.root"
    link.symlink_to(small)
    one, two = write_dataset(tmp_path / "one.yaml", [small]), write_dataset(tmp_path / "two.yaml", [link])
    ended = command("--datasets", one, two, *run_words(one, tmp_path / "out")[2:])
    assert_refused(ended, str(small), "'one'", "'two'", "counted twice")
    assert not (tmp_path / "out").exists()
    # Two names of one file on the command line as well.
    ended = command("--datasets", small, link, *run_words(one, tmp_path / "out")[2:])
    assert_refused(ended, str(small), "counted twice")


def test_two_files_of_one_name(command: Command, small: Path, tmp_path: Path):
    copy = tmp_path / small.name
    shutil.copy(small, copy)
    ended = command("--datasets", small, copy, *run_words(small, tmp_path / "out")[2:])
    assert_refused(ended, f"Two different datasets are called '{small.stem}'", "Rename one")


# Descriptions of datasets.


@pytest.mark.parametrize(
    ("change", "line", "patterns"),
    [
        (("kind: mc", "kind: simulation"), 2, ["'kind'", "'data' or 'mc'"]),
        (("source: this test", "source: this test\n  placeholder: 'False'"), 7, ["placeholder", "without quotes"]),
        (("value: 50.0", "value: '50.0'"), 5, ["value", "without quotes"]),
        (("value: 50.0", "value: -50.0"), 5, ["value", "greater than 0"]),
        (("source: this test", "source: this test\n  unit: barn"), 7, ["'fb', 'pb' or 'nb'"]),
        (("process: dy", "proces: dy"), 3, ["no key 'proces'", "Did you mean 'process'"]),
        (("cross_section:", "cross_secton:"), 4, ["no key 'cross_secton'", "Did you mean 'cross_section'"]),
        (("process: dy", "process: dy\nera: '2081'"), 4, ["no era '2081'", "Did you mean '2018'"]),
        (("process: dy", "process: dy\n\tera: 2018"), 4, ["not valid YAML"]),
        (("process: dy", "process: dy\nprocess: ttbar"), 4, ["'process' is given twice"]),
        (("files:", "glob: '*.root'\nfiles:"), 1, ["exactly one of files, glob", "it has files and glob"]),
    ],
)
def test_a_mistake_in_a_dataset_has_its_file_line_and_mending(
    command: Command, small: Path, tmp_path: Path, change: tuple[str, str], line: int, patterns: list[str]
):
    path = write_dataset(tmp_path / "mine.yaml", [small])
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    place = rf"mine\.yaml, line {line}\b"
    assert_refused(command(*run_words(path, tmp_path / "out")), place, *patterns)
    assert_refused(command("list", path), place, *patterns)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("metadata", "patterns"),
    [
        ({"isMC": "False"}, ["line 7", "'isMC' must be true or false, without quotes"]),
        ({"isMC": True, "XS": "1.2"}, ["line 8", "'XS' must be a number in pb"]),
        ({"isMC": True, "XS": -1.0}, ["line 8", "a cross section is positive"]),
        ({"isMc ": True, "isMC": True}, ["line 7", "isMc "]),
        ({"isMC": True, "year": "20018"}, ["line 8", "no era '20018'", "Did you mean '2018'"]),
    ],
)
def test_a_mistake_in_a_fileset_has_its_file_and_line(
    command: Command, small: Path, tmp_path: Path, metadata: dict[str, Any], patterns: list[str]
):
    path = tmp_path / "fileset.json"
    path.write_text(json.dumps({"mine": {"files": {str(small): "Events"}, "metadata": metadata}}, indent=1))
    assert_refused(command(*run_words(path, tmp_path / "out")), "fileset.json", *patterns)


def test_a_contradiction_of_era_and_dataset(command: Command, small: Path, tmp_path: Path):
    path = write_dataset(tmp_path / "mine.yaml", [small], era="2018")
    ended = command(*run_words(path, tmp_path / "out", "--era", "2022postEE"))
    assert_refused(ended, "--era 2022postEE contradicts the dataset 'mine'", "2018", "Leave --era out")


def test_no_processor_is_named(command: Command, small: Path, tmp_path: Path):
    ended = command("--datasets", small, "--output-dir", tmp_path / "out")
    assert_refused(ended, "--processor", "cms_dimuon, cms_four_lepton")


# Corrections.


def test_an_unreadable_correction_file(
    command: Command, toys: Path, small: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(toys / "POG", tmp_path / "mine/POG")
    broken = tmp_path / "mine/POG/MUO/demo/muon_Z.json.gz"
    broken.write_bytes(broken.read_bytes()[:200])
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(tmp_path / "mine"))
    before = snapshot(earlier)
    for _ in range(2):  # the second time as well, although the first has loaded other files
        ended = command(*run_words(small, earlier, "--era", "demo", "--overwrite"))
        assert_refused(ended, re.escape(str(broken)))
    broken.write_bytes(gzip.compress(b'{"schema_version": 2}'))
    assert_refused(command(*run_words(small, earlier, "--era", "demo", "--overwrite")), re.escape(str(broken)))
    assert snapshot(earlier) == before


def test_a_folder_of_corrections_that_is_not_there(
    command: Command, toys: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "pog").mkdir()
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", f"{toys}:{tmp_path / 'pgo'}")
    ended = command(*run_words(small, tmp_path / "out", "--era", "demo"))
    assert_refused(ended, re.escape(str(tmp_path / "pgo")), "MUCOFFEA_CORRECTIONS does not exist", "Did you mean 'pog'")
    assert not (tmp_path / "out").exists()


def test_a_correction_that_no_folder_has(command: Command, small: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "pog").mkdir()
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(tmp_path / "pog"))
    ended = command(*run_words(small, tmp_path / "out", "--era", "2018"))
    assert_refused(ended, "correction 'pileup' of era 2018", "MUCOFFEA_CORRECTIONS", re.escape(str(tmp_path / "pog")))
    assert not (tmp_path / "out").exists()


def test_data_of_an_era_without_its_golden_json(command: Command, toys: Path, tmp_path: Path, monkeypatch):
    shutil.copytree(toys / "POG", tmp_path / "mine/POG")
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(tmp_path / "mine"))
    ended = command(*run_words(toys / "data.root", tmp_path / "out", "--era", "demo"))
    assert_refused(ended, "luminosity mask 'Cert_demo_Golden.json'", "MUCOFFEA_CORRECTIONS")
    assert not (tmp_path / "out").exists()


# The output folder.


def test_an_existing_result_is_not_touched_without_overwrite(command: Command, small: Path, earlier: Path):
    before = snapshot(earlier)
    ended = command(*run_words(small, earlier))
    assert_refused(ended, re.escape(str(earlier)), "holds a result already", "--overwrite", "--output-dir")
    assert snapshot(earlier) == before


def test_overwrite_replaces_the_result_and_nothing_else(command: Command, small: Path, earlier: Path, tmp_path: Path):
    folder = tmp_path / "again"
    shutil.copytree(earlier, folder)
    (folder / "plots").mkdir()
    (folder / "plots/old.png").write_bytes(b"")
    assert command(*run_words(small, folder, "--overwrite", "--set", "muon.min_pt=30")).code == 0
    assert (folder / "notes.txt").read_text() == "do not lose me"
    assert not (folder / "plots/old.png").exists()
    assert read_report(folder)["parameters"]["muon"]["min_pt"] == 30


def test_a_folder_of_other_things_is_not_touched_even_with_overwrite(command: Command, small: Path, tmp_path: Path):
    (tmp_path / "columns").mkdir()
    (tmp_path / "columns/thesis.tex").write_text("three years of work")
    before = snapshot(tmp_path)
    assert_refused(command(*run_words(small, tmp_path, "--overwrite")), "no mucoffea result", "--output-dir")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_an_output_folder_that_cannot_be_made(command: Command, small: Path, tmp_path: Path, mode: int):
    file = tmp_path / "file"
    file.write_text("I was here first")
    file.chmod(mode)
    assert_refused(command(*run_words(small, file)), re.escape(str(file)), "is a file", "--output-dir")
    assert_refused(command(*run_words(small, file / "below")), re.escape(str(file)), "--output-dir")
    assert file.read_text() == "I was here first"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where not even root may write")
def test_an_output_folder_that_the_system_refuses(command: Command, small: Path):
    assert_refused(command(*run_words(small, "/proc/mucoffea")), "/proc", "--output-dir")


def test_an_output_folder_without_permission(command: Command, small: Path, tmp_path: Path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    real_access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != closed and real_access(path, mode)
    )  # root may write everywhere
    ended = command(*run_words(small, closed / "out"))
    assert_refused(ended, "No permission to write", re.escape(str(closed)), "--output-dir")
    assert list(closed.iterdir()) == []


# Errors of the analysis, and the user's.


def test_an_error_of_the_analysis_names_file_entries_and_line_once(
    command: Command, small: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(self, *arguments, **options):
        raise ZeroDivisionError("a bug of mine")

    monkeypatch.setattr(Dimuon, "fill", broken)
    ended = command(*run_words(small, tmp_path / "out"))
    where = (r"test_cli_bad_input\.py:\d+", "dy_0.root", "entries 0–600")
    assert_refused(ended, "ZeroDivisionError: a bug of mine", *where)
    assert not (tmp_path / "out/report.json").exists()
    assert "a bug of mine" not in ended.out  # once is enough
    before = snapshot(earlier)
    assert command(*run_words(small, earlier, "--overwrite")).code == 1
    assert snapshot(earlier) == before


def test_an_interrupt_ends_with_130(
    command: Command, small: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(self, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Dimuon, "weigh", interrupted)
    ended = command(*run_words(small, tmp_path / "out"))
    assert ended.code == 130
    assert "interrupted" in ended.err
    assert not (tmp_path / "out/report.json").exists()
    before = snapshot(earlier)
    assert command(*run_words(small, earlier, "--overwrite")).code == 130
    assert snapshot(earlier) == before


@pytest.mark.parametrize("word", ["list", "--datasets"])
def test_a_mistake_is_the_same_for_every_command(command: Command, word: str):
    assert_refused(command(word, "demo_dyy"), "Did you mean 'demo_dy'")


def test_plots_of_a_folder_without_a_result(command: Command, earlier: Path, tmp_path: Path):
    assert_refused(command("plot", tmp_path / "nowhere"), "nowhere holds no finished result")
    damaged = tmp_path / "damaged"
    shutil.copytree(earlier, damaged)
    (damaged / "report.json").write_text((damaged / "report.json").read_text()[:100])
    assert_refused(command("plot", damaged), "report.json")


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["dyy", "--events", "5"], ["SAMPLE is dyy", "'dy'"]),
        (["dy"], ["takes --events"]),
        (["dy", "--events", "-1"], ["--events is -1", "greater than or equal to 0"]),
        (["dy", "--luminosity", "3"], ["takes --events, and no --luminosity"]),
        (["data", "--events", "5", "--luminosity", "3"], ["either --events or --luminosity"]),
        (["dy", "--events", "5", "--files", "0"], ["--files is 0"]),
        (["dy", "--events", "5", "--basket-events", "0"], ["--basket-events is 0"]),
        (["dy", "--events", "5", "--compression", "zst"], ["--compression is zst", "Did you mean 'zstd'"]),
        (["dy", "--events", "5", "--content", "narow"], ["--content is narow", "Did you mean 'narrow'"]),
    ],
)
def test_a_toy_that_cannot_be_made(command: Command, tmp_path: Path, words: list[str], patterns: list[str]):
    assert_refused(command("toy", *words, "--output-dir", tmp_path / "toys"), *patterns, "toy --help")
    assert not (tmp_path / "toys").exists()


def test_a_toy_does_not_replace_another(command: Command, tmp_path: Path):
    words = ["toy", "dy", "--output-dir", tmp_path, "--events"]
    assert command(*words, 20).code == 0
    before = snapshot(tmp_path)
    assert_refused(command(*words, 30), "holds a toy with other settings", "--overwrite", "--output-dir")
    assert command(*words, 20).code == 0
    assert snapshot(tmp_path) == before
    ended = command(*words, 30, "--overwrite")
    assert ended.code == 0
    assert "30 events" in ended.out
    (tmp_path / "dy/toy.json").unlink()
    assert_refused(command(*words, 20), "no complete toy", "--overwrite")


def test_the_program_itself_ends_without_traceback(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, str(MAIN), "--datasets", "demo_dyy", "--output-dir", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_refused(Ended(ended.returncode, ended.stdout, ended.stderr), "Did you mean 'demo_dy'")
    assert ended.stdout == ""
