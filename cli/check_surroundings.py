"""Checks of what surrounds a run: the executor, the output folder, and the space on its disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..executors.pools import check_executor
from ..outputs.folder import UNFINISHED, check_output
from .earlier import check_result
from .findings import Finding, noted

if TYPE_CHECKING:
    from .arguments import RunArguments

#: Executors of which the workers share the cores of this machine.
LOCAL = ("futures", "dask-local")


class Space(NamedTuple):
    """Bytes that a run writes: surely, and at most as far as can be told."""

    least: int
    most: int


def executor_findings(options: RunArguments) -> list[Finding]:
    """Return what is to be said of the executor and its workers."""
    found: list[Finding] = []
    with noted(found, "executor"):
        check_executor(options.executor, options.workers)
        found.append(_workers(options))
    return found


def _workers(options: RunArguments) -> Finding:
    cores, name = core_count(), "executor"
    if options.executor not in LOCAL:
        return Finding(level="ok", component=name, message=options.executor)
    if options.workers > cores:
        message = f"--workers {options.workers} on {cores} cores: more workers than cores do not make it faster"
        return Finding(level="warning", component=name, message=message)
    return Finding(level="ok", component=name, message=f"{options.executor}, {options.workers} workers, {cores} cores")


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def output_findings(options: RunArguments) -> list[Finding]:
    """Return what is to be said of the output folder, which is not changed."""
    found: list[Finding] = []
    with noted(found, "output folder"):
        check_output(options.output_dir)
        check_result(options)
        found.append(_state(options))
    return found


def _state(options: RunArguments) -> Finding:
    folder, name = options.output_dir, "output folder"
    if (folder / UNFINISHED).exists() and not (options.goes_on or options.overwrite):
        message = (
            f"{folder} holds an interrupted run: --resume goes on with it where the work is the same, --overwrite "
            f"starts anew"
        )
        return Finding(level="warning", component=name, message=message)
    state = "holds a result, which will be replaced" if (folder / "report.json").exists() else "can be written"
    return Finding(level="ok", component=name, message=f"{folder} {state}")


def space_findings(folder: Path, space: Space) -> Iterator[Finding]:
    """Yield what is to be said of the free space where ``folder`` is, or will be made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        message = f"the free space of {place} cannot be told: {error.strerror}"
        yield Finding(level="warning", component="disk space", message=message)
        return
    if free < space.least:
        message = (
            f"{size(free)} are free in {place}, and the run writes about {size(space.least)}. Make room, or choose "
            f"another folder with --output-dir."
        )
        yield Finding(level="error", component="disk space", message=message)
    elif free < space.most:
        message = f"{size(free)} are free in {place}, and the run may write up to {size(space.most)} while it works."
        yield Finding(level="warning", component="disk space", message=message)
    else:
        message = f"{size(free)} free, about {size(space.most)} needed"
        yield Finding(level="ok", component="disk space", message=message)


def size(count: float) -> str:
    """Return bytes in words, with decimal prefixes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
