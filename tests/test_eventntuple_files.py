"""EventNtuple in RNTuple, TTree and Parquet: the same events, in any range, and only the columns that are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from mucoffea.schemas.eventntuple import EventNtuple, from_columns

PLACES = ("run", "trk.pdg", "trk.qual.result", "trk.segs.sid", "trk.segs.mom.z", "trk.pars.d0", "crv.time", "crv.pos.y")


def vector(values: Any) -> dict[str, Any]:
    return {"fCoordinates": {"fX": values, "fY": values + 1, "fZ": values + 2}}


def records() -> ak.Array:
    """Twelve events with 0 to 3 tracks, 0 to 2 segments each, and 0 to 2 coincidences."""
    rows = []
    for number in range(12):
        tracks = range(number % 4)
        crossed = [range((number + track) % 3) for track in tracks]
        rows.append(
            {
                "trk": [{"pdg": (11, -11, 13)[track], "nactive": 20 + track} for track in tracks],
                "trkqual": [{"valid": True, "result": 0.1 * track} for track in tracks],
                "trksegs": [[{"mom": vector(10.0 * one + number), "sid": one} for one in each] for each in crossed],
                "trksegpars_lh": [[{"d0": one + 0.5} for one in each] for each in crossed],
                "crvcoincs": [{"time": 5.0 * one, "pos": vector(1.0 * one)} for one in range(number % 3)],
            }
        )
    columns = ak.Array(rows)
    numbers = np.arange(12, dtype=np.int32)
    return ak.zip(
        {"run": np.full(12, 1202, np.int32), "subrun": numbers // 5, "event": numbers}
        | {name: columns[name] for name in columns.fields},
        depth_limit=1,
    )


def write_rntuple(array: ak.Array, folder: Path) -> Any:
    with uproot.recreate(folder / "e.root") as file:
        ntuple = file.mkdir("EventNtuple").mkrntuple("ntuple", array.layout.form)
        for start in range(0, len(array), 5):
            ntuple.extend(array[start : start + 5])
    return uproot.open(folder / "e.root")["EventNtuple/ntuple"]


def write_parquet(array: ak.Array, folder: Path) -> Any:
    ak.to_parquet(array, folder / "e.parquet", row_group_size=5)
    return pq.ParquetFile(folder / "e.parquet")


def write_skim(array: ak.Array, folder: Path) -> Any:
    """Write the events in the shape that the schema gives them, as Arrow has lists with nullable elements."""
    table = ak.to_arrow_table(ak.without_parameters(from_columns(array)), extensionarray=False)
    pq.write_table(table, folder / "e.parquet", row_group_size=4)
    return pq.ParquetFile(folder / "e.parquet")


WRITERS = {"rntuple": write_rntuple, "parquet": write_parquet, "skim": write_skim}


def at(events: ak.Array, place: str) -> ak.Array:
    for part in place.split("."):
        events = events[part]
    return ak.materialize(events)


@pytest.fixture(params=WRITERS, scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return WRITERS[request.param](records(), tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize(("start", "stop"), [(0, 12), (0, 5), (3, 7), (4, 11), (11, 12), (6, 6)])
def test_same_events_in_any_range(source: Any, start: int, stop: int) -> None:
    expected = from_columns(records())[start:stop]
    events = EventNtuple.from_file(EventNtuple.columns(source), start=start, stop=stop)
    assert len(events) == stop - start
    for place in PLACES:
        assert at(events, place).tolist() == at(expected, place).tolist(), place
    assert ak.materialize(events.trk.segs.p).tolist() == expected.trk.segs.p.tolist()


def test_only_what_is_looked_at_is_read_and_that_once(source: Any) -> None:
    log: list[Any] = []
    events = EventNtuple.from_file(EventNtuple.columns(source), start=0, stop=12, access_log=log)
    assert log == []
    for _ in range(2):
        at(events, "trk.segs.sid")
        at(events, "crv.time")
    read = [one.branch for one in log]
    assert len(read) == len(set(read)) == 3  # with trk.pdg, for the number of tracks
    assert not any("mom" in name or "d0" in name or "result" in name for name in read)


def test_present_places_and_their_sizes(source: Any) -> None:
    sizes = EventNtuple.place_sizes(source)
    assert set(PLACES) <= set(sizes)
    assert sizes["trk.segs.sid"] > 0
    assert set(sizes) == EventNtuple.present(EventNtuple.columns(source))


def test_metadata_and_behaviours(source: Any) -> None:
    events = EventNtuple.from_file(EventNtuple.columns(source), start=0, stop=4, metadata={"dataset": "a"})
    assert events.metadata == {"dataset": "a"}
    assert ak.materialize(events.trk.segs.mom.pt).ndim == 3
    assert ak.materialize(events.trk.reflected).tolist() == [[], [False], [False, False], [False, False, False]]


def test_a_missing_value_is_not_made_up(tmp_path: Path) -> None:
    table = pa.table({"run": [1], "subrun": [1], "event": [1], "trk": pa.array([[{"pdg": None}]])})
    pq.write_table(
        table.cast(pa.schema([*list(table.schema)[:3], ("trk", pa.list_(pa.struct([("pdg", pa.int32())])))])),
        tmp_path / "e.parquet",
    )
    events = EventNtuple.from_file(EventNtuple.columns(pq.ParquetFile(tmp_path / "e.parquet")), start=0, stop=1)
    with pytest.raises(Exception, match="missing values where EventNtuple has none"):
        at(events, "trk.pdg")


def test_split_leaves_of_a_ttree(tmp_path: Path) -> None:
    array = records()
    leaves = {
        "run": array.run,
        "subrun": array.subrun,
        "event": array.event,
        **{f"trk.{name}": array.trk[name] for name in ("pdg", "nactive")},
        **{f"crvcoincs.{name}": array.crvcoincs[name] for name in ("time",)},
        "crvcoincs.pos.fCoordinates.fY": array.crvcoincs.pos.fCoordinates.fY,
    }
    types = {name: "int32" if one.ndim == 1 else f"var * {one.type.content.content}" for name, one in leaves.items()}
    with uproot.recreate(tmp_path / "t.root") as file:
        tree = file.mkdir("EventNtuple").mktree("ntuple", types, counter_name=lambda name: f"n_{name}")
        tree.extend(leaves)
    with uproot.open(tmp_path / "t.root") as file:
        events = EventNtuple.from_file(EventNtuple.columns(file["EventNtuple/ntuple"]), start=2, stop=9)
        expected = from_columns(array)[2:9]
        for place in ("trk.pdg", "trk.nactive", "crv.time", "crv.pos.y", "event"):
            assert at(events, place).tolist() == at(expected, place).tolist()
