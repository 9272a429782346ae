"""Rules about the course of trainings with equal weights: losses, gradients, health accuracy.

Each says whether a statement holds on one subset, by records under one training condition.
"""

from typing import Literal

import numpy as np
import pandas as pd

from rulbook.statistics import MINIMUM_SEEDS
from rulbook.studies import claim_rules
from rulbook.studies.evidence import completed_runs, error_over_best_constant
from rulbook.studies.fixed_weights import change_of_balance, course_of
from rulbook.studies.holds import Holds, all_of, decided_in_each, opposite, those_decided
from rulbook.studies.imbalance import required_weight_growth, typical_cosine
from rulbook.studies.shown import HoldsOn, Records, mean_is_at_most
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

QUADRUPLED_BY = 30
"""The epoch by which the balancing weight has quadrupled (§12.4, pitfall 3)."""


def equal_weight_runs(records: Records, subset: str) -> list[RunRecord]:
    """Return the runs with equal weights, which step as the plain sum of the losses does."""
    return list(completed_runs(records).get((subset, EQUAL_WEIGHTING), {}).values())


def rul_task_trains(records: Records, subset: str) -> Holds:
    """Return whether the test RMSE is at most half of that of the best constant prediction.

    The first epoch is no reference: a quick training has learned most of what it learns by its end.
    """
    runs = equal_weight_runs(records, subset)
    return mean_is_at_most(list(map(error_over_best_constant, runs)), 0.5)


def _accuracies_selected_and_last(records: Records, subset: str) -> tuple[list[float], list[float]]:
    """Return the health accuracy of each run at its selected epoch, and at its last one.

    The selected epoch is the one with the lowest RUL error. Where a training goes on, the health
    head may learn after it.
    """
    runs = equal_weight_runs(records, subset)
    return (
        [run.selected_validation().health_accuracy for run in runs],
        [run.last_validation().health_accuracy for run in runs],
    )


def plateau_at_chance(records: Records, subset: str) -> Holds:
    """Return whether the health accuracy is no better than near chance, late in a training.

    The source names no epoch, as it names no subset. So the selected epoch and the last one count
    as two subsets do: where one of them is open the other decides. An accuracy below chance counts
    as at chance: the source's diagnostic has no lower bound.
    """
    return those_decided(
        mean_is_at_most(accuracies, claim_rules.NEAR_CHANCE)
        for accuracies in _accuracies_selected_and_last(records, subset)
    )


def fails_on_every_seed(records: Records, subset: str) -> Holds:
    """Return whether every seed has a health accuracy that is no better than near chance.

    Both the selected epoch and the last one are looked at.
    """
    selected, last = _accuracies_selected_and_last(records, subset)
    if len(selected) < MINIMUM_SEEDS:
        return None
    return those_decided(
        all(accuracy <= claim_rules.NEAR_CHANCE for accuracy in accuracies)
        for accuracies in (selected, last)
    )


def health_accuracy_at_epoch(number: int) -> HoldsOn:
    """Return a rule: after so many epochs the health accuracy is at most that of chance."""

    def at_most_chance(records: Records, subset: str) -> Holds:
        runs = [run for run in equal_weight_runs(records, subset) if len(run.epochs) >= number]
        accuracies = [run.epochs[number - 1].validation.health_accuracy for run in runs]
        return mean_is_at_most(accuracies, claim_rules.CHANCE)

    return at_most_chance


def critical_recall_below(bound: float) -> HoldsOn:
    """Return a rule: at the selected epoch the critical state has a recall of at most ``bound``."""

    def below(records: Records, subset: str) -> Holds:
        runs = equal_weight_runs(records, subset)
        recalls = [run.selected_validation().health_recall[-1] for run in runs]
        return mean_is_at_most(recalls, bound)

    return below


def probe_near_chance(records: Records, subset: str) -> Holds:
    """Return whether a linear probe of the trained trunk is no better than near chance."""
    probes = [run.probe for run in equal_weight_runs(records, subset) if run.probe is not None]
    return mean_is_at_most([probe.balanced_accuracy for probe in probes], claim_rules.NEAR_CHANCE)


def losses_between(loss: Literal["rul_loss", "health_loss"], low: float, high: float) -> HoldsOn:
    """Return a rule: the lowest and the highest mean loss of an epoch are within these bounds."""

    def holds_on(records: Records, subset: str) -> Holds:
        courses = [course_of(run)[loss] for run in equal_weight_runs(records, subset)]
        lowest, highest = ([c.min() for c in courses], [c.max() for c in courses])
        return _means_are_within(lowest, highest, low, high)

    return holds_on


