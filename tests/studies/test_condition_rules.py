"""Which records decide a claim, and under which training conditions."""

from itertools import product

import pytest

from rulbook.claims.ledger import find, read_ledger
from rulbook.data import load
from rulbook.data.cmapss import SUBSETS
from rulbook.data.prepare import Recipe, prepare
from rulbook.errors import RulbookError, UsageError
from rulbook.statistics import TOLD_APART, Outcome
from rulbook.studies import SEEDS
from rulbook.studies.by_condition import records_by_condition
from rulbook.studies.claim_rules import (
    AS_LABELLED,
    BOOK_SUBSETS,
    BOOK_SWEEP,
    DYNAMIC_METHODS,
    SMALL_RUL_WEIGHTS,
    STATIC_METHODS,
    is_near_chance,
)
from rulbook.studies.comparison import compare_groups, comparison_table
from rulbook.studies.competence import competence_table
from rulbook.studies.condition_rules import (
    CONDITION_RULES,
    adam_and_sgd_agree,
    decide_all,
    decisions,
    rule_of,
)
from rulbook.studies.equal_weight_rules import equal_weight_runs
from rulbook.studies.evidence import records_under
from rulbook.studies.holds import PARTLY, those_decided
from rulbook.studies.methods import FIXED_METHODS, method_of
from rulbook.training import RunRecord
from rulbook.training.baselines import boosting_validation_rmse

from .conftest import BOOK_BATCH, SGD, WINDOW_SPLIT, epoch, validated

AMNL_ROWS = AS_LABELLED.values()
CLOSEST_ROWS = ("fixed_075", "fixed_090")
CLOSEST_BY_LABEL = tuple(AS_LABELLED[name] for name in CLOSEST_ROWS)


def test_every_rule_is_of_a_statistical_claim_of_the_ledger():
    ledger = read_ledger()
    assert {ledger[claim].tier for claim in CONDITION_RULES} == {"statistical"}
    assert {ledger[claim].needs for claim in CONDITION_RULES} == {"records"}


def test_no_rule_decides_anything_without_records():
    for rule in CONDITION_RULES.values():
        assert rule.holds([]) is None
        assert decisions(rule, {"protocol": [], "sgd": []}) == {}


def test_records_may_come_from_a_generator(on_every_seed):
    records = [*on_every_seed("fixed_050", noise=2.0), *on_every_seed("single_task", noise=30.0)]
    rule = rule_of("n4.1-fd002-drop-measured")
    assert rule.holds(iter(records)) is rule.holds(records) is True


def test_an_unknown_rule_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"n24\.1-cliff"):
        rule_of("n24.1-nonesuch")


def by_optimiser(on_every_seed, sgd, late=False, seeds=SEEDS):
    """Return AdamW at a health accuracy of 0.8 on every subset, and SGD at those given."""
    records = {"protocol": [], "sgd": []}
    length = 100 if late else 2
    for subset, accuracy in sgd.items():
        adamw = (validated(health_accuracy=0.8),)
        records["protocol"] += on_every_seed("fixed_050", subset, epochs=adamw)
        ends = (validated(health_accuracy=accuracy),) * length
        records["sgd"] += on_every_seed("fixed_050", subset, seeds=seeds, epochs=ends, **SGD)
    return records


@pytest.mark.parametrize(
    ("sgd", "agrees"),
    [
        (dict.fromkeys(SUBSETS, 0.796), True),
        (dict.fromkeys(SUBSETS, 0.8075), True),
        (dict.fromkeys(SUBSETS, 0.796) | {"FD003": 0.3}, False),
        ({"FD001": 0.7915}, False),
        ({"FD001": 0.82}, False),
        ({"FD001": 0.3}, False),
        ({"FD001": 0.796}, None),
    ],
)
def test_adam_and_sgd_agree_within_a_hundredth_on_every_subset(on_every_seed, sgd, agrees):
    assert adam_and_sgd_agree(by_optimiser(on_every_seed, sgd)) == {"sgd": agrees}


