"""Correction files on a web server: copied once, with their hash, and never without TLS."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from mucoffea.corrections.catalogue import ENVIRONMENT, Catalogue, CorrectionRecord
from mucoffea.corrections.sources import split_search_path
from mucoffea.corrections.web_folder import WebFolder
from mucoffea.errors import UserError

from .support.pog_files import scale_factor, web_server, write

CAT = "Run2-2018-UL-NanoAODv9"


def resolve(*folders: str | Path, cache: Path, **options: object) -> CorrectionRecord:
    return Catalogue(folders, cache=cache, **options).resolve("muon_id", era="2018", pog_folders=["2018_UL", CAT])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("/a:/b:", ["/a", "/b"]),
        ("https://host/pog:/b", ["https://host/pog", "/b"]),
        ("/a:https://host:8443/pog:/b", ["/a", "https://host:8443/pog", "/b"]),
        ("https://host:8443", ["https://host:8443"]),
        ("https://host:b", ["https://host", "b"]),
        ("http://[::1]:80/x:/b", ["http://[::1]:80/x", "/b"]),
        ("https://one/a:https://two/b", ["https://one/a", "https://two/b"]),
    ],
)
def test_addresses_in_a_search_path_keep_their_colons(text: str, parts: list[str]) -> None:
    assert split_search_path(text) == parts


def test_a_file_is_copied_once_with_its_hash(tmp_path: Path) -> None:
    source = write(tmp_path / "www/POG/MUO/2018_UL/muon_Z.json.gz", scale_factor())
    with web_server(tmp_path / "www") as (host, asked):
        record = resolve(f"http://{host}", cache=tmp_path / "cache")
        assert record.path.is_relative_to(tmp_path / "cache")
        assert record.path.read_bytes() == source.read_bytes()
        assert record.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        kept = record.path.with_name("muon_Z.json.gz.sha256").read_text().split()
        assert kept == [record.sha256, f"http://{host}/POG/MUO/2018_UL/muon_Z.json.gz"]
        assert asked == ["/POG/MUO/2018_UL/muon_Z.json.gz"]
        assert resolve(f"http://{host}", cache=tmp_path / "cache") == record
        assert len(asked) == 1, "the copy is taken without asking again"
    assert resolve(f"http://{host}", cache=tmp_path / "cache") == record, "and without the server"
    assert [path.name for path in record.path.parent.iterdir() if path.name.startswith(".")] == []


def test_a_copy_that_was_damaged_is_fetched_anew(tmp_path: Path) -> None:
    write(tmp_path / "www/MUO/2018_UL/muon_Z.json", scale_factor())
    with web_server(tmp_path / "www") as (host, asked):
        record = resolve(f"http://{host}/", cache=tmp_path / "cache")
        record.path.write_bytes(record.path.read_bytes()[:-10])
        before = len(asked)
        assert resolve(f"http://{host}/", cache=tmp_path / "cache") == record
        assert asked[-1] == "/MUO/2018_UL/muon_Z.json"
        assert len(asked) > before


def test_dated_folders_come_from_the_list_of_the_server(tmp_path: Path) -> None:
    for date, scale in (("2024-01-31", 0.7), ("2026-06-18", 0.8), ("latest", 0.9)):
        write(tmp_path / f"www/MUO/{CAT}/{date}/muon_Z.json.gz", scale_factor(scale=scale))
    with web_server(tmp_path / "www") as (host, asked):
        assert resolve(f"http://{host}", cache=tmp_path / "cache").path.parent.name == "2026-06-18"
        pinned = resolve(f"http://{host}", cache=tmp_path / "cache", dates={"MUO": "2024-01-31"})
        assert pinned.path.parent.name == "2024-01-31"
        assert not any("latest" in path for path in asked)


def test_folders_and_addresses_in_one_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "local/MUO/2018_UL/muon_Z.json", scale_factor(scale=0.5))
    write(tmp_path / "www/MUO/2018_UL/muon_Z.json", scale_factor())
    monkeypatch.setenv("MUCOFFEA_CACHE", str(tmp_path / "cache"))
    with web_server(tmp_path / "www") as (host, asked):
        monkeypatch.setenv(ENVIRONMENT, f"{tmp_path}/local:http://{host}")
        found = Catalogue.from_environment().resolve("muon_id", era="2018", pog_folders=["2018_UL"])
        assert found.path.is_relative_to(tmp_path / "local")
        assert asked == []
        monkeypatch.setenv(ENVIRONMENT, f"http://{host}:{tmp_path}/local")
        found = Catalogue.from_environment().resolve("muon_id", era="2018", pog_folders=["2018_UL"])
        assert found.path.is_relative_to(tmp_path / "cache/corrections")


def test_what_is_not_there_is_said_with_its_addresses(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with web_server(tmp_path / "www") as (host, _), pytest.raises(UserError) as error:
        resolve(f"http://{host}/pog", cache=tmp_path / "cache")
    assert f"http://{host}/pog/MUO/2018_UL/muon_Z.json[.gz]" in str(error.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["muon_Z.json", "muon_Z.json.gz"])
def test_a_page_for_a_login_is_not_taken_for_the_file(tmp_path: Path, name: str) -> None:
    page = tmp_path / "www/POG/MUO/2018_UL" / name
    page.parent.mkdir(parents=True)
    page.write_text("<!DOCTYPE html><html>Sign in</html>")
    with web_server(tmp_path / "www") as (host, _), pytest.raises(UserError, match="is no such file"):
        resolve(f"http://{host}", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_refusal_and_a_silent_server_are_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with web_server(tmp_path / "www") as (host, _), pytest.raises(UserError, match=r"answers 403 .*login"):
        resolve(f"http://{host}/private", cache=tmp_path / "cache")
    with pytest.raises(UserError, match=r"cannot be read.*MUCOFFEA_CORRECTIONS"):
        resolve(f"http://{host}", cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/pog", "starts with https://"),
        ("ftp://example.org/pog", "starts with https://"),
        ("file:///etc", "starts with https://"),
        ("https:///pog", "starts with https://"),
        ("https://me:secret@example.org/pog", "has a user name"),
        ("https://example.org/pog?token=secret", "has a user name, a query"),
        ("https://example.org/../etc", r"has '\.\.' in it"),
    ],
)
def test_only_https_is_read(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Catalogue([url], cache=tmp_path)
    assert "secret" not in str(error.value)


def test_a_redirection_away_from_https_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with web_server(tmp_path / "www") as (host, _), pytest.raises(UserError, match=r"redirects to .* not HTTPS"):
        resolve(f"http://{host}/away", cache=tmp_path / "cache")


def test_a_server_without_a_trusted_certificate_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path / "server.pem"))
    write(tmp_path / "www/POG/MUO/2018_UL/muon_Z.json", scale_factor())
    with web_server(tmp_path / "www", context) as (host, asked):
        folder = WebFolder.of(f"https://{host}", tmp_path / "cache")
        with pytest.raises(UserError, match="CERTIFICATE_VERIFY_FAILED"):
            folder.fetch("POG/MUO/2018_UL/muon_Z.json")
    assert asked == []


def _self_signed(path: Path) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words = ["req", "-x509", *curve, "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    subprocess.run([openssl, *words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    path.write_bytes(key.read_bytes() + certificate.read_bytes())
    return path
