"""The progress bar of a run: events done, rate, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from ..executors.ledger import Outcome


class _Rate(ProgressColumn):
    """Events a second since the start."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        rate = task.completed / elapsed if elapsed else 0.0
        return Text(f"{rate / 1000:,.0f} kevents/s")


@contextmanager
def progress_bar(console: Console, events: int) -> Iterator[Callable[[Outcome], None]]:
    """Show a bar for ``events`` events; yields the function that takes in each outcome."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task("processing", total=events)

        def advance(outcome: Outcome) -> None:
            progress.advance(task, outcome.events)
            # An error of the analysis ends the run and is reported there.
            if outcome.cause == "read":
                progress.console.print(outcome.message, style="red", markup=False, highlight=False, soft_wrap=True)

        yield advance
