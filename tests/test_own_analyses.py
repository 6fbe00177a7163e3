"""Analyses of the user's own: found by module and class, run by workers, followed by the content key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mucoffea.errors import UserError
from mucoffea.executors.keys import source_digests
from mucoffea.processors import find_analysis

from .support.command_line import Command, assert_refused, run_words
from .support.results import cut_flows

MINE = """\
from mucoffea.processors import base
from mucoffea.selections.cut_flow import cut_flow
from coffea.analysis_tools import PackedSelection
import numpy as np
import my_cuts


class Counting(base.Analysis):
    @classmethod
    def corrections(cls, parameters):
        return {}

    def process(self, events):
        weight = base.generator_weight(events)
        selection = PackedSelection()
        selection.add("vertices", np.asarray(events.PV.npvs) > my_cuts.LEAST)
        flow = cut_flow(selection, ["vertices"], weight)
        return base.result(events, {"sumw": float(weight.sum()), "cutflow": flow, "hists": {}, "counters": {}})


class Idea:
    pass


class Unfinished(base.Analysis):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with an analysis and a module that it imports."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "my_analysis.py").write_text(MINE)
    (folder / "my_cuts.py").write_text("LEAST = 20\n")
    (folder / "broken_analysis.py").write_text("import numpi\n")
    (folder / "my_package").mkdir()
    (folder / "my_package/__init__.py").write_text("")
    (folder / "my_package/steps.py").write_text("from . import more\n")
    (folder / "my_package/more.py").write_text("import numpy\nimport my_cuts\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    for name in [name for name in sys.modules if name.startswith(("my_", "broken_analysis"))]:
        del sys.modules[name]


@pytest.mark.parametrize("executor", ["futures", pytest.param("dask-local", marks=pytest.mark.slow)])
def test_an_analysis_in_the_current_folder_runs_anywhere(
    command: Command, small: Path, mine: Path, tmp_path: Path, executor: str
):
    flows = []
    for name in ("iterative", executor):
        words = ("--executor", name, "--workers", "1", "--chunksize", "200")
        out = tmp_path / name
        ended = command(*run_words(small, out, *words, processor="my_analysis:Counting"))
        assert ended.code == 0, ended.err
        flows.append(cut_flows(out))
    assert flows[0] == flows[1]
    assert 0 < flows[0]["dy_0"]["vertices"]["n"] < flows[0]["dy_0"]["all"]["n"] == 600
    ended = command("check", *run_words(small, tmp_path / "new", processor="my_analysis:Counting"))
    assert ended.code == 0
    assert "declares none" in ended.out


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("my_analysys:Counting", "cannot be imported: ModuleNotFoundError: No module named 'my_analysys'"),
        ("broken_analysis:Any", "cannot be imported: ModuleNotFoundError: No module named 'numpi'"),
        ("my_analysis:Countin", "has no class 'Countin'. Did you mean 'Counting'"),
        ("my_analysis:np", "has no class 'np'"),
        ("my_analysis:Idea", "Idea is no analysis; derive it from mucoffea.processors.base.Analysis"),
        ("my_analysis:Unfinished", "Unfinished does not define corrections, process"),
        ("my_analysis.py:Counting", "cannot be imported"),
        ("my-analysis:Counting", "write package.module:Class"),
        (":Counting", "write package.module:Class"),
    ],
)
def test_what_is_no_analysis_is_said(command: Command, mine: Path, small: Path, name: str, pattern: str):
    with pytest.raises(UserError, match=pattern):
        find_analysis(name)
    if name == "my_analysis:Idea":
        assert_refused(command(*run_words(small, mine / "out", processor=name)), pattern)


def test_the_key_follows_the_modules_of_the_user(mine: Path):
    find_analysis("my_analysis:Counting")
    first = source_digests("my_analysis")
    assert {"my_analysis", "my_cuts", "mucoffea.processors.base", "mucoffea.selections.cut_flow"} <= set(first)
    # Installed packages count by their versions.
    assert not {name for name in first if name.startswith(("numpy", "coffea", "awkward"))}
    packaged = source_digests("my_package.steps")
    assert set(packaged) == {"my_package", "my_package.steps", "my_package.more", "my_cuts"}
    # A comment and a line break change nothing, a value does.
    (mine / "my_cuts.py").write_text("# vertices\n\nLEAST = (\n    20  # was 10\n)\n")
    assert source_digests("my_analysis") == first
    (mine / "my_cuts.py").write_text("LEAST = 21\n")
    second = source_digests("my_analysis")
    assert {name for name in first if first[name] != second[name]} == {"my_cuts"}
