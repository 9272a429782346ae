"""The toy: every simulator against a closed form or an oracle written here by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rulbook import toy
from rulbook.errors import RulbookError, UsageError

RATIOS = st.floats(0.01, 1e4)
STARTS = st.floats(-5, 5)


def adam_by_hand(gradient, theta_0, n_steps, lr, weight_decay=0.0, *, decoupled=False):
    """Run Adam (Kingma and Ba, algorithm 1) or AdamW in float64; θ after each step."""
    theta, first, second = theta_0, 0.0, 0.0
    path = []
    for step in range(1, n_steps + 1):
        g = gradient(theta)
        if decoupled:
            theta -= lr * weight_decay * theta
        else:
            g += weight_decay * theta
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        m, v = first / (1 - 0.9**step), second / (1 - 0.999**step)
        theta -= lr * m / (math.sqrt(v) + 1e-8)
        path.append(theta)
    return np.array(path)


def toy_gradient(rho):
    return lambda theta: rho * (theta - 1.0) + (theta + 1.0)


@given(rho=RATIOS)
def test_fixed_point_is_the_weighted_mean_of_the_optima_and_has_zero_gradient(rho):
    star = toy.fixed_point(rho)
    assert toy.general_fixed_point([rho, 1.0], [1.0, -1.0])[0] == pytest.approx(star)
    assert toy_gradient(rho)(star) == pytest.approx(0.0, abs=1e-9 * (rho + 1))
    assert toy.fixed_point(1 / rho) == pytest.approx(-star)


@given(rho=RATIOS, offset=st.floats(-2, 2))
def test_no_other_point_has_a_smaller_sum_of_losses(rho, offset):
    def total(theta):
        return toy.rul_loss(theta, rho) + toy.hs_loss(theta)

    star = toy.fixed_point(rho)
    assert total(star) <= total(star + offset) + 1e-12 * (rho + 1)


def test_general_fixed_point_solves_random_problems_of_more_tasks_and_dimensions():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 4, 4))
    curvatures = roots @ roots.transpose(0, 2, 1)
    optima = rng.normal(size=(3, 4))
    theta = toy.general_fixed_point(curvatures, optima)
    gradient = sum(a @ (theta - c) for a, c in zip(curvatures, optima, strict=True))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-10)


def test_general_fixed_point_says_when_there_is_no_single_one():
    with pytest.raises(RulbookError, match="singular"):
        toy.general_fixed_point(np.zeros((2, 2, 2)), np.ones((2, 2)))


def test_the_two_definitions_of_the_rul_loss_differ_by_the_factor_rho():
    theta = np.array([-1.0, 0.0, 0.5, 1.0])
    np.testing.assert_array_equal(toy.rul_loss(theta, 500.0), 500.0 * toy.rul_loss(theta))
    np.testing.assert_array_equal(toy.rul_loss(theta), [2.0, 0.5, 0.125, 0.0])
    np.testing.assert_array_equal(toy.hs_loss(theta), [0.0, 0.5, 1.125, 2.0])


def closed_form(rho, n_steps, lr, theta_0=0.0):
    """Return θ after each plain SGD step: ``θ_n = θ* + (1 − lr(ρ + 1))ⁿ (θ_0 − θ*)``."""
    steps = np.arange(1, n_steps + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        star = toy.fixed_point(rho)
        return star + np.power(toy.contraction(rho, lr), steps) * (theta_0 - star)


@settings(deadline=None)
@given(rho=RATIOS, share=st.floats(0.0, 2.2), theta_0=STARTS, n_steps=st.integers(1, 40))
def test_closed_form_trajectory_equals_the_numpy_simulator(rho, share, theta_0, n_steps):
    lr = share / (rho + 1.0)
    exact = closed_form(rho, n_steps, lr, theta_0)
    simulated = toy.simulate_two_task(rho, n_steps, lr, theta_0)
    scale = 1.0 + np.abs(exact).max()
    np.testing.assert_allclose(simulated["theta"], exact, rtol=1e-9, atol=1e-11 * scale)
    np.testing.assert_array_equal(simulated["rul_loss"], toy.rul_loss(simulated["theta"]))
    np.testing.assert_array_equal(simulated["hs_loss"], toy.hs_loss(simulated["theta"]))


@given(rho=RATIOS, share=st.floats(0.01, 1.99).filter(lambda s: abs(s - 1) > 1e-3))
def test_sgd_comes_closer_below_the_stability_limit(rho, share):
    lr = share / 2 * toy.stability_limit(rho)
    path = toy.simulate_two_task(rho, 60, lr, theta_0=-1.0)["theta"]
    distance = abs(path[-1] - toy.fixed_point(rho))
    assert distance < abs(-1.0 - toy.fixed_point(rho))
    assert abs(toy.contraction(rho, lr)) < 1


@given(rho=RATIOS, excess=st.floats(1.01, 10))
def test_sgd_moves_away_above_the_stability_limit(rho, excess):
    path = toy.simulate_two_task(rho, 60, excess * toy.stability_limit(rho), theta_0=-1.0)["theta"]
    distances = np.abs(np.array(path) - toy.fixed_point(rho))
    assert (np.diff(distances) > 0).all()


@pytest.mark.parametrize("rho", [1.0, 10.0, 100.0, 500.0])
@pytest.mark.parametrize("share", [0.3, 1.7, 2.5])
def test_numpy_and_pytorch_simulators_give_the_same_numbers(rho, share):
    lr = share / (rho + 1)
    numpy_run = toy.simulate_two_task(rho, 60, lr)
    torch_run = toy.run(rho, "sgd", 60, lr, dtype=torch.float64)
    np.testing.assert_allclose(torch_run["theta"], numpy_run["theta"], rtol=1e-6)
    # The PyTorch listing takes its losses before the step and keeps ρ in the RUL loss.
    np.testing.assert_allclose(
        torch_run["L_rul"][1:], rho * np.array(numpy_run["rul_loss"][:-1]), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(torch_run["L_hs"][1:], numpy_run["hs_loss"][:-1], rtol=1e-6)
    assert torch_run["L_rul"][0] == rho / 2
    assert torch_run["L_hs"][0] == 0.5


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("opt_name", ["adam", "adamw"])
@pytest.mark.parametrize("rho", [3.0, 500.0])
def test_adam_and_adamw_equal_adam_written_by_hand(rho, opt_name, weight_decay):
    by_hand = adam_by_hand(
        toy_gradient(rho), 0.2, 300, 0.05, weight_decay, decoupled=opt_name == "adamw"
    )
    found = toy.run(
        rho, opt_name, 300, 0.05, weight_decay=weight_decay, theta_0=0.2, dtype=torch.float64
    )
    np.testing.assert_allclose(found["theta"], by_hand, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("opt_name", ["sgd", "adam"])
def test_coupled_weight_decay_moves_the_fixed_point_as_derived(opt_name):
    rho, decay = 10.0, 2.0
    path = toy.run(rho, opt_name, 2000, 0.02, weight_decay=decay, dtype=torch.float64)["theta"]
    assert path[-1] == pytest.approx(toy.fixed_point(rho, decay), abs=1e-4)
    assert toy.fixed_point(rho) - path[-1] > 0.1


def adamw_shift(rho, lr, weight_decay, beta1=0.9):
    """Return our estimate of how far AdamW's decoupled decay moves the long-run mean of θ.

    At rest the two halves of the AdamW step cancel, ``g/√v = −λθ``, so that the offset is
    ``−λ θ* √v/(ρ + 1)``. And v does not stay where it likes: it decays until the effective step
    ``lr (ρ + 1)/√v`` reaches ``2(1 + β₁)/(1 − β₁)``, where heavy-ball descent on a quadratic
    loses its stability and the gradients grow again. With v held there, ρ cancels:
    ``−λ lr θ* (1 − β₁)/(2(1 + β₁))``. An estimate for small λ·lr, to be held against a run.
    """
    return -weight_decay * lr * toy.fixed_point(rho) * (1.0 - beta1) / (2.0 * (1.0 + beta1))


@pytest.mark.slow
def test_decoupled_decay_moves_the_long_run_mean_of_adamw_by_about_the_estimate():
    rho, lr, decay = 500.0, 0.05, 0.1
    path = toy.run(rho, "adamw", 20_000, lr, weight_decay=decay, dtype=torch.float64)["theta"]
    shift = np.mean(path[10_000:]) - toy.fixed_point(rho)
    assert shift == pytest.approx(adamw_shift(rho, lr, decay), rel=0.2)


@pytest.mark.parametrize("rho", [5.0, 100.0, 2000.0])
@pytest.mark.parametrize("tolerance", [1e-2, 5e-4])
def test_settling_learning_rates_are_exactly_those_that_settle(rho, tolerance):
    low, high = toy.settling_learning_rates(rho, 60, tolerance)

    def error(lr):
        return abs(closed_form(rho, 60, lr)[-1] - toy.fixed_point(rho))

    assert error(low) == pytest.approx(tolerance)
    assert error(high) == pytest.approx(tolerance)
    assert error((low + high) / 2) < tolerance
    assert error(low * 0.99) > tolerance
    assert error(high * 1.01) > tolerance


def test_settling_learning_rates_allow_anything_where_the_start_is_the_fixed_point():
    assert toy.settling_learning_rates(1.0, 60, 1e-3) == (0.0, math.inf)


def test_settling_step_wants_theta_to_stay():
    theta = [5, 0, 5, 0, 0, 0, 5]
    assert toy.settling_step(theta, 0.0, 0.1, hold=1) == 2
    assert toy.settling_step(theta, 0.0, 0.1, hold=3) == 4
    assert toy.settling_step(theta, 0.0, 0.1, hold=4) is None
    assert toy.settling_step(theta, 0.0, 0.1, hold=8) is None


def test_divergence_goes_on_to_infinity_and_nan_without_raising():
    numpy_run = toy.simulate_two_task(500.0, 400, 0.05)
    assert math.isnan(numpy_run["theta"][-1])
    assert math.isinf(max(numpy_run["hs_loss"]))
    assert math.isinf(closed_form(500.0, 400, 0.05).max())
    assert math.isnan(toy.run(500.0, "sgd", 60, 0.05)["theta"][-1])


def test_float32_changes_the_pytorch_result_only_in_the_last_digits():
    single = toy.run(500.0, "adam")["theta"]
    double = toy.run(500.0, "adam", dtype=torch.float64)["theta"]
    np.testing.assert_allclose(single, double, rtol=1e-5)
    assert single != double


def test_an_unknown_optimiser_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'lion'.*sgd, adam, adamw"):
        toy.run(10.0, "lion")


@pytest.mark.parametrize("opt_name", ["sgd", "adam"])
def test_every_optimiser_lands_on_the_same_point_in_several_dimensions(opt_name):
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    curvatures = np.array([turn @ np.diag([20.0, 0.5]) @ turn.T, np.diag([1.0, 2.0])])
    optima = np.array([[1.0, 1.0], [-1.0, -1.0]])
    path = toy.descend(curvatures, optima, opt_name, 3000, 0.01)
    np.testing.assert_allclose(
        path[-1], toy.general_fixed_point(curvatures, optima), rtol=0, atol=1e-3
    )


def test_descend_in_one_dimension_is_run():
    path = toy.descend([[[50.0]], [[1.0]]], [[1.0], [-1.0]], "adamw", 50, 0.05, weight_decay=0.1)
    same = toy.run(50.0, "adamw", 50, 0.05, weight_decay=0.1, dtype=torch.float64)["theta"]
    np.testing.assert_allclose(path[:, 0], same, rtol=1e-12)


@given(theta=st.floats(-3, 3), noise=st.floats(0.1, 10))
def test_hs_accuracy_is_a_probability_that_falls_with_theta(theta, noise):
    at, beyond = toy.hs_accuracy(theta, noise), toy.hs_accuracy(theta + 0.1, noise)
    assert 0.0 <= beyond <= at <= 1.0
    assert at + toy.hs_accuracy(-theta, noise) == pytest.approx(1.0)


def test_hs_accuracy_equals_the_share_of_right_answers_in_a_drawn_sample():
    rng = np.random.default_rng(0)
    label = rng.choice([-1.0, 1.0], size=200_000)
    score = -label * 0.7 + rng.normal(scale=1.3, size=label.size)
    assert toy.hs_accuracy(0.7, 1.3) == pytest.approx((score * label > 0).mean(), abs=0.005)


def dominated(front):
    better = (front[:, None, :] <= front[None, :, :]).all(2)
    strictly = (front[:, None, :] < front[None, :, :]).any(2)
    return (better & strictly).any(0)


@pytest.mark.parametrize("front", [toy.convex_front(101), toy.concave_front(101)])
def test_every_point_of_a_front_is_pareto_optimal(front):
    assert front.shape == (101, 2)
    assert not dominated(front).any()


def test_weighted_sums_reach_every_point_of_the_convex_front():
    weights = np.linspace(0, 1, 101)
    reached = toy.weighted_sum_minimisers(toy.convex_front(101), weights)
    np.testing.assert_array_equal(reached, np.arange(101))


def test_weighted_sums_reach_only_the_ends_of_the_concave_front():
    reached = toy.weighted_sum_minimisers(toy.concave_front(101), np.linspace(0.001, 0.999, 999))
    assert set(reached.tolist()) == {0, 100}


def test_a_dominated_point_is_worse_somewhere_and_better_nowhere():
    losses = [[0, 3], [1, 1], [1, 2], [3, 0], [2, 2], [1, 1]]
    np.testing.assert_array_equal(toy.non_dominated(losses), [True, True, False, True, False, True])


@pytest.mark.parametrize("front", [toy.convex_front(41), toy.concave_front(41)])
def test_every_point_of_a_front_is_non_dominated_and_no_point_behind_it_is(front):
    assert toy.non_dominated(front).all()
    behind = np.vstack([front, front[1:-1] + 0.01])
    assert not toy.non_dominated(behind)[len(front) :].any()
