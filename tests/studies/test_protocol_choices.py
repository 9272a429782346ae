from dataclasses import replace

import numpy as np
import pytest

from rulbook.data.prepare import Recipe
from rulbook.models import ARCHITECTURES
from rulbook.statistics import rmse_over_engines
from rulbook.studies.evidence import errors_by_engine, runs_table
from rulbook.studies.protocol_choices import (
    PROTOCOL_LABEL,
    selection_table,
    sizing_table,
    variants_table,
)

from .conftest import epoch


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
    assert list(table.index) == [PROTOCOL_LABEL, "14 sensors"]
    changed, kept = (
        rmse_over_engines(errors_by_engine(runs[:1])).value
        for runs in (variants["14 sensors"], base)
    )
    row = table.loc["14 sensors"]
    assert (row["seeds"], row["validation_rmse"]) == (1, 19.0)
    assert row["difference"] == pytest.approx(changed - kept)
    assert np.isnan(table.loc[PROTOCOL_LABEL, "difference"])
    both = runs_table(base)
    assert table.loc[PROTOCOL_LABEL, "mean_error"] == pytest.approx(both["mean_error"].mean())
    assert table.loc[PROTOCOL_LABEL, "rmse"] == pytest.approx(np.sqrt((both["rmse"] ** 2).mean()))
    assert table.loc[PROTOCOL_LABEL, "rmse_uncapped"] == pytest.approx(
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
