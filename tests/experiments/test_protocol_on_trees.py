import numpy as np
import pytest

from rulbook.experiments.protocol_on_trees import (
    boosted_by_trees,
    sensors_against_all_features,
    trees_predictions,
    trees_under_each_choice,
)
from rulbook.metrics import rmse
from rulbook.studies.protocol_choices import (
    PROTOCOL_LABEL,
)


@pytest.fixture(scope="module")
def choices(simulated_fleet):
    return trees_under_each_choice(simulated_fleet, trees=5).set_index("choice")


@pytest.mark.slow
def test_uncapped_targets_and_neighbours_across_the_split_move_the_error(choices):
    rmse = choices["rmse"]
    assert choices.index[0] == PROTOCOL_LABEL
    assert rmse["uncapped test targets"] > 1.2 * rmse[PROTOCOL_LABEL]
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
def test_features_are_compared_on_the_trees_of_the_table(choices, simulated_fleet):
    compared = sensors_against_all_features(simulated_fleet, [42], trees=5)
    rmse = choices["rmse"]
    gap = rmse["14 sensors for 17 features"] - rmse[PROTOCOL_LABEL]
    assert compared.difference == pytest.approx(gap)
    assert compared.engines == len(simulated_fleet.test_rul)


@pytest.mark.slow
def test_the_predictions_are_those_that_the_protocol_scores(choices, simulated_fleet):
    frame = trees_predictions(simulated_fleet, trees=5)
    assert frame["true_rul"].tolist() == simulated_fleet.test_rul.sort_index().tolist()
    capped = np.minimum(frame["true_rul"], 125)
    assert rmse(frame["predicted_rul"], capped) == pytest.approx(
        choices.loc[PROTOCOL_LABEL, "rmse"]
    )
    uncapped = rmse(frame["predicted_rul"], frame["true_rul"])
    assert uncapped == pytest.approx(choices.loc["uncapped test targets", "rmse"])


@pytest.mark.slow
def test_boosting_is_followed_tree_by_tree(simulated_fleet):
    longer, shorter = (boosted_by_trees(simulated_fleet, trees=trees) for trees in (8, 5))
    assert longer["trees"].tolist() == list(range(1, 9))
    np.testing.assert_allclose(longer.head(5), shorter)
    assert longer["validation_rmse"].is_monotonic_decreasing
