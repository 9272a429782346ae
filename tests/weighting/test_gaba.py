import copy
import io
import math

import pytest
import torch
from torchjd.aggregation import IMTLG

from rulbook.errors import UsageError
from rulbook.weighting.gaba import (
    GABALoss,
    complement_weights,
    floor_binding_step,
    floored,
)
from rulbook.weighting.magnitude import inverse_shares

from ..gradient_samples import pair, pairs
from .conftest import TinyNetwork, measured_step, tensor

LOSSES = torch.tensor([1.0, 1.0], dtype=torch.float64)

OFF = {"beta": None, "warmup_steps": None, "min_weight": None}


def feed(loss, sample):
    """Give one pair of task gradients to the method and return its two weights."""
    return loss.weigh(measured_step(sample, LOSSES)).tolist()


def simulate(norms, *, beta=0.99, warmup_steps=100, min_weight=0.05):
    """Algorithm 1 in plain Python floats, for K norms a step: an oracle of the whole method."""
    tasks = len(norms[0])
    average = [1 / tasks] * tasks
    for step, g in enumerate(norms):
        if step < warmup_steps:
            yield [1 / tasks] * tasks
            continue
        closed = [(math.fsum(g) - x) / ((tasks - 1) * math.fsum(g)) for x in g]
        average = [beta * a + (1 - beta) * c for a, c in zip(average, closed, strict=True)]
        raised = [max(a, min_weight) for a in average]
        yield [r / math.fsum(raised) for r in raised]


class TestClosedForm:
    @pytest.mark.parametrize("sample", pairs(), ids=str)
    def test_two_tasks_get_each_others_share_and_equal_contributions(self, sample):
        g = tensor(sample.norm_rul, sample.norm_health)
        total = sample.norm_rul + sample.norm_health
        found = complement_weights(g)
        expected = [sample.norm_health / total, sample.norm_rul / total]
        assert found.tolist() == pytest.approx(expected, rel=1e-12)
        contributions = (found * g).tolist()
        assert contributions[0] == pytest.approx(contributions[1], rel=1e-12)

    @pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
    @pytest.mark.parametrize("norms", [(5.0, 0.01), (1.0, 2.0, 3.0), (500.0, 1.0, 7.0, 0.1)])
    def test_any_number_of_tasks_follows_the_books_formula(self, norms, scale):
        found = complement_weights(scale * tensor(*norms))
        total, tasks = math.fsum(norms), len(norms)
        expected = [(total - g) / ((tasks - 1) * total) for g in norms]
        assert found.tolist() == pytest.approx(expected, rel=1e-12)
        assert found.sum().item() == pytest.approx(1, rel=1e-12)

    @pytest.mark.parametrize("norms", [(5.0, 0.01), (3.0, 3.0), (1e-12, 1e12)])
    def test_at_two_tasks_it_is_the_inverse_norm_form(self, norms):
        assert complement_weights(tensor(*norms)).tolist() == pytest.approx(
            inverse_shares(tensor(*norms)).tolist(), rel=1e-12
        )

    def test_beyond_two_tasks_only_the_inverse_norm_form_equalises(self):
        """§13.4 and §17.1 print different formulas for K tasks; they agree at two only."""
        norms = tensor(1.0, 2.0, 4.0)
        balanced = (inverse_shares(norms) * norms).tolist()
        assert balanced == pytest.approx([balanced[0]] * 3, rel=1e-12)
        printed = (complement_weights(norms) * norms).tolist()
        assert max(printed) / min(printed) == pytest.approx(2.0, rel=1e-12)

    def test_the_smaller_of_two_norms_keeps_its_digits_beside_a_giant(self):
        assert complement_weights(tensor(1e12, 1e-12))[0].item() == pytest.approx(1e-24, rel=1e-12)

    def test_it_follows_a_permutation_of_the_tasks(self):
        norms, order = tensor(5.0, 0.1, 2.0), [2, 0, 1]
        assert complement_weights(norms[order]).tolist() == pytest.approx(
            complement_weights(norms)[order].tolist(), rel=1e-15
        )

    def test_zero_norms(self):
        assert complement_weights(tensor(0.0, 0.0)).tolist() == [0.5, 0.5]
        assert complement_weights(tensor(0.0, 0.0, 0.0)).tolist() == pytest.approx([1 / 3] * 3)
        assert complement_weights(tensor(0.0, 3.0)).tolist() == [1.0, 0.0]
        assert complement_weights(tensor(3.0, 0.0)).tolist() == [0.0, 1.0]

    def test_the_books_initial_example(self):
        """§17.1: norms 5.0 and 0.01 give 0.002 and 0.998 to the printed digits."""
        weights = complement_weights(tensor(5.0, 0.01)).tolist()
        assert [round(w, 3) for w in weights] == [0.002, 0.998]


