import logging
from typing import get_args

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulbook.errors import UsageError
from rulbook.experiments.weight_search import (
    RANDOM_STARTS,
    SEARCH_KINDS,
    WEIGHT_RANGES,
    Floats,
    Integers,
    Scale,
    Searches,
    Strategy,
    decades,
    grid,
    search,
    search_claims,
    search_gains,
    weight_at,
)
from rulbook.statistics import Comparison

STRATEGIES = get_args(Strategy)
SCALES = get_args(Scale)


def bowl(rul_weights: Floats, seeds: Integers) -> Floats:
    """A score whose only minimum is at a RUL weight of 0.3, shifted by the seed."""
    return (rul_weights - 0.3) ** 2 + seeds[:, None]


class Counter:
    """An objective that keeps the calls it received."""

    def __init__(self) -> None:
        self.calls: list[tuple[Floats, Integers]] = []

    def __call__(self, rul_weights: Floats, seeds: Integers) -> Floats:
        self.calls.append((rul_weights, seeds))
        return bowl(rul_weights, seeds)


def test_nine_points_of_a_linear_grid_are_the_tenths() -> None:
    np.testing.assert_allclose(grid(9, "linear"), np.arange(1, 10) / 10, rtol=1e-15)


@pytest.mark.parametrize("scale", SCALES)
@given(budget=st.integers(1, 40))
def test_a_grid_ascends_inside_its_range_and_mirrors_around_a_half(
    scale: Scale, budget: int
) -> None:
    weights = grid(budget, scale)
    low, high = WEIGHT_RANGES[scale]
    assert (np.diff(weights) > 0).all()
    assert low < weights[0]
    assert weights[-1] < high
    np.testing.assert_allclose(weights, 1 - weights[::-1], rtol=0, atol=1e-12)


def test_log_odds_positions_multiply_the_ratio_of_the_weights_by_one_factor() -> None:
    weights = weight_at(np.linspace(0, 1, 6), "log_odds")
    ratios = weights / (1 - weights)
    np.testing.assert_allclose(ratios[1:] / ratios[:-1], ratios[1] / ratios[0], rtol=1e-9)
    np.testing.assert_allclose(weights[[0, -1]], WEIGHT_RANGES["log_odds"], rtol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_pays_for_the_same_trainings(strategy: Strategy, scale: Scale) -> None:
    objective = Counter()
    found = search(strategy, scale, objective, budget=5, repeats=3, seed=7)
    for _, seeds in objective.calls:
        np.testing.assert_array_equal(seeds, [7, 8, 9])
    trained = np.concatenate([weights for weights, _ in objective.calls], axis=1)
    assert found.rul_weights.shape == (3, 5)
    np.testing.assert_array_equal(found.rul_weights, trained)
    np.testing.assert_array_equal(found.scores, bowl(trained, np.array([7, 8, 9])))
    low, high = WEIGHT_RANGES[scale]
    assert ((found.rul_weights >= low) & (found.rul_weights <= high)).all()


def test_only_the_guided_search_looks_back_between_trainings() -> None:
    sizes = {}
    for strategy in STRATEGIES:
        objective = Counter()
        search(strategy, "linear", objective, budget=4, repeats=2)
        sizes[strategy] = [call[0].size for call in objective.calls]
    assert sizes == {"grid": [8], "random": [8], "bayesian": [2, 2, 2, 2]}


@pytest.mark.parametrize("scale", SCALES)
def test_a_grid_search_tries_the_grid_in_order(scale: Scale) -> None:
    found = search("grid", scale, bowl, budget=6, repeats=2)
    np.testing.assert_allclose(found.rul_weights, [grid(6, scale)] * 2, rtol=1e-12)


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_repeats_differ_and_the_same_seed_repeats_them(strategy: Strategy) -> None:
    first, again = (search(strategy, "linear", bowl, budget=6, repeats=3, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.rul_weights, again.rul_weights)
    assert len(np.unique(first.rul_weights)) == first.rul_weights.size
    later = search(strategy, "linear", bowl, budget=6, repeats=1, seed=3)
    if strategy == "random":  # the guided search has another score to look at, not other draws
        np.testing.assert_array_equal(later.rul_weights, first.rul_weights[2:])


def test_guidance_brings_the_tries_closer_to_the_minimum() -> None:
    guided = search("bayesian", "linear", bowl, budget=25, repeats=6)
    random = search("random", "linear", bowl, budget=25, repeats=6)
    distance = {
        name: np.abs(found.rul_weights[:, RANDOM_STARTS:] - 0.3).mean()
        for name, found in (("guided", guided), ("random", random))
    }
    assert distance["guided"] < 0.75 * distance["random"]


def test_guidance_begins_after_the_random_starts() -> None:
    def valley(rul_weights: Floats, seeds: Integers) -> Floats:
        return -bowl(rul_weights, seeds)

    first, second = (search("bayesian", "linear", f, budget=8, repeats=1) for f in (bowl, valley))
    same = first.rul_weights[0] == second.rul_weights[0]
    assert same[:RANDOM_STARTS].all()
    assert not same[RANDOM_STARTS:].any()


def test_best_so_far_and_choice_follow_the_scores() -> None:
    found = Searches(
        rul_weights=np.array([[0.1, 0.5, 0.9], [0.2, 0.4, 0.6]]),
        scores=np.array([[3.0, 1.0, 2.0], [5.0, 6.0, 4.0]]),
    )
    np.testing.assert_array_equal(found.best_so_far, [[3.0, 1.0, 1.0], [5.0, 5.0, 4.0]])
    np.testing.assert_array_equal(found.chosen, [0.5, 0.6])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_training_that_diverged_is_never_chosen(strategy: Strategy) -> None:
    def diverges_above(rul_weights: Floats, seeds: Integers) -> Floats:
        return np.where(rul_weights > 0.4, np.nan, bowl(rul_weights, seeds))

    found = search(strategy, "linear", diverges_above, budget=9, repeats=3)
    assert not np.isnan(found.scores).any()
    assert np.isinf(found.scores[found.rul_weights > 0.4]).all()
    assert (found.chosen <= 0.4).all()


def test_a_search_is_silent_and_leaves_optuna_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    level = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG, logger="optuna"):
            optuna.logging.set_verbosity(logging.INFO)
            search("bayesian", "linear", bowl, budget=2, repeats=1)
            assert optuna.logging.get_verbosity() == logging.INFO
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(level)
    assert not caplog.records


def test_unknown_names_and_empty_budgets_are_refused() -> None:
    with pytest.raises(UsageError, match="search strategy"):
        search("annealing", "linear", bowl)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="scale"):
        search("grid", "decibel", bowl)  # type: ignore[arg-type]
    for empty in ({"budget": 0}, {"repeats": 0}):
        with pytest.raises(ValueError, match="1 or more"):
            search("grid", "linear", bowl, **empty)


