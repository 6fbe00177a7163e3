"""``python main.py mu2e …`` on a made-up result: what is written, printed and refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from mucoffea.cli import main

from .support.mu2e_result import counters, exposure, write_result


@pytest.fixture
def result(tmp_path):
    return write_result(tmp_path / "result", exposed=exposure())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def quantity(path: Path, label: str) -> dict[str, str]:
    return next(row for row in rows(path) if row["label"] == label)


def test_rates_are_written_and_printed(result, capsys):
    assert main(["mu2e", "rates", str(result), "--no-plots"]) == 0
    folder = result / "mu2e"
    assert {path.name for path in folder.iterdir()} == {
        f"{stem}.{end}" for stem in ("rates", "rates_summary") for end in ("csv", "json", "tex")
    }
    veto = quantity(folder / "rates.csv", "Veto efficiency [%]")
    assert float(veto["inclusive"]) == pytest.approx(100 * (1 - 12 / 6000))
    rate = quantity(folder / "rates.csv", "Selection rate 1BB, unscaled [1/day]")
    assert float(rate["inclusive"]) == pytest.approx(6000 / (1e6 / 0.322 / 86400))
    content = json.loads((folder / "rates.json").read_text())
    assert content["tables"][0]["exposure"]["livetime"] == 1e6
    assert len(content["report_sha256"]) == 64
    assert "99.800" in capsys.readouterr().out


def test_without_live_time_the_words_are_not_available(tmp_path, capsys):
    folder = write_result(tmp_path / "r", exposed=exposure(livetime=None, livetime_source="neither says"))
    assert main(["mu2e", "rates", str(folder), "--no-plots"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "the live time is not known (neither says): rates are not available" in printed
    rate = quantity(folder / "mu2e" / "rates.csv", "Selection rate 1BB, unscaled [1/day]")
    assert rate["inclusive"] == "n/a"
    assert main(["mu2e", "project", str(folder), "--no-plots"]) == 1
    assert "--selected 6000 --unvetoed 12" in capsys.readouterr().err


def test_a_result_without_exposure_still_gives_efficiencies(tmp_path):
    folder = write_result(tmp_path / "r", exposed=None)
    assert main(["mu2e", "rates", str(folder), "--no-plots"]) == 0
    assert quantity(folder / "mu2e" / "rates.csv", "Selection efficiency [%]")["signal"] == "n/a"
    assert float(quantity(folder / "mu2e" / "rates.csv", "Veto efficiency [%]")["inclusive"]) > 99


def test_veto_off_is_not_100_percent(tmp_path, capsys):
    folder = write_result(tmp_path / "r", exposed=exposure(), counts=counters(veto=False))
    assert main(["mu2e", "rates", str(folder), "--no-plots"]) == 0
    assert quantity(folder / "mu2e" / "rates.csv", "Veto efficiency [%]")["inclusive"] == "n/a"
    assert "the veto cut is off" in capsys.readouterr().out
    assert main(["mu2e", "project", str(folder), "--no-plots"]) == 1
    assert "veto is off" in capsys.readouterr().err


def test_of_conversion_electrons_it_is_the_deadtime(tmp_path):
    folder = write_result(tmp_path / "r", process="CE", dataset="toy_ce", exposed=exposure(livetime=None))
    assert main(["mu2e", "rates", str(folder), "--no-plots"]) == 0
    assert "Deadtime [%]" in {row["label"] for row in rows(folder / "mu2e" / "rates.csv")}
    assert main(["mu2e", "rates", str(folder), "--no-plots", "--overwrite", "--signal", "nothing"]) == 1


def test_legacy_writes_the_old_table(result):
    assert main(["mu2e", "rates", str(result), "--no-plots", "--legacy"]) == 0
    assert (result / "mu2e" / "analysis_SU2020b_toy_cosmics.csv").exists()
    content = json.loads((result / "mu2e" / "rates.json").read_text())
    assert content["tables"][0]["intervals"]["legacy"] is True


def test_nothing_is_overwritten_unless_asked_and_other_files_stay(result, capsys):
    assert main(["mu2e", "rates", str(result), "--no-plots"]) == 0
    (result / "mu2e" / "notes.txt").write_text("mine")
    before = (result / "mu2e" / "rates.csv").read_bytes()
    assert main(["mu2e", "rates", str(result), "--no-plots"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["mu2e", "rates", str(result), "--no-plots", "--overwrite"]) == 0
    assert (result / "mu2e" / "rates.csv").read_bytes() == before
    assert (result / "mu2e" / "notes.txt").read_text() == "mine"
    assert not [path for path in (result / "mu2e").iterdir() if path.name.startswith(".")]


def test_project_from_counts_gives_the_discrete_numbers(tmp_path, capsys):
    counts = ["--selected", "27142", "--unvetoed", "7", "--livetime", "1.06887e7", "--live-fraction", "0.72"]
    arguments = ["mu2e", "project", *counts, "--discrete", "--toys", "100", "--no-plots"]
    assert main([*arguments, "--output-dir", str(tmp_path / "p")]) == 0
    days = {row["model"]: row["days"] for row in rows(tmp_path / "p" / "projection.csv")}
    assert (days["rounded down, first"], days["rounded down, permanent"]) == ("146.0", "159.0")
    assert float(days["closed form"]) == pytest.approx(117.55, abs=0.01)
    assert float(days["16 % of experiments"]) < float(days["expected counts"]) < float(days["84 % of experiments"])
    curve = rows(tmp_path / "p" / "projection_curve.csv")
    assert curve[0]["uncertainty"] == "n/a"
    assert float(curve[-1]["uncertainty"]) < 1e-4
    # Without a folder it prints, and writes nothing.
    assert main(arguments) == 0
    assert "146" in capsys.readouterr().out


def test_project_from_a_result_takes_its_counts_and_its_spill(tmp_path):
    folder = write_result(tmp_path / "r", exposed=exposure(on_spill=False))
    assert main(["mu2e", "project", str(folder), "--plan", "1BB:100,2BB", "--toys", "0", "--no-plots"]) == 0
    content = json.loads((folder / "mu2e" / "projection.json").read_text())
    assert (content["selected"], content["unvetoed"], content["livetime"]) == (6000, 12, 1e6)
    assert content["plan"]["segments"][0]["fraction"] == pytest.approx(0.678)


def test_a_plan_that_ends_has_an_expected_background(result):
    assert main(["mu2e", "project", str(result), "--plan", "1BB:100,2BB:50", "--toys", "0", "--no-plots"]) == 0
    table = rows(result / "mu2e" / "projection_background.csv")
    live = (100 * 0.322 + 50 * 0.246) * 86400
    assert [row["window"] for row in table] == ["Inclusive", "Wide", "Extended", "Signal"]
    assert float(table[0]["background"]) == pytest.approx(12 / 6000 * 120 * live / 1e6)
    assert float(table[0]["background_low"]) < float(table[0]["background"]) < float(table[0]["background_high"])


def test_windows_of_two_results_and_of_one(tmp_path, capsys):
    cosmics = write_result(tmp_path / "c", exposed=exposure())
    noise = counters()
    noise["dt_windows"] = {name: n // 4 for name, n in noise["dt_windows"].items()}
    electrons = write_result(tmp_path / "e", dataset="toy_electrons", process="CE", counts=noise, exposed=exposure())
    assert main(["mu2e", "windows", str(cosmics), str(electrons), "--no-plots"]) == 0
    table = rows(cosmics / "mu2e" / "windows.csv")
    assert len(table) == 55
    chosen = [row for row in table if row["choice"] == "chosen"]
    assert [(row["low"], row["high"]) for row in chosen] == [("10.0", "110.0")]
    assert float(chosen[0]["deadtime"]) == pytest.approx(25, abs=0.1)
    assert "narrowest window" in capsys.readouterr().out
    assert main(["mu2e", "windows", str(cosmics), "--no-plots", "--overwrite", "--required", "0.99999"]) == 0
    assert {row["deadtime"] for row in rows(cosmics / "mu2e" / "windows.csv")} == {"n/a"}
    assert "no window reaches" in capsys.readouterr().out


def test_scan_writes_each_threshold(result):
    assert main(["mu2e", "scan", str(result), "--no-plots"]) == 0
    table = rows(result / "mu2e" / "scan_lo_trkqual.csv")
    assert len(table) == 20
    assert float(table[0]["efficiency"]) == pytest.approx(100 * 9000 / 60000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rate", "{r}"], "no tool 'mu2e rate'. Did you mean 'rates'"),
        (["rates", "{r}x"], "no result folder"),
        (["rates", "{r}", "--cutset", "SU2020c"], "no cutset 'SU2020c'. Did you mean 'SU2020b'"),
        (["rates", "{r}", "--dataset", "toy_cosmic"], "Did you mean 'toy_cosmics'"),
        (["rates", "{r}", "--confidence", "68"], "--confidence lies between 0 and 1"),
        (["rates", "{r}", "--legacy", "--confidence", "0.9"], "leave out --confidence"),
        (["scan", "{r}", "--threshold", "lo_trkqul"], "Did you mean 'lo_trkqual'"),
        (["windows", "{r}", "--required", "99.9"], "--required lies between 0 and 1"),
        (["windows", "{r}", "--signal", "toy_cosmics"], "one dataset of cosmics"),
        (["project", "--selected", "3"], "Missing: --unvetoed, --livetime"),
        (["project", "--selected", "3", "--unvetoed", "4", "--livetime", "1"], "more than the 3 selected"),
        (["project", "--selected", "0", "--unvetoed", "0", "--livetime", "1"], "selected: "),
        (["project", "{r}", "--selected", "3"], "not both"),
        (["project", "{r}", "--plan", "3BB"], "no beam mode '3BB'"),
        (["project", "{r}", "--live-fraction", "1.5"], "live fraction"),
        (["project", "{r}", "--target", "0"], "target uncertainty"),
        (["project", "{r}", "--toys", "-1"], "--toys"),
        (["project", "{r}", "--days", "0"], "--days"),
        (["plots", "{r}", "--no-plots"], "leave out --no-plots"),
    ],
)
def test_mistakes_are_named(result, capsys, arguments, message):
    assert main(["mu2e", *(word.format(r=result) for word in arguments)]) == 1
    assert message in capsys.readouterr().err
    assert not (result / "mu2e").exists()


def test_a_result_of_another_analysis_is_refused(tmp_path, capsys):
    folder = write_result(tmp_path / "r", exposed=exposure())
    content = json.loads((folder / "report.json").read_text())
    content["datasets"][0]["counters"] = {}
    content["processor"] = "cms_dimuon"
    (folder / "report.json").write_text(json.dumps(content))
    assert main(["mu2e", "rates", str(folder)]) == 1
    assert "is of 'cms_dimuon'" in capsys.readouterr().err


def test_an_incomplete_result_says_so_and_ends_with_2(result, capsys):
    content = json.loads((result / "report.json").read_text())
    content |= {"status": "incomplete", "warnings": ["PARTIAL: toy_cosmics: 30 of 60 events processed"]}
    (result / "report.json").write_text(json.dumps(content))
    assert main(["mu2e", "rates", str(result), "--no-plots"]) == 2
    assert "PARTIAL" in capsys.readouterr().out


@pytest.mark.parametrize("tool", ["rates", "project", "windows", "scan", "plots"])
def test_help_shows_an_example(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["mu2e", tool, "--help"])
    assert stop.value.code == 0
    assert f"python main.py mu2e {tool}" in capsys.readouterr().out


def test_help_of_the_tools(capsys):
    assert main(["mu2e", "--help"]) == 0
    assert main(["mu2e"]) == 1
    assert "windows COSMICS ELECTRONS" in capsys.readouterr().out
