"""The rest of a toy CMS event: trigger objects and paths, generator particles.

Built on top of the leptons of :mod:`.cms_detector`. Momenta are in GeV.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .cms_detector import Collection, collect, truncate
from .cms_physics import Truth

Array = npt.NDArray[Any]
Generator = np.random.Generator

# TrigObj_filterBits of muons and electrons, NanoAOD version 9.
MUON_TRKISOVVL, MUON_ISO, MUON_SINGLE, MUON_DOUBLE = 1 << 0, 1 << 1, 1 << 3, 1 << 4
ELECTRON_TIGHT = 1 << 1


def _near(column: Array, rng: Generator) -> Array:
    """Directions a little away from ``column``, well within a cone of 0.01."""
    return column + np.float32(0.002) * rng.standard_normal(len(column), dtype=np.float32).clip(-2.0, 2.0)


def trigger_objects(muons: Collection, electrons: Collection | None, rng: Generator) -> Collection:
    """Return the trigger objects: one for each muon or electron that fires a leg, and some jets and sums.

    A muon that fires only its leg of the double-muon path has an object too, without the bits of ``HLT_IsoMu24``.
    """
    n_events, column = len(muons.counts), muons.columns
    iso, vvl = column["fires_iso"], column["fires_vvl"]
    bits = np.where(iso, MUON_ISO | MUON_SINGLE, 0) | np.where(vvl, MUON_TRKISOVVL | MUON_DOUBLE, 0)
    fired = np.flatnonzero(iso | vvl)
    parts = [
        (muons.event()[fired], *(column[k][fired] for k in ("pt", "eta", "phi")), np.full(len(fired), 13), bits[fired])
    ]
    if electrons is not None:
        lit = np.flatnonzero(electrons.columns["fires"])
        kinematics = (electrons.columns[k][lit] for k in ("pt", "eta", "phi"))
        parts.append((electrons.event()[lit], *kinematics, np.full(len(lit), 11), np.full(len(lit), ELECTRON_TIGHT)))
    other = np.repeat(np.arange(n_events), rng.poisson(1.2, n_events))
    n = len(other)
    anywhere = (30.0 + rng.exponential(25.0, n), rng.uniform(-2.5, 2.5, n), rng.uniform(-3.1, 3.1, n))
    parts.append((other, *anywhere, np.array([1, 1, 3, 2])[rng.integers(0, 4, n)], np.full(n, 1)))
    event, pt, eta, phi, kind, filters = (np.concatenate(column) for column in zip(*parts, strict=True))
    pt = pt * (1.0 + 0.02 * rng.standard_normal(len(pt), dtype=np.float32))
    columns = {
        "pt": truncate(pt, 10),
        "eta": truncate(_near(eta, rng), 12),
        "phi": truncate(np.clip(_near(phi, rng), -3.1415, 3.1415), 12),
        "id": kind.astype(np.int32),
        "filterBits": filters.astype(np.int32),
        "l1pt": truncate(np.rint(0.9 * pt * 2) / 2, 8),
    }
    # CMS groups trigger objects by kind, not by pt.
    return collect(n_events, event, 100.0 * (kind == 11) + 50.0 * (kind == 13) + 1e-3 * np.minimum(pt, 1e4), columns)


def trigger_paths(muons: Collection, electrons: Collection | None, rng: Generator) -> dict[str, Array]:
    """Return the branches of the trigger paths, [events] of bool."""
    n, event = len(muons.counts), muons.event()
    legs = {leg: np.bincount(event[muons.columns[leg]], minlength=n) for leg in ("fires_iso", "fires_vvl", "fires_17")}
    double = (legs["fires_vvl"] >= 2) & (legs["fires_17"] >= 1)
    same_vertex = double & (rng.random(n, dtype=np.float32) < 0.99)
    paths = {
        "HLT_IsoMu24": legs["fires_iso"] > 0,
        "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL": double,
        "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8": same_vertex,
    }
    if electrons is not None:
        paths["HLT_Ele32_WPTight_Gsf"] = np.bincount(electrons.event()[electrons.columns["fires"]], minlength=n) > 0
        muon_leg = muons.columns["fires_vvl"] & (muons.columns["pt"] > 12.0)
        electron_leg = electrons.event()[electrons.columns["fires_23"]]
        both = (np.bincount(event[muon_leg], minlength=n) > 0) & (np.bincount(electron_leg, minlength=n) > 0)
        paths["HLT_Mu12_TrkIsoVVL_Ele23_CaloIdL_TrackIdL_IsoVL_DZ"] = both
    return paths


def generator_particles(truth: Truth) -> Collection:
    """Return ``GenPart``; light leptons and quarks below the top have mass 0 there, as in NanoAOD."""
    light = np.isin(np.abs(truth.pdg_id), (5, 11, 12, 13, 14, 16))
    columns = {
        "pt": truncate(truth.pt, 10),
        "eta": truncate(truth.eta, 10),
        "phi": truncate(truth.phi, 10),
        "mass": truncate(np.where(light, 0.0, truth.mass), 8),
        "pdgId": truth.pdg_id.astype(np.int32),
        "status": truth.status.astype(np.int32),
        "statusFlags": truth.status_flags.astype(np.int32),
        "genPartIdxMother": truth.mother.astype(np.int32),
    }
    return Collection(np.bincount(truth.event, minlength=truth.n_events).astype(np.int32), columns)
