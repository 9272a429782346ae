"""The two sanity rows of every table: a tree ensemble on window statistics, and a constant."""

import time
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from rulbook.data.prepare import Prepared, Windows
from rulbook.errors import unknown_name
from rulbook.libraries import versions
from rulbook.metrics import rmse
from rulbook.training.config import RunConfig
from rulbook.training.described import check_describes
from rulbook.training.networks import Baseline
from rulbook.training.record import RunRecord, TestPredictions, source_digest

if TYPE_CHECKING:
    # It takes long to import, here as below, and a network needs none of it.
    from sklearn.ensemble import HistGradientBoostingRegressor


def window_statistics(windows: Windows) -> NDArray[np.float32]:
    """Return mean, standard deviation, last value and slope of every feature, (N, 4 * features).

    The slope is that of the least-squares line through the window, in scaled units a cycle.
    """
    x = windows.x
    time_axis = np.arange(x.shape[1], dtype=np.float32)
    time_axis -= time_axis.mean()
    spread = (time_axis**2).sum() or 1.0  # a window of one cycle has the slope 0
    slope = np.einsum("t,ntf->nf", time_axis, x) / spread
    return np.concatenate([x.mean(1), x.std(1), x[:, -1], slope], axis=1)


def fit_baseline(config: RunConfig, prepared: Prepared) -> RunRecord:
    """Fit the baseline that ``config.network`` names, with the library's defaults, no tuning.

    Raises:
        UsageError: ``config`` describes other data than ``prepared``, or names no baseline.

    """
    check_describes(config, prepared)
    if config.network not in get_args(Baseline):
        raise unknown_name("baseline", config.network, get_args(Baseline))
    started = time.perf_counter()
    rul, health = (
        _boosted(config, prepared) if config.network == "gradient_boosting" else _constant(prepared)
    )
    test = prepared.test
    return RunRecord(
        config=config,
        status="completed",
        test=TestPredictions(
            unit=test.unit.tolist(),
            true_rul=test.rul_uncapped.astype(int).tolist(),
            predicted_rul=rul.tolist(),
            predicted_health=health.tolist(),
        ),
        wall_seconds=time.perf_counter() - started,
        device="cpu",
        versions=versions(),
        source_digest=source_digest(),
    )


def boosting_validation_rmse(prepared: Prepared) -> float:
    """Return the RMSE of gradient boosting on all windows of the validation engines, cycles.

    Its records hold test predictions alone; this fits it again, in a few seconds a subset.
    """
    rul = _regressor(prepared, seed=42).predict(window_statistics(prepared.validation))
    return rmse(rul, prepared.validation.rul)


def _regressor(prepared: Prepared, seed: int) -> "HistGradientBoostingRegressor":
    from sklearn.ensemble import HistGradientBoostingRegressor

    regressor = HistGradientBoostingRegressor(random_state=seed)
    return regressor.fit(window_statistics(prepared.train), prepared.train.rul)


def _boosted(
    config: RunConfig, prepared: Prepared
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    train, test = window_statistics(prepared.train), window_statistics(prepared.test)
    classifier = HistGradientBoostingClassifier(random_state=config.seed)
    rul = _regressor(prepared, config.seed).predict(test)
    return rul, classifier.fit(train, prepared.train.health).predict(test)


def _constant(prepared: Prepared) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Predict the mean training RUL and the most frequent health state for every engine."""
    rows = len(prepared.test)
    majority = np.bincount(prepared.train.health).argmax()
    return np.full(rows, prepared.train.rul.mean(), float), np.full(rows, majority, np.int64)
