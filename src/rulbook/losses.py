"""The two task losses and the failure-weighted one, for NumPy arrays and PyTorch tensors alike.

Every function returns the mean over the batch as a 0-dim value of the kind it was given.
"""

from typing import Literal, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

InnerLoss = Literal["mse", "failure_weighted_mse"]

Array = TypeVar("Array", NDArray[np.floating], Tensor)


def rul_mse(prediction: Array, target: Array) -> Array:
    """Return the mean squared error in cycles².

    Args:
        prediction: predicted RUL in cycles, shape (B,), floating point.
        target: true RUL in cycles, shape (B,), floating point.

    """
    return ((prediction - target) ** 2).mean()  # type: ignore[no-any-return]


def failure_weights(target: Array, rul_cap: float) -> Array:
    """Return one weight a sample, 2 at failure falling to 1 at and above the cap (§14.1).

    Args:
        target: true RUL in cycles, shape (B,).
        rul_cap: the RUL in cycles at which the weight reaches 1.

    """
    return 1.0 + (1.0 - target / rul_cap).clip(0.0, 1.0)


def failure_weighted_mse(prediction: Array, target: Array, rul_cap: float) -> Array:
    """Return the mean of ``w * (prediction - target)**2`` in cycles² (§14.1, AMNL and GRACE).

    It is the plain mean, as in the source: not divided by the sum of the weights, so that it is up
    to twice the unweighted loss on the same residuals.
    """
    weights = failure_weights(target, rul_cap)
    return (weights * (prediction - target) ** 2).mean()  # type: ignore[no-any-return]


def health_cross_entropy(logits: Array, state: Tensor | NDArray[np.integer]) -> Array:
    """Return the mean cross-entropy in nats.

    Args:
        logits: raw class scores, shape (B, classes), floating point.
        state: integer class indices, shape (B,), int64.

    """
    if isinstance(logits, Tensor) and isinstance(state, Tensor):
        return functional.cross_entropy(logits, state)
    # Copied, since PyTorch warns of arrays that cannot be written to.
    classes = torch.tensor(np.asarray(state), dtype=torch.long)
    entropy = functional.cross_entropy(torch.tensor(np.asarray(logits)), classes)
    return cast(Array, entropy.numpy()[()])


def inner_rul_loss(kind: InnerLoss, prediction: Tensor, target: Tensor, rul_cap: float) -> Tensor:
    """Return the RUL loss of the named ``kind``, 0-dim."""
    if kind == "failure_weighted_mse":
        return failure_weighted_mse(prediction, target, rul_cap)
    return rul_mse(prediction, target)
