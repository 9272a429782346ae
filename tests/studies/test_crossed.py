"""Crossed comparisons of records, by every measure, and what they say under each condition."""

import math

import numpy as np
import pandas as pd
import pytest

from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.errors import RulbookError, UsageError
from rulbook.metrics import nasa_score, recall_per_class, rmse
from rulbook.statistics import Outcome, compare_crossed
from rulbook.studies import SEEDS
from rulbook.studies.by_condition import NoOutcome, condition_table, why_no_outcome
from rulbook.studies.comparison import comparison_table, health_loss_table
from rulbook.studies.competence import competence_sentence, competence_table
from rulbook.studies.evidence import errors_by_engine
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import method_of

from .conftest import BOOK_BATCH, SGD, epoch


@pytest.fixture
def three_methods(on_every_seed):
    return [
        *on_every_seed("fixed_050", noise=10.0),
        *on_every_seed("gaba", noise=3.0),
        *on_every_seed("dwa", noise=40.0),
    ]


def test_outcomes_are_those_of_the_crossed_test(three_methods):
    table = comparison_table(three_methods, "FD002").set_index("method")
    assert dict(table["outcome"]) == {"gaba": Outcome.LOWER, "dwa": Outcome.HIGHER}
    squares = {
        name: np.square(errors_by_engine(three_methods[start : start + 5]))
        for name, start in (("fixed_050", 0), ("gaba", 5), ("dwa", 10))
    }
    # In the order of the tables, in which uncertainty and DWA precede GABA.
    pairs = [(squares[name], squares["fixed_050"]) for name in ("dwa", "gaba")]
    for name, expected in zip(("dwa", "gaba"), compare_crossed(pairs, margin=0.5), strict=True):
        assert table.loc[name, "p_holm"] == expected.p_holm
        assert table.loc[name, "low"] == expected.low


def test_baselines_are_compared_alone(three_methods, on_every_seed):
    boosting = on_every_seed("gradient_boosting", noise=3.0)
    networks = comparison_table(three_methods, "FD002").set_index("method")
    both = comparison_table([*three_methods, *boosting], "FD002").set_index("method")
    pd.testing.assert_frame_equal(both.loc[networks.index], networks)
    assert both.loc["gradient_boosting", "p_holm"] == both.loc["gradient_boosting", "p_value"]


def test_fewer_than_five_seeds_have_no_outcome_and_no_say_in_the_correction(
    three_methods, on_every_seed
):
    few = on_every_seed("grace", seeds=SEEDS[:4], noise=3.0)
    table = comparison_table([*three_methods, *few], "FD002").set_index("method")
    assert table.loc["grace", "outcome"] is Outcome.TOO_FEW_SEEDS
    assert math.isnan(table.loc["grace", "p_holm"])
    assert table.loc["grace", "seeds"] == 4
    alone = comparison_table(three_methods, "FD002").set_index("method")
    assert table.loc["gaba", "p_holm"] == alone.loc["gaba", "p_holm"]


def late_share(predicted, true):
    """Return the share of samples whose end of life is predicted too late."""
    return np.mean(np.asarray(predicted) > np.asarray(true))


def measured(run):
    """Return every measure of one run, by the metrics themselves; the RMSE squared."""
    frame = run.test.frame()
    predicted, capped = frame["predicted_rul"], np.minimum(frame["true_rul"], 125)
    states = health_state(frame["true_rul"], run.config.recipe.health_thresholds)
    missed = 1 - recall_per_class(run.test.predicted_health, states)
    return {
        "method": method_of(run.config).name,
        "rmse": rmse(predicted, capped) ** 2,
        "nasa_score": nasa_score(predicted, capped),
        "late_share": late_share(predicted, capped),
        **{f"missed_{s}": share for s, share in zip(HEALTH_STATES, missed, strict=True)},
    }


