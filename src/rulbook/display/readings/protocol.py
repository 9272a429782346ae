"""What chapter 08 shows and says: printed errors, and errors under one protocol after another.

Errors are in cycles.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown
from scipy import stats

from rulbook.claims.ledger import Claim, find
from rulbook.claims.printed import LABELLED_METHODS, printed_errors
from rulbook.data.cmapss import SUBSETS
from rulbook.data.prepare import RUL_CAP, Recipe
from rulbook.display.results import NOTHING, in_words, number, rows_of, spread, waiting, within
from rulbook.display.tables import table
from rulbook.experiments import protocol_on_trees
from rulbook.statistics import MARGIN, TOLD_APART, CrossedComparison, Outcome, over_seeds
from rulbook.studies.claim_rules import BOOK_SUBSETS
from rulbook.studies.comparison import comparison_table, estimates_table, rmse_by_seed
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.methods import NAMED_METHODS
from rulbook.studies.protocol_choices import (
    first_epoch_within,
    held_out_by_seed,
    held_out_courses,
    held_out_ends,
    selection_table,
    split_and_selection_table,
    variants_table,
)
from rulbook.training.config import PROTOCOL_LABEL
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

_PRINTED_FOR_FD002 = (
    *("n24.1-table-050-fd002", "n24.1-table-060-fd002", "n24.1-table-075-fd002"),
    *("n4.1-fd002-naive", "n4.1-fd002-single-task"),
    *("n24.1-table-090-fd002", "n24.1-table-single-task-fd002"),
)
_SHOWN_METHODS = (
    *("single_task", EQUAL_WEIGHTING, "fixed_090", "amnl", "gaba", "gradient_boosting", "constant"),
)
_WINDOW_SPLIT = "validation split by window"
_RECIPES = {
    protocol_on_trees.SENSORS_ONLY: Recipe(features="sensors"),
    "uncapped training targets": Recipe(cap_training_rul=False),
    _WINDOW_SPLIT: Recipe(split_by="window"),
}


def printed_for_fd002() -> list[Claim]:
    """Return the errors that two sections print for FD002, in rising order."""
    return [find(claim_id) for claim_id in _PRINTED_FOR_FD002]


def printed_shown(claims: Iterable[Claim]) -> HTML:
    """Return printed errors with their places."""
    return table(
        pd.DataFrame(
            {
                "section": claim.locator,
                "what the source says": claim.statement,
                "printed": claim.printed_words,
            }
            for claim in claims
        ),
        "Errors that the source prints for FD002, in rising order",
    )


def predictions_to_explore(
    core: Evidence, trees: pd.DataFrame, source: str
) -> dict[str, pd.DataFrame]:
    """Return what the explorer of the cap shows: the trees, and a recorded network where one is.

    Args:
        core: what is recorded of the core study.
        trees: predictions of the trees on FD002.
        source: what a reader sees for their data.

    """
    networks = {
        f"network 0.5/0.5, seed {run.config.seed}": run.predictions().frame()
        for run in _protocol_runs(core)[:1]
    }
    return {f"trees, live on {source}": trees} | networks


def choice_values(choices: pd.DataFrame, source: str) -> dict[str, object]:
    """Return what the prose quotes of the choices on FD002; arguments as for ``choices_shown``."""
    rmse = choices[choices["subset"] == "FD002"].set_index("choice")["rmse"]
    leaky, engines = (
        rmse[protocol_on_trees.VALIDATION_WINDOWS],
        rmse[protocol_on_trees.VALIDATION_ENGINES],
    )
    return {
        "protocol": rmse[PROTOCOL_LABEL],
        "uncapped": rmse[protocol_on_trees.UNCAPPED_TEST],
        "uncapped-all": rmse[protocol_on_trees.UNCAPPED_THROUGHOUT],
        "every": rmse[protocol_on_trees.EVERY_WINDOW],
        "engines": engines,
        "windows": leaky,
        "leaky-test": rmse[protocol_on_trees.RANDOM_DRAW],
        "leak": 100 * (1 - leaky / engines),
        "source": source,
        "cap": RUL_CAP,
    }


def selection_values(chosen: pd.Series, best: pd.Series, selection: Evidence) -> dict[str, float]:
    """Return what choosing on the test engines gains: the trees, and the recorded networks.

    Args:
        chosen: the row of ``boosted_by_trees`` that is best on the validation engines.
        best: the row that is best on the test engines.
        selection: records of trainings that watched the test engines.

    Returns:
        ``trees-chosen``, ``trees-best``: numbers of trees; ``test-chosen``, ``test-best``: their
        test RMSE, and ``trees-gain``, the first minus the second, cycles; ``watched``: the number
        of trainings; ``least-gain``, ``most-gain``: what they gain, cycles, NaN if there are none.

    """
    gains = selection_table(selection.records)["gain"]
    return {
        "trees-chosen": int(chosen["trees"]),
        "trees-best": int(best["trees"]),
        "test-chosen": chosen["test_rmse"],
        "test-best": best["test_rmse"],
        "trees-gain": chosen["test_rmse"] - best["test_rmse"],
        "watched": len(gains),
        "least-gain": gains.min(),
        "most-gain": gains.max(),
    }


def choices_shown(choices: pd.DataFrame, source: str) -> HTML:
    """Return the errors of tree ensembles under one choice after another.

    Args:
        choices: what ``trees_under_each_choice`` returns, with a column ``subset``.
        source: what a reader sees for the data.

    """
    return table(
        pd.DataFrame(
            {
                "subset": choices["subset"],
                "choice": choices["choice"],
                "scored on": choices["scored_on"],
                "windows": choices["windows"],
                "RMSE [95 % interval]": [
                    within(row.rmse, row.low, row.high) for row in rows_of(choices)
                ],
            }
        ),
        "Extremely randomised trees under one choice of the protocol after another, "
        f"{source}, cycles",
    )


def sensors_reading(compared: CrossedComparison, source: str) -> str:
    """Say how the error of trees on FD002 changes if they see the sensors and not the settings.

    Args:
        compared: what ``sensors_against_all_features`` returns for FD002.
        source: what a reader sees for the data.

    """
    outcome = compared.outcome if compared.outcome in TOLD_APART else "not told apart from none"
    size = "shown" if compared.is_equivalent else "not shown"
    return (
        "If the settings are dropped as features, the RMSE changes by "
        f"{within(compared.difference, compared.low, compared.high)} cycles: {outcome}, and {size} "
        f"to be less than {MARGIN} cycles ({compared.seeds} fits of each, paired by seed and test "
        f"engine, {source})."
    )


def sensors_values(compared: CrossedComparison) -> dict[str, float]:
    """Return what the prose quotes of the same comparison: the difference and its interval."""
    return {
        "sensors-difference": compared.difference,
        "sensors-low": compared.low,
        "sensors-high": compared.high,
    }


def conventions_shown(core: Evidence) -> HTML | Markdown:
    """Return the test errors of recorded trainings against capped and against uncapped lives."""
    runs = [
        run
        for (_, name), runs_by_seed in completed_runs(core.records).items()
        if name in _SHOWN_METHODS
        for run in runs_by_seed.values()
    ]
    if not runs:
        return waiting("No training is recorded yet; `rulbook sweep core` runs them.")
    rows = [
        {
            "subset": subset,
            "method": row.label,
            "seeds": row.seeds,
            "capped": spread(row.rmse_mean, row.rmse_sd),
            "uncapped": spread(row.rmse_uncapped_mean, row.rmse_uncapped_sd),
        }
        for subset in SUBSETS
        for row in rows_of(estimates_table(runs, subset))
    ]
    return table(
        pd.DataFrame(rows),
        "Test RMSE of recorded trainings under both conventions, cycles, mean ± sd over seeds. "
        f"{core.sentence()}",
    )


def conventions_reading(core: Evidence) -> str:
    """Set the single-task network's error under both conventions beside what the source prints."""
    lines = []
    for subset in BOOK_SUBSETS:
        if (subset, "single_task") not in completed_runs(core.records):
            continue
        capped, uncapped = (
            rmse_by_seed(core.records, subset, "single_task", capped=is_capped).value
            for is_capped in (True, False)
        )
        single, equal = (
            find(f"n24.1-table-{row}-{subset.lower()}").printed for row in ("single-task", "050")
        )
        lines.append(
            f"* On {subset} the error of the single-task network is {capped:.2f} cycles against "
            f"capped lives and {uncapped:.2f} against uncapped ones. The source prints {single} "
            f"for the single task and {equal} for equal weights."
        )
    return "\n".join(lines) or "The single-task network is not recorded yet."


