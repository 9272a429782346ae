import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from rulbook.data.simulate import simulate
from rulbook.errors import UsageError
from rulbook.experiments import equal_weights as tried
from rulbook.experiments.batches import random_batch
from rulbook.experiments.ensemble import UpdateRule, single_cycles
from rulbook.models import DualTaskMLP
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.registry import get_loss

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def rows():
    return single_cycles(simulate("FD001"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return DualTaskMLP().double()


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(2)
    return random_batch(8, torch.float64)


def test_a_value_outside_both_is_not_between_them():
    first, second = np.array([1.0, 5.0]), np.array([3.0, 2.0])
    assert tried.lies_between(np.array([2.0, 5.0]), first, second)
    assert not tried.lies_between(np.array([2.0, 5.1]), first, second)
    assert not tried.lies_between(np.array([0.9, 3.0]), first, second)


def test_gradients_of_sums_are_sums_of_gradients(network, batch):
    losses = batch.losses(network)
    first, second = (tried.flat_gradient(loss, network) for loss in losses)
    both = tried.flat_gradient(2 * losses[0] + 3 * losses[1], network)
    torch.testing.assert_close(both, 2 * first + 3 * second)
    assert first.shape == (sum(p.numel() for p in network.parameters()),)
    assert tried.same_direction(first, 1.4 * first)
    assert not tried.same_direction(first, second)


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=5))
def test_residuals_are_signed_and_can_be_read_back(values):
    words = tried.signed(np.array(values, float))
    assert [int(word.replace("−", "-")) for word in words.split(", ")] == values
    assert all(word[0] in "+−" for word in words.split(", "))


def test_facts_about_the_cross_entropy():
    random = np.random.default_rng(0)
    logits, target = random.normal(size=(6, 3)), random.integers(0, 3, 6)
    assert tried.agrees_with_torch(logits, target)
    assert tried.softmax_needs_the_maximum()
    assert tried.logarithm_needs_a_floor()
    assert tried.cross_entropy_when_certain() == pytest.approx(0, abs=2e-12)
    logits = np.array([[2.0, -1.0, 0.5], [2000.0, 0.0, 0.0]])
    target = np.array([1, 0])
    expected = -log_softmax(logits, axis=1)[[0, 1], target].mean()
    assert tried.cross_entropy_with_floor(logits, target) == pytest.approx(expected, abs=1e-10)
    assert tried.agrees_with_torch(logits, target)
    assert not tried.agrees_with_torch(logits, 1 - target), (
        "the floor holds what is certain and wrong"
    )
    even = tried.cross_entropy_in_bits(np.zeros((2, 4)), np.array([0, 3]))
    assert even == pytest.approx(2)


def test_a_split_evens_out_a_loss_only_if_it_weighs_against_it():
    assert not tried.split_evens_out(np.array([4.0, 100.0]), (0.8, 0.2))
    assert tried.split_evens_out(np.array([4.0, 100.0]), (0.2, 0.8))
    assert not tried.split_evens_out(np.array([4.0, 1.1]), (0.2, 0.8))


def test_facts_about_the_classes():
    fixed, uncertainty = FixedWeightLoss(), get_loss("uncertainty")
    assert tried.weights_in_words("fixed_075") == "0.75/0.25"
    assert tried.every_method_has_the_interface()
    assert tried.weights_are_plain_floats(fixed)
    assert not tried.weights_are_plain_floats(uncertainty)
    assert tried.is_alias_of("fixed_050", fixed)
    assert not tried.is_alias_of("fixed_075", fixed)
    assert not tried.is_alias_of("fixed_050", get_loss("gaba"))
    assert tried.weights_can_be_logged(fixed)


