"""The one place where histograms are filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import awkward as ak
import hist
import numpy as np

from .specification import Histogram


class Filler:
    """Fill a set of declared histograms for one dataset.

    Args:
        specifications: the histograms; names are unique.
        dataset: the category on the axis ``dataset``.
        regions: all regions that will be filled, in the order of the axis.
        variations: all variations that will be filled, in the order of the axis.

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
    ) -> None:
        self._specifications = tuple(specifications)
        self._dataset = dataset
        self.histograms: dict[str, hist.Hist] = {}
        for specification in self._specifications:
            if specification.name in self.histograms:
                raise ValueError(f"two histograms are called '{specification.name}'")
            self.histograms[specification.name] = specification.create(dataset, regions, variations)

    def fill(self, observables: Mapping[str, Any], *, region: str, variation: str, weight: np.ndarray) -> None:
        """Fill every histogram of ``region`` whose observable is given.

        Args:
            observables: name → ``[events]``, or ``[events, objects]`` for one entry per object.
            region: category on the axis ``region``.
            variation: category on the axis ``variation`` (``nominal``, ``<source>Up``, …).
            weight: ``[events]``; an object carries the weight of its event.

        Raises:
            KeyError: a histogram of this region has no observable.
        """
        for specification in self._specifications:
            if specification.regions and region not in specification.regions:
                continue
            if specification.name not in observables:
                raise KeyError(
                    f"the histogram '{specification.name}' is declared for region '{region}', "
                    f"but no observable of that name was given"
                )
            values, weights = _flat(observables[specification.name], weight)
            self.histograms[specification.name].fill(self._dataset, region, variation, values, weight=weights)


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
