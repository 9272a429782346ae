"""What chapter 02 quotes."""

import numpy as np
import pandas as pd
import pytest

from rulbook.display.readings import loss_combination
from rulbook.weighting.registry import METHODS


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
        assert shown.data.count("<tr") == len(METHODS) + 1


def _in_order(html):
    return sorted(METHODS.values(), key=lambda method: html.index(f">{method.title}<"))


def test_methods_that_need_less_come_first_in_both_tables():
    order = _in_order(loss_combination.what_methods_need().data)
    needs = list(dict.fromkeys(method.needs for method in order))
    assert needs == ["nothing", "losses", "epoch means", "task gradients"]
    assert order == _in_order(loss_combination.what_methods_cost().data)
