"""Checks of the input: files that can be read, the branches that each component needs, normalisation, chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UserError, closest
from ..filesets.eras import find_era
from ..filesets.layouts import DEFAULT, is_parquet
from ..filesets.local import branch_sizes
from ..filesets.metadata_cache import remembered
from ..filesets.opening import TIMEOUT, read_root
from ..filesets.parquet_files import read_parquet
from .findings import Finding

if TYPE_CHECKING:
    from ..filesets.models import FileEntry, Fileset
    from ..processors.requirements import Requirement
    from .analysis import Draft
    from .inputs import Inputs

#: Files of a dataset that are tried until one can be looked into.
TRIES = 3
#: Names of one requirement that a message lists.
SHOWN = 4


class Sample(NamedTuple):
    """A file that stands for all of its dataset: branch → compressed bytes in it.

    Of a file that is not NanoAOD, it is the dotted place in the events (``trk.segs.sid``) instead of the branch.
    """

    file: FileEntry
    sizes: Mapping[str, int]


def sample_of(fileset: Fileset) -> Sample | None:
    """Return the first file of a dataset that can be looked into; what it says is remembered, see ``filesets``."""
    for file in fileset.files[:TRIES]:
        try:
            return Sample(file, branch_sizes(file) if file.data_schema == DEFAULT else place_sizes(file))
        except UserError:
            continue
    return None


def place_sizes(file: FileEntry) -> dict[str, int]:
    """Return dotted place in the events → compressed bytes in an EventNtuple file; no event is read.

    Raises:
        UserError: it cannot be read.
    """
    path = file.replicas[0]

    def ask() -> dict[str, int]:
        from ..schemas.eventntuple import EventNtuple

        if is_parquet(path):
            return read_parquet(path, TIMEOUT, EventNtuple.place_sizes)
        return read_root(path, TIMEOUT, lambda opened: EventNtuple.place_sizes(opened[file.tree.strip("/")]))

    return remembered(path, f"places {file.tree}", ask)


def dataset_findings(
    fileset: Fileset, sample: Sample | None, draft: Draft | None, *, chunksize: int, start: bool
) -> Iterator[Finding]:
    """Yield what is to be said of one dataset.

    Args:
        fileset: the files that can be read.
        sample: one of them.
        draft: the analysis; None if there is none to be asked.
        chunksize: of the run.
        start: whether a run is about to start, which an unknown cross section does not keep from running.
    """
    yield from _normalisation(fileset, start)
    yield from _exposure(fileset)
    if sample is None:
        return
    if draft is not None:
        yield from _branches(fileset, sample, draft)
    yield from _chunks(fileset, chunksize)


def unreadable(inputs: Inputs) -> Iterator[Finding]:
    """Yield the files that cannot be read: an error where a dataset has no other."""
    for fileset in inputs.filesets:
        name = fileset.dataset.name
        bad = inputs.bad_files.get(name, {})
        if fileset.files and not any(file.entries for file in fileset.files):
            yield _finding("warning", name, "files", "there are no events in them")
        if not bad:
            yield _finding("ok", name, "files", f"{len(fileset.files)} can be read")
            continue
        reasons = " ".join([*list(bad.values())[:SHOWN], *(["…"] if len(bad) > SHOWN else [])])
        total = len(bad) + len(fileset.files)
        level = "warning" if fileset.files else "error"
        yield _finding(level, name, "files", f"{len(bad)} of {total} cannot be read: {reasons}")


def _finding(level: str, dataset: str, component: str, message: str) -> Finding:
    return Finding.model_validate({"level": level, "dataset": dataset, "component": component, "message": message})


def _normalisation(fileset: Fileset, start: bool) -> Iterator[Finding]:
    """Yield what simulation of an era lacks to be normalised."""
    dataset = fileset.dataset
    if dataset.kind == "data" or dataset.era is None:
        return
    section = dataset.cross_section
    if section is None:
        yield _finding(
            "warning" if start else "error",
            dataset.name,
            "cross section",
            f"not known ({dataset.origin}), so the sample cannot be normalised. Add 'cross_section' with its 'value' "
            "in pb and its 'source'.",
        )
    elif section.placeholder:
        message = f"{section.pb:g} pb is a placeholder, not good enough for a result: {section.source}"
        yield _finding("warning", dataset.name, "cross section", message)
    else:
        yield _finding("ok", dataset.name, "cross section", f"{section.pb:g} pb, {section.source}")
    luminosity = find_era(dataset.era).luminosity
    if luminosity is None:
        message = f"that of era {dataset.era} is not known, so the sample is normalised only beside data with theirs"
        yield _finding("warning", dataset.name, "luminosity", message)
    else:
        yield _finding("ok", dataset.name, "luminosity", f"{luminosity.fb:g} /fb, {luminosity.source}")


def _exposure(fileset: Fileset) -> Iterator[Finding]:
    """Yield what a sample of Mu2e lacks to be turned into rates."""
    dataset = fileset.dataset
    if dataset.data_schema == DEFAULT or dataset.kind == "data" or dataset.cross_section is not None:
        return
    for name, declared in (("livetime", dataset.livetime), ("generated", dataset.generated_events)):
        known = [file.exposure is not None and getattr(file.exposure, name) is not None for file in fileset.files]
        what = "livetime" if name == "livetime" else "generated events"
        if known and all(known):
            yield _finding("ok", dataset.name, what, f"in all {len(known)} files")
        elif declared is not None:
            yield _finding("ok", dataset.name, what, f"{declared.value:,.10g}, {declared.source}")
        elif name == "generated":
            message = (
                "neither the files nor the dataset say, so efficiencies per generated event are not available. Add "
                "'generated_events' with 'value' and 'source'."
            )
            yield _finding("warning", dataset.name, what, message)
        else:
            yield _finding("ok", dataset.name, what, "not known, so there are no rates of cosmic rays")


def _branches(fileset: Fileset, sample: Sample, draft: Draft) -> Iterator[Finding]:
    dataset = fileset.dataset
    requirements = draft.bare.requirements(dataset.kind, draft.inputs_of(dataset))
    if not requirements:
        yield _finding("ok", dataset.name, "branches", f"{draft.name} declares none, so none was looked for")
        return
    found = [finding for requirement in requirements for finding in _requirement(requirement, dataset.name, sample)]
    yield from found
    if not any(one.level == "error" for one in found):
        needed = {name for one in requirements for name in one.branches}
        yield _finding(
            "ok", dataset.name, "branches", f"{len(needed & sample.sizes.keys())} are read of {len(sample.sizes)}"
        )


def _requirement(requirement: Requirement, dataset: str, sample: Sample) -> Iterator[Finding]:
    """Yield a finding if something of a requirement is missing, with the closest names that the file has."""
    missing = [name for name in requirement.branches if name not in sample.sizes]
    if not missing:
        return
    names, file = _listed(missing), sample.file.replicas[0]
    verb = "is" if len(missing) == 1 else "are"
    alternative = requirement.need in ("any", "first known")
    if requirement.met(sample.sizes):
        others = [name for name in requirement.branches if name in sample.sizes]
        if requirement.need == "first known":
            yield _finding("ok", dataset, requirement.component, f"{_listed(others)}; not in the file: {names}")
        else:
            rest = f"{_listed(others)} decides alone" if alternative else "it is done without"
            near = _near(missing, sample.sizes) if alternative else ""
            message = f"{names} {verb} not in {file}; {rest}.{near}"
            yield _finding("warning", dataset, requirement.component, message)
        return
    several = "trigger paths" if requirement.component == "trigger" else "branches"
    what = f"has none of the {several} {names}" if alternative else f"lacks {names}"
    version = f" It is of EventNtuple v{sample.file.ntuple_version}." if sample.file.ntuple_version else ""
    message = f"{file} {what}.{_near(missing, sample.sizes)}{version} {requirement.advice}"
    yield _finding("error", dataset, requirement.component, message.rstrip())


def _near(missing: Sequence[str], present: Mapping[str, int]) -> str:
    """Return the closest names for the first of the missing branches, among those of the same collection first."""
    hints = []
    for name in missing[:SHOWN]:
        siblings = [one for one in present if _collection(one) == _collection(name)]
        hints.append(closest(name, siblings, n=2) or closest(name, present, n=2))
    return "".join(dict.fromkeys(hints))


def _collection(name: str) -> str:
    return name.rpartition(".")[0] if "." in name else name.split("_", 1)[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _chunks(fileset: Fileset, chunksize: int) -> Iterator[Finding]:
    """Yield a warning if work items are smaller than what is decompressed as a whole."""
    largest = max((stop - start for file in fileset.files for start, stop in pairwise(file.clusters)), default=0)
    if 0 < chunksize < largest:
        times = -(-largest // chunksize)
        yield _finding(
            "warning",
            fileset.dataset.name,
            "chunk size",
            f"--chunksize {chunksize} is below the {largest:,} events that a basket of its files holds, so baskets are "
            f"decompressed up to {times} times. Take at least {largest}.",
        )
