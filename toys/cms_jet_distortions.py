"""What differs between jets and missing momentum of data and simulation in the CMS toys: known truth, as functions.

Energies and momenta are in GeV. The files of :mod:`.cms_payloads_jme` hold the same numbers.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
MetName = Literal["MET", "PuppiMET"]

JET_ETA_EDGES = (-5.191, -3.139, -2.5, -1.305, 0.0, 1.305, 2.5, 3.139, 5.191)
RELATIVE_RESPONSE = (1.14, 1.10, 1.07, 1.04, 1.04, 1.08, 1.11, 1.15)
"""L2Relative: factor on the jet energy without pile-up."""
PILEUP_OFFSET = 0.3
"""Energy from pile-up in a jet, in units of area times rho."""
RESIDUAL = (1.030, 1.035, 1.025, 1.020, 1.018, 1.027, 1.033, 1.040)
"""L2L3Residual of the run period of the toy: jets of data are low by this factor."""
RESOLUTION_RATIO = (1.20, 1.25, 1.15, 1.12, 1.10, 1.16, 1.22, 1.18)
RESOLUTION_RATIO_UNCERTAINTY = 0.04
RESOLUTION_CONSTANT, RESOLUTION_STOCHASTIC = 0.08, 0.8

HOT_REGION = ((1.305, 1.479), (0.5, 0.8))
"""Noise in pseudo-data: range in eta and in phi, which the jet veto map holds."""
HOT_JETS = 0.01
"""Mean number of noise jets per event of pseudo-data."""

MET_SHIFT: dict[tuple[MetName, bool], tuple[tuple[float, float], tuple[float, float]]] = {
    ("MET", False): ((-0.16, 0.6), (0.13, -0.3)),
    ("MET", True): ((0.21, -0.9), (0.17, -0.6)),
    ("PuppiMET", False): ((-0.03, 0.2), (0.02, -0.1)),
    ("PuppiMET", True): ((0.04, -0.2), (0.03, -0.3)),
}
"""Collection and whether it is data → (slope, offset) in GeV of the shift of x and of y, against ``PV_npvs``."""


def _of_bin(table: tuple[float, ...], eta: Array) -> Floats:
    place = np.searchsorted(JET_ETA_EDGES, np.asarray(eta, float), side="right") - 1
    return np.asarray(table)[np.clip(place, 0, len(table) - 1)]


def relative_response(eta: Array) -> Floats:
    """Return the L2Relative correction of jets, [jets]."""
    return _of_bin(RELATIVE_RESPONSE, eta)


def residual(eta: Array) -> Floats:
    """Return the factor by which jets of pseudo-data are too low, [jets]."""
    return _of_bin(RESIDUAL, eta)


def resolution_ratio(eta: Array) -> Floats:
    """Return the ratio of the resolutions in pseudo-data and simulation, [jets]."""
    return _of_bin(RESOLUTION_RATIO, eta)


def jet_resolution(pt: Array) -> Floats:
    """Return the relative resolution of simulated jets of ``pt``, [jets]."""
    stochastic = RESOLUTION_STOCHASTIC**2 / np.maximum(np.asarray(pt, float), 5.0)
    return np.sqrt(RESOLUTION_CONSTANT**2 + stochastic)


def raw_pt(pt: Array, eta: Array, area: Array, rho: Array) -> Floats:
    """Return pt before the correction that gives ``pt``: the file has the one of simulation, in data too, [jets]."""
    return np.asarray(pt, float) / relative_response(eta) + PILEUP_OFFSET * np.asarray(area, float) * rho


def met_shift(name: MetName, npvs: Array, *, data: bool) -> Floats:
    """Return x and y of the modulation that the file's missing momentum has, [2, events]."""
    (slope_x, offset_x), (slope_y, offset_y) = MET_SHIFT[name, data]
    return np.stack([slope_x * npvs + offset_x, slope_y * npvs + offset_y])
