"""What every method refuses, in one sentence, before anything is written or moves."""

import copy
import math

import pytest
import torch
from torch import nn

from rulbook.errors import UsageError
from rulbook.weighting.base import (
    STEPS_BETWEEN_CHECKS,
    TASKS,
    GradientWeightedLoss,
    NonFiniteLossError,
)
from rulbook.weighting.registry import get_loss

from .conftest import TinyNetwork
from .every_method import (
    EVERY_METHOD,
    FROM_GRADIENTS,
    SURGERY,
    WEIGHTED_SUMS,
    assert_same,
    assert_untouched,
    call,
    warmed_up,
)


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


@EVERY_METHOD
def test_a_method_that_must_measure_says_so_when_it_is_not_given_what_to_measure(name, network):
    """``loss(a, b).backward()``, the call of the other methods, would train at 0.5/0.5 for ever."""
    loss = warmed_up(name)
    if name in WEIGHTED_SUMS:
        with pytest.raises(UsageError, match=r"shared_params=…\)\.backward\(\)"):
            loss(*network.losses())
    elif name not in SURGERY:
        loss(*network.losses()).backward()


@pytest.mark.parametrize("tasks", [{"rul", "health"}, frozenset({"rul", "health"})])
def test_tasks_in_a_set_are_refused(tasks):
    """Their order differs from process to process, and state is kept by position."""
    with pytest.raises(UsageError, match=r"must have an order.*\('health', 'rul'\)"):
        get_loss("gaba", tasks=tasks)
    assert get_loss("gaba", tasks=dict.fromkeys(("rul", "health")).keys()).tasks == TASKS


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
    for step in (lambda: method(*network.losses()), lambda: network.step(method)):
        with pytest.raises(UsageError, match="must return one 0-dim tensor"):
            step()


def test_weights_of_ones_own_may_be_a_list_of_numbers(network):
    class Listed(_Spoilt):
        def weigh(self, step):
            return [0.3, 1 - 0.3 if step.losses.isfinite().all() else 0.0]

    network.step(Listed())
    listed = network.gradients()
    network.step(get_loss("fixed", rul_weight=0.3, health_weight=0.7))
    assert_same(listed, network.gradients())
