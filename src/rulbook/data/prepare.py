"""Turn a fleet into the scaled, labelled windows that every experiment trains on.

The defaults of ``Recipe`` are the project's locked protocol; every deviation is a named study. No
number that comes from a validation or test engine enters the training windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sklearn.cluster import KMeans
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from rulbook.data.cmapss import SETTINGS, Fleet, Source, check_subset

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

INFORMATIVE_SENSORS = tuple(
    f"sensor_{number}" for number in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)
)
"""The 14 sensors that change as an engine degrades."""

HEALTH_STATES = ("normal", "degrading", "critical")
"""Names of the health classes 0, 1 and 2."""

RUL_CAP = 125
HEALTH_THRESHOLDS = (80, 30)

_CONDITIONS = {"FD001": 1, "FD002": 6, "FD003": 1, "FD004": 6}


class Recipe(BaseModel):
    """Choices that turn a fleet into windows; the defaults are the locked protocol.

    Attributes:
        features: ``"settings+sensors"`` (3 settings and 14 sensors, 17 in all) or ``"sensors"``
            (the 14).
        window: Cycles in a window.
        rul_cap: Highest RUL, in cycles, that a capped target takes.
        health_thresholds: An engine is normal above the first RUL (cycles) and critical at or
            below the second.
        validation_fraction: Share of the training engines held out for validation.
        split_seed: Seed of that split; the seeds of a study leave it alone.
        split_by: ``"unit"`` keeps all windows of an engine on one side. ``"window"`` draws windows
            at random, which lets neighbouring windows of one engine fall on both sides: the leaky
            split that one study measures.
        cap_training_rul: Whether ``rul`` of the training and validation windows is capped. Test
            windows carry the capped and the uncapped RUL either way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Literal["settings+sensors", "sensors"] = "settings+sensors"
    window: int = Field(default=30, ge=1)
    rul_cap: int = Field(default=RUL_CAP, ge=1)
    health_thresholds: tuple[int, int] = HEALTH_THRESHOLDS
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    split_by: Literal["unit", "window"] = "unit"
    cap_training_rul: bool = True

    @model_validator(mode="after")
    def _thresholds_descend(self) -> Self:
        normal_above, critical_up_to = self.health_thresholds
        if not self.rul_cap >= normal_above > critical_up_to >= 0:
            raise ValueError("health_thresholds must descend from at most rul_cap to at least 0")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the last axis of a window."""
        if self.features == "sensors":
            return INFORMATIVE_SENSORS
        return (*SETTINGS, *INFORMATIVE_SENSORS)


@dataclass(frozen=True)
class Windows:
    """Labelled windows; row i of every array belongs to window i.

    Attributes:
        x: Scaled features, float32, shape (windows, cycles, features), oldest cycle first.
        rul: Target RUL at the last cycle, in cycles, float32, shape (windows,), capped unless the
            recipe says otherwise.
        rul_uncapped: RUL at the last cycle, in cycles, float32, shape (windows,).
        health: Health class at the last cycle, int64, shape (windows,): 0 normal, 1 degrading,
            2 critical.
        unit: Engine number, int64, shape (windows,).
        cycle: Number of the last cycle, int64, shape (windows,).
    """

    x: Floats
    rul: Floats
    rul_uncapped: Floats
    health: Integers
    unit: Integers
    cycle: Integers

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Windows":
        """Return the windows that ``index`` (positions or a mask) picks, in its order."""
        return Windows(
            x=self.x[index],
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
        subset: One of ``cmapss.SUBSETS``.
        source: ``"cmapss"`` or ``"simulated"``.
        digest: SHA-256 of the data, from the fleet.
        recipe: The choices that made it.
        train: Windows to train on.
        validation: Windows of the held-out engines, for selection.
        test: The last window of every test engine, ordered by unit.
    """

    subset: str
    source: Source
    digest: str
    recipe: Recipe
    train: Windows
    validation: Windows
    test: Windows
    _scaled_test: pd.DataFrame = field(repr=False)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the last axis of ``x``."""
        return self.recipe.feature_names

    @property
    def n_features(self) -> int:
        """Number of features, the length of the last axis of ``x``."""
        return len(self.feature_names)

    @cached_property
    def test_every_window(self) -> Windows:
        """All windows of the test engines, cut when first asked for."""
        return _cut(self._scaled_test, self.recipe, capped=True)


def health_state(
    rul: npt.ArrayLike, thresholds: tuple[float, float] = HEALTH_THRESHOLDS
) -> Integers:
    """Return the health class of each RUL.

    Args:
        rul: RUL in cycles, any shape; capping it first changes nothing.
        thresholds: Normal above the first, critical at or below the second, degrading between.

    Returns:
        Classes, int64, same shape: 0 normal, 1 degrading, 2 critical.
    """
    normal_above, critical_up_to = thresholds
    cycles = np.asarray(rul)
    return (cycles <= normal_above).astype(np.int64) + (cycles <= critical_up_to)


def prepare(fleet: Fleet, recipe: Recipe | None = None) -> Prepared:
    """Split, scale, window and label a fleet.

    Operating conditions are the clusters of the settings (k-means, fitted on training engines);
    sensors are z-scored within each condition and settings over all rows, with the statistics of
    the training engines alone. A column that never changes becomes 0. An engine shorter than a
    window is padded in front by repeating its first cycle.

    Args:
        fleet: What ``load`` returns.
        recipe: The choices; the locked protocol if left out.

    Raises:
        UsageError: ``fleet.subset`` is unknown.
    """
    check_subset(fleet.subset)
    recipe = recipe or Recipe()
    run_to_failure = _with_rul(fleet.train)
    held_out = _validation_units(run_to_failure, recipe)
    is_held_out = run_to_failure["unit"].isin(held_out)
    scaler = _ConditionScaler(run_to_failure[~is_held_out], _CONDITIONS[fleet.subset])

    scaled = scaler.transform(run_to_failure)
    if recipe.split_by == "unit":
        train = _cut(scaled[~is_held_out], recipe, capped=recipe.cap_training_rul)
        validation = _cut(scaled[is_held_out], recipe, capped=recipe.cap_training_rul)
    else:
        windows = _cut(scaled, recipe, capped=recipe.cap_training_rul)
        kept, drawn = train_test_split(
            np.arange(len(windows)),
            test_size=recipe.validation_fraction,
            random_state=recipe.split_seed,
        )
        train, validation = windows.take(np.sort(kept)), windows.take(np.sort(drawn))

    scaled_test = scaler.transform(_with_rul(fleet.test, fleet.test_rul))
    return Prepared(
        subset=fleet.subset,
        source=fleet.source,
        digest=fleet.digest,
        recipe=recipe,
        train=train,
        validation=validation,
        test=_cut(scaled_test.groupby("unit").tail(recipe.window), recipe, capped=True),
        _scaled_test=scaled_test,
    )


def _with_rul(engines: pd.DataFrame, rul_at_end: pd.Series | None = None) -> pd.DataFrame:
    """Return ``engines`` sorted, with ``rul``: cycles left at each row, 0 at a failure."""
    engines = engines.sort_values(["unit", "cycle"], ignore_index=True)
    rul = engines.groupby("unit")["cycle"].transform("max") - engines["cycle"]
    if rul_at_end is not None:
        rul = rul + engines["unit"].map(rul_at_end)
    return engines.assign(rul=rul)


def _validation_units(engines: pd.DataFrame, recipe: Recipe) -> Sequence[int]:
    """Return the engines held out; none for the leaky split, which has no engine of its own."""
    if recipe.split_by == "window":
        return []
    _, held_out = train_test_split(
        np.unique(engines["unit"]),
        test_size=recipe.validation_fraction,
        random_state=recipe.split_seed,
    )
    return list(held_out)


class _ConditionScaler:
    """Z-scores with training statistics: sensors per operating condition, settings over all."""

    def __init__(self, engines: pd.DataFrame, n_conditions: int) -> None:
        settings = engines[list(SETTINGS)].to_numpy()
        self._conditions = KMeans(n_conditions, n_init=10, random_state=0).fit(settings)
        self._settings = StandardScaler().fit(settings)
        sensors = engines[list(INFORMATIVE_SENSORS)].to_numpy()
        self._sensors = [
            StandardScaler().fit(sensors[self._conditions.labels_ == condition])
            for condition in range(n_conditions)
        ]

    def transform(self, engines: pd.DataFrame) -> pd.DataFrame:
        """Return ``unit``, ``cycle``, ``rul`` and the 17 scaled features of ``engines``."""
        settings = engines[list(SETTINGS)].to_numpy()
        sensors = engines[list(INFORMATIVE_SENSORS)].to_numpy(copy=True)
        condition = self._conditions.predict(settings)
        for number, scaler in enumerate(self._sensors):
            rows = condition == number
            if rows.any():
                sensors[rows] = scaler.transform(sensors[rows])
        scaled = np.hstack([self._settings.transform(settings), sensors])
        features = pd.DataFrame(
            scaled.astype(np.float32),
            index=engines.index,
            columns=[*SETTINGS, *INFORMATIVE_SENSORS],
        )
        return pd.concat([engines[["unit", "cycle", "rul"]], features], axis=1)


def _cut(engines: pd.DataFrame, recipe: Recipe, *, capped: bool) -> Windows:
    """Cut every window, stride 1, from engines that are scaled and sorted."""
    window = recipe.window
    blocks = []
    last_rows = []
    for _, engine in engines.groupby("unit"):
        cycles = engine[list(recipe.feature_names)].to_numpy()
        if (missing := window - len(cycles)) > 0:
            cycles = np.concatenate([np.repeat(cycles[:1], missing, axis=0), cycles])
        views = np.lib.stride_tricks.sliding_window_view(cycles, window, axis=0)
        blocks.append(views.transpose(0, 2, 1))
        last_rows.append(engine[["unit", "cycle", "rul"]].tail(len(views)))
    ends = pd.concat(last_rows)
    x = np.empty((len(ends), window, len(recipe.feature_names)), dtype=np.float32)
    np.concatenate(blocks, out=x)
    uncapped = ends["rul"].to_numpy(dtype=np.float32)
    below_cap = np.minimum(uncapped, np.float32(recipe.rul_cap))
    return Windows(
        x=x,
        rul=below_cap if capped else uncapped,
        rul_uncapped=uncapped,
        health=health_state(below_cap, recipe.health_thresholds),
        unit=ends["unit"].to_numpy(dtype=np.int64),
        cycle=ends["cycle"].to_numpy(dtype=np.int64),
    )
