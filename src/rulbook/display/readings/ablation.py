"""What chapter 07 shows and says of the recorded comparisons.

``evidence_of`` is always what is recorded of the core studies, by subset. Errors are in cycles.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.claims.decision import Answer, answer_of_figure
from rulbook.claims.ledger import find
from rulbook.claims.printed import ABLATION_ROWS, LABELLED_METHODS
from rulbook.data.cmapss import SUBSETS
from rulbook.display.folds import folded
from rulbook.display.results import (
    error_table,
    in_words,
    number,
    p_value,
    quality_table,
    rows_of,
    sentences,
    spread,
    waiting,
    within,
)
from rulbook.display.tables import table
from rulbook.experiments.gaba_floor import first_bound_step
from rulbook.statistics import (
    CONFIDENCE,
    MARGIN,
    MINIMUM_SEEDS,
    TOLD_APART,
    Outcome,
    compare_crossed,
    rmse_over_engines,
)
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.claim_rules import (
    BOOK_SUBSETS,
    BOOK_SWEEP,
    every_seed_in,
    lowest_error,
)
from rulbook.studies.comparison import (
    compare_groups,
    comparison_table,
    comparisons_of,
    estimates_of,
    estimates_table,
)
from rulbook.studies.competence import competence_sentence
from rulbook.studies.condition_rules import decide_all, errors_by_condition, gaba_weights
from rulbook.studies.evidence import Evidence, completed_runs, errors_by_engine, runs_table
from rulbook.studies.grid import GRID, GRID_ROWS
from rulbook.studies.imbalance import weights_by_epoch
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import AMNL_SWEEP, FIXED_METHODS, METHODS, method_of
from rulbook.studies.protocol_choices import sizing_table, variants_table
from rulbook.training.config import RunConfig
from rulbook.training.record import RunRecord
from rulbook.weighting.gaba import GABALoss, floor_binding_step

PRINTED_ROWS: Mapping[str, str] = dict(zip(BOOK_SWEEP, ABLATION_ROWS, strict=True))
"""The rows of section 24.1's table in the ledger's ids, by method."""

_BASELINES = ("gradient_boosting", "constant")


def printed_sweep(subset: str) -> dict[str, Decimal]:
    """Return the RMSE that section 24.1's table prints for a subset, by method."""
    claims = {
        name: find(f"n24.1-table-{row}-{subset.lower()}") for name, row in PRINTED_ROWS.items()
    }
    return {name: claim.printed_number for name, claim in claims.items() if claim.printed_number}


_NEAR_SINGLE = "n24.1-heavy-rul-near-single-measured"
_ABOUT_FIXED_WEIGHTS = (
    "n24.1-empirical-winner",
    "n24.1-clear-margins",
    "n24.1-table-order",
    "n24.1-too-much-health-measured",
    "n24.1-cliff",
    _NEAR_SINGLE,
    "l9.1-scheme-tuned",
    "l9.1-dataset-specific-measured",
)
_ABOUT_ADAPTIVE_METHODS = (
    "n24.1-keeps-pace-with-adaptive",
    "n4.1-gradient-aware-measured",
    "n4.3-gaba-beats-sweep",
    "n4.3-dynamic-beats-static-measured",
)


