"""What the training loop may rely on for every registered method alike."""

import copy
import functools
import io
import math
import pickle
from fractions import Fraction
from typing import get_args
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from rulbook.errors import UsageError
from rulbook.gradients import geometry, task_gradients
from rulbook.weighting.base import (
    STEPS_BETWEEN_CHECKS,
    TASKS,
    GradientWeightedLoss,
    NonFiniteLossError,
    learnable,
)
from rulbook.weighting.gradnorm import Descent
from rulbook.weighting.inputs import on_one_device
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, method_options, names
from rulbook.weighting.surgery import SurgeryLoss

from .conftest import TinyNetwork

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


def test_the_two_kinds_of_gradient_methods_cover_all():
    assert sorted(WEIGHTED_SUMS + SURGERY) == sorted(FROM_GRADIENTS)


@pytest.mark.parametrize("name", FROM_LOSSES)
def test_backward_is_autograd_of_forward(name, network):
    loss = warmed_up(name)
    other = copy.deepcopy(loss)
    info = network.step(loss)
    found = [*network.gradients(), *(p.grad for p in loss.parameters())]
    network.clear()
    total = other(*network.losses())
    total.backward()
    assert_same(found, [*network.gradients(), *(p.grad for p in other.parameters())], rtol=0)
    assert info.total == total
    assert not info.total.requires_grad
    assert info.geometry is None


@pytest.mark.parametrize("name", FROM_LOSSES)
def test_observing_changes_nothing_but_the_report(name, network):
    loss = warmed_up(name)
    other = copy.deepcopy(loss)
    info = network.step(loss, observe=True)
    found = [*network.gradients(), *(p.grad for p in loss.parameters())]
    network.step(other)
    assert_same(found, [*network.gradients(), *(p.grad for p in other.parameters())])
    assert loss.get_weights() == other.get_weights()
    for value, expected in zip(
        info.geometry.tolist(), measured_geometry(network).tolist(), strict=True
    ):
        assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", FROM_GRADIENTS)
def test_the_geometry_is_that_of_the_unweighted_losses(name, network):
    info = network.step(warmed_up(name))
    assert info.geometry.tolist() == pytest.approx(measured_geometry(network).tolist(), rel=1e-12)


@pytest.mark.parametrize("frozen", [None, 0, 2])
@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_the_books_way_gives_the_same_weights_and_gradients(name, frozen, network):
    if frozen is not None:
        network.trunk[frozen].requires_grad_(False)
    loss, other = warmed_up(name), warmed_up(name)
    for _ in range(4):
        info = network.step(loss)
        found = network.gradients()
        network.clear()
        total = other(*network.losses(), shared_params=network.shared_params)
        total.backward()
        assert_same(found, network.gradients())
        assert loss.get_weights() == pytest.approx(other.get_weights(), rel=1e-12)
        assert info.total.item() == pytest.approx(total.item(), rel=1e-12)
        torch.optim.SGD(network.parameters, lr=1e-3).step()


@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_forward_without_shared_params_measures_nothing_and_moves_nothing(name, network):
    loss = warmed_up(name)
    for _ in range(4):
        network.step(loss)
    state = copy.deepcopy(loss.state_dict())
    weights = loss.get_weights()
    with torch.no_grad():
        rul, health = network.losses()
        total = loss(rul, health)
    expected = weights["rul_weight"] * rul + weights["health_weight"] * health
    assert total.item() == pytest.approx(expected.item(), rel=1e-14)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_the_books_way_refuses_parameters_that_it_cannot_measure(name, network):
    """With a generator that is used up the weights would be those of two zero gradients."""
    loss = warmed_up(name)
    generator = iter(network.shared_params)
    loss(*network.losses(), shared_params=generator)
    state = copy.deepcopy(loss.state_dict())
    copies = copy.deepcopy(network.trunk).parameters()
    for given, sentence in ((generator, "shared_params is empty"), (copies, "None of the losses")):
        with pytest.raises(UsageError, match=sentence):
            loss(*network.losses(), shared_params=given)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


def test_weights_with_a_graph_are_refused(network):
    """No step would ever train what a method of one's own computes them from."""

    class Learned(GradientWeightedLoss):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(2, dtype=torch.float64))

        def weigh(self, _step):
            return self.logits.softmax(0)

        def current_weights(self):
            return self.logits.softmax(0).detach()

        def get_name(self):
            return "Learned"

    with pytest.raises(UsageError, match="return the weights detached"):
        network.step(Learned())
    with pytest.raises(UsageError, match="return the weights detached"):
        Learned()(*network.losses(), shared_params=network.shared_params)
    assert all(parameter.grad is None for parameter in network.parameters)


@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_the_books_way_names_a_loss_that_is_not_finite(name, network):
    loss = warmed_up(name)
    state = copy.deepcopy(loss.state_dict())
    rul, health = network.losses()
    with pytest.raises(NonFiniteLossError, match="health loss is nan at step 1"):
        loss(rul, health * math.nan, shared_params=network.shared_params)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_the_weights_carry_no_gradient(name, network):
    rul, health = network.losses()
    total = warmed_up(name)(rul, health, shared_params=network.shared_params)
    weights = torch.autograd.grad(total, [rul, health])
    assert (weights[0] * rul + weights[1] * health).item() == pytest.approx(total.item(), rel=1e-14)


