"""What is tried again, where, how often – and what is not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import cloudpickle
import pytest
from mucoffea.errors import Interrupted, UserError
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import WorkItem
from mucoffea.executors.pools import InlinePool, open_pool, result_of
from mucoffea.executors.replicas import PATIENCE, Servers
from mucoffea.executors.run import AnalysisError, DiskFullError, run_plan
from mucoffea.executors.scheduler import Policy

from .support import plans
from .support.plans import Behaviour, done, make_plan, unread

# Worker processes cannot import test modules.
for module in (sys.modules[__name__], plans):
    cloudpickle.register_pickle_by_value(module)
QUICK = Policy(pause=0.001)
MIRRORS = ("root://one.org//f", "root://two.org//f", "root://three.org//f")


def run(ledger: Ledger, work: Behaviour, policy: Policy = QUICK, **more: object) -> tuple[str, ...]:
    return run_plan(ledger, work, InlinePool(), workers=1, policy=policy, **more)  # type: ignore[arg-type]


def test_an_error_of_the_analysis_runs_once_and_stops_the_run():
    calls: list[int] = []

    def work(item: WorkItem) -> Outcome:
        calls.append(item.index)
        bad = item.index == 2
        return Outcome(index=2, status="failed", cause="code", message="KeyError") if bad else done(item)

    ledger = Ledger(make_plan(*"abcde"))
    with pytest.raises(AnalysisError, match="KeyError"):
        run(ledger, work)
    assert calls == [0, 1, 2]
    assert ledger.counts() == {"done": 2, "failed": 1, "lost": 2}
    going = Ledger(make_plan(*"abcde"))
    calls.clear()
    run(going, work, Policy(keep_going=True))
    assert calls == [0, 1, 2, 3, 4]
    assert going.counts() == {"done": 4, "failed": 1, "lost": 0}


def test_a_replica_that_fails_is_followed_by_another():
    calls: list[str] = []

    def work(item: WorkItem) -> Outcome:
        calls.append(item.path)
        return done(item) if "three" in item.path else unread(item)

    ledger = Ledger(make_plan("a", replicas=MIRRORS))
    run(ledger, work)
    assert calls == list(MIRRORS)
    (outcome,) = ledger.with_status("done")
    assert (outcome.attempts, outcome.path) == (3, MIRRORS[2])


@pytest.mark.parametrize(
    ("replicas", "transient", "attempts"),
    [(("/a",), False, 1), (("/a",), True, 3), (("/a", "/b"), False, 2), (("/a", "/b", "/c", "/d"), True, 4)],
)
def test_reading_is_tried_as_often_as_it_makes_sense(replicas, transient: bool, attempts: int, tmp_path: Path):
    calls: Counter[str] = Counter()

    def work(item: WorkItem) -> Outcome:
        calls[item.path] += 1
        return unread(item, transient=transient)

    ledger = Ledger(make_plan("a", replicas=replicas))
    run(ledger, work)
    assert calls.total() == attempts
    assert set(calls) == set(replicas)
    (outcome,) = ledger.with_status("failed")
    assert outcome.attempts == attempts
    ledger.write(tmp_path / "ledger.json")
    assert (tmp_path / "ledger.json").read_text().count("no answer from") == attempts


def test_the_pause_grows():
    begun: list[float] = []

    def work(item: WorkItem) -> Outcome:
        begun.append(time.monotonic())
        return unread(item)

    run(Ledger(make_plan("a")), work, Policy(pause=0.1))
    first, second = (later - earlier for earlier, later in pairwise(begun))
    assert 0.1 <= first < second
    assert second >= 0.2


def test_other_items_run_during_a_pause():
    order: list[int] = []

    def work(item: WorkItem) -> Outcome:
        order.append(item.index)
        return unread(item) if order.count(0) == 1 and item.index == 0 else done(item)

    run(Ledger(make_plan(*"abcd")), work, Policy(pause=0.05))
    assert order == [0, 1, 2, 3, 0]


def test_a_server_that_keeps_failing_is_avoided():
    calls: Counter[str] = Counter()

    def work(item: WorkItem) -> Outcome:
        calls[item.path.split("/")[2]] += 1
        return done(item) if "two" in item.path else unread(item)

    many = tuple(f"{one}{{index}}" for one in MIRRORS[:2])
    ledger = Ledger(make_plan(*"abcdefghijkl", replicas=many))
    assert run(ledger, work, Policy(pause=0.05)) == ("one.org",)
    assert ledger.counts()["done"] == 12
    assert calls == {"one.org": PATIENCE, "two.org": 12}
    # Without any other replica the rest is not even tried.
    calls.clear()
    alone = Ledger(make_plan(*"abcdefghijkl", replicas=many[:1]))
    run(alone, work, Policy(pause=0.05))
    assert calls == {"one.org": PATIENCE}
    assert alone.counts()["failed"] == 12
    assert "one.org failed for other files too" in alone.with_status("failed")[-1].message


def test_what_makes_a_server_avoided():
    servers = Servers()
    (item,) = make_plan("a", replicas=MIRRORS).items
    for number in range(PATIENCE):
        servers.failed(f"{MIRRORS[0]}{number}")
        servers.answered(MIRRORS[0])
    # One file that is gone, asked for again and again, says nothing of the others.
    for _ in range(2 * PATIENCE):
        servers.failed(MIRRORS[0])
    assert servers.choose(item) == MIRRORS[0]
    for number in range(2 * PATIENCE):
        servers.failed(f"/local/file{number}.root")
    assert not servers.avoided
    for number in range(PATIENCE):
        servers.failed(f"root://user:secret@one.org:1094//f{number}")
    assert servers.avoided == {"one.org:1094"}


def test_a_full_disk_stops_the_run_and_leaves_the_item_open():
    def work(item: WorkItem) -> Outcome:
        return Outcome(index=item.index, status="failed", cause="disk", message="full") if item.index else done(item)

    ledger = Ledger(make_plan(*"abc"))
    with pytest.raises(DiskFullError, match="--resume"):
        run(ledger, work)
    assert ledger.counts() == {"done": 1, "failed": 0, "lost": 2}


def test_results_that_travel_are_stored_before_they_count():
    stored: list[tuple[str, bytes, int]] = []
    ledger = Ledger(make_plan(*"ab"))

    def keep(item: WorkItem, part: bytes) -> None:
        stored.append((item.key, part, ledger.counts()["done"]))

    run(ledger, lambda item: done(item).model_copy(update={"part": item.key.encode()}), on_part=keep)
    assert stored == [("a", b"a", 0), ("b", b"b", 1)]
    assert all(not outcome.part for outcome in ledger.with_status("done"))


class Deadly:
    """Work that kills its worker at some items, as often as it is told; it counts in files, which survive."""

    def __init__(self, folder: Path, deaths: dict[int, int]) -> None:
        self.folder, self.deaths = folder, deaths

    def __call__(self, item: WorkItem) -> Outcome:
        """Die, or succeed."""
        attempt = len(list(self.folder.glob(f"{item.index}-*")))
        (self.folder / f"{item.index}-{attempt}").touch()
        if attempt < self.deaths.get(item.index, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        return done(item)


def test_the_run_survives_the_death_of_a_worker(tmp_path: Path):
    ledger = Ledger(make_plan(*(str(number) for number in range(14))))
    work = Deadly(tmp_path, {3: 1, 9: 2})
    with open_pool("futures", 2) as pool:
        run_plan(ledger, work, pool, workers=2, policy=Policy(pause=0.01))
    assert ledger.counts() == {"done": 14, "failed": 0, "lost": 0}
    # Only what was in flight, three items for each worker, ran again.
    assert len(list(tmp_path.iterdir())) <= 14 + 3 * 6


def test_an_item_that_kills_every_worker_fails_alone(tmp_path: Path):
    ledger = Ledger(make_plan(*(str(number) for number in range(8))))
    with open_pool("futures", 2) as pool:
        run_plan(ledger, Deadly(tmp_path, {4: 99}), pool, workers=2, policy=Policy(pause=0.01))
    (failed,) = ledger.with_status("failed")
    assert (failed.index, failed.cause) == (4, "worker")
    assert "entries 40–50" in failed.message
    assert "--retry-failed" in failed.message
    assert ledger.counts()["done"] == 7
    # Once with others, then alone.
    assert len(list(tmp_path.glob("4-*"))) in (3, 4)


def test_a_scheduler_that_is_gone_interrupts():
    for error in (OSError("Timed out trying to connect"), TimeoutError()):
        future: Future = Future()
        future.set_exception(error)
        with pytest.raises(Interrupted, match="--resume"):
            result_of(future)
    cancelled: Future = Future()
    cancelled.cancel()
    with pytest.raises(Interrupted):
        result_of(cancelled)


class NotLoadable:
    """Fails to be unpickled, as an analysis in a module that the worker does not find."""

    def __reduce__(self):
        return (exec, ("import no_such_module",))

    def __call__(self, item: WorkItem) -> Outcome:
        raise AssertionError


def test_an_analysis_that_the_worker_cannot_load_is_no_death():
    ledger = Ledger(make_plan(*"abc"))
    start = time.monotonic()
    with open_pool("futures", 2) as pool, pytest.raises(UserError, match=r"no_such_module.*PYTHONPATH"):
        run_plan(ledger, NotLoadable(), pool, workers=2)
    assert time.monotonic() - start < 10
