"""Where to evaluate two corrections to compare them: points in the bins of both, and all keys of categories."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from .binning import Axis, Content, finite

Floats = npt.NDArray[np.float64]

FINE = 24
"""Fewer bins than this are divided, since a formula may vary in them."""
#: Sensible values of inputs that a correction has no bins in, by what its name contains; GeV for momenta.
_USUAL: tuple[tuple[str, tuple[float, float, int]], ...] = (
    (r"(?i)pt|energy|mass", (15.0, 1000.0, 25)),
    (r"[Ee]ta$", (-5.0, 5.0, 21)),
    (r"(?i)phi", (-math.pi, math.pi, 13)),
    (r"^(JetA|area|A)$", (0.3, 0.7, 5)),
    (r"(?i)rho", (0.0, 60.0, 7)),
    (r"(?i)npv|numtrue", (0.0, 80.0, 9)),
    (r"(?i)^run", (272000.0, 400000.0, 9)),
    (r"(?i)r9|disc|score|jer", (0.0, 1.0, 11)),
    (r"", (0.0, 1.0, 5)),
)


class Sampled(NamedTuple):
    """The values at which one numeric input is sampled: a point in each bin, between its two edges."""

    name: str
    edges: Floats
    points: Floats
    assumed: bool
    """Whether the range is a usual one, because the corrections have no bins in this input."""


class Grid(NamedTuple):
    """Numeric inputs with their values, and the combinations of keys of the categories."""

    axes: tuple[Sampled, ...]
    combinations: tuple[dict[str, str | int], ...]
    all_combinations: int
    renamed: frozenset[str] = frozenset()
    """Categories of which each correction has one key, and another: `<old> → <new>` stands for both."""

    @property
    def cells(self) -> int:
        """Number of points for one combination of keys if all were taken."""
        return math.prod(len(axis.points) for axis in self.axes)


def grid(old: Content, new: Content, *, most_combinations: int) -> Grid:
    """Return the grid of two corrections: the bins of both, and the keys that either has.

    Where there are more combinations of keys than `most_combinations`, some at equal distances are taken.
    """
    names = list(dict.fromkeys(axis.name for content in (old, new) for axis in content.axes))
    # One with eta and one with abseta: the second follows from the first.
    names = [name for name in names if not (name.startswith("abs") and name[3:] in names)]
    numeric: list[Sampled] = []
    categories: dict[str, tuple[str | int, ...]] = {}
    renamed: frozenset[str] = frozenset()
    for name in names:
        both = [axis for axis in (old.axis(name), new.axis(name)) if axis is not None]
        choices = tuple(dict.fromkeys(choice for axis in both for choice in axis.choices))
        if len(both) == 2 and len(both[0].choices) == len(both[1].choices) == 1 and len(choices) == 2:
            choices, renamed = (f"{choices[0]} → {choices[1]}",), renamed | {name}
        if choices or both[0].kind == "string":
            categories[name] = choices
        else:
            numeric.append(sampled(name, both))
    combinations = [dict(zip(categories, keys, strict=True)) for keys in itertools.product(*categories.values())]
    some = combinations
    if len(combinations) > most_combinations:
        chosen = np.unique(np.linspace(0, len(combinations) - 1, most_combinations).round().astype(int))
        some = [combinations[place] for place in chosen]
    return Grid(tuple(numeric), tuple(some), len(combinations), renamed)


def sampled(name: str, axes: Sequence[Axis]) -> Sampled:
    """Return points of an input of one or two corrections: in each bin of either, or over a usual range.

    The points are off the centres, so that no symmetry of a formula hides a change.
    """
    edges = sorted({edge for axis in axes for edge in finite(axis.edges)})
    assumed = len(edges) < 2
    integer = all(axis.kind == "int" for axis in axes)
    low, high, number = next(usual for pattern, usual in _USUAL if re.search(pattern, name))
    if assumed:
        edges = list(_spaced(low, high, number + 1))
    elif any(axis.formula for axis in axes):
        edges = _divided(edges, logarithmic=_is_momentum(name))
    bounds = np.asarray(edges)
    points = bounds[:-1] + 0.45 * np.diff(bounds)
    if integer:
        points = np.unique(np.ceil(bounds[:-1]))
        bounds = np.append(points, points[-1] + 1)
    return Sampled(name, bounds, points, assumed)


def points(grid: Grid, most: int) -> tuple[dict[str, Floats], dict[str, npt.NDArray[np.int64]]]:
    """Return the values of each input, and the bins that they are in, at no more than `most` points.

    All combinations of bins if they are that few; else a Halton sequence over them, which spreads evenly over
    each input and each pair of inputs, and is the same each time.
    """
    lengths = [len(axis.points) for axis in grid.axes]
    if grid.cells <= most:
        mesh = np.meshgrid(*(np.arange(length) for length in lengths), indexing="ij")
        bins = [one.reshape(-1) for one in mesh]
    else:
        sequence = qmc.Halton(len(lengths), scramble=False).random(most)
        bins = [(sequence[:, place] * length).astype(np.int64) for place, length in enumerate(lengths)]
    values = {axis.name: axis.points[found] for axis, found in zip(grid.axes, bins, strict=True)}
    return values, {axis.name: found for axis, found in zip(grid.axes, bins, strict=True)}


def along(grid: Grid, names: Sequence[str], at: Mapping[str, float]) -> dict[str, Floats]:
    """Return flat values of all inputs, with those of `names` on their whole grid and the others `at` a value."""
    chosen = {axis.name: axis.points for axis in grid.axes}
    mesh = np.meshgrid(*(chosen[name] for name in names), indexing="ij")
    size = mesh[0].size
    fixed = {name: np.full(size, value) for name, value in at.items() if name not in names}
    return {**fixed, **{name: one.reshape(-1) for name, one in zip(names, mesh, strict=True)}}


def _is_momentum(name: str) -> bool:
    return re.search(_USUAL[0][0], name) is not None


def shown_inputs(grid: Grid) -> list[str]:
    """Return the one or two inputs that a figure shows: momentum and pseudorapidity, else those with most bins."""
    by_bins = [axis.name for axis in sorted(grid.axes, key=lambda axis: (axis.assumed, -len(axis.points)))]
    first = next((name for name in by_bins if _is_momentum(name)), by_bins[0])
    rest = [name for name in by_bins if name != first]
    second = next((name for name in rest if re.search(_USUAL[1][0], name)), rest[0] if rest else None)
    return [first] if second is None else [first, second]


def _spaced(low: float, high: float, number: int) -> Floats:
    return np.geomspace(low, high, number) if low > 0 and high > 20 * low else np.linspace(low, high, number)


def _divided(edges: Sequence[float], *, logarithmic: bool) -> list[float]:
    """Return the edges with each bin divided so that there are about `FINE` in all."""
    parts = max(1, math.ceil(FINE / (len(edges) - 1)))
    result = [edges[0]]
    for low, high in itertools.pairwise(edges):
        inner = np.linspace(low, high, parts + 1)
        if logarithmic and high > 2 * max(low, 1.0) and parts > 1:
            inner = np.concatenate([[low], np.geomspace(max(low, 5.0), high, parts + (low < 5.0))[(low >= 5.0) :]])
        result += [float(edge) for edge in inner[1:]]
    return result
