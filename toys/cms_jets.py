"""Jets of the CMS toy, at generator level and reconstructed. Momenta are in GeV."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .cms_btag_distortions import draw_discriminant
from .cms_detector import Collection, Pileup, collect, truncate
from .cms_jet_distortions import HOT_JETS, HOT_REGION, jet_resolution, raw_pt, residual, resolution_ratio
from .cms_physics import Truth

Array = npt.NDArray[Any]
Generator = np.random.Generator
MAXIMUM_PSEUDORAPIDITY = 4.7
# Mean number of softer jets per event: from the hard collision, and from each interaction of pile-up.
SOFT_JETS, PILEUP_JETS = 0.4, 0.03


class Jets(NamedTuple):
    """Reconstructed jets and generator jets of a block.

    Columns beyond those of NanoAOD: ``true_pt`` (of the particles, 0 for noise) and ``unscaled_pt`` (without the shift
    of the scale in pseudo-data).
    """

    reconstructed: Collection
    generated: Collection


def _seeds(truth: Truth, pileup: Pileup, rng: Generator) -> dict[str, Array]:
    """Event, pt, eta, phi and hadron flavour of: b quarks, the recoil of the hard system, softer jets."""
    beauty = np.flatnonzero(np.abs(truth.pdg_id) == 5)
    recoil_pt = np.hypot(*truth.recoil)
    hard = np.flatnonzero(recoil_pt > 18.0)
    soft = np.repeat(np.arange(truth.n_events), rng.poisson(SOFT_JETS + PILEUP_JETS * pileup.n_true))
    n = len(soft)
    recoil_phi = np.arctan2(truth.recoil[1, hard], truth.recoil[0, hard])
    pt = np.concatenate([truth.pt[beauty], recoil_pt[hard], 15.0 * rng.uniform(1e-6, 1.0, n) ** (-1 / 3.5)])
    eta = np.concatenate([truth.eta[beauty], 1.6 * rng.standard_normal(len(hard)), 2.2 * rng.standard_normal(n)])
    phi = np.concatenate([truth.phi[beauty], recoil_phi, rng.uniform(-np.pi, np.pi, n)])
    flavour = np.where(rng.random(len(hard) + n) < 0.06, 4, 0)
    return {
        "event": np.concatenate([truth.event[beauty], hard, soft]),
        "true_pt": pt,
        "eta": truncate(eta, 12),
        "phi": truncate(phi, 12),
        "flavour": np.concatenate([np.full(len(beauty), 5), flavour]),
        "soft": np.arange(len(pt)) >= len(beauty) + len(hard),
    }


def _noise(n_events: int, rng: Generator) -> dict[str, Array]:
    """Jets of pseudo-data that are no jets."""
    event = np.repeat(np.arange(n_events), rng.poisson(HOT_JETS, n_events))
    n = len(event)
    (eta_low, eta_high), (phi_low, phi_high) = HOT_REGION
    return {
        "event": event,
        "pt": 25.0 + rng.exponential(20.0, n),
        "eta": truncate(rng.uniform(eta_low + 0.01, eta_high - 0.01, n), 12),
        "phi": truncate(rng.uniform(phi_low + 0.01, phi_high - 0.01, n), 12),
        "flavour": np.zeros(n, int),
        "true_pt": np.zeros(n),
    }


def _generated(n_events: int, seeds: dict[str, Array], real: Array) -> tuple[Collection, Array]:
    """Return the generator jets, and the position in its event of that of each seed (-1 without), [seeds]."""
    chosen = np.flatnonzero(real & (seeds["true_pt"] > 8.0))
    pt, flavour = seeds["true_pt"][chosen], seeds["flavour"][chosen]
    columns = {
        "pt": truncate(pt, 12),
        "eta": seeds["eta"][chosen],
        "phi": seeds["phi"][chosen],
        "mass": truncate(0.14 * pt, 6),
        "partonFlavour": np.where(flavour == 0, 21, flavour).astype(np.int32),
        "hadronFlavour": flavour.astype(np.uint8),
        "seed": chosen,
    }
    jets = collect(n_events, seeds["event"][chosen], pt, columns)
    starts = np.cumsum(jets.counts) - jets.counts
    position = np.full(len(real), -1)
    position[jets.columns["seed"]] = np.arange(len(chosen)) - np.repeat(starts, jets.counts)
    return jets, position


def _composition(n: int, rng: Generator) -> dict[str, Array]:
    """Fractions of the energy, and the leptons in a jet: leptons are never in jets of the toy."""
    charged = np.clip(0.58 + 0.14 * rng.standard_normal(n, dtype=np.float32), 0.05, 0.95)
    return {
        "chHEF": truncate(charged, 5),
        "neEmEF": truncate(0.72 * (0.99 - charged), 5),
        "neHEF": truncate(0.28 * (0.99 - charged), 5),
        "chEmEF": np.full(n, 0.01, np.float32),
        "muEF": np.zeros(n, np.float32),
        "muonSubtrFactor": np.zeros(n, np.float32),
        **{name: np.full(n, -1, np.int32) for name in ("muonIdx1", "muonIdx2", "electronIdx1", "electronIdx2")},
        "nMuons": np.zeros(n, np.int32),
        "nElectrons": np.zeros(n, np.int32),
    }


def _columns(jets: dict[str, Array], rho: Array, rng: Generator, extra: Generator, *, data: bool) -> dict[str, Array]:
    """Return the NanoAOD columns of reconstructed jets."""
    pt, eta, flavour, n = truncate(jets["pt"], 10), jets["eta"], jets["flavour"], len(jets["pt"])
    uniform = rng.random(n, dtype=np.float32)
    tag = draw_discriminant(uniform, flavour, jets["unscaled_pt"], data=data)
    tight = rng.random(n, dtype=np.float32) < 0.98
    mass = truncate(pt * (0.08 + 0.12 * rng.random(n, dtype=np.float32)), 10)
    identified = (pt > 50.0) | (rng.random(n, dtype=np.float32) < 0.9)
    area = truncate(0.5 + 0.02 * rng.standard_normal(n, dtype=np.float32), 6)
    return {
        "pt": pt,
        "eta": eta,
        "phi": jets["phi"],
        "mass": mass,
        "jetId": np.where(tight, 6, 0).astype(np.int32),
        "puId": np.where(identified, 7, 0).astype(np.int32),
        "btagDeepFlavB": truncate(np.where(np.abs(eta) < 2.5, tag, -1.0), 10),
        "area": area,
        "rawFactor": truncate(1.0 - raw_pt(pt, eta, area, rho[jets["event"]]) / pt, 16),
        "hadronFlavour": flavour.astype(np.int32),
        "partonFlavour": np.where(flavour == 0, 21, flavour).astype(np.int32),
        "genJetIdx": jets["position"].astype(np.int32),
        "true_pt": jets["true_pt"],
        "unscaled_pt": jets["unscaled_pt"],
        **_composition(n, extra),
    }


def reconstruct_jets(truth: Truth, pileup: Pileup, rho: Array, rng: tuple[Generator, Generator], *, data: bool) -> Jets:
    """Reconstruct jets above 15 GeV, in order of pt, with a resolution of 10 to 20 %; leptons are not among them.

    Pseudo-data have a worse resolution, a lower scale and noise: :mod:`.cms_jet_distortions`. ``rho`` is [events].
    """
    main, extra = rng
    seeds = _seeds(truth, pileup, main)
    mean = PILEUP_JETS * pileup.n_true[seeds["event"]]
    from_pileup = seeds["soft"] & (extra.random(len(mean)) < mean / (SOFT_JETS + mean))
    generated, seeds["position"] = _generated(truth.n_events, seeds, ~from_pileup)
    true_pt, eta = seeds["true_pt"], seeds["eta"]
    width = jet_resolution(true_pt) * (resolution_ratio(eta) if data else 1.0)
    seeds["unscaled_pt"] = true_pt * np.clip(
        1.0 + width * main.standard_normal(len(true_pt), dtype=np.float32), 0.3, 2.5
    )
    seeds["pt"] = seeds["unscaled_pt"] / (residual(eta) if data else 1.0)
    kept = (seeds["pt"] > 15.0) & (np.abs(eta) < MAXIMUM_PSEUDORAPIDITY)
    jets = {name: column[kept] for name, column in seeds.items()}
    if data:
        noise = _noise(truth.n_events, extra)
        noise |= {"unscaled_pt": noise["pt"], "position": np.full(len(noise["pt"]), -1)}
        jets = {name: np.concatenate([jets[name], column]) for name, column in noise.items()}
    columns = _columns(jets, rho, main, extra, data=data)
    return Jets(collect(truth.n_events, jets["event"], jets["pt"], columns), generated)
