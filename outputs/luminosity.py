"""Which luminosity the processed data amount to, and with it the simulation of their era is normalised."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..luminosity_sections import Sections, from_ranges, in_words, none, packed, to_ranges
from .brilcalc import SectionLuminosities
from .folder import file_name
from .normalisation import FileSum

#: Relative difference between measured and declared luminosity that is worth a remark.
TOLERANCE = 0.01
#: Data sets that share more of their sections than this were taken at the same time.
SAME_PERIOD = 0.5
REFUSED = "data of the era are incomplete (--allow-partial normalises to what was processed)"


@dataclass(frozen=True)
class DataSections:
    """The certified luminosity sections of a data set.

    Args:
        with_events: those with a processed event.
        empty: those of completely processed files that have none; None where a file does not list its sections.
        doubtful: those with a processed event of which a part lies in a file that was not processed completely.
    """

    with_events: Sections
    empty: Sections | None
    doubtful: Sections

    @property
    def processed(self) -> Sections:
        """All that count as processed."""
        return self.with_events if self.empty is None else np.union1d(self.with_events, self.empty)


class SectionAccount(BaseModel):
    """The sections of a data set in the report; luminosities in /fb, None without a luminosity file."""

    model_config = ConfigDict(frozen=True)

    processed: int
    #: None: a file does not list its sections, so there may be more than are known of.
    without_events: int | None
    possibly_incomplete: int
    luminosity_processed: float | None = None
    luminosity_possibly_incomplete: float | None = None
    #: Sections with events that the luminosity file lacks.
    without_luminosity: int = 0


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set after the run.

    Args:
        name: of the dataset.
        declared: its own luminosity, /fb.
        complete: nothing failed.
        limited: --max-files or --max-chunks left something out.
        processed: events.
        available: events of all its files; None is not known.
        sections: that were processed.
    """

    name: str
    declared: float | None
    complete: bool
    limited: bool
    processed: int
    available: int | None
    sections: DataSections


class EraLuminosity(BaseModel):
    """The luminosity that the simulation of an era is normalised to.

    Args:
        era: its name; empty for datasets without.
        value: /fb; None with the reason in ``unknown``.
        source: where it comes from.
        unknown: why there is none.
        partial: whether the data are a part of what there is.
        notes: what to know of it.
        uncertainty: in per cent; None is not known.
        uncertainties: its parts, nuisance parameter → per cent; the same name in two eras is one parameter.
    """

    model_config = ConfigDict(frozen=True)

    era: str
    value: float | None = None
    source: str = ""
    unknown: str = ""
    partial: bool = False
    notes: tuple[str, ...] = ()
    uncertainty: float | None = None
    uncertainties: Mapping[str, float] = {}


def data_sections(
    files: Sequence[FileSum],
    counted: Mapping[str, Mapping[str, int]],
    certified: Callable[[Sections], Sections],
) -> DataSections:
    """Return the sections of a data set.

    Args:
        files: its files, with how much of each was processed.
        counted: run → section → processed events.
        certified: picks the certified ones.
    """
    pairs = [(int(run), int(section)) for run, sections in counted.items() for section in sections]
    with_events = certified(np.unique(packed(*np.array(pairs, np.uint64).T)) if pairs else none())
    whole = [file for file in files if file.processed == file.entries]
    parts = [file for file in files if file.processed != file.entries]
    unlisted = any(file.luminosity_sections is None for file in files if file.processed or not file.entries)
    return DataSections(
        with_events=with_events,
        empty=None if unlisted else np.setdiff1d(certified(_listed(whole)), with_events),
        doubtful=np.intersect1d(with_events, _listed(parts)),
    )


def _listed(files: Sequence[FileSum]) -> Sections:
    return reduce(np.union1d, (from_ranges(file.luminosity_sections or {}) for file in files), none())


def account(sections: DataSections, table: SectionLuminosities | None) -> SectionAccount:
    """Return the numbers of sections for the report, with their luminosity where ``table`` gives it."""
    counts = SectionAccount(
        processed=len(sections.processed),
        without_events=None if sections.empty is None else len(sections.empty),
        possibly_incomplete=len(sections.doubtful),
    )
    if table is None:
        return counts
    return counts.model_copy(
        update={
            "luminosity_processed": table.total(sections.processed),
            "luminosity_possibly_incomplete": table.total(sections.doubtful),
            "without_luminosity": len(table.missing(sections.with_events)),
        }
    )


def write_sections(sections: Mapping[str, DataSections], folder: Path) -> None:
    """Write ``<dataset>.json`` with the processed sections of each data set, in the form of CMS, into ``folder``."""
    for dataset, found in sections.items():
        folder.mkdir(parents=True, exist_ok=True)
        runs = ",\n ".join(f'"{run}": {json.dumps(spans)}' for run, spans in to_ranges(found.processed).items())
        (folder / f"{file_name(dataset)}.json").write_text(f"{{{runs}}}\n", encoding="utf-8")


