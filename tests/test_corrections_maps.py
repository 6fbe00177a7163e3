"""Corrections on bins: the values of correctionlib, shifts of each naming, bins without end, all keys of all files."""

from __future__ import annotations

import math
from pathlib import Path

import correctionlib
import numpy as np
import pytest
from mucoffea.corrections import loading, maps
from mucoffea.corrections.binning import content
from mucoffea.corrections.maps import Family, Map, Shift, variation_family
from mucoffea.errors import UserError
from mucoffea.plotting.corrections import Curve, draw_curves, draw_map
from mucoffea.toys.cms_distortions import write_corrections

from .support.pog_files import TIGHT, category, correction, scale_factor, table, write


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (("sf", "sfup", "sfdown"), Family("sf", (Shift("sfup", "sfdown"),))),
        (("central", "up", "down"), Family("central", (Shift("up", "down"),))),
        (("nominal", "up", "down"), Family("nominal", (Shift("up", "down"),))),
        (("nominal", "systup"), Family("nominal", ())),
        (
            ("nominal", "stat", "systdown", "systup"),
            Family("nominal", (Shift("systup", "systdown"), Shift("stat", "stat", True))),
        ),
        (("nom", "pu_dn", "pu_up"), Family("nom", (Shift("pu_up", "pu_dn"),))),
        (("smear", "smear_up", "smear_down", "scale_up"), Family("smear", (Shift("smear_up", "smear_down"),))),
        (("central", "up_hf", "down_hf", "up_lf"), Family("central", (Shift("up_hf", "down_hf"),))),
        (("Tight", "Loose"), None),
        ((), None),
    ],
)
def test_a_family_is_recognised(choices: tuple[str, ...], expected: Family | None) -> None:
    assert variation_family(choices) == expected


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_corrections(folder)
    return folder / "POG"


@pytest.fixture
def muon(tmp_path: Path) -> Path:
    return write(tmp_path / "muon.json", scale_factor())


def test_values_are_those_of_correctionlib_in_each_bin(demo: Path) -> None:
    path = demo / "MUO" / "demo" / "muon_Z.json.gz"
    one = maps.evaluated(path, TIGHT, ["eta", "pt"])
    direct = correctionlib.CorrectionSet.from_file(str(path))[TIGHT]
    assert one.shift == Shift("systup", "systdown")
    for (i, j), value in np.ndenumerate(one.nominal):
        at = one.axes[0].points[i], one.axes[1].points[j]
        assert value == direct.evaluate(*at, "nominal")
        assert one.up is not None
        assert one.up[i, j] == direct.evaluate(*at, "systup")
        assert one.down is not None
        assert one.down[i, j] == direct.evaluate(*at, "systdown")


def test_what_is_drawn_is_what_correctionlib_says(demo: Path) -> None:
    path = demo / "MUO" / "demo" / "muon_Z.json.gz"
    direct = correctionlib.CorrectionSet.from_file(str(path))[TIGHT]
    one = maps.evaluated(path, TIGHT, ["pt"], at={"eta": 1.0})
    figure = draw_curves(one.axes[0].edges, [Curve("a", one.nominal)], label="pt", value_label="w", title=TIGHT)
    (steps,) = figure.axes[0].patches
    drawn = steps.get_data()
    finite = np.isfinite(one.axes[0].edges[1:])
    centres = (drawn.edges[1:] + drawn.edges[:-1]) / 2
    expected = [direct.evaluate(1.0, float(pt), "nominal") for pt in centres]
    np.testing.assert_array_equal(drawn.values, expected)
    assert finite.any()
    two = maps.evaluated(path, TIGHT, ["pt", "eta"])
    edges = (two.axes[0].edges, two.axes[1].edges)
    axes = draw_map(edges, two.nominal, labels=("pt", "eta"), value_label="w", title=TIGHT).axes[0]
    cells = np.asarray(axes.collections[0].get_array()).reshape(two.nominal.T.shape)
    assert cells[1, 2] == direct.evaluate(float(two.axes[1].points[1]), float(two.axes[0].points[2]), "nominal")


