"""``python main.py --datasets …``: the main job, from dataset names to a result folder."""

from __future__ import annotations

import errno
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..errors import UserError
from ..filesets.addresses import redacted
from . import COMPLETE, INCOMPLETE, USER_ERROR
from .arguments import RunArguments, parse

if TYPE_CHECKING:
    from ..executors.ledger import Ledger, Outcome
    from ..executors.plan import Plan
    from ..outputs.bundle import Bundle
    from ..outputs.parts import Merged
    from ..outputs.provenance import Provenance
    from .analysis import Setup
    from .inputs import Inputs

Announce = Callable[[str], None]
#: Failed work items that the terminal names.
SHOWN = 5


def word_command(arguments: Sequence[str]) -> int:
    """Run ``run --datasets …``, the same as without the word."""
    return command(arguments[1:])


def command(arguments: Sequence[str]) -> int:
    """Parse the flags, run, and return the exit code."""
    return run(parse(arguments), Console())


def run(options: RunArguments, console: Console, prepared: tuple[Inputs, Setup] | None = None) -> int:
    """Do the main job.

    Args:
        options: what the user asked for.
        console: to print on.
        prepared: the inspected input and the processor; by default what ``options`` name.

    Returns:
        0 if everything that was asked for was processed, 2 if something is missing (the report names it).

    Raises:
        UserError: a mistake of the user; nothing that was there before has been changed.
    """
    from ..executors.keys import run_key
    from ..executors.pools import check_executor
    from ..outputs.folder import check_output, clear_work, hold, publish_output, start_output
    from ..outputs.parts import PartStore
    from . import provenance
    from .earlier import check_result, check_unfinished
    from .summary import print_plan

    def announce(line: str) -> None:
        console.print(redacted(line), markup=False, highlight=False, soft_wrap=True)

    started = datetime.now(UTC)
    check_executor(options.executor, options.workers)
    if not options.dry_run:
        check_output(options.output_dir)
        check_result(options)
    inputs, setup = prepared or prepare(options, announce)
    key = run_key(setup.processor, setup.settings())
    plan = make_plan(options, inputs, key)
    print_plan(console, plan, inputs, setup, options)
    if options.dry_run:
        return COMPLETE
    if not plan.items:
        return _nothing_to_do(inputs)
    with hold(options.output_dir) as work, _full_disk_is_no_traceback(options.output_dir):
        if check_result(options, plan):
            announce(f"{options.output_dir} holds the complete result of this run already; nothing to do")
            clear_work(work)
            return COMPLETE
        check_unfinished(options, plan, PartStore(work / "parts").has)
        start_output(work, keep_parts=options.goes_on)
        plan.write(work / "plan.json")
        begun = provenance.begin(options, inputs, setup, plan, run_key=key, started=started)
        begun.write(work)
        tic = time.perf_counter()
        ledger = process(options, plan, setup, work.absolute(), console, announce)
        processing = time.perf_counter() - tic
        bundle = finish(options, ledger, setup, inputs, work)
        ended = provenance.complete(begun, ledger, processing)
        ended.write(work)
        publish_output(options.output_dir, complete=bundle.report.status == "complete")
    return _show(options, bundle, ended, console, announce)


def prepare(options: RunArguments, announce: Announce) -> tuple[Inputs, Setup]:
    """Return the inspected input and the processor."""
    from .analysis import draft_setup
    from .inputs import find_inputs
    from .preflight import at_start

    inputs = find_inputs(
        options.datasets,
        era=options.era,
        max_files=options.max_files,
        open_remote=not options.dry_run,
        announce=announce,
        verify=options.verify,
    )
    draft = draft_setup(
        options.processor,
        [one.dataset for one in inputs.filesets],
        config=options.config,
        settings=options.settings,
        folders=inputs.folders,
        luminosity_csv=options.luminosity_csv,
    )
    return inputs, at_start(options, inputs, draft, announce)


def make_plan(options: RunArguments, inputs: Inputs, key: str) -> Plan:
    """Return the plan of the run; ``key`` is what the content keys of its work items share."""
    from ..executors.plan import build_plan

    return build_plan(
        inputs.filesets,
        chunksize=options.chunksize,
        max_chunks=options.max_chunks,
        files_available=inputs.files_available,
        run_key=key,
    )


