"""``mu2e events``: the events of a result in words and as a list."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mucoffea.cli.mu2e import command
from mucoffea.errors import UserError
from mucoffea.outputs.columns import to_arrow
from mucoffea.processors.mu2e_cosmic import CosmicBackground
from mucoffea.processors.mu2e_parameters import CosmicParameters

from .support.mu2e_events import BACK, FRONT, MID, coincidence, events, segment, track
from .support.mu2e_result import write_result


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result whose table of events is that of three events by hand, of which the veto missed two."""
    folder = write_result(tmp_path / "result", dataset="hand")
    late = [track([segment(FRONT, p=120.0), segment(MID), segment(BACK)])], [coincidence(837.5)]
    array = events([([track()], []), late, ([track()], [coincidence()])])
    found = CosmicBackground(CosmicParameters(cutsets=("SU2020b", "SU2020d"))).process(array)["hand"]
    pq.write_table(to_arrow(found["columns"]), folder / "columns" / "hand.parquet")
    return folder


def _listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "mu2e" / "events.csv").open() as file:
        return list(csv.DictReader(file))


def test_survivors_are_listed_once_for_the_cutset(result, capsys):
    assert command(["mu2e", "events", str(result)]) == 0
    printed = capsys.readouterr().out
    assert "2 events" in printed
    assert "nearest coincidence outside the window by 12.500 ns" in printed
    rows = _listed(result)
    assert [(row["run"], row["subrun"], row["event"]) for row in rows] == [("1202", "7", "1"), ("1202", "7", "2")]
    assert next(row["why"] for row in rows) == "no coincidence"
    text = (result / "mu2e" / "events.txt").read_text()
    assert text.count("-" * 40) == 2
    assert "dt [ns]:         162.500000" in text


def test_a_window_keeps_the_tracks_in_it(result):
    command(["mu2e", "events", str(result), "--window", "Extended"])
    assert [row["event"] for row in _listed(result)] == ["1"]


def test_a_result_without_rows_says_how_to_get_them(tmp_path):
    folder = write_result(tmp_path / "result", columns=False)
    with pytest.raises(UserError, match="columns=none"):
        command(["mu2e", "events", str(folder)])