@EVERY_METHOD
def test_get_weights_are_the_weights_of_the_step(name, network):
    loss = warmed_up(name)
    for _ in range(4):
        network.step(loss)
    rul, health = network.losses()
    g_rul = task_gradients(rul, network.shared_params, retain_graph=True)
    g_health = task_gradients(health, network.shared_params)
    weights = loss.get_weights()
    expected = [
        weights["rul_weight"] * a + weights["health_weight"] * b
        for a, b in zip(g_rul, g_health, strict=True)
    ]
    assert_same([p.grad for p in network.shared_params], expected, rtol=1e-10)


@EVERY_METHOD
def test_heads_are_weighted_as_the_registry_says(name, network):
    loss = warmed_up(name)
    network.step(loss)
    weights = dict(zip(("rul", "health"), loss.get_weights().values(), strict=True))
    if WEIGHTING_METHODS[name].heads == "unweighted":
        weights = {"rul": 1.0, "health": 1.0}
    for (task, parameters), task_loss in zip(
        network.task_params.items(), network.losses(), strict=True
    ):
        expected = [weights[task] * g for g in task_gradients(task_loss, parameters)]
        assert_same([p.grad for p in parameters], expected)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_a_step_costs_the_passes_that_the_registry_says(name, observe, network):
    """Count passes through the end of the trunk, and calls into autograd."""
    loss = warmed_up(name)
    passes = {"forward": 0, "trunk": 0, "calls": 0}

    def count(kind, result=None):
        passes[kind] += 1
        return result

    def watch(module, inputs, z):
        count("forward")
        z.register_hook(lambda _: count("trunk"))

    network.trunk.register_forward_hook(watch)
    run_backward = torch.autograd.graph._engine_run_backward
    engine = mock.Mock(side_effect=lambda *a, **k: count("calls", run_backward(*a, **k)))
    with (
        mock.patch("torch.autograd._engine_run_backward", engine),
        mock.patch("torch.autograd.graph._engine_run_backward", engine),
    ):
        network.step(loss, observe=observe)
    expected = 2 if observe else WEIGHTING_METHODS[name].backward_passes
    assert passes["forward"] == 1
    assert passes["trunk"] == expected
    # With ``observe`` one call more goes through the two losses alone, no further.
    assert passes["calls"] == expected + (observe and name in FROM_LOSSES)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_the_graph_is_freed(name, observe, network):
    rul, health = network.losses()
    warmed_up(name).backward(
        rul,
        health,
        shared_params=network.shared_params,
        task_params=network.task_params,
        observe=observe,
    )
    with pytest.raises(RuntimeError, match="second time"):
        (rul + health).backward()


@EVERY_METHOD
def test_gradients_add_up_like_autograds_own(name, network):
    """Two batches without clearing, each under a fresh method, give twice the gradient of one."""
    network.step(warmed_up(name))
    once = network.gradients()
    warmed_up(name).backward(
        *network.losses(), shared_params=network.shared_params, task_params=network.task_params
    )
    assert_same(network.gradients(), [2 * g for g in once])


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_a_grad_that_is_there_is_written_in_place(name, observe, network):
    """Such as the view of one flat buffer, which is reduced or clipped as a whole."""
    expected = gradients_of_a_step(name, network, observe)
    sizes = [p.numel() for p in network.parameters]
    buffer = torch.zeros(sum(sizes), dtype=torch.float64)
    for parameter, part in zip(network.parameters, buffer.split(sizes), strict=True):
        parameter.grad = part.view_as(parameter)
    call(warmed_up(name), network, network.losses(), observe=observe)
    assert_same([buffer], [torch.cat([g.reshape(-1) for g in expected])], rtol=0)
    for parameter, part in zip(network.parameters, buffer.split(sizes), strict=True):
        assert parameter.grad.data_ptr() == part.data_ptr()


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_a_sparse_grad_that_is_there_is_added_to(name, observe, network):
    expected = gradients_of_a_step(name, network, observe)
    for parameter in network.parameters:
        parameter.grad = torch.ones_like(parameter).to_sparse()
    call(warmed_up(name), network, network.losses(), observe=observe)
    assert_same(network.gradients(), [1 + g for g in expected])


@EVERY_METHOD
@pytest.mark.parametrize(
    ("task", "bad"), [("rul", math.nan), ("health", math.inf), ("health", -math.inf)]
)
@pytest.mark.parametrize("observe", [False, True])
def test_a_loss_that_is_not_finite_is_an_error_and_leaves_no_trace(
    name, bad, task, observe, network
):
    loss = warmed_up(name)
    for _ in range(2):
        network.step(loss)
    network.clear()
    state = copy.deepcopy(loss.state_dict())
    weights = loss.get_weights()
    losses = dict(zip(("rul", "health"), network.losses(), strict=True))
    losses[task] = losses[task] + bad
    with pytest.raises(NonFiniteLossError) as raised:
        loss.backward(
            *losses.values(),
            shared_params=network.shared_params,
            task_params=network.task_params,
            observe=observe,
        )
    assert f"{task} loss is {bad}" in str(raised.value)
    assert "step 3" in str(raised.value)
    assert loss.get_name() in str(raised.value)
    assert all(p.grad is None for p in network.parameters)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)
    assert loss.get_weights() == weights


