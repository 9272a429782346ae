"""Early gradient norms against gradients taken by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from rulbook.data.prepare import prepare
from rulbook.errors import UsageError
from rulbook.experiments.gradient_norms import (
    PLACES,
    Start,
    early_gradient_norms,
    ratio_by_place,
    ratios_by_step,
    ratios_on_outputs,
    seeds_without_rul_gradient,
    short_runs_by_unit,
    starts_by_setting,
)
from rulbook.gradients import norm, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, shared_parameters
from rulbook.training import RunConfig
from rulbook.training.loop import watch_first_steps


@pytest.fixture(scope="module")
def prepared(simulated_fleet):
    return prepare(simulated_fleet)


@pytest.fixture
def no_dropout(monkeypatch):
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda _, x: x)


def norms_by_hand(prepared, seed, batch_size):
    """Return both norms on the first random batch, from one plain backward pass a task."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DualTaskModel.of_size("compact", prepared.n_features)
        order = np.random.default_rng(seed).permutation(len(prepared.train))[:batch_size]
        batch = prepared.train.take(order)
        found = []
        for task in range(2):
            model.zero_grad()
            rul, logits = model(torch.from_numpy(batch.x))
            losses = (
                ((rul - torch.from_numpy(batch.rul)) ** 2).mean(),
                torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.health)),
            )
            losses[task].backward()
            squares = [p.grad.double().square().sum() for p in shared_parameters(model)]
            found.append(float(torch.stack(squares).sum().sqrt()))
    return found


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("seed", [42, 123])
def test_norms_equal_those_taken_by_hand(prepared, seed):
    rows = early_gradient_norms(prepared, seed=seed, batch_size=32, batches=2)
    rul, health = norms_by_hand(prepared, seed, 32)
    assert rows["norm_rul"][0] == pytest.approx(rul, rel=1e-4)
    assert rows["norm_health"][0] == pytest.approx(health, rel=1e-4)
    np.testing.assert_allclose(rows["ratio"], rows["norm_rul"] / rows["norm_health"], rtol=1e-6)
    assert rows["cosine"].between(-1, 1).all()


@pytest.mark.usefixtures("no_dropout")
def test_training_moves_the_norms_and_the_same_batches_are_measured_again(prepared):
    rows = early_gradient_norms(prepared, batch_size=16, batches=2, after_steps=(0, 0, 3))
    assert rows["step"].tolist() == [0, 0, 0, 0, 3, 3]
    assert rows["batch"].tolist() == [0, 1, 0, 1, 0, 1]
    first, again, later = (rows["norm_health"].to_numpy()[i : i + 2] for i in (0, 2, 4))
    np.testing.assert_allclose(first, again, rtol=1e-5)
    assert not np.allclose(first, later, rtol=1e-2)


