"""The run loop: splitting, accounting, failures told apart, and the same result from every executor and chunk size."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from itertools import accumulate, pairwise
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import uproot
from coffea.processor import IterativeExecutor, ProcessorABC, Runner
from coffea.util import coffea_console
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.open_files import branch_filter, close_files, open_file
from mucoffea.executors.plan import DatasetPlan, Plan, WorkItem, split
from mucoffea.executors.pools import check_executor, open_pool
from mucoffea.executors.run import AnalysisError, run_plan
from mucoffea.executors.worker import Work, is_read_error
from mucoffea.outputs.parts import Merger, PartStore
from mucoffea.processors.cms_dimuon import Dimuon, DimuonParameters
from mucoffea.processors.cms_four_lepton import FourLepton
from mucoffea.schemas.nanoaod import NanoAOD

# Worker processes cannot import test modules.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def make_plan(path: Path, chunksize: int, kind: str = "mc") -> Plan:
    """A plan for one file."""
    with uproot.open(path) as file:
        entries, uuid = file["Events"].num_entries, str(file.file.uuid)
    items = tuple(
        WorkItem(
            index=index,
            dataset=path.stem,
            lfn=str(path),
            replicas=(str(path),),
            tree="Events",
            uuid=uuid,
            start=start,
            stop=stop,
            metadata={"kind": kind, "process": "x", "era": None},
        )
        for index, (start, stop) in enumerate(split(entries, chunksize))
    )
    one = DatasetPlan(name=path.stem, files=1, events=entries, files_available=1, events_available=entries)
    return Plan(chunksize=chunksize, datasets=(one,), items=items)


def run(plan: Plan, processor: ProcessorABC, folder: Path, executor: str = "iterative"):
    """Run a plan and return the ledger and the merged result."""
    work = Work(run_id=folder.name, processor=processor, store=PartStore(folder / "parts"))
    work.store.mark()
    with open_pool(executor, 2) as pool:
        ledger = Ledger(plan)
        run_plan(ledger, work, pool, workers=2)
    merger = Merger(folder / "columns")
    for outcome in ledger.with_status("done"):
        merger.add(plan.items[outcome.index], work.store.path(plan.items[outcome.index]))
    return ledger, merger.finish()


@given(st.lists(st.integers(1, 3_000), max_size=12), st.integers(1, 8_000), st.booleans())
def test_splitting_covers_every_entry_once(sizes, chunksize, known):
    clusters = [0, *accumulate(sizes)]
    entries = clusters[-1]
    ranges = split(entries, chunksize, clusters if known else ())
    assert sum(stop - start for start, stop in ranges) == entries
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    assert all(0 < stop - start <= chunksize for start, stop in ranges)
    if known and max(sizes, default=0) <= chunksize:
        assert {edge for one in ranges for edge in one} <= set(clusters)
    if not known and ranges:
        lengths = [stop - start for start, stop in ranges]
        assert max(lengths) - min(lengths) <= 1


def test_splitting_keeps_clusters_together():
    assert split(10, 4, [0, 3, 6, 10]) == [(0, 3), (3, 6), (6, 10)]
    assert split(10, 6, [0, 3, 6, 10]) == [(0, 6), (6, 10)]
    assert split(10, 3, [0, 2, 10]) == [(0, 2), (2, 4), (4, 7), (7, 10)]
    assert split(0, 3) == []


def test_the_ledger_counts_no_item_twice_and_knows_the_lost_ones(toys: Path, tmp_path: Path):
    plan = make_plan(toys / "zz4l.root", 1000)
    ledger = Ledger(plan)
    ledger.record(Outcome(index=0, status="done", events=1000))
    ledger.record(Outcome(index=2, status="failed", cause="read", message="gone"))
    with pytest.raises(ValueError, match="ended twice"):
        ledger.record(Outcome(index=0, status="done"))
    with pytest.raises(ValueError, match="not in the plan"):
        ledger.record(Outcome(index=99, status="done"))
    assert ledger.lost == [1, 3, 4, 5]
    assert ledger.events("zz4l") == 1000
    ledger.write(tmp_path / "ledger.json")
    rows = json.loads((tmp_path / "ledger.json").read_text())
    assert [row["status"] for row in rows] == ["done", "lost", "failed", "lost", "lost", "lost"]


def assert_same(one, two, exact: bool) -> None:
    """Compare two merged results: counts exactly, weighted sums exactly or to 1e-12."""
    tolerance = 0.0 if exact else 1e-12
    for dataset, numbers in one.numbers.items():
        for cut, row in numbers["cutflow"].items():
            for key, value in row.items():
                other = two.numbers[dataset]["cutflow"][cut][key]
                assert value == other if key.startswith("n") else value == pytest.approx(other, rel=tolerance)
        for name, histogram in one.histograms[dataset].items():
            other = two.histograms[dataset][name]
            assert histogram.axes == other.axes
            for part in ("value", "variance"):
                np.testing.assert_allclose(
                    histogram.view(flow=True)[part],
                    other.view(flow=True)[part],
                    rtol=tolerance,
                    atol=tolerance * np.abs(histogram.view(flow=True)[part]).max(),
                )
    for dataset, path in one.columns.items():
        assert path.read_bytes() == two.columns[dataset].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["futures", "dask-local"])
def test_executors_agree_bit_for_bit(toys: Path, tmp_path: Path, executor: str):
    plan = make_plan(toys / "zz4l.root", 777)
    for name, processor in (("dimuon", Dimuon()), ("four", FourLepton())):
        _, one = run(plan, processor, tmp_path / f"{name}-iterative")
        _, two = run(plan, processor, tmp_path / f"{name}-{executor}", executor)
        assert_same(one, two, exact=True)
        assert one.numbers["zz4l"]["events"] == plan.events


def test_the_order_of_completion_does_not_matter(toys: Path, tmp_path: Path):
    plan = make_plan(toys / "zz4l.root", 500)
    _, forwards = run(plan, FourLepton(), tmp_path / "forwards")
    store = PartStore(tmp_path / "backwards" / "parts")
    store.mark()
    work = Work(run_id="backwards", processor=FourLepton(), store=store)
    ledger = Ledger(plan)
    for item in reversed(plan.items):
        ledger.record(work(item))
    close_files()
    merger = Merger(tmp_path / "backwards" / "columns")
    for outcome in ledger.with_status("done"):
        merger.add(plan.items[outcome.index], store.path(plan.items[outcome.index]))
    assert_same(forwards, merger.finish(), exact=True)


@pytest.mark.parametrize("chunksize", [1000, 7777])
def test_the_chunk_size_does_not_matter(toys: Path, tmp_path: Path, chunksize: int):
    for name, processor in (("dy", Dimuon()), ("zz4l", FourLepton())):
        _, whole = run(make_plan(toys / f"{name}.root", 100_000), processor, tmp_path / name)
        _, pieces = run(make_plan(toys / f"{name}.root", chunksize), processor, tmp_path / f"{name}-pieces")
        assert_same(whole, pieces, exact=False)


def test_stock_coffea_runs_the_same_processor_to_the_same_result(toys: Path, tmp_path: Path):
    coffea_console.quiet = True
    path = toys / "dy.root"
    metadata = {"kind": "mc", "process": "x", "era": None}
    runner = Runner(IterativeExecutor(), chunksize=7000, schema=NanoAOD, metadata_cache={}, processor_compression=None)
    stock = runner.run({"dy": {"files": {str(path): "Events"}, "metadata": metadata}}, Dimuon())["out"]["dy"]
    _, ours = run(make_plan(path, 7000), Dimuon(), tmp_path / "ours")
    assert ours.numbers["dy"]["cutflow"]["mass_window"] == pytest.approx(stock["cutflow"]["mass_window"])
    for name, histogram in stock["hists"].items():
        np.testing.assert_allclose(
            ours.histograms["dy"][name].view(flow=True)["value"], histogram.view(flow=True)["value"], rtol=1e-12
        )


def test_only_touched_branches_are_read_and_the_filter_follows_the_file(toys: Path):
    path = str(toys / "dy.root")
    opened = open_file(path, "Events", timeout=5)
    metadata = {"dataset": "dy", "kind": "mc", "process": "x", "era": None}
    dimuon = Dimuon(DimuonParameters(electron_muon=False))
    only = branch_filter(opened, "Events", dimuon.process, key="a", schema=NanoAOD, metadata=metadata)
    assert only is not None
    assert {"nMuon", "Muon_pt", "Muon_charge", "genWeight", "HLT_IsoMu24", "run"} <= only
    assert not any(name.startswith(("Jet_", "Electron_", "GenPart_")) for name in only)
    ledger = Ledger(make_plan(toys / "dy.root", 10**6))
    store = type("Store", (), {"reachable": lambda self: True, "write": lambda self, item, result: None})()
    ledger.record(Work(run_id="a", processor=dimuon, store=store)(ledger.plan.items[0]))
    (outcome,) = ledger.with_status("done")
    assert set(outcome.branches) <= only
    assert outcome.bytes_read > 0
    close_files()


class LooksAtData(ProcessorABC):
    """Reads a branch only where there are events, which a zero-length trace cannot see."""

    def process(self, events):
        total = float(len(events))
        if total:
            total += float(np.sum(np.asarray(events.MET.pt)))
        return {events.metadata["dataset"]: {"cutflow": {}, "sumw": total, "x": float(np.sum(events.PV.npvs))}}

    def postprocess(self, accumulator):
        pass


def test_a_branch_that_the_trace_missed_is_read_all_the_same(toys: Path, tmp_path: Path):
    ledger, merged = run(make_plan(toys / "zz4l.root", 3000), LooksAtData(), tmp_path / "x")
    assert not ledger.with_status("failed")
    with uproot.open(toys / "zz4l.root") as file:
        expected = file["Events"]["MET_pt"].array(library="np").astype("f4").sum() + 6000
    assert merged.numbers["zz4l"]["sumw"] == pytest.approx(expected, rel=1e-5)


BREAKS = """
import numpy as np
from coffea.processor import ProcessorABC


