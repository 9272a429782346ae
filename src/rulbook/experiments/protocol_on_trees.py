"""What each choice of the protocol does to the RMSE of tree ensembles, fitted live."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from rulbook.data.cmapss import Fleet
from rulbook.data.prepare import RUL_CAP, Prepared, Recipe, Windows, prepare
from rulbook.metrics import rmse
from rulbook.statistics import MARGIN, CrossedComparison, compare_crossed, rmse_over_engines
from rulbook.training.baselines import window_statistics
from rulbook.training.config import PROTOCOL_LABEL
from rulbook.typing import Floats

SENSORS_ONLY = "14 sensors for 17 features"
"""The choice of features without the operating settings."""

UNCAPPED_TEST = "uncapped test targets"
"""The choice to score a model of capped targets on the true RUL as it is."""

UNCAPPED_THROUGHOUT = "uncapped targets throughout"
"""The choice to cap neither the training targets nor the true RUL."""

EVERY_WINDOW = "all windows for the last"
"""The choice to score all windows of the test engines, not the last of each."""

VALIDATION_ENGINES = "validation engines"
"""The choice to score the engines that are held out."""

VALIDATION_WINDOWS = "validation windows"
"""The choice to hold out windows drawn at random, and to score them."""

RANDOM_DRAW = "trained on the random draw"
"""The choice to hold out windows drawn at random, and to score the test engines."""

_LAST = "last window of each test engine"
_SENSORS = Recipe(features="sensors")


def trees_under_each_choice(fleet: Fleet, seed: int = 42, trees: int = 20) -> pd.DataFrame:
    """Fit extremely randomised trees and score them under one choice of the protocol after another.

    They see the statistics of each window that ``window_statistics`` gives, and are as good as
    gradient boosting there. They remember single windows, as a large network does, which is what a
    leaky split rewards.

    Args:
        fleet: the data, real or simulated.
        seed: seed of the trees.
        trees: how many.

    Returns:
        One row a choice, the protocol first: ``choice``, ``scored_on``, ``windows`` (scored),
        ``rmse`` in cycles, and ``low`` and ``high``, its bootstrap interval over test engines, NaN
        where what was scored is not one window of each of them.

    """
    base = prepare(fleet)
    model = _fitted(base.train, seed, trees)

    def refitted(recipe: Recipe) -> tuple[Prepared, ExtraTreesRegressor]:
        prepared = prepare(fleet, recipe)
        return prepared, _fitted(prepared.train, seed, trees)

    uncapped, uncapped_model = refitted(Recipe(cap_training_rul=False))
    sensors, sensors_model = refitted(_SENSORS)
    leaky, leaky_model = refitted(Recipe(split_by="window"))
    every = base.test_every_window
    errors = {
        (PROTOCOL_LABEL, _LAST): _errors(model, base.test),
        (SENSORS_ONLY, _LAST): _errors(sensors_model, sensors.test),
        (UNCAPPED_TEST, _LAST): _errors(model, base.test, capped=False),
        (UNCAPPED_THROUGHOUT, _LAST): _errors(uncapped_model, uncapped.test, capped=False),
        (EVERY_WINDOW, "all windows of the test engines"): _errors(model, every),
        (VALIDATION_ENGINES, "all windows of held-out engines"): _errors(model, base.validation),
        (VALIDATION_WINDOWS, "windows drawn at random"): _errors(leaky_model, leaky.validation),
        (RANDOM_DRAW, _LAST): _errors(leaky_model, leaky.test),
    }
    return pd.DataFrame(
        {
            "choice": choice,
            "scored_on": scored_on,
            "windows": len(found),
            "rmse": float(np.sqrt(np.mean(found**2))),
            **_interval(found if scored_on == _LAST else None),
        }
        for (choice, scored_on), found in errors.items()
    )


def sensors_against_all_features(
    fleet: Fleet, seeds: Sequence[int], trees: int = 20
) -> CrossedComparison:
    """Compare trees on the 14 sensors with trees on all 17 features, under the protocol.

    Args:
        fleet: the data, real or simulated.
        seeds: seeds of the trees; each fits one ensemble on either features.
        trees: how many an ensemble has.

    Returns:
        RMSE on the last window of each test engine, capped, cycles: sensors minus all features,
        paired by seed and engine.

    """

    def squared_errors(recipe: Recipe) -> list[Floats]:
        prepared = prepare(fleet, recipe)
        models = _fitted_from(prepared.train, seeds, trees)
        return [_errors(model, prepared.test) ** 2 for model in models]

    pair = squared_errors(_SENSORS), squared_errors(Recipe())
    return compare_crossed([pair], margin=MARGIN)[0]


def trees_predictions(fleet: Fleet, seed: int = 42, trees: int = 20) -> pd.DataFrame:
    """Return the predictions of the same trees for the last window of each test engine.

    Returns:
        ``true_rul`` (uncapped) and ``predicted_rul`` in cycles, indexed by ``unit``.

    """
    prepared = prepare(fleet)
    model = _fitted(prepared.train, seed, trees)
    return pd.DataFrame(
        {
            "true_rul": prepared.test.rul_uncapped,
            "predicted_rul": model.predict(window_statistics(prepared.test)),
        },
        index=pd.Index(prepared.test.unit, name="unit"),
    )


def boosted_by_trees(fleet: Fleet, seed: int = 42, trees: int = 200) -> pd.DataFrame:
    """Follow gradient boosting tree by tree, on the validation engines and on the test engines.

    Choosing the number of trees stands for choosing the epoch of a network.

    Returns:
        ``trees`` (from 1), ``validation_rmse`` (all windows of the validation engines) and
        ``test_rmse`` (last window of each test engine), capped, cycles.

    """
    prepared = prepare(fleet)
    model = HistGradientBoostingRegressor(max_iter=trees, early_stopping=False, random_state=seed)
    model.fit(window_statistics(prepared.train), prepared.train.rul)
    scored = {"validation_rmse": prepared.validation, "test_rmse": prepared.test}
    return pd.DataFrame(
        {
            "trees": np.arange(1, trees + 1),
            **{
                name: [
                    rmse(found, windows.rul)
                    for found in model.staged_predict(window_statistics(windows))
                ]
                for name, windows in scored.items()
            },
        }
    )


def _fitted_from(train: Windows, seeds: Sequence[int], trees: int) -> list[ExtraTreesRegressor]:
    """Return an ensemble a seed; the statistics of the windows, which take long, are shared."""
    statistics = window_statistics(train)
    return [
        ExtraTreesRegressor(trees, max_features=0.3, random_state=seed).fit(statistics, train.rul)
        for seed in seeds
    ]


def _fitted(train: Windows, seed: int, trees: int) -> ExtraTreesRegressor:
    (model,) = _fitted_from(train, [seed], trees)
    return model


def _errors(model: ExtraTreesRegressor, windows: Windows, *, capped: bool = True) -> Floats:
    true = np.minimum(windows.rul_uncapped, RUL_CAP) if capped else windows.rul_uncapped
    errors: Floats = model.predict(window_statistics(windows)) - true
    return errors


def _interval(errors: Floats | None) -> dict[str, float]:
    if errors is None:
        return {"low": math.nan, "high": math.nan}
    found = rmse_over_engines(errors[None])
    return {"low": found.low, "high": found.high}
