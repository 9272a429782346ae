"""Estimates of a method's errors and comparisons between methods, from records."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import cache

import numpy as np
import pandas as pd

from rulbook.errors import UsageError, unknown_name
from rulbook.statistics import (
    CONFIDENCE,
    MINIMUM_SEEDS,
    Comparison,
    CrossedComparison,
    Estimate,
    Outcome,
    compare_crossed,
    compare_over_seeds,
    estimate_crossed,
    holm,
    over_seeds,
)
from rulbook.studies.evidence import (
    METRICS,
    Evidence,
    classifies_health,
    completed_runs,
    errors_by_engine,
    runs_table,
)
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import BASELINES, NAMED_METHODS
from rulbook.training.record import RunRecord
from rulbook.typing import Floats
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, FIXED_RUL_WEIGHTS, fixed_name
from rulbook.weighting.registry import is_own

REFERENCE = EQUAL_WEIGHTING
"""The method that every other one is compared with."""


def estimates_of(evidence: Evidence, subset: str) -> pd.DataFrame:
    """Return ``estimates_table`` of the records of a study, computed once."""
    return _estimates_of(evidence, subset).copy()


def estimates_by_rul_weight(evidence: Evidence, subset: str) -> pd.DataFrame:
    """Return the rows of ``estimates_of`` for the sweep over fixed weights, the single task at 1.

    It is indexed by the RUL weight, in the tables' order.
    """
    rul_weights = {fixed_name(weight): weight for weight in FIXED_RUL_WEIGHTS}
    rul_weights["single_task"] = 1.0
    rows = estimates_of(evidence, subset)
    rows = rows[rows["method"].isin(rul_weights)]
    return rows.set_index(rows["method"].map(rul_weights).rename("rul_weight"))


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
    evidence: Evidence,
    subset: str,
    methods: tuple[str, ...] | None,
    reference: str,
) -> pd.DataFrame:
    return comparison_table(evidence.records, subset, reference=reference, methods=methods)


def estimates_table(records: Iterable[RunRecord], subset: str) -> pd.DataFrame:
    """Return one row a method of which a run on ``subset`` is recorded, in the tables' order.

    Returns:
        ``method``, ``label``, ``seeds`` (completed), ``diverged``, ``starts_dead`` (numbers of
        runs); ``rmse``, ``low``, ``high``: RMSE of the seed-averaged squared errors against the
        capped RUL with its crossed interval over test engines and seeds, cycles, NaN with fewer
        than ``MINIMUM_SEEDS``; and the mean and standard deviation over seeds of every metric, as
        ``<metric>_mean`` and ``<metric>_sd``. A standard deviation is NaN for a single seed; a
        method without a completed run has NaN throughout.

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
        overall = crossed_rmse(list(errors.values()))
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
    measure: str = "rmse",
    families: int = 1,
) -> pd.DataFrame:
    """Compare methods with ``reference`` on ``subset``, engines and seeds resampled together.

    Baselines answer another question than networks do, and are compared alone.

    Args:
        records: records of one study or under one training condition.
        subset: C-MAPSS subset.
        reference: name of the method that the others are compared with.
        methods: the methods to compare; Holm's correction is over the networks among them. By
            default every method that shares a completed seed with the reference.
        measure: name of what they are compared by, from ``MEASURES``.
        families: how many tables like this one are asked one question, for the correction.

    Returns:
        One row a comparison, in the tables' order: ``method``, ``label``, and the attributes of
        ``rulbook.statistics.CrossedComparison``, method minus reference. Methods without a common
        seed have no row, nor have those without what is measured.

    Raises:
        KeyError: there is no such measure.
        UsageError: a name is that of no method of the tables.

    """
    loss = MEASURES[measure]
    pairs = _paired_runs(filter(loss.applies_to, records), subset, reference, methods)
    networks = [name for name in pairs if name not in BASELINES]
    compared_together = [networks, *([name] for name in pairs if name not in networks)]
    compared = {
        name: comparison
        for family in compared_together
        for name, comparison in zip(
            family,
            compare_crossed(
                [
                    (loss.losses(mine), loss.losses(theirs))
                    for mine, theirs in (pairs[name] for name in family)
                ],
                loss.statistic,
                margin=loss.margin,
                families=families,
            ),
            strict=True,
        )
    }
    rows = [
        {"method": name, "label": NAMED_METHODS[name].label, **vars(compared[name])}
        for name in pairs
    ]
    columns = [field.name for field in fields(CrossedComparison)]
    return pd.DataFrame(rows, columns=["method", "label", *columns])


