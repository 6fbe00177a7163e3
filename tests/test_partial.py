"""A result of which something is missing: refused, or normalised to exactly what was processed, and marked."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import yaml
from coffea.lumi_tools import LumiData, LumiMask
from mucoffea.cli.plot import _notes
from mucoffea.outputs.bundle import read_bundle, view
from mucoffea.toys.cms_nanoaod import ToySpec, generate, write_corrections

from .support.command_line import Command, assert_refused, run_words, write_demo_dataset
from .support.figures import drawn
from .support.luminosity import write_csv
from .support.results import DEMO_LUMINOSITY, cut_flows, read_report, yields
from .support.root_files import copy_events, truncated, with_bad_basket

pytestmark = pytest.mark.usefixtures("_wide_terminal")

CROSS_SECTION = 100.0  # pb
PLAIN = ("--set", "corrections=[]", "--set", "met_filters=false", "--set", "triggers=[HLT_IsoMu24]")


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``mc`` and ``data`` of four files each, the third simulated one and the second of data damaged."""
    folder = tmp_path_factory.mktemp("four")
    simulation = generate(ToySpec(sample="dy", events=1600, files=4, seed=11), folder / "mc")
    data = generate(ToySpec(sample="data", events=1600, files=4, seed=12, basket_events=200), folder / "data")
    for path in (simulation[2], data[1]):
        path.rename(path.with_suffix(".whole"))
        truncated(path.with_suffix(".whole"), path)
    write_corrections(folder)
    return folder


def triggered(paths: list[Path]) -> tuple[float, float]:
    """Σ genWeight of the events with HLT_IsoMu24 and of all events."""
    arrays = [uproot.open(path)["Events"].arrays(["genWeight", "HLT_IsoMu24"], library="np") for path in paths]
    weight = np.concatenate([one["genWeight"].astype(float) for one in arrays])
    fired = np.concatenate([one["HLT_IsoMu24"] for one in arrays])
    assert weight.min() < 0 < weight.max()
    return weight[fired].sum(), weight.sum()


def status(folder: Path) -> dict[str, str]:
    with (folder / "cutflow.csv").open() as file:
        return {row["dataset"]: row["status"] for row in csv.DictReader(file)}


def figure_text(folder: Path) -> str:
    """The words on the figure of the mass, as ``plot`` draws it."""
    bundle = read_bundle(folder)
    seen = view(bundle, "mass", "z")
    figure = drawn(data=seen.data, simulation=seen.simulation, notes=_notes(bundle))
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_simulation_without_a_damaged_file_is_normalised_to_the_cross_section(
    command: Command, four: Path, tmp_path: Path
):
    files = sorted((four / "mc").glob("*.root"))
    words = run_words(write_demo_dataset(tmp_path / "dy.yaml", files, CROSS_SECTION), tmp_path / "out", *PLAIN)
    ended = command(*words)
    assert ended.code == 2
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert dataset["scale"] is None
    assert "--allow-partial" in dataset["not_normalised"]
    with pytest.raises(ValueError, match="could not convert string to float"):
        yields(tmp_path / "out")  # the column of yields is empty

    ended = command(*words, "--overwrite", "--allow-partial")
    assert ended.code == 2
    passed, processed = triggered([files[0], files[1], files[3]])
    expected = DEMO_LUMINOSITY * CROSS_SECTION * passed / processed  # L σ ε
    assert yields(tmp_path / "out")["dy", "trigger"][0] == pytest.approx(expected, rel=1e-12)
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert (dataset["files"], dataset["files_processed"], dataset["files_failed"]) == (4, 3, 1)
    assert (dataset["events_asked"], dataset["events_asked_known"]) == (1200, False)
    assert dataset["sumw"] == dataset["sumw_processed"] == pytest.approx(processed, rel=1e-12)
    assert dataset["sumw_asked"] is None

    warning = "PARTIAL: dy: 1200 of at least 1200 events processed, 1 of 4 files unreadable"
    assert warning in ended.out
    assert "PARTIAL: yields after all cuts" in ended.out
    assert "dy │ 3 of 4 │ 1,200 of at least 1,200 │" in ended.out
    assert warning in figure_text(tmp_path / "out")
    assert status(tmp_path / "out") == {"dy": "PARTIAL"}


def test_a_complete_result_is_not_marked(command: Command, four: Path, tmp_path: Path):
    files = [four / "mc/dy_0.root", four / "mc/dy_1.root"]
    dataset = write_demo_dataset(tmp_path / "dy.yaml", files, CROSS_SECTION)
    ended = command(*run_words(dataset, tmp_path / "out", *PLAIN))
    assert ended.code == 0
    assert "PARTIAL" not in ended.out + figure_text(tmp_path / "out")
    assert status(tmp_path / "out") == {"dy": "complete"}
    (one,) = read_report(tmp_path / "out")["datasets"]
    assert one["sumw_asked"] == pytest.approx(triggered(files)[1], rel=1e-12)
    assert (one["files_failed"], one["events_failed"], one["sections"]) == (0, 0, None)


