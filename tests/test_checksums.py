"""``--verify``: whole files against the checksums of their fileset, or against those recorded earlier."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.filesets.checksums import BLOCK, Verification, file_checksum
from mucoffea.filesets.local import BadFile, UnreachableFile, build_fileset, inspect
from mucoffea.filesets.models import Dataset, FileEntry, KnownFile
from mucoffea.filesets.registry import read_datasets
from pydantic import ValidationError

from .support.command_line import Command, run_words, write_dataset
from .support.results import read_report


@pytest.fixture
def copy(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of its own, and an empty cache."""
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copy(small, tmp_path / "file.root"))


def entry(*paths: object, **more: Any) -> FileEntry:
    names = tuple(str(path) for path in paths)
    return FileEntry(lfn=names[0], replicas=names, **more)


def flip(path: Path, place: int) -> None:
    """Flip a bit, with the time of modification as it was, as a disk does."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@given(content=st.binary(max_size=300))
def test_checksums_are_those_of_the_libraries(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    assert file_checksum(str(path), "adler32") == f"{zlib.adler32(content):08x}"
    assert file_checksum(str(path), "crc32") == f"{zlib.crc32(content):08x}"
    for name in ("md5", "sha1", "sha256", "sha512"):
        assert file_checksum(str(path), name) == hashlib.new(name, content).hexdigest()


def test_a_file_of_several_blocks(tmp_path: Path):
    path = tmp_path / "long"
    path.write_bytes(bytes(range(256)) * (BLOCK // 128) + b"end")
    assert file_checksum(str(path), "adler32") == f"{zlib.adler32(path.read_bytes()):08x}"


def test_known_values():
    # RFC 1950's checksum of "Wikipedia" as every description of it has it, and the check value of CRC-32.
    fsspec.filesystem("memory").pipe("/wikipedia", b"Wikipedia")
    fsspec.filesystem("memory").pipe("/digits", b"123456789")
    assert file_checksum("memory://wikipedia", "adler32") == "11e60398"
    assert file_checksum("memory://digits", "crc32") == "cbf43926"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("adler32:1A2B", "adler32:00001a2b"),
        ("Adler32:0x0a0b0c0d", "adler32:0a0b0c0d"),
        (f"MD5:{'Aa' * 16}", f"md5:{'aa' * 16}"),
    ],
)
def test_spellings_of_a_checksum(given: str, kept: str):
    assert KnownFile(checksum=given).checksum == kept


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("adler:0a0b0c0d", "Did you mean 'adler32'"),
        ("0a0b0c0d", "no checksum 'algorithm:hex'"),
        ("md5:12", "must have 32 hexadecimal digits"),
        ("adler32:xyz", "must have 8 hexadecimal digits"),
        ("adler32:123456789", "must have 8 hexadecimal digits"),
    ],
)
def test_what_is_no_checksum(given: str, message: str):
    with pytest.raises(ValidationError, match=message):
        KnownFile(checksum=given)


def test_the_first_time_records_and_the_second_compares(copy: Path):
    first, second = Verification(), Verification()
    inspect(entry(copy), verify=first)
    inspect(entry(copy), verify=second)
    assert (first.recorded, first.compared) == ([str(copy)], [])
    assert (second.recorded, second.compared, second.mismatched) == ([], [str(copy)], [])
    assert str(second) == "verified: 1 files compared with their checksums, 0 mismatched, 0 recorded for the next time"


@pytest.mark.parametrize("place", [-1, 50_000])
def test_a_flip_behind_the_back_of_the_file_system_is_found(copy: Path, place: int):
    inspect(entry(copy), verify=Verification())
    flip(copy, place)
    assert inspect(entry(copy)).entries == 600  # remembered: size and time are the same
    verification = Verification()
    with pytest.raises(BadFile, match=r"has the checksum sha256:\w{64}, but it was once \(.*\) sha256:\w{64}; copy it"):
        inspect(entry(copy), verify=verification)
    assert verification.mismatched == [str(copy)]


def test_what_the_fileset_declares_comes_first(copy: Path):
    right = f"adler32:{zlib.adler32(copy.read_bytes()):08x}"
    verification = Verification()
    inspect(entry(copy, checksum=right), verify=verification)
    assert (verification.compared, verification.recorded) == ([str(copy)], [])
    with pytest.raises(BadFile, match=f"has the checksum {right}, but its fileset says adler32:00000001"):
        inspect(entry(copy, checksum="adler32:1"), verify=verification)
    inspect(entry(copy, checksum="adler32:1"))  # nobody asked


def test_a_declared_size_always_counts(copy: Path):
    size = copy.stat().st_size
    assert inspect(entry(copy, size=size)).size == size
    with pytest.raises(BadFile, match=f"has size {size}, but its fileset says 7"):
        inspect(entry(copy, size=7))


def test_only_the_replica_that_was_verified_is_used(copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    damaged = Path(shutil.copy(copy, tmp_path / "damaged.root"))
    flip(damaged, 80_000)
    checksum = f"sha256:{hashlib.sha256(copy.read_bytes()).hexdigest()}"
    verification = Verification()
    found = inspect(entry(damaged, copy, tmp_path / "other.root", checksum=checksum), verify=verification)
    assert found.replicas == (str(copy),)
    assert (verification.compared, verification.mismatched) == ([str(damaged), str(copy)], [str(damaged)])
    assert f"{damaged} is read from {copy} instead of {damaged}: " in caplog.text


@pytest.fixture
def server(copy: Path) -> Iterator[str]:
    """The address of the file on a server: fsspec's own, in memory."""
    files = fsspec.filesystem("memory")
    files.pipe("/store/file.root", copy.read_bytes())
    yield "memory://store/file.root"
    files.rm("/store", recursive=True)


