"""The report of a run: what was asked for, what was processed, how it is normalised, what to beware of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from .combination import Combination
from .exposure import SampleExposure
from .luminosity import EraLuminosity, SectionAccount
from .normalisation import FileSum, NormalisationError, scale_factor, sum_of_weights

#: Why a sample with an exposure has no factor: rates come from livetime and generated events.
BY_EXPOSURE = "normalised by exposure"


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
    """A dataset after the run, before it is accounted for.

    Args:
        inputs: its files that could be opened.
        files_available: before any limit.
        bad_events: events that the fileset declares for the files that could not be opened; None is not known.
        sections: of data.
        exposure: of samples that have one instead of a cross section.
        exposure_warnings: what is to be said of it.
    """

    inputs: tuple[FileSum, ...] = ()
    files_available: int
    bad_events: int | None = 0
    sections: SectionAccount | None = None
    exposure: SampleExposure | None = None
    exposure_warnings: tuple[str, ...] = ()

    @property
    def processed(self) -> int:
        """Events that were processed."""
        return sum(file.processed for file in self.inputs)

    @property
    def available(self) -> int | None:
        """Events of all its files, before any limit; None is not known."""
        if self.bad_events is None or self.files_available != len(self.inputs) + len(self.bad_files):
            return None
        return sum(file.entries for file in self.inputs) + self.bad_events

    @property
    def limited(self) -> bool:
        """Whether --max-files or --max-chunks left something out."""
        left_out = self.files_available > len(self.inputs) + len(self.bad_files)
        return left_out or any(file.planned < file.entries for file in self.inputs)

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was processed."""
        return not self.bad_files and all(file.processed == file.planned for file in self.inputs)


class DatasetReport(Facts):
    """A dataset in the report.

    Args:
        files: asked for; ``files_processed`` of them completely, ``files_failed`` at least in part not.
        events_planned: in the files that could be opened.
        events_asked: with those that the fileset declares for the other files.
        events_asked_known: False where such a file declares none: then there are at least ``events_asked``.
        limited: --max-files or --max-chunks left something out.
        partial: the numbers stand for a part: of this dataset, or of the data that simulation is normalised to.
        sumw: that the normalisation uses.
        sumw_asked: Σ genEventSumw of all files; None where a file does not say, or with a limit.
        sumw_processed: Σ genWeight of the processed events.
        sumw_variations: variation of the generator's weights → its sum that the normalisation uses.
        scale: factor from Σ(event weights) to the yield.
        scale_variations: the same for such a variation; for others, ``scale`` is right.
        not_normalised_variations: variation → why it has no scale; the nominal histogram stands for it.
        sections: luminosity sections of data.
        exposure: of samples that have one instead of a cross section.
    """

    files: int
    files_processed: int
    files_failed: int
    events_planned: int
    events_asked: int
    events_asked_known: bool
    events_processed: int
    events_failed: int
    limited: bool
    partial: bool
    sumw: float | None = None
    sumw_source: str = ""
    sumw_asked: float | None = None
    sumw_processed: float | None = None
    sumw_variations: Mapping[str, float] = {}
    scale: float | None = None
    scale_variations: Mapping[str, float] = {}
    not_normalised_variations: Mapping[str, str] = {}
    not_normalised: str = ""
    sections: SectionAccount | None = None
    exposure: SampleExposure | None = None
    counters: Mapping[str, Any] = {}

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was processed."""
        return not self.bad_files and self.events_processed == self.events_planned


class SourceReport(BaseModel):
    """A source of systematic uncertainty whose variations the histograms have.

    Args:
        name: of the source.
        label: for plots and tables.
        kind: ``weight`` or ``shape``; ``rate`` scales the yield.
        combination: how the variations become up and down: as they are (``up_down``), or as the members of a set.
        variations: up, then down; or the members.
        eras: whether it is one nuisance parameter for all eras, or one for each.
        processes: the same for processes.
        cms_name: of the nuisance parameter in data cards; ``{era}`` and ``{process}`` are to be filled in.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    label: str = ""
    kind: Literal["weight", "shape", "rate"]
    combination: Combination = "up_down"
    variations: tuple[str, ...]
    eras: Literal["correlated", "by_era"] = "by_era"
    processes: Literal["correlated", "by_process"] = "correlated"
    cms_name: str = ""


