import pytest

from rulbook.errors import UsageError
from rulbook.studies import SEEDS, sweep
from rulbook.studies.catalogue import base_config, study
from rulbook.studies.conditions import CONDITIONS, training_condition
from rulbook.training.config import RunConfig

from .conftest import epoch


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_condition_changes_what_it_names_and_nothing_else(condition):
    before = base_config("FD001")
    after = condition.applied_to(before)
    RunConfig.model_validate(after.model_dump())
    changed = {n for n in RunConfig.model_fields if getattr(before, n) != getattr(after, n)}
    assert changed == set(condition.changes)


def test_the_protocol_keeps_the_names_of_its_records():
    config = base_config("FD001")
    assert training_condition("protocol").applied_to(config).key() == config.key()


def test_conditions_give_different_runs():
    keys = {condition.applied_to(base_config("FD001")).key() for condition in CONDITIONS.values()}
    assert len(keys) == len(CONDITIONS)


def test_an_unknown_condition_lists_the_known_ones():
    with pytest.raises(UsageError, match="book-batch"):
        training_condition("nonesuch")


def test_the_rate_of_sgd_is_chosen_on_validation_of_the_first_seed(
    make_record, tmp_path, monkeypatch
):
    monkeypatch.setattr("rulbook.paths.results", lambda: tmp_path)
    tried = [c for c in study("sgd-fd001-fd003").configs() if c.weighting == "gaba"]
    assert {c.seed for c in tried} == {SEEDS[0]}
    for config in (c for c in tried if c.subset == "FD001"):
        rmse = 12.0 if config.learning_rate == 0.1 else 15.0
        record = make_record("gaba", epochs=(epoch(rmse),))
        record.model_copy(update={"config": config}).write(sweep.runs_folder())
    configs = [c for c in study("sgd-fd001-fd003").configs() if c.weighting == "gaba"]
    others = [c for c in configs if c.seed != SEEDS[0]]
    assert {(c.subset, c.seed) for c in others} == {("FD001", seed) for seed in SEEDS[1:]}
    assert {c.learning_rate for c in others} == {0.1}
