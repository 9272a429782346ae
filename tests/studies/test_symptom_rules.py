"""The rules by which the symptoms of §12.4 are decided: they turn with the records, and wait."""

import pytest

from rulbook.studies.claim_rules import (
    health_accuracy_reached,
    is_near_chance,
)
from rulbook.studies.evidence import Evidence
from rulbook.studies.sweep import Status
from rulbook.studies.symptoms import (
    plain_sum_runs,
    runs_by_optimiser,
    share_of_clipped_steps,
    stopped_while_improving,
)
from rulbook.training.record import ProbeScores

from .conftest import epoch


def validated(rmse, accuracy=0.8, critical=0.8):
    one = epoch(rmse)
    metrics = one.validation.model_copy(
        update={"health_accuracy": accuracy, "health_recall": [0.9, 0.7, critical]}
    )
    return one.model_copy(update={"validation": metrics})


def study_of(records, *, missing=0):
    records = tuple(records)
    return Evidence("any", records, Status(len(records), 0, missing), (), ())


@pytest.fixture
def run(make_record):
    def make(subset, *epochs, balanced=0.8, selected=None, **changes):
        scores = ProbeScores(
            accuracy=0.7, balanced_accuracy=balanced, recall=[0.5] * 3, majority_share=0.6
        )
        record = make_record(subset=subset, epochs=epochs, **changes)
        chosen = len(epochs) - 1 if selected is None else selected
        update = {"selected_epoch": chosen, "probe": scores, "probe_at_start": scores}
        return record.model_copy(update=update)

    return make


def test_seeds_are_averaged_before_subsets(run):
    low, high = validated(10.0, accuracy=0.2), validated(10.0, accuracy=0.44)
    evenly = [run("FD001", low), run("FD001", high, seed=123)]
    assert health_accuracy_reached(study_of([*evenly, run("FD002", high)])) == pytest.approx(38.0)
    assert health_accuracy_reached(study_of(evenly, missing=1)) is None


def test_near_chance_is_told_from_more():
    assert is_near_chance(1 / 3)
    assert not is_near_chance(0.4)


def test_the_protocol_stands_beside_the_other_optimisers_on_their_subset(run):
    protocol = [run(subset, validated(10.0)) for subset in ("FD001", "FD002")]
    sgd = run("FD002", validated(10.0), optimiser="sgd")
    runs = runs_by_optimiser(protocol, study_of([sgd]))
    assert runs == {"adamw": [protocol[1]], "sgd": [sgd]}


def test_runs_of_the_plain_sum_are_the_completed_ones_of_the_protocol(run, make_record):
    first, second = run("FD001", validated(1.0)), run("FD002", validated(1.0))
    others = [make_record("gaba"), make_record(seed=123, diverged=True)]
    assert plain_sum_runs(study_of([first, *others]), study_of([second])) == [first, second]


def test_a_run_that_was_stopped_while_improving_has_its_best_epoch_last(run):
    stopped = run("FD002", *[validated(10.0)] * 3, max_epochs=3)
    rested = run("FD002", *[validated(10.0)] * 3, max_epochs=4)
    assert stopped_while_improving([stopped, rested]) == 1


def test_clipped_steps_are_averaged_over_epochs(run):
    clipped = epoch(1.0).model_copy(update={"clipped_share": 1.0})
    assert share_of_clipped_steps([run("FD002", clipped, validated(1.0))]) == 0.5
    assert share_of_clipped_steps([]) != share_of_clipped_steps([])  # NaN
