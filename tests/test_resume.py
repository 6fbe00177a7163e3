"""An interrupted run goes on where it was, to the very bytes of an undisturbed one; changed work is done anew."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from mucoffea.cli import main
from mucoffea.processors.cms_four_lepton import FourLepton

from .support.runs import ITEMS, Program, left_behind, parts, products, recorded, wait_until, words, workers

EXECUTORS = ("iterative", "futures", "dask-local")


@pytest.fixture(scope="module")
def undisturbed(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The products of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(words(toys, out)) == 0
    return products(out)


def finish(toys: Path, out: Path, *more: str) -> str:
    """Let the program end well; return what it said."""
    process = Program(toys, out, *more)
    said = process.said()
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
def test_killed_at_20_random_moments_and_resumed(toys: Path, tmp_path: Path, undisturbed, executor: str):
    out, chance = tmp_path / "out", random.Random(executor)
    flags = ("--executor", executor, "--workers", "2", "--resume")
    done, sessions = recorded(out), []
    # Of what loky's workers finish, the client has recorded only a part when it is killed.
    most = 9 if executor == "futures" else 5
    for _ in range(20):
        begun, wanted = time.time(), chance.randint(0, most)
        process = Program(toys, out, *flags)
        sessions.append(process.pid)
        wait_until(lambda: parts(out, begun) >= wanted, process)  # noqa: B023
        time.sleep(chance.uniform(0, 0.05))
        # Nobody tells the workers: they have to notice.
        process.kill()
        said = process.said()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed often enough: {said}"
        now = recorded(out)
        assert set(done) <= set(now)
        assert set(now.values()) <= {1}, "an item that was recorded as done ran again"
        done = now
    said = finish(toys, out, *flags)
    assert f"resumed: {len(done)} of {ITEMS} work items were done" in said
    assert 10 <= len(done) < ITEMS
    assert products(out) == undisturbed
    assert not any(map(left_behind, sessions)), "workers outlive their killed client"


@pytest.mark.slow
def test_killed_while_the_result_is_put_together(toys: Path, tmp_path: Path, undisturbed):
    out, chance = tmp_path / "out", random.Random(4)
    for _ in range(8):
        process = Program(toys, out, "--resume")
        wait_until(lambda: parts(out) >= ITEMS or (out / "report.json").exists(), process)
        time.sleep(chance.uniform(0, 0.6))
        process.kill()
        process.wait()
    finish(toys, out, "--resume")
    assert products(out) == undisturbed
    assert not (out / "unfinished").exists()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["futures", "dask-local"])
def test_workers_killed_twice_do_not_stop_the_run(toys: Path, tmp_path: Path, undisturbed, executor: str):
    out = tmp_path / "out"
    process = Program(toys, out, "--executor", executor, "--workers", "2")
    for wanted in (10, 60):
        assert wait_until(lambda: parts(out) >= wanted and bool(workers(process.pid)), process)  # noqa: B023
        os.kill(workers(process.pid)[0], signal.SIGKILL)
    said = process.said()
    assert process.returncode == 0, said
    assert products(out) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "number", "everybody"),
    [
        ("iterative", signal.SIGTERM, False),
        ("futures", signal.SIGINT, False),
        ("futures", signal.SIGINT, True),  # Ctrl-C in a terminal: the workers get it too
        ("dask-local", signal.SIGTERM, False),
        ("dask-local", signal.SIGINT, True),
    ],
)
def test_asked_to_stop_it_stops_and_can_go_on(
    toys: Path, tmp_path: Path, undisturbed, executor: str, number: int, everybody: bool
):
    out, flags = tmp_path / "out", ("--executor", executor, "--workers", "2")
    process = Program(toys, out, *flags)
    assert wait_until(lambda: parts(out) >= 10, process)
    if everybody:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    said = process.said(60)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    # The process that tracks the semaphores of a pool ends a moment after it.
    assert not left_behind(process.pid, 10)
    assert (out / "unfinished" / "ledger.json").exists()
    finish(toys, out, *flags, "--resume")
    assert products(out) == undisturbed


@pytest.mark.slow
def test_an_interrupted_run_is_neither_lost_nor_mistaken(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    out, process = tmp_path / "out", FourLepton.process
    larger = ("--chunksize", "200")
    assert main(words(toys, tmp_path / "undisturbed", *larger)) == 0
    undisturbed = products(tmp_path / "undisturbed")
    calls = []

    def stop_after_12(self, events):
        calls.append(len(events))
        if len(calls) > 12:
            raise KeyboardInterrupt
        return process(self, events)

    monkeypatch.setattr(FourLepton, "process", stop_after_12)
    assert main(words(toys, out, *larger)) == 130
    monkeypatch.undo()
    done, total = len(recorded(out)), len(json.loads((out / "unfinished/plan.json").read_text())["items"])
    assert 10 <= done <= 12 < total
    # The same work again: refused, so that what is done is not thrown away.
    capsys.readouterr()
    assert main(words(toys, out, *larger)) == 1
    assert f"{done} of {total} work items done. Give --resume" in capsys.readouterr().err
    # Other work: what is there is of no use to it, and does not block it.
    other = Path(shutil.copytree(out, tmp_path / "other"))
    assert main(words(toys, other, *larger, "--set", "muon.min_pt=20")) == 0
    assert products(other)["cutflow.json"] != undisturbed["cutflow.json"]
    capsys.readouterr()
    assert main(words(toys, out, *larger, "--resume")) == 0
    assert f"resumed: {done} of {total} work items were done" in capsys.readouterr().out
    assert products(out) == undisturbed
    assert not (out / "unfinished").exists()
    # Once more: there is nothing left to do, and nothing is touched.
    assert main(words(toys, out, *larger, "--resume")) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert products(out) == undisturbed
    assert main(words(toys, out, *larger, "--resume", "--set", "muon.min_pt=20")) == 1
    assert "a result of other work" in capsys.readouterr().err
