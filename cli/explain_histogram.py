"""``explain RESULT HISTOGRAM``: axes, regions, variations, and what fed one histogram."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ..histograms.specification import CATEGORIES
from .explain_result import HASH, heading, note, region_text, rows, show, table

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle
    from ..outputs.provenance import Provenance
    from ..outputs.report import DatasetReport, Report

NOMINAL = "nominal"
_UNIT = re.compile(r"^(?P<label>.*?)\s*(?:\[(?P<unit>[^\]]*)\])?$", re.DOTALL)


def print_histogram(console: Console, bundle: Bundle, provenance: Provenance | None, name: str) -> None:
    """Print the recipe of the histogram ``name``."""
    histogram, report = bundle.histograms[name], bundle.report
    heading(console, f"{name}, a histogram of {report.processor}")
    for line in report.warnings:
        note(console, line, "warning")
    rows(console, [line for axis in histogram.axes if axis.name not in CATEGORIES for line in _axis(axis)])
    _regions(console, report, list(histogram.axes["region"]))
    _variations(console, report, list(histogram.axes["variation"]))
    _sums(console, bundle, name)
    without = [one.name for one in report.datasets if one.name not in histogram.axes["dataset"]]
    if without:
        note(console, f"not in this histogram: {', '.join(without)}")
    if provenance is not None:
        note(console, f"made by mucoffea {provenance.code.version}, run key {provenance.keys.run[:HASH]}")


def _axis(axis: Any) -> list[tuple[str, str]]:
    found = _UNIT.match(axis.label)
    label, unit = (found["label"], found["unit"]) if found else (axis.label, None)
    edges = axis.edges
    binning = f"{len(axis)} bins from {edges[0]:g} to {edges[-1]:g}"
    if hasattr(axis, "widths") and len(axis) and (axis.widths.max() - axis.widths.min()) < 1e-9 * axis.widths.max():
        binning += f", each {axis.widths[0]:g} wide"
    else:
        binning += f", edges {', '.join(f'{edge:g}' for edge in edges)}"
    flow = [text for text, there in (("below", axis.traits.underflow), ("above", axis.traits.overflow)) if there]
    if flow:
        binning += f"; entries {' and '.join(flow)} are kept"
    return [("label", label), ("unit", unit or "none"), ("binning", binning)]


def _regions(console: Console, report: Report, names: list[str]) -> None:
    heading(console, "Regions")
    rows(console, ((name, region_text(report, name) if name in report.regions else "not described") for name in names))
    used = {
        cut: text for cut, text in report.cuts.items() if any(cut in report.regions.get(name, {}) for name in names)
    }
    if used:
        heading(console, "Cuts")
        rows(console, used.items())


def _variations(console: Console, report: Report, names: list[str]) -> None:
    heading(console, "Variations, and what weighs or changes the events in each")
    rows(console, ((name, ", ".join(report.variations.get(name, ())) or "not described") for name in names))
    console.print()
    applied = {one for name in names for one in report.variations.get(name, ())}
    files = {
        one["name"]: f"{one['file']}, sha256 {one['sha256'][:HASH]}"
        for one in report.corrections
        if one["name"] in applied
    }
    effects = {name: text for name, text in report.effects.items() if name in applied}
    rows(console, ((name, "\n".join(filter(None, (text, files.get(name))))) for name, text in effects.items()))


def _sums(console: Console, bundle: Bundle, name: str) -> None:
    """Print what each dataset gives to each region; entries are those of equal weight with the same error."""
    histogram = bundle.histograms[name]
    heading(console, f"Sums in the variation {NOMINAL}, with entries outside the bins")
    content = table(*("dataset", "region", "entries", "Σ weights", "yield"), right=("entries", "Σ weights", "yield"))
    for one in bundle.report.datasets:
        if one.name not in histogram.axes["dataset"] or NOMINAL not in histogram.axes["variation"]:
            continue
        for region in histogram.axes["region"]:
            piece = histogram[{"dataset": one.name, "region": region, "variation": NOMINAL}]
            total = piece.sum(flow=True)
            content.add_row(Text(one.name), Text(region), *map(Text, _cells(one, total.value, total.variance)))
    show(console, content)
    note(console, "entries of simulation are effective ones, (Σw)²/Σw²; a dataset may give several per event")


def _cells(one: DatasetReport, value: float, variance: float) -> tuple[str, str, str]:
    entries = value * value / variance if variance > 0 else 0.0
    if one.scale is None:
        scaled = "not normalised"
    else:
        scaled = f"{value * one.scale:,.1f} ± {math.sqrt(variance) * one.scale:,.1f}"
    return f"{entries:,.0f}", f"{value:,.6g}", scaled
