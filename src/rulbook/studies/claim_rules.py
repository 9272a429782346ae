"""The rules by which claims about methods are decided."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from rulbook.data.prepare import HEALTH_STATES
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import HIGHER, LOWER, _outcomes
from rulbook.studies.evidence import Evidence
from rulbook.studies.imbalance import protocol_runs, required_weight_growth
from rulbook.studies.methods import FIXED_RUL_WEIGHTS, fixed_name, method_of
from rulbook.studies.symptoms import (
    health_by_epoch,
    probe_scores,
    runs_by_optimiser,
    weights_that_serve_both,
)
from rulbook.training.record import RunRecord


def every_seed_in(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    methods: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool:
    """Return whether every seed is recorded for all of these methods on all of these subsets.

    This is the rule by which a claim about methods is decided. A run that diverged counts as
    recorded: it will not come out otherwise. A method all of whose runs diverged has no error to
    compare, and leaves the claim open.
    """
    recorded = set()
    completed = set()
    for record in records:
        method = method_of(record.config)
        if method is not None:
            recorded.add((record.config.subset, method.name, record.config.seed))
            if record.test is not None:
                completed.add((record.config.subset, method.name))
    wanted = [(subset, method) for subset in subsets for method in methods]
    return all(pair in completed for pair in wanted) and all(
        (*pair, seed) in recorded for pair in wanted for seed in seeds
    )


def lower_than_all(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error below that of every other one.

    Holm's correction is over the others. A tie is not lower: a method that merely has the smallest
    number of a list has not been shown to be the best of it.
    """
    return _outcomes(records, subset, method, others) == {HIGHER}


