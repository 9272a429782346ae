"""How the two errors of the one-layer network trade off as the RUL weight moves."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rulbook.data import HEALTH_STATES, Windows
from rulbook.experiments.ensemble import (
    ENSEMBLE_SEEDS,
    STEPS,
    Weights,
    last_cycle,
    pairs,
    row_batches,
    train_networks,
    untrained_network,
)
from rulbook.gradients import geometry, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import shared_parameters
from rulbook.statistics import CONFIDENCE, Comparison, compare_over_seeds
from rulbook.weighting.gaba import complement_weights

Balanced = Literal["losses", "gradients"]
"""What a weight may make equal for the two tasks."""


def balancing_weights(windows: Windows, seeds: Sequence[int] = ENSEMBLE_SEEDS) -> Weights:
    """Return the weights that make both gradients on the trunk equally long before the first step.

    GABA's closed form (§17.1) of the median norms over one start and batch a seed.
    """
    x, rul = last_cycle(windows), torch.from_numpy(windows.rul)
    health, mean = torch.from_numpy(windows.health), float(windows.rul.mean())
    norms = []
    for seed in seeds:
        network = untrained_network(x.shape[1], len(HEALTH_STATES), seed, mean)
        rows = row_batches([seed], [np.arange(len(windows))], 1)[0, 0]
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


def typical_course(course: pd.DataFrame, steps: int = STEPS) -> pd.DataFrame:
    """Return the medians over seeds of a ``gradient_course`` at each measured step.

    Args:
        course: measurements of trainings at one pair of weights.
        steps: steps of each training.

    Returns:
        One row a step: ``step``; medians ``rul_loss``, ``health_loss``, ``norm_ratio`` (RUL over
        health) and ``cosine``; ``cosine_low`` and ``cosine_high``, its quantiles 5 % and 95 % over
        seeds; ``progress``, the share of the training done, %.

    """
    by_step = course.assign(norm_ratio=course["norm_rul"] / course["norm_health"]).groupby("step")
    typical = by_step[["rul_loss", "health_loss", "norm_ratio", "cosine"]].median()
    typical["cosine_low"] = by_step["cosine"].quantile(0.05)
    typical["cosine_high"] = by_step["cosine"].quantile(0.95)
    typical["progress"] = 100 * (typical.index + 1) / steps
    return typical.reset_index()


def balancing_weight(course: pd.DataFrame, what: Balanced) -> pd.Series:
    """Return the RUL weight that balances the tasks at every row of a course.

    Args:
        course: with the columns ``rul_loss``, ``health_loss`` and ``norm_ratio``.
        what: which of ``"losses"`` and ``"gradients"`` the weight makes equal.

    """
    ratio = course["norm_ratio"]
    if what == "losses":
        ratio = course["rul_loss"] / course["health_loss"]
    return 1 / (1 + ratio)


def rul_share(course: pd.DataFrame, what: Balanced, rul_weight: float) -> pd.Series:
    """Return the RUL task's share of the weighted losses or gradients at every row, %."""
    balancing = balancing_weight(course, what)
    return 100 * rul_weight / (rul_weight + (1 - rul_weight) * balancing / (1 - balancing))


def gradient_ratio_with_balanced_losses(course: pd.DataFrame) -> pd.Series:
    """Return, by step, the ratio of the weighted gradients where the weighted losses are equal.

    It is RUL over health, the median over seeds.

    Args:
        course: what ``gradient_course`` returns.

    """
    weight = course["health_loss"] / (course["rul_loss"] + course["health_loss"])
    ratio = weight * course["norm_rul"] / ((1 - weight) * course["norm_health"])
    return ratio.groupby(course["step"]).median()


def share_of_harmful_steps(course: pd.DataFrame, rul_weight: float | pd.Series) -> pd.Series:
    """Return the share of the measured steps that would raise the health loss, by seed, %.

    The step is that of the trunk against the weighted sum of its two gradients, small and with the
    heads held still, and the health loss is that of its own batch.

    Args:
        course: what ``gradient_course`` returns.
        rul_weight: the weight, or one for every row.

    """
    norm_ratio = course["norm_rul"] / course["norm_health"]
    contributions = rul_weight * norm_ratio / (1 - rul_weight)
    return share_by_seed(course, 1 + contributions * course["cosine"] < 0)


def share_by_seed(course: pd.DataFrame, holds: pd.Series) -> pd.Series:
    """Return the share of the rows of each seed for which ``holds`` is true, %."""
    return 100 * holds.groupby(course["seed"]).mean()


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


class LossRises(NamedTuple):
    """How both training losses change from one RUL weight to a larger one, over seeds.

    * ``rul``: of the RUL loss, cycles².
    * ``health``: of the health loss, nats.

    """

    rul: Comparison
    health: Comparison

    @property
    def trade_off(self) -> bool:
        """Whether the RUL loss falls and the health loss rises, each beyond chance at 5 %."""
        beyond_chance = max(self.rul.p_value, self.health.p_value) < 1 - CONFIDENCE
        return bool(beyond_chance and self.rul.difference < 0 < self.health.difference)


def loss_rises(swept: pd.DataFrame, low: float, high: float) -> LossRises:
    """Compare the training losses at the RUL weights ``high`` and ``low`` of one ``weight_sweep``.

    Raises:
        KeyError: a weight was not swept.

    """
    by_seed = swept.pivot(index="seed", columns="rul_weight")
    return LossRises(
        *(
            compare_over_seeds(by_seed[loss][high], by_seed[loss][low])
            for loss in ("train_rul_loss", "train_health_loss")
        )
    )
