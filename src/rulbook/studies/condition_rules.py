"""What the statistical claims come to under each training condition, one rule a claim.

A rule says of one subset whether the claim holds there, does not hold, or is open, and is always
the same one, whatever the condition. A claim that names several subsets is about all of them. One
that names none is about trainings as such: where it holds on some subsets and not on others, it
holds in part, and so does one that holds in one of two readings.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import unknown_name
from rulbook.statistics import (
    CONFIDENCE,
    MARGIN,
    MINIMUM_SEEDS,
    Outcome,
    compare_crossed,
    compare_over_seeds,
    holm,
    over_seeds,
)
from rulbook.studies import claim_rules
from rulbook.studies.by_condition import NoOutcome, why_no_outcome
from rulbook.studies.claim_rules import (
    ADAPTIVE_METHODS,
    AS_LABELLED,
    BOOK_SUBSETS,
    BOOK_SWEEP,
    every_seed_in,
    lowest_error,
)
from rulbook.studies.comparison import compare_groups, comparison_table, losses_of_groups
from rulbook.studies.conditions import (
    PARTLY,
    WITH_SGD,
    Holds,
    require_condition,
    training_condition,
)
from rulbook.studies.evidence import completed_runs
from rulbook.studies.fixed_weights import best_weights, change_of_balance, course_of
from rulbook.studies.imbalance import (
    ratio_counts,
    ratio_quantile,
    required_weight_growth,
    typical_cosine,
)
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import (
    FIXED_METHODS,
    FIXED_RUL_WEIGHTS,
    METHODS,
    NAMED_METHODS,
    fixed_name,
    method_of,
)
from rulbook.studies.tuning import selected_validation
from rulbook.training.record import RunRecord

RATIO_SUBSET = "FD001"
"""The subset of which the source describes the batches that its ratio was measured over (§18.4)."""

Records = Sequence[RunRecord]


def all_of(parts: Iterable[Holds]) -> Holds:
    """Return whether all parts hold; one that does not settles it, an open one leaves it open."""
    listed = set(parts)
    for settles in (False, None, PARTLY):
        if settles in listed:
            return settles
    return True


def any_of(parts: Iterable[Holds]) -> Holds:
    """Return whether any part holds; one that does settles it, an open one leaves it open."""
    return opposite(all_of(map(opposite, parts)))


def those_decided(parts: Iterable[Holds]) -> Holds:
    """Return what the parts that are not open agree on, and that it holds in part if they do not.

    It is ``None`` where all of them are open.
    """
    decided = {part for part in parts if part is not None}
    if len(decided) > 1:
        return PARTLY
    return decided.pop() if decided else None


def opposite(part: Holds) -> Holds:
    """Return whether a part does not hold; what holds in part does not hold in part."""
    return not part if isinstance(part, bool) else part


@dataclass(frozen=True)
class ConditionRule:
    """How one claim of the ledger is decided from records.

    Attributes:
        claim: id of the claim.
        subsets: the subsets that the claim is about.
        methods: the methods that it is about.
        holds_on: whether it holds on one subset, by records under one training condition.
        combine: what makes one answer of those on its subsets; by default it has to hold on all.
        excluded: training conditions that the source excludes, and that decide nothing: what it
            says of losses in squared cycles is not about a target in caps.

    """

    claim: str
    subsets: tuple[str, ...]
    methods: tuple[str, ...]
    holds_on: Callable[[Records, str], Holds]
    # A default that is a function would be documented as a method too.
    combine: Callable[[Iterable[Holds]], Holds] = field(default_factory=lambda: all_of)
    excluded: tuple[str, ...] = ()

    def by_subset(self, records: Records) -> dict[str, Holds]:
        """Return whether the claim holds on each of its subsets of which there is a record."""
        return {
            subset: self.holds_on(records, subset)
            for subset in self.subsets
            if any(record.config.subset == subset for record in records)
        }

    def holds(self, records: Records) -> Holds:
        """Return whether the claim holds, over all of its subsets."""
        by_subset = self.by_subset(records)
        return self.combine(by_subset.get(subset) for subset in self.subsets)


def decisions(rule: ConditionRule, records: Mapping[str, Records]) -> dict[str, Holds]:
    """Decide one claim under every training condition.

    Forensic conditions ask where a figure may come from and decide nothing, and so do those that
    the source excludes. A training that has to arrive and did not is left out.

    Args:
        rule: the claim's rule.
        records: records by the name of the training condition that they were made under.

    Returns:
        Whether the claim holds, by the name of the condition; ``None`` for a tie or too few seeds,
        ``PARTLY`` where it holds on some subsets or in one reading only. A condition under which
        no run that the claim is about is recorded is absent.

    Raises:
        UsageError: there is no such condition.
        RulbookError: a record was not made under the condition that it is given for.

    """
    decided: dict[str, Holds] = {}
    for name, given in records.items():
        if training_condition(name).is_forensic or name in rule.excluded:
            continue
        about = _about(rule, given, name)
        if about:
            decided[name] = rule.holds(_arrived(about, name))
    return decided


def decide_all(
    claims: Iterable[str], records: Mapping[str, Records]
) -> dict[str, dict[str, Holds]]:
    """Return ``decisions`` by the rule of each claim, in the form that ``check_all`` takes.

    Raises:
        UsageError: a claim without a rule, or a training condition that nobody defined.
        RulbookError: as for ``decisions``.

    """
    return {claim: decisions(rule_of(claim), records) for claim in claims}


def is_lower(
    records: Records, subset: str, method: str, others: Collection[str], measure: str = "rmse"
) -> dict[str, Holds]:
    """Return, for each other method, whether ``method`` is shown to be lower.

    Holm's correction is over the others. It is not lower where it is shown to be higher, or to
    differ by less than the margin.
    """
    outcomes = _outcomes_against(records, subset, method, others, measure)
    said = {Outcome.HIGHER: True, Outcome.LOWER: False, Outcome.EQUIVALENT: False}
    return {other: said.get(outcome) for other, outcome in outcomes.items()}


def is_no_worse(
    records: Records, subset: str, method: str, others: Collection[str]
) -> dict[str, Holds]:
    """Return, for each other method, whether ``method`` has an RMSE at most the margin above it.

    That it has is tested against each one alone, without a correction, since a claim needs it of
    all of them. That it has not is shown where its RMSE is higher, corrected over the others.
    """

    def is_within_margin(other: str) -> bool:
        table = comparison_table(records, subset, reference=other, methods=[method])
        return any(shown is True for shown in table["is_no_worse"])

    outcomes = _outcomes_against(records, subset, method, others, "rmse")
    return {
        other: True if is_within_margin(other) else False if outcome is Outcome.LOWER else None
        for other, outcome in outcomes.items()
    }


def is_near(records: Records, subset: str, method: str, other: str) -> Holds:
    """Return whether the RMSE of a method is within the margin of another's, on either side.

    It is where the two are shown to be equivalent. It is not where the crossed interval of their
    difference lies beyond the margin.
    """
    table = comparison_table(records, subset, reference=other, methods=[method])
    if any(shown is True for shown in table["is_equivalent"]):
        return True
    is_beyond = (table["low"] > MARGIN) | (table["high"] < -MARGIN)
    return False if is_beyond.any() else None


def _outcomes_against(
    records: Records, subset: str, method: str, others: Collection[str], measure: str
) -> dict[str, Outcome]:
    """Return the outcome of each other method against ``method``, corrected over the others."""
    names = [other for other in others if other != method]
    table = comparison_table(records, subset, reference=method, methods=names, measure=measure)
    outcomes = dict(zip(table["method"], table["outcome"], strict=True))
    return {name: Outcome(outcomes.get(name, Outcome.TOO_FEW_SEEDS)) for name in names}


def exceeds_by_factor(
    records: Records, subset: str, method: str, other: str, factor: float
) -> Holds:
    """Return whether a method's RMSE is shown to be above ``factor`` times that of the other."""
    try:
        of_method, of_other = losses_of_groups(records, subset, ([method], [other]))
    except ValueError:  # a run is missing
        return None
    (scaled,) = compare_crossed([(of_method, factor**2 * of_other)])
    return {Outcome.HIGHER: True, Outcome.LOWER: False}.get(scaled.outcome)


