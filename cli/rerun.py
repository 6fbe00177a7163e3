"""``python main.py rerun RESULT``: a result made again from its provenance, and compared with it byte by byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..errors import UserError
from ..filesets.addresses import redacted
from . import COMPLETE, INCOMPLETE
from .arguments import EXECUTORS, RunArguments, parse
from .parsing import Parser

if TYPE_CHECKING:
    from ..outputs.provenance import Provenance

EXAMPLES = """\
  python main.py rerun results
  python main.py rerun results --output-dir again --executor futures --workers 8
  python main.py rerun results --anyway
"""
#: Arguments of the first run that make its result what it is; parameters and files come from the provenance.
KEPT = ("processor", "era", "max_files", "max_chunks", "chunksize", "allow_partial", "no_plots")


def command(arguments: Sequence[str]) -> int:
    """Run ``rerun RESULT`` and return the exit code: 0 if all products are identical, 2 if any differs.

    Raises:
        UserError: there is no such result, or code, packages, input or correction files are not those of it
            (``--anyway`` runs with what is there now).
    """
    options = _parser().parse_args(list(arguments[1:]))
    console = Console(highlight=False)

    def announce(line: str) -> None:
        console.print(redacted(line), markup=False, soft_wrap=True)

    folder: Path = options.result.absolute()
    record = _read(folder)
    output: Path = options.output_dir or folder.with_name(f"{folder.name}-rerun")
    if output.absolute() == folder:
        raise UserError(f"--output-dir {output} is the result itself; a rerun goes into a folder of its own.")
    from .recorded import Recorded, remarks

    for line in remarks(record):
        announce(f"note: {line}")
    recorded = Recorded.of(record, announce)
    if recorded.differences and not options.anyway:
        raise UserError(
            f"The result in {folder} cannot be made again as it was: what it was made from is not what is there "
            "now. Put it back, or give --anyway to run with what is there now. Different:\n  "
            + "\n  ".join(recorded.differences)
        )
    for line in recorded.differences:
        announce(f"warning: different: {line}")
    from .run import run

    again = dataclasses.replace(
        _arguments(record),
        output_dir=output,
        executor=options.executor or record.machine.executor,
        workers=options.workers or record.machine.workers,
        resume=options.resume,
        overwrite=options.overwrite,
        command_line=("python", "main.py", *arguments),
    )
    run(again, console, (recorded.inputs, recorded.setup))
    return _compare(console, folder, output)


def _parser() -> Parser:
    parser = Parser("rerun", "Make a result again from its provenance, and compare the two byte by byte.", EXAMPLES)
    parser.add_argument("result", type=Path, help="a result folder")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="(default: RESULT-rerun, beside it)")
    parser.add_argument("--executor", metavar="E", help=f"{EXECUTORS} (default: as before)")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: as before)")
    parser.add_argument("--anyway", action="store_true", help="run although files, code or packages have changed")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result in DIR")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted rerun in DIR")
    return parser


def _read(folder: Path) -> Provenance:
    from ..outputs.provenance import PROVENANCE, read_provenance

    if not (folder / "report.json").exists():
        raise UserError(f"{folder} holds no finished result (there is no report.json), so nothing can be made again.")
    record = read_provenance(folder)
    if record is None:
        raise UserError(
            f"The result in {folder} has no {PROVENANCE}: it was made by an early version, and what it was made from "
            "is not known. Run it anew with python main.py --datasets …"
        )
    return record


def _arguments(record: Provenance) -> RunArguments:
    """Return the arguments of the first run, without its settings: all parameters come from the provenance."""
    known = {field.name for field in dataclasses.fields(RunArguments)}
    kept = {name: record.arguments[name] for name in KEPT if name in known and name in record.arguments}
    return dataclasses.replace(parse(["--datasets", *record.arguments["datasets"]]), **kept)


def _compare(console: Console, first: Path, second: Path) -> int:
    from .comparison import compare_products

    states = compare_products(first, second)
    different = [name for name, same in states.items() if not same]
    console.print(f"compared with {first}:", markup=False, soft_wrap=True)
    for name, same in states.items():
        console.print(f"  {'identical' if same else 'DIFFERS  '}  {name}", markup=False, style="" if same else "red")
    console.print("identical" if not different else f"differs: {', '.join(different)}", markup=False, soft_wrap=True)
    return COMPLETE if not different else INCOMPLETE
