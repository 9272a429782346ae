"""Rules about methods: which has the lower error, and whether a fixed weight serves both tasks.

Each says whether a statement holds on one subset, by records under one training condition.
"""

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise

import numpy as np

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES
from rulbook.statistics import (
    CONFIDENCE,
    MINIMUM_SEEDS,
    Outcome,
    compare_over_seeds,
    holm,
    p_value_below,
)
from rulbook.studies import claim_rules
from rulbook.studies.claim_rules import (
    ADAPTIVE_METHODS,
    AS_LABELLED,
    BOOK_SWEEP,
    every_seed_in,
    lowest_error,
)
from rulbook.studies.comparison import NoCommonSeedError, compare_groups, comparison_table
from rulbook.studies.evidence import completed_runs
from rulbook.studies.fixed_weights import best_weights
from rulbook.studies.holds import Holds, all_of, any_of, decided_in_each, opposite
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import FIXED_METHODS
from rulbook.studies.shown import (
    HoldsOn,
    Records,
    are_lower,
    exceeds_by_factor,
    is_lower,
    is_near,
    is_no_worse,
)
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, FIXED_RUL_WEIGHTS, fixed_name

FIXED_SWEEP = tuple(fixed_name(weight) for weight in FIXED_RUL_WEIGHTS)
"""The fixed weights among which one that serves both tasks is looked for."""

RECALL_MARGIN = 0.05
"""How far below that of an adaptive method the mean recall of a weight that serves may be."""

Reading = Mapping[str, str]
"""The method that is taken for each row of ``BOOK_SWEEP``."""

_READINGS: tuple[Reading, ...] = ({name: name for name in BOOK_SWEEP}, AS_LABELLED)


HoldsInReading = Callable[[Records, str, Reading, int], Holds]
"""Whether a statement holds on one of so many subsets, in one reading of the ablation table."""


def in_both_readings(holds: HoldsInReading, subsets: Collection[str]) -> HoldsOn:
    """Return a rule that reads the ablation table in both ways: by its text, and by its labels.

    The text speaks of the weights of a plain sum of the losses, the labels of AMNL. A reading that
    is open leaves the claim open: AMNL shares its inner loss with few of the other methods, so an
    answer by its labels alone may be one about inner losses (§24.1, pitfall 4). So both have to
    agree, and the correction is over the ``subsets`` but not over the readings.
    """
    return lambda records, subset: decided_in_each(
        holds(records, subset, reading, len(subsets)) for reading in _READINGS
    )


