"""Figures of adding up two losses (chapter 02)."""

import pandas as pd

from rulbook import toy
from rulbook.display import plots
from rulbook.display.plots import DescribedFigure
from rulbook.display.results import number, rows_of
from rulbook.display.svg import INK
from rulbook.statistics import over_seeds
from rulbook.typing import Floats

FRONTS: dict[str, Floats] = {"convex": toy.convex_front(), "concave": toy.concave_front()}
"""Both toy frontiers: pairs of losses, shape ``(points, 2)``."""

_SWEPT_PANELS = (
    ("rmse", "RUL error, cycles", "rul", 1),
    ("health_accuracy", "health accuracy, %", "health", 100),
)


def frontier_points(mean: pd.DataFrame) -> list[dict[str, float]]:
    """Return the trained two-task networks as points of ``formulas.frontier_explorer``.

    Args:
        mean: means over seeds of what ``weight_sweep`` returns, indexed by ``rul_weight``; the
            single-task ends are left out.

    Returns:
        For each weight ``weight``, ``rul_loss`` (cycles²) and ``health_loss`` (nats) on the
        training rows.

    """
    return [
        {"weight": float(weight), "rul_loss": rul_loss, "health_loss": health_loss}
        for weight, rul_loss, health_loss in mean[
            ["train_rul_loss", "train_health_loss"]
        ].itertuples()
        if 0 < weight < 1
    ]


def weight_sweep(swept: pd.DataFrame) -> DescribedFigure:
    """Draw both test errors over the RUL weight; ``swept`` is what ``weight_sweep`` returns."""
    figure, panels = plots.panels(2, sharex=True, height=1.7)
    by_weight = swept.groupby("rul_weight")
    rul_weights = list(by_weight.groups)
    courses = []
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
        inner = " to ".join(number(bound(means[1:-1]), 1) for bound in (min, max))
        courses.append(
            f"{label}: {number(means[0], 1)} at {rul_weights[0]:g}, {number(means[-1], 1)} at "
            f"{rul_weights[-1]:g}, in between from {inner}"
        )
        axes.plot(rul_weights, means, color=plots.COLOURS[colour])
        axes.set(ylabel=label, ylim=(0, None))
    panels[1].set(xlabel="λ, the RUL weight", xlim=(0, 1))
    return DescribedFigure(
        figure,
        alt="RUL error and health accuracy on the test engines over the RUL weight. Means over "
        f"seeds: {'. '.join(courses)}.",
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
    ringed = rows_of(optimal)
    first, last = ringed[0], ringed[-1]
    figure, axes = plots.panels(height=2.8)
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
        alt="Health loss against RUL loss on the training rows, coloured by weight. Rings mark the "
        "weights that no other beats in both losses: "
        f"{', '.join(f'{weight:g}' for weight in optimal.index)}. From the first of these to the "
        f"last the RUL loss goes from {first.train_rul_loss:.0f} to {last.train_rul_loss:.0f} "
        f"cycles² and the health loss from {first.train_health_loss:.2f} to "
        f"{last.train_health_loss:.2f} nats.",
        caption="One point per weight, mean over ten seeds. Rings: Pareto optimal, beyond 0.01 "
        "perhaps by chance. (The ends, 0 and 1, lie far outside.)",
    )
