import pytest

from rulbook.display.readings.tuning import search_reading, search_shown
from rulbook.studies import sweep
from rulbook.studies.catalogue import base_config
from rulbook.studies.competence_search import (
    MAX_TRIALS,
    METHODS_SEARCHED,
    competence_trials,
    search_table,
    settings_of,
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


def test_it_ends_after_its_trials(record_trials):
    record_trials(MAX_TRIALS)
    assert len(list(competence_trials(BASE))) == len(search_table(BASE)) == MAX_TRIALS


def test_the_trials_are_shown_as_they_were_run(record_trials):
    assert search_table(BASE).empty
    assert search_reading({"FD001": search_table(BASE)}, {}) == "* FD001: no trial is recorded yet."
    rmse = record_trials(3)
    table = search_table(BASE)
    trials = list(competence_trials(BASE))[:3]
    assert table["rmse"].tolist() == pytest.approx([rmse(runs[0]) for runs in trials])
    assert (table[METHODS_SEARCHED[0]] == table[METHODS_SEARCHED[1]]).all()
    for (_, row), runs in zip(table.iterrows(), trials, strict=True):
        for run in runs:
            settings = settings_of(run)
            assert dict(row[list(settings)]) == settings
            changed = {k: v for k, v in settings.items() if k != "dropout"}
            assert run.with_changes(**changed) == run
            assert run.architecture.recurrent_dropout == settings["dropout"]
    with pytest.raises(ValueError, match="none of a search"):
        settings_of(BASE)
    html = search_shown({"FD001": table}).data
    assert html.count("<tr") == 1 + 3
    for run, _ in trials:
        assert f"{run.learning_rate:g}" in html


def test_the_search_says_whether_what_it_found_is_competent(record_trials):
    record_trials(2)
    lowest = search_table(BASE)["rmse"].min()
    said = search_reading({"FD001": search_table(BASE)}, {"FD001": lowest - 0.9})
    assert f"2 of {MAX_TRIALS} trials are recorded. The best so far has batch " in said
    assert f"its RMSE is {lowest:.1f} cycles" in said
    assert said.endswith(": competent so far.")
    record_trials(MAX_TRIALS - 2)
    table = search_table(BASE)
    said = search_reading({"FD001": table}, {"FD001": table["rmse"].min() - 1.1})
    assert said.startswith(f"* FD001: {MAX_TRIALS} trials are recorded. The best has batch ")
    assert said.endswith(": not competent.")
    assert f"rate {table['learning_rate'][table['rmse'].idxmin()]:g}, " in said
