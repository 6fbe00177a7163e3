"""The command line in tests: how a run is called, the datasets it gets, and how a refusal looks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MAIN = Path(__file__).parents[2] / "main.py"


class Ended(NamedTuple):
    """How a command ended; from the fixture ``command``, ``out`` is without the line breaks of the terminal."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def run_words(datasets: object, folder: object, *more: object, processor: str = "cms_dimuon") -> list[str]:
    """The words of a run without plots."""
    names = datasets if isinstance(datasets, Sequence) and not isinstance(datasets, str) else [datasets]
    words = ["--datasets", *names, "--processor", processor, "--output-dir", folder, "--no-plots", *more]
    return [str(word) for word in words]


def write_dataset(path: Path, files: Sequence[Path], **more: Any) -> Path:
    """Write a dataset YAML of simulation with a cross section of 50 pb."""
    content = {
        "name": path.stem,
        "kind": "mc",
        "process": "dy",
        "cross_section": {"value": 50.0, "source": "this test"},
        "files": [str(file) for file in files],
        **more,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def write_demo_dataset(path: Path, files: Sequence[Path], value: float = 100.0, unit: str = "pb", **more: Any) -> Path:
    """Write a dataset YAML of simulation in the era ``demo`` with a cross section of choice."""
    section = {"value": value, "unit": unit, "source": "this test"}
    return write_dataset(path, files, **{"era": "demo", "process": "Z", "cross_section": section, **more})


def snapshot(folder: Path) -> dict[str, str]:
    """Every file of the result in ``folder`` with the hash of its content; what a failed run left is no result."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "unfinished"
    }


def assert_refused(ended: Ended, *patterns: str) -> None:
    """Exit code 1 and one paragraph on the error stream that matches every pattern."""
    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert "\n\n" not in ended.err.strip()
    assert ended.err.count("error: ") == 1
    for pattern in patterns:
        assert re.search(pattern, ended.err), f"{pattern!r} is not in: {ended.err}"
