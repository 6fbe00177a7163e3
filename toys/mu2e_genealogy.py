"""Who made the tracks of toy Mu2e events: ``trkmcsim``, the particles on a track with their ancestors.

For each trajectory [J] up to seven particles: the one that made it, its ancestors back to the generated particle,
sometimes a second one on the same hits (rank 1), and once more the primary of the event on its own.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_layout import Content, coarse, jagged, local_index, record, vector
from .mu2e_physics import BEAM, CONVERSION, COSMIC, Generators, Particles
from .mu2e_spec import EVENTS_PER_BLOCK
from .mu2e_tracks import Fits, Trajectories, gather

Array = npt.NDArray[Any]

PRODUCTION_Y = 15365.4
"""Height in mm at which cosmics start."""
COSMIC_GENERATOR = 38
EMPTY = 0.01
"""Probability that a track has no genealogy."""
# start codes of Offline: Compton, gamma conversion, decay, bremsstrahlung, ionisation (of electrons, of muons)
_START = {"compton": 12, "conversion": 13, "decay": 14, "brem": 16, "electron": 17, "muon": 31}
_PRIMARY, _ENDPOINT, _LEFT = 56, 167, 54
_SELF, _GAMMA, _PION, _ANCESTOR, _SECOND, _ALONE = range(6)


def primaries(particles: Particles, rng: np.random.Generator) -> dict[str, Array]:
    """Return the particle that each particle goes back to, [P]: pdg, momentum vector, start and time."""
    n = len(particles)
    cosmic = particles.origin == COSMIC
    muon = np.abs(particles.pdg) == 13
    pdg = np.where(rng.random(n) < 0.12, 2112, np.where(rng.random(n) < 0.56, -13, 13))
    pdg = np.where(muon, particles.pdg, pdg)
    p = np.where(cosmic, 1500.0 * rng.random(n) ** (-1 / 1.7), 40 + 30 * rng.random(n))
    tilt, phi = 0.35 * rng.random(n), rng.uniform(-np.pi, np.pi, n)
    x, z = rng.uniform(-5000, 5000, n), rng.uniform(-9000, 7000, n)
    return {
        "pdg": np.where(cosmic, pdg, np.where(particles.origin == CONVERSION, 13, 2112)),
        "p": p,
        "px": p * np.sin(tilt) * np.cos(phi),
        "py": np.where(cosmic, -1.0, 1.0) * p * np.cos(tilt),
        "pz": p * np.sin(tilt) * np.sin(phi),
        "x": np.where(cosmic, x, 0.02 * x),
        "y": np.where(cosmic, PRODUCTION_Y, 0.02 * x[::-1]),
        "z": np.where(cosmic, z, -4300 + 0.05 * z),
        "time": particles.t_mid - np.where(cosmic, 85.0, 12.0) - particles.turn,
    }


def genealogy_branch(
    particles: Particles,
    tracks: Trajectories,
    found: Fits,
    origin: dict[str, Array],
    rng: Generators,
) -> ak.Array:
    """Return ``trkmcsim`` of a block, [E, T, M], aligned with ``trk``."""
    draw = rng["genealogy"]
    listed = _listed(particles, tracks, draw)
    trajectory, slot = np.nonzero(listed)
    of = tracks.particle[trajectory]
    per_trajectory = listed.sum(axis=1)
    columns = _columns(particles, origin, of, slot, draw)
    columns["index"] = local_index(per_trajectory)
    # Every fit of a trajectory has the same genealogy; for some fits it was lost.
    present = draw.random(len(found.pdg)) >= EMPTY
    rows = np.where(present, found.trajectory, len(tracks.particle))
    counts, place = gather(np.append(per_trajectory, 0), rows)
    content = _content({name: values[place] for name, values in columns.items()})
    return ak.Array(jagged(content, counts, np.bincount(found.event, minlength=EVENTS_PER_BLOCK)))


def _listed(particles: Particles, tracks: Trajectories, rng: np.random.Generator) -> Array:
    """Return which of the six places each trajectory fills, [J, 6]."""
    of = tracks.particle
    n = len(of)
    cosmic, electron = particles.origin[of] == COSMIC, np.abs(particles.pdg[of]) == 11
    gamma = cosmic & electron & (rng.random(n) < 0.6)
    listed = np.zeros((n, 6), bool)
    listed[:, _SELF] = True
    listed[:, _GAMMA] = gamma
    listed[:, _PION] = gamma & (rng.random(n) < 0.2)
    # A muon from the sky is its own ancestor.
    listed[:, _ANCESTOR] = electron | ~cosmic
    listed[:, _SECOND] = rng.random(n) < np.where(cosmic, 0.15, 0.05)
    listed[:, _ALONE] = particles.origin[of] != BEAM
    return listed


def _columns(
    particles: Particles, origin: dict[str, Array], of: Array, slot: Array, rng: np.random.Generator
) -> dict[str, Array]:
    n = len(of)
    true, cosmic = particles.pdg[of], particles.origin[of] == COSMIC
    conversion = particles.origin[of] == CONVERSION
    own, second, first = slot == _SELF, slot == _SECOND, slot >= _ANCESTOR
    first &= ~second
    generated = (first | (own & cosmic & (np.abs(true) == 13))) & (cosmic | conversion)
    hits = np.where(own, particles.n_active[of] + 1, np.where(second, 3 + particles.n_active[of] // 6, -1))
    # Now and then both particles have the same number of hits.
    hits = np.where(second & (rng.random(n) < 0.02), particles.n_active[of] + 1, hits)
    made = rng.choice(list(_START.values()), n)
    start = np.where(own & conversion, _ENDPOINT, np.where(generated, _PRIMARY, made))
    # A conversion electron is the primary of its event.
    alone = (slot == _ALONE) & conversion
    start = np.where(alone, _ENDPOINT, start)
    pdg = np.select([own | alone, slot == _GAMMA, slot == _PION, second], [true, 22, 111, 11], origin["pdg"][of])
    primary = generated & ~conversion | alone | (own & conversion)
    columns = {
        "valid": np.ones(n, bool),
        "id": np.where(first, 0, np.where(second, 9, 4 - slot)),
        "nhits": hits,
        "nactive": np.where(hits < 0, -1, np.maximum(hits - 1, 0)),
        "rank": np.where(own, 0, np.where(second, 1, -1)),
        "pdg": pdg,
        "startCode": start,
        "stopCode": np.where(first, _LEFT, 17),
        "gen": np.where(generated & cosmic, COSMIC_GENERATOR, -1),
        "_primary": primary,
        "_alone": slot == _ALONE,
        "_own": own,
        "_depth": np.select([own, slot == _GAMMA, slot == _PION], [0, 1, 2], 3),
    }
    return columns | _kinematics(particles, origin, of, slot, columns, rng)


def _kinematics(
    particles: Particles,
    origin: dict[str, Array],
    of: Array,
    slot: Array,
    columns: dict[str, Array],
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return where and with what momentum each particle starts: the generated one far away, the others upstream."""
    n = len(of)
    far = (slot == _ANCESTOR) | ((slot == _ALONE) & (particles.origin[of] == COSMIC))
    far |= columns["gen"] > 0
    p = np.select(
        [slot == _SELF, slot == _SECOND], [particles.p[of] + 0.55, 2 + rng.exponential(3, n)], particles.p[of]
    )
    p = np.where(columns["pdg"] == 22, 1.2 * p + 5, p) + np.where(columns["pdg"] == 111, 400.0, 0.0)
    p = np.where((slot == _ALONE) & ~far, particles.p[of] + 0.55, p)
    scale = p / np.hypot(1.0, particles.pitch[of])
    phi = particles.phi[of]
    near = {
        "px": scale * np.cos(phi),
        "py": scale * np.sin(phi),
        "pz": scale * particles.pitch[of],
        "x": 70 * np.cos(3 * phi),
        "y": 70 * np.sin(3 * phi),
        "z": -4300 + 300 * np.cos(5 * phi),
        "time": particles.t_mid[of] - 27.0 - particles.turn[of],
    }
    return {name: np.where(far, origin[name][of], values) for name, values in near.items()}