def test_differences_of_every_measure_are_those_of_the_runs(three_methods):
    means = pd.DataFrame(map(measured, three_methods)).groupby("method").mean()
    means["rmse"] **= 0.5
    for measure in MEASURES:
        table = comparison_table(three_methods, "FD002", measure=measure).set_index("method")
        for name in ("gaba", "dwa"):
            expected = means.loc[name, measure] - means.loc["fixed_050", measure]
            assert table.loc[name, "difference"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("measure", "metric"), [("rmse", rmse), ("nasa_score", nasa_score), ("late_share", late_share)]
)
def test_a_measure_of_one_run_is_the_metric(make_record, measure, metric):
    record = make_record("gaba")
    loss = MEASURES[measure]
    mean = loss.losses([record]).mean()
    value = {"root_mean": math.sqrt(mean), "mean": mean, "sum": mean * 40}[loss.statistic]
    frame = record.test.frame()
    expected = metric(frame["predicted_rul"], np.minimum(frame["true_rul"], 125))
    assert value == pytest.approx(expected)


def test_health_is_compared_only_where_a_health_head_was_trained(three_methods, on_every_seed):
    records = [*three_methods, *on_every_seed("single_task")]
    assert "single_task" in set(comparison_table(records, "FD002")["method"])
    missed = comparison_table(records, "FD002", measure="missed_critical")
    assert set(missed["method"]) == {"gaba", "dwa"}
    assert missed["is_equivalent"].tolist() == [None, None]


def with_health_loss(number, seed):
    one = epoch(12.0)
    loss = number + 0.01 * math.sin(seed)
    return (
        one.model_copy(
            update={"validation": one.validation.model_copy(update={"health_loss": loss})}
        ),
    )


def test_health_losses_are_compared_over_seeds(make_record):
    records = [
        make_record(name, seed=seed, epochs=with_health_loss(loss, seed + len(name)))
        for name, loss in (("fixed_050", 0.6), ("gaba", 0.4), ("dwa", 0.6))
        for seed in SEEDS
    ]
    table = health_loss_table(records, "FD002").set_index("method")
    assert table.loc["gaba", "outcome"] is Outcome.LOWER
    assert table.loc["dwa", "outcome"] is Outcome.TIE
    assert table.loc["gaba", "difference"] == pytest.approx(-0.2, abs=0.01)
    few = health_loss_table([r for r in records if r.config.seed != 42], "FD002")
    assert set(few["outcome"]) == {Outcome.TOO_FEW_SEEDS}
    assert few["p_holm"].isna().all()
    assert few["difference"].notna().all()


# Under training conditions --------------------------------------------------------------------


def test_a_table_by_condition_says_what_can_be_said(three_methods, on_every_seed):
    records = {
        "protocol": [*three_methods, *on_every_seed("gradient_boosting", noise=2.0)],
        "book-batch": [
            *on_every_seed("fixed_050", **BOOK_BATCH, noise=10.0),
            *on_every_seed("gaba", **BOOK_BATCH, noise=30.0),
            *on_every_seed("grace", seeds=SEEDS[:3], **BOOK_BATCH),
        ],
        "caps": [],
    }
    table = condition_table(records, "FD002")
    outcomes = table.set_index(["condition", "method"])["outcome"]
    assert "caps" not in set(table["condition"])
    assert outcomes["protocol", "gaba"] is Outcome.LOWER
    assert outcomes["book-batch", "gaba"] is Outcome.HIGHER
    assert outcomes["book-batch", "grace"] is NoOutcome.WAITING
    assert outcomes["book-batch", "amnl"] is NoOutcome.NOT_RUN
    assert outcomes["protocol", "gradient_boosting"] is Outcome.LOWER
    assert outcomes["book-batch", "gradient_boosting"] is Outcome.LOWER
    assert outcomes["protocol", "fixed_050"] is None
    waiting = table.set_index(["condition", "method"]).loc[("book-batch", "grace")]
    assert waiting["seeds"] == 3
    assert waiting["rmse"] > 0
    assert math.isnan(waiting["low"])
    assert math.isnan(waiting["p_holm"])


def test_the_correction_is_over_one_condition_without_boosting(three_methods, on_every_seed):
    gaba_only = {"protocol": three_methods}
    with_boosting = {"protocol": [*three_methods, *on_every_seed("gradient_boosting")]}
    first, second = (
        condition_table(records, "FD002").set_index("method").loc["gaba", "p_holm"]
        for records in (gaba_only, with_boosting)
    )
    assert first == second


