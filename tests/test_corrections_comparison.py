"""Two correction files compared: known changes are found where they are, of the size that they have."""

from __future__ import annotations

import math
from pathlib import Path

import correctionlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.corrections import loading
from mucoffea.corrections.comparison import Limits, compare_keys, slice_at
from mucoffea.corrections.key_matching import match_keys
from mucoffea.errors import UserError

from .support.pog_files import ETA, PT, TIGHT, category, correction, scale_factor, table, write


def formula(expression: str, *variables: str) -> dict[str, object]:
    return {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": list(variables)}


def test_one_changed_bin_is_found_where_it_is(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", scale_factor())
    new = write(tmp_path / "new.json.gz", scale_factor(changed={4: 1.02}))
    found = compare_keys(old, new, TIGHT, TIGHT)
    assert not found.identical
    assert (found.nominal.points, found.nominal.changed) == (6, 1)
    assert found.nominal.largest_relative == pytest.approx(0.02, rel=1e-12)
    assert found.nominal.mean_relative == pytest.approx(0.02 / 6, rel=1e-12)
    assert found.nominal.largest_absolute == pytest.approx(0.02 * 0.94, rel=1e-12)
    (changed,) = found.nominal.bins
    assert changed.where == {"scale_factors": "nominal", "eta": (0.0, 2.4), "pt": (30.0, 60.0)}
    assert (changed.old, changed.new) == pytest.approx((0.94, 0.94 * 1.02))
    assert (found.variations.points, found.variations.changed) == (6, 0)
    assert found.is_changed


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.2, 5.0).filter(lambda value: abs(value - 1) > 1e-6))
def test_a_common_factor_is_the_change_everywhere(tmp_path_factory: pytest.TempPathFactory, factor: float) -> None:
    folder = tmp_path_factory.mktemp("factor")
    old = write(folder / "old.json", scale_factor())
    new = write(folder / "new.json", scale_factor(scale=factor))
    found = compare_keys(old, new, TIGHT, TIGHT).nominal
    assert found.changed == found.points == 6
    assert found.largest_relative == pytest.approx(abs(factor - 1), rel=1e-9)
    assert found.mean_relative == pytest.approx(abs(factor - 1), rel=1e-9)


