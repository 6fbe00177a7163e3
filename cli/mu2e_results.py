"""What the Mu2e tools share: reading a result, choosing samples and cutsets, writing and printing tables."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, closest

if TYPE_CHECKING:
    from rich.console import Console

    from ..outputs.bundle import Bundle
    from ..outputs.exposure import SampleExposure
    from ..outputs.exposure_rates import Role
    from ..outputs.intervals import Convention
    from ..outputs.mu2e_tables import Table
    from .parsing import Parser

#: Word for every cutset of a result.
ALL = "all"
FOLDER = "mu2e"
#: Processes of conversion electrons.
_SIGNAL = re.compile(r"(ce|conversion)([^a-z]|endpoint|electron|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """A dataset of a result with a cutset: its counts, its exposure, and what it is."""

    name: str
    cutset: str
    counts: Mapping[str, Any]
    exposure: SampleExposure
    role: Role


@dataclass(frozen=True)
class Result:
    """A result folder of the Mu2e analysis."""

    folder: Path
    bundle: Bundle

    @property
    def about(self) -> dict[str, Any]:
        """What a table says of the result that it was made from."""
        digest = hashlib.sha256((self.folder / "report.json").read_bytes()).hexdigest()
        return {"result": str(self.folder), "report_sha256": digest, "status": self.bundle.report.status}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to beware of."""
        return self.bundle.report.warnings

    @property
    def exit_code(self) -> int:
        """0, or 2 if something is missing in the result."""
        return 0 if self.bundle.report.status == "complete" else 2


def read_result(folder: Path) -> Result:
    """Read a result.

    Raises:
        UserError: there is none, or it is not of the Mu2e analysis.
    """
    from ..outputs.bundle import read_bundle

    if not folder.is_dir():
        near = closest(folder.name, [one.name for one in folder.parent.glob("*/")]) if folder.parent.is_dir() else ""
        raise UserError(f"There is no result folder {folder}.{near}")
    result = Result(folder, read_bundle(folder))
    if not any(one.counters.get("mu2e") for one in result.bundle.report.datasets):
        raise UserError(
            f"The result in {folder} is of '{result.bundle.report.processor}' and has no counts of the Mu2e analysis. "
            f"Make one with --processor mu2e_cosmic."
        )
    return result


def samples(
    result: Result,
    cutset: str | None,
    datasets: Sequence[str] = (),
    signal: Sequence[str] = (),
    *,
    several: bool = False,
) -> list[Sample]:
    """Return the samples of a result.

    Args:
        result: to look into.
        cutset: its name, ``all``, or None for the first.
        datasets: patterns of names; empty is every dataset.
        signal: patterns of the names of conversion electrons; empty goes by the process of a dataset.
        several: the patterns are for several results, and need not fit in this one.

    Raises:
        UserError: no such cutset or dataset.
    """
    from ..outputs.exposure_rates import read_counts

    reports = [one for one in result.bundle.report.datasets if one.counters.get("mu2e")]
    for pattern in (*datasets, *signal):
        if not several and not any(fnmatch.fnmatchcase(one.name, pattern) for one in reports):
            names = [one.name for one in reports]
            raise UserError(
                f"The result in {result.folder} has no dataset '{pattern}'.{closest(pattern, names)} "
                f"It has: {', '.join(names)}."
            )
    found = []
    for one in reports:
        if datasets and not any(fnmatch.fnmatchcase(one.name, pattern) for pattern in datasets):
            continue
        for name in one.counters["mu2e"] if cutset == ALL else [cutset]:
            chosen, counts = read_counts(one.counters, name, f"The result in {result.folder}")
            found.append(Sample(one.name, chosen, counts, _exposure(one), _role(one, signal)))
    return found


def _exposure(one: Any) -> SampleExposure:
    from ..outputs.exposure import SampleExposure

    if one.exposure is not None:
        return one.exposure
    why = "the report of this result says nothing of it"
    return SampleExposure(
        livetime=None, livetime_source=why, generated=None, generated_source=why, on_spill=True, fraction=1.0
    )


