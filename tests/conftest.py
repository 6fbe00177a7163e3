"""Fixtures of all tests: toy samples, made once a session, the command line, and a cache folder of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mucoffea import cli

from .support.command_line import Command, Ended, run_words

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests away from the user's cache and correction folders."""
    saved = {name: os.environ.pop(name, None) for name in ("MUCOFFEA_CACHE", "MUCOFFEA_CORRECTIONS")}
    os.environ["MUCOFFEA_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    for name, value in saved.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real input files beside the checkout."""
    if not REAL.is_dir():
        pytest.skip("the real input files (../shared/real) are not here")
    return REAL


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy samples ``dy.root`` (20 000 events), ``zz4l.root``, ``data.root``, and their corrections."""
    from mucoffea.toys.cms_nanoaod import ToySpec, generate, write_corrections

    folder = tmp_path_factory.mktemp("toys")
    specs = {
        "dy": ToySpec(sample="dy", events=20_000, seed=3, basket_events=6_000),
        "zz4l": ToySpec(sample="zz4l", events=6_000, seed=3, basket_events=2_500),
        "data": ToySpec(sample="data", events=None, luminosity=3.0, seed=5, basket_events=6_000),
    }
    for name, spec in specs.items():
        (file,) = generate(spec, folder / name)
        file.rename(folder / f"{name}.root")
    write_corrections(folder)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 600 Drell-Yan events in baskets of 200."""
    from mucoffea.toys.cms_nanoaod import ToySpec, generate

    (path,) = generate(ToySpec(sample="dy", events=600, seed=8, basket_events=200), tmp_path_factory.mktemp("small"))
    return path


@pytest.fixture(scope="session")
def three_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files of 300 Drell-Yan events."""
    from mucoffea.toys.cms_nanoaod import ToySpec, generate

    return generate(ToySpec(sample="dy", events=900, files=3, seed=6), tmp_path_factory.mktemp("three"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process; an exception that escapes it fails the test, as a traceback would the user."""

    def run(*words: object) -> Ended:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Ended(code, " ".join(captured.out.split()), captured.err)

    return run


@pytest.fixture
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which no row of a table is wrapped."""
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture(scope="session")
def first_result(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a run over ``small``."""
    folder = tmp_path_factory.mktemp("first") / "result"
    assert cli.main(run_words(small, folder)) == 0
    return folder


@pytest.fixture
def earlier(first_result: Path, tmp_path: Path) -> Path:
    """A copy of the result of an earlier run, with a file of the user beside it."""
    folder = tmp_path / "earlier"
    shutil.copytree(first_result, folder)
    (folder / "notes.txt").write_text("do not lose me")
    return folder
