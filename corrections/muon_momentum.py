"""Muon momentum: scale of data and simulation, resolution of simulation, variations; one function for all eras.

Run 2: Rochester corrections (`rochester.py`). Run 3: method and files of the CMS muon POG (MuonScaReKit,
https://gitlab.cern.ch/cms-muonPOG/muonscarekit, scripts/MuonScaRe.py):

* scale: the corrected curvature is 1/pt' = m/pt + q a, with m (magnetic field) and a (misalignment) in bins of eta and
  phi;
* resolution of simulation: pt'' = pt' (1 + k σ(pt') z), with k = √(k_data² − k_mc²) (0 where simulation is not better
  than data), σ a polynomial in pt for each |eta| and number of tracker layers, and z drawn from a Crystal Ball function
  with two tails. The random number is our own (`random_numbers`), one for each muon.

MuonScaReKit varies the scale of muons outside the range too; here they are left alone in the variations as well.

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
#: MuonScaReKit: a smeared pt beyond these multiples of pt is from far out in a tail, and the muon is not smeared.
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

    `out_of_range` counts the muons that are not corrected as the file says, each once:

    * those outside the range of the era (26 to 200 GeV in Run 3), or where the scale is undefined: they keep their pt
      in every variation;
    * simulation of Run 3: those outside the range after the scale, those in bins where the file has no resolution
      (Crystal Ball parameters of 0), and those smeared beyond 0.1 to 2 times pt: they have the scale alone;
    * Run 2: those with an undefined factor or one beyond 0.1 to 2, which keep their pt.

    `clamped` counts those beyond the bins of the file. Raises UserError for another variation, one of data, and for a
    record that lacks a key.
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
    usable = _reasonable(factor)
    factor = np.where(usable, factor, 1.0)
    if variation.startswith("muon_scale"):
        error = rochester.scale_error(record.path, muons, is_data=is_data, random=random)
        varied = factor + _sign(variation) * error
        factor = np.where(usable & _reasonable(varied), varied, factor)
    clamped = int(np.count_nonzero(np.abs(columns["eta"]) >= 2.4))
    return CorrectedPt(pt * factor, int(np.count_nonzero(~usable)), clamped)


def _run3(
    record: CorrectionRecord, columns: dict[str, Floats], random: Floats, is_data: bool, variation: str
) -> CorrectedPt:
    pt = columns["pt"]
    place = {"eta": columns["eta"], "phi": columns["phi"]}
    kind = "data" if is_data else "mc"
    m, a = (_values(record, f"{role}_{kind}", place) for role in ("m", "a"))
    low, high = record.limits.get("pt", (0.0, np.inf))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scaled = 1.0 / (m.values / pt + columns["charge"] * a.values)
        usable = (pt >= low) & (pt <= high) & np.isfinite(scaled) & (scaled > 0)
    # What is not usable goes through the formulae as 1 GeV, at which none overflows, and is put back at the end.
    corrected = np.where(usable, scaled, 1.0)
    done = usable
    if not is_data:
        inside = usable & (corrected >= low) & (corrected <= high)  # MuonScaReKit asks again, of the scaled pt
        shift, known = _smearing(record, columns, corrected, random, variation)
        corrected, done = corrected * np.where(inside, 1.0 + shift, 1.0), inside & known
    if variation.startswith("muon_scale"):
        corrected = corrected + _sign(variation) * _uncertainty(record, corrected, place, columns["charge"])
    values = np.where(usable, corrected, pt)
    return CorrectedPt(values, int(np.count_nonzero(~done)), max(m.clamped, a.clamped))


def _smearing(
    record: CorrectionRecord, columns: dict[str, Floats], pt: Floats, random: Floats, variation: str
) -> tuple[Floats, Any]:
    """Return k σ z of each muon, and whether it is what the file says: otherwise it is 0.

    That is where the file has no Crystal Ball function (all of its parameters are 0 in bins with few muons) though k
    is above 0, and where the shift is unreasonable. The resolution is varied after that, and then looked at again, as
    in MuonScaReKit.
    """
    where = {"abseta": np.abs(columns["eta"]), "nTrackerLayers": columns["nTrackerLayers"]}
    poly = [_parameter(record, "poly_params", where, i) for i in range(3)]
    sigma = np.maximum(poly[0] + poly[1] * pt + poly[2] * pt**2, 0.0)
    mean, width, n, alpha = (_parameter(record, "cb_params", where, i) for i in range(4))
    k_data, k_mc = (_values(record, role, where).values for role in ("k_data", "k_mc"))
    strength = np.sqrt(np.maximum(k_data**2 - k_mc**2, 0.0))
    known = np.isfinite(strength * sigma * mean) & (width > 0) & (n > 1) & (alpha > 0)
    shift = np.zeros(len(pt))
    with np.errstate(over="ignore", invalid="ignore"):
        z = inverse_cdf(random[known], mean[known], width[known], alpha[known], n[known])
        shift[known] = (strength * sigma)[known] * z
        fine = _reasonable(1.0 + shift)
    shift = np.where(fine, shift, 0.0)
    if variation.startswith("muon_resolution"):
        stat = np.asarray(evaluate_flat(record.path, record.keys["k_mc"], where, variation="stat", default=0.0).values)
        # MuonScaReKit, pt_resol_var: the spread that was added, as a part of the whole one, k_mc.
        part = np.divide(stat, k_mc, out=np.zeros(len(pt)), where=k_mc > 0)
        varied = shift * (1.0 + _sign(variation) * part)
        shift = np.where(_reasonable(1.0 + varied), varied, 0.0)
    return shift, (known | (strength == 0)) & fine


def _parameter(record: CorrectionRecord, role: str, where: dict[str, Floats], number: int) -> Floats:
    inputs = {**where, "parameter": np.full(len(where["abseta"]), float(number))}
    return np.asarray(_values(record, role, inputs).values)


def _values(record: CorrectionRecord, role: str, inputs: dict[str, Floats]) -> ScaleFactor:
    if role not in record.keys:
        raise UserError(
            f"The correction '{record.name}' of era {record.era} has no role '{role}' among its keys "
            f"({', '.join(record.keys)}), without which muons are not corrected as {record.path} means. Add the "
            "key to the payload of the catalogue, or leave the correction out."
        )
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


def _reasonable(factor: Floats) -> Any:
    """Return where a factor on pt is finite and within the limits of MuonScaReKit."""
    return np.isfinite(factor) & (factor >= _SMALLEST) & (factor <= _LARGEST)


def _sign(variation: str) -> float:
    return 1.0 if variation.endswith("Up") else -1.0
