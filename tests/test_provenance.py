"""The provenance of a result: complete, true, free of secrets, and the only product that differs between runs."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uproot
from mucoffea.cli.code_state import code_state, software
from mucoffea.errors import UserError
from mucoffea.executors.keys import source_digests
from mucoffea.outputs.bundle import read_bundle
from mucoffea.outputs.provenance import Provenance, read_provenance
from mucoffea.processors.cms_dimuon import Dimuon

from .support.command_line import Command, run_words, write_demo_dataset
from .support.http_server import file_server
from .support.results import read_report

TOKEN = "abcDEF123-the-token-456ghi"
PASSWORD = "pass-the-word-789"


@pytest.fixture
def made(command: Command, toys: Path, three_files: list[Path], tmp_path: Path, monkeypatch) -> Path:
    """The result of a run with corrections and settings."""
    monkeypatch.setenv("MUCOFFEA_CORRECTIONS", str(toys))
    dataset = write_demo_dataset(tmp_path / "dy.yaml", three_files)
    config = tmp_path / "mine.yaml"
    config.write_text("muon: {min_pt: 22}\n")
    more = ("--config", config, "--set", "leading_min_pt=30", "--max-files", 2, "--chunksize", 200)
    assert command(*run_words(dataset, tmp_path / "out", *more)).code == 0
    return tmp_path / "out"


def test_everything_that_made_a_result_is_recorded(made: Path, toys: Path, three_files: list[Path], tmp_path: Path):
    found = read_provenance(made)
    assert found is not None
    # Code and software.
    assert found.keys.sources == source_digests(Dimuon.__module__)
    assert found.software == software()
    assert {"coffea", "awkward", "numpy", "correctionlib"} <= set(found.software.packages)
    # What was asked for.
    assert found.command_line[:3] == ("python", "main.py", "--datasets")
    assert found.working_directory == str(Path.cwd())
    assert (found.arguments["max_files"], found.arguments["chunksize"], found.arguments["workers"]) == (2, 200, 4)
    assert found.config.text == "muon: {min_pt: 22}\n"
    assert found.parameters == read_report(made)["parameters"]
    assert found.changed_parameters == {
        "muon.min_pt": {"value": 22.0, "default": 20.0},
        "leading_min_pt": {"value": 30.0, "default": 26.0},
    }
    # Datasets and files.
    (one,) = found.datasets
    assert one.definition["cross_section"] == {
        **{"value": 100.0, "unit": "pb", "source": "this test", "order": None, "placeholder": False}
    }
    assert one.declared_in.path == str(tmp_path / "dy.yaml")
    assert one.declared_in.sha256 == hashlib.sha256((tmp_path / "dy.yaml").read_bytes()).hexdigest()
    assert (one.files_available, one.luminosity["unit"]) == (3, "/pb")
    assert [file.read for file in found.files] == [str(path) for path in three_files[:2]]
    for file in found.files:
        with uproot.open(file.read) as opened:
            assert (file.uuid, file.entries) == (str(opened.file.uuid), opened["Events"].num_entries)
        assert file.size == Path(file.read).stat().st_size
    # Corrections; data alone are masked by luminosity.
    assert {one.name for one in found.corrections} == {
        *("pileup", "muon_reco", "muon_id", "muon_iso", "muon_trigger", "muon_momentum"),
        *("electron_reco", "electron_id", "met_xy"),
    }
    for correction in found.corrections:
        assert Path(correction.path).is_relative_to(toys)
        assert correction.sha256 == hashlib.sha256(Path(correction.path).read_bytes()).hexdigest()
        assert correction.keys
        assert correction.working_point
    # How it went.
    assert (found.machine.executor, found.effort.events) == ("iterative", 600)
    assert (found.ledger.planned, found.ledger.done, found.ledger.failed, found.ledger.lost) == (4, 4, 0, 0)
    assert found.ledger.attempts == 4
    assert {"Muon_pt", "genWeight"} <= set(found.effort.branches_read)
    assert found.effort.bytes_read > 1000
    assert found.started < found.ended < datetime.now(UTC)
    assert timedelta(seconds=found.effort.wall_seconds) == pytest.approx(
        found.ended - found.started, abs=timedelta(milliseconds=1)
    )
    assert found.started.utcoffset() == timedelta(0)


def test_the_report_says_nothing_of_the_run_itself(made: Path):
    text = (made / "report.json").read_text()
    for word in ("seconds", "command_line", "iterative", "executor", "host", str(made.parent)):
        # Names of input files that could not be read would be there; all could.
        assert word not in text


def test_a_result_without_provenance_can_be_read(made: Path):
    (made / "provenance.json").unlink()
    assert read_provenance(made) is None
    assert read_bundle(made).report.processor == "cms_dimuon"


def test_a_damaged_or_later_provenance_is_a_users_error(made: Path):
    path = made / "provenance.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(UserError, match="format 99, made by a later mucoffea"):
        read_provenance(made)
    path.write_text(path.read_text()[:500])
    with pytest.raises(UserError, match="damaged"):
        read_provenance(made)


# The state of the code.


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("a = 1\n")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def test_the_state_of_a_checkout(checkout: Path):
    clean = code_state(checkout)
    assert (len(clean.commit), clean.dirty, clean.diff_sha256, clean.changed_files) == (40, False, "", ())
    (checkout / "notes.txt").write_text("no source")
    assert code_state(checkout) == clean
    (checkout / "code.py").write_text("a = 2\n")
    (checkout / "new ü.py").write_text("b = 1\n")
    first = code_state(checkout)
    assert (first.commit, first.dirty, first.changed_files) == (clean.commit, True, ("code.py", "new ü.py"))
    (checkout / "code.py").write_text("a = 3\n")
    second = code_state(checkout)
    assert len({first.diff_sha256, second.diff_sha256, ""}) == 3


def test_a_state_that_nobody_knows_is_unknown(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def is_unknown(folder: Path) -> bool:
        state = code_state(folder)
        return (state.commit, state.dirty, state.version) == ("unknown", None, software().packages["mucoffea"])

    # Installed somewhere below a checkout of something else, or no checkout at all.
    (checkout / "site-packages").mkdir()
    assert is_unknown(checkout / "site-packages")
    assert is_unknown(tmp_path)
    # A variable that names another repository is not believed.
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    assert is_unknown(tmp_path)
    assert not is_unknown(checkout)
    # A folder of somebody else, as git refuses it; and no git.
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    assert is_unknown(checkout)
    (programs / "git").unlink()
    assert is_unknown(checkout)


# Secrets.


@pytest.fixture(scope="module")
def served(three_files: list[Path]) -> Iterator[str]:
    """Address of a server of ``three_files`` that wants a token."""
    pytest.importorskip("aiohttp")
    with file_server(three_files[0].parent, TOKEN) as host:
        yield f"http://somebody:{PASSWORD}@{host}"


def secret_free(folder: Path, *texts: str) -> bool:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert contents
    return not any(word.encode() in one for word in (TOKEN, PASSWORD) for one in (*contents, *map(str.encode, texts)))


def test_a_token_is_used_and_never_written(command: Command, served: str, three_files: list[Path], tmp_path: Path):
    address = f"{served}/{three_files[0].name}?authz=Bearer%20{TOKEN}"
    ended = command(*run_words(address, tmp_path / "out", "--chunksize", 100))
    assert ended.code == 0
    assert secret_free(tmp_path / "out", ended.out, ended.err)
    (one,) = read_report(tmp_path / "out")["datasets"]
    assert (one["name"], one["events_processed"]) == (three_files[0].stem, 300)
    found = read_provenance(tmp_path / "out")
    assert isinstance(found, Provenance)
    assert [file.lfn for file in found.files] == [f"/{three_files[0].name}"]
    assert "authz=***" in found.files[0].read
    ended = command("explain", tmp_path / "out")
    assert ended.code == 0
    assert secret_free(tmp_path / "out", ended.out, ended.err)
    # Nobody knows the token any more, so the result cannot be made again from the address on the command line.
    ended = command("rerun", tmp_path / "out")
    assert ended.code == 1
    assert "had a secret in it, which is not recorded" in ended.err
    # A file that is not there, and one whose token is refused: said, without the address's secrets.
    good, gone = three_files[1].name, "gone.root"
    fileset = tmp_path / "fileset.json"
    addresses = [f"{served}/{name}?authz=Bearer%20{TOKEN}" for name in (good, gone)]
    addresses.append(f"{served}/{three_files[2].name}?authz=Bearer%20{TOKEN}x")
    fileset.write_text(json.dumps({"dy": {"files": dict.fromkeys(addresses, "Events"), "metadata": {"isMC": True}}}))
    ended = command(*run_words(fileset, tmp_path / "two"))
    assert ended.code == 2
    assert "gone.root" in ended.out
    assert secret_free(tmp_path / "two", ended.out, ended.err)
    assert len(read_report(tmp_path / "two")["datasets"][0]["bad_files"]) == 2
