"""Filesets of CMS Open Data, whose files are far away, and servers that do not answer."""

from __future__ import annotations

import socket
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from mucoffea.cli import inputs
from mucoffea.filesets.local import inspect

from .support.command_line import Command, run_words, write_demo_dataset

pytestmark = pytest.mark.usefixtures("_wide_terminal")


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
        datasets = [
            write_demo_dataset(tmp_path / f"{name}.yaml", []) for name in ("one", "two", "three", "four", "five")
        ]
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
