"""Events of the Mu2e analysis in words: what was selected, when, and why the veto missed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..selections.mu2e_crv import REASONS

__all__ = ["REASONS", "event_info", "event_list", "why_missed"]

RULE = "-" * 40


def event_info(rows: Iterable[Mapping[str, Any]], *, source: str = "", first: int = 0) -> str:
    """Return a block of text for each row of the table of events.

    Args:
        rows: name → value, as :mod:`.mu2e_columns` names them; ``ak.to_list`` of the table.
        source: the dataset or file, printed in each block where given.
        first: index of the first block.
    """
    return "\n".join(_block(index, row, source) for index, row in enumerate(rows, first))


def event_list(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, int, int]]:
    """Return run, subrun and event of each row, in order, each once."""
    return sorted({(int(row["run"]), int(row["subrun"]), int(row["event"])) for row in rows})


def why_missed(row: Mapping[str, Any]) -> str:
    """Return why the veto missed the event of a row."""
    reason = REASONS[int(row["missed"])]
    if int(row["missed"]) != 3:
        return reason
    return f"nearest coincidence outside the window by {row['missed_by']:.3f} ns"


def _block(index: int, row: Mapping[str, Any], source: str) -> str:
    tracks, coincidences = list(row["track_times"]), list(row["coincidence_times"])
    dt = f"{abs(tracks[0] - coincidences[0]):.6f}" if tracks and coincidences else "N/A"
    lines = {
        "Index": str(index),
        "Run": str(row["run"]),
        "Subrun": str(row["subrun"]),
        "Event": str(row["event"]),
        **({"Source": source} if source else {}),
        "Track time [ns]": _times(tracks),
        "Coinc time [ns]": _times(coincidences),
        "dt [ns]": dt,
        "Veto": why_missed(row),
    }
    width = max(map(len, lines)) + 1
    return "\n".join([*(f"{f'{name}:':<{width}} {text}" for name, text in lines.items()), RULE])


def _times(times: Iterable[float]) -> str:
    return ", ".join(f"{float(np.float64(time)):.6f}" for time in times) or "None"