@pytest.mark.parametrize("name", FROM_GRADIENTS)
def test_a_gradient_that_is_not_finite_is_an_error_and_leaves_no_trace(name, network):
    """The square root of zero is a finite loss whose gradient is not."""
    loss = warmed_up(name)
    state = copy.deepcopy(loss.state_dict())
    rul, health = network.losses()
    with pytest.raises(NonFiniteLossError, match=r"health gradient norm is (nan|inf) at step 1"):
        loss.backward(
            rul,
            (health - health.detach()).sqrt(),
            shared_params=network.shared_params,
            task_params=network.task_params,
        )
    assert all(p.grad is None for p in network.parameters)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


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


@EVERY_METHOD
@pytest.mark.parametrize("interrupted_after", [1, 3, 7])
def test_a_resumed_run_repeats_an_uninterrupted_one(name, interrupted_after, network):
    """Ten steps with an epoch every two, against the same cut by a checkpoint on disk."""

    def run(loss, optimiser, steps):
        trace = []
        for step in steps:
            network.step(loss)
            optimiser.step()
            if step % 2:
                loss.end_epoch({"rul": 9.0 / (step + 1), "health": 1.0 + 0.1 * step})
            trace.append((loss.get_weights(), network.gradients()))
            for parameter in loss.parameters():
                parameter.grad = None
        return trace

    def start():
        loss = warmed_up(name)
        if name.startswith("gaba") and loss.warmup_steps:
            loss.warmup_steps = 5
        groups = [{"params": network.parameters}, {"params": list(learnable(loss))}]
        return loss, torch.optim.SGD(groups, lr=1e-3)

    network_state = copy.deepcopy((network.trunk.state_dict(), network.heads.state_dict()))
    expected = run(*start(), range(10))

    network.trunk.load_state_dict(network_state[0])
    network.heads.load_state_dict(network_state[1])
    loss, optimiser = start()
    found = run(loss, optimiser, range(interrupted_after))
    checkpoint = io.BytesIO()
    torch.save(loss.state_dict(), checkpoint)
    checkpoint.seek(0)
    resumed, optimiser = start()
    resumed.load_state_dict(torch.load(checkpoint, weights_only=True))
    found += run(resumed, optimiser, range(interrupted_after, 10))

    for (weights, gradients), (expected_weights, expected_gradients) in zip(
        found, expected, strict=True
    ):
        assert weights == expected_weights
        assert_same(gradients, expected_gradients, rtol=0)


@pytest.mark.parametrize("name", SURGERY)
def test_surgery_has_no_scalar_loss_and_says_so(name, network):
    loss = warmed_up(name)
    with pytest.raises(Exception, match=r"no scalar loss; call backward"):
        loss(*network.losses(), shared_params=network.shared_params)
    assert network.step(loss).total is None


@pytest.mark.parametrize("name", SURGERY)
def test_surgery_leaves_the_random_numbers_of_dropout_alone(name, network):
    before = torch.get_rng_state()
    network.step(warmed_up(name))
    assert torch.equal(torch.get_rng_state(), before)


@EVERY_METHOD
def test_needs_task_gradients_is_what_the_registry_says(name):
    assert get_loss(name).needs_task_gradients == (
        WEIGHTING_METHODS[name].needs == "task gradients"
    )


@EVERY_METHOD
def test_the_state_is_what_the_registry_says(name):
    assert bool(get_loss(name).state_dict()) == (WEIGHTING_METHODS[name].state != "none")


@EVERY_METHOD
def test_the_weights_sum_to_what_the_registry_says(name, network):
    loss = warmed_up(name)
    for _ in range(4):
        network.step(loss)
        total = sum(loss.get_weights().values())
        match WEIGHTING_METHODS[name].weight_sum.split():
            case ["any"]:
                assert total > 0
            case ["at", "least", bound]:
                assert total >= float(bound) - 1e-12
            case [exact]:
                assert total == pytest.approx(float(exact), rel=1e-9)


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


def measured_geometry(network):
    rul, health = network.losses()
    return geometry(
        task_gradients(rul, network.shared_params, retain_graph=True),
        task_gradients(health, network.shared_params),
    )


def call(loss, network, losses, **changes):
    """Call ``backward`` on given losses; ``changes`` replace its keyword arguments."""
    arguments = {"shared_params": network.shared_params, "task_params": network.task_params}
    return loss.backward(*losses, **arguments | changes)


def assert_untouched(network, loss, state):
    assert all(p.grad is None for p in network.parameters)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
