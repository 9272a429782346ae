"""Each rule says yes where the records show it, no where they do not, and nothing before."""

import random
from collections.abc import Mapping

import pytest

from rulbook.studies import claim_rules
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.claim_rules import ADAPTIVE_METHODS, BOOK_SWEEP, ProtocolRule, rmse_rule
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.methods import AMNL_SWEEP, FIXED_METHODS, METHODS
from rulbook.training import RunRecord

from .conftest import RecordMaker, epoch

RULES: dict[str, ProtocolRule[object]] = {
    name: value for name, value in vars(claim_rules).items() if hasattr(value, "subsets")
}

GOOD, USUAL, BAD = 5.0, 10.0, 20.0

HOLDS: Mapping[str, Mapping[str, float]] = {
    "equal_weights_win": {"fixed_050": GOOD},
    "equal_weights_win_clearly": {"fixed_050": GOOD},
    "error_rises_with_rul_weight": dict(zip(BOOK_SWEEP, (5, 7, 9, 12, 16), strict=True)),
    "equal_weights_beat_smaller_ones": {"fixed_050": GOOD},
    "single_task_is_a_cliff": {"single_task": 5 * USUAL},
    "legacy_weights_win": {"fixed_legacy": GOOD},
    "equal_weights_keep_pace": {"gaba": BAD},
    "gradient_aware_win": {"gaba": GOOD, "grace": GOOD},
    "gaba_beats_the_sweep": {"gaba": GOOD},
    "dynamic_beat_static": dict.fromkeys(("inverse_magnitude", "uncertainty", "gaba"), GOOD),
}
"""The spread of the errors that makes a rule hold; that of methods not named is ``USUAL``."""

FAILS: Mapping[str, Mapping[str, float]] = {
    "equal_weights_win": {"fixed_050": GOOD, "fixed_090": GOOD},
    "equal_weights_win_clearly": {"fixed_050": GOOD, "fixed_075": GOOD},
    "error_rises_with_rul_weight": dict(zip(BOOK_SWEEP, (5, 9, 7, 12, 16), strict=True)),
    "equal_weights_beat_smaller_ones": {"fixed_050": GOOD, "fixed_0002": GOOD},
    "single_task_is_a_cliff": {"single_task": BAD},
    "legacy_weights_win": {"fixed_legacy": GOOD, "fixed_060": GOOD},
    "equal_weights_keep_pace": {"gaba": GOOD},
    "gradient_aware_win": {"gaba": GOOD},
    "gaba_beats_the_sweep": {"gaba": BAD},
    "dynamic_beat_static": {"fixed_025": GOOD, "fixed_050": GOOD},
}

QUICK = [name for name in HOLDS if len(RULES[name].methods) < 8]


def records_for(
    make_record: RecordMaker, rule: ProtocolRule[object], spreads: Mapping[str, float]
) -> list[RunRecord]:
    """Return every run that a rule needs."""
    return [
        make_record(name, subset, seed, noise=spreads.get(name, USUAL), epochs=(epoch(10.0),))
        for subset in rule.subsets
        for name in rule.methods
        for seed in rule.seeds
    ]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in HOLDS]
)
def test_a_rule_says_what_its_records_show(make_record, name):
    rule = RULES[name]
    assert rule(records_for(make_record, rule, HOLDS[name])) is True
    assert rule(records_for(make_record, rule, FAILS[name])) is False


@pytest.mark.parametrize("name", RULES)
def test_a_rule_needs_runs_that_exist_and_waits_for_the_first_of_them(name):
    rule = RULES[name]
    assert set(rule.methods) <= set(METHODS) | set(AMNL_SWEEP)
    assert rule.seeds == SEEDS
    assert rule([]) is None


@pytest.mark.parametrize("name", QUICK)
def test_a_claim_that_holds_stays_open_while_one_run_is_missing(make_record, name):
    rule = RULES[name]
    assert rule(records_for(make_record, rule, HOLDS[name])[:-1]) is None


def test_one_tie_settles_that_a_method_is_not_the_best(make_record):
    rule = RULES["gradient_aware_win"]
    runs = records_for(make_record, rule, {"grace": GOOD})
    without_grace = [run for run in runs if run.config.inner_loss == "mse"]
    assert len(without_grace) < len(runs)
    assert rule(without_grace) is False


