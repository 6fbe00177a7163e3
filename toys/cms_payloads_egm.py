"""Electron file of the CMS toy, with the layout of ``POG/EGM/2018_UL/electron`` of jsonpog-integration."""

from __future__ import annotations

from typing import Any

from .cms_electron_distortions import ETA_EDGES, GRADES, PT_EDGES, SAME, UNCERTAINTY, pt_edges, scale_factor_table
from .cms_payload_nodes import Node, categories, correction, inputs

NAME = "UL-Electron-ID-SF"


def _edges(values: tuple[float, ...]) -> list[float | str]:
    """Spell infinite edges as the schema does."""
    names = {float("inf"): "inf", float("-inf"): "-inf"}
    return [names.get(value, value) for value in values]


def _map(point: str, shift: float) -> Node:
    content = (scale_factor_table(point) + shift).ravel().tolist()
    edges = [_edges(ETA_EDGES), _edges(pt_edges(point))]
    node: Node = {"nodetype": "multibinning", "inputs": ["eta", "pt"], "edges": edges, "content": content}
    return {**node, "flow": "error"}


def electron_set() -> dict[str, Any]:
    """Return the correction set of ``electron.json``: reconstruction and identification scale factors."""
    points = (*PT_EDGES, *GRADES, *SAME)
    shifts = {"sf": 0.0, "sfup": UNCERTAINTY, "sfdown": -UNCERTAINTY}
    kinds = {kind: categories("WorkingPoint", {p: _map(p, shift) for p in points}) for kind, shift in shifts.items()}
    data = categories("year", {"2018": categories("ValType", kinds)})
    declared = inputs(year="string", ValType="string", WorkingPoint="string", eta="real", pt="real")
    factors = correction(NAME, "Electron scale factors of the toy", declared, "weight", data)
    return {"schema_version": 2, "description": "Electron scale factors of the toy", "corrections": [factors]}
