"""The middle of a run: every work item processed, every part merged, the result written."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from .arguments import RunArguments

if TYPE_CHECKING:
    from ..executors.ledger import Ledger, Outcome
    from ..executors.plan import Plan
    from ..outputs.bundle import Bundle
    from ..outputs.parts import Merged
    from .analysis import Setup
    from .inputs import Inputs

Announce = Callable[[str], None]
#: Failed work items that the terminal names.
SHOWN = 5


def process(
    options: RunArguments, plan: Plan, setup: Setup, folder: Path, console: Console, announce: Announce
) -> Ledger:
    """Process every item of the plan on the executor, parts and ledger in ``folder``.

    The ledger is written however it ends.
    """
    from ..executors.interrupts import held_interrupts
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
            held_interrupts(at_once=options.executor == "iterative") as checkpoint,
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
                checkpoint=checkpoint,
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
