"""Many runs of the command line in one process beside the tests, which may hang or die without taking them along.

As a program it answers each line of JSON, a :class:`Job`, with another, an :class:`Answer`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import hashlib
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

#: Seconds that a run may take, and those that importing everything takes on top.
TIME_LIMIT = 120.0
START = 120.0
#: Bytes of address space: a damaged length must not fill the memory of the machine.
MEMORY_LIMIT = 8 * 2**30


@dataclass(frozen=True)
class Answer:
    """How a run ended: exit code, ``hang``, ``crash`` or ``traceback``; what it printed; what its result holds."""

    code: int | str
    text: str = ""
    digest: str = ""
    events: int = 0
    seconds: float = 0.0


class Batch:
    """The process from outside; it is started when it is needed, and again after it was lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, words: list[str], output: Path) -> Answer:
        """Run the command line with ``words``, whose result goes to ``output``, and take the result away again."""
        limit = TIME_LIMIT
        if self._process is None:
            self._start()
            limit += START
        assert self._process is not None
        assert self._process.stdin is not None
        started = time.perf_counter()
        self._process.stdin.write(json.dumps({"words": words, "output": str(output)}) + "\n")
        self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=limit)
        except Empty:
            line = None
        if line:
            return Answer(**json.loads(line))
        self._end()
        return Answer("hang" if line is None else "crash", seconds=time.perf_counter() - started)

    def _start(self) -> None:
        environment = {**os.environ, "MUCOFFEA_CACHE": str(self.folder / "cache"), "COLUMNS": "4000"}
        with (self.folder / "stderr.txt").open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        self._lines = Queue()
        Thread(target=_pass_on, args=(self._process.stdout, self._lines), daemon=True).start()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _pass_on(stream: Any, lines: Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def serve() -> None:
    """Answer the jobs of the standard input until it ends."""
    from mucoffea.cli import main

    faulthandler.enable()
    _obey_permissions()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed does not belong to the answers
    for line in sys.stdin:
        job = json.loads(line)
        output = Path(job["output"])
        text, started = StringIO(), time.perf_counter()
        with redirect_stdout(text), redirect_stderr(text):
            try:
                code: int | str = main(job["words"])
            except BaseException as error:  # whatever escapes the command line is what the tests look for
                code = "traceback"
                text.write(repr(error))
        digest, events = result_digest(output) if code in (0, 2) else ("", 0)
        shutil.rmtree(output, ignore_errors=True)
        answer = Answer(code, text.getvalue()[-4000:], digest, events, time.perf_counter() - started)
        answers.write(json.dumps(asdict(answer)) + "\n")
        answers.flush()


def result_digest(folder: Path) -> tuple[str, int]:
    """Return a hash of all numbers of a result, bit for bit, and the number of processed events."""
    from mucoffea.outputs.bundle import read_bundle

    if not (folder / "report.json").exists():
        return "", 0
    bundle = read_bundle(folder)
    digest = hashlib.sha256(json.dumps(bundle.cut_flows, sort_keys=True).encode())
    for name, histogram in sorted(bundle.histograms.items()):
        digest.update(name.encode() + histogram.view(flow=True).tobytes())
    for one in bundle.report.datasets:
        digest.update(json.dumps([one.events_processed, one.sumw, one.scale, one.counters], sort_keys=True).encode())
    return digest.hexdigest(), sum(one.events_processed for one in bundle.report.datasets)


def _obey_permissions() -> None:
    """Give up the right of root to read what may not be read (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH), if this is root.

    See capset(2); the header names version 3 of the interface and this process.
    """
    if os.geteuid() != 0:
        return
    system = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    sets = (ctypes.c_uint32 * 6)()
    if system.capget(header, sets) == 0:
        sets[0] &= ~0b110
        system.capset(header, sets)


if __name__ == "__main__":
    serve()
