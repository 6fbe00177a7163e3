"""Muon identification, isolation and trigger scale factors of the CMS muon POG, one factor a muon.

Files and meaning of the variations: jsonpog-integration, POG/MUO/README; `systup` and `systdown` are the
nominal factor plus and minus the total uncertainty, `stat` and `syst` are the statistical and the systematic one alone.
The files `muon_JPsi` of Run 2 have the total uncertainty only: it is taken as the systematic one, and the statistical
one is 0.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..errors import UserError, closest
from . import loading
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, ScaleFactor, evaluate_flat, flatten, unflatten
from .weight_factor import WeightFactor, up_down

_POG_NAMES = {
    "nominal": "nominal",
    "up": "systup",
    "down": "systdown",
    "systup": "systup",
    "systdown": "systdown",
    "statup": "nominal",
    "statdown": "nominal",
}
VARIATIONS = tuple(_POG_NAMES)
#: What a muon of NanoAOD must have for it.
BRANCHES = ("Muon_pt", "Muon_eta")


def muon_scale_factor(record: CorrectionRecord, pt: Array, eta: Array, *, variation: str = "nominal") -> ScaleFactor:
    """Return the factor data/simulation of each muon, in the shape of `pt` (`[muons]` or `[events, muons]`).

    `pt` in GeV. `variation` is one of `VARIATIONS`: `up` and `down` are the POG's systup and systdown (the
    total uncertainty), `statup` and `statdown` nominal plus and minus the statistical part. Muons outside the
    range of the file, or with NaN, get 1.0 and are counted in `out_of_range`. Raises UserError for an unknown
    variation.
    """
    if variation not in _POG_NAMES:
        raise UserError(
            f"The muon scale factor '{record.name}' has no variation "
            f"'{variation}'.{closest(variation, VARIATIONS)} "
            f"Use one of: {', '.join(VARIATIONS)}."
        )
    flat, counts = flatten([pt, eta])
    inputs = _inputs(flat[0], flat[1])
    result = evaluate_flat(record.path, record.key, inputs, variation=_POG_NAMES[variation])
    if variation in ("statup", "statdown") and _has_parts(record):
        uncertainty = evaluate_flat(record.path, record.key, inputs, variation="stat", default=0.0).values
        sign = 1.0 if variation == "statup" else -1.0
        result = result._replace(values=result.values + sign * uncertainty)
    return result._replace(values=unflatten(result.values, counts))


def muon_weight(record: CorrectionRecord, pt: Array, eta: Array) -> WeightFactor:
    """Return the product of the factors of the muons of each event, `[events]`, with its variations.

    `pt` (GeV) and `eta` are `[events, muons]`, jagged or rectangular. `<name of the record>_statUp/Down` and
    `_systUp/Down` vary the statistical and the systematic uncertainty (`stat` and `syst` of the file) of all muons
    together. Where the file has the total uncertainty alone (`muon_JPsi` of Run 2), `_syst` is that one, and `_stat` is
    nominal. Muons outside the range of the file have the factor 1 in every variation.
    """
    (pt_flat, eta_flat), counts = flatten([pt, eta])
    inputs = _inputs(pt_flat, eta_flat)
    nominal = evaluate_flat(record.path, record.key, inputs, variation="nominal")
    shape = pt.shape if isinstance(pt, np.ndarray) else None

    def product(values: Floats) -> Floats:
        return event_weight(values.reshape(shape) if shape else unflatten(values, counts))

    values = np.asarray(nominal.values)
    variations: dict[str, Floats] = {}
    for part in ("stat", "syst"):
        up, down = _varied(record, inputs, values, part)
        variations |= up_down(f"{record.name}_{part}", product(up), product(down))
    return WeightFactor(product(values), variations, nominal.out_of_range, nominal.clamped)


def _varied(record: CorrectionRecord, inputs: dict[str, Floats], values: Floats, part: str) -> tuple[Floats, Floats]:
    """Return the factor of each muon, `[muons]`, one uncertainty up and down."""

    def evaluated(variation: str, default: float) -> Floats:
        found = evaluate_flat(record.path, record.key, inputs, variation=variation, default=default)
        return np.asarray(found.values)

    if _has_parts(record):
        error = evaluated(part, 0.0)
        return values + error, values - error
    if part == "stat":
        return values, values
    return evaluated("systup", 1.0), evaluated("systdown", 1.0)


def _has_parts(record: CorrectionRecord) -> bool:
    """Whether the file has the statistical uncertainty by itself."""
    choices = loading.domain(record.path, record.key).choices.get("scale_factors", ())
    return "stat" in choices


def _inputs(pt: Floats, eta: Floats) -> dict[str, Floats]:
    """Return what the files take: pt, eta, and p for the reconstruction at high pt."""
    return {"pt": pt, "eta": eta, "p": pt * np.cosh(eta)}


def event_weight(per_muon: Array) -> Floats:
    """Return the product over the muons of each event, `[events]`, float64; 1.0 for an event without muons.

    `per_muon` is `[events, muons]`, awkward or a rectangular numpy array.
    """
    if isinstance(per_muon, np.ndarray):
        return np.prod(per_muon, axis=1, dtype=np.float64)
    return np.asarray(ak.to_numpy(ak.prod(per_muon, axis=1)), dtype=np.float64)
