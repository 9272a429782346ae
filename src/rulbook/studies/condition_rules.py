"""What the statistical claims come to under each training condition, one rule a claim.

A rule says of one subset whether the claim holds there, does not hold, or is open, and is always
the same one, whatever the condition. A claim that names several subsets is about all of them. One
that names none is about trainings as such: where it holds on some subsets and not on others, it
holds in part, and so does one that holds in one of two readings.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from rulbook.data import cmapss
from rulbook.errors import unknown_name
from rulbook.statistics import MINIMUM_SEEDS, over_seeds
from rulbook.studies import claim_rules
from rulbook.studies import equal_weight_rules as course
from rulbook.studies import method_rules as compared
from rulbook.studies.by_condition import NoOutcome, why_no_outcome
from rulbook.studies.claim_rules import ADAPTIVE_METHODS, AS_LABELLED, BOOK_SUBSETS, BOOK_SWEEP
from rulbook.studies.conditions import (
    PROTOCOL_CONDITION,
    WITH_SGD,
    require_condition,
    training_condition,
)
from rulbook.studies.evidence import completed_runs
from rulbook.studies.holds import Holds, all_of, any_of, decided_in_each, those_decided
from rulbook.studies.method_rules import FIXED_SWEEP
from rulbook.studies.methods import FIXED_METHODS, method_of
from rulbook.studies.shown import HoldsOn, Records
from rulbook.training.record import RulHealthMetrics, RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING


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
    holds_on: HoldsOn
    # A default that is a function would be documented as a method too.
    combine: Callable[[Iterable[Holds]], Holds] = field(default_factory=lambda: all_of)
    excluded: tuple[str, ...] = ()

    def by_subset(self, records: Records) -> dict[str, Holds]:
        """Return whether the claim holds on each of its subsets of which there is a record."""
        records = list(records)
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
        Whether the claim holds, by the name of the condition; ``None`` where that is open,
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
        about = _about(given, name, rule.subsets, rule.methods)
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


AGREEMENT = 0.01
"""Largest relative difference in health accuracy at which two optimisers end alike (§12.4)."""


def adam_and_sgd_agree(records: Mapping[str, Records]) -> dict[str, Holds]:
    """Return whether SGD that arrived ends within 1 % of AdamW's health accuracy (§12.4).

    The claim is about a pair of trainings, so its two sides are under two training conditions: the
    protocol's, with AdamW, which moves as Adam does but for a small decay of the weights, and one
    of those with SGD. On each subset the relative difference is taken seed by seed, at the selected
    epoch and at the last one; the claim holds there where the t interval of its mean is within
    ``AGREEMENT``, and fails where it is beyond. It has to hold on every subset. An SGD that did not
    arrive counts as missing.

    Args:
        records: records by the name of the training condition that they were made under.

    Returns:
        The decision under each condition with SGD under which equal weights were trained.

    Raises:
        RulbookError: a record was not made under the condition that it is given for.

    """
    about = {
        name: _about(given, name, cmapss.SUBSETS, (EQUAL_WEIGHTING,))
        for name, given in records.items()
    }
    return {
        name: all_of(
            decided_in_each(
                _ends_alike(
                    _accuracy_by_seed(about.get(PROTOCOL_CONDITION, []), subset, epoch_of),
                    _accuracy_by_seed(_arrived(runs, name), subset, epoch_of),
                )
                for epoch_of in (RunRecord.selected_validation, RunRecord.last_validation)
            )
            for subset in cmapss.SUBSETS
        )
        for name, runs in about.items()
        if runs and name in WITH_SGD
    }


def _accuracy_by_seed(
    records: Records, subset: str, epoch_of: Callable[[RunRecord], RulHealthMetrics]
) -> dict[int, float]:
    runs = completed_runs(records).get((subset, EQUAL_WEIGHTING), {})
    return {seed: epoch_of(run).health_accuracy for seed, run in runs.items()}


def _ends_alike(reference: Mapping[int, float], other: Mapping[int, float]) -> Holds:
    seeds = [seed for seed in reference if seed in other]
    if len(seeds) < MINIMUM_SEEDS:
        return None
    gap = over_seeds([other[seed] / reference[seed] - 1 for seed in seeds])
    if gap.low > AGREEMENT or gap.high < -AGREEMENT:
        return False
    return True if gap.low >= -AGREEMENT and gap.high <= AGREEMENT else None


def _about(
    records: Records, condition: str, subsets: Collection[str], methods: Collection[str]
) -> list[RunRecord]:
    """Return the records of these methods and subsets, all of them made under the condition."""
    about = [
        record
        for record in records
        if record.config.subset in subsets
        and (row := method_of(record.config)) is not None
        and row.name in methods
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


_SYMPTOMS: dict[str, HoldsOn] = {
    "n12.4-symptom-rul-trains": course.rul_task_trains,
    "n12.4-symptom-hs-plateau": course.plateau_at_chance,
    "n12.4-symptom-hs-after-five-epochs": course.health_accuracy_at_epoch(5),
    "n12.4-symptom-critical-recall": course.critical_recall_below(0.3),
    "n12.4-rare-class-below-guessing": course.critical_recall_below(claim_rules.CHANCE),
    "n12.4-symptom-probe-at-chance": course.probe_near_chance,
    "n12.4-symptom-one-to-one-fails": course.fails_on_every_seed,
}

_THROUGH_A_TRAINING: dict[str, HoldsOn] = {
    "n4.3-ce-scale": course.losses_between("health_loss", 0, 2),
    "l9.1-ce-scale": course.losses_between("health_loss", 0.1, 3),
    "n4.3-typical-health-loss": course.typical_loss_near("health_loss", 0.8),
    "l9.1-ce-near-one": course.typical_loss_near("health_loss", 1.0),
    "n12.4-tasks-disagree-cosine": course.gradients_disagree,
    "n12.4-pitfall-required-weight-grows": course.balancing_weight_quadruples,
    "l9.1-conflict-occurs": course.gradients_conflict,
}

_LOSSES_IN_CYCLES: Mapping[str, HoldsOn] = {
    "n4.3-mse-scale": course.losses_between("rul_loss", 10, 1000),
    "l9.1-mse-scale-three-values": course.losses_between("rul_loss", 100, 1000),
    "l9.1-mse-scale": course.losses_between("rul_loss", 80, 12_000),
    "n4.3-typical-rul-loss": course.typical_loss_near("rul_loss", 12.5),
    "l9.1-balance-drifts-measured": course.balance_drifts,
}
"""What the sections say of losses in squared cycles. Hundreds end at a thousand; the bounds that
section 9.1 prints as approximate are read with a fifth more room on either side."""

_ALL = (
    *(
        ConditionRule(claim, cmapss.SUBSETS, (EQUAL_WEIGHTING,), holds_on, combine=those_decided)
        for claim, holds_on in (_SYMPTOMS | _THROUGH_A_TRAINING).items()
    ),
    ConditionRule(
        "n12.4-symptom-no-fixed-weight",
        BOOK_SUBSETS,
        ("single_task", *FIXED_SWEEP, *ADAPTIVE_METHODS),
        compared.no_weight_serves_both,
    ),
    ConditionRule(
        "n4.1-fd002-drop-measured",
        ("FD002",),
        (EQUAL_WEIGHTING, "single_task"),
        compared.lower_than(EQUAL_WEIGHTING, ["single_task"], ("FD002",)),
    ),
    ConditionRule(
        "n4.1-gradient-aware-measured",
        ("FD002",),
        ("gaba", "grace", EQUAL_WEIGHTING),
        compared.each_lower_than(("gaba", "grace"), EQUAL_WEIGHTING, ("FD002",)),
    ),
    ConditionRule(
        "n4.3-gaba-beats-sweep",
        BOOK_SUBSETS,
        ("gaba", *FIXED_METHODS),
        compared.lower_than("gaba", FIXED_METHODS, BOOK_SUBSETS),
    ),
    ConditionRule(
        "n4.3-dynamic-beats-static-measured",
        BOOK_SUBSETS,
        (*claim_rules.DYNAMIC_METHODS, *claim_rules.STATIC_METHODS),
        compared.dynamic_beats_static(BOOK_SUBSETS),
    ),
    *(
        ConditionRule(
            claim,
            subsets,
            (*BOOK_SWEEP, *AS_LABELLED.values(), *others),
            compared.in_both_readings(holds, subsets),
        )
        for claim, subsets, others, holds in (
            ("n24.1-empirical-winner", BOOK_SUBSETS, (), compared.is_winner),
            ("n24.1-clear-margins", BOOK_SUBSETS, (), compared.has_clear_margins),
            ("n24.1-table-order", ("FD002",), (), compared.in_order),
            ("n24.1-cliff", BOOK_SUBSETS, (), compared.error_triples),
            (
                "n24.1-heavy-rul-near-single-measured",
                BOOK_SUBSETS,
                (),
                compared.heavy_is_near_single,
            ),
            ("n24.1-keeps-pace-measured", BOOK_SUBSETS, ADAPTIVE_METHODS, compared.keeps_pace),
        )
    ),
    ConditionRule(
        "n24.1-too-much-health-measured",
        BOOK_SUBSETS,
        (EQUAL_WEIGHTING, *claim_rules.SMALL_RUL_WEIGHTS),
        compared.lower_than(EQUAL_WEIGHTING, claim_rules.SMALL_RUL_WEIGHTS, BOOK_SUBSETS),
    ),
    *(
        ConditionRule(
            claim, cmapss.SUBSETS, FIXED_SWEEP, compared.best_weight_moves, combine=combine
        )
        for claim, combine in (
            ("n4.3-optimal-weight-moves", any_of),  # it "can" move: one subset is enough
            ("l9.1-optimal-weight-moves", those_decided),
        )
    ),
    *(
        ConditionRule(
            claim,
            cmapss.SUBSETS,
            (EQUAL_WEIGHTING,),
            holds_on,
            combine=those_decided,
            excluded=("caps",),
        )
        for claim, holds_on in _LOSSES_IN_CYCLES.items()
    ),
    ConditionRule(
        "l9.1-domination-harms",  # it "can" lead there: one subset is enough
        cmapss.SUBSETS,
        (EQUAL_WEIGHTING,),
        course.plateau_at_chance,
        combine=any_of,
        excluded=("caps",),  # there the health gradient is the longer one
    ),
    ConditionRule(
        "n4.1-imbalance-wild",
        cmapss.SUBSETS,
        (EQUAL_WEIGHTING,),
        course.gradients_differ_tenfold,
        combine=any_of,
    ),
    ConditionRule(
        "l9.1-dataset-specific-measured",
        cmapss.SUBSETS,
        FIXED_METHODS,
        compared.another_subsets_best_is_beaten,
        combine=any_of,
    ),
    ConditionRule(
        "l9.1-scheme-tuned",
        cmapss.SUBSETS,
        FIXED_METHODS,
        compared.lower_than("fixed_legacy", FIXED_METHODS, cmapss.SUBSETS),
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
