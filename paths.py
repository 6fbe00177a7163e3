"""Where mucoffea keeps what it can make again: the cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the cache folder: ``$MUCOFFEA_CACHE``, else ``$XDG_CACHE_HOME/mucoffea``, else ``~/.cache/mucoffea``."""
    explicit = os.environ.get("MUCOFFEA_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "mucoffea"
