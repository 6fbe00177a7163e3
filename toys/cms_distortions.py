"""What is wrong with the pseudo-data of the CMS toys, and the correctionlib files that put it right again.

Known differences to simulation: muon momentum scale and resolution, muon efficiencies, pile-up profile, and luminosity
blocks that are not certified; those of jets are in :mod:`.cms_jet_distortions`, of electrons in
:mod:`.cms_electron_distortions`, of b tagging in :mod:`.cms_btag_distortions`. File layouts follow the Muon POG and the
LUM POG (https://gitlab.cern.ch/cms-nanoAOD/jsonpog-integration: ``POG/MUO/2018_UL/muon_Z``,
``POG/MUO/2022_Summer22EE/muon_scalesmearing``, ``POG/LUM/2018_UL/puWeights``). Names, inputs and category keys are the
same, so that code which reads these files reads the real ones.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .cms_payload_nodes import binning, categories, correction, formula, inputs
from .cms_payloads_btv import btagging_set, efficiency_set
from .cms_payloads_egm import electron_set
from .cms_payloads_jme import jet_energy_set, jet_veto_set, met_set
from .storage import write_atomically

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Efficiency = Literal["reco", "id", "iso", "trigger"]

# Momentum scale: pt_true = 1 / (m / pt_data + charge * a), m and a in bins of eta and phi (the Run 3 formula).
SCALE_ETA_EDGES = (-2.4, -2.1, -1.85, -0.4, 0.0, 0.4, 1.85, 2.1, 2.4)
SCALE_PHI_EDGES = tuple(round(-3.2 + 0.4 * i, 1) for i in range(17))
_ETA_BIN, _PHI_BIN = np.meshgrid(np.arange(8), np.arange(16), indexing="ij")
SCALE_M = np.round(1.010 + 0.003 * np.cos(1.3 * _ETA_BIN) + 0.004 * np.sin(2 * np.pi * _PHI_BIN / 16), 6)
SCALE_A = np.round(1.5e-4 * np.sin(0.8 * _ETA_BIN + 2 * np.pi * _PHI_BIN / 16) + 5e-5, 9)

# Momentum resolution: sigma(pt) is a polynomial in bins of |eta|, the strengths k are relative to it (Run 3 recipe).
RESOLUTION_ETA_EDGES = (0.0, 0.9, 1.2, 1.6, 2.0, 2.4)
RESOLUTION = ((0.011, 1e-5), (0.013, 1e-5), (0.014, 2e-5), (0.017, 2e-5), (0.020, 3e-5))
"""Constant and slope (per GeV) of the relative resolution, per bin of |eta|."""
STRENGTH_MC, STRENGTH_DATA = (0.98, 0.99, 1.00, 1.01, 1.02), (1.15, 1.18, 1.22, 1.28, 1.35)
CRYSTAL_BALL = (0.0, 1.0, 10.0, 4.0)
"""Mean, width, exponent and start of the tails, in widths: a normal distribution up to some 10^-4."""

# Scale factors data/simulation in bins of |eta| and pt, all between 0.93 and 0.99.
SF_ETA_EDGES = (0.0, 0.9, 1.2, 2.1, 2.4)
SF_PT_EDGES: dict[Efficiency, tuple[float, ...]] = {
    "reco": (2.0, math.inf),
    "id": (15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 120.0, math.inf),
    "iso": (15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 120.0, math.inf),
    "trigger": (26.0, 30.0, 40.0, 50.0, 60.0, 120.0, 200.0, math.inf),
}
SF_NAMES: dict[Efficiency, str] = {
    "reco": "NUM_TrackerMuons_DEN_genTracks",
    "id": "NUM_TightID_DEN_TrackerMuons",
    "iso": "NUM_TightRelIso_DEN_TightIDandIPCut",
    "trigger": "NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight",
}
_SF_START: dict[Efficiency, tuple[float, float]] = {
    "reco": (0.990, 0.0),
    "id": (0.965, 0.020),
    "iso": (0.950, 0.035),
    "trigger": (0.940, 0.030),
}
_SF_UNCERTAINTY: dict[Efficiency, tuple[float, float]] = {
    "reco": (0.0005, 0.0010),
    "id": (0.0010, 0.0020),
    "iso": (0.0010, 0.0025),
    "trigger": (0.0015, 0.0030),
}

PILEUP_CORRECTION = "Collisions18_UltraLegacy_goldenJSON"
PILEUP_EDGES = tuple(float(edge) for edge in range(100))
_PILEUP = {"mc": (32.0, 10.5), "data": (36.0, 10.0)}
MINIMUM_BIAS_UNCERTAINTY = 0.046  # of the inelastic cross section, the recommendation of the LUM POG

DATA_RUNS = {320001: 120, 320002: 80, 320003: 90, 320004: 30}
"""Number of luminosity blocks of each run of pseudo-data; every block holds the same luminosity."""
GOLDEN_JSON = {"320001": [[1, 60], [64, 120]], "320002": [[5, 80]], "320003": [[1, 40], [46, 85]]}
"""Certified luminosity blocks, both ends included; the last run is not certified at all."""


def certified_fraction() -> float:
    """Return the fraction of the recorded luminosity that the golden JSON certifies."""
    good = sum(last - first + 1 for ranges in GOLDEN_JSON.values() for first, last in ranges)
    return good / sum(DATA_RUNS.values())


def _bin(edges: Sequence[float], values: Array) -> npt.NDArray[np.int64]:
    """Return bin numbers as correctionlib's, closed on the left; outside values go to the nearest bin."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


