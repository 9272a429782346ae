"""What chapter 04 quotes of the toy and of networks early in a training."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from rulbook import toy
from rulbook.claims.ledger import find
from rulbook.data.prepare import prepare
from rulbook.data.simulate import simulate
from rulbook.display.readings import costs


@pytest.fixture(scope="module")
def prepared():
    return {"FD001": prepare(simulate("FD001"))}


def test_the_printed_rate_is_stable_up_to_the_largest_ratio():
    values = costs.stability_values()
    rate, largest = values["printed-lr"], values["largest-rho"]
    assert abs(toy.contraction(largest - 0.1, rate)) < 1 < abs(toy.contraction(largest + 0.1, rate))
    assert values["factor-500"] == pytest.approx(24.05)
    assert values["limit-500"] == pytest.approx(2 / 501)


def test_a_path_settles_later_to_more_places():
    star = toy.fixed_point(500)
    path = [1.3, star + 1e-3, star + 2e-4, star + 2e-4, *[star] * 100]
    assert costs.adam_values(path) == {"adam-top": 1.3, "adam-settles-3": 3, "adam-settles-4": 5}


def test_early_ratios_are_quoted_by_subset_and_step(prepared):
    norms = pd.DataFrame(
        {
            "subset": "FD001",
            "seed": [1, 1, 2, 2],
            "step": [0, 10, 0, 10],
            "batch": 0,
            "norm_rul": [200.0, 90.0, 0.0, 0.0],
            "norm_health": [2.0, 3.0, 1.0, 1.0],
            "ratio": [100.0, 30.0, 0.0, 0.0],
        }
    )
    values = costs.early_values(norms, prepared, batches=3)
    assert (values["ratio-FD001-step0"], values["ratio-FD001-step10"]) == (100, 30)
    assert (values["seeds"], values["batches"], values["dead-fd001"]) == (2, 3, 1)
    assert 0 < values["majority"] < 100


def test_the_network_and_the_states_decide_their_claims(prepared):
    claims = costs.network_claims(prepared)
    assert claims["n12.4-symptom-embedding-size"] == 32
    assert claims["n12.4-symptom-chance"] is True
    (first, *_) = prepared.values()
    healthy = dataclasses.replace(first.train, health=np.zeros_like(first.train.health))
    one_state = {"FD001": dataclasses.replace(first, train=healthy)}
    assert costs.network_claims(one_state)["n12.4-symptom-chance"] is False
    assert all(find(name) for name in claims)
