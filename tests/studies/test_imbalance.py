import math

import numpy as np
import pytest

from rulbook.studies.imbalance import (
    batches_of_an_epoch,
    gradients_by_epoch,
    last_median_ratio,
    protocol_runs,
    ratio_counts,
    ratio_quantile,
    ratio_summary,
    required_weight_growth,
    share_above,
    start_summary,
    typical_cosine,
    weights_by_epoch,
)
from rulbook.training.gradient_bins import RATIO_BIN_EDGES, binned
from rulbook.training.record import summarise_gradients

from .conftest import epoch

ONE_BIN = RATIO_BIN_EDGES[1] / RATIO_BIN_EDGES[0]


def test_only_the_protocol_of_equal_weights_is_taken_and_the_closer_look_first(make_record):
    closer = make_record(observe_every=1)
    records = [
        make_record(),
        closer,
        make_record(subset="FD001"),
        make_record("gaba"),
        make_record(max_epochs=100),
        make_record(rul_bias="default"),
    ]
    for order in (records, records[::-1]):
        found = {(r.config.subset, r.config.observe_every) for r in protocol_runs(order)}
        assert found == {("FD002", 1), ("FD001", 10)}


def test_epochs_are_numbered_from_one_and_unobserved_ones_left_out(make_record):
    record = make_record(
        epochs=(epoch(14.0, [10.0, 100.0, 1000.0]), epoch(13.0), epoch(12.0, [7.0]))
    )
    table = gradients_by_epoch([record])
    assert table["epoch"].tolist() == [1, 3]
    assert table["steps"].tolist() == [3, 1]
    assert table["ratio_50"].tolist() == [100, 7]
    assert table["cosine_95"].tolist() == [0.25, 0.25]
    assert gradients_by_epoch([]).empty


def test_counts_add_over_runs_and_epochs(make_record):
    ratios = np.random.default_rng(0).lognormal(6, 1, (2, 500))
    record = make_record(epochs=tuple(epoch(14.0, part) for part in ratios))
    whole = ratio_counts([record, record])
    assert whole.sum() == 2000
    np.testing.assert_array_equal(
        whole, 2 * (ratio_counts([record], 1) + ratio_counts([record], 2))
    )
    assert not ratio_counts([record], 3).any()


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
def test_quantiles_of_counts_are_within_a_bin_of_the_exact_ones(make_record, quantile):
    ratios = np.random.default_rng(1).lognormal(6, 1.2, 4000)
    counts = ratio_counts([make_record(epochs=(epoch(14.0, ratios),))])
    exact = np.quantile(ratios, quantile)
    assert exact / ONE_BIN < ratio_quantile(counts, quantile) < exact * ONE_BIN
    assert share_above(counts, exact) == pytest.approx(1 - quantile, abs=0.03)


def test_no_steps_have_no_quantile():
    nothing = np.zeros(60, dtype=np.int64)
    with pytest.raises(ValueError, match="no steps"):
        ratio_quantile(nothing, 0.5)
    with pytest.raises(ValueError, match="no steps"):
        share_above(nothing, 500)


def test_counts_of_binned_ratios_are_kept_at_the_ends():
    assert binned([1e-9, 1e9]).sum() == 2


def test_batches_of_an_epoch_hold_every_window():
    counted = batches_of_an_epoch({"FD001": 100, "FD002": 64}, (32, 64))
    assert counted["batches of 32"].tolist() == [4, 2]
    assert counted["batches of 64"].tolist() == [2, 1]


def test_growth_starts_at_one_and_follows_the_median_ratio(make_record):
    ratios = [10.0, 20.0, 50.0]
    record = make_record(epochs=tuple(epoch(14.0, [ratio] * 3) for ratio in ratios))
    growth = required_weight_growth([record])
    assert growth["FD002"].tolist() == pytest.approx([1.0, 2.0, 5.0])


def test_the_summary_has_the_first_the_highest_and_the_last_median(make_record):
    record = make_record(epochs=tuple(epoch(14.0, [ratio] * 3) for ratio in (10.0, 90.0, 40.0)))
    (row,) = ratio_summary([record]).to_dict("records")
    assert row["median, epoch 1"] == pytest.approx(10.0)
    assert row["highest median of an epoch"] == pytest.approx(90.0)
    assert row["median, last epoch"] == pytest.approx(40.0)
    assert row["steps"] == 9
    assert last_median_ratio([record], "FD002") == pytest.approx(40.0)
    assert math.isnan(last_median_ratio([record], "FD001"))


def test_the_last_median_is_over_the_last_epoch_of_each_seed_however_long_it_trained(make_record):
    courses = {42: (10.0, 90.0, 40.0), 123: (12.0, 70.0), 456: (11.0, 60.0)}
    records = [
        make_record(seed=seed, epochs=tuple(epoch(14.0, [ratio] * 3) for ratio in course))
        for seed, course in courses.items()
    ]
    (row,) = ratio_summary(records).to_dict("records")
    assert row["median, last epoch"] == pytest.approx(60.0)
    assert row["highest median of an epoch"] == pytest.approx(70.0)


def test_dead_seeds_are_counted_apart_from_the_measured_ones(make_record):
    living = make_record(epochs=(epoch(14.0, [100.0] * 4),))
    dead = make_record(seed=123, epochs=(epoch(14.0, [0.001] * 4),), starts_dead=True)
    (row,) = start_summary([living, dead]).to_dict("records")
    assert (row["seeds"], row["started shut"], row["batches"]) == (2, 1, 4)
    assert row["median"] == pytest.approx(100.0, rel=0.3)


def test_the_typical_cosine_is_that_of_the_steps(make_record):
    epochs = [
        epoch(14.0).model_copy(
            update={
                "gradients": summarise_gradients(
                    np.ones(steps), np.ones(steps), np.full(steps, cosine)
                )
            }
        )
        for steps, cosine in ((3, -0.5), (1, 0.5), (1, 0.5))
    ]
    assert typical_cosine([make_record(epochs=tuple(epochs))]) == pytest.approx(-0.5)


def test_weights_by_epoch_are_a_range_over_the_seeds_that_came_so_far(make_record):
    def run(seed, *weights):
        epochs = [
            epoch(10.0, [ratio]).model_copy(
                update={"weights": {"rul_weight": weight, "health_weight": 1 - weight}}
            )
            for weight, ratio in weights
        ]
        return make_record("gaba", seed=seed, epochs=tuple(epochs))

    records = [
        run(42, (0.4, 10.0), (0.2, 30.0)),
        run(123, (0.3, 20.0)),
        make_record(epochs=(epoch(10.0),)),
        make_record("gaba", seed=7, diverged=True),
    ]
    table = weights_by_epoch(records, "gaba")
    assert table.to_numpy().tolist() == [
        ["FD002", 1, 2, 0.3, 0.4, 15.0],
        ["FD002", 2, 1, 0.2, 0.2, 30.0],
    ]
    assert weights_by_epoch(records, "dwa").empty
