"""The ledger of a run: how each work item ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..filesets.addresses import Redacted
from .plan import Plan, WorkItem


class Outcome(BaseModel):
    """How one work item ended.

    ``cause`` tells a failure of reading (``read``: the file or its server) from one of the analysis (``code``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    status: Literal["done", "failed"]
    events: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_read: int = 0
    branches: tuple[str, ...] = ()
    cause: Literal["read", "code"] | None = None
    message: Redacted = ""
    traceback: Redacted = ""


class Ledger:
    """Outcomes by work item; an item has at most one.

    Args:
        plan: of the run.
        journal: file to which each outcome is appended as it comes, so that it survives whatever happens next.
    """

    def __init__(self, plan: Plan, journal: Path | None = None) -> None:
        self.plan = plan
        self._outcomes: dict[int, Outcome] = {}
        self._journal = journal

    def record(self, outcome: Outcome) -> None:
        """Take in one outcome.

        Raises:
            ValueError: the item is not in the plan or has an outcome already, so events would count twice.
        """
        self._take(outcome)
        if self._journal is not None:
            line = json.dumps({"key": self.plan.items[outcome.index].key, **outcome.model_dump(mode="json")})
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())

    def take_over(self, has_part: Callable[[WorkItem], bool]) -> int:
        """Take over what the journal of an interrupted run of the same work says is done; return how many items.

        An item counts as done if its key is that of the plan and its part is there. A last line that was cut short
        is passed over: its item runs again.
        """
        if self._journal is None or not self._journal.exists():
            return 0
        by_key = {item.key: item for item in self.plan.items}
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                item = by_key[row.pop("key")]
                outcome = Outcome.model_validate({**row, "index": item.index})
            except (ValueError, KeyError):
                continue
            if outcome.status == "done" and item.index not in self._outcomes and has_part(item):
                self._take(outcome)
        return len(self._outcomes)

    @property
    def open_items(self) -> tuple[WorkItem, ...]:
        """Items without an outcome, in plan order."""
        return tuple(item for item in self.plan.items if item.index not in self._outcomes)

    def _take(self, outcome: Outcome) -> None:
        if not 0 <= outcome.index < len(self.plan.items):
            raise ValueError(f"work item {outcome.index} is not in the plan of {len(self.plan.items)}")
        if outcome.index in self._outcomes:
            raise ValueError(f"work item {outcome.index} ended twice")
        self._outcomes[outcome.index] = outcome

    def with_status(self, status: Literal["done", "failed"]) -> list[Outcome]:
        """Return the outcomes of one status in plan order."""
        return [one for _, one in sorted(self._outcomes.items()) if one.status == status]

    @property
    def lost(self) -> list[int]:
        """Indices of the items that never ended (the run stopped before them)."""
        return [item.index for item in self.open_items]

    def events(self, dataset: str, statuses: Iterable[str] = ("done",)) -> int:
        """Return how many events of ``dataset`` lie in items that ended with one of ``statuses``."""
        wanted = set(statuses)
        return sum(
            len(item)
            for item in self.plan.items
            if item.dataset == dataset and item.index in self._outcomes and self._outcomes[item.index].status in wanted
        )

    def write(self, path: Path) -> None:
        """Write the ledger as JSON: a row per item of the plan."""
        rows = []
        for item in self.plan.items:
            outcome = self._outcomes.get(item.index)
            row = {"index": item.index, "status": "lost"}
            if outcome is not None:
                row = outcome.model_dump(mode="json", exclude={"branches"}, exclude_defaults=True)
            rows.append({"dataset": item.dataset, "lfn": item.lfn, "entries": [item.start, item.stop], **row})
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
