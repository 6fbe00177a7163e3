"""A file is opened for its metadata once, and again when it has changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from mucoffea.filesets.local import BadFile, inspect
from mucoffea.filesets.metadata_cache import remembered
from mucoffea.filesets.models import FileEntry
from mucoffea.filesets.recognition import sniff


@pytest.fixture
def copy(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of its own, and an empty cache."""
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copy(toys / "zz4l.root", tmp_path / "file.root"))


def look(path: Path) -> tuple[FileEntry, tuple[str, str]]:
    return inspect(FileEntry(lfn=str(path), replicas=(str(path),))), sniff(str(path))


def test_a_second_look_opens_no_file(copy: Path, monkeypatch: pytest.MonkeyPatch):
    first = look(copy)
    assert first[0].entries == 6000
    assert first[0].clusters[-1] == 6000
    assert first[1] == ("mc", "Events")
    monkeypatch.setattr("uproot.open", lambda *args, **kwargs: pytest.fail("a file was opened"))
    assert look(copy) == first


def test_a_changed_file_is_opened_again(copy: Path, toys: Path):
    look(copy)
    shutil.copy(toys / "data.root", copy)
    entry, kind = look(copy)
    assert (entry.entries, kind) != (6000, ("mc", "Events"))
    assert kind == ("data", "Events")


def test_what_a_fileset_declares_is_held_against_the_memory(copy: Path):
    look(copy)
    with pytest.raises(BadFile, match="has entries 6000, but its fileset says 7"):
        inspect(FileEntry(lfn=str(copy), replicas=(str(copy),), entries=7))


def test_errors_are_not_remembered(copy: Path):
    good = copy.read_bytes()
    times = (1_000_000_000, 1_000_000_000)
    copy.write_bytes(b"root" + bytes(len(good) - 4))
    os.utime(copy, times)
    with pytest.raises(BadFile):
        look(copy)
    copy.write_bytes(good)
    os.utime(copy, times)
    assert look(copy)[0].entries == 6000


@pytest.mark.parametrize("content", ["", "{", "[]", '{"identity": 1}'])
def test_a_damaged_memory_is_passed_over(copy: Path, tmp_path: Path, content: str):
    first = look(copy)
    for memory in (tmp_path / "cache" / "metadata").iterdir():
        memory.write_text(content)
    assert look(copy) == first


def test_without_a_place_for_memory_files_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    asked = []
    for _ in range(2):
        assert remembered("x.root", "?", lambda: asked.append(1) or {"n": 1}) == {"n": 1}
    assert len(asked) == 2
