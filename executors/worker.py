"""What a worker does with one work item: open, build events, process, store the part, report the outcome."""

from __future__ import annotations

import errno
import logging
import re
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import UserError, closest
from ..filesets.addresses import server
from ..filesets.layouts import LAYOUTS
from .keys import code_key
from .ledger import Outcome
from .open_files import (
    OpenFile,
    branch_filter,
    drop_file,
    forget_filter,
    identity,
    make_events,
    open_file,
    quiet_collector,
)
from .plan import WorkItem

log = logging.getLogger(__name__)

#: Modules whose frames in a traceback mean: the bytes could not be read or decoded.
READING_MODULES = (
    *("uproot.", "coffea.nanoevents.mapping", "fsspec.", "XRootD", "cramjam", "pyarrow."),
    "mucoffea.schemas.lazy_columns",
    "awkward.operations.ak_from_buffers",  # branches that were read, but do not fit each other
)
#: Modules that raise an error when a field is not there.
ARRAY_MODULES = ("awkward", "coffea.", "vector")
#: Errors of local reads that pass: a file system on a network that hiccups. Anything else is in the bytes, and stays.
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENOTCONN, errno.EHOSTDOWN)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


#: Runs whose code this process has compared with its own.
_checked_runs: set[str] = set()


class Store(Protocol):
    """Where results go; it travels to the workers with the work."""

    def reachable(self) -> bool:
        """Tell whether this process sees the folder of the results."""

    def write(self, item: WorkItem, result: dict[str, Any]) -> None:
        """Keep the result of one work item."""

    def encode(self, item: WorkItem, result: dict[str, Any]) -> bytes:
        """Return what :meth:`write` would write, to be sent to whoever can."""


@dataclass(frozen=True)
class Work:
    """Everything but the item: the same for all items of a run."""

    run_id: str
    processor: Any
    store: Store
    #: Seconds to wait for a file server.
    timeout: float = 60.0
    #: What :func:`.keys.code_key` gave on the client; a worker with other code refuses. Empty: not compared.
    code: str = ""

    def __call__(self, item: WorkItem) -> Outcome:
        """Process one item. A file that cannot be read is an outcome; an error of the analysis code as well."""
        wall, cpu = time.perf_counter(), time.process_time()
        accessed: list[Any] = []
        opened: OpenFile | None = None
        try:
            _check_code(self)
            with quiet_collector():
                opened = _open(item, self.timeout)
                before = opened.bytes_read
                result = self._process(item, opened, accessed)
        except Exception as error:
            return _failed(item, error, opened)
        try:
            part = self._keep(item, result)
        except OSError as error:
            return _not_kept(item, error)
        except Exception as error:
            return _failed(item, error, opened)
        return Outcome(
            index=item.index,
            status="done",
            path=item.path,
            host=socket.gethostname(),
            events=len(item),
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
            bytes_read=opened.bytes_read - before,
            branches=tuple(sorted({record.branch for record in accessed})),
            part=part,
        )

    def _keep(self, item: WorkItem, result: dict[str, Any]) -> bytes:
        """Write the result, or return it where this process does not see the folder."""
        if not self.store.reachable():
            return self.store.encode(item, result)
        self.store.write(item, result)
        return b""

    def _process(self, item: WorkItem, opened: OpenFile, accessed: list[Any]) -> dict[str, Any]:
        schema = load_object(LAYOUTS[item.data_schema].schema)
        lacking = identity(schema) - opened.branches
        if lacking:
            raise UserError(
                f"The tree lacks {', '.join(sorted(lacking))}: without {LAYOUTS[item.data_schema].identity_text} "
                f"an event has no identity. Make the file anew with these branches."
            )
        metadata = _metadata(item)
        key = f"{self.run_id}/{item.dataset}"
        process = getattr(self.processor, "process", self.processor)
        only = None
        if opened.columns is None:
            only = branch_filter(opened, item.tree, process, key=key, schema=schema, metadata=metadata)

        def run(branches: frozenset[str] | None) -> dict[str, Any]:
            events = make_events(
                opened,
                item.tree,
                schema=schema,
                metadata=metadata,
                start=item.start,
                stop=item.stop,
                only=branches,
                access_log=accessed,
            )
            return process(events)

        if only is None:
            return run(None)
        try:
            return run(only)
        except (AttributeError, KeyError, ValueError) as error:
            if not _may_lack_a_branch(error, opened.branches - only):
                raise
            # Code that looks at the data may need a branch that an empty array did not ask for.
            result = run(None)
            log.warning("the zero-length trace missed a branch (%s); reading without filter", error)
            forget_filter(opened, key)
            return result


