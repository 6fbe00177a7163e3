"""Theory weights and prefiring of the toy: sums of the files, shapes, and the loss in pseudo-data."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from mucoffea.toys import cms_weights
from mucoffea.toys.cms_detector import Collection
from mucoffea.toys.cms_nanoaod import ToySpec, generate


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generate(ToySpec(sample="dy", events=5_000, files=2, basket_events=900), tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize(("branch", "number"), [("LHEScaleWeight", 9), ("LHEPdfWeight", 33), ("PSWeight", 4)])
def test_runs_hold_the_sums_of_the_events(files: list[Path], branch: str, number: int) -> None:
    for path in files:
        with uproot.open(path) as file:
            events = file["Events"].arrays(["genWeight", branch, f"n{branch}"])
            runs = file["Runs"].arrays()
        target = cms_weights.THEORY_SUMS[branch]
        weight = ak.to_numpy(events.genWeight).astype(float)
        assert set(events[f"n{branch}"].to_list()) == {number}
        assert runs[f"n{target}"].to_list() == [number]
        sums = weight @ ak.to_numpy(events[branch]).astype(float)
        np.testing.assert_allclose(runs[target][0] * runs["genEventSumw"][0], sums, rtol=1e-12)
        assert np.any(abs(sums / weight.sum() - 1.0) > 0.005)


def test_weights_depend_on_the_hard_system_and_the_nominal_ones_are_one(files: list[Path]) -> None:
    names = ["LHEScaleWeight", "LHEPdfWeight", "PSWeight", "GenPart_pt"]
    events = uproot.open(files[0])["Events"].arrays(names)
    scale, densities = ak.to_numpy(events.LHEScaleWeight), ak.to_numpy(events.LHEPdfWeight)
    assert np.all(scale[:, 4] == 1.0)
    assert np.all(densities[:, 0] == 1.0)
    high = ak.to_numpy(events.GenPart_pt[:, 0]) > 40.0
    # Larger muR: less, and more so at high pt; more initial-state radiation: more at high pt.
    assert scale[:, 7].mean() < 0.97
    assert scale[high, 7].mean() < scale[~high, 7].mean() - 0.02
    assert ak.to_numpy(events.PSWeight)[high, 0].mean() > ak.to_numpy(events.PSWeight)[~high, 0].mean() + 0.02
    assert np.all((densities[:, 31] - 1.0) * (densities[:, 32] - 1.0) < 0)
    assert 0.005 < np.std(densities[:, 1:31]) < 0.05


def test_weights_do_not_depend_on_the_event_before() -> None:
    from mucoffea.toys.cms_physics import generate_truth

    truth = generate_truth("zz4l", 50, np.random.default_rng(1))
    pt, eta = cms_weights.hard_kinematics(truth)
    first = np.flatnonzero(truth.index_in_event() == 0)
    np.testing.assert_array_equal(eta, truth.eta[first])
    np.testing.assert_allclose(pt, np.hypot(*truth.recoil))


def test_prefiring_is_the_product_over_forward_objects() -> None:
    columns = {"pt": np.array([60.0, 60.0, 100.0, 15.0]), "eta": np.array([2.5, -2.5, 1.0, 2.5])}
    columns["fires"] = np.ones(4, bool)
    objects = Collection(np.array([2, 0, 2]), columns)
    single = cms_weights.PREFIRING_PLATEAU * (1.0 - np.exp(-1.0))
    np.testing.assert_allclose(cms_weights.not_prefired(((objects, "pt"),)), [(1.0 - single) ** 2, 1.0, 1.0])
    lost = cms_weights.without_triggers(objects, np.array([False, False, True]))
    assert lost.columns["fires"].tolist() == [True, True, False, False]
    weights = cms_weights.prefiring_weights(((objects, "pt"),))
    assert weights["L1PreFiringWeight_Up"][0] < weights["L1PreFiringWeight_Nom"][0] < weights["L1PreFiringWeight_Dn"][0]


def test_pseudo_data_lose_triggers_as_the_weight_of_simulation_says(tmp_path: Path) -> None:
    """Among events with a hard forward jet, the trigger fires less often in pseudo-data, by the mean weight."""
    rate = {}
    for sample, events in (("dy", 150_000), ("data", 150_000)):
        (path,) = generate(ToySpec(sample=sample, events=events, seed=9), tmp_path / sample)
        wanted = ["Jet_pt", "Jet_eta", "Muon_pt", "Muon_tightId", "HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL"]
        wanted += ["L1PreFiringWeight_Nom"] if sample == "dy" else []
        tree = uproot.open(path)["Events"].arrays(wanted)
        two = ak.sum((tree.Muon_pt > 25) & tree.Muon_tightId, axis=1) == 2
        forward = ak.any((tree.Jet_pt > 40) & (abs(tree.Jet_eta) > 2.3) & (abs(tree.Jet_eta) < 2.9), axis=1)
        fired = tree.HLT_Mu17_TrkIsoVVL_Mu8_TrkIsoVVL
        rate[sample] = ak.mean(fired[two & forward]) / ak.mean(fired[two & ~forward])
        if sample == "dy":
            weight = tree.L1PreFiringWeight_Nom
            expected = ak.mean(weight[two & forward]) / ak.mean(weight[two & ~forward])
            assert 0.97 < ak.mean(weight) < 0.999
    # Some 1 000 such events in data: an error of 0.012.
    assert expected < 0.95
    assert rate["data"] / rate["dy"] == pytest.approx(expected, abs=0.04)
