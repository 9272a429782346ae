"""The two programs of §12.4: what decides a claim follows what the programs do."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rulbook import toy
from rulbook.claims.ledger import read_ledger
from rulbook.experiments import two_task_programs as programs
from rulbook.gradients import PRINTED_IMBALANCE

PRINTED = (1, 10, 100, 500)
CHAPTER = "04-what-it-costs"


@pytest.fixture(scope="module")
def as_printed():
    return {rho: toy.simulate_two_task(rho) for rho in PRINTED}


@pytest.fixture(scope="module")
def at_half_the_limit():
    return {rho: toy.simulate_two_task(rho, lr=toy.stability_limit(rho) / 2) for rho in PRINTED}


@pytest.fixture(scope="module")
def listing_2():
    return {name: toy.run(PRINTED_IMBALANCE, name) for name in ("sgd", "adam")}


@pytest.fixture(scope="module")
def in_time():
    return {name: programs.stable_run(name, 600)["theta"] for name in ("sgd", "adam")}


def test_every_claim_is_one_of_the_chapter_and_no_two_functions_decide_the_same(
    as_printed, listing_2, in_time
):
    shifts = programs.weight_decay_shifts((0.0, 0.01))
    groups = [
        programs.fixed_point_claims((0.0,) * 5, (1.0,) * 5),
        programs.learning_rate_claims([0.5, 0.5]),
        programs.explorer_claims(as_printed),
        programs.unasked_claims(),
        programs.table_claims(),
        programs.losses_at_rest_claims(),
        programs.first_output_claims(as_printed),
        programs.first_program_claims(as_printed),
        programs.second_output_claims(listing_2),
        programs.second_program_claims(listing_2, in_time),
        programs.adam_claims([0.5], [0.5]),
        programs.weight_decay_claims(shifts),
        programs.pitfall_claims(programs.stable_run("sgd"), 0.0, seed=0),
        programs.small_print_claims(),
    ]
    decided = [claim for group in groups for claim in group]
    assert len(decided) == len(set(decided))
    ledger = read_ledger()
    assert {ledger[claim].chapter for claim in decided} == {CHAPTER}


def test_the_formula_holds_where_the_fixed_points_are_those_that_were_found():
    stars = [toy.fixed_point(rho) for rho in programs.TABLE_RATIOS]
    assert programs.fixed_point_claims(stars, [1.0])["n12.4-fixed-point-rho"]
    assert not programs.fixed_point_claims(stars[::-1], [1.0])["n12.4-fixed-point-rho"]
    disagreeing = programs.fixed_point_claims(stars, [1.0, 0.9])
    assert not disagreeing["n12.4-agreeing-tasks-hide-imbalance"]


def test_the_learning_rate_moves_nothing_where_all_ends_are_the_fixed_point():
    star = toy.fixed_point(PRINTED_IMBALANCE)
    at_rest = programs.learning_rate_claims([star, star])
    assert at_rest["n12.4-theta-independent-of-lr"]
    assert at_rest["n12.4-structural-lr"]
    elsewhere = programs.learning_rate_claims([0.5, 0.5])
    assert elsewhere["n12.4-theta-independent-of-lr"]
    assert not elsewhere["n12.4-structural-lr"]


def test_claims_on_arrival_turn_with_the_learning_rate(as_printed, at_half_the_limit):
    diverged = programs.first_program_claims(as_printed)
    arrived = programs.first_program_claims(at_half_the_limit)
    for claim in ("n12.4-listing1-sixty-steps", "n12.4-output-matches-closed-form"):
        assert (diverged[claim], arrived[claim]) == (False, True)
    assert diverged["n12.4-listing1-step1-theta"] is True
    assert arrived["n12.4-listing1-step1-theta"] is False


def test_the_path_oscillates_down_only_if_it_comes_nearer(as_printed):
    rate = 1.9 / (PRINTED_IMBALANCE + 1)  # overshoots at every step, and converges
    near = as_printed | {500: toy.simulate_two_task(500, lr=rate)}
    assert programs.first_program_claims(near)["n12.4-listing1-oscillates-down"] is True
    assert programs.first_program_claims(as_printed)["n12.4-listing1-oscillates-down"] is False


def test_printed_output_is_the_last_entry_of_each_history(as_printed, listing_2):
    first = programs.first_output_claims(as_printed)
    assert len(first) == 4 * len(PRINTED)
    assert first["n12.4-output-rho10-hs"] == as_printed[10]["hs_loss"][-1]
    assert first["n12.4-output-rho10-closed-form"] == pytest.approx(9 / 11)
    second = programs.second_output_claims(listing_2)
    assert second["n12.4-output-adam-rul"] == listing_2["adam"]["L_rul"][-1]
    assert second["n12.4-output-same-point-as-printed"] is False
    stable = {name: programs.stable_run(name, 600) for name in ("sgd", "adam")}
    assert programs.second_output_claims(stable)["n12.4-output-same-point-as-printed"] is True


def test_the_table_holds_the_closed_form():
    table = programs.table_claims()
    assert len(table) == 3 * len(programs.TABLE_RATIOS)
    for rho in programs.TABLE_RATIOS:
        theta = (rho - 1) / (rho + 1)
        assert table[f"n12.4-table-rho{rho}-theta"] == pytest.approx(theta)
        assert table[f"n12.4-table-rho{rho}-rul"] == pytest.approx((theta - 1) ** 2 / 2)
        assert table[f"n12.4-table-rho{rho}-hs"] == pytest.approx((theta + 1) ** 2 / 2)
    rest = programs.losses_at_rest_claims()
    assert rest["n12.4-table-rho500-ratio"] == pytest.approx(4 * (500 / 501) ** 2)
    assert rest["n12.4-output-rul-monotone"] is rest["n12.4-output-hs-monotone"] is True


def test_claims_on_adam_turn_with_the_path(listing_2, in_time):
    measured = programs.second_program_claims(listing_2, in_time)
    assert measured["n12.4-adam-fixed-point"] is True
    assert measured["n12.4-listing2-adam-from-below"] is False
    from_below = {"adam": toy.fixed_point(500) * (1 - 0.9 ** np.arange(1, 601))}
    slow = programs.second_program_claims(listing_2, in_time | from_below)
    assert slow["n12.4-listing2-adam-from-below"] is True
    assert slow["n12.4-listing2-adam-smoother"] is True
    swapped = {"sgd": listing_2["adam"], "adam": listing_2["sgd"]}
    restless = programs.second_program_claims(swapped, in_time)
    assert restless["n12.4-listing2-adam-smoother"] is False
    elsewhere = {"sgd": np.zeros(600)}
    apart = programs.second_program_claims(listing_2, in_time | elsewhere)
    assert apart["n12.4-theta-independent-of-optimiser"] is False


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30))
def test_turns_are_those_of_the_path_without_its_halts(path):
    moves = [b - a for a, b in itertools.pairwise(path) if a != b]
    expected = sum((a > 0) != (b > 0) for a, b in itertools.pairwise(moves))
    assert programs.turns(path) == expected
    assert programs.turns([-x for x in path]) == expected


def test_turns_are_counted_while_the_path_is_finite():
    assert programs.turns([0.0, 1.0, -2.0, 4.0, math.inf, math.nan]) == 2


def test_a_rate_is_too_slow_if_one_imbalance_does_not_arrive():
    both = {rho: toy.simulate_two_task(rho) for rho in (10, 500)}
    assert programs.first_program_claims(both)["n12.4-listing1-lr-0-001"] is True
    steep = {500: both[500]}
    assert programs.first_program_claims(steep)["n12.4-listing1-lr-0-001"] is False


@pytest.mark.parametrize("apart", [0.01, 0.1, 0.5, 2.0])
def test_from_midway_the_health_loss_ends_at_four_times_its_start_whatever_the_distance(apart):
    """And the loss itself goes with the square of the distance: what counts is not said."""
    wishes = [1.0, 1.0 - apart]
    rest = toy.general_fixed_point([PRINTED_IMBALANCE, 1], wishes)[0]
    start, end = ((theta - wishes[1]) ** 2 / 2 for theta in (np.mean(wishes), rest))
    assert end / start == pytest.approx(4, rel=0.01)
    assert end == pytest.approx(apart**2 / 2, rel=0.01)


def test_where_training_rests_the_sum_is_neither_the_rul_gradient_nor_the_rul_loss():
    rest = programs.losses_at_rest_claims()
    assert rest["n12.4-sum-is-rul-gradient"] is rest["n12.4-sum-is-rul-loss"] is False
    start, star = 0.0, toy.fixed_point(PRINTED_IMBALANCE)
    assert toy.rul_loss(start, PRINTED_IMBALANCE) > 100 * toy.hs_loss(start)
    assert toy.hs_loss(star) > 100 * toy.rul_loss(star, PRINTED_IMBALANCE)


def test_adam_divides_by_the_mean_square_and_not_by_the_variance():
    gradients = [1.0, -2.0, 3.0]
    weighted = [0.999 ** (2 - step) * g**2 for step, g in enumerate(gradients)]
    expected = 0.001 * sum(weighted) / (1 - 0.999**3)
    assert programs.adam_second_moment(gradients) == pytest.approx(expected)
    assert programs.adam_second_moment([2.0] * 5) == pytest.approx(4.0)


def test_adam_is_the_smoother_one_only_where_sgd_turns(listing_2, in_time):
    assert programs.second_program_claims(listing_2, in_time)["n12.4-adam-buys-smoother"] is False
    swinging = in_time | {"sgd": (-1.0) ** np.arange(600)}
    assert programs.second_program_claims(listing_2, swinging)["n12.4-adam-buys-smoother"] is True


def test_claims_on_the_rate_turn_where_the_printed_one_is_stable(monkeypatch):
    claims = ("n12.4-listing1-any-rho", "n12.4-listing1-smaller-lr-unchanged")
    printed = programs.learning_rate_claims([1.0])
    assert [printed[claim] for claim in claims] == [False, False]
    monkeypatch.setattr(toy, "LISTING_LEARNING_RATE", programs.STABLE_RATE)
    stable = programs.learning_rate_claims([1.0])
    assert [stable[claim] for claim in claims] == [True, True]


def test_adams_update_is_not_that_of_sgd(monkeypatch):
    assert programs.adam_claims([1.0], [1.0])["n12.4-adam-update"] is True
    path_of = programs.path_of
    monkeypatch.setattr(programs, "path_of", lambda _, rho, rate: path_of("sgd", rho, rate))
    assert programs.adam_claims([1.0], [1.0])["n12.4-adam-update"] is False


def test_a_weight_removes_the_bias_unless_it_leaves_the_fixed_point(monkeypatch):
    run = programs.stable_run("sgd")
    assert programs.pitfall_claims(run, 0.0, 0)["n12.4-no-single-weight-in-toy"] is False
    monkeypatch.setattr(toy, "general_fixed_point", lambda *_: np.array([0.996]))
    assert programs.pitfall_claims(run, 0.0, 0)["n12.4-no-single-weight-in-toy"] is True


def test_adam_without_epsilon_divides_by_zero_only_at_a_gradient_of_zero():
    assert programs.adam_without_epsilon_first_step() == pytest.approx(toy.LISTING_LEARNING_RATE)
    assert math.isnan(programs.adam_without_epsilon_first_step(0.0))


def test_decay_moves_sgd_as_derived_and_no_decay_moves_nothing():
    shifts = programs.weight_decay_shifts((0.0, 0.1, programs.SOURCES_DECAY))
    np.testing.assert_allclose(shifts["SGD, step 100"], shifts["SGD, derived"], atol=1e-9)
    np.testing.assert_allclose(shifts.iloc[0], 0.0, atol=1e-5)
    assert (shifts.iloc[1, 1:] < 0).all()
    assert programs.weight_decay_claims(shifts)["n12.4-theta-under-weight-decay"] is True
    moved = shifts.assign(**{"AdamW, step 2000": shifts["AdamW, step 2000"] - 1e-3})
    assert programs.weight_decay_claims(moved)["n12.4-theta-under-weight-decay"] is False


def test_a_schedule_ends_at_the_fixed_point_and_other_ends_are_refused():
    end = programs.end_under_cosine_schedule()
    assert end == pytest.approx(toy.fixed_point(500), abs=1e-9)
    stable = programs.stable_run("sgd")
    assert programs.pitfall_claims(stable, end, 0)["n12.4-pitfall-schedule"] is True
    assert programs.pitfall_claims(stable, 0.9, 0)["n12.4-pitfall-schedule"] is False


def test_the_total_loss_of_a_diverging_run_does_not_drop():
    steep = toy.run(500.0, "sgd", 10, dtype=torch.float64)
    end = toy.fixed_point(500)
    assert programs.pitfall_claims(steep, end, 0)["n12.4-pitfall-total-loss-drops"] is False


def test_the_steepest_gradient_of_the_cross_entropy_is_that_of_a_sure_mistake():
    assert programs.steepest_cross_entropy_gradient(0) == pytest.approx(2**0.5, abs=1e-6)


def test_the_first_step_is_traced_and_the_random_state_left_alone():
    before = torch.random.get_rng_state()
    claims = programs.small_print_claims()
    assert torch.equal(before, torch.random.get_rng_state())
    assert claims["n12.4-listing1-step0-gradient"] == -499
    assert claims["n12.4-listing2-step0-sum"] == 250.5
    assert claims["n12.4-listing1-unexplained-lines"] == 21
    assert claims["n12.4-listing2-unexplained-lines"] == 16
    assert claims["n12.4-listing2-unknown-optimiser"] is True


def test_every_descent_hovers_at_the_fixed_point_of_a_ratio_that_does_not_change():
    steady = np.full(6000, 4.0)
    for descent in ("sgd", "adam", "sign"):
        assert programs.hovers_at(descent, steady) == pytest.approx(toy.fixed_point(4.0), abs=5e-3)


def test_sgd_sees_the_mean_of_the_ratio_and_sign_descent_its_median():
    rho = np.random.default_rng(0).lognormal(sigma=1.5, size=20_000)
    mean, median = toy.fixed_point(np.exp(1.5**2 / 2)), toy.fixed_point(1.0)
    assert programs.hovers_at("sgd", rho) == pytest.approx(mean, abs=0.05)
    assert programs.hovers_at("sign", rho) == pytest.approx(median, abs=0.05)
