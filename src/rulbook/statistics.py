"""Intervals and tests: between methods on the same engines, over seeds, and over both.

``compare_crossed`` resamples engines and seeds together, and decides a whole family of
comparisons, corrected by Holm. ``rmse_over_engines``, ``over_seeds`` and ``compare_over_seeds``
look at one source of chance each. Beside a tie stands the smallest difference that could have been
seen, so that "no difference" never means "too few data".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from rulbook.typing import Floats

CONFIDENCE = 0.95
"""Confidence of every interval; one minus it is the two-sided level of every test."""

POWER = 0.8
"""Power at which a difference counts as one that could have been seen."""

RESAMPLES = 10_000
"""Bootstrap resamples of the test engines; of a crossed bootstrap, the fewest."""

MAXIMUM_RESAMPLES = 320_000
"""Resamples at which a crossed bootstrap ends, whatever its Monte-Carlo error."""

MINIMUM_SEEDS = 5
"""Seeds below which a comparison has no outcome."""

MARGIN = 0.5
"""Difference in RMSE, in cycles, below which two methods count as equivalent."""

Statistic = Literal["root_mean", "mean", "sum"]
"""What is made of losses by engine: an RMSE of squared errors, a share, a score."""

_LARGEST = 1e150
"""Values up to here can be squared and added up in double precision."""

_BOOTSTRAP_SEED = 0
_BATCH = 1000

_CROSSED_BATCH = 10_000

_DECIDING = 3
"""How many tests of a pair decide when resampling ends; the last, of what lies beyond the margin,
takes the resamples that there are.
"""

_ERRORS_TO_STOP, _ERRORS_TO_DECIDE = 10.0, 3.0
"""Monte-Carlo errors between a corrected p-value and the level at which resampling ends, and below
which an outcome hangs on the random state."""


class Outcome(StrEnum):
    """What the tests of a comparison say of its first method's losses."""

    LOWER = "lower"
    HIGHER = "higher"
    EQUIVALENT = "equivalent"
    """Not told apart, and shown to differ by less than the margin."""
    TIE = "tie"
    """Not told apart, and not shown to be equivalent either."""
    UNDECIDED = "undecided"
    """A p-value, of a difference or of equivalence, is too near the level: the outcome hangs on the
    random state.
    """
    TOO_FEW_SEEDS = "too few seeds"


TOLD_APART = (Outcome.LOWER, Outcome.HIGHER)
"""The outcomes that say which of two methods has the lower loss."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, in the unit of the data.

    Attributes:
        value: the point estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        standard_error: standard error of ``value``.
        n: number of seeds or engines behind it.
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
        difference: first minus second.
        low: lower end of the interval of the difference.
        high: upper end of the interval of the difference.
        p_value: two-sided p-value of no difference.
        smallest_detectable: smallest true difference that a two-sided 5 % test would have found
            with 80 % power at this noise, at the level over the number of comparisons.
        n: number of pairs, one a seed.
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
        values: one value a seed, shape (seeds,).

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
        errors: predicted minus true RUL in cycles, shape (seeds, engines).

    Returns:
        The RMSE in cycles, with the percentile interval over resampled engines.

    Raises:
        ValueError: ``errors`` is no matrix of finite numbers, or has fewer than two engines.
    """
    squared = np.square(_finite(_by_seed_and_engine(errors, "errors"), "errors")).mean(axis=0)
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


