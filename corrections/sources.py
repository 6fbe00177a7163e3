"""Where correction files lie: folders, and folders on a web server that are copied to a cache.

Both are asked in the same way: for a file by its path relative to the folder, and for the names of sub-folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .web_folder import WebFolder, is_address

Source = Path | WebFolder

#: Parts of a search path, separated by colons, where an address has colons of its own.
_PART = re.compile(r"https?://(?:\[[0-9a-fA-F:]+\]|[^:/]*)(?::\d+(?=[/:]|$))?(?:/[^:]*)?|[^:]+")


def split_search_path(text: str) -> list[str]:
    """Return the folders and addresses of a search path such as `/data/pog:https://host:8443/pog`."""
    return [part for part in _PART.findall(text) if part]


def source(place: str | Path | WebFolder, cache: Path) -> Source:
    """Return the folder, or the web folder with its copies in `cache`, that `place` names.

    Raises UserError if an address is not one that is read.
    """
    if isinstance(place, WebFolder):
        return place
    return WebFolder.of(str(place), cache) if is_address(str(place)) else Path(place).expanduser()


def find_first(place: Source, relatives: Iterable[str]) -> Path | None:
    """Return the first of the files, paths relative to `place`, that is there; of a web folder, as a local copy.

    Raises UserError if a web server does not answer, or refuses.
    """
    if isinstance(place, Path):
        return next((path for path in (_joined(place, one) for one in relatives) if path.is_file()), None)
    wanted = [one for one in relatives if not one.startswith("..")]
    fetched = (place.fetch(one) for one in wanted)
    return find_copy(place, wanted) or next((path for path in fetched if path is not None), None)


def find_copy(place: Source, relatives: Iterable[str]) -> Path | None:
    """Return the first of the files of a web folder that has been copied before; None for another folder."""
    copies = (place.copy_of(one) for one in relatives) if isinstance(place, WebFolder) else iter(())
    return next((path for path in copies if path is not None), None)


def renewed(place: Source, copy: Path) -> Path | None:
    """Return `copy`, fetched anew from the server, if it is of this web folder and still there; else None."""
    if isinstance(place, Path) or not copy.is_relative_to(place.cache):
        return None
    return place.fetch(copy.relative_to(place.cache).as_posix())


def subfolders(place: Source, relative: str) -> list[str]:
    """Return the names of the folders in the folder `relative` of `place`, sorted; none if they cannot be listed."""
    if isinstance(place, WebFolder):
        return place.subfolders(relative)
    return sorted(item.name for item in _joined(place, relative).glob("*/"))


def shown(place: Source, relatives: Sequence[str]) -> list[str]:
    """Return the full path or address of each file, for a message."""
    if isinstance(place, Path):
        return [str(_joined(place, one)) for one in relatives]
    return [place.url + one for one in relatives if not one.startswith("..")]


def _joined(folder: Path, relative: str) -> Path:
    while relative.startswith("../"):
        folder, relative = folder.parent, relative.removeprefix("../")
    return folder / relative
