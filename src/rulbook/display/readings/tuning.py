"""What chapter 07 shows and says of the methods after equal tuning."""

from collections.abc import Mapping

import pandas as pd
from IPython.display import HTML

from rulbook.display.results import NOTHING, in_words, number, p_value, rows_of, within
from rulbook.display.tables import table
from rulbook.experiments.weights_called_for import LOSSES, RATIO
from rulbook.statistics import TOLD_APART, Outcome
from rulbook.studies.catalogue import base_config
from rulbook.studies.conditions import condition_of
from rulbook.studies.equal_tuning import TRIALS, tuning_settings
from rulbook.studies.tuned_comparison import TUNED_REFERENCE

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
        f"{RATIO:g}",
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
        f"{RATIO:g}. If trunk and heads are clipped together to length one, "
        f"{left['together']:.4f} of the trunk's step is left. If they are clipped separately, "
        f"{left['apart']:.2f} is left. The recorded rows of these methods are clipped together."
    )


def tuned_reading(tuned: pd.DataFrame) -> str:
    """Say of each subset under which settings all were tuned, and what was told apart.

    Args:
        tuned: as for ``tuned_shown``.

    """
    return "\n".join(
        f"* {subset}, {_settings_in_words(str(subset))}: {_outcomes_in_words(rows)}"
        for subset, rows in tuned.groupby("subset")
    )


def _settings_in_words(subset: str) -> str:
    settings = tuning_settings(base_config(subset))
    condition = condition_of(settings)
    if condition is not None:
        return condition.label
    return (
        "with settings found by a search for competent networks (batch "
        f"{settings.batch_size}, rate {settings.learning_rate:g}, "
        f"patience {settings.patience}, target in {settings.target_unit}"
        f"{'s' if settings.target_unit == 'cap' else ''})"
    )


def _outcomes_in_words(rows: pd.DataFrame) -> str:
    others = rows[rows["method"] != TUNED_REFERENCE]
    compared = others[others["outcome"].notna() & (others["outcome"] != Outcome.TOO_FEW_SEEDS)]
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
    missing = len(others) - len(compared)
    return (
        f"{len(compared) - len(apart)} of {in_words(len(compared), 'tuned method')} with five "
        f"seeds cannot be told from tuned fixed weights{f'; {named}' if named else ''}."
    ) + (f" {in_words(missing, 'method')} still without records." if missing else "")
