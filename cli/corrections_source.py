"""What the tools of ``corrections`` share: the search path of a command, and one correction by name or by file."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ..corrections.catalogue import Catalogue, CorrectionRecord, correction_names
from ..errors import UserError, closest
from ..filesets.eras import find_era

#: Characters of a line where no terminal says how many it has.
WIDTH = 200


class Chosen(NamedTuple):
    """A correction of a file: the key, texts that the catalogue fixes, and the record if it came from there."""

    path: Path
    key: str
    fixed: dict[str, str]
    record: CorrectionRecord | None = None


def console() -> Console:
    """Return the console of a tool: wide where it is not a terminal, so that `| grep` finds names unfolded."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=max(found.width, WIDTH), highlight=False)


def add_search_path(parser: argparse.ArgumentParser) -> None:
    """Add the flag for folders and addresses that come before the search path of the environment."""
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        metavar="DIR|https://…",
        help="look here first, before MUCOFFEA_CORRECTIONS and CVMFS (repeatable)",
    )
    parser.add_argument(
        "--date",
        action="append",
        default=[],
        metavar="POG=YYYY-MM-DD",
        help="the dated folder of a POG in the CAT layout, instead of the newest (repeatable)",
    )


def catalogue(options: argparse.Namespace, lock: Path | None = None) -> Catalogue:
    """Return the search path that the flags and the environment name.

    Raises:
        UserError: a folder that does not exist, or a --date that is none.
    """
    for folder in options.folder:
        if "://" not in folder and not Path(folder).expanduser().is_dir():
            near = closest(Path(folder).name, [item.name for item in Path(folder).expanduser().parent.glob("*/")])
            raise UserError(f"--folder {folder}: there is no such folder.{near}")
    dates = {}
    for text in options.date:
        pog, separator, date = text.partition("=")
        if not separator or not pog or not date:
            raise UserError(f"--date takes POG=YYYY-MM-DD, such as MUO=2025-08-14, not '{text}'.")
        dates[pog] = date
    return Catalogue.from_environment(options.folder, dates=dates, lock=lock)


def record_of(options: argparse.Namespace, name: str, era: str, point: str | None) -> CorrectionRecord:
    """Return the correction of the catalogue, found and checked."""
    found = find_era(era)
    return catalogue(options).resolve(name, era=found.name, pog_folders=found.pog_folders, working_point=point)


def is_file(word: str) -> bool:
    """Return whether a word is meant as a file rather than as a name of the catalogue."""
    return word not in correction_names() and ("/" in word or "." in word or Path(word).is_file())


def choose(options: argparse.Namespace) -> Chosen:
    """Return the one correction that ``WHAT [KEY] --era --working-point --role`` name.

    Raises:
        UserError: the name, era, file or key is unknown, or more than one key is possible.
    """
    if is_file(options.what):
        from ..corrections import loading

        path = Path(options.what).expanduser()
        keys = loading.keys(path)
        if options.key is None and len(keys) > 1:
            raise UserError(f"{path} has {len(keys)} corrections: name one of them. {_some(keys)}")
        loading.correction(path, options.key or keys[0])
        return Chosen(path, options.key or keys[0], {})
    if options.era is None:
        from ..corrections.catalogue import eras

        known = ", ".join(eras(options.what))
        raise UserError(f"The correction '{options.what}' depends on the era: give --era, one of {known}.")
    record = record_of(options, options.what, options.era, options.working_point)
    key = _key_of(record, options.key)
    return Chosen(record.path, key, record.fixed, record)


def _key_of(record: CorrectionRecord, role: str | None) -> str:
    """Return the key of the record for ``role``; the only one if that is not given."""
    if not record.keys:
        raise UserError(
            f"The correction '{record.name}' is in a text file, {record.path}, which is not correctionlib; it has no "
            "table to look into. 'corrections show' says what is known of it."
        )
    if role is None and len(record.keys) > 1:
        raise UserError(
            f"The correction '{record.name}' has several tables: name one of them after it. {_some(tuple(record.keys))}"
        )
    chosen = role or next(iter(record.keys))
    if chosen in record.keys:
        key = record.keys[chosen]
    elif chosen in record.keys.values():
        key = chosen
    else:
        from ..corrections import loading

        key, available = chosen, loading.keys(record.path)
        if key not in available:
            near = closest(key, (*record.keys, *available))
            roles = _some(tuple(record.keys))
            raise UserError(f"The correction '{record.name}' has no table '{key}'.{near} {roles}")
    if "{" in key:
        raise UserError(
            f"The key of '{record.name}' is a pattern, {key}: give FILE and KEY instead, {record.path} and one of its "
            "keys ('corrections show FILE' lists them)."
        )
    return key


def _some(names: Sequence[str], most: int = 40) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"It has: {', '.join(names[:most])}{more}."


def without_list(message: object) -> str:
    """Return a message without the list of all that a file has, which may be a hundred names."""
    return str(message).split(" It has: ", 1)[0]


def json_text(value: Any) -> str:
    """Return ``value`` as JSON; infinite numbers and NaN, which JSON does not have, as text."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
