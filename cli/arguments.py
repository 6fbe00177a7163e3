"""The arguments of a run, one frozen object from the command line to the run loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .parsing import Parser

EXECUTORS = "iterative, futures, dask-local"

EXAMPLES = """\
  python main.py --datasets 'demo*'
  python main.py --datasets events.root --processor cms_dimuon --era 2018 --output-dir out
  python main.py --datasets fileset.json --executor futures --workers 8 --max-files 2
  python main.py --datasets demo_dy --set muon.min_pt=25 --set muon.isolation=loose --dry-run
  python main.py --datasets 'demo*' --systematics all --output-dir out
"""


@dataclass(frozen=True)
class RunArguments:
    """What the user asked for."""

    datasets: tuple[str, ...]
    executor: str
    workers: int
    max_files: int | None
    output_dir: Path
    processor: str | None
    era: str | None
    max_chunks: int | None
    chunksize: int
    settings: tuple[str, ...]
    config: Path | None
    luminosity_csv: Path | None
    corrections_lock: Path | None
    verify: bool
    resume: bool
    retry_failed: bool
    keep_going: bool
    allow_partial: bool
    overwrite: bool
    dry_run: bool
    no_plots: bool
    command_line: tuple[str, ...]

    @property
    def goes_on(self) -> bool:
        """Whether to take over what an earlier run has done."""
        return self.resume or self.retry_failed


def parser() -> Parser:
    """Return the parser of ``python main.py --datasets …``."""
    result = Parser("", "Run an analysis over datasets and leave a normalised, plotted result in a folder.", EXAMPLES)
    what = result.add_argument_group("what to run")
    what.add_argument(
        "--datasets",
        nargs="+",
        required=True,
        metavar="D",
        help="names or glob patterns ('python main.py list' shows them), 'all', coffea fileset JSON(.gz), "
        "a dataset YAML, a ROOT file or a folder of ROOT files",
    )
    what.add_argument("--processor", metavar="NAME", help="the analysis (default: the one the datasets name)")
    what.add_argument("--era", help="era of datasets that name none, such as 2018 or 2022postEE")
    what.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY=VALUE",
        help="a parameter of the analysis, such as muon.min_pt=25 (repeatable)",
    )
    what.add_argument("--config", type=Path, metavar="FILE", help="YAML file of parameters; --set goes on top")
    what.add_argument(
        "--systematics",
        metavar="S",
        help="none, weights, all, or names separated by commas such as pileup,muon_scale (default none); "
        "the same as --set systematics=[…]",
    )
    what.add_argument(
        "--luminosity-csv",
        type=Path,
        metavar="FILE",
        help="luminosity of each section ('brilcalc lumi --byls --output-style csv'), to normalise to the data that "
        "were processed",
    )
    what.add_argument(
        "--corrections-lock",
        type=Path,
        metavar="FILE",
        help="refuse correction files whose hash is not the one in FILE (made by 'python main.py corrections lock')",
    )
    what.add_argument(
        "--verify",
        action="store_true",
        help="read each file whole first and compare its checksum: the one of the fileset, or of an earlier --verify",
    )
    where = result.add_argument_group("where and how much")
    where.add_argument("--executor", default="iterative", metavar="E", help=f"{EXECUTORS} (default iterative)")
    where.add_argument(
        "--workers", type=int, default=4, metavar="N", help="worker processes of the executor (default 4)"
    )
    where.add_argument("--max-files", type=int, metavar="N", help="most files of each dataset")
    where.add_argument("--max-chunks", type=int, metavar="N", help="most work items of each dataset")
    where.add_argument(
        "--chunksize", type=int, default=100_000, metavar="N", help="most events of a work item (100 000)"
    )
    out = result.add_argument_group("results")
    out.add_argument("--output-dir", type=Path, default=Path("results"), metavar="DIR", help="(default ./results/)")
    out.add_argument("--overwrite", action="store_true", help="replace an earlier result in that folder")
    out.add_argument("--resume", action="store_true", help="go on with an interrupted run in that folder")
    out.add_argument(
        "--retry-failed", action="store_true", help="go on with an interrupted or incomplete run, and try what failed"
    )
    out.add_argument("--keep-going", action="store_true", help="go on with the other events after an analysis error")
    out.add_argument(
        "--allow-partial",
        action="store_true",
        help="normalise to what was processed although something is missing, and mark it PARTIAL",
    )
    out.add_argument("--no-plots", action="store_true", help="leave the plots out (see 'python main.py plot')")
    out.add_argument("--dry-run", action="store_true", help="show what would run, and stop")
    return result


def parse(arguments: Sequence[str], using: Parser | None = None) -> RunArguments:
    """Return the parsed arguments of a run; ``using`` is the parser of a command with the same flags.

    Raises:
        UserError: a wrong flag.
        SystemExit: after ``--help``.
    """
    found = vars((using or parser()).parse_args(list(arguments)))
    found["datasets"] = tuple(found["datasets"])
    systematics = found.pop("systematics")
    # First, so that --set goes on top as it does for every parameter.
    asked = () if systematics is None else (f"systematics=[{systematics}]",)
    found["settings"] = (*asked, *found["settings"])
    return RunArguments(**found, command_line=("python", "main.py", *arguments))
