"""Up and down of a source from its variations, bin by bin.

- ``up_down``: the two variations as they are;
- ``envelope`` (QCD scales): the largest and the smallest of members and nominal;
- ``hessian``: ± √Σ(member − nominal)² (J. Butterworth et al., PDF4LHC15, J. Phys. G 43 (2016) 023001, eq. 20);
- ``replicas``: ± the standard deviation of the members (ibid., eq. 21).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Combination = Literal["up_down", "hessian", "replicas", "envelope"]


class Shift(NamedTuple):
    """Varied minus nominal yield, ``[bins]``; ``up`` may be negative, and ``down`` positive."""

    up: Floats
    down: Floats


def combined(shifts: Floats, combination: Combination) -> Shift:
    """Return up and down from ``shifts``, ``[variations, bins]``: varied minus nominal; see the head of the module."""
    if combination == "up_down":
        return Shift(shifts[0], shifts[1])
    if combination == "envelope":
        return Shift(np.maximum(shifts.max(axis=0), 0.0), np.minimum(shifts.min(axis=0), 0.0))
    width = np.sqrt((shifts**2).sum(axis=0)) if combination == "hessian" else shifts.std(axis=0, ddof=1)
    return Shift(width, -width)
