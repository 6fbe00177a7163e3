"""A run of 100 000 work items without physics: planned, half done, taken over, finished, merged, checked.

    python tests/support/load.py FOLDER

Prints wall and CPU seconds of each step, and the peak memory of the client and of a worker, as JSON. There are no input
files: results are made up, such that their sum is known. Everything else is as in a run: parts are written by two
processes, each flushed to the disk.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pyarrow.parquet as pq
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import Plan, WorkItem, build_plan
from mucoffea.filesets.models import Dataset, FileEntry, Fileset
from mucoffea.histograms import Histogram
from mucoffea.outputs.columns import table
from mucoffea.outputs.parts import Merged, Merger, PartStore

DATASETS, FILES, CHUNKS, CHUNKSIZE = 20, 50, 100, 10_000
ITEMS = DATASETS * FILES * CHUNKS
#: Every so many items have columns.
COLUMNS_EVERY = 10
ROWS = 3
WORKERS, WRITERS = 2, 4
BATCH = 500
MASS = Histogram(name="mass", label="m", bins=60, start=60, stop=120)
BRANCHES = tuple(f"Muon_{number}" for number in range(20))


def make_plan() -> Plan:
    """Plan 20 data sets of 50 files of 100 chunks."""
    filesets = []
    for number in range(DATASETS):
        lfns = [f"/store/mc/{number}/{file}.root" for file in range(FILES)]
        name = f"dataset_{number}"
        entries = [
            FileEntry(
                lfn=lfn, replicas=(f"root://one/{lfn}", f"root://two/{lfn}"), entries=CHUNKS * CHUNKSIZE, uuid=lfn
            )
            for lfn in lfns
        ]
        filesets.append(Fileset(dataset=Dataset(name=name, kind="mc", process="p", files=tuple(lfns)), files=entries))
    return build_plan(filesets, chunksize=CHUNKSIZE, run_key="0" * 64)


@lru_cache
def histogram(dataset: str, thread: int) -> hist.Hist:
    """Return the histogram of a dataset, made once in each thread: the cost of physics is not measured here."""
    return MASS.create(dataset, ("z", "same_sign"), ("nominal", "uncorrected"))


def result(item: WorkItem) -> dict[str, dict[str, Any]]:
    """Return what a processor might: the sums over all items are those of the indices."""
    mass = histogram(item.dataset, threading.get_ident())
    values = mass.view()["value"]
    values[...] = 0
    values[0, 0, 0, item.index % 60] = item.index
    entry: dict[str, Any] = {
        "sumw": float(item.index),
        "events": len(item),
        "cutflow": {cut: {"n": item.index, "sumw": 0.5 * item.index, "sumw2": 0.25} for cut in ("all", "two", "mass")},
        "hists": {"mass": mass},
        "counters": {"muon_id": {"out_of_range": 1}},
    }
    if item.index % COLUMNS_EVERY == 0:
        entry["columns"] = table(event=np.full(ROWS, item.index), mass=np.full(ROWS, 91.0, dtype="f4"))
    return {item.dataset: entry}


def write_parts(store: PartStore, items: list[WorkItem]) -> list[Outcome]:
    """Write the parts of ``items``; the disk is waited for in several threads."""

    def write(item: WorkItem) -> Outcome:
        store.write(item, result(item))
        return Outcome(index=item.index, status="done", events=len(item), branches=BRANCHES, host="here")

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(write, items))


def process(ledger: Ledger, store: PartStore, items: tuple[WorkItem, ...]) -> float:
    """Do ``items`` on two processes, record them, and return the peak memory of a worker."""
    batches = [list(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        for outcomes in pool.map(write_parts, [store] * len(batches), batches):
            for outcome in outcomes:
                ledger.record(outcome)
        return pool.submit(peak_memory).result()


def merge(ledger: Ledger, store: PartStore, folder: Path) -> Merged:
    """Merge what is done, as at the end of a run."""
    merger = Merger(folder / "columns")
    for outcome in ledger.with_status("done"):
        item = ledger.plan.items[outcome.index]
        merger.add(item, store.path(item))
    return merger.finish(entries={(item.dataset, item.lfn): CHUNKS * CHUNKSIZE for item in ledger.plan.items})


def check(merged: Merged) -> None:
    """Compare the merged result with the sums that are known."""
    total = ITEMS * (ITEMS - 1) // 2
    numbers = merged.numbers.values()
    _equal(sum(one["sumw"] for one in numbers), float(total))
    _equal(sum(one["events"] for one in numbers), ITEMS * CHUNKSIZE)
    _equal(sum(one["cutflow"]["mass"]["n"] for one in numbers), total)
    _equal(sum(one["counters"]["muon_id"]["out_of_range"] for one in numbers), ITEMS)
    mass = sum(
        one["mass"][{"dataset": name, "region": "z", "variation": "nominal"}].values()
        for name, one in merged.histograms.items()
    )
    _equal(mass.tolist(), [1.0 * sum(range(place, ITEMS, 60)) for place in range(60)])
    events = [index for path in merged.columns.values() for index in pq.read_table(path)["event"].to_pylist()]
    _equal(events, [index for index in range(0, ITEMS, COLUMNS_EVERY) for _ in range(ROWS)])


def _equal(found: Any, expected: Any) -> None:
    if found != expected:
        raise RuntimeError(f"merged to {found}, expected {expected}")


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_memory() -> float:
    """Return the peak memory of this process in MB.

    What ``getrusage`` says of a process includes its parent's memory at the moment of the fork.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


@contextmanager
def timed(steps: dict[str, list[float]], name: str) -> Iterator[None]:
    """Add the wall and CPU seconds of a step to ``steps``."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    yield
    steps[name] = [time.perf_counter() - wall, cpu_seconds() - cpu]


def main(folder: Path) -> dict[str, Any]:
    """Do it all in ``folder`` and return the figures."""
    steps: dict[str, list[float]] = {}
    store = PartStore(folder / "parts")
    with timed(steps, "plan"):
        plan = make_plan()
        plan.write(folder / "plan.json")
        store.mark()
    _equal(len(plan.items), ITEMS)
    first = Ledger(plan, folder / "ledger.sqlite")
    with timed(steps, "first half"):
        process(first, store, first.open_items[: ITEMS // 2])
    first.close()
    with timed(steps, "resume"):
        second = Ledger(make_plan(), folder / "ledger.sqlite")
        _equal(second.take_over(store.check), ITEMS // 2)
    with timed(steps, "second half"):
        worker = process(second, store, second.open_items)
    with timed(steps, "merge"):
        merged = merge(second, store, folder)
    with timed(steps, "ledger"):
        second.write(folder / "ledger.json")
        second.close()
    check(merged)
    return {"steps": steps, "client_MB": peak_memory(), "worker_MB": worker}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
