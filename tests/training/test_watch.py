import numpy as np
import pytest
import torch

from rulbook.studies.methods import GRACE
from rulbook.training import train
from rulbook.training.loop import watch_first_steps


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["fixed_050", "gaba", "dwa"])
def test_watched_steps_are_those_of_the_training(simulated, short_run, weighting):
    config = short_run.with_changes(weighting=weighting)
    record = train(config, simulated)
    watched, _ = watch_first_steps(config, simulated, 15)
    first = watched.iloc[:10]
    epoch = record.epochs[0]
    assert watched["step"].tolist() == list(range(1, 16))
    assert first["rul_loss"].mean() == pytest.approx(epoch.rul_loss, rel=1e-5)
    assert first["health_loss"].mean() == pytest.approx(epoch.health_loss, rel=1e-5)
    assert first["ratio"].median() == pytest.approx(epoch.gradients.ratio_quantiles[2], rel=1e-5)
    assert first["cosine"].median() == pytest.approx(epoch.gradients.cosine_quantiles[2], rel=1e-5)
    assert first["rul_weight"].iloc[-1] == pytest.approx(epoch.weights["rul_weight"], rel=1e-5)


def test_observing_rarely_is_overruled(simulated, short_run):
    config = short_run.with_changes(observe_every=100)
    watched, _ = watch_first_steps(config, simulated, 3)
    assert np.isfinite(watched["ratio"]).all()


def test_what_is_read_of_the_method_is_in_the_rows(simulated, short_run):
    config = short_run.with_changes(weighting="gaba")
    watched, _ = watch_first_steps(
        config, simulated, 3, read=lambda loss: {"seen": float(loss.step_count)}
    )
    assert watched["seen"].tolist() == [1.0, 2.0, 3.0]


def test_the_global_random_state_is_left_alone(simulated, short_run):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    watch_first_steps(short_run, simulated, 2)
    assert torch.rand(1) == expected


def test_the_network_moves_with_the_steps_and_not_without(simulated, short_run):
    none, start = watch_first_steps(short_run, simulated, 0)
    _, same = watch_first_steps(short_run, simulated, 0)
    _, later = watch_first_steps(short_run, simulated, 2)
    assert none.empty
    weights = [next(iter(model.parameters())) for model in (start, same, later)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_grace_balances_the_gradient_of_the_failure_weighted_loss(simulated, short_run):
    """Of the same first batch the health gradient is GABA's, and the RUL gradient is not."""
    closed_form = short_run.with_changes(weighting="gaba_closed_form")
    plain, weighted = (
        watch_first_steps(closed_form.with_changes(inner_loss=inner_loss), simulated, 1)[0].iloc[0]
        for inner_loss in ("mse", GRACE.inner_loss)
    )
    assert weighted["norm_health"] == plain["norm_health"]
    assert weighted["norm_rul"] != pytest.approx(plain["norm_rul"], rel=0.01)
    called_for = weighted["norm_health"] / (weighted["norm_rul"] + weighted["norm_health"])
    assert weighted["rul_weight"] == pytest.approx(called_for, rel=1e-5)
    assert plain["rul_weight"] != pytest.approx(called_for, rel=0.01)


def test_the_decay_of_the_weights_stays_through_a_training(simulated, short_run, monkeypatch):
    """GRACE's schedule of the decay (§22.1) is left out."""
    seen = set()
    step = torch.optim.AdamW.step

    def watched(self, *arguments, **options):
        seen.add(max(group["weight_decay"] for group in self.param_groups))
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    config = GRACE.applied_to(short_run)
    watch_first_steps(config, simulated, 25)
    assert seen == {config.weight_decay}
