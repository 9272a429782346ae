"""Figures of fixed weights: their series and words, not their pixels."""

import numpy as np
import pandas as pd
import pytest

from rulbook.display.figures import fixed_weights
from rulbook.experiments.weight_search import SEARCH_KINDS, Searches

from ..conftest import lines_by_label


def test_every_training_is_a_mark_and_the_best_so_far_a_line_a_kind():
    random = np.random.default_rng(0)
    kinds = {
        name: Searches(random.uniform(0.1, 0.9, (3, 5)), random.uniform(10, 20, (3, 5)))
        for name in SEARCH_KINDS
    }
    above, below = fixed_weights.searches(kinds).figure.axes
    for name, searches in kinds.items():
        marks, line = lines_by_label(above)[name], lines_by_label(below)[name]
        odds = searches.rul_weights / (1 - searches.rul_weights)
        np.testing.assert_allclose(marks.get_xdata(), odds.ravel())
        np.testing.assert_array_equal(marks.get_ydata(), searches.scores.ravel())
        np.testing.assert_allclose(line.get_ydata(), searches.best_so_far.mean(axis=0))
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]


@pytest.fixture
def course():
    return pd.DataFrame(
        {
            "step": [0, 20, 40],
            "progress": [0.0, 50.0, 100.0],
            "rul_loss": [900.0, 300.0, 100.0],
            "health_loss": [1.0, 1.0, 0.5],
            "norm_ratio": [9.0, 19.0, 99.0],
            "cosine": [0.1, 0.0, -0.1],
            "cosine_low": [-0.2, -0.3, -0.4],
            "cosine_high": [0.2, 0.3, 0.4],
        }
    )


def test_ratios_of_losses_and_gradients_are_drawn_over_the_cosine(course):
    described = fixed_weights.course(course)
    above, below = described.figure.axes
    lines = lines_by_label(above)
    np.testing.assert_allclose(lines["losses"].get_ydata(), [900, 300, 200])
    np.testing.assert_allclose(lines["gradient norms"].get_ydata(), [9, 19, 99])
    np.testing.assert_allclose(below.get_lines()[0].get_ydata(), course["cosine"])
    band = below.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (-0.4, 0.4)


def test_a_weight_that_balances_at_a_moment_gives_half_there(course):
    split = fixed_weights.split_frames({"small network, FD001": course})
    figure, sentence = split(100, "gradients")
    above, below = figure.axes
    np.testing.assert_allclose(below.get_lines()[0].get_ydata()[-1], 50.0)
    np.testing.assert_allclose(lines_by_label(above)["gradients"].get_ydata(), [0.1, 0.05, 0.01])
    assert sentence.startswith(
        "Small network, FD001. λ = 0.01000 balances the gradients when 100 % of the training"
    )
    assert sentence.endswith("between 8 % and 50 % of the gradient.")
    assert split(0, "losses")[1].endswith("of the loss.")


def test_a_moment_between_two_measurements_is_the_nearer_one(course):
    split = fixed_weights.split_frames({"a": course})
    assert "when 50 % of" in split(30, "gradients")[1]
    assert "when 0 % of" in split(20, "gradients")[1]


def test_a_training_is_chosen_only_where_there_are_several(course):
    one, two = {"a": course}, {"a": course, "b": course.assign(norm_ratio=1.0)}
    names = [[c.name for c in fixed_weights.split_controls(courses)] for courses in (one, two)]
    assert names == [["moment", "of"], ["moment", "of", "run"]]
    _, sentence = fixed_weights.split_frames(two)(0, "gradients", run="b")
    assert sentence.startswith("B. λ = 0.50000")
