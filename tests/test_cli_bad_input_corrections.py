"""Correction files that are absent or unreadable: named before anything is written."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import pytest

from .support.command_line import Command, assert_refused, run_words, snapshot


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
