"""The plan of a run: which entries of which file are read in which step, fixed before the first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ..errors import UserError
from ..filesets.addresses import redacted
from ..filesets.layouts import DEFAULT, LAYOUTS
from .keys import digest, source_digests

if TYPE_CHECKING:
    from ..filesets.models import FileEntry, Fileset


class WorkItem(BaseModel):
    """A range of entries of one file: what one call of ``process`` receives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    dataset: str
    lfn: str
    #: Paths or addresses of the same bytes, in order of preference.
    replicas: tuple[str, ...]
    tree: str
    uuid: str
    start: int
    stop: int
    #: What ``events.metadata`` shows besides the range: kind, process, era, the dataset's own keys.
    metadata: dict[str, str | int | float | bool | None]
    #: Name of the schema that shapes the events, of :data:`..filesets.layouts.LAYOUTS`.
    data_schema: str = DEFAULT
    #: See :mod:`.keys`; empty in a plan that is not to be resumed.
    key: str = ""

    @property
    def path(self) -> str:
        """The replica to read: the first."""
        return self.replicas[0]

    def reading(self, replica: str) -> WorkItem:
        """Return the same item with ``replica`` as the one to read."""
        if replica == self.path:
            return self
        return self.model_copy(update={"replicas": (replica, *(one for one in self.replicas if one != replica))})

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"dataset '{self.dataset}', file {self.path}, entries {self.start}–{self.stop} of '{self.tree}'"


class DatasetPlan(BaseModel):
    """What a run takes of one dataset, and what its limits leave out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: int
    events: int
    files_available: int
    #: Entries of every available file; None where files that the limits left out were not opened.
    events_available: int | None

    @property
    def limited(self) -> bool:
        """Whether --max-files or --max-chunks left something out."""
        return self.files < self.files_available or self.events != self.events_available


class Plan(BaseModel):
    """All work items in the order in which their results are merged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunksize: int
    datasets: tuple[DatasetPlan, ...]
    items: tuple[WorkItem, ...]

    @property
    def events(self) -> int:
        """Number of events in all work items."""
        return sum(len(item) for item in self.items)

    def write(self, path: Path) -> None:
        """Write the plan as JSON; addresses in it are without secrets."""
        path.write_text(redacted(self.model_dump_json(indent=1)) + "\n", encoding="utf-8")


def split(entries: int, chunksize: int, clusters: Sequence[int] = ()) -> list[tuple[int, int]]:
    """Split ``entries`` into ranges of at most ``chunksize``.

    Whole clusters are kept together as long as they fit, since a range that ends inside one makes its neighbour
    decompress it again. A cluster that is larger than ``chunksize`` is split into equal parts.

    Args:
        entries: number of entries of the file.
        chunksize: most entries of a range.
        clusters: entry numbers at which clusters begin and end, from 0 to ``entries``; empty if not known.
    """
    edges = [0]
    known = [*clusters] if clusters and clusters[0] == 0 and clusters[-1] == entries else [0, entries]
    for start, stop in pairwise(known):
        if stop - edges[-1] <= chunksize:
            continue
        if start > edges[-1]:
            edges.append(start)
        pieces = -(-(stop - start) // chunksize)
        edges += [start + (stop - start) * piece // pieces for piece in range(1, pieces)]
    return [(start, stop) for start, stop in pairwise([*edges, entries]) if stop > start]


def build_plan(
    filesets: Sequence[Fileset],
    *,
    chunksize: int,
    max_chunks: int | None = None,
    files_available: Mapping[str, int] | None = None,
    run_key: str = "",
) -> Plan:
    """Make the plan for ``filesets``, whose files have been inspected (``entries`` and ``uuid`` are known).

    Args:
        filesets: in the order of the run; a file without ``entries`` is left out (it could not be read).
        chunksize: most events in one work item.
        max_chunks: most work items of one dataset.
        files_available: dataset → number of files before any limit, where it differs from the fileset's.
        run_key: what all items share, see :mod:`.keys`.

    Raises:
        UserError: ``chunksize`` or ``max_chunks`` is not positive.
    """
    for option, value in (("--chunksize", chunksize), ("--max-chunks", max_chunks)):
        if value is not None and value < 1:
            raise UserError(f"{option} must be at least 1, not {value}.")
    items: list[WorkItem] = []
    datasets: list[DatasetPlan] = []
    for fileset in filesets:
        ranges = [
            (file, start, stop)
            for file in fileset.files
            if file.entries is not None
            for start, stop in split(file.entries, chunksize, file.clusters)
        ][:max_chunks]
        first = len(items)
        items += [_item(first + place, fileset, *one, run_key) for place, one in enumerate(ranges)]
        available = (files_available or {}).get(fileset.dataset.name, len(fileset.files))
        used = len({file.lfn for file, _, _ in ranges}) if max_chunks else len(fileset.files)
        datasets.append(_dataset_plan(fileset, used, available, sum(map(len, items[first:]))))
    return Plan(chunksize=chunksize, datasets=tuple(datasets), items=tuple(items))


def _item(index: int, fileset: Fileset, file: FileEntry, start: int, stop: int, run_key: str) -> WorkItem:
    name, metadata = fileset.dataset.name, _metadata(fileset, file)
    identity = [run_key, name, file.lfn, file.uuid, file.tree, start, stop, metadata]
    return WorkItem(
        index=index,
        dataset=name,
        lfn=file.lfn,
        replicas=file.replicas,
        tree=file.tree,
        uuid=file.uuid or "",
        start=start,
        stop=stop,
        metadata=metadata,
        data_schema=file.data_schema,
        key=digest([*identity, *_schema_key(file.data_schema)]),
    )


def _dataset_plan(fileset: Fileset, used: int, available: int, events: int) -> DatasetPlan:
    counts = [file.entries for file in fileset.files]
    known = available == len(counts) and None not in counts
    return DatasetPlan(
        name=fileset.dataset.name,
        files=used,
        events=events,
        files_available=available,
        events_available=sum(count or 0 for count in counts) if known else None,
    )


@cache
def _schema_key(schema: str) -> tuple[Any, ...]:
    """Return what a schema of this package adds to the keys: its source; NanoAOD is coffea's, whose version counts."""
    return () if schema == DEFAULT else (source_digests(LAYOUTS[schema].schema.partition(":")[0]),)


def _metadata(fileset: Fileset, file: FileEntry) -> dict[str, Any]:
    dataset = fileset.dataset
    known = {"on_spill": dataset.on_spill, "ntuple_version": file.ntuple_version}
    return {
        **dataset.metadata,
        **{name: value for name, value in known.items() if value is not None},
        "kind": dataset.kind,
        "process": dataset.process,
        "era": dataset.era,
    }
