"""The rules by which claims about methods are decided.

A ``ProtocolRule`` decides one claim by the tests of the protocol, from records alone. It declares
the subsets, the methods and the seeds that it needs, and looks at no other record, so that it can
be asked again about records made under another training condition. What it says rests on
``beats_every_one`` and its neighbours, which know nothing of any claim.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Protocol, TypeVar, cast

import numpy as np
import pandas as pd

from rulbook.data.cmapss import SUBSETS
from rulbook.data.prepare import HEALTH_STATES
from rulbook.statistics import CONFIDENCE, holm
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import HIGHER, LOWER, _outcomes, compare_groups, rmse_by_seed
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.imbalance import protocol_runs, required_weight_growth
from rulbook.studies.methods import FIXED_METHODS, FIXED_RUL_WEIGHTS, fixed_name, method_of
from rulbook.studies.symptoms import (
    health_by_epoch,
    probe_scores,
    runs_by_optimiser,
    weights_that_serve_both,
)
from rulbook.training.record import RunRecord

BOOK_SUBSETS = ("FD002", "FD004")
"""The subsets of the book's ablation table."""

BOOK_SWEEP = ("fixed_050", "fixed_060", "fixed_075", "fixed_090", "single_task")
"""The RUL weights of the book's ablation table, rising."""

ADAPTIVE_METHODS = ("inverse_magnitude", "uncertainty", "dwa", "gradnorm", "gaba", "grace")
"""The methods that adapt their weights, as far as the sections name them."""

SMALL_RUL_WEIGHTS = tuple(fixed_name(weight) for weight in FIXED_RUL_WEIGHTS if weight < 0.45)
"""The fixed weights that give the RUL task clearly less than half."""

STATIC_METHODS = ("fixed_050", "fixed_025")
DYNAMIC_METHODS = ("inverse_magnitude", "uncertainty", "gaba")
"""The strategies that section 4.3 compares."""

FD002_GAIN = {
    "single_task": "n4.1-fd002-single-task",
    "fixed_050": "n4.1-fd002-naive",
    "gaba": "n4.1-fd002-gaba",
    "grace": "n4.1-fd002-grace",
}
"""The methods whose RMSE on FD002 §4.1 prints, and the claim of each."""


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


def gain_on_fd002_claims(records: Iterable[RunRecord]) -> dict[str, object]:
    """Return what decides §4.1's gain on FD002, by claim id.

    A method's RMSE is in cycles, and ``None`` until every seed is recorded; so is whether equal
    weights are lower than the single task. The other claims wait for what no record holds.
    """
    records = list(records)
    claims: dict[str, object] = {
        claim: rmse_by_seed(records, "FD002", name).value
        if every_seed_in(records, ["FD002"], [name])
        else None
        for name, claim in FD002_GAIN.items()
    }
    pair = ("fixed_050", "single_task")
    measured = every_seed_in(records, ["FD002"], pair)
    return claims | {
        "n4.1-fd002-drop-measured": lower_than_all(records, "FD002", pair[0], pair[1:])
        if measured
        else None,
        "n4.1-fd002-single-task-two-values": None,
        "n4.1-gradient-aware-push-further": None,
    }


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

CHANCE_MARGIN = 0.05
"""How far from chance an accuracy still counts as at chance."""

NEAR_CHANCE = CHANCE + CHANCE_MARGIN
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


def health_loss_stays_within(long: Evidence, bound: float) -> bool | None:
    """Say whether no epoch of the hundred-epoch trainings has a health loss over ``bound`` nats.

    ``None`` while records of ``long`` are missing.
    """
    if not long.complete:
        return None
    return max(epoch.health_loss for run in long.records for epoch in run.epochs) <= bound


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


def lowest_error(records: Iterable[RunRecord], subset: str, methods: Iterable[str]) -> str:
    """Return the method whose test RMSE, averaged over its seeds, is the lowest on a subset.

    Raises:
        ValueError: one of them has no completed run there.

    """
    records = list(records)
    return min(methods, key=lambda name: rmse_by_seed(records, subset, name).value)


