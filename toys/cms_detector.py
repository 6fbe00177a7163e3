"""A parametrised CMS detector for the toys: muons, trigger, electrons, jets, missing momentum and pile-up.

Efficiencies and resolutions are simple functions of the size that CMS publishes (muons: JINST 13 (2018) P06015;
trigger: JINST 16 (2021) P07001). Pseudo-data pass the same functions times the scale factors of
:mod:`.cms_distortions`, which are functions of the undistorted pt, so that the correction files close exactly.
Momenta are in GeV, lengths in cm. Every muon quantity that selections use is drawn before the momentum is distorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cms_distortions import distort_pt, pileup_profile, resolution_excess, scale_factor
from .cms_electron_distortions import (
    EFFICIENCIES,
    GRADES,
    SCALE_UNCERTAINTY,
    SMEARING_UNCERTAINTY,
    reconstruction_factor,
)
from .cms_electron_distortions import scale_factor as electron_factor
from .cms_physics import Truth

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Generator = np.random.Generator

ISO_WORKING_POINT = 0.15  # pfRelIso04_all, "tight"
_PF_ISO_EDGES = np.array([0.05, 0.10, 0.15, 0.20, 0.25, 0.40])  # pfIsoId 6, 5, 4, 3, 2, 1
MUON_MASS = np.float32(0.10571289)  # as rounded by NanoAOD


@dataclass(frozen=True)
class Pileup:
    """Pile-up of a block of events: true mean, interactions and reconstructed vertices, each [events]."""

    n_true: Floats
    n_pu: Array
    npvs: Array


@dataclass(frozen=True)
class Collection:
    """Objects of a block of events: ``counts`` [events] and flat ``columns`` [objects], ordered by event."""

    counts: Array
    columns: Mapping[str, Array]

    def event(self) -> Array:
        """Event number of each object, [objects]."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def truncate(values: Array, bits: int) -> Floats:
    """Round to ``bits`` bits of mantissa in float32, as NanoAOD does to make its files small."""
    shift = 23 - bits
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (raw + np.uint32(1 << (shift - 1))) & np.uint32(~((1 << shift) - 1) & 0xFFFFFFFF)
    return rounded.view(np.float32)


def collect(n_events: int, event: Array, pt: Array, columns: Mapping[str, Array]) -> Collection:
    """Order objects by event and falling ``pt`` and count them."""
    order = np.argsort(event - np.minimum(pt, 9e3) * 1e-4, kind="stable")
    counts = np.bincount(event, minlength=n_events).astype(np.int32)
    return Collection(counts, {name: column[order] for name, column in columns.items()})


def draw_pileup(rng: Generator, n: int, *, data: bool) -> Pileup:
    """Draw the pile-up of ``n`` events from the profile of data or simulation."""
    cumulative = np.cumsum(pileup_profile("data" if data else "mc"))
    n_true = np.minimum(np.searchsorted(cumulative, rng.random(n), side="right"), 98)
    interactions = rng.poisson(n_true).astype(np.int32)
    npvs = (1 + rng.poisson(0.75 * n_true)).astype(np.int32)
    return Pileup(n_true.astype(np.float32), interactions, npvs)


def identification_efficiency(eta: Array, prompt: Array) -> Array:
    """Probability that a reconstructed muon passes ``tightId`` in simulation, [muons]."""
    return np.where(np.abs(eta) < 1.2, 0.975, 0.960) * np.where(prompt, 1.0, 0.6)


def isolation_efficiency(pt: Array, n_true: Array, prompt: Array) -> Array:
    """Probability that a muon has ``pfRelIso04_all < 0.15`` in simulation; falls with pile-up, [muons]."""
    efficiency = 0.985 - 0.12 * np.exp(-pt / 15.0) - 0.0008 * (n_true - 32.0)
    return np.where(prompt, np.clip(efficiency, 0.5, 0.995), 0.12)


