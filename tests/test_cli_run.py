"""The main job as its users run it: real files, corrections, four muons, every executor, normalisation, limits."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import correctionlib
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
import yaml
from coffea.lumi_tools import LumiMask
from mucoffea import cli
from mucoffea.cli import inputs
from mucoffea.filesets.local import inspect
from mucoffea.outputs.bundle import Bundle, read_bundle
from mucoffea.toys.cms_nanoaod import ToySpec, generate

MAIN = Path(__file__).parents[1] / "main.py"
#: Of the era ``demo``, /pb.
DEMO_LUMINOSITY = 20.0
MUON_MASS = 0.1056584


class Ended(NamedTuple):
    """How a command ended; line breaks of the terminal taken out."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in this process, on a terminal that is wide enough."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: object) -> Ended:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, " ".join(captured.out.split()), captured.err)

    return run


def run_words(datasets: object, folder: object, *more: object, processor: str = "cms_dimuon") -> list[str]:
    """The words of a run without plots."""
    names = datasets if isinstance(datasets, Sequence) and not isinstance(datasets, str) else [datasets]
    words = ["--datasets", *names, "--processor", processor, "--output-dir", folder, "--no-plots", *more]
    return [str(word) for word in words]


def read_report(folder: Path) -> dict[str, Any]:
    """Read the report of a result."""
    return json.loads((folder / "report.json").read_text())


def cut_flows(folder: Path) -> dict[str, Any]:
    """Read the cut flows of a result."""
    return json.loads((folder / "cutflow.json").read_text())


def write_dataset(path: Path, files: Sequence[Path], value: float = 100.0, unit: str = "pb", **more: Any) -> Path:
    """Write a dataset YAML of simulation in the era ``demo``."""
    section = {"value": value, "unit": unit, "source": "this test"}
    content = {"name": path.stem, "kind": "mc", "era": "demo", "process": "Z", "cross_section": section, **more}
    path.write_text(yaml.safe_dump({**content, "files": [str(file) for file in files]}))
    return path


def runs_sumw(*files: Path) -> float:
    """Return Σ genEventSumw over files."""
    return sum(float(uproot.open(file)["Runs/genEventSumw"].array(library="np").sum()) for file in files)


# Real files.


def by_hand(path: Path) -> tuple[ak.Array, ak.Array, ak.Array]:
    """Select two tight, isolated muons of opposite charge around the Z with awkward alone; also all events."""
    names = ["HLT_IsoMu24", "genWeight", "Pileup_nTrueInt", "run", "luminosityBlock"]
    muon = ["pt", "eta", "phi", "mass", "charge", "dxy", "dz", "tightId", "pfRelIso04_all"]
    with uproot.open(path) as file:
        tree = file["Events"]
        events = tree.arrays([name for name in names if name in tree])
        muons = ak.zip({name: tree[f"Muon_{name}"].array() for name in muon}, with_name="Momentum4D")
    good = muons.tightId & (muons.pfRelIso04_all < 0.15) & (muons.pt > 20) & (abs(muons.eta) < 2.4)
    good = muons[good & (abs(muons.dxy) < 0.2) & (abs(muons.dz) < 0.5)]
    good = good[ak.argsort(good.pt, ascending=False)]
    two = events.HLT_IsoMu24 & (ak.num(good) >= 2)
    pairs = good[two][:, :2]
    e = np.sqrt((pairs.pt * np.cosh(pairs.eta)) ** 2 + MUON_MASS**2)
    px, py, pz = pairs.pt * np.cos(pairs.phi), pairs.pt * np.sin(pairs.phi), pairs.pt * np.sinh(pairs.eta)
    mass = np.sqrt(sum(sign * ak.sum(x, axis=1) ** 2 for sign, x in ((1, e), (-1, px), (-1, py), (-1, pz))))
    kept = (pairs.pt[:, 0] > 26) & (ak.sum(pairs.charge, axis=1) == 0) & (mass > 60) & (mass < 120)
    return pairs[kept], events[two][kept], events


