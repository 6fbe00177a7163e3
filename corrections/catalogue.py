"""The catalogue: finds the file of a correction by name and era in a search path, and checks it.

What each correction is called in the files is data (`payloads/<POG>.yaml`). Places on CVMFS: the CAT area
https://cms-analysis-corrections.docs.cern.ch and https://gitlab.cern.ch/cms-nanoAOD/jsonpog-integration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..errors import UserError, closest
from ..paths import cache_dir
from . import loading
from .lock import LockChecker, sha256_of
from .payload_entries import (
    Entry,
    EraGroup,
    Format,
    correction_names,
    entry,
    eras,
    group_of_era,
    in_the_events,
    working_points,
)
from .rochester_table import check_rochester_table
from .sources import Source, find_copy, find_first, renewed, shown, source, split_search_path, subfolders

__all__ = ["Catalogue", "CorrectionRecord", "correction_names", "eras", "in_the_events", "working_points"]

ENVIRONMENT = "MUCOFFEA_CORRECTIONS"
CVMFS_FOLDERS = (
    Path("/cvmfs/cms-griddata.cern.ch/cat/metadata"),
    Path("/cvmfs/cms.cern.ch/rsync/cms-nanoAOD/jsonpog-integration"),
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    "correctionlib": (".json.gz", ".json"),
    "rochester": (".txt", ".txt.gz"),
}


class CorrectionRecord(BaseModel):
    """One correction, found and checked: all that a processor needs, and small to send to a worker.

    `keys` maps a role to the key in the file; a correction that is a single table has the one role "value", a
    file that is not correctionlib none. A key with `{period}` or `{source}` is a pattern. `fixed` are the values
    of text inputs in this era (`year`). `limits` are ranges (both ends included) that the POG states beside the
    file. `runs` are the periods of data taking, name → first and last run. `note` is what a reader of the result
    must know of the correction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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


