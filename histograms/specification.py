"""What a histogram is: one observable, its binning, its label and its unit, declared once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    import hist

#: The category axes that every histogram has before its observable.
CATEGORIES = ("dataset", "region", "variation")
#: Storage ``Weight``: value and variance.
BYTES_PER_BIN = 16


class Histogram(BaseModel):
    """The declaration of a one-dimensional histogram of ``name``.

    Either ``bins``, ``start`` and ``stop`` (equal bins) or ``edges`` (any increasing numbers). ``label`` is LaTeX
    as matplotlib reads it; ``unit`` is appended to it in brackets (``GeV``, ``cm``, ``mm``, …). An empty
    ``regions`` means every region; otherwise the histogram is filled in the regions named only. ``depends_on``
    are the collections that the observable is made of (``muons``, ``jets``, ``met``, …): a systematic that moves none
    of them, nor what events are selected by, is not filled again. None means that any may move it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    unit: str = ""
    bins: int | None = None
    start: float | None = None
    stop: float | None = None
    edges: tuple[float, ...] = ()
    regions: tuple[str, ...] = ()
    depends_on: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_binning(self) -> Self:
        regular = (self.bins, self.start, self.stop)
        if bool(self.edges) == any(value is not None for value in regular):
            raise ValueError(f"histogram '{self.name}': give either edges, or bins, start and stop")
        if self.edges:
            if len(self.edges) < 2 or any(a >= b for a, b in pairwise(self.edges)):
                raise ValueError(f"histogram '{self.name}': edges must be two or more increasing numbers")
        elif None in regular:
            raise ValueError(f"histogram '{self.name}': bins, start and stop belong together")
        return self

    @property
    def axis_label(self) -> str:
        """The label with its unit, as printed on an axis."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def create(self, dataset: str, regions: Sequence[str], variations: Sequence[str]) -> hist.Hist:
        """Return the empty histogram: axes ``dataset``, ``region``, ``variation``, observable; storage ``Weight``.

        The categories are there before anything is filled, so that they and their order do not depend on which
        chunk had an entry first. Of ``regions``, those that this histogram is declared for are taken.
        """
        import hist

        categories = [
            hist.axis.StrCategory(list(values), growth=True, name=name)
            for name, values in zip(CATEGORIES, ([dataset], self._kept(regions), variations), strict=True)
        ]
        observable: hist.axis.Regular | hist.axis.Variable
        if self.edges:
            observable = hist.axis.Variable(list(self.edges), name=self.name, label=self.axis_label)
        else:
            observable = hist.axis.Regular(self.bins, self.start, self.stop, name=self.name, label=self.axis_label)
        return hist.Hist(*categories, observable, storage=hist.storage.Weight(), name=self.name)

    def moved_by(self, touched: Collection[str] | None) -> bool:
        """Whether a variation that moves the collections ``touched`` (None: anything) moves this histogram."""
        return touched is None or self.depends_on is None or not set(touched).isdisjoint(self.depends_on)

    def size(self, regions: Sequence[str], variations: Sequence[str]) -> int:
        """Return the bytes that the content of :meth:`create` takes in memory, for one dataset."""
        bins = len(self.edges) - 1 if self.edges else int(self.bins or 0)
        return len(self._kept(regions)) * len(variations) * (bins + 2) * BYTES_PER_BIN

    def _kept(self, regions: Sequence[str]) -> list[str]:
        return [region for region in regions if not self.regions or region in self.regions]