def table_claims(by_condition: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the cells of section 24.1's table, from runs of what its rows name.

    Args:
        by_condition: records by the name of the training condition that they were made under.

    """
    cells = {
        f"n24.1-table-{cell}-{subset.lower()}": (subset, method)
        for cell, method in LABELLED_METHODS.items()
        for subset in BOOK_SUBSETS
    }
    return {
        claim: answer_of_figure(claim, errors_by_condition(by_condition, *named))
        for claim, named in cells.items()
    }


def fixed_weight_claims(by_condition: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the readings of the sweeps over fixed weights.

    Args:
        by_condition: records by the name of the training condition that they were made under.

    """
    decided = decide_all(_ABOUT_FIXED_WEIGHTS, by_condition)
    note = _distance_from_single_task(by_condition.get("protocol", ()))
    return decided | {_NEAR_SINGLE: Answer(conditions=decided[_NEAR_SINGLE], note=note)}


def _distance_from_single_task(records: Iterable[RunRecord]) -> str:
    """Say by how much the error of 0.9/0.1 is above the single task's, subset by subset."""
    runs = list(records)
    distances = [
        f"{within(row.difference, row.low, row.high)} on {subset}"
        for subset in BOOK_SUBSETS
        for row in rows_of(
            comparison_table(runs, subset, reference="single_task", methods=["fixed_090"])
        )
    ]
    return f"0.9/0.1 minus single task, in cycles: {', '.join(distances)}" if distances else ""


def adaptive_claims(by_condition: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the statements about adaptive methods.

    Args:
        by_condition: as for ``fixed_weight_claims``.

    """
    arrives_at = "n4.3-gaba-converged-weights"
    return decide_all(_ABOUT_ADAPTIVE_METHODS, by_condition) | {
        arrives_at: answer_of_figure(arrives_at, gaba_weights(by_condition))
    }


def floor_values(ends: pd.DataFrame) -> dict[str, float | None]:
    """Return when GABA's floor binds at a ratio of 500, and what it leaves.

    Args:
        ends: what ``floor_by_ratio`` returns; 500 is among the ratios.

    """
    floor = GABALoss().min_weight
    return {
        "left-500": float(ends.loc[ends["ratio"] == 500, "weighted_ratio"].item()),
        "lowest": floor / (1 + floor),
        "bind-500": floor_binding_step(500),
    }


def trace_values(trace: pd.DataFrame, data: str, batch: int) -> dict[str, object]:
    """Return when the floor binds in a live training, and the weights from there on.

    Args:
        trace: what ``trace_gaba`` returns.
        data: what a reader sees for the data.
        batch: windows a batch.

    """
    bound = trace[trace["bound"]]
    return {
        "data": data,
        "batch": batch,
        "bound-at": first_bound_step(trace) or "no",
        "steps": len(trace),
        "weight-low": bound["weight"].min(),
        "weight-high": bound["weight"].max(),
        "wanted": bound["wanted"].median(),
    }


def recorded_so_far(evidence_of: Mapping[str, Evidence]) -> str:
    """Say how many methods and runs are recorded on each subset, and where there is one seed."""
    seeds = {subset: estimates_of(one, subset)["seeds"] for subset, one in evidence_of.items()}
    recorded = [
        f"{subset}: {len(counts)} of {len(METHODS)} methods, "
        f"{in_words(int(counts.sum()), 'run')} of {len(METHODS) * len(SEEDS)}"
        for subset, counts in seeds.items()
        if len(counts)
    ]
    single = [subset for subset, counts in seeds.items() if len(counts) and counts.max() == 1]
    return f"Recorded so far. {'; '.join(recorded) or 'Nothing yet'}." + (
        f" On {' and '.join(single)} there is one seed only, and so neither interval nor outcome."
        if single
        else ""
    )


def sizing_shown(sizing: Evidence) -> HTML:
    """Return the trainings by which the compact network's widths and dropout were fixed."""
    sizes = sizing_table(sizing.records)
    epochs = zip(sizes["selected_epoch"], sizes["epochs"], strict=True)
    return table(
        pd.DataFrame(
            {
                "choice": ["kept" if chosen else "–" for chosen in sizes["chosen"]],
                "convolutions": [", ".join(map(str, widths)) for widths in sizes["convolutions"]],
                "recurrent units": sizes["recurrent_units"],
                "funnel": [", ".join(map(str, widths)) for widths in sizes["funnel"]],
                "dropout": sizes["convolution_dropout"],
                "parameters": [f"{count:,}" for count in sizes["parameters"]],
                "validation RMSE": sizes["validation_rmse"],
                "best epoch": [f"{best} of {trained}" for best, trained in epochs],
            }
        ),
        "The widths and the dropout after the convolutions that were tried, fixed 0.5/0.5, "
        "validation RMSE in cycles. "
        f"{sizing.sentence()}",
        {"validation RMSE": ".2f", "dropout": "g"},
    )


def sizing_reading(sizing: Evidence, comparison: Iterable[RunRecord]) -> str:
    """Say what the sizing trainings differ by, and whether the limit of epochs ever binds.

    Args:
        sizing: the trainings of ``sizing_shown``.
        comparison: the records whose networks have the size that was kept.

    """
    sizes = sizing_table(sizing.records)
    ours, others = sizes[sizes["chosen"]].iloc[0], sizes[~sizes["chosen"]]
    has_our_widths = others["parameters"] == ours["parameters"]
    above = others["validation_rmse"] - ours["validation_rmse"]
    closest = above[has_our_widths].abs().idxmin()
    networks = [
        (run.selected_epoch, run)
        for run in comparison
        if run.config.network == "compact" and run.selected_epoch is not None
    ]
    config = networks[0][1].config
    return (
        f"The errors of the other two widths are {above[~has_our_widths].min():.2f} and "
        f"{above[~has_our_widths].max():.2f} cycles higher. Of the dropout rates, "
        f"{others.loc[closest, 'convolution_dropout']:g} and {ours['convolution_dropout']:g} "
        f"differ by only {abs(above[closest]):.2f} cycles; the smaller rate was kept. One seed "
        "cannot rank networks that are so close, and they were all trained with equal weights. All "
        "methods then get the same network. In the comparison the limit of "
        f"{in_words(config.max_epochs, 'epoch')} never binds. "
        f"Of {in_words(len(networks), 'recorded training')} of the comparison the longest stopped "
        f"after {max(len(run.epochs) for _, run in networks)} by itself, and the latest best epoch "
        f"is number {max(selected for selected, _ in networks) + 1}. The batch of "
        f"{config.batch_size} windows was chosen to save time. Other batches are among the "
        "training conditions below."
    )


def amnl_shown(core: Evidence, other_weights: Evidence) -> HTML:
    """Return the errors of AMNL with its own weights and with others, by subset.

    Args:
        core: what is recorded of the core study, which has AMNL's own weights.
        other_weights: what is recorded of the study of the other ones.

    """
    records = [
        record
        for one in (core, other_weights)
        for record in one.records
        if record.config.inner_loss == "failure_weighted_mse"
    ]
    rows = []
    for subset in BOOK_SUBSETS:
        estimates = estimates_table(records, subset)
        rows += [
            {
                "subset": subset,
                "method": row.label,
                "seeds": row.seeds,
                "RMSE [95 % interval]": within(row.rmse, row.low, row.high),
                "mean ± sd over seeds": spread(row.rmse_mean, row.rmse_sd),
            }
            for row in rows_of(estimates[estimates["method"].isin(("amnl", *AMNL_SWEEP))])
        ]
    return table(
        pd.DataFrame(rows),
        "AMNL with its own weights and with two others, test RMSE, capped, cycles. "
        f"{core.sentence()} {other_weights.sentence()}",
    )


def fixed_weights_reading(evidence_of: Mapping[str, Evidence]) -> str:
    """Say which fixed weights are the lowest on each subset, and which do not tie with 0.5/0.5."""
    lines = []
    for subset, evidence in evidence_of.items():
        if not every_seed_in(evidence.records, [subset], FIXED_METHODS):
            continue
        best = METHODS[lowest_error(evidence.records, subset, FIXED_METHODS)]
        compared = comparisons_of(evidence, subset, FIXED_METHODS)
        apart = "; ".join(
            f"{_without_fixed(row.label)} is {row.outcome} (difference "
            f"{within(row.difference, row.low, row.high)} cycles)"
            for row in rows_of(compared[compared["outcome"].isin(TOLD_APART)])
        )
        lines.append(
            f"* On {subset}, {_without_fixed(best.label)} has the lowest error. Compared with "
            "0.5/0.5 and corrected over the fixed weights, "
            f"{apart or 'no weight is told apart from it'}."
        )
    return "\n".join(lines)


def sweep_tables(
    core: Evidence, methods: Sequence[str], printed: Mapping[str, Mapping[str, object]]
) -> HTML:
    """Return the errors of fixed weights on every subset behind one line.

    Args:
        core: what is recorded of the sweep.
        methods: names of the fixed weights.
        printed: the source's figures by method, for each subset.

    """
    told = "; ".join(_told_apart(core, subset, methods) for subset in printed)
    tables = [error_table(core, subset, methods, cells) for subset, cells in printed.items()]
    return folded(f"Tables: the sweep beside the source's figures: {told}", *tables)


def grid_tables(core: Evidence) -> HTML:
    """Return the comparisons of the grid's cells with fixed 0.5/0.5 behind one line."""
    told = "; ".join(_told_apart(core, subset, GRID) for subset in BOOK_SUBSETS)
    tables = [error_table(core, subset, GRID) for subset in BOOK_SUBSETS]
    return folded(f"Tables: the four cells against fixed 0.5/0.5: {told}", *tables)


def method_tables(evidence: Evidence, subset: str) -> HTML:
    """Return what is measured of every method on a subset behind one line."""
    rows = estimates_of(evidence, subset)
    return folded(
        f"Tables: all {len(rows)} methods: {_told_apart(evidence, subset)}",
        error_table(evidence, subset),
        quality_table(evidence, subset),
    )


def _told_apart(evidence: Evidence, subset: str, methods: Sequence[str] | None = None) -> str:
    """Say how many networks are told from fixed 0.5/0.5 on a subset."""
    compared = comparisons_of(evidence, subset, methods)
    networks = _networks(compared)
    apart = int(networks["outcome"].isin(TOLD_APART).sum())
    verb = "is" if apart < 2 else "are"
    return f"on {subset}, {apart or 'none'} of {len(networks)} {verb} told from fixed 0.5/0.5"


def grid_shown(core: Evidence) -> HTML:
    """Return the test errors of the grid's four cells with their intervals."""

    def cell(subset: str, name: str) -> str:
        rows = estimates_of(core, subset)
        recorded = rows_of(rows[(rows["method"] == name) & (rows["seeds"] > 0)])
        if not recorded:
            return "waiting"
        (row,) = recorded
        return f"{within(row.rmse, row.low, row.high)}, {in_words(row.seeds, 'seed')}"

    return table(
        pd.DataFrame(
            {
                "subset": subset,
                "weighting": weighting,
                "plain MSE": cell(subset, plain),
                "failure-weighted MSE": cell(subset, weighted),
            }
            for subset in BOOK_SUBSETS
            for weighting, (plain, weighted) in GRID_ROWS.items()
        ),
        f"Test RMSE in cycles, its interval over engines and seeds. {core.sentence()}",
    )


def main_effects_shown(effects: pd.DataFrame, core: Evidence) -> HTML:
    """Return a table of ``main_effects``.

    Args:
        effects: what ``rulbook.studies.grid.main_effects`` returns.
        core: what it was computed from.

    """
    return table(
        pd.DataFrame(
            {
                "subset": effects["subset"],
                "what is changed": effects["change"],
                "difference [95 % interval]": [
                    within(row.difference, row.low, row.high) for row in rows_of(effects)
                ],
                "p": effects["p_holm"].map(p_value),
                "could have seen": effects["smallest_detectable"],
            }
        ),
        "Main effects of the grid on the test RMSE, capped, cycles; p corrected over the "
        f"{in_words(len(effects), 'row')}. {core.sentence()}",
        {"could have seen": ".2f"},
    )


def main_effects_reading(effects: pd.DataFrame) -> str:
    """Say which of the ``main_effects`` can be told from zero."""
    seen = effects[effects["p_holm"] < 1 - CONFIDENCE]
    if seen.empty:
        return "None of these differences can be told from zero."
    named = "; ".join(
        f"{row.change} on {row.subset}, by {number(row.difference)} cycles" for row in rows_of(seen)
    )
    return f"These can be told from zero: {named}. The rest are ties."


def comparison_reading(evidence: Evidence, subset: str) -> str:
    """Say how many methods tie with equal weights on a subset, which do not, and what was seen."""
    rows = comparisons_of(evidence, subset)
    compared = rows[rows["outcome"] != Outcome.TOO_FEW_SEEDS]
    networks = _networks(compared)
    if networks.empty:
        return f"On {subset} nothing can be compared yet."
    apart = networks["outcome"].isin(TOLD_APART)
    others = pd.concat([networks[apart], compared.drop(networks.index)])
    words = ", ".join(
        f"{row.label} {f'is {row.outcome}' if row.outcome in TOLD_APART else _NOT_TOLD}"
        for row in rows_of(others)
    )
    detectable, waiting_rows = networks["smallest_detectable"], len(rows) - len(compared)
    return (
        f"On {subset}, {len(networks) - apart.sum()} of "
        f"{in_words(len(networks), 'network method')} with five seeds cannot be told from "
        f"fixed 0.5/0.5{f'; {words}' if words else ''}. After the correction, the typical "
        f"comparison would have seen a true difference of {detectable.median():.1f} cycles "
        f"({detectable.min():.1f} to {detectable.max():.1f})."
    ) + (
        f" {in_words(waiting_rows, 'method')} with fewer seeds {_has(waiting_rows)} no outcome."
        if waiting_rows
        else ""
    )


def comparison_values(compared: pd.DataFrame) -> dict[str, object]:
    """Return what the front page says of the comparisons.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    Returns:
        ``seen-low``, ``seen-high``: the difference in RMSE that the typical comparison on either
        of the source's subsets would have seen under the protocol after the correction, cycles;
        ``others-low``, ``others-high``: the same of the other subsets under ``book-batch``;
        ``compared``: how many networks have an outcome under a training condition;
        ``lower-than-equal``: those whose error is lower than that of equal weights.

    """
    networks = _networks(compared)
    of_source = networks["subset"].isin(BOOK_SUBSETS)
    under = networks["condition"]
    seen, others = (
        rows.groupby("subset")["smallest_detectable"].median()
        for rows in (
            networks[of_source & (under == "protocol")],
            networks[~of_source & (under == "book-batch")],
        )
    )
    return {
        "seen-low": seen.min(),
        "seen-high": seen.max(),
        "others-low": others.min(),
        "others-high": others.max(),
        "compared": int(networks["difference_low"].notna().sum()),
        "lower-than-equal": lower_in_words(compared),
    }


def rerun_reading(core: Sequence[RunRecord], again: Evidence) -> str:
    """Say how far apart trainings are that share everything but the rounding of their code.

    Args:
        core: records of the core studies.
        again: the study that observes every step: the same trainings, made anew.

    """
    first, second = completed_runs(core), completed_runs(again.records)
    measure = MEASURES["rmse"]
    gaps: dict[tuple[str, int], tuple[float, float]] = {}
    words = []
    for subset in SUBSETS:
        runs = first.get((subset, "fixed_050"), {}), second.get((subset, "fixed_050"), {})
        seeds = [seed for seed in runs[0] if seed in runs[1]]
        if len(seeds) < MINIMUM_SEEDS:
            continue
        losses = [measure.losses([of_seed[seed] for seed in seeds]) for of_seed in runs]
        by_seed = [np.sqrt(np.mean(one, axis=1)) for one in losses]
        gaps |= {
            (subset, seed): (before, after)
            for seed, before, after in zip(seeds, *by_seed, strict=True)
        }
        (one,) = compare_crossed([(losses[1], losses[0])], measure.statistic)
        words.append(f"{subset} {within(one.difference, one.low, one.high)}")
    if not gaps:
        return again.sentence()
    (subset, seed), (before, after) = max(gaps.items(), key=lambda gap: abs(gap[1][1] - gap[1][0]))
    return (
        "The study *imbalance* has trained equal weights once more, with the same settings and the "
        "same seeds, by code that rounds otherwise. A training amplifies rounding: two runs of one "
        f"seed differ by up to {abs(after - before):.1f} cycles ({subset}, seed {seed}: "
        f"{before:.1f} and {after:.1f}). Over all seeds the second runs differ from the first by "
        f"{'; '.join(words)} cycles. So the difference between two single runs is worth little."
    )


def lower_than_equal_weights(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the networks whose error is shown to be lower than that of equal weights.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    """
    networks = _networks(compared)
    return networks[networks["outcome"] == Outcome.LOWER]


def lower_in_words(compared: pd.DataFrame) -> str:
    """Name those of ``lower_than_equal_weights``, ``AMNL (batch 64, patience 20) on FD003``."""
    return ", ".join(
        f"{row.label} ({row.condition_label}) on {row.subset}"
        for row in rows_of(lower_than_equal_weights(compared))
    )


def conditions_reading(compared: pd.DataFrame) -> str:
    """Say how many comparisons under all training conditions have an outcome, and which differ.

    Args:
        compared: what ``rulbook.studies.by_condition.condition_tables`` returns.

    """
    networks = _networks(compared)
    decided = networks[networks["difference_low"].notna()]
    if decided.empty:
        return "No method has every seed under any training condition yet."
    told_apart = decided[decided["outcome"].isin(TOLD_APART)]
    differences = "; ".join(
        f"{row.label} on {row.subset}, *{row.condition_label}*, is {row.outcome} (difference "
        f"{within(row.difference, row.difference_low, row.difference_high)} cycles)"
        for row in rows_of(told_apart)
    )
    return (
        f"Of {in_words(len(decided), 'comparison')} with every seed, {len(told_apart) or 'none'} "
        f"{'are' if len(told_apart) > 1 else 'is'} told from equal weights"
        f"{f': {differences}' if differences else ''}. The methods of one condition on one subset "
        "are corrected together. There is no correction over the conditions."
    )


def competence_reading(competence: pd.DataFrame) -> str:
    """Say of every subset whether its trainings are about as good as gradient boosting.

    Args:
        competence: what ``rulbook.studies.competence.competence_table`` returns.

    """
    if competence.empty:
        return "Whether the trainings are competent is measured on C-MAPSS, which is not at hand."
    return (
        "The figures are medians over methods of the validation RMSE under each training "
        "condition:\n\n"
    ) + "\n".join(f"* {competence_sentence(competence, subset)}" for subset in SUBSETS)


def floor_ends_shown(ends: pd.DataFrame) -> HTML:
    """Return where GABA's weights go at constant ratios.

    Args:
        ends: what ``floor_by_ratio`` returns, with a column ``by_recurrence``: the binding step as
            another way of computing it has it.

    """
    steps = {
        words: ["never" if math.isnan(step) else str(int(step)) for step in ends[column]]
        for words, column in (
            ("floor binds (formula)", "binding_step"),
            ("floor binds (recurrence)", "by_recurrence"),
        )
    }
    return table(
        pd.DataFrame(
            {
                "ratio": ends["ratio"],
                "wanted weight": ends["wanted_weight"],
                **steps,
                "final weight": ends["final_weight"],
                "final weighted ratio": ends["weighted_ratio"],
            }
        ),
        "Where GABA's weights end at a constant gradient ratio. Steps are counted after the "
        "warm-up; the floor is reached by the formula and by running the recurrence",
        {"wanted weight": ".4f", "final weight": ".4f", "final weighted ratio": ".1f"},
    )


def gaba_weights_shown(evidence_of: Mapping[str, Evidence]) -> HTML | Markdown:
    """Return the range of GABA's RUL weight over seeds, epoch by epoch."""
    summary = weights_by_epoch(_records(evidence_of), "gaba")
    resting_on = sentences(evidence_of.values())
    if summary.empty:
        return waiting(f"No training with GABA is recorded yet. {resting_on}")
    return table(
        summary,
        "GABA's RUL weight at the end of each epoch, its range over seeds, and the median gradient "
        "ratio. "
        f"{resting_on}",
        {"lowest": ".4f", "highest": ".4f", "ratio": ".0f"},
    )


def floor_controls_shown(evidence_of: Mapping[str, Evidence]) -> HTML | Markdown:
    """Return GABA and its relatives compared with the fixed weights at its floor."""
    resting_on = sentences(evidence_of.values())
    rows = [
        {
            "subset": subset,
            "method": row.label,
            "seeds": row.seeds,
            "minus 0.05/0.95": within(row.difference, row.low, row.high),
            "outcome": row.outcome,
            "could have seen": number(row.smallest_detectable),
        }
        for subset, evidence in evidence_of.items()
        for row in rows_of(comparisons_of(evidence, subset, _FLOOR_CONTROLS, reference="fixed_005"))
    ]
    if not rows:
        return waiting(f"Not recorded yet: fixed 0.05/0.95 together with GABA. {resting_on}")
    return table(
        pd.DataFrame(rows),
        f"Test RMSE against fixed 0.05/0.95, in cycles. {resting_on}",
    )


def floor_controls_reading(core: Evidence) -> str:
    """Say how IMTL-G and GABA without floor compare, where every seed of both is recorded."""
    lines = []
    for subset in BOOK_SUBSETS:
        if every_seed_in(core.records, [subset], ["imtl_g", "gaba_no_floor"]):
            compared = compare_groups(core.records, subset, ["imtl_g"], ["gaba_no_floor"])
            lines.append(
                f"On {subset}, IMTL-G minus GABA without floor is "
                f"{within(compared.difference, compared.low, compared.high)} cycles, "
                f"{_in_words_of(compared.outcome)}."
            )
    if not lines:
        return core.sentence()
    return " ".join(lines) + (
        " These two were compared alone, without a correction. They differ in the moving average, "
        "in the warm-up and in the weights of the heads; these runs do not say which of these "
        "matters."
    )


def choices_by_weights(
    core: Evidence, choices: Mapping[str, Evidence], subset: str = "FD002"
) -> pd.DataFrame:
    """Return ``variants_table`` on a subset for each weighting that a study of a choice has.

    Args:
        core: what is recorded of the core study of the subset.
        choices: what is recorded of each choice's study, by the choice's name.
        subset: C-MAPSS subset.

    Returns:
        The tables below each other, with a column ``weights``; no row while nothing is recorded.

    """
    under_protocol = completed_runs(core.records)
    tables = []
    for name in _CHOICE_METHODS:
        method = METHODS[name]
        changed = {
            choice: runs
            for choice, evidence in choices.items()
            if (
                runs := [
                    run
                    for run in evidence.records
                    if (run.config.weighting, run.config.inner_loss)
                    == (method.weighting, method.inner_loss)
                ]
            )
        }
        base = under_protocol.get((subset, name))
        if base and changed:
            variants = variants_table(list(base.values()), changed)
            tables.append(variants.assign(weights=method.label))
    return pd.concat(tables) if tables else pd.DataFrame()


def precision_reading(core: Evidence, mixed: Evidence) -> str:
    """Say what mixed precision does to the error of finished trainings on FD001.

    Args:
        core: what is recorded of the core study of that subset.
        mixed: the same trainings with the trunk computed in bfloat16.

    """
    variants = choices_by_weights(core, {"mixed precision": mixed}, "FD001")
    if variants.empty or (variants := variants.dropna(subset="difference")).empty:
        return mixed.sentence()
    differences = "; ".join(
        f"{row.weights}: {within(row.difference, row.low, row.high)} cycles "
        f"({in_words(row.seeds, 'seed')}, {_precision_in_words(row)})"
        for row in rows_of(variants)
    )
    apart = any(_precision_in_words(row) == "told apart" for row in rows_of(variants))
    lesson = (
        " Rounding is no method. So one difference of this size, among many comparisons, is weak "
        "evidence for a method too."
        if apart
        else ""
    )
    return (
        "On FD001, the difference in test RMSE, mixed minus single precision, is as follows. "
        f"{differences}.{lesson}"
    )


def _precision_in_words(row: Any) -> str:
    if math.isnan(row.low):
        return "no outcome"
    if row.low > -MARGIN and row.high < MARGIN:
        return f"equivalent, within {MARGIN} cycles"
    return "not told apart" if row.low <= 0 <= row.high else "told apart"


def default_bias_reading(bias: Evidence) -> str:
    """Say how many trainings started with a shut RUL head under the default bias, and their ends.

    Args:
        bias: what is recorded of the study with PyTorch's default output bias.

    """
    if not bias.records:
        return bias.sentence()
    shut = [run for run in bias.records if run.starts_dead]
    ends = [
        f"{_label(run.config.model_copy(update={'rul_bias': 'training_mean'}))}, seed "
        f"{run.config.seed}: validation RMSE "
        f"{run.epochs[run.selected_epoch].validation.rmse:.0f} cycles at the end."
        for run in shut
        if run.selected_epoch is not None
    ]
    return (
        f"With the default output bias {len(shut)} of "
        f"{in_words(len(bias.records), 'recorded training')} started with a shut RUL head. "
        f"{' '.join(ends)}"
    )


def paper_size_shown(paper: Evidence, evidence_of: Mapping[str, Evidence]) -> HTML | Markdown:
    """Return the source's network beside the compact one, for the runs that both have.

    Args:
        paper: what is recorded of the source's network.
        evidence_of: see above; of the compact network.

    """
    rows = []
    for run in paper.records:
        config = run.config
        row = method_of(
            RunConfig(
                subset=config.subset, data_digest=config.data_digest, weighting=config.weighting
            )
        )
        if row is None:
            continue
        named = {"subset": config.subset, "method": row.label}
        if run.test is None:
            rows.append({**named, "network": "paper, diverged"})
            continue
        compact = completed_runs(evidence_of[config.subset].records)
        of_seed = compact.get((config.subset, row.name), {}).get(config.seed)
        rows.append({**named, "network": "paper", **_measured(run)})
        if of_seed is not None:
            rows.append({**named, "network": "compact", **_measured(of_seed)})
    if not rows:
        return waiting(f"{paper.sentence()} `rulbook sweep paper-size` runs what is missing.")
    return table(
        pd.DataFrame(rows),
        f"The source's network beside the compact one, seed {SEEDS[0]}, cycles. {paper.sentence()}",
    )


def paper_size_reading(paper: Evidence) -> str:
    """Say by how much the source's network gets worse after its best epoch, if it always does."""
    after_best = [
        run.epochs[-1].validation.rmse - run.epochs[run.selected_epoch].validation.rmse
        for run in paper.records
        if run.selected_epoch is not None
    ]
    if not after_best or min(after_best) <= 0:
        return ""
    return (
        "Between the large network's best epoch and its last one, its error on the validation "
        f"engines rises by {min(after_best):.1f} to {max(after_best):.1f} cycles. So at this rate "
        "and length it is not trained well, and its rows say little of what it could reach."
    )


def overview(evidence_of: Mapping[str, Evidence]) -> str:
    """Return a bullet a subset: the range of its networks, the source's, and the baselines'."""
    points = [
        point for subset, one in evidence_of.items() if (point := _subset_overview(one, subset))
    ]
    return "\n".join(f"* {point}" for point in points or ["No network is recorded yet."])


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _in_words_of(outcome: Outcome) -> str:
    return "more than chance explains" if outcome in TOLD_APART else "which may be chance"


_NOT_TOLD = "cannot be told from it either"
_FLOOR_CONTROLS = ("gaba", "gaba_no_floor", "imtl_g", "grace")
_CHOICE_METHODS = ("fixed_050", "fixed_075", "fixed_090", "gaba", "single_task")


def _networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of networks, without the baselines that are none."""
    return rows[~rows["method"].isin(_BASELINES)]


def _subset_overview(evidence: Evidence, subset: str) -> str:
    rows = estimates_of(evidence, subset)
    recorded = rows[rows["seeds"] > 0].set_index("label")
    networks = _networks(recorded)
    if networks.empty:
        return ""
    most = int(networks["seeds"].max())
    errors = networks.loc[networks["seeds"] == most, "rmse"]
    points = [
        f"**{subset}.** The errors of the {in_words(len(errors), 'network method')} with "
        f"{in_words(most, 'recorded seed')} lie between {errors.min():.2f} ({errors.idxmin()}) "
        f"and {errors.max():.2f} cycles ({errors.idxmax()})."
    ]
    if subset in BOOK_SUBSETS:
        printed = printed_sweep(subset).values()
        points.append(f"The source's table goes from {min(printed):.2f} to {max(printed):.2f}.")
        if (label := METHODS["single_task"].label) in errors:
            points.append(
                "The single task is by far the worst row of that table; here its error is "
                f"{errors[label]:.2f}."
            )
    if (label := METHODS["gradient_boosting"].label) in recorded["rmse"]:
        points.append(
            "Gradient boosting on window statistics takes seconds, and its error is "
            f"{recorded['rmse'][label]:.2f}."
        )
    return " ".join(points)


def _measured(run: RunRecord) -> dict[str, str]:
    """Return the cells of a row of ``paper_size_shown``."""
    measured = runs_table([run]).iloc[0]
    error = rmse_over_engines(errors_by_engine([run]))
    ratios = [epoch.gradients.ratio_quantiles[2] for epoch in run.epochs if epoch.gradients]
    return {
        "best epoch": f"{measured['selected_epoch']:.0f} of {len(run.epochs)}",
        "RMSE [95 % interval]": within(error.value, error.low, error.high),
        "uncapped": number(measured["rmse_uncapped"]),
        "mean error": number(measured["mean_error"]),
        "gradient ratio, median of epochs": number(float(np.median(ratios)), 0) if ratios else "–",
    }


def _records(evidence_of: Mapping[str, Evidence]) -> list[RunRecord]:
    """Return the records of these studies, each once."""
    return [record for one in dict.fromkeys(evidence_of.values()) for record in one.records]


def _label(config: RunConfig) -> str:
    row = method_of(config)
    return row.label if row else config.weighting


def _without_fixed(label: str) -> str:
    return label.removeprefix("Fixed ")
