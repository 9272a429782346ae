"""What chapter 07 and the front page say of methods under the training conditions."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import pandas as pd
from IPython.display import HTML

from rulbook.data.cmapss import SUBSETS
from rulbook.data.prepare import HEALTH_STATES
from rulbook.display.folds import folded
from rulbook.display.results import NOTHING, in_words, number, rows_of, within
from rulbook.display.tables import table
from rulbook.statistics import CONFIDENCE, MINIMUM_SEEDS, TOLD_APART, Outcome
from rulbook.studies.by_measure import CROSS_ENTROPY
from rulbook.studies.claim_rules import BOOK_SUBSETS, CHANCE, NEAR_CHANCE, is_near_chance
from rulbook.studies.comparison import networks_of
from rulbook.studies.competence import competence_sentence
from rulbook.studies.competence_search import SEARCHED_SUBSETS
from rulbook.studies.conditions import PROTOCOL_CONDITION, searched_on, training_condition
from rulbook.studies.evidence import completed_runs
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import METHODS
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING


def conditions_reading(compared: pd.DataFrame) -> str:
    """Say how many comparisons have an outcome, which differ, and what each condition adds.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    """
    networks = networks_of(compared)
    decided = networks[networks["difference_low"].notna()]
    if decided.empty:
        return _NOTHING_DECIDED
    told_apart = decided[decided["outcome"].isin(TOLD_APART)]
    families = decided.groupby(["condition", "subset"]).ngroups
    differences = "; ".join(
        f"{row.label} on {row.subset}, *{row.condition_label}*, is {row.outcome} (difference "
        f"{within(row.difference, row.difference_low, row.difference_high)} cycles)"
        for row in rows_of(told_apart)
    )
    return (
        f"Of {in_words(len(decided), 'comparison')} of networks with every seed, "
        f"{len(told_apart) or 'none'} "
        f"{'are' if len(told_apart) > 1 else 'is'} told from equal weights"
        f"{f': {differences}' if differences else ''}. The methods of one condition on one subset "
        f"are corrected together, a family each; of {families} families, about "
        f"{_by_chance(families)} would have such a difference by chance alone. By condition and "
        "subset: the number of "
        "comparisons, the range of their differences, and in brackets what the typical one would "
        "have seen, in cycles:\n\n"
    ) + "\n".join(
        f"* *{label}*: {_by_subset(rows)}."
        for label, rows in decided.groupby("condition_label", sort=False)
    )


def _by_chance(families: int) -> str:
    """Return how many of so many families would have a difference where there is none at all."""
    return number((1 - CONFIDENCE) * families, 0)


def _boosting(rows: pd.DataFrame) -> float:
    """Return how far gradient boosting is above equal weights, cycles, in the rows of one table."""
    return float(rows.loc[rows["method"] == "gradient_boosting", "difference"].mean())


def _by_subset(rows: pd.DataFrame) -> str:
    return "; ".join(
        f"{subset} {len(of_subset)}, {number(of_subset['difference'].min())} to "
        f"{number(of_subset['difference'].max())} ({of_subset['smallest_detectable'].median():.1f})"
        for subset, of_subset in rows.groupby("subset")
    )


TWO_HEADED = (EQUAL_WEIGHTING, "fixed_0002", "gaba")
"""The methods that train both heads and that most training conditions have."""

_NOTHING_DECIDED = "No method has every seed under any training condition yet."


class _Shown(NamedTuple):
    """How readers see a measure: its name and unit, and factor and decimals of its values."""

    name: str
    unit: str = "%"
    factor: int = 100
    places: int = 1

    @property
    def head(self) -> str:
        """The head of its column."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


_MEASURES = {
    "nasa_score": _Shown("NASA score", "", 1, 0),
    "late_share": _Shown("late"),
    **{f"missed_{state}": _Shown(f"{state} missed") for state in HEALTH_STATES},
    CROSS_ENTROPY: _Shown("cross-entropy", "nats", 1, 3),
}


def measures_shown(compared: pd.DataFrame) -> HTML:
    """Return the differences from equal weights by every measure but the RMSE, behind one line.

    Args:
        compared: what ``rulbook.studies.by_measure.measure_tables`` returns.

    """
    of_health = compared["measure"].isin(
        [CROSS_ENTROPY, *(name for name, measure in MEASURES.items() if measure.of_health)]
    )
    return folded(
        "Tables: by NASA score and late predictions, and by the health head",
        _measures_table(compared[~of_health], "Predicted lives, test engines"),
        _measures_table(
            compared[of_health],
            "Health head: engines of a state that are missed, test engines; cross-entropy on the "
            "validation windows, its intervals over seeds alone",
        ),
    )


