"""Numbers with fewer digits than a float has: what is written, and what is printed and run."""


def to_digits(value: float, digits: int) -> float:
    """Return ``value`` with so many significant digits."""
    return float(f"{value:.{digits}g}")


def to_three_digits(value: float) -> float:
    """Return ``value`` with three significant digits, so that what is printed is what was run."""
    return to_digits(value, 3)
