"""The lock: which correction files, with which hashes, a result may be made from; a JSON file.

A run with a lock takes the files that the lock names and refuses any with another hash, so that an update of the
files on CVMFS, or of the catalogue, changes no result unseen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import UserError, closest

LUMINOSITY_MASK = "luminosity_mask"
FORMAT = 1


class LockedFile(BaseModel):
    """A file that a correction is read from. `path` is relative to a folder of the search path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    era: str
    working_point: str = ""
    path: str
    keys: dict[str, str] = {}
    version: int = 0
    sha256: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What the entry is for: correction, era and working point."""
        return self.name, self.era, self.working_point

    def __str__(self) -> str:
        return f"{self.name} {self.working_point} of era {self.era}".replace("  ", " ")


class Lock(BaseModel):
    """The locked files of a lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    files: tuple[LockedFile, ...]

    def write(self, path: Path) -> None:
        """Write the lock to `path`, whole or not at all, sorted. Raises UserError if that is not possible."""
        ordered = self.model_copy(update={"files": tuple(sorted(self.files, key=lambda one: one.place))})
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(ordered.model_dump_json(indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise UserError(f"The lock {path} cannot be written ({error.strerror}). Give another --output.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def merged(self, files: Iterable[LockedFile]) -> Lock:
        """Return the lock with `files` in the place of those for the same correction, era and working point."""
        return self.model_copy(
            update={
                "files": tuple(({one.place: one for one in self.files} | {one.place: one for one in files}).values())
            }
        )


class LockChecker(NamedTuple):
    """A lock and the file that it is from, which messages name."""

    lock: Lock
    path: Path

    @classmethod
    def read(cls, path: Path) -> LockChecker:
        """Read the lock at `path`. Raises UserError if it is missing, damaged or of a later mucoffea."""
        try:
            found = Lock.model_validate_json(path.read_bytes())
        except OSError as error:
            near = closest(path.name, [item.name for item in path.parent.glob("*.lock")])
            raise UserError(
                f"The lock of the corrections {path} cannot be read ({error.strerror}).{near} Make one with "
                "python main.py corrections lock --era … --output FILE."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UserError(
                f"The lock of the corrections {path} is damaged ({place}: {first['msg']}). Make it anew with python "
                "main.py corrections lock."
            ) from None
        if found.format != FORMAT:
            raise UserError(
                f"The lock of the corrections {path} has format {found.format}; this mucoffea reads format {FORMAT}. "
                "Update mucoffea, or make the lock anew with python main.py corrections lock."
            )
        return cls(found, path)

    def entry(self, name: str, era: str, working_point: str) -> LockedFile:
        """Return what the lock has for a correction. Raises UserError if that is not in it."""
        wanted = (name, era, working_point)
        for one in self.lock.files:
            if one.place == wanted:
                return one
        same = [f"{one.era} {one.working_point}" for one in self.lock.files if one.name == name]
        near = f" Of this correction it has: {', '.join(same)}." if same else ""
        raise UserError(
            f"The lock {self.path} does not have the correction '{name}' ({working_point}) of era {era}.{near} "
            f"Add it: python main.py corrections lock --update --output {self.path} --era {era} --correction {name}."
        )

    def mask(self, filename: str) -> LockedFile:
        """Return what the lock has for the luminosity mask of that name. Raises UserError if it is not in it."""
        for one in self.lock.files:
            if one.name == LUMINOSITY_MASK and Path(one.path).name == Path(filename).name:
                return one
        raise UserError(
            f"The lock {self.path} does not have the luminosity mask '{filename}'. Add it: python main.py corrections "
            f"lock --update --output {self.path} --era … --correction {LUMINOSITY_MASK}."
        )

    def check(self, locked: LockedFile, path: Path, sha256: str) -> None:
        """Compare the hash of the file at `path` with the one of the lock.

        Raises UserError, naming file and hashes and how to mend it, if they differ.
        """
        if sha256 != locked.sha256:
            raise UserError(
                f"{path} is not the file that the lock {self.path} has for {locked}: its SHA-256 is {sha256}, that "
                f"of the lock is {locked.sha256}. Put the locked file back ({locked.path}); or see what changed with "
                "python main.py corrections diff OLD NEW, and accept it with python main.py corrections lock --update "
                f"--output {self.path}."
            )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def relative_path(path: Path, pog: str) -> str:
    """Return the part of `path` that is below a folder of the search path: from the folder of the POG on.

    The same for a folder, CVMFS and the copy of a web folder; for a file in no folder of the POG (the Rochester
    tables), its folder and name.
    """
    parts = path.parts
    if pog in parts[:-1]:
        first = len(parts) - 1 - parts[::-1].index(pog)
        if first and parts[first - 1] == "POG":
            first -= 1
        return "/".join(parts[first:])
    return "/".join(parts[-2:])
