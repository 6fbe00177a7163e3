"""``python main.py triggers FILE…``: the trigger paths of NanoAOD files, and how many events fired each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UserError, closest
from .parsing import Parser

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLE = """\
  python main.py triggers nano.root --match 'IsoMu*'
  python main.py triggers nano.root --era 2018 --match '*Mu*' --json

A path that fired in few events may be prescaled: the file does not tell. Compare with the paths that the era names.
"""
PREFIX = "HLT_"
TIMEOUT = 60.0
_ANY = "*"


class Fired(NamedTuple):
    """Path → number of events that fired it, of ``events`` whose file has the path."""

    fired: dict[str, int]
    events: dict[str, int]


def command(arguments: Sequence[str]) -> int:
    """Run ``triggers FILE…`` and return the exit code."""
    from rich.console import Console

    options = _parser().parse_args(list(arguments[1:]))
    named = era_paths(options.era) if options.era else {}
    found = added([read(path, options.match) for path in options.files])
    if not found.fired:
        raise UserError(nothing(options.files, options.match))
    if options.json:
        rows = {
            path: {"fired": found.fired[path], "events": found.events[path], "era": named.get(path, [])}
            for path in found.fired
        }
        sys.stdout.write(json.dumps(rows, indent=1, sort_keys=True) + "\n")
        return 0
    console = Console(highlight=False)
    console.print(_table(found, named, options.era))
    missing = [path for path in named if path not in found.fired and _matches(path, options.match)]
    if missing:
        console.print(f"named by the era {options.era}, not in the file: {', '.join(missing)}", soft_wrap=True)
    return 0


def read(path: str, pattern: str) -> Fired:
    """Return how many events of a file fired the paths that match ``pattern``.

    Raises:
        UserError: the file is no NanoAOD with trigger paths, or cannot be read.
    """

    def work(file: Any) -> Fired:
        names = [one for one in _paths(file, path) if _matches(one, pattern)]
        tree = file["Events"]
        fired = {name: int(tree[name].array(library="np").sum()) for name in names}
        return Fired(fired, dict.fromkeys(names, int(tree.num_entries)))

    return _guarded(path, work)


def paths_of(path: str) -> list[str]:
    """Return the names of all trigger paths of a file."""
    found: list[str] = _guarded(path, lambda file: _paths(file, path))
    return found


def added(parts: Sequence[Fired]) -> Fired:
    """Return the sum over files: a path counts the events of those files that have it."""
    fired: dict[str, int] = {}
    events: dict[str, int] = {}
    for part in parts:
        for name in part.fired:
            fired[name] = fired.get(name, 0) + part.fired[name]
            events[name] = events.get(name, 0) + part.events[name]
    return Fired(fired, events)


def era_paths(name: str) -> Mapping[str, list[str]]:
    """Return path → what the era names it for (``single_muon``, …). Raises UserError if there is no such era."""
    from ..filesets.eras import find_era

    found: dict[str, list[str]] = {}
    for purpose, paths in find_era(name).triggers.items():
        for path in paths:
            found.setdefault(PREFIX + path.removeprefix(PREFIX), []).append(purpose)
    return found


def nothing(files: Sequence[str], pattern: str) -> str:
    """Return what is wrong with a pattern that no path matches."""
    known = sorted({one.removeprefix(PREFIX) for path in files for one in paths_of(path)})
    word = pattern.removeprefix(PREFIX).replace(_ANY, "")
    return (
        f"None of the {len(known)} trigger paths in {', '.join(files)} matches '{pattern}'.{closest(word, known)} "
        "Patterns are as for file names, such as '*IsoMu*', and may leave out HLT_."
    )


def _guarded(path: str, work: Any) -> Any:
    from ..filesets.opening import BadFile, UnreachableFile, read_root

    try:
        return read_root(path, TIMEOUT, work)
    except (BadFile, UnreachableFile) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _paths(file: Any, path: str) -> list[str]:
    if "Events" not in file:
        raise UserError(f"{path} has no tree 'Events': it is not NanoAOD.")
    names = [str(one) for one in file["Events"].keys(recursive=False, filter_name=f"{PREFIX}*")]
    if not names:
        raise UserError(f"{path} has no trigger paths (branches HLT_…): it is not NanoAOD, or was skimmed of them.")
    return sorted(names)


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path.removeprefix(PREFIX), pattern.removeprefix(PREFIX))


def _table(found: Fired, named: Mapping[str, list[str]], era: str | None) -> Table:
    from rich.table import Table

    table = Table()
    table.add_column("path", overflow="fold")
    for heading in ("fired", "of", "share"):
        table.add_column(heading, justify="right")
    table.add_column(f"named by {era} for" if era else "")
    for path in sorted(found.fired, key=lambda one: (-found.fired[one], one)):
        fired, events = found.fired[path], found.events[path]
        share = f"{100 * fired / events:.3f} %" if events else ""
        table.add_row(path, f"{fired:,}", f"{events:,}", share, ", ".join(named.get(path, ())))
    return table


def _parser() -> Parser:
    parser = Parser("triggers", "List the trigger paths of NanoAOD files with the events that fired each.", EXAMPLE)
    parser.add_argument("files", nargs="+", metavar="FILE", help="NanoAOD files; their events are added")
    parser.add_argument("--match", default=_ANY, metavar="PATTERN", help="only the paths that match, such as 'IsoMu*'")
    parser.add_argument("--era", metavar="NAME", help="mark the paths that this era names")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
