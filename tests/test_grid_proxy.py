"""The proxy of a grid run: there, readable, valid long enough; its content is never shown."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mucoffea.cli.findings import Finding
from mucoffea.cli.grid_proxy import expires, proxy_findings, proxy_path, servers

PRIVATE, PUBLIC = ("xrootd-cms.infn.it",), ("eospublic.cern.ch",)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates with their keys, as a proxy file has them: one valid for two days, one that has expired."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not here")
    folder = tmp_path_factory.mktemp("proxies")
    made = {}
    for name, days in (("valid", "2"), ("expired", "-1")):
        key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
        request = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me", "-keyout", str(key)]
        subprocess.run([*request, "-out", str(folder / "csr")], check=True, capture_output=True)
        sign = ["openssl", "x509", "-req", "-in", str(folder / "csr"), "-signkey", str(key), "-days", days]
        subprocess.run([*sign, "-out", str(certificate)], check=True, capture_output=True)
        made[name] = folder / name
        made[name].write_bytes(certificate.read_bytes() + key.read_bytes())
    return made


def found(hosts: tuple[str, ...], seconds: float | None = None) -> Finding:
    (finding,) = proxy_findings(hosts, seconds=seconds)
    assert "PRIVATE KEY" not in finding.message
    assert "MII" not in finding.message  # how every certificate in PEM format begins
    return finding


def test_where_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("X509_USER_PROXY", "/a/proxy")
    assert proxy_path() == Path("/a/proxy")
    monkeypatch.delenv("X509_USER_PROXY")
    monkeypatch.setattr("os.getuid", lambda: 1234)
    assert proxy_path() == Path("/tmp/x509up_u1234")


def test_only_grid_servers_ask_for_one():
    addresses = ["/a/b.root", "https://x.org/b.root", "root://eospublic.cern.ch//eos/b.root", "root://me@h.org:1094//b"]
    assert servers(addresses) == ("eospublic.cern.ch", "h.org")
    assert list(proxy_findings(())) == []


def test_validity(proxies: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    left = expires(proxies["valid"].read_bytes()) - datetime.now(UTC)
    assert timedelta(days=1.9) < left < timedelta(days=2.1)
    monkeypatch.setenv("X509_USER_PROXY", str(proxies["valid"]))
    assert found(PRIVATE, 3600).level == "ok"
    finding = found(PRIVATE, 3 * 86400)
    assert finding.level == "warning"
    assert "before the end of a run of about 72.0 h" in finding.message
    monkeypatch.setenv("X509_USER_PROXY", str(proxies["expired"]))
    assert (found(PRIVATE).level, found(PUBLIC).level) == ("error", "warning")
    assert "has expired" in found(PRIVATE).message
    assert "voms-proxy-init" in found(PRIVATE).message


def test_one_that_is_missing_or_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    assert (found(PRIVATE).level, found(PUBLIC).level) == ("warning", "ok")
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path))
    assert "cannot be read (Is a directory)" in found(PRIVATE).message
    (tmp_path / "text").write_text("not a certificate")
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "text"))
    assert "cannot be told" in found(PRIVATE).message


def test_without_anything_to_read_it_with(proxies: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("X509_USER_PROXY", str(proxies["valid"]))
    assert found(PRIVATE).level == "warning"
