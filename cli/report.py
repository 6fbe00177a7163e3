"""The report of a run, put together from its inputs, its ledger and its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..filesets.eras import find_era
from ..outputs.bundle import Bundle, is_normalised, view
from ..outputs.report import Report, dataset_report, incompleteness
from ..plotting.agreement import chi2

if TYPE_CHECKING:
    from ..executors.ledger import Ledger
    from ..processors.base import EraInputs
    from .accounts import Accounts
    from .analysis import Setup
    from .arguments import RunArguments

PACKAGES = ("mucoffea", "coffea", "awkward", "uproot", "hist", "correctionlib", "numpy")


def build_report(
    options: RunArguments,
    ledger: Ledger,
    setup: Setup,
    numbers: Mapping[str, Mapping[str, Any]],
    accounts: Accounts,
    processing: float,
) -> Report:
    """Account for every dataset, normalise it, and say what was done how.

    Args:
        numbers: merged numbers of the datasets.
        accounts: of files and luminosity sections.
        processing: wall time of the processing, s.
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
    unscaled = [f"not normalised: {one.name}: {one.not_normalised}" for one in datasets if one.not_normalised]
    eras = [name for name in dict.fromkeys(one.era for one in datasets) if name]
    processor = setup.processor
    return Report(
        processor=setup.name,
        status="complete" if all(one.complete for one in datasets) else "incomplete",
        warnings=(*incompleteness(datasets), *setup.left_out, *notes, *unscaled),
        datasets=datasets,
        parameters=processor.parameters.model_dump(mode="json"),
        corrections=(*_corrections(processor.eras.values()), *_luminosity_file(setup)),
        luminosities=tuple(accounts.eras.values()),
        luminosity=accounts.eras[eras[0]].value if len(eras) == 1 else None,
        com_energy=find_era(eras[0]).com_energy if len(eras) == 1 else None,
        era=", ".join(eras) or None,
        run=_how(options, ledger, processing),
    )


def _corrections(eras: Iterable[EraInputs]) -> Iterator[dict[str, Any]]:
    """Yield a row for each file that the processor applies, with its SHA-256."""
    for era in eras:
        if era.luminosity_mask is not None:
            digest = hashlib.sha256(era.luminosity_mask.read_bytes()).hexdigest()
            yield {"name": "luminosity_mask", "era": era.era, "path": str(era.luminosity_mask), "sha256": digest}
        for record in era.corrections.values():
            yield record.model_dump(mode="json")


def _luminosity_file(setup: Setup) -> Iterator[dict[str, Any]]:
    """Yield a row for the luminosity file of the run, if it has one."""
    if setup.luminosities is not None:
        yield {
            "name": "luminosity_csv",
            "path": str(setup.luminosities.path),
            "sha256": setup.luminosities.sha256,
        }


def _how(options: RunArguments, ledger: Ledger, processing: float) -> dict[str, Any]:
    done = ledger.with_status("done")
    return {
        "command_line": list(options.command_line),
        "executor": options.executor,
        "workers": options.workers,
        "chunksize": ledger.plan.chunksize,
        "events": sum(outcome.events for outcome in done),
        "processing_seconds": processing,
        "cpu_seconds": sum(outcome.cpu_seconds for outcome in done),
        "bytes_read": sum(outcome.bytes_read for outcome in done),
        "branches_read": sorted({name for outcome in done for name in outcome.branches}),
        "failures": [outcome.message for outcome in ledger.with_status("failed")],
        "versions": {name: version(name) for name in PACKAGES},
    }


def with_agreement(bundle: Bundle) -> Bundle:
    """Add χ²/ndf of data against normalised simulation, with and without corrections, to the report."""
    if not is_normalised(bundle):
        return bundle
    rows = []
    for name, histogram in bundle.histograms.items():
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
