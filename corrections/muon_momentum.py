"""Muon momentum: scale of data and simulation, resolution of simulation, variations; one function for all eras.

Run 2: Rochester corrections (`rochester.py`). Run 3: method and files of the CMS muon POG (MuonScaReKit,
https://gitlab.cern.ch/cms-muonPOG/muonscarekit, scripts/MuonScaRe.py):

* scale: the corrected curvature is 1/pt' = m/pt + q a, with m (magnetic field) and a (misalignment) in bins of eta and
  phi;
* resolution of simulation: pt'' = pt' (1 + k σ(pt') z), with k = √(k_data² − k_mc²) (0 where simulation is not better
  than data), σ a polynomial in pt for each |eta| and number of tracker layers, and z drawn from a Crystal Ball function
  with two tails.

The variations are of simulation alone. Run 3: `muon_scaleUp/Down` by the statistical uncertainty of m and a with their
correlation, `muon_resolutionUp/Down` by that of k. Run 2: `muon_scaleUp/Down` by the total uncertainty of the Rochester
factor, scale and resolution together; `muon_resolutionUp/Down` is then nominal, so that nothing is counted twice.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import UserError, closest
from . import rochester
from .catalogue import CorrectionRecord
from .crystal_ball import inverse_cdf
from .evaluation import Array, Floats, ScaleFactor, evaluate_flat, flatten, unflatten
from .random_numbers import uniform

#: What a muon of NanoAOD must have for the scale.
BRANCHES = ("Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge")
VARIATIONS = ("nominal", "muon_scaleUp", "muon_scaleDown", "muon_resolutionUp", "muon_resolutionDown")
STREAM = "muon momentum"
#: A smeared pt beyond these multiples of pt is a random number from far out in a tail: the muon keeps its pt.
_SMALLEST, _LARGEST = 0.1, 2.0


class CorrectedPt(NamedTuple):
    """Corrected pt (GeV, float64, shape of the input), and how many muons were left alone or clamped."""

    pt: Array
    out_of_range: int
    clamped: int = 0


def branches(record: CorrectionRecord, is_data: bool) -> tuple[str, ...]:
    """Return the branches that `corrected_pt` reads."""
    if is_data:
        return BRANCHES
    layers = (*BRANCHES, "Muon_nTrackerLayers")
    if not needs_generator(record, is_data):
        return layers
    return (*layers, "Muon_genPartIdx", "GenPart_pt", "GenPart_pdgId")


def needs_generator(record: CorrectionRecord, is_data: bool) -> bool:
    """Whether `corrected_pt` wants the matched generator muon: simulation of Run 2."""
    return not is_data and not record.keys


def corrected_pt(
    record: CorrectionRecord,
    muons: Any,
    *,
    identity: Any,
    index: Any,
    is_data: bool,
    variation: str = "nominal",
    gen_pt: Any = None,
) -> CorrectedPt:
    """Return the corrected pt of each muon, in the shape of the columns (`[events, muons]`, or flat `[muons]`), GeV.

    Args:
        record: `muon_momentum` of the catalogue.
        muons: columns pt, eta, phi, charge and, for simulation, nTrackerLayers.
        identity: events (or run, luminosity block, event), `[events]`; of each muon, `[muons]`, where they are flat.
        index: position of each muon in its event, as in the file.
        is_data: whether the muons are data.
        variation: one of `VARIATIONS`.
        gen_pt: pt of the matched generator muon, GeV; NaN, zero or None without. Run 2 alone uses it.

    Muons outside the range of the era (26 to 200 GeV in Run 3) keep their pt and are counted in `out_of_range`, as do
    those whose correction is undefined or unreasonable. `clamped` counts those beyond the bins of the file. Raises
    UserError for another variation, or one of data.
    """
    if variation not in VARIATIONS:
        raise UserError(
            f"The momentum of muons has no variation '{variation}'.{closest(variation, VARIATIONS)} Use one of: "
            f"{', '.join(VARIATIONS)}."
        )
    if is_data and variation != "nominal":
        raise UserError(f"The momentum of muons is varied in simulation only; '{variation}' was asked of data.")
    names = ("pt", "eta", "phi", "charge", *(() if is_data else ("nTrackerLayers",)))
    flat, counts = flatten([muons[name] for name in names])
    columns = dict(zip(names, flat, strict=True))
    random = np.full(len(flat[0]), 0.5)
    if not is_data:
        random = flatten([uniform(identity, stream=STREAM, index=index)])[0][0]
    if record.keys:
        found = _run3(record, columns, random, is_data, variation)
    else:
        generated = np.full(len(flat[0]), np.nan) if gen_pt is None else flatten([gen_pt])[0][0]
        found = _run2(record, columns, generated, random, is_data, variation)
    return found._replace(pt=unflatten(found.pt, counts))


def _run2(
    record: CorrectionRecord, columns: dict[str, Floats], gen_pt: Floats, random: Floats, is_data: bool, variation: str
) -> CorrectedPt:
    pt = columns["pt"]
    layers = columns.get("nTrackerLayers", np.zeros(len(pt)))
    muons = rochester.Muons(pt, columns["eta"], columns["phi"], columns["charge"], layers, gen_pt)
    factor = rochester.scale_factor(record.path, muons, is_data=is_data, random=random)
    if variation.startswith("muon_scale"):
        sign = 1.0 if variation.endswith("Up") else -1.0
        factor = factor + sign * rochester.scale_error(record.path, muons, is_data=is_data, random=random)
    usable = np.isfinite(factor) & (factor > _SMALLEST) & (factor < _LARGEST)
    clamped = int(np.count_nonzero(np.abs(columns["eta"]) >= 2.4))
    return CorrectedPt(np.where(usable, pt * factor, pt), int(np.count_nonzero(~usable)), clamped)


def _run3(
    record: CorrectionRecord, columns: dict[str, Floats], random: Floats, is_data: bool, variation: str
) -> CorrectedPt:
    pt = columns["pt"]
    place = {"eta": columns["eta"], "phi": columns["phi"]}
    kind = "data" if is_data else "mc"
    m, a = (_values(record, f"{role}_{kind}", place) for role in ("m", "a"))
    low, high = record.limits.get("pt", (0.0, np.inf))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = 1.0 / (m.values / pt + columns["charge"] * a.values)
        usable = (pt >= low) & (pt <= high) & np.isfinite(scaled) & (scaled > 0)
        corrected = scaled if is_data else scaled * _smearing(record, columns, scaled, random, variation)
        if variation.startswith("muon_scale"):
            sign = 1.0 if variation.endswith("Up") else -1.0
            corrected = corrected + sign * _uncertainty(record, corrected, place, columns["charge"])
        reasonable = np.isfinite(corrected) & (corrected > _SMALLEST * scaled) & (corrected < _LARGEST * scaled)
    values = np.where(usable, np.where(reasonable, corrected, scaled), pt)
    outside = int(np.count_nonzero(~(usable & reasonable)))
    return CorrectedPt(values, outside, max(m.clamped, a.clamped))


def _smearing(
    record: CorrectionRecord, columns: dict[str, Floats], pt: Floats, random: Floats, variation: str
) -> Floats:
    """Return the factor 1 + k σ z of each muon; 1 where the file has no resolution."""
    if "k_mc" not in record.keys:
        return np.ones(len(pt))
    where = {"abseta": np.abs(columns["eta"]), "nTrackerLayers": columns["nTrackerLayers"]}
    poly = [_values(record, "poly_params", {**where, "parameter": np.full(len(pt), i)}).values for i in range(3)]
    sigma = np.maximum(poly[0] + poly[1] * pt + poly[2] * pt**2, 0.0)
    mean, width, n, alpha = (
        np.asarray(_values(record, "cb_params", {**where, "parameter": np.full(len(pt), i)}).values) for i in range(4)
    )
    known = np.isfinite(mean) & (width > 0) & (n > 1) & (alpha > 0) & np.isfinite(sigma)
    z = np.zeros(len(pt))
    z[known] = inverse_cdf(random[known], mean[known], width[known], alpha[known], n[known])
    k_data, k_mc = (_values(record, role, where).values for role in ("k_data", "k_mc"))
    k = np.sqrt(np.maximum(np.nan_to_num(k_data**2 - k_mc**2), 0.0))
    if variation.startswith("muon_resolution"):
        sign = 1.0 if variation.endswith("Up") else -1.0
        stat = evaluate_flat(record.path, record.keys["k_mc"], where, variation="stat", default=0.0).values
        # MuonScaReKit, pt_resol_var: the spread that was added, as a part of the whole one, k_mc.
        k = k * (1.0 + sign * np.divide(stat, k_mc, out=np.zeros(len(pt)), where=k_mc > 0))
    return np.asarray(1.0 + k * np.where(known, sigma, 0.0) * z)


def _values(record: CorrectionRecord, role: str, inputs: dict[str, Floats]) -> ScaleFactor:
    variation: Literal["nom"] | None = None if role.endswith("params") else "nom"
    return evaluate_flat(record.path, record.keys[role], inputs, variation=variation, default=np.nan)


def _uncertainty(record: CorrectionRecord, pt: Floats, place: dict[str, Floats], charge: Floats) -> Floats:
    """Return the statistical uncertainty of the scale in simulation, GeV; zero outside the range."""

    def stat(key: str, variation: str) -> Floats:
        return np.asarray(evaluate_flat(record.path, key, place, variation=variation, default=0.0).values)

    m = stat(record.keys["m_mc"], "stat")
    a = stat(record.keys["a_mc"], "stat")
    correlation = stat(record.keys["m_mc"], "rho_stat")
    variance = (m / pt) ** 2 + a**2 + 2.0 * charge * correlation * m / pt * a
    return pt**2 * np.sqrt(np.maximum(variance, 0.0))
