import math

import numpy as np
import pandas as pd
import pytest

from rulbook.errors import RulbookError, UsageError
from rulbook.metrics import rmse
from rulbook.statistics import Outcome, compare_crossed, estimate_crossed
from rulbook.studies.catalogue import SEEDS, study
from rulbook.studies.claim_rules import every_seed_in
from rulbook.studies.comparison import (
    compare_groups,
    comparison_table,
    comparisons_of,
    estimates_by_rul_weight,
    estimates_of,
    estimates_table,
    rmse_by_seed,
)
from rulbook.studies.evidence import (
    METRICS,
    completed_runs,
    errors_by_engine,
    records_of,
    runs_table,
)
from rulbook.studies.printed_figures import mean_test_rmse
from rulbook.studies.sweep import runs_folder
from rulbook.weighting import registry

from .conftest import believable

BETTER, WORSE = {"noise": 4.0}, {"noise": 30.0}


@pytest.fixture
def some_records(make_record):
    """Five seeds of four methods, one clearly better than the reference and one clearly worse."""
    spreads = {"fixed_050": {}, "gaba": BETTER, "dwa": WORSE, "single_task": {"noise": 10.2}}
    return [
        make_record(name, seed=seed, **spread) for seed in SEEDS for name, spread in spreads.items()
    ]


# Reading --------------------------------------------------------------------------------------


def test_nothing_recorded_is_said_so(results):
    evidence = records_of("imbalance")
    assert (evidence.records, evidence.seeds, evidence.seeds_begun) == ((), (), ())
    assert evidence.status.missing == evidence.status.total == 20
    assert not evidence.complete
    assert evidence.sentence() == "Study imbalance: 0 of 20 runs recorded."


def test_records_of_a_study_are_its_own_and_what_is_missing_is_counted(results, make_record):
    believable(make_record("gaba")).write(runs_folder())
    for subset in ("FD001", "FD002", "FD003", "FD004"):
        believable(make_record(subset=subset, observe_every=1)).write(runs_folder())
    believable(make_record(subset="FD001", seed=123, observe_every=1)).write(runs_folder())
    evidence = records_of("imbalance")
    assert {r.config.weighting for r in evidence.records} == {"fixed_050"}
    assert (evidence.status.done, evidence.status.missing) == (5, 15)
    assert (evidence.seeds, evidence.seeds_begun) == ((42,), (123,))
    assert evidence.sentence() == (
        "Study imbalance: 5 of 20 runs recorded (compact network; "
        "C-MAPSS FD001, FD002, FD003 and FD004; seed 42, seed 123 in part)."
    )


def test_a_whole_study_is_complete(results, make_record):
    for config in study("long").configs():
        believable(make_record(), config).write(runs_folder())
    evidence = records_of("long")
    assert evidence.complete
    assert evidence.seeds == (42,)
    assert evidence.sentence().startswith("Study long: all 2 runs recorded (")


def test_an_unknown_study_and_a_broken_record_are_named(results):
    with pytest.raises(UsageError, match="nonsense"):
        records_of("nonsense")
    key = next(study("long").configs()).key()
    runs_folder().mkdir(parents=True)
    (runs_folder() / f"{key}.json").write_text("{}")
    with pytest.raises(RulbookError, match=key):
        records_of("long")


# The rule -------------------------------------------------------------------------------------


def test_a_claim_is_decided_when_every_seed_of_every_method_is_in(make_record):
    methods, subsets = ("fixed_050", "gaba"), ("FD002", "FD004")
    records = [make_record(m, s, seed) for m in methods for s in subsets for seed in SEEDS]
    assert every_seed_in(records, subsets, methods)
    for absent in range(len(records)):
        rest = records[:absent] + records[absent + 1 :]
        assert not every_seed_in(rest, subsets, methods)
    assert every_seed_in(records, ["FD002"], methods)
    assert not every_seed_in(records, ["FD001"], methods)


def test_a_method_of_which_a_run_diverged_decides_nothing(make_record):
    completed = [make_record("gradnorm", seed=seed) for seed in SEEDS]
    one_diverged = [make_record("gradnorm", seed=seed, diverged=seed == 789) for seed in SEEDS]
    assert every_seed_in(completed, ["FD002"], ["gradnorm"])
    assert not every_seed_in(one_diverged, ["FD002"], ["gradnorm"])
    assert mean_test_rmse(one_diverged, "FD002", "gradnorm") is None


def test_a_run_outside_the_tables_decides_nothing(make_record):
    records = [make_record(seed=seed, weighting="cagrad") for seed in SEEDS]
    assert not every_seed_in(records, ["FD002"], ["fixed_050"])
    assert completed_runs(records) == {}


# Runs -----------------------------------------------------------------------------------------


def test_two_records_of_one_row_are_refused(make_record):
    with pytest.raises(ValueError, match="no column shows"):
        completed_runs([make_record(), make_record(optimiser="sgd")])


