"""A result with systematic variations, made up bin by bin, so that its shifts are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hist
import numpy as np
from mucoffea.outputs.bundle import Bundle
from mucoffea.outputs.luminosity import EraLuminosity
from mucoffea.outputs.report import DatasetReport, Report, SourceReport

REGION = "signal"
#: Four bins and two of flow.
EDGES = (0.0, 1.0, 2.0, 3.0, 4.0)
NOMINAL = np.array([1.0, 40.0, 100.0, 80.0, 20.0, 2.0])


def dataset(name: str, **changes: Any) -> DatasetReport:
    """Return the report of a complete simulated dataset that is normalised with factor 1, with ``changes``."""
    events = {"events_planned": 9, "events_asked": 9, "events_processed": 9, "events_failed": 0}
    fields = {
        **{"name": name, "kind": "mc", "process": name, "label": name, "era": "2018", "scale": 1.0},
        **{"files": 1, "files_processed": 1, "files_failed": 0, "events_asked_known": True},
        **{"limited": False, "partial": False, **events},
    }
    return DatasetReport(**{**fields, **changes})


def report(datasets: Sequence[DatasetReport], sources: Sequence[SourceReport] = (), **changes: Any) -> Report:
    """Return a report of ``datasets`` and ``sources``, with ``changes``."""
    fields: dict[str, Any] = {"processor": "made_up", "status": "complete", "warnings": (), "parameters": {}}
    fields |= {"corrections": (), "luminosity": 10.0, "com_energy": 13.0, "era": "2018"}
    return Report(datasets=tuple(datasets), sources=tuple(sources), **{**fields, **changes})


def histogram(contents: Mapping[str, Mapping[str, np.ndarray]], name: str = "mass") -> hist.Hist:
    """Return a histogram of dataset → variation → ``[bins + 2]`` sums of weights; variances are equal to them."""
    axes = [
        hist.axis.StrCategory(list(contents), growth=True, name="dataset"),
        hist.axis.StrCategory([REGION], growth=True, name="region"),
        hist.axis.StrCategory(
            list(dict.fromkeys(v for c in contents.values() for v in c)), growth=True, name="variation"
        ),
    ]
    observable = hist.axis.Variable(list(EDGES), name=name, label="Mass [GeV]")
    made = hist.Hist(*axes, observable, storage=hist.storage.Weight(), name=name)
    for one, variations in contents.items():
        for variation, values in variations.items():
            place = [axis.index(key) for axis, key in zip(axes, (one, REGION, variation), strict=True)]
            made.view(flow=True)["value"][tuple(place)] = values
            made.view(flow=True)["variance"][tuple(place)] = np.abs(values)
    return made


def bundle(
    contents: Mapping[str, Mapping[str, np.ndarray]],
    sources: Sequence[SourceReport] = (),
    datasets: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Bundle:
    """Return a result of one histogram, ``mass``; ``datasets`` are changes to :func:`dataset` by name."""
    reports = [dataset(name, **(datasets or {}).get(name, {})) for name in contents]
    return Bundle(report(reports, sources, **changes), {"mass": histogram(contents)}, {})


def era(name: str = "2018", **uncertainties: float) -> EraLuminosity:
    """Return the luminosity of an era with the parts of its uncertainty, in per cent."""
    return EraLuminosity(era=name, value=10.0, uncertainties=uncertainties)
