"""Where the runs of a sweep are computed: one interface, that of ``concurrent.futures``."""

import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

from joblib.externals import loky
from joblib.externals.loky.process_executor import BrokenProcessPool

from rulbook.errors import RulbookError, UsageError, unknown_name
from rulbook.options import EngineName
from rulbook.training.workers import end_with_parent

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_WAIT_FOR_THE_FIRST = 10.0
"""Seconds that a Dask scheduler has to show a worker before a sweep."""

_WAIT_FOR_A_WORKER = 300.0
"""Seconds that a Dask scheduler may be without a worker in the middle of a sweep."""


@dataclass(frozen=True)
class Engine:
    """Workers that are ready.

    Attributes:
        executor: takes the runs.
        width: tells how many runs to have in flight now.
        killed: the errors by which a run tells that its worker process died.
        shares_fate: whether the death of one worker ends the runs of all.
        tries: how many deaths of workers such an error stands for.
        check: raises ``RulbookError`` where no result can come any more.
        ask: calls a function once on every worker, or here if the workers are on this machine;
            returns the answers by the worker's name.

    """

    executor: Executor
    width: Callable[[], int]
    killed: tuple[type[BaseException], ...]
    shares_fate: bool = False
    tries: Callable[[BaseException], int] = lambda _: 1
    check: Callable[[], None] = lambda: None
    ask: Callable[[Callable[[], str]], Mapping[str, str]] = lambda question: {"": question()}


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
        yield lambda: Engine(_InThisProcess(), lambda: 1, ())
    else:
        with _loky(jobs) as start:
            yield start


class _InThisProcess(Executor):
    """Computes at once, here."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _loky(jobs: int) -> Iterator[Callable[[], Engine]]:
    started: list[Executor] = []

    def start() -> Engine:
        started.append(
            loky.ProcessPoolExecutor(
                jobs,
                initializer=end_with_parent,
                initargs=(os.getpid(),),
                env=_ONE_THREAD,
            )
        )
        return Engine(started[-1], lambda: jobs, (BrokenProcessPool,), shares_fate=True)

    try:
        with _no_module_from_here():
            yield start
    finally:
        for executor in started:
            executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]


@contextmanager
def _no_module_from_here() -> Iterator[None]:
    """Let processes that start meanwhile import nothing from the working folder.

    A ``queue.py`` may lie there. loky's own process that tracks resources starts with it too, and
    takes no environment of its own.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


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
        yield _DaskCluster(scheduler, client).engine(distributed)


class _DaskCluster:
    """Dask's scheduler and its workers, as one client sees them."""

    def __init__(self, scheduler: str, client: Any) -> None:
        self._scheduler, self._client = scheduler, client
        self._last_seen = time.monotonic()
        try:
            client.wait_for_workers(1, timeout=_WAIT_FOR_THE_FIRST)
        except TimeoutError:
            raise RulbookError(
                f"The Dask scheduler at {scheduler} has no worker; start one with "
                f"`dask worker {scheduler}`."
            ) from None

        def source() -> str:  # a function in a function is sent whole, to whatever is there
            from rulbook.training.record import source_digest

            return source_digest()

        for worker, digest in self.ask(source).items():
            if digest != source():
                raise RulbookError(
                    f"The Dask worker {worker} has another version of rulbook than this process, "
                    f"or none: install the same one there and start it again."
                )

    def engine(self, distributed: Any) -> Engine:
        """Return the engine; its scheduler gives a run up after the deaths of several workers."""
        return Engine(
            executor=self._client.get_executor(pure=False),
            width=lambda: max(1, self._threads()),
            killed=(distributed.scheduler.KilledWorker,),
            tries=lambda error: 1 + error.allowed_failures,  # type: ignore[attr-defined]
            check=self.check,
            ask=self.ask,
        )

    def ask(self, question: Callable[[], str]) -> Mapping[str, str]:
        """Return each worker's answer, or the error that it met in its place."""
        answers = self._client.run(question, on_error="return")
        return {worker: str(answer) for worker, answer in answers.items()}

    def check(self) -> None:
        """Raise ``RulbookError`` if the scheduler has gone, or its workers have for long."""
        if self._threads():
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > _WAIT_FOR_A_WORKER:
            raise RulbookError(
                f"The Dask scheduler at {self._scheduler} has lost its last worker; what was "
                f"finished is kept: start workers and run the sweep again."
            )

    def _threads(self) -> int:
        """Return how many threads all workers have now; workers come and go."""
        if self._client.status != "running":
            raise self._gone()
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError):
            raise self._gone() from None

    def _gone(self) -> RulbookError:
        return RulbookError(
            f"The Dask scheduler at {self._scheduler} has gone; what was finished is kept: start "
            f"it and run the sweep again."
        )
