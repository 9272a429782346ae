"""The gradient imbalance, read from records epoch by epoch."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.studies.catalogue import base_config
from rulbook.studies.evidence import completed_runs
from rulbook.training.gradient_bins import QUANTILES, RATIO_BIN_EDGES
from rulbook.training.record import RunRecord
from rulbook.typing import Integers

Histograms = Mapping[tuple[str, int], Integers]
"""Binned ratios by subset and moment of a training."""

QUANTILE_NAMES = tuple(f"{quantile:.2f}"[2:] for quantile in QUANTILES)
"""Endings of the quantile columns of ``gradients_by_epoch``: 05, 25, 50, 75, 95."""

_SUMMARY_COLUMNS = [
    *("subset", "seeds", "steps", "median, epoch 1", "highest median of an epoch"),
    *("median, last epoch", "median of all steps", "5 % to 95 %", "share above 500"),
]


def protocol_runs(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the trainings of fixed 0.5/0.5 under the locked protocol, one a subset and seed.

    They may have observed every step or every tenth; where there is one of each, the closer look
    is returned.
    """
    chosen: dict[tuple[str, int], RunRecord] = {}
    for record in records:
        config = record.config
        base = base_config(config.subset, config.seed)
        if config.with_changes(observe_every=base.observe_every) != base:
            continue
        key = (config.subset, config.seed)
        if key not in chosen or config.observe_every < chosen[key].config.observe_every:
            chosen[key] = record
    return list(chosen.values())


