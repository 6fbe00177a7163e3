"""``python main.py corrections lock``: the hashes of the correction files that a run may use, in a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..corrections.catalogue import Catalogue, CorrectionRecord, correction_names, eras, working_points
from ..corrections.lock import LUMINOSITY_MASK, Lock, LockChecker, LockedFile, relative_path, sha256_of
from ..errors import UserError, closest
from ..filesets.eras import find_era
from . import COMPLETE, INCOMPLETE
from .corrections_source import add_search_path, catalogue, console, without_list
from .parsing import Parser

EXAMPLES = """\
  python main.py corrections lock --era 2018 2022postEE
  python main.py corrections lock results --output paper.lock
  python main.py corrections lock --update --output paper.lock
  python main.py --datasets 'demo*' --corrections-lock corrections.lock
"""

#: Correction, era and why it is not locked → working points.
Missing = dict[tuple[str, str, str], list[str]]


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections lock`` and return the exit code: 2 if files are missing, which are then not in the lock."""
    options = _parser().parse_args(list(arguments[1:]))
    out = console()
    before = _before(options)
    missing: Missing = {}
    if options.result is not None:
        files = list(_of_result(options.result))
    else:
        search = catalogue(options)
        places = list(_places(options)) if options.era else [one.place for one in before.files]
        files = list(_resolved(search, places, missing))
    if not files:
        why = "\n  ".join(_lines(missing) or ["the result has no corrections"])
        raise UserError(f"Nothing was found to be locked:\n  {why}")
    lock = before.merged(files)
    lock.write(options.output)
    _show(out, options.output, before, lock, _lines(missing))
    return INCOMPLETE if missing else COMPLETE


def _lines(missing: Missing) -> list[str]:
    return [
        f"{name} of {era} ({', '.join(points)}): {reason}" if any(points) else f"{name} of {era}: {reason}"
        for (name, era, reason), points in missing.items()
    ]


def _parser() -> Parser:
    parser = Parser(
        "corrections lock",
        "Write which correction files, with which hashes, a result may be made from: those of a result, or what "
        "the search path has for some eras. A run with --corrections-lock FILE refuses any other.",
        EXAMPLES,
    )
    parser.add_argument("result", nargs="?", type=Path, metavar="RESULT", help="a result folder: what that run used")
    parser.add_argument("--era", nargs="+", metavar="E", help="all corrections of these eras, all working points")
    parser.add_argument("--correction", nargs="+", metavar="NAME", help="of these eras, these corrections alone")
    parser.add_argument(
        "--output", type=Path, default=Path("corrections.lock"), metavar="FILE", help="(default ./corrections.lock)"
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="change the lock that is there: with --era or RESULT those entries, else all that are in it",
    )
    add_search_path(parser)
    return parser


def _before(options: argparse.Namespace) -> Lock:
    """Return the lock to begin with: empty, or what is to be updated. Raises UserError for flags that clash."""
    if options.result is not None and (options.era or options.correction):
        raise UserError("Give a RESULT or --era, not both.")
    if options.correction and not options.era:
        raise UserError("--correction belongs to --era: give the eras, too.")
    if options.update:
        return LockChecker.read(options.output).lock
    if options.result is None and not options.era:
        raise UserError("Say what to lock: a RESULT, or --era E; or --update to renew the lock that is there.")
    if options.output.exists():
        raise UserError(f"{options.output} exists. Change it with --update, or give another --output.")
    return Lock(files=())


def _places(options: argparse.Namespace) -> Iterable[tuple[str, str, str]]:
    """Yield (correction, era, working point) of what --era and --correction ask for."""
    known = (*correction_names(), LUMINOSITY_MASK)
    for name in options.correction or ():
        if name not in known:
            raise UserError(f"There is no correction '{name}'.{closest(name, known)} Known: {', '.join(known)}.")
    for era in (find_era(one) for one in options.era):
        for name in options.correction or known:
            if name == LUMINOSITY_MASK:
                if era.golden_json:
                    yield name, era.name, ""
            elif era.name in eras(name):
                yield from ((name, era.name, point) for point in working_points(name, era.name))
            elif options.correction:
                raise UserError(
                    f"The correction '{name}' is not known for era {era.name}, only for {', '.join(eras(name))}."
                )


def _resolved(search: Catalogue, places: Iterable[tuple[str, str, str]], missing: Missing) -> Iterable[LockedFile]:
    """Yield what each place resolves to now; what is not found is added to ``missing``."""
    for name, era_name, point in places:
        era = find_era(era_name)
        try:
            if name == LUMINOSITY_MASK:
                path = search.find_luminosity_mask(str(era.golden_json))
                yield LockedFile(name=name, era=era.name, path=_mask_path(path), sha256=sha256_of(path))
            else:
                yield locked(search.resolve(name, era=era.name, pog_folders=era.pog_folders, working_point=point))
        except UserError as error:
            reason = "no file was found" if str(error).startswith("No file was found") else without_list(error)
            missing.setdefault((name, era_name, reason), []).append(point)


def locked(record: CorrectionRecord) -> LockedFile:
    """Return the entry of a lock for a correction that was found."""
    return LockedFile(
        name=record.name,
        era=record.era,
        working_point=record.working_point,
        path=relative_path(record.path, record.pog),
        keys=record.keys,
        version=record.version,
        sha256=record.sha256,
    )


def _mask_path(path: Path) -> str:
    return relative_path(path, "DC")


def _of_result(folder: Path) -> Iterable[LockedFile]:
    """Yield what the run of a result used. Raises UserError if the folder has no provenance."""
    from ..outputs.provenance import read_provenance

    record = read_provenance(folder)
    if record is None:
        raise UserError(f"{folder} has no provenance, so what it was made from is not known. Give a result folder.")
    for era in record.eras.values():
        found: dict[str, Any] = era["corrections"]
        yield from (locked(CorrectionRecord.model_validate(one)) for one in found.values())
    for file in record.corrections:
        if file.name == LUMINOSITY_MASK:
            yield LockedFile(name=file.name, era=file.era, path=_mask_path(Path(file.path)), sha256=file.sha256)


def _show(out: Console, path: Path, before: Lock, lock: Lock, missing: Sequence[str]) -> None:
    earlier = {one.place: one for one in before.files}
    changed = [one for one in lock.files if one.place in earlier and one != earlier[one.place]]
    added = [one for one in lock.files if one.place not in earlier]
    if changed:
        table = Table("correction", "era", "working point", "file", "SHA-256 before", "now", title="changed")
        for one in changed:
            old = earlier[one.place]
            table.add_row(one.name, one.era, one.working_point, one.path, old.sha256[:12], one.sha256[:12])
        out.print(table)
    files = len({one.sha256 for one in lock.files})
    counts = f"{len(lock.files)} entries of {files} files; {len(added)} added, {len(changed)} changed"
    out.print(f"{path}: {counts}", markup=False, soft_wrap=True)
    for line in missing:
        out.print(f"not locked: {line}", markup=False, style="yellow", soft_wrap=True)