def test_files_on_a_server(server: str, copy: Path):
    right = f"adler32:{zlib.adler32(copy.read_bytes()):08x}"
    inspect(entry(server, checksum=right), verify=Verification())
    with pytest.raises(BadFile, match="its fileset says adler32:00000001"):
        inspect(entry(server, checksum="adler32:1"), verify=Verification())
    with pytest.raises(UnreachableFile, match=r"memory://store/no\.root cannot be reached"):
        file_checksum("memory://store/no.root", "md5")


def test_a_checksum_that_cannot_be_recorded(copy: Path, tmp_path: Path):
    inspect(entry(copy))
    (tmp_path / "cache" / "checksums").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"checksum of .*file\.root cannot be recorded"):
        inspect(entry(copy), verify=Verification())


@pytest.mark.parametrize(
    "content",
    [
        {"size": 17, "checksum": "adler32:0a0b0c0d"},
        {"bytes": 17, "adler32": "a0b0c0d"},
        {"bytes": 17, "adler32": "a0b0c0d", "num_entries": 5, "object_path": "Events"},
    ],
)
def test_declared_in_a_fileset_json(tmp_path: Path, content: dict[str, Any]):
    (tmp_path / "f.json").write_text(
        json.dumps({"d": {"files": {"/data/a.root": content}, "metadata": {"isMC": False}}})
    )
    (dataset,) = read_datasets(tmp_path / "f.json")
    known = dataset.known_files["/data/a.root"]
    assert (known.size, known.checksum) == (17, "adler32:0a0b0c0d")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"adler32": 12}, "'adler32' must be text, not 12"),
        ({"size": "12"}, "'size' must be bytes, not \"12\""),
        ({"md5": "12"}, "must have 32 hexadecimal digits"),
        ({"adler": "12"}, "there is no key 'adler'. Did you mean 'adler32'"),
    ],
)
def test_wrongly_declared_in_a_fileset_json(tmp_path: Path, content: dict[str, Any], message: str):
    (tmp_path / "f.json").write_text(
        json.dumps({"d": {"files": {"/data/a.root": content}, "metadata": {"isMC": False}}})
    )
    with pytest.raises(UserError, match=message) as caught:
        read_datasets(tmp_path / "f.json")
    assert "f.json, line 1" in str(caught.value)


def test_declared_in_a_dataset_yaml(copy: Path, tmp_path: Path):
    size = copy.stat().st_size
    text = "name: d\nkind: data\nprocess: data\nfiles:\n  {}:\n    size: {}\n    checksum: adler32:1\n  other.root:\n"
    (tmp_path / "d.yaml").write_text(text.format(copy.name, size))
    (dataset,) = read_datasets(tmp_path / "d.yaml")
    assert dataset.files == (str(copy), str(tmp_path / "other.root"))
    shutil.copy(copy, tmp_path / "other.root")
    first, second = build_fileset(dataset).files
    assert (first.size, first.checksum) == (size, "adler32:00000001")
    assert (second.size, second.checksum) == (None, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    sise: 12\n", r"d\.yaml, line 6: there is no key 'sise'. Did you mean 'size'"),
        ("    size: a lot\n", r"d\.yaml, line 6: 'size' must be a whole number"),
        ("    checksum: adler32:xyz\n", r"d\.yaml, line 6: checksum: 'adler32:xyz' must have 8 hexadecimal digits"),
    ],
)
def test_wrongly_declared_in_a_dataset_yaml(tmp_path: Path, line: str, message: str):
    (tmp_path / "d.yaml").write_text(f"name: d\nkind: data\nprocess: data\nfiles:\n  a.root:\n{line}")
    with pytest.raises(UserError, match=message):
        read_datasets(tmp_path / "d.yaml")


def test_replicas_agree_on_what_is_declared():
    urls = ("root://a//store/x.root", "root://b//store/x.root")

    def files(*known: KnownFile) -> FileEntry:
        declared = dict(zip(urls, known, strict=True))
        dataset = Dataset(name="d", kind="data", process="data", files=urls, known_files=declared, origin="test")
        return build_fileset(dataset).files[0]

    assert files(KnownFile(), KnownFile(size=5, checksum="md5:" + "a" * 32)).size == 5
    with pytest.raises(UserError, match="have a different size, 5 and 6: they cannot be the same bytes"):
        files(KnownFile(size=5), KnownFile(size=6))


def test_on_the_command_line(command: Command, copy: Path, small: Path, tmp_path: Path):
    dataset = write_dataset(tmp_path / "d.yaml", [small, copy])
    ended = command(*run_words(dataset, tmp_path / "first", "--verify"))
    assert ended.code == 0
    assert "verified: 0 files compared with their checksums, 0 mismatched, 2 recorded for the next time" in ended.out
    flip(copy, 50_000)
    ended = command(*run_words(dataset, tmp_path / "second", "--verify"))
    assert ended.code == 2
    assert "verified: 2 files compared with their checksums, 1 mismatched, 0 recorded" in ended.out
    (report,) = read_report(tmp_path / "second")["datasets"]
    assert list(report["bad_files"]) == [str(copy)]
    assert report["bad_files"][str(copy)].count("sha256:") == 2
