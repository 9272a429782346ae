"""Whether adaptive methods arrive at the weights that their formulas call for.

Losses and gradients are held constant, so that every formula has one weight at which it rests, and
a training's noise hides nothing: 250 cycles² beside 0.35 nats, and gradients on the trunk that are
orthogonal and as unequal as the source prints.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.training.config import RunConfig
from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.registry import get_loss

LOSSES = {"rul": 250.0, "health": 0.35}
"""The two losses, of the size that trainings have, cycles² and nats."""

LEARNING_RATE: float = RunConfig.model_fields["learning_rate"].default
"""The network's; uncertainty's log-variances learn at it where they have no rate of their own."""

FORMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Uncertainty, at the network's rate": ("uncertainty", {}),
    "Uncertainty, at a rate of 0.1": ("uncertainty", {"log_var_lr": 0.1}),
    "GradNorm, as printed": ("gradnorm", {}),
    "GradNorm, proximal step": ("gradnorm", {"descent": "proximal"}),
    "GradNorm, Chen et al.'s": ("gradnorm_original", {"descent": "adam"}),
}
"""What is watched: registry name and options, by the name that readers see."""


def weight_traces(steps: int = 900) -> pd.DataFrame:
    """Return each form's share of the RUL weight at every step, as ``form``, ``step``, ``share``.

    The share is the RUL weight over the sum of both, since the forms' weights have other sums.
    """
    rows = [
        {"form": form, "step": step, "share": share}
        for form, (name, options) in FORMS.items()
        for step, share in enumerate(_shares(get_loss(name, **options), steps), start=1)
    ]
    return pd.DataFrame(rows)


def shares_called_for() -> dict[str, float]:
    """Return the share of the RUL weight at which each form's formula rests.

    Uncertainty rests at one half over each loss. At losses that do not move, Chen et al.'s GradNorm
    rests where both weighted norms are equal. The printed one asks both weighted norms to be the
    mean of the *unweighted* ones, which weights that sum to two cannot give; it rests where the
    longer gradient has that norm.
    """
    inverse = {task: 1 / loss for task, loss in LOSSES.items()}
    called_for = {
        "uncertainty": inverse["rul"] / sum(inverse.values()),
        "gradnorm": (1 + 1 / PRINTED_IMBALANCE) / 4,
        "gradnorm_original": 1 / (1 + PRINTED_IMBALANCE),
    }
    return {form: called_for[name] for form, (name, _) in FORMS.items()}


def weights_shown(traces: pd.DataFrame, tail: int = 100) -> pd.DataFrame:
    """Return what each form called for and where it was, one row a form.

    Args:
        traces: what ``weight_traces`` returns.
        tail: how many of the last steps are taken together.

    Returns:
        ``form``, ``called_for``; over the last steps ``mean``, ``lowest`` and ``highest`` share.

    """
    called_for = shares_called_for()
    return pd.DataFrame(
        {
            "form": form,
            "called_for": called_for[str(form)],
            "mean": trace["share"].tail(tail).mean(),
            "lowest": trace["share"].tail(tail).min(),
            "highest": trace["share"].tail(tail).max(),
        }
        for form, trace in traces.groupby("form", sort=False)
    )


def trunk_left_by_clipping(head_norm: float = PRINTED_IMBALANCE) -> dict[str, float]:
    """Return the norm of the trunk's gradient that clipping to one leaves of a step of IMTL-G.

    Args:
        head_norm: norm of the gradient of the RUL head, which surgery leaves unweighted.

    Returns:
        ``asked``, before any clipping; ``together``, where trunk and heads are cut as one vector;
        ``apart``, where each is cut by itself, and what is left as one vector once more.

    """
    clip_norm = 1.0
    asked = _step(get_loss("imtl_g"), PRINTED_IMBALANCE, head_norm)
    apart = _step(get_loss("imtl_g", clip_apart=clip_norm), PRINTED_IMBALANCE, head_norm)
    return {
        "asked": float(asked[0].norm()),
        "together": _clipped_trunk(asked, clip_norm),
        "apart": _clipped_trunk(apart, clip_norm),
    }


def _shares(method: BaseMTLLoss, steps: int) -> list[float]:
    learned = list(method.parameters())
    rate = LEARNING_RATE if method.learning_rate is None else method.learning_rate
    optimiser = torch.optim.AdamW(learned, lr=rate, weight_decay=0.0) if learned else None
    shares = []
    for _ in range(steps):
        method.zero_grad()
        _step(method, PRINTED_IMBALANCE)
        if optimiser:
            optimiser.step()
        weights = method.get_weights()
        shares.append(weights["rul_weight"] / sum(weights.values()))
    return shares


def _step(method: BaseMTLLoss, ratio: float, head_norm: float = 1.0) -> list[Tensor]:
    """Return the gradients of the trunk and of both heads after one step of the method.

    Trunk and heads are zero, so that losses and gradients are the same at every step.
    """
    trunk = nn.Parameter(torch.zeros(2, 1))
    heads = {task: nn.Parameter(torch.zeros(1)) for task in LOSSES}
    method.backward(
        LOSSES["rul"] + ratio * trunk[0].sum() + head_norm * heads["rul"].sum(),
        LOSSES["health"] + trunk[1].sum() + heads["health"].sum(),
        shared_params=[trunk],
        task_params={task: [head] for task, head in heads.items()},
    )
    return [part.grad for part in (trunk, *heads.values()) if part.grad is not None]


def _clipped_trunk(gradients: list[Tensor], clip_norm: float) -> float:
    whole = torch.cat([part.reshape(-1) for part in gradients]).norm()
    return float(gradients[0].norm() * min(1.0, clip_norm / float(whole)))