class TestWrongUse:
    """Each is an error that names what is wrong, before anything is written or moves."""

    def fails(self, name, observe, network, losses, match, **changes):
        loss = warmed_up(name)
        state = copy.deepcopy(loss.state_dict())
        with pytest.raises(UsageError, match=match):
            call(loss, network, losses, observe=observe, **changes)
        assert_untouched(network, loss, state)

    def test_losses_that_are_no_scalars(self, name, observe, network):
        rul, health = network.losses()
        self.fails(name, observe, network, (rul, health.expand(16)), r"health loss has shape \(16,")

    def test_a_loss_that_is_no_tensor(self, name, observe, network):
        self.fails(name, observe, network, (network.losses()[0], 0.0), "health loss is a float")

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_another_number_of_losses(self, name, observe, count, network):
        losses = (*network.losses(), torch.ones(()))[:count]
        self.fails(name, observe, network, losses, r"takes 2 losses \(rul, health\)")

    def test_a_parameter_in_neither_list(self, name, observe, network):
        """The last shared layer alone, as GradNorm's authors advise for its norm."""
        last = network.trunk[2].parameters()
        match = r"2 tensors .* \(8, 5\), \(8,\).*neither"
        self.fails(name, observe, network, network.losses(), match, shared_params=last)

    def test_heads_under_each_others_names(self, name, observe, network):
        heads = dict(zip(("health", "rul"), network.task_params.values(), strict=True))
        match = r"2 tensors that the rul loss trains, of shape \(1, 4\).* under another task"
        self.fails(name, observe, network, network.losses(), match, task_params=heads)

    def test_a_shared_layer_under_one_task(self, name, observe, network):
        first, last = network.shared_params[:2], network.shared_params[2:]
        heads = {**network.task_params, "rul": [*network.task_params["rul"], *last]}
        match = "2 tensors that the health loss trains, .* in shared_params what more than one"
        self.fails(
            name, observe, network, network.losses(), match, shared_params=first, task_params=heads
        )

    def test_a_head_that_reads_the_others_output(self, name, observe, network):
        z = network.trunk(network.x)
        rul = network.heads["rul"](z)
        health = network.heads["health"](z) + rul
        losses = (rul.square().mean(), health.square().mean())
        self.fails(name, observe, network, losses, "that the health loss trains")

    @pytest.mark.parametrize("again", ["rul_loss", "health_loss"])
    @pytest.mark.parametrize("as_mapping", [False, True])
    def test_a_loss_given_twice(self, name, observe, again, as_mapping, network):
        losses = dict(zip(TASKS, network.losses(), strict=True))
        given = [losses] if as_mapping else losses.values()
        match = f"given twice, once as {again}"
        self.fails(name, observe, network, given, match, **{again: losses["rul"]})

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda loss: loss.to("meta"), "rul loss is on the meta device"),
            (lambda loss: loss.to(torch.complex128), "rul loss is a complex number"),
            (lambda _: None, r"rul loss is a NoneType; .* torch\.zeros"),
            (lambda loss: {"loss": loss}, "rul loss is a dict"),
        ],
    )
    def test_a_loss_that_is_no_real_number(self, name, observe, change, match, network):
        rul, health = network.losses()
        self.fails(name, observe, network, (change(rul), health), match)

    @pytest.mark.parametrize("argument", ["shared_params", "task_params"])
    def test_no_list_at_all(self, name, observe, argument, network):
        none = None if argument == "shared_params" else {**network.task_params, "rul": None}
        match = "must be a list of parameters, not a NoneType"
        self.fails(name, observe, network, network.losses(), match, **{argument: none})

    def test_a_parameter_in_both_lists(self, name, observe, network):
        shared = [*network.shared_params, *network.task_params["rul"]]
        self.fails(name, observe, network, network.losses(), "twice", shared_params=shared)

    @pytest.mark.parametrize("tasks", [("rul",), ("rul", "health", "third"), ("rul", "state")])
    def test_task_params_under_other_names(self, name, observe, tasks, network):
        heads = dict.fromkeys(tasks, ())
        match = "task_params must hold the parameters of rul, health"
        self.fails(name, observe, network, network.losses(), match, task_params=heads)

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            (lambda trunk: trunk, r"not a Sequential: give its \.parameters"),
            (lambda trunk: trunk[0].weight, "not a Parameter"),
            (lambda trunk: trunk.named_parameters(), "holds a tuple"),
            (lambda trunk: [name for name, _ in trunk.named_parameters()], "holds a str"),
            (list, "holds a Linear"),
            (lambda trunk: [trunk[0].weight * 1], r"shape \(8, 5\) that is computed"),
        ],
    )
    def test_what_is_no_list_of_parameters(self, name, observe, given, match, network):
        shared = given(network.trunk)
        self.fails(name, observe, network, network.losses(), match, shared_params=shared)

    def test_heads_in_one_list(self, name, observe, network):
        heads = [p for part in network.task_params.values() for p in part]
        match = "must be a mapping from rul, health"
        self.fails(name, observe, network, network.losses(), match, task_params=heads)

    @pytest.mark.parametrize(
        "scale",
        [0.0, -1.0, math.nan, math.inf, torch.ones(2), "2", [2.0], 1j, torch.tensor(1j)],
    )
    def test_a_scale_that_is_none(self, name, observe, scale, network):
        self.fails(name, observe, network, network.losses(), "scale must be", scale=scale)

    def test_losses_without_a_graph(self, name, observe, network):
        losses = [loss.detach() for loss in network.losses()]
        self.fails(name, observe, network, losses, "no loss has a graph")

    def test_gradients_switched_off(self, name, observe, network):
        losses = network.losses()
        with torch.no_grad():
            self.fails(name, observe, network, losses, r"outside torch\.no_grad")

    def test_a_negative_loss_where_the_formula_divides_by_it(self, name, observe, network):
        rul, health = network.losses()
        losses = (rul, health - 100)
        if get_loss(name).needs_positive_losses:
            self.fails(name, observe, network, losses, "health loss is -9")
        else:
            call(warmed_up(name), network, losses, observe=observe)
            assert all(g.isfinite().all() for g in network.gradients())


