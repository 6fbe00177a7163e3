"""Pile-up weight: the true number of interactions in simulation reweighted to the profile of the data.

Files of the CMS luminosity group (jsonpog-integration, POG/LUM/README): ratio of the normalised distributions
for a minimum-bias cross section of 69.2 mb, varied by 4.6 % for up and down.
"""

from __future__ import annotations

import numpy as np

from .catalogue import CorrectionRecord
from .evaluation import Array, ScaleFactor, evaluate
from .weight_factor import WeightFactor, up_down

#: What an event of NanoAOD must have for it.
BRANCHES = ("Pileup_nTrueInt",)


def pileup_weight(record: CorrectionRecord, n_true_interactions: Array, variation: str = "nominal") -> ScaleFactor:
    """Return the weight of each event, `[events]`, from `Pileup.nTrueInt`.

    `variation` is `nominal`, `up` or `down`. Events with NaN, or outside where the file raises an error, get
    1.0 and count as `out_of_range`; events beyond the bins of a file that clamps get the edge's weight and
    count as `clamped`. Raises UserError for an unknown variation.
    """
    return evaluate(record.path, record.key, {"NumTrueInteractions": n_true_interactions}, variation=variation)


def pileup_factor(record: CorrectionRecord, n_true_interactions: Array) -> WeightFactor:
    """Return the weight of each event with `pileupUp/Down`, `[events]`, from `Pileup.nTrueInt`.

    Inputs outside the range of the file are as in :func:`pileup_weight`.
    """
    nominal, up, down = (pileup_weight(record, n_true_interactions, name) for name in ("nominal", "up", "down"))
    return WeightFactor(
        np.asarray(nominal.values), up_down("pileup", up.values, down.values), nominal.out_of_range, nominal.clamped
    )
