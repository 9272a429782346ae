"""Where the runs of a sweep are computed: one interface, that of ``concurrent.futures``."""

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from joblib.externals import loky
from joblib.externals.loky.process_executor import BrokenProcessPool

from rulbook.errors import RulbookError, UsageError, unknown_name
from rulbook.training.record import source_digest

EngineName = Literal["loky", "dask"]

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""What tells glibc to keep the large blocks that every training step frees and asks for again.

Otherwise each of them is mapped anew and zeroed page by page; see ``benchmarks/README.md``.
"""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Engine:
    """Workers that are ready.

    Attributes:
        executor: takes the runs.
        width: runs in flight at a time.
        killed: the errors by which a run tells that its worker process died.
        check: raises ``RulbookError`` where no result can come any more.

    """

    executor: Executor
    width: int
    killed: tuple[type[BaseException], ...]
    check: Callable[[], None] = lambda: None


@contextmanager
def engine_of(name: EngineName, jobs: int, scheduler: str | None) -> Iterator[Callable[[], Engine]]:
    """Yield what starts the workers of an engine, anew after each call.

    Raises:
        UsageError: there is no such engine, or Dask has no scheduler's address.
        RulbookError: Dask is not installed, its scheduler does not answer, it has no worker, or a
            worker has another version of the package.

    """
    if name not in get_args(EngineName):
        raise unknown_name("sweep engine", name, get_args(EngineName))
    if name == "dask":
        with _dask(scheduler) as engine:
            yield lambda: engine
    elif jobs == 1:
        yield lambda: Engine(_InThisProcess(), 1, ())
    else:
        started: list[Executor] = []

        def start() -> Engine:
            environment = {k: v for k, v in KEEP_FREED_MEMORY.items() if k not in os.environ}
            started.append(
                loky.ProcessPoolExecutor(
                    jobs,
                    initializer=_end_with_parent,
                    initargs=(os.getpid(),),
                    env=environment | _ONE_THREAD,
                )
            )
            return Engine(started[-1], jobs, (BrokenProcessPool,))

        try:
            yield start
        finally:
            for executor in started:
                executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]


class _InThisProcess(Executor):
    """Computes at once, here."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _end_with_parent(parent: int) -> None:
    """Let this worker process end when the sweep's does, however that ended.

    A thread looks for it. Linux could send a signal, but when the thread that started the worker
    ends, not the process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(scheduler: str | None) -> Iterator[Engine]:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise RulbookError(
            "The dask engine is not installed; run `pip install 'rulbook[dask]'`."
        ) from None
    if not scheduler:
        raise UsageError("The dask engine needs --scheduler tcp://HOST:PORT.")
    try:
        client = distributed.Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise RulbookError(
            f"No Dask scheduler answers at {scheduler} ({error}); start one with `dask scheduler`."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=10)
        except TimeoutError:
            raise RulbookError(
                f"The Dask scheduler at {scheduler} has no worker; start one with "
                f"`dask worker {scheduler}`."
            ) from None
        for worker, digest in client.run(source_digest, on_error="return").items():
            if digest != source_digest():
                raise RulbookError(
                    f"The Dask worker {worker} has another version of rulbook than this process, "
                    f"or none: install the same one there and start it again."
                )

        def check() -> None:
            if client.status != "running":
                raise RulbookError(
                    f"The Dask scheduler at {scheduler} has gone; what was finished is kept: start "
                    f"it and run the sweep again."
                )

        yield Engine(
            client.get_executor(pure=False),
            max(1, sum(client.nthreads().values())),
            (distributed.scheduler.KilledWorker,),
            check,
        )