def trigger_efficiency(pt: Array, eta: Array, tight: Array, isolated: Array) -> Array:
    """Probability that a muon fires its leg of ``HLT_IsoMu24`` in simulation: a turn-on at 24 GeV, [muons]."""
    plateau = np.where(np.abs(eta) < 0.9, 0.94, np.where(np.abs(eta) < 1.2, 0.90, 0.86))
    turn_on = 1.0 / (1.0 + np.exp(np.clip((24.0 - pt) / 0.5, -50.0, 50.0)))
    return plateau * turn_on * np.where(tight, 1.0, 0.4) * np.where(isolated, 1.0, 0.2)


def draw_isolation(rng: Generator, passes: Array, efficiency: Array) -> Floats:
    """Draw relative isolations on the side of 0.15 that ``passes`` says, [muons].

    One continuous distribution: up to a tenth of it at zero and a falling power law whose scale gives ``efficiency``.
    """
    uniform = rng.random(len(passes))
    quantile = np.where(passes, uniform * efficiency, efficiency + uniform * (1.0 - efficiency))
    above_zero = 1.0 - np.minimum(0.1, efficiency / 2.0)
    scale = ISO_WORKING_POINT / (((1.0 - efficiency) / above_zero) ** (-1 / 3) - 1.0)
    value = scale * (np.minimum((1.0 - quantile) / above_zero, 1.0) ** (-1 / 3) - 1.0)
    limit = np.nextafter(np.float32(ISO_WORKING_POINT), np.float32(0))
    value = np.minimum(value, 50.0).astype(np.float32)
    sides = np.minimum(value, limit), np.maximum(value, np.float32(ISO_WORKING_POINT))
    return np.where(passes, *sides).astype(np.float32)


def _candidates(truth: Truth, rng: Generator, *, data: bool) -> dict[str, Array]:
    """Muons inside the acceptance with their true momenta: those of the hard process, then those from hadrons."""
    index = np.flatnonzero((np.abs(truth.pdg_id) == 13) & (np.abs(truth.eta) < 2.41) & (truth.pt > 2.5))
    extra = np.repeat(np.arange(truth.n_events), rng.poisson(truth.nonprompt))
    n = len(extra)
    from_tau = (truth.status_flags[index] & 1 << 2) != 0
    columns = {
        "event": (truth.event[index], extra),
        "pt": (truth.pt[index], 3.0 + rng.exponential(6.0, n)),
        "eta": (truth.eta[index], rng.uniform(-2.4, 2.4, n)),
        "phi": (truth.phi[index], rng.uniform(-np.pi, np.pi, n)),
        "charge": (-np.sign(truth.pdg_id[index]), 2 * rng.integers(0, 2, n) - 1),
        "prompt": (np.ones(len(index), bool), np.zeros(n, bool)),
        "genPartIdx": (truth.index_in_event()[index], np.full(n, -1)),
        "genPartFlav": (np.where(from_tau, 15, 1), np.where(rng.random(n) < 0.6, 5, 3)),
    }
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    efficiency = 0.99 * (scale_factor("reco", joined["eta"], joined["pt"]) if data else 1.0)
    kept = rng.random(len(index) + n) < efficiency  # track and muon reconstruction
    return {name: column[kept] for name, column in joined.items()}


def _smear(rng: Generator, muons: Mapping[str, Array], excess: Generator | None) -> dict[str, Array]:
    """Measured momenta: resolution of 1 % (barrel) to 2 % (endcap), worse at high pt; for 3 % three times that.

    In pseudo-data the generator ``excess`` adds :func:`.cms_distortions.resolution_excess`.
    """
    n = len(muons["pt"])
    width = (0.010 + 0.010 * (muons["eta"] / 2.4) ** 2) * np.sqrt(1.0 + (muons["pt"] / 400.0) ** 2)
    width *= np.where(rng.random(n, dtype=np.float32) < 0.03, 3.0, 1.0)
    pt = muons["pt"] / np.maximum(1.0 + width * rng.standard_normal(n), 0.2)
    if excess is not None:
        pt = pt * np.maximum(1.0 + resolution_excess(pt, muons["eta"]) * excess.standard_normal(n), 0.2)
    measured = dict(muons)
    measured["pt"], measured["true_pt"] = pt.astype(np.float32), muons["pt"]
    measured["eta"] = truncate(muons["eta"] + 5e-4 * rng.standard_normal(n), 12)
    measured["phi"] = truncate(np.clip(muons["phi"] + 3e-4 * rng.standard_normal(n), -3.1415, 3.1415), 12)
    return {name: column[pt > 3.0] for name, column in measured.items()}


