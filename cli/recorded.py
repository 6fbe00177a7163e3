"""From a provenance back to a run: its inputs and its analysis, and in what they differ from what is there now."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..errors import UserError
from ..filesets.addresses import MASK, is_remote, local_path
from ..filesets.eras import find_era
from ..filesets.local import build_fileset
from ..filesets.models import Dataset, FileEntry, Fileset
from ..filesets.registry import read_datasets
from ..outputs.brilcalc import read_luminosities
from .accounts import LUMINOSITY_CSV
from .analysis import Setup
from .code_state import code_state, software
from .inputs import Inputs, inspect_all

if TYPE_CHECKING:
    from ..outputs.provenance import DatasetRecord, Provenance, ReadFile
    from ..processors.base import EraInputs

#: What tells one state of a file from another.
IDENTITY = ("uuid", "size", "entries")
#: Fields that change between the declaration of a dataset and its resolution.
_RESOLVED = ("era", "files", "glob", "toy", "das", "rucio", "origin", "known_files")

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Recorded:
    """A run as it was recorded, ready to run again.

    Args:
        inputs: the same files, as they are now.
        setup: the same analysis with the same parameters and correction files.
        differences: a line for each thing that is not as it was.
    """

    inputs: Inputs
    setup: Setup
    differences: tuple[str, ...]

    @classmethod
    def of(cls, record: Provenance, announce: Announce) -> Recorded:
        """Return the run of ``record``, its files inspected.

        Raises:
            UserError: the analysis, a parameter or a correction file is gone, or an address was a secret.
        """
        setup, changed = _setup(record)
        inputs, moved = _inputs(record, announce)
        return cls(inputs, setup, (*_code(record, setup), *changed, *moved, *_luminosities(record)))


def remarks(record: Provenance) -> list[str]:
    """Return what is good to know, but changes nothing, since the provenance has what was used."""
    lines = [line for one in record.datasets for line in _declaration(one)]
    config = record.config
    if config is not None and _digest(Path(config.path)) != config.sha256:
        lines.append(f"the file of --config, {config.path}, has changed since; the recorded parameters are used")
    commit = code_state().commit
    if commit != record.code.commit:
        lines.append(f"the git commit was {record.code.commit}, now it is {commit}")
    if record.ledger.failed or record.ledger.lost:
        lines.append(
            f"the result is incomplete ({record.ledger.failed} work items failed, {record.ledger.lost} were lost): "
            "it will differ if they succeed now"
        )
    return lines


def _declaration(record: DatasetRecord) -> Iterator[str]:
    """Say whether the YAML or JSON that declares a dataset has changed."""
    declared = record.declared_in
    if declared is None or _digest(Path(declared.path)) == declared.sha256:
        return
    where = f"the definition of '{record.name}' in {declared.path}"
    now = _declared(record)
    if now is None:
        yield f"{where} is gone; the recorded one is used"
        return
    values = now.model_dump(mode="json", by_alias=True)
    fields = [name for name, value in record.definition.items() if name not in _RESOLVED and values.get(name) != value]
    yield f"{where} has changed since ({', '.join(fields) or 'files or text'}); the recorded one is used"


def _declared(record: DatasetRecord) -> Dataset | None:
    """Return the dataset as it is declared now, or None."""
    if record.declared_in is None:
        return None
    try:
        found = read_datasets(Path(record.declared_in.path))
    except UserError:
        return None
    return next((one for one in found if one.name == record.name), None)


def _code(record: Provenance, setup: Setup) -> Iterator[str]:
    from ..executors.keys import source_digests

    now = source_digests(type(setup.processor).__module__)
    for module in sorted({*now, *record.keys.sources}):
        if now.get(module) != record.keys.sources.get(module):
            state = "is new" if module not in record.keys.sources else "is gone" if module not in now else "has changed"
            yield f"source: {module} {state}"
    current = software()
    if current.python != record.software.python:
        yield f"Python: {current.python}, was {record.software.python}"
    for name, was in record.software.packages.items():
        found = current.packages.get(name, "not installed")
        if found != was:
            yield f"package: {name} {found}, was {was}"


def _setup(record: Provenance) -> tuple[Setup, list[str]]:
    from ..processors import find_analysis
    from ..processors.base import EraInputs

    if ":" in record.processor and record.working_directory not in sys.path:
        sys.path.append(record.working_directory)  # where an analysis of the user's own was found
    analysis = find_analysis(record.processor)
    try:
        parameters = analysis.parameters_model.model_validate(record.parameters)
        eras = {name: EraInputs.model_validate(values) for name, values in record.eras.items()}
    except ValidationError as error:
        raise _outdated(record, f"parameter of {record.processor}", error) from None
    digests = {(one.name, one.era): one.sha256 for one in record.corrections}
    differences: list[str] = []
    current = {name: _current_files(era, digests, differences) for name, era in eras.items()}
    table = next((Path(one.path) for one in record.corrections if one.name == LUMINOSITY_CSV), None)
    luminosities = None if table is None else read_luminosities(table)
    if luminosities is not None and luminosities.sha256 != digests[LUMINOSITY_CSV, ""]:
        differences.append(f"luminosities: {table} has changed")
    return Setup(record.processor, analysis(parameters, current), record.left_out, luminosities), differences


def _current_files(era: EraInputs, digests: Mapping[tuple[str, str], str], differences: list[str]) -> EraInputs:
    """Return ``era`` with the hashes that its files have now, so that nothing speaks of content that is not there."""

    def look(name: str, path: Path) -> str:
        found = _digest(path)
        if found is None:
            raise UserError(f"The file of '{name}' (era {era.era}), {path}, cannot be read. Put it back.")
        was = digests.get((name, era.era))
        if found != was:
            differences.append(f"correction file: {path} ('{name}', era {era.era}) has SHA-256 {found}, was {was}")
        return found

    records = {
        name: record.model_copy(update={"sha256": look(name, record.path)}) for name, record in era.corrections.items()
    }
    if era.luminosity_mask is not None:
        look("luminosity_mask", era.luminosity_mask)
    return era.model_copy(update={"corrections": records})


def _inputs(record: Provenance, announce: Announce) -> tuple[Inputs, list[str]]:
    differences: list[str] = []
    failures: dict[str, int] = {}
    filesets, bad_files, bad_events = [], {}, {}
    for one in record.datasets:
        recorded = {file.lfn: file for file in record.files_of(one.name)}
        entries = tuple(_entries(one, recorded))
        missing = {file.lfn: f"the file {file.lfn} does not exist" for file in entries if _is_gone(file.replicas)}
        present = tuple(file for file in entries if file.lfn not in missing)
        fileset, bad = inspect_all(Fileset(dataset=_dataset(record, one), files=present), True, failures, announce)
        bad |= missing
        differences += [f"input: {reason}" for reason in bad.values()]
        for entry in fileset.files:
            differences += _changes(entry, recorded[entry.lfn])
        filesets.append(fileset)
        if one.bad_files or bad:
            bad_files[one.name] = {**one.bad_files, **bad}
            bad_events[one.name] = None if bad else one.bad_events
    inputs = Inputs(
        filesets=tuple(filesets),
        files_available={one.name: one.files_available for one in record.datasets},
        bad_files=bad_files,
        bad_events=bad_events,
        folders=(),
        unreachable=bool(failures),
    )
    return inputs, differences


def _is_gone(replicas: Sequence[str]) -> bool:
    return not any(is_remote(path) or local_path(path).exists() for path in replicas)


def _dataset(record: Provenance, one: DatasetRecord) -> Dataset:
    """Return the dataset as it was; it names the file that declared it only if that has not changed."""
    declared = one.declared_in
    origin = one.definition.get("origin", "")
    if declared is not None:
        same = _digest(Path(declared.path)) == declared.sha256
        origin = declared.path if same else f"an earlier state of {declared.path}"
    try:
        # From JSON, since there lists stand for tuples.
        return Dataset.model_validate_json(json.dumps({**one.definition, "origin": origin}))
    except ValidationError as error:
        raise _outdated(record, f"field of the dataset '{one.name}'", error) from None


def _outdated(record: Provenance, what: str, error: ValidationError) -> UserError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return UserError(
        f"The recorded {what}, '{place}', is not what this version knows ({first['msg']}). Check out the commit of the "
        f"result, {record.code.commit}."
    )


def _entries(record: DatasetRecord, files: Mapping[str, ReadFile]) -> Iterator[FileEntry]:
    """Yield the files with what is not known of them by now; a masked address is taken from the declaration.

    Raises:
        UserError: an address with a secret was given on the command line, so nobody knows it any more.
    """
    known: dict[str, FileEntry] | None = None
    for file in files.values():
        replicas = (file.read, *(one for one in file.replicas if one != file.read)) if file.read else file.replicas
        if any(MASK in one for one in replicas):
            if known is None:
                dataset = _declared(record)
                known = {} if dataset is None else {one.lfn: one for one in build_fileset(dataset).files}
            if file.lfn not in known:
                raise UserError(
                    f"The address of {file.lfn} (dataset '{record.name}') had a secret in it, which is not recorded. "
                    "Name the file in a dataset YAML or a fileset JSON, or run it anew with python main.py --datasets …"
                )
            replicas = known[file.lfn].replicas
        yield FileEntry(lfn=file.lfn, replicas=replicas, tree=file.tree, checksum=file.checksum)


def _changes(entry: FileEntry, was: ReadFile) -> Iterator[str]:
    now: dict[str, Any] = {name: getattr(entry, name) for name in IDENTITY}
    found = [f"{name} {now[name]}, was {getattr(was, name)}" for name in IDENTITY if now[name] != getattr(was, name)]
    if found:
        yield f"input: {entry.lfn} ('{was.dataset}') has {'; '.join(found)}"


def _luminosities(record: Provenance) -> Iterator[str]:
    """Yield the eras whose luminosity is another now; the normalisation takes that of now."""
    for name in dict.fromkeys(one.definition.get("era") for one in record.datasets):
        if name is None:
            continue
        now = find_era(name).luminosity
        values = None if now is None else now.model_dump(mode="json")
        was = next(one.luminosity for one in record.datasets if one.definition.get("era") == name)
        if values != was:
            yield f"luminosity of era {name}: {values}, was {was}"


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
