"""An interrupted run goes on where it was, to the result of an undisturbed one; changed work is done anew."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mucoffea.cli import main
from mucoffea.executors.keys import run_key, source_digests
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import DatasetPlan, Plan, WorkItem
from mucoffea.processors.cms_dimuon import Dimuon
from mucoffea.processors.cms_four_lepton import FourLepton

#: Products without times, versions of files or identifiers in them.
PRODUCTS = ("histograms.h5", "cutflow.json", "cutflow.csv", "columns/zz4l.parquet")


def words(toys: Path, out: Path, *more: str) -> list[str]:
    """The command line of a run of 60 work items."""
    return [
        *("--datasets", str(toys / "zz4l.root"), "--processor", "cms_four_lepton", "--chunksize", "100"),
        *("--output-dir", str(out), "--no-plots", *more),
    ]


def products(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in PRODUCTS}


@pytest.fixture(scope="module")
def undisturbed(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The products of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(words(toys, out)) == 0
    return products(out)


def journal(out: Path) -> list[dict]:
    path = out / "unfinished" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["iterative", "futures", "dask-local"])
def test_killed_at_any_moment_and_resumed(toys: Path, tmp_path: Path, undisturbed: dict[str, bytes], executor: str):
    out, program = tmp_path / "out", Path(__file__).parents[1] / "main.py"
    chance = random.Random(executor)
    command = [sys.executable, str(program), *words(toys, out, "--executor", executor, "--workers", "2", "--resume")]
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        before = len(journal(out))
        deadline = time.monotonic() + 60
        # Not before something has happened, nor always at the same place.
        wanted = before + chance.randint(1, 12)
        while process.poll() is None and len(journal(out)) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        keys = [row["key"] for row in journal(out)]
        assert len(keys) == len(set(keys)), "an item that was recorded as done ran again"
    assert killed >= 2
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert products(out) == undisturbed


def test_an_interrupted_run_is_neither_lost_nor_mistaken(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, undisturbed
):
    out, process = tmp_path / "out", FourLepton.process
    calls = []

    def stop_after_20(self, events):
        calls.append(len(events))
        if len(calls) > 20:
            raise KeyboardInterrupt
        return process(self, events)

    monkeypatch.setattr(FourLepton, "process", stop_after_20)
    assert main(words(toys, out)) == 130
    monkeypatch.undo()
    done = len(journal(out))
    assert 15 <= done <= 20
    # The same work again: refused, so that what is done is not thrown away.
    capsys.readouterr()
    assert main(words(toys, out)) == 1
    assert f"{done} of 60 work items done. Give --resume" in capsys.readouterr().err
    # Other work: what is there is of no use to it, and does not block it.
    other = Path(shutil.copytree(out, tmp_path / "other"))
    assert main(words(toys, other, "--set", "muon.min_pt=20")) == 0
    assert (other / "cutflow.json").read_bytes() != undisturbed["cutflow.json"]
    # A line of the journal that was cut short is passed over.
    with (out / "unfinished" / "journal.jsonl").open("a") as file:
        file.write('{"key": "abc')
    assert main(words(toys, out, "--resume")) == 0
    assert f"resumed: {done} of 60 work items were done" in capsys.readouterr().out
    assert products(out) == undisturbed
    assert not (out / "unfinished").exists()


def make_plan(*keys: str) -> Plan:
    """A plan of one item of ten events for each key."""
    items = tuple(
        WorkItem(index=index, dataset="a", lfn="f", path="f", tree="t", uuid="", start=0, stop=10, metadata={}, key=key)
        for index, key in enumerate(keys)
    )
    total = 10 * len(keys)
    one = DatasetPlan(name="a", files=1, events=total, files_available=1, events_available=total)
    return Plan(chunksize=10, datasets=(one,), items=items)


def test_only_the_same_work_with_its_part_is_taken_over(tmp_path: Path):
    path = tmp_path / "journal"
    first = Ledger(make_plan("x", "y", "z"), path)
    first.record(Outcome(index=0, status="done", events=10))
    first.record(Outcome(index=1, status="failed", cause="read", message="gone"))
    first.record(Outcome(index=2, status="done", events=10))
    # Items have moved, one is new, one has lost its part, and a failed one has another chance.
    second = Ledger(make_plan("new", "z", "y", "x"), path)
    assert second.take_over(lambda item: item.key != "x") == 1
    assert [item.key for item in second.open_items] == ["new", "y", "x"]
    assert [outcome.index for outcome in second.with_status("done")] == [1]


def test_the_key_follows_the_code_and_settings_that_matter():
    sources = source_digests(Dimuon.__module__)
    assert {f"mucoffea.{name}" for name in ("selections.pairs", "corrections.loading", "processors.base")} <= set(
        sources
    )
    assert not {"mucoffea.processors.cms_four_lepton", "mucoffea.cli.run", "mucoffea.plotting.stack"} & set(sources)
    assert run_key(Dimuon(), {"a": 1}) == run_key(Dimuon(), {"a": 1})
    keys = {run_key(Dimuon(), {"a": 1}), run_key(Dimuon(), {"a": 2}), run_key(FourLepton(), {"a": 1})}
    assert len(keys) == 3
