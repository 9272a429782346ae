"""What section 4.1 says of its network of one trunk and two heads, claim by claim.

The functions that end in ``_claims`` return the values that decide claims, by the claim's id; a
value of ``None`` stands for a claim that the text settles.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rulbook.data import HEALTH_STATES, Recipe, cmapss
from rulbook.gradients import task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskMLP, count_parameters, shared_parameters, task_parameters
from rulbook.typing import Floats

ClaimValue = float | bool | str | None

# Of the 40 lines of the printed NumPy listing: what is no code, and what has an explanation.
_NUMPY_LINES, _TORCH_LINES = 40, 35
_NUMPY_EMPTY = {2, 6, 10, 16, 17, 25, 26, 30, 36}
_NUMPY_COMMENTS = {3, 4, 7, 11, 27, 37, 38, 39, 40}
_NUMPY_DOCSTRING = {19, 20}
_NUMPY_EXPLAINED = {1, 5, 8, 9, 12, 13, 14, 15, 18, 21, 22, 23, 24, 28, 29, 31, 33, 34}
_TORCH_EXPLAINED = {1, 2, 3, 5, 8, 9, 11, 16, 17, 19, 20, 21, 22, 23, 27, 28, 29, 30, 32, 33, 34}


def numpy_claims(
    weights: Mapping[str, Floats], x: Floats, h: Floats, rul: Floats, logits: Floats
) -> dict[str, ClaimValue]:
    """Decide shapes and line counts of the NumPy listing.

    Args:
        weights: of ``shared``, ``rul`` and ``health``, one row an input.
        x: inputs, shape ``(B, 17)``.
        h: shared features, shape ``(B, 32)``.
        rul: predictions, shape ``(B,)``.
        logits: of the health states, shape ``(B, 3)``.

    """
    no_code = _NUMPY_EMPTY | _NUMPY_COMMENTS | _NUMPY_DOCSTRING
    return {
        "n4.1-numpy-shared-shape": str(weights["shared"].shape),
        "n4.1-numpy-shared-parameters": weights["shared"].size,
        "n4.1-numpy-rul-shape": str(weights["rul"].shape),
        "n4.1-numpy-health-shape": str(weights["health"].shape),
        "n4.1-numpy-x-shape": str(x.shape),
        "n4.1-numpy-h-shape": str(h.shape),
        "n4.1-numpy-rul-output-shape": str(rul.shape),
        "n4.1-numpy-health-output-shape": str(logits.shape),
        "n4.1-numpy-twenty-lines": _NUMPY_LINES - len(no_code),
        "n4.1-numpy-unexplained-lines": _NUMPY_LINES - len(_NUMPY_EXPLAINED),
        "n4.1-sensor-count": len(cmapss.SENSORS),
        "n4.1-feature-count": len(Recipe().feature_names),
        "n4.1-three-classes": len(HEALTH_STATES),
    }


def parameter_counts(model: DualTaskMLP) -> dict[str, int]:
    """Return the number of parameters of the ``shared trunk``, the ``rul head``, and so on."""
    counts = {"shared trunk": count_parameters(shared_parameters(model))}
    for task, parameters in task_parameters(model).items():
        counts[f"{task} head"] = count_parameters(parameters)
    return counts


def torch_claims(model: DualTaskMLP, rul: Tensor, logits: Tensor) -> dict[str, ClaimValue]:
    """Decide what the section prints and says of ``model``; ``rul``, ``logits``: its answers."""
    counts = parameter_counts(model)
    total = count_parameters(list(model.parameters()))
    biases = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias"))
    trunk_weights = next(iter(model.shared.parameters())).numel()
    heads = counts["rul head"] + counts["health head"]
    linear = nn.Linear(5, 7)
    return {
        "n4.1-torch-shared-parameters": counts["shared trunk"],
        "n4.1-torch-rul-head-parameters": counts["rul head"],
        "n4.1-torch-health-head-parameters": counts["health head"],
        "n4.1-torch-total": total,
        "n4.1-torch-printed-total": total,
        "n4.1-torch-two-totals": None,
        "n4.1-torch-biases": biases,
        "n4.1-torch-comment-sum": trunk_weights + heads + 35,
        "n4.1-torch-count-is-rounding": total == 711,
        "n4.1-torch-rul-output-shape": str(tuple(rul.shape)),
        "n4.1-torch-health-output-shape": str(tuple(logits.shape)),
        "n4.1-torch-h-shape": model.features(torch.randn(9, 17)).shape == (9, 32),
        "n4.1-torch-linear-shape": linear.weight.shape == (7, 5) and linear.bias.shape == (7,),
        "n4.1-torch-unexplained-lines": _TORCH_LINES - len(_TORCH_EXPLAINED),
    }


def who_sees_which_gradient(
    model: DualTaskMLP, x: Tensor, rul: Tensor, health: Tensor
) -> dict[tuple[str, str], bool]:
    """Return whether a task's loss has a gradient on all of the trunk or of a head.

    Args:
        model: the network.
        x: inputs, shape ``(B, 17)``.
        rul: targets in cycles, shape ``(B,)``.
        health: health states, shape ``(B,)``.

    Returns:
        By task and part; parts are ``trunk``, ``rul`` and ``health``.

    """
    heads = task_parameters(model)
    parts = {"trunk": shared_parameters(model), **heads}
    reaches = {}
    for task in heads:
        for part, parameters in parts.items():
            predicted, logits = model(x)
            loss = {
                "rul": rul_mse(predicted, rul),
                "health": health_cross_entropy(logits, health),
            }[task]
            gradients = task_gradients(loss, parameters)
            reaches[task, part] = all(bool(gradient.abs().sum() > 0) for gradient in gradients)
    return reaches


def trunk_hears_all_and_heads_their_own(reaches: Mapping[tuple[str, str], bool]) -> bool:
    """Say whether ``who_sees_which_gradient`` shows what the section says."""
    return all(seen == (part in ("trunk", task)) for (task, part), seen in reaches.items())
