"""What the rows of the ledger come to: several cells of one table are one finding.

A finding has the verdict of its rows where they agree, and is mixed where they do not. Asides, such
as counts of lines and rows that cannot fail, belong to no finding.
"""

from collections import Counter
from collections.abc import Iterable

from rulbook.claims.ledger import Claim

MIXED = "mixed"
"""Stands for the verdict of a finding whose rows have several."""


def by_finding(claims: Iterable[Claim]) -> dict[str, list[Claim]]:
    """Return the rows of each finding, in the order of the ledger, without asides.

    A row that names no finding is one by itself, under its own id.
    """
    findings: dict[str, list[Claim]] = {}
    for claim in claims:
        if not claim.trivia:
            findings.setdefault(claim.finding or claim.id, []).append(claim)
    return findings


def verdict_counts(claims: Iterable[Claim]) -> Counter[str | None]:
    """Return how many findings have which verdict, ``MIXED`` and ``None`` (open) among them."""
    counts: Counter[str | None] = Counter()
    for rows in by_finding(claims).values():
        found = {claim.expected for claim in rows}
        counts[found.pop() if len(found) == 1 else MIXED] += 1
    return counts