T_co = TypeVar("T_co", covariant=True)


class ProtocolRule(Protocol[T_co]):
    """Decides a claim from records made under one training condition.

    Called with records, it returns whether the claim holds, or the number that the claim is held
    against; ``None`` while that is open. Records of other subsets, methods and seeds than its own
    change nothing.

    Attributes:
        subsets: the subsets that it needs.
        methods: the methods that it needs, on each of these subsets.
        seeds: the seeds that it needs of each method.

    """

    __name__: str
    subsets: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]

    def __call__(self, records: Iterable[RunRecord], /) -> T_co | None:
        """Return what the records say about the claim, ``None`` while that is open."""


T = TypeVar("T")


def _protocol_rule(
    subsets: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int] = SEEDS,
    *,
    waits_for_all: bool = True,
) -> Callable[[Callable[[Sequence[RunRecord]], T | None]], ProtocolRule[T]]:
    """Return a decorator that makes a rule of a function of the records that the rule needs.

    Args:
        subsets: see ``ProtocolRule``.
        methods: see ``ProtocolRule``.
        seeds: see ``ProtocolRule``.
        waits_for_all: leave the claim open until ``every_seed_in``; otherwise the function says
            itself when the claim is decided.

    """

    def declare(decide: Callable[[Sequence[RunRecord]], T | None]) -> ProtocolRule[T]:
        @wraps(decide)
        def decided(records: Iterable[RunRecord]) -> T | None:
            needed = [
                record
                for record in records
                if record.config.subset in subsets
                and record.config.seed in seeds
                and (method := method_of(record.config)) is not None
                and method.name in methods
            ]
            if waits_for_all and not every_seed_in(needed, subsets, methods, seeds):
                return None
            return decide(needed)

        rule = cast(ProtocolRule[T], decided)
        rule.subsets, rule.methods, rule.seeds = tuple(subsets), tuple(methods), tuple(seeds)
        return rule

    return declare


def rmse_rule(subset: str, method: str) -> ProtocolRule[float]:
    """Return the rule for a printed error: the test RMSE of a method over its seeds, in cycles."""

    @_protocol_rule([subset], [method])
    def mean_rmse(records: Sequence[RunRecord]) -> float:
        """Return the mean test RMSE over the seeds, capped, cycles."""
        return rmse_by_seed(records, subset, method).value

    return mean_rmse


@_protocol_rule(BOOK_SUBSETS, BOOK_SWEEP, waits_for_all=False)
def equal_weights_win(records: Sequence[RunRecord]) -> bool | None:
    """Return whether equal weights are below every other row of the book's table."""
    return beats_every_one(records, BOOK_SUBSETS, "fixed_050", BOOK_SWEEP)


@_protocol_rule(BOOK_SUBSETS, ("fixed_050", "fixed_075", "fixed_090"), waits_for_all=False)
def equal_weights_win_clearly(records: Sequence[RunRecord]) -> bool | None:
    """Return whether equal weights are below 0.75/0.25 and 0.9/0.1, beyond chance."""
    return beats_every_one(records, BOOK_SUBSETS, "fixed_050", ["fixed_075", "fixed_090"])


@_protocol_rule(("FD002",), BOOK_SWEEP)
def error_rises_with_rul_weight(records: Sequence[RunRecord]) -> bool:
    """Return whether the error on FD002 rises from each row of the book's table to the next.

    The last one must also be above the first beyond chance.
    """
    errors = [rmse_by_seed(records, "FD002", name).value for name in BOOK_SWEEP]
    first, last = BOOK_SWEEP[0], BOOK_SWEEP[-1]
    return bool((np.diff(errors) > 0).all()) and not higher_than_none(
        records, "FD002", last, [first]
    )


@_protocol_rule(BOOK_SUBSETS, ("fixed_050", *SMALL_RUL_WEIGHTS), waits_for_all=False)
def equal_weights_beat_smaller_ones(records: Sequence[RunRecord]) -> bool | None:
    """Return whether equal weights are below every smaller RUL weight."""
    return beats_every_one(records, BOOK_SUBSETS, "fixed_050", SMALL_RUL_WEIGHTS)


