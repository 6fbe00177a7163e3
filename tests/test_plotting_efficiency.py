"""Figures of trigger efficiencies: one for each bin of |η|, with bins that were not measured left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mucoffea.outputs.efficiency import Efficiency, Study
from mucoffea.plotting.efficiency import plot_turn_ons


def test_a_figure_for_each_bin_of_eta(tmp_path: Path) -> None:
    value = np.array([[0.1, 0.9, np.nan], [np.nan, np.nan, np.nan]])
    one = Efficiency(value, value - 0.05, value + 0.05)
    figures = plot_turn_ons(tmp_path, Study(one, one, one, (0.0, 1.2, 2.4), (20.0, 26.0, 60.0, 200.0)), "HLT_$x")
    assert [path.name for path in figures] == ["HLT_$x_eta0.png", "HLT_$x_eta1.png"]
    assert all(path.stat().st_size > 5000 and path.with_suffix(".pdf").exists() for path in figures)
