"""Choose a learning rate on the validation engines of one seed; the other seeds then use it."""

import math
from collections.abc import Iterable

from rulbook.studies.sweep import record_file
from rulbook.training.config import RunConfig
from rulbook.training.record import RulHealthMetrics, RunRecord, read_record


def to_three_digits(value: float) -> float:
    """Return ``value`` with three significant digits, so that what is printed is what was run."""
    return float(f"{value:.3g}")


def best_validation_rmse(record: RunRecord) -> float:
    """Return the validation RMSE of the selected epoch, cycles; infinity where a run diverged."""
    if record.selected_epoch is None or record.status == "diverged":
        return math.inf
    return selected_validation(record).rmse


def selected_validation(record: RunRecord) -> RulHealthMetrics:
    """Return the metrics of the selected epoch on the validation windows.

    Raises:
        ValueError: no epoch was selected.

    """
    if record.selected_epoch is None:
        raise ValueError(f"the run {record.config.key()[:8]} selected no epoch")
    return record.epochs[record.selected_epoch].validation


def last_validation(record: RunRecord) -> RulHealthMetrics:
    """Return the metrics of the last epoch on the validation windows.

    Raises:
        IndexError: there is no epoch.

    """
    return record.epochs[-1].validation


def chosen_config(tried: Iterable[RunConfig]) -> RunConfig | None:
    """Return which of the runs tried has the lowest validation RMSE.

    It is ``None`` while one is missing, and where all of them diverged: there is nothing to choose.

    Raises:
        RulbookError: a record cannot be read.

    """
    configs = list(tried)
    paths = {c: path for c in configs if (path := record_file(c.key()))}
    if any(config not in paths for config in configs):
        return None
    errors = {c: best_validation_rmse(read_record(path)) for c, path in paths.items()}
    best = min(errors, key=lambda config: errors[config])
    return best if math.isfinite(errors[best]) else None
