"""What an analysis asks of the catalogue follows its parameters, and its results add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.cli.analysis import read_parameters
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.weight_factor import WeightFactor, up_down
from mucoffea.errors import UserError
from mucoffea.processors import ANALYSES, find_analysis
from mucoffea.processors.base import EraInputs
from mucoffea.processors.cms_dimuon import Dimuon, DimuonParameters
from mucoffea.processors.cms_weights import EventWeights
from mucoffea.selections.muons import MuonSelection


def test_scale_factors_are_those_of_the_muons_that_are_selected():
    assert Dimuon.corrections(DimuonParameters())["muon_iso"] == "tight"
    medium = DimuonParameters(muon=MuonSelection(identification="medium", isolation="loose"))
    assert Dimuon.corrections(medium)["muon_id"] == "medium"
    assert Dimuon.corrections(medium)["muon_iso"] == "loose_medium"
    assert Dimuon.corrections(medium)["muon_trigger"] == "medium"
    without = DimuonParameters(muon=MuonSelection(isolation="none"))
    of_muons = {"pileup", "muon_reco", "muon_id", "muon_trigger", "muon_momentum", "met_xy"}
    of_electrons = {"electron_reco", "electron_id", "electron_energy"}
    assert set(Dimuon.corrections(without)) == of_muons | of_electrons
    alone = without.model_copy(update={"electron_muon": False, "missing_momentum": False})
    assert set(Dimuon.corrections(alone)) == of_muons - {"met_xy"}


def test_a_trigger_factor_for_other_muons_is_not_taken(toys: Path):
    with pytest.raises(UserError, match="no working point 'medium'"):
        Catalogue([toys]).resolve("muon_trigger", era="demo", pog_folders=["demo"], working_point="medium")


def test_the_trigger_factor_goes_with_its_trigger(toys: Path):
    record = Catalogue([toys]).resolve("muon_trigger", era="demo", pog_folders=["demo"])
    era = EraInputs(era="demo", triggers={"single_muon": ("HLT_IsoMu24",)}, corrections={"muon_trigger": record})
    assert Dimuon(eras={"demo": era}).triggers(era) == ("HLT_IsoMu24",)
    with pytest.raises(UserError, match="is that of HLT_IsoMu24, not of HLT_Mu50"):
        Dimuon(DimuonParameters(triggers=("HLT_Mu50",)), {"demo": era})
    assert "muon_trigger" not in Dimuon.corrections(DimuonParameters(triggers=()))


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_can_be_made_with_its_defaults(name: str):
    analysis = find_analysis(name)()
    assert isinstance(analysis.parameters, analysis.parameters_model)
    assert analysis.postprocess({}) is None


def test_one_setting_of_a_group_leaves_the_others_as_the_analysis_has_them():
    default = DimuonParameters().muon
    assert (default.max_dxy, default.max_dz) == (0.2, 0.5)  # not those of the class MuonSelection
    from_set = read_parameters(DimuonParameters, {}, ["muon.min_pt=25"], "--config x").muon
    from_file = read_parameters(DimuonParameters, {"muon": {"min_pt": 25}}, [], "--config x").muon
    assert from_set == from_file == default.model_copy(update={"min_pt": 25.0})
    left_out = read_parameters(DimuonParameters, {"muon": {"max_dz": 1.5}}, ["muon.max_dxy=null"], "--config x").muon
    assert left_out == default.model_copy(update={"max_dxy": None, "max_dz": 1.5})


def test_an_unknown_analysis_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'cms_dimuon'"):
        find_analysis("cms_dimoun")


@given(st.integers(0, 6), st.integers(0, 2**31))
def test_a_variation_is_the_product_with_one_factor_exchanged(n: int, seed: int):
    rng = np.random.default_rng(seed)
    generator = rng.normal(1, 1, n)
    factors = {}
    for name in ("a", "b", "c"):
        # Zeros as well: a ratio to the nominal weight would lose the variation.
        nominal, up, down = rng.choice([0.0, 0.5, 1.1], (3, n))
        factors[name] = WeightFactor(nominal, up_down(name, up, down))
    weights = EventWeights(generator)
    for name, factor in factors.items():
        weights.add(name, factor, {})
    assert weights.nominal() == pytest.approx(generator * np.prod([one.nominal for one in factors.values()], axis=0))
    found = dict(weights.variations(("bUp", "cDown", "elsewhereUp")))
    assert set(found) == {"bUp", "cDown", "elsewhereUp"}
    a, b, c = (factors[name] for name in "abc")
    assert found["bUp"] == pytest.approx(generator * a.nominal * b.variations["bUp"] * c.nominal)
    assert found["cDown"] == pytest.approx(generator * a.nominal * b.nominal * c.variations["cDown"])
    assert np.array_equal(found["elsewhereUp"], weights.nominal())


def test_a_weight_is_not_multiplied_twice():
    weights = EventWeights(np.ones(2))
    weights.add("a", WeightFactor(np.ones(2)), {})
    with pytest.raises(ValueError, match="added twice"):
        weights.add("a", WeightFactor(np.ones(2)), {})
    with pytest.raises(ValueError, match="not of 2 events"):
        weights.add("b", WeightFactor(np.ones(3)), {})
