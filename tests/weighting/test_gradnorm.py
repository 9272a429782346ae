import dataclasses

import pytest
import torch

from rulbook.errors import UsageError
from rulbook.weighting.gradnorm import GradNormLoss, gradnorm_targets

from ..gradient_samples import pair, pairs
from .conftest import last_layer_norms, measured_step, tensor

EDITIONS = ("new", "legacy", "original")
EVERY_EDITION = pytest.mark.parametrize("edition", EDITIONS)


def feed(loss, sample, losses=(1.0, 1.0)):
    return loss.weigh(measured_step(sample, tensor(*losses))).tolist()


def norms_of(loss, sample):
    """Return the two norms that an edition looks at."""
    if loss.edition == "new":
        return [sample.norm_rul, sample.norm_health]
    return last_layer_norms(sample).tolist()


def target_by_hand(edition, norms, weights, ratios, alpha):
    weighted = [w * g for w, g in zip(weights, norms, strict=True)]
    mean = sum(norms if edition == "new" else weighted) / len(norms)
    average_ratio = sum(ratios) / len(ratios) if edition == "original" else 1.0
    return [mean * (r / average_ratio) ** alpha for r in ratios]


class TestTargets:
    @EVERY_EDITION
    @pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
    @pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
    def test_they_follow_the_formula(self, edition, alpha, scale):
        norms, weights, ratios = (
            (500.0 * scale, scale, 30.0 * scale),
            (0.2, 1.8, 1.0),
            (0.3, 0.9, 1),
        )
        found = gradnorm_targets(
            tensor(*norms), tensor(*weights), tensor(*ratios), alpha=alpha, edition=edition
        )
        expected = target_by_hand(edition, norms, weights, ratios, alpha)
        assert found.tolist() == pytest.approx(expected, rel=1e-12)

    def test_at_equal_weights_and_equal_progress_the_editions_agree(self):
        arguments = tensor(5.0, 1.0), tensor(1.0, 1.0), tensor(1.0, 1.0)
        found = [gradnorm_targets(*arguments, alpha=1.5, edition=e).tolist() for e in EDITIONS]
        assert found == [[3.0, 3.0]] * 3

    def test_the_originals_targets_do_not_fall_when_all_losses_do(self):
        """Both editions leave out the division by the mean ratio; this is what it does."""
        arguments = tensor(5.0, 1.0), tensor(1.0, 1.0), tensor(0.01, 0.01)
        found = {e: gradnorm_targets(*arguments, alpha=1.5, edition=e)[0].item() for e in EDITIONS}
        assert found["original"] == pytest.approx(3.0)
        assert found["new"] == found["legacy"] == pytest.approx(3.0 * 0.001)


