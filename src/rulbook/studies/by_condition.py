"""How methods compare on a subset under one training condition after another."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import numpy as np
import pandas as pd

from rulbook.data import cmapss
from rulbook.statistics import MINIMUM_SEEDS, Outcome
from rulbook.studies.comparison import REFERENCE, comparison_table, crossed_rmse
from rulbook.studies.conditions import (
    CONDITIONS,
    METHODS_BY_CONDITION,
    PROTOCOL_CONDITION,
    require_condition,
    training_condition,
)
from rulbook.studies.evidence import completed_runs, has_arrived, records_under
from rulbook.studies.methods import BASELINES, METHODS, method_of
from rulbook.training.record import RunRecord

_BOOSTING = "gradient_boosting"


class NoOutcome(StrEnum):
    """Why a method has no outcome under a training condition."""

    NOT_RUN = "not run"
    WAITING = "waiting"
    """Fewer runs are recorded than an outcome needs seeds."""
    DIVERGED = "diverged"
    """The runs are recorded, but too few of them came to an end."""
    NOT_ARRIVED = "not finished"
    """A training was still getting better when its epochs ran out."""


def records_by_condition() -> dict[str, tuple[RunRecord, ...]]:
    """Read the records under each training condition."""
    return {name: records_under(name) for name in CONDITIONS}


def why_no_outcome(
    records: Iterable[RunRecord], condition: str, subset: str, method: str
) -> NoOutcome | None:
    """Return why a method can have no outcome on a subset, ``None`` where it can.

    Raises:
        UsageError: there is no such condition.

    """
    runs = [
        record
        for record in records
        if record.config.subset == subset
        and (row := method_of(record.config)) is not None
        and row.name == method
    ]
    if not runs:
        return NoOutcome.NOT_RUN
    if len(runs) < MINIMUM_SEEDS:
        return NoOutcome.WAITING
    completed = [record for record in runs if record.completed]
    if len(completed) < MINIMUM_SEEDS:
        return NoOutcome.DIVERGED
    if training_condition(condition).must_arrive and not all(map(has_arrived, completed)):
        return NoOutcome.NOT_ARRIVED
    return None


def condition_table(
    records: Mapping[str, Sequence[RunRecord]],
    subset: str,
) -> pd.DataFrame:
    """Compare every method with equal weights on ``subset`` under each training condition.

    Gradient boosting has no training condition; its records, which the protocol's are among, stand
    beside every one of them, compared alone. Holm's correction is over the networks of one
    condition that can have an outcome.

    Args:
        records: records by the name of the training condition that they were made under.
        subset: C-MAPSS subset.

    Returns:
        One row a condition and method, those of ``METHODS_BY_CONDITION`` first: ``subset``,
        ``condition``, ``condition_label``, ``method``, ``label``, ``seeds`` (completed); ``rmse``,
        ``low``, ``high``: test RMSE against the capped RUL, cycles, with its crossed interval;
        ``difference`` from equal weights under the same condition, ``difference_low``,
        ``difference_high``, ``p_holm``, ``smallest_detectable``; and ``outcome``, an ``Outcome`` or
        a ``NoOutcome``, ``None`` for equal weights themselves. What needs five seeds is NaN with
        fewer.

    Raises:
        UsageError: there is no such condition.
        RulbookError: a network's record was not made under the condition that it is given for.

    """
    records = {
        name: [record for record in given if record.config.subset == subset]
        for name, given in records.items()
    }
    for name, given in records.items():
        for record in given:
            if method_of(record.config) not in _BASELINES:
                require_condition(record.config, name)
    boosting = [
        record
        for record in records.get(PROTOCOL_CONDITION, ())
        if method_of(record.config) == METHODS[_BOOSTING]
    ]
    rows = [
        row
        for name, given in records.items()
        for row in _rows_of(name, [*_networks(given), *boosting], subset)
    ]
    outcomes = pd.Series([row["outcome"] for row in rows], dtype=object)
    return pd.DataFrame(rows, columns=_COLUMNS).assign(outcome=outcomes)


def condition_tables(records: Mapping[str, Sequence[RunRecord]]) -> pd.DataFrame:
    """Return ``condition_table`` of every subset, one under the other."""
    tables = [condition_table(records, subset) for subset in cmapss.SUBSETS]
    return pd.concat(tables, ignore_index=True)


_BASELINES = [METHODS[name] for name in BASELINES]

_COMPARED = (
    *METHODS_BY_CONDITION,
    *(name for name in METHODS if name not in (*BASELINES, *METHODS_BY_CONDITION)),
)

_COLUMNS = [
    *("subset", "condition", "condition_label", "method", "label", "seeds", "rmse", "low", "high"),
    *("difference", "difference_low", "difference_high", "p_holm", "smallest_detectable"),
    "outcome",
]


def _networks(records: Iterable[RunRecord]) -> list[RunRecord]:
    return [record for record in records if method_of(record.config) not in _BASELINES]


def _rows_of(condition: str, records: Sequence[RunRecord], subset: str) -> list[dict[str, object]]:
    names = [*_COMPARED, _BOOSTING]
    reasons = {name: why_no_outcome(records, condition, subset, name) for name in names}
    if all(reasons[name] is NoOutcome.NOT_RUN for name in names[:-1]):
        return []
    networks = [name for name in names[:-1] if reasons[name] is None]
    compared = pd.concat(
        [
            comparison_table(records, subset, methods=family).set_index("method")
            for family in (networks, [name for name in names if name not in networks])
        ]
    )
    runs = completed_runs(record for record in records if record.config.subset == subset)
    rows = []
    for name in names:
        of_method = list(runs.get((subset, name), {}).values())
        error = crossed_rmse(of_method)
        row: dict[str, object] = dict.fromkeys(_COLUMNS, np.nan) | {
            "subset": subset,
            "condition": condition,
            "condition_label": training_condition(condition).label,
            "method": name,
            "label": METHODS[name].label,
            "seeds": len(of_method),
            "rmse": error.value,
            "low": error.low,
            "high": error.high,
        }
        outcome: Outcome | NoOutcome | None = reasons[name] or reasons[REFERENCE]
        if name in compared.index:
            found = compared.loc[name]
            row["difference"] = found["difference"]
            if outcome is None:
                row |= {
                    "difference_low": found["low"],
                    "difference_high": found["high"],
                    "p_holm": found["p_holm"],
                    "smallest_detectable": found["smallest_detectable"],
                }
                outcome = Outcome(str(found["outcome"]))
        row["outcome"] = outcome
        rows.append(row)
    return rows
