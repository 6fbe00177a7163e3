"""A small result of the Mu2e analysis, made up: what a run leaves in its folder, without a run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mucoffea.histograms.storage import write_hdf5
from mucoffea.outputs.report import DatasetReport, Report
from mucoffea.processors.mu2e_histograms import HISTOGRAMS

STAGES = ("All", "Preselect", "Select", "Unvetoed")
EVENTS = {"All": 60_000, "Preselect": 20_000, "Select": 6000, "Unvetoed": 12}
WINDOWS = {"Inclusive": 1.0, "Wide": 0.97, "Extended": 0.17, "Signal": 0.02}
#: Histogram → how its entries are distributed before the selection: (mean, width) of a normal distribution.
SHAPES = {
    "mom_full": (140, 45), "mom_wide": (130, 30), "mom_ext": (105, 4), "mom_sig": (104.2, 0.5), "trkqual": (0.8, 0.2),
    "nactive": (40, 14), "t0": (1100, 260), "t0err": (0.7, 0.3), "d0": (60, 50), "maxr": (560, 90), "dT": (55, 30),
    "pitch_angle": (0.8, 0.3), "mom_z": (60, 25), "mom_T": (90, 25), "mom_err": (0.25, 0.1), "mom_res": (-0.6, 0.5),
    "crv_z": (-1000, 4500), "coinc_start_time": (1000, 300), "coinc_end_time": (1080, 300),
}  # fmt: skip


def counters(events: Mapping[str, int] = EVENTS, *, veto: bool = True) -> dict[str, Any]:
    """Return the counts of a cutset."""
    stages = STAGES if veto else STAGES[:-1]
    counted: dict[str, Any] = {
        "stages": {stage: {name: round(events[stage] * part) for name, part in WINDOWS.items()} for stage in stages},
        "dt_events": events["Select"],
        "dt_windows": {
            f"{low:.1f},{high:.1f}": round(events["Select"] * (0.9999 - max(low, 0) * 2e-5 - (160 - high) * 1.2e-5))
            for low in (-10.0, -5.0, 0.0, 5.0, 10.0)
            for high in range(110, 161, 5)
        },
        "scans": {
            "lo_trkqual": {
                f"{cut / 20:g}": {"Select": round(9000 * (1 - cut / 20) ** 0.5), "Unvetoed": max(20 - cut, 0)}
                for cut in range(20)
            }
        },
    }
    return counted


def histograms(dataset: str, cutset: str, events: Mapping[str, int] = EVENTS) -> dict[str, Any]:
    """Return all histograms, filled from normal distributions."""
    random = np.random.default_rng(1)
    regions = [f"{cutset}/{stage}" for stage in STAGES]
    made = {one.name: one.create(dataset, regions, ["nominal"]) for one in HISTOGRAMS}
    for name, (mean, width) in SHAPES.items():
        for stage in STAGES:
            narrow = width if stage in ("All", "Preselect") else 0.5 * width
            n = min(events[stage], 20_000)
            made[name].fill(dataset, f"{cutset}/{stage}", "nominal", random.normal(mean, narrow, n))
    return made


@cache
def _file_of_histograms(dataset: str, cutset: str) -> bytes:
    """Return the bytes of the file, made once a session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "histograms.h5"
        write_hdf5(histograms(dataset, cutset), path)
        return path.read_bytes()


def exposure(**changes: Any) -> dict[str, Any]:
    """Return the exposure of a sample in a report."""
    return {
        "livetime": 1.0e6,
        "livetime_source": "the dataset",
        "generated": 4_000_000,
        "generated_source": "the dataset",
        "on_spill": True,
        "fraction": 1.0,
        **changes,
    }


def write_result(
    folder: Path,
    *,
    dataset: str = "toy_cosmics",
    process: str = "cosmic",
    cutset: str = "SU2020b",
    counts: Mapping[str, Any] | None = None,
    exposed: Mapping[str, Any] | None = None,
    columns: bool = True,
    parameters: Mapping[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
) -> Path:
    """Write a result into ``folder`` and return it; ``exposed`` None leaves the exposure out."""
    folder.mkdir(parents=True, exist_ok=True)
    one = DatasetReport(
        name=dataset, kind="mc", process=process, label=process, files=1, files_processed=1, files_failed=0,
        events_planned=60_000, events_asked=60_000, events_asked_known=True, events_processed=60_000, events_failed=0,
        limited=False, partial=False,
        counters={"mu2e": {cutset: dict(counters() if counts is None else counts)}},
    )  # fmt: skip
    report = Report(
        processor="mu2e_cosmic", status="complete", warnings=warnings, datasets=(one,),
        parameters={"cutsets": [cutset], **(parameters or {})}, corrections=(), luminosity=None, com_energy=None,
        era=None,
    )  # fmt: skip
    (folder / "histograms.h5").write_bytes(_file_of_histograms(dataset, cutset))
    (folder / "cutflow.json").write_text("{}")
    report.write(folder / "report.json")
    content = json.loads((folder / "report.json").read_text())
    content["datasets"][0]["exposure"] = None if exposed is None else dict(exposed)
    (folder / "report.json").write_text(json.dumps(content))
    if columns:
        (folder / "columns").mkdir()
        parents = [13] * 6 + [-13] * 4 + [2112] * 2
        table = {
            "event": list(range(12)),
            f"cutset_{cutset}": [True] * 12,
            "parent_pdg": parents,
            "vetoed": [False] * 12,
        }
        pq.write_table(pa.table(table), folder / "columns" / f"{dataset}.parquet")
    return folder
