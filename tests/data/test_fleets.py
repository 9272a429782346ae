"""Tables of one's own: what is refused at the door, and what is taken."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from rulbook.data import Fleet, FleetError, Recipe, cmapss, own_fleet
from rulbook.data.checks import check_rul
from rulbook.data.cmapss import INFORMATIVE_SENSORS, SETTINGS
from rulbook.data.prepare import prepare
from rulbook.data.simulate import simulate
from rulbook.training import RunConfig

Change = Callable[[Fleet], Fleet]


def train_with(column: str, value: Any, row: int = 5) -> Change:
    def change(fleet: Fleet) -> Fleet:
        table = fleet.train.astype({column: "float64"})
        table.loc[row, column] = value
        return replace(fleet, train=table)

    return change


def test_with(column: str, value: Any) -> Change:
    def change(fleet: Fleet) -> Fleet:
        table = fleet.test.copy()
        table.loc[7, column] = value
        return replace(fleet, test=table)

    return change


test_with.__test__ = False  # type: ignore[attr-defined]


def rul_with(change: Callable[[pd.Series], pd.Series]) -> Change:
    return lambda fleet: replace(fleet, test_rul=change(fleet.test_rul))


FAULTS: dict[str, tuple[Change, str]] = {
    "NaN in a sensor": (train_with("sensor_4", np.nan), r"'sensor_4'.*is nan in row 5 \(unit 1, "),
    "infinity in a sensor": (train_with("sensor_4", -np.inf), "-inf"),
    "a sensor beyond single precision": (train_with("sensor_4", 1e300), r"1e\+300"),
    "a reading that is infinite once it is scaled": (
        lambda fleet: test_with("sensor_9", 3e38)(
            replace(fleet, train=fleet.train.assign(sensor_9=fleet.train["sensor_9"] * 1e-6))
        ),
        r"'sensor_9' of engine 1 is 3e\+38 in cycle .*too far",
    ),
    "units beyond what a float tells apart": (
        lambda fleet: replace(fleet, train=fleet.train.assign(unit=fleet.train["unit"] * 1e19)),
        r"'unit' of the training engines.*too large",
    ),
    "units beyond int64": (
        lambda fleet: replace(
            fleet, test=fleet.test.assign(unit=fleet.test["unit"].astype("uint64") + 2**63)
        ),
        r"'unit' of the test engines.*too large",
    ),
    "an RUL beyond single precision": (
        rul_with(lambda rul: rul.astype(float).where(rul.index != 2, 1e30)),
        r"engine 2.*is 1e\+30",
    ),
    "RUL as a list": (rul_with(list), "is a list and no series"),
    "RUL as a frame": (rul_with(lambda rul: rul.to_frame()), "is a DataFrame and no series"),
    "NaN in a test sensor": (test_with("sensor_9", np.nan), r"'sensor_9' of the test engines"),
    "NaN in a setting": (train_with("setting_1", np.nan), "'setting_1'"),
    "NaN cycle": (train_with("cycle", np.nan), "'cycle'.*nan"),
    "NaN unit": (train_with("unit", np.nan), "'unit'.*nan"),
    "half a cycle": (train_with("cycle", 6.5), r"'cycle'.*6\.5.*whole numbers"),
    "half a unit": (train_with("unit", 1.5), r"'unit'.*1\.5.*whole numbers"),
    "a cycle twice": (train_with("cycle", 5.0), "has cycle 5 twice"),
    "a gap": (
        lambda fleet: replace(fleet, train=fleet.train.drop(index=10)),
        "jumps from cycle 10 to 12",
    ),
    "two fleets with the same numbers": (
        lambda fleet: replace(fleet, train=pd.concat([fleet.train, fleet.train])),
        "twice",
    ),
    "a column that is missing": (
        lambda fleet: replace(fleet, train=fleet.train.drop(columns="sensor_21")),
        "no column 'sensor_21'",
    ),
    "no unit": (
        lambda fleet: replace(fleet, test=fleet.test.drop(columns="unit")),
        "test engines.*no column 'unit'",
    ),
    "a column twice": (
        lambda fleet: replace(
            fleet, train=pd.concat([fleet.train, fleet.train[["sensor_2"]]], axis=1)
        ),
        "two columns 'sensor_2'",
    ),
    "text": (
        lambda fleet: replace(fleet, train=fleet.train.assign(sensor_2="641.8")),
        "'sensor_2'.*make it numbers",
    ),
    "no rows": (lambda fleet: replace(fleet, train=fleet.train.head(0)), "at least one"),
    "one training engine": (
        lambda fleet: replace(fleet, train=fleet.train[fleet.train["unit"] == 1]),
        "at least two",
    ),
    "RUL indexed from 0": (
        rul_with(lambda rul: rul.reset_index(drop=True)),
        "Engine 32 of the test engines of 'FD001' has no RUL",
    ),
    "a test engine that is missing": (
        lambda fleet: replace(fleet, test=fleet.test[fleet.test["unit"] != 3]),
        "RUL of engine 3, but no such",
    ),
    "renumbered engines": (
        lambda fleet: replace(fleet, test=fleet.test.assign(unit=fleet.test["unit"] + 100)),
        "Engine 101.*has no RUL",
    ),
    "too few RUL": (rul_with(lambda rul: rul.head(3)), "Engine 4.*has no RUL"),
    "an RUL twice": (rul_with(lambda rul: pd.concat([rul, rul.head(1)])), "engine 1.*twice"),
    "NaN RUL": (rul_with(lambda rul: rul.where(rul.index != 2)), "engine 2.*is nan"),
    "negative RUL": (rul_with(lambda rul: rul.where(rul.index != 2, -1)), "engine 2.*is -1"),
    "infinite RUL": (rul_with(lambda rul: rul.where(rul.index != 2, np.inf)), "engine 2.*is inf"),
    "half a cycle of RUL": (rul_with(lambda rul: rul + 0.5), "whole number of 0 or more"),
    "RUL as yes and no": (rul_with(lambda rul: rul > 50), "no series of numbers"),
    "complex readings": (
        lambda fleet: replace(fleet, train=fleet.train.assign(sensor_2=1j)),
        "'sensor_2'.*make it numbers",
    ),
    "no table": (
        lambda fleet: replace(fleet, train=fleet.train.to_numpy()),
        "training engines.*ndarray: give a pandas DataFrame",
    ),
    "RUL as text": (rul_with(lambda rul: rul.astype(str)), "no series of numbers"),
    "an unseen condition": (
        test_with("setting_1", 20.0),
        r"Engine 1 flies an operating condition in cycle .*setting_1 is 20",
    ),
    "another subset's name": (lambda fleet: replace(fleet, subset="FD003"), "digest is that of"),
    "one condition under the name of six": (
        lambda fleet: own_fleet(fleet.train, fleet.test, fleet.test_rul, name="FD002"),
        "fly 1 operating conditions where FD002 has 6",
    ),
}


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return simulate("FD001")


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_one_sentence(fleet: Fleet, change: Change, message: str) -> None:
    with pytest.raises(FleetError, match=message) as fault:
        prepare(change(fleet))
    text = str(fault.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert ": " in text


def test_six_conditions_under_the_name_of_one() -> None:
    six = simulate("FD002")
    with pytest.raises(FleetError, match="fly 6 operating conditions where FD001 has 1"):
        prepare(own_fleet(six.train, six.test, six.test_rul, name="FD001"))


def test_more_conditions_than_settings(fleet: Fleet) -> None:
    still = fleet.train.assign(setting_1=0.0, setting_2=0.0)
    with pytest.raises(FleetError, match="fewer different settings than 2"):
        prepare(replace(fleet, train=still), Recipe(n_conditions=2))


def own_tables(engines: dict[int, int], columns: list[str], seed: int = 0) -> pd.DataFrame:
    """Return engines with noise in every column, by unit and number of cycles."""
    random = np.random.default_rng(seed)
    unit = np.repeat(list(engines), list(engines.values()))
    cycle = np.concatenate([np.arange(1, cycles + 1) for cycles in engines.values()])
    readings = {name: random.normal(size=len(unit)) for name in columns}
    return pd.DataFrame({"unit": unit, "cycle": cycle, **readings})


class TestOwnFleet:
    RECIPE = Recipe(
        settings=(), sensors=("pump", "valve"), window=5, stride=2, rul_cap=None,
        health_thresholds=(8, 3),
    )  # fmt: skip

    @settings(max_examples=30, deadline=None)
    @given(
        train=st.dictionaries(st.integers(-9, 999), st.integers(1, 30), min_size=2, max_size=8),
        test=st.dictionaries(st.integers(-9, 999), st.integers(1, 30), min_size=1, max_size=5),
        seed=st.integers(0, 99),
        data=st.data(),
    )
    def test_any_engines_are_taken(
        self, train: dict[int, int], test: dict[int, int], seed: int, data: st.DataObject
    ) -> None:
        lives = data.draw(
            st.lists(st.integers(0, 400), min_size=len(test), max_size=len(test)), label="RUL"
        )
        columns = ["valve", "unused", "pump"]
        fleet = own_fleet(
            own_tables(train, columns, seed).sample(frac=1.0, random_state=seed),
            own_tables(test, columns, seed + 1).sample(frac=1.0, random_state=seed),
            pd.Series(lives, index=list(test)),
        )
        prepared = prepare(fleet, self.RECIPE)
        assert (prepared.source, prepared.feature_names) == ("own", ("pump", "valve"))
        assert set(prepared.train.unit) | set(prepared.validation.unit) == set(train)
        np.testing.assert_array_equal(prepared.test.unit, sorted(test))
        at_end = dict(zip(test, lives, strict=True))
        np.testing.assert_array_equal(prepared.test.rul, [at_end[unit] for unit in sorted(test)])
        for windows in (prepared.train, prepared.validation, prepared.test_every_window):
            assert np.isfinite(windows.x).all()
            np.testing.assert_array_equal(windows.rul, windows.rul_uncapped)
            for unit in np.unique(windows.unit):
                steps = np.diff(windows.cycle[windows.unit == unit])
                assert (steps == self.RECIPE.stride).all()

    @settings(max_examples=200, deadline=None)
    @given(
        table=st.sampled_from(("train", "test", "test_rul")),
        row=st.integers(0, 11),
        column=st.sampled_from(("unit", "cycle", "pump", "valve")),
        value=st.one_of(
            st.floats(),
            st.integers(-(2**70), 2**70),
            st.none(),
            st.booleans(),
            st.text(max_size=3),
            st.datetimes(),
        ),
    )
    def test_whatever_one_cell_holds_it_is_taken_or_named(
        self, table: str, row: int, column: str, value: object
    ) -> None:
        tables: dict[str, pd.DataFrame] = {
            "train": own_tables({1: 12, 2: 9}, ["pump", "valve"]),
            "test": own_tables({1: 7, 2: 6}, ["pump", "valve"], 1),
            "test_rul": pd.DataFrame({"rul": [5, 6]}, index=[1, 2]),
        }
        changed = tables[table].astype(object)
        place = 0 if table == "test_rul" else changed.columns.get_loc(column)
        changed.iat[row % len(changed), place] = value
        tables[table] = changed.infer_objects()
        rul = tables["test_rul"]["rul"]
        told = "taken."
        try:
            prepared = prepare(own_fleet(tables["train"], tables["test"], rul), self.RECIPE)
        except FleetError as fault:
            told = str(fault)
        else:
            for windows in (prepared.train, prepared.validation, prepared.test_every_window):
                assert np.isfinite(windows.x).all()
                assert np.isfinite(windows.rul).all()
        assert "\n" not in told
        assert told.endswith(".")
        event(told if told == "taken." else "refused")

    def test_what_is_no_table_is_named(self, fleet: Fleet) -> None:
        tables: tuple[Any, ...] = (fleet.train, fleet.test, fleet.test_rul)
        for position, other, said in (
            (0, fleet.train.to_numpy(), "training engines are a ndarray"),
            (1, None, "test engines are a NoneType"),
            (2, list(fleet.test_rul), "RUL of the test engines is a list"),
            (2, fleet.test_rul.to_frame(), "RUL of the test engines is a DataFrame"),
            (0, fleet.train.assign(notes=[[]] * len(fleet.train)), "leave out columns"),
        ):
            given = list(tables)
            given[position] = other
            with pytest.raises(FleetError, match=said):
                own_fleet(*given)

    def test_the_name_of_an_index_does_not_matter(self, fleet: Fleet) -> None:
        named = fleet.train.sample(frac=1.0, random_state=0).set_index("unit", drop=False)
        found = prepare(replace(fleet, train=named)).train
        np.testing.assert_array_equal(found.x, prepare(fleet).train.x)

    def test_conditions_are_the_users(self) -> None:
        six = simulate("FD002")
        columns = {"setting_1": "altitude", "setting_2": "mach", "setting_3": "throttle"}
        fleet = own_fleet(
            six.train.rename(columns=columns), six.test.rename(columns=columns), six.test_rul
        )
        recipe = Recipe(settings=tuple(columns.values()), n_conditions=6)
        np.testing.assert_array_equal(prepare(fleet, recipe).train.x, prepare(six).train.x)

    def test_digest_is_that_of_the_tables(self, fleet: Fleet) -> None:
        tables = (fleet.train, fleet.test, fleet.test_rul)
        digest = own_fleet(*tables).digest
        assert len(digest) == 64
        assert own_fleet(*tables).digest == digest
        # As of rows that were filtered, or read from a longer file.
        shifted = (table.set_axis(table.index + 5) for table in (fleet.train, fleet.test))
        assert own_fleet(*shifted, fleet.test_rul).digest == digest
        for change in (train_with("sensor_4", 1.0), rul_with(lambda rul: rul + 1)):
            changed = change(fleet)
            other = own_fleet(changed.train, changed.test, changed.test_rul)
            assert other.digest != digest


class TestNewEngines:
    def test_the_scaler_gives_new_engines_the_same_features(self, fleet: Fleet) -> None:
        prepared = prepare(fleet)
        units, x = prepared.last_windows(fleet.test.sample(frac=1.0, random_state=0))
        np.testing.assert_array_equal(units, prepared.test.unit)
        np.testing.assert_array_equal(x, prepared.test.x)
        scaled = prepared.scaler.transform(fleet.test)
        np.testing.assert_array_equal(scaled[-1], prepared.test.x[-1, -1])
        assert prepared.scaler.feature_names == (*SETTINGS, *INFORMATIVE_SENSORS)

    def test_faults_of_new_engines_are_named(self, fleet: Fleet) -> None:
        prepared = prepare(fleet)
        with pytest.raises(FleetError, match="new engines have no column 'sensor_2'"):
            prepared.last_windows(fleet.test.drop(columns="sensor_2"))
        with pytest.raises(FleetError, match="no training engine flew"):
            prepared.scaler.transform(fleet.test.assign(setting_3=60.0))


class TestKeysOfRuns:
    """A new choice leaves the name of a run alone until it is made."""

    OLD = json.loads('{"subset": "FD002", "data_digest": "d", "weighting": "gaba", "seed": 7}')

    def test_pinned(self) -> None:
        assert RunConfig(**self.OLD).key() == (
            "ae3c999d1877329ab470bce366bf6e461d6137bb237065f9603bba311d0f4706"
        )
        with_recipe = RunConfig(**self.OLD, recipe=Recipe(window=50, split_by="window"))
        assert with_recipe.key() == (
            "cb0c9d2cbf6d2aa032aeba4e42b6ac0d31b9c8d462fd93418c452702982bb666"
        )

    @pytest.mark.parametrize(
        "choice",
        [{"stride": 2}, {"rul_cap": None}, {"n_conditions": 3}, {"sensors": ("sensor_2",)}],
    )
    def test_a_choice_that_is_made_counts(self, choice: dict[str, Any]) -> None:
        assert RunConfig(**self.OLD, recipe=Recipe(**choice)).key() != RunConfig(**self.OLD).key()

    def test_what_is_measured_in_caps_needs_one(self) -> None:
        for choice in ({"target_unit": "cap"}, {"inner_loss": "failure_weighted_mse"}):
            with pytest.raises(ValueError, match="rul_cap"):
                RunConfig(**self.OLD, recipe=Recipe(rul_cap=None), **choice)


def test_an_rul_indexed_by_dates_is_an_error_that_names_the_engine():
    """NumPy looks for a few engines one by one, and for many by sorting, which dates refuse."""
    units = np.arange(1, 101)
    dated = pd.Series(50, index=pd.date_range("2020-01-01", periods=len(units)))
    with pytest.raises(FleetError, match=r"Engine 1 of the test engines has no RUL: index it by"):
        check_rul(dated, units, "test engines")


@pytest.mark.parametrize("value", [1e12, 1.7e18, 1e30, -1.7e18, 0.1])
def test_a_column_that_never_changes_becomes_zero_whatever_its_size(fleets, value):
    """A mean of many large numbers is rounded, and what is left would be a feature."""
    simulated = fleets["FD001"]
    train, test = (
        table.assign(sensor_2=value, setting_3=value) for table in (simulated.train, simulated.test)
    )
    recipe = Recipe(n_conditions=1, settings=("setting_1", "setting_2", "setting_3"))
    prepared = prepare(own_fleet(train, test, simulated.test_rul, name="one"), recipe)
    for column in ("sensor_2", "setting_3"):
        position = recipe.feature_names.index(column)
        assert not prepared.train.cycle_features[:, position].any()
        assert not prepared.test_every_window.cycle_features[:, position].any()


def test_a_fleet_of_ones_own_keeps_what_its_digest_names(fleets):
    tables = {part: getattr(fleets["FD001"], part).copy() for part in ("train", "test")}
    fleet = own_fleet(*tables.values(), fleets["FD001"].test_rul)
    tables["train"]["sensor_2"] *= -1
    assert fleet.train["sensor_2"].equals(fleets["FD001"].train["sensor_2"])


CHANGES = {
    "some engines": lambda fleet: {"train": fleet.train[fleet.train["unit"] <= 10]},
    "half of the test engines": lambda fleet: {
        "test": fleet.test[fleet.test["unit"] <= 50],
        "test_rul": fleet.test_rul.loc[:50],
    },
    "another sensor": lambda fleet: {"train": fleet.train.assign(sensor_2=640.0)},
    "another RUL": lambda fleet: {"test_rul": fleet.test_rul + 1},
    "RUL of other engines": lambda fleet: {
        "test_rul": fleet.test_rul.set_axis(fleet.test_rul.index[::-1])
    },
    "not from the files": lambda _: {"tables_digest": None},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_real_tables_that_were_changed_are_no_longer_the_published_subset(real_data, change):
    fleet = cmapss.read("FD001", real_data)
    with pytest.raises(FleetError, match="through own_fleet"):
        prepare(replace(fleet, **change(fleet)))


def test_tables_of_ones_own_that_were_changed_in_place_need_another_name(fleets):
    fleet = own_fleet(fleets["FD001"].train, fleets["FD001"].test, fleets["FD001"].test_rul)
    prepare(fleet, Recipe(n_conditions=1))
    fleet.train["sensor_2"] += 1.0
    with pytest.raises(FleetError, match="through own_fleet"):
        prepare(fleet, Recipe(n_conditions=1))
