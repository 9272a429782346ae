"""Claims that are decided by a number: it is the records' own, and waits for every seed."""

import pytest

from rulbook.studies import claim_rules
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import rmse_by_seed

from .conftest import epoch

GOOD, USUAL, BAD = 5.0, 10.0, 20.0


def test_the_last_weight_of_gaba_is_that_of_its_last_epochs(make_record):
    first, last = (
        epoch(10.0).model_copy(update={"weights": {"rul_weight": w, "health_weight": 1 - w}})
        for w in (0.4, 0.06)
    )
    runs = [
        make_record("gaba", subset, seed, epochs=(first, last))
        for subset in claim_rules.BOOK_SUBSETS
        for seed in SEEDS
    ]
    fewer_seeds = make_record("gaba", "FD001", epochs=(first,))
    assert claim_rules.gaba_last_rul_weight([*runs, fewer_seeds]) == pytest.approx(0.06)
    assert claim_rules.gaba_last_rul_weight([fewer_seeds]) is None


def test_a_printed_error_is_held_against_the_mean_over_every_seed(make_record):
    runs = [make_record("amnl_060", "FD004", seed) for seed in SEEDS]
    assert claim_rules.mean_test_rmse(runs[:-1], "FD004", "amnl_060") is None
    assert (
        claim_rules.mean_test_rmse(iter(runs), "FD004", "amnl_060")
        == rmse_by_seed(runs, "FD004", "amnl_060").value
    )


def test_the_lowest_error_is_that_of_the_best_method(make_record):
    runs = [
        make_record(name, "FD002", noise=noise)
        for name, noise in (("fixed_050", USUAL), ("gaba", GOOD), ("grace", BAD))
    ]
    assert claim_rules.lowest_error(runs, "FD002", ["fixed_050", "gaba", "grace"]) == "gaba"
    with pytest.raises(ValueError, match="no completed run of dwa"):
        claim_rules.lowest_error(runs, "FD002", ["gaba", "dwa"])
