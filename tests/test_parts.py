"""Parts: what is in them, how they add up, and what is refused when one is written."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from itertools import accumulate
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from coffea.processor import accumulate as accumulate_results
from hist.chunked import ChunkedHist
from mucoffea.errors import UserError
from mucoffea.outputs.columns import ROW_GROUP, table
from mucoffea.outputs.part_format import ARRAYS
from mucoffea.outputs.parts import Merger, PartStore

from .support.parts import Item, make_result, merged

SUFFIXES = tuple(f".{kind.removeprefix('<')}" for kind in ARRAYS.values())


def test_merging_parts_is_accumulating_results(tmp_path: Path):
    rng = np.random.default_rng(4)
    # The third chunk fills another set of regions, so its axes differ.
    results = [make_result(rng), make_result(rng), make_result(rng, ("z", "tt")), make_result(rng)]
    whole = merged(results, tmp_path)
    expected = accumulate_results(results)["a"]
    assert whole.numbers["a"] == {key: expected[key] for key in ("sumw", "events", "cutflow")}
    seen = whole.histograms["a"]["mass"]
    assert list(seen.axes["region"]) == ["z", "ss", "tt"]
    for region in ("z", "ss", "tt"):
        place = {"dataset": "a", "region": region, "variation": "nominal"}
        np.testing.assert_allclose(
            seen[place].view()["value"], expected["hists"]["mass"][place].view()["value"], rtol=1e-14
        )
    rows = pq.read_table(tmp_path / "columns" / "a.parquet")
    assert ak.to_list(ak.concatenate(expected["columns"])) == rows.to_pylist()
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_part_holds_no_pickle(tmp_path: Path):
    store = PartStore(tmp_path)
    with zipfile.ZipFile(io.BytesIO(store.encode(Item(0), make_result(np.random.default_rng(1))))) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(SUFFIXES):
                assert len(content) % 8 == 0
            elif name.endswith(".json"):
                json.loads(content)
            else:
                assert content[:4] == b"PAR1"


def test_equal_results_give_equal_bytes_here_and_in_another_process(tmp_path: Path):
    code = (
        "import sys; import numpy as np; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from support.parts import Item, make_result; from mucoffea.outputs.parts import PartStore;"
        "sys.stdout.buffer.write(PartStore(Path('x')).encode(Item(3), make_result(np.random.default_rng(1))))"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent)]
    elsewhere = subprocess.run(words, capture_output=True, check=True).stdout
    store = PartStore(tmp_path)
    # The second time, the structures come from the first.
    assert [store.encode(Item(3), make_result(np.random.default_rng(1))) for _ in range(2)] == [elsewhere] * 2
    store.put(Item(3), elsewhere)
    assert store.has(Item(3))
    assert store.path(Item(3)).read_bytes() == elsewhere


@pytest.mark.parametrize("leaf", ["2018", True, None, [1], np.bool_(True)])
def test_a_leaf_that_does_not_add_up_is_named(tmp_path: Path, leaf):
    with pytest.raises(UserError, match="at 'a/counters/x'"):
        PartStore(tmp_path).write(Item(0), {"a": {"counters": {"x": leaf}}})
    assert not list(tmp_path.iterdir())


def with_storage(storage: str, rng: np.random.Generator, categories: list[str]) -> hist.Hist:
    """A histogram of 200 random entries and some outside its axis, in two dimensions and a category."""
    histogram = hist.Hist(
        hist.axis.StrCategory(categories, growth=True, name="dataset"),
        hist.axis.Regular(5, 0, 1, name="x", label="x [cm]"),
        hist.axis.Variable([0, 0.1, 0.5, 1], name="y"),
        hist.axis.Regular(3, 1, 1000, name="z", transform=hist.axis.transform.log),
        storage=storage,
    )
    more = {"sample": rng.normal(5, 2, 200)} if "Mean" in storage else {}
    if storage.startswith("Weight"):
        more["weight"] = rng.normal(1, 0.5, 200)
    x, y = rng.uniform(-0.2, 1.2, (2, 200))
    return histogram.fill(rng.choice(categories, 200), x, y, rng.uniform(0.5, 2000, 200), **more)


@pytest.mark.parametrize("storage", ["Weight", "Double", "Int64", "Mean", "WeightedMean"])
@pytest.mark.parametrize("grown", [False, True])
def test_every_storage_adds_up_as_hist_adds(tmp_path: Path, storage: str, grown: bool):
    rng = np.random.default_rng(2)
    categories = [["a"], ["a"], ["b", "a"] if grown else ["a"], ["a"]]
    chunks = [with_storage(storage, rng, names) for names in categories]
    # A second histogram of the other kind of array beside it, so that places in the arrays matter.
    counts = [with_storage("Int64", rng, ["a"]) for _ in chunks]
    results = [{"a": {"hists": {"n": n, "x": x, "m": n}}} for n, x in zip(counts, chunks, strict=True)]
    found = merged(results, tmp_path).histograms["a"]
    assert list(found) == ["n", "x", "m"]
    *_, expected = accumulate(chunks)
    assert found["x"].axes == expected.axes
    assert found["x"].storage_type is expected.storage_type
    ours, theirs = (np.asarray(one.view(flow=True)) for one in (found["x"], expected))
    for name in ours.dtype.names or [...]:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-13, atol=1e-13)
    if not grown:
        np.testing.assert_array_equal(ours, theirs)
    assert found["n"] == found["m"] == sum(counts[1:], counts[0])


def test_a_histogram_that_changes_from_chunk_to_chunk_is_never_taken_for_the_one_before(tmp_path: Path):
    def one(label: str, name: str | None, stop: float, growing: list[str]) -> hist.Hist:
        axes = (hist.axis.StrCategory(growing, growth=True, name="c"), hist.axis.Regular(2, 0, stop, label=label))
        return hist.Hist(*axes, storage="Int64", name=name)

    store = PartStore(tmp_path)
    same = one("x", "n", 1, ["a"])
    variants = [same, one("y", "n", 1, ["a"]), one("x", "m", 1, ["a"]), one("x", "n", 1 + 1e-15, ["a"])]
    rows = [store.encode(Item(0), {"a": {"hists": {"h": variant}}}) for variant in [*variants, same]]
    same.fill(["b"], [0.5])
    rows.append(store.encode(Item(0), {"a": {"hists": {"h": same}}}))
    assert rows[0] == rows[4]
    assert len({*rows}) == 5


class Unnumbered:
    """Metadata that no file holds."""


def weighted(storage: str) -> hist.Hist:
    return hist.Hist(hist.axis.Regular(2, 0, 1), storage=storage).fill([0.2, 0.3], weight=[0.5, 2.0])


@pytest.mark.parametrize(
    ("histogram", "message"),
    [
        (hist.Hist(hist.axis.Regular(2, 0, 1), storage="Unlimited"), "storage Unlimited.* Use Weight, Double, Int64"),
        (hist.Hist(hist.axis.Regular(2, 0, 1), storage="AtomicInt64"), "storage AtomicInt64"),
        (weighted("Double"), "filled with weights.* Use the storage Weight"),
        (
            ChunkedHist(hist.axis.StrCategory([], growth=True, name="c"), hist.axis.Regular(2, 0, 1, name="x")),
            r"a ChunkedHist .*\.to_hist\(\)",
        ),
        (np.zeros(3), "only a hist.Hist"),
        (hist.Hist(hist.axis.Regular(2, 0, 1, label=Unnumbered())), "a Unnumbered is neither text nor number"),
    ],
)
def test_a_histogram_that_would_not_survive_is_refused_at_once(tmp_path: Path, histogram: Any, message: str):
    with pytest.raises(UserError, match=f"at 'a/hists/x'.*{message}|{message}.*at 'a/hists/x'"):
        PartStore(tmp_path).write(Item(0), {"a": {"hists": {"x": histogram}}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        ({"n": 1}, {"n": {"x": 1}}, "'n' is a number in one chunk"),
        ({"n": {"x": 1}}, {"n": 1}, "'n' is a number in one chunk"),
        (
            {"hists": {"h": hist.Hist(hist.axis.Regular(2, 0, 1))}},
            {"hists": {"h": hist.Hist(hist.axis.Regular(3, 0, 1))}},
            "histogram 'h' of dataset 'a': ",
        ),
        ({"columns": table(x=[1])}, {"columns": table(x=[1.5])}, "columns are x: double, and were x: int64 before"),
    ],
)
def test_results_that_do_not_add_up_are_named(tmp_path: Path, one: dict, two: dict, message: str):
    with pytest.raises(UserError, match=f"dataset 'a' do not add up: .*{message}.*entries 50–100"):
        merged([{"a": one}, {"a": two}], tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    store = PartStore(tmp_path)
    store.write(Item(0), {"a": {"n": 1}})
    before = store.path(Item(0)).read_bytes()
    failure = OSError(code, os.strerror(code))

    def full(descriptor: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", full)
    for index in (0, 1):
        with pytest.raises(OSError, match=os.strerror(code)) as raised:
            store.write(Item(index), {"a": {"n": 2}})
        assert raised.value is failure
    assert [path.name for path in tmp_path.iterdir()] == ["000000.zip"]
    assert store.path(Item(0)).read_bytes() == before


def test_a_write_that_breaks_off_leaves_nothing_behind(tmp_path: Path):
    # The system itself cuts the file short, by a limit on the size of files.
    code = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from support.parts import Item; from mucoffea.outputs.parts import PartStore;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "PartStore(Path(sys.argv[2])).put(Item(0), bytes(9000))"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert "OSError: [Errno 27]" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_worker_knows_whether_it_shares_the_disk(tmp_path: Path):
    store = PartStore(tmp_path / "parts")
    there = pickle.loads(pickle.dumps(store))
    assert not there.reachable()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "left.tmp").touch()
    store.mark()
    assert there.reachable()
    assert [path.suffix for path in store.folder.iterdir()] == [""]
    # A folder of the same path on another machine.
    PartStore(tmp_path / "parts").mark()
    assert not there.reachable()


def test_columns_stream_to_the_disk(tmp_path: Path):
    store, merger = PartStore(tmp_path), Merger(tmp_path / "columns")
    rows, parts = 20_000, 40
    part = {"a": {"columns": table(**{name: np.arange(rows) for name in "wxyz"})}}
    for index in range(parts):
        store.write(Item(index), part)
    before, most = pa.total_allocated_bytes(), 0
    for index in range(parts):
        merger.add(Item(index), store.path(Item(index)))
        most = max(most, pa.total_allocated_bytes() - before)
    merger.finish()
    row = 4 * 8
    assert most < 1.5 * (ROW_GROUP + rows) * row < 0.3 * rows * parts * row
    np.testing.assert_array_equal(
        pq.read_table(tmp_path / "columns" / "a.parquet")["z"].to_numpy(), np.tile(np.arange(rows), parts)
    )
