"""Time a sweep by its wall clock: one worker, two, and two of Dask's, on runs of some seconds.

Two of anything need two processors that nothing else uses. Runs are stood in for by trainings that
last as long as asked for; starting workers, claiming runs and writing records are the sweep's own.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import torch

from rulbook.data.prepare import Prepared, prepare
from rulbook.data.simulate import simulate
from rulbook.paths import RESULTS_VARIABLE
from rulbook.studies.sweep import sweep
from rulbook.training import RunConfig, RunRecord
from rulbook.training.loop import train

STEPS_AN_EPOCH = 30
"""So that an epoch of ``compact`` with its validation takes one processor about a second."""


def short_run(config: RunConfig, device: str = "cpu") -> RunRecord:
    """Train on the simulated fleet; the configuration says for how many steps."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return train(config, _prepared(), device=device)


@cache
def _prepared() -> Prepared:
    return prepare(simulate("FD001"))


def configs(count: int, seconds: int) -> list[RunConfig]:
    """Return so many runs of about so many seconds."""
    run = RunConfig(
        subset="FD001",
        data_digest=simulate("FD001").digest,
        batches_per_epoch=STEPS_AN_EPOCH,
        max_epochs=seconds,
        patience=None,
    )
    return [run.with_changes(seed=seed) for seed in range(1, count + 1)]


@contextmanager
def dask_cluster(workers: int, folder: str) -> Iterator[str]:
    """Start a scheduler and workers, one thread each; yield the scheduler's address."""
    from distributed import Client

    file = Path(folder) / "scheduler.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}

    def start(*command: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command, "--host", "127.0.0.1", "--no-dashboard"],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    with ExitStack() as stack:
        for command in (
            ("scheduler", "--port", "0", "--scheduler-file", str(file)),
            *[("worker", "--scheduler-file", str(file), "--nthreads", "1")] * workers,
        ):
            process = stack.enter_context(start(*command))
            stack.callback(process.terminate)
            while command[0] == "scheduler" and not file.is_file():
                time.sleep(0.1)
        client = stack.enter_context(Client(scheduler_file=str(file)))
        client.wait_for_workers(workers)
        yield str(client.scheduler.address)


def measure(count: int, seconds: int, rounds: int) -> dict[str, list[float]]:
    """Return wall seconds of sweeps of ``count`` runs with each kind of workers, in turns."""
    runs = configs(count, seconds)
    taken: dict[str, list[float]] = {"one worker": [], "two workers": [], "two of Dask": []}
    with tempfile.TemporaryDirectory() as scratch, dask_cluster(2, scratch) as address:
        ways = {
            "one worker": {"jobs": 1},
            "two workers": {"jobs": 2},
            "two of Dask": {"engine": "dask", "scheduler": address},
        }
        for turn in range(rounds):
            for way, options in ways.items():
                folder = Path(scratch) / f"{turn}-{way}"
                with mock.patch.dict(os.environ, {RESULTS_VARIABLE: str(folder)}):
                    start = time.perf_counter()
                    sweep(runs, run=short_run, **options)
                    taken[way].append(time.perf_counter() - start)
    return taken
