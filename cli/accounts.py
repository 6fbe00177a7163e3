"""What was processed of the input: files, events, luminosity sections, and the luminosity that they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corrections.luminosity_mask import certified
from ..corrections.theory_weights import run_sums
from ..errors import UserError
from ..filesets.eras import find_era
from ..filesets.layouts import DEFAULT
from ..luminosity_sections import Sections, unpacked
from ..outputs.brilcalc import SectionLuminosities, read_luminosities
from ..outputs.exposure import Declared, FileShare, sample_exposure
from ..outputs.luminosity import DataSections, DataSet, EraLuminosity, account, data_sections, era_luminosity
from ..outputs.normalisation import FileSum
from ..outputs.report import Sample

if TYPE_CHECKING:
    from ..executors.ledger import Ledger
    from ..filesets.models import Dataset, FileEntry, Fileset
    from .analysis import Setup
    from .inputs import Inputs

#: Key of a configuration file beside the parameters: CSV file of brilcalc.
LUMINOSITY_CSV = "luminosity_csv"


@dataclass(frozen=True)
class Accounts:
    """What was processed of the input.

    Args:
        samples: the datasets, in the order of the run.
        sections: data set → its luminosity sections.
        eras: era (empty: none) → what its simulation is normalised to.
    """

    samples: tuple[Sample, ...]
    sections: Mapping[str, DataSections]
    eras: Mapping[str, EraLuminosity]


def luminosity_file(values: dict[str, Any], config: Path | None, flag: Path | None) -> SectionLuminosities | None:
    """Return the content of the CSV file that ``--luminosity-csv`` or else the configuration names, if any.

    The key is taken out of ``values``; its path is relative to the configuration file.

    Raises:
        UserError: it is no path, or the file is not one of brilcalc.
    """
    named = values.pop(LUMINOSITY_CSV, None)
    if flag is not None:
        return read_luminosities(flag)
    if named is None or config is None:
        return None
    if not isinstance(named, str):
        raise UserError(f"--config {config}: '{LUMINOSITY_CSV}' must be the path of a CSV file of brilcalc.")
    return read_luminosities(config.parent / Path(named).expanduser())


def make_accounts(
    ledger: Ledger, setup: Setup, inputs: Inputs, numbers: Mapping[str, Mapping[str, Any]], *, allow_partial: bool
) -> Accounts:
    """Account for the files and luminosity sections of every dataset, and choose the luminosity of each era.

    Args:
        numbers: merged numbers of the datasets.
        allow_partial: normalise although something failed.
    """
    files, table = _files(ledger, inputs), setup.luminosities
    sections = {
        one.name: data_sections(
            files[one.name],
            numbers.get(one.name, {}).get("luminosity_sections", {}),
            partial(_certified, setup, one.era or ""),
        )
        for one in (fileset.dataset for fileset in inputs.filesets)
        if one.kind == "data"
    }
    samples = tuple(
        _exposed(
            _sample(one.dataset, files[one.dataset.name], inputs, sections.get(one.dataset.name), table),
            one,
            on_spill=_on_spill(one.dataset, setup),
            allow_partial=allow_partial,
        )
        for one in inputs.filesets
    )
    eras = {
        era: era_luminosity(
            era,
            _declared(era),
            [
                _data_set(sample, fileset.dataset, sections[sample.name])
                for sample, fileset in zip(samples, inputs.filesets, strict=True)
                if sample.kind == "data" and (sample.era or "") == era
            ],
            table,
            allow_partial=allow_partial,
        )
        for era in dict.fromkeys(one.era or "" for one in samples)
    }
    return Accounts(samples, sections, eras)


def _files(ledger: Ledger, inputs: Inputs) -> dict[str, tuple[FileSum, ...]]:
    done = {outcome.index for outcome in ledger.with_status("done")}
    planned: dict[tuple[str, str], int] = {}
    processed: dict[tuple[str, str], int] = {}
    for item in ledger.plan.items:
        key = (item.dataset, item.lfn)
        planned[key] = planned.get(key, 0) + len(item)
        if item.index in done:
            processed[key] = processed.get(key, 0) + len(item)
    return {
        fileset.dataset.name: tuple(
            FileSum(
                lfn=file.lfn,
                entries=file.entries or 0,
                planned=planned.get((fileset.dataset.name, file.lfn), 0),
                processed=processed.get((fileset.dataset.name, file.lfn), 0),
                gen_event_count=file.gen_event_count,
                gen_event_sumw=file.gen_event_sumw,
                gen_variation_sums=_variation_sums(file, fileset.dataset),
                luminosity_sections=file.luminosity_sections,
            )
            for file in fileset.files
        )
        for fileset in inputs.filesets
    }


def _variation_sums(file: FileEntry, dataset: Dataset) -> dict[str, float]:
    """Return what the ``Runs`` tree of a skim says of the variations of the generator's weights."""
    sums = file.weight_sums
    if sums is None:
        return {}
    return run_sums(
        scale=sums.scale,
        pdf_members=sums.pdf,
        shower=sums.shower,
        scale_title=sums.scale_title,
        pdf_title=sums.pdf_title,
        run=find_era(dataset.era).run if dataset.era else 2,
    )


