"""What the statistical claims come to under each training condition, one rule a claim.

A rule says of one subset whether the claim holds there, does not hold, or is open, and is always
the same one, whatever the condition. A claim that names several subsets is about all of them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import unknown_name
from rulbook.statistics import (
    CONFIDENCE,
    MINIMUM_SEEDS,
    CrossedComparison,
    Outcome,
    compare_crossed,
    compare_over_seeds,
    holm,
    over_seeds,
)
from rulbook.studies import claim_rules
from rulbook.studies.by_condition import NoOutcome, why_no_outcome
from rulbook.studies.claim_rules import ADAPTIVE_METHODS, BOOK_SUBSETS, BOOK_SWEEP, ProtocolRule
from rulbook.studies.comparison import crossed_table
from rulbook.studies.conditions import require_condition, training_condition
from rulbook.studies.evidence import Runs, completed_runs
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import FIXED_METHODS, FIXED_RUL_WEIGHTS, fixed_name, method_of
from rulbook.studies.tuning import selected_validation
from rulbook.training.record import RunRecord
from rulbook.typing import Floats

Holds = bool | None
"""Whether a claim holds; ``None`` for a tie, for too few seeds, and for runs that are missing."""

Records = Sequence[RunRecord]


def all_of(parts: Iterable[Holds]) -> Holds:
    """Return whether all parts hold; one that does not settles it, an open one leaves it open."""
    listed = list(parts)
    return False if False in listed else None if None in listed else True


def any_of(parts: Iterable[Holds]) -> Holds:
    """Return whether any part holds; one that does settles it, an open one leaves it open."""
    return opposite(all_of(map(opposite, parts)))


def opposite(part: Holds) -> Holds:
    """Return whether a part does not hold."""
    return None if part is None else not part


@dataclass(frozen=True)
class ConditionRule:
    """How one claim of the ledger is decided from records.

    Attributes:
        claim: id of the claim.
        subsets: the subsets that the claim is about.
        methods: the methods that it is about.
        holds_on: whether it holds on one subset, by records under one training condition.
        protocol_rule: the rule by which its verdict under the protocol was given, which stands
            until the claim is decided again; ``None`` where it does not take records alone.

    """

    claim: str
    subsets: tuple[str, ...]
    methods: tuple[str, ...]
    holds_on: Callable[[Records, str], Holds]
    protocol_rule: ProtocolRule[bool] | None = None

    def by_subset(self, records: Records) -> dict[str, Holds]:
        """Return whether the claim holds on each of its subsets of which there is a record."""
        return {
            subset: self.holds_on(records, subset)
            for subset in self.subsets
            if any(record.config.subset == subset for record in records)
        }

    def holds(self, records: Records) -> Holds:
        """Return whether the claim holds on every one of its subsets."""
        by_subset = self.by_subset(records)
        return all_of(by_subset.get(subset) for subset in self.subsets)


def decisions(
    rule: ConditionRule,
    records: Mapping[str, Records],
    settled: Mapping[str, Holds] | None = None,
) -> dict[str, Holds]:
    """Decide one claim under every training condition.

    Forensic conditions ask where a figure may come from and decide nothing. A training that has to
    arrive and did not is left out.

    Args:
        rule: the claim's rule.
        records: records by the name of the training condition that they were made under.
        settled: decisions that stand, whatever the rules say, by the name of the condition.

    Returns:
        Whether the claim holds, by the name of the condition; ``None`` for a tie or too few seeds.
        A condition under which no run that the claim is about is recorded is absent.

    Raises:
        UsageError: there is no such condition.
        RulbookError: a record was not made under the condition that it is given for.

    """
    decided: dict[str, Holds] = {}
    for name, given in records.items():
        if training_condition(name).is_forensic:
            continue
        about = _about(rule, given, name)
        if settled is not None and name in settled:
            decided[name] = settled[name]
        elif about and name == "protocol" and rule.protocol_rule is not None:
            decided[name] = rule.protocol_rule(about)
        elif about:
            decided[name] = rule.holds(_arrived(about, name))
    return decided


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
        table = crossed_table(records, subset, reference=other, methods=[method])
        return any(shown is True for shown in table["is_no_worse"])

    outcomes = _outcomes_against(records, subset, method, others, "rmse")
    return {
        other: True if is_within_margin(other) else False if outcome is Outcome.LOWER else None
        for other, outcome in outcomes.items()
    }


def _outcomes_against(
    records: Records, subset: str, method: str, others: Collection[str], measure: str
) -> dict[str, Outcome]:
    """Return the outcome of each other method against ``method``, corrected over the others."""
    names = [other for other in others if other != method]
    table = crossed_table(records, subset, reference=method, methods=names, measure=measure)
    outcomes = dict(zip(table["method"], table["outcome"], strict=True))
    return {name: Outcome(outcomes.get(name, Outcome.TOO_FEW_SEEDS)) for name in names}


def groups_differ(
    records: Records, subset: str, group: Collection[str], others: Collection[str]
) -> CrossedComparison | None:
    """Compare two groups of methods, each taken together, engines and seeds both left to chance.

    Squared errors are averaged over the methods of a group, seed by seed.

    Returns:
        RMSE of ``group`` minus RMSE of ``others``; ``None`` while a method has no completed run or
        the methods have no seed in common.

    """
    runs = completed_runs(record for record in records if record.config.subset == subset)
    losses = _losses_of_groups(runs, subset, (group, others))
    return None if losses is None else compare_crossed([losses], margin=MEASURES["rmse"].margin)[0]


def exceeds_by_factor(
    records: Records, subset: str, method: str, other: str, factor: float
) -> Holds:
    """Return whether a method's RMSE is shown to be above ``factor`` times that of the other."""
    runs = completed_runs(record for record in records if record.config.subset == subset)
    losses = _losses_of_groups(runs, subset, ([method], [other]))
    if losses is None:
        return None
    (found,) = compare_crossed([(losses[0], factor**2 * losses[1])])
    return {Outcome.HIGHER: True, Outcome.LOWER: False}.get(found.outcome)


