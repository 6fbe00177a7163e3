"""The grid proxy: where it is, and until when it is valid. Its content goes nowhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .findings import Finding, Level

COMPONENT = "grid proxy"
#: Servers that ask nobody for a proxy.
PUBLIC = ("eospublic.cern.ch",)
SCHEMES = ("root", "roots", "xroot", "xrootd")
#: What makes a proxy, for messages.
MAKE = "Make one with: voms-proxy-init -voms cms -rfc -valid 192:00"


def servers(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return the grid servers among the addresses of files, each once, without port."""
    found = (one.split("://", 1) for one in addresses if "://" in one)
    names = (rest.split("/", 1)[0].rsplit("@", 1)[-1] for scheme, rest in found if scheme.lower() in SCHEMES)
    return tuple(dict.fromkeys(name.split(":", 1)[0] for name in names))


def proxy_path() -> Path:
    """Return where the proxy is expected: ``$X509_USER_PROXY``, else ``/tmp/x509up_u<user id>``."""
    named = os.environ.get("X509_USER_PROXY")
    return Path(named) if named else Path(f"/tmp/x509up_u{os.getuid()}")  # noqa: S108 (the place that the grid tools use)


def proxy_findings(hosts: Sequence[str], *, seconds: float | None = None) -> Iterator[Finding]:
    """Yield what is to be said of the proxy that ``hosts`` may ask for; nothing without hosts.

    Args:
        hosts: grid servers of the run.
        seconds: the run is expected to take; None if not known.
    """
    if not hosts:
        return
    private = [one for one in hosts if one not in PUBLIC]
    path = proxy_path()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        yield from _missing(path, private)
        return
    except OSError as error:
        yield _finding("warning", f"{path} cannot be read ({error.strerror}).")
        return
    try:
        expiry = expires(content)
    except ValueError as error:
        yield _finding("warning", f"until when {path} is valid cannot be told: {error}.")
        return
    yield _lifetime(path, expiry, private, seconds)


def _missing(path: Path, private: Sequence[str]) -> Iterator[Finding]:
    if private:
        yield _finding("warning", f"there is none at {path}; {', '.join(private)} may ask for one. {MAKE}")
    else:
        yield _finding("ok", f"there is none, and {', '.join(PUBLIC)} asks for none")


def _lifetime(path: Path, expiry: datetime, private: Sequence[str], seconds: float | None) -> Finding:
    left = (expiry - datetime.now(UTC)).total_seconds()
    when = f"{expiry:%Y-%m-%d %H:%M} UTC"
    if left <= 0:
        return _finding("error" if private else "warning", f"{path} has expired on {when}. {MAKE}")
    if seconds is not None and left < seconds:
        message = f"{path} expires on {when}, before the end of a run of about {seconds / 3600:.1f} h. {MAKE}"
        return _finding("warning", message)
    return _finding("ok", f"valid until {when}, {left / 3600:.1f} h")


def expires(certificates: bytes) -> datetime:
    """Return when the first certificate of a chain in PEM format to expire does so.

    Read with the package ``cryptography`` where it is installed, else with the program ``openssl``, which sees the
    first certificate only: the proxy itself.

    Raises:
        ValueError: there is no certificate in it, or nothing to read it with.
    """
    if importlib.util.find_spec("cryptography") is not None:
        from cryptography.x509 import load_pem_x509_certificates

        return min(one.not_valid_after_utc for one in load_pem_x509_certificates(certificates))
    program = shutil.which("openssl")
    if program is None:
        raise ValueError("neither the Python package cryptography nor the program openssl is installed")
    ended = subprocess.run(  # noqa: S603 (a fixed list of arguments, no shell)
        [program, "x509", "-noout", "-enddate"], input=certificates, capture_output=True, timeout=10, check=False
    )
    text = ended.stdout.decode(errors="replace").strip()
    if ended.returncode != 0 or not text.startswith("notAfter="):
        raise ValueError("it holds no certificate in PEM format")
    return datetime.strptime(text.removeprefix("notAfter="), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


def _finding(level: Level, message: str) -> Finding:
    return Finding(level=level, component=COMPONENT, message=message)
