"""Names of corrections matched past their versions; never two to one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mucoffea.corrections.key_matching import match_keys, one_key
from mucoffea.errors import UserError


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Summer22EE_22Sep2023_V2_MC_Total_AK4PFPuppi", "Summer22EE_22Sep2023_V3_MC_Total_AK4PFPuppi"),
        ("Summer22EE_22Sep2023_RunE_V2_DATA_L1FastJet", "Summer22EE_19Dec2023_RunE_V3_DATA_L1FastJet"),
        ("Summer19UL18_JRV2_MC_ScaleFactor_AK4PFchs", "Summer20UL16_JRV3_MC_ScaleFactor_AK4PFchs"),
        ("Collisions18_UltraLegacy_goldenJSON", "Collisions16_UltraLegacy_goldenJSON"),
        ("NUM_TightID_DEN_TrackerMuons", "NUM_TightID_DEN_TrackerMuons"),
    ],
)
def test_releases_of_the_same(old: str, new: str) -> None:
    found = match_keys([old, "other_a"], ["other_b", new])
    assert found.pairs == ((old, new),)
    assert (found.only_old, found.only_new) == (("other_a",), ("other_b",))


def test_what_differs_in_more_than_its_release_is_not_the_same() -> None:
    old, new = ["X_V1_L1", "X_V1_L2", "IsoMu24"], ["X_V2_L1", "X_V2_L3", "IsoMu27"]
    found = match_keys(old, new)
    assert found.pairs == (("X_V1_L1", "X_V2_L1"),)
    assert found.only_new == ("X_V2_L3", "IsoMu27")


def test_two_candidates_are_none() -> None:
    assert match_keys(["SF_V1", "x"], ["SF_V2", "SF_V3"]).pairs == ()
    assert match_keys(["SF_V1", "SF_V2"], ["SF_V2", "SF_V3"]).pairs == (("SF_V1", "SF_V3"), ("SF_V2", "SF_V2"))


def test_files_with_one_correction_each_are_a_pair() -> None:
    assert match_keys(["UL-Electron-ID-SF"], ["Electron-ID-SF"]).pairs == (("UL-Electron-ID-SF", "Electron-ID-SF"),)


NAMES = st.lists(
    st.builds("{}_{}_{}".format, st.sampled_from(["V1", "V2", "V3"]), st.sampled_from("ab"), st.sampled_from("xy")),
    unique=True,
    min_size=1,
    max_size=8,
)


@given(NAMES, NAMES)
def test_each_name_is_in_one_place(old: list[str], new: list[str]) -> None:
    found = match_keys(old, new)
    assert sorted([*(one for one, _ in found.pairs), *found.only_old]) == sorted(old)
    assert sorted([*(one for _, one in found.pairs), *found.only_new]) == sorted(new)
    shared = set(old) & set(new)
    if len(old) > 1 or len(new) > 1:
        assert all((key, key) in found.pairs for key in shared)


def test_a_misspelt_name() -> None:
    with pytest.raises(UserError, match=r"a\.json has no correction 'SFF'.*Did you mean 'SF'"):
        one_key("SFF", ["SF", "other"], "a.json")
