"""How the methods compare once all of them were tuned alike, from records."""

import math

import pandas as pd

from rulbook.statistics import compare_crossed
from rulbook.studies.catalogue import SEEDS, base_config
from rulbook.studies.comparison import crossed_rmse
from rulbook.studies.equal_tuning import (
    TUNED_METHODS,
    TUNED_UNDER,
    trials,
    tuned_config,
    tuning_settings,
)
from rulbook.studies.measures import MEASURES
from rulbook.studies.sweep import record_file
from rulbook.studies.tuning import best_validation_rmse
from rulbook.training.config import RunConfig
from rulbook.training.record import RunRecord, read_record
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

TUNED_REFERENCE = EQUAL_WEIGHTING
"""The tuned method that the others are compared with: fixed weights."""

_COLUMNS = (
    *("subset", "method", "label", "option", "trials", "setting", "learning_rate"),
    *("validation_rmse", "printed_rmse", "printed_seeds", "seeds", "rmse", "low", "high"),
    *("difference", "difference_low", "difference_high", "p_holm", "smallest_detectable"),
    "outcome",
)


def tuned_table(subset: str) -> pd.DataFrame:
    """Compare the tuned methods with tuned fixed weights on ``subset``.

    Engines and seeds are resampled together; Holm's correction is over the methods with five
    seeds.

    Returns:
        One row a method, in the order of ``TUNED_METHODS``: ``subset``, ``method``, ``label``,
        ``option`` (what it leaves open); ``trials``, how many are recorded; ``setting`` and
        ``learning_rate`` of the one chosen, ``None`` and NaN until all are, and its
        ``validation_rmse`` on the first seed; ``printed_rmse`` and ``printed_seeds`` of the setting
        as printed under the same settings; ``seeds`` recorded of the one chosen, its test ``rmse``,
        ``low``, ``high``; ``difference`` from tuned fixed weights over common seeds,
        ``difference_low``, ``difference_high``, ``p_holm``, ``smallest_detectable`` and
        ``outcome``, ``None`` where there is nothing to compare. Errors are in cycles, against the
        capped RUL; what is not recorded is NaN.

    Raises:
        RulbookError: a record cannot be read.

    """
    first = tuning_settings(base_config(subset))
    chosen = {name: tuned_config(tuned, first) for name, tuned in TUNED_METHODS.items()}
    runs = {name: _completed(config) for name, config in chosen.items() if config}
    printed = {
        name: _completed(tuned.applied_to(first, tuned.settings[0]))
        for name, tuned in TUNED_METHODS.items()
    }
    rows: list[dict[str, object]] = []
    for name, tuned in TUNED_METHODS.items():
        tried = [file for config in trials(tuned, first) if (file := record_file(config.key()))]
        row: dict[str, object] = dict.fromkeys(_COLUMNS, math.nan) | {
            "subset": subset,
            "method": name,
            "label": tuned.label,
            "option": tuned.option,
            "trials": len(tried),
            "setting": None,
            "printed_rmse": crossed_rmse(list(printed[name].values())).value,
            "printed_seeds": len(printed[name]),
            "seeds": len(runs.get(name, {})),
            "outcome": None,
        }
        if config := chosen[name]:
            error = crossed_rmse(list(runs[name].values()))
            row |= {
                "setting": tuned.setting_of(config).label,
                "learning_rate": config.learning_rate,
                "validation_rmse": min(best_validation_rmse(read_record(file)) for file in tried),
                "rmse": error.value,
                "low": error.low,
                "high": error.high,
            }
        rows.append(row)
    compared = _differences(runs)
    for row, name in zip(rows, TUNED_METHODS, strict=True):
        row.update(compared.get(name, {}))
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    for column in ("setting", "outcome"):
        table[column] = pd.Series([row[column] for row in rows], dtype=object)
    return table


def tuned_tables() -> pd.DataFrame:
    """Return ``tuned_table`` of every tuned subset, one under the other."""
    return pd.concat([tuned_table(subset) for subset in TUNED_UNDER], ignore_index=True)


def _completed(config: RunConfig) -> dict[int, RunRecord]:
    """Return the completed runs of a configuration by seed, rising."""
    files = {
        seed: file
        for seed in sorted(SEEDS)
        if (file := record_file(config.with_changes(seed=seed).key()))
    }
    records = {seed: read_record(file) for seed, file in files.items()}
    return {seed: record for seed, record in records.items() if record.completed}


def _differences(runs: dict[str, dict[int, RunRecord]]) -> dict[str, dict[str, object]]:
    """Return each tuned method compared with tuned fixed weights, over their common seeds."""
    reference = runs.get(TUNED_REFERENCE, {})
    common = {
        name: seeds
        for name, of_method in runs.items()
        if name != TUNED_REFERENCE and (seeds := [s for s in of_method if s in reference])
    }
    measure = MEASURES["rmse"]
    pairs = [
        (
            measure.losses([runs[name][seed] for seed in seeds]),
            measure.losses([reference[seed] for seed in seeds]),
        )
        for name, seeds in common.items()
    ]
    compared = compare_crossed(pairs, measure.statistic, margin=measure.margin)
    return {
        name: {
            "difference": one.difference,
            "difference_low": one.low,
            "difference_high": one.high,
            "p_holm": one.p_holm,
            "smallest_detectable": one.smallest_detectable,
            "outcome": one.outcome,
        }
        for name, one in zip(common, compared, strict=True)
    }