@EVERY_METHOD
def test_a_layer_unfrozen_in_the_middle_and_listed_nowhere_is_found(name, network):
    first = list(network.trunk[0].parameters())
    for parameter in first:
        parameter.requires_grad_(False)
    loss = get_loss(name)
    listed = {"shared_params": [p for p in network.shared_params if p.requires_grad]}
    call(loss, network, network.losses(), **listed)
    for parameter in first:
        parameter.requires_grad_(True)
    for _ in range(STEPS_BETWEEN_CHECKS - 1):
        call(loss, network, network.losses(), **listed)
    with pytest.raises(UsageError, match="in neither shared_params"):
        call(loss, network, network.losses(), **listed)


@EVERY_METHOD
def test_a_gate_between_two_heads_that_opens_in_the_middle_is_found(name, network):
    """At zero it lets nothing of the one head's gradient through, and the lists seem right."""
    gate = nn.Parameter(torch.zeros((), dtype=torch.float64))
    heads = {**network.task_params, "health": [*network.task_params["health"], gate]}

    def losses():
        z = network.trunk(network.x)
        rul = network.heads["rul"](z)
        logits = network.heads["health"](z) + gate * rul
        cross_entropy = nn.functional.cross_entropy(logits, network.health)
        return (rul.squeeze(-1) - network.rul).square().mean(), cross_entropy

    loss = get_loss(name)
    for _ in range(STEPS_BETWEEN_CHECKS):
        call(loss, network, losses(), task_params=heads)
    gate.data.fill_(5.0)
    with pytest.raises(UsageError, match="that the health loss trains"):
        call(loss, network, losses(), task_params=heads)


@EVERY_METHOD
def test_a_diverged_step_is_named_so_when_the_lists_are_looked_at_too(name, network):
    """Of heads side by side each loss reaches both, the other with a gradient of zero times NaN."""

    def losses():
        z = network.trunk(network.x)
        both = torch.cat([network.heads["rul"](z), network.heads["health"](z)], dim=1)
        cross_entropy = nn.functional.cross_entropy(both[:, 1:], network.health)
        return (both[:, 0] - network.rul).square().mean(), cross_entropy

    loss = get_loss(name)
    for _ in range(STEPS_BETWEEN_CHECKS):
        call(loss, network, losses())
    network.trunk[0].weight.data.fill_(math.nan)
    with pytest.raises(NonFiniteLossError):
        call(loss, network, losses())


@pytest.mark.parametrize("name", FROM_GRADIENTS)
def test_a_heads_gradient_that_overflows_under_a_scale_moves_no_state(name):
    network = TinyNetwork.build().to("cpu")
    loss = warmed_up(name).float()
    network.step(loss)
    state = copy.deepcopy(loss.state_dict())
    network.clear()
    rul, health = network.losses()
    rul = rul + 1e30 * network.heads["rul"].bias.sum()
    info = call(loss, network, (rul, health), scale=1e10)
    assert info.total is None
    assert all(p.grad.isnan().all() for p in network.parameters)
    assert_same(loss.state_dict().values(), state.values(), rtol=0)


def the_shared_list_twice(shared, heads):
    return [*shared, *shared], heads


def a_trunk_layer_in_both_lists(shared, heads):
    return shared, {**heads, "rul": [*heads["rul"], *shared[2:]]}


def a_trunk_layer_moved_to_one_task(shared, heads):
    return shared[:2], {**heads, "rul": [*heads["rul"], *shared[2:]]}


def the_heads_exchanged(shared, heads):
    return shared, {"rul": heads["health"], "health": heads["rul"]}


def a_head_layer_moved_to_the_other_task(shared, heads):
    return shared, {"rul": [*heads["rul"], *heads["health"][1:]], "health": heads["health"][:1]}


def a_layer_left_out(shared, heads):
    return shared[2:], heads


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize(
    "lists",
    [
        the_shared_list_twice,
        a_trunk_layer_in_both_lists,
        a_trunk_layer_moved_to_one_task,
        the_heads_exchanged,
        a_head_layer_moved_to_the_other_task,
        a_layer_left_out,
    ],
    ids=lambda lists: lists.__name__,
)
def test_lists_are_refused_at_a_later_step_as_at_the_first(name, observe, lists, network):
    shared, heads = lists(network.shared_params, network.task_params)
    loss = warmed_up(name)
    with pytest.raises(UsageError) as at_the_first:
        call(loss, network, network.losses(), shared_params=shared, task_params=heads)
    for _ in range(2):
        network.step(loss, observe=observe)
    network.clear()
    state = copy.deepcopy(loss.state_dict())
    for _ in range(2):
        with pytest.raises(UsageError) as at_the_third:
            call(
                loss,
                network,
                network.losses(),
                observe=observe,
                shared_params=shared,
                task_params=heads,
            )
        assert str(at_the_third.value) == str(at_the_first.value)
        assert_untouched(network, loss, state)
    network.step(loss, observe=observe)


