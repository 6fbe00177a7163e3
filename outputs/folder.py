"""The result folder: made ready without touching anything that was already produced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..errors import UserError

#: Everything that a run writes into its folder; --overwrite removes these and nothing else.
PRODUCTS = (
    "plan.json",
    "ledger.json",
    "report.json",
    "cutflow.csv",
    "cutflow.json",
    "histograms.root",
    "histograms.h5",
    "columns",
    "plots",
    "parts",
)


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Make sure that a run may write to ``folder``, changing nothing.

    Raises:
        UserError: it is a file, cannot be written, holds a result and ``overwrite`` is off, or holds other things.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"The output folder {folder} is a file. Choose another with --output-dir.")
    existing = _existing_parent(folder)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"No permission to write to {existing}, where the output folder {folder} is to be. "
            f"Choose another with --output-dir."
        )
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "plan.json").exists():
        raise UserError(
            f"The output folder {folder} is not empty and holds no mucoffea result, so nothing is written there. "
            f"Choose another with --output-dir."
        )
    if not overwrite:
        raise UserError(
            f"The output folder {folder} holds a result already. Give --overwrite to replace it, or choose "
            f"another folder with --output-dir."
        )


def make_output(folder: Path) -> Path:
    """Make ``folder`` without products of an earlier run (call :func:`check_output` before) and return its parts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PRODUCTS:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    parts = folder / "parts"
    parts.mkdir()
    return parts


def _existing_parent(folder: Path) -> Path:
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    return path
