"""Each comparison against records in which it is known what they show."""

import numpy as np
import pytest

from rulbook.statistics import MARGIN
from rulbook.studies import SEEDS
from rulbook.studies.comparison import comparison_table
from rulbook.studies.shown import (
    are_lower,
    exceeds_by_factor,
    is_lower,
    is_near,
    is_no_worse,
    mean_is_at_most,
)


def same_as(records, twins):
    """Return the runs of ``twins`` with the predictions of ``records``."""
    return [
        record.model_copy(update={"config": twin.config})
        for record, twin in zip(records, twins, strict=True)
    ]


def moved(records, cycles):
    """Return runs whose errors are larger by these cycles, one number a seed."""
    predictions = (np.asarray(record.test.predicted_rul) for record in records)
    targets = (np.minimum(record.test.true_rul, 125) for record in records)
    further = [
        p + np.sign(p - t) * by for p, t, by in zip(predictions, targets, cycles, strict=True)
    ]
    return [
        record.model_copy(
            update={"test": record.test.model_copy(update={"predicted_rul": p.tolist()})}
        )
        for record, p in zip(records, further, strict=True)
    ]


def test_lower_is_shown_refuted_or_open(on_every_seed):
    records = [
        *on_every_seed("gaba", noise=5.0),
        *on_every_seed("dwa", noise=40.0),
        *on_every_seed("grace", noise=0.1),
        *on_every_seed("amnl", seeds=SEEDS[:4], noise=40.0),
    ]
    found = is_lower(records, "FD002", "gaba", ["dwa", "grace", "amnl", "pcgrad", "gaba"])
    assert found == {"dwa": True, "grace": False, "amnl": None, "pcgrad": None}


def test_what_is_shown_to_differ_by_less_than_the_margin_is_not_lower(on_every_seed):
    base = on_every_seed("gaba")
    same = same_as(base, on_every_seed("dwa"))
    assert is_lower([*base, *same], "FD002", "gaba", ["dwa"]) == {"dwa": False}


def test_pairs_are_corrected_as_one_family(on_every_seed):
    """A pair that is told to be near alone is no longer so among five."""
    rest = (
        "dwa",
        "grace",
        "amnl",
        "uncertainty",
        "single_task",
        "fixed_090",
        "fixed_075",
        "pcgrad",
    )
    base = on_every_seed("gaba")
    near = moved(same_as(base, on_every_seed("fixed_050")), [0.5, -0.4, 0.5, -0.4, 0.1])
    records = [*base, *near, *(r for name in rest for r in on_every_seed(name))]
    pair = ("gaba", "fixed_050")
    among = [pair, *zip(rest[::2], rest[1::2], strict=True)]
    assert are_lower(records, "FD002", [pair])[pair] is False
    found = are_lower(records, "FD002", among)
    assert found[pair] is None


def test_subsets_on_which_one_question_is_asked_share_the_level(on_every_seed):
    """A pair that is told to be near on one subset is no longer so among many."""
    base = on_every_seed("gaba")
    near = moved(same_as(base, on_every_seed("fixed_050")), [0.5, -0.4, 0.5, -0.4, 0.1])
    records, pair = [*base, *near], ("gaba", "fixed_050")
    for subsets, holds in ((1, False), (20, None)):
        assert is_lower(records, "FD002", "gaba", ["fixed_050"], subsets) == {"fixed_050": holds}
        assert are_lower(records, "FD002", [pair], subsets) == {pair: holds}
        assert is_near(records, "FD002", *pair, subsets) is (None if holds is None else True)


def test_a_tie_is_no_proof_of_keeping_pace(on_every_seed, make_record):
    base = on_every_seed("fixed_050", noise=10.0)
    tied = on_every_seed("gaba", noise=10.0)
    same = same_as(base, on_every_seed("dwa"))
    worse = on_every_seed("grace", noise=1.0)
    found = is_no_worse(
        [*base, *tied, *same, *worse], "FD002", "fixed_050", ["gaba", "dwa", "grace"]
    )
    assert found == {"gaba": None, "dwa": True, "grace": False}


def test_a_method_that_is_higher_but_perhaps_within_the_margin_is_open(on_every_seed):
    base = on_every_seed("gaba", noise=10.0)
    for cycles, holds in ((0.61, None), (12.0, False)):
        higher = moved(same_as(base, on_every_seed("fixed_050")), [cycles] * len(SEEDS))
        records = [*base, *higher]
        (compared,) = comparison_table(
            records, "FD002", reference="gaba", methods=["fixed_050"]
        ).itertuples()
        assert compared.outcome == "higher"
        assert compared.high > MARGIN
        assert (compared.low < MARGIN) is (holds is None)
        assert is_no_worse(records, "FD002", "fixed_050", ["gaba"]) == {"gaba": holds}


def test_near_is_shown_refuted_or_open(on_every_seed):
    single = on_every_seed("single_task", noise=10.0)
    same = same_as(single, on_every_seed("fixed_090"))
    found = [
        is_near([*single, *heavy], "FD002", "fixed_090", "single_task")
        for heavy in (
            same,
            on_every_seed("fixed_090", noise=10.0),
            on_every_seed("fixed_090", noise=40.0),
            on_every_seed("fixed_090", noise=1.0),
            same[:4],
            [],
        )
    ]
    assert found == [True, None, False, False, None, None]


def test_a_factor_is_shown_exceeded(on_every_seed):
    records = [*on_every_seed("single_task", noise=40.0), *on_every_seed("fixed_090", noise=8.0)]
    assert exceeds_by_factor(records, "FD002", "single_task", "fixed_090", 3) is True
    assert exceeds_by_factor(records, "FD002", "single_task", "fixed_090", 10) is False
    assert exceeds_by_factor(records, "FD002", "single_task", "fixed_090", 5) is None
    assert exceeds_by_factor(records, "FD001", "single_task", "fixed_090", 3) is None


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([0.1, 0.2, 0.15, 0.12, 0.18], True),
        ([0.6, 0.7, 0.65, 0.62, 0.68], False),
        ([0.1, 0.6, 0.2, 0.5, 0.3], None),
        ([0.1, 0.2, 0.15, 0.12], None),
    ],
)
def test_a_mean_is_below_a_bound_with_its_interval(values, holds):
    assert mean_is_at_most(values, 1 / 3) is holds
