"""Top-pT reweighting: numbers by hand, which particles are taken, and the real Run 3 sample."""

from __future__ import annotations

import math
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoEventsFactory
from mucoffea.corrections.top_pt import IS_LAST_COPY, scale_factor, top_pt_factor
from mucoffea.schemas.nanoaod import NanoAOD

FIRST_COPY = 1 << 12


def particles(*events: list[tuple[int, float, int]]) -> ak.Array:
    return ak.Array([[{"pdgId": i, "pt": pt, "statusFlags": flags} for i, pt, flags in event] for event in events])


def test_scale_factors_by_hand():
    # TWiki TopPtReweighting: 0.103 exp(-0.0118 pT) - 0.000134 pT + 0.973 and exp(0.0615 - 0.0005 pT).
    assert scale_factor(np.array(100.0)) == pytest.approx(0.103 * math.exp(-1.18) - 0.0134 + 0.973)
    assert scale_factor(np.array(0.0), "data") == pytest.approx(math.exp(0.0615))
    assert scale_factor(np.array(900.0), "data") == pytest.approx(math.exp(0.0615 - 0.25))
    at_13, at_13p6 = scale_factor(np.array([50.0, 1500.0])), scale_factor(np.array([50.0, 1500.0]), com_energy=13.6)
    np.testing.assert_allclose(at_13p6 / at_13, [0.991 + 0.00375, 0.991 + 0.075])
    assert scale_factor(np.array(3000.0)) == scale_factor(np.array(2000.0))


def test_last_copies_are_taken_and_all_else_is_counted():
    last = IS_LAST_COPY
    factor = top_pt_factor(
        particles(
            [(6, 999.0, FIRST_COPY), (6, 100.0, last), (-6, 200.0, last), (5, 50.0, last)],
            [(6, 100.0, last)],
            [(6, 100.0, last), (6, 100.0, last), (-6, 1.0, last)],
            [],
            [(6, 600.0, last), (-6, 700.0, last)],
        ),
        method="data",
    )
    weight = math.exp(0.0615 - 0.0005 * 150)
    np.testing.assert_allclose(factor.nominal, [weight, 1, 1, 1, math.exp(0.0615 - 0.25)])
    np.testing.assert_allclose(factor.variations["top_ptUp"][:2], [2 * weight - 1, 1])
    np.testing.assert_array_equal(factor.variations["top_ptDown"], 1)
    assert (factor.out_of_range, factor.clamped) == (3, 2)


@pytest.mark.filterwarnings("ignore:Branch .* already exists:RuntimeWarning")
def test_real_run_3_sample(real: Path):
    file = {str(real / "nanoaod" / "nano_tt_v12.root"): "Events"}
    events = NanoEventsFactory.from_root(file, schemaclass=NanoAOD, mode="virtual").events()
    factor = top_pt_factor(events.GenPart, com_energy=13.6)
    assert (factor.out_of_range, factor.clamped) == (0, 0)
    tops = events.GenPart[(abs(events.GenPart.pdgId) == 6) & events.GenPart.hasFlags("isLastCopy")]
    expected = np.sqrt(np.prod(scale_factor(ak.to_numpy(tops.pt).astype(np.float64), com_energy=13.6), axis=1))
    np.testing.assert_allclose(factor.nominal, expected, rtol=1e-12)
    assert 0.95 < factor.nominal.mean() < 1.05
