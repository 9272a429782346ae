"""The registered methods by kind, and a step of any of them, for the tests that hold for all."""

import pytest
import torch
from torch import nn

from rulbook.weighting.base import GradientWeightedLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss
from rulbook.weighting.surgery import SurgeryLoss

EVERY_METHOD = pytest.mark.parametrize("name", WEIGHTING_METHODS)
FROM_LOSSES = [
    name for name, method in WEIGHTING_METHODS.items() if method.needs != "task gradients"
]
FROM_GRADIENTS = [
    name for name, method in WEIGHTING_METHODS.items() if method.needs == "task gradients"
]
WEIGHTED_SUMS = [n for n in FROM_GRADIENTS if isinstance(get_loss(n), GradientWeightedLoss)]
SURGERY = [n for n in FROM_GRADIENTS if isinstance(get_loss(n), SurgeryLoss)]


def warmed_up(name: str) -> nn.Module:
    """Return a method in float64 that is past any waiting time it has."""
    loss = get_loss(name)
    if name.startswith("gaba") and loss.warmup_steps:
        loss.warmup_steps = 2
    return loss.double()


def assert_same(found, expected, rtol=1e-12):
    """Assert equal up to ``rtol`` of the largest entry of each tensor, the whole of it being 0."""
    for a, b in zip(found, expected, strict=True):
        atol = rtol * float(b.nan_to_num().abs().max())
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol, equal_nan=True)


def call(loss, network, losses, **changes):
    """Call ``backward`` on given losses; ``changes`` replace its keyword arguments."""
    arguments = {"shared_params": network.shared_params, "task_params": network.task_params}
    return loss.backward(*losses, **arguments | changes)


def assert_untouched(network, loss, state):
    assert all(p.grad is None for p in network.parameters)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


def gradients_of_a_step(name, network, observe):
    """Return the gradients of one ordinary step of a method; the network is cleared after it."""
    network.step(warmed_up(name), observe=observe)
    gradients = network.gradients()
    network.clear()
    return gradients
