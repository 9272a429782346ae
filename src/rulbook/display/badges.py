"""Compare a value with the book at the place where it appears, and show the verdict.

In a chapter::

    from rulbook.display import check

    check("n4.3-fixed-equal-total", J_fixed_equal)
    check("n12.4-critical-recall", recall, source=fleet.source)
    check("n12.4-adam-same-point")                 # settled by the text, or waiting for records
    check_all({"n4.3-weights-rul": w[0], "n4.3-weights-health": w[1]})

Each call shows a badge with the book's figure, ours and the verdict, links it with the row of the
report, glues our value under the claim's id and the printed figure under ``<id>-printed``, and
leaves the decision in the output's metadata, from which ``rulbook.claims.collect`` reads it back.
A verdict that differs from the ledger's is shown and recorded; the test that joins ledger and
notebooks fails on it, the notebook does not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rulbook.claims.collect import METADATA_KEY
from rulbook.claims.decision import Decision, decide
from rulbook.claims.ledger import Claim, Verdict, find, rows_of
from rulbook.claims.verdict import shown
from rulbook.data.cmapss import Source
from rulbook.display.glue import glue, publish
from rulbook.display.markup import html_of
from rulbook.studies.conditions import CONDITIONS, training_condition

MARKS: Mapping[str | None, tuple[str, str]] = {
    Verdict.REPRODUCED: ("✓", "#1a7f37"),
    Verdict.REFUTED: ("✗", "#c62828"),
    Verdict.NOT_REPRODUCED: ("≠", "#c2570c"),
    Verdict.DEPENDS: ("±", "#8a6d00"),
    Verdict.INCONSISTENT: ("⇄", "#7b3fb5"),
    Verdict.UNDECIDABLE: ("?", "#57606a"),
    None: ("…", "#57606a"),
}
"""Sign and edge colour of each verdict; the word always stands beside them."""


def check(
    claim_id: str,
    value: object = None,
    *,
    source: Source | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
    conditions: Mapping[str, bool | None] | None = None,
) -> None:
    """Show one claim's badge.

    Args:
        claim_id: id of a row of the ledger.
        value: number, truth value or text; left out for a claim that the text settles, that waits
            for records, or that needs C-MAPSS on simulated data.
        source: data behind the value, ``fleet.source``; asked for when the claim needs C-MAPSS. On
            simulated data the committed verdict is shown, marked recorded, and nothing is compared.
        interval: lower and upper end of an interval around a mean, shown beside it.
        note: a few words on how the value came about.
        conditions: whether the claim holds under each training condition under which it was
            decided, ``None`` for a tie or too few seeds; in place of the value of a statement, and
            beside that of a figure.

    Raises:
        UsageError: a training condition that nobody defined.
        RulbookError: no such claim, no value where one is needed, a value of another type than the
            printed figure, or no source where the claim needs C-MAPSS.

    """
    claim = find(claim_id)
    decision = decide(
        claim, value, source=source, interval=interval, note=note, conditions=conditions
    )
    shown_value = value if conditions is None else decision.measured
    html = html_of("badge", row=_shown(claim, decision), figures=_figures(claim, decision))
    _publish([(claim, decision)], [shown_value], html)


def check_all(values: Mapping[str, object], *, source: Source | None = None) -> None:
    """Show several claims' verdicts as one table.

    Args:
        values: by claim id, our value, ``None`` for no value, or a mapping from training conditions
            to whether the claim holds under them.
        source: as for ``check``.

    """
    decided = [
        (claim, decide(claim, conditions=value, source=source))
        if isinstance(value, Mapping)
        else (claim, decide(claim, value, source=source))
        for claim, value in ((find(claim_id), value) for claim_id, value in values.items())
    ]
    shown_values = [
        decision.measured if isinstance(value, Mapping) else value
        for (_, decision), value in zip(decided, values.values(), strict=True)
    ]
    rows = [_shown(claim, decision) for claim, decision in decided]
    _publish(decided, shown_values, html_of("checked_claims", rows=rows))


def claims_of(section_or_chapter: str) -> None:
    """Show the claims of a section (``"003"``), or those that a chapter decides, as a table.

    The verdicts are those of the ledger, which the build holds equal to those that the executed
    chapters find.
    """
    claims = rows_of(section_or_chapter)
    noun = "claim" if len(claims) == 1 else "claims"
    summary = f"{len(claims)} {noun}: {counts_in_words(claims)}"
    rows = [_shown(claim, Decision(claim.id, claim.expected)) for claim in claims]
    html = html_of("claims_of", part=section_or_chapter, summary=summary, rows=rows)
    publish({"text/html": html, "text/plain": summary}, {})


def counts_in_words(claims: list[Claim]) -> str:
    """Return how many claims have which verdict, as ``12 reproduced, 3 refuted``."""
    verdicts = [claim.expected for claim in claims]
    parts = [
        f"{verdicts.count(verdict)} {_words(verdict)}"
        for verdict in (*Verdict, None)
        if verdict in verdicts
    ]
    return ", ".join(parts)


def _publish(decided: list[tuple[Claim, Decision]], values: list[object], html: str) -> None:
    """Show the badge with its decisions in the metadata, and glue the figures.

    On simulated data the value of a recorded claim is glued as it came, or as NaN where there is
    none, so that the prose that quotes it still builds.
    """
    plain = "\n".join(f"{claim.id}: {_line(claim, decision)}" for claim, decision in decided)
    decisions = [decision.as_metadata() for _, decision in decided]
    publish({"text/html": html, "text/plain": plain}, {METADATA_KEY: decisions})
    for (claim, decision), value in zip(decided, values, strict=True):
        if value is not None or decision.recorded:
            glue(claim.id, math.nan if value is None else value)
        glue(f"{claim.id}-printed", claim.printed_words)


@dataclass(frozen=True)
class _ShownClaim:
    """What a template shows of a claim: text, no markup."""

    id: str
    statement: str
    printed: str
    ours: str
    sign: str
    colour: str
    words: str
    remarks: str


def _shown(claim: Claim, decision: Decision) -> _ShownClaim:
    sign, colour = MARKS[decision.verdict]
    return _ShownClaim(
        id=claim.id,
        statement=claim.statement,
        printed=claim.printed_words,
        ours=_ours(claim, decision),
        sign=sign,
        colour=colour,
        words=_words(decision.verdict),
        remarks=_remarks(claim, decision),
    )


def _line(claim: Claim, decision: Decision) -> str:
    return f"{_figures(claim, decision)} · {_words(decision.verdict)}{_remarks(claim, decision)}"


def _figures(claim: Claim, decision: Decision) -> str:
    """Return both figures; a claim in words stands there in full."""
    ours = _ours(claim, decision)
    in_words = claim.printed is None or isinstance(claim.printed, bool)
    book = claim.statement if in_words else claim.printed_words
    return f"book: {book}" + (f" · ours: {ours}" if ours else "")


def _ours(claim: Claim, decision: Decision) -> str:
    interval = ""
    if decision.interval:
        interval = " [{}, {}]".format(*(shown(claim, end) for end in decision.interval))
    return decision.shown + interval


def _remarks(claim: Claim, decision: Decision) -> str:
    parts = ["recorded on C-MAPSS" if decision.recorded else "", decision.note]
    parts.insert(0, strip(decision.conditions or {}))
    if decision.verdict != claim.expected:
        parts.append(f"the ledger expects {_words(claim.expected)}")
    return "".join(f" · {part}" for part in parts if part)


def strip(conditions: Mapping[str, bool | None]) -> str:
    """Return under which training conditions a claim holds: ``✓ the protocol, ✗ plain SGD``."""
    signs = {True: "✓", False: "✗", None: "–"}
    in_order = sorted(conditions, key=lambda name: list(CONDITIONS).index(name))
    return ", ".join(
        f"{signs[conditions[name]]} {training_condition(name).label}" for name in in_order
    )


def _words(verdict: str | None) -> str:
    return Verdict(verdict).words if verdict else "waiting for records"
