"""The table of efficiencies and rates: a row a quantity, a column a momentum window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from .beam_structure import BEAM_MODES
from .exposure_rates import Rates, SampleRates, Window
from .intervals import Estimate
from .mu2e_tables import Cell, Column, Table, to_csv

Get = Callable[[Window], Cell]
#: Title, unit, normalisation, how to get it.
Row = tuple[str, str, str, Get]


def rates_table(sample: SampleRates) -> Table:
    """Return the table of a sample; rates stand there unscaled and scaled, and say which."""
    columns = (
        Column("dataset", "Sample", shown=False),
        Column("quantity", "Quantity", shown=False),
        Column("unit", "Unit", shown=False),
        Column("normalisation", "Normalisation", shown=False),
        Column("label", ""),
        *(Column(one.name.lower(), one.name, estimate=True) for one in sample.windows),
    )
    rows = tuple(
        (sample.dataset, title, unit, normalisation, _label(title, unit, normalisation), *map(get, sample.windows))
        for title, unit, normalisation, get in _rows(sample)
    )
    return Table(
        title=f"{sample.dataset}, cutset {sample.cutset}",
        columns=columns,
        rows=rows,
        remarks=sample.remarks,
        about={
            "dataset": sample.dataset,
            "cutset": sample.cutset,
            "role": sample.role,
            "exposure": sample.exposure.model_dump(),
            "intervals": sample.convention.model_dump(),
        },
    )


def _label(title: str, unit: str, normalisation: str) -> str:
    # Nobody may take a scaled rate for an unscaled one.
    full = f"{title}, {normalisation}" if normalisation else title
    return f"{full} [{unit}]" if unit else full


def _rows(sample: SampleRates) -> Iterator[Row]:
    generated = sample.exposure.generated
    yield "Generated", "events", "", lambda _: None if generated is None else int(generated)
    yield "Selected", "events", "", lambda one: one.selected
    yield "Unvetoed", "events", "", lambda one: one.unvetoed
    yield "Selection efficiency", "%", "", lambda one: _percent(one.selection_efficiency)
    if any(one.accepted is not None for one in sample.windows):
        both = "Lost to times and veto" if sample.role == "signal" else "Acceptance × veto efficiency"
        yield "Acceptance of coincidence times", "%", "", lambda one: _percent(one.accepted)
        yield both, "%", "before coincidence times", lambda one: _percent(one.rejected)
    if sample.role == "signal":
        yield "Deadtime", "%", "", lambda one: _percent(one.veto_efficiency)
        yield "Kept by the veto", "%", "", lambda one: _percent(one.inefficiency)
        return
    yield "Veto efficiency", "%", "", lambda one: _percent(one.veto_efficiency)
    yield "Inefficiency", "", "", lambda one: one.inefficiency
    yield from _rate_rows("unscaled", lambda one: one.unscaled, "Unvetoed rate")
    yield from _rate_rows("scaled", lambda one: one.scaled, "Expected background")


def _rate_rows(normalisation: str, rates: Callable[[Window], Rates | None], missed: str) -> Iterator[Row]:
    def of(get: Callable[[Rates], Cell]) -> Get:
        def cell(window: Window) -> Cell:
            found = rates(window)
            return None if found is None else get(found)

        return cell

    yield "Live time", "days", normalisation, of(lambda one: one.livetime_days)
    for mode in BEAM_MODES:
        yield f"Wall time {mode}", "days", normalisation, of(lambda one, mode=mode: one.wall_days[mode])  # type: ignore[misc]
    for mode in BEAM_MODES:
        yield f"Selection rate {mode}", "1/day", normalisation, of(lambda one, mode=mode: one.selected[mode])  # type: ignore[misc]
    for mode in BEAM_MODES:
        yield (
            f"{missed} {mode}",
            "1/day",
            normalisation,
            of(lambda one, mode=mode: None if one.unvetoed is None else one.unvetoed[mode]),  # type: ignore[misc]
        )
    yield "Run 1 equivalents", "", normalisation, of(lambda one: one.run1)
    yield "Selected in Run 1", "events", normalisation, of(lambda one: one.selected_run1)
    yield f"{missed} in Run 1".replace("rate ", ""), "events", normalisation, of(lambda one: one.unvetoed_run1)


def _percent(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else estimate.scaled(100)


def legacy_table(sample: SampleRates) -> Table:
    """Return the 31 rows of earlier tables: one column a window, limits as signed differences, scaled rates alone.

    Unlike those tables, what is not available stays empty; they had 0 there.
    """
    rows: list[tuple[Cell, ...]] = []

    def add(label: str, get: Get) -> None:
        rows.append((label, *(get(window) for window in sample.windows)))

    def add_estimate(label: str, get: Callable[[Window], Estimate | None]) -> None:
        add(label, lambda one: _part(get(one), "value"))
        add(f"{label} Err-", lambda one: _part(get(one), "minus"))
        add(f"{label} Err+", lambda one: _part(get(one), "plus"))

    def rate(quantity: str, mode: str) -> Callable[[Window], Estimate | None]:
        return lambda one: (getattr(one.scaled, quantity, None) or {}).get(mode)

    generated = sample.exposure.generated
    add("Generated", lambda _: None if generated is None else int(generated))
    add("Selected", lambda one: one.selected)
    add("Unvetoed", lambda one: one.unvetoed)
    add_estimate("Selection Eff [%]", lambda one: _percent(one.selection_efficiency))
    add_estimate("Veto Eff [%]", lambda one: _percent(one.veto_efficiency))
    add("Livetime [days]", lambda one: getattr(one.scaled, "livetime_days", None))
    for mode in BEAM_MODES:
        add(f"Walltime {mode} [days]", lambda one, mode=mode: one.scaled and one.scaled.wall_days[mode])  # type: ignore[misc]
    for quantity, title in (("selected", "Selection"), ("unvetoed", "Unvetoed")):
        for mode in BEAM_MODES:
            add_estimate(f"{title} Rate {mode} [day^-1]", rate(quantity, mode))
    add("Run-1 Livetimes", lambda one: getattr(one.scaled, "run1", None))
    add_estimate("Selection Rate Run-1", lambda one: getattr(one.scaled, "selected_run1", None))
    add_estimate("Unvetoed Rate Run-1", lambda one: getattr(one.scaled, "unvetoed_run1", None))
    columns = (Column("", ""), *(Column(one.name, one.name) for one in sample.windows))
    return Table(title=sample.dataset, columns=columns, rows=tuple(rows))


def write_legacy(sample: SampleRates, path: Path) -> Path:
    """Write :func:`legacy_table` as ``analysis.csv`` of earlier analyses and return the path."""
    to_csv([legacy_table(sample)], path)
    return path


def _part(estimate: Estimate | None, name: str) -> float | None:
    if estimate is None:
        return None
    return -estimate.minus if name == "minus" else float(getattr(estimate, name))
