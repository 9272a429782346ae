import copy
import dataclasses
import math
from itertools import chain, repeat

import numpy as np
import pytest
import torch

from rulbook.errors import UsageError
from rulbook.models import DualTaskModel
from rulbook.training import loop, train
from rulbook.training.auxiliary import auxiliary_labels
from rulbook.training.baselines import fit_baseline
from rulbook.training.evaluation import Evaluator, trunk_features
from rulbook.training.loop import average_decay, train_network, watch_first_steps
from rulbook.weighting.registry import get_loss

RECORDED = {"wall_seconds", "source_digest", "versions"}


def numbers(record):
    return record.model_dump(exclude=RECORDED)


@pytest.fixture
def scripted(trained, monkeypatch):
    """Let validations find these RMSEs, and then the last again; return the weights they are of."""

    def script(*errors):
        weights, left = [], chain(errors, repeat(errors[-1]))

        def evaluate(_, model, __):
            weights.append(copy.deepcopy(model.state_dict()))
            return trained.epochs[0].validation.model_copy(update={"rmse": next(left)})

        monkeypatch.setattr(Evaluator, "evaluate", evaluate)
        return weights

    return script


def test_a_batch_that_the_training_windows_do_not_fill_is_refused(simulated, short_run):
    windows = len(simulated.train)
    too_large = short_run.with_changes(batch_size=windows + 1)
    for run in (train, lambda *given: watch_first_steps(*given, steps=1)):
        with pytest.raises(UsageError, match=f"batch_size of at most {windows}"):
            run(too_large, simulated)


def test_windows_of_one_health_state_are_refused(simulated, short_run):
    degrading = np.ones_like(simulated.train.health)
    alike = dataclasses.replace(
        simulated, train=dataclasses.replace(simulated.train, health=degrading)
    )
    with pytest.raises(UsageError, match="are all 'degrading'"):
        train(short_run, alike)


def test_a_baseline_is_not_trained_and_a_network_no_baseline(simulated, short_run):
    with pytest.raises(UsageError, match="'constant' is a baseline"):
        train(short_run.with_changes(network="constant"), simulated)
    with pytest.raises(UsageError, match="Unknown baseline 'compact'"):
        fit_baseline(short_run, simulated)


@pytest.mark.slow
def test_a_run_is_a_function_of_its_config(simulated, short_run, trained):
    np.testing.assert_equal(numbers(train(short_run, simulated)), numbers(trained))


@pytest.mark.slow
def test_seeds_differ(simulated, short_run, trained):
    other = train(short_run.with_changes(seed=123), simulated)
    assert trained.epochs[0].rul_loss != other.epochs[0].rul_loss


@pytest.mark.slow
def test_training_leaves_the_global_random_state_alone(simulated, short_run):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train(short_run, simulated)
    assert torch.rand(1) == expected


@pytest.mark.slow
def test_methods_of_one_seed_start_from_the_same_network(simulated, short_run):
    first_losses = {
        train(
            short_run.with_changes(weighting=name, batches_per_epoch=1, max_epochs=1),
            simulated,
        )
        .epochs[0]
        .rul_loss
        for name in ("fixed_050", "gaba", "uncertainty", "pcgrad")
    }
    assert len(first_losses) == 1


@pytest.mark.slow
def test_the_test_engines_are_looked_at_once_and_after_the_last_epoch(
    simulated, short_run, monkeypatch
):
    seen = []
    predict = Evaluator.predict

    def watched(self, model, windows):
        seen.append("test" if windows is simulated.test else "other")
        return predict(self, model, windows)

    monkeypatch.setattr(Evaluator, "predict", watched)
    train(short_run, simulated)
    assert seen.count("test") == 1
    assert seen[-1] == "test"


@pytest.mark.slow
def test_test_engines_do_not_influence_training(simulated, short_run, trained):
    shifted = dataclasses.replace(simulated.test, cycle_features=simulated.test.cycle_features + 3)
    altered = dataclasses.replace(simulated, test=shifted)
    after = train(short_run, altered)
    np.testing.assert_equal(numbers(trained)["epochs"], numbers(after)["epochs"])
    assert trained.test != after.test


