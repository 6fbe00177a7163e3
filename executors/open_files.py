"""Files kept open in a worker, and the branch filter of each: the fixed cost of a chunk is paid once a file.

Opening a NanoAOD file, parsing its tree of 1 500 branches and building the array form for all of them costs
1.3–4 CPU-seconds, far more than the physics of a chunk. A worker therefore keeps the files it reads open, and
builds the form only for the branches that a zero-length trace of the processor touched.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uproot
from coffea.nanoevents import NanoEventsFactory
from coffea.nanoevents.schemas.base import BaseSchema
from coffea.nanoevents.trace import trace_with_length_zero_array

from ..filesets.checked_ntuple import checked_classes
from ..filesets.layouts import is_parquet
from ..filesets.parquet_files import identity as parquet_identity
from ..filesets.parquet_files import open_parquet
from ..filesets.soundness import check_tree

log = logging.getLogger(__name__)

MOST_OPEN_FILES = 8
#: Members that coffea's behaviours demand of a collection as soon as one of its branches is read.
VECTOR_MEMBERS = ("pt", "eta", "phi", "mass", "charge", "x", "y", "z")


@dataclass(frozen=True)
class OpenFile:
    """An open file, its tree, and the names of the tree's branches.

    Args:
        directory: of ROOT, or the Parquet file.
        tree: TTree, RNTuple, or the Parquet file again.
        branches: their names; the dotted places of the events where the schema reads ``columns``.
        uuid: what identifies the content.
        entries: of the tree.
        columns: what the schema reads from, where it does not leave that to coffea.
    """

    directory: Any
    tree: Any
    branches: frozenset[str]
    uuid: str
    entries: int
    columns: Any = None

    @property
    def bytes_read(self) -> int:
        """Bytes that were asked from the file so far."""
        if self.directory is self.tree:
            return int(self.columns.bytes_read)
        return int(self.directory.file.source.num_requested_bytes)


_open_files: OrderedDict[tuple[str, str], OpenFile] = OrderedDict()
_filters: dict[tuple[str, frozenset[str]], frozenset[str] | None] = {}


def open_file(path: str, tree: str, *, timeout: float, schema: type[BaseSchema] | None = None) -> OpenFile:
    """Return the open file, from this process's cache where it has it.

    ``schema`` shapes its events; by default one that leaves reading to coffea.

    Raises:
        OSError, ValueError, uproot.KeyInFileError, …: whatever uproot raises for a file that it cannot read, or
            :func:`.soundness.check_tree` for one that contradicts itself.
    """
    key = (path, tree)
    if key in _open_files:
        _open_files.move_to_end(key)
        return _open_files[key]
    while len(_open_files) >= MOST_OPEN_FILES:
        _, oldest = _open_files.popitem(last=False)
        oldest.directory.close()
        gc.unfreeze()
    opened = _open_parquet(path, schema) if is_parquet(path) else _open_root(path, tree, timeout, schema)
    _open_files[key] = opened
    _freeze()
    return opened


def _open_parquet(path: str, schema: Any) -> OpenFile:
    file = open_parquet(path)
    columns = schema.columns(file)
    return OpenFile(
        file, file, frozenset(schema.present(columns)), parquet_identity(file), file.metadata.num_rows, columns
    )


def _open_root(path: str, tree: str, timeout: float, schema: Any) -> OpenFile:
    # Plain file reads take 40 % less CPU than uproot's default for local files, which goes through an event loop.
    options = {} if "://" in path else {"handler": uproot.MultithreadedFileSource}
    # XRootD takes whole seconds only.
    directory = uproot.open({path: None}, timeout=max(1, round(timeout)), custom_classes=checked_classes(), **options)
    check_tree(directory[tree], None if "://" in path else directory.file.source.num_bytes)
    events = directory[tree]
    columns = schema.columns(events) if hasattr(schema, "columns") else None
    branches = frozenset(events.keys() if columns is None else schema.present(columns))
    return OpenFile(directory, events, branches, str(events.file.uuid), int(events.num_entries), columns)


def drop_file(path: str) -> None:
    """Close a file in which reading failed, so that the next attempt opens it, and its connection, anew."""
    for key in [one for one in _open_files if one[0] == path]:
        with contextlib.suppress(Exception):
            _open_files.pop(key).directory.close()


def close_files() -> None:
    """Close every file that this process keeps open."""
    while _open_files:
        _open_files.popitem()[1].directory.close()
    _filters.clear()
    gc.unfreeze()


def _freeze() -> None:
    """Take the parsed tree (hundreds of thousands of objects that live on) out of the collector's sight."""
    gc.collect()
    gc.freeze()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage after a chunk instead of in the middle of it; the cycles of NanoEvents go at once."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        if enabled:
            gc.enable()


