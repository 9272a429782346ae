"""What chapter 02 shows and quotes of adding up two losses.

The functions that end in ``_values`` return what the prose quotes, by its name there without the
chapter; ``_claims`` and ``_answers`` return what decides claims, by the claim's id.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML

from rulbook import toy
from rulbook.claims.decision import Answer
from rulbook.claims.printed import printed_value
from rulbook.display.tables import table
from rulbook.experiments import loss_combination as combination
from rulbook.experiments.weight_trade_off import loss_rises
from rulbook.studies.condition_rules import decide_all
from rulbook.training.record import RunRecord
from rulbook.typing import Floats
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.registry import WEIGHTING_METHODS

CONTRIBUTION_CAPTION = (
    "The figure opens on the section's two losses at equal weights. Try: find by hand the weight "
    "at which both losses contribute the same, then press Balance. Raise the RUL loss to 1000, a "
    "size that it has early in training, and see how far that weight moves."
)
"""What to try in the explorer of the contributions."""

KNOBS_CAPTION = (
    "Try: for how many tasks could you still afford the grid, if one training takes a minute? And "
    "with a grid of three values?"
)
"""What to try in the explorer of the grid over free weights."""

FRONTIER_CAPTION = (
    "Here are two toy frontiers. The first also shows trained networks, one point for each weight, "
    "with each loss scaled from its smallest value to its largest. Try: slide λ. The dot goes "
    "along the whole convex frontier, but jumps from end to end of the concave one. Point at a "
    "trained network to see its weight: the smallest go along a frontier, the others climb from "
    "near its end."
)
"""What to try in the explorer of the frontiers."""

SMALL_WEIGHTS = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""RUL weights on both sides of the one that balances the gradients before the first step."""

DECIDING_WEIGHTS = (1e-4, 1e-2)
"""The ends of the range over which a frontier is looked for."""

_SCALES = (
    *("n4.3-mse-scale", "n4.3-ce-scale"),
    *("n4.3-typical-rul-loss", "n4.3-typical-health-loss"),
)

LONGER_STEPS = 3000
"""Steps of the trainings that ask whether the frontier is still there after a longer training."""

_NEEDS = {
    "nothing": "nothing",
    "losses": "losses",
    "epoch means": "past epochs",
    "task gradients": "gradients",
}


def printed_losses() -> Floats:
    """Return the RUL loss, the health loss and their sum that the loop prints, shape ``(3, 3)``."""
    return np.array(
        [
            [printed_value(f"n4.3-loop-step{step}-{task}") for task in ("rul", "health", "total")]
            for step in range(3)
        ]
    )


def sweep_values(swept: pd.DataFrame) -> dict[str, float]:
    """Return what the prose quotes of the thousand networks, by its name there.

    Args:
        swept: what ``weight_sweep`` returns for an even grid of RUL weights from 0 to 1.

    Returns:
        Errors in cycles, accuracies in per cent, losses in cycles² and nats; ranges and means are
        over the weights between the ends.

    """
    mean = swept.groupby("rul_weight").mean()
    both = mean.iloc[1:-1]
    first, last = both.index[0], both.index[-1]
    rises = loss_rises(swept, first, last)
    optimal = toy.non_dominated(mean[["train_rul_loss", "train_health_loss"]].to_numpy())
    return {
        "rmse-low": both["rmse"].min(),
        "rmse-high": both["rmse"].max(),
        "rmse-alone": mean["rmse"].iloc[-1],
        "accuracy-low": 100 * both["health_accuracy"].min(),
        "accuracy-high": 100 * both["health_accuracy"].max(),
        "kept": int(optimal.sum()),
        "first": first,
        "last": last,
        "rul-loss": both["train_rul_loss"].mean(),
        "rise-rul": rises.rul.difference,
        "rise-rul-low": rises.rul.low,
        "rise-rul-high": rises.rul.high,
        "rise-health": rises.health.difference,
    }


def gaba_values(weights: Floats) -> dict[str, float]:
    """Return what the weights that the section gives GABA, (2,), leave unbalanced."""
    rul_pull, health_pull = combination.pulls_at_gaba_ratio(weights)
    return {"gaba-left-over": rul_pull / health_pull, "gaba-ratio": weights[1] / weights[0]}


