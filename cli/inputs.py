"""From what the user named to inspected files: datasets, toys generated, limits applied, unreadable files noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..filesets.addresses import server
from ..filesets.checksums import Verification
from ..filesets.eras import find_era
from ..filesets.local import BadFile, UnreachableFile, build_fileset, inspect
from ..filesets.models import Dataset, FileEntry, Fileset
from ..filesets.registry import check_unique_files, load_registry, resolve
from .toy_sources import make_toy

#: Files looked into at the same time; the wait is for the server.
INSPECTORS = 8
#: A server that failed for this many files is not asked again.
PATIENCE = 2
#: Unreadable files of a dataset that the terminal names; the report has all.
SHOWN = 3


@dataclass(frozen=True)
class Inputs:
    """The inspected input of a run.

    Args:
        filesets: files that can be read, in the order of the run.
        files_available: dataset → number of files before ``--max-files``.
        bad_files: dataset → {file: reason} for the files that could not be opened.
        bad_events: dataset → events that its fileset declares for those files; None where it does not for all.
        folders: places where the datasets bring corrections of their own (toys).
        unreachable: whether a server did not answer.
    """

    filesets: tuple[Fileset, ...]
    files_available: Mapping[str, int]
    bad_files: Mapping[str, Mapping[str, str]]
    bad_events: Mapping[str, int | None]
    folders: tuple[Path, ...]
    unreachable: bool = False


def find_inputs(
    requests: Sequence[str],
    *,
    era: str | None,
    max_files: int | None,
    open_remote: bool,
    announce: Callable[[str], None],
    strict: bool = True,
    verify: bool = False,
    schema: str | None = None,
) -> Inputs:
    """Resolve, generate and inspect everything that ``--datasets`` names.

    Args:
        requests: the words after ``--datasets``.
        era: era for datasets that declare none.
        max_files: most files of each dataset.
        open_remote: look into files on servers too; off for a dry run.
        announce: called with a line for the user.
        strict: refuse a dataset YAML of simulation without cross section.
        verify: read each file whole and compare its checksum.
        schema: what the analysis reads; ``all`` means the datasets of it.

    Raises:
        UserError: unknown dataset or era, contradiction, missing local file.
    """
    if max_files is not None and max_files < 1:
        raise UserError(f"--max-files must be at least 1, not {max_files}.")
    datasets = [_with_era(one, era) for one in resolve(requests, load_registry(), strict=strict, schema=schema)]
    folders: list[Path] = []
    filesets = []
    for dataset in datasets:
        if dataset.toy is not None:
            dataset, corrections = make_toy(dataset, announce)
            folders.extend(corrections)
        filesets.append(build_fileset(dataset))
    available = {one.dataset.name: len(one.files) for one in filesets}
    limited = [one.model_copy(update={"files": one.files[:max_files]}) for one in filesets]
    check_unique_files(limited)
    failures: dict[str, int] = {}
    verification = Verification() if verify else None
    inspected = [inspect_all(one, open_remote, failures, announce, verification) for one in limited]
    if verification is not None:
        announce(str(verification))
    return Inputs(
        filesets=tuple(fileset for fileset, _ in inspected),
        files_available=available,
        bad_files={fileset.dataset.name: bad for fileset, bad in inspected if bad},
        bad_events={
            one.dataset.name: _declared_events(one, bad) for one, (_, bad) in zip(limited, inspected, strict=True)
        },
        folders=tuple(dict.fromkeys(folders)),
        unreachable=bool(failures),
    )


def _with_era(dataset: Dataset, era: str | None) -> Dataset:
    name = dataset.era or era
    if name is None:
        return dataset
    found = find_era(name)
    if era is not None and dataset.era is not None and find_era(era).name != found.name:
        raise UserError(
            f"--era {era} contradicts the dataset '{dataset.name}', which is of era {found.name} "
            f"({dataset.origin}). Leave --era out, or run the datasets of each era on their own."
        )
    return dataset.model_copy(update={"era": found.name})


def inspect_all(
    fileset: Fileset,
    open_remote: bool,
    failures: dict[str, int],
    announce: Callable[[str], None],
    verification: Verification | None = None,
) -> tuple[Fileset, dict[str, str]]:
    """Look into each file; return the fileset of those that can be read, and the others with the reason.

    ``failures`` counts, over all datasets, the files that each server did not deliver: one that does not answer is
    not asked for every one of its files.
    """
    bad: dict[str, str] = {}

    def look(entry: FileEntry) -> FileEntry | None:
        host = server(entry.replicas[0])
        if host and not open_remote:
            return entry
        if failures.get(host, 0) >= PATIENCE:
            bad[entry.lfn] = f"not tried: {host} did not deliver {PATIENCE} other files"
            return None
        try:
            return inspect(entry, branches=entry is fileset.files[0], verify=verification)
        except UnreachableFile as error:
            failures[host] = failures.get(host, 0) + 1
            bad[entry.lfn] = str(error)
        except BadFile as error:
            bad[entry.lfn] = str(error)
        return None

    # Local files one after the other, since parsing holds the interpreter; servers and checksums do not.
    parallel = verification is not None or any(server(entry.replicas[0]) for entry in fileset.files)
    with ThreadPoolExecutor(INSPECTORS if parallel else 1) as pool:
        found = [entry for entry in pool.map(look, fileset.files) if entry is not None]
    for lfn in [entry.lfn for entry in fileset.files if entry.lfn in bad][:SHOWN]:
        announce(f"{fileset.dataset.name}: {bad[lfn]}")
    return fileset.model_copy(update={"files": tuple(found)}), bad


def _declared_events(fileset: Fileset, bad: Mapping[str, str]) -> int | None:
    """Return the events that the fileset declares for the files in ``bad``; None where one has no number."""
    counts = [file.entries for file in fileset.files if file.lfn in bad]
    return None if None in counts else sum(count or 0 for count in counts)