def beats_every_one(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    method: str,
    others: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool | None:
    """Return whether a method has the lower error than every other one, on every subset.

    It has not as soon as there is one other, with every seed of both recorded, below which the
    primary test does not put it: whatever is recorded later can only add to Holm's correction. It
    has when every seed of all of them is recorded.

    Returns:
        ``None`` while neither is so.

    """
    records, others, open_yet = list(records), set(others) - {method}, False
    for subset in subsets:
        complete = [
            name for name in others if every_seed_in(records, [subset], [method, name], seeds)
        ]
        if complete and not lower_than_all(records, subset, method, complete):
            return False
        open_yet |= len(complete) < len(others)
    return None if open_yet else True


def higher_than_none(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error above that of no other one."""
    return LOWER not in _outcomes(records, subset, method, others)


def required_weight_quadruples(records: Iterable[RunRecord]) -> bool:
    """Return whether the balancing weight doubles, then quadruples by epoch 30 (§12.4, pitfall 3).

    It has where, on every subset, it is four times that of the first epoch at epoch 30 and has
    doubled on the way. The records are those of trainings of at least thirty epochs.
    """
    growth = required_weight_growth(records)
    return bool((growth.loc[30] >= 4).all() and (growth.loc[:30].max() >= 2).all())


# The symptoms of §12.4, on trainings of the plain sum ----------------------------------------

CHANCE = 1 / len(HEALTH_STATES)
"""Balanced accuracy of a classifier of the health states that has learned nothing."""

NEAR_CHANCE = CHANCE + 0.05
"""A balanced accuracy up to this counts as chance."""


def is_near_chance(balanced_accuracy: float) -> bool:
    """Return whether a balanced accuracy of the health states is at most ``NEAR_CHANCE``."""
    return balanced_accuracy <= NEAR_CHANCE


def chance_is_one_third(most_frequent: Iterable[float]) -> bool:
    """Return whether naming the most frequent state always scores about one third everywhere.

    Args:
        most_frequent: share of the most frequent state among the windows of each subset.

    """
    return all(abs(share - CHANCE) < NEAR_CHANCE - CHANCE for share in most_frequent)


def rul_error_halves(imbalance: Evidence) -> bool | None:
    """Return whether the RUL task trains: its validation error ends below half the first epoch's.

    Like every rule on the study *imbalance* that follows, it speaks of the mean over seeds, has to
    hold on each of the study's subsets, and is ``None`` while a run of the study is missing.
    """
    return _on_each_subset(
        imbalance,
        lambda epochs: (
            epochs.loc[epochs["selected"], "rmse"].mean()
            < epochs.loc[epochs["epoch"] == 1, "rmse"].mean() / 2
        ),
    )


def health_is_at_chance_after(imbalance: Evidence, epoch: int) -> bool | None:
    """Return whether the health accuracy after ``epoch`` epochs, counted from 1, is at most 1/3."""
    return _on_each_subset(
        imbalance,
        lambda epochs: epochs.loc[epochs["epoch"] == epoch, "health_accuracy"].mean() <= CHANCE,
    )


def critical_recall_is_below(imbalance: Evidence, bound: float) -> bool | None:
    """Return whether the recall of the critical state at the selected epoch is below ``bound``."""
    return _on_each_subset(
        imbalance,
        lambda epochs: epochs.loc[epochs["selected"], "recall_critical"].mean() < bound,
    )


def health_accuracy_reached(imbalance: Evidence) -> float | None:
    """Return the health accuracy at the selected epoch, %, mean over seeds, then over subsets.

    It is ``None`` while a run of the study is missing.
    """
    if not imbalance.complete:
        return None
    epochs = health_by_epoch(protocol_runs(imbalance.records))
    selected = epochs[epochs["selected"]]
    return float(100 * selected.groupby("subset")["health_accuracy"].mean().mean())


def probe_is_at_chance(imbalance: Evidence) -> bool | None:
    """Return whether a linear probe on the trained trunk stays near chance on each subset."""
    if not imbalance.complete:
        return None
    probes = probe_scores(protocol_runs(imbalance.records))
    return all(map(is_near_chance, probes.groupby("subset")["balanced"].mean()))


def adam_and_sgd_agree(optimisers: Evidence) -> bool | None:
    """Return whether both end within 1 % of Adam's health accuracy, mean over seeds, on FD002.

    It is ``None`` while a run of the study *optimisers* is missing.
    """
    if not optimisers.complete:
        return None
    ends = final_health_accuracy(runs_by_optimiser((), optimisers))
    return bool(abs(ends["adam"] - ends["sgd"]) <= 0.01 * ends["adam"])


def final_health_accuracy(runs: Mapping[str, Iterable[RunRecord]]) -> dict[str, float]:
    """Return the mean health accuracy at the selected epoch of each group's completed runs."""
    accuracies = {}
    for name, group in runs.items():
        epochs = health_by_epoch(run for run in group if run.test is not None)
        accuracies[name] = float(epochs.loc[epochs["selected"], "health_accuracy"].mean())
    return accuracies


SERVED_SUBSETS = ("FD002", "FD004")
"""Where a fixed weight that serves both tasks is looked for."""


def weights_serving_both(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Return the fixed weights that serve both tasks, by subset, as ``weights_that_serve_both``.

    It is empty while a seed of a fixed weight or of the single task is missing on one of
    ``SERVED_SUBSETS``.
    """
    weights = [fixed_name(weight) for weight in FIXED_RUL_WEIGHTS]
    if not every_seed_in(records, SERVED_SUBSETS, [*weights, "single_task"]):
        return {}
    return {subset: weights_that_serve_both(records, subset, weights) for subset in SERVED_SUBSETS}


def no_fixed_weight_serves_both(serving: Mapping[str, Sequence[str]]) -> bool | None:
    """Return whether ``weights_serving_both`` names none on any subset; ``None`` if it is empty."""
    return not any(serving.values()) if serving else None


def _on_each_subset(imbalance: Evidence, holds: Callable[[pd.DataFrame], bool]) -> bool | None:
    """Return whether ``holds`` is true of the epochs of every subset."""
    if not imbalance.complete:
        return None
    epochs = health_by_epoch(protocol_runs(imbalance.records))
    return bool(all(holds(of_subset) for _, of_subset in epochs.groupby("subset")))
