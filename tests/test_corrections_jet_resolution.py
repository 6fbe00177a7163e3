"""Jet energy resolution: the hybrid method against its formula, widths of matched and unmatched jets, the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.jet_energy import corrected_jets
from mucoffea.corrections.jet_resolution import MIN_ENERGY, Resolution, held_positive, hybrid_factor, matched
from mucoffea.filesets.eras import find_era
from scipy.stats import chi2

from .support.jet_corrections import identity_of, random_jets, write_file


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> CorrectionRecord:
    return write_file(tmp_path_factory.mktemp("jets"))


def test_a_jet_is_matched_within_three_widths():
    pt, sigma = np.full(6, 100.0), np.full(6, 0.1)
    generated = np.array([71.0, 69.0, 129.0, 131.0, np.nan, 0.0])
    assert matched(pt, generated, sigma).tolist() == [True, False, True, False, False, False]
    far = np.array([0.1, 0.1, 0.3, 0.1, 0.1, 0.1])
    assert matched(pt, generated, sigma, far).tolist() == [True, False, False, False, False, False]


def test_unmatched_jets_are_smeared_not_scaled():
    """Peers' bug 16: jets without generator jet were scaled by the factor of the resolution."""
    n = 50_000
    values = Resolution(np.full(n, 0.2), np.full(n, 1.2))
    number = np.random.default_rng(1).normal(size=n)
    factor = hybrid_factor(np.full(n, 50.0), np.full(n, np.nan), np.zeros(n, bool), values, number)
    expected = 0.2 * np.sqrt(1.2**2 - 1)
    assert factor.mean() == pytest.approx(1.0, abs=4 * expected / np.sqrt(n))
    assert factor.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * n))
    assert not np.any(factor == 1.2)


def test_matched_jets_are_stretched_about_their_generator_jet():
    pt, generated = np.array([90.0, 110.0]), np.array([100.0, 100.0])
    values = Resolution(np.full(2, 0.1), np.full(2, 1.3))
    factor = hybrid_factor(pt, generated, np.ones(2, bool), values, np.zeros(2))
    np.testing.assert_allclose(pt * factor - generated, 1.3 * (pt - generated), rtol=1e-14)


def test_simulation_that_is_wider_than_data_is_not_smeared():
    values = Resolution(np.full(3, 0.2), np.full(3, 0.9))
    factor = hybrid_factor(np.full(3, 50.0), np.full(3, np.nan), np.zeros(3, bool), values, np.array([-3.0, 0.0, 3.0]))
    assert factor.tolist() == [1.0, 1.0, 1.0]


def test_the_energy_stays_positive():
    factor = held_positive(np.array([-0.5, 1e-9, 0.8]), np.array([30.0, 30.0, 30.0]), np.zeros(3), np.zeros(3))
    assert np.all(factor * 30.0 >= MIN_ENERGY * (1 - 1e-12))
    assert factor[2] == 0.8


@pytest.mark.parametrize("era", ["2018", "2022postEE", "2016postVFP"])
def test_the_width_is_what_the_official_file_says(real: Path, era: str):
    """Unmatched jets get σ √(s² − 1) of the file on top, in bins of η (χ²), with what they have s σ; matched jets are
    stretched by s.
    """
    record = Catalogue([real / "pog"]).resolve("jet_energy", era=era, pog_folders=find_era(era).pog_folders)
    n = 40_000
    rng = np.random.default_rng(8)
    jets = random_jets(n, seed=9) | {"pt": np.full(n, 80.0), "rawFactor": np.zeros(n)}
    options = {"rho": np.full(n, 20.0), "identity": identity_of(n), "index": np.zeros(n, int), "is_data": False}
    jets["rho"] = np.full(n, 20.0)
    columns = {name: jets[name] for name in ("pt", "eta", "phi", "mass", "rawFactor", "area")}
    plain = corrected_jets(record, columns, smear="none", **options).pt
    from mucoffea.corrections.jet_resolution import resolution

    values = resolution(record, {"JetPt": plain, "JetEta": jets["eta"], "Rho": jets["rho"]})
    worst = {}
    for kind in ("unmatched", "matched"):
        # A generator jet from which the corrected jet is off by its resolution, within the cut on the match.
        pull = rng.normal(size=n).clip(-2.9, 2.9)
        generated = plain * (1 - values.sigma * pull) if kind == "matched" else np.full(n, np.nan)
        smeared = corrected_jets(record, columns, gen_pt=generated, **options).pt
        if kind == "matched":
            # Stretched by s about the generator jet, to rounding.
            deviation = (smeared - generated) - values.scale_factor * (plain - generated)
            assert np.abs(deviation).max() < 1e-9 * 80.0
            continue
        # Jets that had the resolution of simulation have that of data: in quadrature with the spread.
        own = plain * (1 + values.sigma * rng.normal(size=n).clip(-3, 3))
        total_width = (own * (smeared / plain) / plain - 1) / (values.sigma * np.maximum(values.scale_factor, 1))
        assert total_width.std() == pytest.approx(1.0, abs=0.03)
        spread = values.sigma * np.sqrt(np.maximum(values.scale_factor**2 - 1, 0))
        wide = spread > 0
        pulls = (smeared / plain - 1)[wide] / spread[wide]
        place = np.digitize(np.abs(jets["eta"][wide]), [0.8, 1.3, 1.9, 2.5, 3.0])
        total, bins = 0.0, 0
        for number in np.unique(place):
            found = pulls[place == number]
            total += (found.var() - 1) ** 2 * len(found) / 2 + found.mean() ** 2 * len(found)
            bins += 2
        worst[kind] = chi2.sf(total, bins)
    assert worst["unmatched"] > 1e-3, worst


def test_the_table_of_the_group_smears_as_much(real: Path, toy: CorrectionRecord):
    smear = Catalogue([real / "pog"]).resolve("jer_smear", era="2018", pog_folders=find_era("2018").pog_folders)
    n = 30_000
    jets = random_jets(n, seed=3)
    columns = {name: jets[name] for name in ("pt", "eta", "phi", "mass", "rawFactor", "area")}
    options = {"rho": jets["rho"], "identity": identity_of(n), "index": np.zeros(n, int), "is_data": False}
    plain = corrected_jets(toy, columns, smear="none", **options).pt
    ours, theirs = (np.asarray(corrected_jets(toy, columns, smear=one, **options).pt) / plain for one in (None, smear))
    assert theirs.std() == pytest.approx(ours.std(), rel=0.03)
    assert theirs.mean() == pytest.approx(ours.mean(), abs=4 * ours.std() / np.sqrt(n / 2))
