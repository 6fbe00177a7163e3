"""``triggers``: the paths of a file, how many events fired each, and what an era names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import uproot
from mucoffea.cli.triggers import Fired, added
from mucoffea.cli.triggers import command as triggers
from mucoffea.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nano.root"
    with uproot.recreate(path) as root:
        root["Events"] = {
            "HLT_IsoMu24": np.array([True, False, True, True]),
            "HLT_Mu50": np.array([False, False, True, False]),
            "run": np.arange(4),
        }
    return path


def test_counts_are_those_of_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triggers(["triggers", str(file), str(file), "--json", "--era", "demo"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["HLT_IsoMu24"] == {"fired": 6, "events": 8, "era": ["single_muon"]}
    assert found["HLT_Mu50"] == {"fired": 2, "events": 8, "era": []}
    assert "run" not in found


@pytest.mark.parametrize("pattern", ["HLT_Iso*", "Iso*", "IsoMu24"])
def test_pattern_may_leave_out_the_prefix(file: Path, pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert triggers(["triggers", str(file), "--match", pattern]) == 0
    out = capsys.readouterr().out
    assert "HLT_IsoMu24" in out
    assert "75.000 %" in out
    assert "Mu50" not in out


def test_pattern_without_a_match_names_the_closest(file: Path) -> None:
    with pytest.raises(UserError, match=r"None of the 2 trigger paths .* matches 'IsoMu42\*'.*IsoMu24"):
        triggers(["triggers", str(file), "--match", "IsoMu42*"])


def test_path_that_a_file_lacks_counts_the_events_of_the_others() -> None:
    found = added([Fired({"HLT_A": 1, "HLT_B": 2}, {"HLT_A": 10, "HLT_B": 10}), Fired({"HLT_A": 3}, {"HLT_A": 5})])
    assert found == Fired({"HLT_A": 4, "HLT_B": 2}, {"HLT_A": 15, "HLT_B": 10})


def test_files_without_triggers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "skim.root"
    with uproot.recreate(path) as root:
        root["Events"] = {"run": np.arange(4)}
    with pytest.raises(UserError, match="has no trigger paths"):
        triggers(["triggers", str(path)])
    text = tmp_path / "notes.root"
    text.write_text("no ROOT file")
    with pytest.raises(UserError, match="cannot be read"):
        triggers(["triggers", str(text)])
