"""The carried ledger: complete rows, exact figures, sources that exist."""

import re
from collections import Counter

from rulbook import paths
from rulbook.claims import Claim, Verdict, compare, read_ledger
from rulbook.claims.ledger import SECTIONS

CLAIMS = list(read_ledger().values())


def test_all_five_sections_are_entered() -> None:
    counts = Counter(claim.section for claim in CLAIMS)
    assert set(counts) == set(SECTIONS)
    assert min(counts.values()) >= 50
    assert len(CLAIMS) >= 400


def quotes_its_figure(claim: Claim) -> bool:
    figure = str(claim.printed).removeprefix("~").removeprefix("-")
    return bool(re.search(rf"(?<![\d.]){re.escape(figure)}(?!\.?\d)", claim.statement))


def test_a_statement_quotes_the_decimals_of_its_printed_figure() -> None:
    decimals = [claim for claim in CLAIMS if claim.printed_number and "." in str(claim.printed)]
    assert len(decimals) > 100
    assert [claim.id for claim in decimals if not quotes_its_figure(claim)] == []


def test_the_printed_figure_itself_would_be_reproduced() -> None:
    for claim in CLAIMS:
        if claim.needs_value:
            number = claim.printed_number
            assert compare(claim, claim.printed if number is None else number) is Verdict.REPRODUCED


def test_what_is_said_is_said_in_sentences() -> None:
    for claim in CLAIMS:
        said = [claim.statement, claim.reason, claim.missing, claim.conditions]
        said += [claim.other.statement] if claim.other else []
        assert all(sentence.endswith(".") for sentence in said if sentence), claim.id


def test_a_contradiction_prints_two_figures_that_differ() -> None:
    for claim in CLAIMS:
        if claim.other and claim.printed is not None and claim.other.printed is not None:
            assert claim.printed != claim.other.printed, claim.id


def test_every_source_is_in_the_bibliography() -> None:
    bibliography = paths.ledger().with_name("references.bib").read_text("utf-8")
    keys = set(re.findall(r"^@\w+\{([^,]+),", bibliography, flags=re.MULTILINE))
    assert {claim.reference for claim in CLAIMS if claim.reference} <= keys


def test_no_two_rows_of_a_section_say_the_same() -> None:
    said = Counter((claim.section, claim.statement) for claim in CLAIMS)
    assert [row for row, times in said.items() if times > 1] == []


def test_whatever_is_decided_from_trainings_says_under_which() -> None:
    decided = [claim for claim in CLAIMS if claim.tier == "statistical" and claim.needs_value]
    assert len(decided) > 50
    assert [claim.id for claim in decided if not claim.conditions] == []
