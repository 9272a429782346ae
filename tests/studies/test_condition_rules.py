"""Which records decide a claim, and under which training conditions."""

import pytest

from rulbook.claims.ledger import read_ledger
from rulbook.data.cmapss import SUBSETS
from rulbook.errors import RulbookError, UsageError
from rulbook.studies import SEEDS
from rulbook.studies.by_condition import records_by_condition
from rulbook.studies.claim_rules import is_near_chance
from rulbook.studies.condition_rules import (
    CONDITION_RULES,
    adam_and_sgd_agree,
    decide_all,
    decisions,
    rule_of,
)
from rulbook.studies.equal_weight_rules import equal_weight_runs
from rulbook.studies.holds import PARTLY, those_decided
from rulbook.studies.tuning import last_validation, selected_validation

from .conftest import BOOK_BATCH, SGD, WINDOW_SPLIT, epoch, validated


def test_every_rule_is_of_a_statistical_claim_of_the_ledger():
    ledger = read_ledger()
    assert {ledger[claim].tier for claim in CONDITION_RULES} == {"statistical"}
    assert {ledger[claim].needs for claim in CONDITION_RULES} == {"records"}


def test_no_rule_decides_anything_without_records():
    for rule in CONDITION_RULES.values():
        assert rule.holds([]) is None
        assert decisions(rule, {"protocol": [], "sgd": []}) == {}


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
                    for epoch_of in (selected_validation, last_validation)
                )
                decided += 1
                if fails != by_recall:
                    differs[condition, subset] = fails, by_recall
    assert differs == {("sgd", "FD002"): (False, PARTLY)}
    assert decided > len(SUBSETS)
