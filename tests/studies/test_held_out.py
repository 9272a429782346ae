import math

import numpy as np
import pytest

from rulbook.claims.printed import LABELLED_METHODS, printed_errors
from rulbook.data.prepare import Recipe
from rulbook.display.figures.protocol import leak_courses
from rulbook.display.readings import protocol as readings
from rulbook.studies import study
from rulbook.studies.evidence import records_under
from rulbook.studies.methods import method_of
from rulbook.studies.protocol_choices import (
    first_epoch_within,
    held_out_by_seed,
    held_out_courses,
    held_out_ends,
    split_and_selection_table,
)

from .conftest import WINDOW_SPLIT, epoch

IN_PRINTED_ORDER = ("amnl", "amnl_060", "fixed_075", "amnl_090", "single_task")


def leaky(make_record, name, *errors, subset="FD002", seed=42):
    return make_record(name, subset, seed, epochs=tuple(map(epoch, errors)), **WINDOW_SPLIT)


def test_courses_are_every_epoch_of_every_run(make_record):
    records = [leaky(make_record, "amnl", 9.0, 7.0), leaky(make_record, "amnl", 8.0, 6.0, seed=123)]
    courses = held_out_courses(records)
    assert courses[["seed", "epoch", "rmse"]].to_numpy().tolist() == [
        [42, 1, 9.0],
        [42, 2, 7.0],
        [123, 1, 8.0],
        [123, 2, 6.0],
    ]
    ends = held_out_ends(records).iloc[0]
    assert (ends["held_out"], ends["seeds"]) == (6.5, 2)
    assert ends["held_out_sd"] == pytest.approx(math.sqrt(0.5))


def test_without_records_every_part_waits():
    assert "Nothing is recorded yet" in readings.leak_shown([]).data
    read = readings.leak_reading([])
    assert read.count("5 methods of the source's 5 rows are not recorded yet") == 2
    assert np.isnan(list(readings.leak_values([], "FD002").values())).all()
    printed = {name: printed_errors(name, LABELLED_METHODS) for name in ("FD002", "FD004")}
    figure, alt, _ = leak_courses(held_out_courses([]), printed)
    assert alt.count("not recorded yet") == 2
    assert [len(axes.get_lines()) for axes in figure.axes] == [5, 5]
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["not recorded yet"] * 2


@pytest.mark.parametrize(("order", "tau"), [(1, "1.00"), (-1, "−1.00")])
def test_the_order_is_held_against_the_printed_one(make_record, order, tau):
    printed = printed_errors("FD002", LABELLED_METHODS)
    assert sorted(printed, key=printed.get) == list(IN_PRINTED_ORDER)
    records = [
        leaky(make_record, name, 9.0, 6.0 + order * 0.1 * place)
        for place, name in enumerate(IN_PRINTED_ORDER)
    ]
    first, second = readings.leak_reading(records).splitlines()
    assert f"is {tau}; seed by seed it is {tau}." in first
    assert "within 0.40 cycles" in first
    assert second.startswith("* On FD004, 5 methods of the source's 5 rows are not recorded yet")
    assert str(printed["amnl"]) in readings.leak_shown(records).data
    values = readings.leak_values(records, "FD002")
    ends = sorted((6.0, 6.0 + order * 0.4))
    assert [values["leak-lowest"], values["leak-highest"]] == pytest.approx(ends)
    assert values["leak-order"] == pytest.approx(order)


@pytest.mark.slow
def test_the_recorded_trainings_lead_to_the_sources_size_and_not_to_its_order():
    """What chapter 08 says of them."""
    printed = printed_errors("FD002", LABELLED_METHODS)
    records = records_under("window-split")
    assert "mean over 3 seeds" in readings.leak_reading(records)
    values = readings.leak_values(records, "FD002")
    assert values["leak-highest"] < float(min(printed.values())), "every row reaches every figure"
    assert 3 * values["leak-highest"] < float(printed["single_task"])
    assert values["leak-test-lowest"] > 2 * float(min(printed.values()))
    by_seed = held_out_by_seed(records, "FD002")
    assert (by_seed.idxmin(axis=1) != "amnl").all()
    assert values["leak-order"] < 0


def test_an_order_is_read_on_the_seeds_that_every_row_has(make_record):
    ends = {
        42: dict(zip(IN_PRINTED_ORDER, (6.0, 6.1, 6.2, 6.3, 6.4), strict=True)),
        123: dict(zip(IN_PRINTED_ORDER, (7.4, 7.3, 7.2, 7.1, 7.0), strict=True)),
        456: {"amnl": 1.0},  # would put AMNL first if it counted
    }
    records = [
        leaky(make_record, name, 9.0, error, seed=seed)
        for seed, errors in ends.items()
        for name, error in errors.items()
    ]
    first, _ = readings.leak_reading(records).splitlines()
    assert "mean over 2 seeds" in first
    assert "seed by seed it is 1.00, −1.00." in first
    assert f"standard deviation of up to {1.4 / math.sqrt(2):.2f}" in first
    unpaired = [r for r in records if (r.config.seed == 42) == (method_of(r.config).name == "amnl")]
    assert "no seed is recorded for all of the source's 5 rows" in readings.leak_reading(unpaired)


def test_a_source_figure_is_reached_by_the_mean_over_seeds(make_record):
    runs = [
        leaky(make_record, "amnl", 9.0, 7.0, 5.0),
        leaky(make_record, "amnl", 9.0, 5.0, 6.0, seed=123),
    ]
    courses = held_out_courses(runs)
    assert [first_epoch_within(courses, error) for error in (9.0, 6.0, 5.9, 5.0)] == [1, 2, 3, None]


def test_a_figure_has_a_line_a_weighting_and_one_a_printed_figure(make_record):
    records = [leaky(make_record, name, 9.0, 6.0) for name in IN_PRINTED_ORDER]
    printed = {"FD002": printed_errors("FD002", LABELLED_METHODS)}
    figure, alt, _ = leak_courses(held_out_courses(records), printed)
    assert len(figure.axes[0].get_lines()) == 10
    assert "AMNL 6.00" in alt


def test_the_books_network_is_trained_under_both_splits_with_the_test_engines_watched():
    configs = list(study("book-network").configs())
    assert len(configs) == 12
    assert {c.network for c in configs} == {"paper"}
    assert all(c.watch_test and c.precision == "bfloat16" for c in configs)
    assert {(c.max_epochs, c.patience, c.batch_size) for c in configs} == {(60, None, 64)}
    assert [c.recipe.split_by for c in configs] == ["unit"] * 6 + ["window"] * 6
    assert {c.with_changes(seed=42, weighting="fixed_050").recipe for c in configs} == {
        Recipe(),
        Recipe(split_by="window"),
    }


def test_split_and_selection_are_told_apart(make_record):
    watched = (epoch(12.0, test_rmse=15.0), epoch(11.0, test_rmse=14.0), epoch(13.0, test_rmse=9.0))
    records = [
        make_record(subset="FD001", seed=seed, epochs=watched, network="paper", **changes)
        for seed in (42, 123)
        for changes in ({}, {"recipe": Recipe(split_by="window")})
    ]
    records = [record.model_copy(update={"selected_epoch": 1}) for record in records]
    rows = split_and_selection_table(records)
    assert rows["split"].tolist() == ["unit", "window"]
    assert rows[["seeds", "epochs"]].to_numpy().tolist() == [[2, 3], [2, 3]]
    assert rows[["held_out", "test", "best_on_test"]].iloc[0].tolist() == [11.0, 14.0, 9.0]
