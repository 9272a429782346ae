"""Z-scores with the statistics of the training engines, per operating condition."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from rulbook.data.checks import FleetError, check_rows
from rulbook.typing import Floats, Integers

if TYPE_CHECKING:
    from sklearn.cluster import KMeans  # takes long to import, here as below
    from sklearn.preprocessing import StandardScaler

_KNOWN_REACH = 3.0
"""A row belongs to a condition up to this multiple of the largest deviation seen in training."""

_ROUNDING = 1e-6
"""Share of a setting's size that counts as no change."""

_STARTS = 10
"""K-means starts where one does not separate the conditions."""


@dataclass(frozen=True)
class ConditionScaler:
    """Scales sensors within each operating condition and settings over all rows.

    Operating conditions are the clusters of the settings (k-means, seed 0), in their own units
    where these separate the conditions, else in standard deviations. A column that never changes
    becomes 0.

    Attributes:
        settings: names of the operational settings.
        sensors: names of the sensors.
        centres: mean settings of each condition, shape (conditions, settings).
        reach: largest deviation from the centre of its condition, in each setting, that counts as
            known, shape (settings,).
        setting_mean, setting_scale: Shape (settings,).
        sensor_mean, sensor_scale: Shape (conditions, sensors).
    """

    settings: tuple[str, ...]
    sensors: tuple[str, ...]
    centres: Floats
    reach: Floats
    setting_mean: Floats
    setting_scale: Floats
    sensor_mean: Floats
    sensor_scale: Floats
    _unit: Floats
    _clusters: "KMeans | None"

    @classmethod
    def fit(
        cls, engines: pd.DataFrame, settings: Sequence[str], sensors: Sequence[str], conditions: int
    ) -> Self:
        """Return the scaler of some engines.

        Args:
            engines: checked training engines, one row a cycle.
            settings: names of the columns that tell the operating condition, and are scaled.
            sensors: names of the columns scaled within each condition.
            conditions: how many operating conditions there are; without settings 1.

        Raises:
            FleetError: there are fewer different settings than conditions.
        """
        from sklearn.preprocessing import StandardScaler

        flown = _columns(engines, settings)
        readings = _columns(engines, sensors)
        if conditions > 1:
            clusters, unit = _clusters(flown, conditions)
            labels, centres = clusters.labels_, clusters.cluster_centers_ * unit
        else:
            clusters, unit = None, np.ones(len(settings))
            labels = np.zeros(len(flown), dtype=np.intp)
            centres = flown.mean(axis=0, keepdims=True)
        over_all = StandardScaler().fit(flown) if settings else None
        within = [StandardScaler().fit(readings[labels == number]) for number in range(conditions)]
        deviation = np.abs(flown - centres[labels]).max(axis=0, initial=0.0)
        rounding = _ROUNDING * np.maximum(np.abs(centres).max(axis=0, initial=0.0), 1.0)
        return cls(
            settings=tuple(settings),
            sensors=tuple(sensors),
            centres=centres,
            reach=_KNOWN_REACH * deviation + rounding,
            setting_mean=_mean(flown, over_all) if over_all else np.empty(0),
            setting_scale=over_all.scale_ if over_all else np.empty(0),
            sensor_mean=np.stack(
                [_mean(readings[labels == number], scaler) for number, scaler in enumerate(within)]
            ),
            sensor_scale=np.stack([scaler.scale_ for scaler in within]),
            _unit=unit,
            _clusters=clusters,
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of what ``transform`` returns: settings, then sensors."""
        return (*self.settings, *self.sensors)

    def transform(self, engines: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Return the scaled features of each row, float32, shape (rows, features).

        Args:
            engines: one row a cycle, of any engine of this type; other columns are ignored.

        Raises:
            FleetError: a column is missing, a value is not finite, or a row flies a condition that
                no training engine flew, or is so far from them that its scaled value is none of
                single precision.
        """
        check_rows(engines, self.feature_names, "engines to be scaled")
        return self.transform_checked(engines)

    def transform_checked(self, engines: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Return what ``transform`` does, for rows that passed ``check_rows`` already."""
        flown = _columns(engines, self.settings)
        condition = self._condition(engines, flown)
        scaled = np.empty((len(engines), len(self.feature_names)), dtype=np.float32)
        readings = _columns(engines, self.sensors)
        with np.errstate(over="ignore"):  # refused below, by name
            scaled[:, : len(self.settings)] = (flown - self.setting_mean) / self.setting_scale
            for number in range(len(self.centres)):
                rows = np.flatnonzero(condition == number)
                scaled[rows, len(self.settings) :] = (
                    readings[rows] - self.sensor_mean[number]
                ) / self.sensor_scale[number]
        self._check_finite(scaled, engines)
        return scaled

    def _check_finite(self, scaled: npt.NDArray[np.float32], engines: pd.DataFrame) -> None:
        """Raise ``FleetError`` if a scaled value is beyond single precision."""
        if np.isfinite(scaled).all():
            return
        row, column = (int(places[0]) for places in np.nonzero(~np.isfinite(scaled)))
        where, name = engines.iloc[row], self.feature_names[column]
        raise FleetError(
            f"Column '{name}' of engine {where['unit']:g} is {where[name]:g} in cycle "
            f"{where['cycle']:g}, too far from every training engine to be scaled: give the "
            f"reading as it was, or leave the engine out."
        )

    def _condition(self, engines: pd.DataFrame, flown: Floats) -> Integers:
        if self._clusters is None:
            condition = np.zeros(len(flown), dtype=np.int64)
        else:
            condition = self._clusters.predict(flown / self._unit).astype(np.int64)
        unknown = np.abs(flown - self.centres[condition]) > self.reach
        if unknown.any():
            row, column = (int(places[0]) for places in np.nonzero(unknown))
            where = engines.iloc[row]
            raise FleetError(
                f"Engine {where['unit']:g} flies an operating condition in cycle "
                f"{where['cycle']:g} that no training engine flew ({self.settings[column]} is "
                f"{flown[row, column]:g}): leave the engine out, or train on engines that fly it."
            )
        return condition


def _mean(values: Floats, scaler: "StandardScaler") -> Floats:
    """Return the mean of each column, exactly the value of one that never changes."""
    lowest, highest = values.min(axis=0), values.max(axis=0)
    mean: Floats = np.where(lowest == highest, lowest, scaler.mean_)
    return mean


def _columns(engines: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Return some columns as float64, shape (rows, names)."""
    values: Floats = engines[list(names)].to_numpy(dtype=np.float64)
    return values


def _clusters(flown: Floats, conditions: int) -> tuple["KMeans", Floats]:
    """Return the operating conditions as clusters of the settings, and the unit of each setting.

    The unit is the setting's own where that separates the conditions. An altitude in feet beside a
    Mach number would decide alone, so that the standard deviations are tried next. One start of
    k-means++ gives the labels of ten wherever it separates the conditions.

    Args:
        flown: the settings, shape (rows, settings).
        conditions: how many operating conditions there are.

    Returns:
        The clusters of ``flown / unit``, and ``unit``, shape (settings,).

    """
    own, deviation = np.ones(flown.shape[1]), flown.std(axis=0)
    # That of a column that never changes is rounding.
    changes = deviation > _ROUNDING * np.abs(flown).max(axis=0)
    fitted = []
    for unit in (own, np.where(changes, deviation, 1.0)):
        for starts in (1, _STARTS):
            clusters = _k_means(flown / unit, conditions, n_init=starts)
            if _are_separate(clusters, flown / unit):
                return clusters, unit
            fitted.append(clusters)
    return fitted[1], own


def _k_means(flown: Floats, conditions: int, n_init: int) -> "KMeans":
    """Return fitted k-means.

    Raises:
        FleetError: there are fewer different settings than conditions.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return KMeans(conditions, n_init=n_init, random_state=0).fit(flown)
    except (ConvergenceWarning, ValueError) as fault:
        raise FleetError(
            f"The training engines have fewer different settings than {conditions} operating "
            f"conditions: give the recipe another n_conditions."
        ) from fault


def _are_separate(clusters: "KMeans", flown: Floats) -> bool:
    """Return whether every cluster is narrower than the gap between the nearest two centres."""
    centres = clusters.cluster_centers_
    radius = np.linalg.norm(flown - centres[clusters.labels_], axis=1).max()
    between = np.linalg.norm(centres[:, None] - centres, axis=2)
    return bool(2 * radius < between[between > 0].min(initial=np.inf))
