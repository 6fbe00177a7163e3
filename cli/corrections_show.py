"""``python main.py corrections show``: what a correction takes and gives, and from which file."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..corrections import binning, loading
from ..corrections.catalogue import CorrectionRecord, eras, working_points
from ..corrections.lock import sha256_of
from ..errors import UserError
from .corrections_source import add_search_path, console, is_file, json_text, record_of
from .parsing import Parser

EXAMPLES = """\
  python main.py corrections show muon_id
  python main.py corrections show muon_id --era 2018 --working-point tight
  python main.py corrections show muon_Z.json.gz
  python main.py corrections show muon_Z.json.gz NUM_TightID_DEN_TrackerMuons
"""
FLOWS = {"error": "no value", "clamp": "the value of the last bin", "wrap": "periodic", "default": "a default value"}


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections show NAME | FILE [KEY]`` and return the exit code."""
    parser = Parser("corrections show", "Show inputs, bins, limits and versions of a correction.", EXAMPLES)
    parser.add_argument("what", metavar="NAME|FILE", help="of the catalogue, or a correctionlib file")
    parser.add_argument("key", nargs="?", metavar="KEY", help="a correction in the file (default: all, briefly)")
    parser.add_argument("--era", metavar="E", help="era of NAME, such as 2018")
    parser.add_argument("--working-point", metavar="W", help="of NAME (default: that of the catalogue)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_search_path(parser)
    options = parser.parse_args(list(arguments[1:]))
    shown = _file(Path(options.what).expanduser(), options.key) if is_file(options.what) else _named(options)
    if options.json:
        sys.stdout.write(json_text(shown))
    else:
        _print(console(), shown)
    return 0


def _named(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is known of a correction of the catalogue: without an era, where it is known; else its tables."""
    name = options.what
    known = eras(name)
    if options.era is None:
        if options.working_point is not None:
            raise UserError(f"--working-point belongs to an era: give --era, one of {', '.join(known)}.")
        return {"name": name, "eras": {era: list(working_points(name, era)) for era in known}}
    record = record_of(options, name, options.era, options.working_point)
    keys = {role: key for role, key in record.keys.items() if options.key in (None, role, key)}
    if options.key is not None and not keys:
        keys = {"": options.key}
    shown: dict[str, Any] = {"record": _record(record), "keys": []}
    for role, key in keys.items():
        if "{" in key:
            shown["keys"].append({"role": role, "pattern": key, "matching": _matching(record.path, key)})
        else:
            shown["keys"].append({"role": role, **_content(record.path, key)})
    return shown


def _record(record: CorrectionRecord) -> dict[str, Any]:
    rest = {name: value for name, value in record.model_dump(mode="json").items() if value not in ({}, "")}
    rest["working_points"] = list(working_points(record.name, record.era))
    rest["description"] = binning.description(record.path) if record.keys else ""
    return rest


def _matching(path: Path, pattern: str) -> list[str]:
    """Return the keys of the file that a pattern such as ``…_{source}_…`` could stand for."""
    expression = re.sub(r"\\\{\w+\\\}", ".+", re.escape(pattern))
    return [key for key in loading.keys(path) if re.fullmatch(expression, key)]


def _file(path: Path, key: str | None) -> dict[str, Any]:
    keys = loading.keys(path)
    file = {"path": str(path), "sha256": sha256_of(path), "description": binning.description(path)}
    if key is not None or len(keys) == 1:
        return {"record": file, "keys": [{"role": "", **_content(path, key or keys[0])}]}
    contents = [binning.content(path, one) for one in keys]
    rows = [
        {"key": one.key, "version": one.version, "inputs": [axis.name for axis in one.axes], "parts": list(one.parts)}
        for one in contents
    ]
    return {"record": file, "overview": rows}


def _content(path: Path, key: str) -> dict[str, Any]:
    found = binning.content(path, key)
    domain = loading.domain(path, key)
    return {
        "key": key,
        "version": found.version,
        "description": found.description,
        "output": found.output,
        "parts": list(found.parts),
        "inputs": [
            {
                "name": axis.name,
                "type": axis.kind,
                "description": axis.description,
                "choices": list(axis.choices),
                "other_choices": axis.default,
                "edges": list(axis.edges),
                "valid": _interval(domain.valid.get(axis.name)),
                "beyond": list(axis.flows),
                "formula": axis.formula,
                "transformed": axis.transformed,
            }
            for axis in found.axes
        ],
    }


def _interval(limits: tuple[float, float] | None) -> list[float] | None:
    return None if limits is None else [float(f"{limit:.12g}") for limit in limits]


def _print(out: Console, shown: dict[str, Any]) -> None:
    if "eras" in shown:
        table = Table("era", "working points (the first is the default)", title=shown["name"], title_justify="left")
        for era, points in shown["eras"].items():
            table.add_row(era, Text(", ".join(points)))
        out.print(table)
        return
    _print_record(out, shown["record"])
    if "overview" in shown:
        table = Table("correction", "version", "inputs", "of which it is made")
        for row in shown["overview"]:
            parts = Text(", ".join(row["parts"]), overflow="fold")
            table.add_row(Text(row["key"]), str(row["version"]), Text(", ".join(row["inputs"])), parts)
        out.print(table)
    for one in shown.get("keys", []):
        _print_key(out, one)


def _print_record(out: Console, record: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        if value in ("", {}, []):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {one}" for key, one in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        table.add_row(name.replace("_", " "), Text(str(value)))
    out.print(table)


def _print_key(out: Console, one: dict[str, Any]) -> None:
    role = f"{one['role']}: " if one["role"] not in ("", "value") else ""
    if "pattern" in one:
        some = ", ".join(one["matching"][:5]) + (", …" if len(one["matching"]) > 5 else "")
        line = f"{role}{one['pattern']}: a pattern; {len(one['matching'])} keys of the file match it: {some}"
        out.print(line, markup=False, soft_wrap=True)
        return
    out.print()
    out.print(f"{role}{one['key']}, version {one['version']}, gives '{one['output']}'", markup=False, soft_wrap=True)
    if one["description"]:
        out.print(one["description"], markup=False, soft_wrap=True)
    if one["parts"]:
        out.print(f"made of, in this order: {', '.join(one['parts'])}", markup=False, soft_wrap=True)
    table = Table(
        "input", "type", "bins (of all branches together) or choices", "valid range", "beyond the bins", "description"
    )
    for axis in one["inputs"]:
        table.add_row(
            Text(axis["name"]),
            axis["type"],
            Text(_bins(axis), overflow="fold"),
            "–" if axis["valid"] is None else f"{axis['valid'][0]:g} to {axis['valid'][1]:g}",
            ", ".join(FLOWS.get(flow, flow) for flow in axis["beyond"]) or "–",
            Text(axis["description"], overflow="fold"),
        )
    out.print(table)


def _bins(axis: dict[str, Any]) -> str:
    if axis["choices"]:
        more = ", any other" if axis["other_choices"] else ""
        return ", ".join(map(str, axis["choices"])) + more
    texts = [f"{edge:.5g}" for edge in axis["edges"]]
    if not texts:
        return "in a formula" if axis["formula"] else "not used" if not axis["transformed"] else "in a computed value"
    if len(texts) > 16:
        texts = [*texts[:6], "…", *texts[-6:]]
    number = len(axis["edges"]) - 1
    return f"{number} bin{'' if number == 1 else 's'}: {', '.join(texts)}" + ("; formula" if axis["formula"] else "")
