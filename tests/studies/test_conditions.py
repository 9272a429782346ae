import pytest

from rulbook.data.prepare import Recipe
from rulbook.errors import RulbookError, UsageError
from rulbook.studies import SEEDS, sweep
from rulbook.studies.catalogue import base_config, study
from rulbook.studies.competence_search import SEARCHED_SUBSETS, competence_trials, search_table
from rulbook.studies.conditions import (
    CONDITIONS,
    condition_of,
    require_condition,
    training_condition,
)
from rulbook.studies.evidence import has_arrived, records_under
from rulbook.studies.methods import NAMED_METHODS, method
from rulbook.training.config import RunConfig

from .conftest import believable, epoch


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


@pytest.mark.parametrize("subset", SEARCHED_SUBSETS)
def test_the_searched_settings_are_what_the_recorded_search_found(subset: str) -> None:
    base = base_config(subset)
    equal_weights = method("fixed_050").applied_to(base)
    searched = training_condition(f"searched-{subset.lower()}").applied_to(equal_weights)
    best = search_table(base)["rmse"].idxmin()
    assert searched in list(competence_trials(base))[best]


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
        believable(record, config).write(sweep.runs_folder())
    configs = [c for c in study("sgd-fd001-fd003").configs() if c.weighting == "gaba"]
    others = [c for c in configs if c.seed != SEEDS[0]]
    assert {(c.subset, c.seed) for c in others} == {("FD001", seed) for seed in SEEDS[1:]}
    assert {c.learning_rate for c in others} == {0.1}


# Which condition a run was made under --------------------------------------------------------


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
@pytest.mark.parametrize("row", NAMED_METHODS.values(), ids=NAMED_METHODS)
def test_every_method_is_under_the_condition_that_was_applied(condition, row):
    config = row.applied_to(base_config("FD003", 456))
    for rate in condition.learning_rates or (None,):
        assert condition_of(condition.applied_to(config, rate)) is condition


def test_sgd_at_another_rate_or_one_more_change_is_under_no_condition():
    config = base_config("FD001")
    sgd = training_condition("sgd")
    assert condition_of(sgd.applied_to(config, 0.05)) is None
    assert condition_of(config.model_copy(update={"batch_size": 32})) is None
    for condition in CONDITIONS.values():
        rate = condition.learning_rates[0] if condition.learning_rates else None
        changed = condition.applied_to(config, rate).model_copy(update={"observe_every": 1})
        assert condition_of(changed) is None
    no_method = config.with_changes(weighting="mgda", inner_loss="failure_weighted_mse")
    assert condition_of(no_method) is None


def test_records_of_the_studies_of_a_condition_are_under_it():
    for name, condition in (
        ("book-batch-fd001-fd003", "book-batch"),
        ("window-split-fd002", "window-split"),
        ("caps", "caps"),
        ("no-clip", "no-clip"),
        ("searched-fd001", "searched-fd001"),
        ("searched-fd003", "searched-fd003"),
        ("core-a", "protocol"),
        ("amnl-weights", "protocol"),
    ):
        for config in study(name).configs():
            require_condition(config, condition)


def test_a_run_under_another_condition_is_an_error_that_names_both():
    with pytest.raises(RulbookError, match="under the condition protocol, not under sgd"):
        require_condition(base_config("FD001"), "sgd")
    odd = base_config("FD001").model_copy(update={"batch_size": 32})
    with pytest.raises(RulbookError, match="under no named condition, not under caps"):
        require_condition(odd, "caps")
    with pytest.raises(UsageError, match="book-batch"):
        require_condition(odd, "nonesuch")


def test_records_under_a_condition_are_all_of_it_and_nothing_else(
    make_record, tmp_path, monkeypatch
):
    monkeypatch.setattr("rulbook.paths.results", lambda: tmp_path)
    changes = dict(training_condition("book-batch").changes)
    for name, extra in (("gaba", {}), ("amnl", changes), ("gaba", changes)):
        believable(make_record(name, **extra)).write(sweep.runs_folder())
    found = records_under("book-batch")
    assert [r.config.batch_size for r in found] == [64, 64]
    assert [r.config.inner_loss for r in found] == ["failure_weighted_mse", "mse"]
    assert [r.config.batch_size for r in records_under("protocol")] == [256]
    assert records_under("caps") == ()


def test_under_sgd_records_are_those_at_the_chosen_rate(make_record, tmp_path, monkeypatch):
    monkeypatch.setattr("rulbook.paths.results", lambda: tmp_path)
    sgd = training_condition("sgd")
    for rate in sgd.learning_rates:
        assert records_under("sgd") == ()
        best = (epoch(12.0 if rate == 0.1 else 15.0),)
        record = make_record("gaba", epochs=best, **sgd.changes, learning_rate=rate)
        believable(record).write(sweep.runs_folder())
    for seed, rate in ((123, 0.1), (456, 0.3)):
        record = make_record("gaba", seed=seed, **sgd.changes, learning_rate=rate)
        believable(record).write(sweep.runs_folder())
    found = records_under("sgd")
    assert [(r.config.seed, r.config.learning_rate) for r in found] == [(42, 0.1), (123, 0.1)]


@pytest.mark.parametrize(
    ("epochs", "changes", "arrived"),
    [
        (3, {"max_epochs": 10, "patience": 2}, True),
        (10, {"max_epochs": 10, "patience": 2}, False),
        (3, {"max_epochs": 10, "patience": None}, False),
        (3, {"max_epochs": 10, "patience": 2, "diverged": True}, False),
    ],
)
def test_a_training_has_arrived_where_its_patience_ended_it(make_record, epochs, changes, arrived):
    assert has_arrived(make_record(epochs=(epoch(12.0),) * epochs, **changes)) is arrived


def test_a_run_on_data_of_ones_own_is_under_no_condition(make_record):
    recipe = Recipe(settings=("load",), sensors=("t1",), n_conditions=1)
    own = make_record().config.with_changes(subset="mine", recipe=recipe)
    assert condition_of(own) is None
