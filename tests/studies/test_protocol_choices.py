from dataclasses import replace

import numpy as np
import pytest

from rulbook.data.prepare import Recipe
from rulbook.metrics import rmse
from rulbook.models import ARCHITECTURES
from rulbook.statistics import compare_over_engines
from rulbook.studies.protocol_choices import (
    PROTOCOL,
    boosted_by_trees,
    selection_table,
    sizing_table,
    trees_predictions,
    trees_under_each_choice,
    variants_table,
)
from rulbook.studies.tables import errors_by_engine, runs_table

from .conftest import epoch


@pytest.fixture(scope="module")
def choices(simulated_fleet):
    return trees_under_each_choice(simulated_fleet, trees=5).set_index("choice")


@pytest.mark.slow
def test_uncapped_targets_and_neighbours_across_the_split_move_the_error(choices):
    rmse = choices["rmse"]
    assert choices.index[0] == PROTOCOL
    assert rmse["uncapped test targets"] > 1.2 * rmse[PROTOCOL]
    assert rmse["validation windows"] < 0.7 * rmse["validation engines"]


@pytest.mark.slow
def test_only_one_window_an_engine_has_an_interval(choices, simulated_fleet):
    last = choices["scored_on"] == "last window of each test engine"
    assert (choices.loc[last, "windows"] == len(simulated_fleet.test_rul)).all()
    assert choices.loc[last, ["low", "high"]].notna().all(axis=None)
    assert choices.loc[~last, ["low", "high"]].isna().all(axis=None)
    assert choices.loc["all windows for the last", "windows"] > len(simulated_fleet.test_rul)
    bounds = choices[last]
    assert ((bounds["low"] < bounds["rmse"]) & (bounds["rmse"] < bounds["high"])).all()


@pytest.mark.slow
def test_the_predictions_are_those_that_the_protocol_scores(choices, simulated_fleet):
    frame = trees_predictions(simulated_fleet, trees=5)
    assert frame["true_rul"].tolist() == simulated_fleet.test_rul.sort_index().tolist()
    capped = np.minimum(frame["true_rul"], 125)
    assert rmse(frame["predicted_rul"], capped) == pytest.approx(choices.loc[PROTOCOL, "rmse"])
    uncapped = rmse(frame["predicted_rul"], frame["true_rul"])
    assert uncapped == pytest.approx(choices.loc["uncapped test targets", "rmse"])


@pytest.mark.slow
def test_boosting_is_followed_tree_by_tree(simulated_fleet):
    longer, shorter = (boosted_by_trees(simulated_fleet, trees=trees) for trees in (8, 5))
    assert longer["trees"].tolist() == list(range(1, 9))
    np.testing.assert_allclose(longer.head(5), shorter)
    assert longer["validation_rmse"].is_monotonic_decreasing


def test_selection_on_the_test_engines_gains_what_it_looks_at(make_record):
    seen = (epoch(14.0, test_rmse=15.0), epoch(14.5, test_rmse=13.0), epoch(15.0, test_rmse=16.0))
    records = [
        make_record(epochs=seen, watch_test=True),
        make_record("single_task", epochs=seen[:1], watch_test=True),
        make_record("gaba", epochs=(epoch(14.0),)),
        make_record("dwa", epochs=seen, diverged=True, watch_test=True),
    ]
    table = selection_table(records).set_index("method")
    assert list(table.index) == ["fixed_050", "single_task"]
    assert table.loc["fixed_050", ["selected", "best_on_test", "gain"]].tolist() == [15, 13, 2]
    assert table.loc["single_task", "gain"] == 0
    assert table.loc["fixed_050", "every_window"] == 15
    assert selection_table([]).empty


def test_a_variant_is_compared_over_the_seeds_that_both_have(make_record):
    base = [make_record(seed=seed, epochs=(epoch(14.0),)) for seed in (42, 123)]
    sensors = Recipe(features="sensors")
    variants = {
        "14 sensors": [
            make_record(seed=seed, noise=20.0, recipe=sensors, epochs=(epoch(19.0),))
            for seed in (42, 789)
        ],
        "none yet": [make_record(seed=456, recipe=sensors)],
    }
    table = variants_table(base, variants).set_index("choice")
    assert list(table.index) == [PROTOCOL, "14 sensors"]
    found = compare_over_engines(
        errors_by_engine(variants["14 sensors"][:1]), errors_by_engine(base[:1])
    )
    row = table.loc["14 sensors"]
    assert (row["seeds"], row["difference"], row["validation_rmse"]) == (1, found.difference, 19.0)
    assert np.isnan(table.loc[PROTOCOL, "difference"])
    both = runs_table(base)
    assert table.loc[PROTOCOL, "mean_error"] == pytest.approx(both["mean_error"].mean())
    assert table.loc[PROTOCOL, "rmse"] == pytest.approx(np.sqrt((both["rmse"] ** 2).mean()))
    assert table.loc[PROTOCOL, "rmse_uncapped"] == pytest.approx(
        np.sqrt((both["rmse_uncapped"] ** 2).mean())
    )


def test_nothing_recorded_gives_an_empty_table(make_record):
    assert variants_table([], {}).empty
    assert variants_table([], {"x": [make_record(epochs=(epoch(14.0),))]}).empty


def test_sizes_are_compared_at_their_selected_epochs_on_the_validation_engines(make_record):
    compact = ARCHITECTURES["compact"]
    records = [
        make_record(epochs=(epoch(14.0), epoch(15.0))),
        make_record(epochs=(epoch(16.0),), architecture=replace(compact, recurrent_units=16)),
        make_record(epochs=(epoch(13.0),), architecture=compact, diverged=True),
        make_record("constant", epochs=(epoch(40.0),)),
    ]
    table = sizing_table(records)
    assert table["validation_rmse"].tolist() == [14.0, 16.0]
    assert table["chosen"].tolist() == [True, False]
    assert table["recurrent_units"].tolist() == [compact.recurrent_units, 16]
    assert table["parameters"].is_monotonic_decreasing
    assert (table["selected_epoch"][0], table["epochs"][0]) == (1, 2)
