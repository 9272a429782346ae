"""What chapter 03 shows and says of the gradient imbalance, as its tables come out.

The functions that end in ``_answers`` return what decides claims, by the claim's id. Those that end
in ``_values`` return what the prose quotes, by its name there without the chapter.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.claims.decision import Answer, answer_of_figure
from rulbook.claims.ledger import find
from rulbook.data import SUBSETS
from rulbook.display.results import in_words, number, number_range, what_is_missing
from rulbook.display.tables import table
from rulbook.experiments.gradient_norms import PLACES
from rulbook.studies.condition_rules import decide_all
from rulbook.studies.conditions import training_condition
from rulbook.studies.equal_weight_rules import QUADRUPLED_BY
from rulbook.studies.evidence import Evidence
from rulbook.studies.imbalance import (
    gradients_by_epoch,
    last_median_ratio,
    ratio_counts,
    ratio_quantile,
    ratio_summary,
    required_weight_growth,
    start_summary,
    typical_cosine,
)
from rulbook.studies.methods import METHODS, method_of
from rulbook.studies.printed_figures import (
    FIGURE_CONDITIONS,
    RATIO_SUBSET,
    median_ratios,
    shares_beyond,
)
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

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
            f"On the {network} network {_how_many_shut(at_start.records, str(network))} start "
            "with a shut RUL head. For the others, the median ratio on "
            f"{in_words(len(rows), 'subset')} goes from {rows['median'].min():.0f} to "
            f"{rows['median'].max():.0f}, and at least nine of ten batches lie between "
            f"{rows['5 %'].min():.0f} and {rows['95 %'].max():.0f}."
            for network, rows in summary.groupby("network")
        )
    )


def _how_many_shut(records: Iterable[RunRecord], network: str) -> str:
    """Count initialisations: a seed draws the same one on every subset."""
    runs = [run for run in records if run.config.network == network]
    seeds = {run.config.seed for run in runs}
    shut = [
        {run.config.seed for run in runs if run.starts_dead and run.config.subset == subset}
        for subset in {run.config.subset for run in runs}
    ]
    always, ever = set.intersection(*shut), set.union(*shut)
    of_all = f"of {in_words(len(seeds), 'initialisation')}"
    if always == ever:
        return f"{len(ever)} {of_all}, the same on every subset,"
    return f"{len(ever)} {of_all}, each on one subset at least,"


def starts_table(starts: pd.DataFrame) -> HTML:
    """Show what ``starts_by_setting`` returns."""
    whole = {name: starts[name].map(lambda q: number(q, 0)) for name in _EXTREMES}
    return table(
        starts.assign(**whole),
        "Gradient ratio on the trunk before the first step, FD001, without heads that started shut",
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
    large = [run for run in study.records if run.config.weighting == EQUAL_WEIGHTING]
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
    equal = METHODS[EQUAL_WEIGHTING]
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
                        "epochs": number_range(lengths),
                        "median ratio": _ratio(ratio_quantile(counts, 0.5)),
                    }
                )
    said = " ".join(one.sentence() for one in others)
    return table(
        pd.DataFrame(rows),
        "Median gradient ratio over all observed steps of trainings at equal weights; the "
        "protocol's are those of the core studies, which observe every tenth step, so that they "
        f"differ a little from those of every step above. {said}",
    )


def _ratio(value: float) -> str:
    """Return a ratio as a whole number, or to two places where it is below one."""
    return number(value, 0 if value >= 1 else 2)


def cosine_reading(records: Sequence[RunRecord], trace: pd.DataFrame) -> Markdown:
    """Say how the two gradients stand to each other.

    Args:
        records: trainings with equal weights.
        trace: a short live run.

    """
    live = trace["cosine"].median()
    if not records:
        return Markdown(f"In the short live run above the median cosine is {live:+.2f}.")
    recorded = typical_cosine(records)
    return Markdown(
        f"In {in_words(len(records), 'recorded training')} the typical median of the cosine over "
        f"an epoch is {recorded:+.2f}: the two gradients "
        f"{'agree' if recorded > 0 else 'disagree'} more often than not. In the short live run "
        f"above the median is {live:+.2f}."
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
    names = {
        "subset": "subset",
        "epoch": "epoch",
        "ratio_50": "balancing weight",
        "cosine_50": "median cosine",
        "rul_loss": "RUL loss",
        "health_loss": "health loss",
    }
    shown = by_epoch[by_epoch["epoch"].isin(_EPOCHS_SHOWN)]
    formats = (".0f", "+.2f", ".0f", ".3f")
    return table(
        shown[list(names)].rename(columns=names),
        "The balancing weight by epoch: the median ratio of the epoch's steps. Losses in cycles² "
        f"and nats. {study.sentence()}",
        dict(zip(list(names.values())[2:], formats, strict=True)),
    )


def growth_answers(
    records: Mapping[str, Sequence[RunRecord]], study: Evidence
) -> dict[str, Answer]:
    """Return what decides how the balancing weight grows.

    Args:
        records: records by the name of the training condition that they were made under.
        study: the long runs, of which the note says how much it grew.

    """
    claim = "n12.4-pitfall-required-weight-grows"
    factors = ""
    if study.complete:
        growth = required_weight_growth(study.records).loc[QUADRUPLED_BY]
        grown = ", ".join(f"{factor:.0f}-fold on {subset}" for subset, factor in growth.items())
        factors = f"in a hundred epochs on one seed, at epoch {QUADRUPLED_BY}: {grown}"
    return {
        "n12.4-pitfall-required-weight-direction": Answer(),
        claim: Answer(note=factors, conditions=decide_all([claim], records)[claim]),
    }


def growth_reading(study: Evidence) -> Markdown:
    """Say how the balancing weight of the long runs grows, and why."""
    if not study.complete:
        return Markdown(study.sentence())
    growth = required_weight_growth(study.records)
    courses = " ".join(
        f"On {subset} the balancing weight is largest at epoch {factor.idxmax()}, "
        f"{factor.max():.0f} times its value at epoch 1. By epoch {QUADRUPLED_BY} it is "
        f"{factor.loc[QUADRUPLED_BY]:.0f} times that value."
        for subset, factor in growth.items()
    )
    return Markdown(
        f"{courses} Counted from the first epoch, the weight quadruples in the protocol's "
        "trainings too, which stop early. But there the output bias starts at the training mean "
        "and the learning rate warms up, and both make the first ratio small: the weight grows "
        "while the head learns the range of lives. It does not grow because the residual decays. "
        "From the end of the warm-up on, while the residual does decay, the weight falls. So the "
        "verdict hangs on the epoch from which one counts, which the source does not name."
    )


def unit_table(
    study: Evidence, in_cycles: pd.DataFrame, study_in_cycles: Evidence
) -> HTML | Markdown:
    """Show the median ratio by epoch with the target in caps and in cycles, FD002.

    Args:
        study: trainings with the target in caps.
        in_cycles: what ``gradients_by_epoch`` returns of those in cycles.
        study_in_cycles: where those come from.

    """
    scaled = gradients_by_epoch(r for r in study.records if r.config.weighting == EQUAL_WEIGHTING)
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
        f"Median gradient ratio by epoch and unit of the target, FD002. {study.sentence()} "
        f"{study_in_cycles.sentence()}",
        {"ratio": ".2f"},
    )


def output_values(outputs: pd.DataFrame, cap: float) -> dict[str, float]:
    """Return the ratios on the outputs; ``outputs`` is what ``ratios_on_outputs`` returns.

    Args:
        outputs: of two predictions, zero and the mean, each in cycles and in caps.
        cap: cycles in a cap.

    """
    names = ("outputs-zero", "outputs-zero-caps", "outputs-mean", "outputs-mean-caps")
    return dict(zip(names, outputs["by PyTorch"], strict=True)) | {"cap": cap}


def place_values(
    by_place: pd.DataFrame, traces: Mapping[str, pd.DataFrame], cap: float
) -> dict[str, float]:
    """Return the ratios of the short runs by unit, moment and place, and their last errors, cycles.

    Args:
        by_place: what ``short_runs_by_unit`` returns of the places.
        traces: what it returns of the steps, in cycles and in caps.
        cap: cycles in a cap.

    """
    values: dict[str, float] = {"steps": len(traces["cycles"])}
    for row in by_place.to_dict("records"):
        moment = "end" if row["after steps"] else "start"
        for place in PLACES:
            values[f"{row['target in']}-{moment}-{place.split()[-1]}"] = row[place]
    for unit, cycles in (("cycles", 1.0), ("caps", cap)):
        last = traces[unit]["rul_loss"].tail(20).mean()
        values[f"error-{unit}"] = float(cycles * np.sqrt(last))
    return values


def start_values(start: pd.DataFrame, networks: int) -> dict[str, float]:
    """Return the range of the ratio before the first step, and how many networks start shut.

    Args:
        start: what ``starts_by_subset`` returns.
        networks: how many were measured.

    """
    return {
        "start-low": start["lowest"].min(),
        "start-high": start["highest"].max(),
        "start-dead": int(start["started shut"].sum()),
        "start-networks": networks,
    }


def ratio_answers(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, Answer]:
    """Return what decides the size of the imbalance.

    The figure is held against trainings with AdamW on a target in cycles, on the subset whose
    batches the source counts.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    ratios = median_ratios(_for_figures(records))
    answers = {
        claim: answer_of_figure(claim, ratios, f"{RATIO_SUBSET}, every seed")
        for claim in ("n12.4-gradient-ratio-median", "n4.1-imbalance-500")
    }
    tail, tenfold = "n12.4-tail-ratio", "n4.1-imbalance-wild"
    return answers | {
        tail: Answer(note=_beyond_in_words(records, tail)),
        "n12.4-ratio-near-init": Answer(),
        tenfold: Answer(conditions=decide_all([tenfold], records)[tenfold]),
    }


