"""Options under which a method does what its formula calls for, shown by its weights."""

import pytest
import torch
from torch import nn

from rulbook.errors import UsageError
from rulbook.weighting.base import as_weights
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, method_options

from ..gradient_samples import pair
from .conftest import last_layer_norms, measured_step

LOSSES = torch.tensor([1.0, 1.0], dtype=torch.float64)


def course(loss, sample, steps=400, losses=LOSSES):
    """Return the weights after each of some steps on constant gradients, (steps, K)."""
    step = measured_step(sample, losses)
    trace = []
    for _ in range(steps):
        loss.weigh(step)
        trace.append(loss.current_weights().clone())
    return torch.stack(trace)


class TestGradNorm:
    @pytest.mark.parametrize("edition", ["legacy", "original"])
    @pytest.mark.parametrize("ratio", [3.0, 30.0, 500.0])
    def test_the_proximal_step_arrives_at_equal_weighted_norms_and_stays(self, edition, ratio):
        """At equal loss ratios the targets are the mean weighted norm: w_k ~ 1 / g_k."""
        sample = pair(ratio, 1.0, 0.2)
        loss = get_loss(f"gradnorm_{edition}", descent="proximal").double()
        norms = last_layer_norms(sample)
        expected = 2 * (1 / norms) / (1 / norms).sum()
        trace = course(loss, sample)
        torch.testing.assert_close(trace[-1], expected, rtol=0.02, atol=2e-3)
        assert (trace[-1] - trace[-2]).abs().max() < 1e-3

    def test_the_recorded_descent_jumps_across_its_target_for_ever(self):
        """What the proximal step is for: a cycle of two, of the size of the rate."""
        sample = pair(30.0, 1.0, 0.2)
        trace = course(get_loss("gradnorm").double(), sample)
        assert (trace[-1] - trace[-2]).abs().max() > 0.02
        assert (trace[-1] - trace[-3]).abs().max() < 0.02
        still = course(get_loss("gradnorm", descent="proximal").double(), sample)
        assert (still[-1] - still[-2]).abs().max() < 1e-3

    def test_adam_is_pytorchs_on_the_gradient_as_written(self):
        sample = pair(7.0, 2.0, -0.3)
        loss = get_loss("gradnorm_original", descent="adam").double()
        norms = last_layer_norms(sample)
        weights = nn.Parameter(torch.ones(2, dtype=torch.float64))
        adam = torch.optim.Adam([weights], lr=0.025)
        for step in range(50):
            step_losses = torch.tensor([2.0 - 0.02 * step, 1.0], dtype=torch.float64)
            rates = step_losses / torch.tensor([2.0, 1.0], dtype=torch.float64)
            target = (weights * norms).mean().detach() * (rates / rates.mean()) ** 1.5
            before = weights.detach().clone()
            adam.zero_grad()
            (weights * norms - target).abs().sum().backward()
            adam.step()
            with torch.no_grad():
                weights.clamp_(min=0)
                weights *= 2 / weights.sum()
            found = loss.weigh(measured_step(sample, step_losses))
            torch.testing.assert_close(found, before, rtol=1e-6, atol=1e-9)
            torch.testing.assert_close(loss.current_weights(), weights.detach())

    def test_adams_moments_are_in_the_checkpoint(self):
        loss = get_loss("gradnorm_original", descent="adam")
        assert loss.state_dict().keys() == {
            *("weights", "initial_losses", "adam_moments", "adam_steps")
        }


class TestUncertainty:
    def trained(self, **options):
        """Return the weights after 900 steps on the losses of a training, under AdamW."""
        loss = get_loss("uncertainty", **options)
        rate = 1e-3 if loss.learning_rate is None else loss.learning_rate
        optimiser = torch.optim.AdamW(loss.parameters(), lr=rate, weight_decay=0.0)
        for _ in range(900):
            optimiser.zero_grad()
            loss(torch.tensor(250.0), torch.tensor(0.35)).backward()
            optimiser.step()
        return loss.get_weights()

    def test_at_a_rate_of_its_own_the_weights_arrive_at_half_over_the_loss(self):
        expected = as_weights([0.5 / 250.0, 0.5 / 0.35])
        assert self.trained(log_var_lr=0.1) == pytest.approx(expected, rel=0.05)

    def test_at_the_networks_rate_they_do_not(self):
        assert self.trained()["rul_weight"] > 50 * 0.5 / 250.0


@pytest.mark.parametrize(
    "name", [n for n in WEIGHTING_METHODS if "clip_apart" in method_options(n)]
)
def test_clipped_apart_the_trunk_keeps_its_share_beside_a_large_head(name, network):
    plain, apart = get_loss(name).double(), get_loss(name, clip_apart=0.5).double()
    network.step(plain)
    whole = network.gradients()
    network.step(apart)
    assert apart.get_weights() == plain.get_weights()
    trunk = len(network.shared_params)
    heads = [len(part) for part in network.task_params.values()]
    for before, after in zip(
        _parts(whole, trunk, heads),
        _parts(network.gradients(), trunk, heads),
        strict=True,
    ):
        size = torch.linalg.vector_norm(before)
        torch.testing.assert_close(after, before * min(1.0, 0.5 / float(size)))
    assert "clipped apart at 0.5" in apart.get_name()


def _parts(gradients, trunk, heads):
    """Return the gradient of the trunk and of each head as one vector each."""
    flat = [g.reshape(-1) for g in gradients]
    yield torch.cat(flat[:trunk])
    yield torch.cat(flat[trunk : trunk + heads[0]])
    yield torch.cat(flat[trunk + heads[0] :])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uncertainty", {"log_var_lr": -1.0}),
        ("uncertainty", {"log_var_lr": "fast"}),
        ("uncertainty", {"initial_log_var": (0.0, 0.0, 0.0)}),
        ("uncertainty", {"classification": ("third",)}),
        ("dwa", {"temperature": 0.0}),
        ("gradnorm", {"descent": "newton"}),
        ("gradnorm", {"alpha": -1}),
        ("gaba", {"min_weight": 0.7}),
        ("gaba", {"warmup_steps": -1}),
        ("amnl_fixed", {"s_rul": -1.0}),
        ("amnl_fixed", {"floors": {"third": 1.0}}),
        ("amnl_legacy_ema", {"beta": 1.0}),
        ("cagrad", {"c": -0.1}),
        ("nash_mtl", {"max_norm": -1.0}),
        ("pcgrad", {"clip_apart": -1.0}),
        ("imtl_g", {"c": 0.5}),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(name, options):
    with pytest.raises(UsageError) as raised:
        get_loss(name, **options)
    (option,) = options
    assert option in str(raised.value) or str(options[option]) in str(raised.value)