@pytest.mark.parametrize("name", WEIGHTED_SUMS)
def test_the_books_way_refuses_the_shared_list_twice(name, network):
    loss = warmed_up(name)
    state = copy.deepcopy(loss.state_dict())
    shared = [*network.shared_params, *network.shared_params[:1]]
    with pytest.raises(UsageError, match="1 of the parameters are listed twice"):
        loss(*network.losses(), shared_params=shared)
    assert_untouched(network, loss, state)


def test_unchanged_lists_are_not_looked_at_again(network):
    """A look walks the graph, which not every step should pay for."""
    loss = get_loss("gaba")
    with mock.patch.object(loss, "_check_all_listed", wraps=loss._check_all_listed) as looked:
        for _ in range(STEPS_BETWEEN_CHECKS):
            network.step(loss)
    assert looked.call_count == 1


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_a_sparse_embedding_trains_as_a_dense_one(name, observe):
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        trunk = nn.Embedding(6, 4, sparse=sparse)
        heads = {task: nn.Linear(4, 1) for task in TASKS}
        z = trunk(torch.tensor([0, 2, 2, 5]))
        losses = [(10 * head(z)).square().mean() for head in heads.values()]
        task_params = {task: list(head.parameters()) for task, head in heads.items()}
        get_loss(name).backward(
            *losses, shared_params=trunk.parameters(), task_params=task_params, observe=observe
        )
        gradients.append(trunk.weight.grad.to_dense())
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=0)


@EVERY_METHOD
def test_a_method_that_must_measure_says_so_when_it_is_not_given_what_to_measure(name, network):
    """``loss(a, b).backward()``, the call of the other methods, would train at 0.5/0.5 for ever."""
    loss = warmed_up(name)
    if name in WEIGHTED_SUMS:
        with pytest.raises(UsageError, match=r"shared_params=…\)\.backward\(\)"):
            loss(*network.losses())
    elif name not in SURGERY:
        loss(*network.losses()).backward()


@EVERY_METHOD
def test_losses_may_be_given_by_name_or_as_a_mapping_or_with_one_element(name, network):
    network.step(warmed_up(name))
    expected = network.gradients()
    for arrange in (
        lambda rul, health: ([], {"health_loss": health, "rul_loss": rul}),
        lambda rul, health: ([{"health": health, "rul": rul}], {}),
        lambda rul, health: ([rul.reshape(1), health.reshape(1)], {}),
    ):
        losses, named = arrange(*network.losses())
        network.clear()
        loss = warmed_up(name)
        call(loss, network, losses, **named)
        assert_same(network.gradients(), expected, rtol=0)
        assert all(type(weight) is float for weight in loss.get_weights().values())


@EVERY_METHOD
def test_parameters_may_be_given_by_generators(name, network):
    network.step(warmed_up(name))
    expected = network.gradients()
    network.clear()
    heads = {task: head.parameters() for task, head in network.heads.items()}
    shared = network.trunk.parameters()
    call(warmed_up(name), network, network.losses(), shared_params=shared, task_params=heads)
    assert_same(network.gradients(), expected, rtol=0)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_frozen_parameters_stay_as_they_are_and_the_others_train(name, observe, network):
    network.trunk[0].requires_grad_(False)
    network.heads["health"].bias.requires_grad_(False)
    network.step(warmed_up(name), observe=observe)
    for parameter in network.parameters:
        assert (parameter.grad is None) != parameter.requires_grad


OF_LAST_LAYER = ("gradnorm_legacy", "gradnorm_original")
"""Their norm is that of a layer of the trunk, so that a frozen trunk leaves nothing to measure."""


@pytest.mark.parametrize("name", [name for name in WEIGHTING_METHODS if name not in OF_LAST_LAYER])
@pytest.mark.parametrize("observe", [False, True])
def test_with_the_whole_trunk_frozen_the_heads_train(name, observe, network):
    network.trunk.requires_grad_(False)
    network.step(warmed_up(name), observe=observe)
    assert all(p.grad.isfinite().all() for head in network.task_params.values() for p in head)


@pytest.mark.parametrize("name", OF_LAST_LAYER)
@pytest.mark.parametrize("frozen", ["trunk", "matrices"])
def test_with_no_layer_to_measure_the_refusal_says_what_to_do(name, frozen, network):
    for parameter in network.trunk.parameters():
        parameter.requires_grad_(frozen == "matrices" and parameter.ndim == 1)
    loss = warmed_up(name)
    state = copy.deepcopy(loss.state_dict())
    with pytest.raises(UsageError, match=r"no parameter of shared_params that is trained .* thaw"):
        call(loss, network, network.losses())
    assert_untouched(network, loss, state)


