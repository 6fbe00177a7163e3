"""What a file is that somebody names by its path: data or simulation, of which schema, and where its events are."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from .layouts import DEFAULT, LAYOUTS, has_truth, is_event_ntuple, is_parquet
from .local import get_tree, trees_of
from .metadata_cache import remembered
from .opening import TIMEOUT, BadFile, read_root
from .parquet_files import compressed_columns, read_parquet

Kind = Literal["data", "mc"]

#: Trees beside the events.
BESIDE = ("Runs", "LuminosityBlocks", "MetaData", "ParameterSets", "EventNtuple/subrunNtuple")


class Recognised(NamedTuple):
    """What a file is."""

    kind: Kind
    tree: str
    schema: str


def recognise(path: str, *, tree: str | None = None, timeout: float = TIMEOUT) -> Recognised:
    """Return what a file is, from its content.

    EventNtuple has tracks (``trk``) and ``evtinfo`` or ``subrun``; else a file is NanoAOD. Simulation has branches of
    truth in its tree, or ``genEventSumw`` in ``Runs``. The tree is that of the schema, or the only one there is.

    Raises:
        UserError, BadFile, UnreachableFile: as :func:`.local.inspect`.
    """
    question = "recognise Parquet" if is_parquet(path) else f"recognise {tree or ''}"

    def ask() -> dict[str, Any]:
        if is_parquet(path):
            return read_parquet(path, timeout, lambda file: _skim(path, file)._asdict())
        return read_root(path, timeout, lambda file: _root(path, file, tree)._asdict())

    return Recognised(**remembered(path, question, ask))


def sniff(path: str, *, tree: str | None = None, timeout: float = TIMEOUT) -> tuple[Kind, str]:
    """Return ``data`` or ``mc``, and the name of the tree; see :func:`recognise`."""
    found = recognise(path, tree=tree, timeout=timeout)
    return found.kind, found.tree


def _root(path: str, file: Any, tree: str | None) -> Recognised:
    trees = trees_of(file)
    usual = [layout.tree for layout in LAYOUTS.values() if layout.tree in trees]
    others = [name for name in trees if name not in BESIDE]
    name = tree or (usual[0] if usual else others[0] if len(others) == 1 else LAYOUTS[DEFAULT].tree)
    branches = set(get_tree(file, path, name).keys(recursive=False))
    schema = "eventntuple" if is_event_ntuple(branches) else DEFAULT
    generated = has_truth(schema, branches)
    if not generated and "Runs" in trees:
        generated = any(one.startswith("genEventSumw") for one in file["Runs"].keys(recursive=False))
    return Recognised("mc" if generated else "data", name, schema)


def _skim(path: str, file: Any) -> Recognised:
    columns = set(compressed_columns(file)) or set(file.schema_arrow.names)
    if not is_event_ntuple(columns):
        raise BadFile(
            path,
            f"The Parquet file {path} has no events of EventNtuple ('trk', 'subrun'): only skims of EventNtuple are "
            f"read from Parquet. It has {', '.join(file.schema_arrow.names[:6])}.",
        )
    schema = "eventntuple"
    return Recognised("mc" if has_truth(schema, columns) else "data", LAYOUTS[schema].tree, schema)
