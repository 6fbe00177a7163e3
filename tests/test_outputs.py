"""Parts and their merging, the one normalisation, columns, and the result folder."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
from coffea.processor import accumulate
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.histograms import Histogram
from mucoffea.histograms.filler import Filler
from mucoffea.outputs.columns import ROW_GROUP, ColumnWriter, table, to_arrow
from mucoffea.outputs.folder import check_output, file_name, hold, publish_output, start_output
from mucoffea.outputs.normalisation import FileSum, NormalisationError, scale_factor, sum_of_weights
from mucoffea.outputs.parts import Merger, PartStore, encode

MASS = Histogram(name="mass", label="m", bins=10, start=0, stop=10)


@dataclass
class Item:
    """A work item as the store sees it."""

    index: int
    key: str = ""


def make_result(rng: np.random.Generator, regions=("z", "ss")) -> dict:
    filler = Filler([MASS], "a", regions=regions)
    for region in regions:
        filler.fill({"mass": rng.uniform(0, 10, 50)}, region=region, variation="nominal", weight=rng.normal(1, 1, 50))
    return {
        "a": {
            "sumw": float(rng.normal()),
            "events": 50,
            "cutflow": {"all": {"n": np.int64(50), "sumw": np.float64(rng.normal())}},
            "hists": filler.histograms,
            "columns": table(event=rng.integers(0, 2**60, 7), pt=rng.uniform(size=7).astype("f4")),
        }
    }


def test_merging_parts_is_accumulating_results(tmp_path: Path):
    rng = np.random.default_rng(4)
    # The third chunk fills another set of regions, so its axes differ.
    results = [make_result(rng), make_result(rng), make_result(rng, ("z", "tt")), make_result(rng)]
    store = PartStore(tmp_path)
    merger = Merger(tmp_path / "columns")
    for index, result in enumerate(results):
        item = Item(index, f"{index:064d}")
        store.write(item, result)
        merger.add(store.path(item))
    merged = merger.finish()
    expected = accumulate(results)["a"]
    assert merged.numbers["a"] == {key: expected[key] for key in ("sumw", "events", "cutflow")}
    seen = merged.histograms["a"]["mass"]
    assert list(seen.axes["region"]) == ["z", "ss", "tt"]
    for region in ("z", "ss", "tt"):
        place = {"dataset": "a", "region": region, "variation": "nominal"}
        np.testing.assert_allclose(
            seen[place].view()["value"], expected["hists"]["mass"][place].view()["value"], rtol=1e-14
        )
    rows = pq.read_table(tmp_path / "columns" / "a.parquet")
    assert ak.to_list(ak.concatenate(expected["columns"])) == rows.to_pylist()
    assert not list(tmp_path.glob("*.tmp"))


def test_a_part_holds_no_pickle(tmp_path: Path):
    buffer = io.BytesIO()
    encode(make_result(np.random.default_rng(1)), buffer)
    with zipfile.ZipFile(buffer) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".npy"):
                np.load(io.BytesIO(content), allow_pickle=False)
            elif name.endswith(".json"):
                json.loads(content)
            else:
                assert content[:4] == b"PAR1"


@pytest.mark.parametrize("leaf", ["2018", True, None, [1], np.bool_(True)])
def test_a_leaf_that_does_not_add_up_is_named(tmp_path: Path, leaf):
    with pytest.raises(UserError, match="at 'a/counters/x'"):
        PartStore(tmp_path).write(Item(0), {"a": {"counters": {"x": leaf}}})
    assert not (tmp_path / "000000.zip").exists()


def test_columns_leave_their_events_behind():
    columns = table(x=ak.Array([[1.0], [], [2.0, 3.0]])[ak.Array([True, False, True])])[0]
    assert columns.behavior is None
    assert not columns.attrs
    assert to_arrow([columns, columns]).column("x").to_pylist() == [[1.0], [2.0, 3.0]] * 2


@pytest.mark.parametrize("piece", [1_000, 99_999, ROW_GROUP, ROW_GROUP + 1])
def test_row_groups_do_not_depend_on_the_pieces(tmp_path: Path, piece: int):
    values = np.arange(300_000)
    writer = ColumnWriter(tmp_path / "x.parquet")
    for start in range(0, len(values), piece):
        writer.write(to_arrow(table(x=values[start : start + piece])))
    writer.close()
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [
        ROW_GROUP,
        ROW_GROUP,
        300_000 - 2 * ROW_GROUP,
    ]
    np.testing.assert_array_equal(file.read()["x"].to_numpy(), values)


@given(st.floats(1e-3, 1e5), st.floats(1e-3, 500), st.lists(st.floats(-10, 10), min_size=1, max_size=50))
def test_normalisation_recovers_luminosity_times_cross_section(cross_section, luminosity, weights):
    # The yield of all generated events is L·σ, whatever the weights and their signs are.
    sumw = float(np.sum(weights))
    if sumw <= 0:
        with pytest.raises(NormalisationError, match="sumw"):
            scale_factor(cross_section=cross_section, luminosity=luminosity, sumw=sumw)
        return
    scale = scale_factor(cross_section=cross_section, luminosity=luminosity, sumw=sumw)
    assert scale * sumw == pytest.approx(1000 * luminosity * cross_section, rel=1e-12)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"cross_section": None}, "no cross section"),
        ({"luminosity": None}, "no luminosity"),
        ({"cross_section": 0.0}, "cross section of 0"),
        ({"sumw": 0.0}, "sumw is 0"),
    ],
)
def test_an_unknown_number_is_an_error_never_one(numbers, message):
    with pytest.raises(NormalisationError, match=message):
        scale_factor(**{"cross_section": 1.0, "luminosity": 1.0, "sumw": 1.0, **numbers})


def file_sum(**changes) -> FileSum:
    return FileSum(
        **{
            "lfn": "f",
            "entries": 100,
            "processed": 100,
            "gen_event_count": 100,
            "gen_event_sumw": 90.0,
            **changes,
        }
    )


def test_sumw_of_an_unskimmed_file_is_that_of_the_processed_events():
    assert sum_of_weights([file_sum(processed=40)], 36.0).value == 36.0
    assert sum_of_weights([file_sum(gen_event_count=None, gen_event_sumw=None)], 36.0).note


def test_sumw_of_a_skim_is_that_of_its_parent():
    # 100 of 1000 generated events are left: normalising to their own sum would be ten times too much.
    total = sum_of_weights([file_sum(gen_event_count=1000, gen_event_sumw=870.0), file_sum()], 150.0)
    assert (total.value, total.source) == (960.0, "Runs tree")
    with pytest.raises(NormalisationError, match="is a skim"):
        sum_of_weights([file_sum(gen_event_count=1000, processed=99)], 99.0)
    with pytest.raises(NormalisationError, match="no Runs tree"):
        sum_of_weights([file_sum(gen_event_count=1000), file_sum(gen_event_count=None, gen_event_sumw=None)], 1.0)


def finished(folder: Path, text: str) -> None:
    """Let a run that leaves ``text`` in each product finish in ``folder``."""
    with hold(folder) as work:
        start_output(work)
        (work / "plots").mkdir()
        for name in ("plan.json", "report.json", "plots/mass.png"):
            (work / name).write_text(text)
        publish_output(folder, complete=True)


def test_a_result_is_replaced_as_a_whole_and_nothing_else(tmp_path: Path):
    folder = tmp_path / "out"
    check_output(folder)
    finished(folder, "first")
    (folder / "my_notes.txt").write_text("keep")
    (folder / "plots" / "old.png").write_text("first")
    check_output(folder)
    with hold(folder) as work:
        start_output(work)
    # Until the new run has finished, the old result is there.
    assert (folder / "report.json").read_text() == "first"
    assert work.parent == folder
    finished(folder, "second")
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "my_notes.txt": "keep",
        "plan.json": "second",
        "report.json": "second",
        "plots/mass.png": "second",
    }


def test_a_failed_run_does_not_block_the_next_but_one_at_work_does(tmp_path: Path):
    with hold(tmp_path / "out") as work:
        start_output(work)
        with pytest.raises(UserError, match="Another run is at work"), hold(tmp_path / "out"):
            pass
    check_output(tmp_path / "out")
    with hold(tmp_path / "out"):
        pass


def test_what_goes_on_keeps_parts_and_ledger_only(tmp_path: Path):
    with hold(tmp_path / "out") as work:
        start_output(work)
        for name in ("ledger.sqlite", "ledger.sqlite-wal", "parts/a.zip", "histograms.h5"):
            (work / name).touch()
        start_output(work, keep_parts=True)
        assert {path.name for path in work.iterdir()} == {"lock", "parts", "ledger.sqlite", "ledger.sqlite-wal"}
        assert (work / "parts/a.zip").exists()
        start_output(work)
        assert {path.name for path in work.iterdir()} == {"lock", "parts"}
        assert not list((work / "parts").iterdir())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("text")
    with pytest.raises(UserError, match="holds no mucoffea result"):
        check_output(tmp_path)
    for folder in (tmp_path / "thesis.tex", tmp_path / "thesis.tex" / "below"):
        with pytest.raises(UserError, match="is a file"):
            check_output(folder)


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_files_of_a_dataset_stay_in_the_folder_and_apart(one: str, two: str):
    for name in (one, two, "../../x", "/A/B/NANOAOD", ".", ".."):
        made = file_name(name)
        assert Path(made).name == made
        assert made not in (".", "..")
    assert one == two or file_name(one) != file_name(two)
    assert file_name("ZZTo4L_13TeV-powheg.v1") == "ZZTo4L_13TeV-powheg.v1"