@dataclass(frozen=True)
class CrossedComparison:
    """A difference between two methods, with engines and seeds resampled together.

    With fewer than ``MINIMUM_SEEDS`` seeds there is nothing but the difference: intervals, p-values
    and the smallest detectable difference are NaN.

    Attributes:
        difference: first minus second, in the unit of the statistic.
        low: lower end of the interval of the difference, of this comparison alone.
        high: upper end of the interval of the difference, of this comparison alone.
        p_value: two-sided p-value of no difference, of this comparison alone.
        p_holm: the same, corrected by Holm over the family.
        p_no_worse: one-sided p-value of "higher by the margin or more", corrected over the family;
            NaN without a margin.
        p_equivalent: the larger one of the one-sided p-values of "higher" and of "lower by the
            margin or more", corrected over the family after the larger one is taken; NaN without a
            margin.
        p_beyond: two-sided p-value of "differing by the margin or less", corrected over the family;
            NaN without a margin.
        smallest_detectable: smallest true difference that is found with 80 % power at this noise,
            whatever the rest of the family shows: at the level over the number of comparisons.
        seeds: number of paired seeds.
        engines: number of engines.
        resamples: number of resamples behind the p-values.
        outcome: what the tests say, corrected over the family.
        is_no_worse: whether the first is shown to be higher by less than the margin; ``None``
            without a margin, with too few seeds, or where it hangs on the random state.
        is_equivalent: whether the two are shown to differ by less than the margin; ``None`` as
            before.
        is_beyond: whether the two are shown to differ by more than the margin; ``None`` as before.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float
    p_no_worse: float
    p_equivalent: float
    p_beyond: float
    smallest_detectable: float
    seeds: int
    engines: int
    resamples: int
    outcome: Outcome
    is_no_worse: bool | None
    is_equivalent: bool | None
    is_beyond: bool | None


def estimate_crossed(losses: npt.ArrayLike, statistic: Statistic = "root_mean") -> Estimate:
    """Return a statistic with its interval by the crossed bootstrap over engines and seeds.

    Args:
        losses: loss of every engine under every seed, shape (seeds, engines).
        statistic: what is made of the losses, as for ``compare_crossed``.

    Returns:
        The statistic, whose ``n`` is the number of seeds. Interval and standard error are NaN with
        fewer than ``MINIMUM_SEEDS`` seeds. Where no loss is negative, the interval ends at zero.

    Raises:
        ValueError: there is no such statistic; ``losses`` is no matrix of finite numbers of 1e150
            or less, or has fewer than two engines; or a loss is negative where a root is taken.
    """
    _check_statistic(statistic)
    matrix = _losses(losses, statistic)
    value = float(_statistic(matrix.mean(), statistic, matrix.shape[1]))
    if len(matrix) < MINIMUM_SEEDS:
        return Estimate(value, math.nan, math.nan, math.nan, len(matrix))
    draw = _drawing(_BOOTSTRAP_SEED)
    (drawn,) = _crossed_differences([(matrix, np.zeros_like(matrix))], statistic, RESAMPLES, draw)
    low, high = np.quantile(drawn, _two_sided(1 - CONFIDENCE))
    if (matrix >= 0).all():
        low = max(low, 0.0)  # stretched draws can reach beyond it
    return Estimate(value, float(low), float(high), float(drawn.std(ddof=1)), len(matrix))


def compare_crossed(
    family: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    statistic: Statistic = "root_mean",
    *,
    margin: float | None = None,
    families: int = 1,
    random_state: int = _BOOTSTRAP_SEED,
) -> list[CrossedComparison]:
    """Compare pairs of methods by a crossed bootstrap over test engines and seeds.

    Another fleet and other seeds would both move a difference. So in every resample engines and
    seeds are drawn anew with replacement, independently of each other and alike for both methods of
    a pair, and what the drawn engines move and what the drawn seeds move is added up.

    Departures from the plain crossed ("pigeonhole") bootstrap, which draws both at once:

    * It counts the noise that belongs to one engine under one seed up to three times (Owen, 2007).
      Here that noise is left to the seeds and counted once: what the engines move is shrunk by the
      share of it in their variance, as a two-way analysis of variance estimates it.
    * Five seeds are few, and a percentile interval over five values is too narrow: its spread by
      the root of 4/5, its tails by those of Student's t. What the drawn seeds move is therefore
      stretched by the root of S / (S - 1), and by the root of ν over a draw of χ² with ν = S - 1
      degrees of freedom, the draw that turns a normal variable into Student's t.

    Where engines alone vary, this is the paired bootstrap over engines; where seeds alone vary, it
    is close to the paired t test of ``compare_over_seeds``.

    Resamples are added until the Monte-Carlo error of every corrected p-value is below a tenth of
    its distance from the level, or until there are ``MAXIMUM_RESAMPLES``. An outcome whose p-value
    is within three Monte-Carlo errors of the level even then is undecided.

    Equivalence is shown by two one-sided tests (Schuirmann, 1987), non-inferiority by one of them.

    Args:
        family: the pairs that Holm's correction is over: losses of the first and of the second
            method, each of shape (seeds, engines), seeds and engines in the same order. Pairs may
            differ in seeds, but not in engines.
        statistic: what is made of the mean loss over seeds and engines: its root (squared errors
            to RMSE), itself (a share), or the sum over engines (a score).
        margin: largest difference that does not matter, in the unit of the statistic. Without one,
            equivalence and non-inferiority are not tested.
        families: how many families like this one are asked one question. What Holm's correction
            gives is multiplied by it: pairs on several subsets have other engines, and make a
            family each.
        random_state: seed of the resampling.

    Returns:
        One comparison a pair. Pairs with fewer than ``MINIMUM_SEEDS`` seeds have no outcome and do
        not count in the correction of the others.

    Raises:
        ValueError: there is no such statistic, the family is no list of pairs, the margin is not
            finite and above 0, losses are no matrix of finite numbers of 1e150 or less, one is
            negative where a root is taken, the shapes of a pair differ, the pairs differ in
            engines, or there are fewer than two engines.
    """
    _check_statistic(statistic)
    if margin is not None and not 0 < margin < math.inf:
        raise ValueError(f"a margin must be finite and above 0, not {margin}")
    if any(len(pair) != 2 for pair in family):
        raise ValueError("a family is a list of pairs: give [(first, second)] even of one")
    pairs = [_pair_of_losses(first, second, statistic) for first, second in family]
    if len({first.shape[1] for first, _ in pairs}) > 1:
        raise ValueError("the pairs of a family must have the same engines")
    enough = [pair for pair in pairs if len(pair[0]) >= MINIMUM_SEEDS]
    tested = iter(_tested(enough, statistic, margin, families, _drawing(random_state)))
    return [
        next(tested) if len(pair[0]) >= MINIMUM_SEEDS else _untested(pair, statistic)
        for pair in pairs
    ]


def compare_over_seeds(
    values: npt.ArrayLike, other_values: npt.ArrayLike, comparisons: int = 1
) -> Comparison:
    """Compare two methods by a paired t test over seeds.

    Args:
        values: one value a seed of the first method, shape (seeds,).
        other_values: the same of the second, same seeds in the same order.
        comparisons: how many are corrected together, for what could have been seen; the p-value is
            that of this one alone.

    Returns:
        Mean of the first minus mean of the second.

    Raises:
        ValueError: the shapes differ, there are fewer than two seeds, or a value is not a finite
            number.
    """
    first, second = (_finite(_vector(given), "values") for given in (values, other_values))
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
            estimate.standard_error, first.size - 1, comparisons
        ),
        n=first.size,
    )


def p_value_below(values: npt.ArrayLike, bound: float) -> float:
    """Return the p-value of the one-sided t test that a mean over seeds is below ``bound``.

    Args:
        values: one value a seed, shape (seeds,).
        bound: what the mean is held against.

    Raises:
        ValueError: ``values`` is not one-dimensional, has fewer than two values, or one that is not
            finite.

    """
    data = _finite(_vector(values), "values")
    if data.size < 2:
        raise ValueError(f"a test needs two or more seeds, not {data.size}")
    mean = over_seeds(data)
    if mean.standard_error == 0:
        return float(mean.value >= bound)
    return float(stats.t.cdf((mean.value - bound) / mean.standard_error, mean.n - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure (Holm, 1979).

    Sorted ascending, the i-th of m (counted from 0) is multiplied by m - i; the results are made
    non-decreasing and cut at 1. Rejecting where the result is below the level keeps the chance of
    any false rejection in the family at or below that level.

    Args:
        p_values: the p-values of one family of comparisons.

    Returns:
        Corrected p-values in the order of the input.

    Raises:
        ValueError: one is not between 0 and 1; NaN, of a comparison without a test, is none to be
            corrected or counted.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    possible = (raw >= 0) & (raw <= 1)
    if not possible.all():
        raise ValueError(f"p-values must be between 0 and 1, not {raw[~possible][0]:g}")
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1))
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(p_value) for p_value in corrected]


def smallest_detectable_difference(
    standard_error: float, degrees_of_freedom: float = math.inf, comparisons: int = 1
) -> float:
    """Return the smallest true difference that a two-sided 5 % test finds with 80 % power.

    It is the standard error times the noncentrality at which the t test reaches that power; with
    infinitely many degrees of freedom, the sum of the normal quantiles 1.96 and 0.84.

    Args:
        standard_error: standard error of the difference, in the unit of the data.
        degrees_of_freedom: of the t test; infinite where the spread is known.
        comparisons: how many are corrected together: the level is divided by their number, as
            Holm's procedure does for the smallest p-value.
    """
    level = (1 - CONFIDENCE) / comparisons
    if math.isinf(degrees_of_freedom):
        noncentrality = stats.norm.isf(level / 2) + stats.norm.ppf(POWER)
    else:
        critical = float(stats.t.isf(level / 2, degrees_of_freedom))

        def lacking_power(noncentrality: float) -> float:
            return float(stats.nct.sf(critical, degrees_of_freedom, noncentrality)) - POWER

        noncentrality = optimize.brentq(lacking_power, 0.0, 10 * critical)
    return float(noncentrality * standard_error)


def _t_quantile(degrees_of_freedom: float) -> float:
    return float(stats.t.isf((1 - CONFIDENCE) / 2, degrees_of_freedom))


def _root_mean(squared: Floats, axis: int = -1) -> Floats:
    roots: Floats = np.sqrt(squared.mean(axis=axis))
    return roots


def _by_seed_and_engine(values: npt.ArrayLike, what: str) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] < 2:
        raise ValueError(
            f"{what} must be of shape (seeds, two or more engines), not {matrix.shape}"
        )
    return matrix


def _vector(values: npt.ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0:
        raise ValueError(f"one value a seed is needed, not an array of shape {data.shape}")
    return data


_Pair = tuple[Floats, Floats]


@dataclass(frozen=True)
class _Test:
    """The p-values of one hypothesis over a family, and the Monte-Carlo errors of the corrected."""

    p_values: Floats
    corrected: Floats
    errors: Floats

    def is_clear(self, errors: float) -> npt.NDArray[np.bool_]:
        """Return which corrected p-values are more than so many errors away from the level."""
        clear: npt.NDArray[np.bool_] = (
            np.abs(self.corrected - (1 - CONFIDENCE)) > errors * self.errors
        )
        return clear

    def rejects(self, index: int) -> bool | None:
        """Return whether a hypothesis is rejected; ``None`` where that hangs on the resamples."""
        if not self.is_clear(_ERRORS_TO_DECIDE)[index]:
            return None
        return bool(self.corrected[index] < 1 - CONFIDENCE)


def _test(beyond: npt.ArrayLike, resamples: npt.ArrayLike, families: int, *, sides: int) -> _Test:
    """Return the test of a family where so many of the resamples lie beyond the hypothesis."""
    drawn = np.asarray(resamples, dtype=np.float64)
    tail = (1 + np.asarray(beyond)) / (1 + drawn)
    p_values = np.minimum(1.0, sides * tail)
    step = sides * np.sqrt(tail * (1 - tail) / drawn)
    # Holm's correction is monotone in its input, so it carries an error through.
    corrected, above, below = (
        np.minimum(1.0, families * np.array(holm(shifted.tolist())))
        for shifted in (
            p_values,
            np.minimum(1.0, p_values + step),
            np.maximum(0.0, p_values - step),
        )
    )
    return _Test(p_values, corrected, np.maximum(above - corrected, corrected - below))


def _tested(
    pairs: Sequence[_Pair],
    statistic: Statistic,
    margin: float | None,
    families: int,
    draw: "_Draw",
) -> list[CrossedComparison]:
    """Compare pairs that all have enough seeds, with as many resamples as each one needs."""
    draws: list[Floats] = [np.empty(0) for _ in pairs]
    unclear, resamples, tests = list(range(len(pairs))), RESAMPLES, []
    while unclear:
        more = _crossed_differences([pairs[i] for i in unclear], statistic, resamples, draw)
        for index, drawn in zip(unclear, more, strict=True):
            draws[index] = np.concatenate([draws[index], drawn])
        tests = _tests(draws, margin, families)
        clear = np.all([test.is_clear(_ERRORS_TO_STOP) for test in tests[:_DECIDING]], axis=0)
        unclear = [
            index
            for index, drawn in enumerate(draws)
            if not clear[index] and drawn.size < MAXIMUM_RESAMPLES
        ]
        resamples = max((draws[index].size for index in unclear), default=0)
    return [
        _comparison(pair, statistic, drawn, tests, index, families * len(pairs))
        for index, (pair, drawn) in enumerate(zip(pairs, draws, strict=True))
    ]


def _tests(draws: Sequence[Floats], margin: float | None, families: int) -> list[_Test]:
    """Return the tests of no difference and, with a margin, of no worse, equivalent and beyond.

    Equivalence takes the larger p-value of two tests and is corrected after that. Corrected one by
    one, the two could be wrong about different pairs, and the family twice as often as allowed.
    """
    sizes = [drawn.size for drawn in draws]

    def at_least(bound: float) -> npt.NDArray[np.int_]:
        return np.array([np.count_nonzero(drawn >= bound) for drawn in draws])

    def at_most(bound: float) -> npt.NDArray[np.int_]:
        return np.array([np.count_nonzero(drawn <= bound) for drawn in draws])

    tests = [_test(np.minimum(at_least(0.0), at_most(0.0)), sizes, families, sides=2)]
    if margin is not None:
        too_high, too_low = at_least(margin), at_most(-margin)
        tests += [
            _test(beyond, sizes, families, sides=1)
            for beyond in (too_high, np.maximum(too_high, too_low))
        ]
        not_beyond = np.minimum(at_most(margin), at_least(-margin))
        tests.append(_test(not_beyond, sizes, families, sides=2))
    return tests


@dataclass(frozen=True)
class _Draws:
    """How often engines and seeds were drawn, as shares, one row a resample.

    Attributes:
        engine_shares: (resamples, engines).
        seed_shares: (resamples, S) by the number S of seeds.
        stretch: what the drawn seeds move is multiplied with, (resamples,), likewise.

    """

    engine_shares: Floats
    seed_shares: Mapping[int, Floats]
    stretch: Mapping[int, Floats]


_Draw = Callable[[int, tuple[int, ...], int], _Draws]
"""Draws the next batch, given how many engines, the numbers of seeds, and how many resamples."""


def _drawing(random_state: int) -> _Draw:
    """Return what draws one batch after another from a random state."""
    random: np.random.Generator | None = None

    def draw(engines: int, seeds: tuple[int, ...], resamples: int) -> _Draws:
        nonlocal random
        if random is not None:
            return _draws(random, engines, seeds, resamples)
        random = np.random.default_rng(random_state)
        draws, random.bit_generator.state = _first_draws(random_state, engines, seeds, resamples)
        return draws

    return draw


@lru_cache(maxsize=4)
def _first_draws(
    random_state: int, engines: int, seeds: tuple[int, ...], resamples: int
) -> tuple[_Draws, dict[str, Any]]:
    """Return the first batch of a random state, and the state after it.

    It is kept, since drawing engines takes more time than all that is done with them, and every
    comparison on a subset draws the same ones first.
    """
    random = np.random.default_rng(random_state)
    draws = _draws(random, engines, seeds, resamples)
    return draws, dict(random.bit_generator.state)


def _draws(
    random: np.random.Generator, engines: int, seeds: tuple[int, ...], resamples: int
) -> _Draws:
    picked = random.integers(engines, size=(resamples, engines))
    picked += engines * np.arange(resamples)[:, np.newaxis]
    counts = np.bincount(picked.ravel(), minlength=resamples * engines)
    seed_shares, stretch = {}, {}
    for number in seeds:
        drawn = random.multinomial(number, np.full(number, 1 / number), size=resamples)
        seed_shares[number] = drawn / number
        stretch[number] = np.sqrt(number / random.chisquare(number - 1, resamples))
    return _Draws(counts.reshape(resamples, engines) / engines, seed_shares, stretch)


def _crossed_differences(
    pairs: Sequence[_Pair], statistic: Statistic, resamples: int, draw: _Draw
) -> list[Floats]:
    """Return resampled differences of each pair, shape (resamples,), all from the same draws."""
    engines = pairs[0][0].shape[1]
    seeds = tuple(sorted({len(first) for first, _ in pairs}))
    batches = [
        _differences_of(pairs, statistic, draw(engines, seeds, size))
        for size in _batch_sizes(resamples)
    ]
    return [np.concatenate(drawn) for drawn in zip(*batches, strict=True)]


def _batch_sizes(resamples: int) -> list[int]:
    return [min(_CROSSED_BATCH, resamples - begun) for begun in range(0, resamples, _CROSSED_BATCH)]


def _differences_of(pairs: Sequence[_Pair], statistic: Statistic, draws: _Draws) -> list[Floats]:
    engines = pairs[0][0].shape[1]
    # One product for all pairs, since the shares are large.
    by_engine = np.stack([losses.mean(axis=0) for pair in pairs for losses in pair], axis=1)
    with_engines = _statistic(draws.engine_shares @ by_engine, statistic, engines)
    differences = []
    for number, pair in enumerate(pairs):
        seeds = len(pair[0])
        shares, stretch = draws.seed_shares[seeds], draws.stretch[seeds]
        with_seeds = [
            _statistic(shares @ losses.mean(axis=1), statistic, engines) for losses in pair
        ]
        difference = _difference(pair, statistic)
        moved_by_engines = with_engines[:, 2 * number] - with_engines[:, 2 * number + 1]
        moved_by_seeds = with_seeds[0] - with_seeds[1]
        differences.append(
            difference
            + _share_of_engines(pair, statistic) * (moved_by_engines - difference)
            + stretch * (moved_by_seeds - difference)
        )
    return differences


def _linearised(pair: _Pair, statistic: Statistic) -> Floats:
    """Return by seed and engine what averages, to first order, to what moves the difference."""
    scale = pair[0].shape[1] if statistic == "sum" else 1.0
    scales = [
        1 / (2 * np.sqrt(losses.mean()) or 1.0) if statistic == "root_mean" else scale
        for losses in pair
    ]
    cells: Floats = pair[0] * scales[0] - pair[1] * scales[1]
    return cells


def _share_of_engines(pair: _Pair, statistic: Statistic) -> float:
    """Return how much of what drawn engines move is due to them, and not to single cells.

    It is a ratio of standard deviations: of the mean over engines, without and with the noise of
    single cells, which a two-way analysis of variance of the linearised difference estimates.
    """
    cells = _linearised(pair, statistic)
    seeds, engines = cells.shape
    by_engine, by_seed = cells.mean(axis=0), cells.mean(axis=1, keepdims=True)
    residuals = cells - by_engine - by_seed + cells.mean()
    noise = float(np.square(residuals).sum()) / ((seeds - 1) * (engines - 1) * seeds)
    variance = float(by_engine.var(ddof=1))
    return math.sqrt(max(0.0, 1 - noise / variance)) if variance > 0 else 0.0


def _comparison(
    pair: _Pair,
    statistic: Statistic,
    drawn: Floats,
    tests: Sequence[_Test],
    index: int,
    comparisons: int,
) -> CrossedComparison:
    difference_test, *margin_tests = tests
    difference = _difference(pair, statistic)
    low, high = np.quantile(drawn, _two_sided(1 - CONFIDENCE))
    p_no_worse = p_equivalent = p_beyond = math.nan
    is_no_worse = is_equivalent = is_beyond = None
    equivalent: bool | None = False
    if margin_tests:
        no_worse_test, equivalence_test, beyond_test = margin_tests
        p_no_worse = float(no_worse_test.corrected[index])
        p_equivalent = float(equivalence_test.corrected[index])
        is_no_worse = no_worse_test.rejects(index)
        p_beyond = float(beyond_test.corrected[index])
        equivalent = is_equivalent = equivalence_test.rejects(index)
        is_beyond = beyond_test.rejects(index)
    return CrossedComparison(
        difference=difference,
        low=float(low),
        high=float(high),
        p_value=float(difference_test.p_values[index]),
        p_holm=float(difference_test.corrected[index]),
        p_no_worse=p_no_worse,
        p_equivalent=p_equivalent,
        p_beyond=p_beyond,
        smallest_detectable=_smallest_detectable(pair, statistic, comparisons),
        seeds=len(pair[0]),
        engines=pair[0].shape[1],
        resamples=drawn.size,
        outcome=_outcome(difference, difference_test.rejects(index), equivalent),
        is_no_worse=is_no_worse,
        is_equivalent=is_equivalent,
        is_beyond=is_beyond,
    )


def _untested(pair: _Pair, statistic: Statistic) -> CrossedComparison:
    return CrossedComparison(
        difference=_difference(pair, statistic),
        low=math.nan,
        high=math.nan,
        p_value=math.nan,
        p_holm=math.nan,
        p_no_worse=math.nan,
        p_equivalent=math.nan,
        p_beyond=math.nan,
        smallest_detectable=math.nan,
        seeds=pair[0].shape[0],
        engines=pair[0].shape[1],
        resamples=0,
        outcome=Outcome.TOO_FEW_SEEDS,
        is_no_worse=None,
        is_equivalent=None,
        is_beyond=None,
    )


def _outcome(difference: float, differs: bool | None, equivalent: bool | None) -> Outcome:
    if differs:
        return Outcome.LOWER if difference < 0 else Outcome.HIGHER
    if differs is None or equivalent is None:
        return Outcome.UNDECIDED
    return Outcome.EQUIVALENT if equivalent else Outcome.TIE


def _smallest_detectable(pair: _Pair, statistic: Statistic, comparisons: int) -> float:
    """Return the difference that is found with the wanted power at Holm's strictest level.

    A difference is found beyond a critical value that hangs on the spread of a few seeds. So the
    power is averaged over the spreads that they may have, of which a share of χ² is the square.
    """
    of_seeds, of_engines = _standard_errors(pair, statistic)
    if of_seeds == 0:
        return smallest_detectable_difference(of_engines, comparisons=comparisons)
    level, degrees_of_freedom = (1 - CONFIDENCE) / comparisons, len(pair[0]) - 1
    shares = (np.arange(_SPREADS) + 0.5) / _SPREADS
    spreads = of_seeds * np.sqrt(stats.chi2.ppf(shares, degrees_of_freedom) / degrees_of_freedom)
    critical = np.array(
        [_critical_value(spread, of_engines, degrees_of_freedom, level) for spread in spreads]
    )
    noise = math.hypot(of_seeds, of_engines)

    def lacking_power(difference: float) -> float:
        return float(stats.norm.cdf((difference - critical) / noise).mean()) - POWER

    return float(optimize.brentq(lacking_power, 0.0, critical.max() + 5 * noise))


def _standard_errors(pair: _Pair, statistic: Statistic) -> tuple[float, float]:
    """Return how far drawn seeds and drawn engines each move a difference, to first order."""
    cells = _linearised(pair, statistic)
    seeds, engines = cells.shape
    of_seeds = float(cells.mean(axis=1).std(ddof=1)) / math.sqrt(seeds)
    of_engines = float(cells.mean(axis=0).std(ddof=1)) / math.sqrt(engines)
    return of_seeds, _share_of_engines(pair, statistic) * of_engines


def _critical_value(
    of_seeds: float, of_engines: float, degrees_of_freedom: int, level: float
) -> float:
    """Return what a t variable and a normal one, scaled and added up, exceed so rarely."""

    def too_often(bound: float) -> float:
        # The lower tail of the mirrored values, of the function that ``stats.t`` wraps, for speed.
        beyond = special.stdtr(degrees_of_freedom, (of_engines * _NORMAL - bound) / of_seeds)
        return float(beyond @ _DENSITY) - level / 2

    of_t, of_normal = _bounds(level / 4, degrees_of_freedom)
    highest = of_seeds * of_t + of_engines * of_normal
    return float(optimize.brentq(too_often, 0.0, highest, xtol=1e-6 * highest))


@lru_cache(maxsize=64)
def _bounds(tail: float, degrees_of_freedom: int) -> tuple[float, float]:
    """Return what Student's t and a normal variable exceed so rarely."""
    return float(stats.t.isf(tail, degrees_of_freedom)), float(stats.norm.isf(tail))


