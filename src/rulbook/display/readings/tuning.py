"""What chapter 07 shows and says of the methods after equal tuning."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from IPython.display import HTML

from rulbook.display.results import NOTHING, in_words, number, p_value, rows_of, within
from rulbook.display.tables import table
from rulbook.experiments.weights_called_for import LOSSES
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.statistics import TOLD_APART, Outcome
from rulbook.studies.competence_search import (
    COMPETENCE_MARGIN,
    MAX_TRIALS,
    METHODS_SEARCHED,
)
from rulbook.studies.conditions import training_condition
from rulbook.studies.equal_tuning import TRIALS, TUNED_UNDER
from rulbook.studies.methods import METHODS

_WAITING = "waiting"


def tuned_shown(tuned: pd.DataFrame) -> HTML:
    """Return the methods as printed and tuned, what was chosen, and how they compare.

    Args:
        tuned: what ``rulbook.studies.tuned_comparison.tuned_table`` returns, if need be of several
            subsets, one below the other.

    """
    rows = rows_of(tuned)
    return table(
        pd.DataFrame(
            {
                "subset": tuned["subset"],
                "method": tuned["label"],
                "as printed": [
                    f"{number(row.printed_rmse)} ({in_words(row.printed_seeds, 'seed')})"
                    if row.printed_seeds
                    else _WAITING
                    for row in rows
                ],
                "chosen": [
                    f"{row.option} {row.setting}, rate {row.learning_rate:g}"
                    if row.setting is not None
                    else f"{_WAITING}: {row.trials} of {TRIALS} trials"
                    for row in rows
                ],
                "tuned [95 % interval]": [
                    f"{within(row.rmse, row.low, row.high)} ({in_words(row.seeds, 'seed')})"
                    if row.seeds
                    else _WAITING
                    for row in rows
                ],
                "minus fixed weights": [
                    within(row.difference, row.difference_low, row.difference_high) for row in rows
                ],
                "p": tuned["p_holm"].map(p_value),
                "outcome": [row.outcome if row.outcome else NOTHING for row in rows],
                "could have seen": tuned["smallest_detectable"].map(number),
            }
        ),
        f"Test RMSE as printed and after {TRIALS} trials for each method, RUL capped, cycles. "
        "Settings are chosen on the validation engines of the first seed; the comparison is with "
        "tuned fixed weights, and p is corrected over the methods of a subset",
    )


def weights_called_for_shown(rows: pd.DataFrame) -> HTML:
    """Return where adaptive methods' RUL weights end, beside what their formulas call for.

    Args:
        rows: what ``rulbook.experiments.weights_called_for.weights_shown`` returns.

    """
    return table(
        pd.DataFrame(
            {
                "method": rows["form"],
                "called for": rows["called_for"],
                "mean": rows["mean"],
                "lowest": rows["lowest"],
                "highest": rows["highest"],
            }
        ),
        "Share of the RUL weight over the last steps. The losses are held at "
        f"{LOSSES['rul']:g} cycles² and {LOSSES['health']:g} nats, the gradients at a ratio of "
        f"{PRINTED_IMBALANCE:g}",
        dict.fromkeys(["called for", "mean", "lowest", "highest"], ".4f"),
    )


def clipping_reading(left: Mapping[str, float]) -> str:
    """Say what clipping leaves of the trunk's step beside a large head.

    Args:
        left: what ``rulbook.experiments.weights_called_for.trunk_left_by_clipping`` returns.

    """
    return (
        "Methods that combine gradients leave the heads unweighted. Here IMTL-G asks the trunk for "
        f"a step of length {left['asked']:.2f}. Suppose the RUL head has a gradient of length "
        f"{PRINTED_IMBALANCE:g}. If trunk and heads are clipped together to length one, "
        f"{left['together']:.4f} of the trunk's step is left. If they are clipped separately, "
        f"{left['apart']:.2f} is left. The recorded rows of these methods are clipped together."
    )


def tuned_reading(tuned: pd.DataFrame) -> str:
    """Say of each subset under which settings all were tuned, and what was told apart.

    Where every method of a subset has an outcome, it is held against what Xin et al. 2022 found.

    Args:
        tuned: as for ``tuned_shown``.

    """
    by_subset = {str(subset): rows for subset, rows in tuned.groupby("subset")}
    lines = [
        f"* {subset}, {training_condition(TUNED_UNDER[subset]).label}: {_outcomes_in_words(rows)}"
        for subset, rows in by_subset.items()
    ]
    return "\n".join(lines) + _beside_the_literature(by_subset)


def tuned_values(tuned: pd.DataFrame) -> dict[str, int]:
    """Return ``tuned``: how many methods have an outcome against tuned fixed weights on FD001.

    Args:
        tuned: as for ``tuned_shown``.

    """
    return {"tuned": len(_with_outcome(tuned[tuned["subset"] == "FD001"]))}


def search_reading(trials: Mapping[str, pd.DataFrame], boosting_rmse: Mapping[str, float]) -> str:
    """Say of each subset what the search for a competent network has found.

    Args:
        trials: what ``rulbook.studies.competence_search.search_table`` returns, by subset.
        boosting_rmse: validation RMSE of gradient boosting by subset, cycles.

    """
    return "\n".join(
        f"* {subset}: {_found_in_words(of_subset, boosting_rmse.get(subset))}"
        for subset, of_subset in trials.items()
    )


def _found_in_words(trials: pd.DataFrame, boosting: float | None) -> str:
    if trials.empty:
        return "no trial is recorded yet."
    best = trials.sort_values("rmse", kind="stable").iloc[0]
    over = len(trials) == MAX_TRIALS
    found = (
        f"{f'{len(trials)} of ' if not over else ''}{in_words(MAX_TRIALS, 'trial')} are recorded. "
        f"The best {'' if over else 'so far '}has {_searched_in_words(best)}; its RMSE is "
        f"{best['rmse']:.1f} cycles"
    )
    if boosting is None:
        return f"{found}."
    behind = best["rmse"] - boosting
    reached = "competent" if behind <= COMPETENCE_MARGIN else "not competent"
    return f"{found}, boosting's {boosting:.1f}: {reached}{'' if over else ' so far'}."


def search_shown(trials: Mapping[str, pd.DataFrame]) -> HTML:
    """Return every trial of the searches for a competent network.

    Args:
        trials: as for ``search_reading``.

    """
    rows = pd.concat([of_subset.assign(subset=subset) for subset, of_subset in trials.items()])
    return table(
        pd.DataFrame(
            {
                "subset": rows["subset"],
                "batch": rows["batch_size"],
                "learning rate": [f"{rate:g}" for rate in rows["learning_rate"]],
                "weight decay": [f"{decay:g}" for decay in rows["weight_decay"]],
                "dropout": [f"{rate:g}" for rate in rows["dropout"]],
                "target in": [_UNITS[unit] for unit in rows["target_unit"]],
                "gradients": [_clipped(norm) for norm in rows["clip_norm"]],
                "patience": rows["patience"],
                **{METHODS[name].label: rows[name] for name in METHODS_SEARCHED},
                "mean": rows["rmse"],
            }
        ),
        "Every trial of the search, in order: RMSE on the validation engines, cycles, one seed",
        dict.fromkeys([*(METHODS[name].label for name in METHODS_SEARCHED), "mean"], ".2f"),
    )


_UNITS = {"cycles": "cycles", "cap": "caps"}


def _clipped(norm: float | None) -> str:
    return "not clipped" if norm is None else f"clipped at {norm:g}"


def _searched_in_words(settings: Mapping[str, Any] | pd.Series) -> str:
    return (
        f"batch {settings['batch_size']}, rate {settings['learning_rate']:g}, weight decay "
        f"{settings['weight_decay']:g}, dropout {settings['dropout']:g}, the target in "
        f"{_UNITS[settings['target_unit']]}, gradients "
        f"{_clipped(settings['clip_norm'])}, patience {settings['patience']}"
    )


def _with_outcome(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of methods with an outcome; the reference, which has none, is not one."""
    return rows[rows["difference_low"].notna()]


