"""B-tagging file of the CMS toy, with the layout of ``POG/BTV/2018_UL/btagging`` of jsonpog-integration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .cms_btag_distortions import (
    FLAVOURS,
    PT_EDGES,
    UNCERTAINTY,
    WORKING_POINTS,
    efficiency,
    scale_factor_table,
    shape_table,
)
from .cms_payload_nodes import Node, binning, categories, correction, inputs

_ETA_EDGES = (0.0, 2.5)
# Systematic of a working point → shift in units of the uncertainty; the two parts add up in quadrature.
_PARTS = {"": 1.0, "_correlated": 0.8, "_uncorrelated": 0.6}
_SHIFTS = {f"{way}{part}": sign * size for way, sign in (("up", 1), ("down", -1)) for part, size in _PARTS.items()}
# Source of the shape → flavours that it moves, and by how much in units of the uncertainty.
_HEAVY_OR_LIGHT = ("hf", "lf", "hfstats1", "hfstats2", "lfstats1", "lfstats2", "jes")
_SOURCES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_HEAVY_OR_LIGHT, (0, 5)),
    **dict.fromkeys(("cferr1", "cferr2"), (4,)),
}


def _in_jets(at_bin: Callable[[int], Any]) -> Node:
    return binning("abseta", _ETA_EDGES, "error", lambda _: binning("pt", PT_EDGES, "clamp", at_bin))


def _fixed_points(name: str, flavours: Sequence[int]) -> Node:
    def of_flavour(point: int, flavour: int, shift: float) -> Node:
        row, error = scale_factor_table(flavour)[point], UNCERTAINTY[flavour]
        return _in_jets(lambda i: float(row[i] + shift * error))

    def of_point(shift: float) -> Node:
        points = {
            key: categories("flavor", {flavour: of_flavour(place, flavour, shift) for flavour in flavours})
            for place, key in enumerate(WORKING_POINTS)
        }
        return categories("working_point", points)

    data = categories("systematic", {key: of_point(shift) for key, shift in {"central": 0.0, **_SHIFTS}.items()})
    declared = inputs(systematic="string", working_point="string", flavor="int", abseta="real", pt="real")
    return correction(name, "Scale factors of the toy", declared, "weight", data)


def _shape() -> Node:
    edges = (-15.0, 0.0, *WORKING_POINTS.values(), 1.1)

    def of_flavour(flavour: int, shift: float) -> Node:
        table, error = shape_table(flavour), UNCERTAINTY[flavour]

        def along_discriminant(i: int) -> Node:
            # A source tilts the shape; jets without a discriminant (-1) keep their weight.
            tilts = [1.0 + shift * error * tilt for tilt in (-0.5, 0.0, 0.5, 1.0)]
            values = [1.0, *(float(table[k, i]) * tilt for k, tilt in enumerate(tilts))]
            return binning("discriminant", edges, "clamp", lambda k: values[k])

        return _in_jets(along_discriminant)

    systematics = {"central": categories("flavor", {f: of_flavour(f, 0.0) for f in (0, 4, 5)})}
    for source, flavours in _SOURCES.items():
        for way, sign in (("up", 1.0), ("down", -1.0)):
            systematics[f"{way}_{source}"] = categories("flavor", {f: of_flavour(f, sign) for f in flavours})
    declared = inputs(systematic="string", flavor="int", abseta="real", pt="real", discriminant="real")
    return correction("deepJet_shape", "Shape of the toy", declared, "weight", categories("systematic", systematics))


def btagging_set() -> dict[str, Any]:
    """Return the correction set of ``btagging.json``: DeepJet's thresholds, scale factors and shape."""
    declared, points = inputs(working_point="string"), categories("working_point", WORKING_POINTS)
    corrections = [
        correction("deepJet_wp_values", "Thresholds", declared, "wp", points),
        *(_fixed_points(f"deepJet_{method}", (4, 5)) for method in ("comb", "mujets")),
        _fixed_points("deepJet_incl", (0,)),
        _shape(),
    ]
    return {"schema_version": 2, "description": "B tagging of the toy", "corrections": corrections}


def efficiency_set() -> dict[str, Any]:
    """Return the correction set of ``btag_efficiency.json``: the efficiencies of simulation, which are exact here."""
    declared = inputs(systematic="string", flavor="int", abseta="real", pt="real")

    def of_point(key: str) -> Node:
        def of_flavour(flavour: int) -> Node:
            return _in_jets(lambda _: float(efficiency(flavour, WORKING_POINTS[key])))

        nominal = categories("flavor", {flavour: of_flavour(flavour) for flavour in FLAVOURS})
        zero = categories("flavor", {flavour: _in_jets(lambda _: 0.0) for flavour in FLAVOURS})
        data = categories("systematic", {"nominal": nominal, "stat": zero})
        return correction(f"deepJet_{key}", "Efficiency of the toy", declared, "efficiency", data)

    corrections = [of_point(key) for key in WORKING_POINTS]
    return {"schema_version": 2, "description": "B-tagging efficiencies of the toy", "corrections": corrections}
