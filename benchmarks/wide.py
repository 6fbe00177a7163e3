"""Wide files: what a chunk costs beyond its physics, with our run loop and with stock coffea.

    python benchmarks/wide.py

A toy of 1 500 branches and more, in small chunks of 500 events, so that the fixed cost is nearly all of it. The same
``cms_dimuon`` runs on both, with identical results. Opening the files and tracing the processor are included; physics
(the same processor on narrow files of the same events) is shown, and taken off in the last but one column.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uproot
from contestants import dimuon, folder, make_plan, run_ours, run_stock
from measure import arguments, contest, measured, show
from mucoffea.toys.cms_nanoaod import ToySpec, generate

CHUNK, FILES, CHUNKS_PER_FILE = 500, 2, 20
CHUNKS = FILES * CHUNKS_PER_FILE


Action = Callable[[], dict[str, Any]]


def inputs(content: str) -> list[Path]:
    spec = ToySpec(
        sample="dy",
        events=CHUNK * CHUNKS,
        seed=1,
        content=content,  # type: ignore[arg-type]
        files=FILES,
        basket_events=CHUNK * CHUNKS_PER_FILE,
    )
    return generate(spec, folder() / f"wide-{content}")


def summary(cutflow: Any, hists: Any) -> dict[str, Any]:
    return {"cutflow": cutflow, "sums": {name: one.sum(flow=True).value for name, one in hists.items()}}


def ours(content: str = "wide") -> Action:
    plan, processor = make_plan(inputs(content), CHUNK), dimuon()

    def action() -> dict[str, Any]:
        merged = run_ours(plan, processor)
        return summary(merged.numbers["dy"]["cutflow"], merged.histograms["dy"])

    return action


def stock() -> Action:
    plan, processor = make_plan(inputs("wide"), CHUNK), dimuon()

    def action() -> dict[str, Any]:
        out = run_stock(plan, processor)
        return summary(out["cutflow"], out["hists"])

    return action


CONTESTANTS = {"mucoffea": ours, "stock coffea": stock, "mucoffea, narrow file": lambda: ours("narrow")}


def main() -> None:
    options = arguments()
    if options.one:
        print(json.dumps(measured(CONTESTANTS[options.one]), default=float))
        return
    with uproot.open(inputs("wide")[0]) as file:
        branches = len(file["Events"].keys())
    inputs("narrow")
    found = contest(CONTESTANTS, __file__, options.repeat)
    one, peer, narrow = found.values()
    physics = narrow["cpu"] / CHUNKS
    for row in found.values():
        row["fixed"] = row["cpu"] / CHUNKS - physics
    show(
        f"{CHUNKS} chunks of {CHUNK} events, {FILES} files of {branches} branches (best of {options.repeat})",
        found,
        {
            "CPU s": lambda row: f"{row['cpu']:.2f}",
            "wall s": lambda row: f"{row['wall']:.2f}",
            "CPU s / chunk": lambda row: f"{row['cpu'] / CHUNKS:.3f}",
            "beyond the narrow file": lambda row: f"{row['fixed']:.3f}",
            "peak MB": lambda row: f"{row['memory']:.0f}",
        },
    )
    print(
        f"stock / mucoffea, CPU a chunk: {peer['fixed'] / one['fixed']:.1f} beyond the physics, "
        f"{peer['cpu'] / one['cpu']:.1f} with it"
    )
    same = one["cutflow"] == peer["cutflow"] and all(
        abs(one["sums"][name] - total) <= 1e-12 * abs(total) for name, total in peer["sums"].items()
    )
    print(f"identical results: {same}")


if __name__ == "__main__":
    main()
