"""Figures of adding up two losses (chapter 02)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rulbook import toy
from rulbook.display import plots
from rulbook.display.explorers import Explorer, Slider, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.svg import INK
from rulbook.statistics import over_seeds
from rulbook.typing import Floats

FRONTS: dict[str, Floats] = {"convex": toy.convex_front(), "concave": toy.concave_front()}
"""Both toy frontiers: pairs of losses, shape ``(points, 2)``."""

_SWEPT_PANELS = (
    ("rmse", "RUL error, cycles", "rul", 1),
    ("health_accuracy", "health accuracy, %", "health", 100),
)


def frontier(shape: str, lam: float) -> tuple[Figure, str]:
    """Draw a frontier, the point that a weight selects, and the line that touches it there.

    Args:
        shape: key of ``FRONTS``.
        lam: weight of the RUL, 0 to 1.

    Returns:
        The figure, and a sentence on what it shows.

    """
    front = FRONTS[shape]
    point = front[toy.weighted_sum_minimisers(front, [lam])[0]]
    end = front.max()
    figure, axes = plots.panels(height=3.6, steady=True)
    axes.plot(front[:, 0], front[:, 1], color=plots.COLOURS["rul"])
    weighted_sum = lam * point[0] + (1 - lam) * point[1]
    touching = {"linestyle": "--", "color": plots.COLOURS["health"], "linewidth": 1.2}
    if lam < 1:
        rul = np.array([-0.1, 1.2]) * end
        axes.plot(rul, (weighted_sum - lam * rul) / (1 - lam), **touching)
    else:
        axes.axvline(weighted_sum, **touching)
    axes.plot(*point, "o", markersize=10, color=plots.COLOURS["health"])
    axes.set(
        xlim=(-0.1 * end, 1.2 * end),
        ylim=(-0.1 * end, 1.2 * end),
        xlabel="RUL loss",
        ylabel="health loss",
    )
    return figure, (
        f"{shape} frontier, λ = {lam:g}: RUL loss {point[0]:.2f}, health loss {point[1]:.2f}; "
        f"weighted sum {weighted_sum:.2f}."
    )


def frontier_explorer() -> Explorer:
    """Show ``frontier`` for both shapes and eleven weights."""
    return explorer(
        frontier,
        [
            Toggle("shape", "frontier", tuple(FRONTS)),
            Slider(
                "lam",
                "λ, the RUL weight",
                tuple(np.round(np.linspace(0, 1, 11), 1).tolist()),
                default=0.5,
            ),
        ],
        name="02-frontier",
        caption="The curve holds all Pareto optimal pairs; the dot is what the weight selects, "
        "the dashed line joins all pairs with the same weighted sum. Try: slide λ on the convex "
        "frontier and watch the cost at its ends. Then switch to the concave one, and look for a "
        "λ that stops anywhere between the ends.",
    )


def weight_sweep(swept: pd.DataFrame) -> DescribedFigure:
    """Draw both test errors over the RUL weight; ``swept`` is what ``weight_sweep`` returns."""
    figure, panels = plots.panels(2, sharex=True, height=2.4)
    by_weight = swept.groupby("rul_weight")
    rul_weights = list(by_weight.groups)
    for axes, (column, label, colour, scale) in zip(panels, _SWEPT_PANELS, strict=True):
        estimates = [over_seeds(scale * part[column]) for _, part in by_weight]
        axes.fill_between(
            rul_weights,
            [estimate.low for estimate in estimates],
            [estimate.high for estimate in estimates],
            color=plots.COLOURS[colour],
            alpha=0.3,
            linewidth=0,
        )
        means = [estimate.value for estimate in estimates]
        axes.plot(rul_weights, means, color=plots.COLOURS[colour])
        axes.set(ylabel=label, ylim=(0, None))
    panels[1].set(xlabel="λ, the RUL weight", xlim=(0, 1))
    return DescribedFigure(
        figure,
        alt="RUL error and health accuracy on the test engines over the RUL weight from 0 to 1. "
        "Both curves are level from 0.01 to 0.99; only at 0 the RUL error doubles, and only at 1 "
        "the health accuracy halves.",
        caption="Mean and 95 % interval over ten seeds, for each of 101 weights. The two ends are "
        "single-task networks.",
    )


def measured_frontier(mean: pd.DataFrame) -> DescribedFigure:
    """Draw the health loss against the RUL loss on the training rows.

    Args:
        mean: means over seeds of what ``weight_sweep`` returns, indexed by ``rul_weight``; the
            single-task ends count for which points are optimal and are not drawn.

    """
    losses = mean[["train_rul_loss", "train_health_loss"]]
    two_task = (mean.index > 0) & (mean.index < 1)
    both = losses[two_task]
    optimal = losses[two_task & toy.non_dominated(losses.to_numpy())]
    figure, axes = plots.panels(height=3.4)
    points = axes.scatter(
        *both.to_numpy().T,
        c=both.index,
        cmap="cividis",
        edgecolors=INK,
        linewidths=0.5,
        s=22,
        zorder=3,
    )
    axes.plot(
        *optimal.to_numpy().T,
        "o",
        markersize=13,
        markerfacecolor="none",
        color=plots.COLOURS["health"],
        label="Pareto optimal among them",
    )
    axes.set(xlabel="RUL loss on the training rows, cycles²", ylabel="health loss, nats")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    figure.colorbar(points, label="λ, the RUL weight")
    return DescribedFigure(
        figure,
        alt="Health loss against RUL loss on the training rows for the weights 0.01 to 0.99, "
        "coloured by weight. The points do not form a falling curve: the smallest weights have "
        "the lowest health loss and a RUL loss among the lowest, and the other points lie above "
        "them.",
        caption="One point a weight, mean over ten seeds. A frontier would fall from left to "
        "right. (The ends, 0 and 1, lie far outside.)",
    )