def rate_values(printed_falls: Floats, falls: Floats, rate: float) -> dict[str, float]:
    """Return the learning rate that gives the first printed fall, and the second falls, %.

    Args:
        printed_falls: of the RUL loss in the printed steps, (2,).
        falls: the same of the loop at ``rate``.
        rate: the learning rate.

    """
    return {
        "needed-rate": rate,
        "printed-fall": printed_falls[0],
        "second-fall": falls[1],
        "second-fall-printed": printed_falls[1],
    }


def listing_claims(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the lines of the listings, and the size of a health loss.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    return {**combination.listing_claims(), **decide_all(_SCALES, records)}


def frontier_values(
    fronts: Mapping[str, Floats], chosen: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Return how many points between the ends of the concave front a weighted sum reaches.

    Args:
        fronts: pairs of losses, (points, 2), by shape.
        chosen: the rows that weights select, by shape.

    """
    inner = combination.inner_points(chosen["concave"], len(fronts["concave"]))
    return {"concave-inner": inner}


def small_weights_values(low_end: pd.DataFrame, longer: pd.DataFrame) -> dict[str, float]:
    """Return how both training losses change over the range that is looked at.

    Args:
        low_end: what ``weight_sweep`` returns for ``SMALL_WEIGHTS``.
        longer: the same after ``LONGER_STEPS``.

    Returns:
        By length, ``low`` or ``longer``: ``…-rul``, the fall of the RUL loss, cycles², with its
        interval from ``…-rul-low`` to ``…-rul-high``, and ``…-health``, the rise of the health
        loss, nats; and ``longer-steps``.

    """
    values: dict[str, float] = {"longer-steps": LONGER_STEPS}
    for name, swept in (("low", low_end), ("longer", longer)):
        rises = loss_rises(swept, *DECIDING_WEIGHTS)
        values |= {
            f"{name}-rul": -rises.rul.difference,
            f"{name}-rul-low": -rises.rul.high,
            f"{name}-rul-high": -rises.rul.low,
            f"{name}-health": rises.health.difference,
        }
    return values


def frontier_answers(*swept: pd.DataFrame) -> dict[str, Answer]:
    """Return what decides whether trained networks trade one loss for the other, at any length.

    Args:
        swept: what ``weight_sweep`` returns for ``SMALL_WEIGHTS``, for each length of the training.

    """
    trade_off = all(loss_rises(one, *DECIDING_WEIGHTS).trade_off for one in swept)
    low, high = DECIDING_WEIGHTS
    note = f"from a RUL weight of {low:g} to {high:g}, {len(swept)} lengths of training"
    return {"n4.3-cmapss-frontier-shape": Answer(trade_off, note)}


def control_values(falls: pd.DataFrame) -> dict[str, float]:
    """Return the least and the largest share of its own fall that the health loss keeps, %.

    Args:
        falls: what ``falls_against_controls`` returns.

    """
    share = 100 * combination.health_kept(falls)
    return {"health-kept-low": share.min(), "health-kept-high": share.max()}


def what_methods_need() -> HTML:
    """Show the trunk weights of every method of the package, by what it needs at a step."""
    methods = _methods()
    return table(
        pd.DataFrame(
            {
                "method": [method.title for method in methods],
                "needs": [_NEEDS[method.needs] for method in methods],
                "weights of the trunk": [method.formula for method in methods],
            }
        ),
        "Every method and its weights, by what it needs to know at a step",
        maths=["weights of the trunk"],
    )


def what_methods_cost() -> HTML:
    """Show what every method of the package costs and keeps, in the order of the other table."""
    methods = _methods()
    return table(
        pd.DataFrame(
            {
                "method": [method.title for method in methods],
                "passes": [method.backward_passes for method in methods],
                "adds up to": [method.weight_sum for method in methods],
                "heads": [method.heads for method in methods],
                "state": [method.state for method in methods],
                "source": [method.source for method in methods],
            }
        ),
        "What the methods cost and keep",
    )


def _methods() -> list[WeightingMethod]:
    return sorted(WEIGHTING_METHODS.values(), key=lambda method: list(_NEEDS).index(method.needs))
