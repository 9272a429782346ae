import json
import math
from functools import partial

import numpy as np
import pytest

from rulbook.data import Recipe
from rulbook.errors import RulbookError, UsageError
from rulbook.training import PROTOCOL, RunConfig, train
from rulbook.training.baselines import fit_baseline
from rulbook.training.gradient_bins import RATIO_BIN_EDGES
from rulbook.training.loop import watch_first_steps
from rulbook.training.record import (
    read_record,
    summarise_gradients,
)
from rulbook.weighting.fixed import FixedWeightLoss

from ..studies.conftest import committed_record


@pytest.fixture(scope="module")
def record(trained):
    return trained


def test_a_record_is_read_back_as_it_was_written(record, tmp_path):
    path = record.write(tmp_path)
    assert path.stem == record.config.key()
    again = read_record(path)
    assert again.config == record.config
    np.testing.assert_equal(again.write(tmp_path).read_bytes(), path.read_bytes())


def test_a_record_is_a_few_kilobytes(record, tmp_path):
    assert record.write(tmp_path).stat().st_size < 20_000


def test_writing_leaves_no_partial_file(record, tmp_path):
    record.write(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize("content", ["", "{", '{"config": {}}', "[]"])
def test_a_broken_record_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "abc.json"
    path.write_text(content)
    with pytest.raises(RulbookError, match=r"abc\.json.*delete"):
        read_record(path)


def _spoilt(content, *path, value):
    """Return the JSON of a record with the entry at ``path`` replaced."""
    whole = entry = json.loads(content)
    for step in path[:-1]:
        entry = entry[step]
    entry[path[-1]] = value
    return json.dumps(whole)


LIES = {
    "another recipe": (("config", "recipe", "rul_cap"), 130, "another run"),
    "another seed": (("config", "seed"), 7, "another run"),
    "another subset": (("config", "subset"), "FD003", "another run"),
    "an unknown subset": (("config", "subset"), "FD009", "FD009"),
    "an unknown method": (("config", "weighting"), "gabba", "gabba"),
    "another protocol": (("config", "protocol"), PROTOCOL + 1, "protocol"),
    "no predictions": (("test",), None, "predictions"),
    "a prediction that is not a number": (("test", "predicted_rul", 0), math.nan, "finite"),
    "a list cut": (("test", "predicted_health"), [0], "length"),
    "no engine": (
        ("test",),
        {"unit": [], "true_rul": [], "predicted_rul": [], "predicted_health": []},
        "predicts no engine",
    ),
    "an engine twice": (("test", "unit", 1), 1, "twice"),
    "an impossible state": (("test", "predicted_health", 0), 3, "health state"),
    "no epochs": (("epochs",), [], "no epochs"),
    "epoch 99 selected": (("selected_epoch",), 99, "epoch 100 of 2"),
    "no epoch selected": (("selected_epoch",), None, "selects no epoch"),
    "an epoch that is not the best": (("epochs", 1, "validation"), "a better one", "lowest"),
    "a loss that is not a number": (("epochs", 0, "rul_loss"), math.nan, "epoch 1"),
    "an RMSE below 0": (("epochs", 1, "validation", "rmse"), -1.0, "epoch 2"),
    "a bin too few": (("epochs", 0, "gradients", "ratio_counts"), [0] * 59, "60 items"),
    "more ratios than steps": (("epochs", 0, "gradients", "steps"), 3, "more gradient ratios"),
    "the test set watched": (("epochs", 0, "test"), "its validation", "watched"),
    "diverged with predictions": (("status",), "diverged", "diverged"),
    "no RMSE of the raw weights": (("raw_validation_rmse",), None, "raw weights"),
    "a negative RMSE of the raw weights": (("raw_validation_rmse",), -1.0, "raw weights"),
    "a share above 1": (("probe", "accuracy"), 1.5, "probe"),
    "a mean that is none": (("probe", "balanced_accuracy"), 0.123, "probe"),
    "a majority below a third": (("probe", "majority_share"), 0.2, "probe"),
    "two majorities": (("probe_at_start", "majority_share"), 0.987, "two shares"),
    "no probe": (("probe",), None, "no probe"),
    "an epoch too few": (("epochs",), "its first", "where its configuration goes on"),
    "an RMSE for another": (("epochs", 0, "validation", "rmse"), 1e-3, "epoch 1"),
    "an MSE for another": (("epochs", 1, "validation", "rul_loss"), 1e6, "epoch 2"),
    "a bias beyond the error": (("epochs", 1, "validation", "mean_error"), -1e6, "epoch 2"),
    "recalls beside the accuracy": (
        ("epochs", 1, "validation", "health_recall"),
        [0.987, 0.987, math.nan],
        "epoch 2",
    ),
    "a training loss below 0": (("epochs", 1, "health_loss"), -0.1, "epoch 2"),
    "an infinite rate": (("epochs", 1, "learning_rate"), math.inf, "epoch 2"),
    "a rate above the peak": (("epochs", 1, "learning_rate"), 0.5, "epoch 2"),
    "no weights": (("epochs", 1, "weights"), {}, "epoch 2"),
    "weights of other tasks": (("epochs", 1, "weights"), {"a": 0.5, "b": 0.5}, "epoch 2"),
    "a quantile out of order": (("epochs", 1, "gradients", "ratio_quantiles", 0), 1e9, "epoch 2"),
    "a cosine above 1": (("epochs", 1, "gradients", "cosine_quantiles", 4), 1.5, "epoch 2"),
    "a negative norm": (("epochs", 1, "gradients", "median_norm_rul"), -1.0, "epoch 2"),
    "an infinite norm": (("epochs", 1, "gradients", "median_norm_health"), math.inf, "epoch 2"),
    "ratios without steps": (("epochs", 1, "gradients", "ratio_counts"), [0] * 60, "epoch 2"),
    "a word for a number": (("epochs", 1, "rul_loss"), "12.5", "rul_loss"),
    "a yes for a number": (("test", "unit", 0), True, "unit"),
    "a word for a protocol": (("config", "protocol"), str(PROTOCOL), "protocol"),
    "weights that the method does not have": (
        ("epochs", 0, "weights"),
        {"rul_weight": 0.9, "health_weight": 0.1},
        "other weights in epoch 1 than fixed_050",
    ),
    "ratios counted in other bins": (
        ("epochs", 1, "gradients", "ratio_counts"),
        "its own, reversed",
        "epoch 2 that is not finite or not possible",
    ),
    "more steps than an epoch has": (
        ("epochs", 1, "gradients", "steps"),
        10**30,
        "observed steps in an epoch, which has 10 at most",
    ),
    "a completed run that tells a fault": (("message",), "It broke.", "what went wrong"),
    "no duration": (("wall_seconds",), math.nan, "duration"),
}


@pytest.mark.parametrize(("path", "value", "says"), LIES.values(), ids=LIES)
def test_a_record_that_lies_is_refused_in_one_sentence_that_names_its_file(
    record, tmp_path, path, value, says
):
    # The first epoch is the best one here, so that one lie at a time is told.
    record = record.model_copy(
        update={"selected_epoch": 0, "epochs": [record.epochs[0], record.epochs[0]]}
    )
    file = record.write(tmp_path)
    read_record(file)
    if value == "its validation":
        value = record.epochs[0].validation.model_dump()
    if value == "a better one":
        better = {"rmse": 1.0, "rul_loss": 1.0, "mean_error": 0.0}
        value = record.epochs[0].validation.model_dump() | better
    if value == "its own, reversed":
        value = record.epochs[1].gradients.ratio_counts[::-1]
    if value == "its first":
        value = [json.loads(record.epochs[0].model_dump_json())]
    file.write_text(_spoilt(file.read_text(), *path, value=value))
    with pytest.raises(RulbookError, match=says) as told:
        read_record(file)
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value)