def test_half_widths_are_around_the_nominal_value(muon: Path) -> None:
    """In the files of the muon POG `stat` is an uncertainty, and no shifted factor."""
    one = maps.evaluated(muon, TIGHT, ["eta", "pt"])
    assert one.shift == Shift("stat", "stat", True)
    np.testing.assert_allclose(one.nominal.reshape(-1), 0.9 + 0.01 * np.arange(6))
    np.testing.assert_allclose(one.up, one.nominal + 0.01)
    np.testing.assert_allclose(one.down, one.nominal - 0.01)
    np.testing.assert_allclose(maps.relative_uncertainty(one), 0.01 / one.nominal)
    assert "± stat" in maps.held(one)


def test_a_chosen_shift_has_no_uncertainty(muon: Path) -> None:
    one = maps.evaluated(muon, TIGHT, ["pt"], at={"scale_factors": "stat"})
    assert (one.up, one.down, one.shift, maps.relative_uncertainty(one)) == (None, None, None, None)
    np.testing.assert_allclose(one.nominal, 0.01)


def test_an_infinite_bin_is_evaluated_beyond_its_edge(tmp_path: Path) -> None:
    edges = {"eta": [-math.inf, -1.0, 1.0, math.inf]}
    path = write(tmp_path / "a.json", correction("a", {"eta": "real"}, table([1.0, 2.0, 3.0], edges)))
    one = maps.evaluated(path, "a", ["eta"])
    np.testing.assert_array_equal(one.nominal, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(one.axes[0].edges, edges["eta"])
    np.testing.assert_array_equal(one.axes[0].points, [-2.0, 0.0, 2.0])


def test_outer_bins_of_other_branches_are_left_out(tmp_path: Path) -> None:
    low, high = table([1.0, 2.0], {"pt": [10.0, 15.0, 20.0]}), table([3.0], {"pt": [20.0, 50.0]})
    data = category("point", {"below": low, "above": high})
    path = write(tmp_path / "a.json", correction("a", {"point": "string", "pt": "real"}, data))
    np.testing.assert_array_equal(maps.evaluated(path, "a", ["pt"]).axes[0].edges, [10.0, 15.0, 20.0])
    np.testing.assert_array_equal(maps.evaluated(path, "a", ["pt"], at={"point": "above"}).nominal, [3.0])


def test_a_shift_that_a_branch_lacks_is_passed_over(tmp_path: Path) -> None:
    def branch(values: dict[str, float]) -> object:
        return category("syst", {name: table([one], {"pt": [10.0, 50.0]}) for name, one in values.items()})

    data = category("flavor", {5: branch({"central": 1.0}), 4: branch({"central": 1.0, "up_c": 2.0, "down_c": 0.5})})
    path = write(tmp_path / "a.json", correction("a", {"flavor": "int", "syst": "string", "pt": "real"}, data))
    assert maps.evaluated(path, "a", ["pt"], at={"flavor": 5}).up is None
    assert maps.evaluated(path, "a", ["pt"], at={"flavor": 4}).shift == Shift("up_c", "down_c")
    with pytest.raises(UserError):
        maps.evaluated(path, "a", ["pt"], at={"flavor": 5}, shift=Shift("up_c", "down_c"))


def test_corrections_are_compared_on_the_bins_of_both(tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", correction("a", {"pt": "real"}, table([1.0, 2.0], {"pt": [10.0, 30.0, 50.0]})))
    second = write(tmp_path / "b.json", correction("a", {"pt": "real"}, table([3.0, 4.0], {"pt": [10.0, 20.0, 60.0]})))
    one, two = maps.compared([(first, "a"), (second, "a")], "pt")
    np.testing.assert_array_equal(one.axes[0].edges, [10.0, 20.0, 30.0, 50.0, 60.0])
    np.testing.assert_array_equal(one.nominal, [1.0, 1.0, 2.0, np.nan])
    np.testing.assert_array_equal(two.nominal, [3.0, 4.0, 4.0, 4.0])


def test_a_value_at_one_point(muon: Path) -> None:
    one = maps.evaluated(muon, TIGHT, [], at={"eta": 1.0, "pt": 70.0})
    assert (float(one.nominal), float(one.up)) == pytest.approx((0.95, 0.96))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("along", "at", "said"),
    [
        (["ptt"], {}, "Did you mean 'pt'"),
        (["scale_factors"], {}, "no numbers along"),
        (["pt"], {"etaa": 1.0}, "no input 'etaa'"),
        (["pt"], {"scale_factors": "nominall"}, "Did you mean 'nominal'"),
    ],
)
def test_wrong_names_are_said(muon: Path, along: list[str], at: dict[str, float | str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        maps.evaluated(muon, TIGHT, along, at=at)


def test_a_rochester_table_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"RoccoR2018UL\.txt is not a correctionlib file\. Rochester"):
        maps.evaluated(tmp_path / "RoccoR2018UL.txt", "a", ["pt"])


def _each(folder: Path) -> list[Map]:
    """Evaluate every correction below a folder in its first one or two inputs."""
    result = []
    for path in sorted(folder.rglob("*.json*")):
        for key in loading.keys(path):
            along = maps.numeric_inputs(content(path, key))[:2]
            result.append(maps.evaluated(path, key, along))
    return result


def test_every_correction_of_the_demo_has_values_and_a_figure(demo: Path) -> None:
    for one in _each(demo):
        assert np.isfinite(one.nominal).any(), one.key
        assert one.up is None or np.isfinite(one.up).any()
        axes = one.axes
        if len(axes) == 2:
            names = axes[0].label, axes[1].label
            draw_map((axes[0].edges, axes[1].edges), one.nominal, labels=names, value_label="w", title=one.key)
        elif axes:
            curves = [Curve("a", one.nominal, one.up, one.down)]
            draw_curves(axes[0].edges, curves, label=axes[0].label, value_label="w", title=one.key)


@pytest.mark.slow
def test_every_correction_of_the_real_files_has_values(real: Path) -> None:
    every = _each(real / "pog")
    assert len(every) > 550
    assert [one.key for one in every if not np.isfinite(one.nominal).any()] == []


def test_total_uncertainty_of_the_muon_files_is_both_parts_in_quadrature(real: Path) -> None:
    """What makes `stat` and `syst` half-widths: with both in quadrature `systup` and `systdown` follow."""
    for era in ("2016postVFP_UL", "2018_UL", "2022_Summer22EE"):
        path = real / "pog" / "MUO" / era / "muon_Z.json.gz"
        total = maps.evaluated(path, TIGHT, ["eta", "pt"])
        parts = [maps.evaluated(path, TIGHT, ["eta", "pt"], shift=Shift(name, name, True)) for name in ("stat", "syst")]
        assert total.up is not None
        assert total.down is not None
        widths = [one.up - one.nominal for one in parts if one.up is not None]
        np.testing.assert_allclose(total.up - total.nominal, np.hypot(*widths), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(total.nominal - total.down, np.hypot(*widths), rtol=1e-6, atol=1e-9)


def test_a_real_jet_energy_correction_is_a_formula_of_pt(real: Path) -> None:
    """The compound correction, in bins of eta and divided in pt, is that of correctionlib at each point."""
    path = real / "pog" / "JME" / "2018_UL" / "jet_jerc.json.gz"
    key = "Summer19UL18_V5_MC_L1L2L3Res_AK4PFchs"
    one = maps.evaluated(path, key, ["JetEta", "JetPt"], at={"JetA": 0.5, "Rho": 20.0})
    direct = correctionlib.CorrectionSet.from_file(str(path)).compound[key]
    for i, j in ((0, 0), (10, 5), (40, 20), (80, 24)):
        point = {"JetA": 0.5, "JetEta": one.axes[0].points[i], "JetPt": one.axes[1].points[j], "Rho": 20.0}
        assert one.nominal[i, j] == direct.evaluate(*(float(point[item.name]) for item in direct.inputs))
    assert one.axes[1].assumed
    assert not one.axes[0].assumed
