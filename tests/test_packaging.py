"""The package is what the tree holds, and stays light to import."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_IN_THE_PACKAGE = {"tests", "benchmarks", "docs", "notebooks", "build", "dist", "results"}


def test_the_packages_listed_are_the_folders_with_an_init():
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    found = {"mucoffea"}
    for init in ROOT.rglob("__init__.py"):
        folder = init.parent.relative_to(ROOT)
        if folder.parts and folder.parts[0] not in NOT_IN_THE_PACKAGE and not folder.parts[0].startswith("."):
            found.add(".".join(("mucoffea", *folder.parts)))
    assert listed == found


def test_every_data_file_of_the_package_is_package_data():
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"]["setuptools"]
    data = settings["package-data"]
    shipped = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    rooms = {name.split(".")[1] for name in settings["packages"] if "." in name}
    needed = {
        path
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert {path.suffix for path in needed} == {".yaml", ".mplstyle"}
    assert needed <= shipped


def test_the_readme_has_the_test_command_that_ci_calls():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in readme.splitlines() if "-m pytest" in line]
    assert "pip install -e '.[test]'" in command


def test_no_file_of_the_package_is_unreasonably_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in ROOT.rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        and "tests" not in path.parts
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, mucoffea, mucoffea.cli, mucoffea.filesets.registry;"
        "print([name for name in ('coffea', 'awkward', 'uproot', 'hist', 'matplotlib', 'dask', 'numba')"
        " if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
