"""Figures of chapter 07: the sweep over fixed weights, the methods in order, GABA's floor."""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

from rulbook.display import plots
from rulbook.display.explorers import Explorer, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.results import in_words, sentences, waiting
from rulbook.experiments.gaba_floor import first_bound_step
from rulbook.statistics import TOLD_APART
from rulbook.studies.comparison import REFERENCE, estimates_of, networks_of
from rulbook.studies.evidence import Evidence
from rulbook.studies.methods import METHODS
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.gaba import GABALoss
from rulbook.weighting.registry import get_loss
from rulbook.weighting.surgery import SurgeryLoss

METRIC_WORDS: Mapping[str, str] = {
    "rmse": "RMSE, capped (cycles)",
    "rmse_uncapped": "RMSE, uncapped (cycles)",
    "nasa_score": "NASA score",
    "health_accuracy": "health accuracy",
}
"""What a reader sees for the metrics that a figure shows."""


def weight_sweep(
    evidence: Evidence,
    weights: Mapping[float, str],
    printed: Mapping[str, Mapping[str, Decimal]],
) -> DescribedFigure:
    """Draw the test RMSE against the RUL weight, ours with intervals and the source's anchors.

    Args:
        evidence: what is recorded of the sweep.
        weights: name of the method by RUL weight, in the order of the axis.
        printed: the source's RMSE, cycles, by method; for each subset, which gets a panel.

    """
    figure: Figure
    figure, panels = plots.panels(len(printed), sharex=True, height=2.0)
    places = {name: place for place, name in enumerate(weights.values())}
    read = []
    for axes, (subset, anchors) in zip(np.atleast_1d(panels), printed.items(), strict=True):
        rows = estimates_of(evidence, subset).set_index("method")
        rows = rows[rows["rmse"].notna()].reindex(list(places))
        middle, low, high = rows[["rmse", "low", "high"]].to_numpy().T
        axes.errorbar(
            list(places.values()),
            middle,
            [middle - low, high - middle],
            fmt="o-",
            color=plots.COLOURS["rul"],
            capsize=3,
            label="ours, 95 % over engines and seeds",
        )
        axes.plot(
            [places[name] for name in anchors],
            [float(rmse) for rmse in anchors.values()],
            "D--",
            color=plots.COLOURS["health"],
            label="the source's table",
        )
        axes.set(title=subset, ylabel="test RMSE (cycles)", yscale="log")
        axes.set_yticks([5, 7, 10, 14, 20, 28], labels=["5", "7", "10", "14", "20", "28"])
        axes.minorticks_off()
        read.append(
            f"{subset}: the source's anchors go from {min(anchors.values()):.1f} to "
            f"{max(anchors.values()):.1f} cycles, our recorded ones from "
            f"{rows['rmse'].min():.1f} to {rows['rmse'].max():.1f}."
        )
    axes.set(xlabel="RUL weight λ (1: single task)")
    axes.set_xticks(
        list(places.values()), labels=[f"{weight:g}" for weight in weights], fontsize=8.5
    )
    np.atleast_1d(panels)[0].legend(loc="lower right", bbox_to_anchor=(1, 1))
    return DescribedFigure(
        figure,
        "Test RMSE against the RUL weight, logarithmic axis, "
        f"{' above and '.join(printed)} below. {' '.join(read)}",
        "Compact network, last window of each test engine, RUL capped. " + evidence.sentence(),
    )


