"""``python main.py --datasets …``: the main job, from dataset names to a result folder."""

from __future__ import annotations

import errno
import sqlite3
import sys
import time
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
    from ..executors.plan import Plan
    from ..outputs.provenance import Provenance
    from .analysis import Setup
    from .inputs import Inputs

Announce = Callable[[str], None]


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
    from ..outputs.folder import check_output
    from .earlier import check_result
    from .provenance import begin
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
    begun = begin(options, inputs, setup, plan, run_key=key, started=started)
    return _work(options, plan, setup, inputs, begun, console, announce)


def _work(
    options: RunArguments,
    plan: Plan,
    setup: Setup,
    inputs: Inputs,
    begun: Provenance,
    console: Console,
    announce: Announce,
) -> int:
    """Process, merge and draw in the folder for that, then put the result in place."""
    from ..outputs.folder import clear_work, hold, publish_output, start_output
    from ..outputs.parts import PartStore
    from .earlier import check_result, check_unfinished
    from .plot import draw_plots
    from .processing import finish, process
    from .provenance import complete
    from .summary import print_summary

    with hold(options.output_dir) as work, _full_disk_is_no_traceback(options.output_dir):
        if check_result(options, plan):
            announce(f"{options.output_dir} holds the complete result of this run already; nothing to do")
            clear_work(work)
            return COMPLETE
        check_unfinished(options, plan, PartStore(work / "parts").has)
        start_output(work, keep_parts=options.goes_on)
        plan.write(work / "plan.json")
        begun.write(work)
        tic = time.perf_counter()
        ledger = process(options, plan, setup, work.absolute(), console, announce)
        ended = complete(begun, ledger, time.perf_counter() - tic)
        bundle = finish(options, ledger, setup, inputs, work)
        ended.write(work)
        if not options.no_plots:
            announce(f"plots: {len(draw_plots(bundle, work / 'plots'))} figures, PNG and PDF")
        publish_output(options.output_dir, complete=bundle.report.status == "complete")
    print_summary(console, bundle, ended, options.output_dir)
    if bundle.report.status == "complete":
        return COMPLETE
    announce("incomplete: the same command with --retry-failed tries again what is missing, and that alone")
    return INCOMPLETE


def prepare(options: RunArguments, announce: Announce) -> tuple[Inputs, Setup]:
    """Return the inspected input and the processor."""
    from .analysis import draft_setup, schema_of
    from .inputs import find_inputs
    from .preflight import at_start

    inputs = find_inputs(
        options.datasets,
        schema=schema_of(options.processor),
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
        corrections_lock=options.corrections_lock,
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
