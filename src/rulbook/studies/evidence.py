"""What has been recorded of a study, and its runs as a table of measurements."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.metrics import health_accuracy, mean_error, nasa_score, recall_per_class, rmse
from rulbook.models import ARCHITECTURES
from rulbook.studies.catalogue import SEEDS, Study, base_config, study
from rulbook.studies.conditions import TrainingCondition, training_condition
from rulbook.studies.methods import NAMED_METHODS, Method, method_of
from rulbook.studies.sweep import Status, record_file, status
from rulbook.studies.tuning import chosen_config
from rulbook.training.config import RunConfig
from rulbook.training.networks import Baseline
from rulbook.training.record import RunRecord, read_record
from rulbook.typing import Floats

METRICS = (
    "rmse",
    "rmse_uncapped",
    "mean_error",
    "nasa_score",
    "health_accuracy",
    *(f"recall_{state}" for state in HEALTH_STATES),
)
"""Columns of ``runs_table`` that hold a measurement on the test engines."""


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
        done = "all" if self.complete else f"{self.status.done} of"
        counts = f"Study {self.study}: {done} {self.status.total} runs recorded"
        if self.status.failed:
            counts += f", {self.status.failed} failed"
        if not self.records:
            return f"{counts}."
        sizes = {r.config.network for r in self.records} & set(ARCHITECTURES)
        networks = f"{_in_words(sorted(sizes))} network" if sizes else "no network"
        subsets = _in_words(sorted({r.config.subset for r in self.records}))
        seeds = [
            f"seed{'' if len(numbers) == 1 else 's'} {_in_words(numbers)}{how_far}"
            for named, how_far in ((self.seeds, ""), (self.seeds_begun, " in part"))
            if (numbers := [str(seed) for seed in named])
        ]
        return f"{counts} ({networks}; C-MAPSS {subsets}; {', '.join(seeds)})."


def records_of(name: str) -> Evidence:
    """Read the records of a study that are there.

    Raises:
        UsageError: there is no such study.
        RulbookError: a record cannot be read.

    """
    return evidence_of(study(name))


def evidence_of(study: Study) -> Evidence:
    """Read the records of a study that are there, of one's own too.

    Raises:
        RulbookError: a record cannot be read.

    """
    configs = {config.key(): config for config in study.configs()}
    files = {key: file for key in configs if (file := record_file(key))}
    of_seed: dict[int, list[bool]] = {}
    for key, config in configs.items():
        of_seed.setdefault(config.seed, []).append(key in files)
    return Evidence(
        study=study.name,
        records=tuple(read_record(files[key]) for key in configs if key in files),
        status=status(configs.values()),
        seeds=tuple(seed for seed, there in of_seed.items() if all(there)),
        seeds_begun=tuple(s for s, there in of_seed.items() if any(there) and not all(there)),
    )


def records_under(condition: str) -> tuple[RunRecord, ...]:
    """Read the records of every named method that was run under a training condition.

    Where each method and subset gets a learning rate of its own, the records at the chosen rate
    are read, and none before every rate has been tried.

    Args:
        condition: name of the condition.

    Returns:
        The records that are there, on every subset and the source's seeds, in the tables' order.

    Raises:
        UsageError: there is no such condition.
        RulbookError: a record cannot be read.

    """
    named = training_condition(condition)
    files = [
        record_file(config.key())
        for row in NAMED_METHODS.values()
        for subset in cmapss.SUBSETS
        for config in _configs_under(named, row, subset)
    ]
    return tuple(read_record(path) for path in files if path)


def has_arrived(record: RunRecord) -> bool:
    """Return whether a training was over before its epochs ran out, as its patience saw it."""
    config = record.config
    return (
        record.completed and config.patience is not None and len(record.epochs) < config.max_epochs
    )


def completed_runs(records: Iterable[RunRecord]) -> Runs:
    """Return the completed runs by subset and method, then by seed, rising.

    Runs that no row of the tables stands for are left out.

    Raises:
        ValueError: two records are of one subset, method and seed, so that they differ in a choice
            that the table would not show.

    """
    runs: dict[tuple[str, str], dict[int, RunRecord]] = {}
    for record in records:
        method = method_of(record.config)
        if method is None or not record.completed:
            continue
        of_method = runs.setdefault((record.config.subset, method.name), {})
        if record.config.seed in of_method:
            raise ValueError(
                f"two records of {method.name} on {record.config.subset} with seed "
                f"{record.config.seed} differ in a choice that no column shows"
            )
        of_method[record.config.seed] = record
    return {key: dict(sorted(of_method.items())) for key, of_method in runs.items()}


def errors_by_engine(runs: Iterable[RunRecord], *, capped: bool = True) -> Floats:
    """Return predicted minus true RUL of each run's test engines, cycles, (runs, engines).

    Args:
        runs: completed runs on one subset.
        capped: hold the true RUL at the cap of the training targets, the primary convention.

    Raises:
        ValueError: the runs do not have the same engines.

    """
    runs = list(runs)
    engines = [run.predictions().unit for run in runs]
    if any(units != engines[0] for units in engines):
        raise ValueError("the runs were tested on different engines")
    return np.stack(
        [
            np.subtract(
                run.predictions().predicted_rul, _capped_rul(run) if capped else _true_rul(run)
            )
            for run in runs
        ]
    )


def error_over_best_constant(run: RunRecord) -> float:
    """Return the test RMSE of a run over that of the constant with the least, RUL capped.

    Raises:
        ValueError: the run diverged.

    """
    capped = _capped_rul(run)
    return rmse(run.predictions().predicted_rul, capped) / float(capped.std())


def runs_table(records: Iterable[RunRecord], *, config: bool = False) -> pd.DataFrame:
    """Return one row a run with its measurements on the last window of each test engine.

    Args:
        records: the runs.
        config: also return every choice of ``RunConfig`` as a column, those of ``Recipe`` and of
            an architecture after a point, as ``recipe.window``; lists as JSON.

    Returns:
        ``subset``, ``network``, ``method`` and ``label`` (``None`` for a run that no row of the
        tables stands for), ``seed``, ``completed``, ``starts_dead``, ``epochs`` (trained),
        ``selected_epoch`` (counted from 1, NaN without one), and ``METRICS``: errors in cycles,
        shares between 0 and 1. Measurements are NaN for a run that diverged, and those of health
        for one whose health head was not trained.

    """
    rows = []
    records = list(records)
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
                "completed": record.completed,
                "starts_dead": record.starts_dead,
                "epochs": len(record.epochs),
                "selected_epoch": math.nan if selected is None else selected + 1,
                **_measurements(record),
            }
        )
    columns = ["subset", "network", "method", "label", "seed", "completed", "starts_dead"]
    table = pd.DataFrame(rows, columns=[*columns, "epochs", "selected_epoch", *METRICS])
    if not config:
        return table
    choices = pd.DataFrame([flat_fields(r.config.model_dump(mode="json")) for r in records])
    # Whole numbers stay whole beside a choice that was not made.
    choices = choices.drop(columns=[*columns, "architecture"], errors="ignore")
    return pd.concat([table, choices.convert_dtypes()], axis=1)


def flat_fields(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return fields and those within them by names with points; a list becomes JSON.

    >>> flat_fields({"seed": 7, "recipe": {"window": 30, "health_thresholds": [80, 30]}})
    {'seed': 7, 'recipe.window': 30, 'recipe.health_thresholds': '[80, 30]'}
    """
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= flat_fields(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _configs_under(condition: TrainingCondition, row: Method, subset: str) -> list[RunConfig]:
    as_printed = [row.applied_to(base_config(subset, seed)) for seed in SEEDS]
    if not condition.learning_rates:
        return [condition.applied_to(config) for config in as_printed]
    chosen = chosen_config(
        [condition.applied_to(as_printed[0], rate) for rate in condition.learning_rates]
    )
    if chosen is None:
        return []
    return [condition.applied_to(config, chosen.learning_rate) for config in as_printed]


def _true_rul(record: RunRecord) -> Floats:
    return np.asarray(record.predictions().true_rul, dtype=float)


def _capped_rul(record: RunRecord) -> Floats:
    cap = record.config.recipe.rul_cap
    return _true_rul(record) if cap is None else np.minimum(_true_rul(record), cap)


def _measurements(record: RunRecord) -> dict[str, float]:
    if not record.completed:
        return dict.fromkeys(METRICS, math.nan)
    test, recipe = record.predictions(), record.config.recipe
    predicted, uncapped = np.asarray(test.predicted_rul), _true_rul(record)
    true = _capped_rul(record)
    measured = {
        "rmse": rmse(predicted, true),
        "rmse_uncapped": rmse(predicted, uncapped),
        "mean_error": mean_error(predicted, true),
        "nasa_score": nasa_score(predicted, true),
    }
    if classifies_health(record.config):
        state = health_state(uncapped, recipe.health_thresholds)
        recalls = recall_per_class(test.predicted_health, state)
        measured["health_accuracy"] = health_accuracy(test.predicted_health, state)
        measured |= {f"recall_{s}": float(r) for s, r in zip(HEALTH_STATES, recalls, strict=True)}
    return dict.fromkeys(METRICS, math.nan) | measured


def classifies_health(config: RunConfig) -> bool:
    """Return whether the run has a health classifier that was trained on the health states."""
    is_network = config.network not in get_args(Baseline)
    return config.auxiliary == "health" and not (is_network and config.weighting == "single_task")


def _in_words(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
