"""L1 prefiring: the probability that no earlier bunch crossing was triggered instead, as a weight of simulation.

In Run 2 ECAL trigger primitives (2016, 2017) and muon candidates (2016 to 2018) could be assigned to the crossing
before; the weights are in NanoAOD (CMS L1T, TWiki L1PrefiringWeightRecipe). Run 3 has no such weight.
"""

from __future__ import annotations

from typing import Any, Literal

import awkward as ak
import numpy as np

from ..errors import UserError
from .weight_factor import Floats, WeightFactor, up_down

FIELDS = ("Nom", "Up", "Dn")


def branches(run: Literal[2, 3]) -> tuple[str, ...]:
    """Return what an event of simulation must have for it; nothing in Run 3."""
    return tuple(f"L1PreFiringWeight_{field}" for field in FIELDS) if run == 2 else ()


def prefiring_factor(weights: Any, *, run: Literal[2, 3], n_events: int) -> WeightFactor:
    """Return the factor with `prefiringUp/Down`, `[events]`.

    `weights` has the columns `Nom`, `Up` and `Dn` (NanoEvents: `events.L1PreFiringWeight`), each `[events]`; None where
    the file has none. In Run 3 the factor is 1 whatever there is. An event with a weight that is not finite has the
    factor 1 and counts as `out_of_range`. Raises UserError if Run 2 lacks a branch.
    """
    if run == 3:
        one = np.ones(n_events)
        return WeightFactor(one, up_down("prefiring", one, one))
    columns = [_column(weights, field) for field in FIELDS]
    bad = ~np.isfinite(columns).all(axis=0)
    nominal, up, down = (np.where(bad, 1.0, one) if bad.any() else one for one in columns)
    return WeightFactor(nominal, up_down("prefiring", up, down), out_of_range=int(np.count_nonzero(bad)))


def _column(weights: Any, field: str) -> Floats:
    try:
        return np.asarray(ak.to_numpy(weights[field]), np.float64)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        raise UserError(
            f"The events have no branch L1PreFiringWeight_{field}, which the correction 'prefiring' reads in Run 2 "
            f"(NanoAODv7 and later). Leave 'prefiring' out of the parameter 'corrections' for these files."
        ) from None
