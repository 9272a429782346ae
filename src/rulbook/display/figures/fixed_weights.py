"""Figures of fixed weights: searches for one, and losses and gradients through a training."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rulbook.display import plots
from rulbook.display.explorers import Explorer, Slider, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.svg import INK
from rulbook.experiments.weight_search import Searches
from rulbook.experiments.weight_trade_off import Balanced, balancing_weight, rul_share

Split = Callable[..., tuple[Figure, str]]
"""Takes ``moment``, ``of`` and, if there are several, ``run``."""


def searches(by_kind: Mapping[str, Searches]) -> DescribedFigure:
    """Draw every training of every search, and the best score so far, mean over searches of a kind.

    Args:
        by_kind: the searches; their scores are validation RMSE in cycles.

    """
    figure, (above, below) = plots.panels(2, height=2.2)
    looks = (("more", "D", ":"), ("rul", "o", "-"), ("health", "^", "--"), ("both", "s", "-."))
    for (name, of_kind), (colour, marker, dash) in zip(by_kind.items(), looks, strict=True):
        ratio = of_kind.rul_weights / (1 - of_kind.rul_weights)
        above.semilogx(
            ratio.ravel(),
            of_kind.scores.ravel(),
            marker,
            color=plots.COLOURS[colour],
            label=name,
            alpha=0.6,
        )
        best = of_kind.best_so_far.mean(axis=0)
        below.plot(
            np.arange(1, len(best) + 1),
            best,
            dash,
            marker=marker,
            color=plots.COLOURS[colour],
            label=name,
        )
    above.set(xlabel="RUL weight over health weight", ylabel="validation RMSE, cycles")
    below.set(xlabel="trainings paid for", ylabel="best so far, cycles")
    above.legend(loc="upper right")
    return DescribedFigure(
        figure,
        alt="Above: validation RMSE of every training against the ratio of the two weights over "
        "eight decades. The points form a level band from about one hundredth upwards and rise "
        "below one thousandth. Below: best RMSE so far against the number of trainings; the "
        "searches end close together.",
        caption="Above, every training of every search. Below, the best validation RMSE so far, "
        "mean over the searches of one kind.",
    )


def course(typical: pd.DataFrame) -> DescribedFigure:
    """Draw the ratios of losses and gradient norms, and the cosine, through a training.

    Args:
        typical: what ``typical_course`` returns.

    """
    steps = typical["step"]
    figure, (above, below) = plots.panels(2, sharex=True, height=1.8)
    loss_ratio = typical["rul_loss"] / typical["health_loss"]
    above.semilogy(steps, loss_ratio, "--", color=plots.COLOURS["health"], label="losses")
    above.semilogy(steps, typical["norm_ratio"], color=plots.COLOURS["rul"], label="gradient norms")
    above.set(ylabel="RUL over health")
    above.legend(loc="best")
    below.fill_between(
        steps,
        typical["cosine_low"],
        typical["cosine_high"],
        color=plots.COLOURS["both"],
        alpha=0.25,
    )
    below.plot(steps, typical["cosine"], color=plots.COLOURS["both"])
    below.axhline(0, color=INK, linewidth=0.8)
    below.set(xlabel="step", ylabel="cosine", ylim=(-1, 1))
    return DescribedFigure(
        figure,
        alt="Above: ratio of the losses and ratio of the gradient norms, RUL over health, through "
        "the training of the small network, logarithmic axis; the two curves differ in height and "
        "direction. Below: cosine between the two gradients with its middle ninety per cent over "
        "seeds, on both sides of zero.",
        caption="Small network at 0.5/0.5. Above, medians over seeds. Below, the cosine between "
        "the two gradients on the trunk: median, and the middle 90 % over seeds.",
    )


def split_frames(courses: Mapping[str, pd.DataFrame]) -> Split:
    """Return what draws how a weight that balances the tasks at one moment splits them at others.

    Args:
        courses: by network and subset, with the columns ``progress``, ``rul_loss``,
            ``health_loss`` and ``norm_ratio``; the first one is drawn where none is named.

    """
    first = next(iter(courses))

    def split(moment: float, of: Balanced, run: str = first) -> tuple[Figure, str]:
        return _split(courses[run], run, moment, of)

    return split


def split_controls(courses: Mapping[str, pd.DataFrame]) -> list[Slider | Toggle]:
    """Return the controls of ``split_frames``; with one course there is none to choose."""
    moments = (0, 2, 5, 10, 25, 50, 100)
    controls: list[Slider | Toggle] = [
        Slider("moment", "balanced when this much is done", moments, shown=lambda m: f"{m} %"),
        Toggle("of", "what is balanced", ("losses", "gradients"), default="gradients"),
    ]
    if len(courses) > 1:
        controls.append(Toggle("run", "training", tuple(courses)))
    return controls


def split_explorer(courses: Mapping[str, pd.DataFrame]) -> Explorer:
    """Return the explorer of ``split_frames``; see there for the argument."""
    return explorer(
        split_frames(courses),
        split_controls(courses),
        name="05-split",
        caption="Try: balance the gradients at the start, then at the end, and see which part of "
        "the training each weight gets wrong. Then switch to the losses.",
    )


def split_still(courses: Mapping[str, pd.DataFrame]) -> DescribedFigure:
    """Return the first frame of ``split_explorer`` with its description."""
    return DescribedFigure(*split_frames(courses)(0, "gradients"))


def _split(of_run: pd.DataFrame, run: str, moment: float, of: Balanced) -> tuple[Figure, str]:
    progress = of_run["progress"]
    chosen = (progress - moment).abs().argmin()
    weight = float(balancing_weight(of_run, of).iloc[chosen])
    share = rul_share(of_run, of, weight)
    figure: Figure
    figure, (above, below) = plots.panels(2, sharex=True, height=1.9)
    looks: tuple[tuple[Balanced, str, str], ...] = (
        ("losses", "health", "--"),
        ("gradients", "rul", "-"),
    )
    for what, colour, dash in looks:
        balancing = balancing_weight(of_run, what)
        above.semilogy(progress, balancing, dash, color=plots.COLOURS[colour], label=what)
    above.plot(progress.iloc[chosen], weight, "o", markersize=9, color=plots.COLOURS["both"])
    above.legend(title="balances the", loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2)
    above.set(ylabel="RUL weight λ")
    below.plot(progress, share, color=plots.COLOURS["both"])
    below.axhline(50, color=INK, linewidth=0.8, linestyle=":")
    below.set(xlabel="share of the training done, %", ylabel="RUL share, %", ylim=(0, 100))
    return figure, (
        f"{run[0].upper()}{run[1:]}. λ = {weight:.5f} balances the {of} when "
        f"{progress.iloc[chosen]:.0f} % of the training is done. Kept throughout, it gives the RUL "
        f"task between {share.min():.0f} % and {share.max():.0f} % of the "
        f"{'loss' if of == 'losses' else 'gradient'}."
    )
