"""The physics of the toy: the generated Z peak, four leptons, and mixtures."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from mucoffea.toys import cms_physics


def _transverse(truth: cms_physics.Truth) -> tuple[np.ndarray, np.ndarray]:
    return truth.pt * np.cos(truth.phi), truth.pt * np.sin(truth.phi)


def momenta(truth: cms_physics.Truth, chosen: np.ndarray) -> np.ndarray:
    """Four-momenta (E, px, py, pz) of the chosen particles, [4, particles]."""
    px, py = (component[chosen] for component in _transverse(truth))
    pz = truth.pt[chosen] * np.sinh(truth.eta[chosen])
    return np.stack([np.sqrt(px**2 + py**2 + pz**2 + truth.mass[chosen] ** 2), px, py, pz])


def invariant_mass(momentum: np.ndarray) -> np.ndarray:
    return np.sqrt(momentum[0] ** 2 - (momentum[1:] ** 2).sum(axis=0))


def test_z_peak_and_lepton_momenta_of_the_generator() -> None:
    truth = cms_physics.generate_truth("dy", 50_000, np.random.default_rng(11))
    boson = truth.pdg_id == 23
    mass = truth.mass[boson]
    counts, edges = np.histogram(mass, np.arange(86.2, 96.25, 0.5))
    assert edges[np.argmax(counts)] <= 91.19 <= edges[np.argmax(counts) + 1]
    # Half of a Breit-Wigner lies within its half width.
    assert np.mean(abs(mass - 91.1876) < 2.4952 / 2) == pytest.approx(0.5 * 0.96, abs=0.02)
    assert mass.min() > 50.0
    pt_counts, pt_edges = np.histogram(truth.pt[boson], np.arange(0, 40, 1.0))
    assert 3.0 < pt_edges[np.argmax(pt_counts)] < 7.0
    leptons = momenta(truth, (truth.mother == 0) & ~boson)
    np.testing.assert_allclose(invariant_mass(leptons.reshape(4, -1, 2).sum(axis=2)), mass, rtol=1e-6)


def test_four_leptons_come_from_two_z_bosons() -> None:
    truth = cms_physics.generate_truth("zz4l", 5_000, np.random.default_rng(12))
    bosons = momenta(truth, truth.pdg_id == 23).reshape(4, -1, 2)
    leptons = momenta(truth, truth.status == 1).reshape(4, -1, 4)
    np.testing.assert_allclose(leptons.sum(axis=2), bosons.sum(axis=2), rtol=1e-6, atol=1e-6)
    pairs = invariant_mass(leptons.reshape(4, -1, 2, 2).sum(axis=3))
    np.testing.assert_allclose(pairs, truth.mass[truth.pdg_id == 23].reshape(-1, 2), rtol=1e-5)
    total = invariant_mass(leptons.sum(axis=2))
    assert np.all(total > pairs.sum(axis=1))
    assert np.percentile(total, 1) > 175.0
    kinds = (abs(truth.pdg_id[truth.status == 1]).reshape(-1, 4) == 13).sum(axis=1)
    assert np.bincount(kinds, minlength=5)[[0, 2, 4]] / 5000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_mixture_keeps_each_event_together() -> None:
    which = np.random.default_rng(1).integers(0, 3, 3000)
    truth = cms_physics.generate_mixture(("dy", "ttbar", "zz4l"), which, np.random.default_rng(13))
    assert all(len(getattr(truth, field.name)) for field in fields(truth))
    first = truth.pdg_id[np.flatnonzero(truth.index_in_event() == 0)]
    np.testing.assert_array_equal(first == 6, which == 1)
    hard = np.isin(truth.pdg_id, (23, 6, -6)) & (truth.mother < 0)
    system = np.stack([np.bincount(truth.event[hard], p[hard]) for p in _transverse(truth)])
    np.testing.assert_allclose(system, -truth.recoil, atol=1e-6)
