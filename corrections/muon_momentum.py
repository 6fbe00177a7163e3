"""Muon momentum scale of Run 3, for data and simulation.

Method and files of the CMS muon POG (MuonScaReKit, https://gitlab.cern.ch/cms-muonPOG/muonscarekit): the
corrected curvature is 1/pt' = m/pt + q a, with m (scale of the magnetic field) and a (misalignment) in bins
of eta and phi. Only the scale is here; the smearing of the resolution in simulation is not applied by this
module yet.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ..errors import UserError
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, evaluate_flat, flatten, unflatten

#: What a muon of NanoAOD must have for it.
BRANCHES = ("Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge")


class ScaledPt(NamedTuple):
    """Corrected pt (GeV, float64, shape of the input), and how many muons were left alone or clamped."""

    values: Array
    out_of_range: int
    clamped: int = 0


def scaled_pt(
    record: CorrectionRecord,
    pt: Array,
    eta: Array,
    phi: Array,
    charge: Array,
    *,
    is_data: bool,
    variation: Literal["nom", "up", "down"] = "nom",
) -> ScaledPt:
    """Return 1 / (m / pt + charge a) for each muon, in the shape of `pt` (`[muons]` or `[events, muons]`), in
    GeV.

    Muons with a pt outside the range of the era (26 to 200 GeV in Run 3), or whose correction is undefined,
    keep their pt and are counted as `out_of_range`; those beyond the bins in eta and phi get the outermost
    bin, as the file declares, and are counted as `clamped`. `up` and `down`, for simulation only, add the
    statistical uncertainty of m and a with their correlation (MuonScaReKit, `pt_scale_var`). Raises UserError
    if a variation is asked of data.
    """
    if variation not in ("nom", "up", "down"):
        raise UserError(f"The muon scale has no variation '{variation}'. Use one of: nom, up, down.")
    if is_data and variation != "nom":
        raise UserError(f"The muon scale is varied in simulation only; '{variation}' was asked of data. Use 'nom'.")
    (pt_flat, eta_flat, phi_flat, q), counts = flatten([pt, eta, phi, charge])
    kind = "data" if is_data else "mc"
    place = {"eta": eta_flat, "phi": phi_flat}
    m, a = (
        evaluate_flat(record.path, record.keys[f"{role}_{kind}"], place, variation="nom", default=np.nan)
        for role in ("m", "a")
    )
    low, high = record.limits.get("pt", (0.0, np.inf))
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = 1.0 / (m.values / pt_flat + q * a.values)
        if variation != "nom":
            sign = 1.0 if variation == "up" else -1.0
            corrected = corrected + sign * _uncertainty(record, corrected, place, q)
    # A curvature corrected through zero, or NaN, is no momentum.
    usable = (pt_flat >= low) & (pt_flat <= high) & np.isfinite(corrected) & (corrected > 0)
    values = np.where(usable, corrected, pt_flat)
    out_of_range = int(len(usable) - np.count_nonzero(usable))
    return ScaledPt(unflatten(values, counts), out_of_range, max(m.clamped, a.clamped))


def _uncertainty(record: CorrectionRecord, pt: Floats, place: dict[str, Floats], charge: Floats) -> Floats:
    """Return the statistical uncertainty of the scale in simulation, GeV; zero outside the range."""

    def stat(key: str, variation: str) -> Floats:
        return np.asarray(evaluate_flat(record.path, key, place, variation=variation, default=0.0).values)

    m = stat(record.keys["m_mc"], "stat")
    a = stat(record.keys["a_mc"], "stat")
    correlation = stat(record.keys["m_mc"], "rho_stat")
    variance = (m / pt) ** 2 + a**2 + 2.0 * charge * correlation * m / pt * a
    return pt**2 * np.sqrt(np.maximum(variance, 0.0))
