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
    WEIGHT_RANGES,
    Floats,
    Integers,
    Scale,
    Searches,
    Strategy,
    grid,
    search,
    weight_at,
)

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
