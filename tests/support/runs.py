"""Runs of the program in a process of their own, to be disturbed: 120 work items of 50 events each."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from .command_line import MAIN

ITEMS = 120


def words(toys: Path, out: Path, *more: str) -> list[str]:
    """The command line of a run over the four-lepton toy."""
    return [
        *("--datasets", str(toys / "zz4l.root"), "--processor", "cms_four_lepton", "--chunksize", "50"),
        *("--output-dir", str(out), "--no-plots", *more),
    ]


class Program(subprocess.Popen):
    """The program at work, in a session of its own; what it says goes to a file, which surviving workers may hold."""

    def __init__(self, toys: Path, out: Path, *more: str, words: Callable[..., list[str]] = words) -> None:
        self.log = out.with_suffix(".log")
        with self.log.open("w") as log:
            super().__init__(
                [sys.executable, str(MAIN), *words(toys, out, *more)],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A background job starts with Ctrl-C ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def said(self, seconds: float = 180) -> str:
        """Wait for the end, and return what was printed."""
        try:
            self.wait(seconds)
        finally:
            self.kill()
            self.wait()
        return self.log.read_text()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen, seconds: float = 90) -> bool:
    """Wait until ``condition`` holds or the process ends; return whether the process is still there."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("nothing happened")
        time.sleep(0.002)
    return process.poll() is None


def parts(out: Path, since: float = 0.0) -> int:
    """How many parts of an unfinished run are there, written after a moment (as of ``time.time``)."""
    found = 0
    for path in (out / "unfinished" / "parts").glob("*.zip"):
        try:
            found += path.stat().st_mtime > since
        except FileNotFoundError:  # the run has ended meanwhile
            continue
    return found


def recorded(out: Path) -> Counter[str]:
    """How often each work item is recorded as done in the ledger of an unfinished run."""
    path = out / "unfinished" / "ledger.sqlite"
    if not path.exists():
        return Counter()
    database = sqlite3.connect(path)
    try:
        rows = database.execute("SELECT key FROM attempts WHERE status = 'done'").fetchall()
    except sqlite3.OperationalError:  # killed before the tables were there
        rows = []
    finally:
        database.close()
    return Counter(key for (key,) in rows)


def products(out: Path) -> dict[str, str]:
    """Every file of a result with the hash of its content, but those that say when and where it was made."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("ledger.json", "provenance.json")
    }


def session_members(leader: int) -> list[int]:
    """The living processes of the session that ``leader`` began."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z" and int(stat.parent.name) != os.getpid():
            found.append(int(stat.parent.name))
    return found


def left_behind(leader: int, seconds: float = 30) -> list[int]:
    """The processes of a session that are still there after a while; a worker looks once a second for its client."""
    deadline = time.monotonic() + seconds
    while (found := session_members(leader)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def workers(client: int) -> list[int]:
    """The worker processes of a client, without those that track its semaphores."""
    found = []
    for pid in session_members(client):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if pid != client and b"resource_tracker" not in command:
            found.append(pid)
    return found
