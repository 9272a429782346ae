"""Figures of adding up two losses: their series and words, not their pixels."""

import numpy as np
import pandas as pd
import pytest

from rulbook.display.figures import loss_combination


@pytest.fixture
def swept():
    return pd.DataFrame(
        {
            "seed": [1, 2] * 4,
            "rul_weight": np.repeat([0.0, 0.01, 0.99, 1.0], 2),
            "rmse": [40.0, 42, 20, 22, 21, 23, 20, 20],
            "health_accuracy": [0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.3, 0.4],
            "train_rul_loss": [900.0, 900, 400, 402, 410, 411, 400, 400],
            "train_health_loss": [0.4, 0.4, 0.5, 0.5, 0.6, 0.7, 1.1, 1.1],
        }
    )


def test_the_sweep_draws_means_over_seeds_accuracy_in_per_cent(swept):
    figure, alt, _ = loss_combination.weight_sweep(swept)
    above, below = figure.axes
    assert "RUL error, cycles: 41.0 at 0, 20.0 at 1, in between from 21.0 to 22.0" in alt
    np.testing.assert_allclose(above.get_lines()[0].get_ydata(), [41, 21, 22, 20])
    np.testing.assert_allclose(below.get_lines()[0].get_ydata(), [80, 75, 70, 35])
    np.testing.assert_allclose(below.get_lines()[0].get_xdata(), [0, 0.01, 0.99, 1])
    assert "%" in below.get_ylabel()


def test_the_measured_frontier_leaves_out_the_ends_and_rings_what_is_optimal(swept):
    figure, alt, _ = loss_combination.measured_frontier(swept.groupby("rul_weight").mean())
    (axes, *_) = figure.axes
    assert "that no other beats in both losses: 0.01." in alt
    (points,) = axes.collections
    np.testing.assert_allclose(points.get_offsets(), [[401, 0.5], [410.5, 0.65]])
    (ringed,) = axes.get_lines()
    assert ringed.get_xydata().tolist() == [[401, 0.5]]


def test_the_points_are_those_of_the_two_task_networks(swept):
    points = loss_combination.frontier_points(swept.groupby("rul_weight").mean())
    assert points == [
        {"weight": 0.01, "rul_loss": 401.0, "health_loss": 0.5},
        {"weight": 0.99, "rul_loss": 410.5, "health_loss": pytest.approx(0.65)},
    ]
