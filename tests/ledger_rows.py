"""A sound row of the ledger, to be changed by the tests."""

from collections.abc import Mapping
from typing import Any

ROW: Mapping[str, Any] = {
    "id": "n24.1-mean",
    "section": "002",
    "where": "table, first row",
    "statement": "The mean of 6.33 and 7.30 is 6.82.",
    "printed": "6.82",
    "kind": "identity",
    "tier": "exact",
    "chapter": "06-equal-weights",
    "expected": "reproduced",
}


def make_row(**changes: Any) -> dict[str, Any]:
    """Return a sound row of the ledger with some fields changed; ``...`` takes a field out."""
    return {key: value for key, value in (ROW | changes).items() if value is not ...}


WAITING = {"expected": None, "waiting": "records", "needs": "records", "tier": "statistical"}
"""What makes of a sound row one that waits for records."""
