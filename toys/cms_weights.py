"""Weights of simulated events of the CMS toy: parton shower, QCD scales, parton densities, and L1 prefiring."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .cms_detector import Collection, truncate
from .cms_physics import Truth

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

THEORY_SUMS = {"LHEScaleWeight": "LHEScaleSumw", "LHEPdfWeight": "LHEPdfSumw", "PSWeight": "PSSumw"}
"""Branch with weights → branch of ``Runs`` with its sum, in units of ``genEventSumw``."""
PDF_MEMBERS = 33
"""The nominal one, 30 eigenvectors, and two values of alpha_s, as in PDF4LHC15_nnlo_30_pdfas."""
_BITS = 10
PREFIRING_ETA = (2.25, 3.0)
PREFIRING_PLATEAU, PREFIRING_UNCERTAINTY = 0.15, 0.2


def hard_kinematics(truth: Truth) -> tuple[Floats, Floats]:
    """Return pt in GeV of the hard system, and pseudorapidity of its first particle, [events] each."""
    first = np.searchsorted(truth.event, np.arange(truth.n_events))
    return np.hypot(*truth.recoil), truth.eta[first]


def theory_weights(truth: Truth) -> dict[str, Array]:
    """Return weights relative to the nominal one: ``PSWeight`` [events, 4] (initial-state radiation up, final-state up,
    both down), ``LHEScaleWeight`` [events, 9] (muR, then muF, of 0.5, 1, 2) and ``LHEPdfWeight`` [events, 33].
    """
    pt, eta = hard_kinematics(truth)
    radiation, forward = np.tanh(pt / 40.0), np.tanh(np.abs(eta) / 3.0)
    initial, final = 0.08 * radiation - 0.02, 0.04 - 0.05 * radiation
    shower = np.stack([1 + initial, 1 + final, 1 - initial, 1 - final], axis=1)
    logs = np.array([(r, f) for r in (-1.0, 0.0, 1.0) for f in (-1.0, 0.0, 1.0)])
    renormalisation, factorisation = -0.06 - 0.06 * radiation, 0.03 - 0.05 * forward
    scale = (1 + renormalisation[:, None] * logs[:, 0]) * (1 + factorisation[:, None] * logs[:, 1])
    member = np.arange(1, 31)
    size = 0.02 / np.sqrt(member)
    densities = np.ones((truth.n_events, PDF_MEMBERS))
    densities[:, 1:31] += size * np.cos(0.7 * member + (1 + member % 4) * forward[:, None])
    strong = 0.012 * (1.0 + radiation)
    densities[:, 31], densities[:, 32] = 1 - strong, 1 + strong
    parts = {"PSWeight": shower, "LHEScaleWeight": scale, "LHEPdfWeight": densities}
    return {name: truncate(weights, _BITS) for name, weights in parts.items()}


def prefiring_probability(pt: Array, eta: Array) -> Floats:
    """Return the probability that an object of ``pt`` in GeV triggers the crossing before its own, [objects]."""
    pt, absolute = np.asarray(pt, float), np.abs(eta)
    inside = (absolute > PREFIRING_ETA[0]) & (absolute < PREFIRING_ETA[1]) & (pt > 20.0)
    return np.where(inside, PREFIRING_PLATEAU * (1.0 - np.exp(-np.maximum(pt - 20.0, 0.0) / 40.0)), 0.0)


def not_prefired(objects: tuple[tuple[Collection, str], ...], shift: float = 0.0) -> Floats:
    """Return the probability that no object prefires, [events]; pairs of a collection and its column of pt.

    ``shift`` changes each object's probability relatively.
    """
    result = np.ones(len(objects[0][0].counts))
    for collection, column in objects:
        probability = prefiring_probability(collection.columns[column], collection.columns["eta"]) * (1.0 + shift)
        logs = np.log1p(-probability)
        result *= np.exp(np.bincount(collection.event(), logs, minlength=len(result)))
    return result


def prefiring_weights(objects: tuple[tuple[Collection, str], ...]) -> dict[str, Array]:
    """Return ``L1PreFiringWeight_Nom``, ``_Up`` and ``_Dn``, [events]."""
    shifts = {"Nom": 0.0, "Up": PREFIRING_UNCERTAINTY, "Dn": -PREFIRING_UNCERTAINTY}
    return {f"L1PreFiringWeight_{name}": truncate(not_prefired(objects, s), 12) for name, s in shifts.items()}


def without_triggers(objects: Collection, prefired: Array) -> Collection:
    """Return ``objects`` with no leg fired in ``prefired`` events [events]: the crossing was not read out."""
    lost = prefired[objects.event()]
    legs = {name: column & ~lost for name, column in objects.columns.items() if name.startswith("fires")}
    return Collection(objects.counts, {**objects.columns, **legs})
