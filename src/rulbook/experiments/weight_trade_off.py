"""How the two errors of the one-layer network trade off as the RUL weight moves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rulbook.data import HEALTH_STATES, Windows
from rulbook.experiments.ensemble import (
    ENSEMBLE_SEEDS,
    STEPS,
    Weights,
    _batches,
    _last_cycle,
    _start,
    pairs,
    train_networks,
)
from rulbook.gradients import geometry, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import shared_parameters
from rulbook.weighting.gaba import complement_weights


def balancing_weights(windows: Windows, seeds: Sequence[int] = ENSEMBLE_SEEDS) -> Weights:
    """Return the weights that make both gradients on the trunk equally long before the first step.

    GABA's closed form (§17.1) of the median norms over one start and batch a seed.
    """
    x, rul = _last_cycle(windows), torch.from_numpy(windows.rul)
    health, mean = torch.from_numpy(windows.health), float(windows.rul.mean())
    norms = []
    for seed in seeds:
        network = _start(x.shape[1], len(HEALTH_STATES), seed, mean)
        rows = _batches([seed], [np.arange(len(windows))], 1)[0, 0]
        predicted, logits = network(x[rows])
        shared = shared_parameters(network)
        found = geometry(
            task_gradients(rul_mse(predicted, rul[rows]), shared, retain_graph=True),
            task_gradients(health_cross_entropy(logits, health[rows]), shared),
        )
        norms.append([float(found.norm_rul), float(found.norm_health)])
    of_rul, of_health = complement_weights(torch.tensor(np.median(norms, axis=0))).tolist()
    return of_rul, of_health


def gradient_course(
    windows: Windows,
    weights: Sequence[Weights],
    seeds: Sequence[int] = ENSEMBLE_SEEDS,
    *,
    steps: int = STEPS,
    every: int = 20,
) -> pd.DataFrame:
    """Train and measure both losses and both gradients on the trunk along the way.

    Args:
        windows: rows to train on.
        weights: pairs of weights.
        seeds: see ``ENSEMBLE_SEEDS``.
        steps: steps of each training.
        every: steps between two measurements; the last step is measured too.

    Returns:
        One row a network and measured step: ``step`` (counted from 0), ``seed``, ``rul_weight``;
        on the batch of that step, before the update, ``rul_loss`` (cycles²), ``health_loss``
        (nats), ``norm_rul``, ``norm_health`` and ``cosine`` of the unweighted gradients on the
        shared parameters.

    """
    rows = []

    def measure(
        step: int, rul_loss: Tensor, health_loss: Tensor, parameters: Mapping[str, Tensor]
    ) -> None:
        if step % every and step != steps - 1:
            return
        trunk = [p for name, p in parameters.items() if name.startswith("shared.")]
        of_rul, of_health = (
            torch.autograd.grad(loss.sum(), trunk, retain_graph=True)
            for loss in (rul_loss, health_loss)
        )
        for i, seed in enumerate(seeds):
            for j, (rul_weight, _) in enumerate(weights):
                found = geometry([g[i, j] for g in of_rul], [g[i, j] for g in of_health])
                norm_rul, norm_health, cosine = found.tolist()
                rows.append(
                    {
                        "step": step,
                        "seed": seed,
                        "rul_weight": rul_weight,
                        "rul_loss": rul_loss[i, j].item(),
                        "health_loss": health_loss[i, j].item(),
                        "norm_rul": norm_rul,
                        "norm_health": norm_health,
                        "cosine": cosine,
                    }
                )

    train_networks(windows, weights, seeds, steps=steps, watch=measure)
    return pd.DataFrame(rows)


def weight_sweep(
    train: Windows,
    test: Windows,
    rul_weights: Sequence[float],
    seeds: Sequence[int] = ENSEMBLE_SEEDS,
    *,
    steps: int = STEPS // 2,
) -> pd.DataFrame:
    """Train at every RUL weight with every seed, and measure on both sets of rows.

    Returns:
        Columns ``rul_weight``, ``seed``; on the test rows ``rul_loss`` (cycles²), ``rmse``
        (cycles), ``health_loss`` (nats) and ``health_accuracy``; on the training rows
        ``train_rul_loss`` and ``train_health_loss``.

    """
    networks = train_networks(train, pairs(rul_weights), seeds, steps=steps)
    on_test, on_train = networks.losses(test), networks.losses(train)
    index = pd.MultiIndex.from_product([seeds, rul_weights], names=["seed", "rul_weight"])
    columns = {
        "rul_loss": on_test.rul,
        "rmse": np.sqrt(on_test.rul),
        "health_loss": on_test.health,
        "health_accuracy": on_test.health_accuracy,
        "train_rul_loss": on_train.rul,
        "train_health_loss": on_train.health,
    }
    flat = {name: column.ravel() for name, column in columns.items()}
    return pd.DataFrame(flat, index=index, dtype=float).reset_index()