def test_weights_add_up_to_what_the_method_says(simulated, short_run, tmp_path):
    file = train(short_run.with_changes(weighting="gaba"), simulated).write(tmp_path)
    read_record(file)
    file.write_text(_spoilt(file.read_text(), "epochs", 0, "weights", "rul_weight", value=0.9))
    with pytest.raises(RulbookError, match="weights in epoch 1 that do not add up to 1"):
        read_record(file)


def test_every_epoch_observes_as_many_steps(simulated, short_run, tmp_path):
    file = train(short_run.with_changes(batches_per_epoch=None), simulated).write(tmp_path)
    steps = read_record(file).epochs[0].gradients.steps
    file.write_text(_spoilt(file.read_text(), "epochs", 0, "gradients", "steps", value=steps + 2))
    with pytest.raises(RulbookError, match=f"{steps} observed steps in one epoch and {steps + 2}"):
        read_record(file)


DIVERGENCES = {
    "without a reason": ({"message": ""}, "does not say what went wrong"),
    "with a probe": ({"raw_validation_rmse": None}, "was measured after its last epoch"),
    "with a raw RMSE": ({"probe": None}, "was measured after its last epoch"),
    "finished": ({"probe": None, "raw_validation_rmse": None}, "has all of its epochs"),
}


@pytest.mark.parametrize(("changes", "says"), DIVERGENCES.values(), ids=DIVERGENCES)
def test_a_run_that_finished_did_not_diverge(record, tmp_path, changes, says):
    relabelled = {"status": "diverged", "test": None, "message": "The RMSE is nan."} | changes
    file = record.model_copy(update=relabelled).write(tmp_path)
    with pytest.raises(RulbookError, match=says):
        read_record(file)


