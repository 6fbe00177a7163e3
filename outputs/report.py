"""The report of a run: what was asked for, what was processed, how it is normalised, what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..executors.ledger import Ledger
from .normalisation import FileSum, NormalisationError, scale_factor, sum_of_weights


class Facts(BaseModel):
    """What a dataset is, before and after the run."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["data", "mc"]
    process: str
    label: str
    era: str | None = None
    #: pb
    cross_section: float | None = None
    cross_section_source: str = ""
    placeholder: bool = False
    #: /fb
    luminosity: float | None = None
    #: Files that could not be opened, with the reason.
    bad_files: Mapping[str, str] = {}


class Sample(Facts):
    """A dataset before the run."""

    inputs: tuple[FileSum, ...] = ()


class DatasetReport(Facts):
    """A dataset in the report."""

    files: int
    events_planned: int
    events_processed: int
    events_failed: int
    limited: bool
    sumw: float | None = None
    sumw_source: str = ""
    scale: float | None = None
    not_normalised: str = ""
    counters: Mapping[str, Any] = {}

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was processed."""
        return not self.bad_files and self.events_processed == self.events_planned


class Report(BaseModel):
    """The whole report; ``report.json`` is its JSON form.

    It is the same for every run of the same work: what differs between two of them (times, host, executor, command
    line, where files lie) is in the provenance.

    Args:
        cuts: of the analysis, in order: name → what it requires, in words.
        regions: region → cut → True if it is passed there, False if it is failed.
        effects: correction → what it does, in words.
        variations: variation → corrections that are applied in it.
    """

    model_config = ConfigDict(frozen=True)

    processor: str
    status: Literal["complete", "incomplete"]
    warnings: tuple[str, ...]
    datasets: tuple[DatasetReport, ...]
    parameters: Mapping[str, Any]
    corrections: tuple[Mapping[str, Any], ...]
    luminosity: float | None
    com_energy: float | None
    era: str | None
    agreement: tuple[Mapping[str, Any], ...] = ()
    cuts: Mapping[str, str] = {}
    regions: Mapping[str, Mapping[str, bool]] = {}
    effects: Mapping[str, str] = {}
    variations: Mapping[str, tuple[str, ...]] = {}

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def dataset_report(
    sample: Sample,
    ledger: Ledger,
    numbers: Mapping[str, Any],
    *,
    allow_partial: bool,
) -> DatasetReport:
    """Account for one dataset and normalise it.

    Args:
        sample: the dataset.
        ledger: of the run.
        numbers: merged numbers of the dataset's parts: ``sumw`` and ``counters``.
        allow_partial: normalise to what was processed although something is missing.
    """
    planned = next(plan for plan in ledger.plan.datasets if plan.name == sample.name)
    processed = ledger.events(sample.name)
    base = DatasetReport(
        **sample.model_dump(exclude={"inputs"}),
        files=planned.files + len(sample.bad_files),
        events_planned=planned.events,
        events_processed=processed,
        events_failed=planned.events - processed,
        limited=planned.limited,
        counters=numbers.get("counters", {}),
    )
    return base.model_copy(update=_normalise(sample, base.complete or allow_partial, ledger, numbers.get("sumw", 0.0)))


def _normalise(sample: Sample, permitted: bool, ledger: Ledger, sumw: float) -> dict[str, Any]:
    if not permitted:
        return {"not_normalised": "events are missing (--allow-partial normalises what was processed)"}
    if sample.kind == "data":
        return {"scale": 1.0, "sumw": sumw}
    result: dict[str, Any] = {}
    try:
        total = sum_of_weights(_file_sums(sample, ledger), sumw)
        result = {
            "sumw": total.value,
            "sumw_source": total.source + (f" ({total.note})" if total.note else ""),
        }
        result["scale"] = scale_factor(
            cross_section=sample.cross_section, luminosity=sample.luminosity, sumw=total.value
        )
    except NormalisationError as error:
        result["not_normalised"] = str(error)
    return result


def _file_sums(sample: Sample, ledger: Ledger) -> list[FileSum]:
    done = {outcome.index for outcome in ledger.with_status("done")}
    processed: dict[str, int] = {}
    for item in ledger.plan.items:
        if item.dataset == sample.name and item.index in done:
            processed[item.lfn] = processed.get(item.lfn, 0) + len(item)
    return [file.model_copy(update={"processed": processed.get(file.lfn, 0)}) for file in sample.inputs]


def incompleteness(datasets: Sequence[DatasetReport]) -> list[str]:
    """Return a line for each dataset of which something is missing or was left out."""
    lines = []
    for one in datasets:
        if not one.complete:
            files = f", {len(one.bad_files)} of {one.files} files unreadable" if one.bad_files else ""
            lines.append(f"PARTIAL: {one.name}: {one.events_processed} of {one.events_planned} events processed{files}")
        elif one.limited:
            lines.append(f"PARTIAL: {one.name}: limited to {one.files} files, {one.events_processed} events")
    return lines
