"""The one normalisation, columns, and the result folder."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.errors import UserError
from mucoffea.outputs.bundle import read_bundle, scale_of, view, write_bundle
from mucoffea.outputs.columns import ROW_GROUP, ColumnWriter, table, to_arrow
from mucoffea.outputs.folder import check_output, file_name, hold, publish_output, start_output
from mucoffea.outputs.luminosity import EraLuminosity
from mucoffea.outputs.normalisation import FileSum, NormalisationError, scale_factor, sum_of_weights
from mucoffea.outputs.parts import add_numbers
from mucoffea.outputs.report import DatasetReport, Sample, dataset_report

from .support.varied_result import NOMINAL, REGION, bundle


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


def test_each_variation_of_the_generator_has_its_own_sum():
    total = sum_of_weights([file_sum()], 36.0, {"pdf001": 40.0})
    assert (total.variations, total.note) == ({"pdf001": 40.0}, "")
    # A skim that keeps them: Σ ratio times Σ genWeight, file by file.
    skims = [
        file_sum(gen_event_count=1000, gen_event_sumw=800.0, gen_variation_sums={"pdf001": 1.1, "ps_isrUp": 1.0}),
        file_sum(gen_event_count=500, gen_event_sumw=200.0, gen_variation_sums={"pdf001": 0.9}),
    ]
    total = sum_of_weights(skims, 50.0, {"pdf001": 60.0, "ps_isrUp": 55.0})
    assert total.variations == pytest.approx({"pdf001": 1.1 * 800 + 0.9 * 200, "ps_isrUp": 1000 * 55 / 50})
    assert "lacks the sums of 1 variations" in total.note
    assert "lacks" not in sum_of_weights(skims, 50.0, {"pdf001": 60.0}).note


def simulated(**changes) -> Sample:
    fields = {"name": "z", "kind": "mc", "process": "z", "label": "z", "era": "2018", "cross_section": 2.0}
    return Sample(**{**fields, "inputs": (file_sum(planned=100),), "files_available": 1, **changes})


def test_a_change_of_rate_of_the_generator_cancels_and_a_useless_sum_is_said():
    era = EraLuminosity(era="2018", value=10.0)
    numbers = {"sumw": 80.0, "sumw_variations": {"pdf001": 120.0, "pdf002": float("nan"), "pdf003": 0.0}}
    one = dataset_report(simulated(), era, numbers, allow_partial=False)
    assert one.scale == 1000 * 10 * 2 / 80
    # All generated events amount to luminosity times cross section in each variation.
    assert one.scale_variations["pdf001"] * 120 == pytest.approx(one.scale * 80, rel=1e-15)
    assert set(one.not_normalised_variations) == {"pdf002", "pdf003"}
    assert scale_of(one, "pdf001") == one.scale_variations["pdf001"]
    assert scale_of(one, "pileupUp") == one.scale
    assert DatasetReport.model_validate_json(one.model_dump_json()).scale_variations == one.scale_variations
    unknown = dataset_report(simulated(cross_section=None), era, numbers, allow_partial=False)
    assert (unknown.scale, unknown.scale_variations) == (None, {})


def test_sums_of_variations_add_over_parts_as_nested_numbers():
    total: dict = {}
    for sums in ({"pdf001": 1.5, "pdf002": 2.0}, {"pdf001": 0.5}):
        add_numbers(total, {"sumw": 1.0, "sumw_variations": sums})
    assert total == {"sumw": 2.0, "sumw_variations": {"pdf001": 2.0, "pdf002": 2.0}}


def test_a_view_of_a_variation_has_its_scale_and_what_it_does_not_touch():
    contents = {
        "z": {"nominal": NOMINAL, "pdf001": 1.3 * NOMINAL},
        "tt": {"nominal": 2 * NOMINAL},
        "data": {"nominal": 3 * NOMINAL},
    }
    changes = {"z": {"scale": 2.0, "scale_variations": {"pdf001": 2 / 1.3}}, "data": {"kind": "data"}}
    made = bundle(contents, datasets=changes)
    for variation in ("pdf001", "nominal", "somethingElse"):
        seen = view(made, "mass", REGION, variation)
        np.testing.assert_allclose(seen.simulation["z"].values(flow=True), 2 * NOMINAL, rtol=1e-15)
        np.testing.assert_allclose(seen.simulation["tt"].values(flow=True), 2 * NOMINAL)
        np.testing.assert_allclose(seen.data.values(flow=True), 3 * NOMINAL)


def test_the_written_histograms_have_the_scale_of_their_variation(tmp_path: Path):
    contents = {"z": {"nominal": NOMINAL, "pdf001": 1.3 * NOMINAL}}
    made = bundle(contents, datasets={"z": {"scale": 2.0, "scale_variations": {"pdf001": 2 / 1.3}}})
    write_bundle(made, tmp_path)
    with uproot.open(tmp_path / "histograms.root") as file:
        for variation in ("nominal", "pdf001"):
            one = file[f"normalised/z/{REGION}/{variation}/mass"]
            np.testing.assert_allclose(one.values(flow=True), 2 * NOMINAL, rtol=1e-15)
    back = read_bundle(tmp_path)
    assert back.report == made.report
    assert back.scale("z", "pdf001") == 2 / 1.3


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
