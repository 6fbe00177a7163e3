"""The command ``systematics``: table, files, figures, and what it answers to mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mucoffea.cli.systematics import command
from mucoffea.errors import UserError
from mucoffea.outputs.bundle import write_bundle
from mucoffea.outputs.report import SourceReport

from .support.varied_result import NOMINAL, REGION, bundle, era

SOURCES = [
    SourceReport(name="pileup", label="pile-up", kind="weight", variations=("pileupUp", "pileupDown")),
    SourceReport(name="muon_scale", kind="shape", variations=("muon_scaleUp", "muon_scaleDown")),
]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    tilt = np.array([1, 1.2, 1, 1, 0.9, 1])
    shifted = {"pileupUp": 1.03 * NOMINAL, "pileupDown": 0.98 * NOMINAL, "muon_scaleUp": tilt * NOMINAL}
    contents = {"z": {"nominal": NOMINAL, **shifted, "muon_scaleDown": NOMINAL}, "data": {"nominal": NOMINAL}}
    made = bundle(contents, SOURCES, {"data": {"kind": "data"}}, luminosities=(era(lumi_2018=1.5),))
    write_bundle(made, tmp_path)
    return tmp_path


def test_table_files_and_figures(result: Path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert command(["systematics", str(result)]) == 0
    printed = capsys.readouterr().out
    assert "pileup" in printed
    assert "+3.00 %" in printed
    assert printed.index("pileup") < printed.index("lumi_2018")
    rows = json.loads((result / "systematics" / "systematics.json").read_text())
    assert {(row["process"], row["source"]) for row in rows} == {
        (process, source) for process in ("z", "total") for source in ("pileup", "muon_scale", "lumi_2018")
    }
    figures = {path.name for path in (result / "systematics").glob("*.png")}
    assert figures == {
        f"{REGION}_largest.png",
        *(f"{REGION}_mass_{name}.png" for name in ("pileup", "muon_scale", "lumi_2018")),
    }


def test_a_choice(result: Path, tmp_path: Path, capsys):
    folder = tmp_path / "elsewhere"
    words = [
        "--source",
        "muon_scale",
        "--region",
        REGION,
        "--histogram",
        "mass",
        "--no-plots",
        "--output-dir",
        str(folder),
    ]
    assert command(["systematics", str(result), *words, "--top", "1"]) == 0
    assert "pileup" not in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"systematics.json", "systematics.csv"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "pilup"], r"no systematic 'pilup'.*'pileup'"),
        (["--histogram", "mas"], r"no histogram 'mas'.*'mass'"),
        (["--region", "signl"], r"no region 'signl'.*'signal'"),
        (["--top", "0"], "--top"),
    ],
)
def test_mistakes(result: Path, words: list[str], message: str):
    with pytest.raises(UserError, match=message):
        command(["systematics", str(result), *words])


def test_a_result_without_any(tmp_path: Path):
    write_bundle(bundle({"z": {"nominal": NOMINAL}}), tmp_path)
    with pytest.raises(UserError, match=r"no systematic uncertainty. Run the analysis again with '--systematics"):
        command(["systematics", str(tmp_path)])
