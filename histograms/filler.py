"""The one place where histograms are filled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import hist
import numpy as np

from .specification import CATEGORIES, Histogram

#: Variation → collections that it moves, for a variation that leaves the selection of events alone.
Moves = Mapping[str, Collection[str]]


class Filler:
    """Fill a set of declared histograms for one dataset.

    Args:
        specifications: the histograms; names are unique.
        dataset: the category on the axis ``dataset``.
        regions: all regions that will be filled, in the order of the axis.
        variations: all variations that will be filled, in the order of the axis.
        moves: of variations that move only some collections; the histograms that depend on none of them do not have
            the variation, and are not filled with it. A variation that is not in it moves every histogram.

    Raises:
        ValueError: two specifications have one name.
    """

    def __init__(
        self,
        specifications: Iterable[Histogram],
        dataset: str,
        *,
        regions: Sequence[str],
        variations: Sequence[str] = ("nominal",),
        moves: Moves | None = None,
    ) -> None:
        self._specifications = tuple(specifications)
        self._dataset = dataset
        self._moves = dict(moves or {})
        self.histograms: dict[str, hist.Hist] = {}
        for specification in self._specifications:
            if specification.name in self.histograms:
                raise ValueError(f"two histograms are called '{specification.name}'")
            kept = [name for name in variations if specification.moved_by(self._moves.get(name))]
            self.histograms[specification.name] = specification.create(dataset, regions, kept)

    def fill(self, observables: Mapping[str, Any], *, region: str, variation: str, weight: np.ndarray) -> None:
        """Fill every histogram of ``region`` that ``variation`` moves.

        Args:
            observables: name → ``[events]``, or ``[events, objects]`` for one entry per object.
            region: category on the axis ``region``.
            variation: category on the axis ``variation`` (``nominal``, ``<source>Up``, …).
            weight: ``[events]``; an object carries the weight of its event.

        Raises:
            KeyError: a histogram of this region has no observable.
        """
        for specification in self._of(region):
            if specification.moved_by(self._moves.get(variation)):
                values, weights = _flat(_observable(specification, observables, region), weight)
                self.histograms[specification.name].fill(self._dataset, region, variation, values, weight=weights)

    def entries(self, observables: Mapping[str, Any], *, region: str) -> Entries:
        """Return the entries of every histogram of ``region``, to be filled under several variations of their weight.

        Args:
            observables: as for :meth:`fill`.
            region: as for :meth:`fill`.

        Raises:
            KeyError: a histogram of this region has no observable.
        """
        found = []
        for specification in self._of(region):
            histogram = self.histograms[specification.name]
            found.append((histogram, *_bins(histogram, _observable(specification, observables, region))))
        return Entries(self._dataset, region, found)

    def _of(self, region: str) -> Iterator[Histogram]:
        """Yield the histograms that are declared for ``region``."""
        return (one for one in self._specifications if not one.regions or region in one.regions)


class Entries:
    """Entries whose bins are looked up: what is left is to add weights, as often as there are variations of them.

    Args:
        dataset: category on the axis ``dataset``.
        region: category on the axis ``region``.
        places: histogram, bin of each entry (the underflow is 0), entries of each event (None: one).
    """

    def __init__(self, dataset: str, region: str, places: Sequence[tuple[hist.Hist, np.ndarray, Any]]) -> None:
        self._dataset, self._region, self._places = dataset, region, places

    def fill(self, variation: str, weight: np.ndarray) -> None:
        """Add ``weight`` ``[events]`` in ``variation``; the content is that of :meth:`Filler.fill`, bit for bit.

        Raises:
            KeyError: a histogram was not declared with the variation.
        """
        squares = weight * weight
        for histogram, place, n_objects in self._places:
            if variation not in histogram.axes["variation"]:
                raise KeyError(f"the variation '{variation}' was not declared for the histogram {histogram.name}")
            categories = zip(CATEGORIES, (self._dataset, self._region, variation), strict=True)
            content = histogram.view(flow=True)[tuple(histogram.axes[axis].index(name) for axis, name in categories)]
            for field, one in (("value", weight), ("variance", squares)):
                entries = one if n_objects is None else np.repeat(one, n_objects)
                content[field] += np.bincount(place, weights=entries, minlength=len(content))


def _observable(specification: Histogram, observables: Mapping[str, Any], region: str) -> Any:
    if specification.name not in observables:
        raise KeyError(
            f"the histogram '{specification.name}' is declared for region '{region}', "
            f"but no observable of that name was given"
        )
    return observables[specification.name]


def _bins(histogram: hist.Hist, values: Any) -> tuple[np.ndarray, Any]:
    """Return ``[entries]`` the bin of each entry with the underflow as 0, and the entries of each event (None: 1)."""
    n_objects: Any = None
    if isinstance(values, ak.Array):
        if values.ndim > 1:
            n_objects = ak.to_numpy(ak.num(values, axis=1))
            values = ak.flatten(values, axis=None)
        values = ak.to_numpy(values)
    elif values.ndim > 1:
        n_objects = values.shape[1]
        values = values.reshape(-1)
    return np.asarray(histogram.axes[-1].index(values)) + 1, n_objects


def _flat(values: Any, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and weights as equally long flat arrays."""
    if isinstance(values, ak.Array):
        if values.ndim > 1:
            weight = ak.to_numpy(ak.flatten(ak.broadcast_arrays(weight, values)[0], axis=None))
            values = ak.flatten(values, axis=None)
        return ak.to_numpy(values), weight
    if values.ndim > 1:
        return values.reshape(-1), np.repeat(weight, values.shape[1])
    return values, weight
