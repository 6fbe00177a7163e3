"""The lock of correction files: what it writes, what it refuses, and how it says so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from mucoffea.corrections.catalogue import Catalogue, CorrectionRecord
from mucoffea.corrections.lock import LUMINOSITY_MASK, Lock, LockChecker, LockedFile, relative_path, sha256_of
from mucoffea.errors import UserError

from .support.pog_files import TIGHT, scale_factor, web_server, write

CAT = "Run2-2018-UL-NanoAODv9"


def entry(path: Path, **changes: object) -> LockedFile:
    values = {
        "name": "muon_id",
        "era": "2018",
        "working_point": "tight",
        "path": relative_path(path, "MUO"),
        "keys": {"value": TIGHT},
        "version": 2,
        "sha256": sha256_of(path),
    }
    return LockedFile.model_validate({**values, **changes})


def resolve(folder: Path, lock: Path | None, **options: str) -> CorrectionRecord:
    return Catalogue([folder], lock=lock).resolve("muon_id", era="2018", pog_folders=["2018_UL", CAT], **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "pog/POG/MUO/2018_UL/muon_Z.json", scale_factor())


@pytest.fixture
def lock(tmp_path: Path, file: Path) -> Path:
    path = tmp_path / "corrections.lock"
    Lock(files=(entry(file),)).write(path)
    return path


def test_the_locked_file_is_taken(tmp_path: Path, file: Path, lock: Path) -> None:
    assert resolve(tmp_path / "pog", lock) == resolve(tmp_path / "pog", None)
    content = json.loads(lock.read_text())
    assert content["format"] == 1
    assert content["files"][0]["path"] == "POG/MUO/2018_UL/muon_Z.json"
    assert content["files"][0]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_another_hash_is_refused_with_both_hashes_and_the_way_out(tmp_path: Path, file: Path, lock: Path) -> None:
    before = sha256_of(file)
    write(file, scale_factor(changed={3: 1.0001}))
    with pytest.raises(UserError) as error:
        resolve(tmp_path / "pog", lock)
    message = str(error.value)
    for part in (str(file), before, sha256_of(file), str(lock), "corrections diff", "corrections lock --update"):
        assert part in message


def test_a_single_byte_is_enough(tmp_path: Path, file: Path, lock: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")  # the same values
    with pytest.raises(UserError, match="is not the file that the lock"):
        resolve(tmp_path / "pog", lock)


def test_a_newer_dated_folder_does_not_move_a_locked_run(tmp_path: Path) -> None:
    old = write(tmp_path / f"pog/MUO/{CAT}/2024-01-31/muon_Z.json.gz", scale_factor())
    path = tmp_path / "a.lock"
    Lock(files=(entry(old),)).write(path)
    write(tmp_path / f"pog/MUO/{CAT}/2026-06-18/muon_Z.json.gz", scale_factor(scale=0.5))
    assert resolve(tmp_path / "pog", None).path.parent.name == "2026-06-18"
    assert resolve(tmp_path / "pog", path).path == old
    old.unlink()
    with pytest.raises(UserError, match=r"2026-06-18/muon_Z\.json\.gz is not the file"):
        resolve(tmp_path / "pog", path)


def test_the_same_file_in_another_layout_is_the_same(tmp_path: Path, file: Path, lock: Path) -> None:
    other = tmp_path / f"mirror/MUO/{CAT}/2026-01-01/muon_Z.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(file.read_bytes())
    assert resolve(tmp_path / "mirror", lock).path == other


def test_what_is_not_in_the_lock_is_refused(tmp_path: Path, file: Path, lock: Path) -> None:
    write(file, scale_factor(), scale_factor("NUM_LooseID_DEN_TrackerMuons"))
    with pytest.raises(UserError, match=r"does not have the correction 'muon_id' \(loose\) of era 2018.*2018 tight"):
        resolve(tmp_path / "pog", lock, working_point="loose")


def test_other_keys_for_the_same_file_are_refused(tmp_path: Path, file: Path, lock: Path) -> None:
    Lock(files=(entry(file, keys={"value": "NUM_Other"}),)).write(lock)
    with pytest.raises(UserError, match="has other keys for muon_id tight of era 2018"):
        resolve(tmp_path / "pog", lock)


def test_the_hash_is_compared_before_the_file_is_read(tmp_path: Path, file: Path, lock: Path) -> None:
    file.write_text("{ no json")
    with pytest.raises(UserError, match="is not the file that the lock"):
        resolve(tmp_path / "pog", lock)


def test_a_luminosity_mask_is_locked_too(tmp_path: Path) -> None:
    name = "Cert_1_2_Golden.json"
    mask = tmp_path / "lumi" / name
    mask.parent.mkdir()
    mask.write_text('{"1": [[1, 2]]}')
    path = tmp_path / "a.lock"
    locked = LockedFile(name=LUMINOSITY_MASK, era="2018", path=relative_path(mask, "DC"), sha256=sha256_of(mask))
    Lock(files=(locked,)).write(path)
    search = Catalogue([tmp_path / "pog"], lock=path)
    assert search.find_luminosity_mask(name) == mask
    mask.write_text('{"1": [[1, 3]]}')
    with pytest.raises(UserError, match=r"Golden\.json is not the file that the lock"):
        search.find_luminosity_mask(name)
    with pytest.raises(UserError, match="does not have the luminosity mask 'Cert_3"):
        search.find_luminosity_mask("Cert_3_Golden.json")


def test_an_old_copy_of_a_web_folder_is_fetched_anew(tmp_path: Path, file: Path, lock: Path) -> None:
    with web_server(tmp_path / "pog") as (host, asked):

        def found(lock: Path | None) -> CorrectionRecord:
            search = Catalogue([f"http://{host}"], lock=lock, cache=tmp_path / "cache")
            return search.resolve("muon_id", era="2018", pog_folders=["2018_UL"])

        before = found(None).sha256
        write(file, scale_factor(scale=0.5))
        assert found(None).sha256 == before, "without a lock a copy stays"
        Lock(files=(entry(file),)).write(lock)
        assert found(lock).sha256 == sha256_of(file) != before
        assert found(lock).path.is_relative_to(tmp_path / "cache")
        assert len(asked) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ('{"format": 1}', r"is damaged \(files: Field required"),
        ('{"format": 2, "files": []}', "has format 2; this mucoffea reads format 1"),
        ('{"format": 1, "files": [{"name": "a"}]}', "is damaged"),
    ],
)
def test_a_lock_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.lock"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        LockChecker.read(path)


def test_a_missing_lock_names_the_closest(tmp_path: Path) -> None:
    (tmp_path / "paper.lock").write_text("{}")
    with pytest.raises(UserError, match=r"paperr\.lock cannot be read.*Did you mean 'paper\.lock'"):
        LockChecker.read(tmp_path / "paperr.lock")


def test_update_replaces_an_entry_and_keeps_the_others(tmp_path: Path, file: Path) -> None:
    first, second = entry(file), entry(file, working_point="loose")
    changed = entry(file, sha256="0" * 64)
    merged = Lock(files=(first, second)).merged([changed])
    assert merged.files == (changed, second)
    merged.write(tmp_path / "a.lock")
    again = LockChecker.read(tmp_path / "a.lock").lock
    assert sorted(map(str, again.files)) == sorted(map(str, merged.files))
    assert [one.working_point for one in again.files] == ["loose", "tight"], "sorted, so that versions can be compared"


@pytest.mark.parametrize(
    ("path", "relative"),
    [
        ("/cvmfs/x/POG/MUO/2018_UL/muon_Z.json.gz", "POG/MUO/2018_UL/muon_Z.json.gz"),
        ("/cvmfs/x/MUO/Run2/2024-01-31/muon_Z.json.gz", "MUO/Run2/2024-01-31/muon_Z.json.gz"),
        ("/home/MUO/pog/MUO/2018_UL/muon_Z.json", "MUO/2018_UL/muon_Z.json"),
        ("/data/rochester/RoccoR2018.txt", "rochester/RoccoR2018.txt"),
    ],
)
def test_relative_paths(path: str, relative: str) -> None:
    assert relative_path(Path(path), "MUO") == relative
