"""Files of a toy on disk: each gets its name when complete, and what is complete is not made again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError

logger = logging.getLogger(__name__)

MARKER = "toy.json"
"""The file that says what a folder holds; written last."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` under a temporary name and rename it to ``path``; makes the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def read_marker(folder: Path) -> dict[str, Any]:
    """Return what a folder says that it holds; nothing where it is no complete toy."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def generate_once(
    folder: Path, marker: Mapping[str, Any], write: Callable[[int, Path], None], *, sample: str
) -> list[Path]:
    """Write the files that ``marker`` names into ``folder`` and return their paths, in order.

    Where :data:`MARKER` is there and says the same, nothing is done. Otherwise the files that it names are replaced.

    Args:
        marker: ``generator`` (version), ``spec`` and ``files`` (names), as JSON has them.
        write: writes the file with a number to a path.
        sample: for the message.

    Raises:
        UserError: the folder cannot be written.
    """
    previous = read_marker(folder)
    paths = [folder / name for name in marker["files"]]
    if previous == marker and all(path.is_file() for path in paths):
        return paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).unlink(missing_ok=True)
        for name in previous.get("files", []):
            (folder / Path(name).name).unlink(missing_ok=True)
        for number, path in enumerate(paths):
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                write(number, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            logger.info("wrote %s", path)
        write_atomically(folder / MARKER, json.dumps(marker, indent=1).encode())
    except OSError as error:
        raise UserError(
            f"The toy '{sample}' cannot be written into '{folder}': {error.strerror or error}. "
            "Choose another folder, or set MUCOFFEA_CACHE to one where you may write and that has room."
        ) from error
    return paths
