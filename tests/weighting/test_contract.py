"""What the training loop may rely on for every registered method alike."""

import copy
import io
import pickle
from unittest import mock

import pytest
import torch

from rulbook.gradients import geometry, task_gradients
from rulbook.weighting.base import learnable
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, method_options

from .conftest import TinyNetwork
from .every_method import (
    EVERY_METHOD,
    FROM_GRADIENTS,
    FROM_LOSSES,
    SURGERY,
    WEIGHTED_SUMS,
    assert_same,
    call,
    gradients_of_a_step,
    warmed_up,
)


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


def measured_geometry(network):
    rul, health = network.losses()
    return geometry(
        task_gradients(rul, network.shared_params, retain_graph=True),
        task_gradients(health, network.shared_params),
    )


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
def test_the_given_options_are_the_defaults(name):
    assert get_loss(name, **method_options(name)).get_name() == get_loss(name).get_name()
