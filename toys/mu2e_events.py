"""The events of a toy Mu2e sample, block by block: measurement and truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from .mu2e_crv import Coincidences, coincidence_branches, draw_coincidences
from .mu2e_fits import track_branches
from .mu2e_genealogy import genealogy_branch, primaries
from .mu2e_layout import jagged
from .mu2e_physics import BEAM, DOWN, Particles, draw_particles
from .mu2e_spec import EVENTS_PER_BLOCK, EVENTS_PER_SUBRUN, ToySpec, block_generators
from .mu2e_tracks import crossings, fits, trajectories

Array = npt.NDArray[Any]


def generate_arrays(spec: ToySpec, n: int | None = None) -> ak.Array:
    """Return the first ``n`` events (default: all) in memory, with the fields as a file has them.

    Flat ``run``, ``subrun``, ``event``; lists ``trk``, ``trkqual`` [E, T], ``trksegs``, ``trksegpars_lh`` [E, T, S],
    ``trkmcsim`` [E, T, M], ``trksegsmc`` [E, T, S'], ``crvcoincs``, ``crvcoincsmc`` [E, C].
    """
    return ak.concatenate([events for events, _ in blocks(spec, 0, spec.events if n is None else n)])


def generate_truth(spec: ToySpec, n: int | None = None) -> ak.Array:
    """Return the truth of the first ``n`` events (default: all), [E]; see :func:`event_truth` for the fields."""
    return ak.concatenate([truth for _, truth in blocks(spec, 0, spec.events if n is None else n, tracks=False)])


def blocks(spec: ToySpec, start: int, stop: int, *, tracks: bool = True) -> Iterator[tuple[ak.Array, ak.Array]]:
    """Yield (events, truth) of the events ``start`` to ``stop``, block by block; at least one, maybe empty, block."""
    first, last = start // EVENTS_PER_BLOCK, max(stop - 1, start) // EVENTS_PER_BLOCK
    for number in range(first, last + 1):
        offset = number * EVENTS_PER_BLOCK
        kept = slice(max(start - offset, 0), max(min(stop - offset, EVENTS_PER_BLOCK), 0))
        events, truth = _block(spec, number, tracks=tracks)
        yield events[kept], truth[kept]


def _block(spec: ToySpec, number: int, *, tracks: bool) -> tuple[ak.Array, ak.Array]:
    """Generate a whole block: the events (only their numbers without ``tracks``) and their truth."""
    rng = block_generators(spec, number)
    index = number * EVENTS_PER_BLOCK + np.arange(EVENTS_PER_BLOCK)
    branches = _event_branches(spec, index)
    particles = draw_particles(spec, rng)
    coincidences = draw_coincidences(spec, particles, rng)
    truth = event_truth(spec, particles, coincidences)
    if tracks:
        found = trajectories(particles)
        crossed = crossings(particles, found, rng["segments"])
        fitted = fits(particles, found, rng["fits"])
        origin = primaries(particles, rng["genealogy"])
        branches |= track_branches(spec, particles, found, crossed, fitted, rng)
        if not spec.data:
            branches["trkmcsim"] = genealogy_branch(particles, found, fitted, origin, rng)
        branches |= coincidence_branches(spec, coincidences, origin, particles, rng)
    return ak.zip(branches, depth_limit=1), truth


def _event_branches(spec: ToySpec, index: Array) -> dict[str, Any]:
    return {
        "run": np.full(len(index), spec.run, np.int32),
        "subrun": (index // EVENTS_PER_SUBRUN).astype(np.int32),
        "event": (index % EVENTS_PER_SUBRUN + 1).astype(np.int32),
    }


def event_truth(spec: ToySpec, particles: Particles, coincidences: Coincidences) -> ak.Array:
    """Return the truth of a block, [E]: of the leading particle, and of the coincidences around it.

    Fields:
        n_particles: that reach the tracker, those of the beam included; ``n_beam`` of these from the beam.
        has_leading: whether there is the particle that the sample is about; without it the values are nan, 0 or False.
        pdg, p, pitch, d0, maxr, t_mid, quality, n_active, t0err: of it, before any measurement.
        downstream: it goes down, once.
        fiducial: single electron on its way down, fitted, with all three surfaces and true values within all cuts of
            the tracker group (t0 640 to 1650 ns where on spill, t0err < 0.9 ns, more than 20 hits, d0 < 100 mm,
            0.5 < pitch < 1, maxr < 680 mm, quality > 0.2).
        cosmic_seen: the cosmic gave a coincidence, with a dT within (10, 145) ns.
        cosmic_dt, accidental_dt: t_mid minus time of each coincidence, ns, by origin.
    """
    n = EVENTS_PER_BLOCK
    n_particles = np.bincount(particles.event, minlength=n)
    leading = np.flatnonzero(particles.leading)
    event = particles.event[leading]
    values: dict[str, Any] = {
        "n_particles": n_particles,
        "n_beam": np.bincount(particles.event[particles.origin == BEAM], minlength=n),
        "has_leading": np.bincount(event, minlength=n) > 0,
        "pdg": np.zeros(n, np.int32),
    }
    values["pdg"][event] = particles.pdg[leading]
    for name in ("p", "pitch", "d0", "maxr", "t_mid", "quality", "n_active", "t0err"):
        values[name] = np.full(n, np.nan)
        values[name][event] = getattr(particles, name)[leading]
    down, whole = np.zeros(n, bool), np.zeros(n, bool)
    down[event] = particles.direction[leading] == DOWN
    whole[event] = (particles.lost[leading] < 0) & ~particles.unfitted[leading]
    values["downstream"] = down
    values["fiducial"] = down & whole & _in_acceptance(spec, values)
    values["cosmic_seen"] = coincidences.seen
    dt = coincidences.t_ref[coincidences.event] - coincidences.time
    for name, mask in (("cosmic_dt", coincidences.cosmic), ("accidental_dt", ~coincidences.cosmic)):
        counts = np.bincount(coincidences.event[mask], minlength=n)
        values[name] = ak.Array(jagged(ak.contents.NumpyArray(dt[mask]), counts))
    return ak.zip(values, depth_limit=1)


def _in_acceptance(spec: ToySpec, v: dict[str, Any]) -> Array:
    inside = (v["n_particles"] == 1) & (v["pdg"] == 11) & (v["t0err"] < 0.9) & (v["n_active"] > 20)
    inside &= (v["d0"] < 100) & (v["pitch"] > 0.5) & (v["pitch"] < 1) & (v["maxr"] < 680) & (v["quality"] > 0.2)
    if spec.on_spill:
        inside &= (v["t_mid"] > 640) & (v["t_mid"] < 1650)
    return np.asarray(inside)
