"""Compare a value with the source at the place where it appears, and show the verdict.

In a chapter::

    from rulbook.display import check

    check("n4.3-fixed-equal-total", J_fixed_equal)
    check("n12.4-critical-recall", recall, source=fleet.source)
    check("n12.4-adam-same-point")                 # settled by the text, or waiting for records
    check_all({"n4.3-weights-rul": w[0], "n4.3-weights-health": w[1]})

Each call shows a badge with the source's figure, ours and the verdict, links it with the row of the
report, glues our value under the claim's id and the printed figure under ``<id>-printed``, and
leaves the decision in the output's metadata, from which ``rulbook.claims.collect`` reads it back.
A verdict that differs from the ledger's is shown and recorded; the test that joins ledger and
notebooks fails on it, the notebook does not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rulbook.claims.collect import METADATA_KEY
from rulbook.claims.decision import Decision, answer, decide
from rulbook.claims.ledger import Claim, Verdict, claims_in, find
from rulbook.claims.verdict import shown
from rulbook.data.cmapss import Source
from rulbook.display.glue import glue, publish
from rulbook.display.grids import grid_of, shared_beginning
from rulbook.display.markup import html_of
from rulbook.studies.conditions import CONDITIONS, is_setting, training_condition
from rulbook.studies.holds import PARTLY, Holds


@dataclass(frozen=True)
class Mark:
    """How a verdict is told apart at a glance; its word always stands beside it.

    Attributes:
        sign: one character.
        on_light: colour on light paper.
        on_dark: colour on dark paper; both stand out from it by 4.5 to 1.

    """

    sign: str
    on_light: str
    on_dark: str


MARKS: Mapping[str | None, Mark] = {
    Verdict.REPRODUCED: Mark("✓", "#1a7f37", "#4ac26b"),
    Verdict.REFUTED: Mark("✗", "#c62828", "#ff8a80"),
    Verdict.NOT_REPRODUCED: Mark("≠", "#b34c08", "#f0a35e"),
    Verdict.DEPENDS: Mark("±", "#806200", "#dcb53c"),
    Verdict.INCONSISTENT: Mark("⇄", "#7b3fb5", "#c9a4f5"),
    Verdict.UNDECIDABLE: Mark("?", "#57606a", "#adbac7"),
    None: Mark("…", "#57606a", "#adbac7"),
}
"""The mark of each verdict, and of a claim that waits."""

_OPEN = (Verdict.REFUTED, Verdict.NOT_REPRODUCED, Verdict.INCONSISTENT, Verdict.DEPENDS)
"""The verdicts of what does not hold: never folded."""

_NAMED = 2
"""So many cells that do not hold are named in the line that sums up; more are counted."""


def check(
    claim_id: str,
    value: object = None,
    *,
    source: Source | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
    conditions: Mapping[str, Holds] | None = None,
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
            decided, ``None`` where that is open; in place of the value of a statement, and
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
    """Show several claims' verdicts: one line that sums up, below it those that do not hold.

    What is reproduced, undecidable or waiting, as expected, is folded. Claims that are the cells of
    a printed table are shown as that table, open where one of them does not hold.

    Args:
        values: by claim id, our value, ``None`` for no value, a mapping from training conditions
            to whether the claim holds under them, or an ``Answer`` that says more.
        source: as for ``check``.

    """
    answers = {claim_id: answer(value) for claim_id, value in values.items()}
    decided = [
        (claim, decide(claim, one.value, source=source, note=one.note, conditions=one.conditions))
        for claim, one in ((find(claim_id), one) for claim_id, one in answers.items())
    ]
    shown_values = [
        one.value if one.conditions is None else decision.measured
        for (_, decision), one in zip(decided, answers.values(), strict=True)
    ]
    _publish(decided, shown_values, _checked(decided))


def claims_of(section_or_chapter: str) -> None:
    """Show the claims of a section (``"003"``), or those that a chapter decides, as a table.

    The verdicts are those of the ledger, which the build holds equal to those that the executed
    chapters find.
    """
    claims = claims_in(section_or_chapter)
    noun = "claim" if len(claims) == 1 else "claims"
    summary = f"{len(claims)} {noun}: {counts_in_words(claims)}"
    rows = [_shown(claim, Decision(claim.id, claim.expected)) for claim in claims]
    html = html_of("claims_of", part=section_or_chapter, summary=summary, rows=rows)
    publish({"text/html": html, "text/plain": summary}, {})


def counts_in_words(claims: list[Claim]) -> str:
    """Return how many claims have which verdict, as ``12 reproduced, 3 refuted``."""
    verdicts = [claim.expected for claim in claims]
    parts = [
        f"{verdicts.count(verdict)} {_counted(verdict)}"
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


def _checked(decided: list[tuple[Claim, Decision]]) -> str:
    """Return the HTML of ``check_all``."""
    claims = [claim for claim, _ in decided]
    rows = {claim.id: _shown(claim, decision) for claim, decision in decided}
    grid = grid_of(claims)
    names = grid.names if grid else {}
    failing = [row.id for row in rows.values() if row.fails]
    grid_holds = grid is None or not set(grid.ids) & set(failing)
    in_rows = [row for row in rows.values() if not grid or row.id not in grid.ids]
    is_open = not grid_holds or any(row.fails for row in in_rows)
    folded = [row for row in rows.values() if not row.fails and (grid_holds or row in in_rows)]
    noun = "figure" if all(isinstance(claim.printed, str) for claim in claims) else "claim"
    title = f"{len(claims)} {noun}{'' if len(claims) == 1 else 's'}"
    fold_counts = _counts(folded)
    fold_title = ", ".join(f"{count} {words}" for _, words, count in fold_counts)
    places = [claim.where.split(", ") for claim in claims]
    return html_of(
        "checked_claims",
        title=title,
        place=", ".join(places[0][: shared_beginning(places)]),
        first=claims[0].id,
        counts=_counts(list(rows.values())),
        failing=[names[name] for name in failing if name in names and len(failing) <= _NAMED],
        worst=MARKS[_worst([row.verdict for row in rows.values()])],
        claims=rows,
        grid=grid,
        grid_holds=grid_holds,
        is_open=is_open,
        open_rows=[row for row in in_rows if row.fails],
        # Its name is its own among the folds of a page.
        fold_name=f"{'' if is_open else f'{title}: '}{fold_title}, {folded[0].id}"
        if folded
        else "",
        fold_counts=fold_counts,
        folded_rows=[row for row in in_rows if not row.fails],
    )


def _counts(shown_claims: list["_ShownClaim"]) -> list[tuple[Mark, str, int]]:
    """Return mark, words and number of each verdict that is there."""
    found = [one.verdict for one in shown_claims]
    present = [verdict for verdict in (*Verdict, None) if verdict in found]
    return [(MARKS[one], _counted(one), found.count(one)) for one in present]


def _worst(verdicts: list[str | None]) -> str | None:
    """Return the verdict that gives a place its colour."""
    gravest_first = (*_OPEN, Verdict.UNDECIDABLE, None)
    return next((one for one in gravest_first if one in verdicts), Verdict.REPRODUCED)


@dataclass(frozen=True)
class _ShownClaim:
    """What a template shows of a claim: text, no markup."""

    id: str
    verdict: str | None
    statement: str
    printed: str
    ours: str
    mark: Mark
    words: str
    remarks: str
    fails: bool
    """Whether it does not hold, or its verdict is not the expected one: it is never folded."""


def _shown(claim: Claim, decision: Decision) -> _ShownClaim:
    return _ShownClaim(
        id=claim.id,
        verdict=decision.verdict,
        statement=claim.statement,
        printed=claim.printed_words,
        ours=_ours(claim, decision),
        mark=MARKS[decision.verdict],
        words=_words(claim, decision.verdict),
        remarks=_remarks(claim, decision),
        fails=decision.verdict != claim.expected or decision.verdict in _OPEN,
    )


def _line(claim: Claim, decision: Decision) -> str:
    verdict = _words(claim, decision.verdict)
    return f"{_figures(claim, decision)} · {verdict}{_remarks(claim, decision)}"


def _figures(claim: Claim, decision: Decision) -> str:
    """Return both figures; a claim in words stands there in full."""
    ours = _ours(claim, decision)
    in_words = claim.printed is None or isinstance(claim.printed, bool)
    book = claim.statement if in_words else claim.printed_words
    return f"printed: {book}" + (f" · ours: {ours}" if ours else "")


def _ours(claim: Claim, decision: Decision) -> str:
    interval = ""
    if decision.interval:
        interval = " [{}, {}]".format(*(shown(claim, end) for end in decision.interval))
    return decision.shown + interval


def _remarks(claim: Claim, decision: Decision) -> str:
    parts = ["recorded on C-MAPSS" if decision.recorded else "", decision.note]
    parts.insert(0, conditions_in_words(decision.conditions or {}))
    if decision.verdict != claim.expected:
        parts.append(f"the ledger expects {_words(claim, claim.expected)}")
    return "".join(f" · {part}" for part in parts if part)


def conditions_in_words(conditions: Mapping[str, Holds]) -> str:
    """Return under which training conditions a claim holds: ``✓ the protocol; ✗ target in caps``.

    Those under which it is open stand at the end.
    """
    signs: dict[Holds, str] = {True: "✓", False: "✗", PARTLY: "✓ and ✗"}
    order = list(CONDITIONS)
    in_order = sorted(conditions, key=lambda name: -1 if is_setting(name) else order.index(name))
    labels = {
        name: name if is_setting(name) else training_condition(name).label for name in in_order
    }
    decided = [
        f"{signs[holds]} {labels[name]}"
        for name in in_order
        if (holds := conditions[name]) is not None
    ]
    undecided = "; ".join(labels[name] for name in in_order if conditions[name] is None)
    if undecided:
        decided.append(f"– (open) {undecided}")
    return "; ".join(decided)


def _words(claim: Claim, verdict: str | None) -> str:
    return Verdict(verdict).words if verdict else claim.words_without_verdict


def _counted(verdict: str | None) -> str:
    return Verdict(verdict).words if verdict else "open"