class TestFloor:
    def test_weights_above_the_floor_are_left_alone(self):
        assert floored(tensor(0.3, 0.7), 0.05).tolist() == pytest.approx([0.3, 0.7], rel=1e-15)

    def test_one_division_leaves_a_floored_weight_just_below_the_floor(self):
        found = floored(tensor(0.002, 0.998), 0.05).tolist()
        assert found == pytest.approx([0.05 / 1.048, 0.998 / 1.048], rel=1e-12)
        assert 0.05 / 1.05 <= found[0] < 0.05

    def test_any_number_of_tasks(self):
        found = floored(tensor(0.01, 0.02, 0.97), 0.05)
        assert found.tolist() == pytest.approx([0.05 / 1.07, 0.05 / 1.07, 0.97 / 1.07], rel=1e-12)


class TestFloorBinding:
    @staticmethod
    def simulated(ratio, *, beta=0.99, min_weight=0.05, at_most=20_000):
        """Return the first step after warm-up with the average below the floor, by running it."""
        closed, average = 1 / (1 + ratio), 0.5
        for step in range(1, at_most):
            average = beta * average + (1 - beta) * closed
            if average < min_weight:
                return step
        return None

    @pytest.mark.parametrize(("ratio", "step"), [(20, 523), (50, 275), (500, 233)])
    def test_the_steps_for_the_paper_settings(self, ratio, step):
        assert floor_binding_step(ratio) == step == self.simulated(ratio)

    @pytest.mark.parametrize("ratio", [1.0, 10.0, 18.9, 19.0])
    def test_up_to_a_ratio_of_19_the_floor_never_binds(self, ratio):
        assert floor_binding_step(ratio) is None
        assert self.simulated(ratio) is None

    def test_just_above_19_it_does(self):
        assert floor_binding_step(19.1) == self.simulated(19.1)

    @pytest.mark.parametrize("ratio", [25.0, 137.0, 1e3, 1e6])
    @pytest.mark.parametrize("beta", [0.5, 0.9, 0.99, 0.999])
    @pytest.mark.parametrize("min_weight", [0.01, 0.05, 0.2])
    def test_it_agrees_with_simulation(self, ratio, beta, min_weight):
        settings = {"beta": beta, "min_weight": min_weight}
        assert floor_binding_step(ratio, **settings) == self.simulated(ratio, **settings)

    @pytest.mark.parametrize("ratio", [50.0, 500.0])
    def test_the_method_itself_reaches_its_floor_at_that_step(self, ratio):
        loss = GABALoss(warmup_steps=7).double()
        sample = pair(ratio, 1.0, 0.1)
        unfloored = [feed(loss, sample) and loss.ema_weights[0].item() for _ in range(7 + 300)]
        first = next(step for step, average in enumerate(unfloored) if average < 0.05)
        assert first + 1 - 7 == floor_binding_step(ratio)
        assert 0.05 / 1.05 <= loss.get_weights()["rul_weight"] < 0.05

    def test_bound_weights_lie_between_the_two_limits_of_the_docstring(self):
        loss = GABALoss(warmup_steps=0).double()
        sample = pair(500.0, 1.0, 0.1)
        trace = [feed(loss, sample)[0] for _ in range(3000)]
        bound = trace[floor_binding_step(500.0) - 1 :]
        assert max(bound) <= 0.05
        assert bound == sorted(bound, reverse=True)
        assert bound[-1] == pytest.approx(0.05 / (1.05 - 1 / 501), rel=1e-9)
        assert round(bound[-1], 4) == 0.0477


