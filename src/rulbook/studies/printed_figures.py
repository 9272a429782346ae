"""What the figures that the source prints are held against, from records."""

from collections.abc import Iterable, Mapping

import numpy as np

from rulbook.data import cmapss
from rulbook.statistics import MINIMUM_SEEDS
from rulbook.studies.claim_rules import every_seed_in
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.conditions import CONDITIONS
from rulbook.studies.equal_weight_rules import equal_weight_runs
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.imbalance import protocol_runs, ratio_counts, ratio_quantile, share_above
from rulbook.studies.methods import METHODS, NAMED_METHODS, method_of
from rulbook.studies.shown import Records
from rulbook.studies.symptoms import health_by_epoch
from rulbook.training.record import RunRecord
from rulbook.typing import Integers

FIGURE_CONDITIONS = tuple(
    name
    for name, condition in CONDITIONS.items()
    if not condition.is_forensic and not {"optimiser", "target_unit"} & set(condition.changes)
)
"""The training conditions that a printed figure is held against: AdamW, a target in cycles."""

RATIO_SUBSET = "FD001"
"""The subset of which the source describes the batches that its ratio was measured over (§12.3)."""


def errors_by_condition(
    records: Mapping[str, Records], subset: str, method: str, *, capped: bool = True
) -> dict[str, float | None]:
    """Return a method's mean test RMSE over seeds, cycles, as a figure is held to it.

    Args:
        records: records by the name of the training condition that they were made under.
        subset: C-MAPSS subset.
        method: name of the method.
        capped: whether the error is against the capped RUL of the test engines.

    Returns:
        The RMSE under each of ``FIGURE_CONDITIONS``, ``None`` where seeds are missing; a condition
        under which the method was not run is absent.

    """
    return {
        name: mean_test_rmse(records[name], subset, method, capped=capped)
        for name in FIGURE_CONDITIONS
        if any(
            record.config.subset == subset and method_of(record.config) == NAMED_METHODS[method]
            for record in records.get(name, ())
        )
    }


def median_ratios(
    records: Mapping[str, Records], subset: str = RATIO_SUBSET
) -> dict[str, float | None]:
    """Return the median gradient ratio of equal weights, over every observed step of a training.

    Args:
        records: records by the name of the training condition that they were made under.
        subset: C-MAPSS subset; the source measured its ratio on ``RATIO_SUBSET``.

    Returns:
        The ratio by training condition; ``None`` where seeds are missing, absent where none was
        run.

    """
    return {
        name: None if counts is None else ratio_quantile(counts, 0.5)
        for name, counts in _ratios(records, subset).items()
    }


def shares_beyond(records: Mapping[str, Records], ratio: float) -> dict[str, float | None]:
    """Return the share of the observed steps of equal weights whose ratio is above ``ratio``.

    It is of ``RATIO_SUBSET``, by training condition as in ``median_ratios``.
    """
    return {
        name: None if counts is None else share_above(counts, ratio)
        for name, counts in _ratios(records, RATIO_SUBSET).items()
    }


def _ratios(records: Mapping[str, Records], subset: str) -> dict[str, Integers | None]:
    """Return the binned ratios by training condition, ``None`` where seeds are missing."""
    runs = {name: equal_weight_runs(given, subset) for name, given in records.items()}
    return {
        name: ratio_counts(of_condition) if len(of_condition) >= MINIMUM_SEEDS else None
        for name, of_condition in runs.items()
        if of_condition
    }


def gaba_weights(records: Mapping[str, Records]) -> dict[str, float | None]:
    """Return GABA's RUL weight in the last epoch of its trainings.

    Args:
        records: records by the name of the training condition that they were made under.

    Returns:
        Its mean over the seeds of all subsets of which every seed is recorded, by training
        condition; ``None`` where there is no such subset, absent where GABA was not run.

    """
    return {
        name: gaba_last_rul_weight(given)
        for name, given in records.items()
        if any(method_of(record.config) == METHODS["gaba"] for record in given)
    }


def mean_test_rmse(
    records: Iterable[RunRecord], subset: str, method: str, *, capped: bool = True
) -> float | None:
    """Return what a printed error is held against: a method's mean test RMSE over the seeds.

    It is in cycles, against the capped RUL or, ``capped`` false, against the RUL as it is; ``None``
    until every seed is recorded.
    """
    records = list(records)
    complete = every_seed_in(records, [subset], [method])
    return rmse_by_seed(records, subset, method, capped=capped).value if complete else None


def gaba_last_rul_weight(records: Iterable[RunRecord]) -> float | None:
    """Return GABA's RUL weight in the last epoch, averaged over its runs.

    They are those on the subsets of which every seed is recorded; ``None`` where there is none.
    """
    records = list(records)
    runs = completed_runs(records)
    last = [
        run.epochs[-1].weights["rul_weight"]
        for subset in cmapss.SUBSETS
        if every_seed_in(records, [subset], ["gaba"])
        for run in runs[subset, "gaba"].values()
    ]
    return float(np.mean(last)) if last else None


def health_accuracy_reached(imbalance: Evidence) -> float | None:
    """Return the health accuracy at the selected epoch, %, mean over seeds, then over subsets.

    It is ``None`` while a run of the study is missing.
    """
    if not imbalance.complete:
        return None
    epochs = health_by_epoch(protocol_runs(imbalance.records))
    selected = epochs[epochs["selected"]]
    return float(100 * selected.groupby("subset")["health_accuracy"].mean().mean())