def test_a_run_that_diverged_is_read(simulated, short_run, tmp_path):
    exploding = short_run.with_changes(learning_rate=1e30, clip_norm=None, optimiser="sgd")
    record = train(exploding, simulated)
    again = read_record(record.write(tmp_path))
    assert again.message == record.message
    assert not again.completed
    with pytest.raises(ValueError, match="diverged and predicts nothing"):
        again.predictions()


def test_predictions_that_are_not_of_the_watched_epoch_are_refused(simulated, short_run, tmp_path):
    file = train(short_run.with_changes(watch_test=True), simulated).write(tmp_path)
    read_record(file)
    file.write_text(_spoilt(file.read_text(), "test", "predicted_rul", 0, value=124.5))
    with pytest.raises(RulbookError, match="other predictions than the RMSE of epoch"):
        read_record(file)


@pytest.mark.parametrize("field", ["unit", "true_rul"])
def test_other_test_engines_than_those_of_the_real_files_are_refused(tmp_path, field):
    record = committed_record("FD001")
    file = record.write(tmp_path)
    read_record(file)
    another = getattr(record.test, field)[0] + 1000
    file.write_text(_spoilt(file.read_text(), "test", field, 0, value=another))
    with pytest.raises(RulbookError, match="other test engines or other true RUL than FD001"):
        read_record(file)


@pytest.mark.parametrize("lie", ["probe", "probe_at_start", "raw_validation_rmse"])
def test_a_baseline_has_nothing_of_a_network(simulated, record, lie, tmp_path):
    config = record.config.with_changes(network="constant")
    file = fit_baseline(config, simulated).write(tmp_path)
    read_record(file)
    value = json.loads(record.model_dump_json())[lie]
    file.write_text(_spoilt(file.read_text(), lie, value=value))
    with pytest.raises(RulbookError, match="is of constant, yet has"):
        read_record(file)


