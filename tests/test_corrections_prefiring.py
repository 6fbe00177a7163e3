"""L1 prefiring weights of NanoAOD: what is read, what is missing, what is not finite."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from mucoffea.corrections.prefiring import branches, prefiring_factor
from mucoffea.errors import UserError

WEIGHTS = {"Nom": np.array([0.98, 1.0, 0.9], np.float32), "Up": np.array([0.97, 1.0, 0.85]), "Dn": [0.99, 1.0, 0.95]}


def test_factor_is_what_the_file_has():
    for weights in (WEIGHTS, ak.Array(WEIGHTS)):
        factor = prefiring_factor(weights, run=2, n_events=3)
        np.testing.assert_allclose(factor.nominal, WEIGHTS["Nom"])
        np.testing.assert_allclose(factor.variations["prefiringUp"], WEIGHTS["Up"])
        np.testing.assert_allclose(factor.variations["prefiringDown"], WEIGHTS["Dn"])
        assert factor.nominal.dtype == np.float64
        assert factor.out_of_range == 0


def test_run_3_has_none():
    factor = prefiring_factor(WEIGHTS, run=3, n_events=3)
    assert [one.tolist() for one in (factor.nominal, *factor.variations.values())] == [[1.0] * 3] * 3
    assert branches(3) == ()
    assert branches(2) == ("L1PreFiringWeight_Nom", "L1PreFiringWeight_Up", "L1PreFiringWeight_Dn")


@pytest.mark.parametrize(
    "weights", [None, ak.Array({"Nom": [1.0], "Up": [1.0]}), {"Nom": np.ones(1), "Up": np.ones(1)}]
)
def test_a_missing_branch_is_said(weights):
    with pytest.raises(UserError, match=r"no branch L1PreFiringWeight_(Nom|Dn)"):
        prefiring_factor(weights, run=2, n_events=1)


def test_what_is_not_finite_is_counted():
    bad = {"Nom": [0.9, 0.9, np.nan], "Up": [0.8, np.inf, 0.8], "Dn": [0.95, 0.95, 0.95]}
    factor = prefiring_factor(ak.Array(bad), run=2, n_events=3)
    assert factor.out_of_range == 2
    assert factor.nominal.tolist() == [0.9, 1.0, 1.0]
    assert factor.variations["prefiringUp"].tolist() == [0.8, 1.0, 1.0]
