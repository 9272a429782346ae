"""What chapter 03 shows and says of the gradient imbalance, as its tables come out."""

from collections.abc import Mapping, Sequence

import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.display.results import in_words, number
from rulbook.display.tables import table
from rulbook.studies.conditions import training_condition
from rulbook.studies.evidence import Evidence
from rulbook.studies.imbalance import (
    gradients_by_epoch,
    ratio_counts,
    ratio_quantile,
    ratio_summary,
    start_summary,
)
from rulbook.studies.methods import METHODS, method_of
from rulbook.training.record import RunRecord

_WHOLE = ".0f"
_EXTREMES = ("lowest", "median", "highest")
_SUMMARY_FORMATS = {
    "median, epoch 1": _WHOLE,
    "highest median of an epoch": _WHOLE,
    "median, last epoch": _WHOLE,
    "median of all steps": _WHOLE,
    "share above 500": ".2f",
}
_EPOCHS_SHOWN = (1, 2, 5, 10, 20, 30, 50, 100)


def what_is_missing(study: Evidence) -> Markdown:
    """Say how far a study is, and what runs the rest."""
    return Markdown(f"{study.sentence()} `rulbook sweep {study.study}` runs what is missing.")


def start_table(at_start: Evidence) -> HTML | Markdown:
    """Show the gradient ratio before the first step, by network and subset."""
    if not at_start.records:
        return what_is_missing(at_start)
    return table(
        start_summary(at_start.records),
        f"Gradient ratio before the first step. {at_start.sentence()}",
        dict.fromkeys(("5 %", "median", "95 %"), _WHOLE),
    )


def start_reading(at_start: Evidence) -> Markdown:
    """Say what ``start_table`` holds, a sentence a network."""
    summary = start_summary(at_start.records)
    return Markdown(
        " ".join(
            f"On the {network} network {rows['started shut'].sum()} of {rows['seeds'].sum()} start "
            f"shut; the others have medians from {rows['median'].min():.0f} to "
            f"{rows['median'].max():.0f} over {in_words(len(rows), 'subset')}, and at least nine "
            f"batches of ten lie between {rows['5 %'].min():.0f} and {rows['95 %'].max():.0f}."
            for network, rows in summary.groupby("network")
        )
    )


def starts_table(starts: pd.DataFrame) -> HTML:
    """Show what ``starts_by_setting`` returns."""
    whole = {name: starts[name].map(lambda q: number(q, 0)) for name in _EXTREMES}
    return table(
        starts.assign(**whole),
        "Gradient ratio on the trunk before the first step, FD001, without those that started shut",
    )


def training_table(summary: pd.DataFrame, *studies: Evidence) -> HTML | Markdown:
    """Show the gradient ratio through training, by subset.

    Args:
        summary: what ``ratio_summary`` returns.
        studies: where the trainings come from.

    """
    if summary.empty:
        return Markdown("No training is recorded yet; the figure below shows the short live run.")
    said = " ".join(study.sentence() for study in studies)
    return table(
        summary,
        "Gradient ratio through training, compact network, C-MAPSS, weights 0.5/0.5. " + said,
        _SUMMARY_FORMATS,
    )


def paper_size_table(study: Evidence) -> HTML | Markdown:
    """Show the gradient ratio through trainings of the source's own network at equal weights."""
    large = [run for run in study.records if run.config.weighting == "fixed_050"]
    if not large:
        return what_is_missing(study)
    return table(
        ratio_summary(large),
        "Gradient ratio through training, network of the source's size, batches of 64, C-MAPSS, "
        f"weights 0.5/0.5, {len(large[0].epochs)} epochs. {study.sentence()}",
        _SUMMARY_FORMATS,
    )


def ratio_by_training_table(
    by_condition: Mapping[str, Sequence[RunRecord]], *others: Evidence
) -> HTML:
    """Show the median ratio over whole trainings of equal weights, by how and how long they ran.

    Args:
        by_condition: records by the name of the training condition that they were made under.
        others: studies of other lengths and networks, whose runs at equal weights are shown too.

    """
    equal = METHODS["fixed_050"]
    groups = [
        (
            training_condition(name).label,
            "compact",
            [r for r in given if method_of(r.config) == equal],
        )
        for name, given in by_condition.items()
    ] + [
        (f"study {one.study}", run.config.network, [run])
        for one in others
        for run in one.records
        if method_of(run.config) == equal
    ]
    rows = []
    for training, network, runs in groups:
        for subset in sorted({run.config.subset for run in runs}):
            of_subset = [run for run in runs if run.config.subset == subset]
            counts = ratio_counts(of_subset)
            if counts.sum():
                lengths = [len(run.epochs) for run in of_subset]
                rows.append(
                    {
                        "training": training,
                        "network": network,
                        "batch": of_subset[0].config.batch_size,
                        "subset": subset,
                        "seeds": len(of_subset),
                        "epochs": f"{min(lengths)} to {max(lengths)}",
                        "median ratio": ratio_quantile(counts, 0.5),
                    }
                )
    said = " ".join(one.sentence() for one in others)
    return table(
        pd.DataFrame(rows),
        f"Median gradient ratio over all observed steps of trainings at equal weights. {said}",
        {"median ratio": _WHOLE},
    )


