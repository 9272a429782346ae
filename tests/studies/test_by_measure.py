"""Comparisons by other measures than the RMSE, condition by condition."""

import numpy as np

from rulbook.studies.by_measure import CROSS_ENTROPY, measure_tables
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import comparison_table
from rulbook.studies.measures import MEASURES

from .conftest import BOOK_BATCH, SGD, WINDOW_SPLIT, epoch

TRAINED = (epoch(12.0),)


def test_every_measure_but_the_rmse_compares_what_has_every_seed(on_every_seed):
    records = [
        *on_every_seed("fixed_050", noise=10.0, epochs=TRAINED),
        *on_every_seed("gaba", noise=30.0, epochs=TRAINED),
        *on_every_seed("grace", seeds=SEEDS[:4], epochs=TRAINED),
    ]
    compared = measure_tables({"protocol": records})
    assert set(compared["measure"]) == {*MEASURES, CROSS_ENTROPY} - {"rmse"}
    assert set(compared["method"]) == {"gaba"}
    assert set(compared["subset"]) == {"FD002"}
    score = compared.set_index("measure").loc["nasa_score"]
    (alone,) = comparison_table(
        records, "FD002", methods=["gaba"], measure="nasa_score"
    ).itertuples()
    assert (score["difference"], score["outcome"]) == (alone.difference, alone.outcome)


def test_a_network_without_a_health_head_is_compared_by_its_lives_alone(on_every_seed):
    records = [*on_every_seed("fixed_050"), *on_every_seed("single_task")]
    measures = set(measure_tables({"protocol": records})["measure"])
    assert measures == {"nasa_score", "late_share"}


def test_families_are_those_of_a_condition(on_every_seed):
    both = {
        "protocol": [*on_every_seed("fixed_050"), *on_every_seed("gaba", noise=9.0)],
        "book-batch": [
            *on_every_seed("fixed_050", **BOOK_BATCH),
            *on_every_seed("gaba", noise=9.0, **BOOK_BATCH),
        ],
    }
    together = measure_tables(both)
    for name, records in both.items():
        alone = measure_tables({name: records})
        of_both = together[together["condition"] == name]
        np.testing.assert_array_equal(of_both["p_holm"], alone["p_holm"])


def test_what_cannot_have_an_outcome_is_left_out(on_every_seed):
    forensic = [*on_every_seed("fixed_050", **WINDOW_SPLIT), *on_every_seed("amnl", **WINDOW_SPLIT)]
    too_long = {**SGD, "epochs": TRAINED * SGD["max_epochs"]}
    not_arrived = [*on_every_seed("fixed_050", **too_long), *on_every_seed("gaba", **too_long)]
    assert measure_tables({"window-split": forensic, "sgd": not_arrived}).empty
    assert measure_tables({}).empty
