"""Filesets of files that can be opened: local files, globs, and addresses that uproot reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import UserError, closest
from .addresses import anchored, expand, is_remote, local_path, logical_name, redacted, split_object
from .branches import compressed_bytes
from .layouts import DEFAULT, is_parquet
from .luminosity_blocks import recorded_sections
from .metadata_cache import remember, remembered
from .models import Dataset, FileEntry, Fileset, KnownFile
from .mu2e_exposure import exposure_of_parquet, exposure_of_root
from .opening import TIMEOUT, read_root
from .opening import BadFile as BadFile
from .opening import UnreachableFile as UnreachableFile
from .parquet_files import compressed_columns, describe_parquet, key_values, read_parquet
from .soundness import check_tree
from .weight_sums import weight_sums

logger = logging.getLogger(__name__)

#: How to come from another source to files.
HINTS = {
    "toy": "generate its files first",
    "sam": "SAM is not asked for them yet. Write the paths or addresses of its files into a text file, and give the "
    "dataset 'file_list: that file' instead",
}

#: Checks the bytes of a replica, given its path and what the file says of itself.
Verify = Callable[[str, FileEntry], None]

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
#: What a fileset may say of a file, and all its replicas have in common.
DECLARED = ("entries", "uuid", "size", "checksum")


def build_fileset(dataset: Dataset) -> Fileset:
    """Return the files of a dataset with ``files``, ``glob`` or ``file_list``, without opening them.

    Addresses of the same logical file on several servers become its replicas.

    Raises:
        UserError: a local file is missing or named twice, a glob finds nothing, or the dataset has another source.
    """
    if dataset.source == "glob":
        names: Sequence[str] = _expand(dataset)
    elif dataset.file_list is not None:
        names = listed(Path(dataset.file_list))
    elif dataset.files is not None:
        names = dataset.files
    else:
        hint = HINTS.get(dataset.source, "list its files, or give a fileset JSON")
        raise UserError(
            f"The dataset '{dataset.name}' names no files but '{dataset.source}' ({dataset.origin}); {hint}."
        )
    entries: dict[tuple[str, str], FileEntry] = {}
    for name in names:
        entry = _entry(dataset, name)
        key = (entry.lfn, entry.tree)
        if key in entries:
            entry = _with_replica(dataset, entries[key], entry)
        entries[key] = entry
    return Fileset(dataset=dataset, files=tuple(entries.values()))


def inspect(
    entry: FileEntry, *, timeout: float = TIMEOUT, branches: bool = False, verify: Verify | None = None
) -> FileEntry:
    """Open a file once and return what it says of itself: entries, uuid, size and sums of generated events.

    Replicas are tried in their order; the first that is good comes first in the result. One that is damaged is left
    out, and so are all that were not read where ``verify`` is asked for. A tree without events is allowed and logged.

    Args:
        entry: the file; what it already says of entries, uuid and size must agree with what is found.
        timeout: seconds for each replica on a server.
        branches: if the file has to be opened, also remember what :func:`branch_sizes` returns.
        verify: called with path and description of a replica; raises BadFile where its bytes are not what they were.

    Raises:
        UserError: the local file is missing or may not be read.
        BadFile: not a ROOT file, truncated, corrupt, without the tree, or not the file that ``entry`` describes.
        UnreachableFile: no replica is good, and some could not be reached.
    """
    failures: dict[str, UserError] = {}
    for path in entry.replicas:
        try:
            found = _examine(entry, path, timeout, branches)
            if verify is not None:
                verify(path, found)
        except UserError as error:
            failures[path] = error
            continue
        for other, reason in failures.items():
            logger.warning("%s is read from %s instead of %s: %s", entry.lfn, redacted(path), redacted(other), reason)
        return found.model_copy(update={"replicas": _usable(entry, path, failures, verified=verify is not None)})
    raise _no_replica(entry, failures)


def branch_sizes(entry: FileEntry, *, timeout: float = TIMEOUT) -> dict[str, int]:
    """Return branch → compressed bytes in the file, from its first replica; no event is read.

    Raises:
        UserError, BadFile, UnreachableFile: as :func:`inspect`.
    """
    path = entry.replicas[0]

    if is_parquet(path):
        return remembered(path, "columns", lambda: read_parquet(path, timeout, compressed_columns))

    def ask() -> dict[str, int]:
        return read_root(path, timeout, lambda file: compressed_bytes(get_tree(file, path, entry.tree)))

    return remembered(path, f"branches {entry.tree}", ask)


def _usable(entry: FileEntry, path: str, failures: Mapping[str, UserError], *, verified: bool) -> tuple[str, ...]:
    """Return the good replica and, for later trouble, the others that may be good; those out of reach come last."""
    if verified:
        return (path,)
    untried = [one for one in entry.replicas if one != path and one not in failures]
    return (path, *untried, *(one for one, error in failures.items() if isinstance(error, UnreachableFile)))


def _no_replica(entry: FileEntry, failures: Mapping[str, UserError]) -> UserError:
    if len(failures) == 1:
        return next(iter(failures.values()))
    kind = UnreachableFile if any(isinstance(one, UnreachableFile) for one in failures.values()) else BadFile
    reasons = " ".join(f"({number}) {error}" for number, error in enumerate(failures.values(), 1))
    return kind(entry.replicas[0], f"None of the {len(failures)} replicas of {entry.lfn} can be read. {reasons}")


def _examine(entry: FileEntry, path: str, timeout: float, branches: bool) -> FileEntry:
    def look(file: Any) -> dict[str, Any]:
        description = _describe(file, path, entry.tree, entry.data_schema)
        if branches:
            remember(path, f"branches {entry.tree}", compressed_bytes(file[entry.tree.strip("/")]))
        return description

    if is_parquet(path):
        found = remembered(
            path, "describe Parquet", partial(read_parquet, path, timeout, partial(_describe_skim, path))
        )
    else:
        question = " ".join(["describe", entry.tree, *([entry.data_schema] if entry.data_schema != DEFAULT else [])])
        found = remembered(path, question, partial(read_root, path, timeout, look))
    _check_same(entry, path, found)
    if found["entries"] == 0:
        logger.warning("%s: the tree '%s' has no events", redacted(path), entry.tree)
    try:
        return FileEntry.model_validate({**entry.model_dump(), **found})
    except ValidationError as error:
        reason = error.errors()[0]
        raise BadFile(
            path, f"The file {path} is corrupt: '{reason['loc'][-1] if reason['loc'] else ''}': {reason['msg']}."
        ) from None


def listed(path: Path) -> list[str]:
    """Return the paths and addresses in a text file, one a line; relative ones start at its folder.

    Raises:
        UserError: the file cannot be read, or names nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        near = closest(path.name, [one.name for one in path.parent.glob("*")]) if path.parent.is_dir() else ""
        raise UserError(f"The file list {path} does not exist.{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The file list {path} cannot be read: {error}.") from None
    names = [line.partition(" #")[0].strip() for line in lines]
    found = [anchored(name, path.parent) for name in names if name and not name.startswith("#")]
    if not found:
        raise UserError(f"The file list {path} names no file.")
    return found


