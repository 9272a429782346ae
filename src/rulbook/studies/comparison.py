"""Estimates of a method's errors and comparisons between methods, from records."""

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd

from rulbook.statistics import (
    CONFIDENCE,
    Comparison,
    Estimate,
    compare_over_engines,
    compare_over_seeds,
    holm,
    over_seeds,
    rmse_over_engines,
)
from rulbook.studies.evidence import (
    METRICS,
    Evidence,
    completed_runs,
    errors_by_engine,
    runs_table,
)
from rulbook.studies.methods import NAMED_METHODS
from rulbook.training.record import RunRecord
from rulbook.typing import Floats

REFERENCE = "fixed_050"
"""The method that every other one is compared with."""

TIE, LOWER, HIGHER = "tie", "lower", "higher"
"""Outcomes of a comparison of errors; ``tie`` says that the test does not tell the two apart."""


def estimates_of(evidence: Evidence, subset: str) -> pd.DataFrame:
    """Return ``estimates_table`` of the records of a study, computed once."""
    return _estimates_of(evidence, subset).copy()


def comparisons_of(
    evidence: Evidence,
    subset: str,
    methods: Sequence[str] | None = None,
    reference: str = REFERENCE,
) -> pd.DataFrame:
    """Return ``comparison_table`` of the records of a study, computed once."""
    family = None if methods is None else tuple(methods)
    return _comparisons_of(evidence, subset, family, reference).copy()


@cache
def _estimates_of(evidence: Evidence, subset: str) -> pd.DataFrame:
    return estimates_table(evidence.records, subset)


@cache
def _comparisons_of(
    evidence: Evidence, subset: str, methods: tuple[str, ...] | None, reference: str
) -> pd.DataFrame:
    return comparison_table(evidence.records, subset, reference=reference, methods=methods)


def estimates_table(records: Iterable[RunRecord], subset: str) -> pd.DataFrame:
    """Return one row a method of which a run on ``subset`` is recorded, in the tables' order.

    Returns:
        ``method``, ``label``, ``seeds`` (completed), ``diverged``, ``starts_dead`` (numbers of
        runs); ``rmse``, ``low``, ``high``: RMSE of the seed-averaged squared errors against the
        capped RUL with its bootstrap interval over test engines, cycles; and the mean and standard
        deviation over seeds of every metric, as ``<metric>_mean`` and ``<metric>_sd``. A standard
        deviation is NaN for a single seed; a method without a completed run has NaN throughout.

    """
    records = [record for record in records if record.config.subset == subset]
    runs, table = completed_runs(records), runs_table(records)
    rows = []
    for name, method in NAMED_METHODS.items():
        of_method = table[table["method"] == name]
        if of_method.empty:
            continue
        completed = of_method[of_method["completed"]]
        errors = runs.get((subset, name), {})
        overall = rmse_over_engines(errors_by_engine(errors.values())) if errors else _NO_ESTIMATE
        rows.append(
            {
                "method": name,
                "label": method.label,
                "seeds": len(completed),
                "diverged": len(of_method) - len(completed),
                "starts_dead": int(of_method["starts_dead"].sum()),
                "rmse": overall.value,
                "low": overall.low,
                "high": overall.high,
                **{f"{metric}_mean": completed[metric].mean() for metric in METRICS},
                **{f"{metric}_sd": completed[metric].std(ddof=1) for metric in METRICS},
            }
        )
    columns = ["method", "label", "seeds", "diverged", "starts_dead", "rmse", "low", "high"]
    columns += [f"{metric}_{part}" for part in ("mean", "sd") for metric in METRICS]
    return pd.DataFrame(rows, columns=columns)


