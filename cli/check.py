"""``python main.py check …``: look at everything that a run needs, and say what it will take, without running."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import COMPLETE, USER_ERROR
from .arguments import RunArguments, parse, parser
from .findings import Finding, noted
from .parsing import Parser

if TYPE_CHECKING:
    from ..executors.plan import Plan
    from .analysis import Draft, Setup
    from .estimate import Probe, Row
    from .inputs import Inputs

EXAMPLES = """\
  python main.py check --datasets 'demo*'
  python main.py check --datasets events.root --processor cms_dimuon --era 2018 --set muon.min_pt=25
"""
STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


class Checked(NamedTuple):
    """What was found, and what the run will take: a row for each dataset, in all bytes of histograms and seconds."""

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...] = ()
    histogram_bytes: int | None = None
    seconds: float | None = None
    remote: bool = False


def command(arguments: Sequence[str]) -> int:
    """Run ``check --datasets …`` and return the exit code: 1 if there is an error."""
    console = Console()
    options = parse(arguments[1:], _parser())
    with console.status("looking at the input, the corrections and a few events of each dataset"):
        checked = check(options)
    show(console, checked, options)
    return USER_ERROR if any(one.level == "error" for one in checked.findings) else COMPLETE


def _parser() -> Parser:
    """Return the parser of a run, presented as that of this command."""
    result = parser()
    result.prog = "python main.py check"
    result.description = "Check everything that a run needs and say what it will take; takes the flags of a run."
    result.epilog = f"examples:\n{EXAMPLES}"
    return result


def check(options: RunArguments) -> Checked:
    """Look at everything; nothing is written to the output folder, and no finding keeps another from being made."""
    from .analysis import draft_setup, schema_of
    from .check_surroundings import executor_findings, output_findings
    from .inputs import find_inputs

    findings = [*executor_findings(options), *output_findings(options)]
    inputs, draft, checked = None, None, Checked(())
    with noted(findings, "datasets"):
        inputs = find_inputs(
            options.datasets,
            schema=schema_of(options.processor),
            era=options.era,
            max_files=options.max_files,
            open_remote=True,
            announce=lambda _: None,
            strict=False,
            verify=options.verify,
        )
    if inputs is not None:
        with noted(findings, "analysis"):
            draft = draft_setup(
                options.processor,
                [one.dataset for one in inputs.filesets],
                config=options.config,
                settings=options.settings,
                folders=inputs.folders,
                luminosity_csv=options.luminosity_csv,
                corrections_lock=options.corrections_lock,
            )
        with noted(findings, "plan"):
            checked = _with_estimate(options, inputs, draft, findings)
    return checked._replace(findings=tuple(findings))


def _with_estimate(options: RunArguments, inputs: Inputs, draft: Draft | None, findings: list[Finding]) -> Checked:
    """Return the findings on the input and the analysis, and what the run will take."""
    from ..executors.plan import build_plan
    from .check_datasets import unreadable
    from .check_surroundings import space_findings
    from .estimate import histogram_bytes, space, wall_time
    from .grid_proxy import proxy_findings
    from .preflight import grid_servers, problem_findings

    plan = build_plan(inputs.filesets, chunksize=options.chunksize, max_chunks=options.max_chunks)
    findings += unreadable(inputs)
    if draft is not None:
        findings += [*problem_findings(draft), *_corrections(draft)]
    rows = _rows(options, inputs, draft, plan, findings)
    seconds = wall_time(rows, options)
    findings += proxy_findings(grid_servers(inputs), seconds=seconds)
    memory = None
    if draft is not None:
        memory = sum(histogram_bytes(draft, inputs.filesets).values())
        items = {one.dataset: one.items for one in rows}
        findings += space_findings(options.output_dir, space(draft, inputs.filesets, items, rows))
    remote = any("://" in file.replicas[0] for one in inputs.filesets for file in one.files)
    return Checked(tuple(findings), rows, memory, seconds, remote)


def _rows(
    options: RunArguments, inputs: Inputs, draft: Draft | None, plan: Plan, findings: list[Finding]
) -> tuple[Row, ...]:
    """Return what each dataset will take; what is to be said of it is added to the findings."""
    from .check_datasets import dataset_findings, sample_of
    from .estimate import row

    setup = draft.finish() if draft is not None and not draft.problems else None
    rows = []
    for fileset in inputs.filesets:
        sample = sample_of(fileset)
        found = list(dataset_findings(fileset, sample, draft, chunksize=options.chunksize, start=False))
        findings += found
        blocked = any(one.level == "error" and one.component != "cross section" for one in found)
        probe = None if blocked else _probe(fileset.dataset.name, setup, plan, findings)
        rows.append(row(fileset, plan, draft, sample, probe))
    return tuple(rows)


def _probe(dataset: str, setup: Setup | None, plan: Plan, findings: list[Finding]) -> Probe | None:
    """Process a few events of a dataset; a failure becomes a finding."""
    from .estimate import probe_dataset

    item = next((item for item in plan.items if item.dataset == dataset), None)
    if setup is None or item is None:
        return None
    probe = probe_dataset(item, setup)
    level, message = "ok", f"{min(len(item), 5000):,} events were processed"
    if probe.failure:
        level, message = "error", probe.failure
    findings.append(
        Finding.model_validate({"level": level, "dataset": dataset, "component": "processing", "message": message})
    )
    return probe


def _corrections(draft: Draft) -> list[Finding]:
    """Return the corrections that are there, and what is left out."""
    found = [
        Finding(
            level="ok", component=f"correction {name}", message=f"{era.era}: {record.path}, version {record.version}"
        )
        for era in draft.eras.values()
        for name, record in era.corrections.items()
    ]
    found += [
        Finding(level="ok", component="luminosity mask", message=f"{era.era}: {era.luminosity_mask}")
        for era in draft.eras.values()
        if era.luminosity_mask is not None
    ]
    return found + [Finding(level="warning", component=draft.name, message=line) for line in draft.left_out]


def show(console: Console, checked: Checked, options: RunArguments) -> None:
    """Print the findings, grouped by dataset and the worst first, and what the run will take."""
    groups = dict.fromkeys(one.dataset for one in checked.findings)
    for group in groups:
        console.print(_group(group, [one for one in checked.findings if one.dataset == group]))
    if checked.rows:
        console.print(_expected(checked))
        for line in _totals(checked, options):
            console.print(line, highlight=False)
    counts = {level: sum(one.level == level for one in checked.findings) for level in STYLES}
    words = shlex.join(options.command_line)
    end = "mend the errors first" if counts["error"] else f"run it with: {words}"
    found = ", ".join(f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}" for level in ("error", "warning"))
    console.print(f"{found}; {end}", markup=False, highlight=False)


def _group(dataset: str, findings: Sequence[Finding]) -> Table:
    table = Table(
        title=dataset or "the run", title_justify="left", show_header=False, box=None, padding=(0, 1), expand=False
    )
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    order = list(STYLES)
    for one in sorted(findings, key=lambda one: order.index(one.level)):
        if one.level != "ok" or not dataset:
            table.add_row(Text(one.level, STYLES[one.level]), Text(one.component), Text(one.message))
    fine = [one for one in findings if one.level == "ok"]
    if dataset and fine:  # there may be dozens of datasets
        message = "; ".join(f"{one.component}: {one.message}" for one in fine)
        table.add_row(Text("ok", STYLES["ok"]), Text("in order"), Text(message))
    return table


def _expected(checked: Checked) -> Table:
    from .check_surroundings import size

    table = Table(title="what will run", title_justify="left")
    table.add_column("dataset", overflow="fold")
    for title in ("files", "work items", "events", "to read", "one worker"):
        table.add_column(title, justify="right")
    for one in checked.rows:
        table.add_row(
            Text(one.dataset),
            str(one.files),
            f"{one.items:,}",
            f"{one.events:,}",
            "–" if one.bytes_read is None else f"about {size(one.bytes_read)}",
            "–" if one.seconds is None else f"about {duration(one.seconds)}",
        )
    return table


def _totals(checked: Checked, options: RunArguments) -> list[str]:
    from .check_surroundings import size

    lines = []
    if all(one.bytes_read is not None for one in checked.rows):
        total = size(sum(one.bytes_read or 0.0 for one in checked.rows))
        lines.append(f"to read: about {total} in all, of the branches that the analysis declares")
    if checked.histogram_bytes is not None:
        lines.append(f"histograms: {size(checked.histogram_bytes)} of memory for all datasets")
    if checked.seconds is not None:
        lines.append(f"time: about {duration(checked.seconds)} with --executor {options.executor}")
    if checked.remote:
        lines.append("Some files are on servers: how fast the network delivers them is not known, nor in the time.")
    return lines


def duration(seconds: float) -> str:
    """Return a time in words, with two digits."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}"
    return f"{max(seconds, 0.1):.2g} s"
