"""TorchJD is the oracle where it is itself exact; closed forms for two tasks everywhere else."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torchjd.aggregation import (
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FairGrad,
    NashMTL,
    PCGrad,
    UPGrad,
)

from rulbook.gradients import geometry
from rulbook.weighting import surgery
from rulbook.weighting.base import MeasuredStep
from rulbook.weighting.surgery import reduced_gradients, without_rounding

from ..gradient_samples import pair, pairs

BUILD = {
    "pcgrad": surgery.pcgrad,
    "upgrad": surgery.upgrad,
    "cagrad": surgery.cagrad,
    "mgda": surgery.mgda,
    "imtl_g": surgery.imtl_g,
    "aligned_mtl": surgery.aligned_mtl,
    "nash_mtl": lambda: surgery.nash_mtl(max_norm=0),
}
SCALE_FREE = [name for name in BUILD if name != "nash_mtl"]

MILD = pairs((1e-6, 1e6), rank_one=False)
"""Scales at which TorchJD is compared with; independent rows."""

EVERY_METHOD = pytest.mark.parametrize("name", BUILD)
EVERY_PAIR = pytest.mark.parametrize("sample", MILD, ids=str)

EXAMPLE = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)
"""The Jacobian on which TorchJD pins its own values."""


def gramian_facts(jacobian):
    norms = torch.linalg.vector_norm(jacobian, dim=1)
    return *norms.tolist(), (jacobian[0] @ jacobian[1] / norms.prod()).item()


def planar_gradients(norm_rul, norm_health, cosine):
    """Return two rows in the plane with these norms and this cosine."""
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    rows = [[norm_rul, 0.0], [norm_health * cosine, norm_health * sine]]
    return torch.tensor(rows, dtype=torch.float64)


def ask(loss, norm_rul, norm_health, cosine):
    """Return the two trunk weights for two norms and a cosine."""
    cosines = torch.tensor([[1.0, cosine], [cosine, 1.0]], dtype=torch.float64)
    norms = torch.tensor([norm_rul, norm_health], dtype=torch.float64)
    return tuple(loss.trunk_weights(norms, cosines).tolist())


def weigh(name, sample):
    return ask(BUILD[name](), sample.norm_rul, sample.norm_health, sample.cosine)


def combined(weights, sample):
    return torch.tensor(weights, dtype=torch.float64) @ sample.jacobian


# Closed forms at two tasks, from the norms g, h and the cosine c alone.


def pcgrad_by_hand(g, h, c):
    conflict = min(c, 0.0)
    return [1 - conflict * h / g, 1 - conflict * g / h]


def mgda_by_hand(g, h, c):
    distance = g * g + h * h - 2 * g * h * c
    share = min(max((h * h - g * h * c) / distance, 0.0), 1.0)
    return [share, 1 - share]


def imtl_g_by_hand(g, h, c):
    return [h / (g + h), g / (g + h)]


def nash_by_hand(g, h, c):
    return [1 / (g * math.sqrt(1 + c)), 1 / (h * math.sqrt(1 + c))]


def aligned_by_hand(g, h, c):
    gramian = np.array([[g * g, g * h * c], [g * h * c, h * h]]) / (g * h)
    values, vectors = np.linalg.eigh(gramian)
    inverse_root = vectors @ np.diag(values**-0.5) @ vectors.T
    return list(math.sqrt(values[0]) * inverse_root @ [0.5, 0.5])


def cagrad_by_hand(g, h, c, radius=0.5):
    """Minimise the dual over one number: g_w·g_0 + radius |g_0| |g_w| with w = (t, 1 - t)."""
    size = math.hypot(g, h)
    matrix = planar_gradients(g / size, h / size, c).numpy()
    mean = matrix.mean(0)
    bound = radius * np.linalg.norm(mean)

    def dual(t):
        direction = np.array([t, 1 - t]) @ matrix
        return direction @ mean + bound * np.linalg.norm(direction)

    t = minimize_scalar(dual, bounds=(0, 1), options={"xatol": 1e-12}).x
    candidates = [(dual(x), x) for x in (0.0, 1.0, t)]
    t = min(candidates)[1]
    share = np.array([t, 1 - t])
    return list(0.5 + bound / np.linalg.norm(share @ matrix) * share)


BY_HAND = {
    "pcgrad": pcgrad_by_hand,
    "upgrad": lambda g, h, c: [w / 2 for w in pcgrad_by_hand(g, h, c)],
    "mgda": mgda_by_hand,
    "imtl_g": imtl_g_by_hand,
    "nash_mtl": nash_by_hand,
    "aligned_mtl": aligned_by_hand,
    "cagrad": cagrad_by_hand,
}


class TestValues:
    @pytest.mark.parametrize(
        ("name", "weights"),
        [
            ("pcgrad", [2.2222, 1.5789]),
            ("upgrad", [1.1111, 0.7895]),
            ("mgda", [0.6, 0.4]),
            ("imtl_g", [0.5923, 0.4077]),
            ("nash_mtl", [0.5915, 0.4071]),
            ("aligned_mtl", [0.5591, 0.4083]),
            ("cagrad", [0.7041, 0.5]),
        ],
    )
    def test_pinned_on_torchjds_example(self, name, weights):
        found = ask(BUILD[name](), *gramian_facts(EXAMPLE))
        assert [round(w, 4) for w in found] == weights

    @EVERY_PAIR
    @EVERY_METHOD
    def test_closed_form(self, name, sample):
        facts = sample.norm_rul, sample.norm_health, sample.cosine
        found, expected = weigh(name, sample), BY_HAND[name](*facts)
        # Compared as the update: a weight on a tiny gradient may be large and matter little.
        error = torch.linalg.vector_norm(combined(found, sample) - combined(expected, sample))
        assert error <= 1e-6 * torch.linalg.vector_norm(combined(expected, sample))
        if name not in ("cagrad", "mgda"):
            assert list(found) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(
        ("name", "aggregator"),
        [
            ("pcgrad", PCGrad()),
            ("mgda", MGDA()),
            ("imtl_g", IMTLG()),
            ("aligned_mtl", AlignedMTL()),
            ("cagrad", CAGrad(c=0.5, norm_eps=1e-12)),
            ("nash_mtl", FairGrad(alpha=1.0)),
        ],
    )
    def test_torchjd_on_the_whole_jacobian(self, name, aggregator):
        """The two-by-two matrix of norms and cosine tells TorchJD all that the Jacobian does."""
        for sample in pairs((1.0,), rank_one=False):
            if name == "nash_mtl" and not 0.01 < sample.norm_rul < 100:
                continue  # TorchJD's least squares stops early on rows this uneven.
            expected = aggregator.weighting(sample.jacobian).tolist()
            error = torch.linalg.vector_norm(
                combined(weigh(name, sample), sample) - combined(expected, sample)
            )
            assert error <= 1e-6 * torch.linalg.vector_norm(combined(expected, sample)), sample

    @pytest.mark.parametrize("cosine", [-0.9, -0.3, 0.0, 0.6])
    @pytest.mark.parametrize("ratio", [1.0, 1.5])
    def test_torchjds_nash_where_its_solver_converges(self, cosine, ratio):
        sample = pair(ratio, 1.0, cosine)
        oracle = NashMTL(n_tasks=2, max_norm=0)
        with pytest.warns(UserWarning, match="DPP"):
            expected = oracle.weighting(sample.jacobian).tolist()
        assert weigh("nash_mtl", sample) == pytest.approx(expected, rel=1e-3)

    @pytest.mark.parametrize("cosine", [-0.9, -0.3, 0.0, 0.6])
    def test_torchjds_upgrad_where_its_regulariser_is_small(self, cosine):
        sample = pair(1.0, 1.0, cosine)
        expected = UPGrad().weighting(sample.jacobian).tolist()
        assert weigh("upgrad", sample) == pytest.approx(expected, rel=1e-2)


class TestEquivalences:
    """At two tasks some methods coincide on the trunk."""

    @EVERY_PAIR
    def test_nash_mtl_has_the_direction_of_imtl_g(self, sample):
        nash, imtl = weigh("nash_mtl", sample), weigh("imtl_g", sample)
        assert nash[0] / nash[1] == pytest.approx(imtl[0] / imtl[1], rel=1e-6)

    @EVERY_PAIR
    def test_upgrad_is_half_of_pcgrad(self, sample):
        """That is, UPGrad with the sum for its mean equals PCGrad."""
        doubled = [2 * w for w in weigh("upgrad", sample)]
        assert doubled == pytest.approx(weigh("pcgrad", sample), rel=1e-6)

    def test_without_conflict_pcgrad_is_the_sum(self):
        assert weigh("pcgrad", pair(5.0, 2.0, 0.3)) == (1.0, 1.0)


class TestProperties:
    @EVERY_PAIR
    @pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda", "imtl_g", "nash_mtl"])
    def test_the_update_conflicts_with_neither_task(self, name, sample):
        update = combined(weigh(name, sample), sample)
        alignment = sample.jacobian @ update
        lengths = torch.linalg.vector_norm(sample.jacobian, dim=1)
        slack = 1e-6 * lengths * torch.linalg.vector_norm(update)
        assert (alignment >= -slack).all()

    @EVERY_PAIR
    @EVERY_METHOD
    def test_swapping_the_tasks_swaps_the_weights(self, name, sample):
        swapped = pair(sample.norm_health, sample.norm_rul, sample.cosine)
        there = combined(weigh(name, sample), sample)
        back = combined(weigh(name, swapped)[::-1], sample)
        error = torch.linalg.vector_norm(there - back)
        assert error <= 1e-5 * torch.linalg.vector_norm(there)

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
    @pytest.mark.parametrize("name", SCALE_FREE)
    def test_a_common_scale_changes_nothing(self, name, scale):
        """TorchJD alone returns zero weights where its thresholds meet a small scale."""
        found = weigh(name, pair(30.0 * scale, scale, -0.3))
        assert found == pytest.approx(weigh(name, pair(30.0, 1.0, -0.3)), rel=1e-6)

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
    def test_nash_weights_go_with_the_inverse_of_the_scale(self, scale):
        found = weigh("nash_mtl", pair(30.0 * scale, scale, -0.3))
        expected = [w / scale for w in weigh("nash_mtl", pair(30.0, 1.0, -0.3))]
        assert found == pytest.approx(expected, rel=1e-6)

    @EVERY_METHOD
    @pytest.mark.parametrize("cosine", [-1.0, 1.0])
    def test_parallel_gradients_give_finite_weights(self, name, cosine):
        """Rank one, as the same gradient measured twice."""
        for ratio in (1.0, 500.0):
            weights = ask(BUILD[name](), ratio, 1.0, cosine)
            assert all(math.isfinite(w) for w in weights)

    @EVERY_METHOD
    @pytest.mark.parametrize("norms", [(0.0, 3.0), (3.0, 0.0), (0.0, 0.0)])
    def test_zero_gradients_give_finite_weights(self, name, norms):
        weights = ask(BUILD[name](), *norms, math.nan)
        assert all(math.isfinite(w) and w >= 0 for w in weights)
        if norms == (0.0, 0.0):
            assert weights == (0.5, 0.5)

    def test_mgda_stands_still_beside_a_zero_gradient(self):
        assert ask(surgery.mgda(), 0.0, 3.0, math.nan) == (1.0, 0.0)

    @pytest.mark.parametrize("name", ["imtl_g", "aligned_mtl"])
    @pytest.mark.parametrize("elements", [40, 1000, 100_000])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("seed", range(5))
    def test_dependent_gradients_are_weighed_as_in_their_plane(self, name, elements, dtype, seed):
        """What rounding leaves of a missing dimension is no direction."""
        draws = torch.Generator().manual_seed(seed)
        plane = torch.randn(2, elements, dtype=torch.float64, generator=draws)
        basis, in_plane = torch.linalg.qr(plane.T)
        mixture = torch.tensor([[30.0, 0.0], [0.0, 1.0], [30.0, 1.0]], dtype=torch.float64)
        coordinates = mixture @ in_plane.T
        steps = []
        for rows, precision in ((coordinates, torch.float64), (coordinates @ basis.T, dtype)):
            gradients = tuple((row.to(precision),) for row in rows)
            facts = geometry(*gradients)
            weights = BUILD[name]().weigh(MeasuredStep(gradients, facts, torch.ones(3)))
            steps.append(weights.double() @ coordinates)
        largest = torch.linalg.vector_norm(steps[0])
        assert torch.linalg.vector_norm(steps[0] - steps[1]) <= 2e-2 * largest

    def test_cosines_of_independent_gradients_stay_as_they_are(self):
        for cosine in (-0.99, 0.0, 0.99, math.nan):
            cosines = torch.tensor([[1.0, cosine], [cosine, 1.0]])
            torch.testing.assert_close(
                without_rounding(cosines, 300_000), cosines.double(), rtol=0, atol=0, equal_nan=True
            )

    @EVERY_METHOD
    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_on_one_shared_number_rounding_decides_nothing(self, name, sign):
        """Gradients on one number are parallel; their measured cosine is 1 but for rounding."""
        found = []
        for rounding in (0.0, 6e-8, 1.2e-7):
            cosine = sign * (1 - rounding)
            cosines = without_rounding(torch.tensor([[1.0, cosine], [cosine, 1.0]]), 1)
            norms = torch.tensor([500.0, 1.0])
            found.append(BUILD[name]().trunk_weights(norms, cosines))
        for weights in found[1:]:
            torch.testing.assert_close(weights, found[0], rtol=1e-3, atol=1e-6)

    @pytest.mark.parametrize("cosine", [-1.0, -0.3, 0.0, 0.9999999, 1.0])
    def test_imtl_g_of_two_tasks_knows_no_angle(self, cosine):
        assert ask(surgery.imtl_g(), 500.0, 1.0, cosine) == pytest.approx((1 / 501, 500 / 501))


class TestNash:
    @EVERY_PAIR
    def test_the_weights_solve_the_bargaining_equation(self, sample):
        weights = torch.tensor(weigh("nash_mtl", sample), dtype=torch.float64)
        gains = sample.jacobian @ (weights @ sample.jacobian)
        assert (gains * weights).tolist() == pytest.approx([1.0, 1.0], rel=1e-6)

    @EVERY_PAIR
    def test_the_norm_of_the_update_is_capped(self, sample):
        capped = ask(
            surgery.nash_mtl(max_norm=1.0), sample.norm_rul, sample.norm_health, sample.cosine
        )
        assert torch.linalg.vector_norm(combined(capped, sample)).item() == pytest.approx(1.0)

    def test_under_the_cap_nothing_is_scaled(self):
        facts = (30.0, 2.0, 0.3)
        capped = ask(surgery.nash_mtl(max_norm=2.0), *facts)
        assert capped == ask(surgery.nash_mtl(max_norm=0), *facts)

    def test_why_torchjds_solver_is_not_asked(self):
        """At a norm ratio of 100 it stops with a weight that is off by a factor of ten."""
        sample = pair(100.0, 1.0, -0.3)
        with pytest.warns(UserWarning, match="DPP"):
            found = NashMTL(n_tasks=2, max_norm=0).weighting(sample.jacobian)[1].item()
        assert found / nash_by_hand(100.0, 1.0, -0.3)[1] > 10


def test_why_upgrads_regulariser_is_lowered():
    """At a norm ratio of 500 TorchJD's default leaves the conflict that UPGrad is to remove."""
    sample = pair(500.0, 1.0, -0.3)
    kept = combined(UPGrad().weighting(sample.jacobian).tolist(), sample)
    removed = combined(weigh("upgrad", sample), sample)
    assert sample.jacobian[1] @ kept < -10
    # What is left is the health gradient's own half, less its part against the other.
    assert (sample.jacobian[1] @ removed).item() == pytest.approx(0.5 * (1 - 0.3**2), rel=1e-6)


