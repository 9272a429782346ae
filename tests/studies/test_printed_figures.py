"""What printed figures are held against: it is the records' own, and waits for every seed."""

import numpy as np
import pytest

from rulbook.claims.ledger import read_ledger
from rulbook.claims.verdict import figure_over_conditions
from rulbook.studies import SEEDS
from rulbook.studies.claim_rules import BOOK_SUBSETS
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.printed_figures import (
    errors_by_condition,
    gaba_last_rul_weight,
    gaba_weights,
    health_accuracy_reached,
    mean_test_rmse,
    median_ratios,
    shares_beyond,
)
from rulbook.training.record import summarise_gradients

from .conftest import BOOK_BATCH, SGD, epoch, validated


def test_the_last_weight_of_gaba_is_that_of_its_last_epochs(make_record):
    first, last = (
        epoch(10.0).model_copy(update={"weights": {"rul_weight": w, "health_weight": 1 - w}})
        for w in (0.4, 0.06)
    )
    runs = [
        make_record("gaba", subset, seed, epochs=(first, last))
        for subset in BOOK_SUBSETS
        for seed in SEEDS
    ]
    fewer_seeds = make_record("gaba", "FD001", epochs=(first,))
    assert gaba_last_rul_weight([*runs, fewer_seeds]) == pytest.approx(0.06)
    assert gaba_last_rul_weight([fewer_seeds]) is None


def test_a_printed_error_is_held_against_the_mean_over_every_seed(make_record):
    runs = [make_record("amnl_060", "FD004", seed) for seed in SEEDS]
    assert mean_test_rmse(runs[:-1], "FD004", "amnl_060") is None
    assert (
        mean_test_rmse(iter(runs), "FD004", "amnl_060")
        == rmse_by_seed(runs, "FD004", "amnl_060").value
    )


def test_gabas_weight_is_averaged_by_condition(on_every_seed):
    ended = epoch(10.0).model_copy(update={"weights": {"rul_weight": 0.1, "health_weight": 0.9}})
    records = {
        "protocol": on_every_seed("gaba", epochs=(ended,)),
        "book-batch": on_every_seed("gaba", seeds=SEEDS[:4], epochs=(ended,), **BOOK_BATCH),
        "sgd": on_every_seed("fixed_050", **SGD),
    }
    assert gaba_weights(records) == {"protocol": pytest.approx(0.1), "book-batch": None}


def test_a_figure_is_held_against_either_batch(on_every_seed):
    records = {
        "protocol": on_every_seed("amnl", noise=5.0),
        "book-batch": on_every_seed("amnl", seeds=SEEDS[:4], noise=5.0, **BOOK_BATCH),
        "sgd": on_every_seed("amnl", noise=5.0, **SGD),
    }
    expected = rmse_by_seed(records["protocol"], "FD002", "amnl").value
    assert errors_by_condition(records, "FD002", "amnl") == {
        "protocol": expected,
        "book-batch": None,
    }
    assert errors_by_condition(records, "FD004", "amnl") == {}


def test_median_ratios_are_those_of_the_conditions_with_every_seed(on_every_seed):
    seen = summarise_gradients(np.full(50, 400.0), np.ones(50), np.ones(50))
    one = epoch(12.0).model_copy(update={"gradients": seen})
    records = {
        "protocol": on_every_seed("fixed_050", "FD001", epochs=(one,)),
        "book-batch": on_every_seed("fixed_050", "FD001", SEEDS[:4], epochs=(one,), **BOOK_BATCH),
    }
    ratios = median_ratios(records)
    assert ratios == {"protocol": pytest.approx(400, rel=0.25), "book-batch": None}
    assert shares_beyond(records, 200.0) == {"protocol": 1.0, "book-batch": None}
    assert shares_beyond(records, 800.0) == {"protocol": 0.0, "book-batch": None}
    claim = read_ledger()["n12.4-gradient-ratio-median"]
    assert figure_over_conditions(claim, {"protocol": 828.0, "book-batch": 499.4, "sgd": None}) == {
        "protocol": False,
        "book-batch": True,
        "sgd": None,
    }


def test_seeds_are_averaged_before_subsets(make_record, make_evidence):
    def run(subset, accuracy, seed=SEEDS[0]):
        return make_record(subset=subset, seed=seed, epochs=(validated(health_accuracy=accuracy),))

    evenly = run("FD001", 0.2), run("FD001", 0.44, seed=SEEDS[1])
    both = make_evidence([*evenly, run("FD002", 0.44)], missing=0)
    assert health_accuracy_reached(both) == pytest.approx(38.0)
    assert health_accuracy_reached(make_evidence(evenly, missing=1)) is None
