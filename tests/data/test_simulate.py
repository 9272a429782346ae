import hashlib

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from rulbook.data import COLUMNS, SUBSETS, Fleet
from rulbook.data.cmapss import FACTS, INFORMATIVE_SENSORS, SENSORS
from rulbook.data.prepare import prepare
from rulbook.data.simulate import SHORT_TEST_ENGINES, VERSION, digest, simulate
from rulbook.errors import UsageError
from rulbook.metrics import rmse

SIX_CONDITIONS = {name for name, facts in FACTS.items() if facts.operating_conditions == 6}


@pytest.fixture(scope="module", params=SUBSETS)
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return simulate(request.param)


def test_same_schema_as_the_real_files(fleet: Fleet) -> None:
    for table in (fleet.train, fleet.test):
        assert tuple(table.columns) == COLUMNS
        assert list(table.dtypes.astype(str)) == ["int64"] * 2 + ["float64"] * 24
        assert np.isfinite(table.to_numpy()).all()
        assert list(table["unit"].unique()) == list(range(1, table["unit"].max() + 1))
        for _, engine in table.groupby("unit"):
            assert list(engine["cycle"]) == list(range(1, len(engine) + 1))
    assert list(fleet.test_rul.index) == list(fleet.test["unit"].unique())
    assert (fleet.test_rul > 0).all()


def test_deterministic_by_seed(fleet: Fleet) -> None:
    again = simulate(fleet.subset)
    pd.testing.assert_frame_equal(fleet.train, again.train)
    pd.testing.assert_frame_equal(fleet.test, again.test)
    pd.testing.assert_series_equal(fleet.test_rul, again.test_rul)
    other = simulate(fleet.subset, seed=1)
    assert other.digest != fleet.digest
    assert not other.train.equals(fleet.train)


def test_digests_differ_by_subset_and_seed() -> None:
    assert len({digest(subset, seed) for subset in SUBSETS for seed in range(3)}) == 12


def test_numbers_do_not_move_without_a_new_version() -> None:
    """Rounded, so that the last digit of another machine's exponential does not matter."""
    fleet = simulate("FD004")
    content = np.round(fleet.train.to_numpy(), 1).tobytes() + fleet.test_rul.to_numpy().tobytes()
    assert (VERSION, hashlib.sha256(content).hexdigest()[:16]) == (1, "6f3d8a9d59d95174")


def test_operating_conditions(fleet: Fleet) -> None:
    settings = fleet.train[["setting_1", "setting_2", "setting_3"]].round({"setting_1": 0})
    flown = settings[["setting_1", "setting_3"]].abs().drop_duplicates()
    assert len(flown) == (6 if fleet.subset in SIX_CONDITIONS else 1)


@pytest.mark.parametrize("subset", sorted(SIX_CONDITIONS))
def test_conditions_drown_the_damage(subset: str) -> None:
    """Where there are six conditions, most of a sensor's variance lies between them."""
    fleet = simulate(subset)
    condition = fleet.train["setting_1"].round()
    for sensor in INFORMATIVE_SENSORS:
        within = fleet.train.groupby(condition)[sensor].transform("mean") - fleet.train[sensor]
        assert within.var() < 0.1 * fleet.train[sensor].var()


def test_uninformative_sensors_never_change_within_a_condition(fleet: Fleet) -> None:
    condition = fleet.train["setting_1"].round()
    for sensor in set(SENSORS) - set(INFORMATIVE_SENSORS):
        level = fleet.train[sensor]
        spread = level.groupby(condition).std().max() / level.mean()
        assert spread < 1e-3


def test_few_test_engines_are_shorter_than_a_window(fleet: Fleet) -> None:
    assert (fleet.test.groupby("unit").size() < 30).sum() == SHORT_TEST_ENGINES


def test_two_fault_modes_pull_some_sensors_apart() -> None:
    """With one mode all engines end on the same side of their start; with two they disagree."""

    def agreement(subset: str) -> float:
        train = simulate(subset).train
        sensors = train[list(INFORMATIVE_SENSORS)]
        condition = train["setting_1"].round()
        by_condition = sensors.groupby(condition)
        scaled = (sensors - by_condition.transform("mean")) / by_condition.transform("std")
        engines = scaled.groupby(train["unit"])
        drift = engines.apply(lambda engine: engine.tail(10).mean() - engine.head(20).mean())
        return float(np.sign(drift).mean().abs().min())

    assert agreement("FD001") > 0.8
    assert agreement("FD002") > 0.8
    assert agreement("FD003") < 0.5
    assert agreement("FD004") < 0.5


def test_learnable(fleet: Fleet) -> None:
    """A small regressor on window statistics halves the error of the best constant."""
    prepared = prepare(fleet)

    def summarise(x: np.ndarray) -> np.ndarray:
        return np.hstack(
            [x[:, -10:].mean(axis=1), x[:, -10:].mean(axis=1) - x[:, :10].mean(axis=1)]
        )

    regressor = HistGradientBoostingRegressor(max_iter=60, random_state=0)
    regressor.fit(summarise(prepared.train.x), prepared.train.rul)
    constant = np.full(len(prepared.test), prepared.train.rul.mean())
    found = rmse(regressor.predict(summarise(prepared.test.x)), prepared.test.rul)
    assert found < 0.6 * rmse(constant, prepared.test.rul)


def test_unknown_subset() -> None:
    with pytest.raises(UsageError, match="FD005"):
        simulate("FD005")
