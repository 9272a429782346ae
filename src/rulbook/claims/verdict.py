"""Compare what was measured with what the source prints."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np

from rulbook.claims.ledger import Claim, Verdict, truth_in_words
from rulbook.errors import RulbookError
from rulbook.studies.conditions import is_setting, training_condition
from rulbook.studies.holds import PARTLY, Holds, as_holds

Value = bool | str | Decimal
"""A measured value in the form in which it is compared."""

_SIGNIFICANT_DIGITS = 12
"""Digits of a double that carry meaning: the noise of binary arithmetic is beyond them."""

_DIGITS_OF_SHORTER = MappingProxyType({2: 3, 4: 6})
"""Digits that carry meaning in shorter floats, by their bytes."""


def compare(claim: Claim, value: object) -> Verdict:
    """Return the verdict that a measured ``value`` gives.

    Numbers agree when they differ by at most ``claim.allowance()``, the bound included; floats are
    first rounded to twelve significant digits, so that 6.814999999999999 counts as the 6.815 that
    it stands for. Those of single precision are rounded to six, of half to three, and none to
    fewer than one more than the printed figure has. NaN agrees with NaN, an infinity with the same
    infinity. Truth values agree when equal, text when equal but for runs of white space.

    Args:
        claim: the row of the ledger.
        value: number, truth value or text; NumPy scalars and 0-dim tensors are understood.

    Raises:
        RulbookError: the value is of another type than the printed figure.

    """
    if claim.settled_by_text and claim.expected is not None:
        return claim.expected
    if agrees(claim, normalise(value, claim)):
        return Verdict.REPRODUCED
    return Verdict.REFUTED if claim.tier == "exact" else Verdict.NOT_REPRODUCED


def over_conditions(holds: Mapping[str, Holds]) -> Verdict | None:
    """Return the verdict on a claim that was decided under several training conditions.

    Args:
        holds: whether the claim holds, by the name of the training condition, as
            ``rulbook.studies.condition_rules.decisions`` gives it, or by a setting in words.

    Returns:
        Reproduced where it holds under every condition that decides it, not reproduced where it
        holds under none, else, or where it holds in part under one of them, that it depends;
        ``None`` where no condition decides it. Forensic conditions do not count.

    Raises:
        UsageError: there is no such training condition, or no such answer.

    """
    answers = {name: as_holds(part) for name, part in holds.items()}
    counted = {
        decided
        for name, decided in answers.items()
        if (is_setting(name) or not training_condition(name).is_forensic) and decided is not None
    }
    if not counted:
        return None
    if len(counted) > 1 or PARTLY in counted:
        return Verdict.DEPENDS
    return Verdict.REPRODUCED if counted == {True} else Verdict.NOT_REPRODUCED


def figure_over_conditions(claim: Claim, values: Mapping[str, object]) -> dict[str, Holds]:
    """Return whether a printed figure agrees with ours under each training condition.

    Args:
        claim: a claim with a printed figure.
        values: our value by training condition, ``None`` where it is not known yet.

    Raises:
        RulbookError: a value is of another type than the printed figure.

    """
    return {
        name: None if value is None else agrees(claim, normalise(value, claim))
        for name, value in values.items()
    }


def agrees(claim: Claim, value: Value) -> bool:
    """Return whether a normalised value agrees with the printed figure.

    Raises:
        RulbookError: the value is of another kind than what is printed.

    """
    number = claim.printed_number
    printed: Value | None = claim.printed if number is None else number
    if type(value) is not type(printed):
        raise RulbookError(
            f"Claim {claim.id} is printed as {claim.printed_words!r}; "
            f"{value!r} cannot be compared with it."
        )
    if isinstance(value, str):
        return value.split() == str(printed).split()
    if isinstance(value, Decimal) and number is not None:
        if not (value.is_finite() and number.is_finite()):
            return (value.is_nan() and number.is_nan()) or bool(value == number)
        return abs(value - number) <= claim.allowance()
    return value == printed


def normalise(value: object, claim: Claim | None = None) -> Value:
    """Return a value in the form in which it is compared.

    Args:
        value: number, truth value or text.
        claim: what it is held against; a float keeps the digits that decide.

    Raises:
        RulbookError: it is neither one number, nor a truth value, nor text.

    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | Decimal):
        return value
    scalar: Any = _scalar(value)
    if isinstance(scalar, np.bool_):
        return bool(scalar)
    if isinstance(scalar, np.integer):
        return Decimal(int(scalar))
    if isinstance(scalar, np.floating):
        shortest = str(scalar)
        return Decimal(f"{Decimal(shortest):.{_digits(value, claim)}g}")
    raise RulbookError(f"{value!r} is not one number, a truth value or text.")


def _digits(value: object, claim: Claim | None) -> int:
    """Return how many significant digits of a float are compared with a printed number."""
    in_bytes = getattr(getattr(value, "dtype", None), "itemsize", 8)  # Python's own has none
    usual = _DIGITS_OF_SHORTER.get(in_bytes, _SIGNIFICANT_DIGITS)
    printed = claim.printed_number if claim else None
    if claim is None or printed is None or not printed.is_finite():
        return usual
    allowance = claim.allowance()
    within = printed.adjusted() - allowance.adjusted() + 2 if allowance else 0
    return max(usual, within, len(printed.as_tuple().digits) + 1)


def _scalar(value: Any) -> object:
    """Return a NumPy scalar from a number or a 0-dim array or tensor, else ``None``."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has none
            value = value.float()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a list of lists of several lengths, a sparse tensor
        return None
    return array.reshape(())[()] if array.size == 1 and array.ndim == 0 else None


def shown(claim: Claim, value: object) -> str:
    """Return a measured value as a reader sees it, two places finer than the printed figure."""
    number = claim.printed_number
    normal = normalise(value, claim)
    if isinstance(normal, bool):
        return truth_in_words(normal)
    if isinstance(normal, str):
        return normal
    text = f"{normal:.6g}"
    if normal.is_finite() and number is not None and number.is_finite():
        text = _rounded(normal, number)
    return f"{text} {claim.unit}".strip()


def _rounded(value: Decimal, printed: Decimal) -> str:
    """Return ``value`` with the places of ``printed`` and at most two more."""
    exponent = printed.as_tuple().exponent
    places = max(-exponent, 0) if isinstance(exponent, int) else 0
    magnitude = value.adjusted()
    if value and (magnitude > 9 or magnitude < -places - 2):
        return f"{value:.3e}"
    whole, point, decimals = f"{value:.{places + 2}f}".partition(".")
    kept = decimals[:places] + decimals[places:].rstrip("0")
    return whole + (point + kept if kept else "")
