"""Which code this is: the state of the checkout, and the versions of the packages that matter."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..outputs.provenance import UNKNOWN, CodeState, Software

#: The package and, in a checkout, the root of the repository.
ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("mucoffea", "coffea", "awkward", "awkward-cpp", "uproot", "vector", "numpy", "numba", "scipy"),
    *("correctionlib", "hist", "boost-histogram", "uhi", "h5py", "pyarrow", "pydantic", "fsspec", "xrootd"),
    *("fsspec-xrootd", "loky", "dask", "distributed", "dask-jobqueue"),
)
#: Untracked files that are code or settings of the package; others are nothing to it.
_SOURCES = (".py", ".yaml")
_TIMEOUT = 20.0


def software() -> Software:
    """Return the interpreter, the platform and the versions of the packages that are installed."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return Software(python=platform.python_version(), platform=platform.platform(), packages=packages)


def code_state(root: Path = ROOT) -> CodeState:
    """Return what git says of the checkout at ``root``.

    Unknown without git, in an installed package (even one below some other checkout), and where git refuses, as it
    does in a folder of somebody else.
    """
    release = version("mucoffea")
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    diff = _git(root, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")
    names = _git(root, "diff", "--name-only", "--no-ext-diff", "-z", "HEAD")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if top is None or commit is None or diff is None or names is None or new is None:
        return CodeState(version=release)
    if Path(os.fsdecode(top).rstrip("\n")).resolve() != root.resolve():
        return CodeState(version=release)
    untracked = [name for name in _split(new) if name.endswith(_SOURCES)]
    changed = (*_split(names), *untracked)
    return CodeState(
        version=release,
        commit=os.fsdecode(commit).strip() or UNKNOWN,
        dirty=bool(changed),
        diff_sha256=hashlib.sha256(diff).hexdigest() if diff else "",
        changed_files=tuple(sorted(changed)),
    )


def _split(names: bytes) -> list[str]:
    return [os.fsdecode(name) for name in names.split(b"\0") if name]


def _git(root: Path, *words: str) -> bytes | None:
    """Return what ``git`` prints, or None if it fails in any way. It changes nothing and runs no external diff."""
    program = shutil.which("git")
    if program is None:
        return None
    # A variable such as GIT_DIR would speak of another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = [program, "-c", "core.fsmonitor=false", "-C", str(root), *words]
    try:
        ended = subprocess.run(  # noqa: S603 - fixed words, no shell
            command, env=environment, capture_output=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout if ended.returncode == 0 else None
