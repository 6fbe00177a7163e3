"""``explain``: the recipe of a result, in words and numbers that are those of the run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mucoffea import cli
from mucoffea.outputs.bundle import read_bundle
from mucoffea.processors.base import EraInputs
from mucoffea.processors.cms_dimuon import Dimuon, DimuonParameters
from mucoffea.processors.cms_four_lepton import FourLepton, FourLeptonParameters
from mucoffea.selections.muons import MuonSelection, described

from .support.command_line import Command, run_words, write_demo_dataset
from .support.results import read_report

Explain = Callable[..., str]


@pytest.fixture(scope="module")
def result(toys: Path, three_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of data and simulation with corrections and settings, of which each test may read all."""
    folder = tmp_path_factory.mktemp("explained")
    dataset = write_demo_dataset(folder / "dy.yaml", three_files, value=100.0)
    words = ("--era", "demo", "--set", "muon.min_pt=22", "--chunksize", 20_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
        assert cli.main(run_words([dataset, toys / "data.root"], folder / "out", *words)) == 0
    return folder / "out"


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explain:
    """What the command prints on a terminal of ``width`` columns, line by line."""

    def run(*words: object, width: int = 120) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        assert cli.main(["explain", *map(str, words)]) == 0
        return capsys.readouterr().out

    return run


def folded(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_a_result_is_explained(explain: Explain, result: Path, three_files: list[Path], width: int):
    text = explain(result, width=width)
    assert max(map(len, text.splitlines())) <= width
    plain, report = folded(text), read_report(result)
    for one in report["datasets"]:
        assert f"{one['events_processed']:,}" in plain
    assert "dy.yaml" in plain
    assert str(three_files[0].name) in plain
    assert "muon.min_pt 22.0 (default 20.0)" in plain
    assert "leading_min_pt" not in plain.split("Parameters that differ")[1]
    for one in report["corrections"]:
        assert one["file"] in plain
        assert one["sha256"][:16] in plain
    packages = json.loads((result / "provenance.json").read_text())["software"]["packages"]
    for name in ("coffea", "awkward", "uproot", "correctionlib"):
        assert f"{name} {packages[name]}" in plain
    assert f"scipy {packages['scipy']}" not in plain
    assert "100 pb: this test" in plain
    assert "luminosity demo 20 /pb: generated" in plain
    assert "same_sign INVERTED: opposite_sign must fail" in plain
    # The cuts in order, each with what it requires; events and fractions are those of the cut flow.
    section = text.split("Cuts, in order")[1].split("Regions")[0]
    places = [section.index(f"\n  {cut} ") for cut in report["cuts"]]
    assert places == sorted(places)
    for cut, sentence in report["cuts"].items():
        # Folded beside the numbers; names that are longer than the column are broken.
        assert {word for word in sentence.split() if len(word) < 25} <= set(section.split()), cut
    for flow in json.loads((result / "cutflow.json").read_text()).values():
        for row in flow.values():
            assert f"{row['n']:,}" in section
        assert f"{100 * flow['trigger']['n'] / flow['all']['n']:.3g} %" in section


def test_the_formula_of_the_normalisation_gives_the_scale(explain: Explain, result: Path):
    text = folded(explain(result))
    found = re.search(r"dy ([\d.e+-]+) /fb × 1000 pb/fb × ([\d.e+-]+) pb / ([\d.e+-]+) = ([\d.e+-]+)", text)
    luminosity, section, sumw, scale = map(float, found.groups())
    (one,) = [one for one in read_report(result)["datasets"] if one["name"] == "dy"]
    assert luminosity * 1000 * section / sumw == pytest.approx(one["scale"], rel=1e-6)
    assert scale == pytest.approx(one["scale"], rel=1e-5)


def test_all_shows_every_parameter_hash_and_package(explain: Explain, result: Path):
    text = folded(explain(result, "--all", width=200))
    for name in ("mass_window", "muon.isolation", "muon.max_dxy", "trigger_match"):
        assert name in text
    provenance = json.loads((result / "provenance.json").read_text())
    assert all(one["sha256"] in text for one in provenance["corrections"])
    assert all(one["lfn"] in text for one in provenance["files"])
    assert provenance["keys"]["run"] in text
    assert all(f"{name} {version}" in text for name, version in provenance["software"]["packages"].items())


@pytest.mark.parametrize("width", [80, 120])
def test_a_histogram_is_explained(explain: Explain, result: Path, width: int):
    text = explain(result, "mass", width=width)
    assert max(map(len, text.splitlines())) <= width
    plain = folded(text)
    assert "unit GeV" in plain
    assert "60 bins from 60 to 120, each 1 wide" in plain
    assert "opposite_sign every cut" not in plain  # this histogram is not filled there
    assert "same_sign INVERTED: opposite_sign must fail" in plain
    assert "uncorrected generator weight" in plain
    assert "60 < m(μμ) < 120 GeV" in plain
    bundle = read_bundle(result)
    for one in bundle.report.datasets:
        total = bundle.histograms["mass"][{"dataset": one.name, "region": "z", "variation": "nominal"}].sum(flow=True)
        assert f"{one.name} z {total.value**2 / total.variance:,.0f} {total.value:,.6g}" in plain


def test_what_cannot_be_explained_is_a_users_error(command: Command, result: Path, tmp_path: Path):
    for words, message in (
        ((result, "mas"), "has no histogram 'mas'. Did you mean 'mass'?"),
        ((result.parent / "ouT",), "There is no folder"),
        ((tmp_path,), "holds no result"),
    ):
        ended = command("explain", *words)
        assert ended.code == 1
        assert message in ended.err
    assert "Did you mean 'out'" in command("explain", result.parent / "ouT").err


def test_results_that_are_partial_unfinished_or_old_are_explained_as_such(
    command: Command, three_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = write_demo_dataset(tmp_path / "dy.yaml", three_files)
    words = run_words(dataset, tmp_path / "out", "--set", "corrections=[]", "--chunksize", 100, "--max-files", 2)
    process = Dimuon.process

    def stop(self, events):
        if events.metadata["entrystart"] >= 200:
            raise KeyboardInterrupt
        return process(self, events)

    monkeypatch.setattr(Dimuon, "process", stop)
    assert command(*words).code == 130
    monkeypatch.undo()
    text = command("explain", tmp_path / "out").out
    assert "cms_dimuon: UNFINISHED" in text
    assert "2 of 6 work items are done" in text
    assert "--resume" in text
    assert "corrections []" in text
    # Beside an earlier result, the result counts.
    assert command(*words, "--resume").code == 0
    (tmp_path / "out/unfinished").mkdir()
    text = command("explain", tmp_path / "out").out
    assert "warning: PARTIAL: dy: limited to 2 files" in text
    assert "a later run in this folder has not finished" in text
    old = Path(shutil.copytree(tmp_path / "out", tmp_path / "old"))
    (old / "provenance.json").unlink()
    text = command("explain", old).out
    assert "no provenance.json: made by an early version" in text
    assert "trigger at least one fired" in text


# What the analyses say of themselves.


def test_the_recipe_names_what_the_result_has(result: Path):
    bundle = read_bundle(result)
    report = bundle.report
    for flow in bundle.cut_flows.values():
        assert list(flow) == ["all", *report.cuts, "corrections"]
    for histogram in bundle.histograms.values():
        assert set(histogram.axes["region"]) <= set(report.regions)
        assert set(histogram.axes["variation"]) == set(report.variations)
    assert set(report.variations["nominal"]) == {
        *("generator weight", "pileup", "prefiring", "muon_reco", "muon_id", "muon_iso", "muon_trigger"),
        *("muon_momentum", "electron_reco", "electron_id", "electron_energy", "met", "met_xy"),
    }
    for cuts in report.regions.values():
        assert set(cuts) <= set(report.cuts)


@pytest.mark.parametrize(
    ("change", "cut", "words"),
    [
        ({"leading_min_pt": 41.5}, "leading_pt", "pt > 41.5 GeV"),
        ({"mass_window": (70.0, 110.0)}, "mass_window", "70 < m(μμ) < 110 GeV"),
        ({"muon": MuonSelection(min_pt=33.0, max_dxy=0.2, max_dz=0.5)}, "two_muons", "pt > 33 GeV"),
        ({"trigger_match": False}, "trigger_match", "off"),
        ({"met_filters": False}, "met_filters", "off (no event filters)"),
        ({"triggers": ("HLT_Mu50",)}, "trigger", "at least one fired: HLT_Mu50"),
    ],
)
def test_a_parameter_changes_the_sentence_of_its_cut_and_no_other(change: dict, cut: str, words: str):
    eras = {"a": EraInputs(era="a", met_filters=("Flag_x",), triggers={"single_muon": ("HLT_IsoMu24",)})}
    default = Dimuon(None, eras).recipe().cuts
    changed = Dimuon(DimuonParameters(**change), eras).recipe().cuts
    assert {name for name in default if default[name] != changed[name]} == {cut}
    assert words in changed[cut]


def test_eras_that_differ_are_told_apart():
    eras = {
        "2017": EraInputs(era="2017", triggers={"single_muon": ("HLT_IsoMu27",)}),
        "2018": EraInputs(era="2018", triggers={"single_muon": ("HLT_IsoMu24",)}),
    }
    cuts = Dimuon(None, eras).recipe().cuts
    assert cuts["trigger"] == "2017: at least one fired: HLT_IsoMu27; 2018: at least one fired: HLT_IsoMu24"
    assert cuts["met_filters"] == "off (no event filters)"


def test_the_four_muons_are_described():
    with_pairs = FourLepton(FourLeptonParameters(two_pairs=True))
    assert tuple(with_pairs.recipe().cuts) == with_pairs.cuts
    cuts = dict.fromkeys(FourLepton().cuts, True)
    assert FourLepton().recipe().regions == {"4mu": cuts, "4e": cuts, "2e2mu": cuts}
    assert FourLepton(FourLeptonParameters(channels=("4mu",))).recipe().regions == {"4mu": cuts}


def test_a_muon_selection_is_described_by_its_cuts_alone():
    least = MuonSelection(min_pt=5, identification="none", isolation="none")
    assert described(least) == "pt > 5 GeV, |η| < 2.4"
    most = MuonSelection(identification="high_pt", isolation="very_tight", max_dxy=0.2, max_dz=0.5, max_sip3d=4)
    assert described(most) == (
        "pt > 20 GeV, |η| < 2.4, high pt identification, very tight isolation (relative, below 0.1), |dxy| < 0.2 cm, "
        "|dz| < 0.5 cm, SIP3D < 4"
    )
