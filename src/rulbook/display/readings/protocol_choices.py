"""What chapter 07 shows and says of other choices of network and protocol.

Errors are in cycles.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.data.cmapss import SUBSETS
from rulbook.display.results import in_words, number, rows_of, waiting, within
from rulbook.display.tables import table
from rulbook.statistics import MARGIN, MINIMUM_SEEDS, compare_crossed, rmse_over_engines
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.evidence import Evidence, completed_runs, errors_by_engine, runs_table
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import METHODS, method_of
from rulbook.studies.protocol_choices import sizing_table, variants_table
from rulbook.training.config import RunConfig
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

_CHOICE_METHODS = (EQUAL_WEIGHTING, "fixed_075", "fixed_090", "gaba", "single_task")


def sizing_shown(sizing: Evidence) -> HTML:
    """Return the trainings by which the compact network's widths and dropout were fixed."""
    sizes = sizing_table(sizing.records)
    epochs = zip(sizes["selected_epoch"], sizes["epochs"], strict=True)
    return table(
        pd.DataFrame(
            {
                "choice": ["kept" if chosen else "–" for chosen in sizes["chosen"]],
                "convolutions": [", ".join(map(str, widths)) for widths in sizes["convolutions"]],
                "recurrent units": sizes["recurrent_units"],
                "funnel": [", ".join(map(str, widths)) for widths in sizes["funnel"]],
                "dropout": sizes["convolution_dropout"],
                "parameters": [f"{count:,}" for count in sizes["parameters"]],
                "validation RMSE": sizes["validation_rmse"],
                "best epoch": [f"{best} of {trained}" for best, trained in epochs],
            }
        ),
        "The widths and the dropout after the convolutions that were tried, fixed 0.5/0.5, "
        "validation RMSE in cycles. "
        f"{sizing.sentence()}",
        {"validation RMSE": ".2f", "dropout": "g"},
    )


def sizing_reading(sizing: Evidence, comparison: Iterable[RunRecord]) -> str:
    """Say what the sizing trainings differ by, and whether the limit of epochs ever binds.

    Args:
        sizing: the trainings of ``sizing_shown``.
        comparison: the records whose networks have the size that was kept.

    """
    sizes = sizing_table(sizing.records)
    ours, others = sizes[sizes["chosen"]].iloc[0], sizes[~sizes["chosen"]]
    has_our_widths = others["parameters"] == ours["parameters"]
    above = others["validation_rmse"] - ours["validation_rmse"]
    closest = above[has_our_widths].abs().idxmin()
    networks = [
        (run.selected_epoch, run)
        for run in comparison
        if run.config.network == "compact" and run.selected_epoch is not None
    ]
    config = networks[0][1].config
    return (
        f"The errors of the other two widths are {above[~has_our_widths].min():.2f} and "
        f"{above[~has_our_widths].max():.2f} cycles higher. Of the dropout rates, "
        f"{others.loc[closest, 'convolution_dropout']:g} and {ours['convolution_dropout']:g} "
        f"differ by only {abs(above[closest]):.2f} cycles; the smaller rate was kept. One seed "
        "cannot rank networks that are so close, and they were all trained with equal weights. All "
        "methods then get the same network. In the comparison the limit of "
        f"{in_words(config.max_epochs, 'epoch')} never binds. "
        f"Of {in_words(len(networks), 'recorded training')} of the comparison the longest stopped "
        f"after {max(len(run.epochs) for _, run in networks)} by itself, and the latest best epoch "
        f"is number {max(selected for selected, _ in networks) + 1}. The batch of "
        f"{config.batch_size} windows was chosen to save time. Other batches are among the "
        "training conditions below."
    )


def choices_by_weights(
    core: Evidence, choices: Mapping[str, Evidence], subset: str = "FD002"
) -> pd.DataFrame:
    """Return ``variants_table`` on a subset for each weighting that a study of a choice has.

    Args:
        core: what is recorded of the core study of the subset.
        choices: what is recorded of each choice's study, by the choice's name.
        subset: C-MAPSS subset.

    Returns:
        The tables below each other, with a column ``weights``; no row while nothing is recorded.

    """
    under_protocol = completed_runs(core.records)
    tables = []
    for name in _CHOICE_METHODS:
        method = METHODS[name]
        changed = {
            choice: runs
            for choice, evidence in choices.items()
            if (
                runs := [
                    run
                    for run in evidence.records
                    if (run.config.weighting, run.config.inner_loss)
                    == (method.weighting, method.inner_loss)
                ]
            )
        }
        base = under_protocol.get((subset, name))
        if base and changed:
            variants = variants_table(list(base.values()), changed)
            tables.append(variants.assign(weights=method.label))
    return pd.concat(tables) if tables else pd.DataFrame()


def precision_reading(core: Evidence, mixed: Evidence) -> str:
    """Say what mixed precision does to the error of finished trainings on FD001.

    Args:
        core: what is recorded of the core study of that subset.
        mixed: the same trainings with the trunk computed in bfloat16.

    """
    variants = choices_by_weights(core, {"mixed precision": mixed}, "FD001")
    if variants.empty or (variants := variants.dropna(subset="difference")).empty:
        return mixed.sentence()
    differences = "; ".join(
        f"{row.weights}: {within(row.difference, row.low, row.high)} cycles "
        f"({in_words(row.seeds, 'seed')}, {_precision_in_words(row)})"
        for row in rows_of(variants)
    )
    apart = any(_precision_in_words(row) == "told apart" for row in rows_of(variants))
    lesson = (
        " Rounding is no method. So one difference of this size, among many comparisons, is weak "
        "evidence for a method too."
        if apart
        else ""
    )
    return (
        "On FD001, the difference in test RMSE, mixed minus single precision, is as follows. "
        f"{differences}.{lesson}"
    )


