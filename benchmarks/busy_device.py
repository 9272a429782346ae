"""Keep a device busy with trainings in many processes, and print records and windows a second.

``python benchmarks/busy_device.py --device cuda --jobs 16`` trains on the simulated fleet, first in
one process and then in so many at once, through the sweep that ``rulbook sweep --device cuda --jobs
16`` runs a study with. The start of the workers is part of the time, as it is of a study's.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from unittest import mock

from rich.console import Console
from rich.table import Table
from sweep_speed import configs, short_run

from rulbook.models import ARCHITECTURES
from rulbook.paths import RESULTS_VARIABLE
from rulbook.studies.sweep import status, sweep
from rulbook.training import RunConfig
from rulbook.training.device import choose_device

BATCHES = {"compact": 256, "paper": 64}


def rates(runs: Sequence[RunConfig], jobs: int, device: str) -> dict[str, float]:
    """Do the runs, so many at a time, and return records and windows a second of wall time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {RESULTS_VARIABLE: folder}),
    ):
        started = time.perf_counter()
        sweep(runs, jobs=jobs, run=partial(short_run, device=device))
        seconds = time.perf_counter() - started
        done = status(runs).done
    assert done == len(runs), f"{len(runs) - done} runs failed"
    windows = sum(run.max_epochs * (run.batches_per_epoch or 0) * run.batch_size for run in runs)
    return {"records/s": done / seconds, "windows/s": windows / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of 30 steps a run")
    parser.add_argument("--network", choices=ARCHITECTURES, action="append", help="or both")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args()
    device = choose_device(chosen.device).type
    found: dict[str, dict[str, float]] = {}
    for network in chosen.network or ARCHITECTURES:
        for jobs in dict.fromkeys((1, chosen.jobs)):
            runs = [
                run.with_changes(network=network, batch_size=BATCHES[network])
                for run in configs(2 * jobs, chosen.epochs)
            ]
            found[f"{network}, {jobs} at once"] = rates(runs, jobs, device)
    if chosen.json:
        print(json.dumps(found))
        return
    table = Table(title=f"Trainings on {device}")
    for column in ("", "records/s", "windows/s"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in found.items():
        table.add_row(name, f"{row['records/s']:.2f}", f"{row['windows/s']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
