import pytest

from rulbook.studies import sweep
from rulbook.studies.catalogue import base_config
from rulbook.studies.competence_search import (
    MAX_TRIALS,
    METHODS_SEARCHED,
    best_trial,
    competence_trials,
)
from rulbook.training.config import RunConfig

from .conftest import believable, epoch

BASE = base_config("FD001")


@pytest.fixture
def record_trials(make_record, tmp_path, monkeypatch):
    """Record trials as the search asks for them; the RMSE is a function of the settings."""
    monkeypatch.setattr("rulbook.paths.results", lambda: tmp_path)

    def rmse(config):
        return 10 + abs(config.learning_rate - 1e-3) * 1e3 + (config.batch_size == 256)

    def record(number):
        for _ in range(number):
            for config in list(competence_trials(BASE))[-1]:
                made = make_record(epochs=(epoch(rmse(config)),))
                believable(made, config).write(sweep.runs_folder())
        return rmse

    return record


def test_a_trial_trains_the_single_task_and_equal_weights_under_the_same_settings(record_trials):
    (runs,) = competence_trials(BASE)
    assert [run.weighting for run in runs] == list(METHODS_SEARCHED)
    assert len({run.with_changes(weighting="fixed").key() for run in runs}) == 1
    for run in runs:
        RunConfig.model_validate(run.model_dump())


def test_the_search_is_resumed_where_it_was(record_trials):
    record_trials(2)
    before = list(competence_trials(BASE))
    record_trials(1)
    after = list(competence_trials(BASE))
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1 == 4


def test_it_ends_with_the_best_trial_by_validation_alone(record_trials):
    assert best_trial(BASE) is None
    rmse = record_trials(MAX_TRIALS)
    trials = list(competence_trials(BASE))
    assert len(trials) == MAX_TRIALS
    best = best_trial(BASE)
    assert best in min(trials, key=lambda runs: rmse(runs[0]))
    assert best.weighting == "fixed_050"
