"""How much the values of a correction change between two files, at points in all of their bins.

Relative changes are (new − old) / |old|, where the old value is not zero; where it is, only the absolute change
counts. Values that differ by less than `SAME` of their size are the same: the last digits of a text file. What a
correction gives as nominal is kept apart from its variations, whose small values change by large factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from . import loading
from .binning import Content, content, definition
from .evaluation import evaluate_flat
from .sampling import Grid, along, grid, points, shown_inputs

Floats = npt.NDArray[np.float64]
Key = str | int

SAME = 1e-9
#: Keys with which POGs name the nominal value.
NOMINAL = ("nominal", "nom", "sf", "central", "value")


class Limits(NamedTuple):
    """How fine a comparison is."""

    points: int = 100_000
    """Most points for a pair of keys, all combinations of its categories together."""
    combinations: int = 200
    """Most combinations of the keys of categories."""
    bins: int = 20
    """Number of the most changed bins that are kept."""


DEFAULT = Limits()


class ChangedBin(NamedTuple):
    """A bin with other values than before: input → its two edges, or the key of a category."""

    where: dict[str, tuple[float, float] | Key]
    point: dict[str, float]
    old: float
    new: float

    @property
    def relative(self) -> float | None:
        """The relative change; None if the old value is 0."""
        return (self.new - self.old) / abs(self.old) if self.old else None


class Changes(NamedTuple):
    """Over the points at which both corrections have a value: how many changed, and by how much.

    `only_old`, `only_new` and `neither` count points where one alone, or none, has a value; `zero_before` changed
    ones whose old value is 0, which have no relative change. `bins` are the most changed ones.
    """

    points: int = 0
    changed: int = 0
    only_old: int = 0
    only_new: int = 0
    neither: int = 0
    zero_before: int = 0
    largest_relative: float = 0.0
    mean_relative: float = 0.0
    largest_absolute: float = 0.0
    bins: tuple[ChangedBin, ...] = ()

    @property
    def any(self) -> bool:
        """Whether any value, or where there is one, has changed."""
        return bool(self.changed or self.only_old or self.only_new)


class KeyDifference(NamedTuple):
    """The difference of a pair of corrections.

    `identical`: the same definition, so nothing was evaluated. `cells` is the number of points that a complete
    comparison would have. `assumed` are inputs without bins, sampled over a usual range. `variations` are all
    that the corrections do not call nominal.
    """

    old_key: str
    new_key: str
    old_version: int
    new_version: int
    identical: bool = False
    cells: int = 0
    assumed: tuple[str, ...] = ()
    nominal: Changes = Changes()
    variations: Changes = Changes()

    @property
    def is_changed(self) -> bool:
        """Whether any value, or where there is one, has changed."""
        return self.nominal.any or self.variations.any

    @property
    def worst(self) -> ChangedBin | None:
        """The most changed bin: of the nominal values if any of those changed."""
        return next(iter(self.nominal.bins or self.variations.bins), None)


class Slice(NamedTuple):
    """Old and new values `[x bins, y bins]` (`[x bins]` without y) on the grid of one or two inputs; NaN if none."""

    x: str
    x_edges: Floats
    y: str | None
    y_edges: Floats
    old: Floats
    new: Floats
    at: dict[str, float | Key]


def compare_keys(old: Path, new: Path, old_key: str, new_key: str, limits: Limits = DEFAULT) -> KeyDifference:
    """Compare the correction `old_key` of the file `old` with `new_key` of `new`.

    Raises UserError if a file or key is missing, or if there is no point at which both have a value.
    """
    first, second = loading.correction(old, old_key), loading.correction(new, new_key)
    start = KeyDifference(old_key, new_key, int(first.version), int(second.version))
    if definition(old, old_key) == definition(new, new_key):
        return start._replace(identical=True)
    before, after = content(old, old_key), content(new, new_key)
    mesh = grid(before, after, most_combinations=limits.combinations)
    values, bins = points(mesh, max(500, limits.points // len(mesh.combinations)))
    nominal, variations = _Sums(limits.bins), _Sums(limits.bins)
    for keys in mesh.combinations:
        earlier = _evaluated(old, before, values, _only_key(mesh, before, keys))
        later = _evaluated(new, after, values, _only_key(mesh, after, keys))
        (nominal if _is_nominal(keys, before, after) else variations).add(keys, earlier, later)
    if not nominal.points and not variations.points:
        raise UserError(
            f"'{old_key}' of {old} and '{new_key}' of {new} have no point at which both have a value: they are not "
            "the same correction. Choose other keys with --key-old and --key-new."
        )
    return start._replace(
        cells=mesh.cells * mesh.all_combinations,
        assumed=tuple(axis.name for axis in mesh.axes if axis.assumed),
        nominal=nominal.result(mesh, values, bins),
        variations=variations.result(mesh, values, bins),
    )


def slice_at(old: Path, new: Path, difference: KeyDifference, limits: Limits = DEFAULT) -> Slice | None:
    """Return old and new values over the one or two inputs that matter most, through the most changed bin.

    None for a correction without numeric inputs, or without a changed bin.
    """
    before, after = content(old, difference.old_key), content(new, difference.new_key)
    mesh = grid(before, after, most_combinations=limits.combinations)
    worst = difference.worst
    if not mesh.axes or worst is None:
        return None
    keys = {name: key for name, key in worst.where.items() if not isinstance(key, tuple)}
    names = shown_inputs(mesh)
    axes = {axis.name: axis for axis in mesh.axes}
    values = along(mesh, names, worst.point)
    shape = [len(axes[name].points) for name in names]
    results = [
        _evaluated(path, one, values, _only_key(mesh, one, keys)).reshape(shape)
        for path, one in ((old, before), (new, after))
    ]
    second = names[1] if len(names) > 1 else None
    others = {name: value for name, value in worst.point.items() if name not in names}
    return Slice(
        names[0],
        axes[names[0]].edges,
        second,
        axes[second].edges if second else np.array([]),
        results[0],
        results[1],
        {**keys, **others},
    )


class _Sums:
    """What is summed up over the combinations of keys."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.points = self.changed = self.zero_before = self.only_old = self.only_new = 0
        self.neither = 0
        self.relatives, self.sum_relative = 0, 0.0
        self.largest_relative = self.largest_absolute = 0.0
        self.largest: list[tuple[dict[str, Key], int, float, float]] = []

    def add(self, keys: dict[str, Key], old: Floats, new: Floats) -> None:
        """Add the values at the same points for one combination of keys; NaN where there is none."""
        both = ~np.isnan(old) & ~np.isnan(new)
        self.only_old += int(np.count_nonzero(~np.isnan(old) & np.isnan(new)))
        self.only_new += int(np.count_nonzero(np.isnan(old) & ~np.isnan(new)))
        self.neither += int(np.count_nonzero(np.isnan(old) & np.isnan(new)))
        change = np.where(both, np.abs(new - old), 0.0)
        size = np.where(both, np.abs(old), 0.0)
        changed = change > SAME * np.maximum(size, np.where(both, np.abs(new), 0.0))
        relative = np.divide(change, size, out=np.zeros_like(change), where=size > 0) * changed
        self.points += int(np.count_nonzero(both))
        self.changed += int(np.count_nonzero(changed))
        self.zero_before += int(np.count_nonzero(changed & (size == 0)))
        self.relatives += int(np.count_nonzero(both & (size > 0)))
        self.sum_relative += float(relative.sum())
        self.largest_relative = max(self.largest_relative, float(relative.max()))
        self.largest_absolute = max(self.largest_absolute, float((change * changed).max()))
        # Where the old value is 0 the change has no size in per cent: such bins come last.
        order = np.lexsort((-change, -relative))[: self.keep]
        self.largest += [(keys, int(one), float(old[one]), float(new[one])) for one in order if changed[one]]
        self.largest.sort(key=lambda one: (-_relative(one[2], one[3]), -abs(one[3] - one[2])))
        del self.largest[self.keep :]

    def result(self, mesh: Grid, values: dict[str, Floats], bins: dict[str, Any]) -> Changes:
        """Return the sums, with the most changed bins as bins of the inputs."""
        return Changes(
            points=self.points,
            changed=self.changed,
            only_old=self.only_old,
            only_new=self.only_new,
            neither=self.neither,
            zero_before=self.zero_before,
            largest_relative=self.largest_relative,
            mean_relative=self.sum_relative / max(self.relatives, 1),
            largest_absolute=self.largest_absolute,
            bins=tuple(_changed_bin(mesh, values, bins, one) for one in self.largest),
        )


