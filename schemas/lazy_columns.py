"""Columns of a TTree, an RNTuple, a Parquet file or an array in memory, each read when it is first looked at.

coffea's own mapping reads a column once for each of its buffers (lists, numbers), which is dear for branches that ROOT
did not split; here a column is read once a chunk. The keys of the forms are read by this module alone.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import awkward as ak
import numpy as np

from ..errors import UserError

Form = dict[str, Any]
_SEPARATOR = "|"
#: A member of a class of ROOT that uproot cannot read must not take the rest of the file with it.
_UNREADABLE = (NotImplementedError, ValueError, KeyError, TypeError)


class Touched(NamedTuple):
    """A column that was read, as coffea records it."""

    branch: str
    buffer_key: str


class Columns(ABC):
    """Where columns are read from."""

    @abstractmethod
    def forms(self) -> Mapping[str, Form]:
        """Return column → awkward form, as a dictionary, nodes without keys."""

    @abstractmethod
    def read(self, column: str, start: int, stop: int) -> ak.Array:
        """Return entries ``start`` to ``stop`` of a column, numbers in lists (or records of them)."""

    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Return column → compressed bytes in the file."""


class TreeColumns(Columns):
    """The branches of a TTree that have no branches below them."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    @cached_property
    def branches(self) -> dict[str, Any]:
        """Name, without those of the branches above, → branch."""
        return {one.name.rstrip("."): one for one in self.tree.itervalues(recursive=True) if not one.branches}

    @cached_property
    def _forms(self) -> dict[str, Form]:
        found = {}
        for name, branch in self.branches.items():
            try:
                form = branch.interpretation.awkward_form(None)
            except _UNREADABLE:
                continue
            if isinstance(form, ak.forms.Form):
                found[name] = as_dict(form)
        return found

    def forms(self) -> Mapping[str, Form]:
        return self._forms

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        return self.branches[column].array(entry_start=start, entry_stop=stop, array_cache=None)

    def sizes(self) -> Mapping[str, int]:
        return {name: int(branch.compressed_bytes) for name, branch in self.branches.items()}


class NtupleColumns(Columns):
    """The fields of an RNTuple that have no fields below them; each is read on its own."""

    def __init__(self, ntuple: Any) -> None:
        self.ntuple = ntuple

    @cached_property
    def _forms(self) -> dict[str, Form]:
        names = list(self.ntuple.keys())
        inner = {name.rsplit(".", 1)[0] for name in names if "." in name}
        found = {}
        for name in names:
            if name in inner:
                continue
            try:
                form = as_dict(self.ntuple[name].to_akform()[0].contents[0])
                ((_, found[name]),) = _leaf_forms((), form)
            except _UNREADABLE:
                continue
        return found

    def forms(self) -> Mapping[str, Form]:
        return self._forms

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        return leaf(self.ntuple[column].array(entry_start=start, entry_stop=stop))

    def sizes(self) -> Mapping[str, int]:
        weights: dict[int, int] = {}
        for cluster in self.ntuple.page_link_list:
            for record, link in zip(self.ntuple.column_records, cluster, strict=False):
                size = sum(page.locator.num_bytes for page in link.pages)
                weights[record.field_id] = weights.get(record.field_id, 0) + size
        return {name: weights.get(self.ntuple[name].field_id, 0) for name in self._forms}


class ParquetColumns(Columns):
    """The leaves of a Parquet file, as ``pyarrow.parquet.ParquetFile``; each is read on its own."""

    def __init__(self, file: Any) -> None:
        self.file = file
        #: Compressed bytes of the columns that were read.
        self.bytes_read = 0

    @cached_property
    def paths(self) -> dict[str, str]:
        """Dotted name → path of the leaf in the file, which also names the lists around it."""
        return {_without_lists(column.path): column.path for column in self.file.schema}

    @cached_property
    def _forms(self) -> dict[str, Form]:
        types = self.file.schema_arrow.empty_table()
        return dict(_leaf_forms((), as_dict(ak.from_arrow(types, generate_bitmasks=False).layout.form)))

    def forms(self) -> Mapping[str, Form]:
        return self._forms

    @cached_property
    def edges(self) -> list[int]:
        """Entry numbers at which row groups begin and end."""
        counts = [self.file.metadata.row_group(place).num_rows for place in range(self.file.metadata.num_row_groups)]
        return [0, *np.cumsum(counts, dtype=int).tolist()]

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        groups = [place for place, (low, high) in enumerate(pairwise(self.edges)) if low < stop and high > start]
        table = self.file.read_row_groups(groups, columns=[self.paths[column]], use_threads=False)
        first = self.edges[groups[0]] if groups else 0
        number = list(self.paths).index(column)
        self.bytes_read += sum(self.file.metadata.row_group(one).column(number).total_compressed_size for one in groups)
        return leaf(ak.from_arrow(table.slice(start - first, stop - start)))

    def sizes(self) -> Mapping[str, int]:
        groups = [self.file.metadata.row_group(place) for place in range(len(self.edges) - 1)]
        return {
            name: sum(int(group.column(number).total_compressed_size) for group in groups)
            for number, name in enumerate(self.paths)
        }


class ArrayColumns(Columns):
    """The fields of an array, already in memory."""

    def __init__(self, fields: Mapping[str, ak.Array]) -> None:
        self.fields = {name: ak.Array(regular(array.layout)) for name, array in fields.items()}

    def forms(self) -> Mapping[str, Form]:
        return {name: as_dict(array.layout.form) for name, array in self.fields.items()}

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        return self.fields[column][start:stop]

    def sizes(self) -> Mapping[str, int]:
        return {name: int(array.nbytes) for name, array in self.fields.items()}


def keyed(columns: Columns) -> dict[str, Form]:
    """Return column → form with a key at every node, from which :class:`Buffers` knows what to read."""
    return {name: _with_keys(form, name + _SEPARATOR) for name, form in columns.forms().items()}


class Buffers(Mapping[str, Callable[[], Any]]):
    """The buffers of a chunk for ``awkward.from_buffers``: functions that read a column when they are called.

    Args:
        columns: where to read.
        start, stop: entries.
        collections: column → collection whose lengths it shares with others, for a check.
        access_log: gets a :class:`Touched` for each column that is read.
    """

    def __init__(
        self,
        columns: Columns,
        start: int,
        stop: int,
        *,
        collections: Mapping[str, str],
        access_log: list[Any] | None = None,
    ) -> None:
        self.columns, self.start, self.stop = columns, start, stop
        self.collections = collections
        self.access_log = access_log
        self._kept: dict[str, Any] = {}
        self._lengths: dict[str, tuple[str, Any]] = {}

    def __getitem__(self, key: str) -> Callable[[], Any]:
        return partial(self._buffer, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def _buffer(self, key: str) -> Any:
        if key not in self._kept:
            self._read(key.split(_SEPARATOR, 1)[0])
        return self._kept[key]

    def _read(self, column: str) -> None:
        array = self.columns.read(column, self.start, self.stop)
        if self.access_log is not None:
            self.access_log.append(Touched(column, column))
        layout = regular(array.layout)
        if len(layout) != self.stop - self.start:
            raise OSError(f"column {column} has {len(layout)} of the entries {self.start}–{self.stop}")
        self._compare(column, layout)
        _keep(layout, column + _SEPARATOR, self._kept)

    def _compare(self, column: str, layout: Any) -> None:
        """Refuse a column with other lengths than its neighbours: awkward would cut it without a word."""
        collection = self.collections.get(column)
        if collection is None or not isinstance(layout, ak.contents.ListOffsetArray):
            return
        offsets = layout.offsets.data
        other, known = self._lengths.setdefault(collection, (column, offsets))
        if not np.array_equal(known, offsets):
            entry = self.start + int(np.argmax(np.diff(known) != np.diff(offsets)))
            raise UserError(
                f"The branches {other} and {column} do not have the same number of elements in entry {entry}; they "
                f"cannot be the same '{collection}'. The file is damaged, or was not written by one program."
            )


def as_dict(form: ak.forms.Form) -> Form:
    """Return a form as a dictionary, with nothing abbreviated."""
    found: Form = json.loads(form.to_json())
    return _plain(found)


def _plain(form: Form) -> Form:
    """Return a form without what :func:`regular` takes away: options, indirections, fixed and 32-bit lengths."""
    kind = form["class"]
    if kind in ("UnmaskedArray", "ByteMaskedArray", "BitMaskedArray", "IndexedOptionArray", "IndexedArray"):
        return _plain(form["content"])
    if kind == "RecordArray":
        fields = form["fields"] or [str(place) for place in range(len(form["contents"]))]
        return {
            "class": kind,
            "fields": fields,
            "contents": [_plain(one) for one in form["contents"]],
            "form_key": None,
        }
    if "content" in form:
        return {"class": "ListOffsetArray", "offsets": "i64", "content": _plain(form["content"]), "form_key": None}
    if form.get("inner_shape"):
        content = {**form, "inner_shape": form["inner_shape"][1:], "parameters": {}}
        return {"class": "ListOffsetArray", "offsets": "i64", "content": _plain(content), "form_key": None}
    return {"class": "NumpyArray", "primitive": form.get("primitive", "float64"), "inner_shape": [], "form_key": None}


def regular(layout: Any) -> Any:
    """Return a layout of lists with 64-bit offsets from 0, records and flat numbers alone.

    Raises:
        UserError: a value is missing.
    """
    if layout.is_option:
        if isinstance(layout, ak.contents.UnmaskedArray):
            return regular(layout.content)
        indexed = layout.to_IndexedOptionArray64()
        if (indexed.index.data < 0).any():
            raise UserError("A column has missing values where EventNtuple has none; fill or drop them.")
        return regular(indexed.project())
    if layout.is_indexed:
        return regular(layout.project())
    if layout.is_list:
        listed = layout.to_ListOffsetArray64(True)
        content = listed.content[: int(listed.offsets.data[-1])]
        return ak.contents.ListOffsetArray(listed.offsets, regular(content))
    if layout.is_record:
        contents = [regular(one[: layout.length]) for one in layout.contents]
        return ak.contents.RecordArray(contents, layout.fields, length=layout.length)
    if layout.is_numpy and layout.purelist_depth > 1:
        return regular(layout.to_RegularArray())
    if layout.is_unknown:
        return ak.contents.NumpyArray(np.empty(0, np.float64))
    return layout


def leaf(array: ak.Array) -> ak.Array:
    """Return the numbers in their lists of an array whose records all have one field."""
    return ak.Array(_leaf(regular(array.layout)))


def _leaf(layout: Any) -> Any:
    if layout.is_list:
        return ak.contents.ListOffsetArray(layout.offsets, _leaf(layout.content))
    return _leaf(layout.content(0)) if layout.is_record else layout


def _without_lists(path: str) -> str:
    """Return ``trk.pdg`` for ``trk.list.element.pdg``; Arrow has also called the element ``item``."""
    text = f".{path}."
    for element in ("element", "item"):
        while f".list.{element}." in text:
            text = text.replace(f".list.{element}.", ".")
    return text.strip(".")


def _leaf_forms(name: tuple[str, ...], form: Form) -> Iterator[tuple[str, Form]]:
    """Yield each leaf with the lists around it."""
    if form["class"] == "RecordArray":
        for field, content in zip(form["fields"], form["contents"], strict=True):
            yield from _leaf_forms((*name, field), content)
    elif form["class"] == "ListOffsetArray":
        for leaf, content in _leaf_forms(name, form["content"]):
            yield leaf, {**form, "content": content}
    else:
        yield ".".join(name), form


def _with_keys(form: Form, key: str) -> Form:
    if form["class"] == "RecordArray":
        contents = [
            _with_keys(one, f"{key}.{name}") for name, one in zip(form["fields"], form["contents"], strict=True)
        ]
        return {**form, "contents": contents, "form_key": key}
    if form["class"] == "ListOffsetArray":
        return {**form, "content": _with_keys(form["content"], f"{key}[]"), "form_key": key}
    return {**form, "form_key": key}


def _keep(layout: Any, key: str, kept: dict[str, Any]) -> None:
    if layout.is_record:
        for name in layout.fields:
            _keep(layout.content(name), f"{key}.{name}", kept)
    elif layout.is_list:
        kept[key] = layout.offsets.data
        _keep(layout.content, f"{key}[]", kept)
    else:
        kept[key] = np.ascontiguousarray(layout.data)
