"""From the records of a study to tables: estimates, comparisons, and how much is still missing.

``records_of`` reads; everything else is a function of records alone. Methods are compared as the
protocol says: first by a paired bootstrap over test engines of the seed-averaged squared errors,
then by a paired t test over seeds, both with Holm's correction over the family of comparisons.

A claim about methods is decided once every seed of the study is recorded for every method and
subset that it names (``every_seed_in``). Until then it waits, however clear it looks. Only the
claim that a method beats every other one fails with the first other one that it does not beat
(``beats_every_one``).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.metrics import health_accuracy, mean_error, nasa_score, recall_per_class, rmse
from rulbook.models import ARCHITECTURES
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
from rulbook.studies.catalogue import SEEDS, study
from rulbook.studies.methods import NAMED_METHODS, method_of
from rulbook.studies.sweep import Status, runs_folder, status
from rulbook.training.config import RunConfig
from rulbook.training.record import RunRecord, read_record

REFERENCE = "fixed_050"
"""The method that every other one is compared with."""

METRICS = (
    "rmse",
    "rmse_uncapped",
    "mean_error",
    "nasa_score",
    "health_accuracy",
    *(f"recall_{state}" for state in HEALTH_STATES),
)
"""Columns of ``runs_table`` that hold a measurement on the test engines."""

TIE, LOWER, HIGHER = "tie", "lower", "higher"
"""Outcomes of a comparison of errors; ``tie`` says that the test does not tell the two apart."""

Floats = npt.NDArray[np.float64]
Runs = Mapping[tuple[str, str], Mapping[int, RunRecord]]
"""Completed runs by subset and method, then by seed."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What has been recorded of a study so far.

    Attributes:
        study: name of the study.
        records: the records that are there, in the order of the study.
        status: how many of its runs are done, have failed for good, and are missing.
        seeds: the seeds of which every run is there.
        seeds_begun: the seeds of which some, but not every run is there.

    """

    study: str
    records: tuple[RunRecord, ...]
    status: Status
    seeds: tuple[int, ...]
    seeds_begun: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every run of the study is recorded."""
        return self.status.done == self.status.total

    def sentence(self) -> str:
        """Return what stands beside every table: study, network, data, seeds, missing runs."""
        counts = f"{self.status.done} of {self.status.total} runs recorded"
        if self.status.missing:
            counts += f", {self.status.missing} missing"
        if self.status.failed:
            counts += f", {self.status.failed} failed"
        parts = [f"Study {self.study}: {counts}"]
        if self.records:
            sizes = {r.config.network for r in self.records} & set(ARCHITECTURES)
            subsets = _in_words(sorted({r.config.subset for r in self.records}))
            seeds = [str(seed) for seed in self.seeds]
            seeds += [f"{seed} in part" for seed in self.seeds_begun]
            parts += [
                f"network: {_in_words(sorted(sizes)) or 'none'}",
                f"data: C-MAPSS {subsets}",
                f"{'seed' if len(seeds) == 1 else 'seeds'}: {_in_words(seeds)}",
            ]
        return "; ".join(parts) + "."

    def estimates(self, subset: str) -> pd.DataFrame:
        """Return ``estimates_table`` of these records, computed once."""
        return _estimates_of(self, subset).copy()

    def comparisons(
        self, subset: str, methods: Sequence[str] | None = None, reference: str = REFERENCE
    ) -> pd.DataFrame:
        """Return ``comparison_table`` of these records, computed once."""
        family = None if methods is None else tuple(methods)
        return _comparisons_of(self, subset, family, reference).copy()


@cache
def _estimates_of(evidence: Evidence, subset: str) -> pd.DataFrame:
    return estimates_table(evidence.records, subset)


@cache
def _comparisons_of(
    evidence: Evidence, subset: str, methods: tuple[str, ...] | None, reference: str
) -> pd.DataFrame:
    return comparison_table(evidence.records, subset, reference=reference, methods=methods)


def records_of(name: str) -> Evidence:
    """Read the records of a study that are there.

    Raises:
        UsageError: there is no such study.
        RulbookError: a record cannot be read.

    """
    configs = {config.key(): config for config in study(name).configs()}
    files = {key: runs_folder() / f"{key}.json" for key in configs}
    present = {key for key, path in files.items() if path.is_file()}
    of_seed: dict[int, list[bool]] = {}
    for key, config in configs.items():
        of_seed.setdefault(config.seed, []).append(key in present)
    return Evidence(
        study=name,
        records=tuple(read_record(files[key]) for key in configs if key in present),
        status=status(configs.values()),
        seeds=tuple(seed for seed, there in of_seed.items() if all(there)),
        seeds_begun=tuple(s for s, there in of_seed.items() if any(there) and not all(there)),
    )