def gradients_by_epoch(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return what each epoch of each run recorded of the two gradients on the shared trunk.

    Returns:
        ``subset``, ``network``, ``seed``, ``starts_dead``, ``epoch`` (from 1), ``steps``
        (observed), ``ratio_05`` … ``ratio_95`` and ``cosine_05`` … ``cosine_95`` (quantiles over
        the observed steps), ``norm_rul`` and ``norm_health`` (medians), ``rul_loss`` and
        ``health_loss`` (means over all steps of the epoch). Epochs without an observation are left
        out.

    """
    rows = [
        {
            "subset": record.config.subset,
            "network": record.config.network,
            "seed": record.config.seed,
            "starts_dead": record.starts_dead,
            "epoch": number,
            "steps": seen.steps,
            **_named("ratio", seen.ratio_quantiles),
            **_named("cosine", seen.cosine_quantiles),
            "norm_rul": seen.median_norm_rul,
            "norm_health": seen.median_norm_health,
            "rul_loss": epoch.rul_loss,
            "health_loss": epoch.health_loss,
        }
        for record in records
        for number, epoch in enumerate(record.epochs, start=1)
        if (seen := epoch.gradients) is not None
    ]
    columns = ["subset", "network", "seed", "starts_dead", "epoch", "steps"]
    columns += [f"{what}_{name}" for what in ("ratio", "cosine") for name in QUANTILE_NAMES]
    columns += ["norm_rul", "norm_health", "rul_loss", "health_loss"]
    return pd.DataFrame(rows, columns=columns)


def weights_by_epoch(records: Iterable[RunRecord], method: str) -> pd.DataFrame:
    """Return the RUL weight of an adaptive method at the end of each epoch, over its seeds.

    Args:
        records: records of one study.
        method: name of the method.

    Returns:
        One row a subset and epoch: ``subset``, ``epoch`` (from 1), ``seeds`` that came so far,
        ``lowest`` and ``highest`` weight among them, and ``ratio``, the median over seeds of the
        median gradient ratio of the epoch's observed steps.

    """
    runs = [
        run
        for (_, name), runs_by_seed in completed_runs(records).items()
        if name == method
        for run in runs_by_seed.values()
    ]
    rows = [
        {
            "subset": run.config.subset,
            "seed": run.config.seed,
            "epoch": number,
            "weight": epoch.weights["rul_weight"],
            "ratio": epoch.gradients.ratio_quantiles[2] if epoch.gradients else math.nan,
        }
        for run in runs
        for number, epoch in enumerate(run.epochs, start=1)
    ]
    by_epoch = pd.DataFrame(rows, columns=["subset", "seed", "epoch", "weight", "ratio"])
    return (
        by_epoch.groupby(["subset", "epoch"])
        .agg(
            seeds=("seed", "nunique"),
            lowest=("weight", "min"),
            highest=("weight", "max"),
            ratio=("ratio", "median"),
        )
        .reset_index()
    )


def ratio_counts(records: Iterable[RunRecord], epoch: int | None = None) -> Integers:
    """Return how many observed steps had a ratio in each bin of ``RATIO_BIN_EDGES``, (60,).

    Args:
        records: runs.
        epoch: count this epoch only, from 1; every epoch if left out.

    """
    total: Integers = np.zeros(len(RATIO_BIN_EDGES) - 1, dtype=np.int64)
    for record in records:
        for number, of_epoch in enumerate(record.epochs, start=1):
            if of_epoch.gradients is not None and epoch in (None, number):
                total += np.asarray(of_epoch.gradients.ratio_counts, dtype=np.int64)
    return total


def ratio_quantile(counts: Integers, quantile: float) -> float:
    """Return a quantile of binned ratios, interpolated on the logarithm within its bin.

    Args:
        counts: what ``ratio_counts`` returns, with at least one step in it.
        quantile: between 0 and 1.

    Raises:
        ValueError: there is no step.

    """
    if not counts.sum():
        raise ValueError("a quantile of no steps")
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return float(10 ** np.interp(quantile, cumulative, np.log10(RATIO_BIN_EDGES)))


def share_above(counts: Integers, ratio: float) -> float:
    """Return the share of binned steps whose ratio is above ``ratio``, interpolated likewise.

    Raises:
        ValueError: there is no step.

    """
    if not counts.sum():
        raise ValueError("a share of no steps")
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return float(1 - np.interp(np.log10(ratio), np.log10(RATIO_BIN_EDGES), cumulative))


def start_summary(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return the gradient ratio of networks that were measured, not trained.

    Returns:
        One row a network size and subset: ``network``, ``subset``, ``seeds``, ``started shut``
        (seeds whose RUL head passes no gradient), and over the other seeds ``batches``, ``5 %``,
        ``median`` and ``95 %`` of the ratio, NaN where no seed lives.

    """
    records = list(records)
    rows = []
    for (network, subset), runs in gradients_by_epoch(records).groupby(["network", "subset"]):
        living = runs[~runs["starts_dead"]]
        counts = ratio_counts(
            record
            for record in records
            if (record.config.network, record.config.subset) == (network, subset)
            and record.config.seed in set(living["seed"])
        )
        quantiles = [
            ratio_quantile(counts, q) if counts.sum() else np.nan for q in (0.05, 0.5, 0.95)
        ]
        rows.append(
            {
                "network": network,
                "subset": subset,
                "seeds": len(runs),
                "started shut": len(runs) - len(living),
                "batches": int(counts.sum()),
                **dict(zip(("5 %", "median", "95 %"), quantiles, strict=True)),
            }
        )
    return pd.DataFrame(rows)


def ratio_summary(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return the gradient ratio through trainings, one row a subset.

    Returns:
        ``subset``, ``seeds``, ``steps`` (observed), the median over seeds of the median ratio in
        the first epoch, in the epoch where it is highest (of those that every seed trained for)
        and in each seed's own last one, ``median of all steps``, ``5 % to 95 %`` of the steps in
        words, and ``share above 500``.

    """
    records = list(records)
    epochs = gradients_by_epoch(records)
    rows = []
    for subset, runs in epochs.groupby("subset"):
        counts = ratio_counts(r for r in records if r.config.subset == subset)
        by_epoch = runs.groupby("epoch")["ratio_50"]
        medians = by_epoch.median()[by_epoch.size() == runs["seed"].nunique()]
        last = runs.sort_values("epoch").groupby("seed")["ratio_50"].last()
        low, high = (ratio_quantile(counts, quantile) for quantile in (0.05, 0.95))
        rows.append(
            {
                "subset": subset,
                "seeds": runs["seed"].nunique(),
                "steps": int(runs["steps"].sum()),
                "median, epoch 1": medians.iloc[0],
                "highest median of an epoch": medians.max(),
                "median, last epoch": last.median(),
                "median of all steps": ratio_quantile(counts, 0.5),
                "5 % to 95 %": f"{low:.0f} to {high:.0f}",
                "share above 500": share_above(counts, PRINTED_IMBALANCE),
            }
        )
    return pd.DataFrame(rows, columns=_SUMMARY_COLUMNS)


def typical_cosine(records: Iterable[RunRecord]) -> float:
    """Return the median over steps of the median cosine of each step's epoch."""
    epochs = gradients_by_epoch(records)
    return float(np.median(np.repeat(epochs["cosine_50"], epochs["steps"])))


def required_weight_growth(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return by what factor the weight that balances has grown since the first epoch.

    Args:
        records: at most one run on each subset.

    Returns:
        One column a subset, indexed by epoch; a health loss weighted by the gradient ratio has a
        gradient as long as that of the RUL loss, so the weight that balances grows as the median
        ratio of an epoch does.

    Raises:
        ValueError: a subset has two runs.

    """
    epochs = gradients_by_epoch(records)
    ratios = epochs.pivot(index="epoch", columns="subset", values="ratio_50")
    return ratios / ratios.loc[1]


def last_median_ratio(records: Iterable[RunRecord], subset: str) -> float:
    """Return the median ratio of the last epoch of the one run on ``subset``; NaN without one."""
    epochs = gradients_by_epoch(r for r in records if r.config.subset == subset)
    return math.nan if epochs.empty else float(epochs["ratio_50"].iloc[-1])


def batches_of_an_epoch(windows: Mapping[str, int], sizes: Sequence[int]) -> pd.DataFrame:
    """Return how many batches of each size one epoch has, the last one in part.

    Args:
        windows: training windows by subset.
        sizes: windows a batch.

    Returns:
        ``subset``, ``windows``, and ``batches of <size>`` for each size.

    """
    rows = (
        {
            "subset": subset,
            "windows": number,
            **{f"batches of {size}": -(-number // size) for size in sizes},
        }
        for subset, number in windows.items()
    )
    return pd.DataFrame(rows)


def _named(what: str, quantiles: list[float]) -> dict[str, float]:
    return {f"{what}_{name}": q for name, q in zip(QUANTILE_NAMES, quantiles, strict=True)}
