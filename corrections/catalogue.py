"""The catalogue: finds the correctionlib file of a correction by name and era in a search path, and checks
it.

What each correction is called in the files is data (`payloads/<POG>.yaml`). Places on CVMFS: the CAT area
https://cms-analysis-corrections.docs.cern.ch and https://gitlab.cern.ch/cms-nanoAOD/jsonpog-integration.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from ..errors import UserError, closest
from . import loading
from .rochester_table import check_rochester_table

ENVIRONMENT = "MUCOFFEA_CORRECTIONS"
CVMFS_FOLDERS = (
    Path("/cvmfs/cms-griddata.cern.ch/cat/metadata"),
    Path("/cvmfs/cms.cern.ch/rsync/cms-nanoAOD/jsonpog-integration"),
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SUFFIXES = {"correctionlib": (".json.gz", ".json"), "rochester": (".txt", ".txt.gz")}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CorrectionRecord(_Model):
    """One correction, found and checked: all that a processor needs, and small to send to a worker.

    `keys` maps a role to the key in the file; a correction that is a single table has the one role "value". A
    key with `{period}` or `{source}` is a pattern. `fixed` are the values of text inputs in this era (`year`).
    `limits` are ranges (both ends included) that the POG states beside the file. `runs` are the periods of data
    taking, name → first and last run. `note` is what a reader of the result must know of the correction.
    """

    name: str
    pog: str
    era: str
    working_point: str
    path: Path
    keys: dict[str, str]
    sha256: str
    version: int
    fixed: dict[str, str] = {}
    limits: dict[str, tuple[float, float]] = {}
    runs: dict[str, tuple[int, int]] = {}
    note: str = ""

    @property
    def key(self) -> str:
        """The correctionlib key of a correction with a single table."""
        return self.keys["value"]


class _Point(_Model):
    """A working point: its keys in the file, and the values of text inputs that choose it."""

    keys: dict[str, str]
    fixed: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"keys": {"value": value}}
        return value if "keys" in value else {"keys": value}


class _Eras(_Model):
    eras: tuple[str, ...]
    working_points: dict[str, _Point]
    file: str | None = None
    format: Literal["correctionlib", "rochester"] | None = None
    folders: tuple[str, ...] | None = None
    fixed: dict[str, str] = {}
    limits: dict[str, tuple[float, float]] = {}
    runs: dict[str, tuple[int, int]] = {}
    note: str = ""


class _Entry(_Model):
    pog: str
    file: str
    format: Literal["correctionlib", "rochester"] = "correctionlib"
    versions: tuple[int, ...] = ()
    inputs: tuple[str, ...] | dict[str, tuple[str, ...]] = {}
    default: str
    eras: tuple[_Eras, ...]

    def inputs_of(self, role: str) -> tuple[str, ...] | None:
        """Return the numeric inputs that the key of `role` must take; None if that is not checked."""
        return self.inputs.get(role) if isinstance(self.inputs, dict) else self.inputs


@cache
def _entries() -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for file in sorted(resources.files(__package__).joinpath("payloads").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            found = TypeAdapter(dict[str, _Entry]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
            if twice := entries.keys() & found.keys():
                raise ValueError(f"{file.name} has corrections of another file: {', '.join(sorted(twice))}")
            entries |= found
    return entries


def correction_names() -> tuple[str, ...]:
    """Return the names of all corrections of the catalogue."""
    return tuple(_entries())


def eras(name: str) -> tuple[str, ...]:
    """Return the eras for which the correction `name` is known. Raises UserError for an unknown name."""
    return tuple(era for group in _entry(name).eras for era in group.eras)


def working_points(name: str, era: str) -> tuple[str, ...]:
    """Return the working points of the correction `name` in `era`, the default first."""
    entry = _entry(name)
    return tuple(sorted(_of_era(name, entry, era).working_points, key=lambda point: point != entry.default))


class Catalogue:
    """A search path for correction files; no global state.

    Each folder holds `POG/<POG>/<era folder>/<file>.json[.gz]` or `<POG>/<era folder>/<file>.json[.gz]`
    (jsonpog), or `<POG>/<era folder>/<YYYY-MM-DD>/<file>.json[.gz]` (CAT), where the newest date is taken
    unless `dates` pins one for a POG (`{"MUO": "2026-06-18"}`). The moving link `latest` is never followed.
    The first folder wins.
    """

    def __init__(self, folders: Sequence[Path], *, dates: Mapping[str, str] | None = None) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self.dates = dict(dates or {})

    @classmethod
    def from_environment(cls, extra: Sequence[Path] = (), *, dates: Mapping[str, str] | None = None) -> Catalogue:
        """Return the search path: `extra`, then the folders in MUCOFFEA_CORRECTIONS, then CVMFS.

        Raises UserError if a folder of MUCOFFEA_CORRECTIONS does not exist: a misspelt folder must not end in
        corrections taken from somewhere else.
        """
        named = [Path(part).expanduser() for part in os.environ.get(ENVIRONMENT, "").split(":") if part]
        for folder in named:
            if not folder.is_dir():
                near = closest(folder.name, [item.name for item in folder.parent.glob("*/")])
                raise UserError(
                    f"The folder {folder} in {ENVIRONMENT} does not exist.{near} Mend the variable (folders "
                    "separated "
                    "by colons), or unset it."
                )
        return cls([*map(Path, extra), *named, *CVMFS_FOLDERS], dates=dates)

    def resolve(
        self, name: str, *, era: str, pog_folders: Sequence[str], working_point: str | None = None
    ) -> CorrectionRecord:
        """Return the correction `name` of `era`: its file found, hashed, loaded and its version and inputs
        checked.

        `pog_folders` are the names that the POGs give to the folder of this era (`2018_UL`,
        `Run2-2018-UL-NanoAODv9`). Raises UserError if the name, era or working point is unknown, if no file
        is found (every place tried is listed), or if the file is corrupt, lacks a key, or has an unsupported
        version.
        """
        entry = _entry(name)
        group = _of_era(name, entry, era)
        point = working_point or entry.default
        if point not in group.working_points:
            raise UserError(
                f"The correction '{name}' has no working point '{point}' in era {era}."
                f"{closest(point, group.working_points)} It has: {', '.join(group.working_points)}."
            )
        folders = pog_folders if group.folders is None else group.folders
        kind = group.format or entry.format
        path = self._find_file(name, era, entry.pog, group.file or entry.file, folders, kind)
        chosen = group.working_points[point]
        if kind == "rochester":
            check_rochester_table(path)
        firm = {role: key for role, key in chosen.keys.items() if "{" not in key}
        versions = {_checked_version(name, entry, path, role, key) for role, key in firm.items()}
        return CorrectionRecord(
            name=name,
            pog=entry.pog,
            era=era,
            working_point=point,
            path=path,
            keys=chosen.keys,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            version=max(versions, default=0),
            fixed={**group.fixed, **chosen.fixed},
            limits=group.limits,
            runs=group.runs,
            note=group.note,
        )

    def find_luminosity_mask(self, filename: str) -> Path:
        """Return the path of a golden JSON: itself if it is a path that exists, else looked up in the search
        path.

        Tried in each folder: `<folder>`, `<folder>/lumi`, `<folder>/../lumi`, and
        `DC/<period>[/<YYYY-MM-DD>]` (newest date first). Raises UserError listing every place tried.
        """
        path = Path(filename).expanduser()
        if path.is_absolute() and path.is_file():
            return path
        tried = [path] if path.is_absolute() else []
        for folder in self.folders:
            places = [folder, folder / "lumi", folder.parent / "lumi"]
            for period in sorted((folder / "DC").glob("*/"), reverse=True):
                places += [period, *_dated(period, self.dates.get("DC"))]
            for place in places:
                if (place / path.name).is_file():
                    return place / path.name
            tried += [place / path.name for place in (*places, folder / "DC" / "*")]
        raise _not_found(f"luminosity mask '{filename}'", tried)

    def _find_file(self, name: str, era: str, pog: str, file: str, pog_folders: Sequence[str], kind: str) -> Path:
        tried = []
        suffixes = _SUFFIXES[kind]
        for folder in self.folders:
            for place in (folder / "POG" / pog, folder / pog):
                for pog_folder in pog_folders:
                    candidates = [place / pog_folder, *_dated(place / pog_folder, self.dates.get(pog))]
                    if pog in self.dates:
                        # A pin asks for one state of the files: an undated copy may be any other.
                        candidates = [place / pog_folder / self.dates[pog]]
                    for candidate in candidates:
                        for suffix in suffixes:
                            path = candidate / f"{file}{suffix}"
                            if path.is_file():
                                return path
                        tried.append(candidate / f"{file}{min(suffixes, key=len)}[.gz]")
            # The authors give these tables by themselves: no folder of a POG has them.
            for place in (folder / "rochester", folder.parent / "rochester") if kind == "rochester" else ():
                for suffix in suffixes:
                    if (place / f"{file}{suffix}").is_file():
                        return place / f"{file}{suffix}"
                tried.append(place / f"{file}{min(suffixes, key=len)}[.gz]")
        raise _not_found(f"correction '{name}' of era {era}", tried)


def _dated(folder: Path, pinned: str | None) -> list[Path]:
    """Return the dated folders in a CAT folder, newest first, or the pinned one alone."""
    if pinned is not None:
        return [folder / pinned]
    found = [item for item in folder.glob("*/") if _DATE.fullmatch(item.name)]
    return sorted(found, key=lambda item: item.name, reverse=True)


def _not_found(what: str, tried: Sequence[Path]) -> UserError:
    places = "\n  ".join(str(path) for path in tried) or "nowhere: the search path is empty"
    return UserError(
        f"No file was found for the {what}. Put the files in a folder named in {ENVIRONMENT} (folders "
        "separated by "
        f"colons), in the jsonpog or the CAT layout. Tried:\n  {places}"
    )


def _entry(name: str) -> _Entry:
    entries = _entries()
    if name not in entries:
        raise UserError(f"There is no correction '{name}'.{closest(name, entries)} Known: {', '.join(entries)}.")
    return entries[name]


def _of_era(name: str, entry: _Entry, era: str) -> _Eras:
    for group in entry.eras:
        if era in group.eras:
            return group
    known = eras(name)
    raise UserError(
        f"The correction '{name}' is not known for era '{era}'.{closest(era, known)} It is known for: "
        f"{', '.join(known)}."
    )


def _checked_version(name: str, entry: _Entry, path: Path, role: str, key: str) -> int:
    """Return the version of `key` in the file, once it and the declared inputs are known to us."""
    correction = loading.correction(path, key)
    if correction.version not in entry.versions:
        supported = ", ".join(map(str, entry.versions))
        raise UserError(
            f"The correction '{name}' ('{key}' in {path}) has version {correction.version}; supported: "
            f"{supported}. "
            "Use another release of the file, or a newer mucoffea."
        )
    declared = tuple(variable.name for variable in correction.inputs if variable.type != "string")
    wanted = entry.inputs_of(role)
    if wanted is not None and sorted(declared) != sorted(wanted):
        raise UserError(
            f"The correction '{name}' ('{key}' in {path}) takes {', '.join(declared)} instead of "
            f"{', '.join(wanted)}. Use another release of the file, or a newer mucoffea."
        )
    return int(correction.version)
