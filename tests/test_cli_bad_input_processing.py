"""What stops a run once its files are looked into, from a missing branch to Ctrl-C: no result, and none lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from mucoffea.processors.cms_dimuon import Dimuon

from .support.command_line import Command, assert_refused, run_words, snapshot, write_dataset
from .support.root_files import copy_events


@pytest.mark.parametrize(
    ("words", "patterns", "mended"),
    [
        (
            ["triggers=[HLT_IsoMu25]"],
            ["none of the trigger paths HLT_IsoMu25", "'HLT_IsoMu24'"],
            ["triggers=[HLT_IsoMu24]"],
        ),
        ([], ["Muon_tightId", "lacking.root", "working point"], ["muon.identification=loose"]),
    ],
)
def test_what_only_the_file_tells_costs_nothing(
    command: Command,
    small: Path,
    earlier: Path,
    tmp_path: Path,
    words: list[str],
    patterns: list[str],
    mended: list[str],
):
    file = copy_events(small, tmp_path / "lacking.root", without="Muon_tightId")
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


def test_an_error_of_the_analysis_names_file_entries_and_line_once(
    command: Command, small: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(self, *arguments, **options):
        raise ZeroDivisionError("a bug of mine")

    monkeypatch.setattr(Dimuon, "fill", broken)
    ended = command(*run_words(small, tmp_path / "out"))
    where = (r"test_cli_bad_input_processing\.py:\d+", "dy_0.root", "entries 0–600")
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
