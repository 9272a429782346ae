import copy
import math

import pytest
import torch

from rulbook.errors import UsageError
from rulbook.weighting.magnitude import (
    AMNLFixedLoss,
    InverseMagnitudeLoss,
    LegacyAMNLLoss,
    inverse_shares,
)

from .conftest import leaves

LOSSES = [(12.5, 0.8), (4250.871, 1.205), (1e-6, 1e6), (0.3, 0.02), (2.0, 2.0)]
EVERY_PAIR = pytest.mark.parametrize("values", LOSSES)


def gradient(loss, values):
    losses = leaves(values)
    return [g.item() for g in torch.autograd.grad(loss(*losses), losses)]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("values", [(12.5, 0.8), (1.0, 2.0, 3.0, 400.0), (5.0,)])
def test_shares_follow_the_formula_at_every_scale_and_number_of_tasks(values, scale):
    found = inverse_shares(scale * torch.tensor(values, dtype=torch.float64))
    total = math.fsum(1 / v for v in values)
    assert found.tolist() == pytest.approx([1 / v / total for v in values], rel=1e-12)
    assert found.sum().item() == pytest.approx(1, rel=1e-15)


def test_shares_times_values_are_all_equal():
    values = torch.tensor([1.0, 20.0, 300.0], dtype=torch.float64)
    contributions = inverse_shares(values) * values
    assert contributions.tolist() == pytest.approx([contributions[0].item()] * 3, rel=1e-15)


def test_shares_follow_a_permutation_of_the_tasks():
    values = torch.tensor([1.0, 20.0, 300.0])
    order = [2, 0, 1]
    assert torch.equal(inverse_shares(values[order]), inverse_shares(values)[order])


@pytest.mark.parametrize(
    ("values", "shares"),
    [((0.0, 3.0), (1.0, 0.0)), ((0.0, 0.0), (0.5, 0.5)), ((0.0, 2.0, 0.0), (0.5, 0.0, 0.5))],
)
def test_zeros_share_the_whole_weight(values, shares):
    assert inverse_shares(torch.tensor(values)).tolist() == list(shares)


def test_shares_approach_what_a_zero_gets():
    near = inverse_shares(torch.tensor([1e-300, 3.0], dtype=torch.float64))
    assert near.tolist() == pytest.approx([1.0, 0.0], abs=1e-15)


def test_before_a_step_of_training_a_running_average_is_the_losses_themselves():
    method = LegacyAMNLLoss("ema").eval()
    rul, health = leaves((300.0, 0.05))
    assert method(rul, health).item() == pytest.approx(1.0)
    assert method.step_count == 0
    assert all(map(math.isnan, method.get_weights().values()))
    method.train()
    assert method(rul, health).item() == pytest.approx(1.0)
    assert method.eval()(2 * rul, health).item() == pytest.approx(1.5)


def test_the_books_demo():
    """§4.3: weights 0.060 and 0.940, total 1.504 to the printed digits."""
    loss = InverseMagnitudeLoss()
    total = loss(*leaves((12.5, 0.8))).item()
    assert [round(w, 3) for w in loss.get_weights().values()] == [0.060, 0.940]
    assert round(total, 3) == 1.504


@EVERY_PAIR
def test_inverse_magnitude_is_the_harmonic_mean_of_two(values):
    a, b = values
    assert InverseMagnitudeLoss()(*leaves(values)).item() == pytest.approx(
        2 * a * b / (a + b), rel=1e-12
    )


@EVERY_PAIR
def test_detached_weights_are_the_gradient(values):
    a, b = values
    expected = [b / (a + b), a / (a + b)]
    assert gradient(InverseMagnitudeLoss(), values) == pytest.approx(expected, rel=1e-12)


@EVERY_PAIR
def test_attached_weights_give_the_gradient_of_the_harmonic_mean(values):
    a, b = values
    expected = [2 * (b / (a + b)) ** 2, 2 * (a / (a + b)) ** 2]
    loss = InverseMagnitudeLoss(detach=False)
    assert gradient(loss, values) == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(loss, leaves((1.5, 0.8)))


