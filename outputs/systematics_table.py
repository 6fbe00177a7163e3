"""The table of systematic shifts: a row for each histogram, region, process and source, as JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from .bundle import Bundle
from .combination import Floats, Shift
from .report import SourceReport
from .systematics import Yields, regions_of, shift, yields

#: The sum of all simulation, beside the processes.
TOTAL = "total"
#: Bins with less than this part of the fullest one do not count for the largest shift of a bin.
LEAST_CONTENT = 0.01
#: Per cent; less than this is no shift.
NOTHING = 1e-6

Remark = Literal["", "no effect", "one-sided", "inverted"]


class Row(BaseModel):
    """What a source does to the yield of a process in a region, in per cent of the nominal yield.

    Args:
        histogram: of whose bins the largest shift is; the yield includes its flow bins.
        region: of events.
        process: label; ``total`` is all simulation.
        source: of the uncertainty.
        kind: ``weight``, ``shape`` or ``rate``.
        nominal: yield.
        up, down: shift of the yield.
        bin_up, bin_down: shift of the bin that moves most; bins of little content do not count.
        bin_low, bin_high: its edges.
        remark: ``one-sided`` if both shifts of the yield have one sign, ``inverted`` if up lowers the yield and down
            raises it, ``no effect`` if nothing moves.
    """

    model_config = ConfigDict(frozen=True)

    histogram: str
    region: str
    process: str
    source: str
    kind: str
    nominal: float
    up: float
    down: float
    bin_up: float
    bin_down: float
    bin_low: float
    bin_high: float
    remark: Remark = ""

    @property
    def size(self) -> float:
        """The larger of the shifts of the yield, in per cent, without its sign."""
        return max(abs(self.up), abs(self.down))

    @property
    def bin_size(self) -> float:
        """The larger of the shifts of the bin that moves most, in per cent, without its sign."""
        return max(abs(self.bin_up), abs(self.bin_down))


def table(
    bundle: Bundle, chosen: Sequence[SourceReport], histograms: Sequence[str], regions: Sequence[str] = ()
) -> list[Row]:
    """Return the rows of the sources ``chosen`` for ``histograms`` and ``regions`` (all without any).

    Processes without any yield in a region have none there.

    Raises:
        UserError: no simulation is normalised.
    """
    rows = []
    for name, region in regions_of(bundle, histograms):
        if regions and region not in regions:
            continue
        found = yields(bundle, name, region)
        processes = list(dict.fromkeys(one.label for one in found.datasets))
        for process in (*processes, None):
            nominal = found.nominal[found.of(process)].sum(axis=0)
            if nominal.sum() > 0:
                for source in chosen:
                    moved = shift(found, source, bundle.report, process)
                    place = {"histogram": name, "region": region, "process": process or TOTAL}
                    rows.append(Row(**place, source=source.name, kind=source.kind, **_numbers(nominal, moved, found)))
    return rows


def largest(rows: Iterable[Row], top: int | None = None) -> list[Row]:
    """Return for each region, process and source the row whose bin moves most, the largest shift of a yield first."""
    best: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = (row.region, row.process, row.source)
        if key not in best or row.bin_size > best[key].bin_size:
            best[key] = row
    return sorted(best.values(), key=lambda row: (-row.size, -row.bin_size, row.region, row.process, row.source))[:top]


def write_table(rows: Sequence[Row], folder: Path) -> tuple[Path, Path]:
    """Write ``systematics.json`` and ``systematics.csv`` into ``folder`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_csv = folder / "systematics.json", folder / "systematics.csv"
    as_json.write_text(json.dumps([row.model_dump() for row in rows], indent=1) + "\n", encoding="utf-8")
    with as_csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Row.model_fields))
        writer.writeheader()
        writer.writerows(row.model_dump() for row in rows)
    return as_json, as_csv


def _numbers(nominal: Floats, moved: Shift, found: Yields) -> dict[str, float | Remark]:
    total = nominal.sum()
    up, down = (float(100 * one.sum() / total) for one in moved)
    inside = nominal[found.inside]
    seen = inside >= LEAST_CONTENT * inside.max() if inside.max() > 0 else np.zeros(len(inside), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = [np.where(seen, 100 * one[found.inside] / inside, 0.0) for one in moved]
    place = int(np.argmax(np.maximum(*np.abs(relative))))
    bin_up, bin_down = (float(one[place]) for one in relative)
    return {
        "nominal": float(total),
        "up": up,
        "down": down,
        "bin_up": bin_up,
        "bin_down": bin_down,
        "bin_low": float(found.edges[place]),
        "bin_high": float(found.edges[place + 1]),
        "remark": _remark(up, down, bin_up, bin_down),
    }


def _remark(up: float, down: float, bin_up: float, bin_down: float) -> Remark:
    if max(abs(up), abs(down), abs(bin_up), abs(bin_down)) < NOTHING:
        return "no effect"
    if min(abs(up), abs(down)) < NOTHING:
        return ""
    if up * down > 0:
        return "one-sided"
    return "inverted" if up < 0 else ""
