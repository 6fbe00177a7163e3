"""Parts: the result of one work item on disk, written in one piece by the worker, merged in plan order.

A part is a ZIP file of JSON, NumPy arrays (without pickles) and Parquet, so reading one runs no code from it:

``numbers.json``
    the nested numbers of the result (``sumw``, ``cutflow``, ``counters``), dataset by dataset
``<dataset index>/hists/<name>.json`` and ``.npy``
    histograms in the UHI serialization schema
``<dataset index>/columns.parquet``
    the event columns
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import hist
import numpy as np
import pyarrow.parquet as pq
import uhi.io.zip
from boost_histogram import serialization
from coffea.processor import accumulate

from ..errors import UserError
from .columns import ColumnWriter, to_arrow
from .folder import file_name

ARRAYS = ("values", "variances")


class Item(Protocol):
    """A work item, as far as its part is concerned."""

    @property
    def index(self) -> int:
        """Place in the plan."""

    @property
    def key(self) -> str:
        """Content key."""


@dataclass(frozen=True)
class PartStore:
    """The folder of parts of a run. It travels to the workers, which write their results themselves."""

    folder: Path

    def path(self, item: Item) -> Path:
        """Return the path of the part of a work item, named by its content key (without one, by its place)."""
        return self.folder / f"{item.key[:32] or f'{item.index:06d}'}.zip"

    def reachable(self) -> bool:
        return True

    def has(self, item: Item) -> bool:
        return self.path(item).exists()

    def encode(self, item: Item, result: Mapping[str, Mapping[str, Any]]) -> bytes:
        buffer = io.BytesIO()
        encode(result, buffer)
        return buffer.getvalue()

    def put(self, item: Item, data: bytes) -> None:
        self.path(item).write_bytes(data)

    def write(self, item: Item, result: Mapping[str, Mapping[str, Any]]) -> None:
        """Write one part: complete under its final name, or not at all.

        Raises:
            UserError: the result has a leaf that cannot be added up over chunks.
        """
        path = self.path(item)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            encode(result, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def encode(result: Mapping[str, Mapping[str, Any]], file: Any) -> None:
    """Write the result of ``process`` as a part to an open binary file."""
    numbers: dict[str, Any] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for position, (dataset, entry) in enumerate(result.items()):
            rest = {key: value for key, value in entry.items() if key not in ("hists", "columns")}
            numbers[dataset] = _checked_numbers(rest, dataset)
            for name, histogram in entry.get("hists", {}).items():
                uhi.io.zip.write(archive, f"{position}/hists/{name}", serialization.to_uhi(histogram))
            columns = entry.get("columns") or []
            if columns:
                buffer = io.BytesIO()
                pq.write_table(to_arrow(columns), buffer, compression="zstd")
                archive.writestr(f"{position}/columns.parquet", buffer.getvalue())
        archive.writestr("numbers.json", json.dumps(numbers))


def _checked_numbers(value: Any, where: str) -> Any:
    """Return ``value`` with plain Python numbers at its leaves."""
    if isinstance(value, Mapping):
        return {str(key): _checked_numbers(inner, f"{where}/{key}") for key, inner in value.items()}
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise UserError(
            f"The processor's result has a {type(value).__name__} at '{where}'. Only numbers, histograms (under "
            f"'hists') and tables (under 'columns') can be added up over chunks; return a number there."
        )
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


@dataclass
class Merged:
    """The sum of all parts: for each dataset its numbers and histograms; its columns are on disk."""

    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    histograms: dict[str, dict[str, hist.Hist]] = field(default_factory=dict)
    columns: dict[str, Path] = field(default_factory=dict)


class Merger:
    """Add parts one by one. Called in plan order, the result does not depend on who finished first."""

    def __init__(self, columns_folder: Path) -> None:
        self._folder = columns_folder
        self._merged = Merged()
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._writers: dict[str, ColumnWriter] = {}

    def add(self, part: Path) -> None:
        """Add the part in file ``part``."""
        with zipfile.ZipFile(part) as archive:
            numbers = json.loads(archive.read("numbers.json"))
            names = archive.namelist()
            for position, dataset in enumerate(numbers):
                self._add_histograms(archive, names, f"{position}/hists/", dataset)
                if f"{position}/columns.parquet" in names:
                    self._add_columns(archive.read(f"{position}/columns.parquet"), dataset)
        self._merged.numbers = accumulate([numbers], self._merged.numbers)

    def _add_histograms(self, archive: zipfile.ZipFile, names: list[str], prefix: str, dataset: str) -> None:
        for entry in names:
            if entry.startswith(prefix) and entry.endswith(".json"):
                name = entry.removeprefix(prefix).removesuffix(".json")
                key = (dataset, name)
                if key not in self._sums:
                    self._sums[key] = _Sum()
                self._sums[key].add(archive, entry.removesuffix(".json"))

    def _add_columns(self, parquet: bytes, dataset: str) -> None:
        if dataset not in self._writers:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{file_name(dataset)}.parquet"
            self._merged.columns[dataset] = path
            self._writers[dataset] = ColumnWriter(path)
        self._writers[dataset].write(pq.read_table(io.BytesIO(parquet)))

    def finish(self) -> Merged:
        """Close the column files and return the sum."""
        for writer in self._writers.values():
            writer.close()
        for (dataset, name), total in self._sums.items():
            self._merged.histograms.setdefault(dataset, {})[name] = total.histogram()
        return self._merged


class _Sum:
    """A running sum of histograms. Equal axes, the usual case, are added as arrays without building objects."""

    def __init__(self) -> None:
        self._structure = b""
        self._content: dict[str, Any] = {}
        self._other: hist.Hist | None = None

    def add(self, archive: zipfile.ZipFile, name: str) -> None:
        structure = archive.read(f"{name}.json")
        if self._content and structure == self._structure:
            for key in ARRAYS:
                self._content["storage"][key] += np.load(
                    io.BytesIO(archive.read(f"{name}_storage_{key}.npy")), allow_pickle=False
                )
            return
        content = uhi.io.zip.read(archive, name)
        if self._content:
            self._other = self.histogram()
        self._structure, self._content = structure, content

    def histogram(self) -> hist.Hist:
        histogram = hist.Hist(serialization.from_uhi(self._content))
        return histogram if self._other is None else self._other + histogram
