"""Many trainings at once: against a plain loop, against autograd, and network by network."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from rulbook.data import Fleet, Windows
from rulbook.data.simulate import simulate
from rulbook.experiments import ensemble, weight_trade_off
from rulbook.gradients import geometry, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import shared_parameters

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "one_by_one.py"
train_one_by_one = runpy.run_path(str(SCRIPT))["train_one_by_one"]
WEIGHTS = [ensemble.RUL_ONLY, ensemble.EQUAL_WEIGHTS, (0.01, 0.99)]
PLAIN_SGD = ensemble.UpdateRule("sgd", 1e-4, weight_decay=0.0)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return simulate("FD001")


@pytest.fixture(scope="module")
def rows(fleet: Fleet) -> Windows:
    return ensemble.single_cycles(fleet).train


def corrupted(rows: Windows, engines, **columns) -> Windows:
    """Return single cycles with columns replaced on all engines but those of ``engines``.

    ``cycle_features`` has a row a cycle, the other columns an entry a window of one cycle.
    """
    elsewhere = ~np.isin(rows.unit, engines)
    changed = {}
    for name, value in columns.items():
        column = getattr(rows, name).copy()
        column[rows.first_row[elsewhere] if name == "cycle_features" else elsewhere] = value
        changed[name] = column
    return Windows(**(vars(rows) | changed))


def test_rows_are_the_cycles_of_the_engines(fleet):
    prepared = ensemble.single_cycles(fleet)
    assert prepared.train.x.shape[1:] == (1, 17)
    assert len(prepared.train) + len(prepared.validation) == len(fleet.train)
    assert not set(prepared.train.unit) & set(prepared.validation.unit)


def test_pairs_add_up_to_one_in_any_shape():
    found = ensemble.pairs([[0.0, 0.25], [0.9, 1.0]])
    assert found.shape == (2, 2, 2)
    np.testing.assert_allclose(found.sum(-1), 1.0)
    np.testing.assert_allclose(found[..., 0], [[0.0, 0.25], [0.9, 1.0]])


def test_training_at_once_gives_what_a_loop_gives(rows):
    at_once = ensemble.train_networks(rows, WEIGHTS, [0, 7], steps=25)
    looped = train_one_by_one(rows, WEIGHTS, [0, 7], steps=25)
    for i in range(2):
        for j in range(len(WEIGHTS)):
            for name, parameter in looped[i][j].named_parameters():
                torch.testing.assert_close(
                    at_once.parameters[name][i, j], parameter.detach(), rtol=1e-3, atol=2e-4
                )


def test_a_network_does_not_notice_its_neighbours(rows):
    alone = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [3], steps=20)
    among = ensemble.train_networks(
        rows, [ensemble.RUL_ONLY, ensemble.EQUAL_WEIGHTS], [1, 3], steps=20
    )
    np.testing.assert_allclose(alone.flat()[0, 0], among.flat()[1, 1], rtol=1e-4, atol=1e-5)


def test_weights_may_differ_by_seed(rows):
    by_seed = ensemble.train_networks(rows, ensemble.pairs([[0.5], [0.1]]), [3, 4], steps=15)
    everywhere = ensemble.train_networks(rows, ensemble.pairs([0.5, 0.1]), [3, 4], steps=15)
    np.testing.assert_allclose(by_seed.flat()[0, 0], everywhere.flat()[0, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_seed.flat()[1, 0], everywhere.flat()[1, 1], rtol=1e-4, atol=1e-5)


def test_a_task_of_weight_zero_moves_nothing_of_its_own(rows):
    start = ensemble.train_networks(rows, [(0.0, 1.0)], [0], steps=0)
    end = ensemble.train_networks(rows, [(0.0, 1.0)], [0], steps=10, rule=PLAIN_SGD)
    for name, before in start.parameters.items():
        same = torch.equal(before, end.parameters[name])
        assert same == name.startswith("head_rul.")


def test_under_plain_sgd_a_common_factor_of_the_weights_is_a_factor_of_the_rate(rows):
    heavier = ensemble.train_networks(rows, [(0.7, 0.7)], [0, 1], steps=20, rule=PLAIN_SGD)
    faster = PLAIN_SGD.with_rate(1.4 * PLAIN_SGD.learning_rate)
    quicker = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [0, 1], steps=20, rule=faster)
    np.testing.assert_allclose(heavier.flat(), quicker.flat(), rtol=1e-4, atol=1e-6)


def test_every_network_is_clipped_as_pytorch_clips_one(rows):
    rule = ensemble.UpdateRule("sgd", 1.0, weight_decay=0.0, clip_norm=1.0)
    start = ensemble.train_networks(rows, WEIGHTS, [0, 1], steps=0).flat()
    end = ensemble.train_networks(rows, WEIGHTS, [0, 1], steps=1, rule=rule).flat()
    moved = np.linalg.norm(end - start, axis=-1)
    assert (moved <= 1 + 1e-3).all()
    np.testing.assert_allclose(moved[:, 0], 1.0, atol=1e-3)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_every_optimiser_lowers_the_loss(rows, optimiser):
    rule = ensemble.UpdateRule(optimiser, 1e-4 if optimiser == "sgd" else 0.01)
    before = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [0], steps=0).losses(rows).rul
    after = (
        ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [0], steps=60, rule=rule)
        .losses(rows)
        .rul
    )
    assert (after < before).all()


def test_only_the_drawn_engines_are_seen(rows):
    drawn = ensemble.drawn_engines(rows, 5, 3)
    assert len(set(drawn)) == 3
    assert set(drawn) <= set(rows.unit)
    unseen = corrupted(rows, drawn, cycle_features=np.nan, rul=np.nan)
    clean, dirty = (
        ensemble.train_networks(
            windows, [ensemble.EQUAL_WEIGHTS], [5], engines=[3], steps=10
        ).flat()
        for windows in (rows, unseen)
    )
    np.testing.assert_array_equal(clean, dirty)


def test_the_second_task_may_see_every_engine_while_rul_does_not(rows):
    drawn = ensemble.drawn_engines(rows, 5, 3)
    without_rul = corrupted(rows, drawn, rul=np.nan)
    options = {"engines": [3], "steps": 10, "label_every_engine": True}
    clean = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [5], **options).flat()
    np.testing.assert_array_equal(
        clean, ensemble.train_networks(without_rul, [ensemble.EQUAL_WEIGHTS], [5], **options).flat()
    )
    relabelled = corrupted(rows, drawn, health=0)
    assert not np.allclose(
        clean, ensemble.train_networks(relabelled, [ensemble.EQUAL_WEIGHTS], [5], **options).flat()
    )


def test_other_labels_get_a_head_of_their_size(rows):
    engines = np.unique(rows.unit, return_inverse=True)[1]
    networks = ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [0], labels=engines, steps=1)
    assert networks.parameters["head_health.weight"].shape[2] == len(set(rows.unit))


def test_predictions_features_and_losses_belong_together(rows):
    networks = ensemble.train_networks(rows, WEIGHTS, [0, 1], steps=5)
    some = rows.take(np.arange(200))
    rul, state = networks.predict(some)
    z = networks.features(some)
    assert rul.shape == state.shape == (2, 3, 200)
    head, bias = (networks.parameters[f"head_rul.{part}"].numpy() for part in ("weight", "bias"))
    np.testing.assert_allclose(np.einsum("swnh,swoh->swn", z, head) + bias, rul, rtol=1e-4)
    losses = networks.losses(some)
    np.testing.assert_allclose(losses.rul, np.square(rul - some.rul).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(losses.health_accuracy, (state == some.health).mean(-1), rtol=1e-5)
    logits = torch.from_numpy(z) @ networks.parameters["head_health.weight"].mT
    logits = logits + networks.parameters["head_health.bias"][:, :, None]
    expected = health_cross_entropy(logits[1, 2], torch.from_numpy(some.health))
    assert losses.health[1, 2] == pytest.approx(expected.item(), rel=1e-4)


def test_training_leaves_the_global_state_alone(rows):
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    ensemble.train_networks(rows, [ensemble.EQUAL_WEIGHTS], [0], steps=2)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_balancing_weights_are_the_inverse_of_the_gradient_ratio(rows):
    rul_weight, health_weight = weight_trade_off.balancing_weights(rows, [0])
    course = weight_trade_off.gradient_course(rows, [ensemble.EQUAL_WEIGHTS], [0], steps=1)
    assert rul_weight + health_weight == pytest.approx(1.0)
    ratio = (course["norm_rul"] / course["norm_health"]).item()
    assert health_weight / rul_weight == pytest.approx(ratio, rel=1e-4)


def test_gradient_course_measures_what_autograd_measures_on_one_network(rows):
    course = weight_trade_off.gradient_course(rows, WEIGHTS, [0, 1], steps=6, every=4)
    assert list(course["step"].unique()) == [0, 4, 5]
    assert len(course) == 3 * 2 * len(WEIGHTS)

    network = train_one_by_one(rows, [ensemble.EQUAL_WEIGHTS], [1], steps=0)[0][0]
    batch = rows.take(np.random.default_rng(1).integers(len(rows), size=ensemble.BATCH_SIZE))
    rul, logits = network(torch.from_numpy(batch.x[:, -1]))
    rul_loss = rul_mse(rul, torch.from_numpy(batch.rul))
    health_loss = health_cross_entropy(logits, torch.from_numpy(batch.health))
    shared = shared_parameters(network)
    expected = geometry(
        task_gradients(rul_loss, shared, retain_graph=True), task_gradients(health_loss, shared)
    )
    measured = course.query("step == 0 and seed == 1 and rul_weight == 0.5").iloc[0]
    assert measured["rul_loss"] == pytest.approx(rul_loss.item(), rel=1e-5)
    assert measured["health_loss"] == pytest.approx(health_loss.item(), rel=1e-5)
    assert measured["norm_rul"] == pytest.approx(float(expected.norm_rul), rel=1e-4)
    assert measured["norm_health"] == pytest.approx(float(expected.norm_health), rel=1e-4)
    assert measured["cosine"] == pytest.approx(float(expected.cosine), abs=1e-4)


def test_weight_sweep_has_a_row_for_every_training(rows):
    some = rows.take(np.arange(300))
    found = weight_trade_off.weight_sweep(some, some, [0.0, 0.5, 1.0], [0, 1], steps=5)
    assert len(found) == 6
    networks = ensemble.train_networks(some, ensemble.pairs([0.0, 0.5, 1.0]), [0, 1], steps=5)
    losses = networks.losses(some)
    row = found.query("seed == 1 and rul_weight == 0.5").iloc[0]
    assert row["rul_loss"] == pytest.approx(losses.rul[1, 1])
    assert row["rmse"] == pytest.approx(losses.rul[1, 1] ** 0.5)
    assert row["train_health_loss"] == pytest.approx(losses.health[1, 1])
