"""The main job normalises simulation to the luminosity of the data, with the sums of what was generated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml

from .support.command_line import Command, run_words, write_demo_dataset
from .support.results import DEMO_LUMINOSITY, cut_flows, read_report, yields
from .support.root_files import copy_events

pytestmark = pytest.mark.usefixtures("_wide_terminal")


def runs_sumw(*files: Path) -> float:
    """Return Σ genEventSumw over files."""
    return sum(float(uproot.open(file)["Runs/genEventSumw"].array(library="np").sum()) for file in files)


@pytest.mark.parametrize(("value", "unit"), [(100.0, "pb"), (1e5, "fb"), (0.1, "nb")])
def test_all_generated_events_amount_to_luminosity_times_cross_section(
    command: Command, toys: Path, tmp_path: Path, value: float, unit: str
):
    dataset = write_demo_dataset(tmp_path / "dy.yaml", [toys / "dy.root"], value, unit)
    assert command(*run_words(dataset, tmp_path / "out", "--set", "corrections=[]", "--chunksize", 7_777)).code == 0
    (report,) = read_report(tmp_path / "out")["datasets"]
    sumw = runs_sumw(toys / "dy.root")
    assert report["sumw"] == pytest.approx(sumw, rel=1e-12)
    assert report["events_processed"] == report["events_planned"] == 20_000
    assert report["scale"] == pytest.approx(DEMO_LUMINOSITY * 100.0 / sumw, rel=1e-12)
    assert (report["cross_section"], report["cross_section_source"]) == (pytest.approx(100.0), "this test")
    assert report["luminosity"] == pytest.approx(DEMO_LUMINOSITY * 1e-3)
    with uproot.open(toys / "dy.root") as file:
        weights = file["Events/genWeight"].array(library="np").astype(float)
    total, error = yields(tmp_path / "out")["dy", "all"]
    assert total == pytest.approx(DEMO_LUMINOSITY * 100.0, rel=1e-12)
    assert error == pytest.approx(np.sqrt((weights**2).sum()) * DEMO_LUMINOSITY * 100.0 / sumw, rel=1e-9)
    selected = cut_flows(tmp_path / "out")["dy"]["corrections"]["sumw"]
    with uproot.open(tmp_path / "out/histograms.root") as file:
        raw = file["raw/dy/z/nominal/mass"].values(flow=True).sum()
        normalised = file["normalised/dy/z/nominal/mass"].values(flow=True).sum()
    assert raw == pytest.approx(selected, rel=1e-12)
    assert normalised == pytest.approx(selected * report["scale"], rel=1e-12)


def test_a_skim_is_normalised_to_what_was_generated(command: Command, toys: Path, tmp_path: Path):
    file = copy_events(toys / "zz4l.root", tmp_path / "skim.root", stop=1_500, runs=True)
    dataset = write_demo_dataset(tmp_path / "zz.yaml", [file], 3.0)
    words = run_words(dataset, tmp_path / "out", "--set", "corrections=[]")
    assert command(*words).code == 0
    (report,) = read_report(tmp_path / "out")["datasets"]
    assert report["sumw"] == runs_sumw(toys / "zz4l.root")
    assert "Runs tree" in report["sumw_source"]
    kept = cut_flows(tmp_path / "out")["zz"]["all"]["sumw"]
    assert yields(tmp_path / "out")["zz", "all"][0] == pytest.approx(DEMO_LUMINOSITY * 3.0 * kept / report["sumw"])
    # The sum belongs to the whole file: with a part of its events there is no telling what it stands for.
    assert command(*words, "--overwrite", "--chunksize", 500, "--max-chunks", 1).code == 0
    (report,) = read_report(tmp_path / "out")["datasets"]
    assert report["scale"] is None
    assert "skim" in report["not_normalised"]


def test_the_luminosity_of_a_part_of_the_data_is_used(command: Command, toys: Path, tmp_path: Path, monkeypatch):
    # The toy data are 3 of the 20 /pb of the era, as their dataset says: the simulation is scaled to them.
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    luminosity = {"value": 3.0, "unit": "/pb", "source": "the generator"}
    data = write_demo_dataset(tmp_path / "data.yaml", [toys / "data.root"], kind="data", luminosity=luminosity)
    content = yaml.safe_load(data.read_text())
    del content["cross_section"]
    data.write_text(yaml.safe_dump(content))
    simulation = write_demo_dataset(tmp_path / "dy.yaml", [toys / "dy.root"], 6077.22)
    assert command(*run_words([data, simulation], tmp_path / "out")).code == 0
    report = read_report(tmp_path / "out")
    assert report["datasets"][1]["scale"] == pytest.approx(3.0 * 6077.22 / runs_sumw(toys / "dy.root"), rel=1e-12)
    assert report["luminosity"] == pytest.approx(3e-3)
