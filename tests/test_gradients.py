"""Oracle: exact summation (``math.fsum``) and the norms and angles that pairs were made from."""

import math

import pytest
import torch
from torch import nn

from rulbook.gradients import geometry, norm, task_gradients

from .gradient_samples import Pair, cut, pair, pairs

EVERY_PAIR = pytest.mark.parametrize("sample", pairs(), ids=str)


@EVERY_PAIR
def test_norms_and_cosine_are_those_the_pair_was_made_from(sample):
    found = geometry(sample.rul, sample.health)
    assert float(found.norm_rul) == pytest.approx(sample.norm_rul, rel=1e-12)
    assert float(found.norm_health) == pytest.approx(sample.norm_health, rel=1e-12)
    assert float(found.cosine) == pytest.approx(sample.cosine, abs=1e-12)
    assert float(found.ratio) == pytest.approx(sample.norm_rul / sample.norm_health, rel=1e-12)
    assert -1 <= float(found.cosine) <= 1


@EVERY_PAIR
def test_cosine_agrees_with_exact_summation(sample):
    rul, health = sample.jacobian.tolist()
    exact = math.fsum(a * b for a, b in zip(rul, health, strict=True))
    found = geometry(sample.rul, sample.health)
    assert float(found.cosine * found.norm_rul * found.norm_health) == pytest.approx(
        exact, abs=1e-12 * sample.norm_rul * sample.norm_health
    )


@pytest.mark.parametrize("sample", pairs((1e-15, 1e-12, 1.0, 1e12, 1e14)), ids=str)
def test_single_precision_keeps_its_digits_at_every_scale(sample):
    found = geometry([g.float() for g in sample.rul], [g.float() for g in sample.health])
    assert float(found.norm_rul) == pytest.approx(sample.norm_rul, rel=1e-6)
    assert float(found.norm_health) == pytest.approx(sample.norm_health, rel=1e-6)
    assert float(found.cosine) == pytest.approx(sample.cosine, abs=2e-6)


def test_swapping_the_tasks_swaps_the_norms_and_keeps_the_angle():
    sample = pair(500.0, 0.7, -0.3)
    there = geometry(sample.rul, sample.health).tolist()
    back = geometry(sample.health, sample.rul).tolist()
    assert back == [there[1], there[0], pytest.approx(there[2], rel=1e-15)]


def test_how_the_parameters_are_cut_does_not_matter():
    sample = pair(3.0, 2.0, 0.4)
    flat = geometry(sample.jacobian[:1], sample.jacobian[1:])
    assert geometry(sample.rul, sample.health).tolist() == pytest.approx(flat.tolist(), rel=1e-14)


@pytest.mark.parametrize("zero", ["rul", "health", "both"])
def test_a_zero_gradient_has_norm_zero_and_no_angle(zero):
    sample = pair(3.0, 2.0, 0.4)
    nothing = tuple(torch.zeros_like(g) for g in sample.rul)
    found = geometry(
        nothing if zero in ("rul", "both") else sample.rul,
        nothing if zero in ("health", "both") else sample.health,
    )
    assert (found.norm_rul == 0, found.norm_health == 0) == (zero != "health", zero != "rul")
    assert math.isnan(found.cosine)


@pytest.mark.parametrize("small", [1e-23, 1e-30, 1e-40])
@pytest.mark.parametrize("large", [1e-2, 1e10, 1e18])
@pytest.mark.parametrize("small_first", [False, True])
def test_a_gradient_whose_squares_round_to_zero_has_no_angle(small, large, small_first):
    """Its products with a large gradient do not, and the quotient was taken for a cosine of 1."""
    sizes = (small, large) if small_first else (large, small)
    found = geometry(*([torch.full((3, 2), size)] for size in sizes))
    assert found.norms[sizes.index(small)] == 0
    assert found.cosines.isnan().tolist() == [
        [is_small or other_is_small for other_is_small in (small_first, not small_first)]
        for is_small in (small_first, not small_first)
    ]


@pytest.mark.parametrize("size", [1e25, math.inf, math.nan])
def test_a_gradient_whose_norm_is_not_finite_has_no_angle(size):
    found = geometry([torch.full((3, 2), size)], [torch.ones(3, 2)])
    assert not found.norms[0].isfinite()
    assert found.norms[1].isfinite()
    assert found.cosines.isnan().tolist() == [[True, True], [True, False]]


def test_the_geometry_carries_no_graph():
    scale = torch.ones((), requires_grad=True)
    sample = pair(3.0, 2.0, 0.4)
    found = geometry([scale * g for g in sample.rul], sample.health)
    assert not any(
        t.requires_grad for t in (found.norm_rul, found.norm_health, found.cosine, found.ratio)
    )


def test_tolist_returns_plain_floats():
    values = geometry(*_rul_and_health(pair(3.0, 2.0, 0.4))).tolist()
    assert all(type(value) is float for value in values)
    assert values == pytest.approx([3.0, 2.0, 0.4])


def test_norm_is_that_of_the_flat_vector():
    flat = torch.arange(53.0, dtype=torch.float64)
    assert float(norm(cut(flat))) == pytest.approx(
        math.sqrt(math.fsum(v * v for v in flat.tolist()))
    )


@pytest.fixture
def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()


def test_task_gradients_are_those_of_backward(two_layers):
    parameters = list(two_layers.parameters())
    x = torch.randn(6, 4, dtype=torch.float64)
    found = task_gradients(two_layers(x).square().mean(), parameters)
    two_layers(x).square().mean().backward()
    for gradient, parameter in zip(found, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-14, atol=0)


def test_task_gradients_agree_with_finite_differences(two_layers):
    parameters = list(two_layers.parameters())
    x = torch.randn(6, 4, dtype=torch.float64)
    found = task_gradients(two_layers(x).square().mean(), parameters)
    step = 1e-6
    for gradient, parameter in zip(found, parameters, strict=True):
        entry = (0,) * parameter.ndim
        with torch.no_grad():
            parameter[entry] += step
            above = two_layers(x).square().mean()
            parameter[entry] -= 2 * step
            below = two_layers(x).square().mean()
            parameter[entry] += step
        assert float(gradient[entry]) == pytest.approx(float(above - below) / (2 * step), abs=1e-8)


def test_a_parameter_the_loss_does_not_reach_gets_zeros(two_layers):
    unused = nn.Parameter(torch.ones(2, 5))
    loss = two_layers(torch.ones(1, 4, dtype=torch.float64)).sum()
    found = task_gradients(loss, [*two_layers.parameters(), unused])
    assert found[-1].shape == unused.shape
    assert not found[-1].any()
    assert unused.grad is None


def test_the_graph_is_freed_unless_it_is_to_be_kept(two_layers):
    parameters = list(two_layers.parameters())
    loss = two_layers(torch.ones(1, 4, dtype=torch.float64)).sum()
    task_gradients(loss, parameters, retain_graph=True)
    task_gradients(loss, parameters)
    with pytest.raises(RuntimeError, match="second time"):
        task_gradients(loss, parameters)


def _rul_and_health(sample: Pair):
    return sample.rul, sample.health