def make_events(
    opened: OpenFile,
    tree: str,
    *,
    schema: type[BaseSchema],
    metadata: dict[str, Any],
    start: int,
    stop: int,
    only: frozenset[str] | None = None,
    access_log: list | None = None,
) -> Any:
    """Return NanoEvents of entries ``start`` to ``stop`` as virtual arrays, of the branches in ``only`` if given."""
    if opened.columns is not None:
        shaping: Any = schema
        return shaping.from_file(opened.columns, start=start, stop=stop, metadata=metadata, access_log=access_log)
    options = {} if only is None else {"filter_name": only.__contains__}
    with warnings.catch_warnings():
        # NanoAODSchema sets Photon_mass to zero, which it announces for every chunk.
        warnings.filterwarnings("ignore", "Branch .* already exists but its values", RuntimeWarning)
        factory = NanoEventsFactory.from_root(
            opened.directory,
            treepath=tree,
            mode="virtual",
            schemaclass=schema,
            metadata=metadata,
            entry_start=start,
            entry_stop=stop,
            iteritems_options=options,
            access_log=access_log,
        )
        return factory.events()


def branch_filter(
    opened: OpenFile,
    tree: str,
    process: Callable[[Any], Any],
    *,
    key: str,
    schema: type[BaseSchema],
    metadata: dict[str, Any],
) -> frozenset[str] | None:
    """Return the branches that ``process`` touches, or None to build the form of all of them.

    They come from one pass over an array without events. The answer is kept per ``key`` (processor, dataset) and
    per set of branch names, so a file that lacks a trigger path, or has one more, is traced anew.
    """
    known = (key, opened.branches)
    if known not in _filters:
        _filters[known] = _trace(opened, tree, process, schema=schema, metadata=metadata)
    return _filters[known]


def forget_filter(opened: OpenFile, key: str) -> None:
    """Read every branch from now on: the trace missed one that a real chunk needs."""
    _filters[key, opened.branches] = None


def _trace(
    opened: OpenFile,
    tree: str,
    process: Callable[[Any], Any],
    *,
    schema: type[BaseSchema],
    metadata: dict[str, Any],
) -> frozenset[str] | None:
    stop = min(1, opened.tree.num_entries)
    events = make_events(opened, tree, schema=schema, metadata=metadata, start=0, stop=stop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            touched = trace_with_length_zero_array(process, events, throw=True)
    except Exception as error:
        # The first real chunk meets the same error, if it is one, and reports it with file and entries.
        log.info("no branch filter, the zero-length trace failed: %r", error)
        return None
    if not touched:
        return None
    names = {branch.split("_", 1)[0] for branch in touched if "_" in branch}
    extra = {f"{name}_{member}" for name in names for member in VECTOR_MEMBERS}
    counters = {f"n{name}" for name in names}
    return frozenset(opened.branches & (touched | extra | counters | identity(schema)))


def identity(schema: type[BaseSchema]) -> frozenset[str]:
    """Return the branches that tell one event from another, without which ``schema`` builds no events."""
    return frozenset(getattr(schema, "event_ids", ()))
