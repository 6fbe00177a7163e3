"""Shifts of systematic sources: known members give known shifts, parameters add as they are correlated."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import hist
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mucoffea.errors import UserError
from mucoffea.outputs.bundle import write_bundle
from mucoffea.outputs.combination import combined
from mucoffea.outputs.report import SourceReport
from mucoffea.outputs.systematics import chosen, regions_of, shift, sources, total_band, yields
from mucoffea.outputs.systematics_table import TOTAL, largest, table, write_table

from .support.varied_result import NOMINAL, REGION, bundle, era

PILEUP = SourceReport(name="pileup", kind="weight", variations=("pileupUp", "pileupDown"), eras="correlated")
SCALES = tuple(f"qcd_scale{k}" for k in range(6))
QCD = SourceReport(
    name="qcd_scale",
    kind="weight",
    combination="envelope",
    variations=SCALES,
    eras="correlated",
    processes="by_process",
)
PDF = SourceReport(name="pdf", kind="weight", combination="hessian", variations=("pdf001", "pdf002"), eras="correlated")


def shifted(result, source, process=None):
    return shift(yields(result, "mass", REGION), source, result.report, process)


def test_up_and_down_are_what_they_are():
    made = bundle({"z": {"nominal": NOMINAL, "pileupUp": 1.1 * NOMINAL, "pileupDown": 0.95 * NOMINAL}}, [PILEUP])
    found = shifted(made, PILEUP)
    np.testing.assert_allclose(found.up, 0.1 * NOMINAL)
    np.testing.assert_allclose(found.down, -0.05 * NOMINAL)


def test_envelope_is_per_bin_and_holds_the_nominal():
    factors = [1.2, 1.1, 0.9, 0.8, 1.05, 1.0]
    members = {name: NOMINAL * factor for name, factor in zip(SCALES, factors, strict=True)}
    members[SCALES[5]] = NOMINAL * np.array([1, 2, 1, 0.5, 1, 1])
    found = shifted(bundle({"z": {"nominal": NOMINAL, **members}}, [QCD]), QCD)
    np.testing.assert_allclose(found.up, NOMINAL * [0.2, 1, 0.2, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(found.down, -NOMINAL * [0.2, 0.2, 0.2, 0.5, 0.2, 0.2])
    upwards = dict.fromkeys(SCALES, NOMINAL * 1.1)
    assert not shifted(bundle({"z": {"nominal": NOMINAL, **upwards}}, [QCD]), QCD).down.any()


@given(arrays.arrays(float, (5, 3), elements=st.floats(-100, 100)))
def test_hessian_is_symmetric_and_does_not_know_order_or_sign(members):
    found = combined(members, "hessian")
    np.testing.assert_array_equal(found.up, -found.down)
    assert (found.up >= 0).all()
    np.testing.assert_allclose(found.up, np.sqrt((members**2).sum(axis=0)))
    np.testing.assert_allclose(combined(-members[::-1], "hessian").up, found.up, rtol=1e-12)


def test_replicas_spread_about_their_mean():
    members = np.random.default_rng(2).normal(3.0, 2.0, (100, 4))
    np.testing.assert_allclose(combined(members, "replicas").up, members.std(axis=0, ddof=1))
    np.testing.assert_allclose(combined(members + 7, "replicas").up, members.std(axis=0, ddof=1))


def test_a_change_of_rate_by_generator_weights_is_none_of_the_yield():
    # Every event has 1.3 times its weight, so Σw has it too: what remains is the cross section.
    generated = {"sumw": 2000.0, "sumw_variations": {"pdf001": 2600.0, "pdf002": 1900.0}, "scale": 0.5}
    scales = {"scale_variations": {"pdf001": 0.5 * 2000 / 2600, "pdf002": 0.5 * 2000 / 1900}}
    tilt = np.array([1, 0.9, 1, 1, 1.1, 1])
    contents = {"z": {"nominal": NOMINAL, "pdf001": 1.3 * NOMINAL, "pdf002": 0.95 * NOMINAL * tilt}}
    made = bundle(contents, [PDF], {"z": {**generated, **scales}})
    found = shifted(made, PDF)
    np.testing.assert_allclose(found.up, 0.5 * NOMINAL * np.abs(tilt - 1), rtol=1e-12, atol=1e-12)


def test_what_a_source_does_not_touch_is_nominal():
    # Joined datasets share the axis: data and other processes have an empty category there.
    contents = {
        "z": {"nominal": NOMINAL, "pileupUp": 1.1 * NOMINAL, "pileupDown": 0.9 * NOMINAL},
        "tt": {"nominal": 3 * NOMINAL},
        "data": {"nominal": 4 * NOMINAL},
    }
    made = bundle(contents, [PILEUP], {"data": {"kind": "data"}})
    np.testing.assert_allclose(shifted(made, PILEUP).up, 0.1 * NOMINAL)
    assert not shifted(made, PILEUP, "tt").up.any()
    absent = PILEUP.model_copy(update={"variations": ("otherUp", "otherDown")})
    assert not shifted(made, absent).up.any()


def test_a_variation_without_a_scale_is_nominal():
    contents = {"z": {"nominal": NOMINAL, "pdf001": 9 * NOMINAL, "pdf002": 1.1 * NOMINAL}}
    made = bundle(contents, [PDF], {"z": {"not_normalised_variations": {"pdf001": "sumw is nan"}}})
    np.testing.assert_allclose(shifted(made, PDF).up, 0.1 * NOMINAL)


@pytest.mark.parametrize(
    ("eras", "processes", "factor"),
    [
        ("correlated", "correlated", 4),
        ("by_era", "correlated", np.sqrt(8)),
        ("correlated", "by_process", np.sqrt(8)),
        ("by_era", "by_process", 2),
    ],
)
def test_parameters_of_one_source_add_as_they_are_correlated(eras: str, processes: str, factor: float):
    one = {"nominal": NOMINAL, "pileupUp": 1.1 * NOMINAL, "pileupDown": 0.8 * NOMINAL}
    source = PILEUP.model_copy(update={"eras": eras, "processes": processes})
    names = {f"{p}_{e}": {"process": p, "label": p, "era": e} for p in ("z", "tt") for e in ("2017", "2018")}
    found = shifted(bundle(dict.fromkeys(names, one), [source], names), source)
    np.testing.assert_allclose(found.up, 0.1 * factor * NOMINAL)
    np.testing.assert_allclose(found.down, -0.2 * factor * NOMINAL)


def test_members_are_combined_after_the_processes_that_share_them():
    # Opposite shifts of one eigenvector cancel in the sum of two processes.
    contents = {
        "z": {"nominal": NOMINAL, "pdf001": 1.1 * NOMINAL},
        "tt": {"nominal": NOMINAL, "pdf001": 0.9 * NOMINAL},
    }
    made = bundle(contents, [PDF])
    np.testing.assert_allclose(shifted(made, PDF).up, 0, atol=1e-12)
    np.testing.assert_allclose(shifted(made, PDF, "tt").up, 0.1 * NOMINAL)


def test_the_luminosity_is_a_rate_by_nuisance_parameter():
    contents = {"z": {"nominal": NOMINAL}, "old": {"nominal": 2 * NOMINAL}, "data": {"nominal": NOMINAL}}
    made = bundle(
        contents,
        [],
        {"old": {"era": "2017"}, "data": {"kind": "data"}},
        luminosities=(era("2018", lumi_2018=1.5, lumi_all=2.0), era("2017", lumi_2017=2.0, lumi_all=0.9)),
    )
    found = {one.name: shifted(made, one).up for one in sources(made.report)}
    assert list(found) == ["lumi_2018", "lumi_all", "lumi_2017"]
    np.testing.assert_allclose(found["lumi_2018"], 0.015 * NOMINAL)
    np.testing.assert_allclose(found["lumi_2017"], 0.04 * NOMINAL)
    np.testing.assert_allclose(found["lumi_all"], (0.02 + 0.018) * NOMINAL)
    whole = bundle(contents, luminosities=(era().model_copy(update={"uncertainty": 2.5}),))
    assert [one.name for one in sources(whole.report)] == ["lumi_2018"]


def test_the_band_is_the_sum_in_quadrature():
    contents = {
        "z": {"nominal": NOMINAL, "pileupUp": 1.03 * NOMINAL, "pileupDown": 1.01 * NOMINAL, "pdf001": 1.04 * NOMINAL}
    }
    made = bundle(contents, [PILEUP, PDF])
    up, down = total_band(made, "mass", REGION)
    np.testing.assert_allclose(up, 0.05 * NOMINAL[1:-1])
    np.testing.assert_allclose(down, 0.04 * NOMINAL[1:-1])
    with_statistics, _ = total_band(made, "mass", REGION, statistical=True)
    np.testing.assert_allclose(with_statistics, np.sqrt(up**2 + NOMINAL[1:-1]))


def test_the_table_says_how_much_and_what_is_odd(tmp_path: Path):
    tilt = np.array([1, 1, 1, 1, 1.5, 1])
    contents = {"z": {"nominal": NOMINAL, "pileupUp": tilt * NOMINAL, "pileupDown": 1.01 * NOMINAL, "pdf001": NOMINAL}}
    made = bundle(contents, [PILEUP, PDF], luminosities=(era(lumi=2.0),))
    rows = table(made, sources(made.report), ["mass"])
    assert {(row.process, row.source) for row in rows} == {
        (p, s) for p in ("z", TOTAL) for s in ("pileup", "pdf", "lumi")
    }
    row = next(row for row in rows if (row.process, row.source) == ("z", "pileup"))
    assert row.up == pytest.approx(100 * 10 / NOMINAL.sum())
    assert row.down == pytest.approx(1.0)
    assert (row.bin_up, row.bin_down, row.bin_low, row.bin_high) == pytest.approx((50, 1, 3, 4))
    remarks = {row.source: row.remark for row in rows}
    assert remarks == {"pileup": "one-sided", "pdf": "no effect", "lumi": ""}
    ordered = largest(rows)
    assert [row.source for row in ordered[:2]] == ["pileup", "pileup"]
    assert len(largest(rows, 3)) == 3
    as_json, as_csv = write_table(ordered, tmp_path / "new")
    lines = list(csv.DictReader(as_csv.read_text().splitlines()))
    assert len(json.loads(as_json.read_text())) == len(lines) == 6
    assert float(lines[0]["up"]) == ordered[0].up


def test_inverted_sources_and_thin_bins():
    up = NOMINAL * np.array([1, 1, 0.9, 1, 1, 1])
    nominal = NOMINAL.copy()
    nominal[4] = 0.1  # less than a hundredth of the fullest bin
    up[4] = 5.0
    made = bundle({"z": {"nominal": nominal, "pileupUp": up - 5, "pileupDown": 1.1 * nominal}}, [PILEUP])
    (row, _) = table(made, [PILEUP], ["mass"])
    assert row.remark == "inverted"
    assert (row.bin_low, row.bin_high) != (3, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bins_that_are_not_finite_are_an_error(bad: float):
    up = NOMINAL.copy()
    up[2] = bad
    made = bundle({"z": {"nominal": NOMINAL, "pileupUp": up, "pileupDown": NOMINAL}}, [PILEUP])
    with pytest.raises(UserError, match="'mass' has bins that are not finite in the region 'signal' under 'pileupUp'"):
        yields(made, "mass", REGION)


def test_axes_of_categories_and_integers_keep_all_their_bins():
    categories = [
        hist.axis.StrCategory([name], growth=True, name=axis)
        for axis, name in zip(("dataset", "region"), ("z", REGION), strict=True)
    ]
    observables = (
        hist.axis.StrCategory(["ee", "mm"], growth=True, name="channel"),
        hist.axis.StrCategory(["ee", "mm"], name="channel"),
        hist.axis.IntCategory([11, 13], name="channel"),
        hist.axis.Integer(0, 2, name="channel", flow=False),
        hist.axis.Regular(2, 0, 2, name="channel", underflow=False),
    )
    for observable in observables:
        variation = hist.axis.StrCategory(["nominal", "pileupUp", "pileupDown"], name="variation")
        made = hist.Hist(*categories, variation, observable, storage=hist.storage.Weight(), name="channel")
        for column, factor in enumerate((1.0, 1.5, 0.5)):
            made.values()[0, 0, column] = factor * np.array([10.0, 30.0])
        result = bundle({"z": {"nominal": NOMINAL}}, [PILEUP])
        result = dataclasses.replace(result, histograms={"channel": made})
        up, down = total_band(result, "channel", REGION)
        np.testing.assert_allclose(up, [5, 15])
        np.testing.assert_allclose(down, [5, 15])
        (row, _) = table(result, [PILEUP], ["channel"])
        assert (row.nominal, row.up, row.bin_up) == pytest.approx((40, 50, 50))


def test_mistakes_are_named():
    made = bundle({"z": {"nominal": NOMINAL}}, [PILEUP])
    assert chosen(made.report, []) == (PILEUP,)
    with pytest.raises(UserError, match=r"no systematic 'pilup'.*'pileup'"):
        chosen(made.report, ["pilup"])
    with pytest.raises(UserError, match="No simulation of this result is normalised"):
        yields(bundle({"z": {"nominal": NOMINAL}}, datasets={"z": {"scale": None}}), "mass", REGION)
    assert list(regions_of(made, ["mass"])) == [("mass", REGION)]
    assert list(regions_of(bundle({"z": {"nominal": 0 * NOMINAL}}), ["mass"])) == []


def test_the_root_file_has_what_a_set_of_members_amounts_to(tmp_path: Path):
    members = {"pdf001": 1.3 * 1.03 * NOMINAL, "pdf002": 0.96 * NOMINAL}
    contents = {"z": {"nominal": NOMINAL, "pileupUp": 1.1 * NOMINAL, **members}, "tt": {"nominal": NOMINAL}}
    changes = {"z": {"scale": 2.0, "scale_variations": {"pdf001": 2.0 / 1.3}}}
    write_bundle(bundle(contents, [PILEUP, PDF], changes), tmp_path)
    with uproot.open(tmp_path / "histograms.root") as file:
        at = {name: file[f"normalised/z/{REGION}/{name}/mass"] for name in ("nominal", "pdfUp", "pdfDown", "pileupUp")}
        np.testing.assert_allclose(at["pdfUp"].values(flow=True), 2 * 1.05 * NOMINAL)
        np.testing.assert_allclose(at["pdfDown"].values(flow=True), 2 * 0.95 * NOMINAL)
        np.testing.assert_allclose(at["pileupUp"].values(flow=True), 2.2 * NOMINAL)
        np.testing.assert_array_equal(at["pdfUp"].variances(flow=True), at["nominal"].variances(flow=True))
        assert {
            key.split("/")[3] for key in file.keys(cycle=False) if key.count("/") == 4 and key.startswith("raw")
        } == {"nominal"}
        assert f"normalised/tt/{REGION}/pdfUp/mass" not in file
        assert f"normalised/z/{REGION}/pdf001/mass" not in file