class TestMethod:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"beta": 0.9, "warmup_steps": 3, "min_weight": 0.2},
            {"beta": None},
            {"warmup_steps": None},
            {"min_weight": None},
            OFF,
        ],
        ids=str,
    )
    def test_a_run_follows_algorithm_1(self, settings):
        """A ratio that wanders over four orders of magnitude, against plain Python."""
        loss = GABALoss(**settings).double()
        generator = torch.Generator().manual_seed(1)
        exponents = torch.randn(250, 2, generator=generator, dtype=torch.float64).cumsum(0) / 4
        norms = (10**exponents).tolist()
        oracle = simulate(norms, **{key: value or 0 for key, value in settings.items()})
        for (rul, health), expected in zip(norms, oracle, strict=True):
            found = feed(loss, pair(rul, health, 0.2))
            assert found == pytest.approx(expected, rel=1e-12)
            assert list(loss.get_weights().values()) == found
            assert sum(found) == pytest.approx(1, rel=1e-12)

    def test_the_defaults_are_the_papers(self):
        loss = GABALoss()
        assert (loss.beta, loss.warmup_steps, loss.min_weight) == (0.99, 100, 0.05)
        assert loss.get_name() == "GABA(beta=0.99, warmup=100, floor=0.05)"
        assert loss.state_dict().keys() == {"ema_weights", "step_count"}
        assert loss.step_count.dtype == torch.long

    def test_warm_up_ends_after_exactly_100_steps(self):
        loss = GABALoss().double()
        weights = [feed(loss, pair(500.0, 1.0, 0.0)) for _ in range(101)]
        assert weights[:100] == [[0.5, 0.5]] * 100
        closed = 1 / 501
        assert weights[100][0] == pytest.approx(0.99 * 0.5 + 0.01 * closed, rel=1e-12)

    @pytest.mark.parametrize("sample", pairs((1e-6, 1.0, 1e6), rank_one=False), ids=str)
    def test_without_average_floor_and_warm_up_it_is_imtl_g(self, sample):
        """§13.4's rule is IMTL-G at two tasks, for any angle (TorchJD is the oracle)."""
        found = feed(GABALoss(**OFF).double(), sample)
        scale = math.sqrt(sample.norm_rul * sample.norm_health)
        oracle = IMTLG().weighting(sample.jacobian / scale)
        assert found == pytest.approx(oracle.tolist(), rel=1e-6)

    @pytest.mark.parametrize("sample", pairs((1e-12, 1e12)), ids=str)
    def test_swapping_the_tasks_swaps_the_weights(self, sample):
        swapped = pair(sample.norm_health, sample.norm_rul, sample.cosine)
        there, back = (GABALoss(warmup_steps=0).double() for _ in range(2))
        for _ in range(3):
            assert feed(there, sample) == pytest.approx(feed(back, swapped)[::-1], rel=1e-12)

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
    def test_a_common_scale_of_the_gradients_changes_nothing(self, scale):
        one, other = (GABALoss(warmup_steps=0).double() for _ in range(2))
        for _ in range(3):
            assert feed(one, pair(7.0, 2.0, 0.3)) == pytest.approx(
                feed(other, pair(7.0 * scale, 2.0 * scale, 0.3)), rel=1e-12
            )

    def test_the_angle_does_not_matter(self):
        weights = {
            tuple(round(w, 12) for w in feed(GABALoss(**OFF).double(), pair(7.0, 2.0, cosine)))
            for cosine in (-1.0, -0.5, 0.0, 0.9, 1.0)
        }
        assert len(weights) == 1

    @pytest.mark.slow
    def test_a_dead_rul_head_starves_the_health_task_down_to_the_floor(self):
        """The formula gives a zero gradient the whole weight; the floor keeps 1/21 for the rest."""
        loss = GABALoss(warmup_steps=0).double()
        for _ in range(3000):
            weights = feed(loss, pair(0.0, 3.0, 0.0))
        assert weights == pytest.approx([1 / 1.05, 0.05 / 1.05], rel=1e-6)

    def test_both_gradients_zero_pull_towards_equal_weights(self):
        loss = GABALoss(**OFF).double()
        feed(loss, pair(500.0, 1.0, 0.0))
        assert feed(loss, pair(0.0, 0.0, 0.0)) == [0.5, 0.5]

    @pytest.mark.slow
    def test_single_precision_drifts_by_less_than_the_printed_digits(self):
        loss, exact = GABALoss(warmup_steps=0), GABALoss(warmup_steps=0).double()
        for _ in range(2000):
            found, expected = (feed(x, pair(40.0, 1.0, 0.0)) for x in (loss, exact))
        assert found == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"beta": 1.0}, "beta below 1"),
            ({"beta": -0.1}, "from 0 to 1 for beta"),
            ({"min_weight": 0.6}, "from 0 to 0.5 for min_weight"),
            ({"min_weight": -1}, "from 0 to 0.5 for min_weight"),
            ({"warmup_steps": 2.5}, "whole number for warmup_steps"),
        ],
    )
    def test_settings_out_of_range_are_refused(self, settings, match):
        with pytest.raises(UsageError, match=match):
            GABALoss(**settings)


@pytest.mark.parametrize("stop", [4, 9, 10, 11, 15])
@pytest.mark.slow
def test_a_checkpoint_in_warm_up_and_around_its_end_changes_nothing(stop):
    warmup = 10

    def run(loss, network, steps):
        optimiser = torch.optim.SGD(network.parameters, lr=1e-3)
        trace = []
        for _ in range(steps):
            network.step(loss)
            optimiser.step()
            trace.append(loss.get_weights())
        return trace

    expected = run(GABALoss(warmup_steps=warmup), TinyNetwork.build(), 20)

    network, loss = TinyNetwork.build(), GABALoss(warmup_steps=warmup)
    found = run(loss, network, stop)
    checkpoint = io.BytesIO()
    torch.save(loss.state_dict(), checkpoint)
    checkpoint.seek(0)
    resumed = GABALoss(warmup_steps=warmup)
    resumed.load_state_dict(torch.load(checkpoint, weights_only=True))
    assert resumed.get_weights() == loss.get_weights()
    found += run(resumed, copy.deepcopy(network), 20 - stop)

    assert found == expected
    assert len({w["rul_weight"] for w in expected}) > 5


def test_a_fresh_method_after_warm_up_differs_from_a_resumed_one():
    """The test above would be blind if the state did not matter."""
    network, loss = TinyNetwork.build(), GABALoss(warmup_steps=2)
    for _ in range(5):
        network.step(loss)
    fresh = GABALoss(warmup_steps=2)
    network.step(fresh)
    assert fresh.get_weights() != loss.get_weights()
