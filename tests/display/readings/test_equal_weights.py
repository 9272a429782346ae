"""What chapter 06 reads off section 24.1."""

import numpy as np
import pandas as pd
import pytest
import torch

from rulbook.claims import printed
from rulbook.claims.ledger import find
from rulbook.display.readings import equal_weights as readings
from rulbook.experiments import equal_weights as tried
from rulbook.experiments.batches import random_batch
from rulbook.models import DualTaskMLP
from rulbook.studies.catalogue import SEEDS

Y_PRED, Y_RUL = np.array([25.0, 75.0]), np.array([20.0, 85.0])
LOGITS, HEALTH = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([2, 0])


@pytest.fixture
def totals():
    return pd.DataFrame({"L_total": [2.0, 3.0], "RUL term, %": [95.0, 97.0]})


@pytest.fixture
def network():
    torch.manual_seed(1)
    return DualTaskMLP().double()


@pytest.fixture
def batch():
    torch.manual_seed(2)
    return random_batch(8, torch.float64)


def test_curves_have_the_printed_the_recorded_and_the_live_errors(make_record, make_evidence):
    core = make_evidence(make_record(seed=seed) for seed in SEEDS)
    swept = pd.DataFrame({"rul_weight": [0.5, 0.5, 1.0, 1.0], "rmse": [10.0, 12.0, 20.0, 20.0]})
    curves = readings.error_curves(core, swept)
    pd.testing.assert_frame_equal(curves.printed, printed.ablation_table())
    assert curves.recorded["FD002"].index.tolist() == [0.5]
    assert curves.recorded["FD004"].empty
    assert {weight: one.value for weight, one in curves.live.items()} == {0.5: 11.0, 1.0: 20.0}
    values = readings.curve_values(curves.live, range(6))
    assert (values["live-seeds"], values["live-lowest"], values["live-highest"]) == (6, 11, 20)
    assert values["live-width"] == pytest.approx((curves.live[0.5].high - 11) / 2)


@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_the_rule_holds_as_exactly_as_it_is_met(error):
    random = np.random.default_rng(0)
    rul, health = random.lognormal(size=(2, 20))
    lam = random.uniform(size=20)
    combined = lam * rul + (1 - lam) * health + error * rul
    gradient = torch.ones(3, dtype=torch.float64)
    claims = readings.rule_claims(combined, rul, health, lam, (gradient, (1 + error) * gradient))
    assert claims["n24.1-one-line"] == claims["n24.1-linearity"] == (error == 0)


def test_the_listing_is_quoted_from_its_losses(totals):
    values = readings.listing_values(Y_PRED, Y_RUL, 0.5, totals)
    assert values["share-at-half"] == 95
    assert values["health-in-bits"] == pytest.approx(0.5 / np.log(2))
    assert values["listing-ratio"] == pytest.approx(62.5 / 0.5)
    assert values["listing-ratio-cap"] == pytest.approx(62.5 / 125**2 / 0.5)


def test_every_value_that_is_returned_decides_a_claim(network, batch, totals):
    table = printed.ablation_table()
    at_most = {"from 1.4× the rate, at most": [0, 1, 1, 1]}
    distances = pd.DataFrame({"update rule": list(tried.RULES), **at_most})
    shares = pd.DataFrame([{"share at the start": 0.1, "share at the end": 0.2}])
    terms = tried.normalised_terms([(25.0, 0.9), (2500.0, 1.8)])
    given = (
        readings.listing_claims(Y_PRED, Y_RUL, LOGITS, HEALTH, totals),
        readings.class_detail_claims(network, batch, np.array([0.1, -0.1]), seed=0),
        readings.amnl_fixed_claims(terms),
        readings.table_claims(table),
        readings.shape_claims(table),
        readings.unmeasured_claims(),
        readings.larger_weights_claims(network, batch, (25.0, 0.9), distances),
        readings.share_claims(shares, totals, Y_PRED, Y_RUL, 0.5),
        readings.other_domain_claims(),
    )
    names = [name for claims in given for name in claims]
    assert len(set(names)) == len(names)
    for claims in given:
        for name, value in claims.items():
            assert (value is None) <= (not find(name).needs_value), name


def test_the_shape_of_a_table_follows_its_figures():
    table = printed.ablation_table()
    assert not readings.shape_claims(table)["n24.1-u-shape"]
    table.loc["050"] = table.loc["075"]  # the lowest row of FD002 is now an inner one
    assert not readings.shape_claims(table)["n24.1-u-shape"]
    table["FD004"] = table["FD002"]  # FD004 has two minima of its own
    assert readings.shape_claims(table)["n24.1-u-shape"]


def divergence_with(at_best, inside=1.0):
    """Shares of (0.7, 0.7) runs that stay finite, at the best rate, the limit, and below it."""
    rates = np.array([0.001, 0.004, 0.01, 0.02])
    finite = np.array([[1.0, 1.0, 1.0, 0.5], [inside, inside, at_best, 0.0]])
    return tried.Divergence(rates, finite, 2)


def test_divergence_is_quoted_at_every_length():
    survival = {100: divergence_with(0.4), 200: divergence_with(0.9)}
    values = readings.divergence_values(survival, (0, 18), 20)
    assert (values["at-best-100"], values["at-best-200"]) == pytest.approx((60, 10))
    assert 0 < values["diverged-lowest"] < values["diverged-highest"] < 50
    assert (values["adamw-diverged"], values["adamw-runs"]) == (0, 18)
    assert values["divergence-seeds"] == 20
    assert values["share-of-decade"] == pytest.approx(14.6, abs=0.1)


def test_shares_are_those_of_the_first_and_the_last_weight():
    shares = pd.DataFrame(
        {"share at the start": [1.0, 2.0, 3.0], "share at the end": [4.0, 5.0, 6.0]}
    )
    assert readings.share_values(shares) == {
        "share-050-start": 1.0,
        "share-090-start": 3.0,
        "share-050-end": 4.0,
        "share-090-end": 6.0,
    }