def _impact(rng: Generator, prompt: Array) -> dict[str, Floats]:
    n = len(prompt)
    lifetime = np.where(prompt, 0.0, rng.exponential(0.03, n))
    dxy = 0.0025 * rng.standard_normal(n) + lifetime * rng.choice([-1.0, 1.0], n)
    dz = 0.0045 * rng.standard_normal(n) + lifetime
    ip3d = np.hypot(dxy, 0.5 * dz)
    return {
        "dxy": truncate(dxy, 10),
        "dz": truncate(dz, 10),
        "ip3d": truncate(ip3d, 10),
        "sip3d": truncate(ip3d / 0.0028, 10),
    }


def _identify(
    rng: Generator, muons: Mapping[str, Array], pileup: Pileup, *, data: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Identification and isolation columns, and the trigger legs, of muons with undistorted momenta."""
    pt, eta, prompt, n = muons["pt"].astype(float), muons["eta"], muons["prompt"], len(muons["pt"])
    factor = {kind: scale_factor(kind, eta, pt) if data else 1.0 for kind in ("id", "iso", "trigger")}
    tight = rng.random(n) < identification_efficiency(eta, prompt) * factor["id"]
    medium, loose = tight | (rng.random(n) < 0.6), rng.random(n) < 0.97
    is_global = tight | (rng.random(n) < 0.7)
    efficiency = isolation_efficiency(pt, pileup.n_true[muons["event"]], prompt) * factor["iso"]
    isolated = rng.random(n) < efficiency
    iso = draw_isolation(rng, isolated, efficiency)
    fires_iso = rng.random(n) < trigger_efficiency(pt, eta, tight, isolated) * factor["trigger"]
    fires_vvl = (rng.random(n) < 0.96) & (pt > 8.0) & (iso < 0.4)
    columns = {
        "pfRelIso04_all": iso,
        "pfRelIso03_all": np.float32(0.8) * iso,
        "tkRelIso": truncate(0.5 * iso, 10),
        "pfIsoId": (6 - np.searchsorted(_PF_ISO_EDGES, iso, side="right")).astype(np.uint8),
        "mediumId": medium,
        "mediumPromptId": medium & (prompt | (rng.random(n) < 0.3)),
        "tightId": tight,
        "highPtId": np.where(is_global, 2, 0).astype(np.uint8),
        "isGlobal": is_global,
        **dict.fromkeys(("looseId", "softId", "isTracker", "isPFcand"), medium | loose),
    }
    return columns, {"fires_iso": fires_iso, "fires_vvl": fires_vvl, "fires_17": fires_vvl & (pt > 17.0)}


def reconstruct_muons(truth: Truth, pileup: Pileup, rng: Generator, excess: Generator, *, data: bool) -> Collection:
    """Reconstruct the muons of a block, in order of the pt that the file shows.

    Columns are the NanoAOD ones, and ``fires_iso``, ``fires_vvl``, ``fires_17``: whether the muon fires its leg of
    ``HLT_IsoMu24``, the 8 GeV and the 17 GeV leg of the double-muon trigger. In pseudo-data the pt is distorted as the
    very last step, and its resolution is drawn from ``excess``.
    """
    muons = _smear(rng, _candidates(truth, rng, data=data), excess if data else None)
    quality, legs = _identify(rng, muons, pileup, data=data)
    eta, phi, charge, n = muons["eta"], muons["phi"], muons["charge"].astype(np.int32), len(muons["pt"])
    shown = muons["pt"]
    if data:
        shown = distort_pt(shown.astype(float), eta, phi, charge).astype(np.float32)
    columns = {
        "pt": shown,
        "eta": eta,
        "phi": phi,
        "mass": np.full(n, MUON_MASS),
        "charge": charge,
        "pdgId": -13 * charge,
        **_impact(rng, muons["prompt"]),
        **quality,
        "nTrackerLayers": np.minimum(6 + rng.binomial(11, 0.75, n), 17).astype(np.int32),
        "genPartIdx": muons["genPartIdx"].astype(np.int32),
        "genPartFlav": muons["genPartFlav"].astype(np.uint8),
        "jetIdx": np.full(n, -1, np.int32),
        "true_pt": muons["true_pt"],
        **legs,
    }
    return collect(truth.n_events, muons["event"], shown, columns)


def _energy_columns(pt: Array, eta: Array, quality: Generator, *, data: bool) -> dict[str, Array]:
    """Return what NanoAOD version 9 says of the energy: r9, gain, and corrected less shifted energy in GeV.

    Only simulation is smeared, so that its ``dEsigma`` alone differs from zero.
    """
    endcap, energy = np.abs(eta) > 1.479, pt * np.cosh(eta)
    scale = np.where(endcap, SCALE_UNCERTAINTY[1], SCALE_UNCERTAINTY[0]) * energy
    width = np.where(endcap, SMEARING_UNCERTAINTY[1], SMEARING_UNCERTAINTY[0]) * energy
    smearing = np.zeros(len(pt)) if data else width * quality.standard_normal(len(pt))
    shifts = {"dEscaleUp": -scale, "dEscaleDown": scale, "dEsigmaUp": -smearing, "dEsigmaDown": smearing}
    return {
        **{name: truncate(shift, 10) for name, shift in shifts.items()},
        "r9": truncate(np.clip(0.98 - quality.exponential(0.04, len(pt)), 0.2, 1.0), 10),
        "seedGain": np.where(energy > 300.0, 6, 12).astype(np.uint8),
    }


def reconstruct_electrons(truth: Truth, rng: Generator, quality: Generator, *, data: bool) -> Collection:
    """Reconstruct the prompt electrons of a block, in order of pt; their energies are corrected, as in Run 2.

    Pseudo-data pass reconstruction and identification with the scale factors of :mod:`.cms_electron_distortions`.
    """
    kept = (np.abs(truth.pdg_id) == 11) & (np.abs(truth.eta) < 2.5) & (truth.pt > 5.0)
    kept &= rng.random(len(kept)) < 0.95
    index = np.flatnonzero(kept)
    n = len(index)
    pt = (truth.pt[index] * np.maximum(1.0 + 0.02 * rng.standard_normal(n), 0.2)).astype(np.float32)
    eta = truncate(truth.eta[index] + 5e-4 * rng.standard_normal(n), 12)
    phi = truncate(np.clip(truth.phi[index] + 5e-4 * rng.standard_normal(n), -3.1415, 3.1415), 12)
    uniform = rng.random(n)
    impact = {name: column for name, column in _impact(rng, np.ones(n, bool)).items() if name != "ip3d"}
    isolation = rng.exponential(0.04, n).astype(np.float32)
    to_cluster = truncate(0.01 * rng.standard_normal(n), 10)
    factors = [electron_factor(point, eta + to_cluster, pt) if data else 1.0 for point in GRADES]
    passed = [uniform > 1.0 - size * factor for size, factor in zip(EFFICIENCIES, factors, strict=True)]
    grade = np.sum(passed, axis=0).astype(np.int32)
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "mass": truncate(np.full(n, 0.000511), 10),
        "charge": -np.sign(truth.pdg_id[index]).astype(np.int32),
        "pdgId": truth.pdg_id[index].astype(np.int32),
        **impact,
        "pfRelIso03_all": isolation,
        "cutBased": grade,
        "mvaFall17V2Iso_WP90": grade >= 2,
        "mvaFall17V2Iso_WP80": grade >= 3,
        "deltaEtaSC": to_cluster,
        "genPartIdx": truth.index_in_event()[index].astype(np.int32),
        "true_pt": truth.pt[index],
        "fires": (rng.random(n) < 0.92) & (pt > 32.0) & (grade >= 3),
        **_energy_columns(pt.astype(float), eta, quality, data=data),
        "fires_23": (quality.random(n) < 0.95) & (pt > 23.0) & (grade >= 2),
    }
    if data:
        found = quality.random(n) < reconstruction_factor(eta + to_cluster, pt)
        index, pt, columns = index[found], pt[found], {name: column[found] for name, column in columns.items()}
    return collect(truth.n_events, truth.event[index], pt, columns)
