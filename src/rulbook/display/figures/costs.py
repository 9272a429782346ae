"""Figures of what the imbalance costs: the programs of §12.4, and trained networks beside them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rulbook import toy
from rulbook.data.prepare import HEALTH_STATES
from rulbook.display import plots
from rulbook.display.plots import DescribedFigure
from rulbook.display.svg import INK
from rulbook.experiments.trunk_maps import TrunkMaps
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.studies.symptoms import RECALLS
from rulbook.toy import History
from rulbook.typing import Floats

_STATE_LOOKS = (("rul", "-", "o"), ("both", "-.", "s"), ("health", "--", "^"))
"""Colour, dash and marker of each health state."""

_RATIO_TICKS = (10, 20, 50, 100, 200, 500, 1000, 2000)


def first_program(histories: Mapping[int, History]) -> DescribedFigure:
    """Draw how far θ is from its fixed point at each step of the first program as printed.

    Args:
        histories: what the program returns, by ρ; 10, 100 and 500 are drawn.

    """
    figure, axes = plots.panels()
    steps = np.arange(toy.LISTING_STEPS + 1)
    for rho, (colour, dash) in {
        10: ("both", "-"),
        100: ("health", "--"),
        500: ("rul", "-."),
    }.items():
        distance = np.abs(np.array([0.0, *histories[rho]["theta"]]) - toy.fixed_point(rho))
        axes.semilogy(
            steps, distance, color=plots.COLOURS[colour], linestyle=dash, label=f"ρ = {rho}"
        )
    axes.axhline(1.0, color=INK, linewidth=0.8)
    axes.set(xlabel="step", ylabel="distance from θ*", xlim=(0, toy.LISTING_STEPS))
    axes.legend(loc="upper left")
    return DescribedFigure(
        figure,
        alt="Distance of θ from its fixed point over 60 steps of the first program, logarithmic "
        "axis. At ρ = 10 it falls by ten orders of magnitude; at ρ = 100 it grows to ten to the "
        "36, at ρ = 500 to ten to the 82.",
        caption="The first program as printed. A straight line on this axis means a constant "
        "factor per step: the distance shrinks for ρ = 10 and grows for the other two. (At ρ = 1 "
        "the start already is the fixed point.)",
    )


def optimisers_in_time(paths: Mapping[str, ArrayLike]) -> DescribedFigure:
    """Draw θ over the first 240 steps of Adam and of SGD at ρ = 500, past where the source stops.

    Args:
        paths: θ after each step, (n_steps,), of ``"adam"`` at the printed rate and of ``"sgd"`` at
            a stable one.

    """
    shown, star = 240, toy.fixed_point(PRINTED_IMBALANCE)
    figure, axes = plots.panels()
    axes.axhline(star, color=INK, linewidth=0.8)
    axes.annotate(
        "θ*", (shown, star), xytext=(-4, -5), textcoords="offset points", va="top", ha="right"
    )
    for name, label, colour, dash in (
        ("adam", "Adam", "rul", "-"),
        ("sgd", "SGD, rate 0.0005", "health", "--"),
    ):
        path = np.asarray(paths[name])
        steps = np.arange(1, len(path) + 1)
        axes.plot(steps, path, color=plots.COLOURS[colour], linestyle=dash, label=label)
    axes.axvline(toy.LISTING_STEPS, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        "the source stops here",
        (toy.LISTING_STEPS, 0.1),
        xytext=(4, 0),
        textcoords="offset points",
    )
    axes.set(xlabel="step", ylabel="θ", xlim=(0, shown), ylim=(0, 1.2))
    axes.legend(loc="center right")
    return DescribedFigure(
        figure,
        alt="θ over 240 steps at ρ = 500. SGD at a stable rate rises to the fixed point within "
        "twenty steps and stays. Adam at rate 0.05 rises past it, swings back below it and settles "
        "after about 150 steps; at step 60 it is below the fixed point.",
        caption="Both optimisers end at θ*. Adam overshoots on the way, and the printed 60 steps "
        "end in the middle of its swing.",
    )


def two_parameters(paths: Mapping[str, Floats], fixed_point: Floats) -> DescribedFigure:
    """Draw the ways of SGD and Adam through a plane of two shared parameters.

    Args:
        paths: θ after each step from zero, (n_steps, 2), of ``"SGD"`` and ``"Adam"``.
        fixed_point: where both end, (2,).

    """
    figure, axes = plots.panels(height=2.8)
    for name, colour, dash in (("SGD", "health", "--"), ("Adam", "rul", "-")):
        way = np.vstack([[0, 0], paths[name]])
        axes.plot(*way.T, color=plots.COLOURS[colour], linestyle=dash, label=name)
    axes.plot(
        *fixed_point,
        marker="*",
        markersize=12,
        linestyle="none",
        color=INK,
        label="fixed point",
    )
    axes.plot(0, 0, marker="o", linestyle="none", color=INK, label="start")
    axes.set(xlabel="first parameter", ylabel="second parameter")
    axes.legend()
    return DescribedFigure(
        figure,
        alt="Paths of SGD and Adam in a plane of two shared parameters. They leave the same start "
        "in different directions and end at the same point.",
        caption="Two shared parameters: SGD and Adam take different paths to the same point.",
    )


def gradient_ratios(norms: pd.DataFrame) -> DescribedFigure:
    """Draw the gradient ratio of single batches by seed, a panel a subset.

    The first two numbers of training steps are drawn. A batch without a RUL gradient has no mark,
    a seed without one keeps its line.

    Args:
        norms: rows of ``early_gradient_norms``, with the columns ``subset`` and ``seed`` added; the
            first seed has the lowest line.

    """
    subsets, seeds = (list(norms[column].unique()) for column in ("subset", "seed"))
    steps = list(norms["step"].unique())[:2]
    norms = norms[norms["norm_rul"] > 0]
    figure, panels = plots.panels(len(subsets), sharex=True, height=1.7)
    for axes, subset in zip(np.atleast_1d(panels), subsets, strict=True):
        for step, colour, marker, shift in zip(
            steps, ("rul", "health"), "o^", (0.12, -0.12), strict=True
        ):
            rows = norms[(norms["subset"] == subset) & (norms["step"] == step)]
            axes.semilogx(
                rows["ratio"],
                [seeds.index(seed) + shift for seed in rows["seed"]],
                marker,
                color=plots.COLOURS[colour],
                label=f"after {step} steps",
                alpha=0.8,
            )
        axes.set(title=subset, ylabel="seed", yticks=range(len(seeds)), yticklabels=seeds)
        axes.set(ylim=(-0.6, len(seeds) - 0.4))
    lowest, highest = norms["ratio"].min(), norms["ratio"].max()
    ticks = [tick for tick in _RATIO_TICKS if 0.7 * lowest < tick < 1.4 * highest]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("RUL gradient norm over health gradient norm")
    np.atleast_1d(panels)[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return DescribedFigure(
        figure,
        alt="Gradient ratio of single batches by seed, logarithmic axis, FD001 above and FD002 "
        f"below, after {' and '.join(map(str, steps))} training steps. The ratios go from "
        f"{lowest:.0f} to {highest:.0f}; batches of one seed lie close together compared with the "
        "distance between seeds. Seeds with a shut RUL head have no marks.",
        caption="One mark per batch. Seeds without marks have an RUL head that started shut.",
    )


def recall_by_epoch(epochs: pd.DataFrame, rests_on: str) -> DescribedFigure:
    """Draw the recall of each health state by epoch, mean over seeds, a panel a subset.

    Args:
        epochs: ``health_by_epoch`` of the runs.
        rests_on: what the caption says that the figure rests on.

    """
    subsets = sorted(epochs["subset"].unique())
    columns = 2 if len(subsets) > 1 else 1
    rows = max(-(-len(subsets) // columns), 1)
    figure, panels = plots.panels(rows, columns, sharex=True, sharey=True, height=1.5)
    every_panel = np.atleast_1d(panels).ravel()
    for axes, subset in zip(every_panel, subsets, strict=False):
        means = epochs[epochs["subset"] == subset].groupby("epoch")[list(RECALLS)].mean()
        for state, column, (colour, dash, _) in zip(
            HEALTH_STATES, RECALLS, _STATE_LOOKS, strict=True
        ):
            axes.plot(means.index, means[column], dash, color=plots.COLOURS[colour], label=state)
        axes.axhline(1 / 3, color=INK, linewidth=0.8, linestyle=":")
        axes.set(title=subset, ylim=(-0.03, 1.03))
    if subsets:
        lines, states = every_panel[0].get_legend_handles_labels()
        figure.legend(lines, states, loc="outside upper center", ncols=3)
    for axes in every_panel[::columns]:
        axes.set_ylabel("recall")
    for axes in every_panel[-columns:]:
        axes.set_xlabel("epoch")
    critical = epochs[epochs["selected"]].groupby("subset")[RECALLS[2]].mean()
    ends = [f"{subset}: the critical state ends at {end:.2f}." for subset, end in critical.items()]
    return DescribedFigure(
        figure,
        alt="Recall of the three health states on the validation engines by epoch, one panel per "
        f"subset, with a dotted line at one third. {' '.join(ends)}",
        caption=f"Mean over seeds; dotted: one third. {rests_on}",
    )


def feature_maps(maps: TrunkMaps) -> DescribedFigure:
    """Draw the maps of the shared features, marked by health state, side by side."""
    health, agreement = maps.windows.health, maps.agreement
    figure, panels = plots.panels(1, len(maps.points), height=2.9)
    for axes, (trunk, points) in zip(panels, maps.points.items(), strict=True):
        for number, (state, (colour, _, marker)) in enumerate(
            zip(HEALTH_STATES, _STATE_LOOKS, strict=True)
        ):
            axes.plot(
                *points[health == number].T,
                marker,
                color=plots.COLOURS[colour],
                markersize=3.5,
                alpha=0.7,
                label=state,
                linestyle="none",
            )
        axes.set(
            title=f"{trunk} trunk:\n{agreement[trunk]:.0%} of neighbours agree",
            xticks=[],
            yticks=[],
        )
    marks, states = panels[0].get_legend_handles_labels()
    figure.legend(marks, states, loc="outside lower center", ncols=3)
    return DescribedFigure(
        figure,
        alt="Two t-SNE maps of the shared features of validation windows, marked by health state, "
        "of the untrained and the trained trunk. The nearest window of another engine has the same "
        f"state in {agreement['untrained']:.2f} and {agreement['trained']:.2f} of the cases, "
        "averaged over states.",
        caption="FD001, compact network, one seed. Perplexity 30, from PCA; distances between far "
        "groups mean nothing in such a map.",
    )
