"""Parts: the result of one work item on disk, written in one piece, merged in plan order.

What is in a part is said in :mod:`.part_format`.
"""

from __future__ import annotations

import contextlib
import copy
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import UserError
from ..histograms.storage import from_structure
from .accounting import Order, Range, check_tiling
from .columns import ColumnWriter
from .folder import file_name
from .part_format import ARRAYS, DamagedPart, Entry, Item, Result, decode, encode, entries, is_whole

#: File that tells the folder of a run from another of the same path on another machine.
MARKER = "marker"
#: Different structures of histograms whose sums are kept as arrays side by side.
MOST_STRUCTURES = 8
#: Arrays whose numbers add up one by one; means have a rule of their own, which the histogram knows.
ADDITIVE = ("sums", "counts")


@dataclass(frozen=True)
class PartStore:
    """The folder of parts of a run. It travels to the workers, which write their results themselves.

    ``token`` is written to the folder by :meth:`mark`; a worker that finds it there shares the disk.
    """

    folder: Path
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def mark(self) -> None:
        """Make the folder and write the token to it; on the client, before any work is handed out.

        What a killed worker left half written is removed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob("*.tmp"):
            left.unlink(missing_ok=True)
        _write_whole(self.folder / MARKER, self.token.encode())

    def reachable(self) -> bool:
        """Tell whether this process sees the folder that was marked."""
        try:
            return (self.folder / MARKER).read_bytes() == self.token.encode()
        except OSError:
            return False

    def path(self, item: Item) -> Path:
        """Return the path of the part of a work item, named by its content key (without one, by its place)."""
        return self.folder / f"{item.key[:32] or f'{item.index:06d}'}.zip"

    def has(self, item: Item) -> bool:
        """Tell whether there is a part of ``item``; see :meth:`check` for its content."""
        return self.path(item).exists()

    def check(self, item: Item) -> bool:
        """Tell whether there is a part of ``item`` that is whole: its header fits, its checksums hold."""
        return is_whole(item, self.path(item))

    def encode(self, item: Item, result: Result) -> bytes:
        """Return the bytes of a part, for a worker that does not share the disk; :meth:`put` takes them.

        Raises:
            UserError: the result has something that cannot be added up over chunks.
        """
        return encode(item, result)

    def put(self, item: Item, data: bytes) -> None:
        """Write the bytes of one part: complete under its final name, or not at all.

        Raises:
            OSError: the system refuses (a full disk, say); nothing is left behind.
        """
        _write_whole(self.path(item), data)

    def write(self, item: Item, result: Result) -> None:
        """Write the result of one work item as its part; see :meth:`encode` and :meth:`put`."""
        self.put(item, self.encode(item, result))


def _write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name, flush to the disk, rename; a failure leaves nothing behind."""
    temporary = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@dataclass
class Merged:
    """The sum of all parts: for each dataset its numbers and histograms; its columns are on disk."""

    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    histograms: dict[str, dict[str, hist.Hist]] = field(default_factory=dict)
    columns: dict[str, Path] = field(default_factory=dict)


class Merger:
    """Add parts one by one, in plan order, so that the result does not depend on who finished first.

    Columns go to the disk as they come; numbers and one sum of each histogram are kept in memory.
    """

    def __init__(self, columns_folder: Path) -> None:
        self._folder = columns_folder
        self._merged = Merged()
        self._order = Order()
        self._sums = _Sums()
        self._writers: dict[str, ColumnWriter] = {}

    def add(self, item: Item, part: Path) -> None:
        """Add the part of ``item`` in file ``part``.

        Raises:
            DamagedPart: the part is missing, damaged or that of another item; nothing of it was added.
            AccountingError: the item does not come after those before in the plan, or overlaps one of them.
            UserError: the processor's results do not add up (a histogram has other axes than before).
        """
        content = decode(item, part)
        self._order.admit(item.index, item)
        try:
            self._sums.add(content.histograms, content.arrays)
            add_numbers(self._merged.numbers, content.numbers)
            for dataset, rows in content.columns.items():
                self._add_columns(rows, dataset)
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"The results of dataset '{item.dataset}' do not add up: {' '.join(str(error).split())} (met in file "
                f"{item.lfn}, entries {item.start}–{item.stop}). Let the processor return the same numbers, "
                f"histograms with the same axes and the same columns for every chunk."
            ) from error

    def _add_columns(self, rows: pa.Table, dataset: str) -> None:
        if dataset not in self._writers:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{file_name(dataset)}.parquet"
            self._merged.columns[dataset] = path
            self._writers[dataset] = ColumnWriter(path)
        self._writers[dataset].write(rows)

    def finish(self, missing: Iterable[Range] = (), entries: Mapping[tuple[str, str], int] | None = None) -> Merged:
        """Close the column files and return the sum.

        Args:
            missing: the ranges that failed or were lost: with those added, they must cover each file exactly.
            entries: (dataset, lfn) → entries that must be covered, see :func:`.accounting.check_tiling`.

        Raises:
            AccountingError: a range is neither added nor missing, or is both.
        """
        for writer in self._writers.values():
            writer.close()
        check_tiling([*self._order.ranges, *missing], entries)
        for (dataset, name), total in self._sums.histograms().items():
            self._merged.histograms.setdefault(dataset, {})[name] = total
        return self._merged


