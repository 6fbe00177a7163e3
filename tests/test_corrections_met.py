"""Missing transverse momentum: propagation of every object, type-1 convention, unclustered energy, NanoAOD versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from mucoffea.corrections import met
from mucoffea.corrections.met import Change, Met, Type1Jets
from mucoffea.errors import UserError

JET_COLUMNS = ("pt", "phi", "rawFactor", "muonSubtrFactor", "chEmEF", "neEmEF")


class Columns(dict[str, Any]):
    """A collection with columns of its own."""

    @property
    def fields(self) -> list[str]:
        return list(self)


def momenta(rng: np.random.Generator, n_events: int) -> tuple[Met, Columns]:
    """Return MET and jets of some events, of which the first has no jet."""
    counts = rng.integers(0, 7, n_events)
    counts[0] = 0
    n = int(counts.sum())
    jets = {
        "pt": rng.exponential(40, n) + 10,
        "phi": rng.uniform(-np.pi, np.pi, n),
        "muonSubtrFactor": np.where(rng.random(n) < 0.2, rng.random(n), 0.0),
        "chEmEF": rng.random(n) * 0.6,
        "neEmEF": rng.random(n) * 0.4,
    }
    columns = Columns({name: ak.unflatten(values, counts) for name, values in jets.items()})
    return Met(rng.exponential(50, n_events), rng.uniform(-np.pi, np.pi, n_events)), columns


def vector(one: Met) -> np.ndarray:
    return np.stack([one.pt * np.cos(one.phi), one.pt * np.sin(one.phi)])


def test_two_per_cent_of_jet_scale_moves_met_by_minus_the_sum_of_momenta() -> None:
    before, jets = momenta(np.random.default_rng(1), 5000)
    after = met.propagated(before, [Change(jets["pt"], 1.02 * jets["pt"], jets["phi"])])
    for part, function in zip(vector(after) - vector(before), (np.cos, np.sin), strict=True):
        expected = -ak.to_numpy(ak.sum(0.02 * jets["pt"] * function(jets["phi"]), axis=1))
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-6)
        assert np.abs(expected).max() > 1


def test_the_type1_jets_move_met_without_their_muons() -> None:
    before, jets = momenta(np.random.default_rng(2), 2000)
    after = met.propagated(before, [met.jet_change(jets, 1.02 * jets["pt"])])
    mask = met.enters_type1(jets, jets["pt"])
    assert 0.3 < ak.mean(mask) < 0.9
    shift = 0.02 * jets["pt"] * (1 - jets["muonSubtrFactor"]) * mask
    expected = -np.stack([ak.to_numpy(ak.sum(shift * f(jets["phi"]), axis=1)) for f in (np.cos, np.sin)])
    np.testing.assert_allclose(vector(after) - vector(before), expected, rtol=0, atol=1e-6)


def test_every_collection_moves_met_not_jets_alone() -> None:
    # Peers propagate jets and forget muons, or the other way round.
    before = Met(np.array([50.0]), np.array([0.0]))
    muons = Change(np.array([40.0]), np.array([41.0]), np.array([0.0]), event=np.array([0]))
    electrons = Change(np.array([30.0]), np.array([28.0]), np.array([np.pi / 2]), event=np.array([0]))
    jets = Change(ak.Array([[60.0]]), ak.Array([[63.0]]), ak.Array([[np.pi]]))
    after = met.propagated(before, [muons, electrons, jets])
    np.testing.assert_allclose(vector(after)[:, 0], [50.0 - 1.0 + 3.0, 2.0], atol=1e-12)


def test_variation_is_relative_to_what_met_was_made_with_not_to_a_stale_raw_factor() -> None:
    # A peer varied pt and kept rawFactor, so that the MET moved by the whole correction instead of the shift.
    before, jets = momenta(np.random.default_rng(3), 500)
    nominal = 1.05 * jets["pt"]
    once = met.propagated(before, [met.jet_change(jets, 1.02 * nominal)])
    step = met.propagated(before, [met.jet_change(jets, nominal)])
    fraction = met.jet_change(jets, nominal).fraction
    twice = met.propagated(step, [Change(nominal, 1.02 * nominal, jets["phi"], fraction=fraction)])
    np.testing.assert_allclose(vector(once), vector(twice), atol=1e-9)


def test_data_follow_as_simulation_does() -> None:
    # A peer left the MET of Run 2 data as it was: there is no flag here that could.
    assert "is_data" not in met.propagated.__annotations__


def test_muon_in_a_jet_is_not_counted_twice() -> None:
    # All of the jet is its muon: a change of the jet's scale moves nothing, that of the muon all.
    jets = Columns(
        pt=np.array([50.0]), phi=np.zeros(1), muonSubtrFactor=np.ones(1), chEmEF=np.zeros(1), neEmEF=np.zeros(1)
    )
    before, event = Met(np.array([20.0]), np.zeros(1)), np.array([0])
    muon = Change(np.array([50.0]), np.array([51.0]), np.zeros(1), event)
    after = met.propagated(before, [met.jet_change(jets, np.array([55.0]), event=event), muon])
    np.testing.assert_allclose(after.pt, [19.0])


def test_jet_that_is_an_electron_can_be_left_out() -> None:
    jets = Columns(
        pt=np.array([50.0]), phi=np.zeros(1), muonSubtrFactor=np.zeros(1), chEmEF=np.zeros(1), neEmEF=np.zeros(1)
    )
    assert met.enters_type1(jets, jets["pt"]).tolist() == [True]
    assert met.enters_type1(jets, jets["pt"], overlaps=np.array([True])).tolist() == [False]


@pytest.mark.parametrize(
    ("pt", "muons", "em", "enters"),
    [
        (15.1, 0.0, 0.0, True),
        (15.0, 0.0, 0.0, False),
        (30.0, 0.51, 0.0, False),
        (30.0, 0.0, 0.9, False),
        (30.0, 0.0, 0.89, True),
    ],
)
def test_type1_convention(pt: float, muons: float, em: float, enters: bool) -> None:
    jets = Columns(muonSubtrFactor=np.array([muons]), chEmEF=np.array([em]), neEmEF=np.zeros(1))
    assert met.enters_type1(jets, np.array([pt])).tolist() == [enters]


def test_flat_and_jagged_are_the_same() -> None:
    before, jets = momenta(np.random.default_rng(4), 300)
    new = jets["pt"] * 1.1
    counts = ak.num(new)
    flat = [ak.to_numpy(ak.flatten(one)) for one in (jets["pt"], new, jets["phi"])]
    jagged = met.propagated(before, [Change(jets["pt"], new, jets["phi"])])
    by_event = met.propagated(before, [Change(*flat, event=np.repeat(np.arange(300), counts))])
    np.testing.assert_array_equal(jagged.pt, by_event.pt)
    np.testing.assert_array_equal(jagged.phi, by_event.phi)


def test_unchanged_events_keep_their_met_bit_for_bit() -> None:
    before, jets = momenta(np.random.default_rng(5), 300)
    new = ak.where(ak.local_index(jets["pt"], axis=0) % 2 == 0, jets["pt"], jets["pt"] * 1.1)
    after = met.propagated(before, [Change(jets["pt"], new, jets["phi"])])
    same = (np.arange(300) % 2 == 0) | (ak.to_numpy(ak.num(jets["pt"])) == 0)
    assert (after.pt[same] == before.pt[same]).all()
    assert (after.phi[same] == before.phi[same]).all()
    assert (after.pt[~same] != before.pt[~same]).all()


def test_result_does_not_depend_on_chunks() -> None:
    before, jets = momenta(np.random.default_rng(6), 400)
    whole = met.propagated(before, [Change(jets["pt"], jets["pt"] * 1.1, jets["phi"])])
    parts = [
        met.propagated(
            Met(before.pt[part], before.phi[part]),
            [Change(jets["pt"][part], jets["pt"][part] * 1.1, jets["phi"][part])],
        )
        for part in (slice(0, 7), slice(7, 260), slice(260, 400))
    ]
    np.testing.assert_array_equal(whole.pt, np.concatenate([part.pt for part in parts]))


def test_float32_columns_are_summed_in_double_precision() -> None:
    before = Met(np.array([1e4], np.float32), np.zeros(1, np.float32))
    one = np.full(1000, 50.0, np.float32)
    after = met.propagated(before, [Change(one, one + np.float32(0.0001), np.zeros(1000), event=np.zeros(1000, int))])
    assert after.pt.dtype == np.float64
    np.testing.assert_allclose(after.pt, 1e4 - 1000 * float(np.float32(50.0001) - np.float32(50.0)), rtol=1e-12)


def test_absent_objects_do_not_count_and_lost_ones_are_an_error() -> None:
    before, event = Met(np.array([10.0, 20.0]), np.zeros(2)), np.array([0, 1])
    absent = Change(np.array([np.nan, 5.0]), np.array([np.nan, 6.0]), np.array([np.nan, 0.0]), event)
    np.testing.assert_allclose(met.propagated(before, [absent]).pt, [10.0, 19.0])
    with pytest.raises(ValueError, match="1 objects have no momentum"):
        met.propagated(before, [Change(np.array([4.0, 5.0]), np.array([4.0, np.nan]), np.zeros(2), event)])


def test_nan_of_one_event_stays_there() -> None:
    before = Met(np.array([np.nan, 20.0]), np.zeros(2))
    change = Change(np.array([5.0, 5.0]), np.array([6.0, 6.0]), np.zeros(2), np.array([0, 1]))
    after = met.propagated(before, [change])
    assert np.isnan(after.pt[0])
    assert after.pt[1] == 19.0


def test_shapes_that_differ_are_an_error() -> None:
    before = Met(np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match="3 events cannot change the MET of 2"):
        met.propagated(
            before, [Change(ak.Array([[1.0], [], []]), ak.Array([[1.0], [], []]), ak.Array([[0.0], [], []]))]
        )
    with pytest.raises(ValueError, match="differ in shape"):
        met.propagated(before, [Change(np.ones(2), np.ones(3), np.zeros(2), np.array([0, 1]))])


@given(st.floats(-50, 50), st.floats(0, 1e4), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=200, deadline=None)
def test_phi_is_in_its_range_and_shifts_add(phi: float, pt: float, x: float, y: float) -> None:
    start = Met(np.array([pt]), np.array([phi]))
    moved = met.shifted(start, np.array([x]), np.array([y]))
    assert -np.pi < moved.phi[0] <= np.pi
    np.testing.assert_allclose(vector(moved)[:, 0], [pt * np.cos(phi) + x, pt * np.sin(phi) + y], atol=1e-8)


def test_phi_at_the_edges() -> None:
    values = met.wrapped(np.array([np.pi, -np.pi, np.float32(np.pi), -np.float32(np.pi), 3 * np.pi, 0.5, np.nan]))
    assert values[0] == np.pi
    assert values[1] == np.pi
    assert values[5] == 0.5
    assert np.isnan(values[6])
    assert ((values[:6] > -np.pi) & (values[:6] <= np.pi)).all()
    assert met.angle(np.array([-1.0]), np.array([-0.0]))[0] == np.pi


def test_unclustered_of_v9_is_a_vector_up_and_its_opposite_down() -> None:
    before = Met(np.array([30.0, 40.0]), np.array([0.0, np.pi / 2]))
    file_met = Columns(MetUnclustEnUpDeltaX=np.array([2.0, 0.0]), MetUnclustEnUpDeltaY=np.array([0.0, 3.0]))
    np.testing.assert_allclose(met.unclustered(before, file_met, "up").pt, [32.0, 43.0])
    np.testing.assert_allclose(met.unclustered(before, file_met, "down").pt, [28.0, 37.0])
    assert met.unclustered(before, file_met, "nominal") is before


def test_unclustered_of_v12_composes_with_propagation() -> None:
    file_met = Columns(
        pt=np.array([30.0]), phi=np.array([0.0]),
        ptUnclusteredUp=np.array([33.0]), phiUnclusteredUp=np.array([0.0]),
        ptUnclusteredDown=np.array([26.0]), phiUnclusteredDown=np.array([0.0]),
    )  # fmt: skip
    propagated = met.shifted(Met(file_met["pt"], file_met["phi"]), np.array([-5.0]), np.array([0.0]))
    # The file's own shifted value would forget the propagation.
    np.testing.assert_allclose(met.unclustered(propagated, file_met, "up").pt, [28.0])
    np.testing.assert_allclose(met.unclustered(propagated, file_met, "down").pt, [21.0])


def test_unclustered_without_columns_says_so() -> None:
    with pytest.raises(UserError, match="met_unclustered"):
        met.unclustered(Met(np.ones(1), np.ones(1)), Columns(pt=np.ones(1)), "up")


@pytest.mark.parametrize(
    ("fields", "run", "name"),
    [
        (["MET", "PuppiMET"], 2, "MET"),
        (["PFMET", "PuppiMET"], 2, "PFMET"),
        (["MET", "PuppiMET"], 3, "PuppiMET"),
        (["PFMET", "PuppiMET"], 3, "PuppiMET"),
    ],
)
def test_collection_of_each_version(fields: list[str], run: int, name: str) -> None:
    assert met.met_collection(fields, run) == name


def test_file_without_met() -> None:
    with pytest.raises(UserError, match="no missing momentum PuppiMET"):
        met.met_collection(["MET"], 3)


def real_columns(path: Path, collection: str, columns: tuple[str, ...]) -> Columns:
    with uproot.open(path) as file:
        arrays = file["Events"].arrays([f"{collection}_{name}" for name in columns])
    found = {name: arrays[f"{collection}_{name}"] for name in columns}
    return Columns({name: ak.to_numpy(one) if one.ndim == 1 else one for name, one in found.items()})


@pytest.mark.parametrize(
    ("name", "collection"),
    [("nano_dy", "MET"), ("nano_tt_v12", "PuppiMET"), ("nanoAOD_2015_CMS_Open_Data_ttbar", "MET")],
)
def test_real_files_have_the_branches_and_move(real: Path, name: str, collection: str) -> None:
    path = real / "nanoaod" / f"{name}.root"
    columns = tuple(one.removeprefix(f"{collection}_") for one in met.branches(collection, vary_unclustered=True))
    file_met = real_columns(path, collection, columns)
    jets = real_columns(path, "Jet", JET_COLUMNS)
    before = Met(file_met["pt"], file_met["phi"])
    after = met.propagated(before, [met.jet_change(jets, 1.02 * jets["pt"])])
    shift = 0.02 * jets["pt"] * (1 - jets["muonSubtrFactor"]) * met.enters_type1(jets, jets["pt"])
    for part, function in ((vector(after) - vector(before))[0], np.cos), ((vector(after) - vector(before))[1], np.sin):
        np.testing.assert_allclose(part, -ak.to_numpy(ak.sum(shift * function(jets["phi"]), axis=1)), atol=1e-4)
    for way in ("up", "down"):
        varied = met.unclustered(before, file_met, way)  # type: ignore[arg-type]
        assert 0.1 < np.median(np.abs(varied.pt - before.pt)) < 20
        if collection == "PuppiMET":
            np.testing.assert_allclose(varied.pt, file_met[f"ptUnclustered{way.capitalize()}"], rtol=1e-4, atol=1e-3)


def test_type1_from_raw_met_gives_the_met_of_the_file(real: Path) -> None:
    # PUPPI jets of v12 have no L1 correction; jets below 15 GeV, not in `Jet`, are what is left.
    path = real / "nanoaod" / "nano_tt_v12.root"
    raw, file_met = (real_columns(path, name, ("pt", "phi")) for name in ("RawPuppiMET", "PuppiMET"))
    jets = real_columns(path, "Jet", JET_COLUMNS)
    without_muons = jets["pt"] * (1 - jets["rawFactor"]) * (1 - jets["muonSubtrFactor"])
    again = met.type1(
        Met(raw["pt"], raw["phi"]),
        [Type1Jets(without_muons, jets["phi"], 1 / (1 - jets["rawFactor"]), 1.0, jets["chEmEF"] + jets["neEmEF"])],
    )
    distance = np.hypot(*(vector(again) - vector(Met(file_met["pt"], file_met["phi"]))))
    untouched = np.hypot(*(vector(Met(raw["pt"], raw["phi"])) - vector(Met(file_met["pt"], file_met["phi"]))))
    assert np.median(untouched) > 10
    assert np.median(distance) < 0.1


def test_type1_takes_off_l1_and_the_jets_below_threshold() -> None:
    jets = Type1Jets(
        np.array([100.0, 14.0, 80.0]),
        np.zeros(3),
        np.array([1.1, 1.05, 1.2]),
        0.9,
        np.array([0.1, 0.1, 0.95]),
        np.zeros(3, int),
    )
    soft = Type1Jets(np.array([14.0]), np.zeros(1), np.array([1.2]), 1.0, None, np.zeros(1, int))
    after = met.type1(Met(np.array([50.0]), np.zeros(1)), [jets, soft])
    np.testing.assert_allclose(after.pt, [50.0 - 20.0 - 2.8])
