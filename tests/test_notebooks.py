"""Notebooks are kept without outputs and run from top to bottom, on generated data, without a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


class Expected(NamedTuple):
    """What a notebook shows when it has run: at least so many figures, and texts in its tables and lines."""

    figures: int
    texts: tuple[str, ...] = ()


EXPECTED = {
    "corrections_explorer": Expected(5, ("NUM_TightID_DEN_TrackerMuons", "scale_factors", "systup", "puWeights")),
    "mu2e_results": Expected(5),
    "runner": Expected(6, ("small_ttbar", "muon_id", "mass_window", "Largest systematic shifts")),
    "tester": Expected(3, ("mass_window", "leading_pt")),
}
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_each_notebook_has_its_expectations() -> None:
    assert sorted(EXPECTED) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert code[0]["metadata"]["tags"] == ["parameters"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:(zmq|jupyter_client|jupyter_core|nbclient|tornado).*")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in an empty folder, shows what is expected, and what it prints on the error stream has no warning."""
    outputs = executed(path, tmp_path, monkeypatch)
    assert [text for text in map(_printed, outputs) if "Warning" in text] == []
    expected = EXPECTED[path.stem]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= expected.figures
    everything = "".join(map(_shown, outputs))
    assert [text for text in expected.texts if text not in everything] == []


#: Every menu and field gets another value; each time there is a figure, a new one where it must look different.
CHANGES = """
def figures():
    return {name: bytes(one.value) for name, one in images.items() if one.value}


def other(one):
    if hasattr(one, "options"):
        values = [pair[1] if isinstance(pair, tuple) else pair for pair in one.options]
        return next((value for value in values if value != one.value), None)
    return None if isinstance(one.value, str) else one.value + 1.0


assert set(figures()) == {"curve", "map", "uncertainty"}, message.value
tried, same = [], []
for name in [*menus, *state["inputs"]]:
    one = menus[name] if name in menus else state["inputs"][name]  # another correction has fields of its own
    before, value, kept = figures(), other(one), one.value
    if value is None:
        continue
    one.value = value
    after = figures()
    assert after and all(png.startswith(b"\\x89PNG") for png in after.values()), (name, message.value)
    tried.append(name)
    same += [name] if after == before else []
    one.value = kept
    if name in ("era", "pog", "file", "key"):
        menus["pog"].value, menus["file"].value, menus["key"].value = POG, FILE, KEY
        menus["x"].value, menus["y"].value = X, Y
compare.value = (compare.options[0][1],)
assert "comparison" in figures()
state["inputs"]["pt"].value = -5.0
assert "nan" in message.value
print("tried:", *tried, "same:", *same)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:(zmq|jupyter_client|jupyter_core|nbclient|tornado).*")
def test_every_menu_of_the_explorer_changes_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = executed(FOLDER / "corrections_explorer.ipynb", tmp_path, monkeypatch, CHANGES)
    tried, same = outputs[-1]["text"].removeprefix("tried: ").strip().split("same:")
    assert {"pog", "key", "x", "scale_factors", "eta", "pt"} <= set(tried.split())
    assert set(same.split()) <= {"pt"}  # along the axis


def executed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> list[Any]:
    """Run the notebook in `folder`, with `more` as its last cell, and return the outputs of all cells."""
    reason = "the extra notebooks is not installed"
    nbformat = pytest.importorskip("nbformat", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.delenv("MUCOFFEA_CORRECTIONS", raising=False)
    notebook = nbformat.read(path, as_version=4)
    if more:
        notebook.cells.append(nbformat.v4.new_code_cell(more))
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _printed(output: Any) -> str:
    return output["text"] if output["output_type"] == "stream" else ""


def _shown(output: Any) -> str:
    data = output.get("data", {})
    return _printed(output) + "".join(str(data.get(kind, "")) for kind in ("text/html", "text/plain"))
