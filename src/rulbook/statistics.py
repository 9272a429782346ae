"""Intervals and tests: between methods on the same engines, and over seeds.

The primary comparison of two methods is the paired bootstrap over test engines; the secondary one
the paired t over seeds, corrected by Holm over the family of comparisons. Beside a tie stands the
smallest difference that could have been seen, so that "no difference" never means "too few data".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from rulbook.typing import Floats

CONFIDENCE = 0.95
"""Confidence of every interval; one minus it is the two-sided level of every test."""

POWER = 0.8
"""Power at which a difference counts as one that could have been seen."""

RESAMPLES = 10_000
"""Bootstrap resamples of the test engines."""

_BOOTSTRAP_SEED = 0
_BATCH = 1000


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, in the unit of the data.

    Attributes:
        value: The point estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        standard_error: Standard error of ``value``.
        n: Number of seeds or engines behind it.
    """

    value: float
    low: float
    high: float
    standard_error: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """A difference with its interval and test, in the unit of the data.

    Attributes:
        difference: First minus second.
        low: Lower end of the interval of the difference.
        high: Upper end of the interval of the difference.
        p_value: Two-sided p-value of no difference.
        smallest_detectable: Smallest true difference that a two-sided 5 % test would have found
            with 80 % power at this noise.
        n: Number of pairs: test engines or seeds.
    """

    difference: float
    low: float
    high: float
    p_value: float
    smallest_detectable: float
    n: int

    @property
    def is_tie(self) -> bool:
        """Whether the test does not tell the two apart at its level."""
        return self.p_value >= 1 - CONFIDENCE


def over_seeds(values: npt.ArrayLike) -> Estimate:
    """Return the mean over seeds with its t interval.

    Args:
        values: One value a seed, shape (seeds,).

    Returns:
        The mean; its interval and standard error are NaN for a single seed.

    Raises:
        ValueError: ``values`` is no vector or is empty.
    """
    data = _vector(values)
    mean = float(data.mean())
    if data.size == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    error = float(stats.sem(data))
    half = _t_quantile(data.size - 1) * error
    return Estimate(mean, mean - half, mean + half, error, data.size)


def rmse_over_engines(errors: npt.ArrayLike) -> Estimate:
    """Return the RMSE of seed-averaged squared errors with its bootstrap interval over engines.

    Args:
        errors: Predicted minus true RUL in cycles, shape (seeds, engines).

    Returns:
        The RMSE in cycles, with the percentile interval over resampled engines.

    Raises:
        ValueError: ``errors`` is no matrix, or has fewer than two engines.
    """
    squared = _seed_averaged_squares(errors)
    drawn = stats.bootstrap(
        (squared,),
        _root_mean,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=_BOOTSTRAP_SEED,
    )
    return Estimate(
        float(_root_mean(squared)),
        float(drawn.confidence_interval.low),
        float(drawn.confidence_interval.high),
        float(drawn.standard_error),
        squared.size,
    )


def compare_over_engines(errors: npt.ArrayLike, other_errors: npt.ArrayLike) -> Comparison:
    """Compare the RMSE of two methods by a paired bootstrap over test engines.

    Squared errors are averaged over seeds first, so that what is resampled is the engine, the
    unit that a new fleet would change. The interval is the percentile interval; the p-value is the
    level at which that interval would just reach 0.

    Args:
        errors: Predicted minus true RUL of the first method in cycles, shape (seeds, engines).
        other_errors: The same of the second, shape (its seeds, engines), engines in the same order.

    Returns:
        RMSE of the first minus RMSE of the second, in cycles.

    Raises:
        ValueError: An input is no matrix, the engines differ in number, or there are fewer than
            two.
    """
    first, second = _seed_averaged_squares(errors), _seed_averaged_squares(other_errors)
    if first.size != second.size:
        raise ValueError(f"the methods have {first.size} and {second.size} engines, not the same")
    drawn = stats.bootstrap(
        (first, second),
        _difference_of_root_means,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=_BOOTSTRAP_SEED,
    )
    differences = drawn.bootstrap_distribution
    beyond = int(min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)))
    return Comparison(
        difference=float(_difference_of_root_means(first, second)),
        low=float(drawn.confidence_interval.low),
        high=float(drawn.confidence_interval.high),
        p_value=min(1.0, 2 * (1 + beyond) / (1 + RESAMPLES)),
        smallest_detectable=smallest_detectable_difference(float(drawn.standard_error)),
        n=first.size,
    )


