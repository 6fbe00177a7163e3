"""Output folders that hold something already or cannot be written: nothing of the user is lost."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from .support.command_line import Command, assert_refused, run_words, snapshot
from .support.results import read_report


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


def test_plots_of_a_folder_without_a_result(command: Command, earlier: Path, tmp_path: Path):
    assert_refused(command("plot", tmp_path / "nowhere"), "nowhere holds no finished result")
    damaged = tmp_path / "damaged"
    shutil.copytree(earlier, damaged)
    (damaged / "report.json").write_text((damaged / "report.json").read_text()[:100])
    assert_refused(command("plot", damaged), "report.json")


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
