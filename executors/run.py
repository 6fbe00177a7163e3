"""The run loop: record outcomes as they come, stop at an error of the analysis or at a full disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from ..errors import UserError
from .ledger import Ledger, Outcome
from .plan import WorkItem
from .scheduler import Policy, Scheduler
from .worker import RunItem


class AnalysisError(UserError):
    """An error of the analysis code or its settings: it would fail on every item, so the run stops."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class DiskFullError(UserError):
    """A result could not be written; its item stays open."""


def run_plan(
    ledger: Ledger,
    work: RunItem,
    pool: Executor,
    *,
    workers: int,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    on_part: Callable[[WorkItem, bytes], None] | None = None,
    checkpoint: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Run every item of the ledger's plan that has no outcome yet on ``pool``, and record how it ended.

    An item whose file cannot be read, or that kills its worker, is tried again as ``policy`` says, then recorded as
    failed, and the run goes on with the others.

    Args:
        ledger: of the run.
        work: what a worker does with an item.
        pool: see :func:`.pools.open_pool`.
        workers: number of worker processes.
        policy: what to do when an item fails.
        on_outcome: called with each final outcome.
        on_part: stores a result that its worker could not write itself, before the item is recorded as done.
        checkpoint: called often; what it raises ends the run between two results (:mod:`.interrupts`).

    Returns:
        The servers that failed so often that they were avoided.

    Raises:
        AnalysisError: the analysis failed on an item, and ``policy`` is not to keep going.
        DiskFullError: a worker could not write a result.
        Interrupted: the scheduler of the workers is gone.
    """
    scheduler = Scheduler(ledger.open_items, work, pool, workers, policy, ledger.record_retry, checkpoint)
    for item, outcome in scheduler.outcomes():
        if outcome.cause == "disk":
            raise DiskFullError(f"{outcome.message} Make room, then go on with --resume.")
        if outcome.part:
            if on_part is None:
                raise RuntimeError(f"the worker cannot store the result of {item}, and nobody else takes it")
            on_part(item, outcome.part)
        ledger.record(outcome)
        on_outcome(outcome)
        if outcome.cause == "code" and not policy.keep_going:
            raise AnalysisError(outcome)
    return tuple(sorted(scheduler.servers.avoided))