def test_measurements_follow_their_definitions(make_record):
    record = make_record(bias=3.0)
    frame = record.test.frame()
    row = runs_table([record]).iloc[0]
    capped = np.minimum(frame["true_rul"], 125)
    assert row["rmse"] == rmse(frame["predicted_rul"], capped)
    assert row["rmse_uncapped"] == rmse(frame["predicted_rul"], frame["true_rul"])
    assert row["mean_error"] == pytest.approx((frame["predicted_rul"] - capped).mean())
    true_state = np.select([capped > 80, capped > 30], [0, 1], 2)
    assert row["health_accuracy"] == (frame["predicted_health"] == true_state).mean()
    critical = frame["predicted_health"][true_state == 2]
    assert row["recall_critical"] == pytest.approx((critical == 2).mean())


def test_an_untrained_health_head_has_no_health_metrics_and_a_classifier_has(make_record):
    table = runs_table([make_record(name) for name in ("single_task", "constant", "gaba")])
    untrained = table.set_index("method")["health_accuracy"].isna()
    assert untrained.to_dict() == {"single_task": True, "constant": False, "gaba": False}
    assert table["rmse"].notna().all()


def test_a_diverged_run_is_a_row_without_measurements(make_record):
    row = runs_table([make_record(diverged=True)]).iloc[0]
    assert not row["completed"]
    assert row[list(METRICS)].isna().all()


def test_capping_the_truth_touches_only_engines_above_the_cap(make_record):
    record = make_record()
    change = errors_by_engine([record])[0] - errors_by_engine([record], capped=False)[0]
    above = np.maximum(record.test.frame()["true_rul"].to_numpy() - 125, 0)
    np.testing.assert_allclose(change, above)


def test_runs_on_different_engines_are_not_mixed(make_record):
    record = make_record()
    other = record.test.model_copy(update={"unit": [u + 1 for u in record.test.unit]})
    with pytest.raises(ValueError, match="different engines"):
        errors_by_engine([record, record.model_copy(update={"test": other})])


# Estimates ------------------------------------------------------------------------------------


def test_estimates_are_over_seeds_and_engines(some_records):
    table = estimates_table(some_records, "FD002").set_index("method")
    assert list(table.index) == ["single_task", "fixed_050", "dwa", "gaba"]
    by_seed = runs_table(some_records).query("method == 'gaba'")["rmse"]
    row = table.loc["gaba"]
    assert row["seeds"] == 5
    assert row["rmse_mean"] == pytest.approx(by_seed.mean())
    assert row["rmse_sd"] == pytest.approx(by_seed.std(ddof=1))
    assert row["rmse"] == pytest.approx(math.sqrt((by_seed**2).mean()))
    assert row["low"] < row["rmse"] < row["high"]
    of_gaba = completed_runs(some_records)["FD002", "gaba"].values()
    crossed = estimate_crossed(errors_by_engine(of_gaba) ** 2)
    assert (row["low"], row["high"]) == (crossed.low, crossed.high)
    assert rmse_by_seed(some_records, "FD002", "gaba").value == pytest.approx(by_seed.mean())


def test_one_seed_has_neither_an_interval_nor_a_spread(make_record):
    row = estimates_table([make_record()], "FD002").iloc[0]
    assert row["seeds"] == 1
    assert np.isfinite(row["rmse"])
    assert np.isnan([row["low"], row["high"], row["rmse_sd"]]).all()


def test_diverged_and_dead_runs_are_counted_and_not_averaged(make_record):
    records = [make_record(), make_record(seed=123, diverged=True, starts_dead=True)]
    row = estimates_table(records, "FD002").iloc[0]
    assert (row["seeds"], row["diverged"], row["starts_dead"]) == (1, 1, 1)
    assert row["rmse_mean"] == runs_table(records)["rmse"].iloc[0]


def test_a_method_that_only_diverged_has_a_row_without_an_estimate(make_record):
    row = estimates_table([make_record(diverged=True)], "FD002").iloc[0]
    assert row["seeds"] == 0
    assert np.isnan(row["rmse"])


def test_no_records_give_empty_tables_with_their_columns(make_record):
    assert estimates_table([], "FD002").empty
    assert "outcome" in comparison_table([], "FD002").columns
    assert comparison_table([make_record()], "FD002").empty
    with pytest.raises(ValueError, match="no completed run"):
        rmse_by_seed([], "FD002", "gaba")


# Comparisons ----------------------------------------------------------------------------------


def test_swapping_the_two_methods_turns_the_sign(some_records):
    one = comparison_table(some_records, "FD002", reference="dwa", methods=["gaba"]).iloc[0]
    other = comparison_table(some_records, "FD002", reference="gaba", methods=["dwa"]).iloc[0]
    assert one["difference"] == pytest.approx(-other["difference"])
    assert (one["outcome"], other["outcome"]) == (Outcome.LOWER, Outcome.HIGHER)


