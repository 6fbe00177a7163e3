"""Sets of luminosity sections, the unit in which experiments account for data: 23 s of a run at the LHC.

A set is a sorted array of distinct numbers ``run · 2³² + section``, so numpy's ``union1d``, ``intersect1d`` and
``setdiff1d`` are its algebra. On disk it has the form of CMS: run → list of [first, last] sections, ends included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Sections = npt.NDArray[np.uint64]
Ranges = Mapping[str, Sequence[Sequence[int]]]

_SHIFT = np.uint64(32)


def none() -> Sections:
    """Return the empty set."""
    return np.zeros(0, np.uint64)


def packed(run: Any, section: Any) -> Sections:
    """Return ``run · 2³² + section`` for arrays of equal length; neither sorted nor distinct."""
    return (np.asarray(run, np.uint64) << _SHIFT) | np.asarray(section, np.uint64)


def unpacked(sections: Sections) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return run and section of each number."""
    return (sections >> _SHIFT).astype(np.uint32), sections.astype(np.uint32)


def from_ranges(ranges: Ranges) -> Sections:
    """Return the set that the CMS form describes."""
    pieces = [
        packed(np.full(last - first + 1, int(run)), np.arange(first, last + 1))
        for run, spans in ranges.items()
        for first, last in spans
    ]
    return np.unique(np.concatenate(pieces)) if pieces else none()


def to_ranges(sections: Sections) -> dict[str, list[list[int]]]:
    """Return the CMS form of a set, in the order of runs."""
    breaks = np.flatnonzero(np.diff(sections) != 1) + 1
    ranges: dict[str, list[list[int]]] = {}
    for piece in np.split(sections, breaks) if len(sections) else ():
        run, first = divmod(int(piece[0]), 2**32)
        ranges.setdefault(str(run), []).append([first, first + len(piece) - 1])
    return ranges


def in_words(sections: Sections, most: int = 3) -> str:
    """Return ``297050: 12-17, 20; 297057: 100 and 3 more ranges``: the first ranges of a set."""
    spans = [(run, first, last) for run, found in to_ranges(sections).items() for first, last in found]
    words: dict[str, list[str]] = {}
    for run, first, last in spans[:most]:
        words.setdefault(run, []).append(f"{first}" if first == last else f"{first}-{last}")
    text = "; ".join(f"{run}: {', '.join(parts)}" for run, parts in words.items())
    return text if len(spans) <= most else f"{text} and {len(spans) - most} more ranges"
