"""Time a training step with glibc's own memory settings, with Dask's, and with those of a run.

Each measurement is a process of its own, and the kinds take turns. What is timed is the training
loop itself on the simulated fleet, in processor time.
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
from rulbook.studies.methods import method
from rulbook.training import RunConfig
from rulbook.training.loop import watch_first_steps
from rulbook.training.workers import keep_freed_memory

METHODS = ("fixed_050", "gaba", "upgrad")

KINDS = {
    "default": {},
    "Dask's": {"MALLOC_TRIM_THRESHOLD_": "65536"},
    "kept": {},
}
"""What the environment of each kind of process says; that of a sweep's runs sets itself up."""


def child(name: str, steps: int, kind: str) -> None:
    """Print the milliseconds and the page faults of one step of ``name``."""
    torch.set_num_threads(1)
    if kind == "kept":
        keep_freed_memory()
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


def measured(name: str, steps: int, kind: str) -> tuple[float, float]:
    """Run ``child`` in a process of a kind."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    command = [sys.executable, __file__, "--child", name, "--steps", str(steps), "--kind", kind]
    printed = subprocess.run(
        command, env=bare | KINDS[kind], check=True, capture_output=True, text=True
    ).stdout
    milliseconds, faults = map(float, printed.split())
    return milliseconds, faults


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the memory settings of a sweep's runs.")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--steps", type=int, default=60, help="steps a process")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=KINDS, default="default", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.steps, arguments.kind)
        return
    table = Table(title="Median processor ms and page faults of one training step, compact network")
    for column in ("method", *KINDS, *(f"faults, {kind}" for kind in KINDS)):
        table.add_column(column, justify="right")
    for name in METHODS:
        seen: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for _ in range(arguments.rounds):
            for kind, values in seen.items():
                values.append(measured(name, arguments.steps, kind))
        spent, faults = zip(
            *(map(median, zip(*values, strict=True)) for values in seen.values()), strict=True
        )
        table.add_row(name, *(f"{ms:.1f}" for ms in spent), *(f"{count:.0f}" for count in faults))
    Console().print(table)


if __name__ == "__main__":
    main()
