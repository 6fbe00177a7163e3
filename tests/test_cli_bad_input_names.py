"""Wrong words at the command line: one paragraph says what and how to mend it, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support.command_line import Command, assert_refused, run_words, snapshot, write_dataset


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--datasets", "demo_dyy"], ["no dataset 'demo_dyy'", "Did you mean 'demo_dy'", "main.py list"]),
        (["--datasets", "demmo*"], ["No dataset matches the pattern 'demmo\\*'", "main.py list"]),
        (["--datasets", "demo_dy", "--executor", "future"], ["no executor 'future'", "Did you mean 'futures'"]),
        (["--datasets", "demo_dy", "--executor", "dask-slurm"], ["'dask-slurm' is not available", "iterative"]),
        (["--datasets", "nowhere/events.root"], ["nowhere/events.root does not exist"]),
        (["--datasets", "nowhere.yaml"], ["nowhere.yaml does not exist"]),
        (["--datasets", "nowhere.json.gz"], ["nowhere.json.gz does not exist"]),
        (["--datasets", "nowhere/*.root"], ["No file matches 'nowhere/\\*.root'"]),
    ],
)
def test_an_unknown_name(command: Command, tmp_path: Path, words: list[str], patterns: list[str]):
    assert_refused(command(*words, "--output-dir", tmp_path / "out"), *patterns)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--processor", "cms_dimuons"], ["no processor 'cms_dimuons'", "Did you mean 'cms_dimuon'"]),
        (["--era", "2081"], ["no era '2081'", "Did you mean '2018'"]),
        (["--set", "muon.min_ptt=25"], ["muon.min_ptt", "no such parameter", "Did you mean 'min_pt'"]),
        (["--set", "leading_pt=25"], ["'leading_pt'", "no such parameter", "Did you mean 'leading_min_pt'"]),
        (["--set", "muon.min_pt=lots"], ["muon.min_pt", "number"]),
        (["--set", "muon.identification=tigth"], ["muon.identification", "'tight'"]),
        (["--set", "mass_window=60"], ["mass_window"]),
        (["--set", "muon=5"], ["'muon'"]),
        (["--set", "muon.min_pt"], ["--set takes KEY=VALUE", "muon.min_pt=25"]),
        (["--set", "mass_window=[60, 120"], ["mass_window=\\[60, 120"]),
        (["--set", "corrections=[pileupp]", "--era", "demo"], ["'pileupp'", "Did you mean 'pileup'"]),
        (["--chunksize", "0"], ["--chunksize must be at least 1, not 0"]),
        (["--chunksize", "-5"], ["--chunksize must be at least 1, not -5"]),
        (["--max-files", "0"], ["--max-files must be at least 1, not 0"]),
        (["--max-chunks", "0"], ["--max-chunks must be at least 1, not 0"]),
        (["--workers", "0"], ["--workers must be at least 1, not 0"]),
        (["--executor", "futures", "--workers", "-1"], ["--workers must be at least 1, not -1"]),
    ],
)
def test_a_wrong_value_of_an_option_leaves_no_folder(
    command: Command, toys: Path, small: Path, tmp_path: Path, monkeypatch, words: list[str], patterns: list[str]
):
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    ended = command(*run_words(small, tmp_path / "out"), *words)
    assert_refused(ended, *patterns)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["--datasets", "demo_dyy"], ["Did you mean 'demo_dy'"]),
        (["--executor", "future"], ["Did you mean 'futures'"]),
        (["--era", "2081"], ["Did you mean '2018'"]),
        (["--set", "muon.min_ptt=25"], ["no such parameter"]),
        (["--chunksize", "0"], ["--chunksize must be at least 1"]),
        (["--workers", "0"], ["--workers must be at least 1"]),
    ],
)
def test_the_earlier_result_survives_a_run_that_fails_with_overwrite(
    command: Command, small: Path, earlier: Path, words: list[str], patterns: list[str]
):
    before = snapshot(earlier)
    assert_refused(command(*run_words(small, earlier, "--overwrite"), *words), *patterns)
    assert snapshot(earlier) == before


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("muon: {min_ptt: 25}\n", ["parameters.yaml", "min_ptt", "Did you mean 'min_pt'"]),
        ("muon: {min_pt: twenty}\n", ["parameters.yaml", "muon.min_pt"]),
        ("- muon\n", ["parameters.yaml", "'name: value'"]),
        ("muon: {min_pt: 25\n", ["parameters.yaml", "cannot be read as YAML"]),
    ],
)
def test_a_wrong_configuration_file(command: Command, small: Path, tmp_path: Path, text: str, patterns: list[str]):
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    assert_refused(command(*run_words(small, tmp_path / "out", "--config", path)), *patterns)
    assert_refused(command(*run_words(small, tmp_path / "out", "--config", tmp_path / "no.yaml")), r"no\.yaml")
    assert not (tmp_path / "out").exists()


def test_a_contradiction_of_era_and_dataset(command: Command, small: Path, tmp_path: Path):
    path = write_dataset(tmp_path / "mine.yaml", [small], era="2018")
    ended = command(*run_words(path, tmp_path / "out", "--era", "2022postEE"))
    assert_refused(ended, "--era 2022postEE contradicts the dataset 'mine'", "2018", "Leave --era out")


def test_no_processor_is_named(command: Command, small: Path, tmp_path: Path):
    ended = command("--datasets", small, "--output-dir", tmp_path / "out")
    assert_refused(ended, "--processor", "cms_dimuon, cms_dielectron, cms_leptons_jets, cms_four_lepton")


@pytest.mark.parametrize("word", ["list", "--datasets"])
def test_a_mistake_is_the_same_for_every_command(command: Command, word: str):
    assert_refused(command(word, "demo_dyy"), "Did you mean 'demo_dy'")


@pytest.mark.parametrize(
    ("words", "patterns"),
    [
        (["dyy", "--events", "5"], ["SAMPLE is dyy", "'dy'"]),
        (["dy"], ["takes --events"]),
        (["dy", "--events", "-1"], ["--events is -1", "greater than or equal to 0"]),
        (["dy", "--luminosity", "3"], ["takes --events, and no --luminosity"]),
        (["data", "--events", "5", "--luminosity", "3"], ["either --events or --luminosity"]),
        (["dy", "--events", "5", "--files", "0"], ["--files is 0"]),
        (["dy", "--events", "5", "--basket-events", "0"], ["--basket-events is 0"]),
        (["dy", "--events", "5", "--compression", "zst"], ["--compression is zst", "Did you mean 'zstd'"]),
        (["dy", "--events", "5", "--content", "narow"], ["--content is narow", "Did you mean 'narrow'"]),
    ],
)
def test_a_toy_that_cannot_be_made(command: Command, tmp_path: Path, words: list[str], patterns: list[str]):
    assert_refused(command("toy", *words, "--output-dir", tmp_path / "toys"), *patterns, "toy --help")
    assert not (tmp_path / "toys").exists()
