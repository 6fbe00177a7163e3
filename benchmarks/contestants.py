"""What the benchmarks share: the demo era's inputs, our run loop, and the stock ``Runner``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import coffea.processor.executor
import uproot
from coffea.processor import IterativeExecutor, ProcessorABC, Runner
from coffea.util import coffea_console
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.executors.ledger import Ledger
from mucoffea.executors.plan import DatasetPlan, Plan, WorkItem, split
from mucoffea.executors.pools import open_pool
from mucoffea.executors.run import run_plan
from mucoffea.executors.worker import Work
from mucoffea.outputs.parts import Merged, Merger, PartStore
from mucoffea.paths import cache_dir
from mucoffea.processors.base import EraInputs
from mucoffea.processors.cms_dimuon import Dimuon, DimuonParameters
from mucoffea.schemas.nanoaod import NanoAOD
from mucoffea.toys.cms_nanoaod import write_corrections

METADATA = {"kind": "mc", "process": "DY", "era": "demo"}


def folder() -> Path:
    """The folder of benchmark inputs, kept between runs."""
    path = cache_dir() / "benchmarks"
    path.mkdir(parents=True, exist_ok=True)
    return path


#: Corrections of muons and pile-up: what narrow files have the branches for.
CORRECTIONS = ("pileup", "muon_id", "muon_iso", "muon_trigger", "muon_momentum")


def dimuon(systematics: str = "none") -> Dimuon:
    """The dimuon analysis with the corrections of muons and pile-up of the demo era."""
    write_corrections(folder())
    catalogue = Catalogue([folder()])
    records = {name: catalogue.resolve(name, era="demo", pog_folders=["demo"]) for name in CORRECTIONS}
    era = EraInputs(era="demo", triggers={"single_muon": ("HLT_IsoMu24",)}, corrections=records)
    chosen = DimuonParameters(
        corrections=CORRECTIONS, systematics=(systematics,), electron_muon=False, missing_momentum=False
    )
    return Dimuon(chosen, eras={"demo": era})


def make_plan(files: list[Path], chunksize: int) -> Plan:
    """The plan of both contestants: the same chunks for each."""
    items: list[WorkItem] = []
    for path in files:
        with uproot.open(path) as file:
            entries, uuid = file["Events"].num_entries, str(file.file.uuid)
        for start, stop in split(entries, chunksize):
            items.append(
                WorkItem(
                    index=len(items),
                    dataset="dy",
                    lfn=str(path),
                    replicas=(str(path),),
                    tree="Events",
                    uuid=uuid,
                    start=start,
                    stop=stop,
                    metadata=METADATA,
                )
            )
    total = sum(len(item) for item in items)
    one = DatasetPlan(name="dy", files=len(files), events=total, files_available=len(files), events_available=total)
    return Plan(chunksize=chunksize, datasets=(one,), items=tuple(items))


def run_ours(plan: Plan, processor: Any) -> Merged:
    """Our run loop in this process, parts written and merged as in any run."""
    with tempfile.TemporaryDirectory() as name:
        store = PartStore(Path(name))
        store.mark()
        with open_pool("iterative", 1) as pool:
            ledger = Ledger(plan)
            run_plan(ledger, Work(run_id="b", processor=processor, store=store), pool, workers=1)
        merger = Merger(Path(name))
        for outcome in ledger.with_status("done"):
            item = plan.items[outcome.index]
            merger.add(item, store.path(item))
        merged = merger.finish()
    if ledger.with_status("failed"):
        raise RuntimeError(ledger.with_status("failed")[0].message)
    return merged


def run_stock(plan: Plan, processor: ProcessorABC) -> Any:
    """coffea's Runner with its defaults, on virtual arrays."""
    coffea_console.quiet = True
    runner = Runner(IterativeExecutor(), schema=NanoAOD)
    items = [
        coffea.processor.executor.WorkItem(
            item.dataset, item.path, item.tree, item.start, item.stop, UUID(item.uuid).bytes, METADATA
        )
        for item in plan.items
    ]
    return runner.run(items, processor)["out"]["dy"]
