"""A small file of jet corrections with known content, under the names of 2018, and jets for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord

Floats = npt.NDArray[np.float64]

ETA_EDGES = [-5.0, -2.5, -1.3, 0.0, 1.3, 2.5, 5.0]
#: Response of the toy calorimeter in these bins, and the residual of data in each period.
RESPONSE = np.array([0.80, 0.90, 0.97, 1.03, 0.92, 0.85])
RESIDUAL = {"A": 1.00, "B": 1.01, "C": 1.02, "D": 1.03}
OFFSET = 0.5  # GeV of pt for each GeV of rho and unit of area
SIGMA = 0.1
SCALE_FACTOR = {"nom": 1.2, "up": 1.3, "down": 1.1}
UNCERTAINTY = {
    "Total": 0.02,
    "Regrouped_Absolute": 0.01,
    "Regrouped_Absolute_2018": 0.015,
    "FlavorQCD": 0.005,
}

_REAL = {"JetA", "JetEta", "JetPt", "Rho", "JetPhi", "run"}
_ETA_PT = ("JetEta", "JetPt")


def formula(expression: str, *variables: str) -> dict[str, Any]:
    return {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": list(variables)}


def table(name: str, inputs: tuple[str, ...], data: Any) -> dict[str, Any]:
    """Return a correction of a correctionlib file."""
    kinds = [{"name": one, "type": "real" if one in _REAL else "string"} for one in inputs]
    return {"name": name, "version": 1, "inputs": kinds, "output": {"name": "out", "type": "real"}, "data": data}


def compound(name: str, inputs: tuple[str, ...], stack: list[str]) -> dict[str, Any]:
    kinds = [{"name": one, "type": "real"} for one in inputs]
    return {
        "name": name,
        "inputs": kinds,
        "output": {"name": "out", "type": "real"},
        "inputs_update": ["JetPt"],
        "input_op": "*",
        "output_op": "*",
        "stack": stack,
    }


def write_file(folder: Path, sigma: float = SIGMA) -> CorrectionRecord:
    """Write the file into `folder` and return its record."""
    level = ("JetA", "JetEta", "JetPt", "Rho")
    by_eta = {
        "nodetype": "binning",
        "input": "JetEta",
        "edges": ETA_EDGES,
        "content": list(1.0 / RESPONSE),
        "flow": "clamp",
    }
    tables = [
        table("L1", level, formula(f"1 - {OFFSET}*x*y/z", "Rho", "JetA", "JetPt")),
        table("L2", _ETA_PT, by_eta),
        table("Summer19UL18_JRV2_MC_PtResolution_AK4PFchs", ("JetEta", "JetPt", "Rho"), sigma),
        table(
            "Summer19UL18_JRV2_MC_ScaleFactor_AK4PFchs",
            ("JetEta", "systematic"),
            {
                "nodetype": "category",
                "input": "systematic",
                "content": [{"key": key, "value": value} for key, value in SCALE_FACTOR.items()],
            },
        ),
        *(table(f"Residual{period}", _ETA_PT, value) for period, value in RESIDUAL.items()),
        *(table(f"Summer19UL18_V5_MC_{name}_AK4PFchs", _ETA_PT, value) for name, value in UNCERTAINTY.items()),
    ]
    names = {
        f"Summer19UL18_Run{period}_V5_DATA_L1L2L3Res_AK4PFchs": ["L1", "L2", f"Residual{period}"] for period in "ABCD"
    }
    names["Summer19UL18_V5_MC_L1L2L3Res_AK4PFchs"] = ["L1", "L2"]
    compounds = [compound(name, level, stack) for name, stack in names.items()]
    path = folder / "JME" / "demo" / "jet_jerc.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {"schema_version": 2, "corrections": tables, "compound_corrections": compounds}
    path.write_text(json.dumps(text))
    return Catalogue([folder]).resolve("jet_energy", era="demo", pog_folders=["demo"])


def random_jets(n: int, seed: int = 1) -> dict[str, Floats]:
    """Return flat columns of `n` jets, with `rho` of each."""
    rng = np.random.default_rng(seed)
    return {
        "pt": 20.0 + rng.exponential(40.0, n),
        "eta": rng.uniform(-4.6, 4.6, n),
        "phi": rng.uniform(-np.pi, np.pi, n),
        "mass": rng.uniform(2.0, 15.0, n),
        "rawFactor": rng.uniform(-0.1, 0.2, n),
        "area": rng.uniform(0.4, 0.6, n),
        "rho": rng.uniform(5.0, 40.0, n),
    }


def identity_of(n: int, run: int = 1) -> tuple[npt.NDArray[np.int64], ...]:
    """Return run, luminosity block and event of `n` events, or of `n` jets that are alone in their event."""
    return np.full(n, run), np.arange(n) // 100 + 1, np.arange(n) + 10**10
