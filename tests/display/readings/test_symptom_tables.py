"""Tables of the symptoms: what stands in their cells comes from the records."""

import numpy as np
import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.display.readings.symptom_tables import (
    arrived_optimisers_table,
    both_tasks_table,
    confusion_table,
    early_ratios_table,
    fixed_weights_reading,
    map_answers,
    map_values,
    optimiser_answers,
    optimisers_table,
    probe_table,
    serving_weights_reading,
    sgd_values,
    symptom_answers,
)
from rulbook.experiments.trunk_maps import TrunkMaps
from rulbook.studies.conditions import training_condition
from rulbook.studies.evidence import Evidence
from rulbook.studies.sweep import Status
from rulbook.training.record import ProbeScores

from ..conftest import cells_of, epoch

NBSP = "\N{NO-BREAK SPACE}"
RESTS_ON = "Study x: 2 of 2."


def by_column(html):
    """Return the rows of a table as dictionaries by column."""
    heads, *rows = cells_of(html)
    return [dict(zip(heads, row, strict=True)) for row in rows]


@pytest.fixture
def run(make_record):
    def make(*rmses, balanced=0.5, **changes):
        scores = ProbeScores(
            accuracy=0.7, balanced_accuracy=balanced, recall=[0.5] * 3, majority_share=0.6
        )
        record = make_record(epochs=tuple(map(epoch, rmses)), **changes)
        update = {"selected_epoch": len(rmses) - 1, "probe": scores, "probe_at_start": scores}
        return record.model_copy(update=update)

    return make


def test_both_tasks_have_a_row_a_subset_with_first_fifth_and_selected_epoch(run):
    runs = [run(40, 30, 20, 15, 12, 10), run(42, 30, 20, 15, 12, 14, seed=123)]
    html = both_tasks_table(runs, RESTS_ON)
    (row,) = by_column(html)
    assert (row["subset"], row["seeds"]) == ("FD002", "2")
    assert (row["RMSE, epoch 1"], row["RMSE, selected"]) == ("41.0", f"12.0 ±{NBSP}2.8")
    assert (row["accuracy, epoch 5"], row["most frequent state"]) == ("0.80", "0.60")
    assert row["recall, critical"] == f"0.80 ±{NBSP}0.00"
    assert RESTS_ON in html.data


def test_the_confusion_counts_engines_and_gives_their_recall(run):
    record = run(10)
    rows = by_column(confusion_table([record], RESTS_ON))
    true = health_state(np.asarray(record.test.true_rul), (80, 30))
    predicted = np.asarray(record.test.predicted_health)
    for number, (state, row) in enumerate(zip(HEALTH_STATES, rows, strict=True)):
        assert row["true state"] == state
        called = [int(row[f"called {name}"]) for name in HEALTH_STATES]
        assert called == np.bincount(predicted[true == number], minlength=3).tolist()
        assert row["recall"] == f"{called[number] / sum(called):.2f}"


def test_probes_are_means_over_seeds(run):
    runs = [run(10, balanced=0.8), run(10, balanced=0.6, seed=123)]
    (row,) = by_column(probe_table(runs, RESTS_ON))
    assert (row["seeds"], row["balanced accuracy"]) == ("2", f"0.70 ±{NBSP}0.14")
    assert row["most frequent state"] == "0.60"


def test_optimisers_have_a_row_each_with_the_length_of_their_trainings(run):
    runs = {"adamw": [run(20, 10), run(20, 15, 12, seed=123)], "sgd": [run(30, optimiser="sgd")]}
    adamw, sgd = by_column(optimisers_table(runs, RESTS_ON))
    assert (adamw["optimiser"], adamw["epochs"]) == ("AdamW", "2 to 3")
    assert (sgd["optimiser"], sgd["seeds"], sgd["RMSE"]) == ("SGD", "1", "30.0")
    assert by_column(optimisers_table({"adam": []}, RESTS_ON))[0]["epochs"] == "none"


def test_nothing_recorded_gives_tables_without_rows():
    for table in (both_tasks_table, confusion_table, probe_table):
        html = table([], RESTS_ON)
        assert RESTS_ON in html.data
        assert by_column(html) == []


def test_early_ratios_are_shown_under_the_names_of_the_text():
    columns = ["subset", "step", "seeds", "batches", "norm_rul", "norm_health", "ratio"]
    ratios = pd.DataFrame(
        [("FD001", 0, 4, 12, 123.45, 0.2345, 526.4, 400.2, 700.7)],
        columns=[*columns, "ratio_low", "ratio_high"],
    )
    (row,) = by_column(early_ratios_table(ratios))
    assert (row["‖g_rul‖"], row["‖g_hs‖"]) == ("123.5", "0.234")
    assert [row[name] for name in ("ratio", "from", "to")] == ["526", "400", "701"]


def test_an_sgd_that_arrived_stands_beside_adamw(run):
    sgd = dict(training_condition("sgd").changes) | {"learning_rate": 0.1, "max_epochs": 1}
    records = {"protocol": [run(10)], "sgd": [run(10, **sgd)]}
    (row,) = by_column(arrived_optimisers_table(records))
    assert row["training condition"] == training_condition("sgd").label
    assert (row["seeds"], row["arrived"]) == ("1", "0")
    assert [row[f"SGD, {epoch} epoch"] for epoch in ("selected", "last")] == ["0.80", "0.80"]
    assert row["AdamW"] == "0.80"
    assert row["SGD, balanced"] == row["AdamW, balanced"] == "0.80"
    assert by_column(arrived_optimisers_table({})) == []


def test_weights_that_serve_both_are_named_and_the_open_ones_counted():
    serving = {
        "FD002": {"fixed_050": True, "fixed_060": None, "fixed_075": False},
        "FD004": {"fixed_050": None, "fixed_060": None, "fixed_075": None},
    }
    assert serving_weights_reading(serving) == (
        "On FD002, Fixed 0.5/0.5 is shown to serve both tasks; for 1 weight neither answer is "
        "shown. On FD004, no weight is shown to serve both tasks; for 3 weights neither answer "
        "is shown."
    )


def test_symptoms_are_decided_by_condition_and_the_plateau_by_its_figure_too(run):
    waiting = Evidence("imbalance", (), Status(0, 0, 20), (), ())
    answers = symptom_answers(waiting, {"protocol": [run(10)]})
    assert all(find(name) for name in answers)
    assert all(answer.conditions == {"protocol": None} for answer in answers.values())
    assert answers["n12.4-symptom-hs-plateau"].value is None


@pytest.mark.parametrize(("agreement", "shows_none"), [(0.35, True), (0.6, False)])
def test_a_map_shows_no_classes_where_neighbours_agree_by_chance(agreement, shows_none):
    maps = TrunkMaps([0] * 7, {}, {"untrained": 0.34, "trained": agreement})
    (answer,) = map_answers(maps).values()
    assert answer.value is shows_none
    assert f"{agreement:.2f}" in answer.note
    assert map_values(maps) == {"mapped": 7, "told-untrained": 0.34, "told-trained": agreement}


def test_sgd_is_quoted_with_how_often_it_was_cut_short(run):
    late, early = run(12, 10, optimiser="sgd"), run(10, optimiser="sgd", seed=123)
    values = sgd_values({"sgd": [late, early]})
    assert values["sgd-runs"] == 2
    assert values["sgd-clipped"] == 0
    gap, network = optimiser_answers({}).values()
    assert gap.conditions == network.conditions == {}


def test_fixed_weights_are_read_under_the_protocol():
    read = fixed_weights_reading([]).data
    assert read.startswith("This is what the protocol's runs show. On FD002, no weight is shown")