def typical_loss_near(loss: Literal["rul_loss", "health_loss"], printed: float) -> HoldsOn:
    """Return a rule: the mean loss of the median epoch is about ``printed``.

    About is from half of it to one and a half times it, a threshold of this companion.
    """

    def holds_on(records: Records, subset: str) -> Holds:
        typical = [course_of(run)[loss].median() for run in equal_weight_runs(records, subset)]
        return _means_are_within(typical, typical, 0.5 * printed, 1.5 * printed)

    return holds_on


def _means_are_within(lowest: list[float], highest: list[float], low: float, high: float) -> Holds:
    """Return whether the mean of ``lowest`` is above ``low`` and that of ``highest`` below."""
    return all_of([opposite(mean_is_at_most(lowest, low)), mean_is_at_most(highest, high)])


def balance_drifts(records: Records, subset: str) -> Holds:
    """Return whether the balancing weight changes by more than a factor of two over a training."""
    changes = [change_of_balance(course_of(run)) for run in equal_weight_runs(records, subset)]
    return opposite(mean_is_at_most(list(np.abs(np.log2(changes))), 1))


def gradients_disagree(records: Records, subset: str) -> Holds:
    """Return whether the cosine of the two gradients is typically negative."""
    cosines = [typical_cosine([run]) for run in equal_weight_runs(records, subset)]
    return mean_is_at_most(cosines, 0.0)


def gradients_conflict(records: Records, subset: str) -> Holds:
    """Return whether at one step in twenty of a typical epoch the cosine is negative.

    The first epoch is left out: there the heads are what they were drawn as. The typical one is the
    median of the others.
    """
    runs = equal_weight_runs(records, subset)
    return mean_is_at_most([course_of(run)["cosine_low"].iloc[1:].median() for run in runs], 0)


def gradients_differ_tenfold(records: Records, subset: str) -> Holds:
    """Return whether in some epoch the median step has one gradient ten times as long."""
    decades = [
        np.abs(np.log10(course_of(run)["norm_ratio"])).max()
        for run in equal_weight_runs(records, subset)
    ]
    return opposite(mean_is_at_most(decades, 1))


def balancing_weight_quadruples(records: Records, subset: str) -> Holds:
    """Return whether the weight that balances the gradients has grown fourfold by epoch 30.

    The source does not say since when. Both readings are taken: since the first epoch, and since
    the last one of the warm-up, from when on the residual decays, which is the source's reason. One
    that is open leaves the claim open.
    """
    runs = equal_weight_runs(records, subset)
    return decided_in_each(
        [_quadruples_since_the_start(runs, subset), _quadruples_after_warm_up(runs, subset)]
    )


def _quadruples_since_the_start(runs: Records, subset: str) -> Holds:
    """Return whether the weight is four times that of epoch 1 at the epoch by which it has to be.

    It moves as the median gradient ratio of an epoch does. A training that ends before is read at
    its last epoch, and can show that the weight has quadrupled, and not that it has not. A peak on
    the way does not count. Growth is averaged over seeds on a log scale.
    """
    doublings = [_doublings(run, subset).loc[:QUADRUPLED_BY].iloc[-1] for run in runs]
    quadruples = opposite(mean_is_at_most(doublings, np.log2(4)))
    lasted = all(len(run.epochs) >= QUADRUPLED_BY for run in runs)
    return quadruples if quadruples or lasted else None


def _quadruples_after_warm_up(runs: Records, subset: str) -> Holds:
    """Return whether the weight quadruples from the end of the warm-up; one that falls does not."""
    since = []
    for run in runs:
        warmed_up = max(round(run.config.warm_up * run.config.max_epochs), 1)
        doublings = _doublings(run, subset).loc[warmed_up:QUADRUPLED_BY]
        if len(doublings) > 1:
            since.append(doublings - doublings.iloc[0])
    grown = [course.iloc[-1] for course in since]
    if opposite(mean_is_at_most(grown, np.log2(4))):
        return True
    return False if mean_is_at_most(grown, 0) else None


def _doublings(run: RunRecord, subset: str) -> pd.Series:
    """Return the binary logarithm of how many times its first value the weight is, by epoch."""
    return required_weight_growth([run])[subset].map(np.log2)