def _certified(setup: Setup, era: str, sections: Sections) -> Sections:
    """Return those of ``sections`` that the luminosity mask of the era lets pass; all without a mask."""
    inputs = setup.processor.eras.get(era)
    if inputs is None or inputs.luminosity_mask is None:
        return sections
    return sections[certified(inputs.luminosity_mask, *unpacked(sections))]


def _sample(
    dataset: Dataset,
    files: tuple[FileSum, ...],
    inputs: Inputs,
    sections: DataSections | None,
    table: SectionLuminosities | None,
) -> Sample:
    section = dataset.cross_section
    return Sample(
        name=dataset.name,
        kind=dataset.kind,
        process=dataset.process,
        label=dataset.label or dataset.process,
        era=dataset.era,
        cross_section=section.pb if section else None,
        cross_section_source=section.source if section else "",
        placeholder=bool(section and section.placeholder),
        inputs=files,
        bad_files=inputs.bad_files.get(dataset.name, {}),
        files_available=inputs.files_available[dataset.name],
        bad_events=inputs.bad_events.get(dataset.name, 0),
        sections=None if sections is None else account(sections, table),
    )


def _exposed(sample: Sample, fileset: Fileset, *, on_spill: bool, allow_partial: bool) -> Sample:
    """Return ``sample`` with its exposure, if it is of a kind that has one."""
    dataset = fileset.dataset
    if dataset.data_schema == DEFAULT and not dataset.has_exposure:
        return sample
    processed = {file.lfn: file for file in sample.inputs if file.planned or not file.entries}
    shares = [
        FileShare(
            lfn=file.lfn,
            entries=file.entries or 0,
            processed=processed[file.lfn].processed,
            **(file.exposure.model_dump(exclude={"processed"}) if file.exposure else {}),
        )
        for file in fileset.files
        if file.lfn in processed
    ]
    livetime, generated = dataset.livetime, dataset.generated_events
    declared = Declared(
        livetime=livetime.value if livetime else None,
        livetime_source=livetime.source if livetime else "",
        generated=generated.value if generated else None,
        generated_source=generated.source if generated else "",
        files=dataset.sample_files or sample.files_available,
    )
    permitted = sample.complete or allow_partial
    found, warnings = sample_exposure(shares, len(sample.bad_files), declared, on_spill=on_spill, permitted=permitted)
    return sample.model_copy(update={"exposure": found, "exposure_warnings": tuple(warnings)})


def _on_spill(dataset: Dataset, setup: Setup) -> bool:
    """Whether the beam was on: what the analysis was told, else the dataset; it is on where neither says."""
    told = getattr(setup.processor.parameters, "spill", None)
    return told == "on" if told in ("on", "off") else dataset.on_spill is not False


def _data_set(sample: Sample, dataset: Dataset, sections: DataSections) -> DataSet:
    return DataSet(
        name=sample.name,
        declared=dataset.luminosity.fb if dataset.luminosity else None,
        complete=sample.complete,
        limited=sample.limited,
        processed=sample.processed,
        available=sample.available,
        sections=sections,
    )


def _declared(era: str) -> float | None:
    luminosity = find_era(era).luminosity if era else None
    return luminosity.fb if luminosity else None