def test_what_agrees_at_the_selected_epoch_alone_agrees_in_part(on_every_seed):
    records = by_optimiser(on_every_seed, dict.fromkeys(SUBSETS, 0.8))
    for runs in records.values():
        at_last = validated(health_accuracy=0.8 if runs is records["protocol"] else 0.3)
        runs[:] = [run.model_copy(update={"epochs": [*run.epochs, at_last]}) for run in runs]
    assert adam_and_sgd_agree(records) == {"sgd": PARTLY}


def test_an_sgd_that_did_not_arrive_or_lacks_seeds_says_nothing(on_every_seed):
    far = {"FD001": 0.3}
    assert adam_and_sgd_agree(by_optimiser(on_every_seed, far, late=True)) == {"sgd": None}
    assert adam_and_sgd_agree(by_optimiser(on_every_seed, far, seeds=SEEDS[:4])) == {"sgd": None}
    assert adam_and_sgd_agree({"protocol": on_every_seed("fixed_050")}) == {}


def test_the_two_optimisers_must_come_from_their_conditions(on_every_seed):
    with pytest.raises(RulbookError, match="not under sgd"):
        adam_and_sgd_agree({"sgd": on_every_seed("fixed_050")})


def test_a_claim_is_decided_under_each_condition_that_was_run(on_every_seed):
    good = {"fixed_050": 2.0, "single_task": 30.0}
    bad = {"fixed_050": 30.0, "single_task": 2.0}
    records = {
        "protocol": [r for n, noise in good.items() for r in on_every_seed(n, noise=noise)],
        "book-batch": [
            r for n, noise in bad.items() for r in on_every_seed(n, noise=noise, **BOOK_BATCH)
        ],
        "sgd": [
            r
            for n, noise in good.items()
            for r in on_every_seed(n, noise=noise, seeds=SEEDS[:3], **SGD)
        ],
        "caps": [],
        "window-split": [
            r for n, noise in good.items() for r in on_every_seed(n, noise=noise, **WINDOW_SPLIT)
        ],
    }
    rule = rule_of("n4.1-fd002-drop-measured")
    expected = {"protocol": True, "book-batch": False, "sgd": None}
    assert decisions(rule, records) == expected
    assert decide_all([rule.claim], records) == {rule.claim: expected}


def test_what_was_not_run_is_absent(on_every_seed):
    rule = rule_of("n4.1-fd002-drop-measured")
    assert decisions(rule, {"sgd": on_every_seed("gaba", **SGD)}) == {}


def test_sgd_that_did_not_arrive_decides_nothing(on_every_seed):
    def under_sgd(epochs):
        return {
            "sgd": [
                record
                for name, noise in (("fixed_050", 2.0), ("single_task", 30.0))
                for record in on_every_seed(
                    name, noise=noise, epochs=(epoch(12.0),) * epochs, **SGD
                )
            ]
        }

    rule = rule_of("n4.1-fd002-drop-measured")
    assert decisions(rule, under_sgd(50)) == {"sgd": True}
    assert decisions(rule, under_sgd(100)) == {"sgd": None}


def test_records_of_another_condition_or_an_unknown_one_are_refused(on_every_seed):
    rule = rule_of("n4.1-fd002-drop-measured")
    with pytest.raises(RulbookError, match="not under sgd"):
        decisions(rule, {"sgd": on_every_seed("fixed_050")})
    with pytest.raises(UsageError, match="nonesuch"):
        decisions(rule, {"nonesuch": on_every_seed("fixed_050")})


