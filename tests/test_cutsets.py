"""Cutsets: inheritance, and every mistake named with its line and the closest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from mucoffea.errors import UserError
from mucoffea.selections.cutsets import CutDeclaration, Cutset, find_cutset, read_cutsets, with_overrides

CUTS = (
    CutDeclaration(name="quality", group="Tracker", level="object", description="q", thresholds=("lo_quality",)),
    CutDeclaration(name="window", group="Momentum", level="object", description="w", thresholds=("lo_p", "hi_p")),
    CutDeclaration(name="veto", group="Veto", level="event", description="v"),
)
TEXT = """\
defaults:
  description: baseline
  thresholds: {lo_quality: 0.8, lo_p: 100, hi_p: 110}
  active: {quality: true, window: true, veto: true}
cutsets:
  alpha:
    description: the same
  tight:
    inherits: loose
    thresholds: {hi_p: 105}
  loose:
    thresholds:
      lo_quality: 0.2
    active:
      veto: false
"""


def read(path: Path, text: str = TEXT) -> dict[str, Cutset]:
    path.write_text(text)
    return read_cutsets(path, CUTS)


def test_what_a_cutset_inherits(tmp_path: Path):
    found = read(tmp_path / "c.yaml")
    assert list(found) == ["defaults", "alpha", "tight", "loose"]
    assert found["alpha"].thresholds == {"lo_quality": 0.8, "lo_p": 100.0, "hi_p": 110.0}
    assert found["tight"].thresholds == {"lo_quality": 0.2, "lo_p": 100.0, "hi_p": 105.0}
    assert found["tight"].active == {"quality": True, "window": True, "veto": False}
    assert found["loose"].description == ""
    assert find_cutset(found, "alpha").description == "the same"
    with pytest.raises(UserError, match="Did you mean 'tight'"):
        find_cutset(found, "tigth")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("      veto: false", "      vetoo: false", 15, "cutset 'loose': there is no cut 'vetoo'. Did you mean 'veto'"),
        ("      veto: false", "      lo_quality: 0.2", 15, "It is a threshold: put it under 'thresholds'"),
        ("      veto: false", "      veto: 0", 15, "the cut 'veto' is either true or false, not 0"),
        ("      lo_quality: 0.2", "      lo_qualty: 0.2", 13, "there is no threshold 'lo_qualty'. Did you mean"),
        ("      lo_quality: 0.2", "      quality: 0.2", 13, "It is a cut: put it under 'active'"),
        ("      lo_quality: 0.2", "      lo_quality: true", 13, "must be a number, not True"),
        ("      lo_quality: 0.2", "      lo_quality: '0.2'", 13, "must be a number, not '0.2'"),
        ("      lo_quality: 0.2", "      lo_quality: .nan", 13, "must be a number"),
        ("inherits: loose", "inherits: lose", 9, "inherits from 'lose', which is not here. Did you mean 'loose'"),
        ("inherits: loose", "inherits: tight", 8, "tight → tight inherit from each other in a circle"),
        (
            "    thresholds:\n      lo",
            "    treshold:\n      lo",
            12,
            "unknown key 'treshold'. Did you mean 'thresholds'",
        ),
        ("    description: the same", "    description: 5", 7, "the description must be text"),
        ("cutsets:", "cutset:", 5, "unknown key 'cutset'. Did you mean 'cutsets'"),
        (", lo_p: 100", "", 3, "'defaults' leaves out lo_p of 'thresholds'"),
        (", veto: true", "", 4, "'defaults' leaves out veto of 'active'"),
        ("    active:\n      veto: false", "    active: [veto]", 14, "must be a mapping"),
        ("      lo_quality: 0.2", "      lo_quality: 1e4", 13, "not '1e4'. Write 10000.0, without quotes"),
        ("inherits: loose", "inherits: [loose]", 9, "'inherits' must be the name of one cutset"),
        ("inherits: loose", "inherits: null", 9, "'inherits' must be the name of one cutset"),
        ("inherits: loose", "inherits: default", 9, "Did you mean 'defaults'"),
        ("      veto: false", "      veto: false\n      veto: true", 16, "'veto' is there twice, first in line 15"),
        ("  alpha:", "  loose:", 11, "'loose' is there twice, first in line 6"),
        ("  alpha:", "  defaults:", 6, "a cutset cannot be called 'defaults'"),
        ("  alpha:", "  7:", 5, "has the key 7, which is no name"),
        ("  description: baseline", "  inherits: alpha", 2, "unknown key 'inherits'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, line: int, message: str):
    assert old in TEXT
    with pytest.raises(UserError) as caught:
        read(tmp_path / "c.yaml", TEXT.replace(old, new, 1))
    assert f"{tmp_path / 'c.yaml'}, line {line}: " in str(caught.value)
    assert message in str(caught.value)


def test_cutsets_that_inherit_in_a_circle(tmp_path: Path):
    text = TEXT.replace("  loose:\n", "  loose:\n    inherits: tight\n")
    with pytest.raises(UserError, match=r"line 8: the cutsets tight → loose → tight inherit from each other"):
        read(tmp_path / "c.yaml", text)


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be read"):
        read_cutsets(tmp_path / "none.yaml", CUTS)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "c.yaml", "a: [")
    for text in ("a: &a {b: *a}", "a: 2016-13-45"):
        with pytest.raises(UserError, match=r"cannot be read|unknown key 'a'"):
            read(tmp_path / "c.yaml", text)
    with pytest.raises(UserError, match="no 'defaults'"):
        read(tmp_path / "c.yaml", "")
    with pytest.raises(UserError, match="no 'defaults'"):
        read(tmp_path / "c.yaml", "cutsets: {}")
    with pytest.raises(UserError, match="must be a mapping"):
        read(tmp_path / "c.yaml", "- a")


def test_from_python_and_with_overrides():
    defaults = {
        "thresholds": {"lo_quality": 0.8, "lo_p": 1, "hi_p": 2},
        "active": {"quality": True, "window": True, "veto": True},
    }
    found = read_cutsets({"defaults": defaults}, CUTS)["defaults"]
    other = with_overrides(found, thresholds={"lo_p": 1.5}, active={"veto": False})
    assert (other.thresholds["lo_p"], other.thresholds["hi_p"], other.active["veto"]) == (1.5, 2.0, False)
    assert found.active["veto"], "the cutset itself is as it was"
    with pytest.raises(UserError, match="'lo_p' must be a number, not True"):
        with_overrides(found, thresholds={"lo_p": True})
    with pytest.raises(UserError, match="'veto' is either true or false, not 0"):
        with_overrides(found, active={"veto": 0})
    with pytest.raises(UserError, match="no threshold 'lo_q'"):
        with_overrides(found, thresholds={"lo_q": 1})
    with pytest.raises(UserError, match=r"no cut 'vet'\. Did you mean 'veto'"):
        with_overrides(found, active={"vet": True})