def gradients_of_a_step(name, network, observe):
    """Return the gradients of one ordinary step of a method; the network is cleared after it."""
    network.step(warmed_up(name), observe=observe)
    gradients = network.gradients()
    network.clear()
    return gradients


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_heads_that_were_put_side_by_side_train_as_apart(name, observe, network):
    """Each loss reaches both heads in the graph then, one of them with gradient zero."""
    expected = gradients_of_a_step(name, network, observe)
    z = network.trunk(network.x)
    both = torch.cat([network.heads["rul"](z), network.heads["health"](z)], dim=1)
    losses = (
        nn.functional.mse_loss(both[:, 0], network.rul),
        nn.functional.cross_entropy(both[:, 1:], network.health),
    )
    call(warmed_up(name), network, losses, observe=observe)
    assert_same(network.gradients(), expected)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_an_input_that_needs_gradients_may_be_listed_with_any_task(name, observe, network):
    expected = gradients_of_a_step(name, network, observe)
    network.x.requires_grad_()
    heads = {**network.task_params, "rul": [*network.task_params["rul"], network.x]}
    call(warmed_up(name), network, network.losses(), observe=observe, task_params=heads)
    assert_same(network.gradients(), expected, rtol=0)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_an_optimiser_in_the_backward_takes_its_step(name, observe, network):
    """Through ``register_post_accumulate_grad_hook``, once a parameter, as in autograd's own."""
    other = TinyNetwork.build()
    other.step(warmed_up(name), observe=observe)
    moved = {}

    def step(parameter):
        moved[id(parameter)] = parameter.grad
        parameter.grad = None

    for parameter in network.parameters:
        parameter.register_post_accumulate_grad_hook(step)
    network.step(warmed_up(name), observe=observe)
    assert_same([moved[id(p)] for p in network.parameters], other.gradients(), rtol=0)
    assert all(p.grad is None for p in network.parameters)


@EVERY_METHOD
def test_a_compiled_network_trains_as_itself(name, network):
    """Its outputs share one node of the graph, so that each loss seems to reach every head."""
    network.step(warmed_up(name), observe=True)
    expected = network.gradients()
    network.clear()

    @functools.partial(torch.compile, backend="aot_eager")
    def predict(x):
        z = network.trunk(x)
        return network.heads["rul"](z).squeeze(-1), network.heads["health"](z)

    rul, health = predict(network.x)
    losses = (
        nn.functional.mse_loss(rul, network.rul),
        nn.functional.cross_entropy(health, network.health),
    )
    call(warmed_up(name), network, losses, observe=True)
    assert_same(network.gradients(), expected)


@EVERY_METHOD
def test_a_lazy_layer_that_saw_no_input_is_left_out(name, network):
    lazy = nn.LazyLinear(3)
    shared = [*network.shared_params, *lazy.parameters()]
    call(warmed_up(name), network, network.losses(), shared_params=shared, observe=True)
    assert all(p.grad is not None for p in network.parameters)


@EVERY_METHOD
def test_a_layer_frozen_between_the_losses_and_the_step_is_no_fault(name, network):
    losses = network.losses()
    network.trunk[0].requires_grad_(False)
    call(warmed_up(name), network, losses)
    assert all(p.grad is not None for p in network.parameters if p.requires_grad)


@EVERY_METHOD
def test_complex_parameters_count_as_pairs_of_real_ones(name):
    """As in a Fourier layer: the same step as with real and imaginary part as a last dimension."""
    gradients = []
    for as_complex in (False, True):
        torch.manual_seed(0)
        parts = torch.randn(5, 4, 2, dtype=torch.float64)
        trunk = nn.Parameter(torch.view_as_complex(parts) if as_complex else parts)
        heads = {task: nn.Linear(4, 1).double() for task in TASKS}
        x = torch.randn(16, 5, dtype=torch.complex128)
        z = torch.tanh((x @ (trunk if as_complex else torch.view_as_complex(trunk))).real)
        losses = [(10 * head(z)).square().mean() for head in heads.values()]
        info = warmed_up(name).backward(
            *losses,
            shared_params=[trunk],
            task_params={task: head.parameters() for task, head in heads.items()},
            observe=True,
        )
        grad = torch.view_as_real(trunk.grad) if as_complex else trunk.grad
        gradients.append([grad, info.geometry.norms, info.geometry.cosines])
    assert_same(*gradients)


@EVERY_METHOD
def test_a_parameter_that_no_loss_reaches_keeps_no_gradient(name, network):
    """As with autograd: zeros in its place would let weight decay and momentum move it."""
    unused = nn.Parameter(torch.ones(3, dtype=torch.float64))
    call(warmed_up(name), network, network.losses(), shared_params=[*network.shared_params, unused])
    assert unused.grad is None
    assert all(p.grad is not None for p in network.parameters)


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


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_in_evaluation_mode_no_state_moves(name, observe, network):
    loss = warmed_up(name)
    for _ in range(4):
        network.step(loss)
    state, weights = copy.deepcopy(loss.state_dict()), loss.get_weights()
    loss.eval()
    torch.optim.SGD(network.parameters, lr=1e-3).step()
    network.step(loss, observe=observe)
    if name not in SURGERY:
        loss(*network.losses(), shared_params=network.shared_params)
        loss(*network.losses())
        with torch.no_grad():
            loss(*network.losses())
    assert_same(loss.state_dict().values(), state.values(), rtol=0)
    assert loss.get_weights() == weights


@EVERY_METHOD
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
def test_a_copy_goes_on_as_the_original_does(name, copied, network):
    loss = warmed_up(name)
    for _ in range(3):
        network.step(loss)
    other = copied(loss)
    for _ in range(2):
        network.step(loss)
        expected = network.gradients()
        network.step(other)
        assert_same(network.gradients(), expected, rtol=0)
    assert loss.get_weights() == other.get_weights()


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
def test_the_given_options_are_the_defaults(name):
    assert get_loss(name, **method_options(name)).get_name() == get_loss(name).get_name()


