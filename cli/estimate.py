"""What a run will take: bytes to read, memory of the histograms, disk space, and time. All of it is about so."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .check_datasets import Sample
from .check_surroundings import LOCAL, Space, core_count

if TYPE_CHECKING:
    from ..executors.ledger import Outcome
    from ..executors.plan import Plan, WorkItem
    from ..filesets.models import Fileset
    from .analysis import Draft, Setup
    from .arguments import RunArguments

#: Most events that a probe processes at a time.
PROBE_EVENTS = 5_000
#: What a part holds besides the content of its histograms, bytes for each of them: the description of its axes.
PART_OVERHEAD = 2_000
#: Figures, report and cut flows, bytes.
REST = 5_000_000


class Line(NamedTuple):
    """A straight line through two measurements: what each work item costs, and each event in it."""

    item: float
    event: float

    def __call__(self, items: int, events: int) -> float:
        return self.item * items + self.event * events


class Probe(NamedTuple):
    """What a few events of one dataset cost: seconds on one worker, and bytes of their parts; or why not."""

    seconds: Line = Line(0.0, 0.0)
    part_bytes: Line = Line(0.0, 0.0)
    failure: str = ""


class Row(NamedTuple):
    """What one dataset will take; None where it is not known."""

    dataset: str
    files: int
    items: int
    events: int
    bytes_read: float | None
    seconds: float | None
    part_bytes: float | None


def row(fileset: Fileset, plan: Plan, draft: Draft | None, sample: Sample | None, probe: Probe | None) -> Row:
    """Return what one dataset will take, from what its sample file and a probe say."""
    name = fileset.dataset.name
    lengths = [len(item) for item in plan.items if item.dataset == name]
    events = sum(lengths)
    read = None
    if draft is not None and sample is not None and sample.file.entries:
        read = read_bytes(fileset, draft, sample) / sample.file.entries * events or None
    known = probe is not None and not probe.failure
    return Row(
        dataset=name,
        files=len(fileset.files),
        items=len(lengths),
        events=events,
        bytes_read=read,
        seconds=probe.seconds(len(lengths), events) if probe and known else None,
        part_bytes=probe.part_bytes(len(lengths), events) if probe and known else None,
    )


def read_bytes(fileset: Fileset, draft: Draft, sample: Sample) -> int:
    """Return the compressed bytes of the branches that the analysis reads from the sample file."""
    dataset = fileset.dataset
    requirements = draft.bare.requirements(dataset.kind, draft.inputs_of(dataset))
    named = {branch for one in requirements for branch in one.branches}
    counters = {f"n{branch.split('_', 1)[0]}" for branch in named if "_" in branch}
    return sum(size for name, size in sample.sizes.items() if name in named | counters)


def histogram_bytes(draft: Draft, filesets: Sequence[Fileset]) -> dict[str, int]:
    """Return dataset → bytes that its histograms take in memory."""
    analysis = draft.bare
    return {
        fileset.dataset.name: sum(
            one.size(analysis.regions, analysis.variations(draft.inputs_of(fileset.dataset)))
            for one in analysis.histograms
        )
        for fileset in filesets
    }


def space(draft: Draft, filesets: Sequence[Fileset], items: Mapping[str, int], rows: Sequence[Row] = ()) -> Space:
    """Return the bytes that a run writes.

    Args:
        draft: the analysis.
        filesets: of the run.
        items: dataset → number of its work items.
        rows: with the measured size of the parts; without, every bin of every part is taken as stored.
    """
    histograms = histogram_bytes(draft, filesets)
    # Once as HDF5 and once as ROOT.
    result = 2 * sum(histograms.values()) + REST
    overhead = PART_OVERHEAD * (1 + len(draft.bare.histograms))
    parts = sum(items.get(name, 0) * (content + overhead) for name, content in histograms.items())
    if rows and all(one.part_bytes is not None for one in rows):
        measured = round(sum(one.part_bytes or 0.0 for one in rows))
        return Space(result + measured, result + measured)
    return Space(result, result + parts)


def about_items(fileset: Fileset, chunksize: int, max_chunks: int | None) -> int:
    """Return about how many work items a dataset has, before there is a plan."""
    count = sum(-(-(file.entries or 0) // max(chunksize, 1)) for file in fileset.files)
    return count if max_chunks is None else min(count, max_chunks)


def wall_time(rows: Sequence[Row], options: RunArguments) -> float | None:
    """Return the seconds that the processing takes on the workers of the run, or None if a dataset is not known."""
    if not rows or any(one.seconds is None for one in rows):
        return None
    workers = 1 if options.executor == "iterative" else options.workers
    if options.executor in LOCAL:
        workers = min(workers, core_count())
    workers = max(1, min(workers, sum(one.items for one in rows)))
    return sum(one.seconds or 0.0 for one in rows) / workers


def probe_dataset(item: WorkItem, setup: Setup) -> Probe:
    """Process up to 5 000 events of a work item as the run would, twice and warm, and forget the result.

    Two ranges of different length tell what an item costs from what an event costs; a first, short one opens the file
    and loads what is loaded once.
    """
    from ..executors.open_files import close_files

    most = min(len(item), PROBE_EVENTS)
    lengths = [max(1, most // 100), max(1, most // 10), most]
    try:
        measured = []
        for length in lengths:
            outcome, written = _process(item.model_copy(update={"stop": item.start + length}), setup)
            if outcome.status != "done":
                return Probe(failure=outcome.message)
            measured.append((length, outcome.seconds, written))
    finally:
        close_files()
    _, short, long = measured
    return Probe(_line(short[0], short[1], long[0], long[1]), _line(short[0], short[2], long[0], long[2]))


def _process(item: WorkItem, setup: Setup) -> tuple[Outcome, int]:
    """Return how the item ended, and the bytes of its part."""
    from ..executors.worker import Work
    from ..outputs.parts import PartStore

    with tempfile.TemporaryDirectory(prefix="mucoffea-check-") as folder:
        work = Work(run_id=uuid.uuid4().hex, processor=setup.processor, store=PartStore(Path(folder)))
        outcome = work(item)
        return outcome, sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _line(x1: int, y1: float, x2: int, y2: float) -> Line:
    slope = max(0.0, (y2 - y1) / (x2 - x1)) if x2 > x1 else 0.0
    return Line(max(0.0, y2 - slope * x2), slope)
