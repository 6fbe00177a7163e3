"""Parquet files: what their footer says. The events in them are read by the schema."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import UserError
from .addresses import is_remote
from .opening import LOCAL_TIMEOUT, BadFile, guarded

Result = TypeVar("Result")
MAGIC = b"PAR1"


def open_parquet(path: str) -> Any:
    """Return an open ``pyarrow.parquet.ParquetFile`` of a local path or an address.

    Raises:
        OSError, pyarrow.ArrowInvalid: it cannot be read.
    """
    import pyarrow.parquet as pq

    if not is_remote(path):
        return pq.ParquetFile(path)
    import fsspec

    return pq.ParquetFile(fsspec.open(path, "rb").open())


def read_parquet(path: str, timeout: float, work: Callable[[Any], Result]) -> Result:
    """Return ``work(opened file)``.

    Raises:
        UserError, BadFile, UnreachableFile: as :func:`.opening.guarded`.
    """
    if not is_remote(path):
        _check_ends(Path(path))

    def run() -> Result:
        file = open_parquet(path)
        try:
            return work(file)
        finally:
            file.close()

    return guarded(path, timeout if is_remote(path) else max(timeout, LOCAL_TIMEOUT), run, kind="Parquet")


def describe_parquet(file: Any) -> dict[str, Any]:
    """Return entries, identity, size and row groups of an open file."""
    return {
        "entries": int(file.metadata.num_rows),
        "uuid": identity(file),
        "size": _size(file),
        "clusters": edges(file),
    }


def identity(file: Any) -> str:
    """Return a UUID from the footer, which has places, sizes and ranges of values of all columns."""
    metadata = file.metadata
    rows = [metadata.row_group(place).to_dict() for place in range(metadata.num_row_groups)]
    columns = [(column.path, column.physical_type, column.max_repetition_level) for column in file.schema]
    text = repr((metadata.num_rows, metadata.created_by, columns, sorted(key_values(file).items()), rows))
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))


def edges(file: Any) -> list[int]:
    """Return the entries at which row groups begin, and the last."""
    counts = [file.metadata.row_group(place).num_rows for place in range(file.metadata.num_row_groups)]
    return [0, *np.cumsum(counts, dtype=int).tolist()] if counts else []


def key_values(file: Any) -> Mapping[str, str]:
    """Return the texts that a file carries besides its columns."""
    found = file.metadata.metadata or {}
    return {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in found.items()
        if not key.startswith(b"ARROW:")
    }


def compressed_columns(file: Any) -> dict[str, int]:
    """Return leaf, dotted without the names of lists, → compressed bytes; no page is read."""
    sizes: dict[str, int] = {}
    for place in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(place)
        for number in range(group.num_columns):
            column = group.column(number)
            name = column.path_in_schema.replace(".list.element", "").replace(".list.item", "")
            sizes[name] = sizes.get(name, 0) + int(column.total_compressed_size)
    return sizes


def _size(file: Any) -> int | None:
    reader = getattr(file, "reader", None)
    source = getattr(file, "_source", None)
    size = getattr(source, "size", None) or getattr(reader, "size", None)
    return int(size()) if callable(size) else None


def _check_ends(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(4)
            size = file.seek(0, 2)
            file.seek(max(0, size - 4))
            tail = file.read(4)
    except FileNotFoundError:
        raise UserError(f"The file {path} does not exist.") from None
    except PermissionError:
        raise UserError(f"The file {path} may not be read: no permission. Ask its owner, or chmod it.") from None
    except OSError as error:
        raise BadFile(str(path), f"The file {path} cannot be read: {error.strerror or error}.") from None
    if size == 0:
        raise BadFile(str(path), f"The file {path} is empty (0 bytes); copy it again.")
    if head != MAGIC:
        raise BadFile(str(path), f"The file {path} is not a Parquet file: it starts with {head!r}.")
    if tail != MAGIC:
        raise BadFile(str(path), f"The file {path} is truncated: a Parquet file ends with {MAGIC!r}; copy it again.")