def add_numbers(total: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Add nested ``numbers`` to ``total`` in place.

    Raises:
        TypeError: one holds a number where the other holds names.
    """
    for name, value in numbers.items():
        if name not in total:
            total[name] = copy.deepcopy(value) if isinstance(value, dict) else value
        elif isinstance(value, dict) != isinstance(total[name], dict):
            raise TypeError(f"'{name}' is a number in one chunk and holds others in another")
        elif isinstance(value, dict):
            add_numbers(total[name], value)
        else:
            total[name] += value


class _Open:
    """Parts of one structure: their arrays added up, as one array each."""

    def __init__(self, histograms: bytes, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.entries = entries(histograms)
        self.arrays = {name: arrays[name].copy() for name in ADDITIVE}
        for name in ARRAYS:
            length = sum(entry.length for entry in self.entries if entry.array == name)
            if length != arrays[name].size:
                raise ValueError(f"{arrays[name].size} numbers in '{name}' where the histograms have {length}")

    def add(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, total in self.arrays.items():
            np.add(total, arrays[name], out=total)

    def pieces(self, arrays: Mapping[str, NDArray[Any]], names: Iterable[str]) -> Iterable[tuple[Entry, NDArray[Any]]]:
        """Yield the histograms in the arrays called ``names``, with their cells."""
        for name in names:
            first = 0
            for entry in self.entries:
                if entry.array == name:
                    yield entry, arrays[name][first : first + entry.length]
                    first += entry.length


class _Sums:
    """Running sums of histograms. Equal structure, the usual case, is added as arrays without building objects."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Open] = {}
        #: By dataset and name; without what is in the open arrays.
        self._totals: dict[tuple[str, str], hist.Hist] = {}
        #: The same keys in the order of their first appearance.
        self._keys: dict[tuple[str, str], None] = {}

    def add(self, histograms: bytes, arrays: Mapping[str, NDArray[Any]]) -> None:
        known = self._open.get(histograms)
        if known is None:
            if len(self._open) >= MOST_STRUCTURES:
                self._fold()
            known = self._open[histograms] = _Open(histograms, arrays)
            for entry in known.entries:
                self._keys[entry.dataset, entry.name] = None
                if entry.array in ADDITIVE:
                    # Joins the axes, so that those that do not fit are met here and not at the end.
                    self._add(entry, np.zeros(entry.length))
        else:
            known.add(arrays)
        for entry, content in known.pieces(arrays, ("means",)):
            self._add(entry, content)

    def histograms(self) -> dict[tuple[str, str], hist.Hist]:
        self._fold()
        return {key: self._totals[key] for key in self._keys}

    def _fold(self) -> None:
        for known in self._open.values():
            for entry, content in known.pieces(known.arrays, ADDITIVE):
                self._add(entry, content)
        self._open.clear()

    def _add(self, entry: Entry, content: NDArray[Any]) -> None:
        key, one = (entry.dataset, entry.name), from_structure(entry.structure, content)
        try:
            self._totals[key] = self._totals[key] + one if key in self._totals else one
        except ValueError as error:
            raise ValueError(f"histogram '{entry.name}' of dataset '{entry.dataset}': {error}") from None


__all__ = ["DamagedPart", "Merged", "Merger", "PartStore", "add_numbers", "encode"]
