"""A search for settings under which the network is worth its training, on validation engines.

The protocol's batch and rate were chosen on FD002. Where a tree ensemble beats the network that
they give by more than ``COMPETENCE_MARGIN``, other settings are looked for: for the single task and
for equal weights together, on one seed, by their validation RMSE. No other method is looked at,
and no test engine.

Each trial is a pair of recorded runs, so the search is resumed by replaying it: the sampler, whose
random state is fixed, is told of the recorded trials in their order and asked for the next one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

import optuna
import pandas as pd

from rulbook.data.prepare import RUL_CAP
from rulbook.models import ARCHITECTURES
from rulbook.optuna_log import quiet_optuna
from rulbook.studies.methods import method
from rulbook.studies.sweep import record_file
from rulbook.studies.tuning import best_validation_rmse
from rulbook.training.config import RunConfig
from rulbook.training.record import read_record
from rulbook.training.rounding import to_three_digits
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

COMPETENCE_MARGIN = 1.0
"""Cycles of validation RMSE by which a network may stay behind gradient boosting."""

SEARCHED_SUBSETS = ("FD001", "FD003")
"""The subsets on which the protocol's networks are behind by more."""

METHODS_SEARCHED = ("single_task", EQUAL_WEIGHTING)
MAX_TRIALS = 20
"""Two trainings each."""

_SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "batch_size": optuna.distributions.CategoricalDistribution([64, 128, 256]),
    "learning_rate": optuna.distributions.FloatDistribution(3e-4, 3e-3, log=True),
    "weight_decay": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
    "dropout": optuna.distributions.CategoricalDistribution([0.0, 0.05, 0.1, 0.2]),
    "target_unit": optuna.distributions.CategoricalDistribution(["cycles", "cap"]),
    "clip_norm": optuna.distributions.CategoricalDistribution([1.0, 5.0, None]),
    "patience": optuna.distributions.CategoricalDistribution([10, 20]),
}
_MAX_EPOCHS = 60


def competence_trials(base: RunConfig) -> Iterator[tuple[RunConfig, ...]]:
    """Yield the runs of each trial, those recorded and the first one that is not.

    Args:
        base: the protocol on one subset and seed; the trials are changes of it.

    """
    with quiet_optuna():
        search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        for _ in range(MAX_TRIALS):
            trial = search.ask(_SPACE)
            runs = _runs(base, trial.params)
            yield runs
            score = _mean_validation_rmse(runs)
            if score is None:
                return
            search.tell(trial, score)


def search_table(base: RunConfig) -> pd.DataFrame:
    """Return the recorded trials of a search, in the order in which they were made.

    Args:
        base: as for ``competence_trials``.

    Returns:
        One row a trial: the settings searched, each under its name in ``RunConfig``, with
        ``dropout`` for the rate of convolutions and recurrent layers; the validation RMSE of each
        of ``METHODS_SEARCHED``, cycles, in a column of that name; and ``rmse``, their mean.

    Raises:
        RulbookError: a record cannot be read.

    """
    rows = [
        settings_of(runs[0]) | dict(zip(METHODS_SEARCHED, errors, strict=True))
        for runs in competence_trials(base)
        if (errors := _validation_rmse(runs))
    ]
    trials = pd.DataFrame(rows, columns=[*_SPACE, *METHODS_SEARCHED])
    for name in _SPACE:
        trials[name] = pd.Series([row[name] for row in rows], dtype=object)
    return trials.assign(rmse=trials[list(METHODS_SEARCHED)].mean(axis="columns"))


def settings_of(run: RunConfig) -> dict[str, object]:
    """Return what a run of a trial has of each setting that is searched.

    Raises:
        ValueError: it has the architecture of its network as it is, so it is no run of a trial.

    """
    if run.architecture is None:
        raise ValueError(f"the run {run.key()[:8]} is none of a search")
    settings: dict[str, object] = run.model_dump(include=set(_SPACE))
    settings["dropout"] = run.architecture.convolution_dropout
    return {name: settings[name] for name in _SPACE}


def _runs(base: RunConfig, choices: dict[str, Any]) -> tuple[RunConfig, ...]:
    changes = {name: _rounded(value) for name, value in choices.items() if name != "dropout"}
    architecture = replace(
        ARCHITECTURES["compact"],
        convolution_dropout=choices["dropout"],
        recurrent_dropout=choices["dropout"],
    )
    changes |= {"architecture": architecture, "max_epochs": _MAX_EPOCHS}
    return tuple(method(name).applied_to(base).with_changes(**changes) for name in METHODS_SEARCHED)


def _rounded(value: object) -> object:
    """Return what was drawn, a number with three digits."""
    return to_three_digits(value) if isinstance(value, float) else value


def _mean_validation_rmse(runs: Sequence[RunConfig]) -> float | None:
    """Return the mean validation RMSE, cycles; ``None`` while a run is missing.

    A run that diverged counts as one that is off by the whole cap.
    """
    errors = _validation_rmse(runs)
    return mean(errors) if errors else None


def _validation_rmse(runs: Sequence[RunConfig]) -> list[float] | None:
    paths = [path for run in runs if (path := record_file(run.key()))]
    if len(paths) < len(runs):
        return None
    return [min(best_validation_rmse(read_record(path)), RUL_CAP) for path in paths]