@pytest.mark.slow
def test_whether_every_recorded_seed_fails_hangs_on_accuracy_or_recall_on_one_subset():
    """As the reason of the claim says."""
    rule = rule_of("n12.4-symptom-one-to-one-fails")
    decided, differs = 0, {}
    for condition, records in records_by_condition().items():
        for subset, fails in rule.by_subset(records).items():
            runs = equal_weight_runs(records, subset)
            if fails is not None:
                by_recall = those_decided(
                    all(is_near_chance(epoch_of(run).balanced_accuracy) for run in runs)
                    for epoch_of in (RunRecord.selected_validation, RunRecord.last_validation)
                )
                decided += 1
                if fails != by_recall:
                    differs[condition, subset] = fails, by_recall
    assert differs == {("sgd", "FD002"): (False, PARTLY)}
    assert decided > len(SUBSETS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "condition", "subset", "method", "others", "equivalent"),
    [
        (
            "n24.1-empirical-winner",
            "protocol",
            "FD002",
            "amnl",
            AMNL_ROWS,
            {"amnl_060", "amnl_090"},
        ),
        ("n24.1-empirical-winner", "protocol", "FD004", "amnl", AMNL_ROWS, {"amnl_090"}),
        ("n24.1-empirical-winner", "protocol", "FD002", "fixed_050", BOOK_SWEEP, set()),
        ("n24.1-empirical-winner", "protocol", "FD004", "fixed_050", BOOK_SWEEP, set()),
        ("n24.1-clear-margins", "protocol", "FD002", "fixed_050", CLOSEST_ROWS, {"fixed_075"}),
        *(
            ("n24.1-clear-margins", "protocol", subset, "amnl", CLOSEST_BY_LABEL, {"amnl_090"})
            for subset in BOOK_SUBSETS
        ),
        ("l9.1-scheme-tuned", "protocol", "FD002", "fixed_legacy", FIXED_METHODS, {"fixed_0999"}),
        ("l9.1-scheme-tuned", "protocol", "FD004", "fixed_legacy", FIXED_METHODS, set()),
        ("n4.3-gaba-beats-sweep", "protocol", "FD002", "gaba", FIXED_METHODS, {"fixed_099"}),
        ("n4.3-gaba-beats-sweep", "protocol", "FD004", "gaba", FIXED_METHODS, set()),
        ("n4.3-gaba-beats-sweep", "book-batch", "FD002", "gaba", FIXED_METHODS, {"fixed_075"}),
        ("n4.3-gaba-beats-sweep", "sgd", "FD004", "gaba", FIXED_METHODS, {"fixed_050"}),
        *(
            ("n24.1-too-much-health-measured", *where, "fixed_050", SMALL_RUL_WEIGHTS, set())
            for where in product(("protocol", "book-batch", "sgd"), BOOK_SUBSETS)
        ),
    ],
)
def test_the_reasons_of_the_ledger_name_the_pairs_that_are_shown_to_be_equivalent(
    claim, condition, subset, method, others, equivalent
):
    rule = rule_of(claim)
    about = [run for run in records_under(condition) if method_of(run.config).name in rule.methods]
    table = comparison_table(
        about,
        subset,
        reference=method,
        methods=set(others) - {method},
        families=len(rule.subsets),
    )
    assert not set(table["outcome"]) & set(TOLD_APART)
    assert set(table.loc[table["outcome"] == Outcome.EQUIVALENT, "method"]) == equivalent


@pytest.mark.slow
def test_dynamic_methods_are_equivalent_to_static_ones_on_one_subset_as_the_ledger_says():
    records = records_under("protocol")
    outcomes = {
        subset: compare_groups(records, subset, DYNAMIC_METHODS, STATIC_METHODS, families=2).outcome
        for subset in BOOK_SUBSETS
    }
    assert outcomes == {"FD002": Outcome.EQUIVALENT, "FD004": Outcome.TIE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "condition", "carrying", "not_competent", "competent"),
    [
        ("n12.4-symptom-hs-plateau", "sgd", True, {"FD001"}, {"FD002"}),
        ("n12.4-symptom-one-to-one-fails", "sgd", PARTLY, {"FD001"}, {"FD002"}),
        ("l9.1-domination-harms", "sgd", True, {"FD001"}, {"FD002"}),
        ("l9.1-mse-scale", "book-batch", False, {"FD001", "FD003"}, {"FD002", "FD004"}),
    ],
)
def test_the_ledger_says_where_trainings_that_decide_are_not_competent(
    claim, condition, carrying, not_competent, competent, real_data
):
    assert "not competent" in find(claim).reason.replace("\n", " ")
    records = records_under(condition)
    by_subset = rule_of(claim).by_subset(records)
    assert {name for name, holds in by_subset.items() if holds == carrying} == not_competent
    boosting = {
        subset: boosting_validation_rmse(prepare(load(subset, "cmapss"), Recipe()))
        for subset in not_competent | competent
    }
    table = competence_table({condition: records}, boosting)
    equal = table[table["method"] == "fixed_050"].set_index("subset")["competent"]
    assert set(equal.index[equal]) == competent