def networks_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of networks, without those of ``BASELINES``; ``rows`` by ``method``."""
    return rows[~rows["method"].isin(BASELINES)]


def health_loss_table(
    records: Iterable[RunRecord], subset: str, methods: Iterable[str] | None = None
) -> pd.DataFrame:
    """Compare the cross-entropy of the health heads with equal weights', over seeds.

    It is that of the validation windows at the selected epoch, in nats, and falls with calibration
    and with discrimination alike. A record holds its mean alone, so that engines cannot be
    resampled; the test is the paired t over seeds, with Holm's correction.

    Returns:
        One row a comparison: ``method``, ``label``, ``seeds`` (paired), ``difference``, ``low``,
        ``high``, ``p_value``, ``p_holm``, ``smallest_detectable`` (before the correction) and
        ``outcome``, as of ``comparison_table``. With fewer than ``MINIMUM_SEEDS`` seeds all but the
        difference is NaN.

    """
    with_health = (record for record in records if classifies_health(record.config))
    networks = (record for record in with_health if record.epochs)
    pairs = _paired_runs(networks, subset, REFERENCE, methods)
    rows = []
    for name, (mine, theirs) in pairs.items():
        losses, base = (
            [run.selected_validation().health_loss for run in runs] for runs in (mine, theirs)
        )
        compared = (
            compare_over_seeds(losses, base) if len(mine) >= MINIMUM_SEEDS else _NO_COMPARISON
        )
        rows.append(
            {
                "method": name,
                "label": NAMED_METHODS[name].label,
                "seeds": len(mine),
                **vars(compared),
                "difference": float(np.mean(losses) - np.mean(base)),
            }
        )
    columns = ["method", "label", "seeds", "difference", "low", "high", "p_value"]
    table = pd.DataFrame(rows, columns=[*columns, "smallest_detectable"])
    tested = table["p_value"].notna()
    table["p_holm"] = pd.Series(
        holm(table.loc[tested, "p_value"].tolist()), index=table.index[tested], dtype=float
    )
    outcomes = [
        _outcome_over_seeds(difference, p_holm)
        for difference, p_holm in zip(table["difference"], table["p_holm"], strict=True)
    ]
    return table.assign(outcome=pd.Series(outcomes, index=table.index, dtype=object))


class NoCommonSeedError(ValueError):
    """Methods cannot be compared: there is no seed for which all of them have a completed run."""


def compare_groups(
    records: Iterable[RunRecord],
    subset: str,
    group: Collection[str],
    others: Collection[str],
    families: int = 1,
) -> CrossedComparison:
    """Compare two groups of methods, each taken together, engines and seeds resampled together.

    Squared errors are averaged over the methods of a group, seed by seed, over the seeds that all
    of them have completed.

    Args:
        records: records of one study or under one training condition.
        subset: C-MAPSS subset.
        group: names of the methods of one group.
        others: names of those of the other one.
        families: how many such comparisons are made together, for the correction.

    Returns:
        RMSE of ``group`` minus RMSE of ``others``, capped, cycles.

    Raises:
        NoCommonSeedError: there is no seed for which all of them have a completed run on
            ``subset``.

    """
    first, second = losses_of_groups(records, subset, (group, others))
    rmse = MEASURES["rmse"]
    (compared,) = compare_crossed(
        [(first, second)], rmse.statistic, margin=rmse.margin, families=families
    )
    return compared


def losses_of_groups(
    records: Iterable[RunRecord], subset: str, groups: Iterable[Collection[str]]
) -> list[Floats]:
    """Return each group's squared errors, averaged over its methods, shape (seeds, engines).

    Raises:
        NoCommonSeedError: as for ``compare_groups``.
        UsageError: a name is that of no method of the tables.

    """
    groups = [_checked_names(group) for group in groups]
    if not all(groups):
        raise UsageError("A group of methods has no name in it: name one or more.")
    runs = completed_runs(record for record in records if record.config.subset == subset)
    names = [name for group in groups for name in group]
    if absent := [name for name in names if (subset, name) not in runs]:
        raise NoCommonSeedError(f"no completed run of {', '.join(absent)} on {subset}")
    seeds = sorted(set.intersection(*(set(runs[subset, name]) for name in names)))
    if not seeds:
        raise NoCommonSeedError(f"{', '.join(names)} have no seed in common on {subset}")
    losses = MEASURES["rmse"].losses
    return [
        np.mean([losses([runs[subset, name][seed] for seed in seeds]) for name in group], axis=0)
        for group in groups
    ]


def crossed_rmse(runs: Sequence[RunRecord]) -> Estimate:
    """Return the test RMSE of runs, capped, cycles, with its crossed interval.

    Args:
        runs: completed runs of one method on one subset; without any, everything is NaN.

    """
    if not runs:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    rmse = MEASURES["rmse"]
    return estimate_crossed(rmse.losses(runs), rmse.statistic)


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


def _checked_names(methods: Iterable[str]) -> list[str]:
    """Return names of methods of the tables, or raise ``UsageError`` where they are none."""
    if isinstance(methods, str):
        raise UsageError(f"Give a list of names of methods, as ['{methods}'], not '{methods}'.")
    names = list(methods)
    for name in names:
        if is_own(name):
            raise UsageError(
                f"'{name}' is a method of your own, and the tables have a row for each of the "
                f"package's: compare its runs by rulbook.statistics.compare_crossed, with the "
                f"losses that rulbook.studies.measures.MEASURES['rmse'] gives of them."
            )
        if name not in NAMED_METHODS:
            raise unknown_name("method", name, NAMED_METHODS)
    return names


_NO_COMPARISON = Comparison(math.nan, math.nan, math.nan, math.nan, math.nan, 1)


def _outcome_over_seeds(difference: float, p_holm: float) -> Outcome:
    if math.isnan(p_holm):
        return Outcome.TOO_FEW_SEEDS
    if p_holm >= 1 - CONFIDENCE:
        return Outcome.TIE
    return Outcome.LOWER if difference < 0 else Outcome.HIGHER


def _paired_runs(
    records: Iterable[RunRecord],
    subset: str,
    reference: str,
    methods: Iterable[str] | None,
) -> dict[str, tuple[list[RunRecord], list[RunRecord]]]:
    """Return each method's completed runs and those of the reference, seed by seed."""
    _checked_names([reference])
    family = NAMED_METHODS if methods is None else _checked_names(methods)
    runs = completed_runs(record for record in records if record.config.subset == subset)
    base = runs.get((subset, reference), {})
    pairs = {}
    for name in NAMED_METHODS:
        of_method = runs.get((subset, name), {})
        seeds = [seed for seed in of_method if seed in base]
        if name != reference and name in family and seeds:
            pairs[name] = [of_method[seed] for seed in seeds], [base[seed] for seed in seeds]
    return pairs


def _root_mean_squares(errors: Floats) -> Floats:
    roots: Floats = np.sqrt(np.square(errors).mean(axis=1))
    return roots
