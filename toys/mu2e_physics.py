"""The particles of toy Mu2e events, before the detector: conversion electrons, cosmics and beam pile-up.

Shapes are chosen so that the cut flow resembles that of the MDC2020 samples cut by cut; lengths in mm in the frame of
the tracker, times in ns, momenta in MeV/c. [P] counts the particles of a block, sorted by event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .mu2e_spec import EVENTS_PER_BLOCK, ToySpec

Array = npt.NDArray[Any]
Generators = Mapping[str, np.random.Generator]

CONVERSION_MOMENTUM = 104.97
FIELD = 1.04
"""Solenoid field in T in the tracker, for the radius of the helix."""
SPEED_OF_LIGHT = 299.792458  # mm/ns
DOWN, UP, REFLECTED = 0, 1, 2
COSMIC, CONVERSION, BEAM = 0, 1, 2
FRONT_Z, MID_Z, BACK_Z = -1631.1, 10.1, 1639.1
MASSES = {11: 0.511, 13: 105.66}
BEAM_PARTICLES = {"cosmic": 0.16, "ce": 0.17}
"""Probability that the beam adds a particle that is fitted (with ``mix``)."""
_MUON_LIFETIME = 864.0  # of muonic aluminium, ns
_TRIGGER_WINDOW = {"cosmic": (440.0, 1700.0), "ce": (450.0, 1695.0)}


@dataclass(frozen=True)
class Particles:
    """Particles that reach the tracker, [P].

    Args:
        event: index of the event in the block.
        pdg: what it is.
        origin: :data:`COSMIC`, :data:`CONVERSION` or :data:`BEAM`.
        leading: whether it is the one that the sample is about (an event has at most one).
        direction: :data:`DOWN`, :data:`UP`, or :data:`REFLECTED` (up, mirrored by the field, then down).
        split: a reflected one of which each way is a track of its own.
        p: momentum at the entrance of the tracker.
        pitch: |pz|/pT there.
        d0: smallest distance from the axis; ``side`` is -1 where the helix goes around the axis, else 1.
        phi: angle in the transverse plane at the entrance.
        t_mid: time at the middle of the tracker, on the way down for reflected ones.
        turn: time between the two crossings of the middle, for reflected ones.
        quality: how well it is measured, 0 to 1.
        n_active: hits.
        t0err: expected error of the time.
        lost: surface 0 to 2 that no fit is extrapolated to; -1 for none.
        unfitted: whether the electron fit fails.
    """

    event: Array
    pdg: Array
    origin: Array
    leading: Array
    direction: Array
    split: Array
    p: Array
    pitch: Array
    d0: Array
    side: Array
    phi: Array
    t_mid: Array
    turn: Array
    quality: Array
    n_active: Array
    t0err: Array
    lost: Array
    unfitted: Array

    def __len__(self) -> int:
        return len(self.event)

    @property
    def radius(self) -> Array:
        """Radius of the helix at the entrance."""
        return self.p / np.hypot(1.0, self.pitch) / (1e-3 * SPEED_OF_LIGHT * FIELD)

    @property
    def maxr(self) -> Array:
        """Largest distance from the axis."""
        return 2 * self.radius + self.side * self.d0


def axial_speed(pdg: Array, p: Array, pitch: Array) -> Array:
    """Return the speed along the axis in mm/ns."""
    mass = np.where(np.abs(pdg) == 11, MASSES[11], MASSES[13])
    return np.asarray(SPEED_OF_LIGHT * p / np.hypot(p, mass) * pitch / np.hypot(1.0, pitch))


def _choose(rng: np.random.Generator, n: int, *fractions: float) -> Array:
    """Draw 0, 1, … with the given fractions."""
    return np.searchsorted(np.cumsum(fractions)[:-1], rng.random(n), side="right").astype(np.int8)


def _quality(rng: np.random.Generator, n: int, good: float) -> Array:
    """Track quality before the fit: a peak below one and a broad rest."""
    peak = 0.985 - rng.exponential(0.055, n)
    rest = rng.beta(0.8, 2.2, n)
    return np.clip(np.where(rng.random(n) < good, peak, rest), 0.001, 0.999)


def _times(spec: ToySpec, rng: np.random.Generator, n: int, origin: int) -> Array:
    if not spec.on_spill:
        return rng.uniform(1500.0, 98_000.0, n)
    low, high = _TRIGGER_WINDOW["cosmic" if origin == COSMIC else "ce"]
    u = rng.random(n)
    if origin == COSMIC:
        return low + (high - low) * u
    first, last = np.exp(-low / _MUON_LIFETIME), np.exp(-high / _MUON_LIFETIME)
    return np.asarray(-_MUON_LIFETIME * np.log(first - u * (first - last)))


def _conversion(rng: np.random.Generator, n: int) -> dict[str, Array]:
    """Conversion electrons from the stopping target, that lost some energy in it and in the proton absorber."""
    loss = 0.55 + 0.31 * rng.gumbel(size=n) + np.where(rng.random(n) < 0.17, rng.exponential(4.2, n), 0.0)
    d0 = np.where(rng.random(n) < 0.012, 75 + rng.exponential(40, n), 88 * rng.beta(2.2, 1.6, n))
    side = np.where((rng.random(n) < 0.25) & (d0 < 60), 1, -1)
    pitch = 0.525 + rng.gamma(2.7, 0.092, n)
    pitch = np.where(rng.random(n) < 2e-3, rng.uniform(0.38, 0.55, n), pitch)
    return {
        "pdg": np.full(n, 11),
        "direction": _choose(rng, n, 0.9993, 2e-4, 5e-4),
        "p": np.maximum(CONVERSION_MOMENTUM - np.maximum(loss, 0.05), 45.0),
        "pitch": pitch,
        "d0": d0,
        "side": side,
        "quality": _quality(rng, n, 0.80),
        "n_active": np.rint(rng.normal(36.5, 8.2, n)),
        "t0err": 0.48 * np.exp(0.33 * rng.standard_normal(n)),
        "lost": np.where(rng.random(n) < 4e-4, rng.integers(0, 3, n), -1),
        "unfitted": rng.random(n) < 1.2e-3,
    }


def _cosmic(rng: np.random.Generator, n: int) -> dict[str, Array]:
    """Cosmic muons and the electrons that they make, from all sides: some three quarters do not point to the axis."""
    electron = rng.random(n) < 0.22
    pdg = np.where(electron, 11, np.where(rng.random(n) < 0.56, -13, 13))
    pdg = np.where(~electron & (rng.random(n) < 0.05), -11, pdg)
    ways = (_choose(rng, n, 0.42, 0.42, 0.16), _choose(rng, n, 0.70, 0.13, 0.17))
    z = rng.standard_normal((2, n))
    pitch = 0.93 * np.exp(0.465 * z[0])
    p = np.where(electron, 109.0, 125.0) * np.exp(np.where(electron, 0.21, 0.36) * z[1]) + rng.exponential(6, n)
    # Many hits come with large radius and small pitch, and with a well-measured time.
    hits = 47 + 9 * (z[1] - 0.5 * z[0]) + 7 * rng.standard_normal(n)
    return {
        "pdg": pdg,
        "direction": np.where(electron, ways[1], ways[0]),
        "p": np.clip(p, 45.0, 900.0),
        "pitch": pitch,
        "d0": 197 * rng.weibull(1.6, n),
        "side": np.where(rng.random(n) < 0.84, -1, 1),
        "quality": _quality(rng, n, 0.60),
        "n_active": np.rint(hits),
        "t0err": 0.47 * np.exp(0.43 * (0.8 * rng.standard_normal(n) - 0.6 * z[0])),
        "lost": np.where(rng.random(n) < 0.022, rng.integers(0, 3, n), -1),
        "unfitted": rng.random(n) < 0.035,
    }


def _beam(rng: np.random.Generator, n: int) -> dict[str, Array]:
    """Particles of the beam that are fitted too: below 81 MeV/c, hence outside the wide window, and with few hits."""
    electron = rng.random(n) < 0.7
    return {
        "pdg": np.where(electron, 11, np.where(rng.random(n) < 0.5, -11, 13)),
        "direction": _choose(rng, n, 0.75, 0.2, 0.05),
        "p": np.minimum(48 + rng.gamma(2.0, 7.0, n), 78 + 3 * rng.random(n)),
        "pitch": 0.35 + rng.gamma(3.0, 0.18, n),
        "d0": 90 * rng.weibull(1.4, n),
        "side": np.where(rng.random(n) < 0.8, -1, 1),
        "quality": _quality(rng, n, 0.25),
        "n_active": np.rint(rng.normal(23.0, 6.0, n)),
        "t0err": 0.8 * np.exp(0.4 * rng.standard_normal(n)),
        "lost": np.where(rng.random(n) < 0.05, rng.integers(0, 3, n), -1),
        "unfitted": rng.random(n) < 0.1,
    }


def _signal_like(columns: dict[str, Array], rng: np.random.Generator, forced: Array) -> dict[str, Array]:
    """Turn the particles where ``forced`` into single downstream electrons that the cuts are meant to keep."""
    n = len(forced)
    wanted = {
        "pdg": np.full(n, 11),
        "direction": np.full(n, DOWN),
        "p": 104.97 - 9 + rng.gamma(3.0, 3.0, n),
        "pitch": rng.uniform(0.62, 0.95, n),
        "d0": 85 * np.sqrt(rng.random(n)),
        "side": np.full(n, -1),
        "quality": rng.uniform(0.85, 0.98, n),
        "n_active": rng.integers(28, 60, n),
        "t0err": rng.uniform(0.3, 0.7, n),
        "lost": np.full(n, -1),
        "unfitted": np.zeros(n, bool),
    }
    return {name: np.where(forced, wanted[name], values) for name, values in columns.items()}


def _particles(
    spec: ToySpec, rng: np.random.Generator, event: Array, origin: int, columns: dict[str, Array]
) -> Particles:
    n = len(event)
    reflected = columns["direction"] == REFLECTED
    columns["pitch"] = np.where(reflected, np.maximum(columns["pitch"], 0.25), columns["pitch"])
    # A reflected particle leaves the tracker and turns upstream of it before it comes back.
    transit = (MID_Z - FRONT_Z) / axial_speed(columns["pdg"], columns["p"], columns["pitch"])
    turn = np.where(reflected, np.minimum(2 * transit + 5.0 + 35.0 * rng.random(n), 120.0), 0.0)
    return Particles(
        event=event,
        origin=np.full(n, origin, np.int8),
        leading=np.full(n, origin != BEAM),
        split=reflected & (rng.random(n) < 0.7),
        phi=rng.uniform(-np.pi, np.pi, n),
        t_mid=_times(spec, rng, n, origin),
        turn=turn,
        **{**columns, "n_active": np.clip(columns["n_active"], 11, 95)},
    )


def draw_particles(spec: ToySpec, rng: Generators) -> Particles:
    """Draw the particles of a block of events: one, sometimes none or two, and those of the beam with ``mix``."""
    n = EVENTS_PER_BLOCK
    cosmic = spec.sample == "cosmic"
    kinematics, choice = rng["kinematics"], rng["particles"]
    columns = _cosmic(kinematics, n) if cosmic else _conversion(kinematics, n)
    forced = choice.random(n) < spec.enriched
    columns = _signal_like(columns, kinematics, forced)
    origin = COSMIC if cosmic else CONVERSION
    first = _particles(spec, kinematics, np.arange(n), origin, columns)
    if spec.on_spill:
        t_mid = np.where(forced, 660 + 970 * choice.random(n), first.t_mid)
        first = _replace(first, t_mid=t_mid)
    # In a few events the trigger was right and no fit converged; in others a second particle came along.
    some = forced | (choice.random(n) >= (0.010 if cosmic else 1e-4))
    second = (choice.random(n) < (0.07 if cosmic else 0.002)) & some & ~forced
    parts = [_take(first, some), _second(first, second, kinematics)]
    if spec.mix:
        pileup = rng["pileup"]
        added = np.flatnonzero(pileup.random(n) < BEAM_PARTICLES[spec.sample])
        parts.append(_particles(spec, pileup, added, BEAM, _beam(pileup, len(added))))
    joined = {one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Particles)}
    order = np.argsort(joined["event"], kind="stable")
    return Particles(**{name: values[order] for name, values in joined.items()})


def _replace(particles: Particles, **columns: Array) -> Particles:
    return Particles(**{one.name: columns.get(one.name, getattr(particles, one.name)) for one in fields(Particles)})


def _take(particles: Particles, mask: Array) -> Particles:
    return _replace(particles, **{one.name: getattr(particles, one.name)[mask] for one in fields(Particles)})


def _second(first: Particles, mask: Array, rng: np.random.Generator) -> Particles:
    """Return the second particle of the events in ``mask``: one of the same shower, within some ns."""
    event = np.flatnonzero(mask)
    n = len(event)
    companions = _take(first, np.isin(np.arange(len(first)), rng.permutation(len(first))[:n]))
    return _replace(
        companions,
        event=event,
        leading=np.zeros(n, bool),
        direction=np.where(companions.direction == REFLECTED, DOWN, companions.direction),
        split=np.zeros(n, bool),
        turn=np.zeros(n),
        t_mid=first.t_mid[event] + rng.uniform(-4.0, 8.0, n),
    )
