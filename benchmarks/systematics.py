"""Systematics: ``cms_dimuon`` nominal, with all weight variations, and with all variations, against the same by hand.

    python benchmarks/systematics.py

The input of ``narrow.py``: one toy file of 1 M events, chunks of 100 k events, one process. 14 weight variations and 4
shape variations. The last column is what the variations cost, in units of the nominal run; what each needs anyway is a
pass over the objects for each shape variation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from contestants import dimuon, make_plan, run_ours, run_stock
from handwritten_systematics import HandwrittenSystematics
from measure import arguments, contest, measured, show
from narrow import CHUNK, EVENTS, inputs

REQUESTS = ("none", "weights", "all")
SHAPE_VARIATIONS = 4
FILES = ("muon_id", "muon_momentum", "pileup")
Action = Callable[[], dict[str, Any]]


def summary(cutflow: Any, mass: Any) -> dict[str, Any]:
    names = sorted(mass.axes["variation"])
    place = {"dataset": "dy", "region": "z"}
    peaks = {name: float(mass[{**place, "variation": name}].sum().value) for name in names}
    return {"selected": cutflow["mass_window"]["n"], "sums": peaks}


def ours(request: str) -> Callable[[], Action]:
    def prepare() -> Action:
        plan, processor = make_plan(inputs(), CHUNK), dimuon(request)

        def action() -> dict[str, Any]:
            merged = run_ours(plan, processor)
            return summary(merged.numbers["dy"]["cutflow"], merged.histograms["dy"]["mass"])

        return action

    return prepare


def by_hand(request: str) -> Callable[[], Action]:
    def prepare() -> Action:
        plan, records = make_plan(inputs(), CHUNK), dimuon().eras["demo"].corrections
        processor = HandwrittenSystematics(*(str(records[name].path) for name in FILES), request)

        def action() -> dict[str, Any]:
            out = run_stock(plan, processor)
            return summary(out["cutflow"], out["hists"]["mass"])

        return action

    return prepare


CONTESTANTS = {
    **{f"mucoffea, {request}": ours(request) for request in REQUESTS},
    **{f"by hand, {request}": by_hand(request) for request in REQUESTS},
}


def main() -> None:
    options = arguments()
    if options.one:
        print(json.dumps(measured(CONTESTANTS[options.one])))
        return
    inputs()
    found = contest(CONTESTANTS, __file__, options.repeat)
    for name, row in found.items():
        who, request = name.split(", ")
        row["nominal"] = found[f"{who}, none"]["cpu"]
        row["peer"] = found[f"by hand, {request}"]["cpu"]
    show(
        f"{EVENTS:,} events, chunks of {CHUNK:,} (best of {options.repeat})",
        found,
        {
            "variations": lambda row: f"{len(row['sums'])}",
            "CPU s": lambda row: f"{row['cpu']:.2f}",
            "wall s": lambda row: f"{row['wall']:.2f}",
            "kevents/s (CPU)": lambda row: f"{EVENTS / row['cpu'] / 1000:.0f}",
            "CPU / by hand": lambda row: f"{row['cpu'] / row['peer']:.2f}",
            "CPU / nominal": lambda row: f"{row['cpu'] / row['nominal']:.2f}",
            "peak MB": lambda row: f"{row['memory']:.0f}",
        },
    )
    one, peer = found["mucoffea, all"]["sums"], found["by hand, all"]["sums"]
    worst = max(abs(one[name] / value - 1) for name, value in peer.items())
    more = found["mucoffea, all"]["cpu"] / found["mucoffea, none"]["cpu"]
    print(
        f"{len(peer)} variations of both, {len(set(one) - set(peer))} of one alone; largest difference of the yield in "
        f"the mass window: {worst:.1e}.\nAll variations cost {more:.2f} times the nominal run; "
        f"shape variations + 1 is {SHAPE_VARIATIONS + 1}."
    )


if __name__ == "__main__":
    main()
