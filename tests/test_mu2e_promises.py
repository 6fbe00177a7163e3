"""The first promise for Mu2e: chunks, executors, file formats, a kill and a resume change nothing in the result."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mucoffea.cli import main
from mucoffea.histograms.storage import cells, read_hdf5
from mucoffea.toys.mu2e_eventntuple import ToySpec, generate

from .support.command_line import run_words
from .support.runs import Program, parts, products, recorded, wait_until

EVENTS, CHUNKSIZE = 4_800, 80
CUTSETS = ("--set", "cutsets=[SU2020b, alpha]", "--set", "spill='on'", "--set", "scans={lo_trkqual: [0.2, 0.5, 0.8]}",
           "--set", "columns=selected")  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cosmics, many of which look like the signal, in an RNTuple."""
    folder = tmp_path_factory.mktemp("mu2e")
    (path,) = generate(ToySpec(sample="cosmic", events=EVENTS, enriched=0.5, inefficiency=0.2, seed=4), folder)
    return path


def words(sample: Path, out: Path, *more: object) -> list[str]:
    """The command line of a run in 60 work items."""
    chunks = () if "--chunksize" in more else ("--chunksize", CHUNKSIZE)
    return run_words(sample, out, *CUTSETS, *chunks, *more, processor="mu2e_cosmic")


@pytest.fixture(scope="module")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(words(sample, out)) == 0
    return out


def counters(folder: Path) -> dict:
    """What was counted; sums of weights are counts here."""
    (dataset,) = json.loads((folder / "report.json").read_text())["datasets"]
    return dataset["counters"]


def contents(folder: Path) -> dict[str, np.ndarray]:
    """All numbers of all histograms, flow bins included."""
    return {name: cells(histogram) for name, histogram in read_hdf5(folder / "histograms.h5").items()}


def columns(folder: Path) -> pa.Table:
    """The columns of the one dataset."""
    (path,) = (folder / "columns").glob("*.parquet")
    return pq.read_table(path)


def assert_same(one: Path, other: Path) -> None:
    """The same events, columns bit for bit, and the same counts in every bin."""
    assert counters(one) == counters(other)
    assert (one / "cutflow.json").read_bytes() == (other / "cutflow.json").read_bytes()
    before, after = contents(one), contents(other)
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)
    # As text: a nan is not equal to itself.
    assert str(columns(one).to_pydict()) == str(columns(other).to_pydict())


def test_there_is_something_to_lose(undisturbed: Path):
    assert columns(undisturbed).num_rows > 100
    stages = counters(undisturbed)["mu2e"]["SU2020b"]["stages"]
    assert EVENTS == stages["All"]["Inclusive"] > stages["Select"]["Inclusive"] > stages["Unvetoed"]["Inclusive"] > 10


@pytest.mark.parametrize("chunksize", [777, 1_000_000])
def test_chunks_change_nothing(sample: Path, undisturbed: Path, tmp_path: Path, chunksize: int):
    assert main(words(sample, tmp_path / "out", "--chunksize", chunksize)) == 0
    assert_same(undisturbed, tmp_path / "out")


def test_parquet_gives_the_same(undisturbed: Path, tmp_path: Path):
    spec = ToySpec(sample="cosmic", events=EVENTS, enriched=0.5, inefficiency=0.2, seed=4, format="parquet")
    (path,) = generate(spec, tmp_path)
    assert main(words(path, tmp_path / "out", "--chunksize", 1000)) == 0
    assert_same(undisturbed, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["futures", "dask-local"])
def test_executors_change_no_byte(sample: Path, undisturbed: Path, tmp_path: Path, executor: str):
    assert main(words(sample, tmp_path / "out", "--executor", executor, "--workers", 2)) == 0
    assert products(tmp_path / "out") == products(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["iterative", "futures"])
def test_killed_and_resumed(sample: Path, undisturbed: Path, tmp_path: Path, executor: str):
    out, flags = tmp_path / "out", ("--executor", executor, "--workers", "2", "--resume")
    for wanted in (5, 20):
        before = recorded(out)
        process = Program(sample, out, *flags, words=words)
        assert wait_until(lambda: parts(out) >= wanted, process)  # noqa: B023
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
        assert set(before) <= set(recorded(out))
        assert set(recorded(out).values()) <= {1}
    process = Program(sample, out, *flags, words=words)
    said = process.said()
    assert process.returncode == 0, said
    assert "resumed: " in said
    assert products(out) == products(undisturbed)
