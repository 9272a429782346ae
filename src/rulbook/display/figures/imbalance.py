"""Figures of the gradient imbalance (chapter 03)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rulbook.display import plots
from rulbook.display.explorers import Explorer, Slider, Toggle, explorer
from rulbook.display.plots import DescribedFigure
from rulbook.display.results import in_words
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.studies.imbalance import Histograms, ratio_counts, ratio_quantile, share_above
from rulbook.training.gradient_bins import RATIO_BIN_EDGES, binned
from rulbook.training.record import RunRecord

_LAST_EPOCH = 8
"""Epochs that the explorer goes through at most; the shortest trainings end soon after."""

_PARTS = 6
"""Parts that the explorer cuts a live run into."""


def unit_of_the_target(traces: Mapping[str, pd.DataFrame]) -> DescribedFigure:
    """Draw the gradient ratio at every step of short trainings in different units.

    Args:
        traces: by unit, what ``watch_first_steps`` returns.

    """
    figure, axes = plots.panels()
    styles = (("rul", "-"), ("health", "--"))
    for (unit, trace), (colour, dash) in zip(traces.items(), styles, strict=False):
        axes.semilogy(
            *(trace["step"], trace["ratio"], dash),
            color=plots.COLOURS[colour],
            label=f"target in {unit}",
            linewidth=1.2,
        )
    for ratio, words, dash in ((1.0, "equal", "-"), (PRINTED_IMBALANCE, "the source's 500", ":")):
        axes.axhline(ratio, color=plots.COLOURS["ink"], linewidth=0.8, linestyle=dash)
        axes.annotate(words, (1, ratio), xytext=(0, 3), textcoords="offset points")
    axes.set(xlabel="training step", ylabel="gradient ratio on the trunk")
    axes.legend(loc="center right")
    courses = " ".join(
        f"With the target in {unit} it goes from {trace['ratio'].head(5).median():.2g} to "
        f"{trace['ratio'].tail(20).median():.2g}."
        for unit, trace in traces.items()
    )
    return DescribedFigure(
        figure,
        alt="Gradient ratio on the shared trunk at every step of two short trainings, logarithmic "
        f"axis. {courses}",
        caption="The same network, seed and batches; only the unit of the target differs.",
    )


def ratio_through_training(
    epochs: pd.DataFrame, summary: pd.DataFrame, live: pd.DataFrame, study: str
) -> DescribedFigure:
    """Draw the median ratio of each epoch, a panel a subset; the live run where none is recorded.

    Args:
        epochs: what ``gradients_by_epoch`` returns.
        summary: what ``ratio_summary`` returns of the same trainings.
        live: the trace of a short training.
        study: the sentence that says what is recorded.

    """
    subsets = list(summary["subset"])
    if subsets:
        columns = 2 if len(subsets) > 1 else 1
        rows = -(-len(subsets) // columns)
        figure, panels = plots.panels(rows, columns, sharex=True, sharey=True, height=1.9)
        every = np.atleast_1d(panels).ravel()
        for axes, subset in zip(every, subsets, strict=True):
            _epochs_of(axes, subset, epochs[epochs["subset"] == subset])
        lines, words = every[0].get_legend_handles_labels()
        figure.legend(lines, words, loc="outside upper center", ncols=3, fontsize=8.5)
        for axes in every[::columns]:
            axes.set_ylabel("gradient ratio")
        for axes in every[-columns:]:
            axes.set_xlabel("epoch")
    else:
        figure, axes = plots.panels()
        axes.semilogy(live["step"], live["ratio"], color=plots.COLOURS["rul"])
        axes.axhline(PRINTED_IMBALANCE, color=plots.COLOURS["ink"], linestyle=":", linewidth=1.0)
        axes.set(xlabel="training step", ylabel="gradient ratio")
    courses = " ".join(
        f"{row['subset']}: median {row['median, epoch 1']:.0f} in the first epoch, at most "
        f"{row['highest median of an epoch']:.0f}, {row['median, last epoch']:.0f} in the last."
        for _, row in summary.iterrows()
    )
    return DescribedFigure(
        figure,
        alt="Gradient ratio through training on a logarithmic axis, with a dotted line at 500. "
        f"{courses}",
        caption=f"Each epoch's quantiles, median over the seeds that trained for so long. {study}",
    )


def cosine_by_epoch(epochs: pd.DataFrame, live: pd.DataFrame, study: str) -> DescribedFigure:
    """Draw the cosine of the two gradients by epoch; or by step of the live run.

    Args:
        epochs: what ``gradients_by_epoch`` returns.
        live: the trace of a short training.
        study: the sentence that says what is recorded.

    """
    figure, axes = plots.panels()
    styles = (("rul", "o-"), ("health", "s--"), ("both", "^-."), ("other", "D:"))
    for (subset, rows), (colour, dash) in zip(epochs.groupby("subset"), styles, strict=False):
        middle = rows.groupby("epoch")[["cosine_05", "cosine_50"]].median()
        line = {"color": plots.COLOURS[colour]}
        axes.plot(middle.index, middle["cosine_50"], dash, label=f"{subset}, median", **line)
        faint = {"alpha": 0.45, "markersize": 2.5, "label": f"{subset}, lowest 5 %"}
        axes.plot(middle.index, middle["cosine_05"], dash, **line, **faint)
    if epochs.empty:
        axes.plot(live["step"], live["cosine"], color=plots.COLOURS["rul"])
        axes.set_xlabel("training step")
    else:
        axes.set_xlabel("epoch")
        figure.legend(loc="outside upper center", ncols=2, fontsize=8.5)
    axes.axhline(0.0, color=plots.COLOURS["ink"], linewidth=0.8)
    axes.set(ylabel="cosine of the two gradients", ylim=(-1, 1))
    medians = epochs.groupby(["subset", "epoch"])["cosine_50"].median()
    courses = " ".join(
        f"{subset}: median {course.iloc[0]:+.2f} in the first epoch, "
        f"{course.iloc[1:].median():+.2f} typically afterwards."
        for subset, course in medians.groupby("subset")
    )
    said = "Short live run, FD001." if epochs.empty else study
    return DescribedFigure(
        figure,
        alt="Median and lowest 5 % of the cosine between the two task gradients by epoch. "
        f"{courses}",
        caption=f"Above zero the two tasks pull the trunk in compatible directions. {said}",
    )


def recorded_histograms(records: Sequence[RunRecord], epochs: pd.DataFrame) -> Histograms:
    """Return the binned ratios by subset and epoch, for ``ratio_explorer``."""
    moments = range(1, min(_LAST_EPOCH, int(epochs["epoch"].max())) + 1)
    return {
        (subset, epoch): ratio_counts((r for r in records if r.config.subset == subset), epoch)
        for subset in epochs["subset"].unique()
        for epoch in moments
    }


def live_histograms(traces: Mapping[str, pd.DataFrame]) -> Histograms:
    """Return the binned ratios of short runs in cycles and in caps, by part of the run."""
    return {
        (words, number): binned(part)
        for words, unit in (("FD001", "cycles"), ("FD001 in caps", "caps"))
        for number, part in enumerate(np.array_split(traces[unit]["ratio"], _PARTS), start=1)
    }


def ratio_explorer(
    records: Sequence[RunRecord],
    epochs: pd.DataFrame,
    traces: Mapping[str, pd.DataFrame],
    study: str,
) -> Explorer:
    """Return the explorer of the distribution of the ratio by subset and epoch.

    Args:
        records: trainings; where there is none, the explorer shows the live runs.
        epochs: what ``gradients_by_epoch`` returns of them.
        traces: short live runs by unit.
        study: the sentence that says what is recorded.

    """
    if epochs.empty:
        kind, histograms = "sixth of the short run", live_histograms(traces)
        said = "Live run: FD001, compact network, batches of 64."
    else:
        kind, histograms, said = "epoch", recorded_histograms(records, epochs), study
    subsets = list(dict.fromkeys(subset for subset, _ in histograms))
    moments = tuple(dict.fromkeys(moment for _, moment in histograms))
    return explorer(
        lambda subset, moment: ratio_histogram(histograms[subset, moment], subset, kind, moment),
        [Toggle("subset", "subset", subsets), Slider("moment", kind, moments)],
        name="03-ratio-by-epoch",
        caption="Try: move the slider from the first epoch on and watch the hill jump by more than "
        f"a decade, pass the dotted line at 500, and come back. {said}",
    )


def ratio_histogram(counts: np.ndarray, subset: str, kind: str, moment: int) -> tuple[Figure, str]:
    """Return one frame of ``ratio_explorer`` and the sentence on it.

    Args:
        counts: steps by bin of ``RATIO_BIN_EDGES``, (60,).
        subset: what was trained on.
        kind: what is counted off: epochs, or parts of a run.
        moment: which of them, from 1.

    """
    figure, axes = plots.panels(height=2.8)
    if counts.sum():
        colour = plots.COLOURS["rul"]
        axes.stairs(counts / counts.sum(), RATIO_BIN_EDGES, fill=True, color=colour, alpha=0.6)
        median = ratio_quantile(counts, 0.5)
        axes.axvline(median, color=colour, linewidth=1.6)
        sentence = (
            f"{subset}, {kind} {moment}: median {median:.0f} over {counts.sum()} observed steps, "
            f"{100 * share_above(counts, PRINTED_IMBALANCE):.0f} % of them above 500."
        )
    else:
        sentence = f"{subset}, {kind} {moment}: no recorded training ran that long."
    axes.axvline(PRINTED_IMBALANCE, color=plots.COLOURS["ink"], linestyle=":", linewidth=1.2)
    axes.set(
        xscale="log",
        xlim=(0.03, 3e4),
        ylim=(0, 0.6),
        xlabel="gradient ratio (solid: median, dotted: 500)",
        ylabel="share of steps",
    )
    return figure, sentence


def _epochs_of(axes: Axes, subset: str, rows: pd.DataFrame) -> None:
    middle = rows.groupby("epoch")[["ratio_05", "ratio_50", "ratio_95"]].median()
    axes.fill_between(
        *(middle.index, middle["ratio_05"], middle["ratio_95"]),
        color=plots.COLOURS["rul"],
        alpha=0.2,
        linewidth=0,
        label="5 % to 95 % of the steps",
    )
    axes.semilogy(
        middle.index, middle["ratio_50"], "o-", color=plots.COLOURS["rul"], label="median"
    )
    axes.axhline(
        PRINTED_IMBALANCE,
        color=plots.COLOURS["ink"],
        linestyle=":",
        linewidth=1.0,
        label="the source's 500",
    )
    axes.set(title=f"{subset}, {in_words(rows['seed'].nunique(), 'seed')}")
