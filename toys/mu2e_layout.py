"""Awkward arrays as the EventNtuple has them, built from flat columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Content = Any
"""Contents of awkward arrays, which type checkers do not see."""
Columns = Mapping[str, Any]


def offsets(counts: Array) -> Array:
    """Return the offsets [n + 1] of lists with the lengths ``counts`` [n]."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def record(columns: Columns) -> Content:
    """Return records of equally long columns, flat arrays or contents."""
    contents = [
        c if isinstance(c, ak.contents.Content) else ak.contents.NumpyArray(np.ascontiguousarray(c))
        for c in columns.values()
    ]
    return ak.contents.RecordArray(contents, list(columns))


def vector(x: Array, y: Array, z: Array) -> Content:
    """Return 3-vectors as uproot shows ROOT's ``XYZVectorF``: ``{fCoordinates: {fX, fY, fZ}}`` in float32."""
    parts = {name: np.asarray(v, np.float32) for name, v in (("fX", x), ("fY", y), ("fZ", z))}
    return record({"fCoordinates": record(parts)})


def jagged(content: Content, *counts: Array) -> Content:
    """Return lists of ``content``; with several ``counts`` lists of lists, the inner counts first."""
    for number in counts:
        content = ak.contents.ListOffsetArray(ak.index.Index64(offsets(number)), content)
    return content


def local_index(counts: Array) -> Array:
    """Return 0, 1, … within each list of the lengths ``counts``, flat."""
    return np.arange(int(counts.sum())) - np.repeat(offsets(counts)[:-1], counts)


def coarse(values: Array, bits: int = 12) -> Array:
    """Return float32 with ``bits`` bits of mantissa left, which compress: no detector knows an error better."""
    cut = np.int32(-(1 << (23 - bits)))
    return (np.ascontiguousarray(values, np.float32).view(np.int32) & cut).view(np.float32)