def step_with_temperatures(name, shape, dtype, target_dtype, **changes):
    """Do a step of a network with learned temperatures of that shape, in the trunk and in a head.

    Returns:
        The gradients, those of the temperatures first and in one dimension, and the report.

    """
    network = TinyNetwork.build()
    network.trunk.to(dtype)
    network.heads.to(dtype)
    warm, cool = (nn.Parameter(torch.full(shape, t, dtype=dtype)) for t in (0.5, 2.0))
    z = network.trunk(network.x.to(dtype)) * warm
    rul = (network.heads["rul"](z) * cool).squeeze(-1)
    losses = (
        nn.functional.mse_loss(rul.to(target_dtype), network.rul.to(target_dtype)),
        nn.functional.cross_entropy(network.heads["health"](z), network.health),
    )
    heads = {**network.task_params, "rul": [*network.task_params["rul"], cool]}
    shared = [*network.shared_params, warm]
    loss = get_loss(name)
    info = call(loss, network, losses, shared_params=shared, task_params=heads, **changes)
    temperatures = [warm.grad, cool.grad]
    assert all(g.dtype == dtype and g.shape == shape for g in temperatures)
    return [g.reshape(1) for g in temperatures] + network.gradients(), info


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize(
    ("dtype", "target_dtype"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float32, torch.float64),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", [None, torch.tensor(0.5, dtype=torch.float64)], ids=str)
def test_a_parameter_without_dimension_trains_as_one_of_one_element(
    name, observe, dtype, target_dtype, scale
):
    changes = {"observe": observe, "scale": scale}
    found, info = step_with_temperatures(name, (), dtype, target_dtype, **changes)
    expected, other = step_with_temperatures(name, (1,), dtype, target_dtype, **changes)
    assert_same(found, expected, rtol=8 * torch.finfo(dtype).eps)
    if other.geometry:
        assert info.geometry.norms.dtype == other.geometry.norms.dtype
        assert_same([info.geometry.norms], [other.geometry.norms], rtol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(
    "name", [n for n in WEIGHTING_METHODS if "clip_apart" in method_options(n)]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_parameter_without_dimension_is_clipped_too(name, dtype, network):
    warm = nn.Parameter(torch.ones((), dtype=dtype))
    loss = get_loss(name, clip_apart=1e-3)
    call(
        loss,
        network,
        [warm * value for value in (3.0, 4.0)],
        shared_params=[warm],
        task_params=dict.fromkeys(TASKS, ()),
    )
    assert warm.grad.dtype == dtype
    assert float(warm.grad) == pytest.approx(1e-3, rel=1e-2)


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


@pytest.mark.parametrize("tasks", [{"rul", "health"}, frozenset({"rul", "health"})])
def test_tasks_in_a_set_are_refused(tasks):
    """Their order differs from process to process, and state is kept by position."""
    with pytest.raises(UsageError, match=r"must have an order.*\('health', 'rul'\)"):
        get_loss("gaba", tasks=tasks)
    assert get_loss("gaba", tasks=dict.fromkeys(("rul", "health")).keys()).tasks == TASKS


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


class _Spoilt(GradientWeightedLoss):
    """A method of one's own that returns two weights a task."""

    def weigh(self, step):
        return torch.cat([step.losses, step.losses])

    def current_weights(self):
        return torch.ones(2)

    def get_name(self):
        return "Spoilt"


def test_weights_of_ones_own_that_are_not_one_a_task_are_refused(network):
    with pytest.raises(UsageError, match=r"weights of Spoilt have shape \(4,\); .* shape \(2,\)"):
        network.step(_Spoilt())
    with pytest.raises(UsageError, match="weights of Spoilt"):
        _Spoilt()(*network.losses(), shared_params=network.shared_params)


def test_weights_of_ones_own_that_are_not_finite_are_refused_before_anything_is_written(network):
    class Divided(_Spoilt):
        def weigh(self, step):
            return torch.zeros_like(step.losses) / 0

    with pytest.raises(NonFiniteLossError, match=r"weights of Spoilt are \[nan, nan\]"):
        network.step(Divided())
    assert all(parameter.grad is None for parameter in network.shared_params)


@pytest.mark.parametrize("given", [torch.ones(2), 1.0])
def test_a_combined_loss_of_ones_own_that_is_no_scalar_is_refused(network, monkeypatch, given):
    method = get_loss("fixed_050")
    monkeypatch.setattr(type(method), "combine", lambda *_: given)
    for call in (lambda: method(*network.losses()), lambda: network.step(method)):
        with pytest.raises(UsageError, match="must return one 0-dim tensor"):
            call()


def test_weights_of_ones_own_may_be_a_list_of_numbers(network):
    class Listed(_Spoilt):
        def weigh(self, step):
            return [0.3, 1 - 0.3 if step.losses.isfinite().all() else 0.0]

    network.step(Listed())
    listed = network.gradients()
    network.step(get_loss("fixed", rul_weight=0.3, health_weight=0.7))
    assert_same(listed, network.gradients())