def selection_shown(selection: Evidence) -> HTML | Markdown:
    """Return what choosing the epoch on the test engines gains, over seeds."""
    picked = selection_table(selection.records)
    if picked.empty:
        return waiting(
            f"{selection.sentence()} `rulbook sweep test-selection` runs what is missing."
        )
    rows = []
    for (subset, label), group in picked.groupby(["subset", "label"]):
        gain = over_seeds(group["gain"])
        rows.append(
            {
                "subset": subset,
                "method": label,
                "seeds": len(group),
                "chosen on validation": spread(group["selected"].mean(), group["selected"].std()),
                "best on test": spread(group["best_on_test"].mean(), group["best_on_test"].std()),
                "gain": within(gain.value, gain.low, gain.high),
                "all windows": spread(group["every_window"].mean(), group["every_window"].std()),
            }
        )
    return table(
        pd.DataFrame(rows),
        "Test RMSE of the compact network by how the epoch is chosen, cycles. "
        f"{selection.sentence()}",
    )


def recipe_variants(core: Evidence, recipes: Evidence) -> pd.DataFrame:
    """Return ``variants_table`` of the trainings under other recipes, equal weights on FD002."""
    return variants_table(
        _protocol_runs(core),
        {
            choice: [run for run in recipes.records if run.config.recipe == recipe]
            for choice, recipe in _RECIPES.items()
        },
    )


