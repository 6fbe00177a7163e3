"""Limits, dry runs and settings of the main job, and where its files may lie."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mucoffea.outputs.bundle import read_bundle
from mucoffea.outputs.provenance import read_provenance

from .support.command_line import Command, run_words, write_demo_dataset
from .support.results import DEMO_LUMINOSITY, cut_flows, read_report, yields

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.mark.parametrize(
    ("limits", "events", "files"),
    [(["--max-files", 2], 600, 2), (["--chunksize", 100, "--max-chunks", 4], 400, 2)],
)
def test_a_limit_is_marked_as_partial(
    command: Command, three_files: list[Path], tmp_path: Path, limits: list[object], events: int, files: int
):
    dataset = write_demo_dataset(tmp_path / "dy.yaml", three_files)
    ended = command(*run_words(dataset, tmp_path / "out", "--set", "corrections=[]", *limits))
    assert ended.code == 0  # all that was asked for was done
    report = read_report(tmp_path / "out")
    (one,) = report["datasets"]
    warning = f"PARTIAL: dy: limited to {files} files, {events} events"
    assert warning in report["warnings"]
    assert warning in ended.out
    assert (one["events_processed"], one["limited"]) == (events, True)
    assert yields(tmp_path / "out")["dy", "all"][0] == pytest.approx(DEMO_LUMINOSITY * 100.0, rel=1e-12)


def test_no_limit_is_no_partial(command: Command, three_files: list[Path], tmp_path: Path):
    words = run_words(three_files[0].parent, tmp_path / "out", "--max-files", 3, "--max-chunks", 10)
    assert command(*words).code == 0
    assert not any("PARTIAL" in line for line in read_report(tmp_path / "out")["warnings"])


def test_a_dry_run_shows_the_plan_and_writes_nothing(command: Command, three_files: list[Path], tmp_path: Path):
    dataset = write_demo_dataset(tmp_path / "dy.yaml", three_files)
    words = run_words(dataset, tmp_path / "out", "--set", "corrections=[]", "--chunksize", 100, "--dry-run")
    ended = command(*words)
    assert ended.code == 0
    assert "dy │ mc │ demo │ 3 of 3 │ 900 │ 9 │ 100" in ended.out
    assert [path.name for path in tmp_path.iterdir()] == ["dy.yaml"]


def test_settings_go_on_top_of_the_file_and_are_recorded(command: Command, toys: Path, tmp_path: Path):
    config = tmp_path / "mine.yaml"
    config.write_text("muon: {min_pt: 30, isolation: loose}\nleading_min_pt: 40\n")
    words = run_words(toys / "dy.root", tmp_path / "out", "--max-chunks", 1, "--chunksize", 5_000)
    counts = []
    for more in ([], ["--config", config], ["--config", config, "--set", "muon.min_pt=45"]):
        assert command(*words, "--overwrite", *more).code == 0
        counts.append(cut_flows(tmp_path / "out")["dy"]["two_muons"]["n"])
    assert counts[0] > counts[1] > counts[2] > 0
    report = read_report(tmp_path / "out")
    assert report["parameters"]["muon"]["min_pt"] == 45
    assert report["parameters"]["muon"]["isolation"] == "loose"
    assert report["parameters"]["leading_min_pt"] == 40
    provenance = read_provenance(tmp_path / "out")
    assert provenance.command_line[-2:] == ("--set", "muon.min_pt=45")
    assert provenance.config.text == config.read_text()
    assert provenance.changed_parameters == {
        "muon.min_pt": {"value": 45.0, "default": 20.0},
        "muon.isolation": {"value": "loose", "default": "tight"},
        "leading_min_pt": {"value": 40.0, "default": 26.0},
    }


@pytest.mark.parametrize("name", ["/ZZTo4L/toy-v1/NANOAODSIM", "../../elsewhere"])
def test_a_fileset_with_slashes_in_its_name_stays_in_its_folder(
    command: Command, toys: Path, tmp_path: Path, name: str
):
    # Names of DAS are the usual keys of coffea filesets.
    fileset = tmp_path / "fileset.json"
    fileset.write_text(json.dumps({name: {"files": {str(toys / "zz4l.root"): "Events"}, "metadata": {"isMC": True}}}))
    out = tmp_path / "a/b/out"
    ended = command(*run_words(fileset, out, "--max-chunks", 1, "--chunksize", 3_000, processor="cms_four_lepton"))
    assert ended.code == 0
    assert read_report(out)["datasets"][0]["name"] == name
    (table,) = (path for path in tmp_path.rglob("*.parquet"))
    assert table.resolve().is_relative_to(out / "columns")
    assert pq.read_metadata(table).num_rows == cut_flows(out)[name]["four_leptons"]["n"] > 0
    assert set(read_bundle(out).histograms["mass_z1"].axes["dataset"]) == {name}
