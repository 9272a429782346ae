"""How methods compare with equal weights by other measures than the RMSE."""

from collections.abc import Mapping, Sequence

import pandas as pd

from rulbook.data.cmapss import SUBSETS
from rulbook.studies.by_condition import why_no_outcome
from rulbook.studies.comparison import REFERENCE, comparison_table, health_loss_table
from rulbook.studies.conditions import training_condition
from rulbook.studies.measures import MEASURES
from rulbook.studies.methods import BASELINES, METHODS
from rulbook.training.record import RunRecord

CROSS_ENTROPY = "health_loss"
"""The name of the health head's cross-entropy among the measures compared; nats."""

_COMPARED = ["difference", "low", "high", "p_holm", "outcome"]


def measure_tables(records: Mapping[str, Sequence[RunRecord]]) -> pd.DataFrame:
    """Compare networks with equal weights by every measure but the RMSE, condition by condition.

    Those of ``MEASURES`` are compared over engines and seeds, the cross-entropy of the health heads
    on the validation windows over seeds. Holm's correction is over the methods of one subset,
    training condition and measure that can have an outcome. Forensic conditions are left out.

    Args:
        records: records by the name of the training condition that they were made under.

    Returns:
        One row a condition, subset, measure and method: ``condition``, ``condition_label``,
        ``subset``, ``measure`` (a name of ``MEASURES`` or ``CROSS_ENTROPY``), ``method``,
        ``label``, ``difference`` (method minus equal weights, in the unit of the measure), ``low``,
        ``high``, ``p_holm`` and ``outcome``.

    Raises:
        UsageError: there is no such condition.

    """
    names = [name for name in METHODS if name not in BASELINES]
    rows = []
    for name, given in records.items():
        condition = training_condition(name)
        if condition.is_forensic:
            continue
        for subset in SUBSETS:
            with_outcome = [
                method for method in names if why_no_outcome(given, name, subset, method) is None
            ]
            if REFERENCE not in with_outcome:
                continue
            others = [method for method in with_outcome if method != REFERENCE]
            by_measure = {
                measure: comparison_table(given, subset, methods=others, measure=measure)
                for measure in MEASURES
                if measure != "rmse"
            } | {CROSS_ENTROPY: health_loss_table(given, subset, others)}
            rows += [
                compared[["method", "label", *_COMPARED]].assign(
                    condition=name,
                    condition_label=condition.label,
                    subset=subset,
                    measure=measure,
                )
                for measure, compared in by_measure.items()
            ]
    columns = ["condition", "condition_label", "subset", "measure", "method", "label", *_COMPARED]
    found = [row for row in rows if len(row)]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
