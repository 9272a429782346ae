"""Run what is missing of a study: resumable, shared by sweeps, tolerant of killed workers."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rulbook import paths
from rulbook.errors import RulbookError, UsageError
from rulbook.options import EngineName, RequestedDevice
from rulbook.studies.engines import Engine, engine_of
from rulbook.studies.run_locks import RunLocks, check_writable
from rulbook.training import RunConfig, RunRecord
from rulbook.training.described import check_computable
from rulbook.training.networks import is_own as is_own_network
from rulbook.training.own_code import OwnCode, run_with
from rulbook.training.record import is_whole
from rulbook.training.workers import Attempt, run_one, try_run, what_is_missing_here
from rulbook.weighting.registry import is_own as is_own_method

MAX_TRIES = 3
"""A run that failed this often is recorded as failed and left alone."""

_LOOK_AGAIN = 1.0
"""Seconds between two looks at runs that another sweep has locked."""

_CHECK_EVERY = 5.0
"""Seconds between two looks at whether there are workers still."""


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
    """Return the folder that new records are written to.

    Raises:
        RulbookError: a file has its name or its parent's, and would look like a folder without
            records.

    """
    folder = paths.own_results() / "runs"
    for path in (folder.parent, folder):
        if path.is_file():
            raise RulbookError(
                f"'{path}' is a file where the folder of records should be: move it away, or name "
                f"another folder with {paths.RESULTS_VARIABLE}."
            )
    return folder


def failures_folder() -> Path:
    """Return the folder of the notes on runs that failed at every try."""
    return paths.own_results() / "failures"


def status(configs: Iterable[RunConfig]) -> Status:
    """Count the runs that are done, have failed for good, and are missing."""
    counts = Counter(_state(config.key()) for config in {c.key(): c for c in configs}.values())
    return Status(counts["done"], counts["failed"], counts["missing"])


def sweep(
    configs: Iterable[RunConfig],
    *,
    jobs: int = 2,
    engine: EngineName = "loky",
    scheduler: str | None = None,
    retry_failed: bool = False,
    device: RequestedDevice = "cpu",
    on_attempt: Callable[[Attempt], None] | None = None,
    code: OwnCode | None = None,
    run: Callable[[RunConfig], RunRecord] | None = None,
) -> None:
    """Run every config that has no record yet, in order, and write the records as they come.

    An interruption of any kind loses at most the runs in flight. When a worker is killed, the runs
    that were in flight are tried again one at a time, so that only the guilty one collects tries.
    A run is locked before it starts, so that other sweeps on the same folder do other runs.

    Args:
        configs: the runs.
        jobs: runs at a time (loky), each on one thread; a single one runs in this process.
        engine: where the runs are computed.
        scheduler: address of the Dask scheduler, for ``engine="dask"``.
        retry_failed: also run what failed at every try of an earlier sweep.
        device: where each worker computes.
        on_attempt: called after every try.
        code: a file whose methods, networks and ``on_epoch(config, index, epoch)`` the runs use.
        run: what a run does in place of a training on the real data. Its record is kept if it is
            of this run; what it says is looked at when it is read.

    Raises:
        UsageError: this package cannot compute a run as its configuration says, or workers would
            not know the method or network that it names; ``configs`` or ``jobs`` is not as said.
        RulbookError: the machine is at fault: no folder that can be written, no data, no device, no
            workers. Runs are not blamed for it. What can be asked before the first run is.

    """
    if isinstance(configs, RunConfig):
        raise UsageError("A sweep takes several configurations: give a single one in a list.")
    if jobs < 1:
        raise UsageError(f"A sweep does at least one run at a time, not {jobs}: give jobs=1.")
    configs = list(configs)
    for config in configs:
        check_computable(config)
    open_states = {"missing", "failed"} if retry_failed else {"missing"}
    todo = {c.key(): c for c in configs if _state(c.key()) in open_states}
    if run is None and code is None and (engine != "loky" or jobs > 1):
        _refuse_what_workers_do_not_know(todo.values())
    with engine_of(engine, jobs, scheduler) as start:
        if not todo:
            return
        for folder in (runs_folder(), failures_folder()):
            # One that is a link to nothing, or another user's: a run would be computed for nothing.
            if folder.exists() or folder.is_symlink():
                check_writable(folder)
        with RunLocks(paths.own_results() / ".locks") as locks:
            workers = start()
            if run is None:
                run = partial(run_with, code, device) if code else partial(run_one, device=device)
                _refuse_workers_that_cannot(workers, device)
            _Sweep(todo, open_states, locks, workers, start, on_attempt, run).finish()


def _refuse_what_workers_do_not_know(configs: Iterable[RunConfig]) -> None:
    """Raise ``UsageError`` if a run names a method or network that this process alone knows."""
    for config in configs:
        for kind, name, is_own in (
            ("network", config.network, is_own_network(config.network)),
            ("method", config.weighting, is_own_method(config.weighting)),
        ):
            if is_own:
                raise UsageError(
                    f"The {kind} '{name}' was added in this process, and workers would not know "
                    "it: put it into a file and give code=OwnCode.read(Path(FILE)), or jobs=1."
                )


def _refuse_workers_that_cannot(workers: Engine, device: RequestedDevice) -> None:
    """Raise ``RulbookError`` if a worker lacks the data or the device."""
    for worker, missing in workers.ask(partial(what_is_missing_here, device)).items():
        if missing:
            raise RulbookError(f"On the worker {worker}: {missing}" if worker else missing)


class _Sweep:
    """The state of one sweep."""

    def __init__(
        self,
        todo: dict[str, RunConfig],
        open_states: set[str],
        locks: RunLocks,
        workers: Engine,
        start: Callable[[], Engine],
        on_attempt: Callable[[Attempt], None] | None,
        run: Callable[[RunConfig], RunRecord],
    ) -> None:
        self.todo, self.open_states, self.locks = todo, open_states, locks
        self.start, self.on_attempt, self.run = start, on_attempt, run
        self.engine = workers
        self.waiting = deque(todo)
        self.suspects: deque[str] = deque()
        self.tries: Counter[str] = Counter()
        self.in_flight: dict[Future[Attempt], str] = {}
        self.fault_of_machine = ""

    def finish(self) -> None:
        """Submit, collect and settle until nothing is left to do."""
        while self.todo:
            if not self.fault_of_machine:
                self._submit()
            if self.in_flight:
                self._collect()
            elif self.fault_of_machine:
                raise RulbookError(
                    f"The sweep stopped, since this is no fault of a run: "
                    f"{self.fault_of_machine.rstrip('.')}. What was finished is kept; run the "
                    f"sweep again when that is put right."
                )
            elif self.todo:
                time.sleep(_LOOK_AGAIN)  # other sweeps have locked what is left

    def _submit(self) -> None:
        """Start what there is room for; a run under suspicion runs alone, after the others."""
        width = self.engine.width()
        for _ in range(len(self.waiting)):
            if self.fault_of_machine or len(self.in_flight) >= width:
                return
            key = self.waiting.popleft()
            if not self._start(key) and key in self.todo:
                self.waiting.append(key)
        for _ in range(len(self.suspects)):
            if self.fault_of_machine or self.in_flight:
                return
            key = self.suspects.popleft()
            if not self._start(key) and key in self.todo:
                self.suspects.append(key)

    def _start(self, key: str) -> bool:
        """Return whether the run was started, and not done or locked by another sweep."""
        try:
            if not self.locks.take(key):
                return False
        except OSError as error:
            self._blame_the_disk("a run could not be locked", error)
            return False
        if _state(key) not in self.open_states:
            self.locks.give_back(key)
            del self.todo[key]
            return False
        try:
            future = self.engine.executor.submit(try_run, self.todo[key], self.run)
        except self.engine.killed:  # an idle worker was
            self.engine = self.start()
            future = self.engine.executor.submit(try_run, self.todo[key], self.run)
        self.in_flight[future] = key
        return True

    def _collect(self) -> None:
        done, _ = wait(self.in_flight, timeout=_CHECK_EVERY, return_when=FIRST_COMPLETED)
        alone = len(self.in_flight) == 1
        killed: dict[str, BaseException] = {}
        if self.engine.shares_fate and any(_is_killed(future, self.engine) for future in done):
            done, _ = wait(self.in_flight)
        for future in done:
            key = self.in_flight.pop(future)
            try:
                attempt = future.result()
            except self.engine.killed as death:
                killed[key] = death
            except Exception as error:
                self.engine.check()
                said = f"a run could not be sent or brought back ({type(error).__name__}: {error})."
                self._settle(Attempt(key, None, said, of_machine=True))
            else:
                self._settle(attempt)
        if killed:
            self._after_a_kill(killed, alone)
        self.engine.check()

    def _after_a_kill(self, killed: Mapping[str, BaseException], alone: bool) -> None:
        tries = self.engine.tries
        self.engine = self.start()  # a pool of processes that lost one takes nothing more
        for key, death in killed.items():
            if alone:
                self._settle(Attempt(key, None, "its worker process was killed"), tries(death))
            else:
                self.locks.give_back(key)
                self.suspects.append(key)

    def _settle(self, attempt: Attempt, tries: int = 1) -> None:
        """Keep a record, or count failed tries and give the run up after the last one."""
        key = attempt.key
        if attempt.of_machine:
            self.fault_of_machine = self.fault_of_machine or attempt.failure
        else:
            self.tries[key] += tries
        if attempt.record is not None:
            if attempt.record.config.key() != key:
                raise RulbookError(f"The run {key} returned the record of another run.")
            self._keep(attempt.record)
        elif self.tries[key] >= MAX_TRIES:
            self._give_up(key, attempt.failure)
        elif not attempt.of_machine:
            self.suspects.append(key)
        self.locks.give_back(key)
        if self.on_attempt:
            self.on_attempt(attempt)

    def _keep(self, record: RunRecord) -> None:
        key = record.config.key()
        try:
            record.write(runs_folder())
            _failure_note(key).unlink(missing_ok=True)
        except OSError as error:
            self._blame_the_disk("a record could not be written", error)
        else:
            del self.todo[key]

    def _give_up(self, key: str, reason: str) -> None:
        try:
            _write_failure(self.todo[key], reason)
        except OSError as error:
            self._blame_the_disk("a failure could not be noted", error)
        else:
            del self.todo[key]

    def _blame_the_disk(self, what: str, error: OSError) -> None:
        """Let the runs in flight end, and then the sweep: nothing more can be written."""
        self.fault_of_machine = f"{what} in '{paths.own_results()}' ({error.strerror})."


def _is_killed(future: "Future[Attempt]", engine: Engine) -> bool:
    return not future.cancelled() and isinstance(future.exception(), engine.killed)


def record_file(key: str) -> Path | None:
    """Return the file of the run's record, one's own before the carried one; ``None`` without one.

    A file that was emptied or cut off is none, so that it does not hide a whole one.
    """
    for folder in (runs_folder(), paths.results() / "runs"):
        file = folder / f"{key}.json"
        if file.is_file() and is_whole(file):
            return file
    return None


def _state(key: str) -> str:
    if record_file(key):
        return "done"
    return "failed" if _failure_note(key).is_file() else "missing"


def _failure_note(key: str) -> Path:
    return failures_folder() / f"{key}.json"


def _write_failure(config: RunConfig, reason: str) -> None:
    note = {"config": config.model_dump(mode="json"), "reason": reason, "tries": MAX_TRIES}
    paths.write_atomically(_failure_note(config.key()), json.dumps(note, indent=1) + "\n")
