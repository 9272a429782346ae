"""Dtypes, devices, autocast and the scale of a gradient scaler, under every method."""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, names

from .conftest import TinyNetwork
from .every_method import EVERY_METHOD, FROM_GRADIENTS, assert_same, call, warmed_up


@EVERY_METHOD
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_autocast_around_a_step_changes_nothing(name, precision):
    """As in Lightning's mixed precision, at norms beyond the range of half precision."""

    def step(*, inside):
        network = TinyNetwork.build(rul_scale=1e6).to("cpu")
        losses = network.losses()
        loss = get_loss(name)
        if name.startswith("gaba"):
            loss.warmup_steps = 0
        with torch.random.fork_rng(devices=[]), torch.autocast("cpu", precision, enabled=inside):
            torch.default_generator.manual_seed(0)
            info = call(loss, network, losses, observe=True)
        assert info.geometry.norm_rul > torch.finfo(torch.float16).max
        return [*network.gradients(), *loss.state_dict().values()], loss.get_weights()

    (tensors, weights), (expected, expected_weights) = step(inside=True), step(inside=False)
    assert_same(tensors, expected, rtol=0)
    assert weights == expected_weights


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_step_of_every_method_runs_on_the_device_in_single_precision(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if device == "mps" and not torch.backends.mps.is_available():
        pytest.skip("no MPS device")
    for name in WEIGHTING_METHODS:
        network = TinyNetwork.build().to(device)
        loss = get_loss(name).to(device)
        info = network.step(loss, observe=True)
        assert all(g.device.type == device and g.isfinite().all() for g in network.gradients())
        assert info.geometry.norm_rul.device.type == device
        assert all(type(w) is float for w in loss.get_weights().values())
        call(get_loss(name).to(device), network, (network.losses()[0], torch.zeros(())))


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("scale", [0.25, 1024.0])
def test_a_scale_multiplies_what_is_written_and_nothing_else(name, observe, scale, network):
    loss, other = warmed_up(name), warmed_up(name)
    for _ in range(3):
        plain = network.step(loss, observe=observe)
        expected = [*network.gradients(), *(p.grad for p in loss.parameters())]
        network.clear()
        info = call(other, network, network.losses(), observe=observe, scale=scale)
        found = [*network.gradients(), *(p.grad for p in other.parameters())]
        assert_same([g / scale for g in found], expected, rtol=1e-10)
        assert other.get_weights() == pytest.approx(loss.get_weights(), rel=1e-12)
        if plain.geometry:
            expected = plain.geometry.tolist()
            assert info.geometry.tolist() == pytest.approx(expected, rel=1e-12)
        for parameter in (*loss.parameters(), *other.parameters()):
            parameter.grad = None


@EVERY_METHOD
def test_a_gradient_scaler_gives_the_step_of_training_without_one(name, network):
    """The recipe of the docstring, on the CPU, whose scaler is that of the GPU."""
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimiser = torch.optim.SGD(network.parameters, lr=1e-3)
    before = [p.detach().clone() for p in network.parameters]
    network.step(warmed_up(name))
    expected = [-1e-3 * g for g in network.gradients()]
    network.clear()
    call(warmed_up(name), network, network.losses(), scale=scaler.scale(torch.ones(())))
    scaler.step(optimiser)
    scaler.update()
    moved = [p.detach() - b for p, b in zip(network.parameters, before, strict=True)]
    assert_same(moved, expected, rtol=1e-9)


@EVERY_METHOD
def test_an_overflow_under_a_scale_is_left_to_the_scaler(name, network):
    """A finite loss whose gradient, times the scale, leaves the range of its precision."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    optimiser = torch.optim.SGD(network.parameters, lr=1e-3)
    before = [p.detach().clone() for p in network.parameters]
    loss = warmed_up(name)
    rul, health = network.losses()
    state = copy.deepcopy(loss.state_dict())
    health = health + (health - health.detach()).sqrt()  # its derivative at zero is infinite
    call(loss, network, (rul, health), scale=scaler.scale(torch.ones(())))
    scaler.step(optimiser)
    scaler.update()
    assert scaler.get_scale() == 2.0**15
    assert_same([p.detach() for p in network.parameters], before, rtol=0)
    if name in FROM_GRADIENTS:
        assert_same(loss.state_dict().values(), state.values(), rtol=0)


@EVERY_METHOD
def test_two_halves_of_a_batch_add_up_under_a_scale_of_one_half(name, network):
    """Equal halves: every method sees in each what it would see in the whole."""
    loss = warmed_up(name)
    network.step(loss)
    whole = network.gradients()
    network.clear()
    for _ in range(2):
        call(warmed_up(name), network, network.losses(), scale=0.5)
    assert_same(network.gradients(), whole, rtol=1e-10)


@EVERY_METHOD
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("method_dtype", [torch.float32, torch.float64])
def test_a_step_in_every_precision_keeps_that_of_the_parameters(name, dtype, method_dtype, network):
    network.step(warmed_up(name), observe=True)
    expected = network.gradients()
    for part in (network.trunk, network.heads):
        part.to(dtype)
    network.x, network.rul = network.x.to(dtype), network.rul.to(dtype)
    info = network.step(warmed_up(name).to(method_dtype), observe=True)
    assert all(p.grad.dtype == dtype for p in network.parameters)
    assert info.geometry.norms.dtype == max(dtype, torch.float32, key=lambda d: d.itemsize)
    if dtype != torch.bfloat16:
        assert_same([g.double() for g in network.gradients()], expected, rtol=1e-3)
    assert all(g.isfinite().all() for g in network.gradients())


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize(
    "scale",
    [
        torch.full((1,), 0.25),
        torch.full((1, 1), 0.25, dtype=torch.float64),
        nn.Parameter(torch.tensor(0.25)),
        Fraction(1, 4),
        np.float32(0.25),
    ],
    ids=["one element", "one by one", "trained", "fraction", "numpy"],
)
def test_every_form_of_one_number_is_a_scale(name, observe, scale, network):
    call(warmed_up(name), network, network.losses(), observe=observe, scale=0.25)
    expected = network.gradients()
    network.clear()
    call(warmed_up(name), network, network.losses(), observe=observe, scale=scale)
    assert_same(network.gradients(), expected)
    assert getattr(scale, "grad", None) is None


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_leaves_the_state_its_precision(name, dtype):
    """A running average with a beta of 0.99 does not move in eight bits."""
    method = get_loss(name)
    before = {key: buffer.dtype for key, buffer in method.named_buffers()}
    nn.Sequential(nn.Linear(1, 1), method).to(dtype)
    assert {key: buffer.dtype for key, buffer in method.named_buffers()} == before
    method.double()
    widened = [b.dtype for b in method.buffers() if b.is_floating_point()]
    assert all(kind == torch.float64 for kind in widened)
