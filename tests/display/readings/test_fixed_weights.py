"""What is said of fixed weights: cells and sentences follow the numbers."""

import numpy as np
import pandas as pd
import pytest

from rulbook.claims.decision import decide
from rulbook.claims.ledger import Verdict, find
from rulbook.claims.printed import printed_progression
from rulbook.display.readings import fixed_weights as readings
from rulbook.experiments.weight_search import Searches
from rulbook.experiments.weight_trade_off import typical_course
from rulbook.statistics import Comparison
from rulbook.studies.evidence import Evidence
from rulbook.studies.fixed_weights import FIRST_COURSE, BestWeights
from rulbook.studies.sweep import Status

from ..conftest import cells_of

WAITING = Evidence("long", (), Status(0, 0, 2), (), ())


def test_the_printed_progression_is_the_ledgers():
    progression = printed_progression()
    assert progression.index.tolist() == [1, 10, 50, 100]
    assert (progression > 0).all(axis=None)
    assert (progression["rul"].diff().dropna() < 0).all()


@pytest.fixture
def progression():
    return pd.DataFrame(
        {"rul": [900.0, 100.0], "health": [1.0, 0.5]}, index=pd.Index([1, 3], name="epoch")
    )


@pytest.fixture
def course():
    return pd.DataFrame(
        {
            "rul_loss": [800.0, 700.0, *[600.0] * 7, 200.0, 50.0],
            "health_loss": [1.0, 0.9, *[0.8] * 7, 0.7, 0.25],
        }
    )


def test_recorded_losses_stand_beside_the_printed_ones_of_their_epoch(progression, course):
    header, first, third = cells_of(
        readings.progression_table(progression, {FIRST_COURSE: course}, "All.")
    )
    assert header[1:] == [
        "source, RUL",
        "source, health",
        f"{FIRST_COURSE}, RUL",
        f"{FIRST_COURSE}, health",
    ]
    assert first == ["1", "900", "1.00", "800", "1.00"]
    assert third == ["3", "100", "0.50", "600", "0.80"]


def test_recorded_losses_of_every_subset_stand_beside_a_printed_one_and_decide_nothing(course):
    progression = printed_progression().loc[[1, 10]]
    courses = {FIRST_COURSE: course, "compact network, FD002": 2 * course}
    answers = readings.progression_answers(progression, courses)
    assert (
        answers["l9.1-progression-10-rul"].note == "recorded at 0.5/0.5: 200 on FD001, 400 on FD002"
    )
    assert "1.00 on FD001, 2.00 on FD002" in answers["l9.1-progression-1-health"].note
    verdicts = {
        decide(find(claim), one.value, note=one.note).verdict for claim, one in answers.items()
    }
    assert verdicts == {Verdict.UNDECIDABLE}
    assert {one.note for one in readings.progression_answers(progression, {}).values()} == {""}


def test_a_start_at_the_mean_loses_the_square_of_the_mean():
    rul = np.random.default_rng(0).uniform(0, 125, size=1000).astype(np.float32)
    start = readings.start_values(rul)
    assert start["start-at-zero"] - start["start-at-mean"] == pytest.approx(
        rul.mean() ** 2, rel=1e-5
    )


def test_a_search_is_summed_up_over_its_repeats():
    weights = np.array([[0.2, 0.4], [0.6, 0.8]])
    searches = {"grid": Searches(weights, np.array([[10.0, 12.0], [14.0, 12.0]]))}
    gap = Comparison(-0.5, -1.0, 0.25, 0.2, 0.7, 2)
    _, row = cells_of(readings.search_table(searches, {"grid": gap}))
    assert row[:5] == ["grid", "2", "0.200", "0.500", "0.8000"]
    assert row[5].startswith("11.00 [")
    assert row[6] == "−0.50 [−1.00, +0.25]"
    assert "over 2 searches" in readings.search_table(searches, {"grid": gap}).data


def test_shares_of_steps_stay_between_nothing_and_all():
    shares = {0.5: pd.Series([0.0, 1.0, 4.0]), "1/(1+ρ)": pd.Series([50.0, 50.0])}
    _, first, second = cells_of(readings.harm_table(shares))
    assert first == ["0.5", "2 [0, 7]"]
    assert second == ["1/(1+ρ)", "50 [50, 50]"]


def best(early, last, p_value, serves_throughout=None):
    gaps = [Comparison(1.5, 1.0, 2.0, p_value, 0.5, 5)] * 2
    return BestWeights(5, early, last, (9, 12), *gaps, serves_throughout)


