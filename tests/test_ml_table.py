"""The table of coincidences: what is read, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mucoffea.errors import UserError
from mucoffea.ml.crv_settings import Booster, Settings, WindowScan, small_grid
from mucoffea.ml.crv_table import build_table, find_columns, read_table
from pydantic import ValidationError

from .support.coincidences import coincidences

SETTINGS = Settings()


def replaced(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_every_event_is_counted_and_only_coincidences_are_rows() -> None:
    cosmic = coincidences("cosmic", 500, missed=0.1)
    beam = coincidences("electron", 400)
    table = build_table(cosmic, beam, SETTINGS)
    assert table.n_events == 900
    assert table.cosmic.sum() == 500
    present = np.concatenate([cosmic["has_coincidence"].to_numpy(), beam["has_coincidence"].to_numpy()])
    assert len(table.values) == present.sum()
    empty = np.setdiff1d(np.arange(900), table.event)
    assert len(empty) == sum(source.events_without_coincidence for source in table.sources) > 0


def test_infinite_values_are_missing() -> None:
    cosmic = coincidences("cosmic", 300)
    assert np.isinf(cosmic["angle"].to_numpy()).any()
    cosmic = replaced(cosmic, "PEs", np.where(np.arange(cosmic.num_rows) % 5 == 0, 1e300, cosmic["PEs"].to_numpy()))
    table = build_table(cosmic, coincidences("electron", 300), SETTINGS)
    assert not np.isinf(table.values).any()
    assert np.isnan(table.values[:, SETTINGS.features.index("angle")]).any()
    assert np.isnan(table.values[:, SETTINGS.features.index("PEs")]).any()


def test_the_order_of_the_rows_does_not_matter() -> None:
    cosmic, beam = coincidences("cosmic", 300), coincidences("electron", 300)
    shuffled = [table.take(np.random.default_rng(3).permutation(table.num_rows)) for table in (cosmic, beam)]
    one, other = build_table(cosmic, beam, SETTINGS), build_table(*shuffled, SETTINGS)
    for name in ("values", "dt", "label", "event", "cosmic"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def test_equal_event_numbers_of_both_samples_stay_apart() -> None:
    """Run, subrun and event of the two samples are the same here; another run is another event."""
    cosmic, beam = coincidences("cosmic", 200), coincidences("electron", 200)
    assert build_table(cosmic, beam, SETTINGS).n_events == 400
    later = replaced(cosmic, "run", np.full(cosmic.num_rows, 1203, dtype=np.int32))
    assert build_table(pa.concat_tables([cosmic, later]), beam, SETTINGS).n_events == 600


def test_labels_are_those_of_coincidences_where_truth_is_there() -> None:
    cosmic, beam = coincidences("cosmic", 300), coincidences("electron", 300)
    truth = build_table(cosmic, beam, SETTINGS)
    assert truth.labels == "truth"
    assert truth.label.sum() == 300 < truth.cosmic[truth.event].sum()
    sample = build_table(cosmic.drop_columns(["is_cosmic"]), beam, SETTINGS)
    assert sample.labels == "sample"
    assert "differences between the samples" in sample.warnings[0]
    assert np.array_equal(sample.label, sample.cosmic[sample.event])
    with pytest.raises(UserError, match="no column 'is_cosmic'"):
        build_table(cosmic.drop_columns(["is_cosmic"]), beam, Settings(labels="truth"))


def test_a_result_folder_or_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "cosmics"
    (folder / "columns").mkdir(parents=True)
    pq.write_table(coincidences("cosmic", 50), folder / "columns" / "cry.parquet")
    pq.write_table(coincidences("electron", 50), tmp_path / "ce.parquet")
    table = read_table(folder, tmp_path / "ce.parquet", SETTINGS)
    assert [source.dataset for source in table.sources] == ["cry", "ce"]
    assert all(len(source.sha256) == 64 for source in table.sources)
    assert table.warnings == ()
    (folder / "report.json").write_text('{"status": "incomplete"}')
    assert "not complete" in read_table(folder, tmp_path / "ce.parquet", SETTINGS).warnings[0]
    pq.write_table(coincidences("electron", 50), folder / "columns" / "ce.parquet")
    with pytest.raises(UserError, match=r"several samples \(ce.parquet, cry.parquet\)"):
        find_columns(folder)


def test_what_is_refused(tmp_path: Path) -> None:
    good, beam = coincidences("cosmic", 50), coincidences("electron", 50)
    with pytest.raises(UserError, match=r"no column 'PEs'.*Did you mean 'PE'"):
        build_table(good.rename_columns([{"PEs": "PE"}.get(name, name) for name in good.column_names]), beam, SETTINGS)
    with pytest.raises(UserError, match="no rows"):
        build_table(good.slice(0, 0), beam, SETTINGS)
    with pytest.raises(UserError, match="'run' of cosmics must hold an integer"):
        build_table(replaced(good, "run", good["run"].to_numpy().astype(float)), beam, SETTINGS)
    with pytest.raises(UserError, match="'angle' of cosmics must hold numbers"):
        build_table(replaced(good, "angle", ["steep"] * good.num_rows), beam, SETTINGS)
    with pytest.raises(UserError, match="no file or folder"):
        find_columns(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no columns"):
        find_columns(tmp_path)
    file = tmp_path / "one.parquet"
    pq.write_table(good, file)
    with pytest.raises(UserError, match="same content"):
        read_table(file, file, SETTINGS)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read_table(file, tmp_path / "text.parquet", SETTINGS)


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="distinct names"):
        Settings(features=("PEs", "mom_mag"))
    with pytest.raises(ValidationError, match="must start before"):
        WindowScan(starts=(0.0, 120.0))
    with pytest.raises(ValidationError):
        Settings(treshold=0.1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        SETTINGS.seed = 3  # type: ignore[misc]
    assert len(WindowScan().windows) == 55
    widths = [end - start for start, end in WindowScan().windows]
    assert widths == sorted(widths)
    assert len(set(small_grid(Booster()))) == 12
