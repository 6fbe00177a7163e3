"""No event lost, none counted twice: ranges of entries are disjoint, and cover each file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

from ..errors import UserError


class Range(Protocol):
    """A range of entries of a file of a dataset."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def lfn(self) -> str:
        """Logical name of the file."""

    @property
    def start(self) -> int:
        """First entry."""

    @property
    def stop(self) -> int:
        """Entry after the last."""


_ADVICE = "The plan in the output folder is not that of this run; start anew with --overwrite."


class AccountingError(UserError):
    """Events would be missing or counted twice."""


def check_tiling(ranges: Iterable[Range], entries: Mapping[tuple[str, str], int] | None = None) -> None:
    """Make sure that ``ranges`` cover each file from its first entry on, without gap or overlap.

    Args:
        ranges: all of a run, however they ended, in any order.
        entries: (dataset, lfn) → number of entries that its ranges must cover, 0 for none; files that are not
            named may end anywhere (a limit on the number of chunks).

    Raises:
        AccountingError: they do not; the message names dataset, file and entries.
    """
    by_file: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for one in ranges:
        by_file[one.dataset, one.lfn].append((one.start, one.stop))
    for file in entries or {}:
        by_file.setdefault(file, [])
    for (dataset, lfn), pieces in by_file.items():
        _check_file(f"dataset '{dataset}', file {lfn}", sorted(pieces), (entries or {}).get((dataset, lfn)))


def _check_file(where: str, pieces: list[tuple[int, int]], entries: int | None) -> None:
    covered = 0
    for start, stop in pieces:
        if start > covered:
            raise AccountingError(f"Events are not accounted for: {where}, entries {covered}–{start}. {_ADVICE}")
        if start < covered or stop <= start:
            raise AccountingError(
                f"Events would be counted twice: {where}, entries {start}–{stop}, where all up to {covered} are "
                f"accounted for. {_ADVICE}"
            )
        covered = stop
    if entries is not None and covered != entries:
        raise AccountingError(f"{where} was to be covered to entry {entries}, not to {covered}. {_ADVICE}")


class Order:
    """The ranges taken in so far: each later in the plan than the one before, and none twice."""

    def __init__(self) -> None:
        self.ranges: list[Range] = []
        self._last = -1
        self._covered: dict[tuple[str, str], int] = {}

    def admit(self, index: int, one: Range) -> None:
        """Take in the range at ``index`` of the plan.

        Raises:
            AccountingError: it does not come after those before, or overlaps one of them.
        """
        where = f"dataset '{one.dataset}', file {one.lfn}, entries {one.start}–{one.stop}"
        if index <= self._last:
            raise AccountingError(
                f"Work item {index} ({where}) comes after item {self._last}: parts are merged once, in plan order, so "
                f"that sums are the same each time."
            )
        covered = self._covered.get((one.dataset, one.lfn), 0)
        if one.start < covered:
            raise AccountingError(
                f"Events would be counted twice: {where}, where those up to {covered} are merged. {_ADVICE}"
            )
        self._last = index
        self._covered[one.dataset, one.lfn] = one.stop
        self.ranges.append(one)
