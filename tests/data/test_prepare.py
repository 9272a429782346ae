import pickle
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import ValidationError

from rulbook.data import SUBSETS, Fleet, Prepared, Recipe, Windows, health_state
from rulbook.data.checks import FleetError
from rulbook.data.cmapss import INFORMATIVE_SENSORS, SENSORS, SETTINGS
from rulbook.data.prepare import prepare
from rulbook.data.scaling import ConditionScaler
from rulbook.data.simulate import simulate
from rulbook.errors import UsageError

ARRAYS = ("x", "rul", "rul_uncapped", "health", "unit", "cycle")


@pytest.fixture(scope="module")
def prepared(simulated_fleet: Fleet) -> Prepared:
    return prepare(simulated_fleet)


def assert_equal(first: Windows, second: Windows) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def rewrite(table: pd.DataFrame, units: np.ndarray) -> pd.DataFrame:
    """Return the table with other readings, in other known conditions, for ``units``."""
    changed = table.copy()
    rows = changed["unit"].isin(units)
    changed.loc[rows, list(SENSORS)] = 3.0 * changed.loc[rows, list(SENSORS)] + 7.0
    changed.loc[rows, list(SETTINGS)] = changed.loc[rows, list(SETTINGS)].to_numpy()[::-1]
    return changed


class TestRecipe:
    def test_defaults_are_the_locked_protocol(self) -> None:
        assert Recipe().model_dump() == {
            "features": "settings+sensors",
            "window": 30,
            "rul_cap": 125,
            "health_thresholds": (80, 30),
            "validation_fraction": 0.15,
            "split_seed": 0,
            "split_by": "unit",
            "cap_training_rul": True,
            "stride": 1,
            "settings": SETTINGS,
            "sensors": INFORMATIVE_SENSORS,
            "n_conditions": None,
        }
        assert len(Recipe().feature_names) == 17
        assert Recipe().feature_names[:3] == SETTINGS
        assert Recipe(features="sensors").feature_names == INFORMATIVE_SENSORS
        assert len(INFORMATIVE_SENSORS) == 14

    def test_round_trip_through_json(self) -> None:
        recipe = Recipe(features="sensors", split_by="window", cap_training_rul=False)
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        assert hash(recipe) == hash(recipe.model_copy())

    @pytest.mark.parametrize(
        "bad",
        [
            {"window": 0},
            {"rul_cap": 0},
            {"features": "21"},
            {"validation_fraction": 1.0},
            {"health_thresholds": (30, 80)},
            {"health_thresholds": (126, 30)},
            {"split_by": "cycle"},
            {"windows": 30},
            {"stride": 0},
            {"n_conditions": 0},
            {"settings": (), "n_conditions": 2},
            {"sensors": ()},
            {"sensors": ("sensor_2", "sensor_2")},
            {"settings": ("sensor_2",)},
            {"sensors": ("cycle",)},
        ],
    )
    def test_impossible_choices_are_refused(self, bad: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Recipe.model_validate(bad)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"windw": 50}, "Unknown choice of a recipe 'windw'"),
            ({"split_by": "engine"}, "split_by"),
            ({"features": "sensorss"}, "features"),
            ({"window": 0}, "window"),
            ({"window": True}, "window: give a number"),
            ({"sensors": {"sensor_2"}}, "columns in an order"),
            ({"health_thresholds": (True, False)}, "health_thresholds"),
            ({"split_seed": 2**40}, "split_seed"),
        ],
        ids=str,
    )
    def test_a_change_is_checked_as_a_new_recipe_is(
        self, change: dict[str, object], says: str
    ) -> None:
        with pytest.raises(UsageError, match=says):
            Recipe().with_changes(**change)
        with pytest.raises(UsageError, match=says):
            Recipe().model_copy(update=change)

    def test_a_change_that_can_be_is_made(self) -> None:
        assert Recipe().model_copy(update={"window": 50}) == Recipe(window=50)


class TestHealthState:
    def test_boundaries(self) -> None:
        rul = [0, 30, 30.5, 31, 80, 80.5, 81, 125, 300]
        np.testing.assert_array_equal(health_state(rul), [2, 2, 1, 1, 1, 0, 0, 0, 0])
        assert health_state(rul).dtype == np.int64

    def test_nan_has_none(self) -> None:
        with pytest.raises(ValueError, match="has no health state"):
            health_state([100.0, np.nan])

    @given(npst.arrays(np.float64, st.integers(0, 30), elements=st.floats(0, 500)))
    def test_capping_changes_nothing_and_order_holds(self, rul: np.ndarray) -> None:
        np.testing.assert_array_equal(health_state(rul), health_state(np.minimum(rul, 125)))
        assert (np.diff(health_state(np.sort(rul))) <= 0).all()


