"""Histograms, cut flows and notes to draw, and what every drawn file must be."""

from __future__ import annotations

from pathlib import Path

import hist
import matplotlib
import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from mucoffea.plotting.stack import StackNotes, draw_stack, stack_content
from mucoffea.plotting.style import process_colours, style

LABEL = r"$m_{\mu\mu}$ [GeV]"


NOTES = StackNotes(
    luminosity=16.8, com_energy=13, era="2016postVFP", agreement=r"$\chi^2$/ndf = 41.2/39 (uncorrected 812/39)"
)


def make(values: list[float], variances: list[float] | None = None, axis: object = None) -> hist.Hist:
    """A histogram with the given contents, two GeV a bin from 80 GeV on unless an axis is given."""
    axis = axis or hist.axis.Regular(len(values), 80, 80 + 2 * len(values), name="mass", label=LABEL)
    histogram = hist.Hist(axis, storage=hist.storage.Weight())
    histogram.view()["value"] = values
    histogram.view()["variance"] = np.abs(values) if variances is None else variances
    return histogram


def peak(n: int = 20000, seed: int = 1, weight: float = 1.0) -> hist.Hist:
    rng = np.random.default_rng(seed)
    mass = np.concatenate([rng.normal(91, 2.5, n), rng.uniform(60, 120, n // 10)])
    axis = hist.axis.Regular(30, 60, 120, name="mass", label=LABEL)
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(mass, weight=np.full(mass.size, weight))


def flow(counts: list[int], minus_one: list[int], weight: float = 1.0) -> dict[str, dict[str, float]]:
    """A cut flow ``all``, ``cut 0``, … with the same weight for every event."""
    names = ["all", *(f"cut {index}" for index in range(len(counts) - 1))]
    return {
        name: {
            "n": n,
            "sumw": n * weight,
            "sumw2": n * weight**2,
            "n_minus_one": rest,
            "sumw_minus_one": rest * weight,
            "sumw2_minus_one": rest * weight**2,
        }
        for name, n, rest in zip(names, counts, minus_one, strict=True)
    }


FLOW = flow([1000, 800, 400], [400, 500, 800], weight=0.5)


def drawn(**arguments: object) -> Figure:
    data, simulation = arguments.pop("data", None), arguments.pop("simulation", {})
    content = stack_content(data, simulation, arguments.pop("uncorrected", None))
    with style():
        figure = draw_stack(content, arguments.pop("notes", NOTES), colours=process_colours(simulation), **arguments)
        figure.canvas.draw()
    return figure


def check_files(paths: tuple[Path, Path]) -> None:
    png, pdf = paths
    image = matplotlib.image.imread(png)
    assert image.shape[0] > 200
    assert image.shape[1] > 600
    assert image[..., :3].std() > 0.02, "the figure is blank"
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in png.parent.iterdir()) == sorted({png.name, pdf.name})
