"""Choose a learning rate on the validation engines of one seed; the other seeds then use it."""

import math
from collections.abc import Iterable

from rulbook.studies.sweep import record_file
from rulbook.training.config import RunConfig
from rulbook.training.record import RunRecord, read_record


def best_validation_rmse(record: RunRecord) -> float:
    """Return the validation RMSE of the selected epoch, cycles; infinity where a run diverged."""
    if record.selected_epoch is None or not record.completed:
        return math.inf
    return record.selected_validation().rmse


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
