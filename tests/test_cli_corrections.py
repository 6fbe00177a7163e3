"""`python main.py corrections list | show | evaluate`: what they print of fake POG folders, and their mistakes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from mucoffea import cli
from mucoffea.cli.corrections import TOOLS
from mucoffea.corrections.catalogue import ENVIRONMENT

from .support.command_line import Command
from .support.pog_files import TIGHT, scale_factor, write


@pytest.fixture(autouse=True)
def pog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _wide_terminal: None) -> Path:
    """A POG folder with the muon identification of 2018, and that of 2017 without the key."""
    write(tmp_path / "pog/POG/MUO/2018_UL/muon_Z.json.gz", scale_factor())
    write(tmp_path / "pog/POG/MUO/2017_UL/muon_Z.json.gz", scale_factor("NUM_Other"))
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "pog"))
    return tmp_path / "pog"


def read(capsys: pytest.CaptureFixture[str], *words: object) -> object:
    assert cli.main(["corrections", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_list_says_what_is_there(pog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read(capsys, "list", "muon_id", "--era", "2016postVFP", "2017", "2018")
    assert isinstance(rows, list)
    assert [(row["era"], row["status"]) for row in rows] == [
        ("2016postVFP", "missing"),
        ("2017", "wrong"),
        ("2018", "found"),
    ]
    path = pog / "POG/MUO/2018_UL/muon_Z.json.gz"
    assert (rows[2]["path"], rows[2]["version"]) == (str(path), 2)
    assert rows[2]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert rows[2]["working_points"][0] == "tight"
    assert "no correction 'NUM_TightID_DEN_TrackerMuons'" in rows[1]["problem"]
    assert [row["era"] for row in read(capsys, "list", "muon_i[d]", "--era", "2018", "2017", "--missing")] == ["2017"]


def test_list_as_a_table(command: Command) -> None:
    ended = command("corrections", "list", "muon_id", "--era", "2017", "2018")
    assert ended.code == 0
    assert "1 found, 0 missing, 1 wrong" in ended.out
    assert "muon_id of 2017: " in ended.out


def test_show_of_a_name(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    ended = command("corrections", "show", "muon_id", "--era", "UL18")
    assert ended.code == 0
    for part in (f"value: {TIGHT}", "2 bins: -2.4, 0, 2.4", "3 bins: 15, 30, 60, 120", "nominal, stat", "no value"):
        assert part in ended.out
    shown = read(capsys, "show", "muon_id")
    assert isinstance(shown, dict)
    assert "2018" in shown["eras"]


def test_show_of_a_file_and_of_its_keys(pog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(pog / "two.json", scale_factor(), scale_factor("other", version=1))
    shown = read(capsys, "show", path)
    assert isinstance(shown, dict)
    assert [(row["key"], row["version"]) for row in shown["overview"]] == [(TIGHT, 2), ("other", 1)]
    assert shown["record"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    shown = read(capsys, "show", path, "other")
    assert isinstance(shown, dict)
    (key,) = shown["keys"]
    assert [one["name"] for one in key["inputs"]] == ["eta", "pt", "scale_factors"]
    assert key["inputs"][1]["edges"] == [15.0, 30.0, 60.0, 120.0]
    assert key["inputs"][1]["valid"] == [15.0, 120.0]


def test_evaluate_gives_all_variations_and_says_what_is_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    found = read(capsys, "evaluate", "muon_id", "--era", "2018", "eta=1.2", "pt=20,40,200")
    assert isinstance(found, dict)
    values = [(row["scale_factors"], row["pt"], row["value"]) for row in found["values"]]
    assert values == [
        ("nominal", 20.0, pytest.approx(0.93)),
        ("nominal", 40.0, pytest.approx(0.94)),
        ("nominal", 200.0, None),
        ("stat", 20.0, 0.01),
        ("stat", 40.0, 0.01),
        ("stat", 200.0, None),
    ]
    assert found["values"][2]["remark"] == "out of range: no value"
    found = read(capsys, "evaluate", "muon_id", "--era", "2018", "eta=-1", "pt=20", "scale_factors=nominal")
    assert isinstance(found, dict)
    assert [row["value"] for row in found["values"]] == [pytest.approx(0.90)]


def test_evaluate_prints_a_table(pog: Path, command: Command) -> None:
    path = pog / "POG/MUO/2018_UL/muon_Z.json.gz"
    ended = command("corrections", "evaluate", path, TIGHT, "pt=20,200", "eta=1", "scale_factors=nominal")
    assert ended.code == 0
    assert f"{TIGHT} of {path}" in ended.out
    assert "0.93" in ended.out
    assert "out of range: no value" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "There is no tool 'corrections lst'. Did you mean 'list'?"),
        (["list", "muon_idd"], "There is no correction 'muon_idd'. Did you mean 'muon_id'"),
        (["list", "--era", "2108"], "There is no era '2108'. Did you mean '2018'"),
        (["list", "--folder", "{pog}x"], "there is no such folder. Did you mean 'pog'?"),
        (["list", "--date", "MUO"], "--date takes POG=YYYY-MM-DD"),
        (["show", "muon_idd"], "There is no correction 'muon_idd'. Did you mean 'muon_id'"),
        (["show", "muon_id", "--working-point", "tight"], "--working-point belongs to an era"),
        (["show", "muon_id", "--era", "2018", "--working-point", "tigt"], "no working point 'tigt'"),
        (["show", "muon_id", "--era", "2016preVFP"], "No file was found for the correction 'muon_id'"),
        (["show", "{pog}/none.json"], "none.json cannot be read (No such file or directory)"),
        (["show", "{file}", "NUM_TightID_DEN_TrackerMuon"], f"Did you mean '{TIGHT}'?"),
        (["evaluate", "muon_id", "eta=1", "pt=30"], "depends on the era: give --era"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1"], "also needs pt: give for example pt=1"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1", "ptt=30"], "has no input 'ptt'. Did you mean 'pt'?"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1", "pt=x"], "The input 'pt' takes numbers, not 'x'"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1", "pt="], "The input 'pt' has no value"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1", "eta=2", "pt=30"], "The input 'eta' is given twice"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1,2", "pt=1,2,3"], "The inputs have [2, 3] values"),
        (["evaluate", "muon_id", "--era", "2018", "eta=1", "pt=30", "scale_factors=nomnal"], "Did you mean 'nominal'?"),
        (["evaluate", "{file}", "a", "b", "eta=1"], "Give one KEY"),
    ],
)
def test_mistakes(pog: Path, command: Command, words: list[str], message: str) -> None:
    file = pog / "POG/MUO/2018_UL/muon_Z.json.gz"
    ended = command("corrections", *(word.format(pog=pog, file=file) for word in words))
    assert ended.code == 1
    assert message in ended.err


def test_help_names_every_tool(command: Command) -> None:
    assert command("corrections").code == 1
    for tool in TOOLS:
        assert f" {tool} " in command("corrections", "--help").out
        with pytest.raises(SystemExit) as ended:
            command("corrections", tool, "--help")
        assert ended.value.code == 0
