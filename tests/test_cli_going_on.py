"""Runs that failed in part: what they keep, how they go on, and what is never done twice or thrown away."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from mucoffea.outputs.parts import PartStore
from mucoffea.processors.cms_dimuon import Dimuon

from .support.command_line import Command, assert_refused, run_words, snapshot, write_dataset
from .support.results import assert_same_result, read_report
from .support.runs import products


def damage(path: Path) -> bytes:
    """Cut off the second half of a file; return what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


@pytest.fixture
def two(three_files: list[Path], tmp_path: Path) -> Path:
    """A dataset of two files, the second of which may be damaged."""
    for name, source in zip("ab", three_files, strict=False):
        shutil.copy(source, tmp_path / f"{name}.root")
    return write_dataset(tmp_path / "two.yaml", [tmp_path / "a.root", tmp_path / "b.root"], era="demo")


def words(dataset: Path, out: Path, *more: object) -> list[str]:
    return run_words(dataset, out, "--chunksize", 100, "--set", "corrections=[]", *more)


def test_what_failed_is_tried_again_and_nothing_else(
    command: Command, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert command(*words(two, tmp_path / "whole")).code == 0
    whole = damage(tmp_path / "b.root")
    out = tmp_path / "out"
    assert command(*words(two, out)).code == 2
    before = snapshot(out)
    # Neither once more nor with other settings is it replaced.
    assert_refused(command(*words(two, out)), "incomplete result", "--retry-failed", "--overwrite")
    assert_refused(command(*words(two, out, "--resume")), "incomplete result", "--retry-failed")
    assert_refused(command(*words(two, out, "--retry-failed", "--set", "muon.min_pt=30")), "of other work")
    assert snapshot(out) == before
    # Still damaged: still incomplete.
    assert command(*words(two, out, "--retry-failed")).code == 2
    (tmp_path / "b.root").write_bytes(whole)
    seen: list[str] = []
    process = Dimuon.process

    def watched(self, events):
        if len(events):
            seen.append(events.metadata["filename"])
        return process(self, events)

    monkeypatch.setattr(Dimuon, "process", watched)
    ended = command(*words(two, out, "--retry-failed"))
    assert ended.code == 0
    assert "resumed: 3 of 6 work items were done" in ended.out
    assert seen == [str(tmp_path / "b.root")] * 3
    monkeypatch.undo()
    assert_same_result(tmp_path / "whole", out, tolerance=0)
    assert products(out) == products(tmp_path / "whole")
    assert not (out / "unfinished").exists()
    assert "nothing to do" in command(*words(two, out, "--retry-failed")).out


def fails_at(start: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the analysis have a bug at one chunk; return the chunks that it is called for."""
    called: list[int] = []
    process = Dimuon.process

    def buggy(self, events):
        if len(events):
            called.append(events.metadata["entrystart"])
            if events.metadata["entrystart"] == start:
                return {}["Jetpt"]
        return process(self, events)

    monkeypatch.setattr(Dimuon, "process", buggy)
    return called


def test_a_bug_stops_the_run_at_its_first_call_and_what_is_done_is_kept(
    command: Command, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    called = fails_at(300, monkeypatch)
    ended = command(*words(small, out))
    assert_refused(ended, r"KeyError: 'Jetpt'", r"test_cli_going_on\.py:\d+", "dy_0.root", "entries 300–400")
    assert called == [0, 100, 200, 300]
    rows = json.loads((out / "unfinished/ledger.json").read_text())
    assert [row["status"] for row in rows] == ["done", "done", "done", "failed", "lost", "lost"]
    assert rows[3]["traceback"].startswith("Traceback")
    # It is still there: it runs once more, and nothing before it does.
    called.clear()
    assert command(*words(small, out, "--resume")).code == 1
    assert called == [300]


def test_keep_going_leaves_out_the_item_of_the_bug_alone(
    command: Command, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    called = fails_at(300, monkeypatch)
    declared = write_dataset(tmp_path / "dy.yaml", [small], era="demo")
    ended = command(*words(declared, out, "--keep-going"))
    assert ended.code == 2
    assert called == [0, 100, 200, 300, 400, 500]
    (dataset,) = read_report(out)["datasets"]
    assert (dataset["events_processed"], dataset["events_failed"], dataset["scale"]) == (500, 100, None)
    assert "KeyError" in ended.out
    monkeypatch.undo()
    # The bug was in memory alone, so the key is the same.
    assert command(*words(declared, out, "--retry-failed")).code == 0
    assert command(*words(declared, tmp_path / "whole")).code == 0
    assert products(out) == products(tmp_path / "whole")


def test_a_full_disk_is_said_and_survived(
    command: Command, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, write = tmp_path / "out", PartStore.write

    def full(self, item, result):
        if item.index == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path(item)))
        write(self, item, result)

    monkeypatch.setattr(PartStore, "write", full)
    assert_refused(command(*words(small, out)), "full", "--resume")
    monkeypatch.undo()
    ended = command(*words(small, out, "--resume"))
    assert ended.code == 0
    assert "resumed: 3 of 6 work items were done" in ended.out
    # The disk fills while the result is put together.
    monkeypatch.setattr("mucoffea.outputs.bundle.write_hdf5", lambda *_: full_disk())
    assert_refused(command(*words(small, tmp_path / "other")), "full", "--resume")
    monkeypatch.undo()
    assert "6 of 6 work items were done" in command(*words(small, tmp_path / "other", "--resume")).out
    assert products(tmp_path / "other") == products(out)


def full_disk() -> None:
    """Fail as a write to a full disk does."""
    raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_parts_travel_where_the_workers_do_not_see_the_folder(
    command: Command, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert command(*words(small, tmp_path / "shared")).code == 0

    def lost(self, item, result):
        raise AssertionError("there is no shared disk")

    monkeypatch.setattr(PartStore, "reachable", lambda self: False)
    monkeypatch.setattr(PartStore, "write", lost)
    assert command(*words(small, tmp_path / "sent")).code == 0
    assert products(tmp_path / "sent") == products(tmp_path / "shared")


def test_two_runs_in_one_folder(command: Command, small: Path, tmp_path: Path):
    from mucoffea.outputs.folder import hold

    with hold(tmp_path / "out"):
        assert_refused(command(*words(small, tmp_path / "out")), "Another run is at work")