def _measures_table(compared: pd.DataFrame, about: str) -> HTML:
    cells = pd.DataFrame(
        {
            "subset": compared["subset"],
            "training condition": compared["condition_label"],
            "method": compared["label"],
            "measure": [_MEASURES[name].head for name in compared["measure"]],
            "shown": [_with_outcome(row) for row in rows_of(compared)],
        }
    )
    shown = cells.pivot_table(
        index=["subset", "training condition", "method"],
        columns="measure",
        values="shown",
        aggfunc="first",
        sort=False,
        fill_value=NOTHING,
    )
    return table(
        shown.reset_index(),
        f"{about}. Minus 0.5/0.5, lower is better; 95 % intervals over engines and seeds. An "
        "outcome that is no tie is named; it is corrected over the methods of one subset and "
        "training condition",
    )


def measures_reading(compared: pd.DataFrame) -> str:
    """Say which methods are told from equal weights by another measure than the RMSE.

    Args:
        compared: what ``rulbook.studies.by_measure.measure_tables`` returns.

    """
    if compared.empty:
        return _NOTHING_DECIDED
    apart = compared[compared["outcome"].isin(TOLD_APART)]
    families = compared.groupby(["condition", "subset", "measure"]).ngroups
    over_seeds_alone = (apart["measure"] == CROSS_ENTROPY).sum()
    found = "".join(
        f"\n* *{condition}*: {'; '.join(_differences(rows))}."
        for condition, rows in apart.groupby("condition_label", sort=False)
    )
    verb = "are" if len(apart) > 1 else "is"
    return (
        f"Of {in_words(len(compared), 'such comparison')} with every seed, {len(apart) or 'none'} "
        f"{verb} told from equal weights, {over_seeds_alone or 'none'} by the cross-entropy, over "
        f"seeds alone. Each of {families} families was corrected on its own; of so many, about "
        f"{_by_chance(families)} would have such a difference by chance alone.\n{found}"
    )


def heads_near_chance_reading(records: Mapping[str, Sequence[RunRecord]], condition: str) -> str:
    """Say how many seeds end with a health head that has learned next to nothing.

    Args:
        records: records by the name of the training condition that they were made under.
        condition: name of the condition.

    Returns:
        Counts for ``TWO_HEADED``, by subset, where a method has five seeds.

    """
    reached = completed_runs(records.get(condition, ()))
    by_subset: dict[str, list[str]] = {}
    for subset, method in product(SUBSETS, TWO_HEADED):
        runs = reached.get((subset, method), {}).values()
        if len(runs) >= MINIMUM_SEEDS:
            at_chance = sum(
                is_near_chance(run.selected_validation().balanced_accuracy) for run in runs
            )
            by_subset.setdefault(subset, []).append(
                f"{at_chance} of {len(runs)} with {METHODS[method].label}"
            )
    if not by_subset:
        return _NOTHING_DECIDED
    counts = "; ".join(f"on {subset}, {', '.join(words)}" for subset, words in by_subset.items())
    return (
        f"Under *{training_condition(condition).label}*, so many seeds have, at the selected "
        f"epoch, a mean recall of the three states of at most {NEAR_CHANCE:.2f}, where a head that "
        f"always names one state has {CHANCE:.2f}: {counts}."
    )


def _differences(apart: pd.DataFrame) -> list[str]:
    """Return of each method and subset by which measures it differs, and by how much."""

    def difference(row: Any) -> str:
        shown = _MEASURES[row.measure]
        value = number(shown.factor * row.difference, shown.places)
        return f"{shown.name} {value} {shown.unit}".rstrip()

    return [
        f"{label} on {subset}, {', '.join(map(difference, rows_of(of_method)))}"
        for (subset, label), of_method in apart.groupby(["subset", "label"], sort=False)
    ]


def _with_outcome(row: Any) -> str:
    shown = _MEASURES[row.measure]
    value, low, high = (shown.factor * one for one in (row.difference, row.low, row.high))
    is_tie = row.outcome in (Outcome.TIE, Outcome.EQUIVALENT)
    return within(value, low, high, shown.places) + ("" if is_tie else f" {row.outcome}")


