"""Mistakes in descriptions of datasets: file, line and mending; no event is counted twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .support.command_line import Command, assert_refused, run_words, write_dataset


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
