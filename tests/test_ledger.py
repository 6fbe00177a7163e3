"""The ledger: nothing counts twice, nothing recorded is lost, and only the same work is taken over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mucoffea.executors.ledger import Ledger, Outcome

from .support.plans import make_plan


def test_only_the_same_work_with_its_part_is_taken_over(tmp_path: Path):
    path = tmp_path / "ledger"
    first = Ledger(make_plan("x", "y", "z", "w"), path)
    first.record(Outcome(index=0, status="done", events=10))
    first.record(Outcome(index=1, status="failed", cause="read", message="gone"))
    first.record(Outcome(index=2, status="done", events=10, branches=("a", "b")))
    first.record(Outcome(index=3, status="failed", cause="code", message="KeyError"))
    first.close()
    # Items have moved, one is new, one has lost its part, and failed ones have another chance.
    plan = make_plan("new", "w", "z", "y", "x")
    second = Ledger(plan, path)
    assert second.take_over(lambda item: item.key != "x") == 1
    assert [item.key for item in second.open_items] == ["new", "w", "y", "x"]
    (outcome,) = second.with_status("done")
    assert (outcome.index, outcome.branches) == (2, ("a", "b"))
    second.close()
    # What could not be read stays failed if nobody wants it tried again; an error of the analysis does not.
    third = Ledger(plan, path)
    assert third.take_over(lambda item: True, retry_failed=False) == 2
    assert [item.key for item in third.open_items] == ["new", "w"]
    assert [outcome.message for outcome in third.with_status("failed")] == ["gone"]
    third.close()


def test_the_last_word_on_an_item_counts(tmp_path: Path):
    plan = make_plan("x")
    first = Ledger(plan, tmp_path / "ledger")
    first.record_retry(Outcome(index=0, status="failed", cause="read", message="busy"))
    first.record(Outcome(index=0, status="failed", cause="read", message="gone"))
    first.close()
    second = Ledger(plan, tmp_path / "ledger")
    assert second.take_over(lambda item: True) == 0
    second.record(Outcome(index=0, status="done", events=10))
    second.write(tmp_path / "ledger.json")
    second.close()
    (row,) = json.loads((tmp_path / "ledger.json").read_text())
    assert row["status"] == "done"
    assert row["earlier_attempts"] == ["busy"]
    third = Ledger(plan, tmp_path / "ledger")
    assert third.take_over(lambda item: True) == 1
    third.close()


def test_an_item_ends_once():
    ledger = Ledger(make_plan("x", "y"))
    ledger.record(Outcome(index=0, status="done"))
    for again in (ledger.record, ledger.record_retry):
        with pytest.raises(ValueError, match="work item 0 ended twice"):
            again(Outcome(index=0, status="failed"))
    with pytest.raises(ValueError, match="work item 2 is not in the plan of 2"):
        ledger.record(Outcome(index=2, status="done"))
    assert ledger.counts() == {"done": 1, "failed": 0, "lost": 1}


KILLED = """
import os, signal, sys
from pathlib import Path
from mucoffea.executors.ledger import Ledger, Outcome
from mucoffea.executors.plan import Plan
plan = Plan.model_validate_json(Path(sys.argv[1]).read_bytes())
ledger = Ledger(plan, Path(sys.argv[2]))
for item in plan.items[:-1]:
    ledger.record(Outcome(index=item.index, status="done", branches=("a",)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_recorded_survives_a_kill(tmp_path: Path):
    plan = make_plan(*(str(number) for number in range(50)))
    plan.write(tmp_path / "plan.json")
    script = [sys.executable, "-c", KILLED, str(tmp_path / "plan.json"), str(tmp_path / "ledger")]
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    ledger = Ledger(plan, tmp_path / "ledger")
    assert ledger.take_over(lambda item: True) == 49
    assert [item.index for item in ledger.open_items] == [49]
    ledger.close()
