"""Mu2e EventNtuple as nested records: the same events from TTree, RNTuple, Parquet and arrays in memory.

``events.run``, ``.subrun``, ``.event`` [E]; ``events.trk`` [E,T] with the leaves of ``trk``, ``.qual``, ``.pid``,
``.segs`` and ``.lh``/``.ch``/``.kl`` (``.pars`` is the one that is there) [E,T,S], ``.mcsim`` [E,T,M], ``.segsmc``
[E,T,S']; ``events.crv`` and ``events.crvmc`` [E,C]. 3-vectors have ``x``, ``y``, ``z`` (MeV/c, mm). A file has what it
has: data have no truth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import awkward as ak
from coffea.nanoevents.schemas.base import BaseSchema

from ..errors import UserError, closest
from .eventntuple_layout import PLACES, arrange, paths, place
from .eventntuple_methods import at_surface, behavior, magnitude, pitch, reflected
from .lazy_columns import (
    ArrayColumns,
    Buffers,
    Columns,
    NtupleColumns,
    ParquetColumns,
    TreeColumns,
    keyed,
)
from .surfaces import Version, surface_id, surface_ids

__all__ = [
    "EventNtuple",
    "at_surface",
    "from_columns",
    "magnitude",
    "pitch",
    "reflected",
    "require",
    "surface_id",
    "surface_ids",
]

#: Groups of branches in which Mu2e's Python tools keep events.
GROUPS = ("evt", "trk", "trkfit", "trkmc", "crv", "evtinfo")


class EventNtuple(BaseSchema):
    """coffea schema of EventNtuple; :meth:`from_file` reads a column once a chunk, which coffea's factory does not."""

    #: Without these an event has no identity.
    event_ids = ("run", "subrun", "event")

    def __init__(self, base_form: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        fields, forms = arrange(dict(zip(base_form["fields"], base_form["contents"], strict=True)))
        super().__init__({**base_form, "fields": fields, "contents": forms}, *args, **kwargs)

    @classmethod
    def behavior(cls) -> Mapping[Any, Any]:
        """Return the behaviours of events, vectors, tracks and segments."""
        return behavior

    @classmethod
    def columns(cls, source: Any) -> Columns:
        """Return the columns of an uproot TTree or RNTuple, or of a ``pyarrow.parquet.ParquetFile``."""
        if hasattr(source, "cluster_summaries"):
            return NtupleColumns(source)
        return TreeColumns(source) if hasattr(source, "itervalues") else ParquetColumns(source)

    @classmethod
    def present(cls, columns: Columns) -> set[str]:
        """Return the dotted places of what is in a file, such as ``trk.segs.mom.x``."""
        return paths(columns.forms())

    @classmethod
    def place_sizes(cls, source: Any) -> dict[str, int]:
        """Return place → compressed bytes of a source, see :meth:`columns`; an unsplit branch's are shared out."""
        columns = cls.columns(source)
        sizes, forms = columns.sizes(), columns.forms()
        found: dict[str, int] = {}
        for column, form in forms.items():
            places = paths({column: form})
            found |= dict.fromkeys(places, round(sizes[column] / len(places)))
        return {**dict.fromkeys(paths(forms), 0), **found}

    @classmethod
    def from_file(
        cls,
        columns: Columns,
        *,
        start: int,
        stop: int,
        metadata: Mapping[str, Any] | None = None,
        access_log: list[Any] | None = None,
    ) -> Any:
        """Return the events ``start`` to ``stop`` as virtual arrays: a column is read when it is first looked at.

        Args:
            columns: see :meth:`columns`.
            start, stop: entries.
            metadata: for ``events.metadata``.
            access_log: gets the columns that are read.
        """
        forms = keyed(columns)
        base = {
            "fields": list(forms),
            "contents": list(forms.values()),
            "parameters": {"metadata": dict(metadata or {})},
        }
        buffers = Buffers(
            columns,
            start,
            stop,
            collections={name: place(name, ("?",))[0] for name in forms if _in_collection(name)},
            access_log=access_log,
        )
        return ak.from_buffers(
            cls(base).form,
            stop - start,
            buffers,
            buffer_key="{form_key}",
            behavior=behavior,
        )


def from_columns(array: ak.Array, metadata: Mapping[str, Any] | None = None) -> Any:
    """Return the events of an array whose fields are branches, in any of the layouts that are in use.

    Fields may be split leaves (``trk.nactive``), unsplit branches (``trksegs``), groups of them (``trk``, ``trkfit``,
    ``trkmc``, ``crv``, ``evt``), or what this function returned before. Tracks that are None are dropped.

    Args:
        array: ``[E]``.
        metadata: for ``events.metadata``.

    Raises:
        UserError: branches of one collection have different lengths.
    """
    fields: dict[str, ak.Array] = {}
    for name in array.fields:
        column = array[name]
        if name in GROUPS and column.fields and column.ndim == 1:
            fields.update({inner: column[inner] for inner in column.fields})
        else:
            fields[name] = column
    columns = ArrayColumns({name: _without_missing(one) for name, one in fields.items()})
    events = EventNtuple.from_file(columns, start=0, stop=len(array), metadata=metadata)
    return ak.materialize(events)


def require(events: Any, *names: str) -> None:
    """Make sure that events have what an analysis needs.

    Args:
        events: see the module.
        names: dotted places, such as ``trk.segs.sid``.

    Raises:
        UserError: the first that is missing, with its branch, the closest name and the version of the file.
    """
    for name in names:
        node = events
        for part in name.split("."):
            if part not in node.fields:
                raise UserError(missing(name, _names(events), getattr(events, "metadata", {}).get("ntuple_version")))
            node = node[part]


def missing(name: str, present: Any, version: str | None = None) -> str:
    """Return the message about a place that a file does not have."""
    written = f"EventNtuple v{version}" if version else "EventNtuple of unknown version"
    return (
        f"The file ({written}) does not have '{name}', the branch {branch_of(name)}.{closest(name, present)} Files of "
        f"another version may: newer ones have more branches, and data have no truth."
    )


def branch_of(name: str) -> str:
    """Return the branch of EventNtuple that a dotted place comes from: ``trksegs`` for ``trk.segs.sid``."""
    parts = tuple(name.split("."))
    for branch, where in sorted(PLACES.items(), key=lambda one: -len(one[1])):
        if where and parts[: len(where)] == where:
            return ".".join((branch, *parts[len(where) :]))
    return name


def _names(events: Any) -> list[str]:
    found: list[str] = []
    pending: list[tuple[str, ...]] = [(name,) for name in events.fields]
    while pending:
        path = pending.pop()
        found.append(".".join(path))
        pending += [(*path, name) for name in events[path].fields]
    return found


def _in_collection(column: str) -> bool:
    return re.match(r"(.*/)?(trk|crvcoincs|crv\b|crvmc)", column) is not None


def _without_missing(column: ak.Array) -> ak.Array:
    """Return a column without the tracks that a selection has masked."""
    return ak.drop_none(column, axis=1) if column.ndim > 1 else column


def version_of(text: str | None) -> Version | None:
    """Return (6, 13, 2) for ``6.13.2``."""
    return None if not text else tuple(int(part) for part in text.split("."))
