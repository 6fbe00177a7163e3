"""Jet and missing-energy files of the CMS toy: ``jet_jerc``, ``jetvetomaps`` and ``met``.

Names and inputs are those of ``POG/JME/2018_UL`` of https://gitlab.cern.ch/cms-nanoAOD/jsonpog-integration. The runs of
the toy are of period C; the other periods hold other residuals, so that a wrong period shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cms_jet_distortions import (
    HOT_REGION,
    JET_ETA_EDGES,
    MET_SHIFT,
    PILEUP_OFFSET,
    RELATIVE_RESPONSE,
    RESIDUAL,
    RESOLUTION_CONSTANT,
    RESOLUTION_RATIO,
    RESOLUTION_RATIO_UNCERTAINTY,
    RESOLUTION_STOCHASTIC,
    MetName,
)
from .cms_payload_nodes import Node, binning, categories, correction, formula, inputs

TAG = "Summer19UL18"
JETS = "AK4PFchs"
PERIODS = {"A": 1.010, "B": 1.005, "C": 1.0, "D": 0.995}
"""Run period → factor on the residual correction of the toy's own period."""
REGROUPED = {
    **{"Absolute": 0.008, "Absolute_2018": 0.006, "BBEC1": 0.005, "BBEC1_2018": 0.004, "EC2": 0.006},
    **{"EC2_2018": 0.006, "FlavorQCD": 0.010, "HF": 0.004, "HF_2018": 0.004, "RelativeBal": 0.005},
    **{"RelativeSample_2018": 0.004},
}
"""Regrouped source → relative uncertainty of the energy; their squares add up to that of the total."""


def _along_eta(name: str, values: Sequence[float], about: str) -> Node:
    data = binning("JetEta", JET_ETA_EDGES, "error", lambda i: float(values[i]))
    return correction(name, about, inputs(JetEta="real", JetPt="real"), "correction", data)


def _levels(tag: str, residual: Sequence[float]) -> tuple[list[Node], Node]:
    """Return the four levels of a correction and their product."""
    names = [f"{tag}_{level}_{JETS}" for level in ("L1FastJet", "L2Relative", "L3Absolute", "L2L3Residual")]
    declared = inputs(JetA="real", JetEta="real", JetPt="real", Rho="real")
    offset = formula(f"max(0.0001,1-{PILEUP_OFFSET}*x*y/z)", "JetA", "Rho", "JetPt")
    levels = [
        correction(names[0], "offset of pile-up", declared, "correction", offset),
        _along_eta(names[1], RELATIVE_RESPONSE, "response"),
        _along_eta(names[2], [1.0] * len(RESIDUAL), "none in the toy"),
        _along_eta(names[3], residual, "data against simulation"),
    ]
    product: Node = {"name": f"{tag}_L1L2L3Res_{JETS}", "description": "all levels", "inputs": declared}
    product |= {"output": {"name": "correction", "type": "real"}, "inputs_update": ["JetPt"], "input_op": "*"}
    return levels, {**product, "output_op": "*", "stack": names}


def _resolution() -> list[Node]:
    sigma = formula(f"sqrt({RESOLUTION_CONSTANT**2!r}+{RESOLUTION_STOCHASTIC**2!r}/max(x,5))", "JetPt")
    along_rho = binning("Rho", (0.0, 90.0), "clamp", lambda _: sigma)
    along_eta = binning("JetEta", (-5.191, 5.191), "clamp", lambda _: along_rho)
    declared = inputs(JetEta="real", JetPt="real", Rho="real")
    name = f"{TAG}_JRV2_MC_{{}}_{JETS}"

    def ratio(i: int) -> Node:
        value, error = RESOLUTION_RATIO[i], RESOLUTION_RATIO_UNCERTAINTY
        return categories("systematic", {"nom": value, "up": value + error, "down": value - error})

    scale = binning("JetEta", JET_ETA_EDGES, "clamp", ratio)
    return [
        correction(name.format("PtResolution"), "relative resolution", declared, "correction", along_eta),
        correction(
            name.format("ScaleFactor"),
            "data/simulation",
            inputs(JetEta="real", systematic="string"),
            "correction",
            scale,
        ),
    ]


def jet_energy_set() -> dict[str, Any]:
    """Return the correction set of ``jet_jerc.json``."""
    n = len(RESIDUAL)
    corrections, compounds = [], []
    tags: dict[str, list[float]] = {f"{TAG}_V5_MC": [1.0] * n}
    tags |= {f"{TAG}_Run{period}_V5_DATA": [value * f for value in RESIDUAL] for period, f in PERIODS.items()}
    for tag, values in tags.items():
        levels, compound = _levels(tag, values)
        corrections += levels
        compounds.append(compound)
    total = sum(size**2 for size in REGROUPED.values()) ** 0.5
    sources = {"Total": total, "Regrouped_Total": total}
    sources |= {f"Regrouped_{source}": size for source, size in REGROUPED.items()}
    corrections += [
        _along_eta(f"{TAG}_V5_MC_{source}_{JETS}", [size] * n, "uncertainty") for source, size in sources.items()
    ]
    described = {"schema_version": 2, "description": "Jet energy of the toy"}
    return {**described, "corrections": [*corrections, *_resolution()], "compound_corrections": compounds}


def jet_veto_set() -> dict[str, Any]:
    """Return the correction set of ``jetvetomaps.json``: 100 in the region with noise, 0 elsewhere."""
    eta, phi = HOT_REGION

    def along_phi(i: int) -> Node:
        return binning("phi", (-3.1416, *phi, 3.1416), "clamp", lambda j: 100.0 * (i == 1 and j == 1))

    vetoed = binning("eta", (-5.191, *eta, 5.191), "error", along_phi)
    data = categories("type", {"jetvetomap": vetoed, "jetvetomap_hot": vetoed, "jetvetomap_all": vetoed})
    declared = inputs(type="string", eta="real", phi="real")
    veto = correction(f"{TAG}_V1", "Jet veto map of the toy", declared, "vetomaps", data)
    return {"schema_version": 2, "description": "Jet veto map of the toy", "corrections": [veto]}


def met_set() -> dict[str, Any]:
    """Return the correction set of ``met.json``: the modulation taken off again, in data and simulation."""
    declared = inputs(met_pt="real", met_phi="real", npvs="real", run="real")
    collections: dict[str, MetName] = {"pfmet": "MET", "puppimet": "PuppiMET"}
    corrections = []
    for key, name in collections.items():
        for data in (True, False):
            (slope_x, offset_x), (slope_y, offset_y) = MET_SHIFT[name, data]
            x = f"(x*cos(y)-(({slope_x})*z+({offset_x})))"
            y = f"(x*sin(y)-(({slope_y})*z+({offset_y})))"
            for output, expression in (("pt", f"sqrt({x}*{x}+{y}*{y})"), ("phi", f"atan2({y},{x})")):
                label = f"{output}_metphicorr_{key}_{'data' if data else 'mc'}"
                node = formula(expression, "met_pt", "met_phi", "npvs", "run")
                corrections.append(correction(label, "MET of the toy", declared, output, node))
    return {"schema_version": 2, "description": "MET modulation of the toy", "corrections": corrections}
