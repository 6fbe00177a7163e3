"""What several cutsets and a scan cost in one pass over Mu2e events, and how that compares with plain awkward arrays.

    python benchmarks/mu2e_cutsets.py

A toy file is read for every measurement, as in a run. The contestants take turns; the best time of each counts. The
plain one (``mu2e_awkward.py``) handles one cutset at a time. Counts must agree.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mu2e_awkward
import uproot
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_parameters import CosmicParameters
from mucoffea.schemas.eventntuple import EventNtuple
from mucoffea.toys.mu2e_files import generate
from mucoffea.toys.mu2e_spec import ToySpec
from rich.console import Console
from rich.table import Table

CUTSETS = ("alpha", "beta", "SU2020b", "SU2020e", "dev")
SCAN = {"lo_trkqual": {"start": 0.05, "stop": 0.95, "n": 20}}
METADATA = {"dataset": "bench", "kind": "mc", "on_spill": True}


def read(path: Path, then: Callable[[Any], Any]) -> tuple[float, Any]:
    """Return seconds and result of ``then`` on all events of a file, opened anew."""
    began = time.perf_counter()
    with uproot.open(path) as file:
        columns = EventNtuple.columns(file["EventNtuple/ntuple"])
        entries = file["EventNtuple/ntuple"].num_entries
        events = EventNtuple.from_file(columns, start=0, stop=entries, metadata=METADATA)
        result = then(events)
    return time.perf_counter() - began, result


def agree(ours: dict[str, Any], plain: tuple[Any, ...]) -> None:
    """Make sure that both count the same events and fill the same histograms."""
    flow, stages, hists = plain
    counts = ours["counters"]["mu2e"]["alpha"]
    assert {cut: row["n"] for cut, row in counts["cutflow"].items()} == flow
    assert counts["stages"] == stages
    for name, histogram in hists.items():
        for stage in stages:
            theirs = histogram["bench", stage, "nominal", :].sum(flow=True).value
            assert ours["hists"][name]["bench", f"alpha/{stage}", "nominal", :].sum(flow=True).value == theirs, name


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    one = CosmicBackground()
    several = CosmicBackground(CosmicParameters(cutsets=CUTSETS, scans=SCAN))
    (cutset,) = one.parameters.resolved()
    contestants: dict[str, Callable[[Any], Any]] = {
        "one cutset": lambda events: one.process(events)["bench"],
        "five cutsets, scan of 20": lambda events: several.process(events)["bench"],
        "plain awkward, one cutset": lambda events: mu2e_awkward.process(events, cutset),
    }
    best = dict.fromkeys(contestants, float("inf"))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        spec = ToySpec(sample="cosmic", events=chosen.events, enriched=0.05)
        (path,) = generate(spec, Path(folder))
        for _ in range(chosen.rounds):
            for name, contestant in contestants.items():
                seconds, results[name] = read(path, contestant)
                best[name] = min(best[name], seconds)
    agree(results["one cutset"], results["plain awkward, one cutset"])
    table = Table("contestant", "s", "events/s", "to one cutset", title=f"{chosen.events:,} events, one process")
    for name, seconds in best.items():
        ratio = seconds / best["one cutset"]
        table.add_row(name, f"{seconds:.2f}", f"{chosen.events / seconds:,.0f}", f"{ratio:.2f}")
    Console().print(table)
    plain = best["plain awkward, one cutset"] / best["five cutsets, scan of 20"]
    thresholds = len(CUTSETS) * (1 + SCAN["lo_trkqual"]["n"])
    print(f"Five plain passes, one a cutset, take {plain * len(CUTSETS):.1f} times as long as the one pass;")
    print(f"with a pass for each threshold of the scan, {thresholds} passes, {plain * thresholds:.0f} times.")


if __name__ == "__main__":
    main()
