"""ROOT files made from others."""

from __future__ import annotations

import shutil
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
            tree = source["Runs"]
            names = [name for name in tree.keys() if not name.startswith("n")]  # noqa: SIM118
            arrays = tree.arrays(names)
            types = {name: arrays[name].type.content for name in names}
            target.mktree("Runs", types, counter_name=lambda counted: f"n{counted}").extend(
                {name: arrays[name] for name in names}
            )
    return copy


def truncated(path: Path, copy: Path) -> Path:
    """Make a copy that lacks its second half."""
    content = path.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    return copy


def with_bad_basket(path: Path, copy: Path, number: int = 1) -> Path:
    """Make a copy with zeros in one basket of Muon_pt, which opens without complaint."""
    shutil.copy(path, copy)
    with uproot.open(path) as file:
        offset = file["Events/Muon_pt"].member("fBasketSeek")[number]
    with copy.open("r+b") as file:
        file.seek(offset + 120)
        file.write(bytes(200))
    return copy
