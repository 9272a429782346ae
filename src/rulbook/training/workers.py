"""What a worker process of a sweep does; it imports what a training needs and no more."""

import ctypes
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import torch

from rulbook.data import FleetError, load, resolve_source
from rulbook.data import status as data_status
from rulbook.data.prepare import Prepared, Recipe, prepare
from rulbook.errors import RulbookError, UsageError
from rulbook.options import RequestedDevice
from rulbook.threads import one_thread
from rulbook.training.baselines import fit_baseline
from rulbook.training.config import RunConfig
from rulbook.training.device import choose_device
from rulbook.training.loop import train
from rulbook.training.networks import Baseline
from rulbook.training.record import EpochRecord, RunRecord, fault_of_form, fault_when_read

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's ``malloc.h``; both take bytes, the second at most 32 MiB."""

_OF_MACHINE = (
    *(OSError, MemoryError, ImportError, RulbookError),
    *(torch.OutOfMemoryError, torch.AcceleratorError, sqlite3.OperationalError),
)
"""Errors that say nothing about the run that meets them."""

_WANTING = (
    *("can't allocate memory", "Cannot allocate memory", "not enough memory", "bad_alloc"),
    *("out of memory", "unable to mmap", "shared memory", "No space left on device"),
    *("can't start new thread", "Thread creation failed", "Too many open files"),
    *("busy or unavailable", "STATUS_ALLOC_FAILED", "STATUS_NOT_INITIALIZED"),
    *("No CUDA GPUs are available", "no NVIDIA driver", "driver initialization failed"),
    *("cudaGetDeviceCount", "PytorchStreamWriter failed"),
)
"""What PyTorch and Python say in a ``RuntimeError`` where something of the machine is wanting."""


class UnreadableRecordError(RulbookError):
    """A training left a record that could not be read again; the message says why."""


@dataclass(frozen=True)
class Attempt:
    """What became of one try of one run: its record, or the sentence that says why not.

    A fault of the machine (full disk, no data, no device) says nothing about the run.
    """

    key: str
    record: RunRecord | None
    failure: str = ""
    of_machine: bool = False


def run_one(
    config: RunConfig,
    device: RequestedDevice = "cpu",
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
) -> RunRecord:
    """Do one run on the real data; what it computes on the CPU, on one thread.

    Subnormal numbers, which are slow, count as zero meanwhile.

    Raises:
        UnreadableRecordError: its record could not be read, and would count as done for ever.

    """
    with one_thread():
        torch.set_flush_denormal(True)
        try:
            prepared = _prepared(config.subset, config.recipe)
            if config.network in get_args(Baseline):
                record = fit_baseline(config, prepared)
            else:
                record = train(config, prepared, device=choose_device(device), on_epoch=on_epoch)
        finally:
            torch.set_flush_denormal(False)
    if fault := fault_when_read(record):
        raise UnreadableRecordError(f"its record {fault}")
    return record


@lru_cache(maxsize=2)
def _prepared(subset: str, recipe: Recipe) -> Prepared:
    return prepare(load(subset, "cmapss"), recipe)


def try_run(config: RunConfig, run: Callable[[RunConfig], RunRecord]) -> Attempt:
    """Do one run and return what became of it, whatever it raises.

    What another function than ``run_one`` returns is held to the form of a record alone: what it
    did, it knows.
    """
    keep_freed_memory()
    try:
        record = run(config)
        if fault := fault_of_form(record):
            return Attempt(config.key(), None, f"its record {fault}")
        return Attempt(config.key(), record)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of one's own may leave
        said = str(error) if isinstance(error, RulbookError) else f"{type(error).__name__}: {error}"
        return Attempt(config.key(), None, said, _is_of_machine(error))


def _is_of_machine(error: BaseException | None) -> bool:
    """Return whether an error, what it was raised from, or one of its group is the machine's.

    What a recipe asks of tables is the run's: the real files themselves are checked by their hash.
    """
    if error is None or isinstance(error, UsageError | FleetError | UnreadableRecordError):
        return False
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_of_machine, error.exceptions))
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _WANTING):
        return True
    return isinstance(error, _OF_MACHINE) or _is_of_machine(error.__cause__)


def what_is_missing_here(device: RequestedDevice) -> str:
    """Return why this process can do no run on the real data; nothing if it can.

    All twelve files have to be there, whatever subsets the runs are on.
    """
    try:
        choose_device(device)
        resolve_source("cmapss")
        problems = [file.problem for file in data_status().files if file.problem]
    except RulbookError as error:
        return str(error)
    return problems[0] if problems else ""


def keep_freed_memory() -> None:
    """Let this process keep the large blocks that every training step frees and asks for again.

    glibc otherwise gives some of them back to the system, which maps them anew and zeroes them
    page by page; Dask's workers start with a setting by which it gives back nearly all of them (see
    ``benchmarks/README.md``). Another C library is left as it is. No number changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_THRESHOLD, 2**25)


def end_with_parent(parent: int) -> None:
    """Let this process end when the process ``parent``, which started it, does, however that ended.

    A thread looks for it. Linux could send a signal, but when the thread that started the worker
    ends, not the process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
