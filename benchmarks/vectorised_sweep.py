"""Time the sweep of 101 weights and 10 seeds of the small network as one training and as a loop.

Both do the same work on the same rows of FD001 (or of the simulated fleet), on one thread, in one
run and interleaved. The whole of the sweep is vectorised; the loop trains a sample of its networks,
spread over weights and seeds, and is scaled up. See README.md in this folder.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from one_by_one import train_one_by_one
from rich.console import Console

from rulbook.data import load
from rulbook.experiments import ensemble

RUL_WEIGHTS = np.linspace(0, 1, 101)


def measure(
    steps: int, sample: int, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return median seconds of the whole sweep both ways, and their ratio."""
    rows = ensemble.single_cycles(load("FD001")).train
    weights = ensemble.pairs(RUL_WEIGHTS)
    looped = [tuple(pair) for pair in weights[:: len(weights) // sample][:sample].tolist()]
    share = len(looped) / (len(weights) * len(ensemble.ENSEMBLE_SEEDS))
    times: dict[str, list[float]] = {"vectorised": [], "loop": []}

    def seconds(work: Callable[[], object]) -> float:
        started = clock()
        work()
        return clock() - started

    for repeat in range(repeats):
        seed = ensemble.ENSEMBLE_SEEDS[repeat % len(ensemble.ENSEMBLE_SEEDS)]
        times["loop"].append(
            seconds(lambda s=seed: train_one_by_one(rows, looped, [s], steps=steps)) / share
        )
        times["vectorised"].append(
            seconds(
                lambda: ensemble.train_networks(rows, weights, ensemble.ENSEMBLE_SEEDS, steps=steps)
            )
        )
    medians = {way: statistics.median(found) for way, found in times.items()}
    return medians | {"ratio": medians["loop"] / medians["vectorised"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--steps", type=int, default=100, help="steps of a training")
    parser.add_argument("--sample", type=int, default=10, help="networks trained in the loop")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of both")
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time: for a busy machine"
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    found = measure(arguments.steps, arguments.sample, arguments.repeats, clock)
    if arguments.json:
        print(json.dumps(found))
        return
    Console().print(
        f"{len(RUL_WEIGHTS)} weights × {len(ensemble.ENSEMBLE_SEEDS)} seeds, "
        f"{arguments.steps} steps: "
        f"vectorised {found['vectorised']:.1f} s, in a loop {found['loop']:.0f} s "
        f"(scaled up from {arguments.sample} networks), {found['ratio']:.1f}× as long; one thread, "
        f"PyTorch {torch.__version__}, medians of {arguments.repeats}."
    )


if __name__ == "__main__":
    main()
