import numpy as np
import pytest
import torch

from rulbook.data.prepare import prepare
from rulbook.gradients import norm, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import shared_parameters
from rulbook.studies.imbalance import (
    PLACES,
    gradients_by_epoch,
    protocol_runs,
    ratio_by_place,
    ratio_counts,
    ratio_quantile,
    share_above,
)
from rulbook.training import RunConfig
from rulbook.training.loop import watch_first_steps
from rulbook.training.record import RATIO_BIN_EDGES

from .conftest import epoch

ONE_BIN = RATIO_BIN_EDGES[1] / RATIO_BIN_EDGES[0]


def test_only_the_protocol_of_equal_weights_is_taken_and_the_closer_look_first(make_record):
    closer = make_record(observe_every=1)
    records = [
        make_record(),
        closer,
        make_record(subset="FD001"),
        make_record("gaba"),
        make_record(max_epochs=100),
        make_record(rul_bias="default"),
    ]
    for order in (records, records[::-1]):
        found = {(r.config.subset, r.config.observe_every) for r in protocol_runs(order)}
        assert found == {("FD002", 1), ("FD001", 10)}


def test_epochs_are_numbered_from_one_and_unobserved_ones_left_out(make_record):
    record = make_record(
        epochs=(epoch(14.0, [10.0, 100.0, 1000.0]), epoch(13.0), epoch(12.0, [7.0]))
    )
    table = gradients_by_epoch([record])
    assert table["epoch"].tolist() == [1, 3]
    assert table["steps"].tolist() == [3, 1]
    assert table["ratio_50"].tolist() == [100, 7]
    assert table["cosine_95"].tolist() == [0.25, 0.25]
    assert gradients_by_epoch([]).empty


def test_counts_add_over_runs_and_epochs(make_record):
    ratios = np.random.default_rng(0).lognormal(6, 1, (2, 500))
    record = make_record(epochs=tuple(epoch(14.0, part) for part in ratios))
    whole = ratio_counts([record, record])
    assert whole.sum() == 2000
    np.testing.assert_array_equal(
        whole, 2 * (ratio_counts([record], 1) + ratio_counts([record], 2))
    )
    assert not ratio_counts([record], 3).any()


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
def test_quantiles_of_counts_are_within_a_bin_of_the_exact_ones(make_record, quantile):
    ratios = np.random.default_rng(1).lognormal(6, 1.2, 4000)
    counts = ratio_counts([make_record(epochs=(epoch(14.0, ratios),))])
    exact = np.quantile(ratios, quantile)
    assert exact / ONE_BIN < ratio_quantile(counts, quantile) < exact * ONE_BIN
    assert share_above(counts, exact) == pytest.approx(1 - quantile, abs=0.03)


def test_no_steps_have_no_quantile():
    nothing = np.zeros(60, dtype=np.int64)
    with pytest.raises(ValueError, match="no steps"):
        ratio_quantile(nothing, 0.5)
    with pytest.raises(ValueError, match="no steps"):
        share_above(nothing, 500)


@pytest.fixture(scope="module")
def prepared(simulated_fleet):
    return prepare(simulated_fleet)


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