def test_a_seed_gives_the_same_numbers_and_leaves_the_random_state_alone(prepared):
    before = torch.random.get_rng_state()
    runs = [early_gradient_norms(prepared, batch_size=16, batches=1) for _ in range(2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert runs[0].equals(runs[1])


def test_a_shut_rul_head_has_no_gradient(prepared, monkeypatch):
    start = DualTaskModel.of_size

    def shut(*arguments, **options):
        model = start(*arguments, **options)
        model.start_rul_at(-1e6)
        return model

    monkeypatch.setattr(DualTaskModel, "of_size", shut)
    row = early_gradient_norms(prepared, batch_size=16, batches=1).iloc[0]
    assert row["norm_rul"] == 0.0
    assert row["ratio"] == 0.0
    assert np.isnan(row["cosine"])


def start(prepared, **choices):
    config = RunConfig(subset="FD002", data_digest=prepared.digest, batch_size=32, **choices)
    return config, watch_first_steps(config, prepared, 0)[1]


def test_gradients_on_the_outputs_are_those_of_the_two_formulas(prepared):
    config, model = start(prepared)
    found = ratio_by_place(model, config, prepared, batches=2)
    assert found["place"].tolist() == [*PLACES, *PLACES]
    drawn = prepared.train.take(
        np.random.default_rng(config.seed).choice(len(prepared.train), 32, replace=False)
    )
    torch.manual_seed(config.seed)
    rul, logits = model(torch.from_numpy(drawn.x))
    residual = rul - torch.from_numpy(drawn.rul)
    slip = logits.softmax(1) - torch.eye(3)[torch.from_numpy(drawn.health)]
    assert found["norm_rul"][0] == pytest.approx(2 * residual.norm().item() / 32, rel=1e-4)
    assert found["norm_health"][0] == pytest.approx(slip.norm().item() / 32, rel=1e-4)
    shared = shared_parameters(model)
    torch.manual_seed(config.seed)
    rul, logits = model(torch.from_numpy(drawn.x))
    losses = (
        rul_mse(rul, torch.from_numpy(drawn.rul)),
        health_cross_entropy(logits, torch.from_numpy(drawn.health)),
    )
    norms = [float(norm(task_gradients(loss, shared, retain_graph=True))) for loss in losses]
    assert found["norm_rul"][2] == pytest.approx(norms[0], rel=1e-3)
    assert found["norm_health"][2] == pytest.approx(norms[1], rel=1e-3)


def test_counting_in_caps_divides_the_ratio_at_the_start_by_about_the_cap(prepared):
    ratios = []
    for unit in ("cycles", "cap"):
        config, model = start(prepared, target_unit=unit)
        found = ratio_by_place(model, config, prepared).set_index("place")
        ratios.append(found["ratio"])
    cap = config.recipe.rul_cap
    assert (ratios[0] / ratios[1] / cap).between(0.8, 1.25).all()


def test_measuring_leaves_the_network_and_the_random_state_alone(prepared):
    config, model = start(prepared)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    ratio_by_place(model, config, prepared)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_ratio_on_the_outputs_is_that_of_the_formula_in_any_unit(prepared):
    windows = prepared.train.take(np.arange(64))
    table = ratios_on_outputs(windows, {"0": 0.0, "60": 60.0}, {"cycles": 1.0, "caps": 125.0})
    np.testing.assert_allclose(table["by the formula"], table["by PyTorch"], rtol=1e-5)
    in_cycles, in_caps = (
        table.loc[table["unit"] == unit, "by PyTorch"].to_numpy() for unit in ("cycles", "caps")
    )
    np.testing.assert_allclose(in_cycles / in_caps, 125.0, rtol=1e-4)


@pytest.mark.slow
def test_short_runs_are_measured_before_and_after_in_both_units(prepared):
    traces, by_place = short_runs_by_unit(prepared, steps=3, seed=42)
    assert set(traces) == {"cycles", "caps"}
    assert by_place["after steps"].tolist() == [0, 3, 0, 3]
    start = by_place[by_place["after steps"] == 0].set_index("target in")["shared trunk"]
    assert start["cycles"] > 100 * start["caps"]


@pytest.mark.slow
def test_a_start_at_the_training_mean_leaves_no_network_dead(prepared):
    rows = starts_by_setting(prepared, [Start("compact", 64, "training_mean", (42, 123))])
    (row,) = rows.to_dict("records")
    assert row["started shut"] == 0
    assert 0 < row["lowest"] <= row["median"] <= row["highest"]


@pytest.fixture
def norms():
    """Three seeds with three batches each; the last seed has no RUL gradient on FD001."""
    rows = [
        (subset, seed, step, batch, 0.0 if (subset, seed) == ("FD001", 3) else 10.0 * seed, 0.1)
        for subset in ("FD001", "FD002")
        for seed in (1, 2, 3)
        for step in (0, 10)
        for batch in range(3)
    ]
    columns = ["subset", "seed", "step", "batch", "norm_rul", "norm_health"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(ratio=table["norm_rul"] / table["norm_health"])


def test_batches_without_a_rul_gradient_are_left_out_of_the_summary(norms):
    found = ratios_by_step(norms).set_index(["subset", "step"])
    assert len(found) == 4
    assert found.loc[("FD001", 0), ["seeds", "batches"]].tolist() == [2, 6]
    assert found.loc[("FD002", 10), ["seeds", "batches"]].tolist() == [3, 9]
    assert found.loc[("FD001", 0), "ratio"] == pytest.approx(150.0)
    low, middle, high = np.quantile(np.repeat([100.0, 200.0, 300.0], 3), [0.25, 0.5, 0.75])
    quartiles = found.loc[("FD002", 0), ["ratio_low", "ratio", "ratio_high"]]
    np.testing.assert_allclose(quartiles.astype(float), [low, middle, high])


def test_seeds_that_start_without_a_rul_gradient_are_counted_on_every_subset(norms):
    assert seeds_without_rul_gradient(norms).to_dict() == {"FD001": 1, "FD002": 0}


@pytest.mark.parametrize("after_steps", [(3, 0), (-1,)])
def test_steps_that_do_not_ascend_are_refused(prepared, after_steps):
    """A trained network would be reported as one that is not."""
    with pytest.raises(UsageError, match="must ascend"):
        early_gradient_norms(prepared, batch_size=16, batches=1, after_steps=after_steps)


def test_a_batch_larger_than_all_windows_is_refused(prepared):
    with pytest.raises(UsageError, match="larger than all"):
        early_gradient_norms(prepared, batch_size=len(prepared.train) + 1, batches=1)
