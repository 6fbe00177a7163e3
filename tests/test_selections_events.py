"""Triggers, trigger matching and event filters: missing branches, prefixes, messages."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from mucoffea.errors import UserError
from mucoffea.selections.filters import passes
from mucoffea.selections.triggers import fired, matched, present

# "HLT_" as a set of characters would eat the start of the last two names.
HLT = ak.Array(
    {"IsoMu24": [True, False, False], "Mu50": [False, False, True], "TkMu100": [True] * 3, "LooseIsoPFTau": [True] * 3}
)


def test_or_of_paths_with_one_missing() -> None:
    np.testing.assert_array_equal(fired(HLT, ["IsoMu24", "HLT_Mu50", "HLT_IsoTkMu24"], 3), [True, False, True])
    assert present(HLT, ["HLT_Mu50", "Nope", "IsoMu24"]) == ("Mu50", "IsoMu24")


@pytest.mark.parametrize("path", ["HLT_TkMu100", "HLT_LooseIsoPFTau", "TkMu100"])
def test_prefix_is_removed_as_a_prefix(path: str) -> None:
    assert fired(HLT, [path], 3).all()


def test_no_known_path_is_an_error_with_the_closest() -> None:
    with pytest.raises(UserError, match=r"none of the trigger paths HLT_IsoMu42.*'IsoMu24'"):
        fired(HLT, ["HLT_IsoMu42"], 3)
    with pytest.raises(UserError, match=r"\(none given\)"):
        fired(HLT, [], 3)


def test_fired_on_no_events() -> None:
    result = fired(HLT[:0], ["IsoMu24"], 0)
    assert (result.shape, result.dtype) == ((0,), bool)


def objects(*rows: list[tuple[int, int, float, float]]) -> ak.Array:
    return ak.Array([[dict(zip(("id", "filterBits", "eta", "phi"), one, strict=True)) for one in row] for row in rows])


MUONS = ak.Array([[{"eta": 0.0, "phi": 3.14}, {"eta": 1.0, "phi": 0.0}], [], [{"eta": 0.0, "phi": 0.0}]])


def test_matching_across_pi_and_by_id_and_bits() -> None:
    trigger = objects(
        [(13, 2, 0.05, -3.14), (11, 2, 1.0, 0.0), (13, 8, 1.0, 0.0)], [(13, 2, 0.0, 0.0)], [(13, 10, 0.09, 0.0)]
    )
    assert matched(MUONS, trigger).to_list() == [[True, False], [], [True]]
    assert matched(MUONS, trigger, filter_bits=8).to_list() == [[False, True], [], [True]]
    assert matched(MUONS, trigger, filter_bits=10).to_list() == [[False, False], [], [True]]
    assert matched(MUONS, trigger, max_delta_r=0.05).to_list() == [[False, False], [], [False]]
    assert matched(MUONS, trigger, pdg_id=11).to_list() == [[False, True], [], [False]]


def test_matching_without_objects_or_events() -> None:
    nothing = objects([(13, 2, 0.0, 0.0)], [(13, 2, 0.0, 0.0)], [(13, 2, 0.0, 0.0)])[:, :0]
    assert matched(MUONS, nothing).to_list() == [[False, False], [], [False]]
    assert matched(MUONS[:0], nothing[:0]).to_list() == []


def test_the_distance_is_delta_r() -> None:
    muons = ak.Array([[{"eta": 0.0, "phi": 0.0}]])
    for eta, phi in ((0.06, 0.07), (0.08, 0.07), (-0.06, -0.07), (0.0, 2 * np.pi - 0.05)):
        folded = (phi + np.pi) % (2 * np.pi) - np.pi
        expected = np.hypot(eta, folded) < 0.1
        assert matched(muons, objects([(13, 2, eta, phi)])).to_list() == [[expected]]


FLAGS = ak.Array({"goodVertices": [True, True, False], "eeBadScFilter": [True, False, True]})


def test_filters_are_all_required() -> None:
    np.testing.assert_array_equal(passes(FLAGS, ["Flag_goodVertices", "eeBadScFilter"], 3), [True, False, False])
    assert passes(FLAGS, [], 3).tolist() == [True] * 3
    assert passes(FLAGS[:0], ["goodVertices"], 0).shape == (0,)


def test_missing_filter_is_an_error_unless_optional() -> None:
    with pytest.raises(UserError, match=r"no event filter Flag_goodVertice.*'goodVertices'"):
        passes(FLAGS, ["Flag_goodVertice"], 3)
    kept = passes(FLAGS, ["goodVertices", "Flag_hfNoisyHitsFilter"], 3, optional=["hfNoisyHitsFilter"])
    assert kept.tolist() == [True, True, False]
