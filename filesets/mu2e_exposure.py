"""What an EventNtuple says of its exposure: generated events, livetime of cosmics, and its version.

Files from version 6.13 on have a tree ``subrunNtuple`` with a row for each subrun, and histograms of one bin with the
totals. Parquet files carry the same numbers in their key-value metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .models import FileExposure
from .soundness import check_tree

FOLDER = "EventNtuple"
#: Key of the JSON in Parquet files: ``{"generated": 10, "processed": 9, "livetime": 1.5, "version": "6.13.2"}``.
KEY = "mucoffea_exposure"
#: Relative difference of two numbers for the same thing from which on it is worth a warning.
TOLERANCE = 1e-3

_TOTALS = {"generated": "n_gen_events", "processed": "n_proc_events", "livetime": "cosmic_livetime"}
_BRANCHES = {"generated": "genEventCount", "processed": "procEventCount", "livetime": "cosmicLivetime"}


def disagree(first: float | None, second: float | None) -> bool:
    """Whether two numbers, where both are known, differ by more than :data:`TOLERANCE`."""
    if first is None or second is None:
        return False
    return abs(first - second) > TOLERANCE * max(abs(first), abs(second))


def exposure_of_root(file: Any, folder: str = FOLDER) -> dict[str, Any]:
    """Return ``exposure`` and ``ntuple_version`` of an open ROOT file, as JSON has them; None for what it does not say.

    Raises:
        ValueError: the description of the tree is damaged, or a number in it is none.
    """
    names = set(file.keys(cycle=False))
    subruns = _subruns(file, f"{folder}/subrunNtuple") if f"{folder}/subrunNtuple" in names else {}
    totals = {
        name: float(np.sum(file[f"{folder}/{title}"].values()))
        for name, title in _TOTALS.items()
        if f"{folder}/{title}" in names
    }
    version = None
    if f"{folder}/version" in names:
        version = ".".join(str(round(part)) for part in file[f"{folder}/version"].values())
    return {"exposure": _combine(subruns, totals), "ntuple_version": version}


def exposure_of_parquet(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the same from the key-value metadata of a Parquet file, see :data:`KEY`.

    Raises:
        ValueError: the JSON is none, or a number in it is none.
    """
    content = json.loads(texts.get(KEY, "{}"))
    numbers = {name: float(content[name]) for name in _TOTALS if content.get(name) is not None}
    return {"exposure": _combine(numbers, {}, written=KEY), "ntuple_version": content.get("version")}


def _subruns(file: Any, name: str) -> dict[str, float]:
    tree = file[name]
    check_tree(tree, file.file.source.num_bytes)
    names = {key.rsplit("/", 1)[-1]: key for key in tree.keys()}  # noqa: SIM118 (a tree is no mapping)
    return {
        what: math.fsum(np.asarray(tree[names[branch]].array(library="np"), np.float64).tolist())
        for what, branch in _BRANCHES.items()
        if branch in names
    }


def _combine(
    subruns: Mapping[str, float], totals: Mapping[str, float], *, written: str = "subrunNtuple"
) -> dict[str, Any] | None:
    """Return the numbers of the subruns, else the totals, and a note where both are there and disagree."""
    found: dict[str, Any] = {}
    notes = []
    for name, title in _TOTALS.items():
        value = subruns.get(name, totals.get(name))
        if value is None:
            continue
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"its {title} is {value}")
        found[name] = value if name == "livetime" else round(value)
        found[f"{name}_source"] = (
            f"{written}, {name if written == KEY else _BRANCHES[name]}" if name in subruns else f"the total {title}"
        )
        if name in subruns and disagree(value, totals.get(name)):
            notes.append(f"{_BRANCHES[name]} of the subruns sum up to {value:g}, the total {title} is {totals[name]:g}")
    if not found:
        return None
    known = {key: value for key, value in {**found, "notes": notes}.items() if key in FileExposure.model_fields}
    return FileExposure.model_validate(known).model_dump(mode="json")
