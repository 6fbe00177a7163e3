"""Track branches of toy Mu2e events: ``trk``, ``trkqual``, ``trksegs``, ``trksegpars_lh`` or ``_ch``, ``trksegsmc``.

[T] counts fits, [S] their surface crossings (flat over the fits). What is the same for all hypotheses of a trajectory,
as positions are nearly, is written the same, and errors have few bits: both make files small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_layout import Content, coarse, jagged, record, vector
from .mu2e_physics import Generators, Particles
from .mu2e_spec import EVENTS_PER_BLOCK, ToySpec
from .mu2e_tracks import Crossings, Fits, Trajectories, gather, momentum

Array = npt.NDArray[Any]

_FIT_ALGORITHM = {"lh": 1, "ch": 2}
# Integer leaves of ``trk`` as fractions of the active hits and of all hits.
_OF_ACTIVE = {"ndouble": 0.25, "ndactive": 0.23, "nplanes": 0.45, "npanels": 0.6, "planespan": 0.35}
_OF_HITS = {"nnullambig": 0.12, "nmat": 1.3, "nmatactive": 1.2, "nesel": 0.9, "nrsel": 0.95, "ntsel": 0.97}
_OF_HITS |= {"nbkg": 0.02, "nsel": 0.93}


def track_branches(
    spec: ToySpec, particles: Particles, tracks: Trajectories, crossed: Crossings, found: Fits, rng: Generators
) -> dict[str, ak.Array]:
    """Return the branches of the fits of a block, aligned with each other in events, tracks and segments."""
    per_event = np.bincount(found.event, minlength=EVENTS_PER_BLOCK)
    per_trajectory = np.bincount(crossed.trajectory, minlength=len(tracks.particle))
    counts, place = gather(per_trajectory, found.trajectory)
    fit = np.repeat(np.arange(len(found.pdg)), counts)
    normal = rng["fits"].standard_normal(len(found.pdg))
    t0err = coarse(np.minimum(particles.t0err[found.particle] * (1 + 0.02 * normal), 40.0))
    at = _Place(spec, particles, crossed, found, place, fit)
    helix = _loop_helix if spec.helix == "lh" else _central_helix
    pars = helix(at, t0err, rng["segments"])
    branches = {
        "trk": jagged(_trk(spec, particles, found, rng["fits"]), per_event),
        "trkqual": jagged(_trkqual(particles, found, rng["fits"]), per_event),
        "trksegs": jagged(_segments(at, t0err, rng["segments"]), counts, per_event),
        f"trksegpars_{spec.helix}": jagged(pars, counts, per_event),
    }
    if not spec.data:
        true = _true_segments(crossed, len(tracks.particle), found, rng["truth"])
        branches["trksegsmc"] = jagged(*true, per_event)
    return {name: ak.Array(content) for name, content in branches.items()}


@dataclass(frozen=True)
class _Place:
    """Where each segment [S] of the fits comes from: its crossing ``place`` and its ``fit``."""

    spec: ToySpec
    particles: Particles
    crossed: Crossings
    found: Fits
    place: Array
    fit: Array

    @property
    def particle(self) -> Array:
        """Particle of each segment, [S]."""
        return np.asarray(self.found.particle[self.fit])

    def of(self, name: str) -> Array:
        """Return a column of the crossings, [S]."""
        return np.asarray(getattr(self.crossed, name)[self.place])


def _trk(spec: ToySpec, particles: Particles, found: Fits, rng: np.random.Generator) -> Content:
    n = len(found.pdg)
    wrong = found.pdg != particles.pdg[found.particle]
    active = np.maximum(particles.n_active[found.particle] - np.where(wrong, rng.integers(0, 3, n), 0), 8)
    hits = active + rng.integers(0, 4, n)
    good = rng.random(n) < 0.98
    # Of the algorithms that find a helix, 2 and 3 are the most used ones.
    integers: dict[str, Array] = {
        "status": np.where(good, 1, 2),
        "goodfit": np.ones(n),
        "seedalg": rng.integers(0, 4, n),
        "fitalg": np.full(n, _FIT_ALGORITHM[spec.helix]),
        "pdg": found.pdg,
        "nhits": hits,
        "ndof": active - 5,
        "nactive": active,
    }
    integers |= {name: active * share for name, share in _OF_ACTIVE.items()}
    integers |= {name: hits * share for name, share in _OF_HITS.items()}
    integers |= {"nseg": np.full(n, 3), "nipaup": np.zeros(n), "nipadown": np.ones(n), "nstup": np.zeros(n)}
    integers["nstdown"] = rng.integers(0, 4, n)
    columns: dict[str, Array] = {name: np.asarray(values).astype(np.int32) for name, values in integers.items()}
    foil = np.where(columns["nstdown"] > 0, rng.integers(0, 37, n), -1)
    columns |= {"tsdainter": np.zeros(n, bool), "opainter": rng.random(n) < 0.04, "firststinter": foil.astype(np.int32)}
    t_mid = particles.t_mid[found.particle]
    chisq = (active - 5) * np.clip(rng.normal(1.0, 0.2, n), 0.2, None)
    columns |= {
        "chisq": coarse(chisq),
        "fitcon": coarse(np.clip(rng.random(n) * particles.quality[found.particle], 1e-6, 1)),
        "radlen": coarse(0.0012 * active),
        "firsthit": coarse(t_mid - 9.0),
        "lasthit": coarse(t_mid + 9.0),
        "maxgap": coarse(60.0 + 3000.0 / active),
        "avggap": coarse(3000.0 / active),
        "avgedep": coarse(rng.normal(1.4e-3, 2e-4, n)),
    }
    return record(columns)


def _trkqual(particles: Particles, found: Fits, rng: np.random.Generator) -> Content:
    """Return the score of the fits: lower for a wrong hypothesis, 0 without the entrance, -1 where there is none."""
    n = len(found.pdg)
    quality = particles.quality[found.particle] - 0.04 * (found.pdg != particles.pdg[found.particle])
    result = np.clip(quality + 0.01 * rng.standard_normal(n), 0.0, 0.9999).astype(np.float32)
    result[particles.lost[found.particle] == 0] = 0.0
    valid = rng.random(n) >= 2e-3
    return record({"valid": valid, "result": np.where(valid, result, np.float32(-1))})


def _momentum_errors(particles: Particles, found: Fits, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return measured minus true momentum and its expected error, [T]: a core of 0.2 MeV/c, tails on both sides."""
    n = len(found.pdg)
    error = 0.13 + 0.07 * rng.gamma(2.0, 0.5, n)
    tail = rng.random(n) < 0.02 + 0.5 * (1 - particles.quality[found.particle]) ** 2
    difference = error * rng.standard_normal(n) + np.where(tail, rng.laplace(0.15, 0.9, n), 0.0)
    muon = np.where(np.abs(found.pdg) == 13, -0.35, 0.0) - np.where(
        np.abs(particles.pdg[found.particle]) == 13, -0.35, 0.0
    )
    return difference + muon, coarse(error)


