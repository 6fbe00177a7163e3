"""Cosmic ray veto of toy Mu2e events: coincidences of cosmics with a known loss, and of the beam with a known rate.

[E] counts events, [C] coincidences, flat and sorted by event. Both kinds share one geometry and one calibration and
overlap in every quantity, so that only physics can tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_genealogy import PRODUCTION_Y
from .mu2e_layout import Content, coarse, jagged, record, vector
from .mu2e_physics import COSMIC, Generators, Particles
from .mu2e_spec import ACCIDENTAL_RANGE, EVENTS_PER_BLOCK, PHYSICAL_DT, ToySpec

Array = npt.NDArray[Any]

# Sector type: centre x, y, z, half sizes; one half size is nothing, that is the thickness.
_SECTORS = np.array(
    [
        (2600, 200, -3500, 0, 2200, 5500),  # right
        (-2600, 200, -3500, 0, 2200, 5500),  # left
        (0, 2650, -3000, 2800, 0, 6000),  # top, downstream
        (0, 2650, -11000, 2800, 0, 2500),  # top, at the transport solenoid
        (0, 500, 8200, 2400, 2000, 0),  # downstream
        (-3000, 1500, -13000, 1500, 1500, 0),  # upstream
    ],
    float,
)
_COSMIC_SECTORS = (0.17, 0.15, 0.55, 0.07, 0.03, 0.03)
_BEAM_SECTORS = (0.24, 0.20, 0.25, 0.16, 0.07, 0.08)


@dataclass(frozen=True)
class Coincidences:
    """What there is before the measurement: time and origin of the coincidences [C], and truth of the events [E].

    Args:
        event: index in the block, sorted.
        time: mean time of the hits, ns.
        cosmic: whether a cosmic made it, not the beam.
        seen: [E] whether the cosmic of the event gave a coincidence.
        t_ref: [E] time of the cosmic's (or else the electron's) particle at the middle of the tracker.
    """

    event: Array
    time: Array
    cosmic: Array
    seen: Array
    t_ref: Array


def _physical_dt(rng: np.random.Generator, n: int) -> Array:
    """Draw mid-tracker minus coincidence time: a peak around 44 ns, and a tail to 120 ns."""
    dt = 12 + rng.gamma(6.5, 5.8, n) + np.where(rng.random(n) < 0.2, rng.exponential(16, n), 0.0)
    return np.where(dt > 132, rng.uniform(20, 132, n), dt)


def draw_coincidences(spec: ToySpec, particles: Particles, rng: Generators) -> Coincidences:
    """Draw the coincidences of a block: those of the cosmic, unless it is missed, and those of the beam."""
    n, draw = EVENTS_PER_BLOCK, rng["crv"]
    low, high = (440.0, 1700.0) if spec.on_spill else (1500.0, 98_000.0)
    t_ref, turn = draw.uniform(low, high, n), np.zeros(n)
    leading = np.flatnonzero(particles.leading)
    t_ref[particles.event[leading]] = particles.t_mid[leading]
    turn[particles.event[leading]] = particles.turn[leading]
    dt = _physical_dt(draw, n) + turn
    dt = np.where(dt > PHYSICAL_DT[1], PHYSICAL_DT[1] - 15 * draw.random(n), dt)
    seen = draw.random(n) >= spec.inefficiency
    further = np.searchsorted([0.55, 0.88], draw.random(n), side="right")
    if spec.sample != "cosmic":
        seen = np.zeros(n, bool)
    counts = np.where(seen, 1 + further, 0)
    event = np.repeat(np.arange(n), counts)
    first = np.concatenate([[True], event[1:] != event[:-1]]) if len(event) else np.zeros(0, bool)
    # The first is in time by construction, the others are near it: shower, or the way out.
    offset = np.where(first, 0.0, np.clip(draw.normal(4, 14, len(event)), -50, 70))
    time = t_ref[event] - dt[event] + offset
    beam_event, beam_time = _accidental(spec, rng)
    event, time = np.concatenate([event, beam_event]), np.concatenate([time, beam_time])
    cosmic = np.arange(len(event)) < len(event) - len(beam_event)
    order = np.lexsort((rng["crv_mc"].random(len(event)), event))
    return Coincidences(event[order], time[order], cosmic[order], seen, t_ref)


def _accidental(spec: ToySpec, rng: Generators) -> tuple[Array, Array]:
    """Return event and time of the beam's coincidences: independent, at a constant rate."""
    draw, (low, high) = rng["accidental"], ACCIDENTAL_RANGE
    counts = draw.poisson(spec.accidental_rate * (high - low), EVENTS_PER_BLOCK)
    event = np.repeat(np.arange(EVENTS_PER_BLOCK), counts)
    return event, draw.uniform(low, high, len(event))


