"""A file server for tests: HTTP with ranges, as uproot reads it, that refuses whoever lacks the token."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, token: str, *arguments: object) -> None:
        self.folder, self.token = folder, token
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        address = urlsplit(self.path)
        path = self.folder / unquote(address.path).lstrip("/")
        if parse_qs(address.query).get("authz") != [f"Bearer {self.token}"]:
            return self._end(401, b"", body)
        if not path.is_file():
            return self._end(404, b"", body)
        content = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            return self._end(200, content, body)
        start, stop = int(found[1]), min(int(found[2] or len(content)), len(content) - 1) + 1
        return self._end(206, content[start:stop], body, f"bytes {start}-{stop - 1}/{len(content)}")

    def _end(self, status: int, content: bytes, body: bool, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


@contextmanager
def file_server(folder: Path, token: str) -> Iterator[str]:
    """Serve ``folder`` to those with ``?authz=Bearer%20TOKEN``; yields ``host:port``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder, token))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
