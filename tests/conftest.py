"""Fixtures of all tests: small toy samples, made once a session, and a cache folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
