import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from rulbook.display.results import (
    NOTHING,
    competence_shown,
    condition_results,
    error_table,
    evidence_table,
    in_words,
    number,
    number_range,
    p_value,
    quality_table,
    sentences,
    spread,
    variants_reading,
    within,
)
from rulbook.studies.by_condition import condition_table
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import comparison_table, estimates_table
from rulbook.studies.methods import METHODS

from .conftest import cells_of


@pytest.fixture
def evidence(make_record, make_evidence):
    spreads = {"fixed_050": 10.0, "single_task": 10.5, "gaba": 25.0}
    return make_evidence(
        make_record(name, seed=seed, noise=noise)
        for seed in (42, 123)
        for name, noise in spreads.items()
    )


@pytest.fixture
def nothing(make_evidence):
    return make_evidence()


def test_one_is_singular():
    assert [in_words(count, "seed") for count in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]


def test_a_value_without_an_interval_stands_alone_and_no_value_is_a_dash():
    assert within(13.864, 12.2, 15.52) == "13.86 [12.20,\N{NO-BREAK SPACE}15.52]"
    assert within(13.864, math.nan, math.nan) == spread(13.864, math.nan) == "13.86"
    assert {
        within(*[math.nan] * 3),
        spread(math.nan, 1.0),
        number(math.nan),
        p_value(math.nan),
    } == {NOTHING}
    assert number(-0.5, 1) == "\N{MINUS SIGN}0.5"
    assert number(-0.004) == "0.00"
    assert (p_value(0.0004), p_value(0.05)) == ("< 0.001", "0.050")


def test_every_table_says_what_it_rests_on(evidence, nothing):
    for html in (
        error_table(evidence, "FD002"),
        quality_table(evidence, "FD002"),
        error_table(evidence, "FD001"),
        quality_table(nothing, "FD002"),
    ):
        assert "Study core-a:" in html.data
        assert re.search(r"[0-9] of 300 runs recorded", html.data)


def test_the_error_table_holds_what_the_records_give(evidence):
    header, *rows = cells_of(error_table(evidence, "FD002", printed={"gaba": "7.53"}))
    estimates = estimates_table(evidence.records, "FD002").set_index("label")
    compared = comparison_table(evidence.records, "FD002").set_index("label")
    assert [row[0] for row in rows] == list(estimates.index)
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        found = estimates.loc[row[0]]
        assert cells["RMSE [95 % interval]"] == within(found["rmse"], found["low"], found["high"])
        assert cells["source"] == ("7.53" if row[0] == "GABA" else NOTHING)
        if row[0] == METHODS["fixed_050"].label:
            assert cells["outcome"] == cells["minus 0.5/0.5"] == NOTHING
        else:
            other = compared.loc[row[0]]
            assert cells["outcome"] == str(other["outcome"])
            assert cells["minus 0.5/0.5"] == within(
                other["difference"], other["low"], other["high"]
            )
            assert cells["could have seen"] == number(other["smallest_detectable"])


def test_rows_that_are_asked_for_are_compared_as_a_family_of_their_own(
    on_every_seed, make_evidence
):
    spreads = {"fixed_050": 10.0, "gaba": 7.5, "dwa": 10.0, "grace": 10.0}
    records = [run for name, noise in spreads.items() for run in on_every_seed(name, noise=noise)]
    p_values = []
    for methods in (["gaba"], ["gaba", "dwa"], None):
        header, *rows = cells_of(error_table(make_evidence(records), "FD002", methods))
        cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
        assert len(cells) == len(methods or ["gaba", "dwa", "grace"]) + 1
        compared = comparison_table(records, "FD002", methods=methods).set_index("label")
        p_values.append(compared.loc["GABA", "p_holm"])
        assert cells["GABA"]["p"] == p_value(p_values[-1])
    assert p_values[0] < p_values[1] < p_values[2]


def test_an_untrained_health_head_shows_dashes(evidence):
    header, *rows = cells_of(quality_table(evidence, "FD002"))
    accuracy = {row[0]: row[header.index("health accuracy")] for row in rows}
    assert accuracy["Single task (RUL only)"] == NOTHING
    assert NOTHING not in (accuracy["GABA"], accuracy["Fixed 0.5/0.5"])


