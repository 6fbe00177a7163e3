"""What files say of themselves, remembered by the identity of the file, so that a second run opens none for it.

A local file is known by its path, size and time of modification; a file on a server by its address, since published
files do not change. Whoever reads the file later compares its uuid, so a wrong memory cannot go into a result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..paths import cache_dir
from .addresses import is_remote, local_path, without_secrets

logger = logging.getLogger(__name__)

#: Raised when the content of the answers changes, so that old ones are not read.
FORMAT = 4


def remembered(path: str, question: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer to ``question`` about the file at ``path``: from memory, or from ``ask()``, then remembered.

    Args:
        path: a local path or an address.
        question: what is asked, such as ``describe Events``.
        ask: opens the file; its answer is something that JSON can hold. What it raises is not remembered.
    """
    path = without_secrets(path)  # a file stays the same when the token for it is renewed
    identity = _identity(path)
    try:
        record = json.loads(_memory(path, question).read_text(encoding="utf-8"))
        if record["identity"] == identity:
            answer: dict[str, Any] = record["answer"]
            return answer
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing remembered, or nothing readable: the file is asked
    answer = ask()
    # A file that was written to while it was read is asked again next time.
    if identity == _identity(path):
        remember(path, question, answer)
    return answer


def remember(path: str, question: str, answer: dict[str, Any]) -> None:
    """Keep an answer that came as by-catch, of a file that is as it was when it was read."""
    record = {"path": path, "question": question, "identity": _identity(path), "answer": answer}
    _write(_memory(path, question), record)


def _memory(path: str, question: str) -> Path:
    return cache_dir() / "metadata" / f"{hashlib.sha256(f'{path}|{question}'.encode()).hexdigest()}.json"


def checksum_memory(path: str, uuid: str, size: int | None) -> Path:
    """Return the file that remembers the checksum of ``path`` with this uuid and size (of any modification time)."""
    key = hashlib.sha256(f"{path}|{uuid}|{size}".encode()).hexdigest()
    return cache_dir() / "checksums" / f"{key}.json"


def recorded_checksum(path: str, uuid: str, size: int | None) -> str | None:
    """Return the checksum that was recorded for the file, or None."""
    try:
        record = json.loads(checksum_memory(path, uuid, size).read_text(encoding="utf-8"))
        return str(record["checksum"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record_checksum(path: str, uuid: str, size: int | None, checksum: str) -> None:
    """Remember the checksum of a file.

    Raises:
        UserError: the cache cannot be written.
    """
    memory = checksum_memory(path, uuid, size)
    if not _write(memory, {"path": path, "uuid": uuid, "size": size, "checksum": checksum}):
        raise UserError(f"The checksum of {path} cannot be recorded: {memory.parent} cannot be written.")


def _identity(path: str) -> list[Any]:
    if is_remote(path):
        return [FORMAT, path]
    try:
        status = local_path(path).stat()
    except OSError:
        return [FORMAT, path, None]
    return [FORMAT, path, status.st_size, status.st_mtime_ns]


def _write(memory: Path, record: dict[str, Any]) -> bool:
    """Write a memory in one step and return whether it could be done."""
    temporary = memory.with_suffix(f".{os.getpid()}.tmp")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(memory)
    except OSError as error:
        logger.info("the metadata cache %s cannot be written: %s", memory.parent, error)
        return False
    return True
