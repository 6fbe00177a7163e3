"""Tables of results with intervals: one table, written as CSV, JSON and LaTeX, and its cells as text.

What is not available is ``n/a`` in CSV (which pandas reads as missing), ``null`` in JSON and words elsewhere, never 0.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .intervals import Estimate

NOT_AVAILABLE = "not available"
#: Of the columns that an estimate takes in a CSV file.
_ENDS = ("", "_low", "_high")
Cell = str | int | float | Estimate | None
#: Characters that LaTeX would take as commands.
_SPECIAL = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Column:
    """A column: its key in files, its title for readers, and whether it holds estimates (value, low, high).

    One that is not ``shown`` stands in CSV and JSON only: the title of the table says the same.
    """

    key: str
    title: str
    estimate: bool = False
    shown: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells under ``columns``. ``remarks`` follow it; ``about`` is what a program may want to know besides."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...] = ()
    about: Mapping[str, Any] | None = None

    @property
    def shown(self) -> list[tuple[Column, tuple[Cell, ...]]]:
        """The columns for readers, each with its cells."""
        cells = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.columns)
        return [(one, below) for one, below in zip(self.columns, cells, strict=True) if one.shown]


def text(cell: Cell) -> str:
    """Return a cell for the terminal: ``99.950 −0.018 +0.013``, ``(5.4 −1.7 +2.3)e-4``, ``not available``."""
    if isinstance(cell, Estimate):
        value, minus, plus, power = _digits(cell)
        numbers = f"{value} −{minus} +{plus}"
        return f"({numbers})e{power}" if power else numbers
    return _plain(cell)


def latex(cell: Cell) -> str:
    """Return a cell for LaTeX: ``$99.950^{+0.013}_{-0.018}$``."""
    if isinstance(cell, Estimate):
        value, minus, plus, power = _digits(cell)
        numbers = f"{value}^{{+{plus}}}_{{-{minus}}}"
        return rf"$({numbers})\times10^{{{power}}}$" if power else f"${numbers}$"
    return _escaped(_plain(cell))


def to_csv(tables: Sequence[Table], path: Path) -> None:
    """Write tables with the same columns one below the other, each estimate as value, low and high."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = tables[0].columns
        writer.writerow([f"{one.key}{end}" for one in columns for end in (_ENDS if one.estimate else ("",))])
        for table in tables:
            for row in table.rows:
                writer.writerow([item for one, cell in zip(columns, row, strict=True) for item in _items(one, cell)])


def to_json(tables: Sequence[Table], path: Path, about: Mapping[str, Any]) -> None:
    """Write ``about`` and the tables, each row an object, each estimate ``{value, low, high}``."""
    content = {
        **about,
        "tables": [
            {
                "title": table.title,
                **(table.about or {}),
                "remarks": list(table.remarks),
                "rows": [
                    {one.key: _json(cell) for one, cell in zip(table.columns, row, strict=True)} for row in table.rows
                ],
            }
            for table in tables
        ],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def to_latex(tables: Sequence[Table], path: Path) -> None:
    """Write the tables as ``tabular`` environments with ``booktabs`` rules, to be read by ``\\input``."""
    path.write_text("\n".join(_tabular(table) for table in tables), encoding="utf-8")


def write(tables: Sequence[Table], folder: Path, stem: str, about: Mapping[str, Any]) -> list[Path]:
    """Write ``<stem>.csv``, ``.json`` and ``.tex`` into ``folder`` and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}{suffix}" for suffix in (".csv", ".json", ".tex")]
    to_csv(tables, paths[0])
    to_json(tables, paths[1], about)
    to_latex(tables, paths[2])
    return paths


def _tabular(table: Table) -> str:
    columns = [column for column, _ in table.shown]
    rows = zip(*(cells for _, cells in table.shown), strict=True)
    lines = [
        f"% {table.title}",
        r"\begin{tabular}{" + "".join("r" if one.estimate else "l" for one in columns) + "}",
        r"\toprule",
        " & ".join(_escaped(one.title) for one in columns) + r" \\",
        r"\midrule",
        *(" & ".join(latex(cell) for cell in row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {remark}" for remark in table.remarks),
    ]
    return "\n".join(lines) + "\n"


def _digits(estimate: Estimate) -> tuple[str, str, str, int]:
    """Return value, minus, plus and a power of ten that belongs to all: two digits of the smaller uncertainty."""
    errors = [error for error in (estimate.minus, estimate.plus) if error > 0 and math.isfinite(error)]
    largest = max(abs(estimate.value), *errors) if errors else abs(estimate.value)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = power if power < -2 or power > 5 else 0
    scale = 10.0**power
    smallest = min(errors) / scale if errors else 1.0
    decimals = min(max(1 - math.floor(math.log10(smallest)), 0), 12)
    numbers = (f"{number / scale:.{decimals}f}" for number in (estimate.value, estimate.minus, estimate.plus))
    value, minus, plus = numbers
    return value, minus, plus, power


def _plain(cell: Cell) -> str:
    if cell is None:
        return NOT_AVAILABLE
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _items(column: Column, cell: Cell) -> list[str]:
    if not column.estimate:
        return ["n/a" if cell is None else str(cell)]
    if isinstance(cell, Estimate):
        return [repr(number) for number in (cell.value, cell.low, cell.high)]
    return ["n/a" if cell is None else str(cell), "", ""]


def _json(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return {key: value if math.isfinite(value) else None for key, value in cell.model_dump().items()}
    return cell


def _escaped(plain: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in plain)
