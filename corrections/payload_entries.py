"""What the corrections are called at the POGs: the data of the catalogue (`payloads/<POG>.yaml`), as models.

The format is described in `docs/corrections.md`; it is checked when it is read.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from ..errors import UserError, closest

Format = Literal["correctionlib", "rochester"]


class Model(BaseModel):
    """A frozen model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(Model):
    """A working point: its keys in the file, and the values of text inputs that choose it."""

    keys: dict[str, str]
    fixed: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"keys": {"value": value}}
        return value if "keys" in value else {"keys": value}


class EraGroup(Model):
    """Eras that share file, keys and text inputs. Fields: see `docs/corrections.md`."""

    eras: tuple[str, ...]
    working_points: dict[str, Point]
    file: str | None = None
    format: Format | None = None
    folders: tuple[str, ...] | None = None
    fixed: dict[str, str] = {}
    limits: dict[str, tuple[float, float]] = {}
    runs: dict[str, tuple[int, int]] = {}
    note: str = ""


class Entry(Model):
    """A correction: its POG and file, what the code was written for, and its groups of eras.

    `in_the_events` are eras whose events have it in their own branches: there is no file to look for.
    """

    pog: str
    file: str
    format: Format = "correctionlib"
    versions: tuple[int, ...] = ()
    inputs: tuple[str, ...] | dict[str, tuple[str, ...]] = {}
    default: str
    in_the_events: tuple[str, ...] = ()
    eras: tuple[EraGroup, ...]

    @model_validator(mode="after")
    def _complete(self) -> Entry:
        for group in self.eras:
            kind = group.format or self.format
            if kind == "correctionlib" and not self.versions:
                raise ValueError("a correctionlib file needs 'versions': those that the code was written for")
            if kind != "correctionlib" and any(point.keys for point in group.working_points.values()):
                raise ValueError(f"a file of format {kind} has no keys: write the working point as {{}}")
        return self

    def inputs_of(self, role: str) -> tuple[str, ...] | None:
        """Return the numeric inputs that the key of `role` must take; None if that is not checked."""
        return self.inputs.get(role) if isinstance(self.inputs, dict) else self.inputs


@cache
def _entries() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for file in sorted(resources.files(__package__).joinpath("payloads").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            try:
                document = yaml.safe_load(file.read_text(encoding="utf-8"))
                found = TypeAdapter(dict[str, Entry]).validate_python(document)
            except (yaml.YAMLError, ValueError) as error:
                raise ValueError(f"payloads/{file.name}: {error}") from error
            if twice := entries.keys() & found.keys():
                raise ValueError(f"{file.name} has corrections of another file: {', '.join(sorted(twice))}")
            entries |= found
    return entries


def correction_names() -> tuple[str, ...]:
    """Return the names of all corrections of the catalogue."""
    return tuple(_entries())


def in_the_events(name: str, era: str) -> bool:
    """Whether the events of `era` have the correction `name` in branches of their own, so that no file is needed."""
    return name in correction_names() and era in entry(name).in_the_events


def eras(name: str) -> tuple[str, ...]:
    """Return the eras for which the correction `name` is known. Raises UserError for an unknown name."""
    return tuple(era for group in entry(name).eras for era in group.eras)


def working_points(name: str, era: str) -> tuple[str, ...]:
    """Return the working points of the correction `name` in `era`, the default first."""
    found = entry(name)
    return tuple(sorted(group_of_era(name, found, era).working_points, key=lambda point: point != found.default))


def entry(name: str) -> Entry:
    """Return what is known of the correction `name`. Raises UserError, with the closest names, if nothing is."""
    entries = _entries()
    if name not in entries:
        raise UserError(f"There is no correction '{name}'.{closest(name, entries)} Known: {', '.join(entries)}.")
    return entries[name]


def group_of_era(name: str, entry: Entry, era: str) -> EraGroup:
    """Return the group of eras of `entry` that has `era`. Raises UserError if it is not known for that era."""
    for group in entry.eras:
        if era in group.eras:
            return group
    known = eras(name)
    raise UserError(
        f"The correction '{name}' is not known for era '{era}'.{closest(era, known)} It is known for: "
        f"{', '.join(known)}."
    )