def comparison_table(
    records: Iterable[RunRecord],
    subset: str,
    *,
    reference: str = REFERENCE,
    methods: Iterable[str] | None = None,
    capped: bool = True,
) -> pd.DataFrame:
    """Compare methods with ``reference`` on ``subset``, over the seeds that both have completed.

    Args:
        records: records of one study.
        subset: C-MAPSS subset.
        reference: name of the method that the others are compared with.
        methods: the family of comparisons that Holm's correction is over; by default every method
            that shares a completed seed with the reference.
        capped: hold the true RUL at the cap.

    Returns:
        One row a comparison, in the tables' order: ``method``, ``label``, ``seeds`` (paired);
        over engines ``difference`` (RMSE of the method minus that of the reference, cycles),
        ``low``, ``high``, ``p_value``, ``p_holm``, ``smallest_detectable`` and ``outcome``
        (``LOWER``, ``HIGHER`` or ``TIE``, by ``p_holm``); over seeds ``seed_difference``,
        ``seed_p_value``, ``seed_p_holm`` and ``seed_smallest_detectable``, NaN for a single seed.
        Methods without a common seed have no row. The smallest detectable difference is that of a
        single comparison, before the correction.

    """
    runs = completed_runs(record for record in records if record.config.subset == subset)
    base = runs.get((subset, reference), {})
    family = NAMED_METHODS if methods is None else set(methods)
    rows = []
    for name, method in NAMED_METHODS.items():
        other = runs.get((subset, name), {})
        seeds = [seed for seed in other if seed in base]
        if name == reference or name not in family or not seeds:
            continue
        mine, theirs = [other[seed] for seed in seeds], [base[seed] for seed in seeds]
        errors, base_errors = (errors_by_engine(group, capped=capped) for group in (mine, theirs))
        engines = compare_over_engines(errors, base_errors)
        by_seed = (
            compare_over_seeds(_root_mean_squares(errors), _root_mean_squares(base_errors))
            if len(seeds) > 1
            else _NO_COMPARISON
        )
        rows.append(
            {
                "method": name,
                "label": method.label,
                "seeds": len(seeds),
                "difference": engines.difference,
                "low": engines.low,
                "high": engines.high,
                "p_value": engines.p_value,
                "smallest_detectable": engines.smallest_detectable,
                "seed_difference": by_seed.difference,
                "seed_p_value": by_seed.p_value,
                "seed_smallest_detectable": by_seed.smallest_detectable,
            }
        )
    return _with_outcomes(pd.DataFrame(rows, columns=_COMPARISON_COLUMNS))


def compare_groups(
    records: Iterable[RunRecord], subset: str, group: Iterable[str], others: Iterable[str]
) -> Comparison:
    """Compare two groups of methods, each taken together, by the paired bootstrap over engines.

    Squared errors are averaged over all completed runs of a group.

    Returns:
        RMSE of ``group`` minus RMSE of ``others``, capped, cycles.

    Raises:
        ValueError: a method has no completed run on ``subset``.

    """
    runs = completed_runs(record for record in records if record.config.subset == subset)

    def errors(names: Iterable[str]) -> Floats:
        names = list(names)
        if absent := [name for name in names if (subset, name) not in runs]:
            raise ValueError(f"no completed run of {', '.join(absent)} on {subset}")
        return np.vstack([errors_by_engine(runs[subset, name].values()) for name in names])

    return compare_over_engines(errors(group), errors(others))


def rmse_by_seed(
    records: Iterable[RunRecord], subset: str, method: str, *, capped: bool = True
) -> Estimate:
    """Return the mean test RMSE of a method over its completed seeds, cycles, with its t interval.

    Raises:
        ValueError: there is no completed run.

    """
    runs = completed_runs(records).get((subset, method), {})
    if not runs:
        raise ValueError(f"no completed run of {method} on {subset}")
    return over_seeds(_root_mean_squares(errors_by_engine(runs.values(), capped=capped)))


_NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan, math.nan, 0)

_NO_COMPARISON = Comparison(math.nan, math.nan, math.nan, math.nan, math.nan, 1)

_COMPARISON_COLUMNS = [
    *("method", "label", "seeds", "difference", "low", "high", "p_value", "smallest_detectable"),
    *("seed_difference", "seed_p_value", "seed_smallest_detectable"),
]


def _with_outcomes(rows: pd.DataFrame) -> pd.DataFrame:
    """Add Holm's correction and the outcome that follows from it."""
    corrected = holm(rows["p_value"].tolist())
    over_seeds_too = rows["seed_p_value"].notna()
    rows["seed_p_holm"] = pd.Series(
        holm(rows.loc[over_seeds_too, "seed_p_value"].tolist()),
        index=rows.index[over_seeds_too],
        dtype=float,
    )
    rows["p_holm"] = pd.Series(corrected, index=rows.index, dtype=float)
    direction = np.where(rows["difference"] < 0, LOWER, HIGHER)
    rows["outcome"] = np.where(rows["p_holm"] < 1 - CONFIDENCE, direction, TIE)
    return rows


def _outcomes(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> set[str]:
    """Return the outcomes of the others against ``method``.

    Raises:
        ValueError: one of the others has no seed in common with the method.

    """
    wanted = set(others) - {method}
    found = comparison_table(records, subset, reference=method, methods=wanted)
    if absent := wanted - set(found["method"]):
        raise ValueError(f"{', '.join(sorted(absent))}: no seed in common with {method}")
    return set(found["outcome"])


def _root_mean_squares(errors: Floats) -> Floats:
    roots: Floats = np.sqrt(np.square(errors).mean(axis=1))
    return roots
