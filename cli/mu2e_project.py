"""``python main.py mu2e project``: how long to run until the inefficiency of the veto is known well enough."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .mu2e_results import (
    FOLDER,
    Result,
    Sample,
    add_flags,
    convention,
    output,
    read_result,
    samples,
    show,
    the_one,
    warn,
)
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.beam_structure import RunningPlan
    from ..outputs.mu2e_tables import Table
    from ..outputs.projection import Inefficiency, Method, Projection, ToyStudy

EXAMPLES = """\
  python main.py mu2e project results --plan 1BB:100,2BB
  python main.py mu2e project --selected 18914 --unvetoed 5 --livetime 1.06887e7 --plan 1BB --spill off
  python main.py mu2e project --selected 27142 --unvetoed 7 --livetime 1.06887e7 --live-fraction 0.72 --discrete

--discrete reproduces earlier studies: counts rounded down to whole events, looked at day by day up to day 2000.
"""
#: Days that the discrete version looks at.
DISCRETE_DAYS = 2000


@dataclass(frozen=True)
class Request:
    """What is asked: the start, the plan, and how; ``sample`` where the start comes from a result."""

    start: Inefficiency
    plan: RunningPlan
    target: float
    method: Method
    confidence: float
    sample: Sample | None = None


@dataclass(frozen=True)
class Answer:
    """What was found; ``smooth`` is the wall days of the expectation, None never."""

    smooth: float | None
    expected: Projection
    toys: ToyStudy | None
    rounded: Projection | None


def command(arguments: Sequence[str]) -> int:
    """Run ``project`` and return the exit code."""
    options = _parser().parse_args(list(arguments[1:]))
    from rich.console import Console

    level = convention(options.confidence).confidence
    start, result, sample = _start(options)
    request = Request(start, _plan(options, sample), options.target, options.method, level, sample)
    answer = _answer(request, options)
    tables = {"projection": _answers(request, answer)}
    if sample is not None and request.plan.days is not None:
        tables["projection_background"] = _background(request, sample, request.plan.days)
    console = Console(highlight=False)
    for table in tables.values():
        show(console, table)
    folder = options.output_dir or (options.result / FOLDER if options.result else None)
    if folder is not None:
        about = {} if result is None else result.about
        tables["projection_curve"] = _curve(answer.expected, answer.toys)
        _write(folder, request, answer, tables, about, options)
        console.print(f"tables and figure in {folder}: {', '.join(tables)}", markup=False)
    warn(console, () if result is None else result.warnings)
    return 0 if result is None else result.exit_code


def _answer(request: Request, options: argparse.Namespace) -> Answer:
    from ..outputs import projection

    start, plan = request.start, request.plan
    how: dict[str, Any] = {"method": request.method, "confidence": request.confidence}
    smooth = projection.days_to_target(start, plan, request.target, **how)
    days = _days(options.days, smooth)
    toys = None
    if options.toys < 0:
        raise UserError(f"--toys is a number of experiments, 0 for none; got {options.toys}.")
    if options.toys:
        toys = projection.throw_toys(
            start,
            plan,
            days,
            target=request.target,
            experiments=options.toys,
            seed=options.seed,
            uncertain_start=options.uncertain_start,
            **how,
        )
    rounded = None
    if options.discrete:
        rounded = projection.project(start, plan, np.arange(DISCRETE_DAYS + 1), discrete=True, **how)
    return Answer(smooth, projection.project(start, plan, days, **how), toys, rounded)


def _write(
    folder: Path,
    request: Request,
    answer: Answer,
    tables: Mapping[str, Table],
    about: Mapping[str, Any],
    options: argparse.Namespace,
) -> None:
    from ..outputs.mu2e_tables import write

    known = {
        **about,
        **request.start.model_dump(),
        "plan": request.plan.model_dump(),
        "target": request.target,
        "method": request.method,
        "confidence": request.confidence,
    }
    stems = ["projection", "projection_curve", "projection_background"]
    with output(folder, stems, overwrite=options.overwrite) as work:
        for stem, table in tables.items():
            write([table], work, stem, known)
        if not options.no_plots:
            from ..plotting.mu2e_curves import plot_projection
            from ..plotting.mu2e_style import Head

            start = request.start
            plot_projection(
                work / "projection",
                answer.expected,
                request.target,
                Head(f"{start.unvetoed} of {start.selected:,} unvetoed; {request.plan.description}"),
                toys=answer.toys,
                discrete=answer.rounded,
                marks={"expected": answer.smooth},
            )


def _parser() -> Parser:
    parser = Parser(
        "mu2e project",
        "How long to run until the uncertainty of the veto's inefficiency comes down to a target.",
        EXAMPLES,
    )
    parser.add_argument("result", type=Path, nargs="?", metavar="RESULT", help="a result with cosmics; or give counts:")
    parser.add_argument("--selected", type=int, metavar="N", help="selected events")
    parser.add_argument("--unvetoed", type=int, metavar="K", help="of these, events that the veto missed")
    parser.add_argument("--livetime", type=float, metavar="S", help="live seconds in which they were counted")
    parser.add_argument("--target", type=float, default=1e-4, metavar="U", help="uncertainty to reach (default 1e-4)")
    parser.add_argument(
        "--plan",
        default="1BB",
        metavar="PLAN",
        help="beam modes with their wall days: 1BB:100,2BB (default 1BB)",
    )
    parser.add_argument("--spill", choices=("on", "off"), help="count in or outside spills (default: as the result)")
    parser.add_argument("--live-fraction", type=float, metavar="F", help="of wall time, instead of a plan")
    parser.add_argument(
        "--method",
        choices=("wilson", "clopper-pearson", "garwood", "sqrt"),
        default="wilson",
        help="of the interval, half of whose width is the uncertainty (default wilson)",
    )
    parser.add_argument("--days", type=int, metavar="D", help="how far to look (default: as far as needed)")
    parser.add_argument("--toys", type=int, default=1000, metavar="N", help="experiments (default 1000, 0 none)")
    parser.add_argument("--seed", type=int, default=1, help="of these (default 1)")
    parser.add_argument(
        "--uncertain-start", action="store_true", help="throw them from what N and K leave open, not from K/N exactly"
    )
    parser.add_argument("--discrete", action="store_true", help="also the version with counts rounded down")
    add_flags(parser)
    return parser


def _start(options: argparse.Namespace) -> tuple[Inefficiency, Result | None, Sample | None]:
    """Return what is known at the start, and the result and sample that it comes from.

    Raises:
        UserError: counts are missing, impossible, or given beside a result.
    """
    from pydantic import ValidationError

    from ..outputs.projection import Inefficiency

    given = {name: getattr(options, name) for name in ("selected", "unvetoed", "livetime")}
    result, one = None, None
    if options.result is not None:
        if any(value is not None for value in given.values()):
            raise UserError("Give either a RESULT or --selected, --unvetoed and --livetime, not both.")
        result = read_result(options.result)
        one = the_one(samples(result, options.cutset, options.dataset, options.signal), "cosmic", options.result)
        given = _counted(one, options.result)
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise UserError(f"Missing: {', '.join(missing)}. Give a RESULT, or --selected, --unvetoed and --livetime.")
    try:
        return Inefficiency(**given), result, one
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise UserError(f"{where}{first['msg'].removeprefix('Value error, ')}.") from None


def _counted(one: Sample, folder: Path) -> dict[str, Any]:
    """Return the counts of a sample and its live time.

    Raises:
        UserError: the veto is off, or the live time is not known.
    """
    stages = one.counts["stages"]
    if "Unvetoed" not in stages:
        raise UserError(f"The veto is off in cutset '{one.cutset}' of {folder}: there is no inefficiency to project.")
    counts = {"selected": stages["Select"]["Inclusive"], "unvetoed": stages["Unvetoed"]["Inclusive"]}
    if not one.exposure.livetime:
        raise UserError(
            f"The live time of '{one.name}' is not known ({one.exposure.livetime_source}). Give the counts with "
            f"--selected {counts['selected']} --unvetoed {counts['unvetoed']} --livetime …"
        )
    return {**counts, "livetime": one.exposure.livetime}


def _plan(options: argparse.Namespace, sample: Sample | None) -> RunningPlan:
    from ..outputs.beam_structure import RunningPlan

    if options.live_fraction is not None:
        return RunningPlan.constant(options.live_fraction, "given")
    outside = sample is not None and not sample.exposure.on_spill
    return RunningPlan.parse(options.plan, options.spill or ("off" if outside else "on"))


def _days(asked: int | None, smooth: float | None) -> Any:
    """Return up to 1001 wall days: as far as asked, or well beyond the answer."""
    last = asked if asked is not None else min(max(int(3 * (smooth or 1000)), 30), 20_000)
    if last < 1:
        raise UserError(f"--days is at least 1; got {last}.")
    step = -(-last // 1000)
    return np.arange(0, last + step, step, dtype=float)


def _answers(request: Request, answer: Answer) -> Table:
    """Return the table of answers: days until the target."""
    from ..outputs.mu2e_tables import Column, Table
    from ..outputs.projection import closed_form_days, crossings

    start = request.start
    rows: list[tuple[Any, ...]] = [
        ("expected counts", "wall days", answer.smooth, "real-valued counts, half the width of the interval"),
        ("closed form", "live days", closed_form_days(start, request.target), "Poisson error of the unvetoed alone"),
    ]
    if answer.toys is not None:
        for name, value in zip(("16 %", "50 %", "84 %"), answer.toys.permanent, strict=True):
            rows.append((f"{name} of experiments", "wall days", value, "keep the target from then on"))
    if answer.rounded is not None:
        found = crossings(answer.rounded.wall_days, answer.rounded.uncertainty, request.target)
        rows += [
            ("rounded down, first", "wall days", found.first, "first day at the target"),
            ("rounded down, sustained", "wall days", found.sustained, "first of five such days in a row"),
            ("rounded down, permanent", "wall days", found.permanent, "never above it again"),
        ]
    columns = (Column("model", "Model"), Column("unit", "Unit"), Column("days", "Days"), Column("meaning", "Meaning"))
    return Table(
        title=f"Uncertainty {request.target:g} of {start.unvetoed} / {start.selected:,} in {start.livetime:.6g} live s",
        columns=columns,
        rows=tuple(rows),
        remarks=tuple(_remarks(request, answer)),
    )


def _remarks(request: Request, answer: Answer) -> Iterator[str]:
    yield f"plan: {request.plan.description}"
    if answer.toys is not None:
        # The first third has next to no events.
        known = answer.toys.coverage[len(answer.toys.coverage) // 3 :]
        yield (
            f"{answer.toys.experiments} experiments, seed {answer.toys.seed}: the interval holds the true inefficiency "
            f"in {100 * known.mean():.1f} % of them"
        )
    if request.plan.days is not None:
        from ..outputs.projection import project

        days = request.plan.days
        last = project(request.start, request.plan, [days], method=request.method, confidence=request.confidence)
        at_end = float(last.uncertainty[0])
        beyond = (
            "" if answer.smooth is not None and answer.smooth <= days else "; times beyond prolong its last stretch"
        )
        yield f"the plan ends after {days:g} days with an uncertainty of {at_end:.3g}{beyond}"
    if request.start.unvetoed == 0:
        yield "no event is unvetoed: the inefficiency is taken as 0, and these times are too short"
    if answer.smooth is None:
        yield "the target is not reached within a million days"


def _background(request: Request, sample: Sample, days: float) -> Table:
    """Return what a plan that ends will see: the inefficiency of each window times the rate of the signal window."""
    from ..outputs.exposure_rates import expected_background
    from ..outputs.mu2e_tables import Column, Table
    from .mu2e_rates import rates_of

    live = float(request.plan.live_seconds(days))
    sample_rates = rates_of(sample, convention(request.confidence))
    rows = tuple(
        (window, inefficiency.inefficiency, expected)
        for inefficiency, (window, expected) in zip(
            sample_rates.windows, expected_background(sample_rates, live).items(), strict=True
        )
    )
    return Table(
        title=f"Expected background of the plan: {days:g} wall days, {live / 86400:.4g} live days",
        columns=(
            Column("window", "Inefficiency measured in"),
            Column("inefficiency", "Inefficiency", estimate=True),
            Column("background", "Events in the signal window", estimate=True),
        ),
        rows=rows,
        remarks=sample_rates.remarks,
    )


def _curve(expected: Projection, toys: ToyStudy | None) -> Table:
    from ..outputs.intervals import Estimate
    from ..outputs.mu2e_tables import Column, Table

    columns = [
        Column("wall_days", "Wall days"),
        Column("selected", "Selected"),
        Column("unvetoed", "Unvetoed"),
        Column("uncertainty", "Uncertainty"),
    ]
    if toys is not None:
        columns += [
            Column("toys", "Experiments", estimate=True),
            Column("reached", "Keep the target"),
            Column("coverage", "Coverage"),
        ]
    rows = []
    for place, day in enumerate(expected.wall_days):
        uncertainty = float(expected.uncertainty[place])
        row: list[Any] = [float(day), float(expected.selected[place]), float(expected.unvetoed[place])]
        row.append(uncertainty if np.isfinite(uncertainty) else None)
        if toys is not None:
            low, middle, high = (float(one) for one in toys.quantiles[:, place])
            row.append(Estimate(value=middle, low=low, high=high) if np.isfinite(high) else None)
            row += [float(toys.reached[place]), float(toys.coverage[place])]
        rows.append(tuple(row))
    return Table(title="Uncertainty of the inefficiency", columns=tuple(columns), rows=tuple(rows))
