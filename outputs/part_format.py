"""The bytes of a part: a ZIP file of JSON, plain numbers and Parquet, so reading one runs no code from it.

``part.json``
    the work item that the part belongs to (``item``), the nested numbers of the result (``numbers``: ``sumw``,
    ``cutflow``, ``counters``, …), dataset by dataset, and which ``arrays`` and ``columns`` (dataset → member) follow
``histograms.json``
    a row for each histogram: dataset, name, structure in the UHI serialization schema, and how many numbers of which
    array are its cells; the rows follow each other in the arrays
``sums.f8``, ``counts.i8``, ``means.f8``
    the cells of all histograms, little-endian, no header (that of an ``.npy`` costs more to read than the rest of the
    part): sums of weights and counts, which add up number by number, and means, which do not
``<position of the dataset>/columns.parquet``
    the event columns
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import hist
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import UserError
from ..histograms.storage import cells, structure
from .accounting import Range
from .columns import to_arrow

FORMAT = 1
#: Arrays of a part and their element types.
ARRAYS = {"sums": "<f8", "counts": "<i8", "means": "<f8"}
#: Array that takes the cells, by storage.
STORAGES = {
    hist.storage.Weight: "sums",
    hist.storage.Double: "sums",
    hist.storage.Int64: "counts",
    hist.storage.Mean: "means",
    hist.storage.WeightedMean: "means",
}

Result = Mapping[str, Mapping[str, Any]]


class Item(Range, Protocol):
    """A work item, as far as its part is concerned: a range of entries with a place and a name."""

    @property
    def index(self) -> int:
        """Place in the plan."""

    @property
    def key(self) -> str:
        """Content key."""


class DamagedPart(UserError):
    """A part is missing, damaged, or not that of its work item; nothing of it was used."""

    def __init__(self, item: Item, path: Path, reason: str) -> None:
        super().__init__(
            f"The part {path} (dataset '{item.dataset}', file {item.lfn}, entries {item.start}–{item.stop}) cannot be "
            f"used: {reason}. Give the same command with --resume: it processes these entries anew."
        )
        self.path = path


class Entry(NamedTuple):
    """A row of ``histograms.json``."""

    dataset: str
    name: str
    array: str
    length: int
    structure: dict[str, Any]


class Part(NamedTuple):
    """The content of a part; ``columns`` by dataset, ``histograms`` not yet parsed (see :func:`entries`)."""

    numbers: dict[str, dict[str, Any]]
    histograms: bytes
    arrays: dict[str, NDArray[Any]]
    columns: dict[str, pa.Table]


class _Known(NamedTuple):
    axes: Any
    storage: type
    attributes: dict[str, Any]
    array: str
    row: str


#: Rows of ``histograms.json`` by dataset and name: from chunk to chunk only the content of a histogram changes.
_known: dict[tuple[str, str], _Known] = {}


def header(item: Item) -> dict[str, str | int]:
    """Return what a part says of its work item."""
    return {
        "format": FORMAT,
        "key": item.key,
        "dataset": item.dataset,
        "lfn": item.lfn,
        "start": item.start,
        "stop": item.stop,
        "events": item.stop - item.start,
    }


def encode(item: Item, result: Result) -> bytes:
    """Return the result of ``process`` for ``item`` as the bytes of its part; equal results give equal bytes.

    Raises:
        UserError: the result has something that cannot be added up over chunks.
    """
    numbers: dict[str, Any] = {}
    rows: list[str] = []
    arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in ARRAYS}
    columns: dict[str, tuple[str, bytes]] = {}
    for position, (dataset, entry) in enumerate(result.items()):
        rest = {key: value for key, value in entry.items() if key not in ("hists", "columns")}
        numbers[dataset] = _checked_numbers(rest, dataset)
        for name, histogram in entry.get("hists", {}).items():
            known = _described(dataset, name, histogram)
            rows.append(known.row)
            arrays[known.array].append(cells(histogram))
        if entry.get("columns"):
            columns[dataset] = (f"{position}/columns.parquet", _parquet(entry["columns"]))
    used = {name: pieces for name, pieces in arrays.items() if pieces}
    places = {dataset: name for dataset, (name, _) in columns.items()}
    part = {"item": header(item), "numbers": numbers, "arrays": list(used), "columns": places}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _store(archive, "part.json", json.dumps(part))
        _store(archive, "histograms.json", "[" + ",\n".join(rows) + "]")
        for name, pieces in used.items():
            _store(archive, _member(name), np.concatenate(pieces, dtype=ARRAYS[name]).tobytes())
        for name, content in columns.values():
            _store(archive, name, content)
    return buffer.getvalue()


def decode(item: Item, path: Path) -> Part:
    """Read the part of ``item`` from ``path``; ZIP's checksum covers every member.

    Raises:
        DamagedPart: it is not there, not whole, or that of another work item.
    """
    try:
        with _opened(path) as archive:
            part = _checked_header(item, archive)
            return Part(
                numbers=part["numbers"],
                histograms=archive.read("histograms.json"),
                arrays={
                    name: np.frombuffer(archive.read(_member(name)) if name in part["arrays"] else b"", kind)
                    for name, kind in ARRAYS.items()
                },
                columns={dataset: _table(archive.read(name)) for dataset, name in part["columns"].items()},
            )
    except MemoryError:
        raise
    except Exception as error:
        # Whatever goes wrong in reading our own format, be it in ZIP, JSON, Parquet or the system, is damage.
        raise DamagedPart(item, path, _reason(error)) from error


def is_whole(item: Item, path: Path) -> bool:
    """Tell whether ``path`` is the part of ``item`` and every checksum in it holds."""
    try:
        with _opened(path) as archive:
            part = _checked_header(item, archive)
            members = {"histograms.json", *map(_member, part["arrays"]), *part["columns"].values()}
            return members <= set(archive.namelist()) and archive.testzip() is None
    except Exception:
        # As in decode().
        return False


def entries(histograms: bytes) -> list[Entry]:
    """Return the rows of ``histograms.json``."""
    return [
        Entry(row["dataset"], row["name"], row["array"], row["length"], row["structure"])
        for row in json.loads(histograms)
    ]


def _checked_header(item: Item, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return ``part.json``, if the part is that of ``item``."""
    part: dict[str, Any] = json.loads(archive.read("part.json"))
    found, expected = part["item"], header(item)
    if found != expected:
        names = [name for name in expected if found.get(name) != expected[name]]
        raise ValueError(f"it is that of another work item ({', '.join(names)} differ)")
    return part