def window_split_reading(core: Evidence, recipes: Evidence) -> str:
    """Say what the split by windows does to the best epoch, and to which error it leads."""
    leaky = {
        run.config.seed: run
        for run in recipes.records
        if run.config.recipe.split_by == "window" and run.completed
    }
    under_protocol = _protocol_runs(core)
    clean = [run for run in under_protocol if run.config.seed in leaky]
    if not clean:
        return recipes.sentence()
    variants = recipe_variants(core, recipes)
    (row,) = rows_of(variants[variants["choice"] == _WINDOW_SPLIT])
    return (
        "The split by windows has another effect. When whole engines are held out, the best "
        f"epoch is number {_best_epoch(clean):.0f}. When windows are held out, it is number "
        f"{_best_epoch(leaky.values()):.0f} of at most {clean[0].config.max_epochs}. A likely "
        "reason is that in every further epoch the network remembers more of the engines that both "
        "parts share. The "
        f"validation error that is then reported is {row.validation_rmse:.2f} cycles. That is the "
        "size of the source's figures, but on the test engines the same network has an error of "
        f"{row.rmse:.2f} cycles."
    )


def leak_shown(records: Sequence[RunRecord]) -> HTML | Markdown:
    """Return where trainings on a split by windows end, beside what the source prints.

    Args:
        records: records under the training condition ``window-split``.

    """
    ends = held_out_ends(records)
    if ends.empty:
        return waiting(
            "Nothing is recorded yet; `rulbook sweep window-split-fd002` and `rulbook sweep "
            "window-split-fd004` run the trainings."
        )
    courses = held_out_courses(records)
    rows = []
    for end in rows_of(ends):
        source = printed_errors(end.subset, LABELLED_METHODS).get(end.method)
        course = courses[(courses["subset"] == end.subset) & (courses["method"] == end.method)]
        passed = None if source is None else first_epoch_within(course, float(source))
        rows.append(
            {
                "subset": end.subset,
                "method": end.label,
                "seeds": end.seeds,
                "held-out windows, last epoch": spread(end.held_out, end.held_out_sd),
                "test engines": number(end.test),
                "source": NOTHING if source is None else str(source),
                "reached at epoch": NOTHING if passed is None else str(passed),
            }
        )
    return table(
        pd.DataFrame(rows),
        "RMSE in cycles of the compact network where the held-out windows come from engines that "
        "were trained on, no early stop, mean ± sd over seeds. Reached: the first epoch whose mean "
        "error on held-out windows is no larger than the source's. These are values without an "
        "outcome",
    )


def leak_reading(records: Sequence[RunRecord]) -> str:
    """Say whether the source's order of its five rows appears where windows are held out.

    Args:
        records: as for ``leak_shown``.

    """
    lines = []
    for subset in BOOK_SUBSETS:
        printed = printed_errors(subset, LABELLED_METHODS)
        by_seed = _errors_of_printed_rows(records, subset)
        missing = int(by_seed.isna().all().sum())
        paired = by_seed.dropna()
        if paired.empty:
            lines.append(
                f"* On {subset}, {in_words(missing, 'method')} of the source's {len(printed)} rows "
                f"{'is' if missing == 1 else 'are'} not recorded yet, so nothing is said about the "
                "order."
                if missing
                else f"* On {subset}, no seed is recorded for all of the source's {len(printed)} "
                "rows yet, so nothing is said about the order."
            )
            continue
        means = paired.mean().sort_values()
        labels = [NAMED_METHODS[name].label for name in means.index]
        taus = [number(_agreement(errors, printed)) for _, errors in paired.iterrows()]
        lines.append(
            f"* On {subset} the order from the lowest error to the highest, mean over "
            f"{in_words(len(paired), 'seed')}, is {', '.join(labels)}. "
            f"The source's is {', '.join(_in_printed_order(printed))}. The rank correlation of the "
            f"two orders (Kendall's τ over {len(printed)} rows) is "
            f"{number(_agreement(means, printed))}; seed by seed it is {', '.join(taus)}. Our "
            f"means lie within {number(np.ptp(means))} cycles of each other, and the seeds of one "
            f"method have a standard deviation of up to {number(paired.std().max())}."
        )
    return "\n".join(lines)


