"""The weights of simulated CMS events: the factors that an analysis multiplies, each with its variations.

coffea's ``Weights`` keeps a variation as its ratio to the nominal weight, which loses it where that is zero (a b-tag
efficiency, an LHE weight). Here a variation is the whole factor, times the nominal values of all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np

from ..corrections.weight_factor import WeightFactor

#: What a correction met outside its range: kind → correction → number of inputs.
Counters = dict[str, Counter[str]]


class Counted(Protocol):
    """What a correction returns: how many inputs were outside its range."""

    @property
    def out_of_range(self) -> int:
        """Inputs that were left alone."""

    @property
    def clamped(self) -> int:
        """Inputs that got the value of the edge."""


def tally(counters: Counters, name: str, values: Counted) -> None:
    """Count the inputs of correction ``name`` that were left alone (``out_of_range``) or ``clamped`` by its file."""
    for kind in ("out_of_range", "clamped"):
        counters.setdefault(kind, Counter())[name] += getattr(values, kind)


class EventWeights:
    """The weight of each event as a product, ``[events]``: generator weight × factors, in the order they are added.

    Args:
        generator: ``[events]`` generator weight; 1 for data.
    """

    def __init__(self, generator: np.ndarray) -> None:
        self._generator = generator
        self._factors: dict[str, WeightFactor] = {}

    def add(self, name: str, factor: WeightFactor, counters: Counters) -> None:
        """Multiply ``factor``; its inputs outside the range are counted.

        Raises:
            ValueError: there is a factor of that name, or it is of another number of events.
        """
        if name in self._factors or len(factor.nominal) != len(self._generator):
            raise ValueError(f"the weight '{name}' was added twice, or is not of {len(self._generator)} events")
        tally(counters, name, factor)
        self._factors[name] = factor

    def nominal(self) -> np.ndarray:
        """Return ``[events]`` the product; the same bits whatever variations there are."""
        product = self._generator
        for factor in self._factors.values():
            product = product * factor.nominal
        return product

    def variations(self, wanted: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each variation of ``wanted`` with the whole weight under it, ``[events]``.

        A variation that no factor has (of electrons, in events weighed for muons alone) has the nominal weight: what is
        declared is filled, so that an empty histogram means no events.
        """
        factors = list(self._factors.values())
        after = [np.ones(len(self._generator))]
        for factor in reversed(factors):
            after.append(after[-1] * factor.nominal)
        before = self._generator
        for factor, rest in zip(factors, reversed(after[:-1]), strict=True):
            others = None
            for name, values in factor.variations.items():
                if name in wanted:
                    others = before * rest if others is None else others
                    yield name, others * values
            before = before * factor.nominal
        known = {name for factor in factors for name in factor.variations}
        # In order: sets of names have another order in each process.
        yield from ((name, before) for name in sorted(wanted) if name not in known)


def taken(factor: WeightFactor, rows: np.ndarray) -> WeightFactor:
    """Return ``factor`` of the events at the positions ``rows``; what was out of range is counted elsewhere."""
    return WeightFactor(factor.nominal[rows], {name: values[rows] for name, values in factor.variations.items()})


def of_sources(factor: WeightFactor, wanted: Collection[str]) -> WeightFactor:
    """Return ``factor`` with the variations of ``wanted`` alone."""
    return factor._replace(variations={name: one for name, one in factor.variations.items() if name in wanted})
