"""Plans without files behind them, and work that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mucoffea.executors.ledger import Outcome
from mucoffea.executors.plan import DatasetPlan, Plan, WorkItem


def make_plan(*keys: str, replicas: Sequence[str] = ("f",)) -> Plan:
    """A plan of one item of ten events for each key: of one file, or of many if ``replicas`` have an ``{index}``."""
    items = tuple(
        WorkItem(
            index=index,
            dataset="a",
            lfn="f",
            replicas=tuple(one.format(index=index) for one in replicas),
            tree="t",
            uuid="",
            start=10 * index,
            stop=10 * index + 10,
            metadata={},
            key=key,
        )
        for index, key in enumerate(keys)
    )
    total = 10 * len(keys)
    one = DatasetPlan(name="a", files=1, events=total, files_available=1, events_available=total)
    return Plan(chunksize=10, datasets=(one,), items=items)


def done(item: WorkItem) -> Outcome:
    """The outcome of an item that went well."""
    return Outcome(index=item.index, status="done", events=len(item), path=item.path)


def unread(item: WorkItem, *, transient: bool = True) -> Outcome:
    """The outcome of an item whose file could not be read."""
    message = f"no answer from {item.path}"
    return Outcome(
        index=item.index, status="failed", cause="read", path=item.path, message=message, transient=transient
    )


Behaviour = Callable[[WorkItem], Outcome]