def mean_is_at_most(values: Sequence[float], bound: float) -> Holds:
    """Return whether the mean over seeds is at most ``bound``, by its t interval."""
    if len(values) < MINIMUM_SEEDS:
        return None
    mean = over_seeds(values)
    return True if mean.high <= bound else False if mean.low > bound else None


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


def _losses_of_groups(
    runs: Runs, subset: str, groups: tuple[Collection[str], Collection[str]]
) -> tuple[Floats, Floats] | None:
    of_methods = [runs.get((subset, name), {}) for group in groups for name in group]
    seeds = sorted(set.intersection(*(set(of_method) for of_method in of_methods)))
    if not seeds:
        return None
    losses = MEASURES["rmse"].losses
    first, second = (
        np.mean([losses([runs[subset, name][s] for s in seeds]) for name in group], axis=0)
        for group in groups
    )
    return first, second


def _sum_trained(records: Records, subset: str) -> list[RunRecord]:
    """Return the runs with equal weights, which step as the plain sum of the losses does."""
    return list(completed_runs(records).get((subset, "fixed_050"), {}).values())


def _in_order(records: Records, subset: str) -> Holds:
    return all_of(
        is_lower(records, subset, first, [then])[then] for first, then in pairwise(BOOK_SWEEP)
    )


def _dynamic_beats_static(records: Records, subset: str) -> Holds:
    found = groups_differ(records, subset, claim_rules.DYNAMIC_METHODS, claim_rules.STATIC_METHODS)
    if found is None:
        return None
    said = {Outcome.LOWER: True, Outcome.HIGHER: False, Outcome.EQUIVALENT: False}
    return said.get(found.outcome)


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


def _plateau_near_chance(records: Records, subset: str) -> Holds:
    runs = _sum_trained(records, subset)
    accuracies = [selected_validation(run).health_accuracy for run in runs]
    return all_of(
        [
            mean_is_at_most(accuracies, claim_rules.NEAR_CHANCE),
            mean_is_at_most(
                [-accuracy for accuracy in accuracies],
                claim_rules.CHANCE_MARGIN - claim_rules.CHANCE,
            ),
        ]
    )


def _probe_near_chance(records: Records, subset: str) -> Holds:
    probes = [run.probe for run in _sum_trained(records, subset) if run.probe is not None]
    return mean_is_at_most([probe.balanced_accuracy for probe in probes], claim_rules.NEAR_CHANCE)


def _rul_error_halves(records: Records, subset: str) -> Holds:
    runs = _sum_trained(records, subset)
    ratios = [
        selected_validation(run).rmse / run.epochs[0].validation.rmse for run in runs if run.epochs
    ]
    return mean_is_at_most(ratios, 0.5)


