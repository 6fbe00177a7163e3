"""Run each contestant in a process of its own, several times, and print a table of the best figures."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

#: Prepares (imports, plan, input) and returns what is to be timed.
Contestant = Callable[[], Callable[[], dict[str, Any]]]


def measured(contestant: Contestant) -> dict[str, Any]:
    """Run ``contestant`` once and return its answer with wall and CPU seconds and the peak memory in MB."""
    action = contestant()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = action()
    return {
        **answer,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def contest(contestants: Mapping[str, Contestant], script: str, repeat: int) -> dict[str, dict[str, Any]]:
    """Run all contestants in turns, ``repeat`` times, and keep the least CPU, wall time and memory of each."""
    best: dict[str, dict[str, Any]] = {}
    # One thread each, so that CPU seconds are comparable.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    for _ in range(repeat):
        for name in contestants:
            output = subprocess.run(
                [sys.executable, script, "--one", name], capture_output=True, text=True, env=environment
            )
            if output.returncode:
                sys.exit(f"{name} failed:\n{output.stdout}{output.stderr}")
            answer = json.loads(output.stdout.splitlines()[-1])
            if name in best:
                for key in ("wall", "cpu", "memory"):
                    answer[key] = min(answer[key], best[name][key])
            best[name] = answer
    return best


def arguments() -> argparse.Namespace:
    """Parse ``--one NAME`` and ``--repeat N``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", help="run one contestant in this process and print its figures as JSON")
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def show(title: str, rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, Callable[[Any], str]]) -> None:
    """Print one row per contestant."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(value(row) for value in columns.values()))
    Console(width=120).print(table)
