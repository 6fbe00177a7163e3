"""Random numbers that belong to the event: the same for any chunk, order of processing, executor and machine.

A number is a function of the identity of the event (run, luminosity block, event: 64 bits each), the index of the
object, the name of the stream, the seed and the number of the draw, and of nothing else.

Construction, in unsigned 64-bit arithmetic (all sums and products modulo 2^64)::

    mix(z):    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
               z = (z ^ (z >> 27)) * 0x94D049BB133111EB
               return z ^ (z >> 31)
    absorb(state, word) = mix(state + 0x9E3779B97F4A7C15 * (word + 1))

    state = the first 8 bytes, most significant first, of SHA-256(stream in UTF-8)
    for word in (seed, draw, run, luminosity block, event, index):
        state = absorb(state, word)

    uniform = (2 * (state >> 12) + 1) / 2^53
    normal  = Φ⁻¹(uniform)

A signed integer stands for its two's complement; where there is no object, the index is 2^64 - 1. ``absorb(state,
word)`` is output number ``word`` (from 0) of the generator SplitMix64 started at ``state`` (G. L. Steele, D. Lea,
C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the constants of D. Stafford's
variant 13). The uniform numbers are the odd multiples of 2^-53, the midpoints of 2^52 equal cells: 0 and 1 do not
occur, u and 1 - u are equally likely, and normal numbers lie within ±8.21.

correctionlib 2.9 has a node ``hashprng`` for the same purpose, also of 64-bit integers. What it draws for which input
is not written down, its flat numbers may be rounded to 1, and it knows neither streams nor draws; numbers that a
result hangs on should not change with the version of a library.
"""

from __future__ import annotations

import hashlib
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Words = npt.NDArray[np.uint64]

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
#: Stands for the index where a number belongs to the event as a whole.
NO_OBJECT = _MASK
FIELDS = ("run", "luminosityBlock", "event")


def uniform(events: Any, *, stream: str, index: Any = None, seed: int = 0, draw: int = 0) -> Any:
    """Return uniform random numbers in the open interval (0, 1), float64.

    Args:
        events: with the fields ``run``, ``luminosityBlock`` and ``event``, ``[events]`` each, such as NanoEvents; or a
            tuple of these three arrays.
        stream: what the numbers are for, such as ``"jet energy resolution"``; two streams are independent.
        index: None gives ``[events]``, one number for each event. Positions of objects, ``[events, objects]`` or
            ``[events]``, give one for each object: positions in the collection as it is in the file
            (:func:`positions`), so that no selection before changes a number.
        seed: gives another set of numbers in all streams.
        draw: for several numbers of the same object: 0, 1, ….

    Returns:
        ``[events, objects]`` awkward where ``index`` is, otherwise ``[events]`` numpy.

    Raises:
        TypeError: an identity or index is not of integer type; floating point does not hold 64 bits.
        ValueError: the lengths differ, or ``index`` is nested deeper.
    """
    return _shaped(events, index, _start(stream, seed, draw), _to_uniform)


def normal(events: Any, *, stream: str, index: Any = None, seed: int = 0, draw: int = 0) -> Any:
    """Return random numbers of the standard normal distribution; everything else as :func:`uniform`."""
    return _shaped(events, index, _start(stream, seed, draw), lambda state: ndtri(_to_uniform(state)))


def positions(collection: Any) -> ak.Array:
    """Return ``[events, objects]`` the position of each object in its event: 0, 1, …

    Args:
        collection: ``[events, objects]`` as it is in the file. Select afterwards:
            ``positions(events.Jet)[good]`` goes with ``events.Jet[good]``.
    """
    return ak.local_index(collection, axis=1)


def _shaped(events: Any, index: Any, start: int, finish: Any) -> Any:
    """Return ``finish(state)`` in the structure of ``index``."""
    state = _of_events(events, start)
    if index is None:
        return finish(_absorb(state, np.full(1, NO_OBJECT, np.uint64)))
    if len(index) != len(state):
        raise ValueError(f"the index has {len(index)} events, their identity {len(state)}")
    index = index if isinstance(index, ak.Array) else np.asarray(index)
    if index.ndim == 1:
        return finish(_absorb(state, _words(index, "index")))
    if index.ndim != 2:
        raise ValueError(f"the index is nested {index.ndim} deep; [events] or [events, objects] is meant")
    counts = ak.to_numpy(ak.num(index, axis=1))
    flat = finish(_absorb(np.repeat(state, counts), _words(ak.flatten(index), "index")))
    return ak.unflatten(flat, counts)


def _of_events(events: Any, start: int) -> Words:
    """Return ``[events]`` the state after run, luminosity block and event."""
    columns = events if isinstance(events, tuple) else tuple(events[name] for name in FIELDS)
    words = [_words(column, name) for name, column in zip(FIELDS, columns, strict=True)]
    if len({len(word) for word in words}) != 1:
        raise ValueError(f"run, luminosity block and event have {', '.join(str(len(word)) for word in words)} entries")
    state = np.full(1, start, np.uint64)
    for word in words:
        state = _absorb(state, word)
    return state


def _start(stream: str, seed: int, draw: int) -> int:
    state = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big")
    for word in (seed, draw):
        state = int(_absorb(np.full(1, state, np.uint64), np.full(1, word & _MASK, np.uint64))[0])
    return state


def _absorb(state: Words, word: Words) -> Words:
    mixed = state + np.uint64(_GAMMA) * (word + np.uint64(1))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def _to_uniform(state: Words) -> npt.NDArray[np.float64]:
    return ((state >> np.uint64(12)) * np.uint64(2) + np.uint64(1)).astype(np.float64) * 2.0**-53


def _words(values: Any, name: str) -> Words:
    array = ak.to_numpy(values) if isinstance(values, ak.Array) else np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} is of type {array.dtype}; random numbers hang on integers of up to 64 bits")
    return array.astype(np.uint64)
