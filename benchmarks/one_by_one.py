"""The ensemble's trainings, one network after the other: what it is timed against and tested by."""

from collections.abc import Sequence

import torch

from rulbook.data import HEALTH_STATES, Windows
from rulbook.experiments.ensemble import (
    ADAMW,
    STEPS,
    Weights,
    _optimiser,
    _pool,
    last_cycle,
    row_batches,
    untrained_network,
)
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskMLP
from rulbook.threads import one_thread


def train_one_by_one(
    windows: Windows, weights: Sequence[Weights], seeds: Sequence[int], *, steps: int = STEPS
) -> list[list[DualTaskMLP]]:
    """Do what ``train_networks`` does in a plain loop; networks by seed and pair of weights.

    It is there to be compared with: by a test for its numbers, by a benchmark for its time.
    """
    x, rul = last_cycle(windows), torch.from_numpy(windows.rul)
    label = torch.from_numpy(windows.health)
    trained = []
    with one_thread():
        for seed in seeds:
            pool = _pool(windows, seed, None)
            batches = row_batches([seed], [pool], steps)[:, 0]
            mean = float(windows.rul[pool].mean())
            trained.append(
                [untrained_network(x.shape[1], len(HEALTH_STATES), seed, mean) for _ in weights]
            )
            for network, (weight_rul, weight_label) in zip(trained[-1], weights, strict=True):
                optimiser, schedule = _optimiser(list(network.parameters()), steps, ADAMW)
                for rows in batches:
                    predicted, logits = network(x[rows])
                    loss = weight_rul * rul_mse(predicted, rul[rows])
                    loss = loss + weight_label * health_cross_entropy(logits, label[rows])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    schedule.step()
    return trained