@_protocol_rule(BOOK_SUBSETS, ("fixed_090", "single_task"))
def single_task_is_a_cliff(records: Sequence[RunRecord]) -> bool:
    """Return whether the single task errs more than three times as much as 0.9/0.1."""
    return all(
        rmse_by_seed(records, subset, "single_task").value
        > 3 * rmse_by_seed(records, subset, "fixed_090").value
        for subset in BOOK_SUBSETS
    )


@_protocol_rule(BOOK_SUBSETS, FIXED_METHODS, waits_for_all=False)
def legacy_weights_win(records: Sequence[RunRecord]) -> bool | None:
    """Return whether the legacy edition's 0.7/0.3 are below every other fixed weights."""
    return beats_every_one(records, BOOK_SUBSETS, "fixed_legacy", FIXED_METHODS)


@_protocol_rule(SUBSETS, FIXED_METHODS)
def best_weight_differs(records: Sequence[RunRecord]) -> bool:
    """Return whether the best fixed weights depend on the subset, beyond chance.

    They do if the best ones of one subset are below, there, the best ones of another. Holm's
    correction is over all pairs of subsets whose best weights are not the same.
    """
    best = {subset: lowest_error(records, subset, FIXED_METHODS) for subset in SUBSETS}
    pairs = {
        (here, best[here], best[there])
        for here in SUBSETS
        for there in SUBSETS
        if best[here] != best[there]
    }
    p_values = [
        compare_groups(records, here, [mine], [other]).p_value
        for here, mine, other in sorted(pairs)
    ]
    return any(p < 1 - CONFIDENCE for p in holm(p_values))


@_protocol_rule(BOOK_SUBSETS, ("fixed_050", *ADAPTIVE_METHODS))
def equal_weights_keep_pace(records: Sequence[RunRecord]) -> bool:
    """Return whether equal weights are above no adaptive method, beyond chance."""
    return all(
        higher_than_none(records, subset, "fixed_050", ADAPTIVE_METHODS) for subset in BOOK_SUBSETS
    )


@_protocol_rule(("FD002",), ("gaba", "grace", "fixed_050"), waits_for_all=False)
def gradient_aware_win(records: Sequence[RunRecord]) -> bool | None:
    """Return whether GABA and GRACE are both below equal weights on FD002.

    Either one alone can settle that they are not.
    """
    below = [beats_every_one(records, ["FD002"], name, ["fixed_050"]) for name in ("gaba", "grace")]
    return False if False in below else None if None in below else True


@_protocol_rule(BOOK_SUBSETS, ("gaba", *FIXED_METHODS), waits_for_all=False)
def gaba_beats_the_sweep(records: Sequence[RunRecord]) -> bool | None:
    """Return whether GABA is below every fixed weights."""
    return beats_every_one(records, BOOK_SUBSETS, "gaba", FIXED_METHODS)


@_protocol_rule(BOOK_SUBSETS, (*DYNAMIC_METHODS, *STATIC_METHODS))
def dynamic_beat_static(records: Sequence[RunRecord]) -> bool:
    """Return whether section 4.3's dynamic strategies, taken together, are below its static ones.

    On every subset, beyond chance.
    """
    compared = [
        compare_groups(records, subset, DYNAMIC_METHODS, STATIC_METHODS) for subset in BOOK_SUBSETS
    ]
    return all(one.difference < 0 and not one.is_tie for one in compared)


@_protocol_rule(BOOK_SUBSETS, ("gaba",))
def gaba_last_rul_weight(records: Sequence[RunRecord]) -> float:
    """Return GABA's RUL weight in the last epoch, averaged over its completed runs."""
    runs = completed_runs(records)
    last = [
        run.epochs[-1].weights["rul_weight"]
        for subset in BOOK_SUBSETS
        for run in runs[subset, "gaba"].values()
    ]
    return float(np.mean(last))
