"""What chapter 04 quotes and decides of the toy's runs and of networks early in a training.

The functions that end in ``_values`` return what the prose quotes, by its name there without the
chapter.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rulbook import toy
from rulbook.data import SOURCE_NAMES
from rulbook.data.prepare import Prepared
from rulbook.experiments import gradient_norms
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.metrics import majority_share
from rulbook.models import DualTaskModel
from rulbook.studies.claim_rules import CHANCE
from rulbook.training.evaluation import trunk_features

TRAJECTORY_CAPTION = (
    "The RUL task pulls θ towards +1, ρ times as hard as the health task pulls it towards −1. It "
    "opens on the source's own setting, ρ = 500 at a rate of 0.05: SGD leaves the figure at once. "
    "Try: lower the rate until the dot in the last panel crosses the red line, and SGD settles. "
    "Then move ρ: where both optimisers settle depends on ρ alone."
)
"""What to try in the explorer of the toy."""


def stability_values() -> dict[str, float]:
    """Return the printed learning rate and what it does at ρ = 500."""
    rate = toy.LISTING_LEARNING_RATE
    return {
        "printed-lr": rate,
        "factor-500": abs(toy.contraction(PRINTED_IMBALANCE, rate)),
        "limit-500": toy.stability_limit(PRINTED_IMBALANCE),
        "largest-rho": 2 / rate - 1,
    }


def adam_values(theta: list[float]) -> dict[str, float | None]:
    """Return how high θ climbs under Adam at ρ = 500, and when it stays at the fixed point.

    Args:
        theta: after each step, long enough to settle to four decimals.

    """
    star = toy.fixed_point(PRINTED_IMBALANCE)
    settled: dict[str, float | None] = {
        f"adam-settles-{places}": toy.settling_step(theta, star, 10.0**-places / 2)
        for places in (3, 4)
    }
    return {"adam-top": max(theta)} | settled


def early_values(
    norms: pd.DataFrame, prepared: Mapping[str, Prepared], batches: int
) -> dict[str, object]:
    """Return the gradient ratios early in a training, and which seeds have none.

    Args:
        norms: rows of ``early_gradient_norms``, with the columns ``subset`` and ``seed`` added.
        prepared: the data, by subset.
        batches: measured for each seed.

    """
    first = next(iter(prepared.values()))
    values: dict[str, object] = {
        "data": SOURCE_NAMES[first.source],
        "seeds": norms["seed"].nunique(),
        "batches": batches,
        "majority": 100 * majority_share(first.train.health),
    }
    for row in gradient_norms.ratios_by_step(norms).to_dict("records"):
        values[f"ratio-{row['subset']}-step{row['step']}"] = row["ratio"]
    for subset, shut in gradient_norms.seeds_without_rul_gradient(norms).items():
        values[f"dead-{str(subset).lower()}"] = shut
    return values


def network_claims(prepared: Mapping[str, Prepared]) -> dict[str, object]:
    """Return what decides the length of the shared vector, and whether chance is one third."""
    first = next(iter(prepared.values()))
    model = DualTaskModel.of_size("compact", first.n_features)
    z = trunk_features(model, first.train.take(np.arange(4)))
    guessed = [1 / np.unique(one.train.health).size for one in prepared.values()]
    return {
        "n12.4-symptom-embedding-size": z.shape[1],
        "n12.4-symptom-chance": np.allclose(guessed, CHANCE),
    }
