import numpy as np
import pytest

from rulbook.studies import SEEDS, study, sweep
from rulbook.studies.catalogue import base_config
from rulbook.studies.competence_search import METHODS_SEARCHED, search_table
from rulbook.studies.conditions import training_condition
from rulbook.studies.equal_tuning import (
    TRIALS,
    TUNED_METHODS,
    TUNED_UNDER,
    trials,
    tuned_config,
    tuning_runs,
    tuning_settings,
)
from rulbook.studies.methods import method
from rulbook.studies.tuning import best_validation_rmse
from rulbook.training.config import RunConfig
from rulbook.training.record import read_record
from rulbook.weighting.registry import get_loss

from .conftest import believable, epoch

BASES = [base_config("FD002", seed) for seed in SEEDS]
BOOK_BATCH = training_condition("book-batch").applied_to(BASES[0])


def lowest_at(weighting, rate):
    """Return a validation RMSE that is lowest at one setting and rate."""
    return lambda c: 12.0 + (c.weighting != weighting) + abs(c.learning_rate - rate) * 1e3


@pytest.fixture
def train(make_record, results):
    """Record runs in place of training them."""

    def run(configs, rmse):
        for config in configs:
            made = make_record(subset=config.subset, epochs=(epoch(rmse(config)),))
            believable(made, config).write(sweep.runs_folder())

    return run


def runs_of(name, configs):
    tuned = TUNED_METHODS[name]
    settings = {(s.weighting, s.options) for s in tuned.settings}
    loss = method(name).inner_loss
    return [
        c
        for c in configs
        if (c.weighting, c.weighting_options) in settings and c.inner_loss == loss
    ]


@pytest.mark.parametrize("tuned", TUNED_METHODS.values(), ids=TUNED_METHODS)
def test_every_method_has_four_settings_that_can_be_built_the_printed_one_first(tuned):
    assert len(tuned.settings) == len(set(tuned.settings)) == TRIALS - 2
    printed = method(tuned.name).applied_to(BOOK_BATCH)
    assert tuned.applied_to(BOOK_BATCH, tuned.settings[0]) == printed
    for setting in tuned.settings:
        get_loss(setting.weighting, **dict(setting.options))
        run = tuned.applied_to(BOOK_BATCH, setting)
        assert RunConfig.model_validate(run.model_dump()) == run
        assert tuned.setting_of(run) is setting
    with pytest.raises(ValueError, match="no setting"):
        tuned.setting_of(method("imtl_g").applied_to(BOOK_BATCH))


def test_uncertainty_and_gradnorm_are_tuned_in_the_forms_that_act():
    rates = [dict(s.options).get("log_var_lr") for s in TUNED_METHODS["uncertainty"].settings]
    assert rates[0] is None
    assert min(rates[1:]) > BOOK_BATCH.learning_rate
    for setting in TUNED_METHODS["gradnorm"].settings[1:]:
        built = get_loss(setting.weighting, **dict(setting.options))
        assert (built.edition, built.descent) == ("original", "adam")


def test_the_trials_are_four_settings_then_two_rates_of_the_best_on_one_seed(train):
    tuned = TUNED_METHODS["gaba"]
    first = trials(tuned, BOOK_BATCH)
    assert len(first) == 4
    assert {(c.learning_rate, c.seed) for c in first} == {(1e-3, 42)}
    rmse = lowest_at("gaba_no_floor", 3e-3)
    train(first[:3], rmse)
    assert trials(tuned, BOOK_BATCH) == first
    assert tuned_config(tuned, BOOK_BATCH) is None
    train(first[3:], rmse)
    six = trials(tuned, BOOK_BATCH)
    assert six[:4] == first
    assert len(six) == TRIALS
    assert [(c.weighting, c.learning_rate) for c in six[4:]] == [
        ("gaba_no_floor", 3e-4),
        ("gaba_no_floor", 3e-3),
    ]
    assert tuned_config(tuned, BOOK_BATCH) is None
    train(six[4:], rmse)
    assert tuned_config(tuned, BOOK_BATCH) == six[5]


def test_the_study_ends_with_five_seeds_of_every_choice_and_of_every_printed_setting(train):
    rmse = lowest_at("gaba_no_floor", 3e-4)
    lengths = []
    while True:
        configs = list(tuning_runs(BASES))
        assert len({c.key() for c in configs}) == len(configs)
        missing = [c for c in configs if not sweep.record_file(c.key())]
        if not missing:
            break
        lengths.append(len(configs))
        train(missing, rmse)
    assert len(lengths) == 3  # settings, rates, seeds
    assert lengths == sorted(lengths)
    for name, tuned in TUNED_METHODS.items():
        of_method = runs_of(name, configs)
        chosen = tuned_config(tuned, BOOK_BATCH)
        assert {c.seed for c in of_method if c.with_changes(seed=42) == chosen} == set(SEEDS)
        printed = tuned.applied_to(BOOK_BATCH, tuned.settings[0])
        assert {c.seed for c in of_method if c.with_changes(seed=42) == printed} == set(SEEDS)
        assert len([c for c in of_method if c.seed == 42]) == TRIALS
    assert tuned_config(TUNED_METHODS["grace"], BOOK_BATCH).learning_rate == 3e-4


def test_it_is_resumed_wherever_it_was_stopped(train):
    rmse = lowest_at("fixed_090", 1e-3)
    done = []
    while missing := [c for c in tuning_runs(BASES) if not sweep.record_file(c.key())]:
        train(missing[:3], rmse)
        done += missing[:3]
    assert len(done) == len(set(done))
    assert set(done) == set(tuning_runs(BASES))


def test_a_setting_that_diverges_is_not_chosen(make_record, train):
    tuned = TUNED_METHODS["dwa"]
    *rest, last = trials(tuned, BOOK_BATCH)
    train(rest, lambda _: 15.0)
    weights = get_loss("dwa").get_weights()
    made = make_record(diverged=True, epochs=(epoch(3.0).model_copy(update={"weights": weights}),))
    made.model_copy(update={"config": last, "message": "not finite"}).write(sweep.runs_folder())
    assert {c.weighting_options for c in trials(tuned, BOOK_BATCH)[4:]} == {()}


def test_where_every_setting_diverges_there_is_nothing_to_choose(make_record, results):
    tuned = TUNED_METHODS["dwa"]
    tried = trials(tuned, BOOK_BATCH)
    for config in tried:
        made = make_record(diverged=True)
        made.model_copy(update={"config": config, "message": "not finite"}).write(
            sweep.runs_folder()
        )
    assert trials(tuned, BOOK_BATCH) == tried
    assert tuned_config(tuned, BOOK_BATCH) is None


def test_fd001_is_tuned_under_what_the_search_found_since_it_is_better_on_validation():
    base = base_config("FD001")
    book_batch = training_condition("book-batch").applied_to(base)
    errors = [
        read_record(sweep.record_file(method(name).applied_to(book_batch).key()))
        for name in METHODS_SEARCHED
    ]
    assert search_table(base)["rmse"].min() < np.mean([best_validation_rmse(e) for e in errors])
    assert tuning_settings(base) == training_condition("searched-fd001").applied_to(base)


def test_there_is_a_study_for_every_tuned_subset():
    for subset in TUNED_UNDER:
        assert {c.subset for c in study(f"tuned-{subset.lower()}").configs()} == {subset}