def mean_is_at_most(values: Sequence[float], bound: float) -> Holds:
    """Return whether the mean over seeds is at most ``bound``, by its t interval."""
    if len(values) < MINIMUM_SEEDS:
        return None
    mean = over_seeds(values)
    return True if mean.high <= bound else False if mean.low > bound else None


AGREEMENT = 0.01
"""Largest relative difference in health accuracy at which two optimisers end alike (§12.4)."""


def adam_and_sgd_agree(records: Mapping[str, Records]) -> dict[str, Holds]:
    """Return whether SGD that arrived ends within 1 % of AdamW's health accuracy (§12.4).

    The claim is about a pair of trainings, so its two sides are under two training conditions: the
    protocol's, with AdamW, which moves as Adam does but for a small decay of the weights, and one
    of those with SGD. On each subset the relative difference at the selected epoch is taken seed by
    seed; the claim holds there where the t interval of its mean is within ``AGREEMENT``, and fails
    where it is beyond. It has to hold on every subset. An SGD that did not arrive counts as
    missing.

    Args:
        records: records by the name of the training condition that they were made under.

    Returns:
        The decision under each condition with SGD under which equal weights were trained.

    Raises:
        RulbookError: a record was not made under the condition that it is given for.

    """
    rule = ConditionRule("", cmapss.SUBSETS, ("fixed_050",), lambda *_: None)
    about = {name: _about(rule, given, name) for name, given in records.items()}
    return {
        name: all_of(
            _ends_alike(
                _accuracy_by_seed(about.get("protocol", []), subset),
                _accuracy_by_seed(_arrived(runs, name), subset),
            )
            for subset in cmapss.SUBSETS
        )
        for name, runs in about.items()
        if runs and name in WITH_SGD
    }


