"""What each choice of the protocol does to the RMSE, from records."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from rulbook.models import ARCHITECTURES, DualTaskModel, count_parameters
from rulbook.statistics import compare_crossed
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.evidence import completed_runs, errors_by_engine
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import NAMED_METHODS, method_of
from rulbook.training.config import PROTOCOL_LABEL
from rulbook.training.record import RunRecord


def _selected_epoch(record: RunRecord) -> int | None:
    """Return the selected epoch of a completed run; one that diverged may have had one too."""
    return record.selected_epoch if record.completed else None


def selection_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return what choosing the epoch on the test engines gains, one row a run that watched them.

    Returns:
        ``subset``, ``method``, ``label``, ``seed``; ``selected`` and ``best_on_test``: test RMSE at
        the epoch chosen on validation and at the best of all epochs, capped, cycles; ``gain``, the
        first minus the second, at least 0; ``every_window``: RMSE over all windows of the test
        engines at the chosen epoch.

    """
    rows = []
    for record in records:
        watched = [epoch for epoch in record.epochs if epoch.test is not None]
        method = method_of(record.config)
        selected_epoch = _selected_epoch(record)
        if selected_epoch is None or not watched or method is None:
            continue
        chosen = record.epochs[selected_epoch]
        on_test = [epoch.test.rmse for epoch in watched if epoch.test is not None]
        selected = chosen.test.rmse if chosen.test else math.nan
        rows.append(
            {
                "subset": record.config.subset,
                "method": method.name,
                "label": method.label,
                "seed": record.config.seed,
                "selected": selected,
                "best_on_test": min(on_test),
                "gain": selected - min(on_test),
                "every_window": (
                    chosen.test_every_window.rmse if chosen.test_every_window else math.nan
                ),
            }
        )
    columns = ["subset", "method", "label", "seed", "selected", "best_on_test", "gain"]
    return pd.DataFrame(rows, columns=[*columns, "every_window"])


def variants_table(
    base: Sequence[RunRecord], variants: Mapping[str, Sequence[RunRecord]]
) -> pd.DataFrame:
    """Compare trainings that differ from the protocol in one choice with those that do not.

    Args:
        base: completed and other runs of one method on one subset under the protocol.
        variants: the same with one choice changed, by the name of the choice.

    Returns:
        One row a choice with a seed in common: ``choice``, ``seeds`` (paired); ``rmse`` and
        ``difference`` (to the protocol) with ``low``, ``high``, ``p_value`` and
        ``smallest_detectable`` by the crossed bootstrap over test engines and seeds, capped,
        cycles, NaN with fewer than five seeds;
        ``rmse_uncapped``; ``mean_error`` (predicted minus true, capped, cycles); and
        ``validation_rmse``, the mean over seeds at the selected epoch, of whatever the choice calls
        validation. The first row is the protocol's own, over all of its seeds.

    """
    of_base = _by_seed(base)
    rows = [_variant_row(PROTOCOL_LABEL, list(of_base.values()), [])] if of_base else []
    for choice, runs in variants.items():
        changed = {seed: run for seed, run in _by_seed(runs).items() if seed in of_base}
        if changed:
            rows.append(
                _variant_row(choice, list(changed.values()), [of_base[seed] for seed in changed])
            )
    return pd.DataFrame(rows, columns=_VARIANT_COLUMNS)


def sizing_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return what the width and the dropout of a network do on the validation engines.

    The test engines are not looked at: the network was chosen by this table.

    Args:
        records: completed and other trainings that differ in their architecture alone.

    Returns:
        One row a completed training: ``convolutions``, ``recurrent_units``, ``funnel`` (widths),
        ``convolution_dropout``, ``parameters``, ``chosen`` (whether it is the network of its
        name), ``selected_epoch`` (from 1), ``epochs`` (trained), and ``validation_rmse`` at the
        selected epoch, capped, cycles.

    """
    rows = []
    for record in records:
        config = record.config
        selected = _selected_epoch(record)
        if selected is None or config.network not in ARCHITECTURES:
            continue
        architecture = config.architecture or ARCHITECTURES[config.network]
        model = DualTaskModel(architecture, len(config.recipe.feature_names))
        rows.append(
            {
                "convolutions": architecture.convolutions,
                "recurrent_units": architecture.recurrent_units,
                "funnel": architecture.funnel,
                "convolution_dropout": architecture.convolution_dropout,
                "parameters": count_parameters(list(model.parameters())),
                "chosen": config.architecture is None,
                "selected_epoch": selected + 1,
                "epochs": len(record.epochs),
                "validation_rmse": record.selected_validation().rmse,
            }
        )
    return pd.DataFrame(rows)


def held_out_courses(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return the validation error of every epoch, one row a run of a named method and epoch.

    Returns:
        ``subset``, ``method``, ``label``, ``seed``, ``epoch`` (from 1) and ``rmse``, cycles, of
        whatever the run's split holds out.

    """
    rows = [
        {
            "subset": record.config.subset,
            "method": row.name,
            "label": row.label,
            "seed": record.config.seed,
            "epoch": number,
            "rmse": epoch.validation.rmse,
        }
        for record in records
        if (row := method_of(record.config)) is not None
        for number, epoch in enumerate(record.epochs, start=1)
    ]
    return pd.DataFrame(rows, columns=["subset", "method", "label", "seed", "epoch", "rmse"])