def is_winner(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether the row of 0.5 is shown to be below every other row of the table."""
    rows = reading.values()
    return all_of(is_lower(records, subset, reading[EQUAL_WEIGHTING], rows, subsets).values())


def has_clear_margins(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether the row of 0.5 is shown to be below the two rows next in the text."""
    closest = [reading["fixed_075"], reading["fixed_090"]]
    return all_of(is_lower(records, subset, reading[EQUAL_WEIGHTING], closest, subsets).values())


def in_order(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether each row of the table is shown to be below the next one."""
    rows = [reading[name] for name in BOOK_SWEEP]
    return all_of(are_lower(records, subset, list(pairwise(rows)), subsets).values())


def error_triples(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether the RMSE of the single task is shown to be three times that of 0.9."""
    single, heavy = reading["single_task"], reading["fixed_090"]
    return exceeds_by_factor(records, subset, single, heavy, 3, subsets)


def heavy_is_near_single(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether the RMSE of 0.9 is within the margin of the single task."""
    return is_near(records, subset, reading["fixed_090"], reading["single_task"], subsets)


def keeps_pace(records: Records, subset: str, reading: Reading, subsets: int) -> Holds:
    """Return whether the row of 0.5 is shown to be no worse than any adaptive method."""
    equal = reading[EQUAL_WEIGHTING]
    return all_of(is_no_worse(records, subset, equal, ADAPTIVE_METHODS, subsets).values())


def dynamic_beats_static(subsets: Collection[str]) -> HoldsOn:
    """Return a rule: the dynamic methods, pooled, are shown to be below the static ones.

    The correction is over the ``subsets`` on which it is asked.
    """
    groups = claim_rules.DYNAMIC_METHODS, claim_rules.STATIC_METHODS

    def holds_on(records: Records, subset: str) -> Holds:
        try:
            compared = compare_groups(records, subset, *groups, families=len(subsets))
        except NoCommonSeedError:
            return None
        said = {Outcome.LOWER: True, Outcome.HIGHER: False, Outcome.EQUIVALENT: False}
        return said.get(compared.outcome)

    return holds_on


def lower_than(method: str, others: Collection[str], subsets: Collection[str]) -> HoldsOn:
    """Return a rule: a method is shown to have a lower RMSE than each of the others.

    The correction is over the others and over the ``subsets`` on which it is asked.
    """
    return lambda records, subset: all_of(
        is_lower(records, subset, method, others, len(subsets)).values()
    )


def each_lower_than(methods: Collection[str], other: str, subsets: Collection[str]) -> HoldsOn:
    """Return a rule: each of the methods is shown to have a lower RMSE than the other one.

    The correction is over the methods and over the ``subsets`` on which it is asked.
    """
    pairs = [(method, other) for method in methods]
    return lambda records, subset: all_of(are_lower(records, subset, pairs, len(subsets)).values())


def best_weight_moves(records: Records, subset: str) -> Holds:
    """Return whether the best fixed weight of the first epochs is another one than at the last.

    It moves where the two are told apart at both moments. It does not where one weight is shown, at
    both of them, to be at most the margin above every other, so that nobody need move. Since any
    weight could have been the one, the level is divided by their number. Each subset is asked by
    itself.
    """
    best = best_weights(records, subset)
    if best is None:
        return None
    if best.differ:
        return True
    return None if best.serves_throughout is None else False


def weights_serving_both(records: Records, subset: str) -> dict[str, Holds]:
    """Return, for each fixed weight, whether it is shown to serve both tasks.

    A weight serves the RUL task if it is no worse than the single task, by non-inferiority, and the
    health task if its mean recall over the states is the highest of all, once all have their seeds,
    and is shown to be at most ``RECALL_MARGIN`` below that of each adaptive method. It fails the
    health task if its recall is shown to be lower than the highest so far, or further below that of
    an adaptive method, by paired t tests over seeds. Among the weights the correction is Holm's,
    times their number, since any of them could have been the highest.
    """
    recall = _recall_by_seed(records, subset, (*FIXED_SWEEP, *ADAPTIVE_METHODS))
    trained = {name: recall[name] for name in FIXED_SWEEP if name in recall}
    if not trained:
        return dict.fromkeys(FIXED_SWEEP)
    best = max(trained, key=lambda name: float(np.mean(list(trained[name].values()))))
    others = [name for name in trained if name != best]
    common = {name: sorted(set(trained[name]) & set(trained[best])) for name in others}
    p_values = holm(
        [
            compare_over_seeds(
                [trained[name][seed] for seed in common[name]],
                [trained[best][seed] for seed in common[name]],
            ).p_value
            for name in others
        ]
    )
    health: dict[str, Holds] = dict.fromkeys(FIXED_SWEEP)
    health |= {
        name: False
        for name, p in zip(others, p_values, strict=True)
        if p * len(trained) < 1 - CONFIDENCE
    }
    if len(recall) == len(FIXED_SWEEP) + len(ADAPTIVE_METHODS):
        health[best] = all_of(
            _keeps_up(recall[best], recall[name], weights=len(trained)) for name in ADAPTIVE_METHODS
        )
    return {
        name: False
        if served is False
        else all_of([served, is_no_worse(records, subset, name, ["single_task"])["single_task"]])
        for name, served in health.items()
    }


def _recall_by_seed(
    records: Records, subset: str, methods: Collection[str]
) -> dict[str, dict[int, float]]:
    """Return the mean recall on the test engines, by method with every seed, and by seed."""
    runs = completed_runs(record for record in records if record.config.subset == subset)
    return {
        name: {seed: _mean_recall(run) for seed, run in by_seed.items()}
        for name in methods
        if len(by_seed := runs.get((subset, name), {})) >= MINIMUM_SEEDS
    }


def _keeps_up(
    recall: Mapping[int, float], of_adaptive: Mapping[int, float], *, weights: int
) -> Holds:
    """Return whether the highest recall is at most the margin below that of an adaptive method.

    It was picked among ``weights``, and has to keep up with every adaptive method: one that it does
    not keep up with was picked too.
    """
    gaps = [recall[seed] - of_adaptive[seed] for seed in sorted(set(recall) & set(of_adaptive))]
    if len(gaps) < MINIMUM_SEEDS:
        return None
    within = p_value_below([-gap for gap in gaps], RECALL_MARGIN) * weights
    beyond = p_value_below(gaps, -RECALL_MARGIN) * weights
    if within < 1 - CONFIDENCE:
        return True
    return False if beyond * len(ADAPTIVE_METHODS) < 1 - CONFIDENCE else None


def no_weight_serves_both(records: Records, subset: str) -> Holds:
    """Return whether each fixed weight is shown not to serve both tasks."""
    return opposite(any_of(weights_serving_both(records, subset).values()))


def another_subsets_best_is_beaten(records: Records, subset: str) -> Holds:
    """Return whether the best fixed weights here are shown to be below those of another subset.

    The best ones are those with the lowest mean error. Holm's correction is over the others' best
    weights, and what it gives is multiplied by the number of subsets on which this is asked, and by
    that of the weights, since any of them could have been the best here. They are not where the
    best weights of one subset are shown to be no worse than the best everywhere.
    """
    if not every_seed_in(records, cmapss.SUBSETS, FIXED_METHODS):
        return None
    best = {name: lowest_error(records, name, FIXED_METHODS) for name in cmapss.SUBSETS}
    others = set(best.values()) - {best[subset]}
    compared = comparison_table(records, subset, reference=best[subset], methods=others)
    shown = (compared["difference"] > 0) & (
        compared["p_holm"] * len(cmapss.SUBSETS) * len(FIXED_METHODS) < 1 - CONFIDENCE
    )
    if shown.any():
        return True
    serves_all = any_of(
        all_of(
            is_no_worse(records, where, name, [lowest])[lowest]
            for where, lowest in best.items()
            if lowest != name
        )
        for name in sorted(set(best.values()))
    )
    return False if serves_all else None


def _mean_recall(run: RunRecord) -> float:
    return 1 - float(
        np.mean([MEASURES[f"missed_{state}"].losses([run]).mean() for state in HEALTH_STATES])
    )
