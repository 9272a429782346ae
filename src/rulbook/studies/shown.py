"""What records show of errors and means: that a statement holds, that it does not, or neither."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import pandas as pd

from rulbook.statistics import MINIMUM_SEEDS, Outcome, compare_crossed, over_seeds
from rulbook.studies.comparison import NoCommonSeedError, comparison_table, losses_of_groups
from rulbook.studies.holds import Holds
from rulbook.studies.measures import MEASURES
from rulbook.training.record import RunRecord

Records = Sequence[RunRecord]

HoldsOn = Callable[[Records, str], Holds]
"""Whether a statement holds on one subset, by records under one training condition."""


_IS_LOWER: Mapping[Outcome, Holds] = {
    Outcome.HIGHER: True,
    Outcome.LOWER: False,
    Outcome.EQUIVALENT: False,
}
"""Whether a method is lower than another, by the outcome of the other against it."""


def is_lower(
    records: Records, subset: str, method: str, others: Collection[str], subsets: int = 1
) -> dict[str, Holds]:
    """Return, for each other method, whether ``method`` is shown to have a lower RMSE.

    Holm's correction is over the others, times the number of ``subsets`` on which this is asked. It
    is not lower where it is shown to be higher, or to differ by less than the margin.
    """
    outcomes = _outcomes_against(records, subset, method, others, subsets)
    return {other: _IS_LOWER.get(outcome) for other, outcome in outcomes.items()}


def are_lower(
    records: Records, subset: str, pairs: Sequence[tuple[str, str]], subsets: int = 1
) -> dict[tuple[str, str], Holds]:
    """Return, for each pair of methods, whether the first is shown to have a lower RMSE.

    As ``is_lower``, for any pairs, among which Holm's correction is.
    """
    rmse = MEASURES["rmse"]
    losses = {}
    for method, other in pairs:
        with suppress(NoCommonSeedError):
            of_other, of_method = losses_of_groups(records, subset, ([other], [method]))
            losses[method, other] = of_other, of_method
    compared = compare_crossed(
        list(losses.values()), rmse.statistic, margin=rmse.margin, families=subsets
    )
    outcomes = dict(zip(losses, (pair.outcome for pair in compared), strict=True))
    return {pair: _IS_LOWER.get(outcomes.get(pair, Outcome.TOO_FEW_SEEDS)) for pair in pairs}


def is_no_worse(
    records: Records, subset: str, method: str, others: Collection[str], subsets: int = 1
) -> dict[str, Holds]:
    """Return, for each other method, whether ``method`` has an RMSE at most the margin above it.

    That it has is tested against each one alone, without a correction, since a claim needs it of
    all of them. That it has not is shown where its RMSE is higher by more than the margin,
    corrected as in ``is_lower``.
    """

    def is_shown(other: str) -> bool:
        alone = comparison_table(records, subset, reference=other, methods=[method])
        return any(shown is True for shown in alone["is_no_worse"])

    table = _against(records, subset, method, others, subsets)
    columns = (table[name] for name in ("method", "is_beyond", "difference"))
    worse = {
        name
        for name, is_beyond, difference in zip(*columns, strict=True)
        if is_beyond is True and difference < 0
    }
    return {
        other: True if is_shown(other) else False if other in worse else None
        for other in others
        if other != method
    }


def is_near(records: Records, subset: str, method: str, other: str, subsets: int = 1) -> Holds:
    """Return whether the RMSE of a method is within the margin of another's, on either side.

    It is where the two are shown to be equivalent, and not where they are shown to differ by more
    than the margin. Either is corrected for the number of ``subsets`` on which it is asked.
    """
    table = _against(records, subset, other, [method], subsets)
    if any(shown is True for shown in table["is_equivalent"]):
        return True
    return False if any(shown is True for shown in table["is_beyond"]) else None


def exceeds_by_factor(
    records: Records, subset: str, method: str, other: str, factor: float, subsets: int = 1
) -> Holds:
    """Return whether a method's RMSE is shown to be above ``factor`` times that of the other.

    The p-value is multiplied by the number of ``subsets`` on which this is asked.
    """
    try:
        of_method, of_other = losses_of_groups(records, subset, ([method], [other]))
    except NoCommonSeedError:
        return None
    (scaled,) = compare_crossed([(of_method, factor**2 * of_other)], families=subsets)
    return {Outcome.HIGHER: True, Outcome.LOWER: False}.get(scaled.outcome)


def mean_is_at_most(values: Sequence[float], bound: float) -> Holds:
    """Return whether the mean over seeds is at most ``bound``, by its t interval."""
    if len(values) < MINIMUM_SEEDS:
        return None
    mean = over_seeds(values)
    return True if mean.high <= bound else False if mean.low > bound else None


def _outcomes_against(
    records: Records, subset: str, method: str, others: Collection[str], subsets: int = 1
) -> dict[str, Outcome]:
    """Return the outcome of each other method against ``method``, corrected as in ``is_lower``."""
    table = _against(records, subset, method, others, subsets)
    outcomes = dict(zip(table["method"], table["outcome"], strict=True))
    return {
        name: Outcome(outcomes.get(name, Outcome.TOO_FEW_SEEDS))
        for name in others
        if name != method
    }


def _against(
    records: Records, subset: str, method: str, others: Collection[str], subsets: int
) -> pd.DataFrame:
    """Return the comparison of each other method with ``method``, corrected as in ``is_lower``."""
    names = [other for other in others if other != method]
    return comparison_table(records, subset, reference=method, methods=names, families=subsets)
