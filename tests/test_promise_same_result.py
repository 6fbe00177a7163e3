"""The first promise: the same result for any executor, number of workers, order, interruption and chunk size.

The analysis smears muons with random numbers of their events and weighs with floating point numbers, so that any
dependence on a chunk, or on the order of a sum, would show.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mucoffea import cli
from mucoffea.executors.ledger import Ledger
from mucoffea.toys.cms_nanoaod import ToySpec, generate

from .support.command_line import run_words, write_dataset
from .support.results import assert_same_result
from .support.runs import products

SMEARED = '''\
"""Muons smeared by two per cent, and a floating point weight that no two events share."""

import awkward as ak
import numpy as np
from coffea.analysis_tools import PackedSelection

from mucoffea.corrections.random_numbers import normal, positions, uniform
from mucoffea.histograms.filler import Filler
from mucoffea.histograms.specification import Histogram
from mucoffea.outputs.columns import table
from mucoffea.processors import base
from mucoffea.selections.cut_flow import cut_flow


class Smeared(base.Analysis):
    histograms = (Histogram(name="pt", label="pt", unit="GeV", bins=40, start=0, stop=80),)
    regions = ("muons",)

    @classmethod
    def corrections(cls, parameters):
        return {}

    def process(self, events):
        shift = normal(events, stream="muon smearing", index=positions(events.Muon))
        pt = events.Muon.pt * (1 + 0.02 * shift)
        leading = ak.fill_none(ak.max(pt, axis=1), 0.0)
        weight = base.generator_weight(events) * (0.1 + uniform(events, stream="weight") / 3)
        selection = PackedSelection()
        selection.add("hard_muon", ak.to_numpy(leading) > 20)
        passed = selection.all("hard_muon")
        filler = Filler(self.histograms, events.metadata["dataset"], regions=self.regions)
        filler.fill({"pt": leading[passed]}, region="muons", variation="nominal", weight=weight[passed])
        columns = table(event=events.event[passed], weight=weight[passed], pt=pt[passed])
        entries = {"sumw": float(weight.sum()), "cutflow": cut_flow(selection, ["hard_muon"], weight)}
        return base.result(events, {**entries, "hists": filler.histograms, "columns": columns, "counters": {}})
'''


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 3 000 events in two files."""
    folder = tmp_path_factory.mktemp("sample")
    files = generate(ToySpec(sample="dy", events=3_000, files=2, seed=21, basket_events=400), folder)
    return write_dataset(folder / "smeared.yaml", files, era="demo")


@pytest.fixture
def words(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The command line of a run with the analysis above."""
    (tmp_path / "smeared_muons.py").write_text(SMEARED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield run_words(sample, "unset", processor="smeared_muons:Smeared")
    sys.modules.pop("smeared_muons", None)


def run(words: list[str], out: Path, *more: object) -> Path:
    """Run into ``out``, which is returned."""
    assert cli.main([*words, "--output-dir", str(out), *(str(word) for word in more)]) == 0
    return out


def shuffled(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Hand the work items out in another order."""
    in_order = Ledger.open_items.fget

    def items(self):
        return tuple(random.Random(seed).sample(in_order(self), len(in_order(self))))

    monkeypatch.setattr(Ledger, "open_items", property(items))


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Press Ctrl-C after so many work items."""
    record = Ledger.record

    def stop(self, outcome):
        record(self, outcome)
        if self.counts()["done"] == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "record", stop)


def test_order_and_interruption_change_no_byte(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    expected = products(run(words, tmp_path / "plain", "--chunksize", 200))
    assert {"columns/smeared.parquet", "histograms.root", "histograms.h5", "report.json"} <= set(expected)
    for seed in (1,):
        with monkeypatch.context() as patch:
            shuffled(patch, seed)
            assert products(run(words, tmp_path / f"shuffled-{seed}", "--chunksize", 200)) == expected
            interrupted(patch, 5 * seed)
            out = tmp_path / f"interrupted-{seed}"
            assert cli.main([*words, "--output-dir", str(out), "--chunksize", "200"]) == 130
        assert products(run(words, out, "--chunksize", 200, "--resume")) == expected


@pytest.mark.slow
def test_executor_and_number_of_workers_change_no_byte(words: list[str], tmp_path: Path):
    expected = products(run(words, tmp_path / "plain", "--chunksize", 100))
    for executor in ("futures", "dask-local"):
        for workers in (1, 2, 3, 4):
            out = run(words, tmp_path / f"{executor}-{workers}", *("--executor", executor, "--workers", workers),
                      "--chunksize", 100)  # fmt: skip
            assert products(out) == expected, (executor, workers)


def bits(column: pa.ChunkedArray) -> bytes:
    """The numbers of a column, which may be lists of numbers."""
    array = column.combine_chunks()
    return np.asarray(array.flatten() if pa.types.is_nested(array.type) else array).tobytes()


@pytest.mark.slow
def test_chunk_size_changes_no_event(words: list[str], tmp_path: Path):
    whole = run(words, tmp_path / "whole", "--chunksize", 1_000_000)
    table = pq.read_table(whole / "columns/smeared.parquet")
    assert table.num_rows > 500
    for chunksize in (7, 100, 7_777):
        out = run(words, tmp_path / str(chunksize), "--chunksize", chunksize)
        # Counts exact, weighted sums to 1e-12, columns bit for bit.
        assert_same_result(whole, out, tolerance=1e-12)
        other = pq.read_table(out / "columns/smeared.parquet")
        for name in table.column_names:
            assert bits(table[name]) == bits(other[name]), (chunksize, name)
        items = json.loads((out / "plan.json").read_text())["items"]
        assert len(items) >= min(3_000 // chunksize, 2)
