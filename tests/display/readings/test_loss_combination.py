"""What chapter 02 quotes."""

import numpy as np
import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.data.simulate import simulate
from rulbook.display.readings import loss_combination
from rulbook.experiments import ensemble, weight_trade_off
from rulbook.weighting.registry import WEIGHTING_METHODS


def test_the_printed_sum_is_half_of_both_printed_losses():
    printed = loss_combination.printed_losses()
    assert printed.shape == (3, 3)
    np.testing.assert_allclose(printed[:, 2], printed[:, :2].mean(axis=1), atol=1e-3)


def test_ranges_leave_out_the_single_task_ends():
    weights = [0.0, 0.1, 0.5, 0.9, 1.0]
    rows = [
        (seed, weight, 10 + weight, 0.5 + weight / 10, 100 + weight + seed * weight, 1 + weight)
        for seed in range(3)
        for weight in weights
    ]
    columns = ["seed", "rul_weight", "rmse", "health_accuracy"]
    swept = pd.DataFrame(rows, columns=[*columns, "train_rul_loss", "train_health_loss"])
    values = loss_combination.sweep_values(swept)
    assert (values["first"], values["last"]) == (0.1, 0.9)
    assert (values["rmse-low"], values["rmse-high"]) == pytest.approx((10.1, 10.9))
    assert (values["accuracy-low"], values["accuracy-high"]) == pytest.approx((51, 59))
    assert values["rmse-alone"] == pytest.approx(11)
    assert values["rise-rul"] == pytest.approx(1.6)
    assert values["rise-health"] == pytest.approx(0.8)
    assert values["kept"] == 1


def test_both_tables_list_every_method_once():
    for shown in (loss_combination.what_methods_need(), loss_combination.what_methods_cost()):
        assert shown.data.count("<tr") == len(WEIGHTING_METHODS) + 1


def _in_order(html):
    return sorted(WEIGHTING_METHODS.values(), key=lambda method: html.index(f">{method.title}<"))


def test_methods_that_need_less_come_first_in_both_tables():
    order = _in_order(loss_combination.what_methods_need().data)
    needs = list(dict.fromkeys(method.needs for method in order))
    assert needs == ["nothing", "losses", "epoch means", "task gradients"]
    assert order == _in_order(loss_combination.what_methods_cost().data)


def test_weights_for_gaba_leave_what_they_do_not_balance():
    values = loss_combination.gaba_values(np.array([0.005, 0.995]))
    assert values["gaba-ratio"] == pytest.approx(199)
    assert values["gaba-left-over"] == pytest.approx(500 / 199)


def test_the_needed_rate_is_quoted_with_its_second_fall():
    values = loss_combination.rate_values(np.array([9.0, 8.0]), np.array([9.0, 30.0]), 0.11)
    assert list(values.values()) == [0.11, 9.0, 30.0, 8.0]


def test_inner_points_are_those_of_the_concave_front():
    fronts = {"convex": np.zeros((3, 2)), "concave": np.zeros((5, 2))}
    chosen = {"convex": [1], "concave": [0, 4, 2, 2]}
    assert loss_combination.frontier_values(fronts, chosen) == {"concave-inner": 1}


def swept_low(slope, health=1.0):
    return pd.DataFrame(
        [
            (
                seed,
                weight,
                100 + 100 * slope * weight + 0.1 * seed * weight,
                1 + health * weight + 0.01 * seed**2 * weight,
            )
            for seed in range(4)
            for weight in loss_combination.SMALL_WEIGHTS
        ],
        columns=["seed", "rul_weight", "train_rul_loss", "train_health_loss"],
    )


@pytest.mark.parametrize(
    ("short", "longer", "trades"), [(-10.0, -5.0, True), (-10.0, 5.0, False), (5.0, -5.0, False)]
)
def test_a_trade_off_needs_a_loss_that_falls_at_every_length(short, longer, trades):
    swept = swept_low(short), swept_low(longer)
    (answer,) = loss_combination.frontier_answers(*swept).values()
    assert answer.value is trades
    values = loss_combination.small_weights_values(*swept)
    assert values["low-rul"] == pytest.approx(-short * 0.99, rel=0.01)
    assert values["longer-rul-low"] < values["longer-rul"] < values["longer-rul-high"]
    assert values["longer-health"] == pytest.approx(0.0099, rel=0.05)


def test_the_deciding_range_holds_the_weight_that_balances_the_gradients():
    rows = ensemble.single_cycles(simulate("FD001")).train
    low, high = loss_combination.DECIDING_WEIGHTS
    assert low < weight_trade_off.balancing_weights(rows, range(3))[0] < high


def test_the_health_task_keeps_a_share_of_its_own_fall():
    falls = pd.DataFrame({"health, both": [1.0, 3.0], "health, alone": [4.0, 6.0]})
    assert loss_combination.control_values(falls) == {
        "health-kept-low": 25.0,
        "health-kept-high": 50.0,
    }


def test_the_listings_and_the_long_runs_decide_rows_of_the_ledger():
    claims = loss_combination.listing_claims({})
    assert all(find(name) for name in claims)
    assert claims["n4.3-ce-scale"] == {}
