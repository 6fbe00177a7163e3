"""Files that cannot be read: named in one paragraph, and the good ones beside them processed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import uproot
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .support.command_line import Command, assert_refused, run_words, write_dataset
from .support.results import read_report
from .support.root_files import truncated, with_bad_basket


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
    assert "basket.root" in ended.out
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


def test_a_folder_without_root_files(command: Command, tmp_path: Path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/readme.txt").write_text("nothing here")
    assert_refused(command(*run_words(tmp_path / "files", tmp_path / "out")), "files", r"no ROOT files")
