"""What chapter 01 shows of trainings beside a wrong second task."""

import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.display.readings.imbalance import what_is_missing
from rulbook.display.results import variants_reading, variants_shown
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.methods import method
from rulbook.studies.protocol_choices import variants_table

_LABELS = {"shuffled": "shuffled labels", "serial_number": "serial number"}
_METHODS = ("fixed_050", "fixed_0002")


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
