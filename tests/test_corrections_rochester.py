"""Rochester corrections: the reference values of the authors' own code, the spread with and without generator muon."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from mucoffea.corrections import muon_momentum
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.muon_momentum import corrected_pt
from mucoffea.corrections.random_numbers import positions, uniform
from mucoffea.corrections.rochester import Muons, scale_error, scale_factor
from mucoffea.errors import UserError

COLUMNS = ("pt", "eta", "phi", "charge", "nTrackerLayers")
IDENTITY = ("run", "luminosityBlock", "event")


class Sample:
    """The muons of a file of NanoAOD, and what the authors' code makes of them with RoccoR2018."""

    def __init__(self, real: Path, name: str, *, is_data: bool) -> None:
        folder = real / "rochester"
        self.is_data, self.table = is_data, folder / "RoccoR2018.txt.gz"
        more = () if is_data else ("Muon_genPartIdx", "GenPart_pt")
        branches = [*IDENTITY, *(f"Muon_{column}" for column in COLUMNS), *more]
        events = uproot.open(real / "nanoaod" / f"{name}.root")["Events"].arrays(branches)
        self.identity = tuple(events[column] for column in IDENTITY)
        self.muons = ak.zip({column: events[f"Muon_{column}"] for column in COLUMNS})
        self.gen_pt = ak.full_like(self.muons.pt, np.nan, dtype=np.float64)
        if not is_data:
            index = events["Muon_genPartIdx"]
            self.gen_pt = ak.fill_none(events["GenPart_pt"][ak.mask(index, index >= 0)], np.nan)
        self.factors = np.load(folder / f"{name}_rochester.npy")
        self.errors = np.load(folder / f"{name}_rochester_err.npy")
        self.random = np.full(len(self.factors), 0.5) if is_data else np.load(folder / f"{name}_rochester_rand.npy")

    @property
    def flat(self) -> Muons:
        return Muons(*(flat(self.muons[column]) for column in COLUMNS), flat(self.gen_pt))

    def record(self) -> CorrectionRecord:
        values = {"name": "muon_momentum", "pog": "MUO", "era": "2018", "working_point": "nominal", "keys": {}}
        return CorrectionRecord(**values, path=self.table, sha256="", version=0)

    def corrected(self, **options: object) -> muon_momentum.CorrectedPt:
        index = positions(self.muons)
        known = {"identity": self.identity, "index": index, "is_data": self.is_data, "gen_pt": self.gen_pt}
        return corrected_pt(self.record(), self.muons, **{**known, **options})


def flat(array: ak.Array) -> np.ndarray:
    return ak.to_numpy(ak.flatten(array)).astype(np.float64)


@pytest.fixture(scope="module")
def data(real: Path) -> Sample:
    return Sample(real, "nano_dimuon", is_data=True)


@pytest.fixture(scope="module")
def simulation(real: Path) -> Sample:
    return Sample(real, "nano_dy", is_data=False)


def test_reference_values_of_data(data: Sample) -> None:
    assert len(data.factors) == 84
    found = scale_factor(data.table, data.flat, is_data=True, random=data.random)
    np.testing.assert_allclose(found, data.factors, rtol=1e-5)
    error = scale_error(data.table, data.flat, is_data=True, random=data.random)
    np.testing.assert_allclose(error, data.errors, rtol=1e-5)
    assert np.all(np.abs(found / data.factors - 1) < 1e-5)


def test_reference_values_of_simulation_with_the_given_random_numbers(simulation: Sample) -> None:
    muons = simulation.flat
    assert (len(muons.pt), np.count_nonzero(np.isnan(muons.gen_pt))) == (18, 2)
    found = scale_factor(simulation.table, muons, is_data=False, random=simulation.random)
    np.testing.assert_allclose(found, simulation.factors, rtol=1e-5)
    error = scale_error(simulation.table, muons, is_data=False, random=simulation.random)
    np.testing.assert_allclose(error, simulation.errors, rtol=1e-5)
    # The random numbers matter for the muons without generator muon, and for them alone.
    other = scale_factor(simulation.table, muons, is_data=False, random=1.0 - simulation.random)
    np.testing.assert_array_equal(other != found, np.isnan(muons.gen_pt))


def test_corrected_pt_is_that_of_the_reference(data: Sample, simulation: Sample) -> None:
    found = data.corrected()
    np.testing.assert_allclose(flat(found.pt), data.flat.pt * data.factors, rtol=1e-5)
    assert (found.out_of_range, found.clamped) == (0, np.count_nonzero(np.abs(data.flat.eta) >= 2.4))
    matched = np.isfinite(simulation.flat.gen_pt)
    found = simulation.corrected()
    np.testing.assert_allclose(flat(found.pt)[matched], (simulation.flat.pt * simulation.factors)[matched], rtol=1e-5)
    own = flat(uniform(simulation.identity, stream=muon_momentum.STREAM, index=positions(simulation.muons)))
    by_hand = scale_factor(simulation.table, simulation.flat, is_data=False, random=own)
    np.testing.assert_array_equal(flat(found.pt), simulation.flat.pt * by_hand)


