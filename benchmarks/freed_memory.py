"""Time a training step with and without the memory settings of a sweep's workers.

They are read when a process starts, so each measurement is a process of its own; the two kinds
take turns. What is timed is the training loop itself on the simulated fleet, in processor time.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from rulbook.data import load
from rulbook.data.prepare import prepare
from rulbook.studies.engines import KEEP_FREED_MEMORY
from rulbook.studies.methods import method
from rulbook.training import RunConfig
from rulbook.training.loop import watch_first_steps

METHODS = ("fixed_050", "gaba", "upgrad")


def child(name: str, steps: int) -> None:
    """Print the milliseconds and the page faults of one step of ``name``."""
    torch.set_num_threads(1)
    prepared = prepare(load("FD002", "simulated"))
    config = RunConfig(subset="FD002", data_digest=prepared.digest)
    seen: list[tuple[float, int]] = []

    def note(_: object) -> dict[str, float]:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seen.append((time.process_time(), faults))
        return {}

    watch_first_steps(method(name).applied_to(config), prepared, steps + 10, read=note)
    (start, faults), (end, more_faults) = seen[9], seen[-1]
    print(1e3 * (end - start) / steps, (more_faults - faults) / steps)


def measured(name: str, steps: int, settings: dict[str, str]) -> tuple[float, float]:
    """Run ``child`` in a process that starts with ``settings``."""
    bare = {k: v for k, v in os.environ.items() if k not in KEEP_FREED_MEMORY}
    command = [sys.executable, __file__, "--child", name, "--steps", str(steps)]
    printed = subprocess.run(
        command, env=bare | settings, check=True, capture_output=True, text=True
    ).stdout
    milliseconds, faults = map(float, printed.split())
    return milliseconds, faults


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the memory settings of a sweep's workers.")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--steps", type=int, default=60, help="steps a process")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.steps)
        return
    table = Table(title="Median processor ms and page faults of one training step, compact network")
    for column in ("method", "default", "kept", "kept : default", "faults", "faults, kept"):
        table.add_column(column, justify="right")
    for name in METHODS:
        default, kept = [], []
        for _ in range(arguments.rounds):
            default.append(measured(name, arguments.steps, {}))
            kept.append(measured(name, arguments.steps, KEEP_FREED_MEMORY))
        (before, faults), (after, fewer) = (
            map(median, zip(*times, strict=True)) for times in (default, kept)
        )
        row = (f"{before:.1f}", f"{after:.1f}", f"{after / before:.2f}")
        table.add_row(name, *row, f"{faults:.0f}", f"{fewer:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
