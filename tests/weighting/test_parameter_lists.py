"""Which parameters a step of every method may be given, and what it does with them."""

import copy
import functools
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from rulbook.errors import UsageError
from rulbook.weighting.base import STEPS_BETWEEN_CHECKS, TASKS
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, method_options

from .conftest import TinyNetwork
from .every_method import (
    EVERY_METHOD,
    WEIGHTED_SUMS,
    assert_same,
    assert_untouched,
    call,
    gradients_of_a_step,
    warmed_up,
)


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


@EVERY_METHOD
def test_an_input_that_reentrant_checkpointing_asks_gradients_of_is_named(name, network):
    x = network.x.clone().requires_grad_()
    z = checkpoint(network.trunk, x, use_reentrant=True)
    losses = (
        nn.functional.mse_loss(network.heads["rul"](z).squeeze(-1), network.rul),
        nn.functional.cross_entropy(network.heads["health"](z), network.health),
    )
    with pytest.raises(UsageError, match=r"An input .* use_reentrant=False"):
        call(warmed_up(name), network, losses)


@EVERY_METHOD
@pytest.mark.parametrize("observe", [False, True])
def test_with_the_whole_trunk_frozen_the_heads_train(name, observe, network):
    network.trunk.requires_grad_(False)
    network.step(warmed_up(name), observe=observe)
    assert all(p.grad.isfinite().all() for head in network.task_params.values() for p in head)


@pytest.mark.parametrize("name", ["gradnorm_legacy", "gradnorm_original"])
def test_with_biases_alone_to_measure_the_refusal_says_what_to_do(name, network):
    """Their norm is that of the last weight matrix of the trunk."""
    for parameter in network.trunk.parameters():
        parameter.requires_grad_(parameter.ndim == 1)
    loss = warmed_up(name)
    state = copy.deepcopy(loss.state_dict())
    with pytest.raises(UsageError, match=r"no parameter of shared_params that is trained .* thaw"):
        call(loss, network, network.losses())
    assert_untouched(network, loss, state)


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