def specification_curve(compared: pd.DataFrame) -> DescribedFigure:
    """Draw every difference from equal weights in rising order, and below what each one is of.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns. Rows without an
            interval, and baselines, are left out.

    """
    networks = networks_of(compared)
    rows = networks[networks["difference_low"].notna()].sort_values("difference")
    marked = _choices(rows)
    lines = max(len(marked), 1)
    heights = (2.4, 0.17 * lines)
    figure: Figure
    figure, (curve, choices) = plots.panels(
        2, height=sum(heights) / 2, sharex=True, height_ratios=heights
    )
    middle, low, high = rows[["difference", "difference_low", "difference_high"]].to_numpy().T
    apart, places = rows["outcome"].isin(TOLD_APART).to_numpy(), np.arange(len(rows))
    curve.vlines(places, low, high, color=plots.COLOURS["rul"], linewidth=1, alpha=0.6)
    curve.plot(places, middle, ".", color=plots.COLOURS["rul"])
    curve.plot(places[apart], middle[apart], "D", color=plots.COLOURS["health"])
    curve.axhline(0, color=plots.COLOURS["ink"], linestyle="--", linewidth=1)
    curve.set_ylabel("minus equal weights\n(test RMSE, cycles)")
    for height, has_choice in enumerate(marked.values()):
        for shown, mark, colour in ((~apart, "|", "rul"), (apart, "D", "health")):
            of_choice = places[has_choice & shown]
            choices.plot(
                of_choice, np.full(len(of_choice), height), mark, color=plots.COLOURS[colour]
            )
    choices.set_yticks(range(len(marked)), labels=list(marked), fontsize=8)
    choices.set(xticks=[], xlabel="each column is one comparison", ylim=(lines - 0.5, -0.5))
    reach = f", from {middle.min():.2f} to {middle.max():.2f} cycles" if len(rows) else ""
    return DescribedFigure(
        figure,
        f"{len(rows)} differences of the test RMSE from equal weights, one for each subset, method "
        f"and training condition with five seeds, in rising order{reach}, with 95 % intervals over "
        f"engines and seeds; {apart.sum()} of them are told from zero. Marks below each say of "
        "which subset, training condition and kind of method it is.",
        "Compact network, RUL capped. A diamond is a difference that is told from zero after "
        "Holm's correction over the methods of its subset and condition.",
    )


