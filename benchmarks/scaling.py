"""Time how the cost of each part grows with what it is given, over a decade of sizes."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import yaml
from loop_overhead import packages_loop
from step_cost import Stepper, ways
from steps import stepper

from rulbook import paths
from rulbook.claims.ledger import read_ledger
from rulbook.data import load
from rulbook.data.cmapss import Fleet
from rulbook.data.prepare import prepare
from rulbook.training import RunConfig
from rulbook.training.record import read_record
from rulbook.weighting.base import TASKS

Works = Iterator[tuple[int, Callable[[], object]]]
"""Sizes in ascending order, and the work to be timed at each of them."""


SHARES = (0.1, 0.18, 0.32, 0.56, 1.0)
"""The shares of what there is that are worked at: a decade in even steps."""


def engines() -> Works:
    """Prepare fleets of more and more engines."""
    for fleet in _fleets():
        yield fleet.train["unit"].nunique(), partial(prepare, fleet)


def windows() -> Works:
    """Train one epoch on more and more windows."""
    for fleet in _fleets():
        prepared = prepare(fleet)
        config = RunConfig(subset="FD002", data_digest=prepared.digest)
        steps = len(prepared.train) // config.batch_size
        loop = packages_loop(config, prepared)
        yield steps * config.batch_size, lambda loop=loop, n=steps: sum(1 for _ in islice(loop, n))


def batch() -> Works:
    """Make one step with more and more windows."""
    for size in (16, 32, 64, 128, 256):
        yield size, stepper("now", "compact", size)


def tasks() -> Works:
    """Make one step with a gradient for each of more and more tasks."""
    for number in (2, 4, 8, 16, 20):
        names = (*TASKS, *(f"health_{index}" for index in range(2, number)))
        backward = ways(names)["rulbook"]
        yield number, Stepper("compact", backward, time.process_time, names).step


def records() -> Works:
    """Read more and more records; they are copied to folders of their own first."""
    files = paths.files_in(paths.results() / "runs", "*.json")
    for share in SHARES:
        chosen = files[: round(share * len(files))]
        with tempfile.TemporaryDirectory() as folder:
            copies = [Path(folder) / file.name for file in chosen]
            for file, copy in zip(chosen, copies, strict=True):
                copy.symlink_to(file)
            yield len(chosen), lambda copies=copies: list(map(read_record, copies))


def claims() -> Works:
    """Read ledgers of more and more claims."""
    whole = yaml.safe_load(paths.ledger().read_text(encoding="utf-8"))
    for share in SHARES:
        rows = whole["claims"][: round(share * len(whole["claims"]))]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "claims.yml"
            file.write_text(yaml.safe_dump(whole | {"claims": rows}), encoding="utf-8")
            # Without its cache, which would answer from the second time on.
            yield len(rows), partial(read_ledger.__wrapped__, file)


KINDS: dict[str, Callable[[], Works]] = {
    "engines": engines,
    "windows": windows,
    "batch": batch,
    "tasks": tasks,
    "records": records,
    "claims": claims,
}


def measure(kind: str, rounds: int) -> dict[int, list[float]]:
    """Return processor seconds by size; every size is worked at several times."""
    torch.set_num_threads(1)
    taken: dict[int, list[float]] = {}
    for size, work in KINDS[kind]():
        work()
        for _ in range(rounds):
            start = time.process_time()
            work()
            taken.setdefault(size, []).append(time.process_time() - start)
    return taken


def _fleets() -> Iterator[Fleet]:
    """Yield FD002 with more and more of its engines; the simulated one where there is no other."""
    whole = load("FD002")
    for share in SHARES:
        last = round(share * whole.train["unit"].nunique())
        train, test = (table[table["unit"] <= last] for table in (whole.train, whole.test))
        test_rul = whole.test_rul.loc[: test["unit"].max()]
        yield replace(whole, train=train, test=test, test_rul=test_rul)
