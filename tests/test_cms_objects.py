"""Missing momentum of an analysis follows every object that is corrected or varied, and nothing else moves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coffea.nanoevents import NanoEventsFactory
from mucoffea.corrections.catalogue import Catalogue
from mucoffea.corrections.met import enters_type1
from mucoffea.corrections.systematics import chosen
from mucoffea.processors.base import EraInputs
from mucoffea.processors.cms_objects import UNCORRECTED, CorrectedObjects
from mucoffea.schemas.nanoaod import NanoAOD
from mucoffea.toys.cms_distortions import write_corrections
from mucoffea.toys.cms_nanoaod import ToySpec, generate

NAMES = ("muon_momentum", "jet_energy", "met_xy")
APPLIED = (*NAMES, "met", "electron_energy")


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> CorrectedObjects:
    folder = tmp_path_factory.mktemp("objects")
    (file,) = generate(ToySpec(sample="ttbar", events=2_000, seed=5), folder)
    write_corrections(folder)
    records = {name: Catalogue([folder]).resolve(name, era="demo", pog_folders=["demo"]) for name in NAMES}
    metadata = {"dataset": "a", "kind": "mc", "process": "ttbar", "era": "demo"}
    events = NanoEventsFactory.from_root({str(file): "Events"}, schemaclass=NanoAOD, metadata=metadata).events()
    era = EraInputs(era="demo", corrections=records)
    return CorrectedObjects(events, era, APPLIED, chosen(["all"], APPLIED), {})


def vector(met: Any) -> np.ndarray:
    return np.stack([met.pt * np.cos(met.phi), met.pt * np.sin(met.phi)])


def change(collection: Any, old: np.ndarray, new: np.ndarray, fraction: np.ndarray | float = 1.0) -> np.ndarray:
    """Σ (new - old) of each event, as vectors."""
    size = (new.astype(float) - old.astype(float)) * fraction
    phi, n_events = collection["phi"].astype(float), len(collection.counts)
    parts = (size * np.cos(phi), size * np.sin(phi))
    return np.stack([np.bincount(collection.event, part, minlength=n_events) for part in parts])


def jet_change(objects: CorrectedObjects, old: str, new: str) -> np.ndarray:
    jets = objects.jets
    fraction = (1 - jets["muonSubtrFactor"]) * enters_type1(jets, jets["pt"])
    return change(jets, objects.jet_pt(old), objects.jet_pt(new), fraction)


@pytest.mark.parametrize("variation", ["jet_energy_scaleUp", "jet_energy_scaleDown", "jet_energy_resolutionUp"])
def test_missing_momentum_follows_varied_jets(objects: CorrectedObjects, variation: str):
    moved = vector(objects.missing_momentum(variation)) - vector(objects.missing_momentum("nominal"))
    expected = -jet_change(objects, "nominal", variation)
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(moved, expected, atol=1e-6)


@pytest.mark.parametrize("variation", ["muon_scaleUp", "muon_resolutionDown"])
def test_missing_momentum_follows_varied_muons(objects: CorrectedObjects, variation: str):
    moved = vector(objects.missing_momentum(variation)) - vector(objects.missing_momentum("nominal"))
    expected = -change(objects.muons, objects.muon_pt("nominal"), objects.muon_pt(variation))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_missing_momentum_follows_varied_electrons(objects: CorrectedObjects):
    moved = vector(objects.missing_momentum("electron_scaleUp")) - vector(objects.missing_momentum("nominal"))
    expected = -change(objects.electrons, objects.electron_pt("nominal"), objects.electron_pt("electron_scaleUp"))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_nominal_objects_move_it_as_well(objects: CorrectedObjects):
    """From the file to the nominal objects: muons, jets, and the modulation in phi, which depends on vertices alone."""
    moved = vector(objects.missing_momentum("nominal")) - vector(objects.missing_momentum(UNCORRECTED))
    of_objects = -change(objects.muons, objects.muons["pt"], objects.muon_pt("nominal"))
    of_objects -= jet_change(objects, UNCORRECTED, "nominal")
    rest = moved - of_objects
    npvs = np.asarray(objects._events.PV.npvs)
    for number in np.unique(npvs):
        # The same shift for all events with as many vertices.
        assert np.ptp(rest[:, npvs == number], axis=1).max() < 1e-6
    assert np.abs(rest).max() > 1.0


def test_unclustered_energy_moves_it_by_the_vector_of_the_file(objects: CorrectedObjects):
    nominal = vector(objects.missing_momentum("nominal"))
    met = objects._events.MET
    delta = np.stack([np.asarray(met.MetUnclustEnUpDeltaX, float), np.asarray(met.MetUnclustEnUpDeltaY, float)])
    np.testing.assert_allclose(vector(objects.missing_momentum("met_unclusteredUp")) - nominal, delta, atol=1e-6)
    np.testing.assert_allclose(vector(objects.missing_momentum("met_unclusteredDown")) - nominal, -delta, atol=1e-6)


def test_a_variation_leaves_other_collections_alone(objects: CorrectedObjects):
    assert objects.muon_pt("jet_energy_scaleUp") is objects.muon_pt("nominal")
    assert objects.jet_pt("muon_scaleUp") is objects.jet_pt("nominal")
    assert objects.missing_momentum("pileupUp") is objects.missing_momentum("nominal")
    assert np.array_equal(objects.muon_pt(UNCORRECTED), objects.muons["pt"])


def test_real_events_keep_the_sum(real: Path):
    file = real / "nanoaod/nano_tt_v12.root"
    catalogue = Catalogue([real / "pog"])
    folders = ["2022_Summer22EE"]
    records = {name: catalogue.resolve(name, era="2022postEE", pog_folders=folders) for name in NAMES}
    metadata = {"dataset": "a", "kind": "mc", "process": "ttbar", "era": "2022postEE"}
    events = NanoEventsFactory.from_root({str(file): "Events"}, schemaclass=NanoAOD, metadata=metadata).events()
    era = EraInputs(era="2022postEE", run=3, corrections=records)
    real_objects = CorrectedObjects(events, era, (*NAMES, "met"), chosen(["all"], (*NAMES, "met")), {})
    for variation in ("jet_energy_scaleUp", "jet_energy_resolutionDown"):
        moved = vector(real_objects.missing_momentum(variation)) - vector(real_objects.missing_momentum("nominal"))
        np.testing.assert_allclose(moved, -jet_change(real_objects, "nominal", variation), atol=1e-6)