def test_the_first_listing_is_judged_by_its_own_losses():
    rul = np.array([20.0, 80.0])
    logits, health = np.array([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0]]), np.array([2, 1])
    claims = tried.first_listing_claims(rul + 3.0, rul, logits, health)
    assert claims["n24.1-residuals"] == "+3, +3"
    assert claims["n24.1-rul-loss"] == pytest.approx(9.0)
    assert claims["n24.1-late-bias"]
    assert claims["n24.1-units-cycles"]
    early = tried.first_listing_claims(rul - 3.0, rul, logits, np.array([1, 2]))
    assert not early["n24.1-late-bias"]
    assert not early["n24.1-health-targets"]


def test_totals_have_one_order_and_sizes_are_compared():
    rising = tried.size_claims(1.0, 1.44, pd.Series([13.0, 15.4, 19.0]))
    assert rising["n24.1-larger-lambda-larger-total"]
    assert rising["n24.1-total-lowest-at-half"]
    assert not rising["n24.1-total-largest-at-half"]
    assert not rising["n24.1-units-bits"]
    falling = tried.size_claims(1.05, 1.05, pd.Series([1.025, 1.02]))
    assert falling["n24.1-total-largest-at-half"]
    assert falling["n24.1-units-bits"]


def test_a_contribution_is_equal_only_where_the_gradient_is_shared_evenly_throughout():
    def is_equal(start, end):
        return tried.is_equal_contribution(
            pd.Series({"its weight": 50, "share at the start": start, "share at the end": end})
        )

    assert is_equal(48, 53)
    assert not is_equal(0.2, 50)
    assert not is_equal(50, 60)


def test_what_is_said_of_the_class_is_asked_of_the_class():
    loss = FixedWeightLoss(0.5, 0.5)
    losses = [torch.tensor(value, requires_grad=True) for value in (4.0, 2.0)]
    loss(*losses).backward()
    claims = tried.class_claims(loss, *losses)
    assert float(claims["n24.1-gradient-rul"]) == float(claims["n24.1-gradient-health"]) == 0.5
    assert claims["n24.1-name"] == "Fixed(0.50/0.50)"
    assert claims["n24.1-three-methods"] == 3
    assert claims["n24.1-no-learnable-parameters"] == 0
    assert claims["n24.1-alias-050"]
    assert not tried.class_claims(FixedWeightLoss(0.6, 0.4), *losses)["n24.1-alias-050"]


def test_facts_about_modules_of_pytorch():
    assert not tried.body_of_dots_is_abstract()
    assert tried.super_init_is_needed()
    assert tried.hooks_run_on_call_alone()
    assert not tried.item_needs_0_dim()


def test_gabas_weights_follow_the_batches_and_not_the_global_random_state(network, batch):
    first = tried.gaba_weights_by_batch(network, batch, seed=3, batches=3)
    torch.manual_seed(99)
    assert tried.gaba_weights_by_batch(network, batch, seed=3, batches=3) == first
    assert len({weights["rul_weight"] for weights in first}) == 3
    assert sum(first[-1].values()) == pytest.approx(1)


def test_a_learned_weight_falls_by_rate_times_loss_at_every_step():
    path = tried.learned_weight(20.0, 0.9, rate=0.01, steps=4)
    np.testing.assert_allclose(path, [0.3, 0.1, -0.1, -0.3], atol=1e-6)


def test_amnl_fixed_has_equal_terms_above_its_floors_and_constant_weights_below():
    terms = tried.normalised_terms([(25.0, 0.9), (2500.0, 1.8), (0.4, 0.9)])
    np.testing.assert_allclose(terms.loc[:1, ["RUL term", "health term"]], 0.5)
    assert terms.loc[2, "RUL term"] < 0.5
    np.testing.assert_allclose(terms["L"], terms["RUL term"] + terms["health term"])
    assert tried.amnl_fixed_rul_weight() == pytest.approx(0.5)


