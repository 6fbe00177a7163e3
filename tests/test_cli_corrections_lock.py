"""`python main.py corrections lock`, and runs that are held to a lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mucoffea.cli.analysis import read_config
from mucoffea.corrections.catalogue import ENVIRONMENT
from mucoffea.corrections.lock import LockChecker, sha256_of

from .support.command_line import Command
from .support.pog_files import scale_factor, write

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The muon identification of 2018, with two of its working points, in the search path."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "pog"))
    keys = ("NUM_TightID_DEN_TrackerMuons", "NUM_LooseID_DEN_TrackerMuons")
    return write(tmp_path / "pog/POG/MUO/2018_UL/muon_Z.json.gz", *map(scale_factor, keys))


def test_what_is_there_is_locked_and_what_is_missing_is_named(tmp_path: Path, file: Path, command: Command) -> None:
    lock = tmp_path / "a.lock"
    ended = command("corrections", "lock", "--era", "2018", "--correction", "muon_id", "--output", lock)
    assert ended.code == 2, "working points are missing from the file"
    assert "2 entries of 1 files; 2 added, 0 changed" in ended.out
    assert "not locked: muon_id of 2018 (medium)" in ended.out
    found = LockChecker.read(lock).lock.files
    assert [(one.working_point, one.sha256) for one in found] == [
        ("loose", sha256_of(file)),
        ("tight", sha256_of(file)),
    ]
    assert {one.path for one in found} == {"POG/MUO/2018_UL/muon_Z.json.gz"}


def test_update_shows_what_changed(tmp_path: Path, file: Path, command: Command) -> None:
    lock = tmp_path / "a.lock"
    words = ("corrections", "lock", "--era", "2018", "--correction", "muon_id", "--output", lock)
    command(*words)
    again = command(*words)
    assert again.code == 1
    assert "a.lock exists. Change it with --update" in again.err
    before = sha256_of(file)
    unchanged = command("corrections", "lock", "--update", "--output", lock)
    assert (unchanged.code, "0 added, 0 changed" in unchanged.out) == (0, True)
    write(
        file,
        *(scale_factor(one, scale=0.9) for one in ("NUM_TightID_DEN_TrackerMuons", "NUM_LooseID_DEN_TrackerMuons")),
    )
    ended = command("corrections", "lock", "--update", "--output", lock)
    assert ended.code == 0
    assert "0 added, 2 changed" in ended.out
    assert before[:12] in ended.out
    assert sha256_of(file)[:12] in ended.out
    assert {one.sha256 for one in LockChecker.read(lock).lock.files} == {sha256_of(file)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Say what to lock"),
        (["--era", "2018", "--correction", "muon_idd"], "Did you mean 'muon_id'"),
        (["--correction", "muon_id"], "--correction belongs to --era"),
        (["results", "--era", "2018"], "Give a RESULT or --era, not both"),
        (["nowhere"], "nowhere has no provenance"),
        (["--update"], "cannot be read (No such file or directory)"),
        (["--era", "2017", "--correction", "muon_id"], "Nothing was found to be locked"),
        (["--era", "2108"], "There is no era '2108'"),
    ],
)
def test_mistakes(tmp_path: Path, command: Command, words: list[str], message: str) -> None:
    ended = command("corrections", "lock", *words, "--output", tmp_path / "a.lock")
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "a.lock").exists()


def test_the_lock_of_a_result_holds_another_run_to_its_files(
    toys: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    pog = tmp_path / "toys"
    shutil.copytree(toys / "POG", pog / "POG")
    shutil.copytree(toys / "lumi", pog / "lumi")
    monkeypatch.setenv(ENVIRONMENT, str(pog))
    run = ("--datasets", toys / "data.root", "--era", "demo", "--processor", "cms_dimuon", "--max-chunks", 1)
    run = (*run, "--chunksize", 2000, "--no-plots", "--output-dir", tmp_path / "out")
    assert command(*run).code in (0, 2)
    lock = tmp_path / "paper.lock"
    assert command("corrections", "lock", tmp_path / "out", "--output", lock).code == 0
    content = json.loads(lock.read_text())
    provenance = json.loads((tmp_path / "out/provenance.json").read_text())
    used = {(one["name"], one["sha256"]) for one in provenance["corrections"] if one["era"]}
    assert {(one["name"], one["sha256"]) for one in content["files"]} == used
    assert "luminosity_mask" in {name for name, _ in used}

    held = (*run, "--overwrite", "--corrections-lock", lock)
    assert command(*held, "--dry-run").code == 0
    changed = next(pog.rglob("muon_Z.json*"))
    changed.write_bytes(changed.read_bytes() + b"\0" if changed.suffix == ".gz" else changed.read_bytes() + b"\n")
    ended = command(*held)
    assert ended.code == 1
    assert f"{changed} is not the file that the lock {lock} has for" in ended.err
    assert sha256_of(changed) in ended.err
    assert json.loads((tmp_path / "out/provenance.json").read_text()) == provenance, "the result is still there"
    assert "is not the file that the lock" in command("check", *held).out

    config = tmp_path / "run.yaml"
    config.write_text("corrections_lock: paper.lock\n")
    assert read_config(config) == {"corrections_lock": "paper.lock"}
    assert "is not the file that the lock" in command(*run, "--overwrite", "--config", config).err


def test_a_lock_that_is_not_there_stops_a_run(toys: Path, tmp_path: Path, command: Command) -> None:
    words = (
        "--datasets",
        toys / "dy.root",
        "--era",
        "demo",
        "--processor",
        "cms_dimuon",
        "--output-dir",
        tmp_path / "o",
    )
    ended = command(*words, "--corrections-lock", tmp_path / "none.lock")
    assert ended.code == 1
    assert "none.lock cannot be read (No such file or directory)" in ended.err
