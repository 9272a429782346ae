"""What each choice of the protocol does to the RMSE: on tree ensembles live, and from records."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from rulbook.data.cmapss import Fleet
from rulbook.data.prepare import Prepared, Recipe, Windows, prepare
from rulbook.metrics import rmse
from rulbook.models import ARCHITECTURES, DualTaskModel, count_parameters
from rulbook.statistics import compare_over_engines, rmse_over_engines
from rulbook.studies.baselines import window_statistics
from rulbook.studies.methods import method_of
from rulbook.studies.tables import errors_by_engine
from rulbook.training.record import RunRecord

Floats = npt.NDArray[np.float64]

PROTOCOL = "the protocol"
"""The choice that every other one is held against."""

_LAST = "last window of each test engine"


def trees_under_each_choice(fleet: Fleet, seed: int = 42, trees: int = 20) -> pd.DataFrame:
    """Fit extremely randomised trees and score them under one choice of the protocol after another.

    They see the statistics of each window that ``window_statistics`` gives, and are as good as
    gradient boosting there. They remember single windows, as a large network does, which is what a
    leaky split rewards.

    Args:
        fleet: the data, real or simulated.
        seed: seed of the trees.
        trees: how many.

    Returns:
        One row a choice, the protocol first: ``choice``, ``scored_on``, ``windows`` (scored),
        ``rmse`` in cycles, and ``low`` and ``high``, its bootstrap interval over test engines, NaN
        where what was scored is not one window of each of them.

    """
    base = prepare(fleet)
    model = _fitted(base.train, seed, trees)

    def refitted(recipe: Recipe) -> tuple[Prepared, ExtraTreesRegressor]:
        prepared = prepare(fleet, recipe)
        return prepared, _fitted(prepared.train, seed, trees)

    uncapped, uncapped_model = refitted(Recipe(cap_training_rul=False))
    sensors, sensors_model = refitted(Recipe(features="sensors"))
    leaky, leaky_model = refitted(Recipe(split_by="window"))
    every = base.test_every_window
    errors = {
        (PROTOCOL, _LAST): _errors(model, base.test),
        ("14 sensors for 17 features", _LAST): _errors(sensors_model, sensors.test),
        ("uncapped test targets", _LAST): _errors(model, base.test, capped=False),
        ("uncapped targets throughout", _LAST): _errors(
            uncapped_model, uncapped.test, capped=False
        ),
        ("all windows for the last", "all windows of the test engines"): _errors(model, every),
        ("validation engines", "all windows of held-out engines"): _errors(model, base.validation),
        ("validation windows", "windows drawn at random"): _errors(leaky_model, leaky.validation),
        ("trained on the random draw", _LAST): _errors(leaky_model, leaky.test),
    }
    return pd.DataFrame(
        {
            "choice": choice,
            "scored_on": scored_on,
            "windows": len(found),
            "rmse": float(np.sqrt(np.mean(found**2))),
            **_interval(found if scored_on == _LAST else None),
        }
        for (choice, scored_on), found in errors.items()
    )


def trees_predictions(fleet: Fleet, seed: int = 42, trees: int = 20) -> pd.DataFrame:
    """Return the predictions of the same trees for the last window of each test engine.

    Returns:
        ``true_rul`` (uncapped) and ``predicted_rul`` in cycles, indexed by ``unit``.

    """
    prepared = prepare(fleet)
    model = _fitted(prepared.train, seed, trees)
    return pd.DataFrame(
        {
            "true_rul": prepared.test.rul_uncapped,
            "predicted_rul": model.predict(window_statistics(prepared.test)),
        },
        index=pd.Index(prepared.test.unit, name="unit"),
    )


def boosted_by_trees(fleet: Fleet, seed: int = 42, trees: int = 200) -> pd.DataFrame:
    """Follow gradient boosting tree by tree, on the validation engines and on the test engines.

    Choosing the number of trees stands for choosing the epoch of a network.

    Returns:
        ``trees`` (from 1), ``validation_rmse`` (all windows of the validation engines) and
        ``test_rmse`` (last window of each test engine), capped, cycles.

    """
    prepared = prepare(fleet)
    model = HistGradientBoostingRegressor(max_iter=trees, early_stopping=False, random_state=seed)
    model.fit(window_statistics(prepared.train), prepared.train.rul)
    scored = {"validation_rmse": prepared.validation, "test_rmse": prepared.test}
    return pd.DataFrame(
        {
            "trees": np.arange(1, trees + 1),
            **{
                name: [
                    rmse(found, windows.rul)
                    for found in model.staged_predict(window_statistics(windows))
                ]
                for name, windows in scored.items()
            },
        }
    )


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
        method = method_of(record.config.model_copy(update={"watch_test": False}))
        if record.selected_epoch is None or not watched or method is None:
            continue
        chosen = record.epochs[record.selected_epoch]
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
        ``smallest_detectable`` by the paired bootstrap over test engines, capped, cycles;
        ``rmse_uncapped``; ``mean_error`` (predicted minus true, capped, cycles); and
        ``validation_rmse``, the mean over seeds at the selected epoch, of whatever the choice calls
        validation. The first row is the protocol's own, over all of its seeds.

    """
    of_base = _by_seed(base)
    rows = [_variant_row(PROTOCOL, list(of_base.values()), [])] if of_base else []
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
        if record.selected_epoch is None or config.network not in ARCHITECTURES:
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
                "selected_epoch": record.selected_epoch + 1,
                "epochs": len(record.epochs),
                "validation_rmse": record.epochs[record.selected_epoch].validation.rmse,
            }
        )
    return pd.DataFrame(rows)


_VARIANT_COLUMNS = [
    *("choice", "seeds", "rmse", "difference", "low", "high", "p_value", "smallest_detectable"),
    *("rmse_uncapped", "mean_error", "validation_rmse"),
]


def _by_seed(runs: Iterable[RunRecord]) -> dict[int, RunRecord]:
    return {run.config.seed: run for run in runs if run.test is not None}


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
        "validation_rmse": float(
            np.mean([run.epochs[run.selected_epoch or 0].validation.rmse for run in runs])
        ),
    }
    if base:
        found = compare_over_engines(errors, errors_by_engine(base))
        row |= {name: getattr(found, name) for name in _VARIANT_COLUMNS[3:8]}
    return row


def _fitted(train: Windows, seed: int, trees: int) -> ExtraTreesRegressor:
    model = ExtraTreesRegressor(trees, max_features=0.3, random_state=seed)
    return model.fit(window_statistics(train), train.rul)


def _errors(model: ExtraTreesRegressor, windows: Windows, *, capped: bool = True) -> Floats:
    true = np.minimum(windows.rul_uncapped, Recipe().rul_cap) if capped else windows.rul_uncapped
    errors: Floats = model.predict(window_statistics(windows)) - true
    return errors


def _interval(errors: Floats | None) -> dict[str, float]:
    if errors is None:
        return {"low": math.nan, "high": math.nan}
    found = rmse_over_engines(errors[None])
    return {"low": found.low, "high": found.high}
