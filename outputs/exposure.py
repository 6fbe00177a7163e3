"""What a sample without a cross section stands for: seconds of cosmic rays and generated events, of what was processed.

The numbers of the files come first, since they belong to exactly these files; those of the dataset are for all files of
the sample and are scaled to the ones that were processed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

#: Relative difference between files and dataset from which on it is worth a warning.
TOLERANCE = 1e-3
REFUSED = "events are missing (--allow-partial scales the exposure to what was processed)"
UNKNOWN = "neither the files nor the dataset say"

Quantity = Literal["livetime", "generated"]


class FileShare(BaseModel):
    """One file that was asked for.

    Args:
        lfn: its name.
        entries, processed: events in it, and those that were processed.
        livetime: seconds, of the whole file; None where it does not say.
        generated: events, of the whole file.
        notes: contradictions inside the file.
    """

    model_config = ConfigDict(frozen=True)

    lfn: str
    entries: int
    processed: int
    livetime: float | None = None
    generated: int | None = None
    livetime_source: str = ""
    generated_source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def fraction(self) -> float:
        """Part of the file that was processed; a file without events is processed when it has been opened."""
        return self.processed / self.entries if self.entries else 1.0


class Declared(BaseModel):
    """What a dataset says of all its files.

    Args:
        livetime: seconds.
        generated: events.
        files: that these numbers belong to.
    """

    model_config = ConfigDict(frozen=True)

    livetime: float | None = None
    livetime_source: str = ""
    generated: int | None = None
    generated_source: str = ""
    files: int


class SampleExposure(BaseModel):
    """What the processed part of a sample stands for; None is not known, never nothing.

    Args:
        livetime: seconds of cosmic rays.
        generated: events, before any selection.
        livetime_source, generated_source: where the number comes from, or why there is none.
        on_spill: whether the beam was on.
        fraction: of the events that were asked for, what was processed.
    """

    model_config = ConfigDict(frozen=True)

    livetime: float | None
    livetime_source: str
    generated: int | None
    generated_source: str
    on_spill: bool
    fraction: float


def sample_exposure(
    files: Sequence[FileShare], bad_files: int, declared: Declared, *, on_spill: bool, permitted: bool
) -> tuple[SampleExposure, list[str]]:
    """Return the exposure of a sample, and what is to be warned of.

    Args:
        files: that were asked for and could be opened.
        bad_files: number of those that could not.
        declared: of the dataset.
        on_spill: whether the beam was on.
        permitted: whether an incomplete sample may be used; if not, it has no exposure.
    """
    entries = sum(file.entries for file in files)
    processed = sum(file.processed for file in files)
    opened = len(files) / (len(files) + bad_files) if files or bad_files else 1.0
    fraction = (processed / entries if entries else 1.0) * opened
    values: dict[str, Any] = {}
    warnings = [f"{file.lfn}: {note}" for file in files for note in file.notes]
    for name in ("livetime", "generated"):
        if permitted:
            values[name], values[f"{name}_source"] = _quantity(files, declared, name)
            warnings += _compared(files, declared, name)
        else:
            values[name], values[f"{name}_source"] = None, REFUSED
    if values["generated"] is not None:
        values["generated"] = round(values["generated"])
    return SampleExposure(**values, on_spill=on_spill, fraction=fraction), warnings


def _quantity(files: Sequence[FileShare], declared: Declared, name: str) -> tuple[float | None, str]:
    known = [getattr(file, name) for file in files]
    if files and None not in known:
        value = sum(share * file.fraction for share, file in zip(known, files, strict=True))
        whole = all(file.processed == file.entries for file in files)
        where = ", ".join(dict.fromkeys(getattr(file, f"{name}_source") for file in files))
        return value, f"{where} of {_files(len(files))}" + ("" if whole else ", scaled to the processed events")
    value = getattr(declared, name)
    if value is None:
        some = sum(one is not None for one in known)
        return None, f"only {some} of {len(files)} files say, and the dataset does not" if some else UNKNOWN
    share = sum(file.fraction for file in files) / max(declared.files, len(files))
    source = getattr(declared, f"{name}_source")
    return value * share, source if share == 1 else f"{source}; scaled to {_files(len(files))} of {declared.files}"


def _compared(files: Sequence[FileShare], declared: Declared, name: str) -> list[str]:
    """Return a warning where files and dataset disagree on the same files."""
    known, value = [getattr(file, name) for file in files], getattr(declared, name)
    if not files or None in known or value is None:
        return []
    expected, found = value * len(files) / max(declared.files, len(files)), sum(known)
    if abs(found - expected) <= TOLERANCE * max(abs(found), abs(expected)):
        return []
    what, unit = ("livetime", " s") if name == "livetime" else ("generated events", "")
    part = (
        ""
        if declared.files == len(files)
        else f", which is its {value:,.10g}{unit} scaled from {declared.files} files,"
    )
    return [
        f"{what}: the {_files(len(files))} say {found:,.10g}{unit}, the dataset {expected:,.10g}{unit}{part} "
        f"{abs(found - expected) / max(abs(found), abs(expected)):.2g} apart; that of the files is used"
    ]


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"
