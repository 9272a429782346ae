"""Figures of chapter 08: one model under eight protocols, the cap, the choice of the epoch."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rulbook.data.prepare import RUL_CAP
from rulbook.display import plots
from rulbook.display.explorers import Explorer, Slider, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.experiments.protocol_on_trees import UNCAPPED_TEST, VALIDATION_WINDOWS
from rulbook.metrics import rmse
from rulbook.training.config import PROTOCOL_LABEL

CAPS = (80, 100, 110, RUL_CAP, 140, 160, 200, None)
"""Caps of the true RUL that the explorer offers, cycles; ``None`` leaves it as it is."""


def one_model_eight_choices(
    choices: pd.DataFrame, printed: Iterable[float], source: str
) -> DescribedFigure:
    """Draw the RMSE of one model under each choice of the protocol, with the source's figures.

    Args:
        choices: what ``trees_under_each_choice`` returns for FD002.
        printed: errors that the source prints for FD002, cycles.
        source: what a reader sees for the data.

    """
    rows = choices.iloc[::-1].reset_index(drop=True)
    figure: Figure
    figure, axes = plots.panels(height=2.9)
    for value in printed:
        axes.axvline(value, color=plots.COLOURS["health"], linewidth=0.9, linestyle="--")
    axes.barh(rows.index, rows["rmse"], color=plots.COLOURS["rul"], height=0.6)
    has_interval = rows[rows["low"].notna()]
    axes.hlines(
        has_interval.index,
        has_interval["low"],
        has_interval["high"],
        color=plots.COLOURS["ink"],
        linewidth=1.2,
    )
    axes.set(
        yticks=list(rows.index), yticklabels=rows["choice"], xlabel="RMSE (cycles)", xlim=(0, 34)
    )
    errors = rows.set_index("choice")["rmse"]
    return DescribedFigure(
        figure,
        "Bars of the RMSE of one tree ensemble on FD002 under eight choices of the protocol, with "
        "the source's seven figures as dashed lines. The protocol's bar ends at "
        f"{errors[PROTOCOL_LABEL]:.0f} cycles, that of uncapped test targets at "
        f"{errors[UNCAPPED_TEST]:.0f}, that of windows drawn at random at "
        f"{errors[VALIDATION_WINDOWS]:.0f}.",
        f"Dashed: what the source prints for FD002. Bars: the same model, {source}. Thin lines: "
        "95 % over test engines.",
    )


def cap_explorer(predictions: Mapping[str, pd.DataFrame]) -> Explorer:
    """Return an explorer of ``predicted_against_true`` by model and cap.

    Args:
        predictions: ``true_rul`` and ``predicted_rul`` of each test engine, cycles, by the name of
            the model.

    """

    def draw(model: str, limit: int | None) -> tuple[Figure, str]:
        figure, sentence = predicted_against_true(predictions[model], limit)
        return figure, f"{model}: {sentence}"

    return explorer(
        draw,
        [
            Toggle("model", "predictions of", list(predictions)),
            Slider(
                "limit",
                "cap of the true RUL",
                CAPS,
                default=RUL_CAP,
                shown=lambda limit: f"{limit} cycles" if limit else "none",
            ),
        ],
        name="08-cap",
        caption=f"Try: move the cap away from {RUL_CAP} in either direction. The predictions stay "
        "the same; only what they are compared with changes.",
    )


def predicted_against_true(frame: pd.DataFrame, limit: int | None) -> tuple[Figure, str]:
    """Draw predicted against true RUL, held at a cap, and say what RMSE that makes.

    Args:
        frame: ``true_rul`` and ``predicted_rul`` of each test engine, cycles.
        limit: the cap, cycles; ``None`` for none.

    """
    predicted = frame["predicted_rul"]
    true = frame["true_rul"].clip(upper=limit) if limit else frame["true_rul"]
    above = frame["true_rul"] > (limit or np.inf)
    figure: Figure
    figure, axes = plots.panels(height=2.8)
    axes.plot([0, 200], [0, 200], color=plots.COLOURS["ink"], linewidth=0.8)
    axes.plot(
        true[~above],
        predicted[~above],
        "o",
        color=plots.COLOURS["rul"],
        alpha=0.6,
        markersize=3.5,
        label="below the cap",
    )
    axes.plot(
        true[above],
        predicted[above],
        "x",
        color=plots.COLOURS["health"],
        alpha=0.8,
        markersize=4,
        label="held at the cap",
    )
    axes.set(
        xlim=(0, 200),
        ylim=(0, 200),
        xlabel="true RUL, as scored (cycles)",
        ylabel="predicted RUL (cycles)",
    )
    axes.legend(loc="upper left")
    words = f"held at {limit} cycles" if limit else "not capped"
    error = rmse(predicted, true.astype(float))
    return figure, f"true RUL {words}, RMSE {error:.1f} cycles over {len(frame)} test engines."


def leak_courses(
    courses: pd.DataFrame, printed: Mapping[str, Mapping[str, Decimal]]
) -> DescribedFigure:
    """Draw the error on held-out windows epoch by epoch, and the source's figures as lines.

    Args:
        courses: what ``rulbook.studies.protocol_choices.held_out_courses`` returns.
        printed: the source's RMSE, cycles, by method; for each subset, which gets a panel.

    """
    figure: Figure
    figure, panels = plots.panels(len(printed), sharex=True, height=3.0)
    styles = (
        (colour, line)
        for line in ("-", "--")
        for colour in (plots.COLOURS[name] for name in ("rul", "both", "other", "ink"))
    )
    style_of = dict(zip(courses["method"].unique(), styles, strict=False))
    read = []
    for axes, (subset, anchors) in zip(np.atleast_1d(panels), printed.items(), strict=True):
        for value in anchors.values():
            axes.axhline(float(value), color=plots.COLOURS["health"], linewidth=0.9, linestyle=":")
        of_subset = courses[courses["subset"] == subset]
        ends = []
        for (name, label), runs in of_subset.groupby(["method", "label"], sort=False):
            mean = runs.groupby("epoch")["rmse"].mean()
            colour, line = style_of[name]
            axes.plot(mean.index, mean, color=colour, linestyle=line, label=label)
            ends.append(f"{label} {mean.iloc[-1]:.2f}")
        axes.set(title=subset, ylabel="held-out RMSE (cycles)")
        if ends:
            axes.legend(fontsize=8)
        else:
            axes.text(0.5, 0.5, "not recorded yet", transform=axes.transAxes, ha="center")
        in_the_end = f"at the end {', '.join(ends)}" if ends else "not recorded yet"
        read.append(f"{subset}: {in_the_end}.")
    np.atleast_1d(panels)[-1].set(xlabel="epoch")
    return DescribedFigure(
        figure,
        "RMSE against the epoch on held-out windows of engines that were trained on, one line per "
        f"weighting, the source's figures as dotted lines. {' '.join(read)}",
        "Compact network, windows held out, no early stop, means over the recorded seeds. Dotted: "
        "what section 24.1 prints for the subset.",
    )


def selection_by_trees(by_trees: pd.DataFrame, source: str) -> DescribedFigure:
    """Draw both errors of gradient boosting against its trees, and mark the two choices of them.

    Args:
        by_trees: what ``boosted_by_trees`` returns for FD002.
        source: what a reader sees for the data.

    """
    trees, on_test = by_trees["trees"], by_trees["test_rmse"]
    figure: Figure
    figure, axes = plots.panels()
    axes.plot(
        trees,
        by_trees["validation_rmse"],
        "--",
        color=plots.COLOURS["health"],
        label="validation engines, all windows",
    )
    axes.plot(trees, on_test, color=plots.COLOURS["rul"], label="test engines, last window")
    choices = []
    for place, words, below in (
        (int(by_trees["validation_rmse"].to_numpy().argmin()), "chosen on validation", 14),
        (int(on_test.to_numpy().argmin()), "best on test", 26),
    ):
        point = (trees.iloc[place], on_test.iloc[place])
        choices.append(f"{words}: {point[0]} trees, test error {point[1]:.1f} cycles")
        axes.plot(*point, "o", color=plots.COLOURS["ink"])
        axes.annotate(
            words,
            point,
            xytext=(0, -below),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    lowest = by_trees[["validation_rmse", "test_rmse"]].min().min()
    axes.set(xlabel="trees", ylabel="RMSE (cycles)", ylim=(lowest - 2, lowest + 8))
    axes.legend()
    return DescribedFigure(
        figure,
        "RMSE of gradient boosting against the number of trees on the validation and on the test "
        f"engines. From {trees.iloc[0]} to {trees.iloc[-1]} trees the test error goes from "
        f"{on_test.iloc[0]:.1f} to {on_test.iloc[-1]:.1f} cycles. {'; '.join(choices)}.",
        f"Gradient boosting on FD002, {source}: the error against the number of trees.",
    )
