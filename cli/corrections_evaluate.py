"""``python main.py corrections evaluate``: the values of a correction for inputs given by hand."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from ..corrections.binning import Axis, content
from ..corrections.evaluation import evaluate_flat
from ..errors import UserError, closest
from .corrections_source import Chosen, add_search_path, choose, console, json_text
from .parsing import Parser

EXAMPLES = """\
  python main.py corrections evaluate muon_id --era 2018 eta=1.2 pt=30,50,80
  python main.py corrections evaluate muon_id --era 2018 eta=1.2 pt=30 scale_factors=nominal
  python main.py corrections evaluate jet_jerc.json.gz KEY JetEta=0.5,-2 JetPt=100 Rho=20 JetA=0.5
"""
#: Most rows for keys that are not given; a b-tag shape correction has hundreds.
MOST = 500


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections evaluate NAME | FILE KEY input=value …`` and return the exit code."""
    parser = Parser(
        "corrections evaluate",
        "Evaluate a correction. Inputs are named as in the file ('corrections show'); several values are separated by "
        "commas; of categories that are not given, all keys are shown.",
        EXAMPLES,
    )
    parser.add_argument("what", metavar="NAME|FILE", help="of the catalogue, or a correctionlib file")
    parser.add_argument("words", nargs="*", metavar="[KEY] INPUT=VALUE[,VALUE…]", help="the key, and the inputs")
    parser.add_argument("--era", metavar="E", help="era of NAME, such as 2018")
    parser.add_argument("--working-point", metavar="W", help="of NAME (default: that of the catalogue)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_search_path(parser)
    options = parser.parse_intermixed_args(list(arguments[1:]))
    keys = [word for word in options.words if "=" not in word]
    if len(keys) > 1:
        raise UserError(f"Give one KEY, and inputs as name=value; not {', '.join(keys)}.")
    options.key = keys[0] if keys else None
    chosen = choose(options)
    rows = _rows(chosen, _given(options.words))
    if options.json:
        sys.stdout.write(json_text({"path": chosen.path, "key": chosen.key, "values": rows}))
    else:
        _show(chosen, rows)
    return 0


def _given(words: Sequence[str]) -> dict[str, list[str]]:
    """Return input → its values, as they were typed."""
    given: dict[str, list[str]] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            continue
        if name in given:
            raise UserError(f"The input '{name}' is given twice; give several values as {name}=1,2,3.")
        given[name] = [part for part in text.split(",") if part]
        if not given[name]:
            raise UserError(f"The input '{name}' has no value: give {name}=VALUE.")
    return given


def _rows(chosen: Chosen, given: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return a row for each point and each combination of keys: inputs, value (None if none), and a remark.

    Raises:
        UserError: an input is unknown, missing, of the wrong kind, or has a key that the correction does not have.
    """
    axes = content(chosen.path, chosen.key).axes
    names = [axis.name for axis in axes]
    absolute = {name[3:] for name in names if name.startswith("abs")}
    for name in given:
        if name not in names and name not in absolute:
            raise UserError(f"'{chosen.key}' has no input '{name}'.{closest(name, names)} It has: {', '.join(names)}.")
    numbers = _numbers(chosen, [axis for axis in axes if not _is_category(axis)], given)
    categories = {axis.name: _keys(chosen, axis, given.get(axis.name)) for axis in axes if _is_category(axis)}
    combinations = math.prod(len(keys) for keys in categories.values())
    size = len(next(iter(numbers.values()), [0.0]))
    if combinations * size > MOST:
        raise UserError(
            f"'{chosen.key}' has {combinations} combinations of its keys, too many to print: give some of "
            f"{', '.join(name for name, keys in categories.items() if len(keys) > 1)}."
        )
    kinds = {axis.name: axis.kind for axis in axes}
    combined = itertools.product(*categories.values())
    rows = [
        _row(chosen, kinds, dict(zip(categories, keys, strict=True)), {name: v[at] for name, v in numbers.items()})
        for keys in combined
        for at in range(size)
    ]
    if failed := [row["remark"] for row in rows if row["remark"].startswith("error: ")]:
        if len(failed) == len(rows):
            raise UserError(failed[0].removeprefix("error: "))
        rows = [row for row in rows if not row["remark"].startswith("error: ")]
    return rows


def _is_category(axis: Axis) -> bool:
    return axis.kind == "string" or bool(axis.choices)


def _numbers(chosen: Chosen, axes: Sequence[Axis], given: Mapping[str, list[str]]) -> dict[str, list[float]]:
    """Return the values of the numeric inputs, all of one length."""
    values: dict[str, list[float]] = {}
    for axis in axes:
        name = axis.name if axis.name in given else axis.name.removeprefix("abs")
        if name not in given:
            missing = [one.name for one in axes if not {one.name, one.name.removeprefix("abs")} & set(given)]
            raise UserError(f"'{chosen.key}' also needs {', '.join(missing)}: give for example {missing[0]}=1.")
        try:
            values[name] = [float(text) for text in given[name]]
        except ValueError as error:
            raise UserError(f"The input '{name}' takes numbers, not '{','.join(given[name])}'.") from error
    lengths = {len(one) for one in values.values()} - {1}
    if len(lengths) > 1:
        raise UserError(f"The inputs have {sorted(lengths)} values: give lists of one length, or single values.")
    size = max(lengths, default=1)
    return {name: one * size if len(one) == 1 else one for name, one in values.items()}


def _keys(chosen: Chosen, axis: Axis, given: list[str] | None) -> list[str]:
    """Return the keys of a category: those given, what the era fixes, or all."""
    known = [str(choice) for choice in axis.choices]
    if given is None:
        return [chosen.fixed[axis.name]] if axis.name in chosen.fixed else known
    for key in given:
        if key not in known and not axis.default:
            raise UserError(
                f"'{chosen.key}' has no '{key}' in its input '{axis.name}'.{closest(key, known)} It knows: "
                f"{', '.join(known)}."
            )
    return given


def _row(chosen: Chosen, kinds: Mapping[str, str], keys: dict[str, str], point: dict[str, float]) -> dict[str, Any]:
    numbers = {name: np.array([value]) for name, value in point.items()} or {"": np.zeros(1)}
    numbers |= {name: np.array([float(key)]) for name, key in keys.items() if kinds[name] != "string"}
    texts = {name: key for name, key in keys.items() if kinds[name] == "string"}
    value, remark = None, ""
    try:
        found = evaluate_flat(chosen.path, chosen.key, numbers, choices=texts, default=math.nan)
        value = float(np.asarray(found.values).reshape(-1)[0])
        if found.out_of_range:
            value, remark = None, "out of range: no value"
        elif found.clamped:
            remark = "beyond the bins: the value of the file for that"
    except UserError as error:
        remark = f"error: {error}"
    return {**keys, **point, "value": value, "remark": remark}


def _show(chosen: Chosen, rows: Sequence[dict[str, Any]]) -> None:
    out = console()
    out.print(f"{chosen.key} of {chosen.path}", markup=False, soft_wrap=True)
    table = Table()
    if not any(row["remark"] for row in rows):
        rows = [{name: value for name, value in row.items() if name != "remark"} for row in rows]
    for name in rows[0]:
        number = name == "value" or isinstance(rows[0][name], float)
        table.add_column("" if name == "remark" else name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table)
    if chosen.record is not None and chosen.record.limits:
        limits = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in chosen.record.limits.items())
        out.print(f"The POG gives it for {limits}.", markup=False)


def _cell(name: str, value: Any) -> Text:
    if name == "value":
        return Text("–" if value is None else f"{value:.6g}")
    if name == "remark":
        return Text(value, style="yellow")
    return Text(f"{value:g}" if isinstance(value, float) else str(value))
