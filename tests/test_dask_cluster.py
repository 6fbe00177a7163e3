"""A Dask cluster whose parts are processes of their own: the scheduler dies, the workers see no shared disk."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import pytest
from mucoffea.errors import Interrupted
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import WorkItem
from mucoffea.executors.run import run_plan
from mucoffea.executors.worker import Work
from mucoffea.outputs.parts import Merger, PartStore
from mucoffea.processors.cms_four_lepton import FourLepton

from .support import plans
from .support.plans import done, make_plan

pytestmark = pytest.mark.slow
for module in (sys.modules[__name__], plans):
    cloudpickle.register_pickle_by_value(module)

Started = list[subprocess.Popen]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a ``dask`` command that finds the others by a file; all are killed at the end."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    started: Started = []

    def run(word: str, *words: str, before: tuple[str, ...] = ()) -> subprocess.Popen:
        command = [*before, sys.executable, "-m", f"distributed.cli.dask_{word}"]
        place = ["--scheduler-file", str(tmp_path / "scheduler.json")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
        started.append(subprocess.Popen([*command, *place, *words], env=environment, **quiet))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def connect(tmp_path: Path, start: Callable[..., subprocess.Popen]):
    """Start a scheduler and return it with a client."""
    from distributed import Client

    scheduler = start("scheduler", "--port", "0", "--dashboard-address", ":0")
    deadline = time.monotonic() + 30
    while not (tmp_path / "scheduler.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return scheduler, Client(scheduler_file=str(tmp_path / "scheduler.json"), timeout=30)


def slow(item: WorkItem) -> Outcome:
    """Take a moment."""
    time.sleep(0.1)
    return done(item)


@pytest.mark.filterwarnings("ignore")
def test_a_killed_scheduler_interrupts_the_run(tmp_path: Path, start):
    import dask
    import distributed  # its configuration must be there before a part of it is set

    assert distributed
    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        scheduler, client = connect(tmp_path, start)
        start("worker", "--nthreads", "1", "--no-dashboard")
        ledger = Ledger(make_plan(*(str(number) for number in range(60))), tmp_path / "ledger")

        def kill(outcome: Outcome) -> None:
            if ledger.counts()["done"] == 5:
                scheduler.kill()

        begun = time.monotonic()
        with pytest.raises(Interrupted, match="--resume"):
            run_plan(ledger, slow, client.get_executor(pure=False), workers=1, on_outcome=kill)
        assert time.monotonic() - begun < 60
        assert 5 <= ledger.counts()["done"] < 60
        assert ledger.counts()["failed"] == 0
        client.close(timeout=1)


@pytest.mark.filterwarnings("ignore")
def test_parts_travel_from_workers_that_see_another_disk(tmp_path: Path, start, toys: Path):
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(tmp_path / "out"))
    (tmp_path / "out").mkdir()
    if shutil.which("unshare") is None or subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("a worker with a disk of its own takes the right to mount one")
    plan = make_plan(*(str(number) for number in range(8)), replicas=(str(toys / "zz4l.root"),))
    items = tuple(
        item.model_copy(update={"tree": "Events", "metadata": {"kind": "mc", "era": None}}) for item in plan.items
    )
    plan = plan.model_copy(update={"items": items})
    results = []
    for name in ("here", "out"):
        store = PartStore(tmp_path / name / "parts")
        store.mark()
        ledger = Ledger(plan)
        work = Work(run_id=name, processor=FourLepton(), store=store)
        if name == "here":
            for item in plan.items:
                ledger.record(work(item))
        else:
            _, client = connect(tmp_path, start)
            start("worker", "--nthreads", "1", "--no-dashboard", before=hidden)
            sent: list[str] = []

            def keep(item: WorkItem, data: bytes, store: PartStore = store, sent: list[str] = sent) -> None:
                sent.append(item.key)
                store.put(item, data)

            run_plan(ledger, work, client.get_executor(pure=False), workers=1, on_part=keep)
            client.close()
            assert sorted(sent) == [item.key for item in plan.items]
        merger = Merger(tmp_path / name / "columns")
        for outcome in ledger.with_status("done"):
            item = plan.items[outcome.index]
            merger.add(item, store.path(item))
        merger.finish()
        results.append([store.path(item).read_bytes() for item in plan.items])
    assert results[0] == results[1]