def test_nothing_recorded_names_the_command(nothing):
    assert "rulbook sweep core-a" in error_table(nothing, "FD002").data


def test_the_evidence_table_has_a_row_a_study(evidence, nothing):
    _, first, second = cells_of(evidence_table(evidence, nothing))
    assert first[2:4] == ["6 of 300", "294"]
    assert second[2:4] == ["0 of 300", "300"]


def test_variants_are_read_by_the_corrected_comparison():
    rows = pd.DataFrame(
        {
            "choice": ["the protocol", "14 sensors", "uncapped-targets"],
            "weights": "GABA",
            "seeds": [5, 5, 5],
            "difference": [math.nan, 0.5, -8.34],
            "p_value": [math.nan, 0.03, 0.001],
        }
    )
    both = variants_reading(rows)
    assert "*14 sensors under GABA* (+0.50 cycles); *uncapped-targets under GABA* (−8.34" in both
    assert "cannot be told" not in both
    rows.loc[2, "p_value"] = 0.06
    assert variants_reading(rows.drop(columns="weights")).endswith(
        "corrected over the rows with five seeds. 2 of 2 rows cannot be told from the protocol."
    )
    rows.loc[2, "p_value"] = math.nan
    assert "1 of 1 row cannot be told from the protocol. 1 row with fewer than five seeds has" in (
        variants_reading(rows.assign(p_value=[math.nan, 0.06, math.nan]))
    )
    assert "protocol. 2 rows with fewer than five seeds have a difference but no outcome" in (
        variants_reading(rows.assign(p_value=math.nan))
    )


def test_a_range_of_whole_numbers_is_one_number_where_all_are_alike():
    assert [number_range(counts) for counts in ((17, 10, 12), [26, 26])] == ["10 to 17", "26"]


def test_several_studies_are_named_once_each_by_name(evidence, nothing):
    other = replace(nothing, study="core-b")
    assert sentences([other, evidence, other]) == f"{evidence.sentence()} {other.sentence()}"


def test_the_error_table_compares_with_engines_and_seeds_left_to_chance(
    on_every_seed, make_evidence
):
    evidence = make_evidence(
        [
            *on_every_seed("fixed_050", noise=10.0),
            *on_every_seed("gaba", noise=3.0),
            *on_every_seed("dwa", noise=3.0, seeds=SEEDS[:4]),
        ]
    )
    header, *rows = cells_of(error_table(evidence, "FD002"))
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    crossed = comparison_table(evidence.records, "FD002").set_index("label").loc["GABA"]
    assert cells["GABA"]["outcome"] == "lower"
    assert cells["GABA"]["p"] == p_value(crossed["p_holm"])
    assert cells["GABA"]["minus 0.5/0.5"] == within(
        crossed["difference"], crossed["low"], crossed["high"]
    )
    assert cells["DWA"]["outcome"] == "too few seeds"
    assert cells["DWA"]["p"] == NOTHING
    assert cells["Fixed 0.5/0.5"]["outcome"] == NOTHING


def test_conditions_and_competence_are_shown_with_their_words(make_record):
    names = ("fixed_050", "gaba", "gradient_boosting")
    records = [make_record(name, seed=seed) for name in names for seed in (42, 123)]
    html = condition_results(condition_table({"protocol": records}, "FD002"), "By condition")
    _, *rows = cells_of(html)
    assert [(row[1], row[2], row[7]) for row in rows[:2]] == [
        ("the protocol", "Fixed 0.5/0.5", "waiting"),
        ("the protocol", "Fixed 0.002/0.998", "not run"),
    ]
    rows = pd.DataFrame(
        {
            "subset": ["FD001", "FD002"],
            "condition_label": "target in caps",
            "label": "GABA",
            "seeds": 1,
            "validation_rmse": [15.0, 14.6],
            "low": math.nan,
            "high": math.nan,
            "boosting_rmse": [12.9, 14.9],
            "difference": [2.1, -0.3],
            "competent": [False, True],
        }
    )
    _, first, second = cells_of(competence_shown(rows, "Competence"))
    assert first[-1] == "not competent"
    assert second[-1] == "competent"
    assert second[-2] == "\N{MINUS SIGN}0.30"
