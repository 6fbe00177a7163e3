"""Ctrl-C and its like during a run: answered between two results, where no pool is half started or half stopped.

Python raises ``KeyboardInterrupt`` wherever the main thread happens to be: with a lock of a pool in its hands, which
then never closes, or in a destructor, which swallows it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds after which another signal is answered at once: something is stuck.
PATIENCE = 10.0

Checkpoint = Callable[[], None]


@contextmanager
def held_interrupts(*, at_once: bool = False) -> Iterator[Checkpoint]:
    """Hold back the signals that ask to stop; yield a function that raises once one has come.

    Args:
        at_once: raise in the middle of a call too, for work in this process, which may take long. The function that is
            yielded tells of a signal that was swallowed there.

    Raises:
        KeyboardInterrupt: on leaving, if a signal came and was not answered.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _nothing
        return
    asked: list[float] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(time.monotonic())
        if at_once or asked[-1] - asked[0] > PATIENCE:
            signal.default_int_handler(number, frame)

    def answer() -> None:
        if asked:
            raise KeyboardInterrupt

    # One that is ignored, as under nohup or in a background job, stays so; None is a handler that is not Python's.
    before = {one: signal.getsignal(one) for one in SIGNALS if signal.getsignal(one) not in (signal.SIG_IGN, None)}
    for one in before:
        signal.signal(one, ask)
    try:
        yield answer
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    answer()


def _nothing() -> None:
    """Stand in where no signal arrives: in a thread other than the main one."""
