"""What chapter 07 shows and says of the floor under GABA's weights.

``evidence_of`` is always what is recorded of the core studies, by subset.
"""

import math
from collections.abc import Mapping

import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.display.results import number, rows_of, sentences, waiting, within
from rulbook.display.tables import table
from rulbook.experiments.gaba_floor import first_bound_step
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.statistics import TOLD_APART, Outcome
from rulbook.studies.claim_rules import BOOK_SUBSETS, every_seed_in
from rulbook.studies.comparison import compare_groups, comparisons_of
from rulbook.studies.evidence import Evidence
from rulbook.studies.imbalance import weights_by_epoch
from rulbook.training.record import RunRecord
from rulbook.weighting.gaba import floor_binding_step

_FLOOR_CONTROLS = ("gaba", "gaba_no_floor", "imtl_g", "grace")


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


def floor_values(ends: pd.DataFrame) -> dict[str, float | None]:
    """Return when GABA's floor binds at a ratio of 500, and what it leaves.

    Args:
        ends: what ``floor_by_ratio`` returns; 500 is among the ratios.

    """
    by_ratio = ends.set_index("ratio")
    return {
        "left-500": by_ratio["weighted_ratio"].loc[PRINTED_IMBALANCE],
        "end-500": by_ratio["final_weight"].loc[PRINTED_IMBALANCE],
        "bind-500": floor_binding_step(PRINTED_IMBALANCE),
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


def _in_words_of(outcome: Outcome) -> str:
    return "more than chance explains" if outcome in TOLD_APART else "which may be chance"


def _records(evidence_of: Mapping[str, Evidence]) -> list[RunRecord]:
    """Return the records of these studies, each once."""
    return [record for one in dict.fromkeys(evidence_of.values()) for record in one.records]