def _no_weight_serves_both(records: Records, subset: str) -> Holds:
    """Return whether every fixed weight is shown to do worse by one of the tasks than it can.

    A weight serves the RUL task if it is no worse than the single task, and the health task if its
    mean recall over the states is the highest of all; it fails the health task if its recall is
    shown to be lower than the highest, by the paired t over seeds, corrected over the weights.
    """
    runs = completed_runs(record for record in records if record.config.subset == subset)
    recall = {
        name: {seed: _mean_recall(run) for seed, run in runs.get((subset, name), {}).items()}
        for name in _WEIGHTS
    }
    trained = {name: values for name, values in recall.items() if len(values) >= MINIMUM_SEEDS}
    if not trained:
        return None
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
    health: dict[str, Holds] = dict.fromkeys(others)
    health |= {name: False for name, p in zip(others, p_values, strict=True) if p < 1 - CONFIDENCE}
    health[best] = True
    return opposite(
        any_of(
            all_of(
                [
                    health.get(name),
                    is_no_worse(records, subset, name, ["single_task"])["single_task"],
                ]
            )
            for name in _WEIGHTS
        )
    )


def _mean_recall(run: RunRecord) -> float:
    return 1 - float(
        np.mean([MEASURES[f"missed_{state}"].losses([run]).mean() for state in HEALTH_STATES])
    )


_WEIGHTS = tuple(fixed_name(weight) for weight in FIXED_RUL_WEIGHTS)

_SYMPTOMS: Mapping[str, Callable[[Records, str], Holds]] = {
    "n12.4-symptom-rul-trains": _rul_error_halves,
    "n12.4-symptom-hs-plateau": _plateau_near_chance,
    "n12.4-symptom-hs-after-five-epochs": _health_accuracy_at_epoch(5),
    "n12.4-symptom-critical-recall": _critical_recall_below(0.3),
    "n12.4-rare-class-below-guessing": _critical_recall_below(claim_rules.CHANCE),
    "n12.4-symptom-probe-at-chance": _probe_near_chance,
}

_CLOSEST = ("fixed_075", "fixed_090")

_ALL = (
    *(
        ConditionRule(claim, cmapss.SUBSETS, ("fixed_050",), holds_on)
        for claim, holds_on in _SYMPTOMS.items()
    ),
    ConditionRule(
        "n12.4-symptom-no-fixed-weight",
        BOOK_SUBSETS,
        ("single_task", *_WEIGHTS),
        _no_weight_serves_both,
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
        protocol_rule=claim_rules.gradient_aware_win,
    ),
    ConditionRule(
        "n4.3-gaba-beats-sweep",
        BOOK_SUBSETS,
        ("gaba", *FIXED_METHODS),
        _lower_than("gaba", FIXED_METHODS),
        protocol_rule=claim_rules.gaba_beats_the_sweep,
    ),
    ConditionRule(
        "n4.3-dynamic-beats-static-measured",
        BOOK_SUBSETS,
        (*claim_rules.DYNAMIC_METHODS, *claim_rules.STATIC_METHODS),
        _dynamic_beats_static,
        protocol_rule=claim_rules.dynamic_beat_static,
    ),
    ConditionRule(
        "n24.1-empirical-winner",
        BOOK_SUBSETS,
        BOOK_SWEEP,
        _lower_than("fixed_050", BOOK_SWEEP),
        protocol_rule=claim_rules.equal_weights_win,
    ),
    ConditionRule(
        "n24.1-clear-margins",
        BOOK_SUBSETS,
        ("fixed_050", *_CLOSEST),
        _lower_than("fixed_050", _CLOSEST),
        protocol_rule=claim_rules.equal_weights_win_clearly,
    ),
    ConditionRule(
        "n24.1-table-order",
        ("FD002",),
        BOOK_SWEEP,
        _in_order,
        protocol_rule=claim_rules.error_rises_with_rul_weight,
    ),
    ConditionRule(
        "n24.1-too-much-health-measured",
        BOOK_SUBSETS,
        ("fixed_050", *claim_rules.SMALL_RUL_WEIGHTS),
        _lower_than("fixed_050", claim_rules.SMALL_RUL_WEIGHTS),
        protocol_rule=claim_rules.equal_weights_beat_smaller_ones,
    ),
    ConditionRule(
        "n24.1-cliff",
        BOOK_SUBSETS,
        ("single_task", "fixed_090"),
        lambda records, subset: exceeds_by_factor(records, subset, "single_task", "fixed_090", 3),
        protocol_rule=claim_rules.single_task_is_a_cliff,
    ),
    ConditionRule(
        "n24.1-keeps-pace-with-adaptive",
        BOOK_SUBSETS,
        ("fixed_050", *ADAPTIVE_METHODS),
        lambda records, subset: all_of(
            is_no_worse(records, subset, "fixed_050", ADAPTIVE_METHODS).values()
        ),
        protocol_rule=claim_rules.equal_weights_keep_pace,
    ),
    ConditionRule(
        "l9.1-scheme-tuned",
        BOOK_SUBSETS,
        FIXED_METHODS,
        _lower_than("fixed_legacy", FIXED_METHODS),
        protocol_rule=claim_rules.legacy_weights_win,
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