def process(
    options: RunArguments, plan: Plan, setup: Setup, folder: Path, console: Console, announce: Announce
) -> Ledger:
    """Process every item of the plan on the executor, parts and ledger in ``folder``.

    The ledger is written however it ends.
    """
    from ..executors.keys import code_key
    from ..executors.ledger import Ledger
    from ..executors.pools import open_pool
    from ..executors.run import run_plan
    from ..executors.scheduler import Policy
    from ..executors.worker import Work
    from ..outputs.folder import LEDGER
    from ..outputs.parts import PartStore
    from .progress import progress_bar

    store = PartStore(folder / "parts")
    store.mark()
    work = Work(run_id=uuid.uuid4().hex, processor=setup.processor, store=store, code=code_key(setup.processor))
    ledger = Ledger(plan, folder / LEDGER)
    if options.goes_on:
        done = ledger.take_over(store.check, retry_failed=options.retry_failed)
        announce(f"resumed: {done} of {len(plan.items)} work items were done")
    try:
        with (
            open_pool(options.executor, options.workers, announce=announce) as pool,
            progress_bar(console, sum(map(len, ledger.open_items))) as advance,
        ):
            avoided = run_plan(
                ledger,
                work,
                pool,
                workers=options.workers,
                policy=Policy(keep_going=options.keep_going),
                on_outcome=_followed_by(advance, announce, options.keep_going),
                on_part=store.put,
            )
            for name in avoided:
                announce(f"avoided after repeated failures: {name}")
    finally:
        ledger.write(folder / "ledger.json")
        ledger.close()
    return ledger


def _followed_by(advance: Callable[[Outcome], None], announce: Announce, keep_going: bool) -> Callable[[Outcome], None]:
    """Return what to do with each outcome: move the progress bar, and name the first failures; the ledger has all."""
    failures = 0

    def on_outcome(outcome: Outcome) -> None:
        nonlocal failures
        advance(outcome)
        # One that stops the run is printed as its error.
        if outcome.status == "failed" and (outcome.cause != "code" or keep_going):
            failures += 1
            if failures <= SHOWN:
                announce(f"failed: {outcome.message}")
            elif failures == SHOWN + 1:
                announce("further failures are in ledger.json")

    return on_outcome


def finish(
    options: RunArguments,
    ledger: Ledger,
    setup: Setup,
    inputs: Inputs,
    folder: Path,
) -> Bundle:
    """Merge the parts in plan order, normalise, and write the result into ``folder``."""
    from ..outputs.bundle import Bundle, combine, write_bundle
    from ..outputs.folder import SECTIONS
    from ..outputs.luminosity import write_sections
    from .accounts import make_accounts
    from .report import build_report, with_agreement

    merged = _merge(ledger, folder, {} if options.max_chunks else _entries(inputs))
    accounts = make_accounts(ledger, setup, inputs, merged.numbers, allow_partial=options.allow_partial)
    write_sections(accounts.sections, folder / SECTIONS)
    bundle = Bundle(
        report=build_report(options, setup, merged.numbers, accounts),
        histograms=combine(merged.histograms),
        cut_flows={name: numbers["cutflow"] for name, numbers in merged.numbers.items()},
    )
    bundle = with_agreement(bundle)
    write_bundle(bundle, folder)
    return bundle


def _entries(inputs: Inputs) -> dict[tuple[str, str], int]:
    """Return how many entries of each file (dataset, lfn) are to be accounted for."""
    return {
        (fileset.dataset.name, file.lfn): file.entries
        for fileset in inputs.filesets
        for file in fileset.files
        if file.entries is not None
    }


def _merge(ledger: Ledger, folder: Path, entries: dict[tuple[str, str], int]) -> Merged:
    """Merge what is done; it and what is not must cover ``entries`` of each file exactly."""
    from ..outputs.parts import Merger, PartStore

    store = PartStore(folder / "parts")
    merger = Merger(folder / "columns")
    for outcome in ledger.with_status("done"):
        item = ledger.plan.items[outcome.index]
        merger.add(item, store.path(item))
    done = {outcome.index for outcome in ledger.with_status("done")}
    return merger.finish(missing=[item for item in ledger.plan.items if item.index not in done], entries=entries)


@contextmanager
def _full_disk_is_no_traceback(folder: Path) -> Iterator[None]:
    """Turn a full disk, met in the ledger, the merge or the plots, into advice; the parts that are there stay."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(error)
        if not full:
            raise
        raise UserError(
            f"The disk or the quota of the output folder {folder} is full. What was finished is kept: make room, "
            f"then go on with --resume."
        ) from error


def _nothing_to_do(inputs: Inputs) -> int:
    """End a run without a single event to read: 2 if servers did not answer, else the user can mend it."""
    if not inputs.bad_files:
        files = ", ".join(file.replicas[0] for fileset in inputs.filesets for file in fileset.files)
        raise UserError(f"There is nothing to process: the trees of all input files are empty ({files}).")
    for dataset, bad in inputs.bad_files.items():
        sys.stderr.write(f"error: {dataset}: none of its {len(bad)} files could be read; nothing was written\n")
    return INCOMPLETE if inputs.unreachable else USER_ERROR


def _show(options: RunArguments, bundle: Bundle, provenance: Provenance, console: Console, announce: Announce) -> int:
    from .plot import draw_plots
    from .summary import print_summary

    if not options.no_plots:
        announce(f"plots: {len(draw_plots(bundle, options.output_dir / 'plots'))} figures, PNG and PDF")
    print_summary(console, bundle, provenance, options.output_dir)
    if bundle.report.status == "complete":
        return COMPLETE
    announce("incomplete: the same command with --retry-failed tries again what is missing, and that alone")
    return INCOMPLETE
