"""Tables that the sections print, put together from the rows of the ledger, and what they show.

Section 24.1's ablation has five RUL weights and two subsets. Between its rows its explorer draws
straight lines over a logarithmic error; ``curve`` does the same.
"""

from collections.abc import Mapping
from decimal import Decimal

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

PLAIN_METHODS: Mapping[str, str] = dict(zip(ABLATION_ROWS, BOOK_SWEEP, strict=True))
"""The method that the text takes each row of that table for, by the name of the row."""

LABELLED_METHODS: Mapping[str, str] = {
    row: AS_LABELLED[method] for row, method in PLAIN_METHODS.items()
}
"""The method that each row of that table is labelled as, by the name of the row."""

PROGRESSION_EPOCHS = (1, 10, 50, 100)
"""Epochs at which §9.1 prints the losses of a training."""

LISTING_1_LINES, LISTING_1_EXPLAINED = 53, 24
"""Numbered lines of section 24.1's first listing, and how many of them the page explains."""

LISTING_2_CLASS_LINES = 38 - 21 + 1
"""Lines of the class in its second listing, which begins at line 21 and ends at line 38."""


def printed_value(claim_id: str) -> float:
    """Return the figure that the source prints for a claim.

    Raises:
        ValueError: it prints a truth value, a text or nothing there.

    """
    number = find(claim_id).printed_number
    if number is None:
        raise ValueError(f"{claim_id} has no printed number")
    return float(number)


def printed_errors(subset: str, methods: Mapping[str, str]) -> dict[str, Decimal]:
    """Return the RMSE, cycles, that section 24.1's table prints for a subset, by method.

    Args:
        subset: ``"FD002"`` or ``"FD004"``.
        methods: the method by the name of the row: ``PLAIN_METHODS`` or ``LABELLED_METHODS``.

    """
    errors = ablation_table()[subset]
    return {method: errors[row] for row, method in methods.items()}


def printed_progression() -> pd.DataFrame:
    """Return the losses that §9.1 prints: ``rul`` (cycles²) and ``health`` (nats), by epoch."""
    return pd.DataFrame(
        {
            task: [printed_value(f"l9.1-progression-{at}-{task}") for at in PROGRESSION_EPOCHS]
            for task in ("rul", "health")
        },
        index=pd.Index(PROGRESSION_EPOCHS, name="epoch"),
    )


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


def _logarithms(errors: pd.Series) -> Floats:
    return np.log(errors.astype(float).to_numpy())


def _rises(errors: pd.Series) -> npt.NDArray[np.bool_]:
    return np.diff(_logarithms(errors)) > 0
