"""``python main.py corrections diff OLD NEW``: how much the values of corrections change between two files."""

from __future__ import annotations

import argparse
import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..corrections import loading
from ..corrections.comparison import Changes, KeyDifference, Limits, compare_keys, slice_at
from ..corrections.key_matching import Matches, match_keys, one_key
from ..corrections.lock import sha256_of
from ..errors import UserError, closest
from .corrections_source import console, json_text
from .parsing import Parser

EXAMPLES = """\
  python main.py corrections diff old/jet_jerc.json.gz new/jet_jerc.json.gz
  python main.py corrections diff A/muon_Z.json.gz B/muon_Z.json.gz --keys '*TightID*' --output-dir changes
  python main.py corrections diff A.json B.json --key-old NUM_TightID --key-new NUM_TightIDv2 --no-plots
"""
NUMBERS = "differences.json"


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections diff OLD NEW`` and return the exit code: 0 whether or not anything has changed."""
    options = _parser().parse_args(list(arguments[1:]))
    if (options.key_old is None) != (options.key_new is None):
        raise UserError("Give --key-old and --key-new together, or neither.")
    out = console()
    matches = _matches(options)
    limits = Limits(points=options.points)
    found, failed = [], []
    with out.status("comparing"):
        for old_key, new_key in matches.pairs:
            try:
                found.append(compare_keys(options.old, options.new, old_key, new_key, limits))
            except UserError as error:
                failed.append(str(error))
    if failed and not found:
        raise UserError(failed[0])
    _show(out, options, matches, found, failed)
    written = _write(options, matches, found, limits)
    out.print(f"written to {options.output_dir}: {written}", markup=False, soft_wrap=True)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "corrections diff",
        "Compare two correctionlib files: corrections with the same name, or with one that differs by its version "
        "alone, are evaluated in all of their bins.",
        EXAMPLES,
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="a correctionlib file")
    parser.add_argument("new", type=Path, metavar="NEW", help="another one")
    parser.add_argument("--keys", nargs="+", metavar="K", help="these corrections alone (names or patterns)")
    parser.add_argument("--key-old", metavar="K", help="one correction of OLD, to be compared with --key-new of NEW")
    parser.add_argument("--key-new", metavar="K", help="one correction of NEW")
    parser.add_argument(
        "--output-dir", type=Path, default=Path("corrections-diff"), metavar="DIR", help="(default ./corrections-diff/)"
    )
    parser.add_argument("--plots", type=int, default=20, metavar="N", help="figures of the N most changed (default 20)")
    parser.add_argument("--no-plots", action="store_true", help="leave the figures out")
    parser.add_argument(
        "--points", type=int, default=Limits().points, metavar="N", help="most points for each pair (default 100 000)"
    )
    return parser


def _matches(options: argparse.Namespace) -> Matches:
    """Return the pairs to compare. Raises UserError if there is none."""
    old, new = loading.keys(options.old), loading.keys(options.new)
    if options.key_old is not None:
        pair = one_key(options.key_old, old, options.old), one_key(options.key_new, new, options.new)
        return Matches((pair,), (), ())
    if options.points < 1:
        raise UserError(f"--points {options.points}: give a positive number.")
    found = match_keys(old, new)
    if options.keys:
        for pattern in options.keys:
            if not fnmatch.filter((*old, *new), pattern):
                raise UserError(
                    f"No correction of the two files is called '{pattern}'.{closest(pattern, (*old, *new))}"
                )
        found = Matches(
            tuple(pair for pair in found.pairs if any(_matching(key, options.keys) for key in pair)),
            tuple(key for key in found.only_old if _matching(key, options.keys)),
            tuple(key for key in found.only_new if _matching(key, options.keys)),
        )
    if not found.pairs:
        raise UserError(
            f"No correction of {options.old} has a partner in {options.new} by its name. Name a pair with --key-old "
            f"and --key-new. Old: {_some(old)}. New: {_some(new)}."
        )
    return found


def _matching(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)


def _some(keys: Sequence[str], most: int = 12) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def labels(old: Path, new: Path) -> tuple[str, str]:
    """Return short names of the two files that differ: as many of their last folders as that takes."""
    for depth in range(1, max(len(old.parts), len(new.parts)) + 1):
        first, second = "/".join(old.parts[-depth:]), "/".join(new.parts[-depth:])
        if first != second:
            return first, second
    return str(old), str(new)


def _ordered(found: Sequence[KeyDifference]) -> list[KeyDifference]:
    """Return the pairs that changed, the largest change of the nominal values first."""
    changed = [one for one in found if one.is_changed]
    return sorted(changed, key=lambda one: (-one.nominal.largest_relative, -one.variations.largest_relative))


def _show(
    out: Console,
    options: argparse.Namespace,
    matches: Matches,
    found: Sequence[KeyDifference],
    failed: Sequence[str],
) -> None:
    changed = _ordered(found)
    if changed:
        table = Table(title=f"relative change, {' → '.join(labels(options.old, options.new))}", title_justify="left")
        table.add_column("correction (old → new, if renamed)", overflow="fold")
        for title in ("changed points", "largest", "mean", "largest of variations"):
            table.add_column(title, justify="right")
        table.add_column("most changed bin", overflow="fold")
        for one in changed:
            table.add_row(*_cells(one))
        out.print(table)
    same = len(found) - len(changed)
    out.print(f"{len(changed)} of {len(found)} pairs of corrections changed, {same} did not", soft_wrap=True)
    for title, keys in (("only in the old file", matches.only_old), ("only in the new file", matches.only_new)):
        if keys:
            out.print(f"{title} ({len(keys)}): {', '.join(keys)}", markup=False, soft_wrap=True)
    for message in failed:
        out.print(f"not compared: {message}", markup=False, style="yellow", soft_wrap=True)
    sampled = [one for one in found if one.cells > one.nominal.points + one.variations.points + _alone(one)]
    if sampled:
        names = _some([one.new_key for one in sampled])
        line = f"{len(sampled)} of them were compared at a part of their bins (--points): {names}"
        out.print(line, markup=False, soft_wrap=True)
    assumed = sorted({name for one in found for name in one.assumed})
    if assumed:
        out.print(f"inputs without bins, taken over a usual range: {', '.join(assumed)}", markup=False, soft_wrap=True)


def _alone(one: KeyDifference) -> int:
    """Return the number of points where one alone has a value, or none: they are no sign of sampling."""
    return sum(changes.only_old + changes.only_new + changes.neither for changes in (one.nominal, one.variations))


def _cells(one: KeyDifference) -> tuple[Text | str, ...]:
    name = one.old_key if one.old_key == one.new_key else f"{one.old_key} → {one.new_key}"
    main = one.nominal
    where = "" if one.worst is None else where_text(one.worst.where)
    values = "" if one.worst is None else f": {one.worst.old:.5g} → {one.worst.new:.5g}"
    share = f"{main.changed:,} of {main.points:,}"
    share += "".join(
        f"; {number:,} only {word}" for word, number in (("old", main.only_old), ("new", main.only_new)) if number
    )
    variations = per_cent(one.variations) if one.variations.points else "–"
    return Text(name), share, per_cent(main), f"{100 * main.mean_relative:.3g} %", variations, Text(where + values)


def per_cent(changes: Changes) -> str:
    """Return the largest relative change, or the absolute one where all old values were 0."""
    if changes.changed and changes.changed == changes.zero_before:
        return f"{changes.largest_absolute:.3g} (from 0)"
    return f"{100 * changes.largest_relative:.3g} %"


def where_text(where: dict[str, Any]) -> str:
    """Return a bin in words: its interval of each input."""
    parts = [
        f"{name} {value[0]:.4g} to {value[1]:.4g}" if isinstance(value, tuple) else f"{name} {value}"
        for name, value in where.items()
    ]
    return ", ".join(parts)


def _write(options: argparse.Namespace, matches: Matches, found: Sequence[KeyDifference], limits: Limits) -> str:
    """Write the numbers and the figures; return what was written, in words."""
    changed = _ordered(found)
    numbers = {
        "old": {"path": str(options.old), "sha256": sha256_of(options.old)},
        "new": {"path": str(options.new), "sha256": sha256_of(options.new)},
        "pairs": [_numbers(one) for one in [*changed, *(one for one in found if not one.is_changed)]],
        "only_old": matches.only_old,
        "only_new": matches.only_new,
    }
    try:
        options.output_dir.mkdir(parents=True, exist_ok=True)
        (options.output_dir / NUMBERS).write_text(json_text(numbers), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The folder {options.output_dir} cannot be written ({error.strerror}). Give another."
        ) from error
    if options.no_plots or not changed:
        return NUMBERS
    figures = _draw(options, changed, limits)
    left = (
        f"; {len(changed) - options.plots} of the changed ones have none (--plots)"
        if len(changed) > options.plots
        else ""
    )
    return f"{NUMBERS}, {figures} figures, PNG and PDF{left}"


def _numbers(one: KeyDifference) -> dict[str, Any]:
    return {
        **{name: value for name, value in one._asdict().items() if name not in ("nominal", "variations")},
        "changed": one.is_changed,
        **{name: _changes(changes) for name, changes in (("nominal", one.nominal), ("variations", one.variations))},
    }


def _changes(changes: Changes) -> dict[str, Any]:
    bins = [{**one._asdict(), "relative": one.relative} for one in changes.bins]
    return {**changes._asdict(), "bins": bins}


def _draw(options: argparse.Namespace, changed: Sequence[KeyDifference], limits: Limits) -> int:
    from ..plotting.correction_differences import DifferenceSlice, OverviewRow, draw_overview, write_figures

    old_label, new_label = labels(options.old, options.new)
    slices = {}
    for one in changed[: options.plots]:
        found = slice_at(options.old, options.new, one, limits)
        if found is None:
            continue
        at = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in found.at.items()
        )
        slices[re.sub(r"[^\w.+-]", "_", one.new_key)] = DifferenceSlice(
            title=one.old_key if one.old_key == one.new_key else f"{one.old_key} → {one.new_key}",
            old_label=old_label,
            new_label=new_label,
            x_label=_axis_label(found.x),
            x_edges=found.x_edges,
            y_label=_axis_label(found.y) if found.y else "",
            y_edges=found.y_edges,
            old=found.old,
            new=found.new,
            note=f"at the most changed bin: {at}" if at else "",
        )
    rows = [
        OverviewRow(one.new_key, one.nominal.largest_relative, one.nominal.mean_relative)
        for one in changed
        if one.nominal.largest_relative > 0
    ]
    overview = draw_overview(rows, old_label=old_label, new_label=new_label) if rows else None
    write_figures(options.output_dir, slices, overview)
    return len(slices) + (overview is not None)


def _axis_label(name: str) -> str:
    """Return the name of an input as the file has it, with the unit of momenta."""
    return f"{name} (GeV)" if re.search(r"(?i)pt$|pt_?raw|mass|energy", name) else name