def _beside_the_literature(by_subset: Mapping[str, pd.DataFrame]) -> str:
    compared = {
        subset: _with_outcome(rows)
        for subset, rows in by_subset.items()
        if len(_with_outcome(rows)) == len(rows) - 1  # all but the reference
    }
    if not compared:
        return ""
    beyond = [
        f"{row.label} on {subset}"
        for subset, rows in compared.items()
        for row in rows_of(rows[rows["outcome"] == Outcome.LOWER])
    ]
    if beyond:
        return (
            "\n\nXin and colleagues found no method that goes beyond tuned fixed weights. Here the "
            f"error is lower with {', '.join(beyond)}."
        )
    return (
        "\n\nThat is in line with what Xin and colleagues found elsewhere: on "
        f"{' and '.join(compared)} no tuned method is shown to go beyond tuned fixed weights."
    )


def _tuning_in_words(rows: pd.DataFrame) -> str:
    """Say how tuning moved the errors, once all methods have their seeds as printed too."""
    if (rows["seeds"] != rows["printed_seeds"]).any():
        return ""
    change = rows["rmse"] - rows["printed_rmse"]
    return (
        " From the settings as printed to the chosen ones, the mean error of a method changes by "
        f"{number(change.min())} to {number(change.max())} cycles; these changes are not tested."
    )


def _outcomes_in_words(rows: pd.DataFrame) -> str:
    compared = _with_outcome(rows)
    if compared.empty:
        trials = int(rows["trials"].sum())
        return (
            f"{trials} of {in_words(TRIALS * len(rows), 'trial')} are recorded, so nothing can be "
            "compared yet."
        )
    apart = compared[compared["outcome"].isin(TOLD_APART)]
    named = ", ".join(
        f"{row.label} is {row.outcome} (difference "
        f"{within(row.difference, row.difference_low, row.difference_high)} cycles)"
        for row in rows_of(apart)
    )
    missing = len(rows) - 1 - len(compared)
    return (
        f"{len(compared) - len(apart)} of {in_words(len(compared), 'tuned method')} with five "
        f"seeds cannot be told from tuned fixed weights{f'; {named}' if named else ''}. A typical "
        f"comparison would have seen {compared['smallest_detectable'].median():.1f} cycles."
    ) + (
        f" {in_words(missing, 'method')} still without five seeds."
        if missing
        else _tuning_in_words(rows)
    )