class TestStep:
    @EVERY_EDITION
    @pytest.mark.parametrize("relative", [True, False])
    @pytest.mark.parametrize("sample", pairs((1e-12, 1e12), rank_one=False), ids=str)
    def test_one_step_descends_the_auxiliary_loss(self, edition, relative, sample):
        """Oracle: autograd on the sum of distances to the targets, held constant."""
        loss = GradNormLoss(edition=edition, relative=relative, weight_lr=1e-3).double()
        feed(loss, pair(1.0, 1.0, 0.0), (4.0, 1.0))
        before = loss.weights.clone()
        norms = tensor(*norms_of(loss, sample))
        ratios = (2.0 / 4.0, 0.9)
        targets = target_by_hand(edition, norms.tolist(), before.tolist(), ratios, 1.5)
        weights = before.clone().requires_grad_()
        (slope,) = torch.autograd.grad((weights * norms - tensor(*targets)).abs().sum(), weights)
        if relative:
            slope = slope / norms.mean()
        moved = (before - 1e-3 * slope).clamp_min(0)
        expected = 2 * moved / moved.sum() if moved.sum() else torch.ones(2)
        assert feed(loss, sample, (2.0, 0.9)) == pytest.approx(expected.tolist(), rel=1e-9)

    @EVERY_EDITION
    def test_the_weights_sum_to_two_and_stay_non_negative(self, edition):
        loss = GradNormLoss(edition=edition, weight_lr=0.5).double()
        for step in range(50):
            weights = feed(loss, pair(10.0 ** (step % 4), 1.0, 0.1, step), (5.0 / (step + 1), 1.0))
            assert sum(weights) == pytest.approx(2, rel=1e-12)
            assert min(weights) >= 0

    @EVERY_EDITION
    def test_at_rest_the_smaller_gradient_has_the_larger_weight(self, edition):
        loss = GradNormLoss(edition=edition, weight_lr=1e-3).double()
        step = measured_step(pair(10.0, 1.0, 0.1), tensor(1.0, 1.0))
        for _ in range(3000):
            weights = loss.weigh(step).tolist()
        assert weights[0] < weights[1]

    def test_with_alpha_zero_the_original_equalises_the_weighted_norms(self):
        loss = GradNormLoss(edition="original", alpha=0.0, weight_lr=1e-3).double()
        sample = pair(4.0, 1.0, 0.1)
        norms = norms_of(loss, sample)
        step = measured_step(sample, tensor(1.0, 1.0))
        for _ in range(2000):
            weights = loss.weigh(step).tolist()
        contributions = [w * g for w, g in zip(weights, norms, strict=True)]
        assert contributions[0] == pytest.approx(contributions[1], rel=1e-2)

    def test_the_relative_step_is_free_of_units(self):
        loss, scaled = GradNormLoss().double(), GradNormLoss().double()
        for _ in range(5):
            assert feed(loss, pair(300.0, 2.0, 0.1)) == pytest.approx(
                feed(scaled, pair(3e-10, 2e-12, 0.1)), rel=1e-12
            )

    def test_the_plain_step_throws_the_weights_from_bound_to_bound(self):
        """Why the relative step is the default: slope 500 times rate 0.025 is over 12."""
        loss = GradNormLoss(relative=False).double()
        trace = [feed(loss, pair(500.0, 1.0, 0.1))[0] for _ in range(40)]
        assert min(trace) == 0
        assert max(trace) > 1.5

    def test_the_first_losses_are_those_of_the_first_step(self):
        loss = GradNormLoss().double()
        for losses in [(4.0, 1.5), (3.0, 1.0), (2.0, 0.5)]:
            feed(loss, pair(1.0, 2.0, 0.0), losses)
        assert loss.initial_losses.tolist() == [4.0, 1.5]

    @EVERY_EDITION
    def test_with_both_gradients_zero_nothing_moves(self, edition):
        loss = GradNormLoss(edition=edition).double()
        feed(loss, pair(10.0, 1.0, 0.1))
        before = loss.weights.tolist()
        assert feed(loss, pair(0.0, 0.0, 0.0)) == pytest.approx(before, rel=1e-15)

    @EVERY_EDITION
    def test_swapping_the_tasks_swaps_the_weights(self, edition):
        one, other = (GradNormLoss(edition=edition).double() for _ in range(2))
        sample = pair(30.0, 2.0, 0.4)
        for rul_loss in (5.0, 4.0, 1.0):
            there = one.weigh(measured_step(sample, tensor(rul_loss, 1.0)))
            swapped = dataclasses.replace(sample, rul=sample.health, health=sample.rul)
            back = other.weigh(measured_step(swapped, tensor(1.0, rul_loss)))
            assert there.tolist() == pytest.approx(back.tolist()[::-1], rel=1e-12)


def test_the_last_layer_is_the_last_matrix_of_the_shared_parameters(network):
    """The legacy edition looks at the weight of the trunk's last linear layer, no other."""
    loss = GradNormLoss(edition="legacy", weight_lr=1e-3).double()
    rul, health = network.losses()
    last = network.trunk[2].weight
    norms = [
        torch.linalg.vector_norm(torch.autograd.grad(x, last, retain_graph=True)[0])
        for x in (rul, health)
    ]
    network.step(loss)
    # Both weights start at 1: the larger of the two norms is above the mean, the other below.
    slopes = [g.item() / (sum(norms).item() / 2) * s for g, s in zip(norms, (1, -1), strict=True)]
    moved = [1 - 1e-3 * s for s in slopes]
    expected = [2 * m / sum(moved) for m in moved]
    assert list(loss.get_weights().values()) == pytest.approx(expected, rel=1e-9)


def test_the_edition_and_alpha_are_in_the_name():
    assert GradNormLoss().get_name() == "GradNorm(new, alpha=1.5)"


def test_an_unknown_edition_lists_the_known_ones():
    with pytest.raises(UsageError, match="'third'; choose one of: new, legacy, original"):
        GradNormLoss(edition="third")
