"""The schema of Mu2e's EventNtuple: golden events, branches that ROOT wrote, and what can be asked of tracks."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory
from mucoffea.errors import UserError
from mucoffea.schemas.eventntuple import EventNtuple, at_surface, branch_of, from_columns, pitch, reflected, require
from mucoffea.schemas.surfaces import surface_id, surface_ids

#: subrun, event, p at the front, time at the middle, d0, pz/pT, largest radius, active hits, quality.
GOLDEN = [
    (4846, 283585, 118.998, 59084.511, 80.38, 0.9399, 489.51, 26, 0.9766),
    (18802, 50292, 129.355, 86870.573, 31.71, 0.8082, 548.21, 63, 0.8821),
    (19742, 359830, 135.127, 31341.442, 84.84, 0.6479, 643.43, 53, 0.9194),
    (23219, 61287, 119.816, 69961.570, 63.65, 0.7435, 617.60, 68, 0.8864),
    (29493, 178482, 131.920, 48114.303, 17.59, 0.8012, 622.91, 68, 0.9574),
    (37020, 103500, 98.076, 27301.433, 83.98, 0.7078, 506.19, 29, 0.9171),
    (78889, 161916, 105.490, 59266.842, 71.16, 0.9054, 586.12, 34, 0.9530),
]


def vectors(*rows: tuple[float, float, float]) -> ak.Array:
    return ak.Array([dict(zip("xyz", row, strict=True)) for row in rows])


def one_track(segments: list[dict]) -> ak.Array:
    return from_columns(ak.Array({"trk": [[{"pdg": 11}]], "trksegs": [[segments]]}))


@pytest.fixture(scope="module")
def golden(real: Path) -> ak.Array:
    return from_columns(ak.from_parquet(real / "mu2e" / "golden_events.parquet"))


@pytest.fixture(scope="module")
def nested(real: Path) -> Path:
    return real / "mu2e" / "nested_vectors_written_by_root.root"


@pytest.mark.parametrize("place", range(len(GOLDEN)))
def test_golden_events(golden: ak.Array, place: int) -> None:
    subrun, number, p, time, d0, slope, radius, hits, quality = GOLDEN[place]
    event = golden[place]
    assert (event.run, event.subrun, event.event) == (1202, subrun, number)
    (track,) = event.trk
    front, middle = (track.segs.sid == surface_id(name) for name in ("TT_Front", "TT_Mid"))
    assert track.segs.p[front].tolist() == [pytest.approx(p, abs=6e-4)]
    assert track.segs.mom.mag[front].tolist() == [pytest.approx(p, abs=6e-4)]
    assert track.segs.pitch[front].tolist() == [pytest.approx(slope, abs=6e-5)]
    assert track.segs.time[middle].tolist() == [pytest.approx(time, abs=6e-4)]
    assert track.lh.d0[front].tolist() == [pytest.approx(d0, abs=6e-3)]
    assert track.pars.maxr[front].tolist() == [pytest.approx(radius, abs=6e-3)]
    assert (track.pdg, track.nactive) == (11, hits)
    assert track.qual.result == pytest.approx(quality, abs=6e-5)


def test_golden_collections_line_up(golden: ak.Array) -> None:
    assert ak.all(ak.num(golden.trk.segs, axis=2) == ak.num(golden.trk.lh, axis=2))
    assert ak.num(golden.crv).tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert golden.crv.time[5].tolist() == [pytest.approx(27124.877, abs=6e-4)]
    assert not ak.any(golden.trk.reflected, axis=None)
    best = golden.trk.mcsim[ak.argmax(golden.trk.mcsim.nhits, axis=-1, keepdims=True)]
    assert set(ak.flatten(best.pdg, axis=None).tolist()) == {11}


def test_from_columns_of_its_own_result(golden: ak.Array) -> None:
    again = from_columns(ak.without_parameters(golden))
    assert set(again.trk.fields) == set(golden.trk.fields)
    for name in ("run", "crv"):
        assert again[name].tolist() == golden[name].tolist()
    for name in golden.trk.fields:  # some errors of segments are NaN in the file
        first, second = (ak.without_parameters(one.trk[name]) for one in (again, golden))
        assert ak.array_equal(first, second, equal_nan=True), name


def test_unsplit_branches_written_by_root(nested: Path) -> None:
    """What uproot itself reads, whatever the range of entries; each branch is read once."""
    with uproot.open(nested) as file:
        tree = file["ntuple"]
        raw = tree["trksegs"].array()
        assert "vector<std::vector<TrkSegInfo>>" in tree["trksegs"].typename
        columns, log = EventNtuple.columns(tree), []
        events = EventNtuple.from_file(columns, start=1200, stop=1300, access_log=log)
        assert {"pdg", "segs"} <= set(events.trk.fields)
        for name in ("mom", "time", "sid"):
            assert ak.array_equal(ak.materialize(events.trk.segs[name]), raw[name][1200:1300])
        assert ak.array_equal(ak.materialize(events.trk.nhits), tree["trk.nhits"].array()[1200:1300])
        assert sorted(one.branch for one in log) == ["trk.nhits", "trk.pdg", "trksegs"]


def test_coffeas_own_factory_gives_the_same(nested: Path) -> None:
    options = {"mode": "virtual", "schemaclass": EventNtuple, "entry_start": 10, "entry_stop": 60}
    events = NanoEventsFactory.from_root({str(nested): "ntuple"}, **options).events()
    with uproot.open(nested) as file:
        mine = EventNtuple.from_file(EventNtuple.columns(file["ntuple"]), start=10, stop=60)
        assert events.trk.fields == mine.trk.fields
        assert ak.array_equal(ak.materialize(events.trk.segs.sid), ak.materialize(mine.trk.segs.sid))


def test_pitch_of_nothing_transverse_is_zero() -> None:
    momenta = vectors((3, 4, 10), (0, 0, 7), (0, 0, 0), (1, 0, -2))
    assert pitch(momenta).tolist() == [2, 0, 0, -2]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([(0, 1.0), (0, -1.0)], True),
        ([(0, 1.0), (1, -1.0)], False),
        ([(0, -1.0)], False),
        ([(0, 0.0), (0, 1.0)], False),
        ([(1, 1.0), (1, -1.0)], False),
    ],
)
def test_reflected(segments: list[tuple[int, float]], expected: bool) -> None:
    made = [{"sid": sid, "mom": {"fCoordinates": {"fX": 0.0, "fY": 0.0, "fZ": pz}}} for sid, pz in segments]
    events = one_track(made)
    assert reflected(events.trk).tolist() == events.trk.reflected.tolist() == [[expected]]


def test_at_surface_and_a_surface_crossed_twice() -> None:
    events = one_track([{"sid": sid, "time": float(sid)} for sid in (0, 91, 0, 1)])
    assert at_surface(events.trk.segs, "TT_Front").tolist() == [[[True, False, True, False]]]
    assert events.trk.segs.at("IPA_Front").time.tolist() == [[[91.0]]]


def test_surfaces_are_numbered_by_version() -> None:
    assert [surface_id(name) for name in ("IPA", "OPA", "TSDA")] == [90, 95, 96]
    assert [surface_id(name, (6, 2, 9)) for name in ("IPA", "OPA", "TSDA")] == [84, 85, 86]
    assert "IPA_Front" not in surface_ids((6, 0, 0))
    for version in ((5, 0, 0), (6, 0, 0), (6, 6, 0), (6, 13, 2), None):
        assert [surface_ids(version)[name] for name in ("TT_Front", "TT_Mid", "TT_Back")] == [0, 1, 2]
    with pytest.raises(UserError, match=r"no surface 'TT_Frnt'. Did you mean 'TT_Front'"):
        surface_id("TT_Frnt")


def test_numbers_of_surfaces_are_those_of_real_events(golden: ak.Array) -> None:
    """Planes lie where they are: the files are of EventNtuple 6.3. Millimetres, z."""
    for name, z in {"TT_Front": -1631.1, "TT_Mid": 10.1, "TT_Back": 1639.1, "TSDA": -5967.0}.items():
        segments = golden.trk.segs.at(surface_id(name, (6, 3, 0)))
        found = ak.flatten(segments.pos.z, axis=None)
        assert len(found) > 0
        assert np.allclose(found, z, atol=0.5), name


def test_tracks_without_segments_and_events_without_tracks() -> None:
    segments = ak.values_astype(ak.Array([[[], [1, 2]], [], [[]]]), np.int32)
    events = from_columns(
        ak.Array({"trk.pdg": ak.Array([[11, 13], [], [11]]), "trksegs": ak.zip({"sid": segments}), "run": [1, 1, 1]})
    )
    assert events.trk.segs.sid.tolist() == [[[], [1, 2]], [], [[]]]
    assert events.trk.pdg.tolist() == [[11, 13], [], [11]]


def test_masked_tracks_are_dropped() -> None:
    events = from_columns(ak.Array({"trk": ak.Array([{"trk.pdg": [11, None]}, {"trk.pdg": [None]}])}))
    assert events.trk.pdg.tolist() == [[11], []]


def test_collections_of_different_length_are_refused() -> None:
    columns = ak.Array({"trk.pdg": ak.Array([[11], [11, 13]]), "trkqual.result": ak.Array([[0.5], [0.5]])})
    with pytest.raises(
        UserError, match=r"trk.pdg and trkqual.result do not have the same number of elements in entry 1"
    ):
        from_columns(columns)


def test_parameters_of_whichever_fit_there_is() -> None:
    for fit in ("lh", "ch", "kl"):
        events = from_columns(ak.Array({"trk.pdg": ak.Array([[11]]), f"trksegpars_{fit}": ak.Array([[[{"d0": 1.5}]]])}))
        assert events.trk[fit].d0.tolist() == events.trk.pars.d0.tolist() == [[[1.5]]]


def test_what_is_missing_is_named_with_branch_closest_name_and_version() -> None:
    events = from_columns(
        ak.Array({"trk.pdg": ak.Array([[11]]), "trksegs": ak.Array([[[{"sid": 0, "momerr": 1.0}]]])}),
        metadata={"ntuple_version": "6.3.0"},
    )
    require(events, "trk.pdg", "trk.segs.sid")
    with pytest.raises(
        UserError, match=r"EventNtuple v6.3.0\) does not have 'trk.segs.momer', the branch trksegs.momer"
    ):
        require(events, "trk.segs.momer")
    with pytest.raises(UserError, match=r"Did you mean 'trk.segs.momerr'"):
        require(events, "trk.segs.momer")
    assert branch_of("trk.qual.result") == "trkqual.result"
    assert branch_of("crv.time") == "crvcoincs.time"
    assert branch_of("run") == "run"