def test_a_record_under_another_name_is_refused(record, tmp_path):
    file = record.write(tmp_path)
    moved = file.rename(tmp_path / f"{'0' * 64}.json")
    with pytest.raises(RulbookError, match="another run"):
        read_record(moved)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weightting": "gaba"}, "weightting"),
        ({"weighting": "gabba"}, "gabba"),
        (
            {"weighting": "dwa", "weighting_options": (("temperature", 1.0), ("temperature", 5.0))},
            "the option temperature is given twice",
        ),
        ({"weighting": "gaba", "weighting_options": {"betta": 0.9}}, "betta"),
        ({"weighting": "gaba", "weighting_options": {"name": 1}}, "'name' is no option"),
        ({"weighting": "gaba", "weighting_options": {"tasks": 1}}, "'tasks' is no option"),
        ({"weighting": "fixed", "weighting_options": {"rul_weight": math.nan}}, "rul_weight"),
        ({"weighting": "fixed", "weighting_options": {"rul_weight": "0.5"}}, "rul_weight"),
        ({"weighting": "gaba", "weighting_options": {"warmup_steps": math.nan}}, "warmup_steps"),
        ({"weighting": "gradnorm", "weighting_options": {"weight_lr": math.inf}}, "weight_lr"),
        ({"weighting": "gradnorm", "weighting_options": {"relative": "no"}}, "relative"),
        ({"weighting": "cagrad", "weighting_options": {"c": math.inf}}, "takes a .* for c"),
        (
            {"weighting": "uncertainty", "weighting_options": {"initial_log_var": math.nan}},
            "initial_log_var",
        ),
        (
            {"weighting": "uncertainty", "weighting_options": {"initial_log_var": (0, math.nan)}},
            "initial_log_var",
        ),
        ({"weighting": "uncertainty", "weighting_options": {"classification": 1}}, "class"),
        ({"subset": "FD009"}, "FD009"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"network": "big"}, "network"),
        ({"seed": True}, "seed: give a number, not the truth value True"),
        ({"seed": 2**64}, "seed"),
        ({"patience": False}, "patience"),
        ({"clip_norm": np.True_}, "clip_norm"),
        ({"recipe": Recipe.model_construct(window=0)}, r"recipe\.window"),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda c, new: c.with_changes(**new),
        lambda c, new: c.model_copy(update=new),
        lambda c, new: c.copy(update=new),
    ],
    ids=["with_changes", "model_copy", "copy"],
)
def test_a_change_to_what_does_not_exist_is_refused(short_run, change, changes, says):
    with pytest.raises(UsageError, match=says):
        change(short_run, changes)


def test_a_copy_is_whole_and_takes_no_other_argument(short_run):
    assert short_run.copy() == short_run
    assert short_run.copy(update={"seed": 7}) == short_run.with_changes(seed=7)
    with pytest.raises(UsageError, match="copied whole"):
        short_run.copy(exclude={"seed"})
    with pytest.raises(TypeError):
        short_run.copy(updates={"seed": 7})


@pytest.mark.parametrize("names", [{"weighting": "gabba"}, {"subset": "FD009"}])
def test_a_configuration_of_what_does_not_exist_is_refused(simulated, names):
    with pytest.raises(UsageError, match="choose one of"):
        RunConfig(**{"subset": "FD001", "data_digest": simulated.digest} | names)


def test_options_move_the_key_in_whatever_order_and_none_leave_it(short_run):
    gaba = short_run.with_changes(weighting="gaba")
    first = gaba.with_changes(weighting_options={"beta": 0.9, "min_weight": 0.1})
    second = gaba.with_changes(weighting_options={"min_weight": 0.1, "beta": 0.9})
    assert first == second
    assert first.key() == second.key() != gaba.key()
    assert gaba.with_changes(weighting_options={}).key() == gaba.key()
    pairs = gaba.with_changes(weighting_options=(("min_weight", 0.1), ("beta", 0.9)))
    assert pairs == first
    again = RunConfig.model_validate_json(first.model_dump_json())
    assert again == first
    assert hash(again) == hash(first)


@pytest.mark.parametrize("value", [(0.1, 0.2), [0.5, -1]])
def test_an_option_of_several_numbers_is_read_back_from_its_record(short_run, value):
    """JSON has lists alone; a record that cannot be read back would be written off."""
    config = short_run.with_changes(
        weighting="uncertainty", weighting_options={"initial_log_var": value}
    )
    again = RunConfig.model_validate_json(config.model_dump_json(), strict=True)
    assert (again, again.key()) == (config, config.key())
    assert dict(again.weighting_options)["initial_log_var"] == tuple(value)


def test_an_option_that_equals_a_good_one_is_not_taken_for_it(short_run):
    short_run.with_changes(weighting="dwa", weighting_options={"temperature": 1})
    with pytest.raises(UsageError, match="not True"):
        short_run.with_changes(weighting="dwa", weighting_options={"temperature": True})


def test_a_fleet_without_operating_settings_flies_one_condition(short_run):
    recipe = Recipe(settings=())
    assert short_run.with_changes(subset="pumps", recipe=recipe).subset == "pumps"
    with pytest.raises(UsageError, match=r"Unknown subset 'pumps'.*\(n_conditions\)"):
        short_run.with_changes(subset="pumps")