def test_variations_are_the_total_error(simulation: Sample) -> None:
    nominal = flat(simulation.corrected().pt)
    for direction, sign in (("Up", 1.0), ("Down", -1.0)):
        varied = flat(simulation.corrected(variation=f"muon_scale{direction}").pt)
        matched = np.isfinite(simulation.flat.gen_pt)
        expected = nominal + sign * simulation.flat.pt * simulation.errors
        np.testing.assert_allclose(varied[matched], expected[matched], rtol=1e-6)
        np.testing.assert_array_equal(flat(simulation.corrected(variation=f"muon_resolution{direction}").pt), nominal)
    np.testing.assert_array_equal(flat(simulation.corrected().pt), nominal)


def test_every_muon_of_an_event_has_its_own_random_number(simulation: Sample) -> None:
    one = {column: np.full((3, 4), float(flat(simulation.muons[column])[0])) for column in COLUMNS}
    identity = (np.full(3, 1), np.full(3, 7), np.array([1, 2, 3]))
    index = np.tile(np.arange(4), (3, 1))
    muons = {column: ak.from_regular(ak.Array(values)) for column, values in one.items()}
    found = corrected_pt(
        simulation.record(), muons, identity=identity, index=ak.from_regular(ak.Array(index)), is_data=False
    )
    assert len(set(flat(found.pt))) == 12
    assert found.out_of_range == 0


def test_a_zero_is_no_generator_muon(simulation: Sample) -> None:
    zeros = ak.nan_to_num(simulation.gen_pt, nan=0.0)
    np.testing.assert_array_equal(flat(simulation.corrected(gen_pt=zeros).pt), flat(simulation.corrected().pt))


def test_one_muon_at_a_time_is_the_same(simulation: Sample) -> None:
    whole = simulation.corrected().pt
    for i in range(len(whole)):
        part = corrected_pt(
            simulation.record(),
            simulation.muons[i : i + 1],
            identity=tuple(column[i : i + 1] for column in simulation.identity),
            index=positions(simulation.muons)[i : i + 1],
            is_data=False,
            gen_pt=simulation.gen_pt[i : i + 1],
        )
        assert part.pt.to_list() == whole[i : i + 1].to_list()


def test_unreasonable_factors_leave_the_muon_alone(simulation: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(simulation.factors)
    factors = np.where(np.arange(n) % 2, 1.01, np.nan)
    factors[0] = 2.5
    monkeypatch.setattr(muon_momentum.rochester, "scale_factor", lambda *_, **__: factors)
    monkeypatch.setattr(muon_momentum.rochester, "scale_error", lambda *_, **__: np.full(n, 0.6))
    for variation, factor in (("nominal", 1.01), ("muon_scaleUp", 1.61), ("muon_scaleDown", 0.41)):
        found = simulation.corrected(variation=variation)
        assert found.out_of_range == (n + 1) // 2
        expected = simulation.flat.pt * np.where(np.arange(n) % 2, factor, 1.0)
        np.testing.assert_allclose(flat(found.pt), expected)


def test_no_muons(data: Sample) -> None:
    empty = {column: np.zeros(0) for column in COLUMNS}
    identity = (np.zeros(0, np.int64),) * 3
    for is_data in (True, False):
        found = corrected_pt(data.record(), empty, identity=identity, index=np.zeros(0, np.int64), is_data=is_data)
        assert (len(found.pt), found.out_of_range, found.clamped) == (0, 0, 0)


def test_the_table_of_the_catalogue(real: Path) -> None:
    record = Catalogue([real / "pog"]).resolve("muon_momentum", era="2018", pog_folders=["2018_UL"])
    muons = {"pt": np.array([45.0]), "eta": np.array([0.5]), "phi": np.array([1.0]), "charge": np.array([1.0])}
    identity = (np.array([1]),) * 3
    found = corrected_pt(record, muons, identity=identity, index=np.array([0]), is_data=True)
    assert found.pt[0] != 45.0
    assert abs(found.pt[0] / 45.0 - 1.0) < 0.01
    assert muon_momentum.needs_generator(record, is_data=False)
    assert "GenPart_pt" in muon_momentum.branches(record, is_data=False)
    assert "GenPart_pt" not in muon_momentum.branches(record, is_data=True)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    muons = Muons(*(np.ones(1),) * 6)
    for text in ("", "<html>"):
        (tmp_path / "table.txt").write_text(text)
        with pytest.raises(UserError, match="cannot be read"):
            scale_factor(tmp_path / "table.txt", muons, is_data=True, random=np.ones(1))
    with pytest.raises(UserError, match=r"absent\.txt cannot be read"):
        scale_factor(tmp_path / "absent.txt", muons, is_data=True, random=np.ones(1))
