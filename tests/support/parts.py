"""Work items and results as the store of parts sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mucoffea.histograms import Histogram
from mucoffea.histograms.filler import Filler
from mucoffea.outputs.columns import table
from mucoffea.outputs.parts import Merged, Merger, PartStore

MASS = Histogram(name="mass", label="m", bins=10, start=0, stop=10)
#: Entries of every item.
ENTRIES = 50


@dataclass(frozen=True)
class Item:
    """A work item; without ``start`` and ``stop``, the ``index``-th 50 entries of the file."""

    index: int
    key: str = ""
    dataset: str = "a"
    lfn: str = "f.root"
    start: int = -1
    stop: int = -1

    def __post_init__(self) -> None:
        if self.start < 0:
            object.__setattr__(self, "start", ENTRIES * self.index)
            object.__setattr__(self, "stop", ENTRIES * (self.index + 1))


def make_result(rng: np.random.Generator, regions: Sequence[str] = ("z", "ss")) -> dict[str, dict[str, Any]]:
    """A result with everything that a processor returns."""
    filler = Filler([MASS], "a", regions=regions)
    for region in regions:
        filler.fill({"mass": rng.uniform(0, 10, 50)}, region=region, variation="nominal", weight=rng.normal(1, 1, 50))
    return {
        "a": {
            "sumw": float(rng.normal()),
            "events": 50,
            "cutflow": {"all": {"n": np.int64(50), "sumw": np.float64(rng.normal())}},
            "hists": filler.histograms,
            "columns": table(event=rng.integers(0, 2**60, 7), pt=rng.uniform(size=7).astype("f4")),
        }
    }


def merged(results: Sequence[dict[str, dict[str, Any]]], folder: Path) -> Merged:
    """Write ``results`` as parts and merge them."""
    store = PartStore(folder / "parts")
    store.mark()
    merger = Merger(folder / "columns")
    for index, result in enumerate(results):
        store.write(Item(index), result)
        merger.add(Item(index), store.path(Item(index)))
    return merger.finish()
