"""Figures of chapter 06: the error against the RUL weight, and where plain SGD diverges."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rulbook.claims.printed import ABLATION_ROWS, curve
from rulbook.display import plots
from rulbook.display.explorers import Explorer, Slider, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.results import in_words, number, rows_of
from rulbook.experiments.equal_weights import Divergence
from rulbook.statistics import Estimate
from rulbook.studies.claim_rules import BOOK_SUBSETS

_LOOKS = {"FD002": ("rul", "-", "o", -0.006), "FD004": ("health", "--", "s", 0.006)}
"""Colour, dash, marker and shift along the axis, so that two subsets do not hide each other."""


def sensitivity_explorer(
    printed: pd.DataFrame, recorded: Mapping[str, pd.DataFrame], live: Mapping[float, Estimate]
) -> Explorer:
    """Return an explorer of ``sensitivity`` by RUL weight; see there for the arguments."""
    return explorer(
        lambda at: sensitivity(printed, recorded, live, at),
        [
            Slider(
                "at", "RUL weight λ", tuple(live), default=0.5, shown=lambda weight: f"{weight:g}"
            )
        ],
        name="06-lambda",
        caption="Try: push λ above 0.85, where the section sees a cliff, and see how FD004 moves "
        "between the rows 0.75 and 0.9. Then go below 0.5, where the source has no row.",
    )


def sensitivity_still(
    printed: pd.DataFrame, recorded: Mapping[str, pd.DataFrame], live: Mapping[float, Estimate]
) -> DescribedFigure:
    """Return ``sensitivity`` at equal weights, with its description."""
    figure, _ = sensitivity(printed, recorded, live, 0.5)
    means = [estimate.value for estimate in live.values()]
    return DescribedFigure(
        figure,
        "Above: the source's RMSE on FD002 and FD004 against the RUL weight, logarithmic axis, "
        "from five printed rows between 0.5 and 1 joined by straight lines; both end high at 1. "
        "Below: the small network's RMSE on FD001, with intervals; its means over seeds lie "
        f"between {number(min(means), 1)} and {number(max(means), 1)} cycles from a weight of "
        f"{min(live):g} to {max(live):g}.",
    )


def sensitivity(
    printed: pd.DataFrame,
    recorded: Mapping[str, pd.DataFrame],
    live: Mapping[float, Estimate],
    at: float,
) -> tuple[Figure, str]:
    """Draw the test RMSE against the RUL weight, mark one weight, and say what stands there.

    Args:
        printed: what ``ablation_table`` returns.
        recorded: what ``estimates_by_rul_weight`` returns, by subset.
        live: the small network's mean RMSE on FD001 over seeds, cycles, by RUL weight.
        at: the RUL weight to mark, one of those of ``live``.

    """
    figure: Figure
    figure, (above, below) = plots.panels(2, sharex=True, height=2.2)
    fine, rows = np.linspace(0.5, 1.0, 101), np.array(list(ABLATION_ROWS.values()))
    for subset, (colour_name, dash, marker, aside) in _LOOKS.items():
        colour = plots.COLOURS[colour_name]
        above.semilogy(fine, curve(printed[subset], fine), dash, color=colour)
        above.semilogy(
            rows, curve(printed[subset], rows), marker, color=colour, label=f"source, {subset}"
        )
        if len(recorded[subset]):
            ours = recorded[subset].sort_index()
            middle, low, high = ours[["rmse", "low", "high"]].to_numpy(float).T
            above.errorbar(
                ours.index.to_numpy() + aside,
                middle,
                [middle - low, high - middle],
                fmt=marker,
                mfc="white",
                color=colour,
                capsize=3,
                label=f"records, {subset}",
            )
    middle = np.array([estimate.value for estimate in live.values()])
    below.errorbar(
        list(live),
        middle,
        np.array([estimate.high for estimate in live.values()]) - middle,
        fmt="^-",
        color=plots.COLOURS["both"],
        capsize=3,
        label="small network, FD001",
    )
    below.set_ylim(middle.min() - 3, middle.max() + 3)
    for panel in (above, below):
        panel.axvline(at, color=plots.COLOURS["ink"], linewidth=0.8, linestyle=":")
        panel.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2)
        panel.set(xlim=(-0.03, 1.03))
    above.set(ylabel="RMSE, cycles (log)", ylim=(5, 60))
    above.set_yticks((6, 10, 20, 40), ("6", "10", "20", "40"))
    above.minorticks_off()
    below.set(ylabel="RMSE, cycles", xlabel="RUL weight λ")
    return figure, _at_one_weight(printed, recorded, live[at], at)


def divergence(survival: Divergence) -> DescribedFigure:
    """Draw the share of runs of plain SGD that stay finite against the learning rate."""
    figure: Figure
    figure, axes = plots.panels()
    for finite, label, colour, style in zip(
        survival.finite,
        ("(0.5, 0.5)", "(0.7, 0.7)"),
        ("rul", "health"),
        ("o-", "s--"),
        strict=True,
    ):
        axes.semilogx(survival.rates, 100 * finite, style, color=plots.COLOURS[colour], label=label)
    axes.axvline(survival.best_rate, color=plots.COLOURS["ink"], linewidth=0.8, linestyle=":")
    ticks = ("0.002", "0.005", "0.01", "0.02", "0.05")
    axes.set_xticks([float(tick) for tick in ticks], ticks)
    axes.minorticks_off()
    axes.set(xlabel="learning rate of plain SGD", ylabel="runs that stay finite, %", ylim=(-5, 105))
    axes.legend(title="weights", loc="lower left")
    equal, larger = (survival.rates[finite == 1].max() for finite in survival.finite)
    return DescribedFigure(
        figure,
        "Share of runs that stay finite against the learning rate of plain SGD, for weights 0.5 "
        "and 0.5 and for 0.7 and 0.7. The largest rate at which all runs stay finite is "
        f"{equal:.3g} for the first and {larger:.3g} for the second; the rates tried are a factor "
        f"of {survival.rates[1] / survival.rates[0]:.2f} apart.",
        "Plain SGD. The dotted line is the rate at which (0.5, 0.5) has its lowest validation "
        "error.",
    )


def _at_one_weight(
    printed: pd.DataFrame, recorded: Mapping[str, pd.DataFrame], live: Estimate, at: float
) -> str:
    """Say what stands at one RUL weight, from the source, the records and the live runs."""
    first = min(ABLATION_ROWS.values())
    parts = []
    for subset in BOOK_SUBSETS:
        if at >= first:
            how = "prints" if at in ABLATION_ROWS.values() else "interpolates to"
            text = f"{subset}: the source {how} {float(curve(printed[subset], at)):.2f} cycles"
        else:
            text = f"{subset}: the source has no row to the left of {first:g}"
        for row in rows_of(recorded[subset][recorded[subset].index == at]):
            text += (
                f", we measure {row.rmse:.2f} [{row.low:.2f}, {row.high:.2f}] "
                f"({in_words(row.seeds, 'seed')})"
            )
        parts.append(text)
    parts.append(f"Small network, FD001: {live.value:.2f} [{live.low:.2f}, {live.high:.2f}]")
    return f"λ = {at:g}. {'. '.join(parts)}."
