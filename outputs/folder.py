"""The result folder: a run works in a folder inside it, and what was there before stays until the run has finished."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from ..errors import UserError

#: Where a run works until it has finished; after a failure it holds the plan, the ledger and the finished parts.
UNFINISHED = "unfinished"
#: One line for each work item that ended, appended as it ends.
JOURNAL = "journal.jsonl"
#: What a finished run leaves, in the order in which it is taken away and, reversed, put in place.
PRODUCTS = (
    "report.json",
    "plots",
    "columns",
    "histograms.root",
    "histograms.h5",
    "cutflow.csv",
    "cutflow.json",
    "ledger.json",
    "plan.json",
    "provenance.json",
)


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Make sure that a run may write to ``folder``, changing nothing.

    Raises:
        UserError: it is a file, cannot be written, holds a result and ``overwrite`` is off, or holds other things.
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
    if "report.json" in held and not overwrite:
        raise UserError(
            f"The output folder {folder} holds a result already. Give --overwrite to replace it, or choose "
            f"another folder with --output-dir."
        )


def start_output(folder: Path, *, keep_parts: bool = False) -> Path:
    """Make the folder to work in inside ``folder`` (call :func:`check_output` before), and return it.

    It is empty, but for the parts and the journal of an interrupted run with ``keep_parts``.

    Raises:
        UserError: the system refuses.
    """
    work = folder / UNFINISHED
    try:
        for path in work.iterdir() if work.exists() else ():
            if not (keep_parts and path.name in ("parts", JOURNAL)):
                _remove(path)
        (work / "parts").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The output folder {folder} cannot be written: {error.strerror or error}. "
            f"Choose another with --output-dir."
        ) from None
    return work


def publish_output(folder: Path) -> None:
    """Put the finished result in place of an earlier one; other files in ``folder`` are left alone."""
    work = folder / UNFINISHED
    for name in PRODUCTS:
        _remove(folder / name)
    for name in reversed(PRODUCTS):
        if (work / name).exists():
            (work / name).replace(folder / name)
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