_SPREADS = 15
"""How many spreads of the seeds power is averaged over, at even steps of their distribution."""

_NORMAL = np.linspace(-8.0, 8.0, 401)
_DENSITY = stats.norm.pdf(_NORMAL) / stats.norm.pdf(_NORMAL).sum()
"""Weights with which a normal variable takes the values of ``_NORMAL``."""


def _two_sided(level: float) -> list[float]:
    return [level / 2, 1 - level / 2]


def _statistic(mean_loss: Floats, statistic: Statistic, engines: int) -> Floats:
    if statistic == "root_mean":
        roots: Floats = np.sqrt(mean_loss)
        return roots
    return mean_loss * engines if statistic == "sum" else mean_loss


def _difference(pair: _Pair, statistic: Statistic) -> float:
    first, second = (_statistic(losses.mean(), statistic, losses.shape[1]) for losses in pair)
    return float(first - second)


def _check_statistic(statistic: str) -> None:
    known = get_args(Statistic)
    if statistic not in known:
        raise ValueError(f"unknown statistic '{statistic}'; choose one of: {', '.join(known)}")


def _pair_of_losses(first: npt.ArrayLike, second: npt.ArrayLike, statistic: Statistic) -> _Pair:
    pair = _losses(first, statistic), _losses(second, statistic)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"the losses of a pair must be of one shape, not {pair[0].shape} and {pair[1].shape}"
        )
    return pair


def _losses(losses: npt.ArrayLike, statistic: Statistic) -> Floats:
    matrix = _finite(_by_seed_and_engine(losses, "losses"), "losses")
    if statistic == "root_mean" and (matrix < 0).any():
        raise ValueError("losses whose mean has its root taken must not be negative")
    return matrix


def _finite(values: Floats, what: str) -> Floats:
    """Return values that can be computed with, or raise ``ValueError``."""
    if not (np.abs(values) <= _LARGEST).all():
        raise ValueError(f"{what} must be finite numbers of {_LARGEST:g} or less")
    return values
