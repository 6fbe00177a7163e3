"""Which work item runs next, and which runs again.

An error of the analysis is the user's: it ends its item at once. A file that cannot be read, a server that does not
answer and a worker that dies are not: the item is tried again, after a pause, on another replica if there is one.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field

from .ledger import Outcome
from .plan import WorkItem
from .pools import InlinePool, ProcessPool, WorkerLost, result_of
from .replicas import Servers
from .worker import RunItem

#: Items handed out ahead for each worker process: enough to keep it busy, few enough to stop quickly.
AHEAD = 3
#: Seconds after which a wait looks up.
PULSE = 0.5


@dataclass(frozen=True)
class Policy:
    """What to do when an item fails.

    Args:
        attempts: how often an item is read (more often where it has more replicas), and how many workers may die of
            it, before it counts as failed.
        pause: seconds before the second attempt; doubled for each further one.
        keep_going: go on after an error of the analysis.
    """

    attempts: int = 3
    pause: float = 1.0
    keep_going: bool = False


@dataclass
class Task:
    """An item on its way to an outcome."""

    item: WorkItem
    #: Replicas read in vain, one for each attempt.
    tried: list[str] = field(default_factory=list)
    #: The replica that it is read from now.
    replica: str = ""
    #: Workers that died of it.
    deaths: int = 0

    @property
    def index(self) -> int:
        """Place of the item in the plan."""
        return self.item.index


class Scheduler:
    """Hands out items and yields how each ended; holds what waits, what runs, and what was learned of the servers.

    Args:
        items: in plan order.
        work: what a worker does with an item.
        pool: where it does so.
        workers: number of worker processes.
        policy: what to do when an item fails.
        on_retry: called with the outcome of an attempt that will be repeated.
        checkpoint: called before each wait and at least every :data:`PULSE` seconds; what it raises ends the run.
    """

    def __init__(
        self,
        items: tuple[WorkItem, ...],
        work: RunItem,
        pool: Executor,
        workers: int,
        policy: Policy,
        on_retry: Callable[[Outcome], None],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.servers = Servers()
        self._work, self._pool, self._workers = work, pool, workers
        self._policy, self._on_retry, self._checkpoint = policy, on_retry, checkpoint
        self._room = 1 if isinstance(pool, InlinePool) else AHEAD * workers
        self._fresh = iter(items)
        #: A heap of tasks that pause before another attempt: moment of the next, s; index; task.
        self._paused: list[tuple[float, int, Task]] = []
        #: In flight when a worker died. They run one at a time, so that the next death has one cause.
        self._suspects: deque[Task] = deque()
        self._alone: Task | None = None
        #: In the order in which they were handed out, which is the order in which workers start them.
        self._running: dict[Future, Task] = {}

    def outcomes(self) -> Iterator[tuple[WorkItem, Outcome]]:
        """Yield each item with its final outcome, as they end."""
        while True:
            self._checkpoint()
            yield from self._hand_out()
            if not (self._running or self._paused or self._suspects):
                return
            seconds = self._seconds_to_next()
            if not self._running:
                time.sleep(seconds)
                continue
            done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: self._running[one].index):
                if future in self._running:  # else it went with the pool that another one broke
                    yield from self._take(future)

    def _seconds_to_next(self) -> float:
        """Return how long to wait: until a paused task may start, if there is one and room for it."""
        if not self._paused or self._suspects or len(self._running) >= self._room:
            return PULSE
        return min(PULSE, max(0.0, self._paused[0][0] - time.monotonic()))

    def _hand_out(self) -> Iterator[tuple[WorkItem, Outcome]]:
        """Submit what may start now; yield the items that no server is left for."""
        while (task := self._next()) is not None:
            replica = self.servers.choose(task.item, task.tried)
            if replica is None:
                yield task.item, self._refused(task)
                continue
            task.replica = replica
            try:
                future = self._pool.submit(self._work, task.item.reading(replica))
            except WorkerLost:
                # The pool broke since the last result. Those in flight tell; without any, it is new workers.
                self._pause(task, 0.0)
                if not self._running and isinstance(self._pool, ProcessPool):
                    self._pool.restart()
                return
            self._running[future] = task

    def _next(self) -> Task | None:
        if self._suspects:
            self._alone = None if self._running else self._suspects.popleft()
            return self._alone
        alone = any(task is self._alone for task in self._running.values())
        if alone or len(self._running) >= self._room:
            return None
        if self._paused and self._paused[0][0] <= time.monotonic():
            return heapq.heappop(self._paused)[2]
        item = next(self._fresh, None)
        return None if item is None else Task(item)

    def _take(self, future: Future) -> Iterator[tuple[WorkItem, Outcome]]:
        """Take in a finished call; yield its outcome if that is final."""
        try:
            outcome: Outcome = result_of(future)
        except WorkerLost as loss:
            yield from self._bury(future, loss)
            return
        task = self._running.pop(future)
        if outcome.cause == "read":
            task.tried.append(task.replica)
            self.servers.failed(task.replica)
            if self._may_read_again(task, outcome):
                self._on_retry(outcome.model_copy(update={"attempts": len(task.tried)}))
                self._pause(task, self._policy.pause * 2 ** (len(task.tried) - 1))
                return
        elif outcome.status == "done":
            self.servers.answered(task.replica)
        attempts = len(task.tried) + task.deaths + (outcome.cause != "read")
        yield task.item, outcome.model_copy(update={"attempts": attempts})

    def _may_read_again(self, task: Task, outcome: Outcome) -> bool:
        if set(task.item.replicas) - set(task.tried):
            return True
        return outcome.transient and len(task.tried) < max(self._policy.attempts, len(task.item.replicas))

    def _pause(self, task: Task, seconds: float) -> None:
        heapq.heappush(self._paused, (time.monotonic() + seconds, task.index, task))

    def _bury(self, future: Future, loss: WorkerLost) -> Iterator[tuple[WorkItem, Outcome]]:
        """Deal with the death of a worker: new workers, and another chance for what was in flight."""
        if isinstance(self._pool, ProcessPool):
            # The death of one ends all that are in flight; a result that came before it still counts.
            broken = [one for one in self._running if not one.done() or one.exception() is not None]
            tasks = [self._running.pop(one) for one in broken]
            self._pool.restart()
            if len(tasks) > 1:
                # Only the first, as many as there are workers and one in the pipe, can have been running.
                self._suspects.extend(tasks[: self._workers + 1])
                for waiting in tasks[self._workers + 1 :]:
                    self._pause(waiting, 0.0)
                return
            (task,) = tasks
        else:
            task = self._running.pop(future)
        task.deaths += 1
        outcome = _death(task, loss)
        if task.deaths >= self._policy.attempts:
            yield task.item, outcome
            return
        self._on_retry(outcome)
        time.sleep(self._policy.pause)
        self._suspects.append(task)

    def _refused(self, task: Task) -> Outcome:
        names = ", ".join(sorted(self.servers.avoided))
        return Outcome(
            index=task.index,
            status="failed",
            cause="read",
            attempts=len(task.tried),
            message=f"Could not read {task.item}: not tried again, as {names} failed for other files too.",
        )


def _death(task: Task, loss: WorkerLost) -> Outcome:
    return Outcome(
        index=task.index,
        status="failed",
        cause="worker",
        attempts=len(task.tried) + task.deaths,
        message=f"A worker died while it processed {task.item}, {task.deaths} times ({loss}). Out of memory is the "
        f"usual reason: try a smaller --chunksize or fewer --workers, with --retry-failed.",
    )