class Report(BaseModel):
    """The whole report; ``report.json`` is its JSON form.

    It is the same for every run of the same work: what differs between two of them (times, host, executor, command
    line, where files lie) is in the provenance.

    Args:
        cuts: of the analysis, in order: name → what it requires, in words.
        regions: region → cut → True if it is passed there, False if it is failed.
        effects: correction → what it does, in words.
        variations: variation → corrections that are applied in it.
        sources: of systematic uncertainty that were varied.
    """

    model_config = ConfigDict(frozen=True)

    processor: str
    status: Literal["complete", "incomplete"]
    warnings: tuple[str, ...]
    datasets: tuple[DatasetReport, ...]
    parameters: Mapping[str, Any]
    corrections: tuple[Mapping[str, Any], ...]
    luminosities: tuple[EraLuminosity, ...] = ()
    luminosity_file: Mapping[str, str] | None = None
    luminosity: float | None
    com_energy: float | None
    era: str | None
    agreement: tuple[Mapping[str, Any], ...] = ()
    cuts: Mapping[str, str] = {}
    regions: Mapping[str, Mapping[str, bool]] = {}
    effects: Mapping[str, str] = {}
    variations: Mapping[str, tuple[str, ...]] = {}
    sources: tuple[SourceReport, ...] = ()

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def dataset_report(
    sample: Sample, luminosity: EraLuminosity, numbers: Mapping[str, Any], *, allow_partial: bool
) -> DatasetReport:
    """Account for one dataset and normalise it.

    Args:
        sample: the dataset.
        luminosity: what simulation of its era is normalised to.
        numbers: merged numbers of the dataset's parts: ``sumw``, ``sumw_variations`` and ``counters``.
        allow_partial: normalise to what was processed although something is missing.
    """
    files = [file for file in sample.inputs if file.planned or not file.entries]
    failed = len(sample.bad_files) + sum(file.processed < file.planned for file in files)
    planned = sum(file.planned for file in files)
    asked = planned + (sample.bad_events or 0)
    incomplete = sample.limited or not sample.complete
    base = DatasetReport(
        **{**{name: getattr(sample, name) for name in Facts.model_fields}, "luminosity": luminosity.value},
        files=len(files) + len(sample.bad_files),
        files_processed=len(files) + len(sample.bad_files) - failed,
        files_failed=failed,
        events_planned=planned,
        events_asked=asked,
        events_asked_known=sample.bad_events is not None,
        events_processed=sample.processed,
        events_failed=asked - sample.processed,
        limited=sample.limited,
        partial=incomplete or (sample.kind == "mc" and luminosity.partial),
        sections=sample.sections,
        exposure=sample.exposure,
        counters=numbers.get("counters", {}),
    )
    sumw = numbers.get("sumw", 0.0)
    return base.model_copy(
        update={
            "sumw_asked": _sumw_asked(sample),
            "sumw_processed": sumw,
            **_normalise(
                sample, luminosity, sample.complete or allow_partial, sumw, numbers.get("sumw_variations", {})
            ),
        }
    )


def _sumw_asked(sample: Sample) -> float | None:
    sums = [file.gen_event_sumw for file in sample.inputs]
    if sample.bad_files or sample.limited or not sums or None in sums:
        return None
    return sum(one or 0.0 for one in sums)


def _normalise(
    sample: Sample, luminosity: EraLuminosity, permitted: bool, sumw: float, varied: Mapping[str, float]
) -> dict[str, Any]:
    if not permitted:
        return {"not_normalised": "events are missing (--allow-partial normalises what was processed)"}
    if sample.kind == "data":
        return {"scale": 1.0, "sumw": sumw}
    if sample.exposure is not None and sample.cross_section is None:
        return {"sumw": sumw, "not_normalised": BY_EXPOSURE}
    result: dict[str, Any] = {}
    try:
        total = sum_of_weights(sample.inputs, sumw, varied)
        result = {
            "sumw": total.value,
            # JSON has no NaN; why such a sum has no scale is said.
            "sumw_variations": {name: value for name, value in total.variations.items() if math.isfinite(value)},
            "sumw_source": total.source + (f" ({total.note})" if total.note else ""),
        }
        if sample.cross_section is not None and luminosity.unknown:
            raise NormalisationError(luminosity.unknown)
        result["scale"] = scale_factor(
            cross_section=sample.cross_section, luminosity=luminosity.value, sumw=total.value
        )
        result |= _scale_variations(sample.cross_section, luminosity.value, total.variations)
    except NormalisationError as error:
        result["not_normalised"] = str(error)
    return result


def _scale_variations(
    cross_section: float | None, luminosity: float | None, sums: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Return ``scale_variations``, and why others have none: one useless weight does not cost the nominal yield."""
    scales: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for variation, sumw in sums.items():
        try:
            scales[variation] = scale_factor(cross_section=cross_section, luminosity=luminosity, sumw=sumw)
        except NormalisationError as error:
            reasons[variation] = str(error)
    return {"scale_variations": scales, "not_normalised_variations": reasons}


def incompleteness(datasets: Sequence[DatasetReport]) -> list[str]:
    """Return a line for each dataset of which something is missing or was left out."""
    lines = []
    for one in datasets:
        if not one.complete:
            files = f", {len(one.bad_files)} of {one.files} files unreadable" if one.bad_files else ""
            least = "" if one.events_asked_known else "at least "
            lines.append(
                f"PARTIAL: {one.name}: {one.events_processed} of {least}{one.events_asked} events processed{files}"
            )
        elif one.limited:
            lines.append(f"PARTIAL: {one.name}: limited to {one.files} files, {one.events_processed} events")
    return lines
