"""The program itself, in a process of its own as its users start it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .support.command_line import MAIN, Ended, assert_refused, run_words


def test_the_program_itself(three_files: list[Path], tmp_path: Path):
    words = run_words(three_files[0], tmp_path / "out")
    ended = subprocess.run(
        [sys.executable, str(MAIN), *words], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "300 events in" in ended.stdout
    assert f"result: {tmp_path / 'out'} (complete)" in " ".join(ended.stdout.split())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"plan.json", "ledger.json", "report.json", "cutflow.csv", "cutflow.json", "histograms.h5"} <= names
    assert "parts" not in names
    assert "plots" not in names


@pytest.mark.slow
def test_the_main_job_on_real_files_with_plots(real: Path, tmp_path: Path):
    files = [str(real / "nanoaod" / f"{name}.root") for name in ("nano_dimuon", "nano_dy")]
    words = [sys.executable, str(MAIN), "--datasets", *files, "--processor", "cms_dimuon"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    plots = tmp_path / "results/plots"
    assert {"z_mass.png", "z_mass.pdf", "cut_flow.png"} <= {path.name for path in plots.iterdir()}


def test_the_program_itself_ends_without_traceback(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, str(MAIN), "--datasets", "demo_dyy", "--output-dir", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_refused(Ended(ended.returncode, ended.stdout, ended.stderr), "Did you mean 'demo_dy'")
    assert ended.stdout == ""