def held_out_ends(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return where trainings end on what was held out and on the test engines.

    Returns:
        One row a subset and named method with a completed run: ``subset``, ``method``, ``label``,
        ``seeds``; ``held_out`` and ``held_out_sd``, the validation error of the last epoch, mean
        and standard deviation over seeds; ``test``, the mean error on the test engines at the
        selected epoch, capped; cycles.

    """
    rows = []
    for (subset, name), by_seed in completed_runs(records).items():
        last = _last_errors(by_seed)
        rows.append(
            {
                "subset": subset,
                "method": name,
                "label": NAMED_METHODS[name].label,
                "seeds": len(by_seed),
                "held_out": last.mean(),
                "held_out_sd": last.std(),
                "test": rmse_by_seed(by_seed.values(), subset, name).value,
            }
        )
    columns = ["subset", "method", "label", "seeds", "held_out", "held_out_sd", "test"]
    return pd.DataFrame(rows, columns=columns).sort_values(["subset", "held_out"])


def held_out_by_seed(records: Iterable[RunRecord], subset: str) -> pd.DataFrame:
    """Return the validation error of the last epoch, cycles, one row a seed, one column a method.

    A method that has no completed run on ``subset`` has no column, a seed that it lacks is NaN.
    """
    return pd.DataFrame(
        {
            name: _last_errors(by_seed)
            for (of_subset, name), by_seed in completed_runs(records).items()
            if of_subset == subset
        },
        dtype=float,
    )


def _last_errors(by_seed: Mapping[int, RunRecord]) -> "pd.Series[float]":
    """Return the validation error of the last epoch, cycles, by seed."""
    last = {seed: run.last_validation().rmse for seed, run in by_seed.items()}
    return pd.Series(last, dtype=float)


def first_epoch_within(courses: pd.DataFrame, error: float) -> int | None:
    """Return the first epoch whose mean error over seeds is at most ``error`` cycles, if one is.

    Args:
        courses: what ``held_out_courses`` returns, of one subset and method.
        error: cycles.

    """
    mean = courses.groupby("epoch")["rmse"].mean()
    within = mean.index[mean <= error]
    return int(within[0]) if len(within) else None


def split_and_selection_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return what the split and the look at the test engines make of one network's error.

    Args:
        records: runs that watched the test engines.

    Returns:
        One row a split, subset and weighting: ``split`` (``"unit"`` or ``"window"``), ``subset``,
        ``method`` and ``label`` of the weighting, ``seeds``, ``epochs`` (trained, the fewest), and
        means over seeds in cycles: ``held_out``, the validation error at the selected epoch;
        ``test``, that on the test engines at the same epoch; ``best_on_test``, the lowest of all
        epochs there.

    """
    groups: dict[tuple[str, str, str], list[tuple[int, float, float, float]]] = {}
    for record in records:
        config = record.config
        row = method_of(config)
        on_test = [epoch.test.rmse for epoch in record.epochs if epoch.test is not None]
        selected = _selected_epoch(record)
        if row is None or selected is None or not on_test:
            continue
        held_out = record.selected_validation().rmse
        groups.setdefault((config.recipe.split_by, config.subset, row.name), []).append(
            (len(record.epochs), held_out, on_test[selected], min(on_test))
        )
    rows = []
    for (split, subset, name), measured in sorted(groups.items()):
        epochs, *means = (np.asarray(column) for column in zip(*measured, strict=True))
        rows.append(
            {
                "split": split,
                "subset": subset,
                "method": name,
                "label": NAMED_METHODS[name].label,
                "seeds": len(measured),
                "epochs": int(epochs.min()),
                **dict(zip(("held_out", "test", "best_on_test"), map(np.mean, means), strict=True)),
            }
        )
    columns = ["split", "subset", "method", "label", "seeds", "epochs"]
    return pd.DataFrame(rows, columns=[*columns, "held_out", "test", "best_on_test"])


_VARIANT_COLUMNS = [
    *("choice", "seeds", "rmse", "difference", "low", "high", "p_value", "smallest_detectable"),
    *("rmse_uncapped", "mean_error", "validation_rmse"),
]


def _by_seed(runs: Iterable[RunRecord]) -> dict[int, RunRecord]:
    completed = {run.config.seed: run for run in runs if run.completed}
    return dict(sorted(completed.items()))


def _variant_row(
    choice: str, runs: Sequence[RunRecord], base: Sequence[RunRecord]
) -> dict[str, object]:
    errors = errors_by_engine(runs)
    row: dict[str, object] = {
        "choice": choice,
        "seeds": len(runs),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "rmse_uncapped": float(np.sqrt(np.mean(errors_by_engine(runs, capped=False) ** 2))),
        "mean_error": float(np.mean(errors)),
        "validation_rmse": float(np.mean([run.selected_validation().rmse for run in runs])),
    }
    if base:
        rmse = MEASURES["rmse"]
        (compared,) = compare_crossed([(rmse.losses(runs), rmse.losses(base))], rmse.statistic)
        row |= {name: getattr(compared, name) for name in _VARIANT_COLUMNS[3:8]}
    return row