class Breaks(ProcessorABC):
    def process(self, events):
        return {"x": {"sumw": float(np.sum(events.Muon.ptt))}}

    def postprocess(self, accumulator):
        pass
"""


@pytest.mark.parametrize("executor", ["iterative", "futures"])
def test_an_error_of_the_analysis_stops_the_run_and_names_file_entries_line_and_branch(
    toys: Path, tmp_path: Path, executor: str, monkeypatch: pytest.MonkeyPatch
):
    # A module that workers import, as they do a user's: what travels to them by value has lost its file name.
    module = f"breaks_on_{executor}"
    (tmp_path / f"{module}.py").write_text(BREAKS)
    monkeypatch.syspath_prepend(tmp_path)
    plan = make_plan(toys / "zz4l.root", 1000)
    with pytest.raises(AnalysisError) as caught:
        run(plan, importlib.import_module(module).Breaks(), tmp_path / "x", executor)
    message = str(caught.value)
    assert "no field named 'ptt'" in message
    assert "zz4l.root" in message
    assert f"{module}.py:8" in message
    assert "entries " in message
    assert "Did you mean 'pt'" in message


class KillsItsWorker(ProcessorABC):
    """Dies as a worker does that runs out of memory."""

    def process(self, events):
        if len(events):
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def postprocess(self, accumulator):
        pass


@pytest.mark.slow
def test_a_lost_worker_is_reported(toys: Path, tmp_path: Path):
    ledger, merged = run(make_plan(toys / "zz4l.root", 3000), KillsItsWorker(), tmp_path / "x", "futures")
    assert [outcome.cause for outcome in ledger.with_status("failed")] == ["worker", "worker"]
    assert merged.numbers == {}


def damage(path: Path, name: str, folder: Path) -> Path:
    """Return a damaged copy of a ROOT file."""
    copy = folder / f"{name}.root"
    shutil.copy(path, copy)
    size = copy.stat().st_size
    if name == "truncated":
        with copy.open("r+b") as file:
            file.truncate(size // 2)
    elif name == "basket":
        with uproot.open(path) as file:
            offset = file["Events/Muon_pt"].member("fBasketSeek")[1]
        with copy.open("r+b") as file:
            file.seek(offset + 120)
            file.write(bytes(200))
    return copy


@pytest.mark.parametrize("name", ["truncated", "basket"])
def test_a_file_that_cannot_be_read_fails_its_items_only(toys: Path, tmp_path: Path, name: str):
    good = make_plan(toys / "zz4l.root", 2500)
    bad = damage(toys / "zz4l.root", name, tmp_path)
    items = [
        item.model_copy(update={"replicas": (str(bad),), "dataset": "bad", "index": item.index + len(good.items)})
        for item in good.items
    ]
    plan = good.model_copy(update={"items": (*good.items, *items)})
    ledger, merged = run(plan, Dimuon(), tmp_path / "x")
    failed = ledger.with_status("failed")
    assert failed
    assert {outcome.cause for outcome in failed} == {"read"}
    assert all(str(bad) in outcome.message for outcome in failed)
    assert ledger.events("zz4l") == 6000 == merged.numbers["zz4l"]["events"]
    processed = merged.numbers.get("bad", {"events": 0})["events"]
    assert processed == ledger.events("bad") < 6000


def test_a_file_that_changed_since_the_plan_is_not_processed(toys: Path, tmp_path: Path):
    plan = make_plan(toys / "zz4l.root", 10**6)
    other = plan.items[0].model_copy(update={"replicas": (str(toys / "dy.root"),)})
    ledger, _ = run(plan.model_copy(update={"items": (other,)}), Dimuon(), tmp_path / "x")
    (outcome,) = ledger.with_status("failed")
    assert "has changed since the plan was made" in outcome.message
    assert outcome.cause == "read"


def test_an_oserror_of_the_analysis_is_not_taken_for_a_bad_file():
    # A processor that cannot find its own file must not look like an unreadable input (coffea's skipbadfiles).
    with pytest.raises(OSError, match="does/not/exist") as caught:
        Path("/does/not/exist").read_bytes()
    assert not is_read_error(caught.value)


def test_a_file_without_event_identity_is_refused(real: Path, tmp_path: Path):
    path = real / "nanoaod" / "missing_luminosityBlock.root"
    with pytest.raises(AnalysisError, match="The tree lacks luminosityBlock"):
        run(make_plan(path, 10**6), Dimuon(), tmp_path / "x")


@pytest.mark.slow
def test_a_root_tuple_gives_the_result_of_its_twin(real: Path, tmp_path: Path):
    results = []
    for name in ("nano_dimuon", "nano_dimuon_rntuple"):
        plan = make_plan(real / "nanoaod" / f"{name}.root", 15, kind="data")
        items = tuple(item.model_copy(update={"dataset": "data"}) for item in plan.items)
        plan = plan.model_copy(update={"items": items})
        for processor in (Dimuon(), FourLepton()):
            results.append(run(plan, processor, tmp_path / f"{name}-{type(processor).__name__}")[1])
    assert results[0].numbers["data"]["cutflow"]["mass_window"]["n"] > 0
    assert_same(results[0], results[2], exact=True)
    assert_same(results[1], results[3], exact=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("future", "Did you mean 'futures'"),
        ("dask-slurm", "not available in this version"),
        ("parsl", "Available: iterative, futures, dask-local"),
    ],
)
def test_unknown_executors(name: str, message: str):
    with pytest.raises(UserError, match=message):
        check_executor(name)


def test_dask_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'mucoffea\[dask\]'"):
        check_executor("dask-local")
    check_executor("futures")


def test_workers_must_be_positive():
    with pytest.raises(UserError, match="--workers must be at least 1"):
        open_pool("futures", 0)


def test_no_trigger_asked_for_needs_no_hlt(real: Path, tmp_path: Path):
    plan = make_plan(real / "nanoaod" / "nano_tt_v12.root", 10**6)
    _, merged = run(plan, Dimuon(DimuonParameters(triggers=())), tmp_path / "x")
    assert merged.numbers["nano_tt_v12"]["cutflow"]["trigger"]["n"] == 200
