"""What a fleet must be before it is prepared; each fault is one sentence."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from rulbook.errors import RulbookError

_LARGEST = float(np.finfo(np.float32).max)
"""Features are single precision; a larger reading would become infinite."""


_LARGEST_RUL = 2**24
"""Cycles up to which every whole number is one in single precision, in which RUL are kept."""

_LARGEST_INTEGER = {"f": 2**53, "u": 2**63 - 1}
"""By kind of number, up to where one can be told from the next and be kept as int64."""


class FleetError(RulbookError):
    """A fleet, or a table of engines, is not what it should be; the message says where."""


def check_is_table(engines: object, what: str) -> None:
    """Raise ``FleetError`` unless the engines, which the message calls ``what``, are a table."""
    if not isinstance(engines, pd.DataFrame):
        raise FleetError(
            f"The {what} are a {type(engines).__name__}: give a pandas DataFrame, one row a cycle."
        )


def check_is_series(rul: object, what: str) -> None:
    """Raise ``FleetError`` unless the RUL of the engines, called ``what``, are a series."""
    if not isinstance(rul, pd.Series):
        raise FleetError(
            f"The RUL of the {what} is a {type(rul).__name__} and no series of numbers: give a "
            f"pandas Series, indexed by unit."
        )


def check_rows(engines: pd.DataFrame, features: Sequence[str], what: str) -> None:
    """Check one table of engines, row by row.

    Args:
        engines: one row a cycle.
        features: names of the columns that become features.
        what: what the message calls the table, for instance "training engines of 'FD001'".

    Raises:
        FleetError: this is no table, or it is empty or lacks a column, or a value is not a finite
            number.
    """
    check_is_table(engines, what)
    needed = ("unit", "cycle", *features)
    if engines.columns.has_duplicates:
        twice = engines.columns[engines.columns.duplicated()][0]
        raise FleetError(f"The {what} have two columns '{twice}': leave one out.")
    for name in needed:
        if name not in engines.columns:
            raise FleetError(f"The {what} have no column '{name}': add it, or leave it out.")
        if not _are_real(engines[name]):
            raise FleetError(
                f"Column '{name}' of the {what} is {engines[name].dtype}: make it numbers."
            )
    if engines.empty:
        raise FleetError(f"There are no {what}: give at least one.")
    values = engines[list(needed)].to_numpy(dtype=np.float64, na_value=np.nan)
    extremes = np.abs(values).max(axis=0)
    if (extremes <= _LARGEST).all():
        return
    column = int(np.flatnonzero(~(extremes <= _LARGEST))[0])
    row = int(np.flatnonzero(~(np.abs(values[:, column]) <= _LARGEST))[0])
    raise FleetError(
        f"Column '{needed[column]}' of the {what} is {values[row, column]:g} in row {row} (unit "
        f"{values[row, 0]:g}, cycle {values[row, 1]:g}): give a finite number, or leave the "
        f"engine out."
    )


def check_cycles(engines: pd.DataFrame, what: str) -> None:
    """Check that the cycles of each engine are whole, without gap or repetition.

    Args:
        engines: rows sorted by unit and cycle that passed ``check_rows``.
        what: what the message calls the table.

    Raises:
        FleetError: a unit or a cycle is no whole number, or so large that it cannot be told from
            the next, or a cycle is missing or there twice.
    """
    unit, cycle = engines["unit"].to_numpy(), engines["cycle"].to_numpy()
    for name, numbers in (("unit", unit), ("cycle", cycle)):
        if numbers.dtype.kind == "f" and (numbers != np.trunc(numbers)).any():
            row = int(np.flatnonzero(numbers != np.trunc(numbers))[0])
            raise FleetError(
                f"Column '{name}' of the {what} is {numbers[row]:g} in one row: number engines "
                f"and cycles with whole numbers."
            )
        largest = _LARGEST_INTEGER.get(numbers.dtype.kind)
        if largest and ((numbers > largest) | (numbers < -largest)).any():
            raise FleetError(
                f"Column '{name}' of the {what} goes up to {np.abs(numbers).max():g}, too large to "
                f"tell one number from the next: number engines and cycles from 1."
            )
    step = np.diff(cycle)
    wrong = np.flatnonzero((unit[1:] == unit[:-1]) & (step != 1))
    if wrong.size:
        row = int(wrong[0])
        name, before, after = unit[row], cycle[row], cycle[row + 1]
        if before == after:
            raise FleetError(
                f"Engine {name:g} of the {what} has cycle {before:g} twice: keep one of the rows, "
                f"or give engines of different fleets different numbers."
            )
        raise FleetError(
            f"Engine {name:g} of the {what} jumps from cycle {before:g} to {after:g}: give every "
            f"cycle between, or number the part after the gap as another engine."
        )


def check_rul(rul: pd.Series, units: npt.NDArray[np.int64], what: str) -> None:
    """Check that there is one RUL for each engine.

    Args:
        rul: RUL in cycles of each engine at its last row, indexed by unit.
        units: numbers of the engines, ascending.
        what: what the message calls the engines.

    Raises:
        FleetError: an engine has none or two, an RUL has no engine, or one is no whole number of 0
            or more, or beyond single precision.
    """
    check_is_series(rul, what)
    if not _are_real(rul) or pd.api.types.is_bool_dtype(rul):
        raise FleetError(f"The RUL of the {what} is no series of numbers: index it by unit.")
    for unit in rul.index[rul.index.duplicated()]:
        raise FleetError(f"The RUL of engine {unit} of the {what} is there twice: keep one.")
    advice = "index it by unit, one RUL for each engine."
    for unit in units[~pd.Index(units).isin(rul.index)]:
        raise FleetError(f"Engine {unit} of the {what} has no RUL: {advice}")
    for unit in rul.index[~rul.index.isin(units)]:
        raise FleetError(f"There is an RUL of engine {unit}, but no such {what}: {advice}")
    values = rul.to_numpy(dtype=np.float64, na_value=np.nan)
    for unit, value in zip(rul.index, values, strict=True):
        if not (0 <= value <= _LARGEST_RUL and value == np.trunc(value)):
            raise FleetError(
                f"The RUL of engine {unit} of the {what} is {value:g}: give the cycles that it "
                f"had left, a whole number of 0 or more and at most {_LARGEST_RUL}."
            )


def _are_real(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values)
