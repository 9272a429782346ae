import math

import pytest
import torch
from torchjd.scalarization import DWA

from rulbook.errors import UsageError
from rulbook.weighting.base import NonFiniteLossError
from rulbook.weighting.dwa import DWALoss, dwa_weights

EPOCHS = [(2500.0, 1.8), (800.0, 0.9), (200.0, 0.4), (100.0, 0.2), (110.0, 0.1)]
"""The legacy edition's progression (§9.1) and an epoch in which the RUL loss rises."""


def by_hand(last, before, temperature):
    powers = [math.exp(a / b / temperature) for a, b in zip(last, before, strict=True)]
    return [len(powers) * p / sum(powers) for p in powers]


@pytest.mark.parametrize("temperature", [0.5, 2.0, 20.0])
def test_weights_follow_the_formula_from_the_third_epoch_on(temperature):
    loss = DWALoss(temperature).double()
    history = []
    for means in EPOCHS:
        expected = by_hand(*history[:-3:-1], temperature) if len(history) > 1 else [1.0, 1.0]
        weights = list(loss.get_weights().values())
        assert weights == pytest.approx(expected, rel=1e-12)
        assert sum(weights) == pytest.approx(2, rel=1e-12)
        loss.end_epoch(dict(zip(("rul", "health"), means, strict=True)))
        history.append(means)


def test_value_and_gradient_use_the_weights_of_the_epoch():
    loss = DWALoss().double()
    for means in EPOCHS:
        loss.end_epoch(dict(zip(("rul", "health"), means, strict=True)))
    rul, health = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (12.5, 0.8))
    total = loss(rul, health)
    expected = by_hand(EPOCHS[-1], EPOCHS[-2], 2.0)
    assert total.item() == pytest.approx(expected[0] * 12.5 + expected[1] * 0.8, rel=1e-12)
    found = [g.item() for g in torch.autograd.grad(total, [rul, health])]
    assert found == pytest.approx(expected, rel=1e-12)


def test_it_agrees_with_torchjd_epoch_by_epoch():
    loss, oracle = DWALoss().double(), DWA()
    for means in EPOCHS:
        batches = [torch.tensor(means, dtype=torch.float64) * scale for scale in (0.5, 1.5)]
        for batch in batches:
            assert loss(*batch).item() == pytest.approx(oracle(batch).item(), rel=1e-12)
        loss.end_epoch(dict(zip(("rul", "health"), means, strict=True)))
        oracle.step()


def test_batches_do_not_move_the_weights():
    loss = DWALoss()
    for value in (1.0, 100.0, 1e4):
        loss(torch.tensor(value), torch.tensor(1.0))
    assert loss.get_weights() == {"rul_weight": 1.0, "health_weight": 1.0}


def test_the_scale_of_a_loss_leaves_its_weight_alone():
    last, before = torch.tensor([[200.0, 0.4], [800.0, 0.9]], dtype=torch.float64)
    scaled = dwa_weights(last * torch.tensor([1e6, 1e-6]), before * torch.tensor([1e6, 1e-6]), 2.0)
    assert scaled.tolist() == pytest.approx(dwa_weights(last, before, 2.0).tolist(), rel=1e-12)


def test_any_number_of_tasks_in_any_order():
    last, before = torch.rand(2, 5, dtype=torch.float64) + 0.1
    weights = dwa_weights(last, before, 2.0)
    assert weights.sum().item() == pytest.approx(5, rel=1e-12)
    assert weights.tolist() == pytest.approx(by_hand(last.tolist(), before.tolist(), 2.0))
    order = [3, 1, 4, 0, 2]
    permuted = dwa_weights(last[order], before[order], 2.0)
    assert permuted.tolist() == pytest.approx(weights[order].tolist(), rel=1e-12)


@pytest.mark.parametrize("last", [0.0, 3.0])
def test_a_loss_that_was_zero_counts_as_unchanged(last):
    weights = dwa_weights(torch.tensor([last, 1.0]), torch.tensor([0.0, 1.0]), 2.0)
    assert weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (math.nan, NonFiniteLossError, "finite"),
        (math.inf, NonFiniteLossError, "finite"),
        (-1e-9, UsageError, "add a constant that keeps them positive"),
    ],
)
def test_a_mean_that_is_not_finite_or_is_negative_is_an_error_and_moves_nothing(bad, error, says):
    loss = DWALoss()
    loss.end_epoch({"rul": 4.0, "health": 1.0})
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    with pytest.raises(error, match=says):
        loss.end_epoch({"rul": 4.0, "health": bad})
    for name, value in loss.state_dict().items():
        torch.testing.assert_close(value, state[name], equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize(
    "means", [None, {}, [4.0, 1.0], {"rul": 4.0}, {"rul": "a", "health": 1.0}, {"rul": None}]
)
def test_means_that_are_no_numbers_for_its_tasks_are_one_sentence(means):
    loss = DWALoss()
    with pytest.raises(UsageError, match="DWA takes"):
        loss.end_epoch(means)
    assert loss.mean_losses.isnan().all()


def test_the_temperature_is_in_the_name():
    assert DWALoss().get_name() == "DWA(T=2)"


@pytest.mark.parametrize("temperature", [0.01, 2.0])
def test_a_rate_beyond_all_numbers_takes_all_the_weight(temperature):
    loss = DWALoss(temperature)
    for rul in (1e-40, 1.0):
        loss.end_epoch({"rul": rul, "health": 1.0})
    assert list(loss.get_weights().values()) == [2.0, 0.0]