def test_the_averaged_weights_of_the_lowest_validation_rmse_are_selected(
    simulated, short_run, scripted
):
    weights = scripted(3.0, 1.0, 2.0)
    config = short_run.with_changes(max_epochs=3)
    found = train_network(config, simulated)
    assert found.record.selected_epoch == 1
    selected = found.network.state_dict()
    alike = [all(torch.equal(w[name], selected[name]) for name in selected) for w in weights]
    assert alike == [False, True, False, False]
    evaluator = Evaluator(config, torch.device("cpu"))
    predicted, _ = evaluator.predict(found.network, simulated.test)
    assert found.record.test.predicted_rul == predicted.tolist()
    assert found.record.probe == evaluator.probe(found.network, simulated)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_ends_a_run_that_gets_no_better(simulated, short_run, scripted, patience):
    scripted(3.0, 1.0)
    record = train(
        short_run.with_changes(max_epochs=9, patience=patience, batches_per_epoch=1), simulated
    )
    assert record.selected_epoch == 1
    assert len(record.epochs) == record.selected_epoch + 1 + patience


@pytest.mark.parametrize("let_pass", [0, 1, 2])
def test_the_rate_is_halved_where_more_epochs_get_no_better_than_are_let_pass(
    simulated, short_run, scripted, let_pass
):
    scripted(3.0, 2.0)
    config = short_run.with_changes(
        max_epochs=8, patience=None, batches_per_epoch=1, warm_up=0.0, plateau_patience=let_pass
    )
    rates = [epoch.learning_rate for epoch in train(config, simulated).epochs]
    no_better = [0, 0, 0, 1, 2, 3, 4, 5]
    halvings = [epochs // (let_pass + 1) for epochs in no_better]
    assert rates == pytest.approx([config.learning_rate / 2**n for n in halvings])


def test_epochs_of_the_warm_up_are_no_plateau(simulated, short_run, scripted):
    scripted(2.0)
    config = short_run.with_changes(
        max_epochs=8, patience=None, batches_per_epoch=1, warm_up=0.5, plateau_patience=0
    )
    rates = [epoch.learning_rate for epoch in train(config, simulated).epochs]
    shares = [1 / 4, 2 / 4, 3 / 4, 1, 1, 1 / 2, 1 / 4, 1 / 8]
    assert rates == pytest.approx([config.learning_rate * share for share in shares])


def test_the_clipped_share_is_that_of_the_steps_with_a_longer_gradient(
    simulated, short_run, monkeypatch
):
    clip, lengths = torch.nn.utils.clip_grad_norm_, []

    def measured(*given):
        lengths.append(clip(*given))
        return lengths[-1]

    def share(clip_norm):
        still = short_run.with_changes(learning_rate=0.0, max_epochs=1, clip_norm=clip_norm)
        return train(still, simulated).epochs[0].clipped_share

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", measured)
    assert [share(norm) for norm in (None, 1e12, 1e-12)] == [0.0, 0.0, 1.0]
    between = float(torch.stack(lengths[-10:]).quantile(0.75))
    assert share(between) == 0.3


def test_a_loss_that_explodes_is_recorded_as_diverged_and_not_raised(simulated, short_run):
    wild = short_run.with_changes(optimiser="sgd", learning_rate=1e30, clip_norm=1e30, warm_up=0.0)
    record = train(wild, simulated)
    assert record.status == "diverged"
    assert record.message
    assert record.test is None


def test_a_shut_output_is_noticed(simulated, short_run, trained, monkeypatch):
    assert not trained.starts_dead
    monkeypatch.setattr(
        loop.DualTaskModel,
        "start_rul_at",
        lambda self, _: self.head_rul[-2].bias.data.fill_(-1e6),
    )
    assert train(short_run, simulated).starts_dead


@pytest.mark.slow
def test_scaled_targets_change_the_gradient_but_not_the_unit_of_the_metrics(
    simulated, short_run, trained
):
    cycles = trained.epochs[0]
    scaled = train(short_run.with_changes(target_unit="cap"), simulated).epochs[0]
    cap = short_run.recipe.rul_cap
    assert scaled.rul_loss < cycles.rul_loss / cap
    assert scaled.gradients.ratio_quantiles[2] < cycles.gradients.ratio_quantiles[2]
    assert 1 < scaled.validation.rmse < cap


def test_zero_learning_rate_measures_the_network_where_it_starts(simulated, short_run):
    still = short_run.with_changes(learning_rate=0.0, max_epochs=1)
    found = train_network(still, simulated)
    _, start = watch_first_steps(short_run, simulated, 0)
    for after, before in zip(found.network.parameters(), start.parameters(), strict=True):
        assert torch.equal(after, before)
    assert found.record.epochs[0].gradients.steps == still.batches_per_epoch


@pytest.mark.parametrize("every", [1, 4])
def test_gradients_are_observed_as_often_as_asked(simulated, short_run, every):
    record = train(short_run.with_changes(observe_every=every), simulated)
    observed = sum(epoch.gradients.steps for epoch in record.epochs)
    assert observed == math.ceil(20 / every)


@pytest.mark.slow
def test_observing_does_not_move_the_training(simulated, short_run, trained):
    seldom = train(short_run.with_changes(observe_every=20), simulated)
    np.testing.assert_allclose(
        seldom.epochs[-1].validation.rmse, trained.epochs[-1].validation.rmse, rtol=1e-4
    )


@pytest.mark.slow
def test_watching_the_test_set_adds_metrics_and_changes_nothing_else(simulated, short_run, trained):
    watched = train(short_run.with_changes(watch_test=True), simulated)
    assert watched.test == trained.test
    assert watched.epochs[0].test is not None
    assert watched.epochs[0].test_every_window is not None
    assert trained.epochs[0].test is None


@pytest.mark.parametrize("total_steps", [20, 400, 100_000])
def test_the_running_average_never_looks_back_over_more_than_a_tenth_of_the_run(total_steps):
    decays = [average_decay(step, total_steps, 0.999) for step in range(total_steps)]
    assert all(0 <= decay <= 0.999 for decay in decays)
    assert decays == sorted(decays)
    assert 1 / (1 - decays[-1]) <= max(total_steps / 10, 1) * (1 + 1e-9)


@pytest.mark.slow
def test_the_average_does_not_lag_behind_the_raw_weights(simulated, short_run):
    config = short_run.with_changes(batches_per_epoch=None, max_epochs=6, observe_every=1000)
    record = train(config, simulated)
    # With a decay of 0.999 from the first step on it is more than twice as large.
    assert record.epochs[-1].validation.rmse < 1.5 * record.raw_validation_rmse


class TestAuxiliaryLabels:
    def test_health_is_the_state_itself(self, simulated):
        assert auxiliary_labels("health", simulated.train, 0) is simulated.train.health

    def test_shuffling_keeps_the_shares(self, simulated):
        labels = auxiliary_labels("shuffled", simulated.train, 0)
        np.testing.assert_array_equal(np.bincount(labels), np.bincount(simulated.train.health))
        assert (labels != simulated.train.health).any()

    def test_a_serial_number_is_one_class_an_engine(self, simulated):
        labels = auxiliary_labels("serial_number", simulated.train, 0)
        for unit in np.unique(simulated.train.unit):
            assert len(np.unique(labels[simulated.train.unit == unit])) == 1
        assert np.unique(labels).tolist() == [0, 1, 2]
        assert (labels != auxiliary_labels("serial_number", simulated.train, 1)).any()


@pytest.mark.slow
def test_mixed_precision_trains_nearly_the_same_network(simulated, short_run, trained):
    mixed = train(short_run.with_changes(precision="bfloat16"), simulated)
    assert mixed.status == "completed"
    assert mixed.epochs[0].rul_loss != trained.epochs[0].rul_loss
    for one, other in zip(trained.epochs, mixed.epochs, strict=True):
        assert other.rul_loss == pytest.approx(one.rul_loss, rel=0.02)
        assert other.health_loss == pytest.approx(one.health_loss, rel=0.02)
        assert other.gradients.ratio_quantiles[2] == pytest.approx(
            one.gradients.ratio_quantiles[2], rel=0.25
        )


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", ["compact", "paper"])
def test_a_training_on_cuda_agrees_with_one_on_the_cpu(simulated, short_run, network, precision):
    config = short_run.with_changes(network=network, precision=precision)
    on_cpu, on_cuda = train(config, simulated), train(config, simulated, device="cuda")
    assert on_cuda.device == "cuda"
    assert on_cuda.status == "completed"
    for one, other in zip(on_cpu.epochs, on_cuda.epochs, strict=True):
        assert other.rul_loss == pytest.approx(one.rul_loss, rel=0.05)


@pytest.mark.slow
def test_weights_with_a_rate_of_their_own_learn_at_it(simulated, short_run, monkeypatch):
    def weight_after(**options):
        monkeypatch.setattr(loop, "get_loss", lambda _: get_loss("uncertainty", **options))
        return train(short_run, simulated).epochs[-1].weights["rul_weight"]

    by_default = weight_after()
    assert weight_after(log_var_lr=short_run.learning_rate) == by_default
    # Twenty steps of Adam, the first two warming up: half of exp(-s) at s = 1.9 against 0.019.
    assert weight_after(log_var_lr=0.1) < 0.2
    assert 0.48 < by_default < 0.5


def test_features_are_those_of_evaluation_and_the_network_stays_in_its_mode(simulated):
    torch.manual_seed(0)
    model = DualTaskModel.of_size("compact").train()
    some = simulated.validation.take(np.arange(20))
    alone = simulated.validation.take(np.arange(1))
    features = trunk_features(model, some)
    assert model.training
    assert features.shape == (20, 32)
    np.testing.assert_allclose(features[:1], trunk_features(model, alone), atol=1e-5)
