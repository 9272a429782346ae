"""What chapter 03 quotes and decides of the imbalance."""

import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.display.readings import imbalance as readings
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.conditions import training_condition
from rulbook.studies.evidence import Evidence
from rulbook.studies.sweep import Status

from ..conftest import epoch

WAITING = Evidence("imbalance", (), Status(0, 0, 2), (), ())


@pytest.fixture
def complete(make_evidence):
    return lambda records, study="imbalance": make_evidence(records, study, missing=0)


@pytest.fixture
def every_step(make_record, complete):
    ratios = [100.0, 300.0, 700.0]
    return complete(make_record(seed=seed, epochs=(epoch(12.0, ratios),)) for seed in SEEDS)


@pytest.fixture
def live():
    return pd.DataFrame({"ratio": [5.0, 40.0], "rul_loss": 100.0, "cosine": [0.1, 0.3]})


def test_ratios_on_the_outputs_keep_their_names():
    outputs = pd.DataFrame({"by PyTorch": [180.0, 1.4, 90.0, 0.7]})
    assert readings.output_values(outputs, 125.0) == {
        "outputs-zero": 180.0,
        "outputs-zero-caps": 1.4,
        "outputs-mean": 90.0,
        "outputs-mean-caps": 0.7,
        "cap": 125.0,
    }


def test_places_are_quoted_by_unit_and_moment(live):
    by_place = pd.DataFrame(
        [
            {"target in": unit, "after steps": steps, "outputs": 1, "z": 2, "shared trunk": 3}
            for unit in ("cycles", "caps")
            for steps in (0, 2)
        ]
    )
    values = readings.place_values(by_place, {"cycles": live, "caps": live}, 125.0)
    assert values["steps"] == 2
    assert (values["cycles-start-outputs"], values["caps-end-trunk"]) == (1, 3)
    assert (values["error-cycles"], values["error-caps"]) == (10, 1250)


def test_starts_are_quoted_over_all_subsets():
    start = pd.DataFrame({"lowest": [20, 10], "highest": [99, 50], "started shut": [1, 2]})
    assert readings.start_values(start, 6) == {
        "start-low": 10,
        "start-high": 99,
        "start-dead": 3,
        "start-networks": 6,
    }


@pytest.mark.parametrize(
    ("shut", "said"),
    [
        ({42}, "1 of 5 initialisations, the same on every subset, start with a shut RUL head"),
        ({42, 123}, "2 of 5 initialisations, each on one subset at least, start"),
    ],
)
def test_initialisations_are_counted_once_over_subsets(make_record, shut, said, complete):
    runs = [
        make_record(
            "fixed_050", subset, seed, starts_dead=seed in dead, epochs=(epoch(12.0, [9.0]),)
        )
        for subset, dead in (("FD001", {42}), ("FD002", shut))
        for seed in SEEDS
    ]
    assert said in readings.start_reading(complete(runs, "initial-imbalance")).data


@pytest.fixture
def equal_weights(on_every_seed):
    """Return a maker of the protocol's runs on FD001 with these epochs."""
    return lambda *epochs: {"protocol": on_every_seed("fixed_050", "FD001", epochs=epochs)}


def test_the_size_of_the_ratio_is_decided_on_fd001_where_it_was_trained(equal_weights):
    assert readings.ratio_answers({})["n4.1-imbalance-500"].value is None
    records = equal_weights(epoch(12.0, [900.0] * 9))
    answers = readings.ratio_answers(records)
    assert answers["n4.1-imbalance-500"].value == pytest.approx(900, rel=0.25)
    assert answers["n4.1-imbalance-500"].conditions == {"protocol": False}
    assert answers["n4.1-imbalance-wild"].conditions == {"protocol": True}
    assert answers["n12.4-tail-ratio"].note == "0.0 to 0.0 % of the observed steps are beyond it"


def test_ratios_are_shown_by_training_network_and_length(make_record, equal_weights, complete):
    records = equal_weights(epoch(12.0, [500.0]), epoch(11.0, [500.0]))
    long = complete([make_record(epochs=(epoch(12.0, [500.0]),))], "long")
    html = readings.ratio_by_training_table(records, long).data
    assert "2 to 2" not in html
    assert "study long" in html
    assert "<td>473</td>" in html


def test_a_ratio_below_one_is_not_rounded_to_nothing(equal_weights):
    records = equal_weights(epoch(12.0, [0.06]))
    assert "<td>0</td>" not in readings.ratio_by_training_table(records).data


def test_the_range_of_the_ratio_is_over_subsets_and_either_batch(make_record):
    def ratio(found, subset, **changes):
        epochs = (epoch(12.0, [found] * 9),)
        return [make_record("fixed_050", subset, s, epochs=epochs, **changes) for s in SEEDS]

    book_batch = dict(training_condition("book-batch").changes)
    sgd = {**training_condition("sgd").changes, "learning_rate": 0.1}
    records = {
        "protocol": [*ratio(900.0, "FD001"), *ratio(2000.0, "FD003")[1:]],
        "book-batch": ratio(300.0, "FD002", **book_batch),
        "sgd": ratio(5000.0, "FD001", **sgd),
    }
    found = readings.ratio_range(records)
    assert found["ratio-lowest"] == pytest.approx(300, rel=0.25)
    assert found["ratio-highest"] == pytest.approx(900, rel=0.25)
    assert readings.ratio_range({}) == {}


def test_the_cosine_decides_whether_the_tasks_disagree(equal_weights):
    """The epoch's cosine is positive: one subset settles it."""
    records = equal_weights(epoch(12.0, [3.0] * 9))
    waiting, decided = map(readings.cosine_answers, ({}, records))
    assert waiting["n12.4-tasks-disagree-cosine"].conditions == {}
    assert decided["n12.4-tasks-disagree-cosine"].conditions == {"protocol": False}


def test_growth_is_that_of_the_balancing_weight(make_record, equal_weights, complete):
    epochs = tuple(epoch(12.0, [100.0 * min(number, 20)]) for number in range(1, 31))
    long = complete([make_record(epochs=epochs)], "long")
    records = equal_weights(*epochs)
    claim = "n12.4-pitfall-required-weight-grows"
    answer = readings.growth_answers(records, long)[claim]
    assert answer.conditions == {"protocol": True}
    assert answer.note.endswith("20-fold on FD002")
    assert (
        "largest at epoch 20, 20 times its value at epoch 1." in readings.growth_reading(long).data
    )
    waiting = readings.growth_answers({}, WAITING)[claim]
    assert (waiting.conditions, waiting.note) == ({}, "")
    assert readings.growth_reading(WAITING).data == WAITING.sentence()
    values = readings.measured_values({}, long, {"FD001": 8240}, 4120)
    assert values["size-for-4120"] == 2


def test_batches_are_counted_on_the_first_subset():
    batches = pd.DataFrame({"subset": ["FD001", "FD002"], "batches of 32": [554, 1457]})
    answers = readings.batch_answers(batches)
    assert answers["n12.4-batches-of-one-epoch"].value == 554
    assert all(find(name) for name in answers)


def test_what_is_said_of_the_cosine_names_the_live_run(every_step, live):
    assert readings.cosine_reading([], live).data.endswith("+0.20.")
    recorded = readings.cosine_reading(every_step.records, live).data
    assert "In 5 recorded trainings" in recorded
    assert "agree more often than not" in recorded