def lower_than_equal_weights(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the networks whose error is shown to be lower than that of equal weights.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    """
    networks = networks_of(compared)
    return networks[networks["outcome"] == Outcome.LOWER]


def lower_in_words(compared: pd.DataFrame) -> str:
    """Name those of ``lower_than_equal_weights``, ``AMNL (batch 64, patience 20) on FD003``."""
    return ", ".join(
        f"{row.label} ({row.condition_label}) on {row.subset}"
        for row in rows_of(lower_than_equal_weights(compared))
    )


def competence_reading(competence: pd.DataFrame) -> str:
    """Say of every subset whether its trainings are about as good as gradient boosting.

    Args:
        competence: what ``rulbook.studies.competence.competence_table`` returns.

    """
    if competence.empty:
        return "Whether the trainings are competent is measured on C-MAPSS, which is not at hand."
    return (
        "Medians over methods of the validation RMSE under each training condition; ✓ where every "
        "method is competent:\n\n"
    ) + "\n".join(f"* {competence_sentence(competence, subset)}" for subset in SUBSETS)


def gap_to_boosting(competence: pd.DataFrame, compared: pd.DataFrame) -> str:
    """Return how far equal weights are behind boosting where another network's error is lower.

    Args:
        competence: what ``rulbook.studies.competence.competence_table`` returns.
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    Returns:
        The difference of the validation RMSE with its interval over seeds, cycles; "not measured"
        where there is no such network or no data to fit boosting on.

    """
    where = lower_than_equal_weights(compared)[["subset", "condition"]]
    equal = competence[competence["method"] == EQUAL_WEIGHTING].merge(where)
    return (
        "; ".join(
            within(row.difference, row.low - row.boosting_rmse, row.high - row.boosting_rmse)
            for row in rows_of(equal)
        )
        or "not measured"
    )


def comparison_values(compared: pd.DataFrame) -> dict[str, object]:
    """Return what the front page says of the comparisons.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    Returns:
        ``seen-low``, ``seen-high``: the difference in RMSE that the typical comparison on either
        of the source's subsets would have seen under the protocol after the correction, cycles;
        ``others-low``, ``others-high``: the same of the other subsets under ``book-batch``;
        ``compared``: how many networks have an outcome under a training condition; ``searched``:
        how many of them under settings that were searched on their subset, and
        ``boosting-ahead-FD001`` and so on: the RMSE of equal weights minus gradient boosting's
        under the settings searched on that subset, cycles, NaN if not recorded;
        ``lower-than-equal``: those whose error is lower than that of equal weights; ``families``:
        how many families the comparisons are corrected in, and ``by-chance``: how many of them
        would have a difference by chance alone; ``pair-elsewhere``: how often the methods of
        ``lower-than-equal`` were compared elsewhere, and ``pair-seen-low`` and ``pair-seen-high``:
        the smallest and the largest difference that these comparisons would have seen, cycles.

    """
    networks = networks_of(compared)
    of_source = networks["subset"].isin(BOOK_SUBSETS)
    under = networks["condition"]
    seen, others = (
        rows.groupby("subset")["smallest_detectable"].median()
        for rows in (
            networks[of_source & (under == PROTOCOL_CONDITION)],
            networks[~of_source & (under == "book-batch")],
        )
    )
    has_outcome = networks["difference_low"].notna()
    searched_under = {subset: searched_on(subset) for subset in SEARCHED_SUBSETS}
    families = networks[has_outcome].groupby(["condition", "subset"]).ngroups
    lower = lower_than_equal_weights(compared)
    of_pair = networks[has_outcome & networks["method"].isin(lower["method"])].drop(lower.index)
    return {
        "seen-low": seen.min(),
        "seen-high": seen.max(),
        "others-low": others.min(),
        "others-high": others.max(),
        "compared": int(has_outcome.sum()),
        "searched": int((has_outcome & under.isin(searched_under.values())).sum()),
        **{
            f"boosting-ahead-{subset}": -_boosting(compared[compared["condition"] == condition])
            for subset, condition in searched_under.items()
        },
        "lower-than-equal": lower_in_words(compared),
        "families": families,
        "by-chance": _by_chance(families),
        "pair-elsewhere": len(of_pair),
        "pair-seen-low": of_pair["smallest_detectable"].min(),
        "pair-seen-high": of_pair["smallest_detectable"].max(),
    }
