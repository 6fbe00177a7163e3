"""The result folder: a run works in a folder inside it, and what was there before stays until the run has finished."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError

log = logging.getLogger(__name__)

#: Where a run works until it has finished; after a failure it holds the plan, the ledger and the finished parts.
UNFINISHED = "unfinished"
#: The database of what ended how, written while the run goes on.
LEDGER = "ledger.sqlite"
#: Held by the run that is at work.
LOCK = "lock"
#: The processed luminosity sections of each data set.
SECTIONS = "luminosity_sections"
#: What a finished run leaves, in the order in which it is taken away and, reversed, put in place.
PRODUCTS = (
    "report.json",
    "plots",
    "columns",
    SECTIONS,
    "histograms.root",
    "histograms.h5",
    "cutflow.csv",
    "cutflow.json",
    "ledger.json",
    "plan.json",
    "provenance.json",
)


def check_output(folder: Path) -> None:
    """Make sure that a run can write to ``folder``, changing nothing.

    Raises:
        UserError: it is a file, cannot be written, or holds things that are no result.
    """
    existing = _existing_parent(folder)
    if not existing.is_dir():
        raise UserError(
            f"The output folder {folder} cannot be made: {existing} is a file. Choose another with --output-dir."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"No permission to write to {existing}, where the output folder {folder} is to be. "
            f"Choose another with --output-dir."
        )
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if held and not held & {UNFINISHED, "report.json"}:
        raise UserError(
            f"The output folder {folder} is not empty and holds no mucoffea result, so nothing is written there. "
            f"Choose another with --output-dir."
        )


@contextmanager
def hold(folder: Path) -> Iterator[Path]:
    """Keep other runs out of ``folder`` while this one is at work; yield the folder to work in.

    The lock is the system's (flock), so it ends with the process, however that ends.

    Raises:
        UserError: another run is at work there, or the system refuses.
    """
    work = folder / UNFINISHED
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / LOCK).open("a")
    except OSError as error:
        raise UserError(
            f"The output folder {folder} cannot be written: {error.strerror or error}. "
            f"Choose another with --output-dir."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another run is at work in the output folder {folder}. Wait for it, or choose another folder with "
                f"--output-dir."
            ) from None
        except OSError as error:
            log.warning("%s: the file system has no locks (%s); do not start a second run there", folder, error)
        try:
            yield work
        finally:
            if work.exists() and [path.name for path in work.iterdir()] == [LOCK]:
                shutil.rmtree(work)


def start_output(work: Path, *, keep_parts: bool = False) -> None:
    """Empty the folder to work in, but for the parts and the ledger of an interrupted run with ``keep_parts``."""
    for path in work.iterdir():
        kept = keep_parts and (path.name == "parts" or path.name.startswith(LEDGER))
        if not kept and path.name != LOCK:
            _remove(path)
    (work / "parts").mkdir(exist_ok=True)


def publish_output(folder: Path, *, complete: bool) -> None:
    """Put the finished result in place of an earlier one; other files in ``folder`` are left alone.

    An incomplete result keeps its parts and its ledger, so that what failed can be tried again.
    """
    work = folder / UNFINISHED
    for name in PRODUCTS:
        _remove(folder / name)
    for name in reversed(PRODUCTS):
        if (work / name).exists():
            (work / name).replace(folder / name)
    if complete:
        clear_work(work)


def clear_work(work: Path) -> None:
    """Remove the folder to work in, of which nothing is needed any more."""
    shutil.rmtree(work)


def file_name(dataset: str) -> str:
    """Return a name for files of ``dataset``: itself where it is a plain word, else made plain, with a hash.

    A dataset may be called ``/DoubleMuon/Run2016H/NANOAOD`` or ``../x``; its files stay in the folder.
    """
    if re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*", dataset):
        return dataset
    plain = re.sub(r"[^A-Za-z0-9+-]+", "_", dataset).strip("_")
    return f"{plain}-{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _existing_parent(folder: Path) -> Path:
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    return path