@EVERY_PAIR
@pytest.mark.parametrize("floors", [(1.0, 0.1), (10.0, 1.0)])
def test_amnl_fixed_divides_by_the_loss_or_its_floor(values, floors):
    magnitudes = [max(v, s) for v, s in zip(values, floors, strict=True)]
    loss = AMNLFixedLoss(*floors)
    expected = sum(0.5 * v / m for v, m in zip(values, magnitudes, strict=True))
    assert loss(*leaves(values)).item() == pytest.approx(expected, rel=1e-12)
    weights = [0.5 / m for m in magnitudes]
    assert gradient(loss, values) == pytest.approx(weights, rel=1e-12)
    assert list(loss.get_weights().values()) == pytest.approx(weights, rel=1e-12)


@pytest.mark.parametrize(
    ("floors", "expected"),
    [
        ({"near": 2.0}, (1.0, 0.1, 2.0)),
        ({"near": 2.0, "health": 0.4}, (1.0, 0.4, 2.0)),
        ({"rul": 0.0}, (0.0, 0.1, 0.0)),
    ],
)
@pytest.mark.parametrize("values", [(0.5, 0.05, 0.7), (12.5, 0.8, 30.0)])
def test_floors_are_of_the_tasks_that_they_name(values, floors, expected):
    loss = AMNLFixedLoss(floors=floors, tasks=("rul", "health", "near"))
    weights = [1 / (3 * max(v, s)) for v, s in zip(values, expected, strict=True)]
    assert gradient(loss, values) == pytest.approx(weights, rel=1e-12)
    assert loss(*leaves(values)).item() == pytest.approx(
        sum(w * v for w, v in zip(weights, values, strict=True)), rel=1e-12
    )
    assert list(loss.get_weights().values()) == pytest.approx(weights, rel=1e-12)