def leak_values(records: Sequence[RunRecord], subset: str) -> dict[str, float]:
    """Return between what the source's rows end where windows are held out, in cycles.

    Args:
        records: as for ``leak_shown``.
        subset: one on which the source's rows are recorded.

    Returns:
        ``leak-lowest`` and ``leak-highest`` mean error of a row on held-out windows, on the seeds
        that every row has; ``leak-test-lowest`` and ``leak-test-highest``, the same on the test
        engines, on all seeds; and ``leak-order``, the rank correlation of the first with the
        printed errors. They are NaN where no seed has every row.

    """
    printed = printed_errors(subset, LABELLED_METHODS)
    held_out = _errors_of_printed_rows(records, subset).dropna().mean()
    test = held_out_ends(records).query("subset == @subset and method in @printed")["test"]
    return {
        "leak-lowest": held_out.min(),
        "leak-highest": held_out.max(),
        "leak-test-lowest": test.min(),
        "leak-test-highest": test.max(),
        "leak-order": _agreement(held_out, printed),
    }


def _errors_of_printed_rows(records: Sequence[RunRecord], subset: str) -> pd.DataFrame:
    """Return the last held-out errors, a row a seed, a column a row of the source's table."""
    printed = printed_errors(subset, LABELLED_METHODS)
    return held_out_by_seed(records, subset).reindex(columns=list(printed))


def _agreement(errors: pd.Series, printed: Mapping[str, Decimal]) -> float:
    """Return Kendall's rank correlation of errors by method with the printed ones."""
    theirs = [float(printed[str(name)]) for name in errors.index]
    return float(stats.kendalltau(errors, theirs).statistic)


def book_network_shown(book_network: Evidence) -> HTML | Markdown:
    """Return what split and selection make of the error of the source's own network."""
    rows = split_and_selection_table(book_network.records)
    if rows.empty:
        return waiting(
            f"{book_network.sentence()} `rulbook sweep book-network` runs what is missing."
        )
    held_out = {"unit": "engines", "window": "windows"}
    return table(
        pd.DataFrame(
            {
                "held out": [held_out[split] for split in rows["split"]],
                "method": rows["label"],
                "seeds": rows["seeds"],
                "epochs": rows["epochs"],
                "held-out error": rows["held_out"],
                "test engines": rows["test"],
                "best epoch on test": rows["best_on_test"],
            }
        ),
        "RMSE of the source's network on FD001 by what is held out and by how the epoch is chosen, "
        f"cycles, means over seeds. These are values without an outcome. {book_network.sentence()}",
        dict.fromkeys(["held-out error", "test engines", "best epoch on test"], ".2f"),
    )


def _in_printed_order(printed: Mapping[str, Decimal]) -> list[str]:
    return [NAMED_METHODS[name].label for name in sorted(printed, key=lambda name: printed[name])]


def difference_reading(core: Evidence, printed: float) -> str:
    """Hold a printed difference between single task and equal weights on FD002 against the noise.

    Args:
        core: what is recorded of the core study.
        printed: single task minus equal weights, cycles, as the source has it.

    """
    compared = rows_of(comparison_table(core.records, "FD002", methods=["single_task"]))
    if not compared:
        return "The two networks are not both recorded yet, so the noise is not known."
    (row,) = compared
    if row.outcome == Outcome.TOO_FEW_SEEDS:
        return f"With {in_words(row.seeds, 'seed')} the noise is not known yet."
    outcome = row.outcome if row.outcome == Outcome.EQUIVALENT else f"a {row.outcome}"
    if row.outcome in TOLD_APART:
        outcome = f"a difference: {row.outcome}"
    return (
        f"Over {in_words(row.seeds, 'seed')} of the compact network, single task minus equal "
        f"weights is {within(row.difference, row.low, row.high)} cycles, {outcome}. The smallest "
        "true difference that this comparison would have found four times out of five is "
        f"{row.smallest_detectable:.2f} cycles. "
    ) + (
        "The comparison could have seen a difference as large as the source's."
        if printed >= row.smallest_detectable
        else "The source's difference is smaller than that: a comparison on the test engines of "
        "FD002 could well miss it."
    )


def _protocol_runs(core: Evidence) -> list[RunRecord]:
    return list(completed_runs(core.records).get(("FD002", EQUAL_WEIGHTING), {}).values())


def _best_epoch(trainings: Iterable[RunRecord]) -> float:
    """Return the mean number of the selected epoch, from 1."""
    selected = [run.selected_epoch for run in trainings if run.selected_epoch is not None]
    return float(np.mean(selected)) + 1
