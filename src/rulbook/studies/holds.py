"""Whether a claim holds: it does, it does not, in part, or it is open; and how answers combine."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from rulbook.errors import UsageError

PARTLY: Literal["partly"] = "partly"
"""A claim holds on some subsets, or in one reading, and is shown not to hold in the others."""

Holds = bool | Literal["partly"] | None
"""Whether a claim holds under a training condition.

``None`` stands for open: a tie, an undecided pair, too few seeds, or runs that are missing.
"""


def as_holds(part: object) -> Holds:
    """Return what is given as an answer as one of the four; a truth value of NumPy's is ours.

    Raises:
        UsageError: it is none: a number, NaN, or another word.

    """
    if isinstance(part, np.bool_):
        return bool(part)
    if part is None or isinstance(part, bool):
        return part
    if isinstance(part, str) and part == PARTLY:
        return PARTLY
    raise UsageError(
        f"{part!r} is no answer to whether a claim holds; give True, False, '{PARTLY}', or None "
        f"where that is open."
    )


def all_of(parts: Iterable[Holds]) -> Holds:
    """Return whether all parts hold; one that does not settles it, an open one leaves it open."""
    listed = set(map(as_holds, parts))
    for settles in (False, None, PARTLY):
        if settles in listed:
            return settles
    return True


def any_of(parts: Iterable[Holds]) -> Holds:
    """Return whether any part holds; one that does settles it, an open one leaves it open."""
    return opposite(all_of(map(opposite, parts)))


def those_decided(parts: Iterable[Holds]) -> Holds:
    """Return what the parts that are not open agree on, and that it holds in part if they do not.

    It is ``None`` where all of them are open.
    """
    decided = {part for part in map(as_holds, parts) if part is not None}
    if len(decided) > 1:
        return PARTLY
    return decided.pop() if decided else None


def decided_in_each(parts: Iterable[Holds]) -> Holds:
    """Return what the parts agree on, and that it holds in part if they do not.

    One that is open leaves it open: what holds in one reading only is not said of both.
    """
    listed = list(map(as_holds, parts))
    return None if None in listed else those_decided(listed)


def opposite(part: Holds) -> Holds:
    """Return whether a part does not hold; ``PARTLY`` stays ``PARTLY``, and open stays open."""
    answer = as_holds(part)
    return not answer if isinstance(answer, bool) else answer
