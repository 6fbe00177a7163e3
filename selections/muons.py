"""Good muons: kinematics, identification, isolation and impact parameters, with the working points of the CMS
muon POG.

Working points: https://muon-wiki.docs.cern.ch/guidelines/reference/ (identification; relative particle-flow
isolation in a cone of 0.4 with pile-up subtracted: 0.40, 0.25, 0.20, 0.15, 0.10 from very loose to very
tight).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .branches import branches_of, column

Identification = Literal["loose", "medium", "medium_prompt", "tight", "soft", "high_pt", "none"]
Isolation = Literal["very_loose", "loose", "medium", "tight", "very_tight", "none"]

MAX_RELATIVE_ISOLATION: dict[str, float] = {
    "very_loose": 0.40,
    "loose": 0.25,
    "medium": 0.20,
    "tight": 0.15,
    "very_tight": 0.10,
}
_IDENTIFICATION_FIELD = {
    "loose": "looseId",
    "medium": "mediumId",
    "medium_prompt": "mediumPromptId",
    "tight": "tightId",
    "soft": "softId",
    "high_pt": "highPtId",
}
#: What to do where a branch is missing.
OTHER_MUONS = "Choose another working point (identification or isolation), or a file that has the branch."
_GLOBAL_HIGH_PT = 2  # Muon_highPtId: 1 tracker high pt, 2 global high pt (which includes the former)


class MuonSelection(BaseModel):
    """What makes a good muon. pt in GeV, dxy and dz (to the primary vertex) in cm; None leaves a cut out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pt: float = Field(default=20.0, ge=0)
    max_abs_eta: float = Field(default=2.4, gt=0)
    identification: Identification = "tight"
    isolation: Isolation = "tight"
    max_dxy: float | None = Field(default=None, gt=0)
    max_dz: float | None = Field(default=None, gt=0)
    max_sip3d: float | None = Field(default=None, gt=0)


def branches(selection: MuonSelection) -> tuple[str, ...]:
    """Return the branches that `good_muons` reads for `selection`."""
    columns = ["pt", "eta"]
    if selection.identification != "none":
        columns.append(_IDENTIFICATION_FIELD[selection.identification])
    if selection.isolation != "none":
        columns.append("pfRelIso04_all")
    limits = {"dxy": selection.max_dxy, "dz": selection.max_dz, "sip3d": selection.max_sip3d}
    return branches_of("Muon", (*columns, *(name for name, limit in limits.items() if limit is not None)))


def described(selection: MuonSelection) -> str:
    """Return `selection` in words, with the cuts that `good_muons` makes and no others."""
    parts = [f"pt > {selection.min_pt:g} GeV", f"|η| < {selection.max_abs_eta:g}"]
    if selection.identification != "none":
        parts.append(f"{selection.identification.replace('_', ' ')} identification")
    if selection.isolation != "none":
        limit = MAX_RELATIVE_ISOLATION[selection.isolation]
        parts.append(f"{selection.isolation.replace('_', ' ')} isolation (relative, below {limit:g})")
    for name, limit_or_none, unit in (
        ("|dxy|", selection.max_dxy, " cm"),
        ("|dz|", selection.max_dz, " cm"),
        ("SIP3D", selection.max_sip3d, ""),
    ):
        if limit_or_none is not None:
            parts.append(f"{name} < {limit_or_none:g}{unit}")
    return ", ".join(parts)


def good_muons(muons: Any, selection: MuonSelection, pt: Any = None) -> Any:
    """Return the mask `[events, muons]` of the muons that pass every cut; NaN never passes.

    `muons` may be a `FlatCollection`; the mask is then flat, `[muons]`. `pt` (GeV) replaces `muons.pt` where a
    corrected momentum is to be cut on. Only the columns that the selection names are read. Raises UserError if
    one of them is missing from the file.
    """
    mask = (_field(muons, "pt") if pt is None else pt) > selection.min_pt
    mask = mask & (np.abs(_field(muons, "eta")) < selection.max_abs_eta)
    if selection.identification != "none":
        identified = _field(muons, _IDENTIFICATION_FIELD[selection.identification])
        mask = mask & (identified >= (_GLOBAL_HIGH_PT if selection.identification == "high_pt" else 1))
    if selection.isolation != "none":
        mask = mask & (_field(muons, "pfRelIso04_all") < MAX_RELATIVE_ISOLATION[selection.isolation])
    if selection.max_dxy is not None:
        mask = mask & (np.abs(_field(muons, "dxy")) < selection.max_dxy)
    if selection.max_dz is not None:
        mask = mask & (np.abs(_field(muons, "dz")) < selection.max_dz)
    if selection.max_sip3d is not None:
        mask = mask & (_field(muons, "sip3d") < selection.max_sip3d)
    return mask


_field = partial(column, of="Muon", advice=OTHER_MUONS)
