"""The ledger: what the source claims, what was measured, and the verdict between the two."""

from rulbook.claims.ledger import Claim, Verdict, read_ledger
from rulbook.claims.verdict import compare

__all__ = ["Claim", "Verdict", "compare", "read_ledger"]
