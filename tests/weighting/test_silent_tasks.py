"""Losses and gradients of zero, and batches without labels of a task, under every method."""

import math
from typing import get_args

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from rulbook.weighting.base import NonFiniteLossError
from rulbook.weighting.gradnorm import Descent
from rulbook.weighting.inputs import on_one_device
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss

from .every_method import EVERY_METHOD, assert_same, call, warmed_up


@EVERY_METHOD
@pytest.mark.parametrize("silent", [("rul",), ("health",), ("rul", "health")])
def test_a_zero_gradient_never_makes_a_nan(name, silent, network):
    """A task whose loss does not move: a RUL head whose last ReLU is dead, for instance."""
    loss = warmed_up(name)
    for _ in range(4):
        losses = dict(zip(("rul", "health"), network.losses(), strict=True))
        for task in silent:
            losses[task] = 3.0 + 0 * losses[task]
        network.clear()
        info = loss.backward(
            *losses.values(),
            shared_params=network.shared_params,
            task_params=network.task_params,
            observe=True,
        )
    assert all(g.isfinite().all() for g in network.gradients())
    assert all(math.isfinite(w) for w in loss.get_weights().values())
    assert math.isnan(info.geometry.cosine)
    if len(silent) == 2:
        assert not any(g.any() for g in network.gradients())


@EVERY_METHOD
def test_a_loss_of_exactly_zero_never_makes_a_nan(name, network):
    loss = warmed_up(name)
    for _ in range(4):
        rul, health = network.losses()
        network.clear()
        loss.backward(
            0 * rul,
            0 * health,
            shared_params=network.shared_params,
            task_params=network.task_params,
        )
        loss.end_epoch({"rul": 0.0, "health": 0.0})
    assert all(g.isfinite().all() for g in network.gradients())
    assert all(math.isfinite(w) for w in loss.get_weights().values())


GRADNORM = [
    (name, descent)
    for name in WEIGHTING_METHODS
    if name.startswith("gradnorm")
    for descent in get_args(Descent)
]


@pytest.mark.parametrize(("name", "descent"), GRADNORM)
def test_a_zero_loss_in_the_middle_never_makes_gradnorms_weights_nan(name, descent, network):
    """As of a batch without labels of any task."""
    loss = get_loss(name, descent=descent).double()
    for factor in (1.0, 0.0, 1.0):
        network.clear()
        call(loss, network, [factor * value for value in network.losses()])
        assert all(math.isfinite(weight) for weight in loss.get_weights().values())
        assert all(g.isfinite().all() for g in network.gradients())


@pytest.mark.parametrize(("name", "descent"), GRADNORM)
def test_a_first_batch_without_labels_is_not_gradnorms_first_loss(name, descent, network):
    loss = get_loss(name, descent=descent).double()
    rul, _ = network.losses()
    call(loss, network, (rul, torch.zeros((), dtype=torch.float64)))
    assert loss.initial_losses[0] == rul
    assert loss.initial_losses[1].isnan()
    rul, health = network.losses()
    call(loss, network, (rul, health))
    assert loss.initial_losses[1] == health


@EVERY_METHOD
@pytest.mark.parametrize("silent", ["rul", "health"])
@pytest.mark.parametrize("observe", [False, True])
def test_a_batch_without_labels_of_a_task_is_one_whose_gradient_is_zero(
    name, silent, observe, network
):
    loss, other = warmed_up(name), warmed_up(name)
    losses = dict(zip(("rul", "health"), network.losses(), strict=True))
    losses[silent] = losses[silent].detach()
    info = call(loss, network, losses.values(), observe=observe)
    found = network.gradients()
    assert all((p.grad is None) for p in network.task_params[silent])
    losses = dict(zip(("rul", "health"), network.losses(), strict=True))
    losses[silent] = losses[silent].detach() + 0 * losses[silent]
    network.clear()
    expected = call(other, network, losses.values(), observe=observe)
    assert_same(found, network.gradients())
    assert loss.get_weights() == other.get_weights()
    if observe:
        assert info.geometry.norms.tolist() == expected.geometry.norms.tolist()


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize(
    "zero",
    [
        torch.tensor(0),
        torch.tensor(False),
        torch.zeros(1, requires_grad=True),
        torch.zeros((), dtype=torch.float16),
    ],
    ids=["integer", "boolean", "leaf", "half"],
)
def test_any_zero_stands_for_the_loss_of_a_batch_without_labels(name, observe, zero, network):
    rul, _ = network.losses()
    call(warmed_up(name), network, (rul, torch.zeros(())), observe=observe)
    expected = network.gradients()
    network.clear()
    call(warmed_up(name), network, (network.losses()[0], zero), observe=observe)
    assert_same(network.gradients(), expected, rtol=0)


def test_the_losses_come_to_the_device_of_the_one_with_a_graph():
    with FakeTensorMode():  # stands in for a GPU, and computes nothing
        trained = torch.zeros((), device="cuda", requires_grad=True)
        constant, other = on_one_device([torch.zeros(()), trained])
        assert constant.device == other.device == trained.device
        assert other is trained


@EVERY_METHOD
def test_the_mean_over_no_labels_says_what_to_give_instead(name, network):
    rul, health = network.losses()
    with pytest.raises(NonFiniteLossError, match=r"mean over no labels .* torch\.zeros"):
        call(warmed_up(name), network, (rul, health.reshape(1)[:0].mean()))
