"""What §9.1 says of its class and of the arithmetic of fixed weights, claim by claim.

The functions that end in ``_claims`` return the values that decide claims, by the claim's id; a
value of ``None`` stands for a claim that the text settles.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rulbook.experiments.batches import random_batch
from rulbook.experiments.weight_trade_off import gradient_ratio_with_balanced_losses
from rulbook.gradients import geometry
from rulbook.models import DualTaskMLP
from rulbook.randomness import seeded
from rulbook.weighting.fixed import ABLATION_CONFIGS, FixedWeightLoss

_LISTING_LINES = 23
_LISTING_EXPLAINED = (1, 3, 6, 7, 10, 19, 21)
"""Lines of the listing that the page explains, by the numbers that it gives them."""
_LISTING_STANDS_ON = (1, 3, 6, 8, 11, 20, 22)
"""Where the code stands that these explanations describe."""

BALANCED = 2
"""Two terms count as balanced where the larger is at most so many times the smaller."""


def formulation_claims(
    of_sum: Tensor, sum_of: Tensor, rul: Tensor, shifted: Tensor
) -> dict[str, object]:
    """Return what decides what the gradient of a weighted sum is.

    Args:
        of_sum: gradient of the weighted sum, (parameters,).
        sum_of: weighted sum of the two gradients.
        rul: gradient of the RUL loss.
        shifted: gradient of the RUL loss with a constant added to it.

    """
    return {
        "l9.1-formulation-gradient": torch.allclose(of_sum, sum_of),
        "l9.1-gradient-not-loss": torch.equal(shifted, rul),
    }


def scheme_claims(rows: pd.DataFrame, loss_ratios: pd.Series) -> dict[str, object]:
    """Return what decides the remarks on the four schemes.

    Args:
        rows: the four schemes: ``scheme``, their name; ``λ₁`` and ``λ₂``, their weights; and
            ``ratio``, the RUL term over the health term at losses of 1000 and 1.
        loss_ratios: RUL loss over health loss at the epochs that the section prints.

    """
    schemes = rows.set_index("scheme")
    ratio = schemes["ratio"]
    return {
        "l9.1-scheme-normalised-sum": float(schemes[["λ₁", "λ₂"]].sum(axis=1)["normalised"]),
        "l9.1-scheme-normalised-ignores-scale": bool(ratio["equal"] == ratio["normalised"]),
        "l9.1-scheme-scale-balanced": bool(_are_balanced(0.001 * loss_ratios).all()),
        "l9.1-tuned-or-half": None,
        "l9.1-no-principled-selection": None,
    }


def class_claims(seed: int) -> dict[str, object]:
    """Return what decides the remarks on the legacy edition's class.

    The global random state is left as it was.

    Args:
        seed: of the network and the rows on which the weights are trained beside it.

    """
    loss = FixedWeightLoss.legacy()
    half = FixedWeightLoss.legacy(**ABLATION_CONFIGS["fixed_50_50"]["changes"])
    return {
        "l9.1-worked-example": loss(1000.0, 1.0),
        "l9.1-name": loss.get_name(),
        "l9.1-default-weights": "/".join(f"{weight:g}" for weight in loss.get_weights().values()),
        "l9.1-default-two-editions": None,
        "l9.1-weights-constant": weights_stay(loss, seed),
        "l9.1-is-module": isinstance(loss, torch.nn.Module),
        "l9.1-kwargs-accepted": loss(1.0, 1.0, shared_params=[]) == loss(1.0, 1.0),
        "l9.1-ratios-tested": sum(
            sum(config["changes"].values()) == 1.0 for config in ABLATION_CONFIGS.values()
        ),
        "l9.1-equal-without-normalisation": bool(half(1000.0, 1.0) == 0.5 * 1000.0 + 0.5 * 1.0),
        "l9.1-unexplained-lines": _LISTING_LINES - len(_LISTING_EXPLAINED),
        "l9.1-line-numbers": _LISTING_EXPLAINED == _LISTING_STANDS_ON,
        "l9.1-twenty-five-lines": _LISTING_LINES,
    }


def weights_stay(loss: FixedWeightLoss, seed: int) -> bool:
    """Return whether the weights are what they were after ten steps with them on random rows."""
    before = loss.get_weights()
    with seeded(seed):
        network = DualTaskMLP()
        batch = random_batch()
    optimiser = torch.optim.AdamW([*network.parameters(), *loss.parameters()])
    for _ in range(10):
        optimiser.zero_grad()
        loss(*batch.losses(network)).backward()
        optimiser.step()
    return loss.get_weights() == before


def share_at_last_epoch(progression: pd.DataFrame) -> float:
    """Return the RUL term's share of the sum at the last epoch, balanced at the first.

    Args:
        progression: columns ``rul`` and ``health``, the losses, by epoch.

    """
    balancing = progression["health"] / progression.sum(axis=1)
    weight, last = balancing.iloc[0], progression.iloc[-1]
    rul_term = weight * last["rul"]
    return float(rul_term / (rul_term + (1 - weight) * last["health"]))


def _are_balanced(ratios: pd.Series) -> "pd.Series[bool]":
    """Return whether two terms are balanced, by the ratio of the first to the second."""
    return ratios.between(1 / BALANCED, BALANCED)


def drift_claims(progression: pd.DataFrame) -> dict[str, object]:
    """Return what decides the printed ratios and what the section makes of them.

    Args:
        progression: see ``share_at_last_epoch``.

    """
    ratio = progression["rul"] / progression["health"]
    return {
        **{f"l9.1-progression-{epoch}-ratio": value for epoch, value in ratio.items()},
        "l9.1-ratio-shrinks": bool(ratio.iloc[-1] < ratio.iloc[0]),
        "l9.1-balance-drifts": not _are_balanced(ratio / ratio.iloc[0]).iloc[-1],
    }


def conflict_claims(rul_gradient: Tensor, health_gradient: Tensor) -> dict[str, object]:
    """Return what decides whether weights, or equal contributions, resolve a conflict.

    Args:
        rul_gradient: gradient on the shared trunk, (parameters,), not zero.
        health_gradient: likewise.

    """
    cosine = geometry([rul_gradient], [health_gradient]).cosine
    scaled = geometry([0.002 * rul_gradient], [0.998 * health_gradient]).cosine
    equalised = geometry(
        [rul_gradient / rul_gradient.norm()], [health_gradient / health_gradient.norm()]
    ).cosine
    return {
        "l9.1-conflict-not-resolved": torch.allclose(cosine, torch.stack([scaled, equalised])),
        "l9.1-equal-contribution-ends-conflict": None,
    }


def balance_claims(course: pd.DataFrame) -> dict[str, object]:
    """Return what decides whether balanced losses balance the gradients, and if any weight does.

    Args:
        course: what ``gradient_course`` returns, without a row whose gradient is zero.

    """
    left_over = gradient_ratio_with_balanced_losses(course)
    norm_rul, norm_health = course["norm_rul"], course["norm_health"]
    weight = 1 / (1 + norm_rul / norm_health)
    return {
        "l9.1-balanced-losses-unbalanced-gradients": not _are_balanced(left_over).all(),
        "l9.1-dominates-regardless-of-weights": not np.allclose(
            weight * norm_rul, (1 - weight) * norm_health
        ),
    }
