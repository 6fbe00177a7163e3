"""Checksums of whole files, and ``--verify``: the bytes of each file are compared with what they should be, or were."""

from __future__ import annotations

import hashlib
import zlib
from functools import partial
from typing import Any

from .addresses import is_remote, local_path
from .metadata_cache import checksum_memory, record_checksum, recorded_checksum
from .models import FileEntry
from .opening import TIMEOUT, BadFile, guarded, in_time

#: What is recorded where the fileset declares nothing.
RECORDED = "sha256"
BLOCK = 4 * 1024 * 1024


class Verification:
    """Compares the files of a run with their checksums, and remembers those of files that have none.

    Call it with the path of a replica and what the file says of itself; several threads may do so at once.

    Args:
        timeout: seconds until a block of a file counts as not delivered.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self.compared: list[str] = []
        self.recorded: list[str] = []
        self.mismatched: list[str] = []

    def __call__(self, path: str, entry: FileEntry) -> None:
        """Read the file whole and compare it.

        The checksum that the fileset declares comes first, then the one that was recorded for the same path, uuid and
        size; where there is neither, it is recorded now.

        Raises:
            BadFile: the checksums differ, or the file cannot be read to its end.
            UnreachableFile: the server did not deliver it.
            UserError: the checksum cannot be recorded.
        """
        identity = path, entry.uuid or "", entry.size
        expected = entry.checksum or recorded_checksum(*identity)
        algorithm = expected.partition(":")[0] if expected else RECORDED
        found = f"{algorithm}:{file_checksum(path, algorithm, timeout=self._timeout)}"
        if expected is None:
            record_checksum(*identity, found)
            self.recorded.append(path)
            return
        self.compared.append(path)
        if found != expected:
            self.mismatched.append(path)
            whose = "its fileset says" if entry.checksum else f"it was once ({checksum_memory(*identity)} remembers)"
            raise BadFile(path, f"The file {path} has the checksum {found}, but {whose} {expected}; copy it again.")

    def __str__(self) -> str:
        """Say in one line what was done."""
        return (
            f"verified: {len(self.compared)} files compared with their checksums, {len(self.mismatched)} mismatched, "
            f"{len(self.recorded)} recorded for the next time"
        )


def file_checksum(path: str, algorithm: str, *, timeout: float = TIMEOUT) -> str:
    """Return the checksum of a file, local or on a server, in hexadecimal digits; it is read in blocks.

    Args:
        path: a local path or an address that fsspec reads.
        algorithm: one of :data:`.models.CHECKSUMS`.
        timeout: seconds until a block counts as not delivered.

    Raises:
        BadFile: the local file cannot be read.
        UnreachableFile: the server did not deliver it.
    """
    running: Any = _Running(algorithm) if algorithm in ("adler32", "crc32") else hashlib.new(algorithm)

    def run() -> str:
        with _open(path, timeout) as file:
            while block := in_time(partial(file.read, BLOCK), timeout):
                running.update(block)
        return running.hexdigest()

    return guarded(path, None, run)


class _Running:
    """Adler-32 (the one that grid storage keeps) or CRC-32 with the interface of hashlib."""

    def __init__(self, algorithm: str) -> None:
        self._step = zlib.adler32 if algorithm == "adler32" else zlib.crc32
        self._value = self._step(b"")

    def update(self, block: bytes) -> None:
        self._value = self._step(block, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _open(path: str, timeout: float) -> Any:
    if not is_remote(path):
        return local_path(path).open("rb")
    import fsspec

    return in_time(lambda: fsspec.open(path, "rb").open(), timeout)