def test_the_order_of_the_records_does_not_matter(some_records):
    forwards = comparison_table(some_records, "FD002")
    backwards = comparison_table(some_records[::-1], "FD002")
    pd.testing.assert_frame_equal(forwards, backwards)


def test_only_seeds_that_both_have_are_compared(make_record):
    records = [make_record(seed=s) for s in SEEDS] + [
        make_record("gaba", seed=42),
        make_record("gaba", seed=123, diverged=True),
        make_record("dwa", seed=7),
    ]
    table = comparison_table(records, "FD002")
    assert table["method"].tolist() == ["gaba"]
    assert table["seeds"].tolist() == [1]
    assert table["p_holm"].isna().all()
    assert table["outcome"].tolist() == [Outcome.TOO_FEW_SEEDS]


def test_a_method_against_itself_is_equivalent(make_record):
    base = [make_record(seed=seed) for seed in SEEDS]
    same = [
        make_record("gaba", seed=run.config.seed).model_copy(update={"test": run.test})
        for run in base
    ]
    row = comparison_table([*base, *same], "FD002").iloc[0]
    assert (row["difference"], row["outcome"], row["p_value"]) == (0.0, Outcome.EQUIVALENT, 1.0)


def test_correction_is_over_the_family_that_is_asked_for(some_records):
    whole = comparison_table(some_records, "FD002").set_index("method")
    alone = comparison_table(some_records, "FD002", methods=["single_task"]).iloc[0]
    assert alone["p_holm"] == alone["p_value"]
    assert whole.loc["single_task", "p_holm"] >= whole.loc["single_task", "p_value"]


def test_groups_are_compared_over_all_of_their_runs(some_records):
    compared = compare_groups(some_records, "FD002", ["gaba", "dwa"], ["fixed_050"])
    runs = completed_runs(some_records)
    squared = {
        name: errors_by_engine(runs["FD002", name].values()) ** 2
        for name in ("gaba", "dwa", "fixed_050")
    }
    first = (squared["gaba"] + squared["dwa"]) / 2
    (by_hand,) = compare_crossed([(first, squared["fixed_050"])], margin=0.5)
    assert compared == by_hand
    alone = compare_groups(some_records, "FD002", ["dwa"], ["fixed_050"])
    by_table = comparison_table(some_records, "FD002", methods=["dwa"]).iloc[0]
    assert alone.difference == by_table["difference"]
    with pytest.raises(ValueError, match="no completed run of grace on FD002"):
        compare_groups(some_records, "FD002", ["grace"], ["fixed_050"])
    one = [run for run in some_records if run.config.weighting != "gaba" or run.config.seed == 42]
    other = [run for run in one if run.config.weighting != "dwa" or run.config.seed != 42]
    with pytest.raises(ValueError, match="no seed in common"):
        compare_groups(other, "FD002", ["gaba"], ["dwa"])


def test_evidence_gives_the_tables_of_its_records_and_a_copy_to_each_reader(
    some_records, make_evidence
):
    evidence = make_evidence(some_records)
    first = estimates_of(evidence, "FD002")
    pd.testing.assert_frame_equal(first, estimates_table(some_records, "FD002"))
    first["rmse"] = 0.0
    assert (estimates_of(evidence, "FD002")["rmse"] > 0).all()
    pd.testing.assert_frame_equal(
        comparisons_of(evidence, "FD002", ["gaba"], reference="dwa"),
        comparison_table(some_records, "FD002", methods=["gaba"], reference="dwa"),
    )


def test_the_sweep_is_read_by_weight_with_the_single_task_at_one(make_record, make_evidence):
    records = [make_record(name) for name in ("single_task", "fixed_0002", "fixed_legacy", "gaba")]
    evidence = make_evidence(records)
    rows = estimates_by_rul_weight(evidence, "FD002")
    assert dict(rows["method"]) == {1.0: "single_task", 0.002: "fixed_0002"}
    assert estimates_by_rul_weight(evidence, "FD001").empty


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"methods": ["gaba", "gradnorn"]}, "gradnorm"),
        ({"methods": "gaba"}, r"as \['gaba'\]"),
        ({"reference": "fixed_50"}, "fixed_050"),
        ({"methods": ["own_weights"]}, "a method of your own"),
    ],
)
def test_names_that_no_table_has_are_refused(on_every_seed, monkeypatch, names, said):
    monkeypatch.setitem(registry._OWN, "own_weights", registry.get_loss)
    with pytest.raises(UsageError, match=said):
        comparison_table(on_every_seed("gaba"), "FD002", **names)


@pytest.mark.parametrize("group", ["gaba", [], ["gradnorn"]])
def test_a_group_is_a_list_of_names_of_methods(on_every_seed, group):
    with pytest.raises(UsageError, match="method"):
        compare_groups(on_every_seed("gaba"), "FD002", group, ["fixed_050"])
