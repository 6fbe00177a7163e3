"""Signals that ask to stop are answered between two results, and never lost."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from mucoffea.executors import interrupts
from mucoffea.executors.interrupts import held_interrupts
from mucoffea.executors.ledger import Ledger
from mucoffea.executors.plan import WorkItem
from mucoffea.executors.pools import InlinePool
from mucoffea.executors.run import run_plan

from .support.plans import done, make_plan


def ask(number: int) -> None:
    os.kill(os.getpid(), number)


def held(number: int, *, ask_at_end: bool, at_once: bool = False) -> list[str]:
    """Send a signal while it is held back; return how far the code came before it was interrupted."""
    reached = []
    try:
        with held_interrupts(at_once=at_once) as checkpoint:
            checkpoint()
            ask(number)
            reached.append("sent")
            if ask_at_end:
                checkpoint()
            reached.append("left")
    except KeyboardInterrupt:
        reached.append("interrupted")
    return reached


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_waits_for_the_checkpoint(number: int):
    # Whoever runs the tests may ignore it, as nohup does.
    found = signal.signal(number, signal.default_int_handler)
    try:
        assert held(number, ask_at_end=True) == ["sent", "interrupted"]
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, found)


def test_one_that_nobody_asked_for_is_answered_at_the_end():
    assert held(signal.SIGINT, ask_at_end=False) == ["sent", "left", "interrupted"]


def test_work_in_this_process_is_left_at_once():
    assert held(signal.SIGINT, ask_at_end=True, at_once=True) == ["interrupted"]


def test_a_signal_after_a_while_without_answer_is_answered_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupts, "PATIENCE", -1.0)
    assert held(signal.SIGINT, ask_at_end=True) == ["interrupted"]


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_interrupts() as checkpoint:
            ask(signal.SIGHUP)
            checkpoint()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_there_is_nothing_to_hold():
    ended = []

    def work() -> None:
        with held_interrupts() as checkpoint:
            checkpoint()
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]


def test_a_run_records_what_is_done_and_starts_nothing_more():
    def work(item: WorkItem):
        if item.index == 2:
            ask(signal.SIGTERM)
        return done(item)

    ledger = Ledger(make_plan(*"abcde"))
    with pytest.raises(KeyboardInterrupt), held_interrupts() as checkpoint:
        run_plan(ledger, work, InlinePool(), workers=1, checkpoint=checkpoint)
    assert ledger.counts() == {"done": 3, "failed": 0, "lost": 2}