def _segments(at: _Place, t0err: Array, rng: np.random.Generator) -> Content:
    particles, found, fit = at.particles, at.found, at.fit
    difference, error = _momentum_errors(particles, found, rng)
    n_fits = len(found.pdg)
    late = np.clip(rng.standard_normal(n_fits), -3, 3) * np.minimum(t0err, 1.0)
    tilt = 1 + 0.004 * rng.standard_normal(n_fits)
    sid, n = at.of("sid"), len(fit)
    p = np.maximum(at.of("p") + difference[fit], 5.0)
    columns: dict[str, Array | Content] = {
        "mom": momentum(p, at.of("pitch") * tilt[fit], at.of("way"), at.of("turned")),
        "pos": vector(at.of("x"), at.of("y"), at.of("z")),
        "time": np.asarray(at.of("time") + late[fit], np.float64),
        "dmom": coarse(np.where(sid < 3, 0.0, -0.12)),
        "momerr": coarse(error[fit]),
        "inbounds": (sid < 3) | (at.place % 7 > 0),
        "gap": np.zeros(n, bool),
    }
    if at.spec.version == "6.3.0":
        columns |= {"early": np.zeros(n, bool), "late": np.zeros(n, bool)}
    return record(columns | {"sid": sid, "sindex": at.of("sindex")})


