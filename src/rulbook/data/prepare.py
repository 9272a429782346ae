"""Turn a fleet into the scaled, labelled windows that every experiment trains on.

The defaults of ``Recipe`` are the project's locked protocol; every deviation is a named study. No
number that comes from a validation or test engine enters the training windows.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from rulbook.checked import Choices, RealNumber, WholeNumber
from rulbook.data.checks import FleetError, check_cycles, check_rows, check_rul
from rulbook.data.cmapss import (
    FACTS,
    INFORMATIVE_SENSORS,
    SETTINGS,
    SUBSETS,
    Fleet,
    Source,
)
from rulbook.data.cmapss import digest as published_digest
from rulbook.data.identity import tables_digest
from rulbook.data.scaling import ConditionScaler
from rulbook.data.simulate import digest as simulated_digest
from rulbook.errors import UsageError, unknown_name
from rulbook.options import LARGEST_RANDOM_STATE
from rulbook.typing import Integers

SingleFloats = npt.NDArray[np.float32]

HEALTH_STATES = ("normal", "degrading", "critical")
"""Names of the health classes 0, 1 and 2."""

RUL_CAP = 125
HEALTH_THRESHOLDS = (80, 30)


def _in_order(columns: object) -> object:
    if isinstance(columns, set | frozenset):
        raise ValueError(
            "give the columns in an order, as a tuple: that of a set differs from process to "
            "process"
        )
    return tuple(columns) if isinstance(columns, list) else columns  # JSON has no tuples


Columns = Annotated[tuple[str, ...], BeforeValidator(_in_order)]
"""Names of columns; their order is that of the features."""


class Recipe(Choices):
    """Choices that turn a fleet into windows; the defaults are the locked protocol.

    Attributes:
        features: ``"settings+sensors"`` (3 settings and 14 sensors, 17 in all) or ``"sensors"``
            (the 14).
        window: cycles in a window.
        rul_cap: highest RUL, in cycles, that a capped target takes; none for no cap.
        health_thresholds: an engine is normal above the first RUL (cycles) and critical at or
            below the second.
        validation_fraction: share of the training engines held out for validation.
        split_seed: seed of that split; the seeds of a study leave it alone.
        split_by: ``"unit"`` keeps all windows of an engine on one side. ``"window"`` draws windows
            at random, which lets neighbouring windows of one engine fall on both sides: the leaky
            split that one study measures.
        cap_training_rul: whether ``rul`` of the training and validation windows is capped. Test
            windows carry the capped and the uncapped RUL either way.
        stride: cycles from one window of an engine to the next, counted from its last cycle, so
            that the last window is always there.
        settings: names of the columns that tell the operating condition.
        sensors: names of the sensor columns.
        n_conditions: number of operating conditions; those of the subset where there is none.
    """

    _noun: ClassVar[str] = "recipe"

    features: Literal["settings+sensors", "sensors"] = "settings+sensors"
    window: WholeNumber = Field(default=30, ge=1)
    rul_cap: WholeNumber | None = Field(default=RUL_CAP, ge=1)
    health_thresholds: tuple[WholeNumber, WholeNumber] = HEALTH_THRESHOLDS
    validation_fraction: RealNumber = Field(default=0.15, gt=0, lt=1)
    split_seed: WholeNumber = Field(default=0, ge=0, le=LARGEST_RANDOM_STATE)
    split_by: Literal["unit", "window"] = "unit"
    cap_training_rul: bool = True
    stride: WholeNumber = Field(default=1, ge=1)
    settings: Columns = SETTINGS
    sensors: Columns = Field(default=INFORMATIVE_SENSORS, min_length=1)
    n_conditions: WholeNumber | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _thresholds_descend(self) -> Self:
        normal_above, critical_up_to = self.health_thresholds
        if not normal_above > critical_up_to >= 0:
            raise ValueError("health_thresholds must descend to at least 0")
        if self.rul_cap is not None and self.rul_cap < normal_above:
            raise ValueError("health_thresholds must descend from at most rul_cap")
        return self

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        columns = ("unit", "cycle", *self.settings, *self.sensors)
        if len(set(columns)) < len(columns):
            raise ValueError("settings and sensors must differ, and be neither unit nor cycle")
        if not self.settings and (self.n_conditions or 1) > 1:
            raise ValueError("n_conditions needs settings that tell the conditions apart")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the last axis of a window."""
        if self.features == "sensors":
            return self.sensors
        return (*self.settings, *self.sensors)