def _precision_in_words(row: Any) -> str:
    if math.isnan(row.low):
        return "no outcome"
    if row.low > -MARGIN and row.high < MARGIN:
        return f"equivalent, within {MARGIN} cycles"
    return "not told apart" if row.low <= 0 <= row.high else "told apart"


def rerun_reading(core: Sequence[RunRecord], again: Evidence) -> str:
    """Say how far apart trainings are that share everything but the rounding of their code.

    Args:
        core: records of the core studies.
        again: the study that observes every step: the same trainings, made anew.

    """
    first, second = completed_runs(core), completed_runs(again.records)
    measure = MEASURES["rmse"]
    gaps: dict[tuple[str, int], tuple[float, float]] = {}
    words = []
    for subset in SUBSETS:
        runs = first.get((subset, EQUAL_WEIGHTING), {}), second.get((subset, EQUAL_WEIGHTING), {})
        seeds = [seed for seed in runs[0] if seed in runs[1]]
        if len(seeds) < MINIMUM_SEEDS:
            continue
        losses = [measure.losses([of_seed[seed] for seed in seeds]) for of_seed in runs]
        by_seed = [np.sqrt(np.mean(one, axis=1)) for one in losses]
        gaps |= {
            (subset, seed): (before, after)
            for seed, before, after in zip(seeds, *by_seed, strict=True)
        }
        (one,) = compare_crossed([(losses[1], losses[0])], measure.statistic)
        words.append(f"{subset} {within(one.difference, one.low, one.high)}")
    if not gaps:
        return again.sentence()
    (subset, seed), (before, after) = max(gaps.items(), key=lambda gap: abs(gap[1][1] - gap[1][0]))
    return (
        "The study *imbalance* has trained equal weights once more, with the same settings and the "
        "same seeds, by code that rounds otherwise. A training amplifies rounding: two runs of one "
        f"seed differ by up to {abs(after - before):.1f} cycles ({subset}, seed {seed}: "
        f"{before:.1f} and {after:.1f}). Over all seeds the second runs differ from the first by "
        f"{'; '.join(words)} cycles. So the difference between two single runs is worth little."
    )


def default_bias_reading(bias: Evidence) -> str:
    """Say how many trainings started with a shut RUL head under the default bias, and their ends.

    Args:
        bias: what is recorded of the study with PyTorch's default output bias.

    """
    if not bias.records:
        return bias.sentence()
    shut = [run for run in bias.records if run.starts_dead]
    ends = [
        f"{_label(run.config.model_copy(update={'rul_bias': 'training_mean'}))}, seed "
        f"{run.config.seed}: validation RMSE "
        f"{run.selected_validation().rmse:.0f} cycles at the end."
        for run in shut
        if run.selected_epoch is not None
    ]
    return (
        f"With the default output bias {len(shut)} of "
        f"{in_words(len(bias.records), 'recorded training')} started with a shut RUL head. "
        f"{' '.join(ends)}"
    )


def paper_size_shown(paper: Evidence, evidence_of: Mapping[str, Evidence]) -> HTML | Markdown:
    """Return the source's network beside the compact one, for the runs that both have.

    Args:
        paper: what is recorded of the source's network.
        evidence_of: see above; of the compact network.

    """
    rows = []
    for run in paper.records:
        config = run.config
        row = method_of(
            RunConfig(
                subset=config.subset, data_digest=config.data_digest, weighting=config.weighting
            )
        )
        if row is None:
            continue
        named = {"subset": config.subset, "method": row.label}
        if not run.completed:
            rows.append({**named, "network": "paper, diverged"})
            continue
        compact = completed_runs(evidence_of[config.subset].records)
        of_seed = compact.get((config.subset, row.name), {}).get(config.seed)
        rows.append({**named, "network": "paper", **_measured(run)})
        if of_seed is not None:
            rows.append({**named, "network": "compact", **_measured(of_seed)})
    if not rows:
        return waiting(f"{paper.sentence()} `rulbook sweep paper-size` runs what is missing.")
    return table(
        pd.DataFrame(rows),
        f"The source's network beside the compact one, seed {SEEDS[0]}, cycles. {paper.sentence()}",
    )


def paper_size_reading(paper: Evidence) -> str:
    """Say by how much the source's network gets worse after its best epoch, if it always does."""
    after_best = [
        run.last_validation().rmse - run.selected_validation().rmse
        for run in paper.records
        if run.selected_epoch is not None
    ]
    if not after_best or min(after_best) <= 0:
        return ""
    return (
        "Between the large network's best epoch and its last one, its error on the validation "
        f"engines rises by {min(after_best):.1f} to {max(after_best):.1f} cycles. So at this rate "
        "and length it is not trained well, and its rows say little of what it could reach."
    )


def _measured(run: RunRecord) -> dict[str, str]:
    """Return the cells of a row of ``paper_size_shown``."""
    measured = runs_table([run]).iloc[0]
    error = rmse_over_engines(errors_by_engine([run]))
    ratios = [epoch.gradients.ratio_quantiles[2] for epoch in run.epochs if epoch.gradients]
    return {
        "best epoch": f"{measured['selected_epoch']:.0f} of {len(run.epochs)}",
        "RMSE [95 % interval]": within(error.value, error.low, error.high),
        "uncapped": number(measured["rmse_uncapped"]),
        "mean error": number(measured["mean_error"]),
        "gradient ratio, median of epochs": number(float(np.median(ratios)), 0) if ratios else "–",
    }


def _label(config: RunConfig) -> str:
    row = method_of(config)
    return row.label if row else config.weighting