def _accuracy_by_seed(records: Records, subset: str) -> dict[int, float]:
    runs = completed_runs(records).get((subset, "fixed_050"), {})
    return {seed: selected_validation(run).health_accuracy for seed, run in runs.items()}


def _ends_alike(reference: Mapping[int, float], other: Mapping[int, float]) -> Holds:
    seeds = [seed for seed in reference if seed in other]
    if len(seeds) < MINIMUM_SEEDS:
        return None
    gap = over_seeds([other[seed] / reference[seed] - 1 for seed in seeds])
    if gap.low > AGREEMENT or gap.high < -AGREEMENT:
        return False
    return True if gap.low >= -AGREEMENT and gap.high <= AGREEMENT else None


FIGURE_CONDITIONS = ("protocol", "book-batch")
"""The training conditions that a printed figure is held against: AdamW, at either batch."""


def errors_by_condition(
    records: Mapping[str, Records], subset: str, method: str
) -> dict[str, float | None]:
    """Return a method's mean test RMSE over seeds, cycles, RUL capped, as a figure is held to it.

    Args:
        records: records by the name of the training condition that they were made under.
        subset: C-MAPSS subset.
        method: name of the method.

    Returns:
        The RMSE under each of ``FIGURE_CONDITIONS``, ``None`` where seeds are missing; a condition
        under which the method was not run is absent.

    """
    return {
        name: claim_rules.mean_test_rmse(records[name], subset, method)
        for name in FIGURE_CONDITIONS
        if any(
            record.config.subset == subset and method_of(record.config) == NAMED_METHODS[method]
            for record in records.get(name, ())
        )
    }


def median_ratios(records: Mapping[str, Records], subset: str = RATIO_SUBSET) -> dict[str, float]:
    """Return the median gradient ratio of equal weights, over every observed step of a training.

    Args:
        records: records by the name of the training condition that they were made under.
        subset: C-MAPSS subset; the source measured its ratio on ``RATIO_SUBSET``.

    Returns:
        The ratio by training condition, of those under which every seed is recorded.

    """
    runs = {name: _sum_trained(given, subset) for name, given in records.items()}
    return {
        name: ratio_quantile(ratio_counts(of_condition), 0.5)
        for name, of_condition in runs.items()
        if len(of_condition) >= MINIMUM_SEEDS
    }


def gaba_weights(records: Mapping[str, Records]) -> dict[str, float | None]:
    """Return GABA's RUL weight in the last epoch of its trainings.

    Args:
        records: records by the name of the training condition that they were made under.

    Returns:
        Its mean over the seeds of all subsets of which every seed is recorded, by training
        condition; ``None`` where there is no such subset, absent where GABA was not run.

    """
    return {
        name: claim_rules.gaba_last_rul_weight(given)
        for name, given in records.items()
        if any(method_of(record.config) == METHODS["gaba"] for record in given)
    }