def test_options_reach_the_method(simulated, short_run):
    fixed = short_run.with_changes(
        weighting="fixed", weighting_options={"rul_weight": 0.25, "health_weight": 0.75}
    )
    assert train(fixed, simulated).epochs[0].weights == {
        "rul_weight": 0.25,
        "health_weight": 0.75,
    }


@pytest.mark.parametrize(
    "change",
    [{"recipe": {"window": 31}}, {"subset": "FD003"}, {"data_digest": "0" * 64}],
    ids=str,
)
@pytest.mark.parametrize("train_it", [train, fit_baseline, partial(watch_first_steps, steps=1)])
def test_data_that_the_configuration_does_not_describe_are_refused(
    simulated, short_run, change, train_it
):
    (name,) = change
    with pytest.raises(UsageError, match=name):
        train_it(short_run.with_changes(**change), simulated)


def test_a_run_of_another_protocol_is_not_computed(simulated, short_run):
    with pytest.raises(UsageError, match=f"protocol {PROTOCOL + 1}"):
        train(short_run.with_changes(protocol=PROTOCOL + 1), simulated)


@pytest.mark.parametrize(
    ("unchecked", "says"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": "3"}, "seed"),
        ({"seed": True}, "seed"),
        ({"batch_size": 32.0}, "batch_size"),
        ({"weighting": "gabba"}, "gabba"),
        ({"recipe": Recipe.model_construct(windw=50, window=0)}, "window"),
    ],
    ids=str,
)
def test_a_run_that_nothing_checked_is_not_computed(simulated, unchecked, says):
    choices = {"subset": "FD001", "data_digest": simulated.digest}
    config = RunConfig.model_construct(**choices | unchecked)
    with pytest.raises(UsageError, match=says):
        train(config, simulated)


def test_a_run_without_what_it_must_have_is_not_computed(simulated):
    with pytest.raises(UsageError, match="data_digest: field required"):
        train(RunConfig.model_construct(subset="FD001"), simulated)


def test_what_is_called_after_an_epoch_cannot_change_the_record(simulated, short_run, record):
    def spoil(_, epoch):
        epoch.rul_loss = math.nan
        epoch.weights.clear()

    found = train(short_run, simulated, on_epoch=spoil)
    assert [e.rul_loss for e in found.epochs] == [e.rul_loss for e in record.epochs]
    assert found.epochs[0].weights == record.epochs[0].weights


def test_a_method_that_names_its_weights_otherwise_is_refused(simulated, short_run, monkeypatch):
    monkeypatch.setattr(FixedWeightLoss, "get_weights", lambda _: {"mine": 1.0})
    with pytest.raises(UsageError, match="must return rul_weight and health_weight, not mine"):
        train(short_run, simulated)


def test_the_key_moves_with_every_choice(simulated):
    base = RunConfig(subset="FD001", data_digest=simulated.digest)
    others = [
        base.with_changes(**change)
        for change in (
            {"subset": "FD002"},
            {"data_digest": "0"},
            {"seed": 1},
            {"weighting": "gaba"},
            {"inner_loss": "failure_weighted_mse"},
            {"protocol": PROTOCOL + 1},
            {"recipe": base.recipe.model_copy(update={"window": 20})},
        )
    ]
    assert len({config.key() for config in (base, *others)}) == len(others) + 1


def test_the_key_is_that_of_the_configuration_read_back(record):
    again = RunConfig.model_validate_json(record.config.model_dump_json())
    assert again.key() == record.config.key()


def test_gradient_summary_counts_every_step_once():
    ratios = np.array([1e-9, 0.5, 3.0, 700.0, 1e12])
    found = summarise_gradients(ratios, np.ones(5), np.zeros(5))
    assert sum(found.ratio_counts) == found.steps == 5
    assert len(found.ratio_counts) == len(RATIO_BIN_EDGES) - 1
    assert found.ratio_counts[0] == found.ratio_counts[-1] == 1
    assert found.ratio_quantiles[2] == 3.0


def test_a_step_without_health_gradient_has_no_ratio():
    found = summarise_gradients([1.0, 1.0], [0.0, 0.5], [np.nan, 1.0])
    assert found.ratio_quantiles == [2.0] * 5
    assert found.cosine_quantiles == [1.0] * 5


def test_no_observed_step_is_no_summary():
    assert summarise_gradients([], [], []) is None
