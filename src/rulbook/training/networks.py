"""Which networks a run can name: those of the source, baselines in their place, and one's own."""

from collections.abc import Callable
from typing import Literal, cast, get_args

import torch
from torch import nn

from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import UsageError, unknown_name
from rulbook.models import ARCHITECTURES, DualTaskModel, task_parameters

Baseline = Literal["gradient_boosting", "constant"]

_OWN: dict[str, Callable[[int], nn.Module]] = {}


def network_names() -> tuple[str, ...]:
    """Return every name that ``RunConfig.network`` can have in this process."""
    return (*ARCHITECTURES, *get_args(Baseline), *_OWN)


def is_own(name: str) -> bool:
    """Return whether a network of that name was added in this process."""
    return name in _OWN


def add_network(name: str, build: Callable[[int], nn.Module]) -> None:
    """Let runs of this process name a network of one's own in ``RunConfig.network``.

    Adding it once more takes the place of the first. Records name it too: give it another name
    when it changes.

    Args:
        name: one that no network of the package has.
        build: called with the number of features a cycle; draws its weights from PyTorch's global
            random state. What it returns has three parts. ``features(x)`` gives the representation
            z of windows, from (B, window, features) to (B, width); the modules ``head_rul`` and
            ``head_health`` hold the parameters that only one task has, and all other parameters
            are shared. Called, it returns RUL, (B,), in units of the target, and raw health
            logits, (B, 3). With a method ``start_rul_at(mean)`` it can start at the mean RUL;
            without one its runs need ``rul_bias="default"``.

    Raises:
        UsageError: the name is taken.

    """
    if name in (*ARCHITECTURES, *get_args(Baseline)):
        raise UsageError(f"'{name}' is a network of the package: choose another name.")
    _OWN[name] = build


def build_own(name: str, in_features: int, window: int) -> DualTaskModel:
    """Build a network that was added, checked against what a training asks of it.

    Returns:
        The network, which has the parts of a ``DualTaskModel`` that trainings use.

    Raises:
        UsageError: no such network was added, or it lacks a part.

    """
    if name not in _OWN:
        raise unknown_name("network", name, network_names())
    model = _OWN[name](in_features)
    if fault := _fault_of(model, torch.zeros(2, window, in_features)):
        raise UsageError(f"The network '{name}' {fault}; see `add_network` for what it needs.")
    return cast("DualTaskModel", model)


@torch.no_grad()
def _fault_of(model: nn.Module, windows: torch.Tensor) -> str:
    if not callable(getattr(model, "features", None)):
        return "has no method features"
    task_parameters(model)  # says so where a head is missing
    was_training = model.training
    model.eval()
    z = model.features(windows)  # type: ignore[operator]
    answer = model(windows)
    model.train(was_training)
    if z.ndim != 2:
        return f"gives features of shape {tuple(z.shape)} for two windows, not (2, width)"
    wanted = [(len(windows),), (len(windows), len(HEALTH_STATES))]
    if not isinstance(answer, tuple) or [tuple(part.shape) for part in answer] != wanted:
        return "does not return RUL, (B,), and health logits, (B, 3)"
    return ""
