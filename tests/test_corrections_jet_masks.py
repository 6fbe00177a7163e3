"""Identification of jets in each version of NanoAOD, and veto maps, against the official files."""

from __future__ import annotations

from pathlib import Path

import correctionlib
import numpy as np
import pytest
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.jet_identification import columns, passes
from mucoffea.corrections.jet_veto import in_vetoed_region, vetoed
from mucoffea.errors import UserError
from mucoffea.filesets.eras import find_era


class Jets(dict):
    """Columns with the `fields` of a collection."""

    @property
    def fields(self) -> list[str]:
        return list(self)


def record(real: Path, name: str, era: str):
    return Catalogue([real / "pog"]).resolve(name, era=era, pog_folders=find_era(era).pog_folders)


def test_bits_of_run_2():
    jets = Jets(jetId=np.array([0, 2, 6, 4]))
    assert passes(None, jets, "tight", chs=True).tolist() == [False, True, True, False]
    assert passes(None, jets, "tight_lepton_veto", chs=True).tolist() == [False, False, True, True]


def test_bits_of_nanoaod_v12_are_mended_beyond_the_tracker():
    """JetID13p6TeV: tight needs neHEF < 0.99 for 2.7 < |η| ≤ 3.0, and neEmEF < 0.4 beyond."""
    jets = Jets(
        eta=np.array([1.0, 2.8, 2.8, -3.5, -3.5, 1.0]),
        jetId=np.array([2, 2, 2, 2, 2, 0]),
        neHEF=np.array([1.0, 0.995, 0.5, 1.0, 1.0, 0.0]),
        neEmEF=np.array([1.0, 1.0, 1.0, 0.3, 0.5, 0.0]),
    )
    # Without muEF and chEmEF, which tight does not ask for.
    assert passes(None, jets, "tight", chs=False).tolist() == [True, False, True, True, False, False]
    veto = Jets({**jets, "muEF": np.array([0.9, 0, 0, 0, 0, 0]), "chEmEF": np.zeros(6)})
    assert passes(None, veto, "tight_lepton_veto", chs=False).tolist() == [False, False, True, True, False, False]


def test_composition_of_later_versions_equals_correctionlib(real: Path):
    one = record(real, "jet_id", "2022postEE")
    rng = np.random.default_rng(1)
    n = 2_000
    jets = Jets(
        eta=rng.uniform(-5, 5, n),
        **{name: rng.uniform(0, 1, n) for name in ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")},
        chMultiplicity=rng.integers(0, 5, n).astype(np.uint8),
        neMultiplicity=rng.integers(0, 5, n).astype(np.uint8),
    )
    found = passes(one, jets, "tight", chs=False)
    correction = correctionlib.CorrectionSet.from_file(str(one.path))["AK4PUPPI_Tight"]
    names = ("eta", "chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
    charged, neutral = (jets[name].astype(int) for name in ("chMultiplicity", "neMultiplicity"))
    expected = correction.evaluate(*(jets[name] for name in names), charged, neutral, charged + neutral)
    assert found.tolist() == (expected > 0.5).tolist()
    assert 0 < found.sum() < n
    with pytest.raises(UserError, match="correction 'jet_id', which is not applied"):
        passes(None, jets, "tight", chs=False)


def test_jets_that_cannot_be_identified_are_refused():
    with pytest.raises(UserError, match="cannot be identified"):
        columns(["pt", "eta"], chs=True)
    with pytest.raises(UserError, match=r"no jet identification 'tigth'\. Did you mean 'tight'"):
        passes(None, Jets(jetId=np.array([2])), "tigth", chs=True)


@pytest.mark.parametrize("era", ["2016postVFP", "2018", "2022postEE"])
def test_veto_maps_equal_correctionlib(real: Path, era: str):
    one = record(real, "jet_veto", era)
    rng = np.random.default_rng(2)
    eta, phi = rng.uniform(-5.1, 5.1, 5_000), rng.uniform(-3.1, 3.1, 5_000)
    correction = correctionlib.CorrectionSet.from_file(str(one.path))[one.key]
    expected = correction.evaluate("jetvetomap", eta, phi) != 0
    assert in_vetoed_region(one, eta, phi).tolist() == expected.tolist()
    assert expected.any()
    around = in_vetoed_region(one, eta, phi + 2 * np.pi)
    assert np.mean(around == expected) > 0.999
    # Single precision π is a little more than π: it belongs to the outermost bins, at every η.
    along = np.linspace(-5.1, 5.1, 400)
    for edge in (np.float32(np.pi), -np.float32(np.pi)):
        inside = np.full(400, np.sign(edge) * 3.14)
        found = in_vetoed_region(one, along, np.full(400, edge, np.float32))
        assert found.tolist() == in_vetoed_region(one, along, inside).tolist()
    assert not in_vetoed_region(one, np.array([5.4, -9.0]), np.zeros(2)).any()


def test_only_jets_that_count_veto_an_event(real: Path):
    one = record(real, "jet_veto", "2018")
    grid = np.meshgrid(np.linspace(-5, 5, 200), np.linspace(-3.1, 3.1, 100))
    inside = in_vetoed_region(one, grid[0].ravel(), grid[1].ravel())
    eta, phi = (axis.ravel()[inside][0] for axis in grid)
    jets = {"pt": np.array([20.0, 10.0, 20.0, 20.0]), "eta": np.full(4, eta), "phi": np.full(4, phi)}
    jets |= {"chEmEF": np.array([0.1, 0.1, 0.5, 0.1]), "neEmEF": np.array([0.1, 0.1, 0.5, 0.1])}
    near = np.array([False, False, False, True])
    assert vetoed(one, jets, near_muon=near).tolist() == [True, False, False, False]
    assert not vetoed(one, jets, identified=np.zeros(4, bool)).any()
