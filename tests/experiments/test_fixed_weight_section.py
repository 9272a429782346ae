"""What §9.1 says of fixed weights: what decides a claim follows what the code does."""

import pandas as pd
import pytest
import torch

from rulbook.claims.ledger import read_ledger
from rulbook.claims.printed import printed_progression
from rulbook.experiments import fixed_weight_section as section
from rulbook.weighting.fixed import FixedWeightLoss


@pytest.fixture
def progression():
    return pd.DataFrame({"rul": [1000.0, 100.0], "health": [1.0, 0.5]}, index=[1, 50])


@pytest.fixture
def schemes():
    return pd.DataFrame(
        {
            "scheme": ["equal", "normalised"],
            "λ₁": [1.0, 0.5],
            "λ₂": [1.0, 0.5],
            "ratio": [1000.0, 1000.0],
        }
    )


@pytest.fixture
def course():
    return pd.DataFrame(
        {
            "step": [0, 0, 20, 20],
            "seed": [1, 2, 1, 2],
            "rul_loss": 99.0,
            "health_loss": 1.0,
            "norm_rul": [10.0, 30.0, 990.0, 990.0],
            "norm_health": 1.0,
        }
    )


def test_every_claim_is_one_of_the_chapter_and_no_two_functions_decide_the_same(schemes, course):
    printed = printed_progression()
    gradients = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    groups = [
        section.scheme_claims(schemes, printed["rul"] / printed["health"]),
        section.class_claims(0),
        section.formulation_claims(*gradients, *gradients),
        section.drift_claims(printed),
        section.conflict_claims(*gradients),
        section.balance_claims(course),
    ]
    decided = [claim for group in groups for claim in group]
    assert len(decided) == len(set(decided))
    ledger = read_ledger()
    assert {ledger[claim].chapter for claim in decided} == {"05-fixed-weight-loss"}


def test_a_constant_moves_no_gradient_and_a_factor_does():
    one, two = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    assert all(section.formulation_claims(one, one, two, two).values())
    assert not any(section.formulation_claims(one, two, one, two).values())


def test_a_normalised_scheme_ignores_the_scale_if_it_leaves_the_ratio(schemes):
    ratios = pd.Series([1000.0, 700.0])
    claim = "l9.1-scheme-normalised-ignores-scale"
    assert section.scheme_claims(schemes, ratios)[claim] is True
    assert section.scheme_claims(schemes.assign(ratio=[1000.0, 1.0]), ratios)[claim] is False


@pytest.mark.parametrize("weight", [0.5, 0.4])
def test_the_sum_of_the_normalised_weights_is_that_of_the_table(schemes, weight):
    claims = section.scheme_claims(schemes.assign(**{"λ₂": weight}), pd.Series([1000.0]))
    assert claims["l9.1-scheme-normalised-sum"] == pytest.approx(0.5 + weight)


@pytest.mark.parametrize(("ratio", "balanced"), [(500, True), (2000, True), (400, False)])
def test_a_thousandth_balances_ratios_within_a_factor_of_two(schemes, ratio, balanced):
    claims = section.scheme_claims(schemes, pd.Series([1000.0, ratio]))
    assert claims["l9.1-scheme-scale-balanced"] is balanced


def test_the_class_is_told_by_its_behaviour_and_the_random_state_left_alone():
    before = torch.random.get_rng_state()
    claims = section.class_claims(3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert claims["l9.1-worked-example"] == pytest.approx(700.3)
    assert claims["l9.1-default-weights"] == "0.7/0.3"
    assert claims["l9.1-weights-constant"] is claims["l9.1-is-module"] is True
    assert claims["l9.1-unexplained-lines"] == 16


def test_weights_that_training_moves_do_not_stay():
    class Drifting(FixedWeightLoss):
        def forward(self, rul_loss, health_loss, **kwargs):
            self.rul_weight += 0.1
            return super().forward(rul_loss, health_loss, **kwargs)

    assert section.weights_stay(FixedWeightLoss(), seed=0)
    assert not section.weights_stay(Drifting(), seed=0)


def test_the_share_at_the_last_epoch_is_one_half_if_the_ratio_stays(progression):
    steady = progression.assign(rul=[1000.0, 500.0])
    assert section.share_at_last_epoch(steady) == pytest.approx(0.5)
    assert section.drift_claims(steady)["l9.1-balance-drifts"] is False
    assert section.share_at_last_epoch(progression) == pytest.approx(1 / 6)
    claims = section.drift_claims(progression)
    assert claims["l9.1-balance-drifts"] is True
    assert claims["l9.1-ratio-shrinks"] is True
    assert section.drift_claims(steady)["l9.1-ratio-shrinks"] is False
    assert claims["l9.1-progression-50-ratio"] == 200


def test_positive_weights_leave_the_cosine_whatever_the_gradients():
    torch.manual_seed(0)
    for _ in range(20):
        claims = section.conflict_claims(100 * torch.randn(50), torch.randn(50))
        assert claims["l9.1-conflict-not-resolved"] is True


def test_balanced_losses_leave_gradients_unbalanced_unless_both_ratios_agree(course):
    claim = "l9.1-balanced-losses-unbalanced-gradients"
    assert section.balance_claims(course)[claim] is True
    agreeing = course.assign(norm_rul=99.0)
    assert section.balance_claims(agreeing)[claim] is False
    assert section.balance_claims(course)["l9.1-dominates-regardless-of-weights"] is False
