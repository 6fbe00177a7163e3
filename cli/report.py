"""The report of a run, put together from its inputs, its ledger and its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..filesets.eras import find_era
from ..outputs.bundle import Bundle, is_normalised, view
from ..outputs.normalisation import FileSum
from ..outputs.report import Report, Sample, dataset_report, incompleteness
from ..plotting.agreement import chi2

if TYPE_CHECKING:
    from ..executors.ledger import Ledger
    from ..filesets.models import Dataset, Fileset
    from ..processors.base import EraInputs
    from .analysis import Setup
    from .arguments import RunArguments
    from .inputs import Inputs


def build_report(
    options: RunArguments,
    ledger: Ledger,
    setup: Setup,
    inputs: Inputs,
    numbers: Mapping[str, Mapping[str, Any]],
) -> Report:
    """Account for every dataset, normalise it, and say what the analysis did.

    Args:
        numbers: merged numbers of the datasets.
    """
    luminosities, notes = era_luminosities([one.dataset for one in inputs.filesets])
    datasets = tuple(
        dataset_report(
            _sample(fileset, inputs, luminosities),
            ledger,
            numbers.get(fileset.dataset.name, {}),
            allow_partial=options.allow_partial,
        )
        for fileset in inputs.filesets
    )
    unscaled = [f"not normalised: {one.name}: {one.not_normalised}" for one in datasets if one.not_normalised]
    eras = [name for name in dict.fromkeys(one.era for one in datasets) if name]
    processor = setup.processor
    recipe = processor.recipe()
    return Report(
        processor=setup.name,
        status="complete" if all(one.complete for one in datasets) else "incomplete",
        warnings=(*incompleteness(datasets), *setup.left_out, *notes, *unscaled),
        datasets=datasets,
        parameters=processor.parameters.model_dump(mode="json"),
        corrections=tuple(_corrections(processor.eras.values())),
        luminosity=luminosities.get(eras[0]) if len(eras) == 1 else None,
        com_energy=find_era(eras[0]).com_energy if len(eras) == 1 else None,
        era=", ".join(eras) or None,
        cuts=recipe.cuts,
        regions=recipe.regions,
        effects=recipe.corrections,
        variations=recipe.variations,
    )


def _corrections(eras: Iterable[EraInputs]) -> Iterator[dict[str, Any]]:
    """Yield a row for each file that the processor applies, with its SHA-256; where it lies is provenance."""
    for era in eras:
        if era.luminosity_mask is not None:
            digest = hashlib.sha256(era.luminosity_mask.read_bytes()).hexdigest()
            yield {"name": "luminosity_mask", "era": era.era, "file": era.luminosity_mask.name, "sha256": digest}
        for record in era.corrections.values():
            yield {**record.model_dump(mode="json", exclude={"path"}), "file": record.path.name}


def era_luminosities(datasets: Sequence[Dataset]) -> tuple[dict[str, float], list[str]]:
    """Return era → luminosity in /fb that its simulation is normalised to, and remarks on it.

    It is that of the data sets of the era in this run where they declare theirs (a part of the era, such as
    Run2016H), else that of the era.
    """
    luminosities: dict[str, float] = {}
    notes: list[str] = []
    for name in dict.fromkeys(one.era for one in datasets if one.era):
        era = find_era(name)
        declared = [one.luminosity.fb for one in datasets if one.era == name and one.kind == "data" and one.luminosity]
        if declared:
            luminosities[name] = sum(declared)
            if len(declared) > 1:
                notes.append(
                    f"{name}: the luminosities of {len(declared)} data sets are added, as of different periods"
                )
        elif era.luminosity is not None:
            luminosities[name] = era.luminosity.fb
    return luminosities, notes


def _sample(fileset: Fileset, inputs: Inputs, luminosities: Mapping[str, float]) -> Sample:
    dataset, section = fileset.dataset, fileset.dataset.cross_section
    return Sample(
        name=dataset.name,
        kind=dataset.kind,
        process=dataset.process,
        label=dataset.label or dataset.process,
        era=dataset.era,
        cross_section=section.pb if section else None,
        cross_section_source=section.source if section else "",
        placeholder=bool(section and section.placeholder),
        luminosity=luminosities.get(dataset.era or ""),
        inputs=tuple(
            FileSum(
                lfn=file.lfn,
                entries=file.entries or 0,
                processed=0,
                gen_event_count=file.gen_event_count,
                gen_event_sumw=file.gen_event_sumw,
            )
            for file in fileset.files
        ),
        bad_files=inputs.bad_files.get(dataset.name, {}),
    )


def with_agreement(bundle: Bundle) -> Bundle:
    """Add χ²/ndf of data against normalised simulation, with and without corrections, to the report."""
    if not is_normalised(bundle):
        return bundle
    rows = []
    for name, histogram in bundle.spectra().items():
        for region in histogram.axes["region"]:
            row: dict[str, Any] = {"histogram": name, "region": region}
            for variation in histogram.axes["variation"]:
                seen = view(bundle, name, region, variation)
                if seen.data is not None and seen.total is not None:
                    value, ndf = chi2(seen.data, seen.total)
                    row[variation] = {"chi2": value, "ndf": ndf}
            if "nominal" in row:
                rows.append(row)
    return replace(bundle, report=bundle.report.model_copy(update={"agreement": tuple(rows)}))
