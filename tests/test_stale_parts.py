"""What is taken over after a change: a result of other code, settings or input never is, the same work always."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mucoffea
import pytest
from mucoffea.executors.keys import code_key, run_key, source_digests
from mucoffea.executors.open_files import close_files
from mucoffea.executors.worker import Work
from mucoffea.processors.cms_dimuon import Dimuon
from mucoffea.processors.cms_four_lepton import FourLepton
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .support.command_line import run_words, write_dataset
from .support.plans import make_plan


class Bench(NamedTuple):
    """A copy of the package that may be edited, with input, corrections, and an incomplete result."""

    package: Path
    files: Path
    out: Path

    def run(self, *more: object) -> subprocess.CompletedProcess:
        """Run the edited package."""
        words = run_words(self.files / "sample.yaml", self.out, "--chunksize", 100, *more)
        place = {"PYTHONPATH": str(self.package.parent), "MUCOFFEA_CORRECTIONS": str(self.files)}
        return subprocess.run(
            [sys.executable, "-m", "mucoffea.main", *words],
            env={**os.environ, **place},
            cwd=self.files,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def edit(self, module: str, old: str, new: str) -> None:
        """Replace text in a module, which must be there."""
        path = self.package / module
        source = path.read_text()
        assert old in source
        path.write_text(source.replace(old, new, 1))


@pytest.fixture
def bench(tmp_path: Path, three_files: list[Path], toys: Path) -> Bench:
    """A run over two whole files and a damaged one, so that its parts are kept."""
    skip = shutil.ignore_patterns(".*", "tests", "benchmarks", "build", "results", "__pycache__", "*.egg-info")
    package = shutil.copytree(Path(mucoffea.__path__[0]), tmp_path / "code" / "mucoffea", ignore=skip)
    files = tmp_path / "files"
    shutil.copytree(toys, files, ignore=shutil.ignore_patterns("*.root"))
    for name, source in zip("abc", three_files, strict=True):
        shutil.copy(source, files / f"{name}.root")
    write_dataset(files / "sample.yaml", [files / f"{name}.root" for name in "abc"], era="demo")
    with (files / "c.root").open("r+b") as file:
        file.truncate(5_000)
    made = Bench(package, files, tmp_path / "out")
    done = made.run()
    assert done.returncode == 2, done.stdout + done.stderr
    return made


def replace_input(bench: Bench) -> None:
    """Put other events in the place of the first file."""
    (path,) = generate(ToySpec(sample="dy", events=300, seed=99), bench.files / "new")
    path.replace(bench.files / "a.root")


def edit_correction(bench: Bench) -> None:
    """Change a number in the correction file of muon identification."""
    (path,) = bench.files.rglob("muon_Z.json.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    number = re.search(r"0\.9\d{4,}", text)
    assert number is not None
    path.write_bytes(gzip.compress(text.replace(number.group(), "0.5", 1).encode()))


CHANGES: dict[str, tuple[Callable[[Bench], None], tuple[str, ...], int]] = {
    "nothing": (lambda bench: None, (), 6),
    "a comment in a room that does not process": (
        lambda bench: bench.edit("plotting/style.py", "\nfrom", "\n# A remark.\nfrom"),
        (),
        6,
    ),
    "a comment in a module that the analysis imports": (
        lambda bench: bench.edit("selections/muons.py", "\nfrom", "\n# A remark.\nfrom"),
        (),
        6,
    ),
    "a line of another analysis": (
        lambda bench: bench.edit("processors/cms_four_lepton.py", "max_dz=1.0", "max_dz=1.1"),
        (),
        6,
    ),
    "a line of the analysis": (
        lambda bench: bench.edit("processors/cms_dilepton.py", "min_pt: float = 26.0", "min_pt: float = 27.0"),
        (),
        0,
    ),
    "a line of a selection": (lambda bench: bench.edit("selections/pairs.py", "\ndef ", "\nX = 1\n\n\ndef "), (), 0),
    "a cut value": (lambda bench: None, ("--set", "muon.min_pt=25"), 0),
    "a correction file": (edit_correction, (), 0),
    "an input file": (replace_input, (), 3),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_invalidates(bench: Bench, name: str):
    change, words, kept = CHANGES[name]
    change(bench)
    done = bench.run("--retry-failed", "--overwrite", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"resumed: {kept} of 6 work items were done" in done.stdout
    if name == "an input file":
        rows = json.loads((bench.out / "ledger.json").read_text())
        assert [row["status"] for row in rows] == ["done"] * 6


def test_the_key_follows_the_code_and_settings_that_matter():
    sources = source_digests(Dimuon.__module__)
    assert {f"mucoffea.{name}" for name in ("selections.pairs", "corrections.loading", "processors.base")} <= set(
        sources
    )
    assert not {"mucoffea.processors.cms_four_lepton", "mucoffea.cli.run", "mucoffea.plotting.stack"} & set(sources)
    assert run_key(Dimuon(), {"a": 1}) == run_key(Dimuon(), {"a": 1})
    keys = {run_key(Dimuon(), {"a": 1}), run_key(Dimuon(), {"a": 2}), run_key(FourLepton(), {"a": 1})}
    assert len(keys) == 3


def test_a_worker_with_other_code_refuses(toys: Path, tmp_path: Path):
    class Anywhere:
        def reachable(self) -> bool:
            return True

        def write(self, item, result) -> None:
            pass

    (item,) = make_plan("a", replicas=(str(toys / "zz4l.root"),)).items
    item = item.model_copy(update={"tree": "Events", "metadata": {"kind": "mc", "era": None}})
    processor = Dimuon()
    for name, code, status in (("same", code_key(processor), "done"), ("other", "0" * 64, "failed")):
        outcome = Work(run_id=name, processor=processor, store=Anywhere(), code=code)(item)
        assert outcome.status == status
    assert outcome.cause == "code"
    assert "is not that with which the run began" in outcome.message
    close_files()
