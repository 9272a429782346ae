"""The two task losses and the failure-weighted one, for NumPy arrays and PyTorch tensors alike.

Every function returns the mean over the batch as a 0-dim value of the kind it was given.
"""

from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rulbook.errors import unknown_name

InnerLoss = Literal["mse", "failure_weighted_mse"]

_NO_CLASS = torch.iinfo(torch.long).min
"""In place of PyTorch's -100, which it leaves out of the mean: no state of any batch is this."""

Array = TypeVar("Array", NDArray[np.floating], Tensor)


def rul_mse(prediction: Array, target: Array) -> Array:
    """Return the mean squared error in cycles².

    Args:
        prediction: predicted RUL in cycles, shape (B,), floating point.
        target: true RUL in cycles, shape (B,), floating point.

    Raises:
        ValueError: the shapes differ, or one of the two is not floating point.

    """
    _check_alike(prediction, target)
    return ((prediction - target) ** 2).mean()  # type: ignore[no-any-return]


def failure_weights(target: Array, rul_cap: float) -> Array:
    """Return one weight a sample, 2 at failure falling to 1 at and above the cap (§14.1).

    Args:
        target: true RUL in cycles, shape (B,).
        rul_cap: the RUL in cycles at which the weight reaches 1, above 0.

    Raises:
        ValueError: the cap is not above 0.

    """
    if not rul_cap > 0:
        raise ValueError(f"rul_cap must be a number of cycles above 0, not {rul_cap!r}")
    return 1.0 + (1.0 - target / rul_cap).clip(0.0, 1.0)


def failure_weighted_mse(prediction: Array, target: Array, rul_cap: float) -> Array:
    """Return the mean of ``w * (prediction - target)**2`` in cycles² (§14.1, AMNL and GRACE).

    It is the plain mean, as in the source: not divided by the sum of the weights, so that it is up
    to twice the unweighted loss on the same residuals.

    Raises:
        ValueError: the shapes differ, one of the two is not floating point, or the cap is not above
            0.

    """
    _check_alike(prediction, target)
    weights = failure_weights(target, rul_cap)
    return (weights * (prediction - target) ** 2).mean()  # type: ignore[no-any-return]


def health_cross_entropy(logits: Array, state: Tensor | NDArray[np.integer]) -> Array:
    """Return the mean cross-entropy in nats.

    Args:
        logits: raw class scores, shape (B, classes), floating point.
        state: integer class indices from 0, shape (B,).

    Raises:
        ValueError: the logits are no table of floating point, or the states are no integers, not
            one for each row of logits, or (on a CPU; a GPU says so itself, later) not each a class.

    """
    if len(logits.shape) != 2:
        raise ValueError(
            f"logits must be of shape (B, classes), one row a sample, not {tuple(logits.shape)}"
        )
    if tuple(state.shape) != tuple(logits.shape[:-1]) or not _is_whole(state):
        raise ValueError(
            f"states must be one integer for each row of logits, not {state.dtype} of shape "
            f"{tuple(state.shape)} for logits of shape {tuple(logits.shape)}"
        )
    if not _is_floating(logits):
        raise ValueError(f"the logits must be floating point, not {logits.dtype}")
    if isinstance(state, Tensor):
        classes = state.long()
    else:  # copied, since PyTorch warns of arrays that cannot be written to
        classes = torch.tensor(np.asarray(state), dtype=torch.long)
    if isinstance(logits, Tensor):
        return _mean_cross_entropy(logits, classes.to(logits.device))
    entropy = _mean_cross_entropy(torch.tensor(np.asarray(logits)), classes)
    return cast(Array, entropy.numpy()[()])


def _mean_cross_entropy(logits: Tensor, state: Tensor) -> Tensor:
    try:
        # By default -100 is left out of the mean, without a word.
        return functional.cross_entropy(logits, state, ignore_index=_NO_CLASS)
    except IndexError:
        raise ValueError(
            f"states must be from 0 to {logits.shape[1] - 1}, one of the {logits.shape[1]} columns "
            f"of logits, not from {int(state.min())} to {int(state.max())}"
        ) from None


def inner_rul_loss(kind: InnerLoss, prediction: Tensor, target: Tensor, rul_cap: float) -> Tensor:
    """Return the RUL loss of the named ``kind``, 0-dim.

    Raises:
        UsageError: there is no such kind.
        ValueError: as the two losses.

    """
    if kind not in get_args(InnerLoss):
        raise unknown_name("RUL loss", kind, get_args(InnerLoss))
    if kind == "failure_weighted_mse":
        return failure_weighted_mse(prediction, target, rul_cap)
    return rul_mse(prediction, target)


def _check_alike(prediction: Array, target: Array) -> None:
    """Raise ``ValueError`` where broadcasting or rounding would hide a mistake.

    (B, 1) less (B,) is (B, B), every prediction less every target, and a network whose RUL is
    rounded to integers has no gradient.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction and target must be of one shape, not {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}"
        )
    for name, values in (("prediction", prediction), ("target", target)):
        if hasattr(values, "to_numpy"):
            raise ValueError(
                f"the {name} is a {type(values).__name__}, whose rows pandas would match by their "
                "index: give its to_numpy()"
            )
        if not _is_floating(values):
            raise ValueError(f"the {name} must be floating point, not {values.dtype}")


def _is_floating(values: Tensor | NDArray[Any]) -> bool:
    if isinstance(values, Tensor):
        return values.is_floating_point()
    return np.issubdtype(values.dtype, np.floating)


def _is_whole(values: Tensor | NDArray[Any]) -> bool:
    if isinstance(values, Tensor):
        return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)
    return np.issubdtype(values.dtype, np.integer)
