"""Good electrons: kinematics, identification and impact parameters, with the working points of the CMS EGamma
POG.

Cut-based and multivariate working points as NanoAOD stores them (they include isolation, but for the `noIso`
ones). The gap between barrel and endcap, 1.4442 < |eta of the supercluster| < 1.566, and the recommended
impact parameters (|dxy|, |dz| below 0.05, 0.10 cm in the barrel and 0.10, 0.20 cm in the endcaps, split at
1.479): https://twiki.cern.ch/twiki/bin/view/CMS/CutBasedElectronIdentificationRun2
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .branches import branches_of, column

Identification = Literal[
    "veto", "loose", "medium", "tight", "none",
    "mvaFall17V2Iso_WP80", "mvaFall17V2Iso_WP90", "mvaFall17V2Iso_WPL",
    "mvaFall17V2noIso_WP80", "mvaFall17V2noIso_WP90", "mvaFall17V2noIso_WPL",
    "mvaIso_WP80", "mvaIso_WP90", "mvaIso_WPHZZ", "mvaNoIso_WP80", "mvaNoIso_WP90",
]  # fmt: skip

BARREL_GAP = (1.4442, 1.566)
_BARREL_END = 1.479
_CUT_BASED = {"veto": 1, "loose": 2, "medium": 3, "tight": 4}


class ElectronSelection(BaseModel):
    """What makes a good electron. pt in GeV, impact parameters in cm; None leaves a cut out.

    The multivariate identifications are called as their branches are: `mvaFall17V2Iso_WP90` and the like in
    NanoAOD v9, `mvaIso_WP90` and the like from v12 on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pt: float = Field(default=20.0, ge=0)
    max_abs_eta: float = Field(default=2.5, gt=0)
    identification: Identification = "medium"
    veto_gap: bool = True
    max_dxy_barrel: float | None = Field(default=0.05, gt=0)
    max_dz_barrel: float | None = Field(default=0.10, gt=0)
    max_dxy_endcap: float | None = Field(default=0.10, gt=0)
    max_dz_endcap: float | None = Field(default=0.20, gt=0)
    max_sip3d: float | None = Field(default=None, gt=0)


def branches(selection: ElectronSelection) -> tuple[str, ...]:
    """Return the branches that `good_electrons` reads for `selection`."""
    columns = ["pt", "eta"]
    if selection.identification in _CUT_BASED:
        columns.append("cutBased")
    elif selection.identification != "none":
        columns.append(selection.identification)
    dxy = any((selection.max_dxy_barrel, selection.max_dxy_endcap))
    dz = any((selection.max_dz_barrel, selection.max_dz_endcap))
    wanted = {
        "deltaEtaSC": selection.veto_gap or dxy or dz,
        "dxy": dxy,
        "dz": dz,
        "sip3d": selection.max_sip3d is not None,
    }
    return branches_of("Electron", (*columns, *(name for name, used in wanted.items() if used)))


def described(selection: ElectronSelection) -> str:
    """Return `selection` in words, with the cuts that `good_electrons` makes and no others."""
    parts = [f"pt > {selection.min_pt:g} GeV", f"|η| < {selection.max_abs_eta:g}"]
    if selection.veto_gap:
        parts.append(f"outside {BARREL_GAP[0]:g} < |η of the supercluster| < {BARREL_GAP[1]:g}")
    if selection.identification != "none":
        parts.append(f"{selection.identification} identification")
    for name, barrel, endcap in _impact_cuts(selection):
        limits = [f"{limit:g} cm ({where})" for limit, where in ((barrel, "barrel"), (endcap, "endcaps")) if limit]
        if limits:
            parts.append(f"|{name}| < {' and '.join(limits)}")
    if selection.max_sip3d is not None:
        parts.append(f"SIP3D < {selection.max_sip3d:g}")
    return ", ".join(parts)


def good_electrons(electrons: Any, selection: ElectronSelection, pt: Any = None) -> Any:
    """Return the mask `[events, electrons]` of the electrons that pass every cut; NaN never passes.

    `electrons` may be a `FlatCollection`; the mask is then flat, `[electrons]`. `pt` (GeV) replaces `electrons.pt`.
    Only the columns that the selection names are read. Raises UserError if one of them is missing from the file.
    """
    eta = _field(electrons, "eta")
    mask = (_field(electrons, "pt") if pt is None else pt) > selection.min_pt
    mask = mask & (np.abs(eta) < selection.max_abs_eta)
    if selection.identification in _CUT_BASED:
        mask = mask & (_field(electrons, "cutBased") >= _CUT_BASED[selection.identification])
    elif selection.identification != "none":
        mask = mask & (_field(electrons, selection.identification) != 0)
    impact = _impact_cuts(selection)
    if selection.veto_gap or any(barrel or endcap for _, barrel, endcap in impact):
        supercluster = np.abs(eta + _field(electrons, "deltaEtaSC"))
        if selection.veto_gap:
            mask = mask & ~((supercluster > BARREL_GAP[0]) & (supercluster < BARREL_GAP[1]))
        in_barrel = supercluster < _BARREL_END
        for name, barrel, endcap in impact:
            if barrel is not None or endcap is not None:
                value = np.abs(_field(electrons, name))
                passes_barrel = in_barrel & (value < (barrel or np.inf))
                mask = mask & (passes_barrel | (~in_barrel & (value < (endcap or np.inf))))
    if selection.max_sip3d is not None:
        mask = mask & (_field(electrons, "sip3d") < selection.max_sip3d)
    return mask


def _impact_cuts(selection: ElectronSelection) -> tuple[tuple[str, float | None, float | None], ...]:
    """Return column, limit in the barrel and limit in the endcaps (cm) of each impact parameter."""
    return (
        ("dxy", selection.max_dxy_barrel, selection.max_dxy_endcap),
        ("dz", selection.max_dz_barrel, selection.max_dz_endcap),
    )


_field = partial(
    column,
    of="Electron",
    advice="The names of the multivariate identifications differ between NanoAOD v9 and v12.",
)
