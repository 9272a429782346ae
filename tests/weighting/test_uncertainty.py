import math

import pytest
import torch
from torchjd.scalarization import UW

from rulbook.errors import UsageError
from rulbook.weighting.uncertainty import UncertaintyLoss

from .conftest import leaves

LOSSES = (12.5, 0.8)
LOG_VAR = (3.0, 0.6)


def build(**options):
    return UncertaintyLoss(initial_log_var=LOG_VAR, **options).double()


def test_the_books_demo_gives_2331_where_it_prints_1310():
    """§4.3: log-sigmas 1.5 and 0.3, that is log-variances 3.0 and 0.6."""
    by_hand = sum(v / (2 * math.exp(s)) + s / 2 for v, s in zip(LOSSES, LOG_VAR, strict=True))
    total = build()(*leaves(LOSSES)).item()
    assert total == pytest.approx(by_hand, rel=1e-7)
    assert round(total, 3) == 2.331


@pytest.mark.parametrize(("factor", "c"), [("half", 0.5), ("one", 1.0)])
def test_value_and_gradient_follow_the_formula(factor, c):
    loss = build(classification_factor=factor)
    rul, health = leaves(LOSSES)
    s_rul, s_health = (p.item() for p in (loss.log_var_rul, loss.log_var_health))
    weights = [0.5 * math.exp(-s_rul), c * math.exp(-s_health)]
    total = loss(rul, health)
    expected = weights[0] * LOSSES[0] + weights[1] * LOSSES[1] + 0.5 * (s_rul + s_health)
    assert total.item() == pytest.approx(expected, rel=1e-12)
    found = torch.autograd.grad(total, [rul, health, loss.log_var_rul, loss.log_var_health])
    on_log_var = [0.5 - w * v for w, v in zip(weights, LOSSES, strict=True)]
    assert [g.item() for g in found] == pytest.approx([*weights, *on_log_var], rel=1e-12)
    assert list(loss.get_weights().values()) == pytest.approx(weights, rel=1e-12)


@pytest.mark.parametrize(
    ("classification", "factors"),
    [
        (None, (0.5, 1.0, 0.5)),
        (("edges",), (0.5, 0.5, 1.0)),
        (("edges", "depth"), (1.0, 0.5, 1.0)),
        ((), (0.5, 0.5, 0.5)),
    ],
)
def test_the_factor_is_that_of_the_tasks_named_as_classifiers(classification, factors):
    loss = UncertaintyLoss(
        classification_factor="one",
        classification=classification,
        initial_log_var=(3.0, 0.6, -0.4),
        tasks=("depth", "health", "edges"),
    ).double()
    log_vars, values = [p.item() for p in loss.parameters()], (12.5, 0.8, 2.0)
    weights = [c * math.exp(-s) for c, s in zip(factors, log_vars, strict=True)]
    losses = leaves(values)
    total = loss(*losses)
    expected = sum(w * v + s / 2 for w, v, s in zip(weights, values, log_vars, strict=True))
    assert total.item() == pytest.approx(expected, rel=1e-12)
    found = torch.autograd.grad(total, losses)
    assert [g.item() for g in found] == pytest.approx(weights, rel=1e-12)
    assert list(loss.get_weights().values()) == pytest.approx(weights, rel=1e-12)


def test_the_default_agrees_with_torchjd():
    loss, oracle = build(), UW(2).double()
    with torch.no_grad():
        oracle.log_var.copy_(torch.stack([loss.log_var_rul, loss.log_var_health]))
    assert loss(*leaves(LOSSES)).item() == pytest.approx(
        oracle(torch.stack(leaves(LOSSES))).item(), rel=1e-12
    )


@pytest.mark.parametrize(("factor", "c"), [("half", 0.5), ("one", 1.0)])
def test_learning_ends_where_the_variance_is_the_loss(factor, c):
    """Stationary: sigma² = L for regression, and 2 c L in general."""
    loss = UncertaintyLoss(classification_factor=factor).double()
    optimiser = torch.optim.LBFGS(
        loss.parameters(), max_iter=100, tolerance_grad=1e-12, tolerance_change=0
    )

    def closure():
        optimiser.zero_grad()
        total = loss(*(v.detach() for v in leaves(LOSSES)))
        total.backward()
        return total.detach()

    optimiser.step(closure)
    assert math.exp(loss.log_var_rul.item()) == pytest.approx(LOSSES[0], rel=1e-6)
    assert math.exp(loss.log_var_health.item()) == pytest.approx(2 * c * LOSSES[1], rel=1e-6)


def test_it_starts_at_variance_one_with_two_learnable_numbers():
    loss = UncertaintyLoss()
    assert loss.get_weights() == {"rul_weight": 0.5, "health_weight": 0.5}
    assert dict(loss.named_parameters()).keys() == {"log_var_rul", "log_var_health"}


def test_an_unknown_factor_lists_the_known_ones():
    with pytest.raises(UsageError, match="'two'; choose one of: half, one"):
        UncertaintyLoss(classification_factor="two")


def test_a_factor_of_no_task_is_refused():
    with pytest.raises(UsageError, match="name them, classification="):
        UncertaintyLoss(classification_factor="one", tasks=("depth", "edges"))