def _losses_between(
    loss: Literal["rul_loss", "health_loss"], low: float, high: float
) -> Callable[[Records, str], Holds]:
    """Return a rule: the lowest and the highest mean loss of an epoch are within these bounds."""

    def holds_on(records: Records, subset: str) -> Holds:
        courses = [course_of(run)[loss] for run in _sum_trained(records, subset)]
        return all_of(
            [
                opposite(mean_is_at_most([course.min() for course in courses], low)),
                mean_is_at_most([course.max() for course in courses], high),
            ]
        )

    return holds_on


def _balance_drifts(records: Records, subset: str) -> Holds:
    """Return whether the balancing weight changes by more than a factor of two over a training."""
    changes = [change_of_balance(course_of(run)) for run in _sum_trained(records, subset)]
    return opposite(mean_is_at_most(list(np.abs(np.log2(changes))), 1))


def _gradients_conflict(records: Records, subset: str) -> Holds:
    """Return whether at one step in twenty of a typical epoch the cosine is negative.

    The first epoch is left out: there the heads are what they were drawn as. The typical one is the
    median of the others.
    """
    runs = _sum_trained(records, subset)
    return mean_is_at_most([course_of(run)["cosine_low"].iloc[1:].median() for run in runs], 0)


def _gradients_differ_tenfold(records: Records, subset: str) -> Holds:
    """Return whether in some epoch the median step has one gradient ten times as long."""
    decades = [
        np.abs(np.log10(course_of(run)["norm_ratio"])).max()
        for run in _sum_trained(records, subset)
    ]
    return opposite(mean_is_at_most(decades, 1))


QUADRUPLED_BY = 30
"""The epoch by which the balancing weight has quadrupled (§12.4, pitfall 3)."""


def _balancing_weight_quadruples(records: Records, subset: str) -> Holds:
    """Return whether the weight that balances the gradients is four times its value in time.

    The source does not say since when. Both readings are taken: since the first epoch, and since
    the last one of the warm-up, from when on the residual decays, which is the source's reason.
    """
    runs = _sum_trained(records, subset)
    return those_decided(
        [_quadruples_since_the_start(runs, subset), _quadruples_after_warm_up(runs, subset)]
    )


def _quadruples_since_the_start(runs: Records, subset: str) -> Holds:
    """Return whether the weight is four times that of epoch 1 in time.

    It moves as the median gradient ratio of an epoch does. A training that ends before the epoch
    can show that it has, and not that it has not. Growth is averaged over seeds on a log scale.
    """
    doublings = [_doublings(run, subset).loc[:QUADRUPLED_BY].max() for run in runs]
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
    if opposite(mean_is_at_most([course.max() for course in since], np.log2(4))):
        return True
    return False if mean_is_at_most([course.iloc[-1] for course in since], 0) else None


def _doublings(run: RunRecord, subset: str) -> pd.Series:
    """Return the binary logarithm of how many times its first value the weight is, by epoch."""
    return required_weight_growth([run])[subset].map(np.log2)


def _gradients_disagree(records: Records, subset: str) -> Holds:
    cosines = [typical_cosine([run]) for run in _sum_trained(records, subset)]
    return mean_is_at_most(cosines, 0.0)


def _best_weight_moves(records: Records, subset: str) -> Holds:
    """Return whether the best fixed weight of the first epochs is another one than in the end.

    It moves where the two are told apart at both moments. It does not where one of them is shown to
    be within the margin of the best at the moment that is not its own, so that nobody need move.
    """
    best = best_weights(records, subset)
    if best is None:
        return None
    if best.differ:
        return True
    return None if best.serves_throughout is None else False


def _about(rule: ConditionRule, records: Records, condition: str) -> list[RunRecord]:
    """Return the records that the rule is about, all of them made under the condition."""
    about = [
        record
        for record in records
        if record.config.subset in rule.subsets
        and (row := method_of(record.config)) is not None
        and row.name in rule.methods
    ]
    for record in about:
        require_condition(record.config, condition)
    return about


def _arrived(records: Records, condition: str) -> list[RunRecord]:
    """Return the records without those of methods of which a training did not arrive."""
    cells: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if row := method_of(record.config):
            cells.setdefault((record.config.subset, row.name), []).append(record)
    return [
        record
        for cell, runs in cells.items()
        if why_no_outcome(runs, condition, *cell) is not NoOutcome.NOT_ARRIVED
        for record in runs
    ]


def _sum_trained(records: Records, subset: str) -> list[RunRecord]:
    """Return the runs with equal weights, which step as the plain sum of the losses does."""
    return list(completed_runs(records).get((subset, "fixed_050"), {}).values())


