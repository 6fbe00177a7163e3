"""Sums of the generator's weights in the ``Runs`` tree of a skim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot
from mucoffea.corrections.theory_weights import run_sums
from mucoffea.filesets.local import inspect
from mucoffea.filesets.models import FileEntry


def write(path: Path, *, events: int = 4, generated: tuple[int, ...] = (10, 30), runs: bool = True) -> Path:
    """Write a skim of two runs, with Σw of 100 and 300."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"genWeight": "f4"}, title="").extend({"genWeight": np.ones(events, "f4")})
        if runs:
            sums = {"LHEScaleSumw": np.array([[1.0] * 9, [1.4] * 9]), "PSSumw": np.array([[1.1] * 4, [0.9] * 4])}
            shapes = {name: (values.dtype, values.shape[1:]) for name, values in sums.items()}
            scalars = {"genEventCount": np.array(generated), "genEventSumw": np.array([100.0, 300.0])}
            types = {name: values.dtype for name, values in scalars.items()}
            file.mktree("Runs", {**types, **shapes}).extend({**scalars, **sums})
    return path


def entry(path: Path) -> FileEntry:
    return inspect(FileEntry(lfn=str(path), replicas=(str(path),)))


def test_runs_are_averaged_by_their_sum_of_weights(tmp_path: Path):
    sums = entry(write(tmp_path / "skim.root")).weight_sums
    assert sums is not None
    assert sums.scale == pytest.approx([(100 + 1.4 * 300) / 400] * 9)
    assert sums.shower == pytest.approx([(110 + 270) / 400] * 4)
    assert (sums.pdf, sums.scale_title) == ((), "")


def test_only_a_skim_needs_them(tmp_path: Path):
    assert entry(write(tmp_path / "whole.root", events=40)).weight_sums is None
    assert entry(write(tmp_path / "none.root", runs=False)).weight_sums is None


def test_the_real_skim(real: Path):
    # NanoAODv6: 850 098 events merged from 43 files, whose ratios were added up: the nominal scale has 43.
    sums = entry(real / "nanoaod" / "nano_dy.root").weight_sums
    assert sums is not None
    assert sums.scale[4] == pytest.approx(43, rel=1e-3)
    assert "LHA IDs 91400 - 91432" in sums.pdf_title
    found = run_sums(
        scale=sums.scale, pdf_members=sums.pdf, scale_title=sums.scale_title, pdf_title=sums.pdf_title, run=2
    )
    assert found["qcd_scaleMuRUp"] == pytest.approx(sums.scale[7] / sums.scale[4])
    assert found["pdf030"] == pytest.approx(sums.pdf[30] / sums.pdf[0])
    assert found["pdf031"] == 1.0
    assert "ps_isrUp" not in found