def test_real_data_and_simulation_without_an_era(command: Command, real: Path, tmp_path: Path):
    data, simulation = real / "nanoaod/nano_dimuon.root", real / "nanoaod/nano_dy.root"
    ended = command(*run_words([data, simulation], tmp_path / "out", "--set", "trigger_match=false"))
    assert ended.code == 0
    report, flows = read_report(tmp_path / "out"), cut_flows(tmp_path / "out")
    assert [(one["name"], one["kind"]) for one in report["datasets"]] == [("nano_dimuon", "data"), ("nano_dy", "mc")]
    assert report["status"] == "complete"
    for path in (data, simulation):
        pairs, _, events = by_hand(path)
        flow = flows[path.stem]
        assert flow["all"]["n"] == len(events) == 40
        assert flow["trigger"]["n"] == ak.sum(events.HLT_IsoMu24)
        assert flow["mass_window"]["n"] == len(pairs) > 0
    # What is left out for want of an era is said in the terminal and in the report.
    missing = "no era: corrections, luminosity mask and MET filters off (nano_dimuon, nano_dy)"
    assert missing in ended.out
    assert missing in report["warnings"]
    assert report["corrections"] == []
    assert report["era"] is None
    assert "not normalised: nano_dy: no cross section" in report["warnings"]


