"""``python main.py explain RESULT [HISTOGRAM]``: the recipe of a result, from its folder alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..errors import UserError, closest
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.bundle import Bundle
    from ..outputs.provenance import Provenance

EXAMPLES = """\
  python main.py explain results
  python main.py explain results --all
  python main.py explain results mass
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``explain RESULT [HISTOGRAM]`` and return the exit code.

    Raises:
        UserError: the folder holds no result, or the result has no such histogram.
    """
    parser = Parser(
        "explain",
        "Say how a result was made: datasets, cuts, corrections, parameters, normalisation, software; "
        "or how one of its histograms was.",
        EXAMPLES,
    )
    parser.add_argument("result", type=Path, help="a result folder")
    parser.add_argument("histogram", nargs="?", help="name of a histogram of the result, such as mass")
    parser.add_argument("--all", action="store_true", help="every parameter, file, hash and package")
    options = parser.parse_args(list(arguments[1:]))
    console = Console(highlight=False)
    folder: Path = options.result
    if not (folder / "report.json").exists():
        _explain_unfinished(console, folder)
        return 0
    from ..outputs.bundle import read_bundle
    from ..outputs.provenance import read_provenance

    bundle, provenance = read_bundle(folder), read_provenance(folder)
    if options.histogram is not None:
        from .explain_histogram import print_histogram

        _check_histogram(bundle, options.histogram, folder)
        print_histogram(console, bundle, provenance, options.histogram)
    else:
        _explain(console, bundle, provenance, folder, everything=options.all)
    return 0


def _check_histogram(bundle: Bundle, name: str, folder: Path) -> None:
    if name not in bundle.histograms:
        raise UserError(
            f"The result in {folder} has no histogram '{name}'.{closest(name, bundle.histograms)} It has: "
            f"{', '.join(bundle.histograms)}."
        )


def _explain(
    console: Console, bundle: Bundle, provenance: Provenance | None, folder: Path, *, everything: bool
) -> None:
    from ..outputs.folder import UNFINISHED
    from . import explain_result as sections

    report = bundle.report
    events = sum(one.events_processed for one in report.datasets)
    sections.heading(console, f"{report.processor}: {events:,} events, {report.status}")
    if provenance is None:
        sections.note(console, "no provenance.json: made by an early version; versions, files and times are unknown")
    if (folder / UNFINISHED).is_dir() and report.status == "complete":
        sections.note(console, "a later run in this folder has not finished; this is the result before it")
    for line in report.warnings:
        sections.note(console, line, "warning")
    sections.datasets(console, report, provenance, everything=everything)
    sections.cuts(console, bundle)
    sections.regions(console, report)
    sections.corrections(console, report, everything=everything)
    sections.normalisation(console, report, provenance)
    sections.parameters(console, report, provenance, everything=everything)
    if provenance is not None:
        sections.software(console, provenance, everything=everything)
        sections.execution(console, provenance)


def _explain_unfinished(console: Console, folder: Path) -> None:
    """Explain what there is of a run that was interrupted or has failed.

    Raises:
        UserError: nothing is there.
    """
    from ..outputs.folder import UNFINISHED
    from ..outputs.provenance import read_provenance
    from . import explain_result as sections

    if not folder.is_dir():
        near = closest(folder.name, [one.name for one in folder.parent.glob("*/")]) if folder.parent.is_dir() else ""
        raise UserError(f"There is no folder {folder}.{near}")
    begun = read_provenance(folder / UNFINISHED)
    if begun is None:
        raise UserError(
            f"{folder} holds no result: there is no report.json, nor an unfinished run. Results are what "
            "'python main.py --datasets … --output-dir …' leaves."
        )
    done = len(list((folder / UNFINISHED / "parts").glob("*.zip")))
    sections.heading(console, f"{begun.processor}: UNFINISHED")
    again = [word for word in begun.command_line if word not in ("--resume", "--overwrite")]
    sections.note(
        console,
        f"no result yet: the run has not come to its end; {done} of {begun.ledger.planned} work items are done. "
        f"Go on with: {shlex.join([*again, '--resume'])}",
        "warning",
    )
    sections.planned_datasets(console, begun)
    sections.changed_parameters(console, begun)
    sections.software(console, begun, everything=False)
    sections.execution(console, begun)
