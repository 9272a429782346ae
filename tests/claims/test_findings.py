"""Rows are counted as findings: once each, asides apart."""

import re
from collections import Counter

from rulbook.claims.findings import MIXED, by_finding, verdict_counts
from rulbook.claims.ledger import Claim, Verdict, read_ledger

from ..ledger_rows import make_row


def test_every_row_but_an_aside_belongs_to_one_finding():
    claims = list(read_ledger().values())
    findings = by_finding(claims)
    rows = [claim.id for group in findings.values() for claim in group]
    assert len(rows) == len(set(rows))
    assert set(rows) == {claim.id for claim in claims if not claim.trivia}
    assert all(len(group) > 1 for name, group in findings.items() if name not in set(rows))


def test_a_finding_of_several_verdicts_is_mixed():
    undecided = {"expected": None, "waiting": "records", "needs": "records", "tier": "statistical"}
    refuted = {"expected": "refuted", "reason": "It is not."}
    changes = [{"finding": "one"}, {"finding": "one"}, {"finding": "two"}, undecided]
    changes += [refuted | {"finding": "two"}, {"trivia": True}]
    claims = [
        Claim(**make_row(id=f"n24.1-{number}", **change)) for number, change in enumerate(changes)
    ]
    assert verdict_counts(claims) == Counter({Verdict.REPRODUCED: 1, MIXED: 1, None: 1})
    assert verdict_counts([]) == Counter()


def test_a_verdict_on_trainings_names_their_optimiser() -> None:
    """A verdict may turn round with it: a row says which one, or that all conditions decide."""
    silent = [
        claim.id
        for claim in read_ledger().values()
        if claim.tier == "statistical"
        and claim.needs == "records"
        and not re.search(r"AdamW|SGD|under each training\s+condition", claim.conditions)
    ]
    assert silent == []
