"""The gradient imbalance, read from records epoch by epoch."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from rulbook.studies.catalogue import base_config
from rulbook.studies.evidence import completed_runs
from rulbook.training.record import QUANTILES, RATIO_BIN_EDGES, RunRecord
from rulbook.typing import Integers

QUANTILE_NAMES = tuple(f"{quantile:.2f}"[2:] for quantile in QUANTILES)
"""Endings of the quantile columns of ``gradients_by_epoch``: 05, 25, 50, 75, 95."""


def protocol_runs(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the trainings of fixed 0.5/0.5 under the locked protocol, one a subset and seed.

    They may have observed every step or every tenth; where there is one of each, the closer look
    is returned.
    """
    chosen: dict[tuple[str, int], RunRecord] = {}
    for record in records:
        config = record.config
        base = base_config(config.subset, config.seed)
        if config.model_copy(update={"observe_every": base.observe_every}) != base:
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


def _named(what: str, quantiles: list[float]) -> dict[str, float]:
    return {f"{what}_{name}": q for name, q in zip(QUANTILE_NAMES, quantiles, strict=True)}