class Catalogue:
    """A search path for correction files; no global state.

    Each folder, or address `https://…` of one, holds `POG/<POG>/<era folder>/<file>.json[.gz]` or `<POG>/<era
    folder>/<file>.json[.gz]` (jsonpog), or `<POG>/<era folder>/<YYYY-MM-DD>/<file>.json[.gz]` (CAT), where the
    newest date is taken unless `dates` pins one for a POG (`{"MUO": "2026-06-18"}`). The moving link `latest` is
    never followed. The first folder wins. With a `lock`, the files that it names are looked for first, and any
    file with another hash is refused.
    """

    def __init__(
        self,
        folders: Sequence[Source | str],
        *,
        dates: Mapping[str, str] | None = None,
        lock: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        copies = cache or cache_dir() / "corrections"
        self.folders: tuple[Source, ...] = tuple(source(folder, copies) for folder in folders)
        self.dates = dict(dates or {})
        self.lock = None if lock is None else LockChecker.read(Path(lock))

    @classmethod
    def from_environment(
        cls,
        extra: Sequence[Path | str] = (),
        *,
        dates: Mapping[str, str] | None = None,
        lock: Path | None = None,
    ) -> Catalogue:
        """Return the search path: `extra`, then what MUCOFFEA_CORRECTIONS names, then CVMFS.

        Raises UserError if a folder of MUCOFFEA_CORRECTIONS does not exist: a misspelt folder must not end in
        corrections taken from somewhere else.
        """
        named = split_search_path(os.environ.get(ENVIRONMENT, ""))
        result = cls([*extra, *named, *CVMFS_FOLDERS], dates=dates, lock=lock)
        for folder in result.folders[len(extra) : len(extra) + len(named)]:
            if isinstance(folder, Path) and not folder.is_dir():
                near = closest(folder.name, [item.name for item in folder.parent.glob("*/")])
                raise UserError(
                    f"The folder {folder} in {ENVIRONMENT} does not exist.{near} Mend the variable (folders "
                    "separated by colons), or unset it."
                )
        return result

    def resolve(
        self, name: str, *, era: str, pog_folders: Sequence[str], working_point: str | None = None
    ) -> CorrectionRecord:
        """Return the correction `name` of `era`: its file found, hashed, compared with the lock, loaded, and its
        version and inputs checked.

        `pog_folders` are the names that the POGs give to the folder of this era (`2018_UL`,
        `Run2-2018-UL-NanoAODv9`). Raises UserError if the name, era or working point is unknown, if no file
        is found (every place tried is listed), if it is not the one of the lock, or if the file is corrupt, lacks
        a key, or has an unsupported version.
        """
        known = entry(name)
        group = group_of_era(name, known, era)
        point = working_point or known.default
        if point not in group.working_points:
            raise UserError(
                f"The correction '{name}' has no working point '{point}' in era {era}."
                f"{closest(point, group.working_points)} It has: {', '.join(group.working_points)}."
            )
        chosen = group.working_points[point]
        path, sha256 = self._find(name, known, group, era, point, pog_folders)
        if (group.format or known.format) == "rochester":
            check_rochester_table(path)
        firm = {role: key for role, key in chosen.keys.items() if "{" not in key}
        versions = {_checked_version(name, known, path, role, key) for role, key in firm.items()}
        return CorrectionRecord(
            name=name,
            pog=known.pog,
            era=era,
            working_point=point,
            path=path,
            keys=chosen.keys,
            sha256=sha256,
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
        `DC/<period>[/<YYYY-MM-DD>]` (newest date first). Raises UserError listing every place tried, or if the
        file is not the one of the lock.
        """
        locked = None if self.lock is None else self.lock.mask(filename)
        path = self._find_mask(filename, None if locked is None else locked.path)
        if self.lock is not None and locked is not None:
            self.lock.check(locked, path, sha256_of(path))
        return path

    def _find_mask(self, filename: str, locked: str | None) -> Path:
        path = Path(filename).expanduser()
        if path.is_absolute() and path.is_file():
            return path
        name = path.name
        tried = [str(path)] if path.is_absolute() else []
        for folder in self.folders if locked else ():
            if found := find_first(folder, [str(locked), f"../{locked}"]):
                return found
        for folder in self.folders:
            places = [name, f"lumi/{name}", f"../lumi/{name}"]
            if found := find_first(folder, places):
                return found
            for period in reversed(subfolders(folder, "DC")):
                dated = [f"DC/{period}/{name}"]
                dated += [f"DC/{period}/{date}/{name}" for date in self._dated(folder, "DC", f"DC/{period}")]
                if found := find_first(folder, dated):
                    return found
                places += dated
            tried += shown(folder, [*places, f"DC/*/{name}"])
        raise _not_found(f"luminosity mask '{filename}'", tried)

    def _find(
        self, name: str, known: Entry, group: EraGroup, era: str, point: str, pog_folders: Sequence[str]
    ) -> tuple[Path, str]:
        """Return the file and its hash; with a lock, the file that it names before any other."""
        folders = pog_folders if group.folders is None else group.folders
        file, kind = group.file or known.file, group.format or known.format
        if self.lock is None:
            path = self._find_file(name, era, known.pog, file, folders, kind)
            return path, sha256_of(path)
        locked = self.lock.entry(name, era, point)
        named = (find_first(folder, [locked.path, f"../{locked.path}"]) for folder in self.folders)
        path = next((one for one in named if one), None) or self._find_file(name, era, known.pog, file, folders, kind)
        if sha256_of(path) != locked.sha256:  # a copy of an earlier state of a web folder is no reason to refuse
            path = next((new for folder in self.folders if (new := renewed(folder, path))), path)
        sha256 = sha256_of(path)
        self.lock.check(locked, path, sha256)
        if locked.keys != group.working_points[point].keys:
            raise UserError(
                f"The lock {self.lock.path} has other keys for {locked} than the catalogue: {locked.keys}, now "
                f"{group.working_points[point].keys}. Use the mucoffea that the lock was made with, or accept the "
                f"new ones with python main.py corrections lock --update --output {self.lock.path}."
            )
        return path, sha256

    def _find_file(self, name: str, era: str, pog: str, file: str, folders: Sequence[str], kind: Format) -> Path:
        tried: list[str] = []
        ending = min(_SUFFIXES[kind], key=len) + "[.gz]"
        for folder in self.folders:
            named = [f"{base}/{one}".rstrip("/") for base in (f"POG/{pog}", pog) for one in folders]
            # What a web server has given before is taken without asking it again.
            fixed = [f"{place}/{self.dates[pog]}" for place in named] if pog in self.dates else named
            if found := find_copy(folder, [f"{place}/{file}{end}" for place in fixed for end in _SUFFIXES[kind]]):
                return found
            for place in self._places(folder, pog, named, kind):
                found = find_first(folder, [f"{place}/{file}{suffix}" for suffix in _SUFFIXES[kind]])
                if found is not None:
                    return found
                tried += shown(folder, [f"{place}/{file}{ending}"])
        raise _not_found(f"correction '{name}' of era {era}", tried)

    def _places(self, folder: Source, pog: str, named: Sequence[str], kind: Format) -> Iterator[str]:
        """Yield the folders, relative to `folder`, in which the file may be."""
        for place in named:
            if pog not in self.dates:  # a pin asks for one state of the files: an undated copy may be any other
                yield place
            yield from (f"{place}/{date}" for date in self._dated(folder, pog, place))
        if kind == "rochester":  # the authors give these tables by themselves: no folder of a POG has them
            yield from ("rochester", "../rochester")

    def _dated(self, folder: Source, pog: str, relative: str) -> list[str]:
        """Return the dated folders in a CAT folder, newest first, or the pinned one alone."""
        if pog in self.dates:
            return [self.dates[pog]]
        return sorted((name for name in subfolders(folder, relative) if _DATE.fullmatch(name)), reverse=True)


def _not_found(what: str, tried: Sequence[str]) -> UserError:
    places = "\n  ".join(tried) or "nowhere: the search path is empty"
    return UserError(
        f"No file was found for the {what}. Put the files in a folder named in {ENVIRONMENT} (folders "
        f"separated by colons), in the jsonpog or the CAT layout. Tried:\n  {places}"
    )


def _checked_version(name: str, known: Entry, path: Path, role: str, key: str) -> int:
    """Return the version of `key` in the file, once it and the declared inputs are known to us."""
    correction = loading.correction(path, key)
    if correction.version not in known.versions:
        supported = ", ".join(map(str, known.versions))
        raise UserError(
            f"The correction '{name}' ('{key}' in {path}) has version {correction.version}; supported: "
            f"{supported}. "
            "Use another release of the file, or a newer mucoffea."
        )
    declared = tuple(variable.name for variable in correction.inputs if variable.type != "string")
    wanted = known.inputs_of(role)
    if wanted is not None and sorted(declared) != sorted(wanted):
        raise UserError(
            f"The correction '{name}' ('{key}' in {path}) takes {', '.join(declared)} instead of "
            f"{', '.join(wanted)}. Use another release of the file, or a newer mucoffea."
        )
    return int(correction.version)