# What searches found --------------------------------------------------------------------------


@pytest.fixture
def two_kinds() -> dict[str, Searches]:
    """Two kinds of search; only a RUL weight below one thousandth does harm."""
    weights = np.array([[0.0005, 0.2], [0.5, 0.9]])
    scores = np.array([[30.0, 12.0], [10.0, 11.0]])
    return {"grid": Searches(weights, scores), "random": Searches(weights, scores + 1)}


def comparison(difference: float, p_value: float, detectable: float = 0.5) -> Comparison:
    return Comparison(difference, difference - 1, difference + 1, p_value, detectable, 5)


def test_gains_are_those_of_all_trainings_of_all_kinds(two_kinds):
    against_half = {"grid": comparison(-0.4, 0.2), "random": comparison(0.3, 0.01, 0.8)}
    found = search_gains(two_kinds, against_half)
    plateau = np.array([12.0, 10.0, 11.0, 13.0, 11.0, 12.0])
    assert (found.lowest_chosen, found.highest_chosen) == (0.2, 0.5)
    assert found.plateau_sd == pytest.approx(plateau.std(ddof=1))
    assert found.steepest == pytest.approx(30.5 - plateau.mean())
    assert (found.largest_gain, found.detectable) == (0.4, 0.8)
    assert found.told_apart == 1


def test_kinds_are_told_apart_after_correction(two_kinds):
    against_half = {"grid": comparison(1.0, 0.03), "random": comparison(1.0, 0.04)}
    assert search_gains(two_kinds, against_half).told_apart == 0


def test_a_search_serves_if_it_is_shown_to_be_no_worse_and_was_not_cut_short(two_kinds):
    fine = {"grid": comparison(-0.6, 0.2), "random": comparison(-1.0, 0.2)}
    worse = fine | {"random": comparison(5.0, 0.001)}
    noisy = fine | {"random": comparison(0.1, 0.9)}
    for against_half, shape, serves in (
        (fine, (2, 2), True),
        (worse, (2, 2), False),
        (noisy, (2, 2), False),
        (fine, (2, 3), False),
    ):
        claims = search_claims(two_kinds, against_half, shape, 8)
        assert claims["l9.1-search-methods"] is serves
    assert search_claims(two_kinds, fine, (2, 2), 8)["l9.1-search-expensive"] is True
    assert search_claims(two_kinds, fine, (2, 2), 9)["l9.1-search-expensive"] is False


def test_decades_turn_their_sign_with_the_weights():
    weights = np.array([[0.5, 10 / 11], [1 / 11, 1 / 1001]])
    np.testing.assert_allclose(decades(weights), [[0, 1], [-1, -3]], atol=1e-12)
    np.testing.assert_allclose(decades(1 - weights), -decades(weights), atol=1e-12)


def test_the_kinds_that_are_compared_are_searches_that_there_are():
    for strategy, scale in SEARCH_KINDS.values():
        found = search(strategy, scale, bowl, budget=2, repeats=1)
        assert found.rul_weights.shape == (1, 2)
