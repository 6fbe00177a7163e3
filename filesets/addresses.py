"""Paths and addresses of files: local or remote, the object after the colon, and the name common to all servers."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

_OBJECT = re.compile(r"^(?P<path>.*\.root):(?P<tree>[^:]+)$", re.DOTALL)
_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/]*)/*(?P<path>.*)$", re.DOTALL)


def split_object(text: str) -> tuple[str, str | None]:
    """Split ``a.root:Events`` into path and tree; the tree is None where none is given."""
    found = _OBJECT.match(text)
    return (found["path"], found["tree"]) if found else (text, None)


def is_remote(path: str) -> bool:
    """Return whether ``path`` is on a server, such as ``root://…`` or ``https://…``."""
    found = _SCHEME.match(path)
    return found is not None and found["scheme"].lower() != "file"


def local_path(path: str, folder: Path | None = None) -> Path:
    """Return the absolute path of a local file; a relative one starts at ``folder`` (default: where we are)."""
    text = path.removeprefix("file://")
    return Path(os.path.normpath((folder or Path.cwd()).absolute() / Path(text).expanduser()))


def anchored(path: str, folder: Path) -> str:
    """Return ``path``, where it is local and relative, as an absolute path that starts at ``folder``."""
    return path if is_remote(path) else str(local_path(path, folder))


def logical_name(path: str) -> str:
    """Return the name of a file that does not depend on the server it is read from.

    For CMS files that is everything from ``/store/``; else the path without scheme and server. Local files have their
    absolute path, with links resolved.
    """
    found = _SCHEME.match(path)
    if found is None or found["scheme"].lower() == "file":
        return os.path.realpath(local_path(path))
    tail = "/" + found["path"]
    start = tail.find("/store/")
    return tail[start:] if start >= 0 else tail


def expand(pattern: str) -> list[str]:
    """Return the absolute paths that match a local pattern, sorted; ``**`` goes through folders."""
    return sorted(glob.glob(str(local_path(pattern)), recursive=True))  # noqa: PTH207 - patterns may be absolute
