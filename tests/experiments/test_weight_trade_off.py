"""What is made of a course: medians, balancing weights, and steps that do harm."""

import numpy as np
import pandas as pd
import pytest

from rulbook.experiments import weight_trade_off as trade_off


@pytest.fixture
def course():
    """Three seeds, two measured steps."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        [(step, seed) for step in (0, 20) for seed in (1, 2, 3)], columns=["step", "seed"]
    )
    for column, scale in (("rul_loss", 500), ("health_loss", 1), ("norm_rul", 80)):
        rows[column] = scale * random.uniform(0.5, 2, len(rows))
    rows["norm_health"] = random.uniform(0.1, 0.3, len(rows))
    rows["cosine"] = [0.2, -0.2, -0.01, 0.2, 0.1, -0.001]
    return rows


def test_a_typical_course_has_the_medians_of_each_step(course):
    typical = trade_off.typical_course(course, steps=40)
    assert typical["step"].tolist() == [0, 20]
    assert typical["progress"].tolist() == [2.5, 52.5]
    first = course[course["step"] == 0]
    assert typical["rul_loss"][0] == first["rul_loss"].median()
    assert typical["norm_ratio"][0] == (first["norm_rul"] / first["norm_health"]).median()
    assert (typical["cosine_low"] <= typical["cosine"]).all()
    assert (typical["cosine"] <= typical["cosine_high"]).all()


def test_a_balancing_weight_makes_both_terms_equal(course):
    course["norm_ratio"] = course["norm_rul"] / course["norm_health"]
    for what, rul, health in (
        ("losses", "rul_loss", "health_loss"),
        ("gradients", "norm_rul", "norm_health"),
    ):
        weight = trade_off.balancing_weight(course, what)
        np.testing.assert_allclose(weight * course[rul], (1 - weight) * course[health])
        for row, kept in enumerate(weight):
            share = trade_off.rul_share(course, what, kept)
            assert share[row] == pytest.approx(50.0)
            term = kept * course[rul]
            np.testing.assert_allclose(share, 100 * term / (term + (1 - kept) * course[health]))


def test_balanced_losses_leave_the_ratio_of_ratios(course):
    left_over = trade_off.gradient_ratio_with_balanced_losses(course)
    loss_ratio = course["rul_loss"] / course["health_loss"]
    expected = (course["norm_rul"] / course["norm_health"] / loss_ratio).groupby(course["step"])
    np.testing.assert_allclose(left_over, expected.median())


def test_a_step_does_harm_if_the_conflict_outweighs_the_health_gradient(course):
    for weight in (0.001, 0.5, 0.999):
        shares = trade_off.share_of_harmful_steps(course, weight)
        for seed, rows in course.groupby("seed"):
            # The change of the health loss along minus the weighted sum, up to a positive factor.
            change = -(
                weight * rows["norm_rul"] * rows["cosine"] + (1 - weight) * rows["norm_health"]
            )
            assert shares[seed] == pytest.approx(100 * (change > 0).mean())
    assert trade_off.share_of_harmful_steps(course, 0.999)[2] == 50.0


def test_equal_contributions_never_do_harm(course):
    balanced = 1 / (1 + course["norm_rul"] / course["norm_health"])
    assert (trade_off.share_of_harmful_steps(course, balanced) == 0).all()


def test_shares_are_of_each_seed(course):
    shares = trade_off.share_by_seed(course, course["cosine"] < 0)
    assert shares.to_dict() == {1: 0.0, 2: 50.0, 3: 100.0}


@pytest.mark.parametrize(("rul_change", "health_change"), [(-5, 0.1), (5, 0.1), (-5, -0.1)])
def test_a_trade_off_lowers_one_loss_and_raises_the_other(rul_change, health_change):
    swept = pd.DataFrame(
        [
            (seed, weight, 400 + (seed % 3 + rul_change) * weight, 1 + health_change * weight)
            for seed in range(6)
            for weight in (0.0, 1.0)
        ],
        columns=["seed", "rul_weight", "train_rul_loss", "train_health_loss"],
    )
    rises = trade_off.loss_rises(swept, low=0.0, high=1.0)
    assert rises.rul.difference == pytest.approx(rul_change + 1)
    assert rises.health.difference == pytest.approx(health_change)
    assert rises.trade_off is (rul_change < 0 < health_change)


@pytest.mark.parametrize("noisy", ["train_rul_loss", "train_health_loss"])
def test_a_change_that_chance_explains_is_no_trade_off(noisy):
    """On either side: the mean has the right sign, and seeds disagree."""
    rows = []
    for seed, chance in enumerate([5.0, -4.0, 3.0, -3.5]):
        for weight in (0.0, 1.0):
            change = {"train_rul_loss": -1.0 - 0.01 * seed, "train_health_loss": 1.0 + 0.01 * seed}
            change[noisy] += chance
            losses = {loss: weight * value for loss, value in change.items()}
            rows.append({"seed": seed, "rul_weight": weight, **losses})
    rises = trade_off.loss_rises(pd.DataFrame(rows), low=0.0, high=1.0)
    assert rises.rul.difference < 0 < rises.health.difference
    assert rises.trade_off is False
