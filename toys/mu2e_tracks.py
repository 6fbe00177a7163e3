"""Trajectories of toy Mu2e events through the tracker: what is found, which surfaces it crosses, which fits succeed.

[J] counts the trajectories (what a helix finder sees), [T] their fits, up to four hypotheses each, [S] the surfaces
that a trajectory is extrapolated to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .mu2e_layout import Content, local_index, offsets, vector
from .mu2e_physics import BACK_Z, DOWN, FRONT_Z, MID_Z, REFLECTED, UP, Particles, axial_speed

Array = npt.NDArray[Any]

HYPOTHESES = np.array([11, -11, 13, -13], np.int32)
_FITTED = np.array([0.97, 0.93, 0.95, 0.91])
# Surface id, element, z, jitter of z, probability: what a trajectory crosses on each way through.
_SURFACES = np.array(
    [
        (0, 0, FRONT_Z, 0, 1.0),  # TT_Front, TT_Mid, TT_Back
        (1, 0, MID_Z, 0, 1.0),
        (2, 0, BACK_Z, 0, 1.0),
        (3, 0, 200.0, 1200, 0.15),  # TT_Inner, TT_Outer
        (4, 0, 0.0, 1200, 0.08),
        (80, 0, -6300.0, 0, 0.03),  # DS_Front, DS_Inner
        (82, 0, -2800.0, 900, 0.05),
        (90, 0, -3000.0, 250, 0.40),  # IPA
        (95, 0, -2600.0, 600, 0.04),  # OPA
        (100, 0, -4700.0, 0, 0.10),  # ST_Front, ST_Foils
        (104, 11, -4350.0, 0, 0.30),
        (104, 24, -4140.0, 0, 0.20),
    ]
)


@dataclass(frozen=True)
class Trajectories:
    """What the helix finder sees, [J]: the particle of each, and which ways through the tracker it has."""

    particle: Array
    up: Array
    down: Array


@dataclass(frozen=True)
class Crossings:
    """Surfaces crossed by the trajectories, [S] sorted by trajectory; truth."""

    trajectory: Array
    way: Array
    sid: Array
    sindex: Array
    x: Array
    y: Array
    z: Array
    time: Array
    p: Array
    pitch: Array
    turned: Array  # azimuth of the transverse momentum


@dataclass(frozen=True)
class Fits:
    """Successful fits, [T] sorted by event: trajectory, particle and hypothesis."""

    trajectory: Array
    particle: Array
    pdg: Array
    event: Array


def gather(counts: Array, rows: Array) -> tuple[Array, Array]:
    """Return the lengths of the lists ``rows`` and the flat places of their elements."""
    chosen = counts[rows]
    return chosen, np.repeat(offsets(counts)[:-1][rows], chosen) + local_index(chosen)


def trajectories(particles: Particles) -> Trajectories:
    """Split the reflected particles that are found as two tracks; the others stay one trajectory."""
    found = 1 + particles.split
    particle = np.repeat(np.arange(len(particles)), found)
    second = local_index(found) == 1
    direction, split = particles.direction[particle], particles.split[particle]
    reflected = direction == REFLECTED
    up = (direction == UP) | (reflected & (~split | ~second))
    down = (direction == DOWN) | (reflected & (~split | second))
    return Trajectories(particle, up, down)


def crossings(particles: Particles, tracks: Trajectories, rng: np.random.Generator) -> Crossings:
    """Cross the surfaces on each way; a surface is lost now and then, and some lists are in no order at all."""
    n, k = len(tracks.particle), len(_SURFACES)
    crossed = rng.random((n, 2, k)) < _SURFACES[:, 4]
    crossed &= np.stack([tracks.up, tracks.down], axis=1)[:, :, None]
    lost = particles.lost[tracks.particle]
    crossed &= ~((np.arange(k) == lost[:, None])[:, None, :])
    trajectory, second, slot = np.nonzero(crossed)
    shuffled = rng.random(n) < 0.3
    order = np.where(shuffled[trajectory], rng.random(len(slot)), second + slot / k)
    order = np.lexsort((order, trajectory))
    trajectory, second, slot = trajectory[order], second[order], slot[order]
    of = tracks.particle[trajectory]
    way = np.where(second == 1, 1, -1)
    z = _SURFACES[slot, 2] + _SURFACES[slot, 3] * rng.uniform(-1, 1, len(slot))
    return _propagate(particles, of, trajectory, way, slot, z)


def _propagate(p: Particles, of: Array, trajectory: Array, way: Array, slot: Array, z: Array) -> Crossings:
    """Follow the helix of the particles ``of`` to ``z``, with a little energy loss and a field that falls with z."""
    pitch, radius = p.pitch[of], p.radius[of]
    centre = np.abs(radius + p.side[of] * p.d0[of])
    turned = 2.7 * p.phi[of] + (z - FRONT_Z) / (radius * pitch)
    first = (p.direction[of] == REFLECTED) & (way < 0)
    speed = axial_speed(p.pdg[of], p.p[of], pitch)
    target = np.where(z < -3900, 0.35, 0.0) + np.where(z < -2400, 0.12, 0.0)
    charge = -np.sign(p.pdg[of])
    return Crossings(
        trajectory=trajectory,
        way=way,
        sid=_SURFACES[slot, 0].astype(np.int32),
        sindex=_SURFACES[slot, 1].astype(np.int32),
        x=centre * np.cos(p.phi[of]) + radius * np.cos(turned),
        y=centre * np.sin(p.phi[of]) + radius * np.sin(turned),
        z=z,
        time=p.t_mid[of] - np.where(first, p.turn[of], 0.0) + way * (z - MID_Z) / speed,
        p=p.p[of] + way * (target - 4e-5 * (z - FRONT_Z)) + np.where(first, 0.4, 0.0),
        pitch=pitch * (1 + 1.8e-5 * (z - FRONT_Z)),
        turned=turned + charge * np.pi / 2,
    )


def fits(particles: Particles, tracks: Trajectories, rng: np.random.Generator) -> Fits:
    """Fit each trajectory under each hypothesis; some fits fail."""
    of = tracks.particle
    converged = rng.random((len(of), 4)) < _FITTED
    upstream_leg = particles.split[of] & tracks.up
    converged[:, 0] = np.where(upstream_leg, converged[:, 0], ~particles.unfitted[of])
    trajectory, hypothesis = np.nonzero(converged)
    particle = of[trajectory]
    return Fits(trajectory, particle, HYPOTHESES[hypothesis], particles.event[particle])


def momentum(p: Array, pitch: Array, way: Array, azimuth: Array) -> Content:
    """Return momentum vectors of size ``p`` with |pz|/pT = ``pitch``."""
    pt = p / np.hypot(1.0, pitch)
    return vector(pt * np.cos(azimuth), pt * np.sin(azimuth), way * pt * pitch)