@dataclass(frozen=True)
class Windows:
    """Labelled windows; entry i of every array of shape (windows,) belongs to window i.

    The features of a cycle are kept once, whatever the number of windows that it is in.

    Attributes:
        cycle_features: scaled features of every cycle, float32, shape (rows, features), engine by
            engine, oldest cycle first. Windows that were cut together share them.
        first_row: row of ``cycle_features`` at which a window begins, int64, shape (windows,).
        length: cycles in a window.
        rul: target RUL at the last cycle, in cycles, float32, shape (windows,), capped unless the
            recipe says otherwise.
        rul_uncapped: RUL at the last cycle, in cycles, float32, shape (windows,).
        health: health class at the last cycle, int64, shape (windows,): 0 normal, 1 degrading,
            2 critical.
        unit: engine number, int64, shape (windows,).
        cycle: number of the last cycle, int64, shape (windows,).
    """

    cycle_features: SingleFloats
    first_row: Integers
    length: int
    rul: SingleFloats
    rul_uncapped: SingleFloats
    health: Integers
    unit: Integers
    cycle: Integers

    def __len__(self) -> int:
        return len(self.first_row)

    @property
    def x(self) -> SingleFloats:
        """All windows, float32, shape (windows, cycles, features), gathered anew at each call."""
        return self.gather(slice(None))

    def gather(self, index: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> SingleFloats:
        """Return the features of the windows that ``index`` picks, in its order.

        Args:
            index: positions, a mask or a slice of the windows.

        Returns:
            A copy, float32, shape (picked windows, cycles, features), oldest cycle first.
        """
        features = self.cycle_features.shape[1]
        # The rows of a window lie side by side, so a window is one row of an overlapping view.
        flat = np.ascontiguousarray(self.cycle_features).reshape(-1)
        views = np.lib.stride_tricks.sliding_window_view(flat, self.length * features)
        picked: SingleFloats = views[self.first_row[index] * features]
        return picked.reshape(-1, self.length, features)

    def take(self, index: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Windows":
        """Return the windows that ``index`` (positions, mask or slice) picks, in its order."""
        return Windows(
            cycle_features=self.cycle_features,
            first_row=self.first_row[index],
            length=self.length,
            rul=self.rul[index],
            rul_uncapped=self.rul_uncapped[index],
            health=self.health[index],
            unit=self.unit[index],
            cycle=self.cycle[index],
        )


@dataclass(frozen=True)
class Prepared:
    """One subset, ready to train on.

    Attributes:
        subset: name of the fleet.
        source: where its data are from.
        digest: SHA-256 of the data, from the fleet.
        recipe: the choices that made it.
        train: windows to train on.
        validation: windows of the held-out engines, for selection.
        test: the last window of every test engine, ordered by unit.
        test_every_window: all windows of the test engines.
        scaler: fitted on the training engines; scales engines that the fleet does not hold.
    """

    subset: str
    source: Source
    digest: str
    recipe: Recipe
    train: Windows
    validation: Windows
    test: Windows
    test_every_window: Windows
    scaler: ConditionScaler

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the last axis of ``x``."""
        return self.recipe.feature_names

    @property
    def n_features(self) -> int:
        """Number of features, the length of the last axis of ``x``."""
        return len(self.feature_names)

    def last_windows(self, engines: pd.DataFrame) -> tuple[Integers, SingleFloats]:
        """Return what a network needs to predict the RUL of engines that the fleet does not hold.

        Args:
            engines: one row a cycle, with the columns of the recipe, in any order.

        Returns:
            The numbers of the engines, ascending, int64, shape (engines,), and the last window of
            each, float32, shape (engines, cycles, features).

        Raises:
            FleetError: the table is not what ``prepare`` takes, or an engine flies an operating
                condition that no training engine flew.
        """
        rows = _checked(engines, self.recipe, "new engines")
        features = _select(self.scaler.transform_checked(rows), self.recipe)
        last = _last_of_each(_cut(rows, features, self.recipe, capped=False))
        return last.unit, last.x


def health_state(
    rul: npt.ArrayLike, thresholds: tuple[float, float] = HEALTH_THRESHOLDS
) -> Integers:
    """Return the health class of each RUL.

    Args:
        rul: RUL in cycles, any shape; capping it first changes nothing.
        thresholds: normal above the first, critical at or below the second, degrading between.

    Returns:
        Classes, int64, same shape: 0 normal, 1 degrading, 2 critical.

    Raises:
        ValueError: an RUL is NaN, which is above and below nothing, or the thresholds do not
            descend.
    """
    normal_above, critical_up_to = thresholds
    if not normal_above > critical_up_to:
        raise ValueError(f"the thresholds must descend, not be {thresholds}")
    cycles = np.asarray(rul, dtype=np.float64)
    if np.isnan(cycles).any():
        raise ValueError("an RUL that is NaN has no health state: leave it out")
    return (cycles <= normal_above).astype(np.int64) + (cycles <= critical_up_to)


def prepare(fleet: Fleet, recipe: Recipe | None = None) -> Prepared:
    """Check, split, scale, window and label a fleet.

    Operating conditions are the clusters of the settings (k-means, fitted on training engines);
    sensors are z-scored within each condition and settings over all rows, with the statistics of
    the training engines alone. A column that never changes becomes 0. An engine shorter than a
    window is padded in front by repeating its first cycle.

    Args:
        fleet: what ``load`` returns, or a ``Fleet`` of one's own (``own_fleet``) with the columns
            that the recipe names.
        recipe: the choices; the locked protocol if left out.

    Raises:
        UsageError: neither the subset nor the recipe says how many operating conditions there are.
        FleetError: a table is not what it should be: a column or an RUL is missing, a value is not
            a finite number, a cycle is missing or there twice, a test or validation engine flies
            a condition that no training engine flew, or the tables are those of another subset, or
            were changed since they were read or given.
    """
    if not isinstance(fleet, Fleet):
        raise UsageError(
            f"prepare takes a Fleet, not a {type(fleet).__name__}: give what load or own_fleet "
            "returns."
        )
    if not isinstance(recipe, Recipe | None):
        raise UsageError(
            f"prepare takes a Recipe, not a {type(recipe).__name__}: Recipe(window=…)."
        )
    recipe = recipe or Recipe()
    n_conditions = operating_conditions(fleet.subset, recipe)
    _check_name(fleet)
    run_to_failure = _checked(fleet.train, recipe, f"training engines of '{fleet.subset}'")
    tested_name = f"test engines of '{fleet.subset}'"
    tested = _checked(fleet.test, recipe, tested_name)
    check_rul(fleet.test_rul, tested["unit"].unique(), tested_name)
    _check_unchanged(fleet)
    if recipe.n_conditions is None:
        _check_conditions(run_to_failure, fleet.subset, n_conditions, recipe)

    is_held_out = run_to_failure["unit"].isin(_validation_units(run_to_failure, recipe))
    scaler = ConditionScaler.fit(
        run_to_failure[~is_held_out] if is_held_out.any() else run_to_failure,
        recipe.settings,
        recipe.sensors,
        n_conditions,
    )
    features = _select(scaler.transform_checked(run_to_failure), recipe)
    windows = _cut(run_to_failure, features, recipe, capped=recipe.cap_training_rul)
    if recipe.split_by == "unit":
        drawn = np.isin(windows.unit, run_to_failure["unit"][is_held_out].unique())
        train, validation = windows.take(~drawn), windows.take(drawn)
    else:
        parts = _split(np.arange(len(windows)), recipe)
        train, validation = (windows.take(np.sort(part)) for part in parts)

    every = _cut(
        tested,
        _select(scaler.transform_checked(tested), recipe),
        recipe,
        capped=True,
        rul_at_end=fleet.test_rul,
    )
    return Prepared(
        subset=fleet.subset,
        source=fleet.source,
        digest=fleet.digest,
        recipe=recipe,
        train=train,
        validation=validation,
        test=_last_of_each(every),
        test_every_window=every,
        scaler=scaler,
    )


def operating_conditions(subset: str, recipe: Recipe) -> int:
    """Return the number of operating conditions that the recipe gives, or the subset is known by.

    Raises:
        UsageError: the recipe gives none and the subset is not one of ``cmapss.SUBSETS``.
    """
    if recipe.n_conditions is not None:
        return recipe.n_conditions
    if not recipe.settings:
        return 1
    if subset not in FACTS:
        raise UsageError(
            f"{unknown_name('subset', subset, SUBSETS)} For a fleet of your own, let the recipe "
            f"say how many operating conditions it flies (n_conditions)."
        )
    return FACTS[subset].operating_conditions


def _check_name(fleet: Fleet) -> None:
    """Raise ``FleetError`` if the digest says that the fleet is another than its name."""
    for subset in SUBSETS:
        if subset != fleet.subset and fleet.digest in {
            published_digest(subset),
            simulated_digest(subset),
        }:
            raise FleetError(
                f"The fleet is called '{fleet.subset}', but its digest is that of {subset}: "
                f"load '{fleet.subset}', or give tables of your own through own_fleet."
            )


def _check_unchanged(fleet: Fleet) -> None:
    """Raise ``FleetError`` if the tables are no longer those that the digest stands for."""
    is_published = fleet.digest in map(published_digest, SUBSETS)
    if fleet.tables_digest is None and not is_published:
        return
    if tables_digest(fleet.train, fleet.test, fleet.test_rul) != fleet.tables_digest:
        raise FleetError(
            f"The tables of '{fleet.subset}' are not those that its digest stands for: give "
            "changed tables through own_fleet, under a name of their own."
        )


def _check_conditions(
    engines: pd.DataFrame, subset: str, n_conditions: int, recipe: Recipe
) -> None:
    """Raise ``FleetError`` unless C-MAPSS engines fly the operating conditions of their subset.

    Altitude in thousands of feet and throttle angle in degrees, rounded, tell the six apart.
    """
    if recipe.settings != SETTINGS:
        return
    altitude, throttle = (engines[name].to_numpy().round() for name in (SETTINGS[0], SETTINGS[2]))
    flown = len(pd.unique(altitude * 1000.0 + throttle))
    if flown != n_conditions:
        raise FleetError(
            f"The training engines of '{subset}' fly {flown} operating conditions where {subset} "
            f"has {n_conditions}: give the tables of {subset}, or let the recipe say how many "
            f"conditions these fly (n_conditions)."
        )


def _checked(engines: pd.DataFrame, recipe: Recipe, what: str) -> pd.DataFrame:
    """Return the columns of the recipe, sorted by unit and cycle, unit and cycle int64."""
    columns = [*recipe.settings, *recipe.sensors]
    check_rows(engines, columns, what)
    engines = engines[["unit", "cycle", *columns]]
    unit, cycle = engines["unit"].to_numpy(), engines["cycle"].to_numpy()
    ascending = (unit[1:] > unit[:-1]) | ((unit[1:] == unit[:-1]) & (cycle[1:] > cycle[:-1]))
    if not ascending.all():
        # An index that has the name of a column would be taken for it.
        engines = engines.reset_index(drop=True).sort_values(["unit", "cycle"], ignore_index=True)
    check_cycles(engines, what)
    return engines.astype({"unit": "int64", "cycle": "int64"})


def _validation_units(engines: pd.DataFrame, recipe: Recipe) -> Integers:
    """Return the engines held out; none for the leaky split, which has no engine of its own."""
    units: Integers = engines["unit"].unique()
    if recipe.split_by == "window":
        return units[:0]
    if len(units) == 1:
        raise FleetError(
            "There is one training engine, and none is left for validation: give at least two."
        )
    return _split(units, recipe)[1]


def _split(numbers: Integers, recipe: Recipe) -> tuple[Integers, Integers]:
    """Return the numbers kept for training and those drawn for validation.

    Raises:
        FleetError: one of the two parts would be empty.

    """
    from sklearn.model_selection import train_test_split  # takes long to import

    if math.ceil(recipe.validation_fraction * len(numbers)) >= len(numbers):
        raise FleetError(
            f"Of {len(numbers)} {recipe.split_by}s to split, a validation fraction of "
            f"{recipe.validation_fraction} leaves none for training: give a smaller fraction, or "
            "more data."
        )
    kept, drawn = train_test_split(
        numbers, test_size=recipe.validation_fraction, random_state=recipe.split_seed
    )
    return kept, drawn


def _select(scaled: SingleFloats, recipe: Recipe) -> SingleFloats:
    """Return the features of the recipe out of scaled settings and sensors, (rows, features)."""
    if recipe.features == "sensors":
        return np.ascontiguousarray(scaled[:, len(recipe.settings) :])
    return scaled


def _cut(
    engines: pd.DataFrame,
    features: SingleFloats,
    recipe: Recipe,
    *,
    capped: bool,
    rul_at_end: pd.Series | None = None,
) -> Windows:
    """Return every window of the engines.

    Args:
        engines: ``unit`` and ``cycle`` of each row, sorted, without gaps.
        features: scaled features of the same rows, float32, shape (rows, features).
        recipe: window, stride, cap and thresholds.
        capped: whether the target is capped.
        rul_at_end: RUL of each engine at its last row, indexed by unit; 0 if left out.
    """
    unit, cycle = engines["unit"].to_numpy(), engines["cycle"].to_numpy()
    begins = np.flatnonzero(np.diff(unit, prepend=unit[0] - 1))
    cycles = np.diff(begins, append=len(unit))
    last = begins + cycles - 1
    missing = np.maximum(recipe.window - cycles, 0)
    if missing.any():
        repeats = np.ones(len(unit), dtype=np.int64)
        repeats[begins] += missing
        features = np.repeat(features, repeats, axis=0)

    windows = (cycles + missing - recipe.window) // recipe.stride + 1
    engine = np.repeat(np.arange(len(begins)), windows)
    before_last = np.repeat(np.cumsum(windows), windows) - 1 - np.arange(len(engine))
    end = last[engine] - recipe.stride * before_last
    rul = (last[engine] - end).astype(np.float64)
    if rul_at_end is not None:
        rul += rul_at_end.loc[unit[begins]].to_numpy()[engine]
    uncapped = rul.astype(np.float32)
    below_cap = uncapped
    if recipe.rul_cap is not None:
        below_cap = np.minimum(uncapped, np.float32(recipe.rul_cap))
    return Windows(
        cycle_features=features,
        first_row=end + np.cumsum(missing)[engine] - (recipe.window - 1),
        length=recipe.window,
        rul=below_cap if capped else uncapped,
        rul_uncapped=uncapped,
        health=health_state(below_cap, recipe.health_thresholds),
        unit=unit[end],
        cycle=cycle[end],
    )


def _last_of_each(windows: Windows) -> Windows:
    """Return the last window of each engine."""
    return windows.take(np.flatnonzero(np.diff(windows.unit, append=windows.unit[-1] + 1)))
