"""The luminosity of each section, from a CSV file of brilcalc, the luminosity tool of CMS.

Such a file is made with ``brilcalc lumi --byls --output-style csv -i sections.json``; a result folder holds the
sections of each dataset in the form that ``-i`` takes.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..luminosity_sections import Sections, packed

#: Inverse barns with their prefix → /fb.
UNITS = {"/ab": 1e3, "/fb": 1.0, "/pb": 1e-3, "/nb": 1e-6, "/ub": 1e-9, "/mb": 1e-12, "/b": 1e-15, "/kb": 1e-18}
MADE_WITH = "Make it with 'brilcalc lumi --byls --output-style csv -u /fb'."


@dataclass(frozen=True)
class SectionLuminosities:
    """Recorded luminosity by section.

    Args:
        path: of the file.
        sha256: of its content.
        sections: those that it has.
        values: /fb, ``[sections]``.
    """

    path: Path
    sha256: str
    sections: Sections
    values: npt.NDArray[np.float64]

    def total(self, sections: Sections) -> float:
        """Return the luminosity of ``sections`` in /fb; one that the file does not have adds nothing."""
        return math.fsum(self.values[np.isin(self.sections, sections)])

    def missing(self, sections: Sections) -> Sections:
        """Return those of ``sections`` that the file does not have."""
        return np.setdiff1d(sections, self.sections)


def read_luminosities(path: Path) -> SectionLuminosities:
    """Read a CSV file of brilcalc; its header says in which unit ``recorded`` is.

    coffea's ``LumiData`` reads the same numbers, but knows no unit and counts a section that is missing as zero.

    Raises:
        UserError: unreadable, not by section, of unknown unit, or with a row that is no luminosity.
    """
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The luminosity file {path} cannot be read: {error}. Check the path.") from None
    columns, to_fb = _header(lines, path)
    found: dict[tuple[int, int], float] = {}
    for number, row in _rows(lines):
        section, value = _section(row, columns, path, number)
        if found.setdefault(section, value) != value:
            raise UserError(
                f"The luminosity file {path} has two values for section {section[1]} of run {section[0]}, the second "
                f"in line {number}; one row a section is expected. {MADE_WITH}"
            )
    if not found:
        raise UserError(f"The luminosity file {path} has no row with a luminosity. {MADE_WITH}")
    keys = packed(*np.array(list(found), np.uint64).T)
    order = np.argsort(keys)
    values = np.array(list(found.values()))[order] * to_fb
    return SectionLuminosities(path, hashlib.sha256(content).hexdigest(), keys[order], values)


def _header(lines: Iterable[str], path: Path) -> tuple[tuple[int, int, int], float]:
    """Return the places of run, section and recorded luminosity in a row, and the factor to /fb."""
    for line in lines:
        names = line.lstrip("# ").split(",")
        if names[0] != "run:fill":
            continue
        recorded = [(place, name[9:-1]) for place, name in enumerate(names) if name.startswith("recorded(")]
        if "ls" not in names or not recorded:
            raise UserError(f"The luminosity file {path} is not by luminosity section: {line}. {MADE_WITH}")
        place, unit = recorded[0]
        if unit not in UNITS:
            raise UserError(
                f"The luminosity file {path} gives the recorded luminosity in '{unit}', which is none of "
                f"{', '.join(UNITS)}. {MADE_WITH}"
            )
        return (0, names.index("ls"), place), UNITS[unit]
    raise UserError(f"The luminosity file {path} has no header '#run:fill,ls,…,recorded(unit),…'. {MADE_WITH}")


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line that is neither empty nor a remark."""
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            yield number, next(csv.reader([line]))


def _section(row: list[str], columns: tuple[int, int, int], path: Path, number: int) -> tuple[tuple[int, int], float]:
    """Return (run, section) and the value; a run is written ``run:fill``, a section ``brilcalc's:that of CMS``."""
    try:
        run, section = (int(row[place].split(":")[0]) for place in columns[:2])
        value = float(row[columns[2]])
        if min(run, section) < 0 or max(run, section) >= 2**32 or not (math.isfinite(value) and value >= 0):
            raise ValueError("out of range")
    except (ValueError, IndexError):
        raise UserError(
            f"The luminosity file {path} is damaged in line {number}: '{','.join(row)[:80]}' is no run, section and "
            f"luminosity. {MADE_WITH}"
        ) from None
    return (run, section), value
