"""Files of figures: the same bytes each time, whole or not at all, with the names asked for."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.image
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from mucoffea.errors import UserError
from mucoffea.plotting.stack import plot_stack
from mucoffea.plotting.style import save

from .support.figures import NOTES, check_files, peak

REPRODUCE = """
import sys
from pathlib import Path
import hist, numpy as np
from mucoffea.plotting.stack import StackNotes, plot_stack
h = hist.Hist(hist.axis.Regular(10, 0, 1, name="x", label="x [cm]"), storage=hist.storage.Weight())
h.fill(np.linspace(0, 1, 500) ** 2)
plot_stack(Path(sys.argv[1]), data=h, simulation={"Z": 0.6 * h, "tt": 0.4 * h}, uncorrected=(None, 1.2 * h),
           notes=StackNotes(agreement=r"$\\chi^2$/ndf = 1/2", warnings=("PARTIAL",)))
"""


def test_files_are_the_same_bytes_from_any_process(tmp_path: Path) -> None:
    contents = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"}
        stem = tmp_path / seed / "figure"
        subprocess.run([sys.executable, "-W", "error", "-c", REPRODUCE, str(stem)], env=environment, check=True)
        contents.append([(stem.parent / f"figure.{kind}").read_bytes() for kind in ("png", "pdf")])
    assert contents[0] == contents[1]
    assert b"/CreationDate" not in contents[0][1]


def test_two_calls_give_the_same_bytes_and_leave_no_state(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    arguments = {"data": peak(), "simulation": {"Z": peak(seed=2)}, "notes": NOTES}
    first = [path.read_bytes() for path in plot_stack(tmp_path / "mass", **arguments)]
    second = [path.read_bytes() for path in plot_stack(tmp_path / "mass", **arguments)]
    assert first == second
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_a_stem_with_dots_keeps_its_name(tmp_path: Path) -> None:
    paths = plot_stack(tmp_path / "new" / "mass.v1.5", data=peak(), simulation={}, notes=NOTES)
    assert [path.name for path in paths] == ["mass.v1.5.png", "mass.v1.5.pdf"]
    check_files(paths)


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"file/mass\.png' cannot be written: .*output folder"):
        plot_stack(tmp_path / "file" / "mass", data=peak(), simulation={}, notes=NOTES)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mass.png").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save(Figure(), tmp_path / "mass")
    assert [path.name for path in tmp_path.iterdir()] == ["mass.png"]
    assert (tmp_path / "mass.png").read_bytes() == b"old"


def test_files_are_plain_readable_files(tmp_path: Path) -> None:
    (tmp_path / "reference").touch()
    expected = stat.S_IMODE((tmp_path / "reference").stat().st_mode)
    for path in save(Figure(), tmp_path / "mass"):
        assert stat.S_IMODE(path.stat().st_mode) == expected
