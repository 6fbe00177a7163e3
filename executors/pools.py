"""Where work runs: each executor is a context manager that yields a ``concurrent.futures`` pool."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ..errors import Interrupted, UserError, closest
from .open_files import close_files

#: Executors by name; the value says what they are.
EXECUTORS = {
    "iterative": "one item after the other, in this process",
    "futures": "worker processes on this machine",
    "dask-local": "a Dask cluster on this machine, with its dashboard",
}
#: Named in the command line's contract, built with the batch systems.
LATER = ("dask-htcondor", "dask-slurm", "dask-lxplus")


class WorkerLost(Exception):
    """A worker process died with the call it was at, or one that waited behind it."""


#: What helps when a worker cannot load what it is to run.
IMPORTABLE = "Modules that the analysis comes from must be importable there: install them, or set PYTHONPATH."


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


def _end_with_client(client: int) -> None:
    """End this worker process soon after its client, which may have been killed and tells nobody."""

    def watch() -> None:
        while os.getppid() == client:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="mucoffea-watch").start()


class ProcessPool(Executor):
    """Worker processes on this machine; when one dies, :meth:`restart` brings new ones.

    A death breaks loky's pool as a whole: every call in flight ends with an exception, guilty or not.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._start()

    def _start(self) -> Executor:
        from loky import ProcessPoolExecutor

        pool: Executor = ProcessPoolExecutor(
            max_workers=self._workers, initializer=_end_with_client, initargs=(os.getpid(),)
        )
        return pool

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Hand a call to a worker.

        Raises:
            WorkerLost: a worker died meanwhile.
        """
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor as error:
            raise WorkerLost(str(error)) from error

    def restart(self) -> None:
        """Replace all workers by new ones."""
        self._pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
        self._pool = self._start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the workers, whatever they are at."""
        del cancel_futures
        self._pool.shutdown(wait=wait, kill_workers=True)  # type: ignore[call-arg]


def result_of(future: Future) -> Any:
    """Return the result of a finished call.

    Raises:
        WorkerLost: its worker died.
        Interrupted: the scheduler is gone.
        UserError: the work cannot be sent to a worker.
    """
    try:
        return future.result()
    except BrokenExecutor as error:
        if "un-serialize" not in str(error):
            raise WorkerLost(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        cause = str(error.__cause__ or error).strip('" \n').splitlines()[-1]
        raise UserError(f"A worker process cannot load the analysis: {cause}. {IMPORTABLE}") from error
    except (CancelledError, OSError) as error:
        raise Interrupted(
            f"the scheduler of the workers is gone ({type(error).__name__}). What was finished is kept; --resume goes "
            f"on with it."
        ) from error
    except Exception as error:
        if type(error).__name__ == "KilledWorker":
            raise WorkerLost("Dask gave up after several workers died of it") from error
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"A worker cannot do the work: {type(error).__name__}: {reason}. {IMPORTABLE}") from error


@contextmanager
def _inline() -> Iterator[Executor]:
    close_files()
    try:
        yield InlinePool()
    finally:
        close_files()


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    pool = ProcessPool(workers)
    try:
        yield pool
    finally:
        pool.shutdown()


def _no_cancelled_call(record: logging.LogRecord) -> bool:
    """Log filter: False for the cancellation of a Dask call."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ not in ("FutureCancelledError", "CancelledError")


def _deaf_to_ctrl_c() -> Any:
    """Return a Dask plugin: Ctrl-C in a terminal reaches the workers too, and it is for the client to stop them."""
    from distributed import WorkerPlugin

    class DeafToCtrlC(WorkerPlugin):
        def setup(self, worker: Any) -> None:  # noqa: ARG002
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return DeafToCtrlC()


@contextmanager
def _dask_local(workers: int, announce: Callable[[str], None]) -> Iterator[Executor]:
    from distributed import Client, LocalCluster

    # What happens to work that is given up at the end of a run is no news to the user: workers miss their scheduler,
    # Tornado reports a traceback for each call that is cancelled. What matters comes back as the end of a call.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("tornado.application").addFilter(_no_cancelled_call)
    # Workers live in processes of one thread each: open files and the garbage collector belong to a process.
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(_deaf_to_ctrl_c())
        announce(f"Dask dashboard: {client.dashboard_link}")
        yield client.get_executor(pure=False)