def _choices(rows: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which rows are of which subset, training condition and kind of method."""
    kinds = {name: _kinds(name) for name in set(rows["method"])}
    by_subset = {name: rows["subset"] == name for name in sorted(set(rows["subset"]))}
    by_condition = {
        label: rows["condition_label"] == label for label in dict.fromkeys(rows["condition_label"])
    }
    by_kind = {kind: [kind in kinds[name] for name in rows["method"]] for kind in _KINDS}
    return {
        label: np.asarray(has_choice)
        for label, has_choice in (by_subset | by_condition | by_kind).items()
        if np.any(has_choice)
    }


_KINDS = (
    *("single task", "fixed weights", "adaptive weights", "combined gradients"),
    "failure-weighted loss",
)


def _kinds(method: str) -> set[str]:
    """Return which of ``_KINDS`` a method is: how it weighs, and whether its inner loss does."""
    row = METHODS[method]
    loss = get_loss(row.weighting)
    single, fixed, adaptive, combined, failure_weighted = _KINDS
    if row.weighting == "single_task":
        weighting = single
    elif isinstance(loss, FixedWeightLoss):
        weighting = fixed
    else:
        weighting = combined if isinstance(loss, SurgeryLoss) else adaptive
    return {weighting} | ({failure_weighted} if row.inner_loss != "mse" else set())


def methods_explorer(evidence_of: Mapping[str, Evidence]) -> Explorer | Markdown:
    """Return an explorer of ``methods_in_order`` by subset and metric.

    Args:
        evidence_of: what is recorded of the core studies, by subset; subsets of which nothing is
            recorded are left out.

    """
    subsets = [subset for subset, one in evidence_of.items() if len(estimates_of(one, subset))]
    if not subsets:
        return waiting("No run is recorded yet; `rulbook sweep core` makes them.")
    return explorer(
        lambda subset, metric: methods_in_order(evidence_of[subset], subset, metric),
        [
            Toggle("subset", "subset", subsets),
            Toggle("metric", "metric", list(METRIC_WORDS), shown=METRIC_WORDS.__getitem__),
        ],
        name="07-methods",
        caption="Try: switch the metric and watch the order change while the marks hardly move. "
        "Orange: fixed 0.5/0.5. For the capped RMSE the bars are 95 % intervals over engines and "
        "seeds, for the rest one standard deviation over seeds. "
        f"{sentences(evidence_of.values())}",
    )


def methods_in_order(evidence: Evidence, subset: str, metric: str) -> tuple[Figure, str]:
    """Draw one metric of every method, sorted, and say in a sentence what is seen.

    The capped RMSE has its crossed interval over engines and seeds; other metrics have the standard
    deviation over seeds. A method with fewer seeds than others has a hollow mark.
    """
    measured = "rmse" if metric == "rmse" else f"{metric}_mean"
    rows = estimates_of(evidence, subset)
    rows = rows[rows[measured].notna()].sort_values(measured, ignore_index=True)
    figure: Figure
    figure, axes = plots.panels(height=0.18 * max(len(rows), 4) + 0.7)
    values = rows[measured]
    colours = [plots.COLOURS["health" if name == REFERENCE else "rul"] for name in rows["method"]]
    if metric == "rmse":
        axes.hlines(rows.index, rows["low"], rows["high"], color=colours, linewidth=1.4)
    else:
        deviation = rows[f"{metric}_sd"].fillna(0.0)
        axes.hlines(
            rows.index, values - deviation, values + deviation, color=colours, linewidth=1.4
        )
    every_seed = rows["seeds"] == rows["seeds"].max()
    filled = [colour if full else "white" for colour, full in zip(colours, every_seed, strict=True)]
    axes.scatter(values, rows.index, color=filled, edgecolors=colours, s=18, zorder=3)
    axes.set(
        yticks=list(rows.index),
        yticklabels=rows["label"],
        xlabel=METRIC_WORDS[metric],
        ylim=(len(rows) - 0.4, -0.6),
    )
    axes.tick_params(axis="y", labelsize=9)
    if metric in ("rmse_uncapped", "nasa_score"):
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=5)
    return figure, _order_in_words(rows, values, subset, metric)


def gaba_floor(trace: pd.DataFrame, title: str, setting: str) -> DescribedFigure:
    """Draw a trace of GABA: the gradient ratio above, the weight wanted, averaged and used below.

    Args:
        trace: what ``trace_gaba`` returns.
        title: subset, data and seed.
        setting: network, batch size and data, for the caption.

    """
    method = GABALoss()
    bound_at = first_bound_step(trace)
    step, ink = trace["step"], plots.COLOURS["ink"]
    figure: Figure
    figure, (top, bottom) = plots.panels(2, sharex=True, height=1.9)
    top.semilogy(step, trace["ratio"], color=plots.COLOURS["other"], linewidth=0.9)
    top.set(ylabel="gradient ratio", title=title)
    bottom.semilogy(
        step,
        trace["wanted"],
        color=plots.COLOURS["health"],
        linewidth=0.8,
        alpha=0.7,
        label="wanted, 1/(1+ρ)",
    )
    bottom.semilogy(
        step, trace["average"], "--", color=plots.COLOURS["both"], label="moving average"
    )
    bottom.semilogy(step, trace["weight"], color=plots.COLOURS["rul"], label="weight used")
    bottom.axhline(method.min_weight, color=ink, linestyle=":", linewidth=1.0, label="floor")
    for axes in (top, bottom):
        axes.axvline(method.warmup_steps, color=ink, linewidth=0.6)
        if bound_at:
            axes.axvline(bound_at, color=ink, linewidth=1.2, linestyle="--")
    bottom.set(xlabel="training step", ylabel="RUL weight")
    bottom.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=2, fontsize=8.5)
    return DescribedFigure(
        figure,
        f"Above, the gradient ratio of each step, {trace['ratio'].head(50).median():.0f} at the "
        f"start and {trace['ratio'].tail(50).median():.0f} at the end. Below, on a logarithmic "
        "axis, the RUL weight that the ratio asks for, the moving average, and the weight that is "
        f"used: the average ends at {trace['average'].iloc[-1]:.4f}, the weight at "
        f"{trace['weight'].iloc[-1]:.4f}.",
        "Thin line: end of warm-up. Dashed line: the step at which the floor binds "
        f"({bound_at or 'not within this trace'}). {setting}.",
    )


def _order_in_words(rows: pd.DataFrame, values: pd.Series, subset: str, metric: str) -> str:
    if rows.empty:
        return f"Nothing is recorded on {subset} yet."
    labels, seeds = rows["label"].tolist(), sorted(set(rows["seeds"]))
    counts = f"{in_words(seeds[-1], 'seed')} each"
    if len(seeds) > 1:
        counts = f"{seeds[0]} to {counts} (hollow: fewer than {seeds[-1]})"
    ends = (
        f"lowest {labels[0]} at {values.iloc[0]:.4g}, highest {labels[-1]} at {values.iloc[-1]:.4g}"
    )
    return (
        f"{METRIC_WORDS[metric]} on {subset}, {len(rows)} of {len(METHODS)} methods, "
        f"{counts}: {ends}."
    )