def _role(one: Any, signal: Sequence[str]) -> Role:
    if signal:
        return "signal" if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in signal) else "cosmic"
    return "signal" if _SIGNAL.match(one.process) else "cosmic"


def the_one(found: Sequence[Sample], role: Role, folder: Path, *, alone: bool = False) -> Sample:
    """Return the only sample of a role; with ``alone`` the only sample, whatever it is.

    Raises:
        UserError: there is none, or several.
    """
    fitting = [one for one in found if one.role == role or (alone and len(found) == 1)]
    what = "cosmics" if role == "cosmic" else "conversion electrons"
    if len(fitting) != 1:
        names = ", ".join(one.name for one in fitting) or "none"
        raise UserError(
            f"The result in {folder} must have one dataset of {what} here; it has: {names}. Choose with --dataset, and "
            f"say with --signal which are conversion electrons."
        )
    return fitting[0]


def add_flags(parser: Parser, *, cutset: bool = True, intervals: bool = True) -> None:
    """Add the flags that tools share."""
    if cutset:
        parser.add_argument("--cutset", metavar="NAME", help="cutset of the result (default: its first)")
        parser.add_argument("--dataset", nargs="+", default=(), metavar="NAME", help="datasets, or patterns of them")
        parser.add_argument(
            "--signal",
            nargs="+",
            default=(),
            metavar="NAME",
            help="datasets of conversion electrons (default: those of a process CE or conversion…)",
        )
    if intervals:
        parser.add_argument("--confidence", type=float, metavar="C", help="of all intervals (default 0.6827)")
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help=f"for tables and figures (default RESULT/{FOLDER})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what this tool wrote there before")
    parser.add_argument("--no-plots", action="store_true", help="tables only")


def convention(confidence: float | None, *, legacy: bool = False) -> Convention:
    """Return how intervals are drawn.

    Raises:
        UserError: an impossible confidence, or one together with ``legacy``.
    """
    from ..outputs.intervals import CONFIDENCE, Convention

    if legacy and confidence is not None:
        raise UserError("--legacy has its own confidence (Wilson z = 1, Poisson 0.68); leave out --confidence.")
    level = CONFIDENCE if confidence is None else confidence
    if not 0 < level < 1:
        raise UserError(f"--confidence lies between 0 and 1, such as {CONFIDENCE}; got {level:g}.")
    return Convention(confidence=level, legacy=legacy)


@contextmanager
def output(folder: Path, stems: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder to write into; what is written there comes into ``folder`` at the end, whole or not at all.

    Args:
        folder: made if it is not there; other files in it stay.
        stems: names without ending, or of folders, that will be written; none may be there already.
        overwrite: unless this is set.

    Raises:
        UserError: something is there, or the folder cannot be written.
    """
    held = list(folder.iterdir()) if folder.is_dir() else []
    present = sorted(path.name for path in held if path.name in stems or (path.is_file() and path.stem in stems))
    if present and not overwrite:
        raise UserError(
            f"{folder} already holds {', '.join(present[:4])}{' …' if len(present) > 4 else ''}. Give --overwrite to "
            f"replace it, or choose another folder with --output-dir."
        )
    work = folder / f".{stems[0]}.{os.getpid()}.tmp"
    new = not folder.exists()
    try:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        for name in present:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in sorted(work.iterdir()):
            path.replace(folder / path.name)
    except OSError as error:
        raise UserError(
            f"Nothing can be written to {folder}: {error.strerror or error}. Choose another with --output-dir."
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def show(console: Console, table: Table) -> None:
    """Print a table with its title and remarks."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from ..outputs.mu2e_tables import text

    grid = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, _ in table.shown:
        grid.add_column(Text(column.title), justify="right" if column.estimate else "left", overflow="fold")
    for row in zip(*(cells for _, cells in table.shown), strict=True):
        grid.add_row(*(Text(text(cell)) for cell in row))
    console.print(grid)
    for remark in table.remarks:
        console.print(Text.assemble(("note: ", "yellow"), remark))


def warn(console: Console, warnings: Sequence[str]) -> None:
    """Print what to beware of."""
    from rich.text import Text

    for line in warnings:
        console.print(Text.assemble(("warning: ", "yellow"), line))