def compare_over_seeds(values: npt.ArrayLike, other_values: npt.ArrayLike) -> Comparison:
    """Compare two methods by a paired t test over seeds.

    Args:
        values: One value a seed of the first method, shape (seeds,).
        other_values: The same of the second, same seeds in the same order.

    Returns:
        Mean of the first minus mean of the second.

    Raises:
        ValueError: The shapes differ or there are fewer than two seeds.
    """
    first, second = _vector(values), _vector(other_values)
    if first.size != second.size or first.size < 2:
        raise ValueError(
            f"a paired test needs two or more seeds of both, not {first.size} and {second.size}"
        )
    estimate = over_seeds(first - second)
    if estimate.standard_error > 0:
        p_value = float(stats.ttest_rel(first, second).pvalue)
    else:
        # Without noise any difference is certain, and no difference is none at all.
        p_value = float(estimate.value == 0)
    return Comparison(
        difference=estimate.value,
        low=estimate.low,
        high=estimate.high,
        p_value=p_value,
        smallest_detectable=smallest_detectable_difference(
            estimate.standard_error, degrees_of_freedom=first.size - 1
        ),
        n=first.size,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure (Holm, 1979).

    Sorted ascending, the i-th of m (counted from 0) is multiplied by m - i; the results are made
    non-decreasing and cut at 1. Rejecting where the result is below the level keeps the chance of
    any false rejection in the family at or below that level.

    Args:
        p_values: The p-values of one family of comparisons.

    Returns:
        Corrected p-values in the order of the input.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1))
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(p_value) for p_value in corrected]


def smallest_detectable_difference(
    standard_error: float, degrees_of_freedom: float = math.inf
) -> float:
    """Return the smallest true difference that a two-sided 5 % test finds with 80 % power.

    It is the standard error times the noncentrality at which the t test reaches that power; with
    infinitely many degrees of freedom, the sum of the normal quantiles 1.96 and 0.84.

    Args:
        standard_error: Standard error of the difference, in the unit of the data.
        degrees_of_freedom: Of the t test; infinite for the bootstrap.
    """
    level = 1 - CONFIDENCE
    if math.isinf(degrees_of_freedom):
        noncentrality = stats.norm.isf(level / 2) + stats.norm.ppf(POWER)
    else:
        critical = _t_quantile(degrees_of_freedom)

        def lacking_power(noncentrality: float) -> float:
            return float(stats.nct.sf(critical, degrees_of_freedom, noncentrality)) - POWER

        noncentrality = optimize.brentq(lacking_power, 0.0, 10 * critical)
    return float(noncentrality * standard_error)


def _t_quantile(degrees_of_freedom: float) -> float:
    return float(stats.t.isf((1 - CONFIDENCE) / 2, degrees_of_freedom))


def _root_mean(squared: Floats, axis: int = -1) -> Floats:
    roots: Floats = np.sqrt(squared.mean(axis=axis))
    return roots


def _difference_of_root_means(first: Floats, second: Floats, axis: int = -1) -> Floats:
    return _root_mean(first, axis) - _root_mean(second, axis)


def _seed_averaged_squares(errors: npt.ArrayLike) -> Floats:
    matrix = np.asarray(errors, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] < 2:
        raise ValueError(
            f"errors must be of shape (seeds, two or more engines), not {matrix.shape}"
        )
    averaged: Floats = np.square(matrix).mean(axis=0)
    return averaged


def _vector(values: npt.ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0:
        raise ValueError(f"one value a seed is needed, not an array of shape {data.shape}")
    return data
