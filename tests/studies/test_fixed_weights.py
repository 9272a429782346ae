"""Fixed weights through a training: what is read from records, and when claims wait."""

import numpy as np
import pytest

from rulbook.studies.catalogue import SEEDS
from rulbook.studies.fixed_weights import (
    EARLY_EPOCH,
    FIRST_COURSE,
    best_weights,
    courses_of,
)
from rulbook.weighting.fixed_names import FIXED_RUL_WEIGHTS, fixed_name

from .conftest import epoch

LEVEL = 10.0


@pytest.fixture
def family(make_record):
    """Return a maker of records of every fixed weight; two of them differ early and in the end."""

    def make(early, last, spread=0.05):
        records = []
        for seed in SEEDS:
            random = np.random.default_rng(seed)
            for weight in FIXED_RUL_WEIGHTS:
                noise = random.normal(scale=spread, size=2)
                errors = early.get(weight, 3 * LEVEL), last.get(weight, 2 * LEVEL)
                epochs = (*[epoch(99.0)] * (EARLY_EPOCH - 1), *map(epoch, errors + noise))
                record = make_record(fixed_name(weight), seed=seed, epochs=epochs)
                records.append(record.model_copy(update={"selected_epoch": EARLY_EPOCH}))
        return records

    return make


def test_the_best_weight_moves_if_another_one_is_better_at_both_moments(family):
    best = best_weights(family(early={0.25: LEVEL}, last={0.9: LEVEL}), "FD002")
    assert (best.seeds, best.early, best.last) == (len(SEEDS), 0.25, 0.9)
    assert best.last_epochs == (EARLY_EPOCH + 1, EARLY_EPOCH + 1)
    assert best.early_gap.difference == pytest.approx(2 * LEVEL, abs=0.2)
    assert best.last_gap.difference == pytest.approx(LEVEL, abs=0.2)
    assert best.differ
    assert best.serves_throughout is None


def test_a_move_that_is_told_alone_is_not_told_among_ten_weights(family):
    records = family(early={0.25: LEVEL}, last={0.25: LEVEL, 0.9: LEVEL - 0.02}, spread=0.007)
    best = best_weights(records, "FD002")
    assert (best.early, best.last) == (0.25, 0.9)
    assert not best.last_gap.is_tie
    assert not best.differ


def test_a_weight_that_is_best_twice_does_not_move(family):
    best = best_weights(family(early={0.25: LEVEL}, last={0.25: LEVEL}), "FD002")
    assert best.early == best.last == best.serves_throughout == 0.25
    assert not best.differ


def test_a_weight_that_is_best_twice_by_chance_is_not_shown_to_serve(family):
    """Where another one may be better by more than the margin, nothing is shown."""
    records = family(early={0.25: LEVEL}, last={0.25: LEVEL, 0.9: LEVEL + 0.3}, spread=0.8)
    best = best_weights(records, "FD002")
    assert best.early == best.last == 0.25
    assert best.serves_throughout is None


def test_differences_that_are_not_told_from_zero_move_nothing(family):
    records = family(early={0.25: LEVEL}, last={0.25: LEVEL, 0.9: LEVEL - 0.02})
    best = best_weights(records, "FD002")
    assert (best.early, best.last) == (0.25, 0.9)
    assert best.last_gap.is_tie
    assert not best.early_gap.is_tie
    assert best.serves_throughout == 0.25
    assert not best.differ


def test_the_best_weight_waits_for_every_seed_of_every_weight(family):
    records = family(early={}, last={})
    assert best_weights(records, "FD002") is not None
    assert best_weights(records[:-1], "FD002") is None
    assert best_weights(records, "FD004") is None


@pytest.fixture
def recorded(make_record):
    epochs = tuple(epoch(rmse, [5.0, 7.0, 9.0]) for rmse in (40.0, 20.0))
    return [make_record(subset=subset, epochs=epochs) for subset in ("FD001", "FD002")]


def test_a_course_has_a_row_an_epoch_and_waits_for_the_whole_study(recorded, make_evidence):
    courses = courses_of(make_evidence(recorded, "long", missing=0))
    assert list(courses) == ["compact network, FD001", "compact network, FD002"]
    course = courses[FIRST_COURSE]
    assert course["progress"].tolist() == [50.0, 100.0]
    assert course["rul_loss"].tolist() == [1600.0, 400.0]
    assert course["norm_ratio"].tolist() == [7.0, 7.0]
    assert course["cosine"].tolist() == [0.25, 0.25]
    assert courses_of(make_evidence(recorded, "long", missing=1)) == {}


def test_a_run_that_diverged_has_no_course(recorded, make_record, make_evidence):
    diverged = make_record(subset="FD003", diverged=True)
    assert len(courses_of(make_evidence([*recorded, diverged], "long", missing=0))) == 2