def era_luminosity(
    era: str,
    declared: float | None,
    data: Sequence[DataSet],
    table: SectionLuminosities | None,
    *,
    allow_partial: bool,
) -> EraLuminosity:
    """Choose the luminosity of an era: measured where a luminosity file is given, else declared, else estimated.

    Data that were processed in part have a part of the declared luminosity. The estimate takes it to be the part of
    the events, as if every file had the same events for each /fb.

    Args:
        era: its name; empty for datasets without.
        declared: luminosity of the era, /fb.
        data: its data sets.
        table: luminosity of each section.
        allow_partial: normalise although something failed.
    """
    partial = any(one.limited or not one.complete for one in data)
    base = EraLuminosity(era=era, partial=partial)
    if not allow_partial and not all(one.complete for one in data):
        return base.model_copy(update={"unknown": REFUSED})
    groups = same_periods(data)
    together = next((group for group in groups if len(group) > 1), None)
    if partial and together:
        names = " and ".join(one.name for one in together)
        return base.model_copy(
            update={"unknown": f"{names} cover the same luminosity sections and are a part; run them one by one"}
        )
    whole, notes = _declared(era, declared, groups)
    if table is not None and data:
        measured = _measured(base, data, table, allow_partial=allow_partial)
        if measured.value is not None or measured.unknown:
            return _compared(measured, None if partial else whole)
        notes = (*measured.notes, *notes)
    base = base.model_copy(update={"notes": notes})
    if partial:
        return _estimated(base, declared, data)
    if whole is None:
        return base.model_copy(update={"unknown": "no luminosity" if era else "no luminosity (no era)"})
    own = any(one.declared for one in data)
    return base.model_copy(update={"value": whole, "source": "declared by the data sets" if own else "of the era"})


def same_periods(data: Sequence[DataSet]) -> list[list[DataSet]]:
    """Return the data sets in groups of those that were taken at the same time: most of their sections are shared."""
    groups = [[one] for one in data]
    for one, two in combinations(data, 2):
        first, second = (next(group for group in groups if member in group) for member in (one, two))
        if first is not second and _same_period(one.sections.processed, two.sections.processed):
            first.extend(second)
            groups.remove(second)
    return groups


def _same_period(one: Sections, two: Sections) -> bool:
    return len(np.intersect1d(one, two)) > SAME_PERIOD * min(len(one), len(two))


def _declared(
    era: str, of_era: float | None, groups: Sequence[Sequence[DataSet]]
) -> tuple[float | None, tuple[str, ...]]:
    """Return the luminosity of complete data: that of their different periods added, else that of the era."""
    periods = [[one for one in group if one.declared] for group in groups]
    periods = [period for period in periods if period]
    if not periods:
        return of_era, ()
    notes = [
        f"{era}: {' and '.join(one.name for one in period)} cover the same luminosity sections: their luminosities "
        "are not added"
        for period in periods
        if len(period) > 1
    ]
    if len(periods) > 1:
        notes.append(f"{era}: the luminosities of {len(periods)} data sets are added, as of different periods")
    return sum(max(one.declared or 0.0 for one in period) for period in periods), tuple(notes)


def _measured(
    base: EraLuminosity, data: Sequence[DataSet], table: SectionLuminosities, *, allow_partial: bool
) -> EraLuminosity:
    """Return the luminosity of the processed sections; neither a value nor ``unknown`` where it cannot be told."""
    unlisted = [one.name for one in data if one.sections.empty is None]
    if unlisted:
        note = (
            f"{table.path.name} is not used for the normalisation: files of {', '.join(unlisted)} do not list their "
            "luminosity sections, so those without events are not known"
        )
        return base.model_copy(update={"notes": (note,)})
    missing = table.missing(reduce(np.union1d, (one.sections.with_events for one in data)))
    notes: tuple[str, ...] = ()
    if len(missing):
        text = f"{len(missing)} processed luminosity sections are not in {table.path.name} ({in_words(missing)})"
        if not allow_partial:
            return base.model_copy(update={"unknown": f"{text}; --allow-partial counts them as zero"})
        notes = (f"{text}: they count as zero",)
    doubtful = reduce(np.union1d, (one.sections.doubtful for one in data))
    if len(doubtful):
        text = (
            f"{base.era}: {len(doubtful)} luminosity sections may lack events, since a file with a part of them was "
            f"not processed completely; they count in full ({table.total(doubtful):.4g} /fb)"
        )
        notes = (*notes, text)
    value = table.total(reduce(np.union1d, (one.sections.processed for one in data)))
    if value <= 0:
        return base.model_copy(update={"unknown": f"{table.path.name} has no luminosity for the processed sections"})
    return base.model_copy(update={"value": value, "source": f"measured: {table.path.name}", "notes": notes})


def _compared(measured: EraLuminosity, declared: float | None) -> EraLuminosity:
    """Return it with a remark where it is not the declared one."""
    if measured.value is None or declared is None or abs(measured.value / declared - 1) <= TOLERANCE:
        return measured
    note = (
        f"{measured.era}: the luminosity is {measured.value:.4g} /fb ({measured.source}), declared {declared:.4g} /fb"
    )
    return measured.model_copy(update={"notes": (*measured.notes, note)})


def _estimated(base: EraLuminosity, of_era: float | None, data: Sequence[DataSet]) -> EraLuminosity:
    """Return the declared luminosity times the processed part of the events."""
    uncounted = [one.name for one in data if not one.available]
    if uncounted:
        unknown = (
            f"the luminosity of the processed part of {', '.join(uncounted)} is not known, since the number of all "
            "events is not; give --luminosity-csv"
        )
        return base.model_copy(update={"unknown": unknown})
    own = [one for one in data if one.declared]
    if own:
        value = sum((one.declared or 0.0) * one.processed / (one.available or 1) for one in own)
    elif of_era is not None:
        value = of_era * sum(one.processed for one in data) / sum(one.available or 0 for one in data)
    else:
        return base.model_copy(update={"unknown": "no luminosity"})
    if value == 0:
        return base.model_copy(update={"unknown": "no data of the era were processed"})
    note = (
        f"PARTIAL: {base.era}: simulation normalised to {value:.4g} /fb, an estimate: the declared luminosity times "
        "the processed part of the events; --luminosity-csv gives the exact one"
    )
    source = "estimate: declared luminosity x processed part of the events"
    return base.model_copy(update={"value": value, "source": source, "notes": (*base.notes, note)})
