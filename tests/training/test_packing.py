"""Packed parameters train like parameters one by one."""

import copy

import pytest
import torch
from torch import nn

from rulbook import models
from rulbook.training import loop
from rulbook.training.packing import PackedParameters


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_packing_moves_no_value_and_shares_its_memory():
    model = network()
    before = copy.deepcopy(model.state_dict())
    packed = PackedParameters(model.parameters())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    with torch.no_grad():
        packed.tensors[0].fill_(2.0)
    assert all((p == 2.0).all() for p in model.parameters())


@pytest.mark.parametrize(
    "optimiser", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD], ids=lambda o: o.__name__
)
def test_updates_of_the_vector_are_updates_of_each_parameter(optimiser):
    packed_model = network()
    plain_model = copy.deepcopy(packed_model)
    packed = PackedParameters(packed_model.parameters())
    settings = {"lr": 0.01, "weight_decay": 0.1}
    update_packed = optimiser(packed.tensors, fused=True, **settings)
    update_plain = optimiser(plain_model.parameters(), **settings)
    for _ in range(5):
        x = torch.randn(8, 3)
        for model in (packed_model, plain_model):
            model.zero_grad()
            model(x).square().sum().backward()
        packed.collect_gradients(update_packed)
        update_packed.step()
        update_plain.step()
    torch.testing.assert_close(packed_model.state_dict(), plain_model.state_dict())


def freeze_the_first_layer(model, _):
    model[0].requires_grad_(False)
    return model


def freeze_the_first_layer_from_the_third_step(model, step):
    model[0].requires_grad_(step < 2)
    return model


def thaw_the_first_layer_at_the_third_step(model, step):
    model[0].requires_grad_(step >= 2)
    return model


def stop_after_the_first_layer(model, _):
    return model[0]


def stop_after_the_first_layer_now_and_then(model, step):
    return model[0] if step in (1, 4) else model


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": torch.optim.AdamW},
        {"optimiser": torch.optim.Adam},
        {"optimiser": torch.optim.SGD},
        {"optimiser": torch.optim.SGD, "momentum": 0.9},
    ],
    ids=lambda settings: "-".join(map(str, settings)),
)
@pytest.mark.parametrize(
    "network_at",
    [
        freeze_the_first_layer,
        freeze_the_first_layer_from_the_third_step,
        thaw_the_first_layer_at_the_third_step,
        stop_after_the_first_layer,
        stop_after_the_first_layer_now_and_then,
    ],
    ids=lambda network_at: network_at.__name__,
)
def test_a_parameter_without_gradient_is_left_alone_as_in_pytorch(network_at, settings):
    """Neither decay nor momentum moves it, and what it was counted goes on when it trains again."""
    settings = dict(settings)
    optimiser = settings.pop("optimiser")
    packed_model = network()
    plain_model = copy.deepcopy(packed_model)
    packed = PackedParameters(packed_model.parameters())
    average = PackedParameters(copy.deepcopy(packed_model).parameters())
    settings |= {"lr": 0.01, "weight_decay": 0.1, "fused": "momentum" not in settings}
    update_packed = optimiser(packed.tensors, **settings)
    update_plain = optimiser(plain_model.parameters(), **settings)
    for step in range(6):
        x = torch.randn(8, 3)
        before = [p.detach().clone() for p in packed_model.parameters()]
        for model, update in ((packed_model, update_packed), (plain_model, update_plain)):
            update.zero_grad()
            network_at(model, step)(x).square().sum().backward()
        without = [p.grad is None for p in plain_model.parameters()]
        packed.collect_gradients(update_packed)
        update_packed.step()
        update_plain.step()
        average.move_towards(packed, 1.0)
        for parameter, was, is_without in zip(
            packed_model.parameters(), before, without, strict=True
        ):
            assert torch.equal(parameter, was) == is_without
    torch.testing.assert_close(packed_model.state_dict(), plain_model.state_dict())
    assert torch.equal(average.tensors[0], nn.utils.parameters_to_vector(packed_model.parameters()))


def test_the_networks_of_the_book_stay_packed(simulated, short_run):
    """All their parameters are trained and reached: their runs are those of the vector."""
    for name in models.ARCHITECTURES:
        config = short_run.with_changes(network=name)
        run = loop._Run(config, simulated, torch.device("cpu"))
        next(run.steps())
        assert [tensor.ndim for tensor in run.packed.tensors] == [1]


def test_moving_by_a_share_goes_that_far():
    start, goal = PackedParameters(network().parameters()), PackedParameters(network().parameters())
    expected = 0.75 * start.tensors[0].detach() + 0.25 * goal.tensors[0].detach()
    start.move_towards(goal, 0.25)
    torch.testing.assert_close(start.tensors[0].detach(), expected)


class OneByOne(PackedParameters):
    """Parameters as they were before packing: one tensor each."""

    def __init__(self, parameters):
        self._parameters = self.tensors = list(parameters)
        self._is_packed = False


def layers_own(query, sequence, attention):
    attended, _ = attention(query.unsqueeze(1), sequence, sequence, need_weights=False)
    return attended.squeeze(1)


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["fixed_050", "uncertainty", "gaba"])
def test_twenty_steps_are_those_of_the_layer_and_of_parameters_one_by_one(
    simulated, short_run, monkeypatch, weighting
):
    """The first edition's records were made that way; ``PROTOCOL`` stays while this holds."""
    config = short_run.with_changes(weighting=weighting)
    packed, _ = loop.watch_first_steps(config, simulated, 20)
    monkeypatch.setattr(models, "attend_from", layers_own)
    monkeypatch.setattr(loop, "PackedParameters", OneByOne)
    single, _ = loop.watch_first_steps(config, simulated, 20)
    moved = (packed / single - 1).abs().max(axis="columns")
    assert (moved / packed["step"]).max() < 1e-6


def test_parameters_of_two_dtypes_are_left_as_they_are():
    model = network()
    model.register_parameter("gain", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    packed = PackedParameters(model.parameters())
    assert packed.tensors == list(model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32, torch.float64}
    optimiser = torch.optim.SGD(packed.tensors, lr=0.5)
    (model(torch.ones(1, 3)).sum() + model.gain.sum()).backward()
    packed.collect_gradients(optimiser)
    optimiser.step()
    assert model.gain.tolist() == [0.5, 0.5]