def _check_code(work: Work) -> None:
    """Refuse to add to a run what other code made: a worker may start after an edit, or live on another machine.

    Raises:
        UserError: source or package versions are not those of the client.
    """
    if not work.code or work.run_id in _checked_runs:
        return
    if code_key(work.processor) != work.code:
        raise UserError(
            f"The code on {socket.gethostname()} is not that with which the run began: a source file of the analysis, "
            f"or the version of a package, has changed or is another one there. Start again with --resume"
        )
    _checked_runs.add(work.run_id)


def _open(item: WorkItem, timeout: float) -> OpenFile:
    schema = load_object(LAYOUTS[item.data_schema].schema)
    opened = open_file(item.path, item.tree, timeout=timeout, schema=schema)
    if item.uuid and opened.uuid != item.uuid:
        raise OSError(f"{item.path} has changed since the plan was made (uuid {opened.uuid}, planned {item.uuid})")
    if opened.entries < item.stop:
        raise OSError(f"{item.path} has {opened.entries} entries now, the plan {item.stop} or more")
    return opened


def _metadata(item: WorkItem) -> dict[str, Any]:
    """Return what stock coffea would put in ``events.metadata``, and the dataset's own keys."""
    return {
        "dataset": item.dataset,
        "filename": item.path,
        "treename": item.tree,
        "entrystart": item.start,
        "entrystop": item.stop,
        "fileuuid": item.uuid,
        **item.metadata,
    }


def load_object(path: str) -> Any:
    """Return the object at an import path ``package.module:name``."""
    import importlib

    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def is_read_error(error: BaseException) -> bool:
    """Tell whether ``error`` comes from reading or decoding a file, not from the analysis."""
    for link in _chain(error):
        if type(link).__module__.startswith(READING_MODULES):
            return True
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_globals.get("__name__", "").startswith(READING_MODULES):
                return True
    return False


def _may_lack_a_branch(error: Exception, excluded: frozenset[str]) -> bool:
    """Tell whether an error may come from a branch that the filter kept from the analysis.

    Such an error is raised by a library that knows arrays, and where it names fields, one of them is ``excluded``.
    """
    if is_read_error(error) or isinstance(error, UserError):
        return False
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    if not innermost.f_globals.get("__name__", "").startswith(ARRAY_MODULES):
        return False
    named = set(re.findall(r"'(\w+)'", str(error)))
    return not named or bool(named & {part for branch in excluded for part in (branch, *branch.split("_", 1))})


def _failed(item: WorkItem, error: Exception, opened: OpenFile | None) -> Outcome:
    reading = not isinstance(error, UserError) and (opened is None or is_read_error(error))
    summary = " ".join(str(error).split())[:300]
    if isinstance(error, UserError):
        message = f"{error} (in {item})"
    elif reading:
        drop_file(item.path)
        message = f"Could not read {item}: {type(error).__name__}: {summary}"
    else:
        hint = _missing_branch(summary, opened.branches if opened else frozenset(), item)
        message = f"{type(error).__name__}: {summary} at {_user_line(error)}, in {item}{hint}"
    return Outcome(
        index=item.index,
        status="failed",
        path=item.path,
        host=socket.gethostname(),
        cause="read" if reading else "code",
        message=message,
        traceback="".join(traceback.format_exception(error)),
        transient=reading and is_transient(item.path, error),
    )


def _not_kept(item: WorkItem, error: OSError) -> Outcome:
    full = error.errno in DISK_FULL
    reason = "the disk or the quota is full" if full else error.strerror or str(error)
    return Outcome(
        index=item.index,
        status="failed",
        host=socket.gethostname(),
        cause="disk",
        message=f"The result of {item} could not be written: {reason} ({error.filename or 'output folder'}).",
    )


def is_transient(path: str, error: BaseException) -> bool:
    """Tell whether the same replica may be read at the next attempt: servers and network disks have bad moments."""
    if server(path):
        return True
    return any(isinstance(link, OSError) and link.errno in PASSING for link in _chain(error))


def _missing_branch(summary: str, branches: frozenset[str], item: WorkItem) -> str:
    """Return a hint for awkward's "no field named 'x'": the branches with the nearest names."""
    found = re.search(r"no field named '(\w+)'", summary)
    if found is None:
        return ""
    name = found.group(1)
    parts = {part for branch in branches for part in (branch, branch.split("_", 1)[-1], *branch.split("."))}
    version = item.metadata.get("ntuple_version")
    written = f" (EventNtuple v{version})" if version else ""
    return f". The file{written} has no branch for '{name}'.{closest(name, parts)}"


def _user_line(error: Exception) -> str:
    """Return ``file:line`` of the innermost frame outside installed libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "an unknown line"


RunItem = Callable[[WorkItem], Outcome]
