"""`python main.py corrections diff`: the table of changes, the numbers, and the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support.command_line import Command
from .support.pog_files import TIGHT, correction, scale_factor, table, write

pytestmark = pytest.mark.usefixtures("_wide_terminal")


@pytest.fixture
def tags(tmp_path: Path) -> tuple[Path, Path]:
    """Two tags of a file: one correction changes in a bin, one is only renamed, one is dropped and one is new."""
    old = write(
        tmp_path / "old/muon.json", scale_factor("SF_V1_ID"), scale_factor("SF_V1_ISO"), scale_factor("Dropped")
    )
    changed = scale_factor("SF_V2_ID", changed={4: 1.02})
    new = write(tmp_path / "new/muon.json.gz", changed, scale_factor("SF_V2_ISO"), scale_factor("Added"))
    return old, new


def test_a_new_tag_gives_a_table_numbers_and_figures(tags: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    ended = command("corrections", "diff", *tags, "--output-dir", tmp_path / "out")
    assert ended.code == 0
    for part in (
        "SF_V1_ID → SF_V2_ID",
        "1 of 6",
        "2 %",
        "scale_factors nominal, eta 0 to 2.4, pt 30 to 60: 0.94 → 0.9588",
        "1 of 2 pairs of corrections changed, 1 did not",
        "only in the old file (1): Dropped",
        "only in the new file (1): Added",
        "2 figures, PNG and PDF",
    ):
        assert part in ended.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "SF_V2_ID.pdf",
        "SF_V2_ID.png",
        "differences.json",
        "overview.pdf",
        "overview.png",
    ]
    numbers = json.loads((tmp_path / "out/differences.json").read_text())
    first, second = numbers["pairs"]
    assert (first["new_key"], first["changed"], second["identical"]) == ("SF_V2_ID", True, True)
    assert first["nominal"]["largest_relative"] == pytest.approx(0.02)
    (changed,) = first["nominal"]["bins"]
    assert changed["where"] == {"scale_factors": "nominal", "eta": [0.0, 2.4], "pt": [30.0, 60.0]}
    assert changed["relative"] == pytest.approx(0.02)
    assert numbers["only_new"] == ["Added"]


def test_no_change_is_said_and_draws_nothing(tags: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    ended = command("corrections", "diff", tags[0], tags[0], "--output-dir", tmp_path / "out")
    assert ended.code == 0
    assert "0 of 3 pairs of corrections changed, 3 did not" in ended.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["differences.json"]


def test_a_pair_by_name(tags: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    words = ("--key-old", "Dropped", "--key-new", "SF_V2_ID", "--no-plots", "--output-dir", tmp_path / "out")
    ended = command("corrections", "diff", *tags, *words)
    assert "Dropped → SF_V2_ID" in ended.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["differences.json"]


def test_patterns_and_the_number_of_figures(tmp_path: Path, command: Command) -> None:
    keys = [f"SF{number}" for number in range(4)]
    old = write(tmp_path / "a/x.json", *(scale_factor(key) for key in keys))
    new = write(tmp_path / "b/x.json", *(scale_factor(key, scale=1.1 + 0.1 * at) for at, key in enumerate(keys)))
    words = ("--keys", "SF[123]", "--plots", 1, "--output-dir", tmp_path / "out")
    ended = command("corrections", "diff", old, new, *words)
    assert "3 of 3 pairs" in ended.out
    assert "a/x.json → b/x.json" in ended.out, "files of the same name are told apart by their folders"
    assert "2 of the changed ones have none (--plots)" in ended.out
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == ["SF3", "overview"]


def test_pairs_that_cannot_be_compared_do_not_stop_the_others(tmp_path: Path, command: Command) -> None:
    def other(low: float) -> object:
        return correction("other", {"x": "real"}, table([1.0], {"x": (low, low + 1)}))

    old = write(tmp_path / "a.json", scale_factor(), other(0.0))
    new = write(tmp_path / "b.json", scale_factor(scale=2.0), other(5.0))
    ended = command("corrections", "diff", old, new, "--no-plots", "--output-dir", tmp_path / "out")
    assert ended.code == 0
    assert TIGHT in ended.out
    assert "not compared: 'other'" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{old}", "{new}x"], "muon.json.gzx cannot be read (No such file or directory)"),
        (["{old}", "{bad}"], "bad.json is not a readable correctionlib file"),
        (["{old}", "{new}", "--key-old", "Dropped"], "Give --key-old and --key-new together"),
        (["{old}", "{new}", "--key-old", "Droped", "--key-new", "Added"], "Did you mean 'Dropped'?"),
        (["{old}", "{new}", "--keys", "SF_V1_IDD"], "is called 'SF_V1_IDD'. Did you mean 'SF_V1_ID'"),
        (["{old}", "{new}", "--keys", "Added"], "has a partner in"),
        (["{old}", "{new}", "--points", "0"], "--points 0: give a positive number"),
    ],
)
def test_mistakes(tags: tuple[Path, Path], tmp_path: Path, command: Command, words: list[str], message: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema_version": 2, "corrections": [')
    names = {"old": tags[0], "new": tags[1], "bad": bad}
    ended = command("corrections", "diff", *(word.format(**names) for word in words), "--output-dir", tmp_path / "out")
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_real_tags(real: Path, tmp_path: Path, command: Command) -> None:
    folder = real / "pog/JME/2022_Summer22EE"
    files = (folder / "jet_jerc.json.gz", folder / "jet_jerc_v3.json.gz")
    ended = command("corrections", "diff", *files, "--plots", 1, "--output-dir", tmp_path / "out")
    assert ended.code == 0
    assert "8 of 74 pairs of corrections changed, 66 did not" in ended.out
    assert "only in the new file (12)" in ended.out
