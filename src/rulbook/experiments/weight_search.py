"""Search for the RUL weight of a fixed weighting: by grid, at random, and guided (legacy §9.1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import optuna
from scipy.special import expit, logit

from rulbook.errors import unknown_name
from rulbook.optuna_log import quiet_optuna
from rulbook.statistics import CONFIDENCE, MARGIN, Comparison, holm
from rulbook.typing import Floats, Integers

Strategy = Literal["grid", "random", "bayesian"]
Scale = Literal["linear", "log_odds"]

Evaluate = Callable[[Floats, Integers], npt.ArrayLike]
"""Trains once for each RUL weight, shape (repeats, trainings), those of a row with the seed of that
row, shape (repeats,), and returns the scores, shape (repeats, trainings), lower being better."""

WEIGHT_RANGES: dict[Scale, tuple[float, float]] = {
    "linear": (0.0, 1.0),
    "log_odds": (1e-4, 1 - 1e-4),
}
"""Smallest and largest RUL weight of a search on each scale; a grid stays inside both."""

RANDOM_STARTS = 3
"""Random trainings before the guided search begins to guide.

Optuna's own default is ten, which at a budget below ten leaves nothing but random search.
"""

SEARCH_KINDS: Mapping[str, tuple[Strategy, Scale]] = {
    "grid, 0.1 to 0.9": ("grid", "linear"),
    "grid": ("grid", "log_odds"),
    "random": ("random", "log_odds"),
    "Bayesian": ("bayesian", "log_odds"),
}
"""The searches that are compared, by the name that readers see."""

PLATEAU_ABOVE = 0.01
"""RUL weights above this count as those among which the error hardly depends on the weight."""

STEEP_BELOW = 0.001
"""RUL weights below this count as those at which the RUL task has too little weight."""

_POSITION: dict[str, optuna.distributions.BaseDistribution] = {
    "position": optuna.distributions.FloatDistribution(0.0, 1.0)
}


@dataclass(frozen=True)
class Searches:
    """What repeated searches with one strategy tried.

    Attributes:
        rul_weights: RUL weight of every training, in the order of the search, shape
            (repeats, budget); the health weight is what is missing to 1.
        scores: the score of every training, same shape, lower being better.
    """

    rul_weights: Floats
    scores: Floats

    @property
    def best_so_far(self) -> Floats:
        """Return the lowest score after each training, shape (repeats, budget)."""
        return np.minimum.accumulate(self.scores, axis=1)

    @property
    def chosen(self) -> Floats:
        """Return the RUL weight with the lowest score of each search, shape (repeats,)."""
        best = np.argmin(self.scores, axis=1, keepdims=True)
        return np.take_along_axis(self.rul_weights, best, axis=1)[:, 0]


@dataclass(frozen=True)
class SearchGains:
    """What searches of several kinds found and what it was worth, errors in cycles.

    Attributes:
        lowest_chosen: the smallest RUL weight that a search chose.
        highest_chosen: the largest one.
        plateau_sd: standard deviation of the validation RMSE over all trainings with a RUL weight
            above ``PLATEAU_ABOVE``.
        steepest: mean validation RMSE below ``STEEP_BELOW`` minus that above ``PLATEAU_ABOVE``.
        largest_gain: the most that a kind of search lowers the test RMSE against 0.5/0.5.
        detectable: the largest of the smallest differences that the comparisons would have found,
            as each of them was corrected for their number.
        told_apart: how many kinds are told from 0.5/0.5, with Holm's correction over the kinds.

    """

    lowest_chosen: float
    highest_chosen: float
    plateau_sd: float
    steepest: float
    largest_gain: float
    detectable: float
    told_apart: int


def search_gains(
    searches: Mapping[str, Searches], against_half: Mapping[str, Comparison]
) -> SearchGains:
    """Summarise searches whose scores are validation RMSE in cycles.

    Args:
        searches: by kind.
        against_half: by kind, the test RMSE with the chosen weights minus that of 0.5/0.5, over
            seeds, cycles.

    """
    scores = np.concatenate([one.scores.ravel() for one in searches.values()])
    weights = np.concatenate([one.rul_weights.ravel() for one in searches.values()])
    chosen = np.concatenate([one.chosen for one in searches.values()])
    plateau = scores[weights > PLATEAU_ABOVE]
    comparisons = list(against_half.values())
    corrected = holm([comparison.p_value for comparison in comparisons])
    return SearchGains(
        lowest_chosen=float(chosen.min()),
        highest_chosen=float(chosen.max()),
        plateau_sd=float(plateau.std(ddof=1)),
        steepest=float(scores[weights < STEEP_BELOW].mean() - plateau.mean()),
        largest_gain=max(-comparison.difference for comparison in comparisons),
        detectable=max(comparison.smallest_detectable for comparison in comparisons),
        told_apart=sum(p_value < 1 - CONFIDENCE for p_value in corrected),
    )


def search_claims(
    searches: Mapping[str, Searches],
    against_half: Mapping[str, Comparison],
    shape: tuple[int, int],
    trained: int,
) -> dict[str, object]:
    """Return what decides whether searches can choose the weights, and what a candidate costs.

    A search can if all of its trainings have been run, and if its choice is shown to be no worse
    than 0.5/0.5: the whole interval of the difference lies below the margin, half a cycle.

    Args:
        searches: by kind.
        against_half: see ``search_gains``.
        shape: repeats and budget of every kind.
        trained: how many trainings were run for all of them.

    """
    return {
        "l9.1-search-methods": all(
            one.rul_weights.shape == shape and against_half[name].high < MARGIN
            for name, one in searches.items()
        ),
        "l9.1-search-expensive": trained == sum(one.rul_weights.size for one in searches.values()),
    }


def decades(rul_weights: npt.ArrayLike) -> Floats:
    """Return the logarithm to base 10 of the ratio of the two weights, same shape."""
    weights = np.asarray(rul_weights, dtype=np.float64)
    return np.asarray(np.log10(weights / (1 - weights)))


def weight_at(position: npt.ArrayLike, scale: Scale) -> Floats:
    """Return the RUL weight at positions between 0 and 1 of a search range, same shape.

    Args:
        position: 0 is the smallest weight of the range, 1 the largest.
        scale: ``"linear"`` in the weight itself, the scale on which the source lists its grid, or
            ``"log_odds"``, linear in ``log(w / (1 - w))``, the logarithm of the ratio of the two
            weights.

    Raises:
        UsageError: there is no such scale.

    """
    if scale not in WEIGHT_RANGES:
        raise unknown_name("scale", scale, WEIGHT_RANGES)
    low, high = WEIGHT_RANGES[scale]
    where = np.asarray(position, dtype=np.float64)
    if scale == "linear":
        return low + (high - low) * where
    weight: Floats = expit(logit(low) + (logit(high) - logit(low)) * where)
    return weight


def grid(budget: int, scale: Scale) -> Floats:
    """Return ``budget`` RUL weights at equal distances inside a range, without its ends.

    Nine on the linear scale are 0.1 to 0.9.

    Raises:
        UsageError: there is no such scale.

    """
    return weight_at(np.arange(1, budget + 1) / (budget + 1), scale)


def search(
    strategy: Strategy,
    scale: Scale,
    evaluate: Evaluate,
    *,
    budget: int = 9,
    repeats: int = 8,
    seed: int = 42,
) -> Searches:
    """Search several times with one strategy, ``budget`` trainings each.

    Every strategy pays for the same number of trainings. Repeat r trains with the seed
    ``seed + r`` throughout, whatever the strategy, so that the repeats of two strategies pair. A
    score of NaN, from a training that diverged, counts as infinite.

    Args:
        strategy: ``"grid"`` (see ``grid``); ``"random"``, uniform over the range; or
            ``"bayesian"``, Optuna's tree-structured Parzen estimator after ``RANDOM_STARTS``
            random trainings.
        scale: scale of the range, see ``weight_at``.
        evaluate: what a training is. Strategies that do not look back hand all of their trainings
            over at once; the guided one hands over one training of every repeat at a time.
        budget: trainings a search, at least 1.
        repeats: searches, at least 1.
        seed: seed of the first search.

    Raises:
        UsageError: there is no such strategy or scale.
        ValueError: ``budget`` or ``repeats`` is below 1.

    """
    if strategy not in get_args(Strategy):
        raise unknown_name("search strategy", strategy, get_args(Strategy))
    if min(budget, repeats) < 1:
        raise ValueError(f"a search needs a budget and repeats of 1 or more: {budget}, {repeats}")
    with quiet_optuna():
        studies = [_study(strategy, budget, seed + repeat) for repeat in range(repeats)]
        seeds = seed + np.arange(repeats, dtype=np.int64)
        together = 1 if strategy == "bayesian" else budget
        weights, scores = np.empty((2, repeats, budget))
        for first in range(0, budget, together):
            trials = [[study.ask(_POSITION) for _ in range(together)] for study in studies]
            positions = [[trial.params["position"] for trial in row] for row in trials]
            tried = weight_at(positions, scale)
            found = np.asarray(evaluate(tried, seeds), np.float64)
            found = np.where(np.isnan(found), np.inf, found)
            for study, row, values in zip(studies, trials, found, strict=True):
                for trial, value in zip(row, values, strict=True):
                    study.tell(trial, value)
            weights[:, first : first + together] = tried
            scores[:, first : first + together] = found
    return Searches(weights, scores)


def _study(strategy: Strategy, budget: int, seed: int) -> optuna.Study:
    """Return an Optuna study that asks for the positions of one search, one after another."""
    if strategy == "bayesian":
        return optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_STARTS)
        )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    if strategy == "grid":
        # Its GridSampler stops the study after the last point, which ask-and-tell does not allow.
        for number in range(1, budget + 1):
            study.enqueue_trial({"position": number / (budget + 1)})
    return study
