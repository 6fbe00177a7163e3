"""B tagging of the CMS toy: the discriminant in simulation, and its efficiency in data, which scale factors change.

Efficiencies are exact functions, so that both kinds of correction of the BTV group close: factors for fixed working
points, and ratios of the shape, which are constant between working points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

WORKING_POINTS = {"L": 0.0490, "M": 0.2783, "T": 0.7100}
"""Of DeepJet in 2018."""
PT_EDGES = (20.0, 50.0, 100.0, 1000.0)
FLAVOURS = (0, 4, 5)
_POWERS = {0: 8.0, 4: 3.0}
_CENTRE = {5: (0.985, 0.965, 0.945), 4: (0.980, 0.950, 0.930), 0: (1.06, 1.12, 1.20)}
_SLOPE = {5: -0.008, 4: -0.010, 0: 0.02}
UNCERTAINTY = {5: 0.015, 4: 0.030, 0: 0.050}


def efficiency(flavour: int, discriminant: Array | float) -> Floats:
    """Return the probability in simulation that the discriminant of a jet is larger."""
    value = np.asarray(discriminant, float)
    result: Floats = (1.0 - value) ** 0.4 if flavour == 5 else 1.0 - value ** (1.0 / _POWERS[flavour])
    return result


def discriminant_at(flavour: int, share: Floats) -> Floats:
    """Return the discriminant that the share of jets of simulation exceeds: the inverse of :func:`efficiency`."""
    result: Floats = 1.0 - share**2.5 if flavour == 5 else (1.0 - share) ** _POWERS[flavour]
    return result


def scale_factor_table(flavour: int) -> Floats:
    """Return efficiency in data over that in simulation, [working points, pt bins]."""
    steps = 1.0 + _SLOPE[flavour] * np.arange(len(PT_EDGES) - 1)
    return np.round(np.outer(np.array(_CENTRE[flavour], np.float64), steps), 5).astype(np.float64)


def shape_table(flavour: int) -> Floats:
    """Return the density of the discriminant in data over that in simulation, [intervals, pt bins].

    The intervals are those between 0, the working points and 1.
    """
    passing = efficiency(flavour, np.array(list(WORKING_POINTS.values())))[:, None]
    factor = scale_factor_table(flavour)
    one, zero = np.ones((1, factor.shape[1])), np.zeros((1, factor.shape[1]))
    data = np.concatenate([one, passing * factor, zero])
    simulation = np.concatenate([one, passing * np.ones_like(factor), zero])
    return np.diff(data, axis=0) / np.diff(simulation, axis=0)


def draw_discriminant(uniform: Array, flavour: Array, pt: Array, *, data: bool) -> Floats:
    """Return discriminants of jets of hadron ``flavour`` and ``pt`` in GeV from ``uniform`` numbers, [jets]."""
    result = np.zeros(len(uniform))
    bins = np.clip(np.searchsorted(PT_EDGES, pt, side="right") - 1, 0, len(PT_EDGES) - 2)
    thresholds = np.array(list(WORKING_POINTS.values()))[::-1]
    for kind in FLAVOURS:
        chosen = np.flatnonzero(flavour == kind)
        share = uniform[chosen].astype(float)
        share = share if kind == 5 else 1.0 - share
        if data:
            passing, table = efficiency(kind, thresholds), scale_factor_table(kind)[::-1]
            for place in range(table.shape[1]):
                here = bins[chosen] == place
                known = np.concatenate([[0.0], passing * table[:, place], [1.0]])
                share[here] = np.interp(share[here], known, np.concatenate([[0.0], passing, [1.0]]))
        result[chosen] = discriminant_at(kind, share)
    return result
