"""What section 4.3 computes: the sums, the loop, and the rules that decide its claims."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rulbook import toy
from rulbook.experiments import loss_combination as combination
from rulbook.experiments.batches import random_batch
from rulbook.models import DualTaskMLP

WEIGHTS = {
    "equal": np.array([0.5, 0.5]),
    "unequal": np.array([0.25, 0.75]),
    "inverse magnitude": np.array([0.8, 12.5]) / 13.3,
    "uncertainty": np.exp(-2 * combination.SECTION_LOG_SIGMAS) / 2,
    "GABA": np.array([0.005, 0.995]),
}


@pytest.fixture
def sums():
    return combination.sums_table(WEIGHTS)


@pytest.fixture(scope="module")
def loop():
    return combination.printed_loop()


def test_a_sum_adds_up_its_two_terms_and_the_uncertainty_sum_its_spreads_too(sums):
    row = sums.set_index("strategy")
    terms = row["from RUL"] + row["from health"]
    extra = row["sum"] - terms
    assert extra["uncertainty"] == pytest.approx(1.8)
    assert extra.drop("uncertainty").abs().max() == 0
    searched = combination.uncertainty_sum(combination.SECTION_LOG_SIGMAS)
    assert row["sum"]["uncertainty"] == pytest.approx(searched)


@given(st.tuples(*2 * [st.floats(-3, 3)]))
def test_no_spreads_give_an_uncertainty_sum_below_the_lowest(log_sigmas):
    lowest = combination.lowest_uncertainty_sum()
    assert combination.uncertainty_sum(np.array(log_sigmas)) >= lowest - 1e-12
    at_optimum = combination.uncertainty_sum(np.log(combination.SECTION_LOSSES) / 2)
    assert at_optimum == pytest.approx(lowest)


def test_the_gradient_on_a_log_variance_knows_the_loss_only():
    expected = (1 - combination.SECTION_LOSSES) / 2
    for steepness in (0.0, 3.0):
        gradients = combination.log_variance_gradients(steepness)
        assert gradients == pytest.approx(expected, abs=1e-6)


def test_contributions_follow_the_weights(sums):
    claims = combination.contribution_claims(sums)
    assert claims["n4.3-inverse-equalises"] is True
    rul, health = (claims[f"n4.3-fixed-equal-{task}-share"] for task in ("rul", "health"))
    assert rul + health == pytest.approx(100)
    flat = combination.sums_table(WEIGHTS | {"inverse magnitude": np.array([0.5, 0.5])})
    assert combination.contribution_claims(flat)["n4.3-inverse-equalises"] is False


def test_cross_entropy_is_bounded_only_while_nothing_exceeds_a_uniform_guess():
    uniform, confident = combination.wrong_class_losses(np.array([0.0, 20.0]))
    assert uniform == pytest.approx(np.log(3))
    assert confident == pytest.approx(20, abs=1e-6)
    assert combination.cross_entropy_claims([uniform])["n4.3-ce-bounded"] is True
    assert combination.cross_entropy_claims([uniform, confident])["n4.3-ce-bounded"] is False


def test_only_the_inverse_of_the_ratio_balances_it():
    balanced = combination.gaba_claims(np.array([1, 500]) / 501, seed=0)
    assert balanced["n4.3-gaba-balances-perfectly"] is True
    printed = combination.gaba_claims(np.array([0.005, 0.995]), seed=0)
    assert printed["n4.3-gaba-balances-perfectly"] is False
    assert printed["n4.3-gaba-is-inverse-norm"] is True


@pytest.mark.parametrize(("rul", "health", "tell"), [(1, 1, False), (1.05, 1, False), (2, 1, True)])
def test_gradient_norms_tell_where_they_differ_by_a_tenth(rul, health, tell):
    pulls = torch.tensor(float(rul)), torch.tensor(float(health))
    assert combination.gradient_norms_tell(*pulls) is tell


def test_the_loop_adds_half_of_each_loss_and_starts_from_one_of_the_drawn_ways(loop):
    np.testing.assert_allclose(loop.losses[:, 2], loop.losses[:, :2].mean(axis=1), rtol=1e-6)
    ways = combination.first_losses([0])
    assert ways.shape == (12, 2)
    assert np.isclose(ways, loop.losses[0, :2], rtol=1e-6).all(axis=1).any()


def test_the_printed_sums_are_judged_by_the_printed_losses(loop):
    printed = np.array([[4.0, 2.0, 3.0], [2.0, 1.0, 1.5], [1.0, 1.0, 1.0]])
    claims = combination.loop_claims(loop, printed)
    assert [claims[f"n4.3-loop-step{step}-sum"] for step in range(3)] == [3.0, 1.5, 1.0]
    assert claims["n4.3-loop-share"] == pytest.approx(200 / 3)
    assert claims["n4.3-loop-label-type"] == "torch.int64"


def test_the_loop_is_held_against_each_loss_alone(loop):
    falls = combination.falls_against_controls((2, 4))
    of_loop = 100 * (1 - loop.losses[2] / loop.losses[0])
    first = falls.set_index("steps").loc[2]
    assert first[["RUL, both", "health, both"]].tolist() == pytest.approx(of_loop[:2].tolist())
    assert first["health, alone"] > first["health, both"]
    assert combination.control_claims(falls)["n4.3-loop-only-regression"] is False
    starved = falls.assign(**{"health, both": 0.05 * falls["health, alone"]})
    assert combination.control_claims(starved)["n4.3-loop-only-regression"] is True


def test_the_learning_rate_gives_the_fall_that_was_asked_for():
    lr = combination.learning_rate_for(9.0)
    falls = combination.percent_falls(combination.printed_loop(lr, steps=2).losses[:, 0])
    assert falls[0] == pytest.approx(9.0, abs=0.02)


def test_gradients_of_a_live_network_add_up():
    torch.manual_seed(3)
    network, batch = DualTaskMLP(), random_batch()
    claims = combination.weighted_sum_claims(network, batch)
    claims |= combination.loop_gradient_claims(network, batch)
    assert {name for name, value in claims.items() if value is True} == {
        "n4.3-sum-one-scalar",
        "n4.3-sum-differentiable",
        "n4.3-loop-gradients-accumulate",
        "n4.3-loop-gradient-is-weighted-sum",
    }


def test_a_trunk_without_gradient_is_seen():
    torch.manual_seed(3)
    network, batch = DualTaskMLP(), random_batch()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert combination.weighted_sum_claims(network, batch)["n4.3-sum-differentiable"] is False


def test_targets_span_the_cap():
    claims = combination.target_claims(np.array([0.0, 40.0, 125.0]))
    assert claims == {"n4.3-target-range": True, "n4.3-target-mean": 55.0}
    assert combination.target_claims(np.array([1.0, 125.0]))["n4.3-target-range"] is False


def test_the_frontier_rules_see_a_dominated_choice(monkeypatch):
    fronts = {"convex": toy.convex_front(), "concave": toy.concave_front()}
    inner = np.linspace(0.01, 0.99, 99)
    chosen = {name: toy.weighted_sum_minimisers(front, inner) for name, front in fronts.items()}
    claims = combination.frontier_claims(fronts, chosen, inner)
    assert claims.pop("n4.3-sum-pareto-at-zero") is False  # ties with a dominated point
    assert all(claims.values())
    shifted = combination.frontier_claims(fronts, chosen, inner[::-1])
    assert shifted["n4.3-slide-moves-optimum"] is False
    monkeypatch.setattr(toy, "weighted_sum_minimisers", lambda points, _: [len(points) - 1])
    assert combination.frontier_claims(fronts, chosen, inner)["n4.3-sum-pareto"] is False


def test_the_ends_of_a_front_are_not_between_them():
    assert combination.inner_points([0, 0, 4, 2, 2], points=5) == 1


@given(st.integers(2, 8))
def test_one_weight_follows_from_the_others(tasks):
    assert combination.free_weights(tasks) == tasks - 1


def test_a_grid_grows_exponentially_and_a_polynomial_does_not():
    grid = combination.sweep_size_claims({tasks: 11 ** (tasks - 1) for tasks in range(2, 6)})
    assert grid["n4.3-sweep-exponential"] is True
    powers = combination.sweep_size_claims({tasks: tasks**3 for tasks in range(2, 6)})
    assert powers["n4.3-sweep-exponential"] is False
