"""How windows were cut before they became views: engine by engine, copied."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from rulbook.data import Fleet, Recipe
from rulbook.data.cmapss import INFORMATIVE_SENSORS, SETTINGS

Arrays = dict[str, NDArray[np.generic]]


def copied_windows(fleet: Fleet, recipe: Recipe, conditions: int) -> dict[str, Arrays]:
    """Return the windows of each part of a fleet by name of array, split by engine."""
    run_to_failure = _with_rul(fleet.train)
    held_out = train_test_split(
        np.unique(run_to_failure["unit"]),
        test_size=recipe.validation_fraction,
        random_state=recipe.split_seed,
    )[1]
    is_held_out = run_to_failure["unit"].isin(held_out)
    fitted_on = run_to_failure[~is_held_out]
    scaled = _scaled(run_to_failure, fitted_on, conditions)
    scaled_test = _scaled(_with_rul(fleet.test, fleet.test_rul), fitted_on, conditions)
    capped = recipe.cap_training_rul
    return {
        "train": _cut(scaled[~is_held_out], recipe, capped=capped),
        "validation": _cut(scaled[is_held_out], recipe, capped=capped),
        "test": _cut(scaled_test.groupby("unit").tail(recipe.window), recipe, capped=True),
        "test_every_window": _cut(scaled_test, recipe, capped=True),
    }


def _with_rul(engines: pd.DataFrame, rul_at_end: pd.Series | None = None) -> pd.DataFrame:
    engines = engines.sort_values(["unit", "cycle"], ignore_index=True)
    rul = engines.groupby("unit")["cycle"].transform("max") - engines["cycle"]
    if rul_at_end is not None:
        rul = rul + engines["unit"].map(rul_at_end)
    return engines.assign(rul=rul)


def _scaled(engines: pd.DataFrame, fitted_on: pd.DataFrame, conditions: int) -> pd.DataFrame:
    """Scale with ten starts of k-means, condition by condition."""
    flown = fitted_on[list(SETTINGS)].to_numpy()
    clusters = KMeans(conditions, n_init=10, random_state=0).fit(flown)
    readings = fitted_on[list(INFORMATIVE_SENSORS)].to_numpy()
    settings = engines[list(SETTINGS)].to_numpy()
    sensors = engines[list(INFORMATIVE_SENSORS)].to_numpy(copy=True)
    condition = clusters.predict(settings)
    for number in range(conditions):
        rows = condition == number
        if rows.any():
            scaler = StandardScaler().fit(readings[clusters.labels_ == number])
            sensors[rows] = scaler.transform(sensors[rows])
    scaled = np.hstack([StandardScaler().fit(flown).transform(settings), sensors])
    features = pd.DataFrame(
        scaled.astype(np.float32), index=engines.index, columns=[*SETTINGS, *INFORMATIVE_SENSORS]
    )
    return pd.concat([engines[["unit", "cycle", "rul"]], features], axis=1)


def _cut(engines: pd.DataFrame, recipe: Recipe, *, capped: bool) -> Arrays:
    blocks, last_rows = [], []
    for _, engine in engines.groupby("unit"):
        cycles = engine[list(recipe.feature_names)].to_numpy()
        if (missing := recipe.window - len(cycles)) > 0:
            cycles = np.concatenate([np.repeat(cycles[:1], missing, axis=0), cycles])
        windows = [cycles[i : i + recipe.window] for i in range(len(cycles) - recipe.window + 1)]
        kept = slice((len(windows) - 1) % recipe.stride, None, recipe.stride)
        blocks.append(np.stack(windows)[kept])
        last_rows.append(engine[["unit", "cycle", "rul"]].tail(len(windows))[kept])
    ends = pd.concat(last_rows)
    uncapped = ends["rul"].to_numpy(dtype=np.float32)
    below_cap = uncapped
    if recipe.rul_cap is not None:
        below_cap = np.minimum(uncapped, np.float32(recipe.rul_cap))
    normal_above, critical_up_to = recipe.health_thresholds
    return {
        "x": np.concatenate(blocks),
        "rul": below_cap if capped else uncapped,
        "rul_uncapped": uncapped,
        "health": (below_cap <= normal_above).astype(np.int64) + (below_cap <= critical_up_to),
        "unit": ends["unit"].to_numpy(dtype=np.int64),
        "cycle": ends["cycle"].to_numpy(dtype=np.int64),
    }