class TestWindows:
    def test_types_and_shapes(self, prepared: Prepared) -> None:
        assert prepared.n_features == 17
        assert prepared.feature_names == Recipe().feature_names
        for windows in (prepared.train, prepared.validation, prepared.test):
            assert windows.x.shape == (len(windows), 30, 17)
            assert windows.x.flags.c_contiguous
            for name in ("x", "rul", "rul_uncapped"):
                assert getattr(windows, name).dtype == np.float32
            for name in ("health", "unit", "cycle"):
                assert getattr(windows, name).dtype == np.int64
            for name in ARRAYS:
                assert len(getattr(windows, name)) == len(windows)
                assert np.isfinite(getattr(windows, name)).all()

    def test_every_training_window_is_there_once(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        lengths = simulated_fleet.train.groupby("unit").size()
        assert len(prepared.train) + len(prepared.validation) == (lengths - 29).sum()
        ends = np.stack([prepared.train.unit, prepared.train.cycle], axis=1)
        assert len(np.unique(ends, axis=0)) == len(ends)
        assert prepared.train.cycle.min() == 30

    def test_neighbours_share_all_but_one_cycle(self, prepared: Prepared) -> None:
        train = prepared.train
        same = train.unit[1:] == train.unit[:-1]
        np.testing.assert_array_equal(train.x[:-1][same][:, 1:], train.x[1:][same][:, :-1])

    def test_labels_count_down_to_zero_at_failure(self, prepared: Prepared) -> None:
        for windows in (prepared.train, prepared.validation):
            failure = pd.Series(windows.cycle).groupby(windows.unit).transform("max").to_numpy()
            np.testing.assert_array_equal(windows.rul_uncapped, failure - windows.cycle)
            np.testing.assert_array_equal(windows.rul, np.minimum(windows.rul_uncapped, 125))
            np.testing.assert_array_equal(windows.health, health_state(windows.rul))
            assert windows.rul.min() == 0

    def test_last_row_is_the_labelled_cycle(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        """The last row of each window is, up to scaling, the sensor row of its cycle."""
        row = simulated_fleet.train.set_index(["unit", "cycle"])["sensor_4"]
        train = prepared.train
        raw = row.loc[list(zip(train.unit, train.cycle, strict=True))].to_numpy()
        altitude = train.x[:, -1, 0]
        scaled = train.x[:, -1, prepared.feature_names.index("sensor_4")]
        for level in np.unique(altitude.round(1)):
            rows = altitude.round(1) == level
            assert np.corrcoef(raw[rows], scaled[rows])[0, 1] > 0.9999

    def test_take(self, prepared: Prepared) -> None:
        mask = prepared.validation.health == 2
        critical = prepared.validation.take(mask)
        assert len(critical) == mask.sum()
        assert set(critical.health) == {2}


class TestTestEngines:
    def test_last_window_of_each_engine(self, simulated_fleet: Fleet, prepared: Prepared) -> None:
        last = simulated_fleet.test.groupby("unit")["cycle"].max()
        np.testing.assert_array_equal(prepared.test.unit, last.index)
        np.testing.assert_array_equal(prepared.test.cycle, last)
        np.testing.assert_array_equal(prepared.test.rul_uncapped, simulated_fleet.test_rul)
        np.testing.assert_array_equal(prepared.test.rul, np.minimum(simulated_fleet.test_rul, 125))

    def test_short_engines_repeat_their_first_cycle(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        lengths = simulated_fleet.test.groupby("unit").size()
        short = lengths[lengths < 30]
        assert len(short) > 0
        for unit, length in short.items():
            window = prepared.test.x[prepared.test.unit == unit][0]
            missing = 30 - length
            np.testing.assert_array_equal(
                window[:missing], np.repeat(window[missing][None], missing, 0)
            )
            assert len(np.unique(window, axis=0)) == length

    def test_every_window(self, simulated_fleet: Fleet, prepared: Prepared) -> None:
        everything = prepared.test_every_window
        lengths = simulated_fleet.test.groupby("unit").size()
        assert len(everything) == np.maximum(lengths - 29, 1).sum()
        last = np.flatnonzero(np.append(np.diff(everything.unit) != 0, True))
        assert_equal(everything.take(last), prepared.test)
        at_end = simulated_fleet.test_rul.loc[everything.unit].to_numpy()
        passed = lengths.loc[everything.unit].to_numpy() - everything.cycle
        np.testing.assert_array_equal(everything.rul_uncapped, at_end + passed)


class TestScaling:
    def test_training_sensors_are_standard_in_every_condition(self, simulated_fleet: Fleet) -> None:
        prepared = prepare(simulated_fleet, Recipe(window=1))
        rows = prepared.train.x[:, 0]
        altitude, throttle = rows[:, 0].round(1), rows[:, 2]
        conditions = np.unique(np.stack([altitude, throttle], axis=1), axis=0)
        assert len(conditions) == 6
        for level, lever in conditions:
            within = rows[(altitude == level) & (throttle == lever)][:, 3:]
            np.testing.assert_allclose(within.mean(axis=0), 0, atol=1e-4)
            np.testing.assert_allclose(within.std(axis=0), 1, atol=1e-4)

    def test_training_settings_are_standard_over_all_rows(self, simulated_fleet: Fleet) -> None:
        settings_scaled = prepare(simulated_fleet, Recipe(window=1)).train.x[:, 0, :3]
        np.testing.assert_allclose(settings_scaled.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(settings_scaled.std(axis=0), 1, atol=1e-4)

    def test_constant_column_becomes_zero(self) -> None:
        fleet = simulate("FD001")
        train = fleet.train.assign(sensor_2=641.0)
        prepared = prepare(replace(fleet, train=train))
        names = prepared.feature_names
        assert (prepared.train.x[:, :, names.index("setting_3")] == 0).all()
        assert (prepared.train.x[:, :, names.index("sensor_2")] == 0).all()
        assert np.isfinite(prepared.test.x).all()

    def test_sensors_only_are_the_same_sensors(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        sensors = prepare(simulated_fleet, Recipe(features="sensors"))
        assert sensors.n_features == 14
        np.testing.assert_array_equal(sensors.train.x, prepared.train.x[:, :, 3:])


class TestSplit:
    def test_no_engine_on_both_sides(self, simulated_fleet: Fleet, prepared: Prepared) -> None:
        train, held_out = set(prepared.train.unit), set(prepared.validation.unit)
        assert not train & held_out
        assert train | held_out == set(simulated_fleet.train["unit"])
        assert len(held_out) == 6

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 1000), fraction=st.floats(0.05, 0.6))
    def test_no_engine_on_both_sides_for_any_split(self, seed: int, fraction: float) -> None:
        recipe = Recipe(split_seed=seed, validation_fraction=fraction, window=60)
        prepared = prepare(simulate("FD001"), recipe)
        assert not set(prepared.train.unit) & set(prepared.validation.unit)
        assert set(prepared.train.unit) | set(prepared.validation.unit) == set(range(1, 41))

    @pytest.mark.parametrize("split_by", ["unit", "window"])
    def test_a_split_that_leaves_nothing_for_training_is_one_sentence(
        self, simulated_fleet: Fleet, split_by: Literal["unit", "window"]
    ) -> None:
        recipe = Recipe(validation_fraction=0.99999, split_by=split_by)
        with pytest.raises(FleetError, match="leaves none for training: give a smaller fraction"):
            prepare(simulated_fleet, recipe)

    def test_nothing_of_held_out_engines_reaches_training(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        train = rewrite(simulated_fleet.train, np.unique(prepared.validation.unit))
        test = rewrite(simulated_fleet.test, np.unique(prepared.test.unit))
        changed = prepare(replace(simulated_fleet, train=train, test=test))
        assert_equal(changed.train, prepared.train)
        assert not np.array_equal(changed.validation.x, prepared.validation.x)
        assert not np.array_equal(changed.test.x, prepared.test.x)

    def test_training_engines_do_reach_training(
        self, simulated_fleet: Fleet, prepared: Prepared
    ) -> None:
        """The counterpart that shows the test above can fail."""
        train = rewrite(simulated_fleet.train, np.unique(prepared.train.unit)[:1])
        changed = prepare(replace(simulated_fleet, train=train))
        others = prepared.train.unit != prepared.train.unit[0]
        assert not np.array_equal(changed.train.x[others], prepared.train.x[others])

    def test_leaky_split_lets_neighbours_cross(self, simulated_fleet: Fleet) -> None:
        leaky = prepare(simulated_fleet, Recipe(split_by="window"))
        assert set(leaky.train.unit) == set(leaky.validation.unit)
        total = len(leaky.train) + len(leaky.validation)
        assert len(leaky.validation) == pytest.approx(0.15 * total, abs=1)
        ends = {*zip(leaky.train.unit, leaky.train.cycle, strict=True)}
        assert not ends & {*zip(leaky.validation.unit, leaky.validation.cycle, strict=True)}

    def test_uncapped_targets(self, simulated_fleet: Fleet, prepared: Prepared) -> None:
        uncapped = prepare(simulated_fleet, Recipe(cap_training_rul=False))
        for name in ("train", "validation"):
            windows = getattr(uncapped, name)
            np.testing.assert_array_equal(windows.rul, windows.rul_uncapped)
            assert windows.rul.max() > 125
            np.testing.assert_array_equal(windows.health, getattr(prepared, name).health)
        assert_equal(uncapped.test, prepared.test)


def test_training_engine_shorter_than_a_window_is_padded() -> None:
    fleet = simulate("FD001")
    short = fleet.train[~((fleet.train["unit"] == 1) & (fleet.train["cycle"] > 12))]
    prepared = prepare(replace(fleet, train=short))
    windows = prepared.train if 1 in prepared.train.unit else prepared.validation
    only = windows.take(windows.unit == 1)
    assert len(only) == 1
    assert (only.cycle[0], only.rul[0]) == (12, 0)


def test_order_of_rows_does_not_matter(simulated_fleet: Fleet, prepared: Prepared) -> None:
    shuffled = replace(
        simulated_fleet,
        train=simulated_fleet.train.sample(frac=1.0, random_state=0),
        test=simulated_fleet.test.sample(frac=1.0, random_state=0),
    )
    again = prepare(shuffled)
    assert_equal(again.train, prepared.train)
    assert_equal(again.test, prepared.test)


def test_fleet_is_left_as_it_was(simulated_fleet: Fleet) -> None:
    before = simulated_fleet.train.copy(), simulated_fleet.test.copy()
    prepare(simulated_fleet)
    pd.testing.assert_frame_equal(simulated_fleet.train, before[0])
    pd.testing.assert_frame_equal(simulated_fleet.test, before[1])


def test_deterministic_and_carries_its_provenance(
    simulated_fleet: Fleet, prepared: Prepared
) -> None:
    assert_equal(prepare(simulated_fleet).train, prepared.train)
    assert (prepared.subset, prepared.source) == ("FD002", "simulated")
    assert prepared.digest == simulated_fleet.digest
    assert prepared.recipe == Recipe()


def test_travels_to_worker_processes(prepared: Prepared) -> None:
    copy = pickle.loads(pickle.dumps(prepared))
    assert_equal(copy.train, prepared.train)
    assert_equal(copy.test_every_window, prepared.test_every_window)


@pytest.mark.parametrize("subset", SUBSETS)
def test_health_states_all_occur(subset: str) -> None:
    prepared = prepare(simulate(subset))
    for windows in (prepared.train, prepared.validation, prepared.test):
        assert set(windows.health) == {0, 1, 2}


def test_unknown_subset(simulated_fleet: Fleet) -> None:
    with pytest.raises(UsageError, match=r"FD009.*n_conditions"):
        prepare(replace(simulated_fleet, subset="FD009"))


def test_what_is_no_fleet_or_no_recipe_is_refused():
    fleet = simulate("FD001")
    for no_fleet in ((fleet.train, fleet.test, fleet.test_rul), None):
        with pytest.raises(UsageError, match="prepare takes a Fleet, not a"):
            prepare(no_fleet)
    with pytest.raises(UsageError, match="prepare takes a Recipe, not a dict"):
        prepare(fleet, {"window": 30})


@pytest.mark.parametrize("unit_of_altitude", [1.0, 1e-3, 1e3])
def test_operating_conditions_do_not_hang_on_the_unit_of_a_setting(unit_of_altitude):
    """In feet the noise of the altitude is larger than all there is of the Mach number."""
    draws = np.random.default_rng(0)
    condition = draws.integers(0, 3, 5000)
    flown = np.array([[0.0, 0.2], [0.0, 0.8], [30000.0, 0.5]])[condition]
    flown += draws.normal(0, [50.0, 0.002], flown.shape)
    engines = pd.DataFrame({"unit": 1, "cycle": np.arange(1, len(flown) + 1)})
    engines["altitude"], engines["mach"] = flown[:, 0] * unit_of_altitude, flown[:, 1]
    engines["constant"] = 0.7  # its standard deviation is not zero but rounding
    engines["sensor"] = 100.0 * condition + draws.normal(0, 1, len(flown))
    settings_flown = ["altitude", "mach", "constant"]
    scaler = ConditionScaler.fit(engines, settings_flown, ["sensor"], conditions=3)
    assert scaler.sensor_scale.max() < 1.2
    scaled = scaler.transform(engines)[:, -1]
    for number in range(3):
        assert abs(scaled[condition == number].mean()) < 1e-4
        assert scaled[condition == number].std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(
        np.sort(scaler.centres[:, 0]) / unit_of_altitude, [0, 0, 30000], atol=20
    )


def test_thresholds_that_ascend_are_refused():
    with pytest.raises(ValueError, match="must descend"):
        health_state([20, 50, 100], (30, 80))
