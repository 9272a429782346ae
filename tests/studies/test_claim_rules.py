import pytest

from rulbook.studies.claim_rules import is_near_chance, lowest_error

GOOD, USUAL, BAD = 5.0, 10.0, 20.0


def test_the_lowest_error_is_that_of_the_best_method(make_record):
    runs = [
        make_record(name, "FD002", noise=noise)
        for name, noise in (("fixed_050", USUAL), ("gaba", GOOD), ("grace", BAD))
    ]
    assert lowest_error(runs, "FD002", ["fixed_050", "gaba", "grace"]) == "gaba"
    with pytest.raises(ValueError, match="no completed run of dwa"):
        lowest_error(runs, "FD002", ["gaba", "dwa"])


def test_near_chance_is_told_from_more():
    assert is_near_chance(1 / 3)
    assert not is_near_chance(0.4)