def _beyond_in_words(records: Mapping[str, Sequence[RunRecord]], claim: str) -> str:
    """Say which share of the observed steps has a ratio beyond the one that a claim prints."""
    shares = shares_beyond(_for_figures(records), float(str(find(claim).printed)))
    found = [100 * share for share in shares.values() if share is not None]
    if not found:
        return "waiting for records"
    return f"{min(found):.1f} to {max(found):.1f} % of the observed steps are beyond it"


def ratio_range(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, float]:
    """Return the lowest and the highest median ratio over subsets, AdamW, target in cycles.

    Args:
        records: as for ``ratio_answers``.

    Returns:
        ``ratio-lowest`` and ``ratio-highest``; nothing while no subset has every seed.

    """
    under = _for_figures(records)
    ratios = [
        ratio
        for subset in SUBSETS
        for ratio in median_ratios(under, subset).values()
        if ratio is not None
    ]
    return {"ratio-lowest": min(ratios), "ratio-highest": max(ratios)} if ratios else {}


def _for_figures(
    records: Mapping[str, Sequence[RunRecord]],
) -> dict[str, Sequence[RunRecord]]:
    return {name: records[name] for name in FIGURE_CONDITIONS if name in records}


def cosine_answers(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, Answer]:
    """Return what decides whether the two tasks disagree; ``records`` as for ``ratio_answers``."""
    decided = decide_all(["n12.4-tasks-disagree-cosine"], records)
    answers = {claim: Answer(conditions=holds) for claim, holds in decided.items()}
    return {"n12.4-tasks-disagree": Answer()} | answers


def batch_answers(batches: pd.DataFrame) -> dict[str, Answer]:
    """Return what decides the number of batches; ``batches``: of ``batches_of_an_epoch``."""
    (of_32,) = batches.loc[batches["subset"] == "FD001", "batches of 32"]
    return {
        "n12.4-batches-of-one-epoch": Answer(
            int(of_32), "batches of 32, the smallest size that the source names"
        ),
        "n12.4-batches-measured": Answer(),
    }


def measured_values(
    records: Mapping[str, Sequence[RunRecord]],
    long_runs: Evidence,
    windows: Mapping[str, int],
    batches: float,
) -> dict[str, float]:
    """Return the range of the median ratio, the last one of the long run, and a batch's windows.

    Args:
        records: as for ``ratio_answers``.
        long_runs: trainings of a hundred epochs.
        windows: training windows by subset.
        batches: how many batches the source says that an epoch of FD001 has.

    """
    return ratio_range(records) | {
        "late": last_median_ratio(long_runs.records, "FD001"),
        "size-for-4120": windows["FD001"] / batches,
    }
