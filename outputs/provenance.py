"""The provenance of a result: with what code, settings, files and machine it was made; ``provenance.json``.

Everything that differs between two runs of the same work (times, host, executor) is here and nowhere else in a
result, so that the other products can be compared byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import UserError

PROVENANCE = "provenance.json"
#: Of the file; raised when a field changes its meaning.
FORMAT = 1
UNKNOWN = "unknown"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CodeState(_Record):
    """The state of the source: what git says of the checkout; ``unknown`` where there is none or git cannot say.

    Args:
        version: of mucoffea.
        commit: full hash.
        dirty: whether files differ from the commit; None if unknown.
        diff_sha256: of ``git diff`` against the commit, tracked files.
        changed_files: tracked files that differ, and sources that are not tracked.
    """

    version: str
    commit: str = UNKNOWN
    dirty: bool | None = None
    diff_sha256: str = ""
    changed_files: tuple[str, ...] = ()


class Software(_Record):
    """The interpreter, the platform, and name → version of the packages that matter."""

    python: str
    platform: str
    packages: Mapping[str, str]


class TextFile(_Record):
    """A small file as it was: absolute path, hash, and its text where that matters."""

    path: str
    sha256: str
    text: str = ""


class ReadFile(_Record):
    """An input file: all its replicas, the one that was read, and its identity."""

    dataset: str
    lfn: str
    replicas: tuple[str, ...]
    #: Empty if nothing was read of it.
    read: str = ""
    tree: str
    entries: int | None = None
    uuid: str | None = None
    size: int | None = None
    checksum: str | None = None


class DatasetRecord(_Record):
    """A dataset as it was resolved.

    Args:
        definition: the dataset with all its fields.
        declared_in: the file that declares it, if there is one.
        files_available: number of files before any limit.
        bad_files: file → why it could not be opened.
        bad_events: that the fileset declares for those files; None where it does not for all.
        luminosity: of its era, with unit and source; None without one.
    """

    definition: Mapping[str, Any]
    declared_in: TextFile | None = None
    files_available: int
    bad_files: Mapping[str, str] = {}
    bad_events: int | None = 0
    luminosity: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self.definition["name"])


class CorrectionFile(_Record):
    """A file that the processor applied in an era: a correction, or the luminosity mask.

    The luminosity file of the run, ``luminosity_csv``, is here too, without an era.
    """

    name: str
    era: str
    path: str
    sha256: str
    keys: Mapping[str, str] = {}
    working_point: str = ""


class ContentKeys(_Record):
    """What the keys of all work items share: the hash over it, and module → SHA-256 of its source."""

    run: str
    sources: Mapping[str, str]


class Machine(_Record):
    """Where the run was: executor, worker processes, and names of the hosts."""

    executor: str
    workers: int
    host: str
    worker_hosts: tuple[str, ...] = ()


class Effort(_Record):
    """What the run took; times in s, all of it zero while it has not finished."""

    events: int = 0
    wall_seconds: float = 0.0
    processing_seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_read: int = 0
    branches_read: tuple[str, ...] = ()


class LedgerSummary(_Record):
    """How many work items ended how, in how many attempts, and the messages of those that failed."""

    planned: int
    done: int = 0
    failed: int = 0
    lost: int = 0
    attempts: int = 0
    failures: tuple[str, ...] = ()


class Provenance(_Record):
    """All that says how a result came to be.

    Args:
        command_line: as typed, without secrets.
        working_directory: where relative paths of the command line start.
        arguments: all of them, parsed, with their defaults.
        config: the file of ``--config``.
        processor: name of the analysis.
        parameters: of the analysis, all.
        changed_parameters: dotted name → value and default, of those that differ from it.
        left_out: what was left out of the analysis, in words.
        eras: era → what it gives to the analysis: triggers, filters, corrections with their files.
        started: UTC.
        ended: UTC; None while the run has not finished.
    """

    format: int = FORMAT
    code: CodeState
    software: Software
    command_line: tuple[str, ...]
    working_directory: str
    arguments: Mapping[str, Any]
    config: TextFile | None = None
    processor: str
    parameters: Mapping[str, Any]
    changed_parameters: Mapping[str, Mapping[str, Any]]
    left_out: tuple[str, ...] = ()
    eras: Mapping[str, Mapping[str, Any]]
    datasets: tuple[DatasetRecord, ...]
    files: tuple[ReadFile, ...]
    corrections: tuple[CorrectionFile, ...]
    keys: ContentKeys
    machine: Machine
    effort: Effort = Effort()
    ledger: LedgerSummary
    started: datetime
    ended: datetime | None = None

    def write(self, folder: Path) -> None:
        """Write ``provenance.json`` into ``folder``."""
        (folder / PROVENANCE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def files_of(self, dataset: str) -> tuple[ReadFile, ...]:
        """Return the input files of ``dataset``."""
        return tuple(file for file in self.files if file.dataset == dataset)


def read_provenance(folder: Path) -> Provenance | None:
    """Read the provenance of the result in ``folder``; None if it has none (made before there was one).

    Raises:
        UserError: it is damaged, or of a later mucoffea.
    """
    path = folder / PROVENANCE
    try:
        found = Provenance.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read: it is damaged ({reason}). Run the analysis again.") from None
    if found.format > FORMAT:
        raise UserError(
            f"{path} has format {found.format}, made by a later mucoffea ({found.code.version}); this one reads up to "
            f"format {FORMAT}. Update mucoffea."
        )
    return found
