"""Small correction files for tests, in the layouts of the POGs, and a server that counts what it is asked for."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TIGHT = "NUM_TightID_DEN_TrackerMuons"
ETA, PT = (-2.4, 0.0, 2.4), (15.0, 30.0, 60.0, 120.0)
ROCHESTER = "NSET 1\nNMEM 1\nTVAR 0\nCPHI 16\nCETA 1 -2.4 2.4\nRMIN 6\nRTRK 13\nRETA 1 0 2.4\n0 0 T 0 0 0.0 1.0\n"


def table(values: Sequence[float], edges: Mapping[str, Sequence[float]] | None = None, flow: Any = "error") -> Any:
    """Return bins of eta and pt (or other inputs) with these values."""
    axes = edges or {"eta": ETA, "pt": PT}
    return {
        "nodetype": "multibinning",
        "inputs": list(axes),
        "edges": [list(one) for one in axes.values()],
        "content": list(values),
        "flow": flow,
    }


def scale_factor(
    key: str = TIGHT, scale: float = 1.0, version: int = 2, changed: Mapping[int, float] | None = None
) -> Any:
    """Return a muon scale factor in 2 × 3 bins of eta and pt with `nominal` and `stat`; `changed` bins by factors."""
    nominal = [scale * (0.9 + 0.01 * place) * (changed or {}).get(place, 1.0) for place in range(6)]
    branches = {"nominal": table(nominal), "stat": table([0.01] * 6)}
    return correction(
        key, {"eta": "real", "pt": "real", "scale_factors": "string"}, category("scale_factors", branches), version
    )


def category(name: str, branches: Mapping[Any, Any], default: Any = None) -> Any:
    """Return a choice of branches by a text or whole number."""
    content = [{"key": key, "value": value} for key, value in branches.items()]
    return {"nodetype": "category", "input": name, "content": content, "default": default}


def correction(key: str, inputs: Mapping[str, str], data: Any, version: int = 2) -> Any:
    """Return a correction as it stands in a file."""
    variables = [{"name": name, "type": kind} for name, kind in inputs.items()]
    output = {"name": "weight", "type": "real"}
    return {"name": key, "version": version, "inputs": variables, "output": output, "data": data}


def write(path: Path, *corrections: Any, compounds: Sequence[Any] = ()) -> Path:
    """Write a correctionlib file, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema_version": 2, "description": "made for a test", "corrections": list(corrections)}
    if compounds:
        document["compound_corrections"] = list(compounds)
    text = json.dumps(document).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, asked: list[str], *arguments: Any, **options: Any) -> None:
        self.asked = asked
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://example.org/muon_Z.json")
            self.end_headers()
        elif self.path.startswith("/private"):
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        """Stay silent."""


@contextmanager
def web_server(folder: Path, context: Any = None) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder on this machine; yields ``host:port`` and the list of paths that were asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, asked, directory=str(folder)))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
