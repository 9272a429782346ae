"""Runs that take no time, and a Dask cluster of real processes on the loopback."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rulbook.studies.catalogue import base_config
from rulbook.training import RunConfig, RunRecord


def configs(number: int) -> list[RunConfig]:
    return [base_config("FD001", seed) for seed in range(number)]


def fake_run(action: str = "pass") -> Callable[[RunConfig], RunRecord]:
    """Return a run that takes no time; ``action`` is what it does first, as Python source.

    A closure, so that worker processes get it by value.
    """

    def run(config: RunConfig) -> RunRecord:
        import os
        import time

        exec(textwrap.dedent(action), {"config": config, "os": os, "time": time})
        return RunRecord(
            config=config,
            status="diverged",  # a completed run would have to have predictions
            message="It is made up.",
            wall_seconds=0.0,
            device="cpu",
            versions={},
            source_digest="",
        )

    return run


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise ``TimeoutError`` in a test that goes on for longer, wherever it waits."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"the test was still going on after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_until(there: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that another process does.

    Raises:
        TimeoutError: it was not there in time.

    """
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(0.1)


_SETTINGS = {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2"}
"""With a death less than Dask allows by default, a run that kills its workers is soon given up."""


class Cluster:
    """A scheduler and its workers, each a process of its own, on 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "cluster.log").open("ab")
        self._started: list[subprocess.Popen[bytes]] = []
        self._address = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--scheduler-file", str(self._address)
        )
        wait_until(self._address.is_file)

    @property
    def address(self) -> str:
        address: str = json.loads(self._address.read_text())["address"]
        return address

    def add_worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, which a nanny replaces unless ``--no-nanny`` is given."""
        return self._start(
            "worker", self.address, "--nthreads", "1", *options, environment=environment
        )

    def _start(
        self, *command: str, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *command, "--host", "127.0.0.1", "--no-dashboard"],
            env=os.environ | _SETTINGS | (environment or {}),
            cwd=self._folder,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill every process of the cluster, the children of nannies too."""
        for process in reversed(self._started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._log.close()
