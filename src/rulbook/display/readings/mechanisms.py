"""What chapter 01 shows of trainings beside a second task, right or wrong."""

import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.display.readings.imbalance import what_is_missing
from rulbook.display.results import p_value, variants_reading, variants_shown
from rulbook.display.tables import table
from rulbook.statistics import Estimate
from rulbook.studies.claim_rules import FD002_GAIN
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.methods import method
from rulbook.studies.protocol_choices import variants_table

_LABELS = {"shuffled": "shuffled labels", "serial_number": "serial number"}
_METHODS = ("fixed_050", "fixed_0002")


def second_tasks_table(differences: pd.DataFrame) -> HTML:
    """Show the RUL error beside each second task against the single task, cycles.

    Args:
        differences: what ``paired_differences`` returns of ``auxiliary_tasks``.

    """
    names = {
        "auxiliary": "second task",
        "rul_weight": "RUL weight",
        "difference": "difference",
        "low": "from",
        "high": "to",
        "p_holm": "corrected p",
    }
    in_words = differences.assign(p_holm=differences["p_holm"].map(p_value))
    return table(
        in_words[list(names)].rename(columns=names),
        "RMSE beside each second task minus that of the single task, cycles",
        dict.fromkeys(["difference", "from", "to"], "+.2f"),
    )


def errors_on_fd002(evidence: Evidence) -> dict[str, Estimate]:
    """Return the test RMSE on FD002, cycles, of the methods of ``FD002_GAIN`` with a run."""
    completed = completed_runs(evidence.records)
    return {
        name: rmse_by_seed(evidence.records, "FD002", name)
        for name in FD002_GAIN
        if completed.get(("FD002", name))
    }


def wrong_auxiliary_variants(evidence: Evidence, wrong: Evidence) -> pd.DataFrame:
    """Return the errors on FD002 beside each wrong second task, by weighting.

    Args:
        evidence: the study of the true second task.
        wrong: the study *auxiliary*.

    """
    variants = []
    for name in _METHODS:
        base = completed_runs(evidence.records).get(("FD002", name), {})
        beside = {
            words: [
                run
                for run in wrong.records
                if (run.config.auxiliary, run.config.weighting) == (labels, name)
            ]
            for labels, words in _LABELS.items()
        }
        rows = variants_table(list(base.values()), beside)
        variants.append(rows.assign(weights=method(name).label))
    return pd.concat(variants)


def wrong_auxiliary_table(variants: pd.DataFrame, wrong: Evidence) -> HTML | Markdown:
    """Show what ``wrong_auxiliary_variants`` returns, or what is missing of it."""
    if not wrong.records:
        return what_is_missing(wrong)
    return variants_shown(
        variants,
        "Compact network, FD002, cycles; the protocol's second task is the health state. "
        + wrong.sentence(),
    )


def wrong_auxiliary_reading(variants: pd.DataFrame, wrong: Evidence) -> Markdown:
    """Say what ``wrong_auxiliary_table`` holds."""
    return Markdown(variants_reading(variants) if wrong.records else "")