LOOSE = "NUM_LooseID_DEN_TrackerMuons"


def distort_pt(pt: Array, eta: Array, phi: Array, charge: Array) -> Floats:
    """Return the muon pt in GeV that pseudo-data shows for the undistorted reconstructed ``pt``, [muons].

    Inverse of the correction ``1 / (m / pt + charge * a)`` of the Muon POG's Run 3 scale correction.
    """
    place = _bin(SCALE_ETA_EDGES, eta), _bin(SCALE_PHI_EDGES, phi)
    return SCALE_M[place] / (1.0 / pt - charge * SCALE_A[place])


def resolution_excess(pt: Array, eta: Array) -> Floats:
    """Return the relative width by which the pt (GeV) of pseudo-data is smeared on top of simulation, [muons].

    ``sqrt(k_data^2 - k_mc^2) sigma(pt, |eta|)``, as the Muon POG's Run 3 recipe smears simulation.
    """
    place = _bin(RESOLUTION_ETA_EDGES, np.abs(eta))
    constant, slope = np.array(RESOLUTION).T
    strength = np.sqrt(np.array(STRENGTH_DATA) ** 2 - np.array(STRENGTH_MC) ** 2)
    return strength[place] * (constant[place] + slope[place] * pt)


def scale_factor_table(kind: Efficiency) -> Floats:
    """Return the scale factors of ``kind``, [|eta| bins, pt bins]: lower at low pt and in the endcaps."""
    start, rise = _SF_START[kind]
    n_pt = len(SF_PT_EDGES[kind]) - 1
    eta_step = np.array([0.0, -0.008, 0.004, -0.010])
    return np.round(start + eta_step[:, None] + rise * (1.0 - np.exp(-np.arange(n_pt) / 2.5))[None, :], 5)


_SF_TABLES = {kind: scale_factor_table(kind) for kind in SF_NAMES}


def scale_factor(kind: Efficiency, eta: Array, pt: Array) -> Floats:
    """Return efficiency in pseudo-data over efficiency in simulation for muons of undistorted ``pt`` in GeV, [muons].

    Below the first pt edge the first bin holds; the correction file does not reach there.
    """
    return _SF_TABLES[kind][_bin(SF_ETA_EDGES, np.abs(eta)), _bin(SF_PT_EDGES[kind], pt)]


def pileup_profile(kind: Literal["mc", "data"], shift: float = 0.0) -> Floats:
    """Return the probability of each whole number of true interactions, [99]; ``shift`` moves the mean, relatively."""
    mean, width = _PILEUP[kind]
    density = np.exp(-0.5 * ((np.arange(99) - mean * (1.0 + shift)) / width) ** 2)
    density[0] = 0.0  # no collision without interactions
    return density / density.sum()


def _efficiency_correction(kind: Efficiency) -> dict[str, Any]:
    table, (stat, syst) = _SF_TABLES[kind], _SF_UNCERTAINTY[kind]
    total = math.hypot(stat, syst)

    def at_bin(i: int, j: int) -> dict[str, Any]:
        value = float(table[i, j])
        edges = {"systup": value + total, "systdown": value - total}
        return categories("scale_factors", {"nominal": value, "stat": stat, "syst": syst, **edges})

    def along_pt(i: int) -> dict[str, Any]:
        return binning("pt", SF_PT_EDGES[kind], "error", lambda j: at_bin(i, j))

    absolute = formula("abs(x)", "eta")
    content = binning("eta", SF_ETA_EDGES, "error", along_pt)
    data = {"nodetype": "transform", "input": "eta", "rule": absolute, "content": content}
    declared = inputs(eta="real", pt="real", scale_factors="string")
    return correction(SF_NAMES[kind], f"{SF_NAMES[kind]} of the toy", declared, "weight", data)


def _loose_identification() -> dict[str, Any]:
    values = {"nominal": 1.0, "stat": 0.0005, "syst": 0.001, "systup": 1.0011, "systdown": 0.9989}

    def along_pt(_: int) -> dict[str, Any]:
        return binning("pt", (3.0, math.inf), "error", lambda _: categories("scale_factors", values))

    absolute = formula("abs(x)", "eta")
    content = binning("eta", SF_ETA_EDGES, "error", along_pt)
    data = {"nodetype": "transform", "input": "eta", "rule": absolute, "content": content}
    declared = inputs(eta="real", pt="real", scale_factors="string")
    return correction(LOOSE, f"{LOOSE} of the toy", declared, "weight", data)