def _opened(path: Path) -> zipfile.ZipFile:
    # From memory: a member costs three system calls less.
    return zipfile.ZipFile(io.BytesIO(path.read_bytes()))


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is missing"
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return first if isinstance(error, ValueError) and first.startswith("it is") else f"it is damaged ({first})"


def _member(array: str) -> str:
    return f"{array}.{ARRAYS[array].removeprefix('<')}"


def _store(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    # A ZipInfo of our own has the same date each time.
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    archive.writestr(info, content)


def _described(dataset: str, name: str, histogram: Any) -> _Known:
    """Return the row of a histogram, from the chunk before if only its content has changed since."""
    known = _known.get((dataset, name))
    if known is None or not (
        isinstance(histogram, hist.Hist)
        and known.storage is histogram.storage_type
        and known.axes == histogram.axes
        and known.attributes == vars(histogram)
    ):
        known = _known[dataset, name] = _describe(dataset, name, histogram)
    return known


def _describe(dataset: str, name: str, histogram: Any) -> _Known:
    array = _array(histogram, f"{dataset}/hists/{name}")
    row = {"dataset": dataset, "name": name, "array": array, "length": cells(histogram).size}
    try:
        text = json.dumps({**row, "structure": structure(histogram)}, default=_edges)
    except TypeError as error:
        raise UserError(
            f"The histogram at '{dataset}/hists/{name}' in the processor's result cannot be stored: {error}. "
            f"Give its axes plain text or numbers as metadata."
        ) from None
    # A copy, since a category axis grows in place.
    axes = copy.deepcopy(histogram.axes)
    return _Known(axes, histogram.storage_type, dict(vars(histogram)), array, text)


def _array(histogram: Any, where: str) -> str:
    """Return the array that takes the cells of ``histogram``, or raise UserError if it cannot be added up."""
    if not isinstance(histogram, hist.Hist):
        raise UserError(
            f"The processor's result has a {type(histogram).__name__} at '{where}'; only a hist.Hist can be stored "
            f"there (a ChunkedHist becomes one with .to_hist())."
        )
    array = STORAGES.get(histogram.storage_type)
    if array is None:
        raise UserError(
            f"The histogram at '{where}' in the processor's result has the storage {histogram.storage_type.__name__}, "
            f"which is not supported. Use {', '.join(storage.__name__ for storage in STORAGES)}."
        )
    if histogram.storage_type is hist.storage.Double and histogram.variances() is None:
        raise UserError(
            f"The histogram at '{where}' in the processor's result was filled with weights, but its storage Double "
            f"keeps no variances, so its errors would be wrong. Use the storage Weight."
        )
    return array


def _edges(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is neither text nor number")


def _parquet(columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(to_arrow(columns), sink, compression="zstd", use_dictionary=False, write_statistics=False)
    return sink.getvalue().to_pybytes()


def _table(content: bytes) -> pa.Table:
    # In this thread: the columns of a part are too few to be worth others.
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def _checked_numbers(value: Any, where: str) -> Any:
    """Return ``value`` with plain Python numbers at its leaves."""
    if type(value) in (int, float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _checked_numbers(inner, f"{where}/{key}") for key, inner in value.items()}
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise UserError(
            f"The processor's result has a {type(value).__name__} at '{where}'. Only numbers, histograms (under "
            f"'hists') and tables (under 'columns') can be added up over chunks; return a number there."
        )
    return int(value) if isinstance(value, (int, np.integer)) else float(value)