def _expand(dataset: Dataset) -> list[str]:
    pattern = dataset.glob or ""
    if is_remote(pattern):
        raise UserError(
            f"The dataset '{dataset.name}' ({dataset.origin}) has a glob on a server, {pattern}; only local globs are "
            "expanded. List the addresses under 'files'."
        )
    found = expand(pattern)
    if not found:
        raise UserError(f"No file matches the glob '{pattern}' of the dataset '{dataset.name}' ({dataset.origin}).")
    return found


def _entry(dataset: Dataset, name: str) -> FileEntry:
    path, tree = split_object(name)
    known = dataset.known_files.get(name, KnownFile())
    if not is_remote(path):
        local = local_path(path)
        _check_exists(dataset, local)
        path = str(local)
    return FileEntry(
        lfn=logical_name(path),
        replicas=(path,),
        tree=tree or known.tree or dataset.tree,
        entries=known.entries,
        uuid=known.uuid,
        size=known.size,
        checksum=known.checksum,
        data_schema=dataset.data_schema,
    )


def _check_exists(dataset: Dataset, path: Path) -> None:
    declared = f"It is a file of the dataset '{dataset.name}' ({dataset.origin})."
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a ROOT file. {declared} Use 'glob: {path}/*.root'.")
    if not path.exists():
        near = closest(path.name, [one.name for one in path.parent.glob("*.root")]) if path.parent.is_dir() else ""
        raise UserError(f"The file {path} does not exist.{near} {declared}")