def every_seed_in(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    methods: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool:
    """Return whether every seed is recorded for all of these methods on all of these subsets.

    This is the rule by which a claim about methods is decided. A run that diverged counts as
    recorded: it will not come out otherwise. A method all of whose runs diverged has no error to
    compare, and leaves the claim open.
    """
    recorded = set()
    completed = set()
    for record in records:
        method = method_of(record.config)
        if method is not None:
            recorded.add((record.config.subset, method.name, record.config.seed))
            if record.test is not None:
                completed.add((record.config.subset, method.name))
    wanted = [(subset, method) for subset in subsets for method in methods]
    return all(pair in completed for pair in wanted) and all(
        (*pair, seed) in recorded for pair in wanted for seed in seeds
    )


def completed_runs(records: Iterable[RunRecord]) -> Runs:
    """Return the completed runs by subset and method, then by seed.

    Runs that no row of the tables stands for are left out.

    Raises:
        ValueError: two records are of one subset, method and seed, so that they differ in a choice
            that the table would not show.

    """
    runs: dict[tuple[str, str], dict[int, RunRecord]] = {}
    for record in records:
        method = method_of(record.config)
        if method is None or record.test is None:
            continue
        of_method = runs.setdefault((record.config.subset, method.name), {})
        if record.config.seed in of_method:
            raise ValueError(
                f"two records of {method.name} on {record.config.subset} with seed "
                f"{record.config.seed} differ in a choice that no column shows"
            )
        of_method[record.config.seed] = record
    return runs


def errors_by_engine(runs: Iterable[RunRecord], *, capped: bool = True) -> Floats:
    """Return predicted minus true RUL of each run's test engines, cycles, (runs, engines).

    Args:
        runs: completed runs on one subset.
        capped: hold the true RUL at the cap of the training targets, the primary convention.

    Raises:
        ValueError: the runs do not have the same engines.

    """
    frames = [_predictions(run) for run in runs]
    if any(not frame.index.equals(frames[0].index) for frame in frames):
        raise ValueError("the runs were tested on different engines")
    column = "capped_rul" if capped else "true_rul"
    return np.stack([(frame["predicted_rul"] - frame[column]).to_numpy(float) for frame in frames])


def runs_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return one row a run with its measurements on the last window of each test engine.

    Returns:
        ``subset``, ``network``, ``method`` and ``label`` (``None`` for a run that no row of the
        tables stands for), ``seed``, ``completed``, ``starts_dead``, ``epochs`` (trained),
        ``selected_epoch`` (counted from 1, NaN without one), and ``METRICS``: errors in cycles,
        shares between 0 and 1. Measurements are NaN for a run that diverged, and those of health
        for one whose health head was not trained.

    """
    rows = []
    for record in records:
        method = method_of(record.config)
        selected = record.selected_epoch
        rows.append(
            {
                "subset": record.config.subset,
                "network": record.config.network,
                "method": method.name if method else None,
                "label": method.label if method else None,
                "seed": record.config.seed,
                "completed": record.test is not None,
                "starts_dead": record.starts_dead,
                "epochs": len(record.epochs),
                "selected_epoch": math.nan if selected is None else selected + 1,
                **_measurements(record),
            }
        )
    columns = ["subset", "network", "method", "label", "seed", "completed", "starts_dead"]
    return pd.DataFrame(rows, columns=[*columns, "epochs", "selected_epoch", *METRICS])


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


def lower_than_all(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error below that of every other one.

    Holm's correction is over the others. A tie is not lower: a method that merely has the smallest
    number of a list has not been shown to be the best of it.
    """
    return _outcomes(records, subset, method, others) == {HIGHER}


def beats_every_one(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    method: str,
    others: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool | None:
    """Return whether a method has the lower error than every other one, on every subset.

    It has not as soon as there is one other, with every seed of both recorded, below which the
    primary test does not put it: whatever is recorded later can only add to Holm's correction. It
    has when every seed of all of them is recorded.

    Returns:
        ``None`` while neither is so.

    """
    records, others, open_yet = list(records), set(others) - {method}, False
    for subset in subsets:
        complete = [
            name for name in others if every_seed_in(records, [subset], [method, name], seeds)
        ]
        if complete and not lower_than_all(records, subset, method, complete):
            return False
        open_yet |= len(complete) < len(others)
    return None if open_yet else True


def higher_than_none(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error above that of no other one."""
    return LOWER not in _outcomes(records, subset, method, others)


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


def _predictions(record: RunRecord) -> pd.DataFrame:
    if record.test is None:
        raise ValueError(f"the run {record.config.key()[:8]} diverged and predicts nothing")
    frame = record.test.frame()
    return frame.assign(capped_rul=frame["true_rul"].clip(upper=record.config.recipe.rul_cap))


def _measurements(record: RunRecord) -> dict[str, float]:
    if record.test is None:
        return dict.fromkeys(METRICS, math.nan)
    frame = _predictions(record)
    predicted, true = frame["predicted_rul"], frame["capped_rul"]
    found = {
        "rmse": rmse(predicted, true),
        "rmse_uncapped": rmse(predicted, frame["true_rul"]),
        "mean_error": mean_error(predicted, true),
        "nasa_score": nasa_score(predicted, true),
    }
    if _classifies_health(record.config):
        state = health_state(frame["true_rul"], record.config.recipe.health_thresholds)
        recalls = recall_per_class(frame["predicted_health"], state)
        found["health_accuracy"] = health_accuracy(frame["predicted_health"], state)
        found |= {f"recall_{s}": float(r) for s, r in zip(HEALTH_STATES, recalls, strict=True)}
    return dict.fromkeys(METRICS, math.nan) | found


def _classifies_health(config: RunConfig) -> bool:
    """Return whether the run has a health classifier that was trained on the health states."""
    is_network = config.network in ARCHITECTURES
    return config.auxiliary == "health" and not (is_network and config.weighting == "single_task")


def _root_mean_squares(errors: Floats) -> Floats:
    roots: Floats = np.sqrt(np.square(errors).mean(axis=1))
    return roots


def _in_words(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