def _relative(old: float, new: float) -> float:
    return abs(new - old) / abs(old) if old else 0.0


def _changed_bin(
    mesh: Grid, values: dict[str, Floats], bins: dict[str, Any], found: tuple[dict[str, Key], int, float, float]
) -> ChangedBin:
    keys, place, old, new = found
    where: dict[str, tuple[float, float] | Key] = dict(keys)
    for axis in mesh.axes:
        one = int(bins[axis.name][place])
        where[axis.name] = (float(axis.edges[one]), float(axis.edges[one + 1]))
    return ChangedBin(where, {name: float(one[place]) for name, one in values.items()}, old, new)


def _is_nominal(keys: Mapping[str, Key], *contents: Content) -> bool:
    """Whether no category that has a key for the nominal value is at another key."""
    return all(key in NOMINAL or not _has_nominal(name, contents) for name, key in keys.items())


def _has_nominal(name: str, contents: Sequence[Content]) -> bool:
    axes = [axis for one in contents if (axis := one.axis(name)) is not None]
    return any(choice in NOMINAL for axis in axes for choice in axis.choices)


def _only_key(mesh: Grid, one: Content, keys: Mapping[str, Key]) -> dict[str, Key]:
    """Return the keys for one of the two corrections: its own where the other calls the same differently."""
    own = {axis.name: axis.choices[0] for axis in one.axes if axis.name in mesh.renamed}
    return {**keys, **own}


def _evaluated(path: Path, one: Content, values: Mapping[str, Floats], keys: Mapping[str, Key]) -> Floats:
    """Return the values of a correction, NaN where it has none: out of range, no such combination of keys, or a
    formula that comes to no finite number there.
    """
    size = len(next(iter(values.values()))) if values else 1
    given = dict(values) or {"": np.zeros(1)}
    kinds = {axis.name: axis.kind for axis in one.axes}
    given |= {
        name: np.full(size, float(one_key)) for name, one_key in keys.items() if kinds.get(name) in ("int", "real")
    }
    texts = {name: str(one_key) for name, one_key in keys.items() if kinds.get(name) == "string"}
    try:
        found = evaluate_flat(path, one.key, given, choices=texts, default=np.nan).values
    except UserError:
        return np.full(size, np.nan)
    result = np.broadcast_to(np.asarray(found, dtype=np.float64), (size,))
    return np.where(np.isfinite(result), result, np.nan)
