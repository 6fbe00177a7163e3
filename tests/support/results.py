"""The result of a run, as tests read and compare it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mucoffea.outputs.bundle import Bundle, read_bundle

#: Of the era ``demo``, /pb.
DEMO_LUMINOSITY = 20.0


def read_report(folder: Path) -> dict[str, Any]:
    """Read the report of a result."""
    return json.loads((folder / "report.json").read_text())


def cut_flows(folder: Path) -> dict[str, Any]:
    """Read the cut flows of a result."""
    return json.loads((folder / "cutflow.json").read_text())


def yields(folder: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Read dataset, cut → yield and its error from the table that people open."""
    with (folder / "cutflow.csv").open() as file:
        return {
            (row["dataset"], row["cut"]): (float(row["yield"]), float(row["yield_error"]))
            for row in csv.DictReader(file)
        }


def assert_same_histograms(one: Bundle, two: Bundle, tolerance: float) -> None:
    """Compare every histogram; weighted sums to ``tolerance`` of the largest bin."""
    assert set(one.histograms) == set(two.histograms)
    for name, histogram in one.histograms.items():
        other = two.histograms[name]
        assert histogram.axes == other.axes
        for part in ("value", "variance"):
            expected = histogram.view(flow=True)[part]
            np.testing.assert_allclose(
                other.view(flow=True)[part], expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
            )


def assert_same_result(one: Path, two: Path, tolerance: float) -> None:
    """Compare two result folders: counts and columns exactly, weighted sums to ``tolerance``."""
    assert_same_histograms(read_bundle(one), read_bundle(two), tolerance)
    flows, others = cut_flows(one), cut_flows(two)
    assert list(flows) == list(others)
    for dataset, flow in flows.items():
        assert list(flow) == list(others[dataset])
        for cut, row in flow.items():
            other = others[dataset][cut]
            assert row.keys() == other.keys()
            for key, value in row.items():
                exact = key.startswith("n") or tolerance == 0
                assert other[key] == (value if exact else pytest.approx(value, rel=tolerance)), (dataset, cut, key)
    report, other = read_report(one), read_report(two)
    for mine, its in zip(report["datasets"], other["datasets"], strict=True):
        assert mine["counters"] == its["counters"]
        assert mine["events_processed"] == its["events_processed"]
    tables = sorted(path.name for path in one.glob("columns/*"))
    assert tables == sorted(path.name for path in two.glob("columns/*"))
    for name in tables:
        assert pq.read_table(one / "columns" / name).equals(pq.read_table(two / "columns" / name))