def test_a_reference_that_waits_leaves_no_outcome(on_every_seed):
    records = [
        *on_every_seed("fixed_050", seeds=SEEDS[:4], **BOOK_BATCH),
        *on_every_seed("gaba", **BOOK_BATCH, noise=2.0),
    ]
    table = condition_table({"book-batch": records}, "FD002").set_index("method")
    assert table.loc["gaba", "outcome"] is NoOutcome.WAITING
    assert math.isnan(table.loc["gaba", "difference_low"])


def test_sgd_that_did_not_arrive_has_no_outcome(on_every_seed):
    arrived, going = (epoch(12.0),) * 50, (epoch(12.0),) * 100
    records = [
        *on_every_seed("fixed_050", epochs=arrived, **SGD),
        *on_every_seed("gaba", seeds=SEEDS[:4], epochs=arrived, noise=2.0, **SGD),
        *on_every_seed("gaba", seeds=SEEDS[4:], epochs=going, noise=2.0, **SGD),
        *on_every_seed("fixed_0002", epochs=arrived, noise=2.0, **SGD),
    ]
    table = condition_table({"sgd": records}, "FD002").set_index("method")
    assert table.loc["gaba", "outcome"] is NoOutcome.NOT_ARRIVED
    assert table.loc["gaba", "rmse"] > 0
    assert table.loc["fixed_0002", "outcome"] is Outcome.LOWER


def test_diverged_runs_are_not_waited_for(on_every_seed):
    records = [
        *on_every_seed("gaba", seeds=SEEDS[:4]),
        *on_every_seed("gaba", seeds=SEEDS[4:], diverged=True),
    ]
    assert why_no_outcome(records, "protocol", "FD002", "gaba") is NoOutcome.DIVERGED
    assert why_no_outcome(records, "protocol", "FD001", "gaba") is NoOutcome.NOT_RUN


def test_records_of_another_condition_are_refused(three_methods):
    with pytest.raises(RulbookError, match="under the condition protocol, not under sgd"):
        condition_table({"sgd": three_methods}, "FD002")
    with pytest.raises(UsageError, match="nonesuch"):
        condition_table({"nonesuch": three_methods}, "FD002")


# Competence -----------------------------------------------------------------------------------


def test_a_training_is_competent_within_a_cycle_of_boosting(make_record):
    records = [
        make_record(name, subset, seed=seed, epochs=(epoch(rmse + shift),))
        for seed, shift in ((42, -0.5), (123, 0.5))
        for name, subset, rmse in (
            ("gaba", "FD001", 13.9),
            ("dwa", "FD001", 14.1),
            ("dwa", "FD002", 12.0),
        )
    ]
    under = {"protocol": records, "caps": records[1:2]}
    table = competence_table(under, {"FD001": 13.0, "FD002": 15.0, "FD003": 12.0})
    assert table[["subset", "condition", "method", "competent"]].to_numpy().tolist() == [
        ["FD001", "protocol", "dwa", False],
        ["FD001", "protocol", "gaba", True],
        ["FD001", "caps", "dwa", True],
        ["FD002", "protocol", "dwa", True],
    ]
    assert table["difference"].tolist() == pytest.approx([1.1, 0.9, 0.6, -3.0])
    assert table["seeds"].tolist() == [2, 2, 1, 2]
    assert competence_sentence(table, "FD001") == (
        "FD001, where boosting reaches 13.0: *the protocol* 14.0 (1 of 2 ✓, 2 seeds or "
        "more); *target in caps* 13.6 (✓, 1 seed or more)."
    )
    assert "*the protocol* 12.0 (✓, " in competence_sentence(table, "FD002")
    assert "no training is recorded" in competence_sentence(table, "FD003")


def test_windows_of_trained_on_engines_show_no_competence(make_record):
    records = [make_record("gaba", "FD001", seed=42, epochs=(epoch(5.0),))]
    assert competence_table({"window-split": records}, {"FD001": 13.0}).empty


def test_baselines_are_not_held_against_themselves(on_every_seed):
    records = on_every_seed("gradient_boosting")
    assert competence_table({"protocol": records}, {"FD002": 15.0}).empty
