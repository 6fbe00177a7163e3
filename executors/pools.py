"""Where work runs: each executor is a context manager that yields a ``concurrent.futures`` pool."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ..errors import UserError, closest
from .open_files import close_files

#: Executors by name; the value says what they are.
EXECUTORS = {
    "iterative": "one item after the other, in this process",
    "futures": "worker processes on this machine",
    "dask-local": "a Dask cluster on this machine, with its dashboard",
}
#: Named in the command line's contract, built with the batch systems.
LATER = ("dask-htcondor", "dask-slurm", "dask-lxplus")


class InlinePool(Executor):
    """Run each call at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call ``fn`` now and return its finished future."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def check_executor(name: str, workers: int = 1) -> None:
    """Make sure that the executor exists and that its packages are installed.

    Raises:
        UserError: unknown name, the extra ``dask`` is missing, or ``workers`` is below 1.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}.")
    if name in LATER:
        raise UserError(
            f"The executor '{name}' is not available in this version: it needs the batch-system profiles, "
            f"which are not built yet. Available: {', '.join(EXECUTORS)}."
        )
    if name not in EXECUTORS:
        raise UserError(f"There is no executor '{name}'.{closest(name, EXECUTORS)} Available: {', '.join(EXECUTORS)}.")
    if name.startswith("dask") and importlib.util.find_spec("distributed") is None:
        raise UserError(
            f"The executor '{name}' needs Dask, an extra that is not installed: pip install 'mucoffea[dask]' "
            f"(in a checkout: pip install -e '.[dask]'). 'iterative' and 'futures' work without it."
        )


def open_pool(
    name: str, workers: int, *, announce: Callable[[str], None] = lambda _: None
) -> AbstractContextManager[Executor]:
    """Return the pool of executor ``name``; leaving its context stops the workers.

    Args:
        name: one of :data:`EXECUTORS`.
        workers: number of worker processes (ignored by ``iterative``).
        announce: called with a line for the user, such as the address of the Dask dashboard.

    Raises:
        UserError: unknown executor, missing extra, or ``workers`` below 1.
    """
    check_executor(name, workers)
    if name == "iterative":
        return _inline()
    if name == "futures":
        return _processes(workers)
    return _dask_local(workers, announce)


@contextmanager
def _inline() -> Iterator[Executor]:
    close_files()
    try:
        yield InlinePool()
    finally:
        close_files()


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=workers)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, kill_workers=True)


@contextmanager
def _dask_local(workers: int, announce: Callable[[str], None]) -> Iterator[Executor]:
    from distributed import Client, LocalCluster

    # What happens to work that is given up at the end of a run is no news to the user.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    # Workers live in processes of one thread each: open files and the garbage collector belong to a process.
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        announce(f"Dask dashboard: {client.dashboard_link}")
        yield client.get_executor(pure=False)
