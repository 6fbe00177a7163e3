"""ROOT files that depend on their content alone: the same histograms give the same bytes, whenever and wherever.

A ROOT file holds times (of every key and directory) and a UUID. uproot takes the times from the clock, with no way
to give another, so the clock that its writing modules see is replaced while a file is written. The UUID is a hash of
the content: readers tell files apart by it, so two files with one UUID must be the same file.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uproot
import uproot.writing._cascade
import uproot.writing._cascadentuple
import uproot.writing._cascadetree
import uproot.writing.writable

#: The time in every file (ROOT's times have no zone).
DATE = datetime.datetime(2000, 1, 1)
#: uproot's modules that look at the clock, by their name ``datetime``.
MODULES = (
    uproot.writing._cascade,
    uproot.writing._cascadetree,
    uproot.writing._cascadentuple,
    uproot.writing.writable,
)
#: Stands for the UUID until the content is known.
_PLACEHOLDER = uuid.UUID("6d75636f-6666-4561-8000-706c61636530")


class _StoppedClock(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:  # noqa: ARG003
        return DATE


class _Buffer(io.BytesIO):
    """Memory that can still be read when uproot has closed it."""

    def close(self) -> None:
        pass


@contextlib.contextmanager
def recreate(path: Path) -> Iterator[Any]:
    """Yield a writable ROOT file like ``uproot.recreate(path)``; it appears at ``path``, whole, on leaving.

    Not for several threads at once. The file is held in memory until then: for histograms, not for trees of events.
    """
    buffer = _Buffer()
    with _stopped_clock(), uproot.recreate(buffer, uuid_function=lambda: _PLACEHOLDER) as file:
        yield file
    content = buffer.getvalue()
    identity = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(content).hexdigest())
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content.replace(_PLACEHOLDER.bytes, identity.bytes))
    temporary.replace(path)


@contextlib.contextmanager
def _stopped_clock() -> Iterator[None]:
    saved = {module: module.datetime for module in MODULES}
    try:
        for module in MODULES:
            module.datetime = SimpleNamespace(datetime=_StoppedClock)
        yield
    finally:
        for module, original in saved.items():
            module.datetime = original