@pytest.mark.parametrize("name", ["equal_weights_keep_pace", "gradient_aware_win"])
def test_other_records_and_their_order_change_nothing(make_record, name):
    rule = RULES[name]
    needed = records_for(make_record, rule, HOLDS[name])
    beside = [
        make_record("fixed_0002", rule.subsets[0], noise=0.1),
        make_record(rule.methods[0], "FD003", noise=0.1),
        make_record(rule.methods[0], rule.subsets[0], seed=7, noise=0.1),
        make_record(rule.methods[0], rule.subsets[0], seed=8, diverged=True),
    ]
    mixed = [*needed, *beside]
    random.Random(0).shuffle(mixed)
    assert rule(iter(mixed)) == rule(needed)


def test_a_rule_can_be_asked_about_another_training_condition(make_record):
    rule = RULES["gradient_aware_win"]
    runs = [
        make_record(name, "FD002", seed, noise=USUAL, batch_size=64)
        for name in rule.methods
        for seed in rule.seeds
    ]
    assert rule(runs) is False


@pytest.mark.slow
@pytest.mark.parametrize("other_best", ["fixed_0002", "fixed_050"])
def test_the_best_weights_differ_only_where_a_subset_has_other_ones_beyond_chance(
    make_record, other_best
):
    rule = RULES["best_weight_differs"]
    runs = [
        make_record(
            name,
            subset,
            seed,
            noise=GOOD if name == ("fixed_050" if subset != "FD003" else other_best) else USUAL,
        )
        for subset in rule.subsets
        for name in FIXED_METHODS
        for seed in rule.seeds
    ]
    assert rule(runs) is (other_best != "fixed_050")
    assert rule(runs[1:]) is None


def test_the_last_weight_of_gaba_is_that_of_its_last_epochs(make_record):
    rule = claim_rules.gaba_last_rul_weight
    first, last = (
        epoch(10.0).model_copy(update={"weights": {"rul_weight": w, "health_weight": 1 - w}})
        for w in (0.4, 0.06)
    )
    runs = [
        make_record("gaba", subset, seed, epochs=(first, last))
        for subset in rule.subsets
        for seed in rule.seeds
    ]
    assert rule(runs) == pytest.approx(0.06)
    assert rule(runs[1:]) is None


def test_a_printed_error_is_held_against_the_mean_over_every_seed(make_record):
    runs = [make_record("amnl_060", "FD004", seed) for seed in SEEDS]
    rule = rmse_rule("FD004", "amnl_060")
    assert rule(runs[:-1]) is None
    assert rule(runs) == rmse_by_seed(runs, "FD004", "amnl_060").value
    assert rule.methods == ("amnl_060",)


def test_the_lowest_error_is_that_of_the_best_method(make_record):
    runs = [
        make_record(name, "FD002", noise=noise)
        for name, noise in (("fixed_050", USUAL), ("gaba", GOOD), ("grace", BAD))
    ]
    assert claim_rules.lowest_error(runs, "FD002", ["fixed_050", "gaba", "grace"]) == "gaba"
    with pytest.raises(ValueError, match="no completed run of dwa"):
        claim_rules.lowest_error(runs, "FD002", ["gaba", "dwa"])


def test_every_rule_that_compares_is_tried_both_ways():
    numbers = {"best_weight_differs", "gaba_last_rul_weight"}
    assert set(HOLDS) == set(FAILS) == set(RULES) - numbers
    assert set(ADAPTIVE_METHODS) <= set(RULES["equal_weights_keep_pace"].methods)


def test_the_gain_on_fd002_waits_for_every_seed_and_needs_a_lower_error(make_record):
    def runs(name, noise, seeds=SEEDS):
        return [
            make_record(name, "FD002", seed, noise=noise, epochs=(epoch(10.0),)) for seed in seeds
        ]

    gain = claim_rules.gain_on_fd002_claims
    single, equal = runs("single_task", USUAL), runs("fixed_050", GOOD)
    decided = gain([*single, *equal])
    assert decided["n4.1-fd002-drop-measured"] is True
    assert decided["n4.1-fd002-naive"] == rmse_by_seed(equal, "FD002", "fixed_050").value
    assert decided["n4.1-fd002-gaba"] is None
    worse = gain([*single, *runs("fixed_050", BAD)])
    assert worse["n4.1-fd002-drop-measured"] is False
    waiting = gain([*single, *equal[:-1]])
    assert waiting["n4.1-fd002-drop-measured"] is None
    assert waiting["n4.1-fd002-naive"] is None
