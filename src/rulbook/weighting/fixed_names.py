"""The names of fixed weights: a rule that spells them, and those that studies compare."""

import re
from decimal import Decimal

EQUAL_WEIGHTING = "fixed_050"
"""The name of equal weights, 0.5/0.5, which every other method is compared with."""

FIXED_RUL_WEIGHTS = (0.002, 0.05, 0.25, 0.5, 0.6, 0.75, 0.9, 0.95, 0.99, 0.999)
"""RUL weights of the sweep; the health weight is what is missing to 1."""

_RULE = re.compile(r"fixed_([01]\d{2,4})(?:_([01]\d{2,4}))?")


def fixed_name(rul_weight: float) -> str:
    """Return the registry name of the fixed weights ``rul_weight`` and one minus it.

    It has the decimals of the weight, at least two: ``fixed_050``, ``fixed_0002``.
    """
    digits = f"{rul_weight:.2f}"
    if float(digits) != rul_weight:
        digits = f"{rul_weight:.3f}"
    return "fixed_" + digits.replace(".", "")


def fixed_weights(name: str) -> dict[str, float] | None:
    """Return the two weights that a ``fixed_…`` name spells, or ``None`` where it spells none."""
    rule = _RULE.fullmatch(name)
    if rule is None:
        return None
    rul, health = (Decimal(f"{part[0]}.{part[1:]}") if part else None for part in rule.groups())
    if rul is None or (health is None and rul > 1):
        return None
    return {
        "rul_weight": float(rul),
        "health_weight": float(1 - rul if health is None else health),
    }
