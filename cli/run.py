"""``python main.py --datasets …``: the main job, from dataset names to a result folder."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import UserError
from . import COMPLETE, INCOMPLETE
from .arguments import RunArguments, parse


def word_command(arguments: Sequence[str]) -> int:
    """Run ``run --datasets …``, the same as without the word."""
    return command(arguments[1:])


def command(arguments: Sequence[str]) -> int:
    """Parse the flags, run, and return the exit code."""
    return run(parse(arguments), Console())


def run(options: RunArguments, console: Console) -> int:
    """Do the main job.

    Returns:
        0 if everything that was asked for was processed, 2 if something is missing (the report names it).

    Raises:
        UserError: a mistake of the user; nothing that was there before has been changed.
    """
    from ..executors.plan import build_plan
    from ..executors.pools import check_executor
    from ..outputs.folder import check_output, make_output
    from .analysis import set_up
    from .inputs import find_inputs
    from .summary import print_plan, print_summary

    started = time.perf_counter()

    def announce(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    check_executor(options.executor)
    if not options.dry_run:
        check_output(options.output_dir, overwrite=options.overwrite)
    inputs = find_inputs(
        options.datasets,
        era=options.era,
        max_files=options.max_files,
        open_remote=not options.dry_run,
        announce=announce,
    )
    setup = set_up(
        options.processor,
        [one.dataset for one in inputs.filesets],
        config=options.config,
        settings=options.settings,
        folders=inputs.folders,
    )
    plan = build_plan(
        inputs.filesets,
        chunksize=options.chunksize,
        max_chunks=options.max_chunks,
        files_available=dict(inputs.files_available),
    )
    print_plan(console, plan, inputs, setup, options)
    if options.dry_run:
        return COMPLETE
    if not plan.items:
        return _nothing_to_do(inputs.bad_files, announce)
    parts = make_output(options.output_dir)
    plan.write(options.output_dir / "plan.json")
    job = Job(options, setup, inputs, plan, parts, started)
    bundle = job.process(console, announce)
    if not options.no_plots:
        from .plot import draw_plots

        announce(f"plots: {len(draw_plots(bundle, options.output_dir / 'plots'))} figures, PNG and PDF")
    print_summary(console, bundle, options.output_dir, time.perf_counter() - started)
    return COMPLETE if bundle.report.status == "complete" else INCOMPLETE


def _nothing_to_do(bad_files: Mapping[str, Mapping[str, str]], announce: Any) -> int:
    """End a run without a single event to read: 2 if files could not be read, an error if they are empty."""
    if not bad_files:
        raise UserError("There is nothing to process: the trees of all input files are empty.")
    for dataset, files in bad_files.items():
        announce(f"error: {dataset}: none of the {len(files)} files could be read; nothing was written")
    remote = any("://" in path for files in bad_files.values() for path in files)
    return INCOMPLETE if remote else 1


@dataclass(frozen=True)
class Job:
    """A planned run with its folder ready."""

    options: RunArguments
    setup: Any
    inputs: Any
    plan: Any
    parts: Path
    started: float

    def process(self, console: Console, announce: Any) -> Any:
        """Process every item, merge, normalise, write the result and return it."""
        from ..executors.pools import open_pool
        from ..executors.run import run_plan
        from ..executors.worker import Work
        from ..outputs.parts import PartStore
        from .progress import progress_bar

        store = PartStore(self.parts.absolute())
        work = Work(run_id=uuid.uuid4().hex, processor=self.setup.processor, store=store)
        tic = time.perf_counter()
        workers = self.options.workers
        with (
            open_pool(self.options.executor, workers, announce=announce) as pool,
            progress_bar(console, self.plan.events) as advance,
        ):
            ledger = run_plan(self.plan, work, pool, workers=workers, on_outcome=advance)
        processing = time.perf_counter() - tic
        ledger.write(self.options.output_dir / "ledger.json")
        return self._finish(ledger, store, processing)

    def _finish(self, ledger: Any, store: Any, processing: float) -> Any:
        import shutil

        from ..outputs.bundle import Bundle, combine, write_bundle
        from ..outputs.parts import Merger

        merger = Merger(self.options.output_dir / "columns")
        for outcome in ledger.with_status("done"):
            merger.add(store.path(outcome.index))
        merged = merger.finish()
        bundle = Bundle(
            report=self._report(ledger, merged.numbers, processing),
            histograms=combine(merged.histograms),
            cut_flows={name: numbers["cutflow"] for name, numbers in merged.numbers.items()},
        )
        bundle = _with_agreement(bundle)
        write_bundle(bundle, self.options.output_dir)
        shutil.rmtree(self.parts)
        return bundle

    def _report(self, ledger: Any, numbers: Mapping[str, Any], processing: float) -> Any:
        from ..filesets.eras import find_era
        from ..outputs.report import Report, dataset_report, incompleteness

        samples = [self._sample(fileset) for fileset in self.inputs.filesets]
        datasets = tuple(
            dataset_report(
                one, ledger, numbers.get(one.name, {}), allow_partial=self.options.allow_partial
            )
            for one in samples
        )
        eras = list(dict.fromkeys(one.era for one in samples if one.era))
        era = find_era(eras[0]) if len(eras) == 1 else None
        unscaled = [
            f"not normalised: {one.name}: {one.not_normalised}" for one in datasets if one.not_normalised
        ]
        processor = self.setup.processor
        return Report(
            processor=self.setup.name,
            status="complete" if all(one.complete for one in datasets) else "incomplete",
            warnings=(*incompleteness(datasets), *self.setup.left_out, *unscaled),
            datasets=datasets,
            parameters=processor.parameters.model_dump(mode="json"),
            corrections=tuple(
                record.model_dump(mode="json")
                for inputs in processor.eras.values()
                for record in inputs.corrections.values()
            ),
            luminosity=era.luminosity.fb if era and era.luminosity else None,
            com_energy=era.com_energy if era else None,
            era=", ".join(eras) or None,
            run=self._how(ledger, processing),
        )

    def _sample(self, fileset: Any) -> Any:
        from ..filesets.eras import find_era
        from ..outputs.normalisation import FileSum
        from ..outputs.report import Sample

        dataset = fileset.dataset
        era = find_era(dataset.era) if dataset.era else None
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
            luminosity=era.luminosity.fb if era and era.luminosity else None,
            files=tuple(
                FileSum(
                    lfn=file.lfn,
                    entries=file.entries,
                    processed=0,
                    gen_event_count=file.gen_event_count,
                    gen_event_sumw=file.gen_event_sumw,
                )
                for file in fileset.files
            ),
            bad_files=self.inputs.bad_files.get(dataset.name, {}),
        )

    def _how(self, ledger: Any, processing: float) -> dict[str, Any]:
        from importlib.metadata import version

        done = ledger.with_status("done")
        packages = ("mucoffea", "coffea", "awkward", "uproot", "hist", "correctionlib", "numpy")
        return {
            "command_line": list(self.options.command_line),
            "executor": self.options.executor,
            "workers": self.options.workers,
            "chunksize": self.plan.chunksize,
            "events": sum(outcome.events for outcome in done),
            "processing_seconds": processing,
            "cpu_seconds": sum(outcome.cpu_seconds for outcome in done),
            "bytes_read": sum(outcome.bytes_read for outcome in done),
            "branches_read": sorted({name for outcome in done for name in outcome.branches}),
            "failures": [outcome.message for outcome in ledger.with_status("failed")],
            "versions": {name: version(name) for name in packages},
        }


def _with_agreement(bundle: Any) -> Any:
    """Add χ²/ndf of data against simulation, with and without corrections, to the report."""
    from dataclasses import replace

    from ..outputs.bundle import is_normalised, view
    from ..plotting.agreement import chi2

    if not is_normalised(bundle):
        return bundle
    rows = []
    for name, histogram in bundle.histograms.items():
        for region in histogram.axes["region"]:
            row: dict[str, Any] = {"histogram": name, "region": region}
            for variation in ("nominal", "uncorrected"):
                seen = view(bundle, name, region, variation)
                if seen.data is not None and seen.total is not None:
                    value, ndf = chi2(seen.data, seen.total)
                    row[variation] = {"chi2": value, "ndf": ndf}
            if "nominal" in row:
                rows.append(row)
    return replace(bundle, report=bundle.report.model_copy(update={"agreement": tuple(rows)}))