def coincidence_branches(
    spec: ToySpec, coincidences: Coincidences, origin: dict[str, Array], particles: Particles, rng: Generators
) -> dict[str, ak.Array]:
    """Return ``crvcoincs`` and, in simulation, ``crvcoincsmc``, aligned [E, C]."""
    draw = rng["crv_mc"]
    counts = np.bincount(coincidences.event, minlength=EVENTS_PER_BLOCK)
    position = _positions(coincidences.cosmic, draw)
    branches = {"crvcoincs": jagged(_measured(coincidences, position, draw), counts)}
    if not spec.data:
        true = _true(coincidences, position, origin, particles, draw)
        branches["crvcoincsmc"] = jagged(true, counts)
    return {name: ak.Array(content) for name, content in branches.items()}


def _positions(cosmic: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Return the sector and position, [C]; the beam's coincidences are nearer to the target and to the dump."""
    n = len(cosmic)
    u = rng.random(n)
    sector = np.where(
        cosmic,
        np.searchsorted(np.cumsum(_COSMIC_SECTORS)[:-1], u, side="right"),
        np.searchsorted(np.cumsum(_BEAM_SECTORS)[:-1], u, side="right"),
    )
    place = rng.uniform(-1, 1, (3, n))
    # Towards the ends along z for the beam, towards the middle for cosmics.
    place[2] = np.where(
        cosmic, 0.55 * (place[2] + rng.uniform(-0.8, 0.8, n)), np.sign(place[2]) * np.abs(place[2]) ** 0.6
    )
    x, y, z = (_SECTORS[sector, axis] + _SECTORS[sector, 3 + axis] * place[axis] for axis in range(3))
    return {"sector": sector + 1, "x": x, "y": y, "z": z}


def _measured(coincidences: Coincidences, position: dict[str, Array], rng: np.random.Generator) -> Content:
    cosmic = coincidences.cosmic
    n = len(cosmic)
    layers = np.where(rng.random(n) < np.where(cosmic, 0.84, 0.30), 4, 3)
    pes = np.exp(np.where(cosmic, 5.60, 4.55) + np.where(cosmic, 0.42, 0.60) * rng.standard_normal(n))
    hits = np.maximum(layers * 2, np.rint(pes / rng.normal(18, 3, n).clip(9))).astype(int)
    angle = np.where(cosmic, 0.55, 1.2) * rng.standard_normal(n)
    special = rng.random(n)
    angle = np.select([special < 0.004, special < 0.012], [-999.0, np.inf], angle)
    along = rng.random(n) < 0.93
    before, after = 1.5 + rng.exponential(7, n), 2.5 + rng.exponential(9, n)
    # Some have a late pulse.
    after = after + np.where(rng.random(n) < 0.2, rng.exponential(150, n), 0.0)
    axis = _SECTORS[position["sector"] - 1, 2]
    z = np.where(
        along, position["z"] + 60 * rng.standard_normal(n), np.round(axis + 830 * ((position["z"] - axis) // 830))
    )
    return record(
        {
            "sectorType": position["sector"].astype(np.int32),
            "hitPosAndTimeCalculated": along,
            "pos": vector(coarse(position["x"], 14), coarse(position["y"], 14), z),
            "timeStart": (coincidences.time - before).astype(np.float32),
            "timeEnd": (coincidences.time + after).astype(np.float32),
            "time": coincidences.time.astype(np.float32),
            "PEs": pes.astype(np.float32),
            **_parts(pes, layers, hits, coincidences.time, rng),
            "nHits": hits.astype(np.int32),
            "nLayers": layers.astype(np.int32),
            "angle": angle.astype(np.float32),
        }
    )


def _parts(pes: Array, layers: Array, hits: Array, time: Array, rng: np.random.Generator) -> dict[str, Content]:
    """Return what each layer and each side of the counters saw, as arrays of fixed length."""
    n = len(pes)
    share = rng.gamma(4.0, 1.0, (n, 4)) * (np.arange(4) < layers[:, None])
    layer = pes[:, None] * share / share.sum(axis=1, keepdims=True)
    left = rng.uniform(0.35, 0.65, n)
    sides = np.stack([left, 1 - left], axis=1)
    of_layer = (layer[:, :, None] * sides[:, None, :]).reshape(n, 8)
    pulses = np.stack([hits // 2, hits - hits // 2], axis=1)
    times = time[:, None] + np.stack([-4 * left, 4 * left - 4], axis=1)
    values = {"PEsPerLayer": layer, "sidePEsPerLayer": of_layer, "sidePulses": pulses}
    values |= {"sidePEs": pes[:, None] * sides, "sideTimes": times}
    return {
        name: _fixed(array.astype(np.int32) if name == "sidePulses" else coarse(array))
        for name, array in values.items()
    }


def _fixed(array: Array) -> Content:
    """Return lists of one length, which ROOT has as ``std::array``."""
    flat = ak.contents.NumpyArray(np.ascontiguousarray(array).reshape(-1))
    return ak.contents.RegularArray(flat, array.shape[1], zeros_length=len(array))


def _true(
    coincidences: Coincidences,
    position: dict[str, Array],
    origin: dict[str, Array],
    particles: Particles,
    rng: np.random.Generator,
) -> Content:
    cosmic, event = coincidences.cosmic, coincidences.event
    n = len(cosmic)
    # The cosmic of an event without particles in the tracker started somewhere too.
    height = np.where(cosmic, PRODUCTION_Y, rng.normal(0, 600, n))
    drawn = {"pdg": np.where(rng.random(n) < 0.56, -13, 13), "p": 1500.0 * rng.random(n) ** (-1 / 1.7)}
    drawn |= {"x": position["x"] + rng.normal(0, 1500, n), "z": position["z"] + rng.normal(0, 1500, n)}
    leading = np.full(EVENTS_PER_BLOCK, -1)
    which = np.flatnonzero(particles.leading & (particles.origin == COSMIC))
    leading[particles.event[which]] = which
    known = cosmic & (leading[event] >= 0)
    primary = {
        name: np.where(known, origin[name][leading[event]], values) if len(origin[name]) else values
        for name, values in drawn.items()
    }
    beam = np.where(rng.random(n) < 0.57, 22, 2112)
    pdg = np.where(cosmic, primary["pdg"], beam)
    energy = np.where(cosmic, primary["p"], rng.exponential(12, n) + 0.5)
    start = vector(coarse(primary["x"]), height, coarse(primary["z"]))
    hit = vector(position["x"], position["y"], position["z"])
    leaves: dict[str, Array | Content] = {
        "valid": rng.random(n) < 0.995,
        "pdgId": np.where(cosmic & (rng.random(n) < 0.9), pdg, 11).astype(np.int32),
        "primaryPdgId": pdg.astype(np.int32),
        "primaryE": energy.astype(np.float32),
        "primary": start,
    }
    for name in ("parent", "gparent"):
        leaves |= {f"{name}PdgId": pdg.astype(np.int32), f"{name}E": energy.astype(np.float32), name: start}
    leaves |= {"pos": hit, "time": (coincidences.time - 8).astype(np.float32)}
    return record(leaves | {"depositedEnergy": coarse(np.where(cosmic, 8.0, 4.0) * rng.gamma(3, 0.4, n))})
