"""A collection of NanoEvents as flat numpy columns: the fast way through cuts on many objects.

An operation on a jagged array costs about a millisecond whatever its size; on a flat array, microseconds.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt


class FlatCollection:
    """The columns of a collection `[events, objects]` as flat arrays `[objects]`, each read at its first use.

    It has `fields` and `collection[name]` as a NanoEvents collection does, so that object selectors take either.

    Args:
        collection: for example `events.Muon`.
    """

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self.fields: list[str] = collection.fields
        self.counts: npt.NDArray[np.int64] = ak.to_numpy(ak.num(collection, axis=1))
        """Number of objects of each event, `[events]`."""
        self.starts: npt.NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        """Position of the first object of each event, `[events]`."""
        self.event: npt.NDArray[np.int64] = np.repeat(np.arange(len(self.counts)), self.counts)
        """Position of the event of each object, `[objects]`."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = flat(self._collection[name])
        return self._columns[name]

    def __len__(self) -> int:
        return len(self.event)


def flat(array: Any) -> npt.NDArray[Any]:
    """Return `[objects]` from `[events, objects]`; a flat array is returned as numpy."""
    if isinstance(array, np.ndarray):
        return array
    if array.ndim == 1:
        return np.asarray(ak.to_numpy(array))
    return np.asarray(ak.to_numpy(ak.flatten(array)))


def flattened(collection: Any) -> FlatCollection:
    """Return `collection` as a `FlatCollection`, itself if it is one."""
    return collection if isinstance(collection, FlatCollection) else FlatCollection(collection)
