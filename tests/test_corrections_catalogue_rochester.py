"""Text payloads of the catalogue: Rochester tables, which are looked for in more places and checked by their header."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from mucoffea.corrections import payload_entries
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.payload_entries import Entry
from mucoffea.corrections.rochester_table import check_rochester_table
from mucoffea.errors import UserError
from pydantic import ValidationError

from .support.pog_files import ROCHESTER

ENTRY = {
    "pog": "MUO",
    "file": "RoccoR2018UL",
    "format": "rochester",
    "default": "nominal",
    "eras": [{"eras": ["2018"], "working_points": {"nominal": {}}}],
}


@pytest.fixture(autouse=True)
def _entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue know one table, whatever its data say."""
    monkeypatch.setattr(payload_entries, "_entries", lambda: {"rochester": Entry.model_validate(ENTRY)})


def resolve(*folders: Path) -> CorrectionRecord:
    return Catalogue(folders).resolve("rochester", era="2018", pog_folders=["2018_UL"])


@pytest.mark.parametrize(
    "place",
    [
        "pog/MUO/2018_UL/RoccoR2018UL.txt",
        "pog/POG/MUO/2018_UL/RoccoR2018UL.txt",
        "pog/MUO/2018_UL/2025-08-14/RoccoR2018UL.txt.gz",
        "pog/rochester/RoccoR2018UL.txt.gz",
        "rochester/RoccoR2018UL.txt.gz",
    ],
)
def test_places(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(ROCHESTER.encode()) if path.suffix == ".gz" else ROCHESTER.encode())
    record = resolve(tmp_path / "pog")
    assert record.path == path
    assert (record.keys, record.version) == ({}, 0)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_place_is_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        resolve(tmp_path / "pog")
    for place in ("pog/MUO/2018_UL", "pog/rochester", "rochester"):
        assert f"{tmp_path / place}/RoccoR2018UL.txt[.gz]" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "line 1 begins with '<html>', not with 'NSET'"),
        ("", "line 1 is missing, not with 'NSET'"),
        (ROCHESTER.replace("NMEM", "NSET"), "line 2 begins with 'NSET', not with 'NMEM'"),
        (ROCHESTER.replace("RETA", "XETA"), "have no 'RETA'"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rochester/RoccoR2018UL.txt"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        resolve(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "RoccoR2018UL.txt.gz"
    path.write_bytes(gzip.compress(ROCHESTER.encode())[:-12])
    with pytest.raises(UserError, match=r"RoccoR2018UL\.txt\.gz is not a table of Rochester corrections"):
        check_rochester_table(path)
    path.write_bytes(b"NSET \xff\xfe")
    with pytest.raises(UserError, match="Copy it again"):
        check_rochester_table(path)


def test_the_real_tables(real: Path) -> None:
    for name in ("RoccoR2018UL.txt.gz", "RoccoR2018.txt.gz"):
        check_rochester_table(real / "rochester" / name)
    assert resolve(real / "pog").path == real / "rochester/RoccoR2018UL.txt.gz"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "rochster"}, "correctionlib"),
        ({"eras": [{"eras": ["2018"], "working_points": {"nominal": "a_key"}}]}, "has no keys"),
        ({"format": "correctionlib"}, "needs 'versions'"),
    ],
)
def test_entries_that_contradict_themselves(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Entry.model_validate({**ENTRY, **change})