def cosine_reading(records: Sequence[RunRecord], recorded: float, live: float) -> Markdown:
    """Say how the two gradients stand to each other.

    Args:
        records: the trainings that ``recorded`` is of.
        recorded: typical cosine of their steps.
        live: median cosine of the short live run.

    """
    if not records:
        return Markdown(f"In the short live run above the median cosine is {live:+.2f}.")
    return Markdown(
        f"Over {in_words(len(records), 'recorded training')}, the median cosine of an "
        f"epoch's steps is {recorded:+.2f}: the two gradients "
        f"{'agree' if recorded > 0 else 'disagree'} more often than not. In the short live run "
        f"above it is {live:+.2f}."
    )


def balancing_weight_table(study: Evidence, live: pd.DataFrame) -> HTML | Markdown:
    """Show the balancing weight of the long runs at some epochs, or of the short live run."""
    by_epoch = gradients_by_epoch(study.records)
    if by_epoch.empty:
        return Markdown(
            f"{study.sentence()} `rulbook sweep long` runs what is missing. For scale: in the "
            "short live run the balancing weight goes from "
            f"{live['ratio'].head(10).median():.0f} over the first ten steps to "
            f"{live['ratio'].tail(10).median():.0f} over the last ten."
        )
    columns = ["subset", "epoch", "ratio_50", "cosine_50", "rul_loss", "health_loss"]
    return table(
        by_epoch[by_epoch["epoch"].isin(_EPOCHS_SHOWN)][columns],
        f"The balancing weight by epoch (median ratio). {study.sentence()}",
        {"ratio_50": ".0f", "cosine_50": "+.2f", "rul_loss": ".0f", "health_loss": ".3f"},
    )


def growth_note(growth: pd.DataFrame | None, study: Evidence) -> str:
    """Return the few words beside the verdict on the growth of the balancing weight.

    Args:
        growth: what ``required_weight_growth`` returns.
        study: the long runs.

    """
    if growth is None:
        return study.sentence()
    return "epoch 30 over epoch 1, fixed 0.5/0.5, seed 42: " + ", ".join(
        f"{factor:.0f}-fold on {subset}" for subset, factor in growth.loc[30].items()
    )


def growth_reading(growth: pd.DataFrame | None, study: Evidence) -> Markdown:
    """Say how the balancing weight of the long runs grows, and why; arguments as above."""
    if growth is None:
        return Markdown(study.sentence())
    courses = " ".join(
        f"On {subset} it is largest at epoch {factor.idxmax()}, {factor.max():.0f} times its value "
        f"at epoch 1, and has fallen to {factor.loc[30]:.0f} times by epoch 30."
        for subset, factor in growth.items()
    )
    return Markdown(
        f"{courses} So the weight does quadruple by epoch 30: a weight that balances the first "
        "epoch does not balance the thirtieth, and pitfall 3 is right about it. How much more it "
        "grows depends on the start: here the output bias is at the training mean and the learning "
        "rate warms up, which makes the first epoch's ratio small. It grows in the first epochs, "
        "while the head learns the range of lives, and not because the residual decays: as that "
        "happens, it falls."
    )


def unit_table(study: Evidence, in_cycles: pd.DataFrame) -> HTML | Markdown:
    """Show the median ratio by epoch with the target in caps and in cycles, FD002.

    Args:
        study: trainings with the target in caps.
        in_cycles: what ``gradients_by_epoch`` returns of those in cycles.

    """
    scaled = gradients_by_epoch(r for r in study.records if r.config.weighting == "fixed_050")
    if scaled.empty:
        return what_is_missing(study)
    both = pd.concat(
        [
            scaled.assign(unit="caps"),
            in_cycles[in_cycles["subset"] == "FD002"].assign(unit="cycles"),
        ]
    )
    summary = both.groupby(["unit", "epoch"]).agg(
        seeds=("seed", "nunique"), ratio=("ratio_50", "median")
    )
    return table(
        summary.reset_index(),
        f"Median gradient ratio by epoch and unit of the target, FD002. {study.sentence()}",
        {"ratio": ".2f"},
    )