def _content(columns: dict[str, Array]) -> Content:
    integers = ("id", "nhits", "nactive", "rank", "pdg", "startCode", "stopCode", "gen")
    leaves: dict[str, Array | Content] = {"valid": columns["valid"]}
    leaves |= {name: columns[name].astype(np.int32) for name in integers}
    leaves |= {"time": columns["time"].astype(np.float32), "index": columns["index"].astype(np.int32)}
    mom = [columns[name] for name in ("px", "py", "pz")]
    pos = [columns[name] for name in ("x", "y", "z")]
    stopped = np.zeros(len(mom[0]))
    leaves |= {"mom": vector(*mom), "pos": vector(*pos), "endmom": vector(stopped, stopped, stopped)}
    leaves["endpos"] = vector(coarse(pos[0]), coarse(0.05 * pos[1]), coarse(pos[2]))
    # Relations: 0 same, 2 mother, 5 mother further up, -1 none.
    primary, alone, own = columns["_primary"], columns["_alone"], columns["_own"]
    depth = columns["_depth"]
    ancestor = (columns["rank"] < 0) & ~alone
    related = np.select([own, ancestor & (depth == 1), ancestor], [0, 2, 5], -1)
    leaves["prirel"] = _relation(np.where(primary, 0, -1), np.where(primary, 0, -1))
    leaves["trkrel"] = _relation(related, np.select([own, ancestor], [0, depth], -1))
    return record(leaves)


def _relation(relation: Array, removed: Array) -> Content:
    return record({"_rel": relation.astype(np.int8), "_rem": removed.astype(np.int8)})
