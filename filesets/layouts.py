"""How events lie in files of each kind: the tree, what identifies an event, how such a file is recognised."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .addresses import without_secrets

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Layout:
    """A kind of file.

    Args:
        tree: where the events are, unless a dataset says otherwise.
        identity: branches that tell one event from another.
        identity_text: the same in words.
        schema: import path of the coffea schema, ``package.module:Class``.
        experiment: whose it is.
        truth: beginnings of names of branches that only simulation has.
        parquet: whether its events may lie in Parquet files.
    """

    tree: str
    identity: tuple[str, ...]
    identity_text: str
    schema: str
    experiment: str
    truth: tuple[str, ...]
    parquet: bool = False


#: Name of the schema → layout.
LAYOUTS: Mapping[str, Layout] = {
    "nanoaod": Layout(
        tree="Events",
        identity=("run", "luminosityBlock", "event"),
        identity_text="run, luminosity block and event number",
        schema="mucoffea.schemas.nanoaod:NanoAOD",
        experiment="cms",
        truth=("genWeight", "GenPart", "nGenPart"),
    ),
    "eventntuple": Layout(
        tree="EventNtuple/ntuple",
        identity=("run", "subrun", "event"),
        identity_text="run, subrun and event number",
        schema="mucoffea.schemas.eventntuple:EventNtuple",
        experiment="mu2e",
        truth=("trkmc", "trksegsmc", "crvcoincsmc", "evtinfomc", "crvmc", "trk.mcsim"),
        parquet=True,
    ),
}
DEFAULT = "nanoaod"


def is_parquet(path: str) -> bool:
    """Whether a path or address names a Parquet file."""
    return without_secrets(path).endswith(PARQUET)


def is_event_ntuple(names: Collection[str]) -> bool:
    """Whether branches, split (``trk.pdg``) or not (``trk``, ``trk.``), are those of an EventNtuple."""
    plain = {name.partition(".")[0] for name in names}
    return "trk" in plain and bool(plain & {"evtinfo", "subrun"}) and "luminosityBlock" not in plain


def has_truth(schema: str, names: Collection[str]) -> bool:
    """Whether branches show that a file is simulation."""
    return any(name.startswith(LAYOUTS[schema].truth) for name in names)
