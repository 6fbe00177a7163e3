"""The report of a run, put together from its inputs, its ledger and its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..filesets.eras import find_era
from ..outputs.bundle import NOMINAL, Bundle, is_normalised, view
from ..outputs.report import BY_EXPOSURE, DatasetReport, Report, SourceReport, dataset_report, incompleteness
from ..plotting.agreement import chi2

if TYPE_CHECKING:
    from ..corrections.systematics import Systematic
    from ..outputs.luminosity import EraLuminosity
    from ..processors.base import Analysis, EraInputs
    from .accounts import Accounts
    from .analysis import Setup
    from .arguments import RunArguments


def build_report(
    options: RunArguments,
    setup: Setup,
    numbers: Mapping[str, Mapping[str, Any]],
    accounts: Accounts,
) -> Report:
    """Account for every dataset, normalise it, and say what the analysis did.

    Args:
        numbers: merged numbers of the datasets.
        accounts: of files and luminosity sections.
    """
    datasets = tuple(
        dataset_report(
            sample,
            accounts.eras[sample.era or ""],
            numbers.get(sample.name, {}),
            allow_partial=options.allow_partial,
        )
        for sample in accounts.samples
    )
    notes = [note for era in accounts.eras.values() for note in era.notes]
    unscaled = [
        f"not normalised: {one.name}: {one.not_normalised}"
        for one in datasets
        if one.not_normalised and one.not_normalised != BY_EXPOSURE
    ]
    unscaled += list(_variations_without_scale(datasets))
    exposed = [f"{one.name}: {line}" for one in accounts.samples for line in one.exposure_warnings]
    eras = [name for name in dict.fromkeys(one.era for one in datasets) if name]
    processor = setup.processor
    recipe = processor.recipe()
    return Report(
        processor=setup.name,
        status="complete" if all(one.complete for one in datasets) else "incomplete",
        warnings=(*incompleteness(datasets), *setup.left_out, *notes, *exposed, *unscaled),
        datasets=datasets,
        parameters=processor.parameters.model_dump(mode="json"),
        corrections=tuple(_corrections(processor.eras.values())),
        luminosity_file=_luminosity_file(setup),
        luminosities=tuple(_with_uncertainty(era) for era in accounts.eras.values()),
        luminosity=accounts.eras[eras[0]].value if len(eras) == 1 else None,
        com_energy=find_era(eras[0]).com_energy if len(eras) == 1 else None,
        era=", ".join(eras) or None,
        cuts=recipe.cuts,
        regions=recipe.regions,
        effects=recipe.corrections,
        variations=recipe.variations,
        sources=_sources(processor),
    )


def _variations_without_scale(datasets: Iterable[DatasetReport]) -> Iterator[str]:
    """Yield a line for each dataset of which some variations cannot be normalised."""
    for one in datasets:
        reasons = one.not_normalised_variations
        if reasons:
            name, reason = next(iter(reasons.items()))
            more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
            yield f"not normalised: {one.name} under {name}{more}, nominal is taken instead: {reason}"


def _with_uncertainty(era: EraLuminosity) -> EraLuminosity:
    """Return the luminosity of an era with its uncertainty, which is that of the calibration of the whole era."""
    declared = find_era(era.era).luminosity if era.era else None
    if declared is None:
        return era
    return era.model_copy(update={"uncertainty": declared.uncertainty, "uncertainties": declared.uncertainties})


def _sources(processor: Analysis) -> tuple[SourceReport, ...]:
    """Return the sources of systematic uncertainty that any era varies, as the report says them."""
    found: dict[str, Systematic] = {}
    varied_in = getattr(processor, "systematics", lambda era: ())  # noqa: ARG005 (an analysis that varies nothing)
    for era in processor.eras.values():
        found |= {one.name: one for one in varied_in(era)}
    return tuple(
        SourceReport(
            name=one.name,
            label=one.label or one.name,
            kind=one.kind,
            combination=one.combination,
            variations=one.variations,
            eras=one.eras,
            processes=one.processes,
            cms_name=one.cms_name,
        )
        for one in found.values()
    )


def _corrections(eras: Iterable[EraInputs]) -> Iterator[dict[str, Any]]:
    """Yield a row for each file that the processor applies, with its SHA-256; where it lies is provenance."""
    for era in eras:
        if era.luminosity_mask is not None:
            digest = hashlib.sha256(era.luminosity_mask.read_bytes()).hexdigest()
            yield {"name": "luminosity_mask", "era": era.era, "file": era.luminosity_mask.name, "sha256": digest}
        for record in era.corrections.values():
            yield {**record.model_dump(mode="json", exclude={"path"}), "file": record.path.name}


def _luminosity_file(setup: Setup) -> dict[str, str] | None:
    table = setup.luminosities
    return None if table is None else {"file": table.path.name, "sha256": table.sha256}


def with_agreement(bundle: Bundle) -> Bundle:
    """Add χ²/ndf of data against normalised simulation, with and without corrections, to the report."""
    if not is_normalised(bundle):
        return bundle
    varied = {variation for source in bundle.report.sources for variation in source.variations} - {NOMINAL}
    rows = []
    for name, histogram in bundle.spectra().items():
        for region in histogram.axes["region"]:
            row: dict[str, Any] = {"histogram": name, "region": region}
            for variation in (one for one in histogram.axes["variation"] if one not in varied):
                seen = view(bundle, name, region, variation)
                if seen.data is not None and seen.total is not None:
                    value, ndf = chi2(seen.data, seen.total)
                    row[variation] = {"chi2": value, "ndf": ndf}
            if "nominal" in row:
                rows.append(row)
    return replace(bundle, report=bundle.report.model_copy(update={"agreement": tuple(rows)}))
