"""What a strong imbalance is said to do to the health task (§12.4), read from records."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.studies.evidence import Evidence
from rulbook.studies.imbalance import protocol_runs
from rulbook.training.record import RunRecord

OPTIMISERS_SUBSET = "FD002"
"""The subset on which optimisers are compared."""

RECALLS = tuple(f"recall_{state}" for state in HEALTH_STATES)
"""Columns with the recall of each health state."""


def plain_sum_runs(*evidence: Evidence) -> list[RunRecord]:
    """Return the completed trainings of fixed 0.5/0.5 under the protocol, from several studies.

    They step as the plain sum of the losses does: AdamW takes no notice of a common factor, and
    clipping cuts the gradients of both to the same length.
    """
    records = [record for one in evidence for record in one.records]
    return [run for run in protocol_runs(records) if run.completed]


def runs_by_optimiser(
    adamw: Iterable[RunRecord], optimisers: Evidence
) -> dict[str, list[RunRecord]]:
    """Return the trainings of the study of optimisers, and those of the protocol beside them.

    Args:
        adamw: runs under the protocol, of which those on FD002, the study's subset, are taken.
        optimisers: records of the study.

    """
    runs = {"adamw": [run for run in adamw if run.config.subset == OPTIMISERS_SUBSET]}
    for run in optimisers.records:
        runs.setdefault(run.config.optimiser, []).append(run)
    return runs


def share_of_clipped_steps(records: Iterable[RunRecord]) -> float:
    """Return the share of clipped steps, mean over all epochs of all runs; NaN without one."""
    shares = [epoch.clipped_share for record in records for epoch in record.epochs]
    return float(np.mean(shares)) if shares else math.nan


def stopped_while_improving(records: Iterable[RunRecord]) -> int:
    """Return how many runs have their best epoch at the last one that they are allowed."""
    return sum(record.selected_epoch == record.config.max_epochs - 1 for record in records)


def health_by_epoch(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return how both tasks do on the validation windows, one row a run and epoch.

    Returns:
        ``subset``, ``seed``, ``epoch`` (from 1), ``selected`` (whether it is the epoch with the
        lowest RMSE), ``rmse`` (cycles), ``health_accuracy``, ``balanced_accuracy`` and
        ``RECALLS``, shares between 0 and 1.

    """
    rows = [
        {
            "subset": record.config.subset,
            "seed": record.config.seed,
            "epoch": number,
            "selected": number - 1 == record.selected_epoch,
            "rmse": epoch.validation.rmse,
            "health_accuracy": epoch.validation.health_accuracy,
            "balanced_accuracy": epoch.validation.balanced_accuracy,
            **dict(zip(RECALLS, epoch.validation.health_recall, strict=True)),
        }
        for record in records
        for number, epoch in enumerate(record.epochs, start=1)
    ]
    columns = ["subset", "seed", "epoch", "selected", "rmse", "health_accuracy"]
    columns += ["balanced_accuracy", *RECALLS]
    # Without a row the mask would have no type, and pandas would take it for names of columns.
    return pd.DataFrame(rows, columns=columns).astype({"selected": bool})


def confusion(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Count true against predicted health states over the test engines of completed runs.

    Returns:
        (3, 3): a row a true state, a column a predicted one; engines, summed over the runs.

    """
    counts = np.zeros((len(HEALTH_STATES), len(HEALTH_STATES)), dtype=np.int64)
    for record in records:
        if not record.completed:
            continue
        frame = record.predictions().frame()
        true = health_state(frame["true_rul"], record.config.recipe.health_thresholds)
        counts += confusion_matrix(
            true, frame["predicted_health"], labels=range(len(HEALTH_STATES))
        )
    states = list(HEALTH_STATES)
    return pd.DataFrame(counts, index=pd.Index(states, name="true state"), columns=states)


def probe_scores(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return the linear probes on the frozen trunk, one row a run that has both of them.

    Returns:
        ``subset``, ``seed``, ``majority_share`` (of the validation windows); ``accuracy`` and
        ``balanced`` of the selected epoch's trunk, ``accuracy_at_start`` and
        ``balanced_at_start`` of the trunk with its random initial weights.

    """
    rows = [
        {
            "subset": record.config.subset,
            "seed": record.config.seed,
            "majority_share": record.probe.majority_share,
            "accuracy": record.probe.accuracy,
            "balanced": record.probe.balanced_accuracy,
            "accuracy_at_start": record.probe_at_start.accuracy,
            "balanced_at_start": record.probe_at_start.balanced_accuracy,
        }
        for record in records
        if record.probe is not None and record.probe_at_start is not None
    ]
    columns = ["subset", "seed", "majority_share", "accuracy", "balanced"]
    return pd.DataFrame(rows, columns=[*columns, "accuracy_at_start", "balanced_at_start"])
