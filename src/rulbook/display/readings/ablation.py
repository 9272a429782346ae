"""What chapter 07 shows and says of its tables of methods, and what decides their claims.

``evidence_of`` is always what is recorded of the core studies, by subset. Errors are in cycles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from IPython.display import HTML

from rulbook.claims.decision import Answer, answer_of_figure
from rulbook.claims.ledger import find
from rulbook.claims.printed import LABELLED_METHODS, PLAIN_METHODS, printed_errors
from rulbook.claims.verdict import figure_over_conditions
from rulbook.display.folds import folded
from rulbook.display.results import (
    error_table,
    in_words,
    number,
    p_value,
    quality_table,
    rows_of,
    spread,
    within,
)
from rulbook.display.tables import table
from rulbook.statistics import CONFIDENCE, TOLD_APART, Outcome
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.claim_rules import BOOK_SUBSETS, every_seed_in, lowest_error
from rulbook.studies.comparison import (
    comparison_table,
    comparisons_of,
    estimates_of,
    estimates_table,
    networks_of,
)
from rulbook.studies.condition_rules import decide_all
from rulbook.studies.conditions import PROTOCOL_CONDITION
from rulbook.studies.evidence import Evidence
from rulbook.studies.grid import GRID, GRID_ROWS
from rulbook.studies.methods import AMNL_SWEEP, FIXED_METHODS, METHODS
from rulbook.studies.printed_figures import errors_by_condition, gaba_weights
from rulbook.training.record import RunRecord

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
    "n24.1-keeps-pace-measured",
    "n4.1-gradient-aware-measured",
    "n4.3-gaba-beats-sweep",
    "n4.3-dynamic-beats-static-measured",
)


def table_claims(by_condition: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the cells of section 24.1's table, from runs of what its rows name.

    A cell is decided by the RUL capped as in training. The source does not say whether it caps the
    RUL of its test engines; where our error against uncapped RUL agrees with the printed figure, a
    note shows it, but it does not make the claim hold.

    Args:
        by_condition: records by the name of the training condition that they were made under.

    """
    cells = {
        f"n24.1-table-{cell}-{subset.lower()}": (subset, method)
        for cell, method in LABELLED_METHODS.items()
        for subset in BOOK_SUBSETS
    }
    return {claim: _cell(claim, by_condition, *named) for claim, named in cells.items()}


def _cell(
    claim: str, by_condition: Mapping[str, Sequence[RunRecord]], subset: str, method: str
) -> Answer:
    answer = answer_of_figure(claim, errors_by_condition(by_condition, subset, method))
    uncapped = errors_by_condition(by_condition, subset, method, capped=False)
    holds = figure_over_conditions(find(claim), uncapped)
    agreeing = [number(error) for name, error in uncapped.items() if error and holds[name]]
    return replace(answer, note=f"not capped: {', '.join(agreeing)}") if agreeing else answer


def fixed_weight_claims(by_condition: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the readings of the sweeps over fixed weights.

    Args:
        by_condition: records by the name of the training condition that they were made under.

    """
    decided = decide_all(_ABOUT_FIXED_WEIGHTS, by_condition)
    note = _distance_from_single_task(by_condition.get(PROTOCOL_CONDITION, ()))
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
        arrives_at: answer_of_figure(arrives_at, gaba_weights(by_condition)),
        "n24.1-keeps-pace-with-adaptive": None,
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
    networks = networks_of(compared)
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
    networks = networks_of(compared)
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


def overview(evidence_of: Mapping[str, Evidence]) -> str:
    """Return a bullet a subset: the range of its networks, the source's, and the baselines'."""
    points = [
        point for subset, one in evidence_of.items() if (point := _subset_overview(one, subset))
    ]
    return "\n".join(f"* {point}" for point in points or ["No network is recorded yet."])


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


_NOT_TOLD = "cannot be told from it either"


def _subset_overview(evidence: Evidence, subset: str) -> str:
    rows = estimates_of(evidence, subset)
    recorded = rows[rows["seeds"] > 0].set_index("label")
    networks = networks_of(recorded)
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
        printed = printed_errors(subset, PLAIN_METHODS).values()
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


def _without_fixed(label: str) -> str:
    return label.removeprefix("Fixed ")
