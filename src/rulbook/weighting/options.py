"""Options of the weighting methods, each checked when it is given."""

import math
import sys
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from rulbook.errors import UsageError

_LARGEST = sys.float_info.max


def checked_option(
    method: str, option: str, value: float, least: float = -_LARGEST, most: float = _LARGEST
) -> float:
    """Return ``value`` as a float if it is a finite number between the two bounds, both included.

    Raises:
        UsageError: it is not.

    """
    number = _as_float(value)
    if not least <= number <= most:
        above = "" if least == -_LARGEST else f" of at least {least:g}"
        bounds = above if most == _LARGEST else f" from {least:g} to {most:g}"
        raise UsageError(f"{method} takes a finite number{bounds} for {option}, not {value!r}.")
    return number


def checked_count(method: str, option: str, value: float) -> int:
    """Return ``value`` if it is a whole number of at least 0.

    Raises:
        UsageError: it is not.

    """
    number = checked_option(method, option, value, least=0)
    if not number.is_integer():
        raise UsageError(f"{method} takes a whole number for {option}, not {value!r}.")
    return int(number)


def checked_switch(method: str, option: str, value: bool) -> bool:
    """Return ``value`` if it is a truth value.

    Raises:
        UsageError: it is not.

    """
    if not isinstance(value, bool):
        raise UsageError(f"{method} takes True or False for {option}, not {value!r}.")
    return value


def _as_float(value: Any) -> float:
    """Return the value as a float, NaN where it is no number, or too large a one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def checked_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the tasks as a tuple.

    Raises:
        UsageError: they are a set, fewer than two, not distinct, or not each a Python identifier.

    """
    if isinstance(tasks, set | frozenset):
        raise UsageError(
            "tasks must have an order, and that of a set differs from process to process: give a "
            f"tuple, such as {tuple(sorted(map(str, tasks)))}."
        )
    names = tuple(tasks) if isinstance(tasks, Iterable) else ()
    if (
        isinstance(tasks, str)
        or len(names) < 2
        or len(set(names)) < len(names)
        or not all(isinstance(name, str) and name.isidentifier() for name in names)
    ):
        raise UsageError(
            "tasks must be two or more distinct names, each a Python identifier, such as "
            f"('rul', 'health'); given: {tasks!r}."
        )
    return tuple(str.__str__(name) for name in names)  # a member of an enumeration has its own