Reading = Mapping[str, str]
"""The method that is taken for each row of ``BOOK_SWEEP``."""

_READINGS: tuple[Reading, ...] = ({name: name for name in BOOK_SWEEP}, AS_LABELLED)


def _in_both_readings(
    holds: Callable[[Records, str, Reading], Holds],
) -> Callable[[Records, str], Holds]:
    """Return a rule that reads the ablation table in both ways: by its text, and by its labels.

    The text speaks of the weights of a plain sum of the losses, the labels of AMNL.
    """
    return lambda records, subset: those_decided(
        holds(records, subset, reading) for reading in _READINGS
    )


def _is_winner(records: Records, subset: str, reading: Reading) -> Holds:
    return all_of(is_lower(records, subset, reading["fixed_050"], reading.values()).values())


def _has_clear_margins(records: Records, subset: str, reading: Reading) -> Holds:
    closest = [reading["fixed_075"], reading["fixed_090"]]
    return all_of(is_lower(records, subset, reading["fixed_050"], closest).values())


def _in_order(records: Records, subset: str, reading: Reading) -> Holds:
    return all_of(
        is_lower(records, subset, reading[first], [reading[then]])[reading[then]]
        for first, then in pairwise(BOOK_SWEEP)
    )


def _error_triples(records: Records, subset: str, reading: Reading) -> Holds:
    single, heavy = reading["single_task"], reading["fixed_090"]
    return exceeds_by_factor(records, subset, single, heavy, 3)


def _heavy_is_near_single(records: Records, subset: str, reading: Reading) -> Holds:
    return is_near(records, subset, reading["fixed_090"], reading["single_task"])


def _keeps_pace(records: Records, subset: str, reading: Reading) -> Holds:
    return all_of(is_no_worse(records, subset, reading["fixed_050"], ADAPTIVE_METHODS).values())


def _dynamic_beats_static(records: Records, subset: str) -> Holds:
    groups = claim_rules.DYNAMIC_METHODS, claim_rules.STATIC_METHODS
    try:
        compared = compare_groups(records, subset, *groups)
    except ValueError:  # a run is missing
        return None
    said = {Outcome.LOWER: True, Outcome.HIGHER: False, Outcome.EQUIVALENT: False}
    return said.get(compared.outcome)


def _lower_than(method: str, others: Collection[str]) -> Callable[[Records, str], Holds]:
    return lambda records, subset: all_of(is_lower(records, subset, method, others).values())


def _health_accuracy_at_epoch(number: int) -> Callable[[Records, str], Holds]:
    def at_most_chance(records: Records, subset: str) -> Holds:
        runs = [run for run in _sum_trained(records, subset) if len(run.epochs) >= number]
        accuracies = [run.epochs[number - 1].validation.health_accuracy for run in runs]
        return mean_is_at_most(accuracies, claim_rules.CHANCE)

    return at_most_chance


def _critical_recall_below(bound: float) -> Callable[[Records, str], Holds]:
    def below(records: Records, subset: str) -> Holds:
        runs = _sum_trained(records, subset)
        recalls = [selected_validation(run).health_recall[-1] for run in runs]
        return mean_is_at_most(recalls, bound)

    return below


def _plateau_at_chance(records: Records, subset: str) -> Holds:
    """Return whether the health accuracy at the selected epoch is no better than near chance.

    An accuracy below chance counts as at chance: the source's diagnostic has no lower bound.
    """
    accuracies = [selected_validation(run).health_accuracy for run in _sum_trained(records, subset)]
    return mean_is_at_most(accuracies, claim_rules.NEAR_CHANCE)


def _fails_on_every_seed(records: Records, subset: str) -> Holds:
    """Return whether every seed ends with a health accuracy that is no better than near chance."""
    accuracies = [selected_validation(run).health_accuracy for run in _sum_trained(records, subset)]
    if len(accuracies) < MINIMUM_SEEDS:
        return None
    return all(accuracy <= claim_rules.NEAR_CHANCE for accuracy in accuracies)


def _probe_near_chance(records: Records, subset: str) -> Holds:
    probes = [run.probe for run in _sum_trained(records, subset) if run.probe is not None]
    return mean_is_at_most([probe.balanced_accuracy for probe in probes], claim_rules.NEAR_CHANCE)


