"""ROOT files made from others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import uproot


def copy_events(
    path: Path,
    copy: Path,
    *,
    without: str = "",
    renamed: Mapping[str, str] | None = None,
    stop: int | None = None,
    runs: bool = False,
) -> Path:
    """Copy the tree ``Events`` with uproot: without one branch, with others renamed, or its first events alone.

    ``Runs`` comes along if wanted.
    """
    new = {} if renamed is None else renamed
    with uproot.open(path) as source, uproot.recreate(copy) as target:
        tree = source["Events"]
        names = [name for name in tree.keys() if name != without and not name.startswith("n")]  # noqa: SIM118
        arrays = tree.arrays(names, entry_stop=stop)
        types = {new.get(name, name): arrays[name].type.content for name in names}
        target.mktree("Events", types, counter_name=lambda counted: "n" + counted.split("_")[0]).extend(
            {new.get(name, name): arrays[name] for name in names}
        )
        if runs:
            columns = source["Runs"].arrays(library="np")
            target.mktree("Runs", {name: array.dtype for name, array in columns.items()}).extend(columns)
    return copy
