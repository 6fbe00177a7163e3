"""Gathering the provenance of a run: begun before its first event, finished after its last."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..filesets.addresses import redacted_content
from ..filesets.eras import find_era
from ..outputs.provenance import (
    ContentKeys,
    CorrectionFile,
    DatasetRecord,
    Effort,
    LedgerSummary,
    Machine,
    Provenance,
    ReadFile,
    TextFile,
)
from .code_state import code_state, software

if TYPE_CHECKING:
    from ..executors.ledger import Ledger
    from ..executors.plan import Plan
    from ..filesets.models import Fileset
    from ..processors.base import Analysis, EraInputs, Parameters
    from .analysis import Setup
    from .arguments import RunArguments
    from .inputs import Inputs

#: Fields of a dataset that are recorded elsewhere: what is known of each file is with the files.
_ELSEWHERE = {"known_files"}


def begin(
    options: RunArguments, inputs: Inputs, setup: Setup, plan: Plan, *, run_key: str, started: datetime
) -> Provenance:
    """Return the provenance of a run that is about to start: everything but how it went.

    Nothing in it is a secret: addresses and words of the command line are redacted.
    """
    from ..executors.keys import source_digests

    processor = setup.processor
    record = Provenance(
        code=code_state(),
        software=software(),
        command_line=_printable(options.command_line),
        working_directory=_printable(str(Path.cwd())),
        arguments=_printable(_arguments(options)),
        config=None if options.config is None else _text_file(options.config, with_text=True),
        processor=setup.name,
        parameters=processor.parameters.model_dump(mode="json"),
        changed_parameters=changed_parameters(processor.parameters),
        left_out=setup.left_out,
        eras={name: _era(era) for name, era in processor.eras.items()},
        datasets=tuple(_dataset(fileset, inputs) for fileset in inputs.filesets),
        files=tuple(file for fileset in inputs.filesets for file in _files(fileset)),
        corrections=(*_correction_files(processor), *_luminosity_file(setup)),
        keys=ContentKeys(run=run_key, sources=source_digests(type(processor).__module__)),
        machine=Machine(executor=options.executor, workers=options.workers, host=platform.node()),
        ledger=LedgerSummary(planned=len(plan.items), lost=len(plan.items)),
        started=started,
    )
    return Provenance.model_validate(redacted_content(record.model_dump()))


def complete(begun: Provenance, ledger: Ledger, processing: float) -> Provenance:
    """Return the provenance of a run that has come to its end.

    Args:
        begun: what :func:`begin` returned.
        ledger: of the run.
        processing: wall time of the processing, s.
    """
    done, failed = ledger.with_status("done"), ledger.with_status("failed")
    ended = datetime.now(UTC)
    items = ledger.plan.items
    # A replica that failed before another was read does not count as read.
    read = {items[one.index].lfn: one.path or items[one.index].path for one in done}
    effort = Effort(
        events=sum(one.events for one in done),
        wall_seconds=(ended - begun.started).total_seconds(),
        processing_seconds=processing,
        cpu_seconds=sum(one.cpu_seconds for one in done),
        bytes_read=sum(one.bytes_read for one in done),
        branches_read=tuple(sorted({name for one in done for name in one.branches})),
    )
    summary = LedgerSummary(
        planned=len(items),
        done=len(done),
        failed=len(failed),
        lost=len(ledger.lost),
        attempts=sum(one.attempts for one in (*done, *failed)),
        failures=tuple(one.message for one in failed),
    )
    hosts = sorted({one.host for one in (*done, *failed)} - {""})
    return begun.model_copy(
        update={
            "files": tuple(
                file.model_copy(update={"read": redacted_content(read.get(file.lfn, ""))}) for file in begun.files
            ),
            "machine": begun.machine.model_copy(update={"worker_hosts": tuple(hosts)}),
            "effort": effort,
            "ledger": summary,
            "ended": ended,
        }
    )


def changed_parameters(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Return dotted name → ``value`` and ``default`` of each parameter that is not at its default."""
    values = flat(parameters.model_dump(mode="json"))
    defaults = flat(type(parameters)().model_dump(mode="json"))
    return {
        name: {"value": values.get(name), "default": defaults.get(name)}
        for name in {**defaults, **values}
        if values.get(name) != defaults.get(name)
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value
    return result


def _arguments(options: RunArguments) -> dict[str, Any]:
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    del values["command_line"]
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _text_file(path: Path, *, with_text: bool) -> TextFile:
    content = path.read_bytes()
    text = content.decode("utf-8", "replace") if with_text else ""
    return TextFile(path=_printable(str(path.absolute())), sha256=hashlib.sha256(content).hexdigest(), text=text)


def _era(era: EraInputs) -> dict[str, Any]:
    """Return what an era gives, with absolute paths."""
    mask = era.luminosity_mask
    records = {
        name: record.model_copy(update={"path": record.path.absolute()}) for name, record in era.corrections.items()
    }
    update = {"corrections": records, "luminosity_mask": None if mask is None else mask.absolute()}
    return era.model_copy(update=update).model_dump(mode="json")


def _dataset(fileset: Fileset, inputs: Inputs) -> DatasetRecord:
    dataset = fileset.dataset
    origin = Path(dataset.origin)
    luminosity = find_era(dataset.era).luminosity if dataset.era else None
    return DatasetRecord(
        definition=dataset.model_dump(mode="json", by_alias=True, exclude=_ELSEWHERE),
        declared_in=_text_file(origin, with_text=False) if origin.is_file() else None,
        files_available=inputs.files_available.get(dataset.name, len(fileset.files)),
        bad_files=inputs.bad_files.get(dataset.name, {}),
        bad_events=inputs.bad_events.get(dataset.name, 0),
        luminosity=None if luminosity is None else luminosity.model_dump(mode="json"),
    )


def _files(fileset: Fileset) -> Iterator[ReadFile]:
    for file in fileset.files:
        known = file.model_dump(include={"lfn", "replicas", "tree", "entries", "uuid", "size", "checksum"})
        yield ReadFile(dataset=fileset.dataset.name, **known)


def _correction_files(processor: Analysis) -> Iterator[CorrectionFile]:
    for era in processor.eras.values():
        mask = era.luminosity_mask
        if mask is not None:
            digest = hashlib.sha256(mask.read_bytes()).hexdigest()
            yield CorrectionFile(name="luminosity_mask", era=era.era, path=str(mask.absolute()), sha256=digest)
        for record in era.corrections.values():
            yield CorrectionFile(
                name=record.name,
                era=era.era,
                path=str(record.path.absolute()),
                sha256=record.sha256,
                keys=record.keys,
                working_point=record.working_point,
            )


def _luminosity_file(setup: Setup) -> Iterator[CorrectionFile]:
    table = setup.luminosities
    if table is not None:
        yield CorrectionFile(name="luminosity_csv", era="", path=str(table.path.absolute()), sha256=table.sha256)


def _printable(value: Any) -> Any:
    """Return ``value`` with text that any JSON can hold: a path may have bytes that are no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_printable(inner) for inner in value)
    return value
