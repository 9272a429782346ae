"""Which trainings are worth judging methods by: those about as good as gradient boosting."""

from collections.abc import Iterable, Mapping

import pandas as pd

from rulbook.data.cmapss import SUBSETS
from rulbook.data.loading import load, resolve_source
from rulbook.data.prepare import Recipe, prepare
from rulbook.options import RequestedSource
from rulbook.statistics import MINIMUM_SEEDS, over_seeds
from rulbook.studies.competence_search import COMPETENCE_MARGIN
from rulbook.studies.conditions import TrainingCondition, training_condition
from rulbook.studies.evidence import completed_runs
from rulbook.studies.methods import NAMED_METHODS
from rulbook.studies.tuning import best_validation_rmse
from rulbook.training.baselines import boosting_validation_rmse
from rulbook.training.record import RunRecord


def competence_table(
    records: Mapping[str, Iterable[RunRecord]], boosting_rmse: Mapping[str, float]
) -> pd.DataFrame:
    """Hold every network method's validation RMSE against that of gradient boosting.

    The network's is that of the selected epoch, which was selected for it; boosting selects
    nothing, so the comparison favours the network. Forensic conditions are left out: the engines
    of their validation windows are trained on.

    Args:
        records: records by the name of the training condition that they were made under.
        boosting_rmse: validation RMSE of gradient boosting by subset, in cycles, as
            ``rulbook.training.baselines.boosting_validation_rmse`` gives it.

    Returns:
        One row a subset, training condition and network method with a completed run, in the tables'
        order: ``subset``, ``condition``, ``condition_label``, ``method``, ``label``, ``seeds``,
        ``validation_rmse`` (mean over seeds, cycles), ``low``, ``high`` (its t interval, NaN for a
        single seed), ``boosting_rmse``, ``difference`` (network minus boosting) and ``competent``,
        whether it is at most ``COMPETENCE_MARGIN``.

    Raises:
        UsageError: there is no training condition of such a name.

    """
    runs_of = [
        (condition, completed_runs(of_condition))
        for name, of_condition in records.items()
        if not (condition := training_condition(name)).is_forensic
    ]
    rows = [
        _competence(subset, condition, name, list(of_method.values()), boosting)
        for subset, boosting in boosting_rmse.items()
        for condition, runs in runs_of
        for name, row in NAMED_METHODS.items()
        if not row.baseline and (of_method := runs.get((subset, name)))
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    *("subset", "condition", "condition_label", "method", "label", "seeds", "validation_rmse"),
    *("low", "high", "boosting_rmse", "difference", "competent"),
)


def _competence(
    subset: str, condition: TrainingCondition, name: str, runs: list[RunRecord], boosting: float
) -> dict[str, object]:
    validation = over_seeds([best_validation_rmse(run) for run in runs])
    difference = validation.value - boosting
    return {
        "subset": subset,
        "condition": condition.name,
        "condition_label": condition.label,
        "method": name,
        "label": NAMED_METHODS[name].label,
        "seeds": validation.n,
        "validation_rmse": validation.value,
        "low": validation.low,
        "high": validation.high,
        "boosting_rmse": boosting,
        "difference": difference,
        "competent": difference <= COMPETENCE_MARGIN,
    }


def boosting_by_subset(data: RequestedSource = "auto") -> dict[str, float]:
    """Return the validation RMSE of gradient boosting on every subset of C-MAPSS, cycles.

    Records hold its test predictions alone, so it is fitted again, in a few seconds a subset. On
    simulated data there is nothing to hold the records against, and the result is empty.
    """
    if resolve_source(data) != "cmapss":
        return {}
    return {
        subset: boosting_validation_rmse(prepare(load(subset, data), Recipe()))
        for subset in SUBSETS
    }


def competence_sentence(table: pd.DataFrame, subset: str) -> str:
    """Return whether the trainings on ``subset`` are competent (✓), condition by condition.

    Args:
        table: what ``competence_table`` returns.
        subset: C-MAPSS subset.

    """
    of_subset = table[table["subset"] == subset]
    if of_subset.empty:
        return f"On {subset} no training is recorded that can be compared with gradient boosting."
    conditions = "; ".join(
        f"*{label}* {rows['validation_rmse'].median():.1f} ({_how_many(rows)})"
        for label, rows in of_subset.groupby("condition_label", sort=False)
    )
    return (
        f"{subset}, where boosting reaches {of_subset['boosting_rmse'].iloc[0]:.1f}: {conditions}."
    )


def _how_many(rows: pd.DataFrame) -> str:
    competent = rows["competent"]
    words = (
        "✓"
        if competent.all()
        else f"{competent.sum()} of {len(competent)} ✓"
        if competent.any()
        else "✗"
    )
    fewest = rows["seeds"].min()
    return (
        words
        if fewest >= MINIMUM_SEEDS
        else f"{words}, {fewest} {'seeds' if fewest > 1 else 'seed'} or more"
    )
