"""Efficiencies of electrons in data over simulation in the CMS toy, in the bins of the EGM group's files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

ETA_EDGES = (-math.inf, -2.0, -1.566, -1.444, -0.8, 0.0, 0.8, 1.444, 1.566, 2.0, math.inf)
"""Of the supercluster."""
_IDENTIFIED_PT = (10.0, 20.0, 35.0, 50.0, 100.0, 200.0, math.inf)
PT_EDGES = {"RecoBelow20": (10.0, 20.0), "RecoAbove20": (20.0, 45.0, 75.0, 100.0, math.inf)}
GRADES = ("Veto", "Loose", "Medium", "Tight")
"""Working points that ``cutBased`` of 1 to 4 passes."""
EFFICIENCIES = (0.96, 0.92, 0.84, 0.72)
"""Of the working points in simulation."""
_CENTRE = {"RecoBelow20": 0.985, "RecoAbove20": 0.982, "Veto": 0.985, "Loose": 0.980, "Medium": 0.970, "Tight": 0.955}
SAME = {"wp90iso": "Loose", "wp90noiso": "Loose", "wp80iso": "Medium", "wp80noiso": "Medium"}
"""Multivariate identification → the working point that has the same electrons in the toy."""
UNCERTAINTY = 0.008
# Relative uncertainty of the energy scale, and of the energy from that of the smearing, below and above |eta| = 1.479.
SCALE_UNCERTAINTY, SMEARING_UNCERTAINTY = (0.001, 0.003), (0.0008, 0.0015)


def pt_edges(point: str) -> tuple[float, ...]:
    """Return the edges of pt in GeV of a working point."""
    return PT_EDGES.get(point, _IDENTIFIED_PT)


def scale_factor_table(point: str) -> Floats:
    """Return the scale factors of a working point, [eta bins, pt bins]: lower in the gap and for low pt."""
    eta = np.array([-0.010, 0.0, -0.02, 0.003, 0.005, 0.006, 0.002, -0.02, 0.0, -0.012])
    steps = 0.010 * (1.0 - np.exp(-np.arange(len(pt_edges(point)) - 1) / 1.5))
    return np.round(_CENTRE[SAME.get(point, point)] + eta[:, None] + steps, 5)


def scale_factor(point: str, eta: Array, pt: Array) -> Floats:
    """Return efficiency in data over that in simulation, for eta of the supercluster and pt in GeV, [electrons]."""
    table, edges = scale_factor_table(point), pt_edges(point)
    rows = np.searchsorted(ETA_EDGES, np.asarray(eta, float), side="right") - 1
    columns = np.searchsorted(edges, np.asarray(pt, float), side="right") - 1
    return table[rows, np.clip(columns, 0, table.shape[1] - 1)]


def reconstruction_factor(eta: Array, pt: Array) -> Floats:
    """Return the scale factor of the reconstruction, for eta of the supercluster and pt in GeV, [electrons]."""
    low, high = scale_factor("RecoBelow20", eta, pt), scale_factor("RecoAbove20", eta, pt)
    return np.where(np.asarray(pt) < 20.0, low, high)
