"""The experiments of §4.1: what must be equal is equal, and the tables hold what was trained."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from rulbook.data import Windows
from rulbook.data.simulate import simulate
from rulbook.experiments import ensemble, mechanisms
from rulbook.metrics import rmse
from rulbook.statistics import compare_over_seeds, holm

SEEDS = (0, 4)


def train_briefly(*args: object, steps: int = 40, **named: object) -> ensemble.Networks:
    return ensemble.train_networks(*args, steps=min(steps, 40), **named)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "train_networks", train_briefly)


@pytest.fixture(scope="module")
def rows() -> Windows:
    every = ensemble.single_cycles(simulate("FD001")).train
    return every.take(np.arange(0, len(every), 5))


def test_label_efficiency_compares_trainings_of_the_same_rows(rows):
    found = mechanisms.label_efficiency(rows, rows, engines=(2, 3), seeds=SEEDS)
    assert len(found) == 2 * 2 * len(mechanisms.LABELLINGS)
    np.testing.assert_allclose(found["gap"], found["test_rmse"] - found["train_rmse"])

    alone = train_briefly(rows, [ensemble.RUL_ONLY], [4], engines=[3])
    drawn = np.isin(rows.unit, ensemble.drawn_engines(rows, 4, 3))
    predicted = alone.predict(rows)[0][0, 0]
    row = found.query("engines == 3 and seed == 4 and training == 'single task'").iloc[0]
    assert row["test_rmse"] == pytest.approx(rmse(predicted, rows.rul), rel=1e-3)
    assert row["train_rmse"] == pytest.approx(rmse(predicted[drawn], rows.rul[drawn]), rel=1e-3)


def test_an_untrained_trunk_is_the_start_of_the_others(rows):
    found = mechanisms.representation_transfer(rows, rows, SEEDS)
    assert set(found["trunk"]) == set(mechanisms.TRUNKS)
    start = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], SEEDS, steps=0)
    z = start.features(rows)[1, 0]
    expected = rmse(LinearRegression().fit(z, rows.rul).predict(z), rows.rul)
    row = found.query("trunk == 'untrained' and seed == 4").iloc[0]
    assert row["rmse"] == pytest.approx(expected)


def test_the_trunk_of_serial_numbers_was_trained_on_them(rows):
    found = mechanisms.representation_transfer(rows, rows, SEEDS)
    labels = mechanisms.serial_numbers(rows)
    assert len(np.unique(labels)) == len(np.unique(rows.unit)) == labels.max() + 1
    trained = train_briefly(rows, [mechanisms.HEALTH_ONLY], SEEDS, labels=labels)
    expected = mechanisms.new_rul_head_rmse(trained, rows, rows)
    of_serial = found.query("trunk == 'serial number only'")["rmse"]
    assert of_serial.mean() == pytest.approx(expected, rel=1e-3)


def test_without_weight_no_auxiliary_task_is_felt(rows):
    found = mechanisms.auxiliary_tasks(rows, rows, SEEDS)
    alone = found[found["rul_weight"] == 1].pivot(index="seed", columns="auxiliary", values="rmse")
    for auxiliary in mechanisms.AUXILIARIES:
        np.testing.assert_allclose(alone[auxiliary], alone["health"], rtol=1e-4)
    together = found[found["rul_weight"] < 0.01].pivot_table(
        index="seed", columns="auxiliary", values="rmse"
    )
    assert (together["serial number"] != together["health"]).all()


def test_differences_are_paired_by_seed_and_corrected_over_all_rows():
    frame = pd.DataFrame(
        [
            {"size": size, "way": way, "seed": seed, "error": 10 * seed + offset * (1 + seed / 10)}
            for size, offsets in ((2, {"a": 0.0, "b": -1.0, "c": 3.0}), (4, {"a": 0.0, "b": 2.0}))
            for way, offset in offsets.items()
            for seed in range(4)
        ]
    )
    found = mechanisms.paired_differences(
        frame.sample(frac=1, random_state=0), "error", variant="way", reference="a", within="size"
    ).set_index(["size", "way"])
    assert set(found.index) == {(2, "b"), (2, "c"), (4, "b")}
    mean = 1 + np.mean(range(4)) / 10
    assert found["difference"].to_dict() == pytest.approx(
        {(2, "b"): -mean, (2, "c"): 3 * mean, (4, "b"): 2 * mean}
    )
    expected = compare_over_seeds(
        frame.query("size == 2 and way == 'c'")["error"],
        frame.query("size == 2 and way == 'a'")["error"],
    )
    assert found.loc[(2, "c"), "low"] == pytest.approx(expected.low)
    np.testing.assert_allclose(found["p_holm"], holm(found["p_value"]))
    alone = mechanisms.paired_differences(
        frame.query("size == 4"), "error", variant="way", reference="a"
    )
    assert alone["difference"].item() == pytest.approx(2 * mean)
    assert "size" not in alone


def test_heads_are_timed_on_the_trunk_that_is_given(monkeypatch):
    runs = []

    def features(x: torch.Tensor) -> torch.Tensor:
        runs.append(len(x))
        return x

    monkeypatch.setattr(mechanisms, "_seconds", lambda work, n: (work(n), float(n))[1])
    found = mechanisms.time_heads(features, torch.zeros(3, 8), heads=(1, 5))
    assert found.to_dict("list") == {
        "heads": [1, 5],
        "shared_seconds": [1.0, 5.0],
        "separate_seconds": [1.0, 5.0],
    }
    assert runs == [3] * (1 + (1 + 1) + (1 + 5))


def test_seconds_are_those_of_one_call():
    calls = []
    found = mechanisms._seconds(calls.append, 7, at_least=0.02)
    assert set(calls) == {7}
    assert 0.02 <= found * len(calls) < 1.0


def compared(*rows: tuple[float, float], half_width: float = 0.2) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["difference", "p_holm"])
    return found.assign(low=found["difference"] - half_width, high=found["difference"] + half_width)


def test_help_and_harm_need_a_corrected_p_value_and_the_right_sign():
    lower, higher, tie = (-1.0, 0.01), (1.0, 0.01), (-1.0, 0.2)
    assert mechanisms.helps(compared(tie, lower))
    assert not mechanisms.helps(compared(tie, higher))
    assert mechanisms.hurts_or_not(compared(tie, higher)) is True
    assert mechanisms.hurts_or_not(compared(tie, lower)) is False
    assert mechanisms.hurts_or_not(compared((1.0, 0.2))) is None


def test_less_than_the_margin_is_no_help_however_certain():
    certain = compared((-0.24, 1e-6), (0.1, 0.4), half_width=0.05)
    assert not mechanisms.helps(certain)
    assert mechanisms.is_no_help(certain)
    assert mechanisms.helps_or_not(certain) is False
    vague = compared((-0.24, 0.2), half_width=0.6)
    assert not mechanisms.helps(vague)
    assert not mechanisms.is_no_help(vague)
    assert mechanisms.helps_or_not(vague) is None
    assert mechanisms.helps_or_not(compared((-1.0, 0.01))) is True


def test_a_longer_training_ends_elsewhere(rows):
    short, longer = (
        mechanisms.auxiliary_tasks(rows, rows, SEEDS, auxiliaries=["health"], steps=steps)
        for steps in (20, 40)
    )
    assert set(longer["auxiliary"]) == {"health"}
    assert (longer["rmse"] != short["rmse"]).all()
    few = mechanisms.label_efficiency(rows, rows, engines=(2,), seeds=SEEDS, steps=40)
    again = mechanisms.label_efficiency(rows, rows, engines=(2,), seeds=SEEDS, steps=20)
    assert (few["test_rmse"] != again["test_rmse"]).all()


def test_the_share_of_the_gain_is_that_of_the_means():
    heads = pd.DataFrame(
        {
            "trunk": ["untrained", "health only", "RUL only"] * 2,
            "rmse": [20.0, 17.0, 16.0, 22.0, 19.0, 18.0],
        }
    )
    assert mechanisms.share_of_the_gain(heads) == pytest.approx(75.0)


def test_shuffling_is_judged_seed_by_seed_below_weight_one():
    rows = [
        (1.0, 0, 10.0, 90.0),
        (1.0, 1, 10.0, 90.0),
        (0.5, 0, 10.0, 11.0),
        (0.5, 1, 10.0, 9.0),
        (0.05, 0, 10.0, 12.0),
        (0.05, 1, 10.0, 11.0),
    ]
    auxiliary = pd.DataFrame(
        [
            {"rul_weight": weight, "seed": seed, "auxiliary": name, "rmse": error}
            for weight, seed, *errors in rows
            for name, error in zip(("health", "shuffled"), errors, strict=True)
        ]
    )
    effects = mechanisms.shuffling_effects(auxiliary)
    assert {weight: one.difference for weight, one in effects.items()} == pytest.approx(
        {0.5: 0.0, 0.05: -1.5}
    )
    assert effects[0.05].low < -1.5 < effects[0.05].high


def test_multiples_are_of_one_head_and_of_one_trunk():
    timed = pd.DataFrame(
        {"heads": [1, 10], "shared_seconds": [2.0, 4.0], "separate_seconds": [2.0, 20.0]}
    )
    multiples = mechanisms.as_multiples({"a": timed, "b": timed})
    assert multiples["trunk"].tolist() == ["a", "a", "b", "b"]
    assert multiples["one trunk, against one head"].tolist() == [1, 2] * 2
    assert multiples["separate, against one trunk"].tolist() == [1, 5] * 2


def test_new_heads_on_untrained_trunks_err_as_in_the_experiment(rows):
    start = ensemble.train_networks(rows, [(0.0, 1.0)], SEEDS, steps=0)
    found = mechanisms.representation_transfer(rows, rows, SEEDS)
    expected = found.query("trunk == 'untrained'")["rmse"].mean()
    assert mechanisms.new_rul_head_rmse(start, rows, rows) == pytest.approx(expected, rel=1e-4)


def test_few_engines_are_summed_up_from_the_rows_that_are_named():
    differences = pd.DataFrame(
        {
            "engines": [8, 8, 16, 2],
            "training": ["balanced", mechanisms.LABELLINGS[3], "equal", "equal"],
            "difference": [5.0, 0.1, -0.3, 0.2],
            "low": [4.0, -9.0, -0.7, -1.5],
            "p_holm": [0.4, 0.3, 0.9, 0.5],
        }
    )
    gaps = differences.assign(low=[-0.6, -8.0, 0.0, -9.0], p_holm=[0.2, 0.5, 1.0, 1.0])
    trainings = pd.DataFrame(
        {
            "engines": [2, 2, 16, 16],
            "training": ["single task", "single task", "single task", "equal"],
            "gap": [3.0, 5.0, 1.0, 70.0],
        }
    )
    assert mechanisms.few_engines_summary(trainings, differences, gaps) == pytest.approx(
        {
            "excluded": 0.7,
            "gap-excluded": 0.6,
            "excluded-two": 1.5,
            "comparisons": 4,
            "closest": 0.2,
            "largest-equal": 0.3,
            "gap-two": 4.0,
            "gap-sixteen": 1.0,
        }
    )


def test_a_gain_is_the_largest_fall_with_its_interval_turned_round():
    serial = pd.DataFrame(
        {"difference": [0.1, -0.4, 2.0], "low": [0.0, -0.6, 1.0], "high": [0.2, -0.1, 3.0]},
        index=[0.5, 0.05, 0.0005],
    )
    assert mechanisms.serial_number_summary(serial) == pytest.approx(
        {
            "negative-transfer": 2.0,
            "negative-transfer-weight": 0.0005,
            "serial-gain": 0.4,
            "serial-gain-low": 0.1,
            "serial-gain-high": 0.6,
            "serial-best-weight": 0.05,
        }
    )
