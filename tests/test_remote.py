"""Files on a real XRootD server, started here from its Debian package."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether something listens on ``port``."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(toys: Path) -> Iterator[str]:
    """The address of a server that exports ``dy.root`` and ``zz4l.root`` below ``/store``."""
    if shutil.which("xrootd") is None:
        pytest.skip("there is no xrootd server here (Debian package xrootd-server)")
    for package in ("XRootD", "fsspec_xrootd"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the Python package {package} is missing (pip install -e '.[grid]')")
    # The server refuses to run as root and drops to the user xrootd, who has to get here: not a folder of pytest.
    root = Path(tempfile.mkdtemp(prefix="xrootd-"))
    root.chmod(0o755)
    store, run = root / "data" / "store", root / "run"
    store.mkdir(parents=True)
    run.mkdir(mode=0o777)
    run.chmod(0o777)
    for name in ("dy.root", "zz4l.root"):
        shutil.copy(toys / name, store / name)
        (store / name).chmod(0o644)
    port = free_port()
    config = root / "xrootd.cfg"
    config.write_text(
        f"all.export /store r/o\noss.localroot {root / 'data'}\nall.adminpath {run}\nall.pidpath {run}\n"
        f"xrd.port {port}\nxrootd.async off\n"
    )
    command = ["xrootd", "-c", str(config), "-l", str(run / "log"), "-I", "v4"]
    if os.geteuid() == 0:
        command += ["-R", "xrootd"]
    process = subprocess.Popen(command, cwd=run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        if answers(port) or process.poll() is not None:
            break
        time.sleep(0.1)
    if not answers(port):
        pytest.fail(f"the xrootd server did not start: {(run / 'log').read_text()[-2000:]}")
    yield f"root://localhost:{port}//store"
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    shutil.rmtree(root)


def run_program(fileset: dict, folder: Path, *more: str) -> subprocess.CompletedProcess:
    """Run ``python main.py`` on a fileset, with short waits for servers."""
    path = folder / "fileset.json"
    path.write_text(json.dumps(fileset))
    environment = {**os.environ, "XRD_CONNECTIONWINDOW": "1", "XRD_CONNECTIONRETRY": "1"}
    main = Path(__file__).parents[1] / "main.py"
    words = ["--datasets", str(path), "--processor", "cms_dimuon", "--output-dir", str(folder / "out"), "--no-plots"]
    return subprocess.run(
        [sys.executable, str(main), *words, *more], env=environment, capture_output=True, text=True, timeout=120
    )


def as_dataset(*addresses: str) -> dict:
    return {"files": dict.fromkeys(addresses, "Events"), "metadata": {"isMC": True, "XS": 6077.22}}


def test_the_same_result_as_from_local_files(server: str, toys: Path, tmp_path: Path):
    flows = []
    for number, place in enumerate((server, str(toys))):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = run_program({"dy": as_dataset(f"{place}/dy.root", f"{place}/zz4l.root")}, folder, "--chunksize", "7000")
        assert done.returncode == 0, done.stdout + done.stderr
        flows.append((folder / "out" / "cutflow.json").read_text())
    assert flows[0] == flows[1]
    assert json.loads(flows[0])["dy"]["mass_window"]["n"] > 0


def test_a_file_that_the_server_does_not_have_is_named(server: str, tmp_path: Path):
    fileset = {"good": as_dataset(f"{server}/dy.root"), "bad": as_dataset(f"{server}/nope.root")}
    done = run_program(fileset, tmp_path, "--executor", "futures", "--workers", "2")
    assert done.returncode == 2
    assert f"{server}/nope.root cannot be reached" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    good, bad = report["datasets"]
    assert good["events_processed"] == 20_000
    assert list(bad["bad_files"]) == ["/store/nope.root"]


def test_a_dead_server_ends_soon_with_2(tmp_path: Path):
    if importlib.util.find_spec("fsspec_xrootd") is None:
        pytest.skip("the Python package fsspec_xrootd is missing (pip install -e '.[grid]')")
    address = f"root://localhost:{free_port()}//store"
    start = time.monotonic()
    done = run_program({"dy": as_dataset(*(f"{address}/{n}.root" for n in range(30)))}, tmp_path)
    assert done.returncode == 2
    assert "none of its 30 files could be read" in done.stderr
    assert time.monotonic() - start < 60