def muon_efficiency_set() -> dict[str, Any]:
    """Return the correction set of ``muon_Z.json``: identification, isolation and trigger scale factors.

    The loose identification is as efficient in pseudo-data as in simulation: its factor is 1.
    """
    corrections = [*(_efficiency_correction(kind) for kind in SF_NAMES), _loose_identification()]
    return {"schema_version": 2, "description": "Muon scale factors of the toy", "corrections": corrections}


def _scale_grid(name: str, table: Floats, **further: float) -> dict[str, Any]:
    def at_bin(i: int, j: int) -> dict[str, Any]:
        return categories("variation", {"nom": float(table[i, j]), **further})

    def along_phi(i: int) -> dict[str, Any]:
        return binning("phi", SCALE_PHI_EDGES, "clamp", lambda j: at_bin(i, j))

    declared = inputs(eta="real", phi="real", variation="string")
    return correction(name, name, declared, "correction", binning("eta", SCALE_ETA_EDGES, "clamp", along_phi))


def _resolution(name: str, parameters: Sequence[Sequence[float]]) -> dict[str, Any]:
    def along_layers(i: int) -> dict[str, Any]:
        leaf = categories("parameter", dict(enumerate(parameters[i])))
        return binning("nTrackerLayers", (0.0, 100.0), "clamp", lambda _: leaf)

    declared = inputs(abseta="real", nTrackerLayers="real", parameter="int")
    return correction(
        name, name, declared, "correction", binning("abseta", RESOLUTION_ETA_EDGES, "clamp", along_layers)
    )


def _smearing_strength(name: str, strengths: Sequence[float]) -> dict[str, Any]:
    def along_eta(i: int) -> dict[str, Any]:
        return categories("variation", {"nom": strengths[i], "stat": 0.03})

    declared = inputs(abseta="real", variation="string")
    return correction(name, name, declared, "k", binning("abseta", RESOLUTION_ETA_EDGES, "clamp", along_eta))


def muon_scale_set() -> dict[str, Any]:
    """Return the correction set of ``muon_scalesmearing.json``; simulation needs smearing and no scale."""
    corrections = [
        _resolution("cb_params", [CRYSTAL_BALL] * len(RESOLUTION)),
        _resolution("poly_params", [(*terms, 0.0) for terms in RESOLUTION]),
        _scale_grid("m_data", SCALE_M, stat=2e-4),
        _scale_grid("a_data", SCALE_A, stat=5e-6),
        _scale_grid("m_mc", np.ones_like(SCALE_M), stat=2e-4, rho_stat=0.0),
        _scale_grid("a_mc", np.zeros_like(SCALE_A), stat=5e-6),
        _smearing_strength("k_data", STRENGTH_DATA),
        _smearing_strength("k_mc", STRENGTH_MC),
    ]
    return {"schema_version": 2, "description": "Muon momentum scale of the toy", "corrections": corrections}


def pileup_set() -> dict[str, Any]:
    """Return the correction set of ``puWeights.json``: the ratio of the true profiles of data and simulation."""
    simulation = pileup_profile("mc")

    def weights(shift: float) -> dict[str, Any]:
        data = pileup_profile("data", shift)
        ratio = np.divide(data, simulation, out=np.zeros(99), where=simulation > 0)
        return binning("NumTrueInteractions", PILEUP_EDGES, "clamp", lambda i: float(ratio[i]))

    shifts = {"nominal": 0.0, "up": MINIMUM_BIAS_UNCERTAINTY, "down": -MINIMUM_BIAS_UNCERTAINTY}
    data = categories("weights", {key: weights(shift) for key, shift in shifts.items()})
    declared = inputs(NumTrueInteractions="real", weights="string")
    weight = correction(PILEUP_CORRECTION, "Pile-up weights of the toy", declared, "weight", data)
    return {"schema_version": 2, "description": "Pile-up weights of the toy", "corrections": [weight]}


def write_corrections(folder: Path) -> list[Path]:
    """Write the correction files and the golden JSON of the toy below ``folder`` and return their paths.

    Layout of jsonpog-integration: ``POG/MUO/demo/muon_Z.json.gz`` ..., and ``lumi/Cert_demo_Golden.json``. The same
    bytes each time.
    """
    sets = {
        "POG/MUO/demo/muon_Z.json.gz": muon_efficiency_set,
        "POG/MUO/demo/muon_scalesmearing.json.gz": muon_scale_set,
        "POG/LUM/demo/puWeights.json.gz": pileup_set,
        "POG/EGM/demo/electron.json.gz": electron_set,
        "POG/BTV/demo/btagging.json.gz": btagging_set,
        "POG/BTV/demo/btag_efficiency.json.gz": efficiency_set,
        "POG/JME/demo/jet_jerc.json.gz": jet_energy_set,
        "POG/JME/demo/jetvetomaps.json.gz": jet_veto_set,
        "POG/JME/demo/met.json.gz": met_set,
    }
    paths = [folder / name for name in sets]
    for path, build in zip(paths, sets.values(), strict=True):
        write_atomically(path, gzip.compress(json.dumps(build()).encode(), mtime=0))
    golden = folder / "lumi" / "Cert_demo_Golden.json"
    write_atomically(golden, json.dumps(GOLDEN_JSON, indent=1).encode())
    return [*paths, golden]
