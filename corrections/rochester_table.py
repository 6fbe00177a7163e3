"""Whether a file is a table of Rochester muon corrections: text, which has neither keys nor a version.

The header of the tables `RoccoR<year>[UL].txt` of the authors
(https://gitlab.cern.ch/akhukhun/roccor): numbers of sets and members, then the binnings.
"""

from __future__ import annotations

import gzip
import zlib
from itertools import islice
from pathlib import Path

from ..errors import UserError

_HEADER = ("NSET", "NMEM", "TVAR")
_ANYWHERE_IN_HEADER = ("RMIN", "RTRK", "RETA", "CPHI", "CETA")
_LINES = 8


def check_rochester_table(path: Path) -> None:
    """Look at the header of the Rochester table at `path` (`.txt` or `.txt.gz`), and whether it can be read to its end.

    Raises UserError if the file cannot be read or is something else; the file and the line are named.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            lines = [line.split() for line in islice(file, _LINES)]
            file.read()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _not_a_table(path, f"{type(error).__name__}: {error}") from error
    words = [line[0] if line else "" for line in lines]
    for number, wanted in enumerate(_HEADER):
        if number >= len(words) or words[number] != wanted:
            found = f"begins with '{words[number][:20]}'" if number < len(words) else "is missing"
            raise _not_a_table(path, f"line {number + 1} {found}, not with '{wanted}'")
    if missing := [word for word in _ANYWHERE_IN_HEADER if word not in words]:
        raise _not_a_table(path, f"its first {_LINES} lines have no '{missing[0]}'")


def _not_a_table(path: Path, why: str) -> UserError:
    return UserError(f"The file {path} is not a table of Rochester corrections (RoccoR*.txt): {why}. Copy it again.")