def _with_replica(dataset: Dataset, first: FileEntry, second: FileEntry) -> FileEntry:
    path = second.replicas[0]
    if path in first.replicas or not is_remote(path):
        raise UserError(
            f"The file {path} is named twice in the dataset '{dataset.name}' ({dataset.origin}); its events would be "
            "counted twice. Remove one of them."
        )
    known: dict[str, Any] = {"replicas": (*first.replicas, path)}
    for name in DECLARED:
        mine, its = getattr(first, name), getattr(second, name)
        if None not in (mine, its) and mine != its:
            raise UserError(
                f"The replicas {first.replicas[0]} and {path} of one file of the dataset '{dataset.name}' "
                f"({dataset.origin}) have a different {name}, {mine} and {its}: they cannot be the same bytes."
            )
        known[name] = its if mine is None else mine
    return first.model_copy(update=known)


def _check_same(entry: FileEntry, path: str, found: Mapping[str, Any]) -> None:
    """Refuse a file whose content is not what the fileset says: it was replaced, or the JSON is old."""
    for name in ("size", "entries", "uuid"):
        declared = getattr(entry, name)
        if declared is not None and found[name] is not None and str(declared).lower() != str(found[name]).lower():
            raise BadFile(
                path,
                f"The file {path} has {name} {found[name]}, but its fileset says {declared}: the file has changed. "
                "Write the fileset again, or leave this value out.",
            )


def trees_of(file: Any) -> list[str]:
    """Return the names of the trees and RNTuples in an open file, with their folders."""
    return [name for name, kind in file.classnames(cycle=False).items() if kind in TREE_CLASSES]


def get_tree(file: Any, path: str, name: str) -> Any:
    trees = trees_of(file)
    if name.strip("/") not in trees:
        present = f"It has {', '.join(trees)}." if trees else "It has no tree at all."
        raise BadFile(path, f"The file {path} has no tree '{name}'.{closest(name, trees)} {present}")
    return file[name.strip("/")]


def _describe_skim(path: str, file: Any) -> dict[str, Any]:
    size = None if is_remote(path) else local_path(path).stat().st_size
    return {**describe_parquet(file), "size": size, **exposure_of_parquet(key_values(file))}


def _describe(file: Any, path: str, tree: str, schema: str = DEFAULT) -> dict[str, Any]:
    events = get_tree(file, path, tree)
    size = file.file.source.num_bytes
    if size is not None and size < file.file.fEND:
        raise BadFile(path, f"The file {path} is truncated: {size} of {file.file.fEND} bytes are there.")
    try:
        check_tree(events, size)
    except ValueError as error:
        raise BadFile(path, f"The file {path} is corrupt: {error}.") from None
    description = {
        "entries": int(events.num_entries),
        "uuid": str(file.file.uuid),
        "size": size,
        "clusters": list(_clusters(events)),
    }
    if schema == "eventntuple":
        return {**description, **exposure_of_root(file, tree.strip("/").rpartition("/")[0])}
    count, sumw = _generated(file)
    return {
        **description,
        "gen_event_count": count,
        "gen_event_sumw": sumw,
        "weight_sums": None if count in (None, events.num_entries) else weight_sums(file, events),
        "luminosity_sections": recorded_sections(file) if count is None else None,
    }


def _clusters(events: Any) -> tuple[int, ...]:
    """Return the entries at which all branches start a new basket (TTree) or cluster (RNTuple), and the last."""
    if not hasattr(events, "common_entry_offsets"):
        starts = [int(one.num_first_entry) for one in events.cluster_summaries]
        return tuple(sorted({*starts, int(events.num_entries)}))
    return tuple(int(edge) for edge in events.common_entry_offsets()) if events.num_entries else ()


def _generated(file: Any) -> tuple[int | None, float | None]:
    """Return Σ genEventCount and Σ genEventSumw of ``Runs``; NanoAODv6 writes the names with a trailing underscore."""
    if "Runs" not in trees_of(file):
        return None, None
    runs = file["Runs"]
    check_tree(runs, file.file.source.num_bytes)
    names = set(runs.keys(recursive=False))
    sums: list[Any] = []
    for name in ("genEventCount", "genEventSumw"):
        branch = next((one for one in (name, name + "_") if one in names), None)
        sums.append(None if branch is None else sum(runs[branch].array().tolist()))
    count, sumw = sums
    return (None if count is None else int(count)), (None if sumw is None else float(sumw))
