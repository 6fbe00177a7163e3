"""Missing momentum of the CMS toy: minus the sum of everything in the file, and of what is in no object. In GeV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .cms_detector import Collection, Pileup
from .cms_jet_distortions import MetName, met_shift, relative_response
from .cms_physics import Truth

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

RESOLUTION = {"MET": (8.0, 1.9), "PuppiMET": (7.0, 1.1)}
"""Collection → constant of the resolution of what is in no object, and its growth with the root of pile-up, in GeV."""
UNCLUSTERED_UNCERTAINTY = 0.1


def unclustered_width(name: MetName, n_true: Array) -> Floats:
    """Return the resolution in GeV of x and of y from what is in no object, [events]."""
    constant, slope = RESOLUTION[name]
    return np.sqrt(constant**2 + slope**2 * np.asarray(n_true, float))


def vector_sum(objects: Collection, pt: Array) -> Floats:
    """Return x and y of the sum of ``pt`` (GeV, [objects]) along the objects, [2, events]."""
    event, phi, n = objects.event(), objects.columns["phi"].astype(float), len(objects.counts)
    return np.stack([np.bincount(event, pt * turn(phi), minlength=n) for turn in (np.cos, np.sin)])


def _polar(name: str, vector: Floats) -> dict[str, Array]:
    x, y = vector
    return {f"{name}_pt": np.hypot(x, y).astype(np.float32), f"{name}_phi": np.arctan2(y, x).astype(np.float32)}


def missing_momentum(
    truth: Truth,
    pileup: Pileup,
    objects: Sequence[Collection],
    jets: Collection,
    rng: np.random.Generator,
    *,
    data: bool,
) -> dict[str, Array]:
    """Return the branches of ``MET``, ``PuppiMET``, ``RawMET`` and, in simulation, ``GenMET``, [events].

    The sum of everything before its measurement is minus that of the neutrinos; so the missing momentum is that of the
    neutrinos, less measured minus true momentum of each of ``objects`` and ``jets``, plus the fluctuation of what is in
    no object, plus the modulation. The raw one has jets without response (L2L3) correction.
    """
    n = truth.n_events
    everything = (*objects, jets)
    visible = sum((vector_sum(part, part.columns["pt"]) for part in everything), np.zeros((2, n)))
    expected = sum((vector_sum(part, part.columns["true_pt"]) for part in everything), np.zeros((2, n)))
    branches: dict[str, Array] = {}
    names: tuple[MetName, MetName] = ("MET", "PuppiMET")
    for name in names:
        noise = unclustered_width(name, pileup.n_true) * rng.standard_normal((2, n))
        true = truth.missing - (visible - expected) + noise
        met = true + met_shift(name, pileup.npvs, data=data)
        moved = UNCLUSTERED_UNCERTAINTY * (true + visible)
        branches |= _polar(name, met)
        branches[f"{name}_sumEt"] = (250.0 + 30.0 * pileup.n_true + 60.0 * rng.random(n)).astype(np.float32)
        if name == "MET":
            x, y = moved.astype(np.float32)
            branches |= {"MET_MetUnclustEnUpDeltaX": x, "MET_MetUnclustEnUpDeltaY": y}
            response = 1.0 - 1.0 / relative_response(jets.columns["eta"])
            branches |= _polar("RawMET", met + vector_sum(jets, jets.columns["pt"] * response))
        else:
            for direction, sign in (("Up", 1.0), ("Down", -1.0)):
                for part, value in _polar("", met + sign * moved).items():
                    branches[f"{name}{part}Unclustered{direction}"] = value
    return branches if data else branches | _polar("GenMET", truth.missing)