def rounds_to_zero() -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and their cross-entropy, which is 0 in float32 and has a gradient of 2e-9."""
    logits = torch.tensor([[20.0, 0.0, 0.0]], requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0]))
    assert loss == 0
    return logits, loss


@pytest.mark.parametrize(
    "method",
    [
        LegacyAMNLLoss(),
        LegacyAMNLLoss("ema"),
        AMNLFixedLoss(0.0, 0.0),
        AMNLFixedLoss(tasks=("near", "far")),
    ],
    ids=["batch", "ema", "without floors", "other tasks"],
)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_a_loss_of_zero_contributes_neither_value_nor_gradient(method, step):
    method = copy.deepcopy(method)
    for _ in range(step - 1):
        method(torch.tensor(300.0), torch.tensor(0.0))
    logits, zero = rounds_to_zero()
    other = torch.tensor(300.0, requires_grad=True)
    total = method(other, zero)
    total.backward()
    assert total.item() == pytest.approx(0.5)
    assert not logits.grad.any()
    assert other.grad.item() == pytest.approx(0.5 / 300)
    assert list(method.get_weights().values()) == [pytest.approx(0.5 / 300), 0.0]


def test_a_running_average_that_fades_over_zeros_blows_nothing_up():
    method = LegacyAMNLLoss("ema", beta=0.5)
    method(torch.tensor(300.0), torch.tensor(0.7))
    for _ in range(120):
        logits, zero = rounds_to_zero()
        method(torch.tensor(300.0), zero).backward()
        assert not logits.grad.any()


@pytest.mark.parametrize("smallest", [torch.finfo(torch.float32).tiny, 1e-45])
def test_the_smallest_losses_have_finite_weights(smallest):
    method = LegacyAMNLLoss()
    assert method(torch.tensor(300.0), torch.tensor(smallest)).isfinite()
    assert all(math.isfinite(weight) for weight in method.get_weights().values())


def test_a_zero_above_a_floor_of_its_own_keeps_the_weight_of_the_floor():
    method = AMNLFixedLoss()
    method(torch.tensor(300.0), torch.tensor(0.0))
    assert method.get_weights()["health_weight"] == pytest.approx(0.5 / 0.1)


def test_amnl_fixed_has_the_books_floors():
    assert AMNLFixedLoss().get_name() == "AMNLFixed(s=1/0.1)"


@EVERY_PAIR
def test_legacy_batch_form_is_always_one_with_the_gradient_of_the_logarithms(values):
    loss = LegacyAMNLLoss()
    assert loss(*leaves(values)).item() == pytest.approx(1, rel=1e-15)
    rul, health = leaves(values)
    logs = torch.autograd.grad(0.5 * rul.log() + 0.5 * health.log(), [rul, health])
    assert gradient(loss, values) == pytest.approx([g.item() for g in logs], rel=1e-12)


def test_amnl_fixed_is_the_legacy_batch_form_above_its_floors():
    assert gradient(AMNLFixedLoss(), (12.5, 0.8)) == gradient(LegacyAMNLLoss(), (12.5, 0.8))


def test_legacy_running_average_follows_its_closed_form():
    """Bias-corrected average after n steps: weights beta^(n-i) (1-beta) / (1-beta^n)."""
    beta, history = 0.99, [(100.0 / n, 2.0 - 0.1 * n) for n in range(1, 12)]
    loss = LegacyAMNLLoss("ema").double()
    for n, values in enumerate(history, start=1):
        shares = [beta ** (n - i) * (1 - beta) / (1 - beta**n) for i in range(1, n + 1)]
        averages = [
            math.fsum(s * past[task] for s, past in zip(shares, history[:n], strict=True))
            for task in range(2)
        ]
        total = loss(*leaves(values)).item()
        expected = sum(0.5 * v / m for v, m in zip(values, averages, strict=True))
        assert total == pytest.approx(expected, rel=1e-12)
        assert list(loss.get_weights().values()) == pytest.approx(
            [0.5 / m for m in averages], rel=1e-12
        )


def test_the_first_running_average_is_the_first_loss():
    values = (12.5, 0.8)
    assert gradient(LegacyAMNLLoss("ema").double(), values) == pytest.approx(
        gradient(LegacyAMNLLoss(), values), rel=1e-12
    )


def test_the_running_average_moves_in_training_mode_only():
    loss = LegacyAMNLLoss("ema").double()
    loss(*leaves((12.5, 0.8)))
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()(*leaves((99.0, 9.0)))
    assert all(torch.equal(loss.state_dict()[name], state[name]) for name in state)


@pytest.mark.parametrize("method", [InverseMagnitudeLoss, AMNLFixedLoss, LegacyAMNLLoss])
def test_before_the_first_step_there_are_no_weights(method):
    assert all(math.isnan(w) for w in method().get_weights().values())


def test_an_unknown_normaliser_lists_the_known_ones():
    with pytest.raises(UsageError, match="'mean'; choose one of: batch, ema"):
        LegacyAMNLLoss("mean")


@pytest.mark.parametrize("others", [(2.0,), (2.0, 5.0)])
def test_attached_weights_have_the_slope_of_the_harmonic_mean_at_zero(others):
    """K/Σ(1/L) grows K times as fast as the one loss that is zero, and with no other."""
    losses = leaves([0.0, *others])
    tasks = ("rul", "health", "third")[: len(losses)]
    InverseMagnitudeLoss(detach=False, tasks=tasks)(*losses).backward()
    assert [loss.grad.item() for loss in losses] == [len(losses), *[0.0] * len(others)]


@pytest.mark.parametrize("option", ["s_rul", "s_health"])
def test_a_floor_of_a_task_that_is_not_there_is_refused(option):
    with pytest.raises(UsageError, match=rf"no task \w+ for {option}: .* floors="):
        AMNLFixedLoss(tasks=("depth", "edges"), **{option: 5.0})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_batch_that_is_not_finite_stays_out_of_the_average(bad, steps):
    method, other = LegacyAMNLLoss("ema"), LegacyAMNLLoss("ema")
    for loss in (method, other):
        for _ in range(steps):
            loss(torch.tensor(400.0), torch.tensor(1.0))
    method(torch.tensor(bad), torch.tensor(1.0))
    losses = torch.tensor(300.0), torch.tensor(0.9)
    assert method(*losses).item() == other(*losses).item()
    assert method.get_weights() == other.get_weights()
