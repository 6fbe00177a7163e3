"""Efficiencies of b tagging: from jets to the correction file, and its use; the analysis and the command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import correctionlib
import correctionlib.schemav2 as schema
import numpy as np
import pytest
from mucoffea import cli
from mucoffea.cli.btag_efficiency import command as btag_efficiency
from mucoffea.corrections import btag_efficiency as efficiency
from mucoffea.corrections import btagging
from mucoffea.corrections.btag_efficiency import ETA_EDGES, FLAVOURS, PT_EDGES, Jets
from mucoffea.corrections.btagging import BJets
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.errors import UserError
from mucoffea.outputs.bundle import Bundle, read_bundle
from mucoffea.processors.base import EraInputs
from mucoffea.processors.cms_btag_efficiency import HISTOGRAM, BTagEfficiency, region
from mucoffea.toys.cms_nanoaod import write_corrections
from mucoffea.toys.cms_payloads_btv import WORKING_POINTS
from mucoffea.toys.cms_payloads_btv import efficiency as truth
from scipy import stats

from .support.command_line import run_words

ANALYSIS = "mucoffea.processors.cms_btag_efficiency:BTagEfficiency"
SHAPE = (len(ETA_EDGES) - 1, len(PT_EDGES) - 1)


def binned(eta: np.ndarray, pt: np.ndarray, weight: np.ndarray) -> Jets:
    sums = [np.histogram2d(eta, pt, (ETA_EDGES, PT_EDGES), weights=one)[0] for one in (weight, weight**2)]
    return Jets(*sums)


def test_closure_with_weights_of_both_signs() -> None:
    """The pulls of known efficiencies have χ² as expected, with generator weights of both signs."""
    rng, n = np.random.default_rng(4), 400_000
    eta, pt = rng.uniform(0, 2.5, n), 20 * 50 ** rng.random(n)
    weight = rng.normal(1, 0.3, n) * np.where(rng.random(n) < 0.15, -1, 1)
    known = 0.3 + 0.1 * (np.digitize(eta, ETA_EDGES) - 1) + 0.03 * (np.digitize(pt, PT_EDGES) - 1)
    tagged = rng.random(n) < known
    found = efficiency.table(binned(eta[tagged], pt[tagged], weight[tagged]), binned(eta, pt, weight), "")
    expected = 0.3 + 0.1 * np.arange(SHAPE[0])[:, None] + 0.03 * np.arange(SHAPE[1])
    assert found.measured.all()
    chi2 = (((found.efficiency - expected) / found.stat) ** 2).sum()
    # 27 bins: between 10.9 and 51.0 in 99.5 % + 99.5 % of cases.
    assert stats.chi2.ppf(0.005, 27) < chi2 < stats.chi2.ppf(0.995, 27)


def test_binomial_without_weights() -> None:
    value, error = efficiency.measured(
        Jets(np.array([30.0]), np.array([30.0])), Jets(np.array([100.0]), np.array([100.0]))
    )
    np.testing.assert_allclose([value[0], error[0]], [0.3, np.sqrt(0.3 * 0.7 / 100)])


@pytest.mark.parametrize("tagged", [0.0, 50.0])
def test_share_of_0_and_1_has_an_uncertainty(tagged: float) -> None:
    value, error = efficiency.measured(
        Jets(np.array([tagged]), np.array([tagged])), Jets(np.array([50.0]), np.array([50.0]))
    )
    assert value[0] == tagged / 50
    assert error[0] == 1 / 52


@pytest.mark.parametrize(
    ("tagged", "every", "squares"),
    [(1.0, 4.0, 4.0), (-2.0, 50.0, 60.0), (60.0, 50.0, 90.0), (0.0, -5.0, 90.0), (0.0, 0.0, 0.0)],
)
def test_bins_that_say_nothing(tagged: float, every: float, squares: float) -> None:
    value, error = efficiency.measured(
        Jets(np.array([tagged]), np.array([squares])), Jets(np.array([every]), np.array([squares]))
    )
    assert np.isnan(value[0])
    assert np.isnan(error[0])


def test_empty_bins_take_the_value_of_wider_ones_and_say_so() -> None:
    every, tagged = np.full(SHAPE, 100.0), np.full(SHAPE, 20.0)
    tagged[0, 3] = 80.0
    every[0, 5] = tagged[0, 5] = 0.0
    every[2] = tagged[2] = 0.0
    found = efficiency.table(Jets(tagged, tagged), Jets(every, every), "")
    assert np.argwhere(~found.measured).tolist() == [[0, 5], *([2, j] for j in range(SHAPE[1]))]
    assert found.efficiency[0, 5] == (7 * 20 + 80) / 800
    np.testing.assert_allclose(found.efficiency[2], (16 * 20 + 80) / 1700)
    assert "b 0<|eta|<0.8 140<pt<200" in efficiency.not_measured({"b": found})
    full = efficiency.table(Jets(every * 0 + 20, every * 0 + 20), Jets(every * 0 + 100, every * 0 + 100), "")
    assert efficiency.not_measured({"b": full}) == "Every bin was measured."


def test_no_jets_at_all() -> None:
    with pytest.raises(UserError, match="too few jets to measure the b-tagging efficiency of c jets at deepJet_M"):
        efficiency.table(
            Jets(np.zeros(SHAPE), np.zeros(SHAPE)), Jets(np.ones(SHAPE) * 0, np.zeros(SHAPE)), "of c jets at deepJet_M"
        )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("btag") / "result"
    assert cli.main(run_words("demo_ttbar", folder, "--chunksize", 7000, processor=ANALYSIS)) == 0
    return folder


@pytest.fixture(scope="module")
def file(result: Path) -> Path:
    path = result.parent / "POG/BTV/demo/btag_efficiency.json"
    assert btag_efficiency(["btag-efficiency", str(result), "--output", str(path)]) == 0
    return path


def test_file_is_valid_and_has_every_working_point(file: Path) -> None:
    schema.CorrectionSet.model_validate_json(file.read_text())
    found = correctionlib.CorrectionSet.from_file(str(file))
    assert set(found) == {"deepJet_L", "deepJet_M", "deepJet_T"}
    assert found["deepJet_M"].version == 1
    assert "demo_ttbar" in file.read_text()
    for flavour in (0, 4, 5):
        loose, tight = (found[key].evaluate("nominal", flavour, 0.4, 80.0) for key in ("deepJet_L", "deepJet_T"))
        assert 0 <= tight < loose <= 1
    # Clamped in pt.
    assert found["deepJet_M"].evaluate("nominal", 5, 0.4, 3000.0) == found["deepJet_M"].evaluate(
        "nominal", 5, 0.4, 999.0
    )


def test_efficiencies_are_those_of_the_toy(file: Path) -> None:
    found = correctionlib.CorrectionSet.from_file(str(file))
    pulls = []
    for point, threshold in WORKING_POINTS.items():
        for flavour in FLAVOURS.values():
            for eta in (0.4, 1.2, 2.0):
                for pt in (40.0, 60.0, 80.0, 120.0, 160.0):
                    where = (flavour, eta, pt)
                    value, error = (found[f"deepJet_{point}"].evaluate(name, *where) for name in ("nominal", "stat"))
                    pulls.append((value - float(truth(flavour, threshold))) / error)
    # The three working points share their jets: the pulls are correlated, which widens the range of χ².
    assert 0.6 < np.mean(np.square(pulls)) < 1.5


def test_regions_hold_jets_that_add_up(result: Path) -> None:
    bundle: Bundle = read_bundle(result)
    jets = bundle.histograms[HISTOGRAM]
    for flavour in FLAVOURS:
        for eta in range(SHAPE[0]):
            content = [
                jets["demo_ttbar", region(flavour, eta, tag), "nominal", :].values()
                for tag in ("all", "deepJet_L", "deepJet_M", "deepJet_T")
            ]
            total = [one.sum() for one in content]
            assert total[0] >= total[1] >= total[2] >= total[3]
    assert list(bundle.cut_flows["demo_ttbar"])[:5] == ["all", "met_filters", "leptons", "jet_veto", "jets"]


def test_file_is_found_and_used_by_the_weights(file: Path, tmp_path: Path) -> None:
    """Closure of the chain: the sum of weights is conserved with the efficiencies that were measured."""
    write_corrections(tmp_path)
    corrections = Catalogue([file.parents[3], tmp_path])
    record = corrections.resolve("btag", era="demo", pog_folders=["demo"])
    measured = corrections.resolve("btag_efficiency", era="demo", pog_folders=["demo"])
    assert measured.path == file
    rng, n_events = np.random.default_rng(6), 30_000
    event = np.repeat(np.arange(n_events), 3)
    flavour = rng.choice([0, 5], len(event), p=[0.3, 0.7])
    discriminant = np.zeros(len(event))
    for one in (0, 5):
        chosen = flavour == one
        tagged = rng.random(chosen.sum()) < float(truth(one, btagging.threshold(record)))
        discriminant[chosen] = np.where(tagged, 0.9, 0.0)
    jets = BJets(np.full(len(event), 60.0), rng.uniform(0, 2.4, len(event)), flavour, discriminant, event, n_events)
    weight = btagging.fixed_point_weight(record, measured, jets)
    assert weight.out_of_range == 0
    assert abs(weight.nominal.mean() - 1) < 0.01
    assert weight.nominal.std() > 0.02


def test_command_does_not_overwrite_and_names_datasets(result: Path, file: Path) -> None:
    with pytest.raises(UserError, match="there already"):
        btag_efficiency(["btag-efficiency", str(result), "--output", str(file)])
    with pytest.raises(UserError, match="no simulation 'demo_ttbr'"):
        btag_efficiency(
            ["btag-efficiency", str(result), "--output", str(file), "--overwrite", "--dataset", "demo_ttbr"]
        )


def test_data_have_no_flavour() -> None:
    events = SimpleNamespace(metadata={"kind": "data", "dataset": "Muon_Run2022F", "era": ""})
    with pytest.raises(UserError, match="Muon_Run2022F is data, whose jets have no flavour"):
        BTagEfficiency().process(events)


def test_era_without_working_points_is_refused() -> None:
    with pytest.raises(UserError, match="no working points of b tagging in era 2024"):
        BTagEfficiency(None, {"2024": EraInputs(era="2024")})
