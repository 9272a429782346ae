"""How answers combine, and what an open one leaves open."""

import math

import numpy as np
import pytest

from rulbook.errors import UsageError
from rulbook.studies.holds import (
    PARTLY,
    all_of,
    any_of,
    decided_in_each,
    opposite,
    those_decided,
)

EVERY = (True, False, None)


@pytest.mark.parametrize("first", EVERY)
@pytest.mark.parametrize("second", EVERY)
def test_open_parts_leave_open_what_they_could_turn(first, second):
    readings = [
        (a, b)
        for a in ((first,) if first is not None else (True, False))
        for b in ((second,) if second is not None else (True, False))
    ]
    for combined, plain in ((all_of, all), (any_of, any)):
        possible = {plain(pair) for pair in readings}
        assert combined([first, second]) is (possible.pop() if len(possible) == 1 else None)
    assert opposite(opposite(first)) is first


@pytest.mark.parametrize(
    ("parts", "agreed"),
    [
        ([True, None, True], True),
        ([None, False], False),
        ([True, False, None], "partly"),
        (["partly", True], "partly"),
        (["partly", None], "partly"),
        ([None], None),
        ([], None),
    ],
)
def test_subsets_that_disagree_make_a_claim_hold_in_part(parts, agreed):
    assert those_decided(parts) is agreed
    assert decided_in_each(parts) is (None if None in parts else agreed)


def test_what_holds_in_part_is_neither_hidden_nor_settles():
    assert all_of([True, PARTLY]) == any_of([False, PARTLY]) == opposite(PARTLY) == PARTLY
    assert all_of([False, PARTLY]) is False
    assert any_of([True, PARTLY]) is True
    assert all_of([None, PARTLY]) is any_of([None, PARTLY]) is None


def test_truth_values_of_numpy_are_answers():
    assert any_of([np.True_]) is all_of([np.True_]) is True
    assert opposite(np.True_) is False
    assert those_decided([np.True_, True]) is decided_in_each([np.True_]) is True


@pytest.mark.parametrize(
    "part", [math.nan, 1, 0.0, "yes", np.nan, np.array([True, False])], ids=str
)
@pytest.mark.parametrize("combine", [all_of, any_of, those_decided, decided_in_each])
def test_what_is_no_answer_is_refused(combine, part):
    with pytest.raises(UsageError, match="is no answer to whether a claim holds"):
        combine([True, part])
    with pytest.raises(UsageError, match="is no answer"):
        opposite(part)
