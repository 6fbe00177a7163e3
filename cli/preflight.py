"""The checks at the start of a run: all that is wrong is said in one go, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import UserError
from .analysis import numbered
from .check_datasets import dataset_findings, sample_of
from .check_surroundings import executor_findings, space_findings
from .estimate import about_items, space
from .findings import Finding
from .grid_proxy import proxy_findings, servers

if TYPE_CHECKING:
    from .analysis import Draft, Setup
    from .arguments import RunArguments
    from .inputs import Inputs


def at_start(options: RunArguments, inputs: Inputs, draft: Draft, announce: Callable[[str], None]) -> Setup:
    """Return what a run needs if nothing keeps it from starting; its warnings are announced.

    A dry run, which opens no file on a server, looks at the analysis alone.

    Raises:
        UserError: with every error that was found.
    """
    if options.dry_run:
        return draft.finish()
    findings = [*problem_findings(draft), *_findings(options, inputs, draft)]
    errors = [str(one) for one in findings if one.level == "error"]
    if errors:
        raise UserError(numbered(errors))
    for one in findings:
        if one.level == "warning":
            announce(f"warning: {one}")
    return draft.finish()


def problem_findings(draft: Draft) -> Iterator[Finding]:
    """Yield what is wrong with the corrections of an analysis."""
    for problem in draft.problems:
        yield Finding(level="error", component=problem.component, message=problem.message)


def _findings(options: RunArguments, inputs: Inputs, draft: Draft) -> Iterator[Finding]:
    yield from executor_findings(options)
    for fileset in inputs.filesets:
        yield from dataset_findings(fileset, sample_of(fileset), draft, chunksize=options.chunksize, start=True)
    items = {one.dataset.name: about_items(one, options.chunksize, options.max_chunks) for one in inputs.filesets}
    yield from space_findings(options.output_dir, space(draft, inputs.filesets, items))
    yield from proxy_findings(grid_servers(inputs))


def grid_servers(inputs: Inputs) -> tuple[str, ...]:
    """Return the grid servers that the files of a run come from."""
    return servers([path for one in inputs.filesets for file in one.files for path in file.replicas])
