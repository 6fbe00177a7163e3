"""The same result, whoever computes it and in whatever chunks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mucoffea import cli

from .support.command_line import Command, run_words
from .support.results import assert_same_result

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.fixture(scope="module")
def references(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Results of ``iterative`` by processor and chunk size, each made once."""
    folder = tmp_path_factory.mktemp("references")

    def reference(processor: str, chunksize: int) -> Path:
        result = folder / f"{processor}-{chunksize}"
        if not result.exists():
            assert cli.main(executor_words(toys, result, processor, "iterative", chunksize)) == 0
        return result

    return reference


def executor_words(toys: Path, folder: Path, processor: str, executor: str, chunksize: int) -> list[str]:
    """The words of a run over a toy, with the corrections of the era demo from the environment."""
    os.environ["MUCOFFEA_CORRECTIONS"] = str(toys)
    datasets = [toys / "zz4l.root", toys / "dy.root"] if processor == "cms_dimuon" else [toys / "zz4l.root"]
    more = ("--era", "demo", "--executor", executor, "--workers", 2, "--chunksize", chunksize)
    return run_words(datasets, folder, *more, processor=processor)


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the folder of corrections after the test."""
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", "")


slow = pytest.mark.slow


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("processor", ["cms_dimuon", "cms_four_lepton"])
@pytest.mark.parametrize(
    ("executor", "chunksize"),
    [
        ("iterative", 1_000),
        ("iterative", 7_777),
        pytest.param("futures", 1_000, marks=slow),
        pytest.param("futures", 7_777, marks=slow),
        pytest.param("futures", 100_000, marks=slow),
        pytest.param("dask-local", 1_000, marks=slow),
        pytest.param("dask-local", 7_777, marks=slow),
        pytest.param("dask-local", 100_000, marks=slow),
    ],
)
def test_every_executor_and_chunk_size_gives_the_same_result(
    command: Command, toys: Path, tmp_path: Path, references, processor: str, executor: str, chunksize: int
):
    ended = command(*executor_words(toys, tmp_path / "out", processor, executor, chunksize))
    assert ended.code == 0
    assert ("Dask dashboard: http" in ended.out) == (executor == "dask-local")
    # The order of the sums is that of the plan: with the same chunks, every bit is the same.
    assert_same_result(references(processor, chunksize), tmp_path / "out", tolerance=0)
    assert_same_result(references(processor, 100_000), tmp_path / "out", tolerance=1e-12)
