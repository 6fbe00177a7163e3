"""Opening files so that every way in which one can be wrong is told apart, and none can hang or end the program."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UserError
from .addresses import is_remote, redacted

Result = TypeVar("Result")

#: Seconds until a server counts as not answering.
TIMEOUT = 30.0
#: Seconds until the description of a local file, on a slow or hanging disk, counts as unreadable.
LOCAL_TIMEOUT = 120.0


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


def read_root(path: str, timeout: float, work: Callable[[Any], Result]) -> Result:
    """Return ``work(opened file)``.

    Raises:
        UserError, BadFile, UnreachableFile: as :func:`guarded`.
    """
    if not is_remote(path):
        _check_header(path)

    def run() -> Result:
        import uproot

        from .checked_ntuple import checked_classes

        with uproot.open(path, object_cache=None, array_cache=None, custom_classes=checked_classes()) as file:
            return work(file)

    return guarded(path, timeout if is_remote(path) else max(timeout, LOCAL_TIMEOUT), run)


def guarded(path: str, limit: float | None, run: Callable[[], Result], *, kind: str = "ROOT") -> Result:
    """Return ``run()``, which reads the file at ``path`` and may take ``limit`` seconds (None: it sets its own limits).

    ``kind`` is what the file should be, for the message.

    Raises:
        UserError: a package is missing that reading needs.
        BadFile: the file is local and cannot be read, or its content cannot.
        UnreachableFile: the server did not deliver it.
    """
    remote = is_remote(path)
    try:
        return run() if limit is None else in_time(run, limit)
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
        reason = _first_line(error)
        if not remote:
            raise BadFile(path, f"The file {path} is truncated or corrupt: {reason}.") from None
        raise UnreachableFile(
            path, f"The file {path} cannot be reached: {reason}. Check the address, the network and your grid proxy."
        ) from None
    except Exception as error:  # damaged bytes surface in uproot as almost any exception
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise BadFile(path, f"The file {path} cannot be read as a {kind} file: {reason}.") from error


def in_time(run: Callable[[], Result], timeout: float) -> Result:
    """Return ``run()``.

    Raises:
        TimeoutError: not within ``timeout`` seconds; the thread that hangs is left behind as a daemon.
    """
    future: Future[Result] = Future()

    def target() -> None:
        try:
            future.set_result(run())
        except Exception as error:  # handed to the waiting thread
            future.set_exception(error)

    threading.Thread(target=target, daemon=True, name="mucoffea-open").start()
    try:
        return future.result(timeout)
    except TimeoutError:
        if future.done():  # the work's own
            raise
        raise TimeoutError(f"no answer within {timeout:g} s") from None


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


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".,")