def write_data(path: Path, files: list[Path], **more: Any) -> Path:
    """Write a dataset YAML of data in the era ``demo``."""
    content = {"name": path.stem, "kind": "data", "era": "demo", "process": "data", **more}
    path.write_text(yaml.safe_dump({**content, "files": [str(file) for file in files]}))
    return path


def blocks(paths: list[Path]) -> np.ndarray:
    """``[sections, 2]`` run and section of the trees ``LuminosityBlocks``, each once."""
    arrays = [uproot.open(path)["LuminosityBlocks"].arrays(library="np") for path in paths]
    pairs = [np.stack([one["run"], one["luminosityBlock"]], axis=1) for one in arrays]
    return np.unique(np.concatenate(pairs), axis=0)


@pytest.fixture
def beside(four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Dataset YAML of data and of complete simulation, and a luminosity file with another value for each section."""
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(four))
    data = write_data(tmp_path / "data.yaml", sorted((four / "data").glob("*.root")))
    simulation = write_demo_dataset(tmp_path / "dy.yaml", [four / "mc/dy_0.root", four / "mc/dy_1.root"], CROSS_SECTION)
    every = blocks(
        [*sorted((four / "data").glob("*.root"))[::2], four / "data/data_1.whole", four / "data/data_3.root"]
    )
    values = {(int(run), int(section)): 1e4 * (1 + 0.01 * place) for place, (run, section) in enumerate(every)}
    return [data, simulation, write_csv(tmp_path / "brilcalc.csv", values, "/ub")]


def certified(four: Path, pairs: np.ndarray) -> np.ndarray:
    run, section = (np.ascontiguousarray(pairs[:, column], np.uint32) for column in (0, 1))
    return pairs[LumiMask(str(four / "lumi/Cert_demo_Golden.json"))(run, section)]


def test_simulation_has_the_luminosity_of_the_data_that_were_processed(
    command: Command, four: Path, tmp_path: Path, beside: list[Path]
):
    data, simulation, table = beside
    words = run_words([data, simulation], tmp_path / "out", *PLAIN, "--luminosity-csv", table)
    ended = command(*words)
    assert ended.code == 2
    assert [one["scale"] for one in read_report(tmp_path / "out")["datasets"]] == [None, None]
    assert "not normalised: dy: data of the era are incomplete" in ended.out

    ended = command(*words, "--overwrite", "--allow-partial")
    assert ended.code == 2
    good = [four / f"data/data_{number}.root" for number in (0, 2, 3)]
    processed = certified(four, blocks(good))
    luminosity = LumiData(str(table)).get_lumi(processed) * 1e-6  # /pb
    # The damaged file is known to hold the rest.
    damaged = certified(four, blocks([four / "data/data_1.whole"]))
    lost = {tuple(one) for one in damaged.tolist()} - {tuple(one) for one in processed.tolist()}
    everything = LumiData(str(table)).get_lumi(np.unique(np.concatenate([processed, damaged]), axis=0)) * 1e-6
    missing = LumiData(str(table)).get_lumi(np.array(sorted(lost))) * 1e-6
    assert luminosity == pytest.approx(everything - missing, rel=1e-12)
    assert 0.15 < missing / everything < 0.35

    passed, sumw = triggered([four / "mc/dy_0.root", four / "mc/dy_1.root"])
    expected = luminosity * CROSS_SECTION * passed / sumw
    assert yields(tmp_path / "out")["dy", "trigger"][0] == pytest.approx(expected, rel=1e-12)
    report = read_report(tmp_path / "out")
    assert report["luminosity"] == pytest.approx(luminosity / 1000, rel=1e-12)
    sections = report["datasets"][0]["sections"]
    assert sections["luminosity_processed"] == pytest.approx(luminosity / 1000, rel=1e-12)
    assert (sections["processed"], sections["without_luminosity"]) == (len(processed), 0)
    assert report["luminosity_file"]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    explained = command("explain", tmp_path / "out").out
    assert f"normalised to (demo) {report['luminosity']:g} /fb: measured: brilcalc.csv" in explained
    # It is a part of what a rerun needs.
    again = command("rerun", tmp_path / "out", "--output-dir", tmp_path / "again")
    assert "identical report.json" in again.out
    assert "identical luminosity_sections/data.json" in again.out
    table.write_text(table.read_text().replace("HFET", "PLT"))
    assert_refused(command("rerun", tmp_path / "out", "--output-dir", tmp_path / "third"), "brilcalc.csv has changed")
    # The simulation is complete, but what it stands for is not.
    assert status(tmp_path / "out") == {"data": "PARTIAL", "dy": "PARTIAL"}
    assert "PARTIAL: data: " in figure_text(tmp_path / "out")

    written = json.loads((tmp_path / "out/luminosity_sections/data.json").read_text())
    inside = [[int(run), n] for run, spans in written.items() for first, last in spans for n in range(first, last + 1)]
    assert inside == processed.tolist()


def test_without_a_luminosity_file_it_is_estimated_from_the_events(
    command: Command, four: Path, tmp_path: Path, beside: list[Path]
):
    _, simulation, _ = beside
    broken = with_bad_basket(four / "data/data_0.root", tmp_path / "broken.root")
    data = write_data(tmp_path / "some.yaml", [broken, four / "data/data_2.root"])
    words = run_words([data, simulation], tmp_path / "out", *PLAIN, "--chunksize", 200, "--allow-partial")
    ended = command(*words)
    assert ended.code == 2
    report = read_report(tmp_path / "out")
    one = report["datasets"][0]
    assert (one["events_asked"], one["events_processed"], one["events_failed"]) == (800, 600, 200)
    assert (one["files_processed"], one["files_failed"]) == (1, 1)
    # Those of the broken file with events in its first half may have more in its second half.
    assert 0 < one["sections"]["possibly_incomplete"] < one["sections"]["processed"]
    assert one["sections"]["luminosity_processed"] is None
    passed, sumw = triggered([four / "mc/dy_0.root", four / "mc/dy_1.root"])
    expected = DEMO_LUMINOSITY * 600 / 800 * CROSS_SECTION * passed / sumw
    assert yields(tmp_path / "out")["dy", "trigger"][0] == pytest.approx(expected, rel=1e-12)
    assert "PARTIAL: demo: simulation normalised to 0.015 /fb, an estimate" in figure_text(tmp_path / "out")
    assert "estimate" in report["luminosities"][0]["source"]


def test_limited_data_do_not_get_the_luminosity_of_all(
    command: Command, four: Path, tmp_path: Path, beside: list[Path]
):
    _, simulation, table = beside
    data = write_data(tmp_path / "some.yaml", [four / "data/data_0.root", four / "data/data_2.root"])
    words = run_words([data, simulation], tmp_path / "out", *PLAIN, "--max-files", 1)
    assert command(*words).code == 0
    report = read_report(tmp_path / "out")
    assert "some is not known" in report["datasets"][1]["not_normalised"]
    config = tmp_path / "mine.yaml"
    config.write_text(f"luminosity_csv: {table.name}\n")  # relative to the configuration
    assert command(*words, "--overwrite", "--config", config).code == 0
    report = read_report(tmp_path / "out")
    processed = certified(four, blocks([four / "data/data_0.root"]))
    assert report["luminosity"] == pytest.approx(LumiData(str(table)).get_lumi(processed) * 1e-9, rel=1e-12)
    assert status(tmp_path / "out") == {"some": "PARTIAL", "dy": "PARTIAL"}


def test_data_without_an_era_or_a_list_of_sections(command: Command, four: Path, tmp_path: Path):
    skim = copy_events(four / "data/data_0.root", tmp_path / "skim.root")  # no tree LuminosityBlocks
    words = run_words(skim, tmp_path / "out", "--set", "triggers=[HLT_IsoMu24]")
    assert command(*words).code == 0
    (one,) = read_report(tmp_path / "out")["datasets"]
    with uproot.open(skim) as file:
        pairs = np.unique(np.stack([file["Events"][name].array() for name in ("run", "luminosityBlock")], 1), axis=0)
    assert (one["sections"]["processed"], one["sections"]["without_events"]) == (len(pairs), None)
    assert cut_flows(tmp_path / "out")["skim"]["certified"]["n"] == 400
    assert (tmp_path / "out/luminosity_sections/skim.json").exists()


def test_a_wrong_luminosity_file_is_refused_before_anything_is_processed(command: Command, small: Path, tmp_path: Path):
    table = tmp_path / "notes.csv"
    table.write_text("a,b,c\n")
    assert_refused(command(*run_words(small, tmp_path / "out", "--luminosity-csv", table)), "notes.csv has no header")
    config = tmp_path / "mine.yaml"
    for value, pattern in (("7", "must be the path"), ("missing.csv", "missing.csv cannot be read")):
        config.write_text(f"luminosity_csv: {value}\n")
        assert_refused(command(*run_words(small, tmp_path / "out", "--config", config)), pattern)
    assert not (tmp_path / "out").exists()
