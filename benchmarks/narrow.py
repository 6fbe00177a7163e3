"""Narrow files: ``cms_dimuon`` against the same physics by hand on stock coffea, and against reading alone.

    python benchmarks/narrow.py

One toy file of 1 M events, 46 branches, baskets of 100 k entries, ZSTD; chunks of 100 k events; one process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uproot
from contestants import dimuon, folder, make_plan, run_ours, run_stock
from handwritten import HandwrittenDimuon
from measure import arguments, contest, measured, show
from mucoffea.toys.cms_nanoaod import ToySpec, generate

EVENTS, CHUNK = 1_000_000, 100_000
#: What the analysis reads (its ledger says so); the floor reads the same.
BRANCHES = [
    "genWeight",
    "HLT_IsoMu24",
    "nMuon",
    "Muon_pt",
    "Muon_eta",
    "Muon_phi",
    "Muon_mass",
    "Muon_charge",
    "Muon_nTrackerLayers",
    "run",
    "luminosityBlock",
    "event",
    "Muon_tightId",
    "Muon_pfRelIso04_all",
    "Muon_dxy",
    "Muon_dz",
    "PV_npvs",
    "Pileup_nTrueInt",
    "nTrigObj",
    "TrigObj_id",
    "TrigObj_filterBits",
    "TrigObj_eta",
    "TrigObj_phi",
]


Action = Callable[[], dict[str, Any]]


def inputs() -> list[Path]:
    spec = ToySpec(sample="dy", events=EVENTS, seed=1, content="narrow", basket_events=CHUNK, compression="zstd")
    return generate(spec, folder() / "narrow")


def summary(cutflow: Any, mass: Any) -> dict[str, Any]:
    peak = mass[{"dataset": "dy", "region": "z", "variation": "nominal"}]
    return {"selected": cutflow["mass_window"]["n"], "peak": peak.values().tolist()}


def ours() -> Action:
    plan, processor = make_plan(inputs(), CHUNK), dimuon()

    def action() -> dict[str, Any]:
        merged = run_ours(plan, processor)
        return summary(merged.numbers["dy"]["cutflow"], merged.histograms["dy"]["mass"])

    return action


def by_hand() -> Action:
    plan, records = make_plan(inputs(), CHUNK), dimuon().eras["demo"].corrections
    processor = HandwrittenDimuon(*(str(records[name].path) for name in ("muon_id", "muon_momentum", "pileup")))

    def action() -> dict[str, Any]:
        out = run_stock(plan, processor)
        return summary(out["cutflow"], out["hists"]["mass"])

    return action


def reading() -> Action:
    plan = make_plan(inputs(), CHUNK)

    def action() -> dict[str, Any]:
        with uproot.open(plan.items[0].path, handler=uproot.MultithreadedFileSource) as file:
            for item in plan.items:
                file["Events"].arrays(BRANCHES, entry_start=item.start, entry_stop=item.stop, how=dict)
        return {}

    return action


CONTESTANTS = {"mucoffea": ours, "by hand, stock coffea": by_hand, "reading alone (floor)": reading}


def main() -> None:
    options = arguments()
    if options.one:
        print(json.dumps(measured(CONTESTANTS[options.one])))
        return
    inputs()
    found = contest(CONTESTANTS, __file__, options.repeat)
    one, peer, floor = found.values()
    worst = max(abs(a - b) / max(map(abs, peer["peak"])) for a, b in zip(one["peak"], peer["peak"], strict=True))
    show(
        f"{EVENTS:,} events, chunks of {CHUNK:,} (best of {options.repeat})",
        found,
        {
            "CPU s": lambda row: f"{row['cpu']:.2f}",
            "wall s": lambda row: f"{row['wall']:.2f}",
            "kevents/s (CPU)": lambda row: f"{EVENTS / row['cpu'] / 1000:.0f}",
            "CPU / floor": lambda row: f"{row['cpu'] / floor['cpu']:.2f}",
            "CPU / by hand": lambda row: f"{row['cpu'] / peer['cpu']:.2f}",
            "peak MB": lambda row: f"{row['memory']:.0f}",
            "memory / by hand": lambda row: f"{row['memory'] / peer['memory']:.2f}",
        },
    )
    print(
        f"selected events: {one['selected']} and {peer['selected']} by hand; "
        f"largest difference of a bin of the mass peak: {worst:.1e} of the highest bin"
    )


if __name__ == "__main__":
    main()
