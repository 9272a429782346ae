"""Tables that the sections print, put together from the rows of the ledger, and what they show.

Section 24.1's ablation has five RUL weights and two subsets. Between its rows its explorer draws
straight lines over a logarithmic error; ``curve`` does the same.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from rulbook.claims.ledger import find
from rulbook.studies.claim_rules import AS_LABELLED, BOOK_SUBSETS, BOOK_SWEEP
from rulbook.typing import Floats

ABLATION_ROWS: Mapping[str, float] = {
    "050": 0.5,
    "060": 0.6,
    "075": 0.75,
    "090": 0.9,
    "single-task": 1.0,
}
"""RUL weight of each row of section 24.1's table, by the name of the row in the ledger's ids."""

LABELLED_METHODS = {
    row: AS_LABELLED[method] for row, method in zip(ABLATION_ROWS, BOOK_SWEEP, strict=True)
}
"""The method that each row of that table is labelled as, by the name of the row."""

LISTING_1_LINES, LISTING_1_EXPLAINED = 53, 24
"""Numbered lines of section 24.1's first listing, and how many of them the page explains."""

LISTING_2_CLASS_LINES = 38 - 21 + 1
"""Lines of the class in its second listing, which begins at line 21 and ends at line 38."""


def ablation_table() -> pd.DataFrame:
    """Return section 24.1's table: RMSE, cycles, as ``Decimal``; a row a weight, a column a subset.

    It is indexed by the names of the rows in the ledger's ids.
    """
    return pd.DataFrame(
        {
            subset: [
                find(f"n24.1-table-{row}-{subset.lower()}").printed_number for row in ABLATION_ROWS
            ]
            for subset in BOOK_SUBSETS
        },
        index=list(ABLATION_ROWS),
    )


def curve(errors: pd.Series, rul_weights: npt.ArrayLike) -> Floats:
    """Return the error on straight lines between printed rows, logarithmic, in cycles.

    Args:
        errors: a column of ``ablation_table``.
        rul_weights: where to read it; it is NaN to the left of the first row.

    """
    rows = np.array(list(ABLATION_ROWS.values()))
    read: Floats = np.exp(
        np.interp(np.asarray(rul_weights, float), rows, _logarithms(errors), left=np.nan)
    )
    return read


def is_u_shaped(errors: pd.Series) -> bool:
    """Return whether the printed errors fall to an inner row and rise from there to the last."""
    lowest, rises = int(np.argmin(_logarithms(errors))), _rises(errors)
    is_inner = 0 < lowest < len(rises)
    return is_inner and not rises[:lowest].any() and bool(rises[lowest:].all())


def rise_and_fall_alike(table: pd.DataFrame) -> bool:
    """Return whether the errors of all subsets rise and fall between the same rows."""
    first, *others = (_rises(table[subset]) for subset in BOOK_SUBSETS)
    return all(bool((first == other).all()) for other in others)


def shoots_up_above(errors: pd.Series, rul_weight: float) -> bool:
    """Return whether the curve more than doubles from a RUL weight to the single task."""
    at_weight, at_single_task = curve(errors, np.array([rul_weight, 1.0]))
    return bool(at_single_task > 2 * at_weight)


def is_tiny_early(task: str) -> bool:
    """Return whether a loss is smallest at the first epoch of the legacy edition's progression.

    Args:
        task: ``"rul"`` or ``"health"``.

    """
    losses = [find(f"l9.1-progression-{epoch}-{task}").printed for epoch in (1, 10, 50, 100)]
    first, *later = (float(str(loss)) for loss in losses)
    return first <= min(later)


def _logarithms(errors: pd.Series) -> Floats:
    return np.log(errors.astype(float).to_numpy())


def _rises(errors: pd.Series) -> npt.NDArray[np.bool_]:
    return np.diff(_logarithms(errors)) > 0
