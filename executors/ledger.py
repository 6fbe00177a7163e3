"""The ledger of a run: how each work item ended, kept in an append-only SQLite table that survives whatever comes."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..filesets.addresses import Redacted
from .plan import Plan, WorkItem

Cause = Literal["read", "code", "worker", "disk"]

TABLES = """
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, recorded TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,
    attempts INTEGER, path TEXT, host TEXT, events INTEGER, seconds REAL, cpu_seconds REAL, bytes_read INTEGER,
    branches INTEGER, cause TEXT, message TEXT, traceback TEXT);
CREATE TABLE IF NOT EXISTS branches (id INTEGER PRIMARY KEY, names TEXT UNIQUE NOT NULL);
"""
COLUMNS = (
    *("key", "status", "attempts", "path", "host", "events", "seconds", "cpu_seconds", "bytes_read"),
    *("branches", "cause", "message", "traceback"),
)


class Outcome(BaseModel):
    """How one attempt at a work item ended.

    ``cause`` tells why it failed: ``read`` (the file or its server), ``code`` (the analysis), ``worker`` (its process
    died), ``disk`` (the result could not be written). ``transient`` says that the same bytes may well be read at the
    next attempt. ``part`` is the result of a worker that cannot reach the output folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    status: Literal["done", "failed"]
    attempts: int = 1
    #: The replica that was read.
    path: Redacted = ""
    host: str = ""
    events: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_read: int = 0
    branches: tuple[str, ...] = ()
    cause: Cause | None = None
    message: Redacted = ""
    traceback: Redacted = ""
    transient: bool = Field(default=False, exclude=True)
    part: bytes = Field(default=b"", exclude=True, repr=False)


class Ledger:
    """Outcomes by work item; an item has at most one.

    Args:
        plan: of the run.
        path: database to which each outcome is appended as it comes; None keeps it in memory. One process writes it;
            a write-ahead log without fsync at each row survives the death of the process at any moment.
    """

    def __init__(self, plan: Plan, path: Path | None = None) -> None:
        self.plan = plan
        self._outcomes: dict[int, Outcome] = {}
        self._branches: dict[tuple[str, ...], int] = {}
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        # With the lock held for good, no shared memory is needed, which network file systems do not have.
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.executescript(TABLES)
        for number, names in self._database.execute("SELECT id, names FROM branches"):
            self._branches[tuple(json.loads(names))] = number

    def close(self) -> None:
        """Close the database; what was recorded stays readable from memory."""
        self._database.close()

    def record(self, outcome: Outcome) -> None:
        """Take in one outcome.

        Raises:
            ValueError: the item is not in the plan or has an outcome already, so events would count twice.
            sqlite3.OperationalError: it cannot be written (a full disk, say).
        """
        self._check(outcome)
        self._append(outcome, outcome.status)
        self._outcomes[outcome.index] = self._lean(outcome)

    def record_retry(self, outcome: Outcome) -> None:
        """Note an attempt that failed and will be repeated; the item stays open."""
        self._check(outcome)
        self._append(outcome, "retried")

    def take_over(self, has_part: Callable[[WorkItem], bool], *, retry_failed: bool = True) -> int:
        """Take over what an interrupted run of the same work has recorded; return how many items are done.

        An item counts as done if its key is that of the plan and its part is there. One that could not be read stays
        failed unless ``retry_failed``; one on which the analysis failed runs again.
        """
        by_key = {item.key: item for item in self.plan.items if item.index not in self._outcomes}
        last: dict[str, Outcome] = {}
        for key, outcome in self._recorded():
            if key in by_key:
                last[key] = outcome.model_copy(update={"index": by_key[key].index})
        for key, outcome in last.items():
            kept = outcome.status == "failed" and outcome.cause != "code" and not retry_failed
            if kept or (outcome.status == "done" and has_part(by_key[key])):
                self._check(outcome)
                self._outcomes[outcome.index] = self._lean(outcome)
        return len(self.with_status("done"))

    def _recorded(self) -> Iterator[tuple[str, Outcome]]:
        """Yield key and outcome of every recorded end of an item, oldest first."""
        names = {number: branches for branches, number in self._branches.items()}
        query = f"SELECT {', '.join(COLUMNS)} FROM attempts WHERE status != 'retried' ORDER BY id"  # noqa: S608
        for values in self._database.execute(query):
            row: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
            key = row.pop("key")
            yield key, Outcome(index=0, **{**row, "branches": names.get(row["branches"], ())})

    def _append(self, outcome: Outcome, status: str) -> None:
        row = {**outcome.model_dump(), "status": status, "key": self.plan.items[outcome.index].key}
        row["branches"] = self._branch_set(outcome.branches)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        statement = f"INSERT INTO attempts (recorded, {', '.join(COLUMNS)}) VALUES ({marks})"  # noqa: S608
        self._database.execute(statement, (now, *(row[name] for name in COLUMNS)))

    def _branch_set(self, names: tuple[str, ...]) -> int:
        """Return the number under which a set of branch names is stored; items mostly share one."""
        if names not in self._branches:
            added = self._database.execute("INSERT INTO branches (names) VALUES (?)", (json.dumps(names),))
            self._branches[names] = int(added.lastrowid or 0)
        return self._branches[names]

    def _lean(self, outcome: Outcome) -> Outcome:
        """Return the outcome without its part, and with one tuple of branch names for all that are equal."""
        shared = self._shared.setdefault(outcome.branches, outcome.branches)
        return outcome.model_copy(update={"part": b"", "branches": shared})

    def _check(self, outcome: Outcome) -> None:
        if not 0 <= outcome.index < len(self.plan.items):
            raise ValueError(f"work item {outcome.index} is not in the plan of {len(self.plan.items)}")
        if outcome.index in self._outcomes:
            raise ValueError(f"work item {outcome.index} ended twice")

    @property
    def open_items(self) -> tuple[WorkItem, ...]:
        """Items without an outcome, in plan order."""
        return tuple(item for item in self.plan.items if item.index not in self._outcomes)

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

    def counts(self) -> dict[str, int]:
        """Return how many items are ``done``, ``failed`` and ``lost``."""
        found = Counter(outcome.status for outcome in self._outcomes.values())
        return {"done": found["done"], "failed": found["failed"], "lost": len(self.plan.items) - found.total()}

    def write(self, path: Path) -> None:
        """Write the ledger as JSON: a row per item of the plan."""
        repeated = self._repeated()
        with path.open("w", encoding="utf-8") as file:
            separator = "[\n"
            for item in self.plan.items:
                outcome = self._outcomes.get(item.index)
                row: dict[str, Any] = {"index": item.index, "status": "lost"}
                if outcome is not None:
                    row = outcome.model_dump(mode="json", exclude={"branches"}, exclude_defaults=True)
                if item.key in repeated:
                    row["earlier_attempts"] = repeated[item.key]
                row = {"dataset": item.dataset, "lfn": item.lfn, "entries": [item.start, item.stop], **row}
                file.write(separator + json.dumps(row))
                separator = ",\n"
            file.write("\n]\n" if self.plan.items else "[]\n")

    def _repeated(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, message in self._database.execute("SELECT key, message FROM attempts WHERE status = 'retried'"):
            found.setdefault(key, []).append(message)
        return found
