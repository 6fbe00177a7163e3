"""Events of an EventNtuple, written by hand: a good conversion electron, of which a test changes what it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import awkward as ak
from mucoffea.schemas.eventntuple import from_columns

Record = dict[str, Any]
FRONT, MID, BACK = 0, 1, 2


def vector(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Record:
    """Return a 3-vector as ROOT stores it."""
    return {"fCoordinates": {"fX": x, "fY": y, "fZ": z}}


def segment(sid: int, *, p: float = 104.0, pitch: float = 0.8, time: float = 1000.0, **fit: float) -> Record:
    """Return a crossing of the surface ``sid``, with what the fit says there: ``d0``, ``maxr``, ``t0err``."""
    transverse = p / math.hypot(1.0, pitch)
    own = {
        "mom": vector(transverse, 0.0, transverse * pitch),
        "pos": vector(),
        "time": time,
        "momerr": 0.2,
        "sid": sid,
    }
    return {"segment": own, "fit": {"maxr": 500.0, "d0": 50.0, "t0err": 0.5, **fit}}


def particle(pdg: int = 11, nhits: int = 30, *, p: float = 105.0, rank: int = 0, **other: Any) -> Record:
    """Return a particle of a track's genealogy; an ancestor has ``nhits=-1`` and ``rank=-1``."""
    return {"pdg": pdg, "nhits": nhits, "rank": rank, "startCode": 17, "mom": vector(0.0, 0.0, p), **other}


def track(
    segments: Sequence[Record] | None = None,
    *,
    particles: Sequence[Record] | None = None,
    true: Sequence[tuple[int, float]] | None = None,
    **leaves: Any,
) -> Record:
    """Return a track that passes every cut but for what is given; ``true`` are (sid, pz) of true crossings."""
    segments = [segment(sid) for sid in (FRONT, MID, BACK)] if segments is None else segments
    steps = [(FRONT, 104.5)] if true is None else true
    return {
        "trk": {"nactive": leaves.get("nactive", 40), "pdg": leaves.get("pdg", 11)},
        "trkqual": {"valid": True, "result": leaves.get("quality", 0.9)},
        "trksegs": [one["segment"] for one in segments],
        "trksegpars_lh": [one["fit"] for one in segments],
        "trkmcsim": [particle()] if particles is None else list(particles),
        "trksegsmc": [{"sid": sid, "mom": vector(0.0, 0.0, pz)} for sid, pz in steps],
    }


def coincidence(time: float = 955.0, *, height: float = 15000.0, **leaves: float) -> Record:
    """Return a CRV coincidence; the default is a cosmic ray's, 45 ns before the default track.

    Its primary began at ``height`` mm.
    """
    own = {"time": time, "timeStart": time - 10, "timeEnd": time + 10, "pos": vector(0.0, 2000.0, -3000.0)}
    other = {"PEs": 100.0, "nHits": 8, "nLayers": 4, "angle": 0.1, "sectorType": 2}
    true = {"valid": True, "primaryPdgId": 13, "primary": vector(0.0, height, 0.0)}
    return {"reconstructed": {**own, **other, **leaves}, "true": true}


def events(
    of_events: Sequence[tuple[Sequence[Record], Sequence[Record]]],
    *,
    kind: str = "mc",
    on_spill: bool | None = True,
    without: Sequence[str] = (),
    **metadata: Any,
) -> Any:
    """Return events of (tracks, coincidences), numbered from 1.

    Args:
        of_events: tracks and coincidences of each event.
        kind: ``mc`` or ``data``, which has no truth.
        on_spill: as the dataset says; None says nothing.
        without: branches that the file does not have.
        metadata: more of it.
    """
    # An event with everything gives empty lists their types, and is taken off again.
    complete = [*of_events, ([track()], [coincidence()])]
    branches = ("trk", "trkqual", "trksegs", "trksegpars_lh", "trkmcsim", "trksegsmc")
    columns = {name: ak.Array([[one[name] for one in tracks] for tracks, _ in complete]) for name in branches}
    for name, part in (("crvcoincs", "reconstructed"), ("crvcoincsmc", "true")):
        columns[name] = ak.Array([[one[part] for one in coincidences] for _, coincidences in complete])
    for name in (*without, *(("trkmcsim", "trksegsmc", "crvcoincsmc") if kind == "data" else ())):
        columns.pop(name, None)
    number = ak.Array(range(1, len(complete) + 1))
    identity = {"run": ak.full_like(number, 1202), "subrun": ak.full_like(number, 7), "event": number}
    together = ak.zip({**identity, **columns}, depth_limit=1)[: len(of_events)]
    return from_columns(together, {"dataset": "hand", "kind": kind, "on_spill": on_spill, **metadata})
