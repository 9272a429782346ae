"""Write the ledger as a page of the book: every claim, our figure, the verdict and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from rulbook.claims.collect import Decided, collect
from rulbook.claims.ledger import SECTIONS, Claim, Verdict, read_ledger
from rulbook.display.badges import MARKS, strip
from rulbook.display.raw import raw_html

_WAITING = "waiting for records"
_NOT_DECIDED = "not decided in this build"

MEANINGS: Mapping[Verdict, str] = {
    Verdict.REPRODUCED: "our figure agrees with the printed one within its printed precision.",
    Verdict.REFUTED: "run exactly as the book defines it, it gives something else.",
    Verdict.NOT_REPRODUCED: "an experiment, under the conditions stated, gives something else.",
    Verdict.DEPENDS: "it holds under some training conditions and not under others.",
    Verdict.INCONSISTENT: "the book says two things that cannot both hold; both are quoted.",
    Verdict.UNDECIDABLE: "the book does not state enough, or no primary source settles it.",
}
"""What each verdict means, in half a sentence."""


@dataclass(frozen=True)
class _Entry:
    """A claim with the decision of the executed book, where there is one."""

    claim: Claim
    decided: Decided | None

    @property
    def verdict(self) -> str:
        """The verdict in words, or why there is none."""
        found = self.decided.decision.verdict if self.decided else None
        if self.claim.settled_by_text:
            found = found or self.claim.expected
        if found:
            return Verdict(found).words
        return _WAITING if self.claim.waiting else _NOT_DECIDED


def write_report(executed: Path, out: Path) -> None:
    """Write the report page from the ledger and a folder of executed notebooks.

    The page is MyST text with the table as HTML: it shows without a kernel and without a network,
    its filters work from a file, and with scripts switched off every row is there.

    Args:
        executed: folder with the executed notebooks, one a chapter.
        out: path of the page, written whole or not at all.

    """
    text = report_text(list(read_ledger().values()), collect(executed))
    half_written = out.with_suffix(".tmp")
    half_written.write_text(text, encoding="utf-8")
    half_written.replace(out)


def report_text(claims: Sequence[Claim], decided: Sequence[Decided]) -> str:
    """Return the report page as MyST text."""
    decisions = {entry.decision.claim: entry for entry in decided}
    entries = [_Entry(claim, decisions.get(claim.id)) for claim in claims]
    return "\n".join(
        [
            "# What holds and what does not",
            "",
            f"The ledger has {len(entries)} claims of the book: every figure that its five "
            "sections print and every statement in words that can be tested. Beside each stands "
            "our own figure where there is one to measure, the verdict, the reason where the two "
            "differ, and a link to the row below the cell that decided it, whose code is folded.",
            "",
            *(f"- **{verdict.words}**: {meaning}" for verdict, meaning in MEANINGS.items()),
            f"- **{_WAITING}**: the trainings that decide it have not been recorded yet.",
            "",
            "## Verdicts by section",
            "",
            raw_html(_style() + _counts(entries)),
            "",
            "## All claims",
            "",
            raw_html(_filter(entries) + _table(entries) + _script()),
            "",
            *_sources(claims),
        ]
    )


def _verdicts_in(entries: Sequence[_Entry]) -> list[str]:
    present = {entry.verdict for entry in entries}
    order = [*(verdict.words for verdict in Verdict), _WAITING, _NOT_DECIDED]
    return [words for words in order if words in present]


def _counts(entries: Sequence[_Entry]) -> str:
    verdicts = _verdicts_in(entries)
    head = "".join(f'<th scope="col">{words}</th>' for words in (*verdicts, "all"))
    body = ""
    for number, section in SECTIONS.items():
        of_section = [entry.verdict for entry in entries if entry.claim.section == number]
        cells = "".join(f"<td>{of_section.count(words)}</td>" for words in verdicts)
        body += (
            f'<tr><th scope="row" style="white-space:nowrap">{section.name}</th>{cells}'
            f"<td>{len(of_section)}</td></tr>"
        )
    found = [entry.verdict for entry in entries]
    total = "".join(f"<td>{found.count(words)}</td>" for words in verdicts)
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Verdicts by section">'
        '<table class="table" id="claims-counts"><thead><tr><th scope="col">section</th>'
        f'{head}</tr></thead><tbody>{body}<tr><th scope="row">all</th>{total}'
        f"<td>{len(found)}</td></tr></tbody></table></div>"
    )


def _filter(entries: Sequence[_Entry]) -> str:
    sections = "".join(
        f'<option value="{number}">{section.name}, {section.topic}</option>'
        for number, section in SECTIONS.items()
    )
    verdicts = "".join(f"<option>{words}</option>" for words in _verdicts_in(entries))
    return (
        '<form id="claims-filter" hidden><label>Find <input type="search" name="words" '
        'placeholder="a figure or words"></label> '
        '<label>Section <select name="section">'
        f'<option value="">all sections</option>{sections}</select></label> '
        '<label>Verdict <select name="verdict"><option value="">all verdicts</option>'
        f'{verdicts}</select></label> <button type="reset">Show all</button> '
        '<span id="claims-shown" role="status"></span></form>'
    )


def _table(entries: Sequence[_Entry]) -> str:
    heads = ("claim", "what the book says", "book", "ours", "verdict and why")
    head = "".join(f'<th scope="col">{words}</th>' for words in heads)
    body = "\n".join(map(_row, entries))
    return (
        '\n<div style="overflow-x:auto" tabindex="0" role="region" aria-label="All claims">'
        f'<table class="table" id="claims-report"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _row(entry: _Entry) -> str:
    claim, decided = entry.claim, entry.decided
    sign, _ = MARKS[decided.decision.verdict if decided else claim.expected]
    recorded = " (recorded on C-MAPSS)" if decided and decided.decision.recorded else ""
    cells = (
        f"{escape(claim.statement)}<br><small>{escape(claim.locator)}</small>",
        escape(claim.printed_words),
        escape(decided.decision.shown if decided else ""),
        f'<span aria-hidden="true">{sign}</span> <strong>{entry.verdict}</strong>{recorded}. '
        + _why(entry),
    )
    return (
        f'<tr id="claim-{claim.id}" data-section="{claim.section}" '
        f'data-verdict="{entry.verdict}"><th scope="row">{claim.id}<br>'
        f"<small>{_decided_by(entry)}</small></th>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _why(entry: _Entry) -> str:
    claim = entry.claim
    parts = [claim.reason]
    if claim.other:
        parts.append(f"Against it, {claim.other.where}: {claim.other.statement}")
    if claim.missing:
        parts.append(f"Missing: {claim.missing}")
    if claim.conditions:
        parts.append(f"Conditions: {claim.conditions}")
    if entry.decided and entry.decided.decision.conditions:
        parts.append(f"Training conditions: {strip(entry.decided.decision.conditions)}.")
    if entry.decided and entry.decided.decision.note:
        parts.append(f"Note: {entry.decided.decision.note.rstrip('.')}.")
    source = ' Source: <a href="#sources">below</a>.' if claim.reference else ""
    return escape(" ".join(part for part in parts if part)) + source


def _decided_by(entry: _Entry) -> str:
    claim = entry.claim
    if entry.decided:
        chapter = entry.decided.chapter
        return f'decided in <a href="{chapter}.html#claim-{claim.id}">{chapter}</a>'
    if claim.kind == "literature":
        return "decided by the literature"
    return "decided by the text itself" if claim.settled_by_text else "not decided yet"


def _style() -> str:
    return f"<style>\n{_beside('report.css')}</style>"


def _script() -> str:
    return f"<script>\n{_beside('report.js')}</script>"


def _beside(name: str) -> str:
    return files("rulbook.display").joinpath(name).read_text(encoding="utf-8")


def _sources(claims: Sequence[Claim]) -> list[str]:
    """Return the section that cites the primary sources behind settled literature claims."""
    settled = [claim for claim in claims if claim.reference]
    if not settled:
        return []
    prefix = "claims-"
    return [
        "## Sources",
        "",
        "Primary sources that settle claims about the literature:",
        "",
        *(f"- `{claim.id}`: {{cite:t}}`{prefix}{claim.reference}`" for claim in settled),
        "",
        "```{bibliography}",
        f":keyprefix: {prefix}",
        ":filter: docname in docnames",
        "```",
        "",
    ]