@pytest.mark.slow
def test_under_plain_sgd_larger_weights_are_a_larger_rate_and_under_adam_nothing(rows):
    rules = {name: tried.RULES[name] for name in ("SGD", "Adam")}
    distances = tried.distances_of_ends(rows.train, rules, SEEDS)
    assert tried.is_larger_rate(distances, "SGD")
    assert not tried.is_larger_rate(distances, "Adam")
    by_rule = distances.set_index("update rule")
    assert by_rule.loc["SGD", "from (0.5, 0.5)"] > 1e-2
    assert by_rule.loc["Adam", "from (0.5, 0.5)"] < 1e-2
    assert (distances["from 1.4× the rate, at most"] >= distances["from 1.4× the rate"]).all()


@pytest.mark.slow
def test_adam_feels_no_factor_until_it_is_tiny(rows):
    same, little, none = tried.distance_by_factor(
        rows.train, tried.RULES["Adam"], (1.0, 1e-3, 1e-12), SEEDS
    )
    assert same == 0
    assert little < 0.05
    assert none > 0.5


def test_larger_weights_diverge_at_a_rate_lower_by_their_factor(rows):
    rates = np.array([0.004, 0.02, 10.0])
    survival = tried.divergence(rows, SEEDS, rates, steps=20)
    assert survival.finite.shape == (2, 3)
    assert (np.diff(survival.finite, axis=1) <= 0).all()
    assert (survival.finite[1] <= survival.finite[0]).all()
    assert survival.finite[0, -1] == 0


def test_divergence_is_counted_over_the_decade_below_the_limit():
    survival = tried.Divergence(
        np.array([0.001, 0.1, 0.2, 0.4, 0.8]),
        np.array([[1.0, 1.0, 1.0, 1.0, 0.5], [1.0, 1.0, 1.0, 0.0, 0.0]]),
        best=3,
    )
    assert survival.limit == survival.best_rate == 0.4
    assert survival.percent_diverged == pytest.approx(100 / 3)
    assert survival.percent_diverged_at_best == 100


def test_a_decade_that_is_not_covered_is_not_counted():
    survival = tried.Divergence(np.array([0.05, 0.4]), np.ones((2, 2)), best=0)
    with pytest.raises(UsageError, match="start them lower"):
        _ = survival.percent_diverged


def test_adamw_counts_every_run(rows):
    assert tried.diverged_by_adamw(rows.train, SEEDS, [1e-3]) == (0, 4)


@pytest.mark.slow
def test_the_health_tasks_share_falls_with_its_weight(rows):
    shares = tried.health_shares(rows.train, SEEDS, (0.5, 0.9))
    assert shares["its weight"].tolist() == pytest.approx([50, 10])
    measured = shares.filter(like="share")
    assert measured.columns.tolist() == ["share at the start", "share at the end"]
    assert (measured.iloc[0] > measured.iloc[1]).all()
    assert ((measured > 0) & (measured < 100)).all(axis=None)


@pytest.mark.parametrize(("at_end", "is_about"), [(12.0, True), (0.3, False)])
def test_a_tenth_is_a_tenth_before_and_after(at_end, is_about):
    row = pd.Series({"λ": 0.9, "share at the start": 9.0, "share at the end": at_end})
    assert tried.is_about_ten_percent(row) is is_about


@pytest.mark.parametrize(("at_end", "is_less"), [(9.0, True), (12.0, False)])
def test_less_than_a_tenth_is_so_before_and_after(at_end, is_less):
    row = pd.Series({"λ": 0.5, "share at the start": 9.0, "share at the end": at_end})
    assert tried.is_less_than_a_tenth(row) is is_less


def test_the_end_points_are_those_of_every_seed_and_weight(rows):
    ends = tried.end_points(rows.train, [(0.5, 0.5), (0.7, 0.7)], UpdateRule(), SEEDS, steps=1)
    numbers = sum(p.numel() for p in DualTaskMLP().parameters())
    assert ends.shape == (2, 2, numbers)


@pytest.mark.parametrize(
    ("loss", "other", "same"), [(10.0, 1.0, True), (1.0, 10.0, True), (10.1, 1.0, False)]
)
def test_losses_are_on_one_scale_up_to_a_factor_of_ten(loss, other, same):
    assert tried.are_on_one_scale(loss, other) is same