def _probe_tells_bins_of_the_rul(records: Records, subset: str) -> Holds:
    """Return whether a probe tells the health states apart, and better than before the training.

    The states are bins of the RUL. Accuracies are balanced; both means are taken by seed.
    """
    gained = [
        run.probe.balanced_accuracy - run.probe_at_start.balanced_accuracy
        for run in _sum_trained(records, subset)
        if run.probe is not None and run.probe_at_start is not None
    ]
    return all_of(
        [opposite(_probe_near_chance(records, subset)), opposite(mean_is_at_most(gained, 0))]
    )


def _rul_error_halves(records: Records, subset: str) -> Holds:
    runs = _sum_trained(records, subset)
    ratios = [
        selected_validation(run).rmse / run.epochs[0].validation.rmse for run in runs if run.epochs
    ]
    return mean_is_at_most(ratios, 0.5)


def weights_serving_both(records: Records, subset: str) -> dict[str, Holds]:
    """Return, for each fixed weight, whether it is shown to serve both tasks.

    A weight serves the RUL task if it is no worse than the single task, by non-inferiority, and the
    health task if its mean recall over the states is the highest of all. It fails the health task
    if its recall is shown to be lower than the highest, by the paired t over seeds, corrected over
    the weights.
    """
    runs = completed_runs(record for record in records if record.config.subset == subset)
    recall = {
        name: {seed: _mean_recall(run) for seed, run in runs.get((subset, name), {}).items()}
        for name in FIXED_SWEEP
    }
    trained = {name: values for name, values in recall.items() if len(values) >= MINIMUM_SEEDS}
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
    health |= {name: False for name, p in zip(others, p_values, strict=True) if p < 1 - CONFIDENCE}
    health[best] = True
    return {
        name: False
        if served is False
        else all_of([served, is_no_worse(records, subset, name, ["single_task"])["single_task"]])
        for name, served in health.items()
    }


