"""What a correction is made of, read from its file: bins, keys, flows, formulas, parts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from mucoffea.corrections import binning
from mucoffea.corrections.sampling import grid, points, sampled
from mucoffea.errors import UserError

from .support.pog_files import ETA, PT, TIGHT, category, correction, scale_factor, table, write


def content(folder: Path, data: Any, **inputs: str) -> binning.Content:
    return binning.content(write(folder / "a.json", correction("SF", inputs, data)), "SF")


def formula(expression: str, *variables: str) -> dict[str, object]:
    return {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": list(variables)}


def test_bins_and_keys(tmp_path: Path) -> None:
    found = binning.content(write(tmp_path / "a.json.gz", scale_factor()), TIGHT)
    assert (found.version, found.output, found.parts) == (2, "weight", ())
    eta, pt, variation = found.axes
    assert (eta.edges, pt.edges, variation.choices) == (ETA, PT, ("nominal", "stat"))
    assert (eta.flows, variation.kind, variation.default) == (("error",), "string", False)
    assert binning.description(tmp_path / "a.json.gz") == "made for a test"
    assert found.axis("phi") is None


def test_bins_in_the_absolute_value_stand_on_both_sides(tmp_path: Path) -> None:
    inner = {"nodetype": "binning", "input": "eta", "edges": [0.0, 0.9, 2.4], "content": [1.0, 2.0], "flow": "error"}
    data = {"nodetype": "transform", "input": "eta", "rule": formula("abs(x)", "eta"), "content": inner}
    (eta,) = content(tmp_path, data, eta="real").axes
    assert eta.edges == (-2.4, -0.9, 0.9, 2.4)
    assert not eta.formula
    data["rule"] = formula("x*x", "eta")
    (eta,) = content(tmp_path, data, eta="real").axes
    assert (eta.edges, eta.transformed) == ((), True)


def test_branches_are_taken_together(tmp_path: Path) -> None:
    branches = {
        "a": table([1.0, 2.0], {"pt": (0.0, 1.0, 3.0)}),
        "b": table([1.0, 2.0], {"pt": (0.0, 2.0, 3.0)}, flow="clamp"),
    }
    pt = content(tmp_path, category("wp", branches, default=1.0), wp="string", pt="real").axis("pt")
    assert pt is not None
    assert (pt.edges, pt.flows) == ((0, 1, 2, 3), ("clamp", "error"))


def test_uniform_bins(tmp_path: Path) -> None:
    data = {"nodetype": "binning", "input": "pt", "edges": {"n": 4, "low": 0.0, "high": 2.0}, "content": [1.0] * 4}
    (pt,) = content(tmp_path, {**data, "flow": "wrap"}, pt="real").axes
    assert pt.edges == (0.0, 0.5, 1.0, 1.5, 2.0)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", scale_factor())
    with pytest.raises(UserError, match=f"no correction '{TIGHT}s'.*Did you mean '{TIGHT}'"):
        binning.content(path, TIGHT + "s")
    path.write_text("[")
    with pytest.raises(UserError, match="is not a readable correctionlib file"):
        binning.content(path, TIGHT)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ((15.0, 20.0, math.inf), (15.0, 20.0, 25.0)),
        ((-math.inf, -1.0, 1.0, math.inf), (-3.0, -1.0, 1.0, 3.0)),
        ((0.0, 1.0), (0.0, 1.0)),
        ((-math.inf, 5.0, math.inf), (4.0, 5.0, 6.0)),
        ((-math.inf, math.inf), ()),
        ((), ()),
    ],
)
def test_infinite_edges(edges: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert binning.finite(edges) == expected


def test_points_lie_in_every_bin_of_both(tmp_path: Path) -> None:
    one, other = binning.Axis("pt", "real", edges=(15, 30, math.inf)), binning.Axis("pt", "real", edges=(20, 30, 60))
    found = sampled("pt", [one, other])
    assert tuple(found.edges) == (15, 20, 30, 45, 60)
    assert all(low < point < high for low, point, high in zip(found.edges, found.points, found.edges[1:], strict=False))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("JetA", 0.3, 0.7), ("JetEta", -5.0, 5.0), ("JetPt", 15.0, 1000.0), ("Rho", 0.0, 60.0)]
)
def test_inputs_without_bins_have_a_usual_range(name: str, low: float, high: float) -> None:
    found = sampled(name, [binning.Axis(name, "real", formula=True)])
    assert found.assumed
    assert (found.edges[0], found.edges[-1]) == pytest.approx((low, high))


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    found = sampled("n", [binning.Axis("n", "int", edges=(-1.0, 0.5, 3.0))])
    assert all(point == round(point) for point in found.points)


def test_a_grid_of_the_real_jet_corrections(real: Path) -> None:
    key = "Summer22EE_22Sep2023_V2_MC_L1L2L3Res_AK4PFPuppi"
    found = binning.content(real / "pog/JME/2022_Summer22EE/jet_jerc.json.gz", key)
    assert [part.split("_")[-2] for part in found.parts] == ["L1FastJet", "L2Relative", "L3Absolute", "L2L3Residual"]
    mesh = grid(found, found, most_combinations=10)
    values, bins = points(mesh, 1000)
    assert set(values) == {"JetA", "JetEta", "JetPt", "Rho"}
    assert {len(one) for one in (*values.values(), *bins.values())} == {1000}
