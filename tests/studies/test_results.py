"""The committed records: each is whole, named by what it ran, and belongs to a study."""

import pytest

from rulbook.data import cmapss
from rulbook.studies import STUDIES, method, method_of
from rulbook.studies.sweep import failures_folder, runs_folder
from rulbook.training import PROTOCOL
from rulbook.training.record import read_record

PATHS = sorted(runs_folder().glob("*.json"))


@pytest.fixture(scope="module")
def records():
    return [read_record(path) for path in PATHS]


@pytest.fixture(scope="module")
def planned():
    return {config.key() for study in STUDIES.values() for config in study.configs()}


def test_there_are_records(records):
    assert records


def test_every_record_is_named_by_its_configuration(records):
    assert [record.config.key() for record in records] == [path.stem for path in PATHS]


def test_every_record_is_a_planned_run_of_this_protocol_on_the_real_files(records, planned):
    for record in records:
        assert record.config.protocol == PROTOCOL
        assert record.config.key() in planned
        assert record.config.data_digest == cmapss.digest(record.config.subset)


def test_completed_runs_predict_every_test_engine(records):
    engines = {"FD001": 100, "FD002": 259, "FD003": 100, "FD004": 248}
    for record in records:
        if record.status == "completed":
            assert record.test.unit == list(range(1, engines[record.config.subset] + 1))


def test_averaged_and_raw_weights_of_the_reference_agree_on_the_validation_engines(records):
    # In bfloat16 the raw weights of a batch may be further off.
    reference = [
        record
        for record in records
        if method_of(record.config) == method("fixed_050") and record.config.precision == "float32"
    ]
    assert reference
    for record in reference:
        assert abs(record.epochs[-1].validation.rmse - record.raw_validation_rmse) < 2


def test_no_run_is_recorded_both_as_done_and_as_failed():
    failed = {path.stem for path in failures_folder().glob("*.json")}
    assert failed.isdisjoint(path.stem for path in PATHS)
