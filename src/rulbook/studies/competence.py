"""Which trainings are worth judging methods by: those about as good as gradient boosting."""

from collections.abc import Iterable, Mapping

import pandas as pd

from rulbook.data.cmapss import SUBSETS
from rulbook.data.loading import load, resolve_source
from rulbook.data.prepare import Recipe, prepare
from rulbook.options import RequestedSource
from rulbook.statistics import over_seeds
from rulbook.studies.competence_search import COMPETENCE_MARGIN
from rulbook.studies.evidence import completed_runs
from rulbook.studies.methods import METHODS, NAMED_METHODS
from rulbook.studies.tuning import best_validation_rmse
from rulbook.training.baselines import boosting_validation_rmse
from rulbook.training.record import RunRecord


def competence_table(
    records: Iterable[RunRecord], boosting_rmse: Mapping[str, float]
) -> pd.DataFrame:
    """Hold every network method's validation RMSE against that of gradient boosting.

    The network's is that of the selected epoch, which was selected for it; boosting selects
    nothing, so the comparison favours the network.

    Args:
        records: records of one study or under one training condition.
        boosting_rmse: validation RMSE of gradient boosting by subset, in cycles, as
            ``rulbook.training.baselines.boosting_validation_rmse`` gives it.

    Returns:
        One row a subset and network method with a completed run, in the tables' order: ``subset``,
        ``method``, ``label``, ``seeds``, ``validation_rmse`` (mean over seeds, cycles), ``low``,
        ``high`` (its t interval, NaN for a single seed), ``boosting_rmse``, ``difference`` (network
        minus boosting) and ``competent``, whether it is at most ``COMPETENCE_MARGIN``.

    """
    runs = completed_runs(records)
    rows = []
    for subset, boosting in boosting_rmse.items():
        for name, row in NAMED_METHODS.items():
            of_method = runs.get((subset, name), {})
            if row.baseline or not of_method:
                continue
            validation = over_seeds([best_validation_rmse(run) for run in of_method.values()])
            difference = validation.value - boosting
            rows.append(
                {
                    "subset": subset,
                    "method": name,
                    "label": row.label,
                    "seeds": validation.n,
                    "validation_rmse": validation.value,
                    "low": validation.low,
                    "high": validation.high,
                    "boosting_rmse": boosting,
                    "difference": difference,
                    "competent": difference <= COMPETENCE_MARGIN,
                }
            )
    columns = ["subset", "method", "label", "seeds", "validation_rmse", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "boosting_rmse", "difference", "competent"])


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
    """Return what stands beside an outcome on ``subset``: whether its trainings are competent."""
    of_subset = table[table["subset"] == subset]
    if of_subset.empty:
        return f"On {subset} no training is recorded that can be compared with gradient boosting."
    boosting = of_subset["boosting_rmse"].iloc[0]
    competent = int(of_subset["competent"].sum())
    words = (
        "competent here"
        if competent == len(of_subset)
        else "not competent here"
        if not competent
        else f"competent here for {competent} of {len(of_subset)} methods"
    )
    median = of_subset["validation_rmse"].median()
    return (
        f"{subset}: {words}. The median validation RMSE over methods is {median:.1f} cycles, that "
        f"of {METHODS['gradient_boosting'].label.lower()} {boosting:.1f}; at most "
        f"{COMPETENCE_MARGIN:g} more counts as competent."
    )