@pytest.mark.parametrize("sample", pairs((1e-6, 1.0, 1e6)), ids=str)
def test_reduced_gradients_have_the_gramian_of_the_jacobian(sample):
    scale = torch.tensor([sample.norm_rul, sample.norm_health], dtype=torch.float64)
    angle = torch.tensor([[1.0, sample.cosine], [sample.cosine, 1.0]], dtype=torch.float64)
    reduced = reduced_gradients(scale, angle)
    expected = sample.jacobian @ sample.jacobian.T / scale.outer(scale)
    found = reduced @ reduced.T / scale.outer(scale)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@EVERY_METHOD
def test_one_step_writes_torchjds_update(name, network):
    """End to end, against the Jacobian of the real losses."""
    loss = BUILD[name]()
    network.step(loss)
    rul, health = network.losses()
    rows = [
        torch.cat(
            [
                g.reshape(-1)
                for g in torch.autograd.grad(x, network.shared_params, retain_graph=True)
            ]
        )
        for x in (rul, health)
    ]
    facts = gramian_facts(torch.stack(rows))
    update = torch.cat([p.grad.reshape(-1) for p in network.shared_params])
    expected = torch.tensor(BY_HAND[name](*facts), dtype=torch.float64) @ torch.stack(rows)
    assert torch.linalg.vector_norm(update - expected) <= 1e-6 * torch.linalg.vector_norm(expected)
    for head, task_loss in zip(network.heads.values(), network.losses(), strict=True):
        own = torch.autograd.grad(task_loss, list(head.parameters()), retain_graph=True)
        for parameter, gradient in zip(head.parameters(), own, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=0)
