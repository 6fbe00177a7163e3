"""Muon identification, isolation and trigger scale factors of the CMS muon POG, one factor a muon.

Files and meaning of the variations: jsonpog-integration, POG/MUO/README; `systup` and `systdown` are the
nominal factor plus and minus the total uncertainty, `stat` is the statistical uncertainty alone.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..errors import UserError, closest
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, ScaleFactor, evaluate_flat, flatten, unflatten

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
    inputs = {"pt": flat[0], "eta": flat[1]}
    result = evaluate_flat(record.path, record.key, inputs, variation=_POG_NAMES[variation])
    if variation in ("statup", "statdown"):
        uncertainty = evaluate_flat(record.path, record.key, inputs, variation="stat", default=0.0).values
        sign = 1.0 if variation == "statup" else -1.0
        result = result._replace(values=result.values + sign * uncertainty)
    return result._replace(values=unflatten(result.values, counts))


def event_weight(per_muon: Array) -> Floats:
    """Return the product over the muons of each event, `[events]`, float64; 1.0 for an event without muons.

    `per_muon` is `[events, muons]`, awkward or a rectangular numpy array.
    """
    if isinstance(per_muon, np.ndarray):
        return np.prod(per_muon, axis=1, dtype=np.float64)
    return np.asarray(ak.to_numpy(ak.prod(per_muon, axis=1)), dtype=np.float64)