def test_the_same_content_under_a_new_name_is_the_same(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", scale_factor("SF_V1"))
    new = write(tmp_path / "new.json", scale_factor("SF_V2", version=3))
    found = compare_keys(old, new, "SF_V1", "SF_V2")
    assert found.identical
    assert not found.is_changed
    assert (found.old_version, found.new_version) == (2, 3)


def test_last_digits_are_no_change(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", scale_factor())
    new = write(tmp_path / "new.json", scale_factor(scale=1 + 1e-12))
    found = compare_keys(old, new, TIGHT, TIGHT)
    assert not found.identical
    assert not found.is_changed


def test_finer_bins_of_the_new_file_are_all_looked_at(tmp_path: Path) -> None:
    pt = (15.0, 20.0, 30.0, 60.0, 120.0)
    old = write(tmp_path / "old.json", correction("SF", {"pt": "real"}, table([1.0, 1.0, 1.0], {"pt": PT})))
    new = write(tmp_path / "new.json", correction("SF", {"pt": "real"}, table([1.1, 1.0, 1.0, 1.0], {"pt": pt})))
    found = compare_keys(old, new, "SF", "SF").nominal
    assert (found.points, found.changed) == (4, 1)
    assert found.bins[0].where == {"pt": (15.0, 20.0)}


def test_where_one_alone_has_a_value(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", correction("SF", {"pt": "real"}, table([1.0, 1.0, 1.0], {"pt": PT})))
    longer = (*PT, 500.0)
    new = write(tmp_path / "new.json", correction("SF", {"pt": "real"}, table([1.0] * 4, {"pt": longer})))
    found = compare_keys(old, new, "SF", "SF")
    assert (found.nominal.changed, found.nominal.only_old, found.nominal.only_new) == (0, 0, 1)
    assert found.is_changed


def test_a_change_from_zero_has_no_relative_size_but_is_seen(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", correction("map", {"pt": "real"}, table([0.0, 0.0, 1.0], {"pt": PT})))
    new = write(tmp_path / "new.json", correction("map", {"pt": "real"}, table([100.0, 0.0, 1.0], {"pt": PT})))
    found = compare_keys(old, new, "map", "map").nominal
    assert (found.changed, found.zero_before, found.largest_absolute) == (1, 1, 100.0)
    assert found.largest_relative == 0.0
    assert found.bins[0].relative is None


def test_categories_by_number_and_with_different_keys(tmp_path: Path) -> None:
    def file(name: str, year: str, branches: dict[int, float]) -> Path:
        numbers = category("flavor", {key: table([value] * 6) for key, value in branches.items()})
        inputs = {"year": "string", "flavor": "int", "eta": "real", "pt": "real"}
        return write(tmp_path / name, correction("SF", inputs, category("year", {year: numbers})))

    old, new = file("old.json", "2018", {0: 1.0, 5: 1.0}), file("new.json", "2022", {0: 1.0, 4: 1.0, 5: 1.5})
    found = compare_keys(old, new, "SF", "SF").nominal
    assert (found.points, found.changed, found.only_new) == (12, 6, 6)
    assert found.bins[0].where == {"year": "2018 → 2022", "flavor": 5, "eta": (-2.4, 0.0), "pt": (15.0, 30.0)}


def test_a_formula_is_sampled_within_its_bins(tmp_path: Path) -> None:
    def file(name: str, expression: str) -> Path:
        data = {"nodetype": "binning", "input": "eta", "edges": [-2.4, 2.4], "flow": "error"}
        data["content"] = [formula(expression, "pt")]
        return write(tmp_path / name, correction("JEC", {"eta": "real", "pt": "real"}, data))

    old, new = file("old.json", "1.0"), file("new.json", "1.0+0.001*max(x-500,0)")
    found = compare_keys(old, new, "JEC", "JEC")
    assert found.assumed == ("pt",), "nothing says for which pt it is: a usual range"
    assert found.nominal.bins[0].where["pt"][1] == pytest.approx(1000.0)
    assert found.nominal.largest_relative == pytest.approx(0.001 * (found.nominal.bins[0].point["pt"] - 500))


def test_a_formula_without_a_finite_value_is_no_value(tmp_path: Path) -> None:
    def file(name: str, expression: str) -> Path:
        data = {"nodetype": "binning", "input": "pt", "edges": [-1.0, 1.0, 2.0, 3.0], "flow": "error"}
        data["content"] = [formula(expression, "pt"), 1.0, 1.0]
        return write(tmp_path / name, correction("SF", {"pt": "real"}, data))

    old, new = file("old.json", "2.0"), file("new.json", "1.0/max(x,0.0)")
    found = compare_keys(old, new, "SF", "SF").nominal
    assert found.only_old > 0, "1 / 0 below zero"
    assert math.isfinite(found.largest_relative)


def test_compound_corrections_are_compared_as_a_whole(tmp_path: Path) -> None:
    def file(name: str, level: float) -> Path:
        parts = [
            correction("L1", {"eta": "real", "pt": "real"}, table([1.0] * 6)),
            correction("L2", {"eta": "real", "pt": "real"}, table([level] * 6, flow="clamp")),
        ]
        inputs = [{"name": one, "type": "real"} for one in ("eta", "pt")]
        compound = {"name": "L1L2", "inputs": inputs, "output": {"name": "c", "type": "real"}, "inputs_update": ["pt"]}
        compound |= {"input_op": "*", "output_op": "*", "stack": ["L1", "L2"]}
        return write(tmp_path / name, *parts, compounds=[compound])

    old, new = file("old.json", 1.0), file("new.json", 1.25)
    assert compare_keys(old, new, "L1", "L1").identical
    found = compare_keys(old, new, "L1L2", "L1L2").nominal
    assert found.changed == found.points > 0
    assert found.largest_relative == pytest.approx(0.25)
    assert compare_keys(old, old, "L1L2", "L1L2").identical


def test_too_many_points_are_spread_over_all_bins(tmp_path: Path) -> None:
    edges = {name: [float(edge) for edge in range(31)] for name in ("a", "b", "c")}
    values = np.ones(30**3)
    old = write(tmp_path / "old.json", correction("SF", dict.fromkeys(edges, "real"), table(values.tolist(), edges)))
    values[::2] = 1.1
    new = write(tmp_path / "new.json", correction("SF", dict.fromkeys(edges, "real"), table(values.tolist(), edges)))
    found = compare_keys(old, new, "SF", "SF", Limits(points=3000))
    assert (found.nominal.points, found.cells) == (3000, 27_000)
    assert found.nominal.changed / 3000 == pytest.approx(0.5, abs=0.03)
    assert compare_keys(old, new, "SF", "SF", Limits(points=3000)) == found, "the same points each time"


def test_corrections_that_have_nothing_in_common(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", correction("A", {"pt": "real"}, table([1.0], {"pt": (0.0, 1.0)})))
    new = write(tmp_path / "new.json", correction("B", {"pt": "real"}, table([1.0], {"pt": (5.0, 6.0)})))
    with pytest.raises(UserError, match="no point at which both have a value"):
        compare_keys(old, new, "A", "B")
    with pytest.raises(UserError, match="no correction 'C'"):
        compare_keys(old, new, "C", "B")


def test_the_slice_of_a_figure_has_the_values_of_the_files(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", scale_factor())
    new = write(tmp_path / "new.json", scale_factor(changed={4: 1.02}))
    found = slice_at(old, new, compare_keys(old, new, TIGHT, TIGHT))
    assert found is not None
    assert (found.x, found.y, found.at) == ("pt", "eta", {"scale_factors": "nominal"})
    assert (tuple(found.x_edges), tuple(found.y_edges)) == (PT, ETA)
    expected = np.array([[0.90, 0.93], [0.91, 0.94], [0.92, 0.95]])
    assert found.old == pytest.approx(expected)
    expected[1, 1] *= 1.02
    assert found.new == pytest.approx(expected)


def test_the_two_real_tags_of_jet_corrections(real: Path) -> None:
    folder = real / "pog/JME/2022_Summer22EE"
    old, new = folder / "jet_jerc.json.gz", folder / "jet_jerc_v3.json.gz"
    matches = match_keys(loading.keys(old), loading.keys(new))
    assert len(matches.pairs) == 74
    found = [compare_keys(old, new, *pair) for pair in matches.pairs]
    changed = [one for one in found if one.is_changed]
    assert {one.new_key.split("_", 2)[2] for one in changed} == {
        *(f"Run{run}_V3_DATA_{level}_AK4PFPuppi" for run in "EFG" for level in ("L1L2L3Res", "L2Relative")),
        *(f"V3_MC_{level}_AK4PFPuppi" for level in ("L1L2L3Res", "L2Relative")),
    }
    libraries = [correctionlib.CorrectionSet.from_file(str(path)) for path in (old, new)]
    for one in changed:
        worst = one.worst
        assert worst is not None
        assert worst.where["JetEta"] == (3.839, 4.013)
        for library, key, value in zip(libraries, (one.old_key, one.new_key), (worst.old, worst.new), strict=True):
            direct = library.compound[key] if key in library.compound else library[key]
            assert direct.evaluate(*(worst.point[each.name] for each in direct.inputs)) == value
        assert one.nominal.largest_relative == abs(worst.new - worst.old) / worst.old
        assert 0.02 < one.nominal.largest_relative < 0.03


def test_muon_scale_factors_of_two_real_eras(real: Path) -> None:
    old, new = (real / f"pog/MUO/{era}/muon_Z.json.gz" for era in ("2018_UL", "2022_Summer22EE"))
    found = compare_keys(old, new, TIGHT, TIGHT)
    worst = found.worst
    assert worst is not None
    assert math.isclose(found.nominal.largest_relative, 0.04995, rel_tol=1e-3)
    assert worst.where == {"scale_factors": "nominal", "eta": (-2.4, -2.1), "pt": (120.0, 180.0)}
    assert found.variations.largest_relative > 10, "small uncertainties change by factors; they do not hide the rest"