def test_the_best_weight_is_said_to_move_only_if_it_does():
    moved, tied, near, missing = readings.best_weights_reading(
        {
            "FD001": best(0.25, 0.9, 0.001),
            "FD002": best(0.25, 0.9, 0.3),
            "FD003": best(0.25, 0.25, 0.3, serves_throughout=0.25),
            "FD004": None,
        }
    ).splitlines()
    assert "over 5 seeds" in moved
    assert "is 0.25 after 3 epochs and 0.9 after the last epoch, number 9 to 12." in moved
    gap = "1.50 [1.00,\N{NO-BREAK SPACE}2.00]"
    assert f"Early on, the error of 0.9 is {gap} cycles above that of 0.25" in moved
    assert moved.endswith("So the best weight moves.")
    assert tied.endswith("So that is open.")
    assert "Early on" not in near
    assert near.endswith(
        "At both moments 0.25 is shown to be at most 0.5 cycles above every other weight, so the "
        "best weight need not move."
    )
    assert missing == "* On FD004 a seed of a weight is missing; `rulbook sweep core` runs it."


def test_what_is_missing_is_said_instead(course):
    assert readings.courses_reading({}, WAITING) == WAITING.sentence()
    elsewhere = {"compact network, FD002": course}
    assert readings.courses_reading(elsewhere, WAITING) == WAITING.sentence()


def test_a_course_is_told_by_its_first_tenth_and_last_epoch(course):
    reading = readings.courses_reading({FIRST_COURSE: course}, WAITING)
    assert reading.startswith(
        "On FD001 the RUL loss goes from 800 to 200 to 50 cycles² at epochs 1, 10 and 11, and "
        "the health loss from 1.00 to 0.70 to 0.25 nats. Both are lower"
    )
    assert "is 4.0 times as large at the end" in reading


def test_the_sum_is_dominated_by_a_loss_in_the_hundreds():
    assert readings.domination_claims(100.0, 1.0)["l9.1-sum-dominated"]
    assert not readings.domination_claims(50.0, 1.0)["l9.1-sum-dominated"]


def test_the_best_weight_decides_both_sections():
    claims = readings.best_weights_claims({})
    assert claims["l9.1-optimal-weight-moves"] == claims["n4.3-optimal-weight-moves"] == {}
    assert claims["l9.1-dataset-specific"] is None


def test_searches_are_quoted_under_the_names_of_the_text():
    weights = np.array([[0.2, 0.4], [0.6, 0.0005]])
    searches = {"grid": Searches(weights, np.array([[10.0, 12.0], [14.0, 19.0]]))}
    gap = Comparison(-0.5, -1.0, 0.25, 0.2, 0.7, 2)
    values = readings.search_values(searches, {"grid": gap}, 4)
    assert (values["lowest-chosen"], values["highest-chosen"]) == (0.2, 0.6)
    assert (values["repeats"], values["trainings"], values["told-apart"]) == (2, 4, "none")
    assert values["steepest"] == 7


def test_balancing_weights_are_quoted_from_the_printed_losses():
    progression = printed_progression()
    values = readings.progression_values(progression)
    first = progression.loc[1]
    assert values["balance-1"] == pytest.approx(first["health"] / first.sum())
    assert values["balance-100"] > values["balance-1"]
    assert 0 < values["share-at-100"] < 100


def test_ratios_and_conflicts_are_quoted_from_the_course():
    traced = pd.DataFrame(
        {
            "step": [0, 0, 20, 20],
            "seed": [1, 2, 1, 2],
            "rul_loss": 100.0,
            "health_loss": 1.0,
            "norm_rul": [10.0, 10.0, 100.0, 100.0],
            "norm_health": 1.0,
            "cosine": [-0.1, 0.1, -0.1, -0.1],
        }
    )
    values = readings.course_values(traced, typical_course(traced))
    assert (values["norm-ratio-start"], values["norm-ratio-end"]) == (10, 100)
    assert (values["loss-ratio-start"], values["course-seeds"]) == (100, 2)
    assert values["gradient-balance-min"] == pytest.approx(1 / 101)
    assert values["left-over-low"] == pytest.approx(0.1)
    shares = {0.5: pd.Series([40.0, 60.0]), "1/(1+ρ)": pd.Series([10.0, 20.0])}
    quoted = readings.conflict_values(traced, shares)
    assert (quoted["negative"], quoted["harm-half"], quoted["harm-balanced"]) == (75, 50, 15)


def test_the_closing_table_is_settled_by_the_text():
    assert not any(find(name).needs_value for name in readings.closing_table_claims())
