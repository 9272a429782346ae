"""Run what is missing of a study: resumable, tolerant of killed workers, on joblib's backends."""

import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from rulbook import paths
from rulbook.data import load
from rulbook.data.prepare import Prepared, Recipe, prepare
from rulbook.errors import RulbookError, UsageError, unknown_name
from rulbook.options import RequestedDevice
from rulbook.training import RunConfig, RunRecord, train
from rulbook.training.baselines import fit_baseline
from rulbook.training.config import Baseline
from rulbook.training.device import choose_device

Engine = Literal["loky", "dask", "ray"]

MAX_TRIES = 3
"""A run that failed this often is recorded as failed and left alone."""

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""What tells glibc to keep the large blocks that every training step frees and asks for again.

Otherwise each of them is mapped anew and zeroed page by page; see ``benchmarks/README.md``.
"""


@dataclass(frozen=True)
class Attempt:
    """What became of one try of one run: its record, or the sentence that says why not."""

    key: str
    record: RunRecord | None
    failure: str = ""


@dataclass(frozen=True)
class Status:
    """How far a study is, in numbers of runs."""

    done: int
    failed: int
    missing: int

    @property
    def total(self) -> int:
        """Return the number of runs of the study."""
        return self.done + self.failed + self.missing


def runs_folder() -> Path:
    """Return the folder of the run records of this protocol."""
    return paths.results() / "runs"


def failures_folder() -> Path:
    """Return the folder of the notes on runs that failed at every try."""
    return paths.results() / "failures"


def status(configs: Iterable[RunConfig]) -> Status:
    """Count the runs that are done, have failed for good, and are missing."""
    counts = Counter(_state(config.key()) for config in {c.key(): c for c in configs}.values())
    return Status(counts["done"], counts["failed"], counts["missing"])


def sweep(
    configs: Iterable[RunConfig],
    *,
    jobs: int = 2,
    engine: Engine = "loky",
    scheduler: str | None = None,
    on_attempt: Callable[[Attempt], None] | None = None,
    run: Callable[[RunConfig], RunRecord] | None = None,
) -> None:
    """Run every config that has no record yet, in order, and write the records as they come.

    An interruption of any kind loses at most the runs in flight. When a worker is killed, the runs
    that were in flight are tried again one at a time, so that only the guilty one collects tries.

    Args:
        configs: the runs.
        jobs: runs at a time (loky), each on one thread.
        engine: joblib backend.
        scheduler: address of the Dask scheduler, for ``engine="dask"``.
        on_attempt: called after every try.
        run: what a run does; by default a training on the real data, on the CPU.

    Raises:
        RulbookError: the engine is not installed, or its scheduler cannot be reached.

    """
    todo = {config.key(): config for config in configs if _state(config.key()) == "missing"}
    tries: Counter[str] = Counter()

    def settle(attempt: Attempt) -> None:
        """Keep a record, or count a failed try and give the run up after the last one."""
        key = attempt.key
        tries[key] += 1
        if attempt.record is not None:
            attempt.record.write(runs_folder())
            del todo[key]
        elif tries[key] == MAX_TRIES:
            _write_failure(todo.pop(key), attempt.failure)
        if on_attempt:
            on_attempt(attempt)

    with _backend(engine, scheduler) as worker_killed:
        while todo:
            fresh = [key for key in todo if not tries[key]]
            waiting = fresh or list(todo)[:1]
            try:
                for attempt in _parallel(jobs, [todo[key] for key in waiting], run or run_one):
                    waiting.remove(attempt.key)
                    settle(attempt)
            except worker_killed:
                for key in waiting[: jobs if fresh else 1]:
                    settle(Attempt(key, None, "its worker process was killed"))


def run_one(config: RunConfig, device: RequestedDevice = "cpu") -> RunRecord:
    """Do one run on the real data; what it computes on the CPU, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    prepared = _prepared(config.subset, config.recipe)
    if config.network in get_args(Baseline):
        return fit_baseline(config, prepared)
    return train(config, prepared, device=choose_device(device))


@lru_cache(maxsize=2)
def _prepared(subset: str, recipe: Recipe) -> Prepared:
    return prepare(load(subset, "cmapss"), recipe)


def _try(config: RunConfig, run: Callable[[RunConfig], RunRecord]) -> Attempt:
    try:
        return Attempt(config.key(), run(config))
    except Exception as error:
        return Attempt(config.key(), None, f"{type(error).__name__}: {error}")


def _parallel(
    jobs: int, configs: Sequence[RunConfig], run: Callable[[RunConfig], RunRecord]
) -> Iterator[Attempt]:
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(_try)(config, run) for config in configs)


@contextmanager
def _backend(engine: Engine, scheduler: str | None) -> Iterator[tuple[type[Exception], ...]]:
    """Choose joblib's backend; yield the errors by which it tells that a worker was killed."""
    if engine == "loky":
        for name, value in KEEP_FREED_MEMORY.items():
            os.environ.setdefault(name, value)  # read by the worker processes as they start
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            yield (TerminatedWorkerError,)
    elif engine == "dask":
        yield from _dask(scheduler)
    elif engine == "ray":
        ray = _import("ray", "ray")
        _import("ray.util.joblib", "ray").register_ray()
        with joblib.parallel_config("ray"):
            yield (ray.exceptions.WorkerCrashedError,)
    else:
        raise unknown_name("sweep engine", engine, get_args(Engine))


def _dask(scheduler: str | None) -> Iterator[tuple[type[Exception], ...]]:
    distributed = _import("distributed", "dask")
    if not scheduler:
        raise UsageError("The dask engine needs --scheduler tcp://HOST:PORT.")
    try:
        client = distributed.Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise RulbookError(
            f"No Dask scheduler answers at {scheduler} ({error}); start one with `dask scheduler`."
        ) from None
    with client, joblib.parallel_config("dask"):
        yield (distributed.scheduler.KilledWorker,)


def _import(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise RulbookError(
            f"The {extra} engine is not installed; run `pip install 'rulbook[{extra}]'`."
        ) from None


def _state(key: str) -> str:
    if (runs_folder() / f"{key}.json").is_file():
        return "done"
    return "failed" if (failures_folder() / f"{key}.json").is_file() else "missing"


def _write_failure(config: RunConfig, reason: str) -> None:
    note = {"config": config.model_dump(mode="json"), "reason": reason, "tries": MAX_TRIES}
    path = failures_folder() / f"{config.key()}.json"
    paths.write_atomically(path, json.dumps(note, indent=1) + "\n")
