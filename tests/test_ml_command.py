"""``mu2e train``: the command, its report, its figures and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import matplotlib.image
import pyarrow.parquet as pq
import pytest
from mucoffea.cli.mu2e_ml import command
from mucoffea.errors import UserError
from mucoffea.ml import crv_report, packages
from mucoffea.ml.crv_export import read_veto

from .support.coincidences import coincidences

pytest.importorskip("xgboost", reason="the extra ml is not installed")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("coincidences")
    pq.write_table(coincidences("cosmic", 600), folder / "cosmics.parquet")
    pq.write_table(coincidences("electron", 900, pile_up=1.0), folder / "electrons.parquet")
    return str(folder / "cosmics.parquet"), str(folder / "electrons.parquet")


def train(inputs: tuple[str, str], folder: Path, *more: str) -> int:
    return command(["train", *inputs, "--output-dir", str(folder), "--folds", "3", "--target", "0.98", *more])


@pytest.fixture(scope="module")
def study(inputs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "veto"
    assert train(inputs, folder, "--features", "dT", "PEs", "--ablation") == 0
    return folder


def test_the_report_has_what_the_tables_have(study: Path) -> None:
    report = json.loads((study / "report.json").read_text())
    assert report["kind"] == crv_report.KIND
    (trained, best, window) = report["comparison"]
    assert window["veto"] == "window [0, 150] ns"
    for row in (trained, best, window):
        assert (row["cosmic_events"], row["beam_events"]) == (600, 900)
        assert row["efficiency_low"] <= row["efficiency"] <= row["efficiency_high"]
        assert row["deadtime_low"] <= row["deadtime"] <= row["deadtime_high"]
    assert sum(row["cosmic_vetoed"] for row in report["folds"]) == trained["cosmic_vetoed"]
    for name in ("comparison", "folds", "threshold_curve", "importance", "ablation"):
        with (study / f"{name}.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == len(report[name])
    assert [row["study"] for row in report["ablation"]] == ["drop"] * 3 + ["add"] * 2
    assert report["ablation"][0]["change"] == "all features"
    assert (study / "comparison.tex").read_text().count("\\\\") == 4
    assert not list(study.parent.glob(".veto*"))


def test_the_scores_of_all_events_are_there(study: Path) -> None:
    report = json.loads((study / "report.json").read_text())
    scores = pq.read_table(study / "scores.parquet").to_pandas()
    assert len(scores) == 1500
    assert (scores["coincidences"] == 0).equals(scores["score"].isna())
    assert scores.loc[scores["cosmic_sample"], "vetoed"].sum() == report["comparison"][0]["cosmic_vetoed"]
    assert ((scores["score"] >= scores["threshold"]) == scores["vetoed"]).all()


def test_the_model_is_handed_on_with_its_performance(study: Path) -> None:
    report = json.loads((study / "report.json").read_text())
    veto = read_veto(study / "model")
    assert veto.features == ("dT", "PEs")
    assert veto.threshold == report["final"]["threshold"]
    assert veto.description["performance"]["efficiency"] == report["comparison"][0]["efficiency"]
    assert [sample["dataset"] for sample in veto.description["trained_on"]["samples"]] == ["cosmics", "electrons"]


def test_every_figure_has_something_on_it(study: Path) -> None:
    names = {"roc", "scores", "threshold_curve", "importance", "comparison", "ablation"}
    assert {path.stem for path in (study / "plots").iterdir()} == names
    for name in names:
        assert matplotlib.image.imread(study / "plots" / f"{name}.png").std() > 0.05
        assert (study / "plots" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_again_gives_the_same_bytes_and_needs_leave(inputs: tuple[str, str], study: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert train(inputs, again, "--features", "dT", "PEs", "--ablation") == 0
    files = sorted(path.relative_to(study) for path in study.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in files:
        one, other = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (study, again))
        assert one == other, name
    with pytest.raises(UserError, match="Give --overwrite"):
        train(inputs, again)
    assert train(inputs, again, "--overwrite", "--features", "dT") == 0
    assert not (again / "ablation.csv").exists()


def test_the_table_is_printed(inputs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(inputs, tmp_path / "veto", "--labels", "sample") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "cosmics: 600 events" in printed
    for words in ("trained veto", "best window", "window [0, 150] ns", "intervals at 68.27 %", "by their sample"):
        assert words in printed


def test_a_grid_is_reported(inputs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mucoffea.ml import crv_settings

    few = (crv_settings.Booster(rounds=5), crv_settings.Booster(rounds=30))
    monkeypatch.setattr(crv_settings, "small_grid", lambda _: few)
    assert train(inputs, tmp_path / "veto", "--grid", "small") == 0
    rows = json.loads((tmp_path / "veto" / "report.json").read_text())["optimisation"]
    assert len(rows) == 2 * (3 + 1)
    assert sum(row["chosen"] for row in rows) == 4


def test_what_the_command_refuses(inputs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--folds is 1: .*greater than or equal to 2"):
        train(inputs, tmp_path / "veto", "--folds", "1")
    with pytest.raises(UserError, match=r"--target is 1.5"):
        train(inputs, tmp_path / "veto", "--target", "1.5")
    with pytest.raises(UserError, match=r"--features is .*mom_mag.*distinct names"):
        train(inputs, tmp_path / "veto", "--features", "mom_mag")
    with pytest.raises(UserError, match="no file or folder"):
        train((inputs[0], str(tmp_path / "none.parquet")), tmp_path / "veto")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="no study of a veto"):
        train(inputs, tmp_path / "full", "--overwrite")
    assert (tmp_path / "full" / "thesis.tex").exists()

    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'mucoffea\[ml\]'"):
        train(inputs, tmp_path / "veto")
    assert not (tmp_path / "veto").exists()