def test_real_corrections_of_2018(command: Command, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(real / "pog"))
    data, simulation = real / "nanoaod/nano_dimuon.root", real / "nanoaod/nano_dy.root"
    more = ("--era", "2018", "--set", "trigger_match=false")
    ended = command(*run_words([data, simulation], tmp_path / "out", *more))
    assert ended.code == 0
    report, flow = read_report(tmp_path / "out"), cut_flows(tmp_path / "out")["nano_dy"]
    assert (report["era"], report["luminosity"], report["com_energy"]) == ("2018", 59.83, 13.0)
    applied = {one["name"]: one for one in report["corrections"]}
    assert set(applied) == {"luminosity_mask", "pileup", "muon_id", "muon_iso", "muon_trigger"}
    for one in applied.values():
        path = Path(one["path"])
        assert path.is_relative_to(real)
        assert one["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any("muon_scale" in line and "2018" in line for line in report["warnings"])
    # The two files are older than NanoAODv9 and lack one of its event filters, which the terminal and report say.
    assert all(one["counters"]["events_without_branch"]["Flag_BadPFMuonDzFilter"] == 40 for one in report["datasets"])
    assert "Flag_BadPFMuonDzFilter 40" in ended.out
    counters = report["datasets"][1]["counters"]
    assert set(counters["out_of_range"]) >= set(applied) - {"luminosity_mask"}

    pairs, events, _ = by_hand(simulation)
    muon = correctionlib.CorrectionSet.from_file(str(real / "pog/MUO/2018_UL/muon_Z.json.gz"))
    pileup = correctionlib.CorrectionSet.from_file(str(real / "pog/LUM/2018_UL/puWeights.json.gz"))
    weight = ak.to_numpy(events.genWeight).astype(float)
    weight *= pileup["Collisions18_UltraLegacy_goldenJSON"].evaluate(
        ak.to_numpy(events.Pileup_nTrueInt).astype(float), "nominal"
    )
    for key, muons in (
        ("NUM_TightID_DEN_TrackerMuons", (0, 1)),
        ("NUM_TightRelIso_DEN_TightIDandIPCut", (0, 1)),
        ("NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight", (0,)),
    ):
        for number in muons:
            eta, pt = (ak.to_numpy(pairs[name][:, number]).astype(float) for name in ("eta", "pt"))
            weight *= muon[key].evaluate(np.abs(eta), pt, "nominal")
    assert flow["corrections"]["n"] == len(weight) > 0
    assert flow["corrections"]["sumw"] == pytest.approx(weight.sum(), rel=1e-6)
    assert flow["corrections"]["sumw"] != pytest.approx(flow["mass_window"]["sumw"], rel=1e-3)
    peak = read_bundle(tmp_path / "out").histograms["mass"]["nano_dy", "z", :, sum]
    assert peak["nominal"].value == pytest.approx(flow["corrections"]["sumw"])
    assert peak["uncorrected"].value == pytest.approx(flow["mass_window"]["sumw"])


def test_the_golden_json_takes_uncertified_blocks_out(
    command: Command, real: Path, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    data = real / "nanoaod/nano_dimuon.root"  # one luminosity block of run 315267
    (tmp_path / "lumi").mkdir()
    (tmp_path / "lumi" / name).write_text(json.dumps({"315267": [[1, 204], [206, 300]]}))
    cases = (
        (data, "2018", f"{real / 'pog'}", real / "lumi" / name),
        (data, "2018", f"{tmp_path}:{real / 'pog'}", tmp_path / "lumi" / name),
        (toys / "data.root", "demo", f"{toys}", toys / "lumi/Cert_demo_Golden.json"),
    )
    found = []
    for path, era, folders, mask in cases:
        monkeypatch.setenv("MUCOFFEA_CORRECTIONS", folders)
        words = run_words(path, tmp_path / "out", "--overwrite", "--era", era, "--set", "corrections=[]")
        assert command(*words).code == 0
        with uproot.open(path) as file:
            run, block = (file["Events"][name].array(library="np") for name in ("run", "luminosityBlock"))
        found.append(cut_flows(tmp_path / "out")[path.stem]["certified"]["n"])
        assert found[-1] == LumiMask(str(mask))(run, block).sum()
    assert found[:2] == [40, 0]
    assert 0 < found[2] < len(run)


def test_open_data_of_2015(command: Command, real: Path, tmp_path: Path):
    file = real / "nanoaod/nanoAOD_2015_CMS_Open_Data_ttbar.root"
    ended = command(*run_words(file, tmp_path / "out"))
    assert ended.code == 0
    (dataset,) = read_report(tmp_path / "out")["datasets"]
    assert (dataset["kind"], dataset["events_processed"]) == ("mc", 200)
    assert "events without branch: TrigObj 200" in ended.out
    flow = cut_flows(tmp_path / "out")[file.stem]
    with uproot.open(file) as source:
        tree = source["Events"]
        paths = [p for p in ("HLT_IsoMu20", "HLT_IsoTkMu20", "HLT_IsoMu24", "HLT_IsoMu27") if p in tree]
        fired = np.any([tree[path].array(library="np") for path in paths], axis=0)
    assert flow["trigger"]["n"] == fired.sum()


@pytest.mark.parametrize("processor", ["cms_dimuon", pytest.param("cms_four_lepton", marks=pytest.mark.slow)])
def test_the_rntuple_twin_gives_the_identical_result(command: Command, real: Path, tmp_path: Path, processor: str):
    for kind, name in (("tree", "nano_dimuon"), ("ntuple", "nano_dimuon_rntuple")):
        (tmp_path / kind).mkdir()
        shutil.copy(real / f"nanoaod/{name}.root", tmp_path / kind / "nano_dimuon.root")
        file = tmp_path / kind / "nano_dimuon.root"
        assert command(*run_words(file, tmp_path / f"{kind}-out", processor=processor)).code == 0
    one, two = tmp_path / "tree-out", tmp_path / "ntuple-out"
    assert (one / "cutflow.json").read_bytes() == (two / "cutflow.json").read_bytes()
    assert_same_histograms(read_bundle(one), read_bundle(two), tolerance=0)
    for table in one.glob("columns/*.parquet"):
        assert pq.read_table(table).equals(pq.read_table(two / "columns" / table.name))


# Four muons.


@pytest.fixture(scope="module")
def four_lepton(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of cms_four_lepton on toy ZZ, requiring two pairs, with its plots."""
    folder = tmp_path_factory.mktemp("four") / "out"
    words = ["--datasets", toys / "zz4l.root", "--processor", "cms_four_lepton", "--output-dir", folder]
    assert cli.main([str(word) for word in (*words, "--set", "two_pairs=true")]) == 0
    return folder


def test_four_muons_have_a_row_for_each_selected_event(four_lepton: Path):
    path = four_lepton / "columns/zz4l.parquet"
    table = pq.read_table(path)
    rows = ak.from_parquet(path)
    flow = cut_flows(four_lepton)["zz4l"]
    assert table.num_rows == len(rows) == flow["two_pairs"]["n"] > 300
    wanted = [f"muon{k}_{name}" for k in (1, 2, 3, 4) for name in ("pt", "eta", "phi", "charge", "dxy", "dz")]
    assert {"run", "luminosityBlock", "event", "weight", "z1_mass", "z2_mass", "mass", *wanted} <= set(rows.fields)
    assert len(set(zip(*(rows[name].tolist() for name in ("run", "luminosityBlock", "event")), strict=True))) == len(
        rows
    )
    assert ak.sum(rows.weight) == pytest.approx(flow["corrections"]["sumw"], rel=1e-12)
    for harder, softer in ((1, 2), (2, 3), (3, 4)):
        assert ak.all(rows[f"muon{harder}_pt"] >= rows[f"muon{softer}_pt"])
    assert ak.all(sum(rows[f"muon{k}_charge"] for k in (1, 2, 3, 4)) == 0)
    assert not any(ak.any(np.isnan(rows[name])) for name in rows.fields)


def test_the_four_muon_mass_is_where_it_was_generated(four_lepton: Path, toys: Path):
    rows = ak.from_parquet(four_lepton / "columns/zz4l.parquet")
    with uproot.open(toys / "zz4l.root") as file:
        tree = file["Events"]
        particles = ak.zip({name: tree[f"GenPart_{name}"].array() for name in ("pt", "eta", "phi", "pdgId", "status")})
        number = tree["event"].array(library="np")
    muons = particles[(abs(particles.pdgId) == 13) & (particles.status == 1)]
    four = ak.num(muons) == 4
    e, pz = muons.pt * np.cosh(muons.eta), muons.pt * np.sinh(muons.eta)
    px, py = muons.pt * np.cos(muons.phi), muons.pt * np.sin(muons.phi)
    square = sum(sign * ak.sum(x, axis=1) ** 2 for sign, x in ((1, e), (-1, px), (-1, py), (-1, pz)))
    generated = dict(zip(number[four].tolist(), np.sqrt(square[four]).tolist(), strict=True))
    known = np.array([event in generated for event in rows.event.tolist()])
    assert known.mean() > 0.95  # the rest has a muon from a tau or a hadron
    rows = rows[known]
    truth = np.array([generated[event] for event in rows.event.tolist()])
    ratio = np.asarray(rows.mass.tolist()) / truth
    assert np.median(ratio) == pytest.approx(1, abs=2e-3)
    assert np.percentile(ratio, 84) - np.percentile(ratio, 16) < 0.05
    edges = np.linspace(180, 320, 15)
    ours, theirs = (np.histogram(mass, edges)[0] for mass in (np.asarray(rows.mass.tolist()), truth))
    assert abs(int(np.argmax(ours)) - int(np.argmax(theirs))) <= 1
    assert np.median(np.asarray(rows.z1_mass.tolist())) == pytest.approx(91.19, abs=0.5)


def test_plots_are_drawn_again_from_the_result_alone(command: Command, four_lepton: Path, tmp_path: Path):
    folder = tmp_path / "moved"
    shutil.copytree(four_lepton, folder)
    drawn = sorted(path.name for path in (folder / "plots").iterdir())
    assert {"four_muons_mass_z1.png", "four_muons_mass_z1.pdf", "cut_flow.png", "n_minus_one.pdf"} <= set(drawn)
    shutil.rmtree(folder / "plots")
    ended = command("plot", folder)
    assert ended.code == 0
    assert f"{len(drawn) // 2} figures" in ended.out
    assert sorted(path.name for path in (folder / "plots").iterdir()) == drawn
    assert (folder / "plots/cut_flow.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "plots/cut_flow.pdf").read_bytes().startswith(b"%PDF")


# The same result, whoever computes it.


def assert_same_histograms(one: Bundle, two: Bundle, tolerance: float) -> None:
    """Compare every histogram; weighted sums to ``tolerance`` of the largest bin."""
    assert set(one.histograms) == set(two.histograms)
    for name, histogram in one.histograms.items():
        other = two.histograms[name]
        assert histogram.axes == other.axes
        for part in ("value", "variance"):
            expected = histogram.view(flow=True)[part]
            np.testing.assert_allclose(
                other.view(flow=True)[part], expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
            )


def assert_same_result(one: Path, two: Path, tolerance: float) -> None:
    """Compare two result folders: counts and columns exactly, weighted sums to ``tolerance``."""
    assert_same_histograms(read_bundle(one), read_bundle(two), tolerance)
    flows, others = cut_flows(one), cut_flows(two)
    assert list(flows) == list(others)
    for dataset, flow in flows.items():
        assert list(flow) == list(others[dataset])
        for cut, row in flow.items():
            other = others[dataset][cut]
            assert row.keys() == other.keys()
            for key, value in row.items():
                exact = key.startswith("n") or tolerance == 0
                assert other[key] == (value if exact else pytest.approx(value, rel=tolerance)), (dataset, cut, key)
    report, other = read_report(one), read_report(two)
    for mine, its in zip(report["datasets"], other["datasets"], strict=True):
        assert mine["counters"] == its["counters"]
        assert mine["events_processed"] == its["events_processed"]
    tables = sorted(path.name for path in one.glob("columns/*"))
    assert tables == sorted(path.name for path in two.glob("columns/*"))
    for name in tables:
        assert pq.read_table(one / "columns" / name).equals(pq.read_table(two / "columns" / name))


@pytest.fixture(scope="module")
def references(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Results of ``iterative`` by processor and chunk size, each made once."""
    folder = tmp_path_factory.mktemp("references")

    def reference(processor: str, chunksize: int) -> Path:
        result = folder / f"{processor}-{chunksize}"
        if not result.exists():
            assert cli.main(executor_words(toys, result, processor, "iterative", chunksize)) == 0
        return result

    return reference


def executor_words(toys: Path, folder: Path, processor: str, executor: str, chunksize: int) -> list[str]:
    """The words of a run over a toy, with the corrections of the era demo from the environment."""
    os.environ["MUCOFFEA_CORRECTIONS"] = str(toys)
    datasets = [toys / "zz4l.root", toys / "dy.root"] if processor == "cms_dimuon" else [toys / "zz4l.root"]
    more = ("--era", "demo", "--executor", executor, "--workers", 2, "--chunksize", chunksize)
    return run_words(datasets, folder, *more, processor=processor)


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the folder of corrections after the test."""
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", "")


slow = pytest.mark.slow


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("processor", ["cms_dimuon", "cms_four_lepton"])
@pytest.mark.parametrize(
    ("executor", "chunksize"),
    [
        ("iterative", 1_000),
        ("iterative", 7_777),
        pytest.param("futures", 1_000, marks=slow),
        pytest.param("futures", 7_777, marks=slow),
        pytest.param("futures", 100_000, marks=slow),
        pytest.param("dask-local", 1_000, marks=slow),
        pytest.param("dask-local", 7_777, marks=slow),
        pytest.param("dask-local", 100_000, marks=slow),
    ],
)
def test_every_executor_and_chunk_size_gives_the_same_result(
    command: Command, toys: Path, tmp_path: Path, references, processor: str, executor: str, chunksize: int
):
    ended = command(*executor_words(toys, tmp_path / "out", processor, executor, chunksize))
    assert ended.code == 0
    assert ("Dask dashboard: http" in ended.out) == (executor == "dask-local")
    # The order of the sums is that of the plan: with the same chunks, every bit is the same.
    assert_same_result(references(processor, chunksize), tmp_path / "out", tolerance=0)
    assert_same_result(references(processor, 100_000), tmp_path / "out", tolerance=1e-12)


# Normalisation.


def yields(folder: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Read dataset, cut → yield and its error from the table that people open."""
    with (folder / "cutflow.csv").open() as file:
        return {
            (row["dataset"], row["cut"]): (float(row["yield"]), float(row["yield_error"]))
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize(("value", "unit"), [(100.0, "pb"), (1e5, "fb"), (0.1, "nb")])
def test_all_generated_events_amount_to_luminosity_times_cross_section(
    command: Command, toys: Path, tmp_path: Path, value: float, unit: str
):
    dataset = write_dataset(tmp_path / "dy.yaml", [toys / "dy.root"], value, unit)
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


def skim(path: Path, copy: Path, stop: int) -> Path:
    """Keep the first events of a file, and its whole ``Runs`` tree, as a skim has it."""
    with uproot.open(path) as source, uproot.recreate(copy) as target:
        tree = source["Events"]
        names = [name for name in tree.keys() if not name.startswith("n")]  # noqa: SIM118
        arrays = tree.arrays(names, entry_stop=stop)
        types = {name: arrays[name].type.content for name in names}
        target.mktree("Events", types, counter_name=lambda counted: "n" + counted.split("_")[0]).extend(
            {name: arrays[name] for name in names}
        )
        runs = source["Runs"].arrays(library="np")
        target.mktree("Runs", {name: array.dtype for name, array in runs.items()}).extend(runs)
    return copy


def test_a_skim_is_normalised_to_what_was_generated(command: Command, toys: Path, tmp_path: Path):
    file = skim(toys / "zz4l.root", tmp_path / "skim.root", 1_500)
    dataset = write_dataset(tmp_path / "zz.yaml", [file], 3.0)
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
    data = write_dataset(tmp_path / "data.yaml", [toys / "data.root"], kind="data", luminosity=luminosity)
    content = yaml.safe_load(data.read_text())
    del content["cross_section"]
    data.write_text(yaml.safe_dump(content))
    simulation = write_dataset(tmp_path / "dy.yaml", [toys / "dy.root"], 6077.22)
    assert command(*run_words([data, simulation], tmp_path / "out")).code == 0
    report = read_report(tmp_path / "out")
    assert report["datasets"][1]["scale"] == pytest.approx(3.0 * 6077.22 / runs_sumw(toys / "dy.root"), rel=1e-12)
    assert report["luminosity"] == pytest.approx(3e-3)


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
    assert pq.read_metadata(table).num_rows == cut_flows(out)[name]["four_muons"]["n"] > 0
    assert set(read_bundle(out).histograms["mass_z1"].axes["dataset"]) == {name}


# Limits and settings.


@pytest.fixture(scope="module")
def three_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files of 300 Drell-Yan events."""
    return generate(ToySpec(sample="dy", events=900, files=3, seed=6), tmp_path_factory.mktemp("three"))


@pytest.mark.parametrize(
    ("limits", "events", "files"),
    [(["--max-files", 2], 600, 2), (["--chunksize", 100, "--max-chunks", 4], 400, 2)],
)
def test_a_limit_is_marked_as_partial(
    command: Command, three_files: list[Path], tmp_path: Path, limits: list[object], events: int, files: int
):
    dataset = write_dataset(tmp_path / "dy.yaml", three_files)
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
    dataset = write_dataset(tmp_path / "dy.yaml", three_files)
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
    assert report["run"]["command_line"][-2:] == ["--set", "muon.min_pt=45"]


# Filesets of CMS Open Data, whose files are far away.


@pytest.fixture
def _no_xrootd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the client of XRootD away, so that no test reaches out."""
    for name in ("XRootD", "fsspec_xrootd"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("_no_xrootd")
def test_a_fileset_of_open_data_is_listed_and_planned(command: Command, real: Path, tmp_path: Path):
    file = real / "open_data_filesets/ZZTo4L_TuneCP5_13TeV_powheg_pythia8.json"
    listed = command("list", file)
    assert listed.code == 0
    assert "ZZTo4L_TuneCP5_13TeV_powheg_pythia8 │ mc │ – │ 99 │ 1.256" in listed.out
    planned = command(
        *run_words(file, tmp_path / "out", "--dry-run", "--era", "2016postVFP", "--set", "corrections=[]")
    )
    assert planned.code == 0
    assert "ZZTo4L_TuneCP5_13TeV_powheg_pythia8 │ mc │ 2016postVFP │ 99 of 99 │ not opened" in planned.out
    both = command("list", real / "open_data_filesets/rucio_ZToMuMu_fileset.json")
    assert "ZJets │ mc" in both.out
    assert "SingleMuon │ data" in both.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_xrootd")
def test_a_run_on_files_that_cannot_be_reached_ends_soon_with_2(command: Command, real: Path, tmp_path: Path):
    filesets = sorted((real / "open_data_filesets").glob("*.json"))
    start = time.perf_counter()
    ended = command(*run_words(filesets, tmp_path / "out"))
    assert time.perf_counter() - start < 60
    assert ended.code == 2
    assert "root://eospublic.cern.ch" in ended.out
    assert "pip install 'mucoffea[grid]'" in ended.out
    assert "none of its 99 files could be read" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_server_that_never_answers_is_given_up_once(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("aiohttp", reason="uproot reads http with aiohttp")
    monkeypatch.setattr(inputs, "inspect", partial(inspect, timeout=1.0))
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/store"
        datasets = [write_dataset(tmp_path / f"{name}.yaml", []) for name in ("one", "two", "three", "four", "five")]
        for path in datasets:
            content = yaml.safe_load(path.read_text())
            content["files"] = [f"{address}/{path.stem}/{k}.root" for k in range(20)]
            path.write_text(yaml.safe_dump(content))
        start = time.perf_counter()
        ended = command(*run_words(datasets, tmp_path / "out", "--set", "corrections=[]"))
        seconds = time.perf_counter() - start
    assert ended.code == 2
    assert "no answer within 1 s" in ended.out
    # One server: the second dataset knows from the first that it does not answer.
    assert seconds < 4
    assert not (tmp_path / "out").exists()


# The program itself.


def test_the_program_itself(three_files: list[Path], tmp_path: Path):
    words = run_words(three_files[0], tmp_path / "out")
    ended = subprocess.run(
        [sys.executable, str(MAIN), *words], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "300 events in" in ended.stdout
    assert f"result: {tmp_path / 'out'} (complete)" in " ".join(ended.stdout.split())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"plan.json", "ledger.json", "report.json", "cutflow.csv", "cutflow.json", "histograms.h5"} <= names
    assert "parts" not in names
    assert "plots" not in names


@pytest.mark.slow
def test_the_main_job_on_real_files_with_plots(real: Path, tmp_path: Path):
    files = [str(real / "nanoaod" / f"{name}.root") for name in ("nano_dimuon", "nano_dy")]
    words = [sys.executable, str(MAIN), "--datasets", *files, "--processor", "cms_dimuon"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    plots = tmp_path / "results/plots"
    assert {"z_mass.png", "z_mass.pdf", "cut_flow.png"} <= {path.name for path in plots.iterdir()}
