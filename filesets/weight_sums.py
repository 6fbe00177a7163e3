"""The sums of the generator's weights that the ``Runs`` tree of a skim keeps of all events that were generated."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

#: What the events have → its sums in ``Runs``, which are divided by ``genEventSumw``.
BRANCHES = {"LHEScaleWeight": "LHEScaleSumw", "LHEPdfWeight": "LHEPdfSumw", "PSWeight": "PSSumw"}


class WeightSums(BaseModel):
    """Σ(generator weight × weight) / Σ(generator weight) of each weight of a list; empty where a file has none.

    Args:
        scale: of ``LHEScaleWeight``.
        pdf: of ``LHEPdfWeight``.
        shower: of ``PSWeight``.
        scale_title, pdf_title: titles of the first two in the tree of events: what each weight is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: tuple[float, ...] = ()
    pdf: tuple[float, ...] = ()
    shower: tuple[float, ...] = ()
    scale_title: str = ""
    pdf_title: str = ""


def weight_sums(file: Any, events: Any) -> dict[str, Any] | None:
    """Return what :class:`WeightSums` takes, from the open ``file`` and its tree ``events``; None without ``Runs``.

    Runs are averaged by their sum of weights. Lists that differ in length between runs are left out.
    """
    if "Runs" not in file:
        return None
    runs = file["Runs"]
    names = set(runs.keys(recursive=False))
    # NanoAODv6 writes the names with a trailing underscore.
    found = {one: next((name for name in (one, f"{one}_") if name in names), None) for one in BRANCHES.values()}
    sumw = next((name for name in ("genEventSumw", "genEventSumw_") if name in names), None)
    if sumw is None:
        return None
    weights = np.array(runs[sumw].array().tolist(), np.float64)
    sums = {one: _average(runs[name].array().tolist(), weights) for one, name in found.items() if name is not None}
    return {
        "scale": sums.get("LHEScaleSumw", []),
        "pdf": sums.get("LHEPdfSumw", []),
        "shower": sums.get("PSSumw", []),
        "scale_title": _title(events, "LHEScaleWeight"),
        "pdf_title": _title(events, "LHEPdfWeight"),
    }


def _average(lists: list[list[float]], weights: np.ndarray) -> list[float]:
    if not lists or len({len(one) for one in lists}) != 1 or not weights.sum():
        return []
    mean = weights @ np.array(lists, np.float64).reshape(len(lists), -1) / weights.sum()
    return [float(value) for value in mean] if np.isfinite(mean).all() else []


def _title(events: Any, branch: str) -> str:
    if branch not in events.keys(recursive=False):
        return ""
    field = events[branch]
    return str(getattr(field, "title", None) or getattr(field, "description", None) or "")
