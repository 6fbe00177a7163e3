"""What the ledger and the parts cost: the same run with them, and with results kept in memory and added up there.

    python benchmarks/parts.py

One toy file of 1 M events (that of ``narrow.py``), ``cms_dimuon`` with all corrections, one process. The contestants
take turns, each time in a process of their own. Chunks of 100 k events are the default of a run; those of 10 k show the
cost where there are ten times as many parts. Also counts how often two runs open their input for metadata.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import uproot
from coffea.processor import accumulate
from contestants import dimuon, folder, make_plan
from measure import measured
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import Plan, WorkItem
from mucoffea.executors.pools import open_pool
from mucoffea.executors.run import run_plan
from mucoffea.executors.worker import Work
from mucoffea.outputs.parts import Merger, PartStore
from mucoffea.toys.cms_nanoaod import ToySpec, generate
from rich.console import Console
from rich.table import Table

EVENTS = 1_000_000
CHUNKS = (100_000, 10_000)


class InMemory:
    """A store that keeps and adds up results, as an executor without parts does."""

    def __init__(self) -> None:
        self.total: Any = None

    def reachable(self) -> bool:
        return True

    def write(self, item: WorkItem, result: dict[str, Any]) -> None:  # noqa: ARG002
        self.total = result if self.total is None else accumulate([result], self.total)


class NoLedger(Ledger):
    """Outcomes in memory alone."""

    def record(self, outcome: Outcome) -> None:
        self._outcomes[outcome.index] = outcome


def inputs() -> list[Path]:
    spec = ToySpec(sample="dy", events=EVENTS, seed=1, content="narrow", basket_events=100_000, compression="zstd")
    return generate(spec, folder() / "narrow")


def with_parts(plan: Plan, processor: Any, out: Path) -> dict[str, Any]:
    """A run as the command line does it: ledger, a part for each item, merged from the disk."""
    plan.write(out / "plan.json")
    store = PartStore(out / "parts")
    store.mark()
    ledger = Ledger(plan, out / "ledger.sqlite")
    with open_pool("iterative", 1) as pool:
        run_plan(ledger, Work(run_id="b", processor=processor, store=store), pool, workers=1)
    merger = Merger(out / "columns")
    for outcome in ledger.with_status("done"):
        item = plan.items[outcome.index]
        merger.add(item, store.path(item))
    merged = merger.finish()
    ledger.write(out / "ledger.json")
    ledger.close()
    return summary(merged.numbers["dy"]["cutflow"], merged.histograms["dy"])


def in_memory(plan: Plan, processor: Any, out: Path) -> dict[str, Any]:  # noqa: ARG001
    """The same run loop without anything on disk."""
    store = InMemory()
    with open_pool("iterative", 1) as pool:
        run_plan(NoLedger(plan), Work(run_id="b", processor=processor, store=store), pool, workers=1)
    return summary(store.total["dy"]["cutflow"], store.total["dy"]["hists"])


def summary(cutflow: Any, hists: Any) -> dict[str, Any]:
    return {"selected": cutflow["mass_window"]["n"], "sum": hists["mass"].sum(flow=True).value}


CONTESTANTS = {"ledger and parts": with_parts, "in memory": in_memory}


def one(name: str, chunk: int) -> dict[str, Any]:
    """Run a contestant in this process and return its figures."""
    plan, processor = make_plan(inputs(), chunk), dimuon()
    with tempfile.TemporaryDirectory() as out:
        return measured(lambda: lambda: CONTESTANTS[name](plan, processor, Path(out)))


def opened_for_metadata() -> list[int]:
    """Return how often the first and the second of two equal runs of the command line open their input for metadata.

    Chunks are read by worker processes; whatever this process opens is for metadata.
    """
    from mucoffea import cli

    (path,), opened, plain = inputs(), [], uproot.open

    def counting(*arguments: Any, **options: Any) -> Any:
        opened[-1] += 1
        return plain(*arguments, **options)

    with tempfile.TemporaryDirectory() as name, mock.patch.object(uproot, "open", counting):
        os.environ["MUCOFFEA_CACHE"] = f"{name}/cache"
        for out in ("first", "second"):
            opened.append(0)
            words = ["--datasets", str(path), "--processor", "cms_dimuon", "--executor", "futures", "--workers", "1"]
            if cli.main([*words, "--no-plots", "--output-dir", f"{name}/{out}"]):
                raise RuntimeError(f"the {out} run failed")
    return opened


def in_own_process(*words: str) -> Any:
    """Run this script with ``words`` and return the JSON on the last line that it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    ended = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, env=environment)
    if ended.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{ended.stdout}{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def compare(chunk: int, repeat: int) -> tuple[str, ...]:
    """Let the contestants take turns and return a row of the table."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for _ in range(repeat):
        for name in CONTESTANTS:
            found[name].append(in_own_process("--one", name, "--chunk", str(chunk)))
    parts, memory = found.values()
    if {(row["selected"], row["sum"]) for row in (*parts, *memory)} != {(parts[0]["selected"], parts[0]["sum"])}:
        sys.exit(f"different results: {parts[0]}, {memory[0]}")
    row = [f"{chunk:,}", f"{EVENTS // chunk}"]
    for key in ("cpu", "wall"):
        one, other = ([run[key] for run in runs] for runs in (parts, memory))
        turns = statistics.median(a / b for a, b in zip(one, other, strict=True))
        row += [f"{min(one):.2f}", f"{min(other):.2f}", f"{min(one) / min(other):.3f}", f"{turns:.3f}"]
    return tuple(row)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", help="run one contestant in this process and print its figures as JSON")
    parser.add_argument("--opened", action="store_true", help="print how often two runs open their input for metadata")
    parser.add_argument("--chunk", type=int, default=CHUNKS[0])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.chunk)))
    elif options.opened:
        print(json.dumps(opened_for_metadata()))
    else:
        inputs()
        table = Table(title=f"{EVENTS:,} events; seconds are the best of {options.repeat}", title_justify="left")
        for name in ("chunk", "parts"):
            table.add_column(name, justify="right")
        for clock in ("CPU", "wall"):
            for name in (f"{clock} s, parts", "in memory", "ratio of the best", "median ratio of a turn"):
                table.add_column(name, justify="right")
        for chunk in CHUNKS:
            table.add_row(*compare(chunk, options.repeat))
        Console(width=140).print(table)
        first, second = in_own_process("--opened")
        print(f"input files opened for metadata: {first} times by a first run, {second} times by a second")


if __name__ == "__main__":
    main()
