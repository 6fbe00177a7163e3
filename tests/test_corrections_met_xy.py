"""Modulation of the missing momentum in phi: golden numbers, closure, ranges, data and simulation of each era."""

from __future__ import annotations

from pathlib import Path

import correctionlib
import numpy as np
import pytest
import uproot
from mucoffea.corrections import loading, met, met_xy
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.met import Met
from mucoffea.errors import UserError
from scipy import stats

FOLDERS = {"2016postVFP": "2016postVFP_UL", "2018": "2018_UL", "2022postEE": "2022_Summer22EE"}
RUNS = {"2016postVFP": 280000, "2018": 316000, "2022postEE": 360000}


def record(real: Path, era: str, point: str | None = None, name: str = "met_xy") -> CorrectionRecord:
    return Catalogue([real / "pog"]).resolve(name, era=era, pog_folders=[FOLDERS[era]], working_point=point)


def toy(n: int, seed: int = 1) -> tuple[Met, np.ndarray]:
    """Return MET that is flat in phi, and numbers of vertices."""
    rng = np.random.default_rng(seed)
    size = 30 * np.sqrt(rng.exponential(1, n))
    return Met(size, rng.uniform(-np.pi, np.pi, n)), rng.poisson(30, n)


def vector(one: object) -> np.ndarray:
    return np.stack([one.pt * np.cos(one.phi), one.pt * np.sin(one.phi)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("era", FOLDERS)
@pytest.mark.parametrize("point", ["nominal", "pf", "puppi"])
@pytest.mark.parametrize("is_data", [True, False])
def test_equals_correctionlib_by_hand(real: Path, era: str, point: str, is_data: bool) -> None:
    found = record(real, era, point)
    before, npvs = toy(50)
    run = np.full(50, RUNS[era])
    after = met_xy.corrected(found, before, npvs, run, is_data)
    file = correctionlib.CorrectionSet.from_file(str(found.path))
    puppi = point == "puppi" or (point == "nominal" and era == "2022postEE")
    for i in range(50):
        if era == "2022postEE":
            first = ("PuppiMET" if puppi else "MET", "2022EE", "DATA" if is_data else "MC", "nom")
            one = file["met_xy_corrections"]
            pt, phi = (
                one.evaluate(what, *first, before.pt[i], before.phi[i], float(npvs[i])) for what in ("pt", "phi")
            )
        else:
            stem = f"metphicorr_{'puppi' if puppi else 'pf'}met_{'data' if is_data else 'mc'}"
            where = (before.pt[i], before.phi[i], float(npvs[i]), float(run[i]))
            pt, phi = (file[f"{what}_{stem}"].evaluate(*where) for what in ("pt", "phi"))
        assert after.pt[i] == pt
        assert after.phi[i] == phi
    assert (after.out_of_range, after.clamped) == (0, 0)


def test_golden_2018_simulation(real: Path) -> None:
    # JME/2018_UL/met.json.gz, pt_metphicorr_pfmet_mc: x − (0.183518 n + 0.546754), y − (0.192263 n − 0.42121).
    after = met_xy.corrected(record(real, "2018"), Met(np.array([50.0]), np.array([0.3])), [20], None, False)
    x = 50 * np.cos(0.3) - (0.183518 * 20 + 0.546754)
    y = 50 * np.sin(0.3) - (0.192263 * 20 - 0.42121)
    np.testing.assert_allclose([after.pt[0], after.phi[0]], [np.hypot(x, y), np.arctan2(y, x)], rtol=1e-6)


@pytest.mark.parametrize(
    ("era", "point", "seen"),
    [("2016postVFP", "pf", 300), ("2018", "pf", 300), ("2022postEE", "pf", 140), ("2022postEE", "puppi", 45)],
)
@pytest.mark.parametrize("is_data", [True, False])
def test_injected_modulation_is_undone(real: Path, era: str, point: str, seen: float, is_data: bool) -> None:
    """Closure: the shift of the payload, injected into MET that is flat in phi, is gone after the correction.

    `seen` is the least χ² of the modulated MET for flatness, 35 degrees of freedom; that of PUPPI is hardly modulated.
    """
    found = record(real, era, point)
    n, bins = 40_000, 36
    flat, npvs = toy(n, seed=7)
    run = np.full(n, RUNS[era])
    large = Met(np.full(n, 500.0), np.zeros(n))
    shift = vector(large) - vector(met_xy.corrected(found, large, npvs, run, is_data))
    modulated = met.shifted(flat, *shift)
    after = met_xy.corrected(found, modulated, npvs, run, is_data)

    def chi2(phi: np.ndarray) -> float:
        counts = np.histogram(phi, bins, (-np.pi, np.pi))[0]
        return float(((counts - n / bins) ** 2).sum() / (n / bins))

    # 35 degrees of freedom: below 60.3 in 99.5 % of cases.
    assert chi2(after.phi) < stats.chi2.ppf(0.995, bins - 1)
    assert chi2(modulated.phi) > seen
    # Run 2 files have 3.14159 for π.
    np.testing.assert_allclose(vector(after), vector(flat), atol=2e-3)


def test_xy_commutes_with_propagation_and_is_not_idempotent(real: Path) -> None:
    found = record(real, "2022postEE")
    before, npvs = toy(500)
    x, y = np.full(500, 11.0), np.full(500, -4.0)
    one = met_xy.corrected(found, met.shifted(before, x, y), npvs, None, False)
    other = met.shifted(met_xy.corrected(found, before, npvs, None, False).met, x, y)
    np.testing.assert_allclose(vector(one), vector(other), atol=1e-9)
    twice = met_xy.corrected(found, one, npvs, None, False)
    assert np.abs(vector(twice) - vector(one)).max() > 0.5


def test_data_without_run_is_an_error_not_silence(real: Path) -> None:
    # A seed swallowed any exception here and left the MET as it was.
    with pytest.raises(ValueError, match="needs the run"):
        met_xy.corrected(record(real, "2018"), *toy(5), None, True)


def test_outside_of_the_file_is_left_alone_and_counted(real: Path) -> None:
    # 2018: MET below 6500 GeV; runs from 315252 on, with a gap at 316996, to 325273.
    before = Met(np.array([50.0, 50.0, 50.0, 50.0, 6500.0, np.nan, 50.0]), np.full(7, 1.0))
    run = np.array([315252, 325274, 314000, 316996, 316000, 316000, 325273])
    after = met_xy.corrected(record(real, "2018"), before, np.full(7, 30), run, True)
    assert after.out_of_range == 5
    same = (after.pt == before.pt) | np.isnan(after.pt)
    assert same.tolist() == [False, True, True, True, True, True, False]
    np.testing.assert_array_equal(after.phi[same], before.phi[same])


def test_golden_json_runs_of_2022_by_run_file(real: Path) -> None:
    # The last run of the golden JSON of 2022, 362760, is beyond the file of all 2022 by one.
    found = record(real, "2022postEE", name="met_xy_by_run")
    after = met_xy.corrected(found, Met(np.full(2, 50.0), np.zeros(2)), [40, 40], np.array([362759, 362760]), True)
    assert after.out_of_range == 1
    assert after.pt[1] == 50.0


def test_no_more_than_100_vertices_in_run_2(real: Path) -> None:
    found = record(real, "2018")
    before = Met(np.full(3, 50.0), np.full(3, 0.4))
    after = met_xy.corrected(found, before, [100, 101, 140], None, False)
    assert after.clamped == 2
    assert after.pt[0] == after.pt[1] == after.pt[2]
    run3 = met_xy.corrected(record(real, "2022postEE"), before, [100, 101, 140], None, False)
    assert run3.clamped == 0
    assert run3.pt[0] != run3.pt[2]


def test_phi_just_beyond_pi_is_taken(real: Path) -> None:
    single = np.array([np.pi, -np.pi], np.float32)
    after = met_xy.corrected(record(real, "2018"), Met(np.full(2, 50.0), single), [30, 30], None, False)
    assert after.out_of_range == 0
    assert ((after.phi > -np.pi) & (after.phi <= np.pi)).all()
    np.testing.assert_allclose(after.pt[0], after.pt[1], rtol=1e-5)


def test_vertices_and_branches(real: Path) -> None:
    run2, run3 = record(real, "2018"), record(real, "2022postEE")
    assert met_xy.branches(run2, is_data=True) == ("PV_npvs", "run")
    assert met_xy.branches(run2, is_data=False) == ("PV_npvs",)
    assert met_xy.branches(run3, is_data=True) == ("PV_npvsGood",)


def test_variations(real: Path) -> None:
    run2, run3 = record(real, "2018"), record(real, "2022postEE")
    before, npvs = toy(200)
    nominal = met_xy.corrected(run3, before, npvs, None, False)
    for up, down in (("met_xy_stat_xUp", "met_xy_stat_xDown"), ("met_xy_stat_yUp", "met_xy_stat_yDown")):
        shifts = [
            vector(met_xy.corrected(run3, before, npvs, None, False, one)) - vector(nominal) for one in (up, down)
        ]
        assert np.abs(shifts).max() > 0.01
        along = 0 if "_stat_x" in up else 1
        assert np.abs(np.array(shifts)[:, 1 - along]).max() < 1e-6
        assert (np.array(shifts)[0, along] * np.array(shifts)[1, along] < 0).all()
    for name in met_xy.PILEUP:
        assert (met_xy.corrected(run3, before, npvs, None, False, name).pt != nominal.pt).all()
        data = met_xy.corrected(run3, before, npvs, None, True, name)
        np.testing.assert_array_equal(data.pt, met_xy.corrected(run3, before, npvs, None, True).pt)
    again = met_xy.corrected(run2, before, npvs, None, False, "met_xy_stat_xUp")
    np.testing.assert_array_equal(again.pt, met_xy.corrected(run2, before, npvs, None, False).pt)
    with pytest.raises(UserError, match="met_xy_stat_xUp"):
        met_xy.corrected(run3, before, npvs, None, False, "met_xy_stat_xup")


@pytest.mark.parametrize(
    ("name", "era", "collection", "is_data"),
    [
        ("nano_dy", "2018", "MET", False),
        ("nano_dimuon", "2018", "MET", True),
        ("nano_tt_v12", "2022postEE", "PuppiMET", False),
        ("nanoAOD_2015_CMS_Open_Data_ttbar", "2016postVFP", "MET", False),
    ],
)
def test_real_events(real: Path, name: str, era: str, collection: str, is_data: bool) -> None:
    found = record(real, era)
    assert met.met_collection([collection], 3 if era.startswith("2022") else 2) == collection
    with uproot.open(real / "nanoaod" / f"{name}.root") as file:
        needed = [f"{collection}_pt", f"{collection}_phi", *met_xy.branches(found, is_data=is_data)]
        arrays = file["Events"].arrays(needed, library="np")
    before = Met(arrays[f"{collection}_pt"], arrays[f"{collection}_phi"])
    after = met_xy.corrected(found, before, arrays[f"PV_{met_xy.vertices(found)}"], arrays.get("run"), is_data)
    assert after.out_of_range == 0
    moved = np.hypot(*(vector(after) - vector(before)))
    assert 0.01 < np.median(moved) < 20


def test_every_key_of_the_real_files_loads(real: Path) -> None:
    paths = [*(real / "pog/JME").glob("*/met*.json.gz"), real / "pog/JME/run3_met_xy_corrections.json"]
    assert len(paths) == 4
    for path in paths:
        for key in loading.keys(path):
            assert loading.correction(path, key).version == 1
