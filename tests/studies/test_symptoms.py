import numpy as np
import pytest

from rulbook.data.prepare import health_state
from rulbook.metrics import recall_per_class
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.symptoms import (
    RECALLS,
    confusion,
    health_by_epoch,
    plain_sum_runs,
    probe_scores,
    runs_by_optimiser,
    share_of_clipped_steps,
    stopped_while_improving,
)
from rulbook.training.record import ProbeScores

from .conftest import ENGINES, epoch


def predicting(record, share_right, seed=0):
    """Return the record with health predictions of which a share is right and the rest is not."""
    true = health_state(np.asarray(record.test.true_rul), record.config.recipe.health_thresholds)
    right = np.random.default_rng(seed).random(len(true)) < share_right
    test = record.test.model_copy(
        update={"predicted_health": np.where(right, true, (true + 1) % 3).tolist()}
    )
    return record.model_copy(update={"test": test})


def test_epochs_are_counted_from_one_and_the_selected_one_is_marked(make_record):
    record = make_record(epochs=(epoch(12.0), epoch(14.0)))
    found = health_by_epoch([record])
    assert found["epoch"].tolist() == [1, 2]
    assert found["selected"].tolist() == [True, False]
    assert found["rmse"].tolist() == [12.0, 14.0]
    assert found[list(RECALLS)].iloc[0].tolist() == [0.9, 0.7, 0.8]
    assert found["balanced_accuracy"].iloc[0] == pytest.approx(0.8)


def test_without_records_there_is_no_selected_epoch():
    found = health_by_epoch([])
    assert list(found[found["selected"]].columns) == list(found.columns)


def test_confusion_counts_every_engine_of_every_completed_run_once(make_record):
    records = [make_record(seed=seed) for seed in SEEDS[:3]]
    counts = confusion([*records, make_record(seed=789, diverged=True)])
    assert counts.to_numpy().sum() == 3 * ENGINES
    state = health_state(np.asarray(records[0].test.true_rul), (80, 30))
    np.testing.assert_array_equal(counts.sum(axis=1), 3 * np.bincount(state, minlength=3))


def test_the_diagonal_of_the_confusion_is_the_recall(make_record):
    record = make_record()
    counts = confusion([record]).to_numpy()
    state = health_state(np.asarray(record.test.true_rul), (80, 30))
    recalls = recall_per_class(np.asarray(record.test.predicted_health), state)
    np.testing.assert_allclose(np.diag(counts) / counts.sum(axis=1), recalls)


def test_probes_are_listed_for_runs_that_have_both(make_record):
    def scores(balanced):
        return ProbeScores(
            accuracy=0.7, balanced_accuracy=balanced, recall=[0.5] * 3, majority_share=0.6
        )

    with_probes = make_record().model_copy(
        update={"probe": scores(0.8), "probe_at_start": scores(0.5)}
    )
    found = probe_scores([with_probes, make_record(seed=123)])
    assert found["seed"].tolist() == [42]
    assert found.loc[0, ["balanced", "balanced_at_start"]].tolist() == [0.8, 0.5]


@pytest.fixture
def run(make_record):
    """Return a maker of runs under the protocol of which the last epoch is the selected one."""

    def make(subset, *epochs, **changes):
        record = make_record(subset=subset, epochs=epochs, **changes)
        return record.model_copy(update={"selected_epoch": len(epochs) - 1})

    return make


def test_the_protocol_stands_beside_the_other_optimisers_on_their_subset(run, make_evidence):
    protocol = [run(subset, epoch(10.0)) for subset in ("FD001", "FD002")]
    sgd = run("FD002", epoch(10.0), optimiser="sgd")
    runs = runs_by_optimiser(protocol, make_evidence([sgd]))
    assert runs == {"adamw": [protocol[1]], "sgd": [sgd]}


def test_runs_of_the_plain_sum_are_the_completed_ones_of_the_protocol(
    run, make_record, make_evidence
):
    first, second = run("FD001", epoch(1.0)), run("FD002", epoch(1.0))
    others = [make_record("gaba"), make_record(seed=123, diverged=True)]
    assert plain_sum_runs(make_evidence([first, *others]), make_evidence([second])) == [
        first,
        second,
    ]


def test_a_run_that_was_stopped_while_improving_has_its_best_epoch_last(run):
    stopped = run("FD002", *[epoch(10.0)] * 3, max_epochs=3)
    rested = run("FD002", *[epoch(10.0)] * 3, max_epochs=4)
    assert stopped_while_improving([stopped, rested]) == 1


def test_clipped_steps_are_averaged_over_epochs(run):
    clipped = epoch(1.0).model_copy(update={"clipped_share": 1.0})
    assert share_of_clipped_steps([run("FD002", clipped, epoch(1.0))]) == 0.5
    assert share_of_clipped_steps([]) != share_of_clipped_steps([])  # NaN