def _another_subsets_best_is_beaten(records: Records, subset: str) -> Holds:
    """Return whether the best fixed weights here are shown to be below those of another subset.

    The best ones are those with the lowest mean error. Holm's correction is over the others' best
    weights, and what it gives is multiplied by the number of subsets on which this is asked. They
    are not where the best weights of one subset are shown to be no worse than the best everywhere.
    """
    if not every_seed_in(records, cmapss.SUBSETS, FIXED_METHODS):
        return None
    best = {name: lowest_error(records, name, FIXED_METHODS) for name in cmapss.SUBSETS}
    others = set(best.values()) - {best[subset]}
    compared = comparison_table(records, subset, reference=best[subset], methods=others)
    shown = (compared["difference"] > 0) & (
        compared["p_holm"] * len(cmapss.SUBSETS) < 1 - CONFIDENCE
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


FIXED_SWEEP = tuple(fixed_name(weight) for weight in FIXED_RUL_WEIGHTS)
"""The fixed weights among which one that serves both tasks is looked for."""

_SYMPTOMS: dict[str, Callable[[Records, str], Holds]] = {
    "n12.4-symptom-rul-trains": _rul_error_halves,
    "n12.4-symptom-hs-plateau": _plateau_at_chance,
    "n12.4-symptom-hs-after-five-epochs": _health_accuracy_at_epoch(5),
    "n12.4-symptom-critical-recall": _critical_recall_below(0.3),
    "n12.4-rare-class-below-guessing": _critical_recall_below(claim_rules.CHANCE),
    "n12.4-symptom-probe-at-chance": _probe_near_chance,
    "n12.4-symptom-one-to-one-fails": _fails_on_every_seed,
    "n12.4-symptom-clusters-by-rul": _probe_tells_bins_of_the_rul,
}

_THROUGH_A_TRAINING: dict[str, Callable[[Records, str], Holds]] = {
    "n4.3-ce-scale": _losses_between("health_loss", 0, 2),
    "l9.1-ce-scale": _losses_between("health_loss", 0.1, 3),
    "n12.4-tasks-disagree-cosine": _gradients_disagree,
    "n12.4-pitfall-required-weight-grows": _balancing_weight_quadruples,
    "l9.1-conflict-occurs": _gradients_conflict,
}

_LOSSES_IN_CYCLES: Mapping[str, Callable[[Records, str], Holds]] = {
    "l9.1-mse-scale": _losses_between("rul_loss", 80, 12_000),
    "l9.1-balance-drifts-measured": _balance_drifts,
}
"""What section 9.1 says of losses in squared cycles; its table prints the bounds as approximate,
and they are read with a fifth more room on either side."""

_ALL = (
    *(
        ConditionRule(claim, cmapss.SUBSETS, ("fixed_050",), holds_on, combine=those_decided)
        for claim, holds_on in (_SYMPTOMS | _THROUGH_A_TRAINING).items()
    ),
    ConditionRule(
        "n12.4-symptom-no-fixed-weight",
        BOOK_SUBSETS,
        ("single_task", *FIXED_SWEEP),
        lambda records, subset: opposite(any_of(weights_serving_both(records, subset).values())),
    ),
    ConditionRule(
        "n4.1-fd002-drop-measured",
        ("FD002",),
        ("fixed_050", "single_task"),
        _lower_than("fixed_050", ["single_task"]),
    ),
    ConditionRule(
        "n4.1-gradient-aware-measured",
        ("FD002",),
        ("gaba", "grace", "fixed_050"),
        lambda records, subset: all_of(
            is_lower(records, subset, name, ["fixed_050"])["fixed_050"]
            for name in ("gaba", "grace")
        ),
    ),
    ConditionRule(
        "n4.3-gaba-beats-sweep",
        BOOK_SUBSETS,
        ("gaba", *FIXED_METHODS),
        _lower_than("gaba", FIXED_METHODS),
    ),
    ConditionRule(
        "n4.3-dynamic-beats-static-measured",
        BOOK_SUBSETS,
        (*claim_rules.DYNAMIC_METHODS, *claim_rules.STATIC_METHODS),
        _dynamic_beats_static,
    ),
    *(
        ConditionRule(
            claim, subsets, (*BOOK_SWEEP, *AS_LABELLED.values(), *others), _in_both_readings(holds)
        )
        for claim, subsets, others, holds in (
            ("n24.1-empirical-winner", BOOK_SUBSETS, (), _is_winner),
            ("n24.1-clear-margins", BOOK_SUBSETS, (), _has_clear_margins),
            ("n24.1-table-order", ("FD002",), (), _in_order),
            ("n24.1-cliff", BOOK_SUBSETS, (), _error_triples),
            ("n24.1-heavy-rul-near-single-measured", BOOK_SUBSETS, (), _heavy_is_near_single),
            ("n24.1-keeps-pace-with-adaptive", BOOK_SUBSETS, ADAPTIVE_METHODS, _keeps_pace),
        )
    ),
    ConditionRule(
        "n24.1-too-much-health-measured",
        BOOK_SUBSETS,
        ("fixed_050", *claim_rules.SMALL_RUL_WEIGHTS),
        _lower_than("fixed_050", claim_rules.SMALL_RUL_WEIGHTS),
    ),
    *(
        ConditionRule(claim, cmapss.SUBSETS, FIXED_SWEEP, _best_weight_moves, combine=those_decided)
        for claim in ("n4.3-optimal-weight-moves", "l9.1-optimal-weight-moves")
    ),
    *(
        ConditionRule(
            claim,
            cmapss.SUBSETS,
            ("fixed_050",),
            holds_on,
            combine=those_decided,
            excluded=("caps",),
        )
        for claim, holds_on in _LOSSES_IN_CYCLES.items()
    ),
    ConditionRule(
        "n4.1-imbalance-wild",
        cmapss.SUBSETS,
        ("fixed_050",),
        _gradients_differ_tenfold,
        combine=any_of,
    ),
    ConditionRule(
        "l9.1-dataset-specific-measured",
        cmapss.SUBSETS,
        FIXED_METHODS,
        _another_subsets_best_is_beaten,
        combine=any_of,
    ),
    ConditionRule(
        "l9.1-scheme-tuned",
        cmapss.SUBSETS,
        FIXED_METHODS,
        _lower_than("fixed_legacy", FIXED_METHODS),
        combine=those_decided,
    ),
)

CONDITION_RULES = {rule.claim: rule for rule in _ALL}
"""The rules by the id of their claim.

:meta hide-value:
"""


def rule_of(claim: str) -> ConditionRule:
    """Return the rule by which a claim is decided under training conditions.

    Raises:
        UsageError: the claim has none.

    """
    if claim not in CONDITION_RULES:
        raise unknown_name("claim with a rule", claim, CONDITION_RULES)
    return CONDITION_RULES[claim]
