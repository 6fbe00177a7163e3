"""Nested arrays of an EventNtuple as flat numpy arrays, whatever their depth."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def taken(values: Numbers, places: Numbers, missing: float) -> Numbers:
    """Return ``values[places]``, with ``missing`` where the place is -1."""
    dtype = values.dtype if not np.isnan(missing) else np.result_type(values.dtype, np.float32)
    found = np.full(len(places), missing, dtype=dtype)
    found[places >= 0] = values[places[places >= 0]]
    return found


def magnitude(*parts: Numbers) -> Numbers:
    """Return the length of a vector: summed in double precision, rounded once to that of the components."""
    squares = sum(np.square(part, dtype=np.float64) for part in parts)
    return np.asarray(np.sqrt(squares), dtype=np.result_type(*parts))


def components(vector: Any) -> tuple[Numbers, Numbers, Numbers]:
    """Return x, y, z of ``[..]`` vectors as flat arrays."""
    return numbers(vector.x), numbers(vector.y), numbers(vector.z)


def lists(array: Any) -> Any:
    """Return ``[E,T,S]`` with an empty list where a track has None."""
    return ak.fill_none(array, [], axis=1) if _optional(array) else array


def numbers(array: Any, *, missing: Any = None) -> npt.NDArray[Any]:
    """Return the numbers of an array of any depth, flat; ``missing`` stands for None."""
    if isinstance(array, np.ndarray):
        return array
    if missing is not None and _optional(array):
        array = ak.fill_none(array, missing, axis=-1)
    return np.asarray(ak.to_numpy(ak.flatten(array, axis=None)))


def _optional(array: Any) -> bool:
    form = array.layout.form
    while form.is_list:
        form = form.content
        if form.is_option:
            return True
    return bool(form.is_option)
