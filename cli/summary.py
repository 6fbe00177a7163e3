"""What the terminal shows: the plan before a run, the result after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle
    from ..outputs.provenance import Provenance
    from .arguments import RunArguments


#: Datasets that a cut flow has room for beside each other; cutflow.csv has all.
MOST_COLUMNS = 6


def print_plan(console: Console, plan: Any, inputs: Any, setup: Any, options: RunArguments) -> None:
    """Show what will run: datasets, files, events, work items, and what is left out."""
    table = Table(title=f"{setup.name} on {options.executor}", title_justify="left")
    for title in ("dataset", "kind", "era"):
        table.add_column(title, overflow="fold")
    for title in ("files", "events", "work items", "σ (pb)"):
        table.add_column(title, justify="right")
    for fileset, part in zip(inputs.filesets, plan.datasets, strict=True):
        dataset = fileset.dataset
        unopened = any(file.entries is None for file in fileset.files)
        chunks = sum(item.dataset == dataset.name for item in plan.items)
        table.add_row(
            dataset.name,
            dataset.kind,
            dataset.era or "–",
            f"{len(fileset.files)} of {part.files_available}",
            "not opened" if unopened else f"{part.events:,}",
            "–" if unopened else str(chunks),
            "–" if dataset.cross_section is None else f"{dataset.cross_section.pb:g}",
        )
    console.print(table)
    for line in setup.left_out:
        console.print(f"[yellow]note:[/] {line}", highlight=False)


def print_summary(console: Console, bundle: Bundle, provenance: Provenance, folder: Path) -> None:
    """Show yields, agreement, warnings, rate, and where the result is."""
    report = bundle.report
    if 0 < len(bundle.cut_flows) <= MOST_COLUMNS:
        console.print(_cut_flow(bundle))
    console.print(_yields(bundle))
    if any("uncorrected" in row for row in report.agreement):
        console.print(_agreement(bundle))
    for line in report.warnings:
        console.print(f"[yellow]warning:[/] {line}", highlight=False)
    for dataset in report.datasets:
        for kind, counts in dataset.counters.items():
            # Nested ones belong to commands of their own.
            plain = {name: count for name, count in counts.items() if count and not isinstance(count, Mapping)}
            found = ", ".join(f"{name} {count:,}" for name, count in plain.items())
            if found:
                console.print(f"note: {dataset.name}: {kind.replace('_', ' ')}: {found}", highlight=False)
    effort = provenance.effort
    rate = effort.events / effort.processing_seconds / 1000
    console.print(
        f"{effort.events:,} events in {effort.processing_seconds:.1f} s ({rate:.0f} kevents/s, "
        f"{effort.cpu_seconds:.1f} CPU-s, {effort.bytes_read / 1e6:.0f} MB read); {effort.wall_seconds:.1f} s in all",
        highlight=False,
    )
    console.print(f"result: {folder}  ({report.status})", highlight=False, soft_wrap=True)


def _cut_flow(bundle: Bundle) -> Table:
    """Return the events that pass each cut and all before it; analyses of one run have the same cuts."""
    table = Table(title=_partial(bundle, "cut flow, events"), title_justify="left")
    table.add_column("cut")
    for name in bundle.cut_flows:
        table.add_column(name, justify="right", overflow="fold")
    for cut in next(iter(bundle.cut_flows.values())):
        table.add_row(cut, *(f"{flow[cut]['n']:,}" for flow in bundle.cut_flows.values()))
    return table


def _yields(bundle: Bundle) -> Table:
    table = Table(title=_partial(bundle, "yields after all cuts"), title_justify="left")
    for title in ("dataset", "files", "events", "selected", "Σw", "scale", "yield"):
        table.add_column(title, justify="left" if title == "dataset" else "right", overflow="fold")
    for one in bundle.report.datasets:
        flow = bundle.cut_flows.get(one.name)
        if not flow:
            table.add_row(one.name, _of(one.files_processed, one.files), "0", "–", "–", "–", "no event processed")
            continue
        last = flow[list(flow)[-1]]
        value = one.not_normalised
        if one.scale is not None:
            value = f"{last['sumw'] * one.scale:,.1f} ± {last['sumw2'] ** 0.5 * one.scale:,.1f}"
        scale = "–" if one.scale is None else f"{one.scale:.4g}"
        events = _of(one.events_processed, one.events_asked, one.events_asked_known)
        files = _of(one.files_processed, one.files)
        table.add_row(one.name, files, events, f"{last['n']:,}", _sum(last["sumw"]), scale, value)
    return table


def _sum(value: float) -> str:
    """Return a sum of weights that a column of the terminal has room for."""
    return f"{value:,.1f}" if abs(value) < 1e7 else f"{value:.6g}"


def _partial(bundle: Bundle, title: str) -> str:
    return f"PARTIAL: {title}" if any(one.partial for one in bundle.report.datasets) else title


def _of(processed: int, asked: int, known: bool = True) -> str:
    """Return what was processed, and of how many where something is missing."""
    if processed == asked and known:
        return f"{processed:,}"
    return f"{processed:,} of {'' if known else 'at least '}{asked:,}"


def _agreement(bundle: Bundle) -> Table:
    table = Table(title="data against simulation, χ²/ndf", title_justify="left")
    for title in ("region", "histogram", "corrected", "uncorrected"):
        table.add_column(title, justify="left" if title in ("region", "histogram") else "right")
    for row in bundle.report.agreement:
        if "uncorrected" in row and row["nominal"]["ndf"]:
            cells = [f"{row[key]['chi2']:.1f}/{row[key]['ndf']}" for key in ("nominal", "uncorrected")]
            table.add_row(row["region"], row["histogram"], *cells)
    return table
