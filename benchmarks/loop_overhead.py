"""Time the training loop of the package against a bare loop around the same network.

The bare loop takes windows that lie ready, steps and clips; it observes no gradients, averages no
weights and checks nothing.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import nn

from rulbook.data import load
from rulbook.data.prepare import Prepared, prepare
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.training import RunConfig
from rulbook.training.loop import _Run, new_model
from rulbook.training.packing import PackedParameters


def packages_loop(config: RunConfig, prepared: Prepared) -> Iterator[object]:
    """Yield after every step of the loop that ``train`` runs."""
    run = _Run(config, prepared, torch.device("cpu"))
    while True:
        yield from run.steps()


def bare_loop(config: RunConfig, prepared: Prepared) -> Iterator[object]:
    """Yield after every step of the least that trains the same network."""
    torch.manual_seed(config.seed)
    model = new_model(config, prepared).train()
    packed = PackedParameters(model.parameters())
    optimiser = torch.optim.AdamW(packed.tensors, lr=1e-3, weight_decay=1e-4, fused=True)
    windows = prepared.train
    x, rul, health = map(torch.from_numpy, (windows.x, windows.rul, windows.health))
    whole = len(rul) // config.batch_size * config.batch_size  # as train does
    while True:
        for rows in torch.randperm(len(rul))[:whole].split(config.batch_size):
            optimiser.zero_grad()
            predicted, logits = model(x[rows])
            loss = rul_mse(predicted, rul[rows]) + health_cross_entropy(logits, health[rows])
            (0.5 * loss).backward()
            packed.collect_gradients()
            nn.utils.clip_grad_norm_(packed.tensors, 1.0)
            optimiser.step()
            yield None


def measure(size: str, batch: int, rounds: int) -> dict[str, list[float]]:
    """Return processor seconds a step of both loops, by turns.

    In a turn one step is observed: it takes as many steps as lie between two observations.
    """
    torch.set_num_threads(1)
    prepared = prepare(load("FD002", "simulated"))
    config = RunConfig(subset="FD002", data_digest=prepared.digest, network=size, batch_size=batch)
    steps = config.observe_every
    loops = {"bare": bare_loop(config, prepared), "train": packages_loop(config, prepared)}
    taken: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in loops.items():
            seconds = _seconds(lambda loop=loop: sum(1 for _ in islice(loop, steps))) / steps
            if turn:
                taken[name].append(seconds)
    return taken


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
