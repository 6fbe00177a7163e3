"""Paths and addresses of files: local or remote, the object after the colon, and the name common to all servers.

Addresses may carry secrets: a password before the server, a token or a signature after the question mark. Whoever
reads a file needs them; what is written or printed goes through :func:`redacted`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

_OBJECT = re.compile(r"^(?P<path>.*\.root):(?P<tree>[^:]+)$", re.DOTALL)
_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/]*)/*(?P<path>.*)$", re.DOTALL)

#: What stands in the place of a secret.
MASK = "***"
#: Query parameters that are secret, or belong to a signature and change with it: bearer tokens and macaroons (WLCG),
#: signed addresses of S3 (X-Amz-), Google (X-Goog-), CloudFront and Azure, capabilities of EOS, and the usual names.
_HIDDEN = (
    r"[\w.-]*(?:token|secret|passw|signature|credential|oauth|authz|authorization|api[_-]?key|access[_-]?key|macaroon|session)[\w.-]*"
    r"|x-(?:amz|goog)-[\w-]+|googleaccessid|key-pair-id|cap\.\w+|auth|sig|pwd|pass|key|jwt|ticket|policy|expires"
)
_SEPARATOR = r"(?:[?&;]|%3F|%26)"
_VALUE = r"[^\s&\"'<>\\]*"
_PARAMETER = re.compile(rf"(?P<name>{_SEPARATOR}(?:{_HIDDEN})(?:=|%3D)){_VALUE}", re.IGNORECASE)
_USER = re.compile(r"://[^\s/?#\"'<>\\]*@")
_BEARER = re.compile(r"(?P<name>(?:[Bb]earer|BEARER|[Aa]uthorization: *Basic)(?:\s|%20|\+)+)[\w.~+/=%-]+")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_PEM = re.compile(r"(?P<name>-----BEGIN [A-Z ]+-----)[^\"']*?(?:-----END [A-Z ]+-----|(?=[\"'])|\Z)")


def split_object(text: str) -> tuple[str, str | None]:
    """Split ``a.root:Events`` into path and tree; the tree is None where none is given."""
    found = _OBJECT.match(text)
    return (found["path"], found["tree"]) if found else (text, None)


def is_remote(path: str) -> bool:
    """Return whether ``path`` is on a server, such as ``root://…`` or ``https://…``."""
    found = _SCHEME.match(path)
    return found is not None and found["scheme"].lower() != "file"


def local_path(path: str, folder: Path | None = None) -> Path:
    """Return the absolute path of a local file; a relative one starts at ``folder`` (default: where we are)."""
    text = path.removeprefix("file://")
    return Path(os.path.normpath((folder or Path.cwd()).absolute() / Path(text).expanduser()))


def anchored(path: str, folder: Path) -> str:
    """Return ``path``, where it is local and relative, as an absolute path that starts at ``folder``."""
    return path if is_remote(path) else str(local_path(path, folder))


def server(path: str) -> str:
    """Return the server of an address with its port, without a user; an empty string for a local file."""
    found = _SCHEME.match(path) if is_remote(path) else None
    return found["server"].rpartition("@")[2] if found else ""


def redacted(text: str) -> str:
    """Return ``text``, an address or any text with addresses in it, with every secret masked.

    Masked are user and password before a server, query parameters that carry tokens or signatures, bearer tokens,
    and the content of keys and certificates. ``redacted(redacted(text)) == redacted(text)``.
    """
    text = _PEM.sub(rf"\g<name>{MASK}", text)
    text = _JWT.sub(MASK, _BEARER.sub(rf"\g<name>{MASK}", text))
    return _PARAMETER.sub(rf"\g<name>{MASK}", _USER.sub(f"://{MASK}@", text))


def redacted_content(value: Any) -> Any:
    """Return ``value``, made of mappings, lists and plain values, with every text in it (keys too) redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted_content(key): redacted_content(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redacted_content(inner) for inner in value)
    return value


#: A field of a model that never holds a secret.
Redacted = Annotated[str, AfterValidator(redacted)]


def without_secrets(path: str) -> str:
    """Return ``path``; of an address, without user and secret parameters: the same after a token was renewed."""
    if not is_remote(path):
        return path
    kept = _USER.sub("://", path)
    head, question, query = kept.partition("?")
    parts = [part for part in query.split("&") if redacted(f"?{part}") == f"?{part}"]
    return head + (question + "&".join(parts) if any(parts) else "")


def logical_name(path: str) -> str:
    """Return the name of a file that does not depend on the server it is read from, nor on a token for it.

    For CMS files that is everything from ``/store/``; else the path without scheme and server. Local files have their
    absolute path, with links resolved.
    """
    found = _SCHEME.match(without_secrets(path))
    if found is None or found["scheme"].lower() == "file":
        return os.path.realpath(local_path(path))
    tail = "/" + found["path"]
    start = tail.find("/store/")
    return tail[start:] if start >= 0 else tail


def expand(pattern: str) -> list[str]:
    """Return the absolute paths that match a local pattern, sorted; ``**`` goes through folders."""
    return sorted(glob.glob(str(local_path(pattern)), recursive=True))  # noqa: PTH207 - patterns may be absolute