def _shape(at: _Place, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return d0 and the largest radius, [S]: the same at the three planes up to some mm, further off elsewhere."""
    n = len(at.found.pdg)
    shift, spread = 2.5 * rng.standard_normal(n), 3.0 * rng.standard_normal(n)
    along = np.where(at.of("sid") == 0, 0.0, np.where(at.of("sid") < 3, 3.0, 15.0)) * np.cos(at.of("turned"))
    d0 = np.abs(at.particles.d0[at.particle] + shift[at.fit] + along)
    return d0, at.particles.maxr[at.particle] + spread[at.fit] + along


def _dip(at: _Place, rng: np.random.Generator) -> Array:
    """Return the dip of the helix; before version 6.13 it is wrong for some tracks, as in MDC2020."""
    dip = at.of("way") * at.of("pitch")
    if at.spec.version == "6.13.2":
        return np.asarray(dip)
    wrong = rng.random(len(at.found.pdg)) < 0.4
    return np.where(wrong[at.fit], -0.5 * dip, dip)


def _loop_helix(at: _Place, t0err: Array, rng: np.random.Generator) -> Content:
    particles, particle = at.particles, at.particle
    d0, maxr = _shape(at, rng)
    radius, phi = particles.radius[particle], particles.phi[particle]
    centre = radius + particles.side[particle] * particles.d0[particle]
    columns: dict[str, Array] = {"maxr": maxr, "d0": d0, "tanDip": _dip(at, rng), "rad": coarse(radius)}
    columns |= {"lam": coarse(radius * particles.pitch[particle] * at.of("way"))}
    columns |= {"cx": coarse(centre * np.cos(phi)), "cy": coarse(centre * np.sin(phi)), "phi0": coarse(phi)}
    columns["t0"] = (particles.t_mid[particle] - np.where(at.of("way") < 0, particles.turn[particle], 0.0)) + 0.1
    error = t0err[at.fit]
    columns |= {"raderr": coarse(1.2 * error), "lamerr": coarse(1.8 * error), "cxerr": coarse(2.5 * error)}
    columns |= {"cyerr": coarse(2.2 * error), "phi0err": coarse(0.02 * error), "t0err": error}
    return record({name: np.asarray(values, np.float32) for name, values in columns.items()})


def _central_helix(at: _Place, t0err: Array, rng: np.random.Generator) -> Content:
    particles, particle = at.particles, at.particle
    d0, maxr = _shape(at, rng)
    error = t0err[at.fit]
    columns: dict[str, Array] = {"d0": d0, "phi0": coarse(particles.phi[particle])}
    columns |= {"omega": coarse(at.of("way") / particles.radius[particle]), "z0": coarse(0.1 * at.of("x"))}
    columns |= {"tanDip": _dip(at, rng), "t0": particles.t_mid[particle] + 0.1, "d0err": coarse(2.5 * error)}
    columns |= {"phi0err": coarse(0.02 * error), "omegaerr": coarse(1e-5 * error), "z0err": coarse(2 * error)}
    columns |= {"tanDiperr": coarse(0.01 * error), "t0err": error, "maxr": maxr}
    return record({name: np.asarray(values, np.float32) for name, values in columns.items()})


def _true_segments(crossed: Crossings, n: int, found: Fits, rng: np.random.Generator) -> tuple[Content, Array]:
    """Return true crossings of the tracker planes and of passive elements, and how many each fit has."""
    seen = np.flatnonzero((crossed.sid < 3) | (crossed.sid > 89))
    counts, place = gather(np.bincount(crossed.trajectory[seen], minlength=n), found.trajectory)
    deposit = np.where(crossed.sid[seen] < 3, 0.0, coarse(rng.gamma(2.0, 0.06, len(seen))))
    at = seen[place]
    passive = crossed.sid[at] > 2
    content = record(
        {
            "sid": crossed.sid[at],
            "sindex": crossed.sindex[at],
            "time": crossed.time[at].astype(np.float64),
            "edep": deposit[place].astype(np.float32),
            "path": np.where(passive, 0.5, 0.0).astype(np.float32),
            "pos": vector(crossed.x[at], crossed.y[at], crossed.z[at]),
            "mom": momentum(crossed.p[at], crossed.pitch[at], crossed.way[at], crossed.turned[at]),
        }
    )
    return content, counts
