"""A folder of correction files on a web server: each file is copied to a cache, once, and its hash kept beside it.

Only HTTPS is read, and the certificate of the server is always verified; HTTP is for a server on this machine alone.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import ipaddress
import json
import os
import re
import ssl
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from ..errors import UserError

TIMEOUT = 60.0
"""Seconds without an answer after which a server counts as not there."""
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_LISTED = re.compile(r"""href=["']?(?:\./)?([^"'/?#<>\s]+)/["'\s>]""", re.IGNORECASE)
_MISSING = (404, 410)


def is_address(text: str) -> bool:
    """Return whether `text` is an address such as `https://…`, not a path."""
    return _ADDRESS.match(text) is not None


class WebFolder(NamedTuple):
    """A folder at an address; `cache` holds its copies."""

    url: str
    cache: Path

    @classmethod
    def of(cls, url: str, cache: Path) -> WebFolder:
        """Return the folder at `url`, copied to `cache/<host>/<path>`.

        Raises UserError if the address is not HTTPS, or has a password or a query in it.
        """
        parts = urlsplit(url)
        if not _is_allowed(url):
            raise UserError(
                f"The address {parts.scheme}://{parts.hostname}{parts.path} of correction files is not read: give one "
                "that starts with https:// (http:// is for a server on this machine alone)."
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UserError(
                f"The address of correction files at {parts.hostname} has a user name, a query or a fragment in it. "
                "Give the address of the folder alone."
            )
        place = quote(parts.netloc, safe="") + quote(parts.path.rstrip("/"))
        if ".." in place.split("/"):
            raise UserError(f"The address {url} of correction files has '..' in it; give it without.")
        return cls(url.rstrip("/") + "/", cache / place)

    def address_of(self, relative: str) -> str:
        """Return the address of the file at `relative`."""
        return urljoin(self.url, quote(relative))

    def copy_of(self, relative: str) -> Path | None:
        """Return the copy of the file at `relative` if there is a sound one: its hash is the one kept beside it."""
        path = self.cache / relative
        try:
            kept = _hash_file(path).read_text(encoding="utf-8").split()[0]
            return path if hashlib.sha256(path.read_bytes()).hexdigest() == kept else None
        except (OSError, IndexError, UnicodeDecodeError):
            return None

    def fetch(self, relative: str) -> Path | None:
        """Return a new copy of the file at `relative`; None if the server has no such file.

        The copy appears whole or not at all. Raises UserError if the server does not answer, refuses, or sends
        something else than what the name promises.
        """
        content = self._get(self.address_of(relative))
        if content is None:
            return None
        _check_content(self.address_of(relative), content)
        path = self.cache / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
            digest = hashlib.sha256(content).hexdigest()
            _write(_hash_file(path), f"{digest}  {self.address_of(relative)}\n".encode())
        except OSError as error:
            raise UserError(
                f"The copy {path} of a correction file cannot be written ({error.strerror}). Make room, or name "
                "another cache folder in MUCOFFEA_CACHE."
            ) from error
        return path

    def subfolders(self, relative: str) -> list[str]:
        """Return the folders that the server lists in its page for the folder `relative`, sorted."""
        page = self._get(self.address_of(relative).rstrip("/") + "/")
        names = _LISTED.findall(page.decode("utf-8", "replace")) if page else []
        return sorted({name for name in names if name not in (".", "..")})

    def _get(self, address: str) -> bytes | None:
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context()), _OnlyHTTPS()
        )
        try:
            with opener.open(address, timeout=TIMEOUT) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _MISSING:
                return None
            raise UserError(
                f"The server answers {error.code} ({error.reason}) for {address}. If it asks for a login, copy the "
                "files to a folder by hand, and name that in MUCOFFEA_CORRECTIONS."
            ) from None
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are of OSError
            raise UserError(
                f"{address} cannot be read: {getattr(error, 'reason', error) or type(error).__name__}. Mend the "
                "address or the network, or take it out of the search path (MUCOFFEA_CORRECTIONS)."
            ) from None


class _OnlyHTTPS(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where the same rule holds as for the first address."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not _is_allowed(newurl) or (req.type == "https" and urlsplit(newurl).scheme != "https"):
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_allowed(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_content(address: str, content: bytes) -> None:
    """Look whether the content is what the name promises: servers send a page for a login with status 200."""
    try:
        text = gzip.decompress(content) if address.endswith(".gz") else content
        if address.removesuffix(".gz").endswith(".json"):
            json.loads(text)
        elif text.lstrip()[:1] == b"<":
            raise ValueError("it is a web page")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(
            f"What the server sends for {address} is no such file ({type(error).__name__}: {str(error)[:100]}); it may "
            "be a page for a login, or cut short. Nothing was kept of it."
        ) from error


def _hash_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write(path: Path, content: bytes) -> None:
    """Write under a temporary name, flush to the disk, then rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
