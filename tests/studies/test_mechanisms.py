"""The experiments of §4.1: what must be equal is equal, and the tables hold what was trained."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from rulbook.data import Windows
from rulbook.data.simulate import simulate
from rulbook.metrics import rmse
from rulbook.studies import mechanisms, small

SEEDS = (0, 4)
train_briefly = partial(small.train_networks, steps=40)


@pytest.fixture(autouse=True)
def _short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "train_networks", train_briefly)


@pytest.fixture(scope="module")
def rows() -> Windows:
    every = small.single_cycles(simulate("FD001")).train
    return every.take(np.arange(0, len(every), 5))


def test_label_efficiency_compares_trainings_of_the_same_rows(rows):
    found = mechanisms.label_efficiency(rows, rows, engines=(2, 3), seeds=SEEDS)
    assert len(found) == 2 * 2 * len(mechanisms.LABELLINGS)
    np.testing.assert_allclose(found["gap"], found["test_rmse"] - found["train_rmse"])

    alone = train_briefly(rows, [small.SINGLE_TASK], [4], engines=[3])
    drawn = np.isin(rows.unit, small.drawn_engines(rows, 4, 3))
    predicted = alone.predict(rows)[0][0, 0]
    row = found.query("engines == 3 and seed == 4 and training == 'single task'").iloc[0]
    assert row["test_rmse"] == pytest.approx(rmse(predicted, rows.rul), rel=1e-3)
    assert row["train_rmse"] == pytest.approx(rmse(predicted[drawn], rows.rul[drawn]), rel=1e-3)


def test_an_untrained_trunk_is_the_start_of_the_others(rows):
    found = mechanisms.representation_transfer(rows, rows, SEEDS)
    assert set(found["trunk"]) == set(mechanisms.TRUNKS)
    start = small.train_networks(rows, [small.EQUAL], SEEDS, steps=0)
    z = start.features(rows)[1, 0]
    expected = rmse(LinearRegression().fit(z, rows.rul).predict(z), rows.rul)
    row = found.query("trunk == 'untrained' and seed == 4").iloc[0]
    assert row["rmse"] == pytest.approx(expected)


def test_without_weight_no_auxiliary_task_is_felt(rows):
    found = mechanisms.auxiliary_tasks(rows, rows, SEEDS)
    alone = found[found["rul_weight"] == 1].pivot(index="seed", columns="auxiliary", values="rmse")
    for auxiliary in mechanisms.AUXILIARIES:
        np.testing.assert_allclose(alone[auxiliary], alone["health"], rtol=1e-4)
    together = found[found["rul_weight"] < 0.01].pivot_table(
        index="seed", columns="auxiliary", values="rmse"
    )
    assert (together["serial number"] != together["health"]).all()


def test_heads_are_timed_on_the_trunk_that_is_given():
    runs = []

    def features(x: torch.Tensor) -> torch.Tensor:
        runs.append(len(x))
        return x

    found = mechanisms.time_heads(features, torch.zeros(3, 8), heads=(1, 5), repeats=2)
    assert list(found["heads"]) == [1, 5]
    assert (found[["shared_seconds", "separate_seconds"]] > 0).all(axis=None)
    assert runs == [3] * (1 + 2 * (1 + 1) + 2 * (1 + 5))
