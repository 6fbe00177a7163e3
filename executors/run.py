"""The run loop: hand out the plan's items, take in outcomes as they come, stop at an error of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from ..errors import UserError
from .ledger import Ledger, Outcome
from .plan import WorkItem
from .pools import InlinePool
from .worker import RunItem

#: Items handed out ahead for each worker process: enough to keep it busy, few enough to stop quickly.
AHEAD = 3


class AnalysisError(UserError):
    """An error of the analysis code or its settings: it would fail on every item, so the run stops."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def run_plan(
    ledger: Ledger,
    work: RunItem,
    pool: Executor,
    *,
    workers: int,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> None:
    """Run every item of the ledger's plan that has no outcome yet on ``pool``, and record how it ended.

    An item whose file cannot be read is recorded as failed, and the run goes on with the others.

    Raises:
        AnalysisError: the analysis itself failed on an item; items not yet started are given up.
    """
    in_flight = 1 if isinstance(pool, InlinePool) else AHEAD * workers
    for outcome in _outcomes(ledger.open_items, work, pool, in_flight):
        ledger.record(outcome)
        on_outcome(outcome)
        if outcome.cause == "code":
            raise AnalysisError(outcome)


def _outcomes(items: tuple[WorkItem, ...], work: RunItem, pool: Executor, in_flight: int) -> Iterator[Outcome]:
    waiting = iter(items)
    running: set[Future] = set()
    while True:
        for item in waiting:
            running.add(pool.submit(work, item))
            if len(running) >= in_flight:
                break
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield _result(future)


def _result(future: Future) -> Outcome:
    """Return the outcome of an item. Work reports its own failures, so an exception here is the loss of a worker."""
    try:
        outcome: Outcome = future.result()
    except Exception as error:
        reason = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise UserError(
            f"A worker was lost ({reason}). Out of memory is the usual reason: run again with a smaller --chunksize or "
            f"fewer --workers. What was processed is in the ledger of the output folder."
        ) from error
    return outcome
