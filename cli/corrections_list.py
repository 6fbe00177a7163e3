"""``python main.py corrections list``: the corrections of the catalogue, and which files are there."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ..corrections.catalogue import Catalogue, correction_names, eras, working_points
from ..errors import UserError, closest
from ..filesets.eras import find_era
from .corrections_source import add_search_path, catalogue, console, json_text, without_list
from .parsing import Parser

EXAMPLES = """\
  python main.py corrections list
  python main.py corrections list 'muon_*' --era 2018 2022postEE
  python main.py corrections list --missing
  python main.py corrections list --era 2018 --json
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections list`` and return the exit code; a missing file is no error here, it is what is shown."""
    parser = Parser(
        "corrections list", "Show corrections by era, with working points, file, and whether it is there.", EXAMPLES
    )
    parser.add_argument("names", nargs="*", default=["*"], metavar="NAME", help="names or patterns (default: all)")
    parser.add_argument("--era", nargs="+", metavar="E", help="these eras alone (default: all)")
    parser.add_argument("--missing", action="store_true", help="those alone whose file is missing or wrong")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_search_path(parser)
    options = parser.parse_args(list(arguments[1:]))
    rows = list(_rows(catalogue(options), _names(options.names), options.era))
    if options.missing:
        rows = [row for row in rows if row["status"] != "found"]
    if options.json:
        sys.stdout.write(json_text(rows))
    else:
        _show(rows)
    return 0


def _names(patterns: Sequence[str]) -> list[str]:
    """Return the names of the catalogue that the patterns match, in its order."""
    known = correction_names()
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise UserError(f"There is no correction '{pattern}'.{closest(pattern, known)} Known: {', '.join(known)}.")
    return [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _rows(search: Catalogue, names: Iterable[str], wanted: Sequence[str] | None) -> Iterable[dict[str, Any]]:
    """Yield a row for each correction and era, with what the default working point resolves to."""
    chosen = None if wanted is None else {find_era(era).name for era in wanted}
    for name in names:
        for era in eras(name):
            if chosen is not None and era not in chosen:
                continue
            yield _row(search, name, era)


def _row(search: Catalogue, name: str, era: str) -> dict[str, Any]:
    from ..corrections.payload_entries import entry, group_of_era

    known = entry(name)
    row: dict[str, Any] = {
        "name": name,
        "era": era,
        "pog": known.pog,
        "working_points": list(working_points(name, era)),
        "file": group_of_era(name, known, era).file or known.file,
        "status": "found",
        "path": None,
        "version": None,
        "sha256": None,
        "note": group_of_era(name, known, era).note,
        "problem": None,
    }
    try:
        record = search.resolve(name, era=era, pog_folders=find_era(era).pog_folders)
    except UserError as error:
        missing = str(error).startswith("No file was found")
        return {**row, "status": "missing" if missing else "wrong", "problem": str(error)}
    found = {"path": str(record.path), "version": record.version, "sha256": record.sha256}
    return {**row, **found, "file": record.path.name}


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table()
    for title in ("correction", "era", "POG", "working points (the first is the default)", "file", "status"):
        table.add_column(title, overflow="fold")
    table.add_column("version", justify="right")
    table.add_column("SHA-256")
    for row in rows:
        style = {"found": "green", "missing": "yellow", "wrong": "bold red"}[row["status"]]
        table.add_row(
            row["name"],
            row["era"],
            row["pog"],
            Text(", ".join(row["working_points"])),
            Text(row["file"]),
            Text(row["status"], style),
            "–" if row["version"] is None else str(row["version"]),
            "–" if row["sha256"] is None else row["sha256"][:12],
        )
    out = console()
    out.print(table)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("found", "missing", "wrong")}
    out.print(", ".join(f"{number} {status}" for status, number in counts.items()))
    for row in rows:
        if row["status"] == "wrong":
            out.print(f"{row['name']} of {row['era']}: {without_list(row['problem'])}", markup=False, soft_wrap=True)
    if counts["missing"]:
        out.print(
            "'corrections show NAME --era E' lists the places where a missing file was looked for; name a folder or an "
            "address with them in MUCOFFEA_CORRECTIONS.",
            soft_wrap=True,
        )
