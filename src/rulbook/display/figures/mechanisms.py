"""Figures of what a second task does for the first (chapter 01)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from rulbook.display import plots
from rulbook.display.explorers import Explorer, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.results import number, rows_of
from rulbook.display.svg import INK
from rulbook.experiments import mechanisms
from rulbook.statistics import Estimate, over_seeds
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

TRAININGS: Mapping[str, str] = {
    "single_task": "single task",
    EQUAL_WEIGHTING: "0.5/0.5",
    "gaba": "GABA",
    "grace": "GRACE",
}
"""The trainings of ``single_or_multi_explorer``, and what readers call them."""

_WEIGHTS_IN_WORDS = {
    "single_task": ("λ = 1", "λ = 0"),
    EQUAL_WEIGHTING: ("λ = 0.5", "λ = 0.5"),
    "gaba": ("λ from gradients", "λ from gradients"),
    "grace": ("λ from gradients", "λ from gradients"),
}


def few_engines(error_difference: pd.DataFrame, gap_difference: pd.DataFrame) -> DescribedFigure:
    """Draw test error and overfitting against the single task, by number of training engines.

    Args:
        error_difference: what ``paired_differences`` returns of the test error, cycles.
        gap_difference: the same of test minus training error.

    """
    looks = dict(
        zip(
            mechanisms.LABELLINGS[1:],
            (("rul", "o", 0.93), ("health", "s", 1.0), ("both", "^", 1.07)),
            strict=True,
        )
    )
    figure, panels = plots.panels(2, sharex=True, height=2.0)
    differences = {"test error": error_difference, "test minus training error": gap_difference}
    for axes, (label, differing) in zip(panels, differences.items(), strict=True):
        axes.axhline(0, color=INK, linewidth=0.8)
        for name, (colour, marker, shift) in looks.items():
            part = differing[differing["training"] == name]
            _with_intervals(axes, part["engines"] * shift, part, colour, marker, name)
        axes.set_xscale("log", base=2)
        axes.set(ylabel=f"{label},\nagainst single task", ylim=(-2, 2.5))
    panels[1].set(xlabel="training engines")
    panels[1].set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    at_fewest = error_difference[error_difference["engines"] == error_difference["engines"].min()]
    fewest = ", ".join(f"{row.training} {number(row.difference)}" for row in rows_of(at_fewest))
    return DescribedFigure(
        figure,
        alt="Two panels over the number of training engines, 2 to 32. Above, the test error of "
        "three kinds of two-task training minus that of the single task; below, the same for the "
        "gap between test and training error. A line marks zero; every point has its interval. "
        f"Means above with the fewest engines: {fewest} cycles.",
        caption="Below zero, the second task would help. Each mark is the difference, in cycles, "
        "from the single-task network of the same seed and engines: mean and 95 % interval over "
        "seeds.",
    )


def transfer(heads: pd.DataFrame) -> DescribedFigure:
    """Draw the error of new RUL heads on frozen trunks.

    Args:
        heads: what ``representation_transfer`` returns.

    """
    figure, axes = plots.panels(height=2.2)
    means = []
    for place, name in enumerate(mechanisms.TRUNKS):
        values = heads.loc[heads["trunk"] == name, "rmse"]
        estimate = over_seeds(values)
        means.append(f"{name} {number(estimate.value, 1)}")
        axes.plot(values, np.full(len(values), place), ".", color=INK, alpha=0.35)
        axes.errorbar(
            estimate.value,
            place,
            xerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]],
            fmt="D",
            color=plots.COLOURS["rul"],
            capsize=3,
        )
    axes.set_yticks(range(len(mechanisms.TRUNKS)), list(mechanisms.TRUNKS))
    axes.set(xlabel="RMSE of a new RUL head, cycles", ylabel="trunk trained on")
    axes.invert_yaxis()
    return DescribedFigure(
        figure,
        alt=f"RMSE of a linear RUL head on {len(means)} frozen trunks, mean over seeds, by what "
        f"the trunk was trained on: {', '.join(means)} cycles.",
        caption="One dot per seed, with the mean and its 95 % interval over seeds.",
    )


def second_tasks(differences: pd.DataFrame) -> DescribedFigure:
    """Draw the RUL error beside each second task against the single task, by RUL weight.

    Args:
        differences: what ``paired_differences`` returns of ``auxiliary_tasks``.

    """
    figure, axes = plots.panels(height=2.7)
    axes.axhline(0, color=INK, linewidth=0.8)
    looks = (("health", "s", 0.88), ("other", "^", 1.0), ("rul", "o", 1.13))
    by_auxiliary = []
    for name, (colour, marker, shift) in zip(mechanisms.AUXILIARIES, looks, strict=True):
        part = differences[differences["auxiliary"] == name]
        by_weight = part.sort_values("rul_weight")["difference"]
        by_auxiliary.append(f"{name} {', '.join(map(number, by_weight))}")
        _with_intervals(axes, part["rul_weight"] * shift, part, colour, marker, name)
    axes.set_xscale("log")
    weights = mechanisms.AUXILIARY_RUL_WEIGHTS
    axes.set_xticks(weights, [f"{weight:g}" for weight in weights])
    axes.minorticks_off()
    axes.set(
        xlabel="RUL weight (the second task has the rest)",
        ylabel="RMSE against single task, cycles",
    )
    axes.legend(title="second task")
    return DescribedFigure(
        figure,
        alt="RMSE of the RUL beside three second tasks, minus that of the single task, over four "
        f"RUL weights. Means over seeds, by rising weight: {'; '.join(by_auxiliary)} cycles.",
        caption="Mean and 95 % interval over seeds. Above zero the second task hurts.",
    )


def single_or_multi_explorer(
    printed: Mapping[str, float], ours: Mapping[str, Estimate]
) -> Explorer:
    """Return the explorer of the heads that train, above the errors on FD002.

    Args:
        printed: the source's RMSE, cycles, by name of ``TRAININGS``.
        ours: our RMSE over seeds, for those that are recorded.

    """
    return explorer(
        lambda method: single_or_multi(method, printed, ours),
        [Toggle("method", "training", tuple(TRAININGS), shown=lambda name: TRAININGS[name])],
        name="01-single-or-multi",
        caption="Above: which heads are trained, and with what weight on the trunk. Below: the "
        "errors on FD002. Try: go from single task to 0.5/0.5 and on to GABA and GRACE, and watch "
        "which of the source's bars is the shortest. (In GRACE, rows near failure count up to "
        "twice in the RUL loss.)",
    )


def single_or_multi(
    method: str, printed: Mapping[str, float], ours: Mapping[str, Estimate]
) -> tuple[Figure, str]:
    """Return one frame of ``single_or_multi_explorer`` and the sentence on it."""
    figure, (net, bars) = plots.panels(2, height=2.1)
    _network(net, method)
    _errors(bars, method, printed, ours)
    mine = "ours is not recorded yet"
    if method in ours:
        mine = f"ours is {ours[method].value:.2f} over {ours[method].n} of 5 seeds"
    trained = "only the RUL head is" if method == "single_task" else "both heads are"
    return figure, (
        f"{TRAININGS[method]}: {trained} trained. The source prints an RMSE of "
        f"{printed[method]:.2f} cycles; {mine}."
    )


def _with_intervals(
    axes: Axes, places: "pd.Series[float]", rows: pd.DataFrame, colour: str, marker: str, name: str
) -> None:
    axes.errorbar(
        places,
        rows["difference"],
        [rows["difference"] - rows["low"], rows["high"] - rows["difference"]],
        color=plots.COLOURS[colour],
        marker=marker,
        linestyle="none",
        capsize=2,
        label=name,
    )


def _network(axes: Axes, method: str) -> None:
    rul_weight, health_weight = _WEIGHTS_IN_WORDS[method]
    two = method != "single_task"
    axes.set(xlim=(-0.05, 1.04), ylim=(0, 1))
    axes.axis("off")
    _box(axes, (0.0, 0.5), 0.2, "30 cycles,\n17 features", "ink")
    _box(axes, (0.27, 0.5), 0.2, "shared\ntrunk", "both")
    _arrow(axes, (0.215, 0.5), (0.26, 0.5))
    _arrow(axes, (0.48, 0.55), (0.82, 0.78))
    _arrow(axes, (0.48, 0.45), (0.82, 0.22), on=two)
    axes.text(0.6, 0.76, rul_weight, ha="center", va="bottom", fontsize=9)
    faint = 1 if two else 0.6
    axes.text(0.6, 0.24, health_weight, ha="center", va="top", fontsize=9, alpha=faint)
    weighted = "\nweighted" if method == "grace" else ""
    _box(axes, (0.84, 0.78), 0.16, f"RUL{weighted}", "rul")
    _box(axes, (0.84, 0.22), 0.16, "health", "health", on=two)


def _box(
    axes: Axes,
    place: tuple[float, float],
    width: float,
    words: str,
    colour: str,
    *,
    on: bool = True,
) -> None:
    x, y = place
    axes.add_patch(
        FancyBboxPatch(
            (x, y - 0.11),
            width,
            0.22,
            boxstyle="round,pad=0.02",
            facecolor=plots.COLOURS[colour] if on else "none",
            edgecolor=plots.COLOURS[colour] if on else INK,
            linestyle="-" if on else ":",
            alpha=0.25 if on else 0.6,
        )
    )
    axes.text(x + width / 2, y, words, ha="center", va="center", alpha=1 if on else 0.7)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, on: bool = True
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=10,
            color=INK,
            linestyle="-" if on else ":",
            alpha=1 if on else 0.5,
        )
    )


def _errors(
    axes: Axes, method: str, printed: Mapping[str, float], ours: Mapping[str, Estimate]
) -> None:
    for place, name in enumerate(TRAININGS):
        bars = [(-0.19, printed[name], "other")]
        if name in ours:
            bars.append((0.19, ours[name].value, "rul"))
        for shift, error, colour in bars:
            strong = 1.0 if name == method else 0.4
            axes.barh(place + shift, error, 0.34, color=plots.COLOURS[colour], alpha=strong)
            axes.text(error, place + shift, f" {error:.2f}", va="center", fontsize=9)
    axes.set_yticks(range(len(TRAININGS)), list(TRAININGS.values()))
    axes.set(xlabel="RMSE on FD002, cycles", xlim=(0, 22))
    axes.invert_yaxis()
    keys = (("source", "other"), ("ours", "rul"))
    handles = [Patch(color=plots.COLOURS[colour], label=words) for words, colour in keys]
    axes.legend(handles=handles, loc="lower right")
