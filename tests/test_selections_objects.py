"""Muon and electron selections: every cut alone, working points, missing branches, columns read."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.selections.electrons import ElectronSelection, good_electrons
from mucoffea.selections.muons import MAX_RELATIVE_ISOLATION, MuonSelection, good_muons
from pydantic import ValidationError

BEST_MUON = {
    "pt": 50.0, "eta": 0.1, "looseId": True, "mediumId": True, "mediumPromptId": True, "tightId": True, "softId": True,
    "highPtId": 2, "pfRelIso04_all": 0.01, "dxy": 0.001, "dz": -0.001, "sip3d": 0.5,
}  # fmt: skip
BEST_ELECTRON = {
    "pt": 50.0, "eta": 0.1, "deltaEtaSC": 0.0, "cutBased": 4, "mvaFall17V2Iso_WP90": True, "dxy": -0.001, "dz": 0.001,
    "sip3d": 0.5,
}  # fmt: skip
STRICT_MUON = MuonSelection(max_dxy=0.2, max_dz=0.5, max_sip3d=4)


def muon(**changes: object) -> dict:
    return {**BEST_MUON, **changes}


def electron(**changes: object) -> dict:
    return {**BEST_ELECTRON, **changes}


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"pt": 20.0}, False),
        ({"pt": 20.001}, True),
        ({"pt": np.nan}, False),
        ({"eta": -2.4}, False),
        ({"eta": -2.39}, True),
        ({"tightId": False}, False),
        ({"looseId": False, "mediumId": False}, True),
        ({"pfRelIso04_all": 0.15}, False),
        ({"pfRelIso04_all": 0.149}, True),
        ({"pfRelIso04_all": np.nan}, False),
        ({"dxy": -0.2}, False),
        ({"dz": -0.5}, False),
        ({"sip3d": 4.0}, False),
    ],
)
def test_each_muon_cut(changes: dict, passes: bool) -> None:
    muons = ak.Array([[muon(**changes)], [], [muon(), muon(**changes)]])
    assert good_muons(muons, STRICT_MUON).to_list() == [[passes], [], [True, passes]]


@pytest.mark.parametrize(
    ("name", "field"),
    [("loose", "looseId"), ("medium", "mediumId"), ("medium_prompt", "mediumPromptId"), ("soft", "softId")],
)
def test_muon_identifications(name: str, field: str) -> None:
    muons = ak.Array([[muon(), muon(**{field: False})]])
    assert good_muons(muons, MuonSelection(identification=name)).to_list() == [[True, False]]
    # Some files store flags as small integers.
    numbers = ak.with_field(muons, ak.values_astype(muons[field], np.uint8) * 2, field)
    assert good_muons(numbers, MuonSelection(identification=name)).to_list() == [[True, False]]


def test_high_pt_identification_is_the_global_one() -> None:
    muons = ak.Array([[muon(highPtId=i) for i in (0, 1, 2)]])
    assert good_muons(muons, MuonSelection(identification="high_pt")).to_list() == [[False, False, True]]


@pytest.mark.parametrize("name", MAX_RELATIVE_ISOLATION)
def test_isolation_working_points(name: str) -> None:
    values = np.array([0.05, 0.099, 0.101, 0.149, 0.151, 0.199, 0.201, 0.249, 0.251, 0.399, 0.401])
    muons = ak.Array([[muon(pfRelIso04_all=value) for value in values]])
    mask = good_muons(muons, MuonSelection(isolation=name))
    np.testing.assert_array_equal(mask[0], values < MAX_RELATIVE_ISOLATION[name])


def test_corrected_pt_replaces_the_column_and_only_needed_columns_are_asked_for() -> None:
    muons = ak.Array([[{"eta": 0.1}, {"eta": 0.2}]])
    kinematic = MuonSelection(identification="none", isolation="none")
    assert good_muons(muons, kinematic, pt=ak.Array([[10.0, 30.0]])).to_list() == [[False, True]]
    with pytest.raises(UserError, match="branch Muon_pt"):
        good_muons(muons, kinematic)


def test_missing_branch_names_the_closest() -> None:
    muons = ak.Array([[{"pt": 30.0, "eta": 0.0, "tightID": True}]])
    with pytest.raises(UserError, match=r"Muon_tightId, which the file does not have.*'tightID'"):
        good_muons(muons, MuonSelection())


def test_no_muons_at_all() -> None:
    some = ak.Array([[muon()], []])
    assert good_muons(some[:, :0], STRICT_MUON).to_list() == [[], []]
    assert len(good_muons(some[:0], STRICT_MUON)) == 0


@pytest.mark.parametrize("wrong", [{"min_pt": -1}, {"identification": "Tight"}, {"max_dxy": 0}, {"min_Pt": 3}])
def test_wrong_parameters_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        MuonSelection(**wrong)
    with pytest.raises(ValidationError, match="frozen"):
        STRICT_MUON.min_pt = 1.0


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"pt": 20.0}, False),
        ({"eta": 2.5}, False),
        ({"eta": 2.49}, True),
        ({"cutBased": 2}, False),
        ({"eta": 1.5}, False),
        ({"eta": 1.5, "deltaEtaSC": -0.06}, True),
        ({"eta": 1.43, "deltaEtaSC": 0.02}, False),
        ({"eta": -1.5, "deltaEtaSC": -0.07}, True),
        ({"dxy": 0.06}, False),
        ({"eta": 2.0, "dxy": 0.06}, True),
        ({"eta": 2.0, "dxy": 0.11}, False),
        ({"dz": -0.11}, False),
        ({"eta": -2.0, "dz": 0.11}, True),
        ({"eta": -2.0, "dz": 0.21}, False),
    ],
)
def test_each_electron_cut(changes: dict, passes: bool) -> None:
    electrons = ak.Array([[], [electron(), electron(**changes)]])
    assert good_electrons(electrons, ElectronSelection()).to_list() == [[], [True, passes]]


@pytest.mark.parametrize(("name", "least"), [("veto", 1), ("loose", 2), ("medium", 3), ("tight", 4)])
def test_cut_based_levels(name: str, least: int) -> None:
    electrons = ak.Array([[electron(cutBased=i) for i in range(5)]])
    mask = good_electrons(electrons, ElectronSelection(identification=name))
    assert mask.to_list() == [[i >= least for i in range(5)]]


def test_multivariate_names_belong_to_a_version() -> None:
    electrons = ak.Array([[electron(), electron(mvaFall17V2Iso_WP90=False)]])
    mask = good_electrons(electrons, ElectronSelection(identification="mvaFall17V2Iso_WP90"))
    assert mask.to_list() == [[True, False]]
    with pytest.raises(UserError, match=r"Electron_mvaIso_WP90.*'mvaFall17V2Iso_WP90'"):
        good_electrons(electrons, ElectronSelection(identification="mvaIso_WP90"))


def test_electron_cuts_can_be_left_out() -> None:
    free = ElectronSelection(
        identification="none", veto_gap=False, max_dxy_barrel=None, max_dz_barrel=None, max_dxy_endcap=None,
        max_dz_endcap=None,
    )  # fmt: skip
    assert good_electrons(ak.Array([[{"pt": 30.0, "eta": 1.5}]]), free).to_list() == [[True]]
    barrel = free.model_copy(update={"max_dxy_barrel": 0.05})
    electrons = ak.Array([[electron(dxy=1.0), electron(dxy=1.0, eta=2.0)]])
    assert good_electrons(electrons, barrel).to_list() == [[False, True]]
    strict = ElectronSelection(max_sip3d=0.4)
    assert good_electrons(electrons[:, :0], strict).to_list() == [[]]
    assert good_electrons(ak.Array([[electron(sip3d=0.39), electron()]]), strict).to_list() == [[True, False]]
