"""What chapter 02 shows and quotes of adding up two losses."""

import numpy as np
import pandas as pd
from IPython.display import HTML

from rulbook import toy
from rulbook.claims.ledger import find
from rulbook.display.tables import table
from rulbook.experiments.weight_trade_off import loss_rises
from rulbook.typing import Floats
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.registry import METHODS

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
            [
                float(str(find(f"n4.3-loop-step{step}-{task}").printed).replace(",", ""))
                for task in ("rul", "health", "total")
            ]
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
    return sorted(METHODS.values(), key=lambda method: list(_NEEDS).index(method.needs))
