"""Filesets of files that can be opened: local files, globs, and addresses that uproot reads."""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import UserError, closest
from .addresses import expand, is_remote, local_path, logical_name, redacted, split_object
from .metadata_cache import remembered
from .models import Dataset, FileEntry, Fileset, KnownFile

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Kind = Literal["data", "mc"]

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
#: Seconds until a server counts as not answering.
TIMEOUT = 30.0


class FileError(UserError):
    """Something is wrong with one file; ``path`` says which. Other files can still be processed."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path

    def __str__(self) -> str:
        return redacted(str(self.args[1]))


class BadFile(FileError):
    """The file is there but is no ROOT file, is truncated or corrupt, or lacks the tree."""


class UnreachableFile(FileError):
    """The server did not deliver the file: no package for its protocol, no network, no answer in time."""


def build_fileset(dataset: Dataset) -> Fileset:
    """Return the files of a dataset with ``files`` or ``glob``, without opening them.

    Addresses of the same logical file on several servers become its replicas.

    Raises:
        UserError: a local file is missing or named twice, a glob finds nothing, or the dataset has another source.
    """
    if dataset.source == "glob":
        names: Sequence[str] = _expand(dataset)
    elif dataset.files is not None:
        names = dataset.files
    else:
        hint = "generate its files first" if dataset.source == "toy" else "list its files, or give a fileset JSON"
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


def inspect(entry: FileEntry, *, timeout: float = TIMEOUT) -> FileEntry:
    """Open a file once and return what it says of itself: entries, uuid, size and sums of generated events.

    Replicas are tried in their order; the one that answers comes first in the result. A tree without events is allowed
    and logged.

    Args:
        entry: the file; what it already says of entries and uuid must agree with what is found.
        timeout: seconds for each replica on a server.

    Raises:
        UserError: the local file is missing or may not be read.
        BadFile: not a ROOT file, truncated, corrupt, without the tree, or not the file that ``entry`` describes.
        UnreachableFile: no replica could be reached.
    """
    unreachable: UnreachableFile | None = None
    for path in entry.replicas:
        try:
            found = remembered(path, f"describe {entry.tree}", partial(_ask, path, entry.tree, timeout))
        except UnreachableFile as error:
            unreachable = unreachable or error
            continue
        _check_same(entry, path, found)
        if found["entries"] == 0:
            logger.warning("%s: the tree '%s' has no events", redacted(path), entry.tree)
        others = tuple(one for one in entry.replicas if one != path)
        return FileEntry.model_validate({**entry.model_dump(), **found, "replicas": (path, *others)})
    if unreachable is None:  # a FileEntry has at least one replica
        raise AssertionError(f"{entry.lfn} has no replica")
    raise unreachable


def _ask(path: str, tree: str, timeout: float) -> dict[str, Any]:
    return _guarded(path, timeout, partial(_describe, path=path, tree=tree))


def sniff(path: str, *, tree: str | None = None, timeout: float = TIMEOUT) -> tuple[Kind, str]:
    """Return ``data`` or ``mc``, and the name of the tree, from the content of a file.

    Simulation has ``genWeight`` or generated particles (``GenPart``) in its tree, or ``genEventSumw`` in ``Runs``. The
    tree is ``Events``, or the only one there is.

    Raises:
        UserError, BadFile, UnreachableFile: as :func:`inspect`.
    """

    def look(file: Any) -> tuple[Kind, str]:
        trees = _trees(file)
        others = [name for name in trees if name not in ("Runs", "LuminosityBlocks", "MetaData", "ParameterSets")]
        name = tree or ("Events" if "Events" in trees or len(others) != 1 else others[0])
        branches = set(_get_tree(file, path, name).keys(recursive=False))
        generated = "genWeight" in branches or any(one.startswith(("GenPart", "nGenPart")) for one in branches)
        if not generated and "Runs" in trees:
            generated = any(one.startswith("genEventSumw") for one in file["Runs"].keys(recursive=False))
        return ("mc" if generated else "data"), name

    def ask() -> dict[str, Any]:
        kind, name = _guarded(path, timeout, look)
        return {"kind": kind, "tree": name}

    answer = remembered(path, f"sniff {tree or ''}", ask)
    return answer["kind"], answer["tree"]


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
    return first.model_copy(update={"replicas": (*first.replicas, path)})


def _check_same(entry: FileEntry, path: str, found: Mapping[str, Any]) -> None:
    """Refuse a file whose content is not what the fileset says: it was replaced, or the JSON is old."""
    for name in ("entries", "uuid"):
        declared = getattr(entry, name)
        if declared is not None and str(declared).lower() != str(found[name]).lower():
            raise BadFile(
                path,
                f"The file {path} has {name} {found[name]}, but its fileset says {declared}: the file has changed. "
                "Write the fileset again, or leave this value out.",
            )


def _guarded(path: str, timeout: float, work: Callable[[Any], Result]) -> Result:
    """Return ``work(opened file)``, with every failure told apart."""
    remote = is_remote(path)
    if not remote:
        _check_header(path)

    def run() -> Result:
        import uproot

        with uproot.open(path, object_cache=None, array_cache=None) as file:
            return work(file)

    try:
        return _in_time(run, timeout) if remote else run()
    except UserError:
        raise
    except ImportError as error:
        if not remote:  # a package for its compression, say
            raise UserError(f"The file {path} cannot be read: {_first_line(error)}.") from None
        reason = _first_line(error).split(". ")[0]
        raise UnreachableFile(
            path, f"The file {path} cannot be reached: {reason} (pip install 'mucoffea[grid]')."
        ) from None
    except OSError as error:
        if not remote:
            raise BadFile(path, f"The file {path} is truncated or corrupt: {_first_line(error)}.") from None
        reason = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else _first_line(error)
        raise UnreachableFile(
            path, f"The file {path} cannot be reached: {reason}. Check the address, the network and your grid proxy."
        ) from None
    except Exception as error:  # damaged bytes surface in uproot as almost any exception
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise BadFile(path, f"The file {path} cannot be read as a ROOT file: {reason}.") from error


def _in_time(run: Callable[[], Result], timeout: float) -> Result:
    """Return ``run()``, or raise TimeoutError; the thread that hangs is left behind as a daemon."""
    future: Future[Result] = Future()

    def target() -> None:
        try:
            future.set_result(run())
        except Exception as error:  # handed to the waiting thread
            future.set_exception(error)

    threading.Thread(target=target, daemon=True, name="mucoffea-open").start()
    return future.result(timeout)


def _check_header(path: str) -> None:
    """Tell a missing, forbidden, empty, foreign or truncated file from its first bytes and its size.

    The header has the position of the end of the file (https://root.cern/doc/master/classTFile.html).
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(20)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise UserError(f"The file {path} does not exist.") from None
    except PermissionError:
        raise UserError(f"The file {path} may not be read: no permission. Ask its owner, or chmod it.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a ROOT file.") from None
    except OSError as error:
        raise BadFile(path, f"The file {path} cannot be read: {error.strerror or error}.") from None
    if size == 0:
        raise BadFile(path, f"The file {path} is empty (0 bytes); copy it again.")
    if head[:4] != b"root":
        raise BadFile(path, f"The file {path} is not a ROOT file: it starts with {head[:4]!r}.")
    end = None
    if len(head) == 20:
        version, _begin, end = struct.unpack(">iii", head[4:16])
        if version >= 1_000_000:  # files above 2 GB have long positions
            (end,) = struct.unpack(">q", head[12:20])
    if end is None or size < end:
        expected = "" if end is None else f" of {end}"
        raise BadFile(path, f"The file {path} is truncated: {size}{expected} bytes are there; copy it again.")


def _trees(file: Any) -> list[str]:
    """Return the names of the trees and RNTuples in an open file, with their folders."""
    return [name for name, kind in file.classnames(cycle=False).items() if kind in TREE_CLASSES]


def _get_tree(file: Any, path: str, name: str) -> Any:
    trees = _trees(file)
    if name.strip("/") not in trees:
        present = f"It has {', '.join(trees)}." if trees else "It has no tree at all."
        raise BadFile(path, f"The file {path} has no tree '{name}'.{closest(name, trees)} {present}")
    return file[name.strip("/")]


def _describe(file: Any, path: str, tree: str) -> dict[str, Any]:
    events = _get_tree(file, path, tree)
    count, sumw = _generated(file)
    size = file.file.source.num_bytes
    if size is not None and size < file.file.fEND:
        raise BadFile(path, f"The file {path} is truncated: {size} of {file.file.fEND} bytes are there.")
    return {
        "entries": int(events.num_entries),
        "uuid": str(file.file.uuid),
        "size": size,
        "clusters": list(_clusters(events)),
        "gen_event_count": count,
        "gen_event_sumw": sumw,
    }


def _clusters(events: Any) -> tuple[int, ...]:
    """Return the entries at which all branches start a new basket (TTree) or cluster (RNTuple), and the last."""
    if not hasattr(events, "common_entry_offsets"):
        starts = [int(one.num_first_entry) for one in events.cluster_summaries]
        return tuple(sorted({*starts, int(events.num_entries)}))
    return tuple(int(edge) for edge in events.common_entry_offsets()) if events.num_entries else ()


def _generated(file: Any) -> tuple[int | None, float | None]:
    """Return Σ genEventCount and Σ genEventSumw of ``Runs``; NanoAODv6 writes the names with a trailing underscore."""
    if "Runs" not in _trees(file):
        return None, None
    runs = file["Runs"]
    names = set(runs.keys(recursive=False))
    sums: list[Any] = []
    for name in ("genEventCount", "genEventSumw"):
        branch = next((one for one in (name, name + "_") if one in names), None)
        sums.append(None if branch is None else sum(runs[branch].array().tolist()))
    count, sumw = sums
    return (None if count is None else int(count)), (None if sumw is None else float(sumw))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".,")
