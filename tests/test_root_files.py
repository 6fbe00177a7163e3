"""What a run leaves is a function of its content: the same bytes, whenever and wherever it was written."""

from __future__ import annotations

import datetime
import time
import uuid
from pathlib import Path

import hist
import numpy as np
import pytest
import uproot
import uproot.writing
from mucoffea.histograms import Histogram
from mucoffea.outputs.bundle import Bundle, read_bundle, write_bundle
from mucoffea.outputs.columns import ColumnWriter, table, to_arrow
from mucoffea.outputs.report import DatasetReport, Report
from mucoffea.outputs.root_files import DATE, MODULES, recreate
from uproot.writing import _cascade

#: As in uproot 5.7: where the time or a random identifier gets into a file. A new place needs our attention.
CLOCKS = {"_cascade.py", "_cascadetree.py", "_cascadentuple.py", "writable.py"}


def filled(storage: str, seed: int = 1) -> hist.Hist:
    """A histogram of 100 entries with the axes of a result."""
    empty = Histogram(name="mass", label="m", bins=10, start=0, stop=10).create("a", ["z"], ["nominal"])
    more = {"sample": np.arange(100.0)} if "Mean" in storage else {}
    values = np.random.default_rng(seed).uniform(-1, 11, 100)
    return hist.Hist(*empty.axes, storage=storage).fill("a", "z", "nominal", values, **more)


STORAGES = ("Weight", "Double", "Int64", "Mean", "WeightedMean")


def write_products(folder: Path) -> None:
    """Write every product of a run but its plots (see test_plotting_files.py)."""
    one = DatasetReport(
        name="a", kind="mc", process="p", label="p", files=1, files_processed=1, files_failed=0, events_planned=100,
        events_asked=100, events_asked_known=True, events_processed=100, events_failed=0, limited=False, partial=False,
        sumw=100.0, scale=0.5,
    )  # fmt: skip
    report = Report(
        processor="p", status="complete", warnings=(), datasets=(one,), parameters={}, corrections=(), luminosity=None,
        com_energy=None, era=None,
    )  # fmt: skip
    folder.mkdir()
    histograms = {storage: filled(storage) for storage in STORAGES}
    write_bundle(Bundle(report, histograms, {"a": {"all": {"n": 100, "sumw": 1.0, "sumw2": 0.5}}}), folder)
    writer = ColumnWriter(folder / "a.parquet")
    writer.write(to_arrow(table(x=np.arange(10))))
    writer.close()


def wait_for_the_next_second() -> None:
    """Wait until a clock that counts seconds, as those in ROOT files, shows another."""
    time.sleep(1.01)


def test_products_are_the_same_bytes_at_another_time_and_place(tmp_path: Path):
    write_products(tmp_path / "one")
    wait_for_the_next_second()
    write_products(tmp_path / "another")
    one, another = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "another")
    )
    assert set(one) == {
        *("histograms.root", "histograms.h5", "cutflow.json", "cutflow.csv", "report.json", "a.parquet"),
    }
    assert [name for name in one if one[name] != another[name]] == []


def test_every_storage_is_in_the_result(tmp_path: Path):
    write_products(tmp_path / "out")
    bundle = read_bundle(tmp_path / "out")
    assert list(bundle.spectra()) == ["Double", "Int64", "Weight"]
    with uproot.open(tmp_path / "out" / "histograms.root") as file:
        for storage in STORAGES:
            expected = filled(storage)
            np.testing.assert_array_equal(bundle.histograms[storage].values(flow=True), expected.values(flow=True))
            np.testing.assert_allclose(bundle.histograms[storage].variances(), expected.variances(), rtol=1e-14)
            found = file[f"raw/a/z/nominal/{storage}"]
            np.testing.assert_array_equal(found.values(flow=True), expected[0, 0, 0, :].values(flow=True))
            if "Mean" in storage:
                assert f"normalised/a/z/nominal/{storage}" not in file
                continue
            scaled = file[f"normalised/a/z/nominal/{storage}"]
            np.testing.assert_array_equal(scaled.values(flow=True), 0.5 * found.values(flow=True))


def test_files_of_other_content_are_told_apart(tmp_path: Path):
    paths = [tmp_path / "0.root", tmp_path / "1.root"]
    for seed, path in enumerate(paths):
        with recreate(path) as file:
            file["folder/h"] = filled("Weight", seed)[0, 0, 0, :]
    identities = [uproot.open(path).file.uuid for path in paths]
    assert identities[0] != identities[1]
    assert uuid.UUID(int=0) not in identities
    # uproot's cache of objects goes by the identity.
    for seed, path in enumerate(paths):
        np.testing.assert_array_equal(
            uproot.open(path)["folder/h"].values(), filled("Weight", seed)[0, 0, 0, :].values()
        )


def test_the_clock_is_stopped_where_uproot_looks_at_it_and_nowhere_else(tmp_path: Path):
    with recreate(tmp_path / "x.root") as file:
        file["h"] = filled("Weight")[0, 0, 0, :]
        assert _cascade.datetime.datetime.now() == DATE
        assert datetime.datetime.now().year > DATE.year
    assert {module.datetime for module in MODULES} == {datetime}
    with pytest.raises(RuntimeError, match="given up"), recreate(tmp_path / "y.root"):
        raise RuntimeError("given up")
    assert {module.datetime for module in MODULES} == {datetime}
    assert [path.name for path in tmp_path.iterdir()] == ["x.root"]


def test_uproot_looks_at_the_clock_nowhere_else():
    sources = {path.name: path.read_text() for path in Path(uproot.writing.__file__).parent.glob("*.py")}
    assert {name for name, text in sources.items() if ".now(" in text or "time.time(" in text} == CLOCKS
    assert {Path(module.__file__).name for module in MODULES} == CLOCKS
    assert {name for name, text in sources.items() if "uuid1" in text or "uuid4" in text} == {"writable.py"}
