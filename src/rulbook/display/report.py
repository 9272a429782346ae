"""Write the ledger as a page: every claim, our figure, the verdict and why."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rulbook import paths
from rulbook.claims.collect import Decided, collect
from rulbook.claims.findings import MIXED, verdict_counts
from rulbook.claims.ledger import SECTIONS, WITHOUT_VERDICT, Claim, Verdict, read_ledger
from rulbook.display.badges import MARKS, Mark, conditions_in_words
from rulbook.display.markup import asset, html_of, raw_html

_NOT_DECIDED = "not decided in this build"

MEANINGS: Mapping[Verdict, str] = {
    Verdict.REPRODUCED: "our figure agrees with the printed one within its printed precision.",
    Verdict.REFUTED: "run exactly as the source defines it, it gives something else.",
    Verdict.NOT_REPRODUCED: "an experiment, under the conditions stated, gives something else.",
    Verdict.DEPENDS: "it holds under some conditions and not under others.",
    Verdict.INCONSISTENT: "the source says two things that cannot both hold; both are quoted.",
    Verdict.UNDECIDABLE: "the source does not state enough, or no primary source settles it.",
}
"""What each verdict means, in half a sentence."""

_WHY_NONE: Mapping[str, str] = {
    "records": "the trainings that decide the claim are not recorded yet.",
    "differences": "its trainings are recorded, at least under the protocol, and their differences "
    "are too small to tell from chance or from none.",
}
"""Why a claim has no verdict, by what it waits for."""


@dataclass(frozen=True)
class _Entry:
    """A claim with the decision of the executed book, where there is one."""

    claim: Claim
    decided: Decided | None

    @property
    def _found(self) -> str | None:
        """The verdict of the executed book, or of the text where the text settles the claim."""
        found = self.decided.decision.verdict if self.decided else None
        return found or (self.claim.expected if self.claim.settled_by_text else None)

    @property
    def verdict(self) -> str:
        """The verdict in words, or why there is none."""
        if self._found:
            return Verdict(self._found).words
        return self.claim.words_without_verdict if self.claim.waiting else _NOT_DECIDED

    @property
    def mark(self) -> Mark:
        """The mark of the verdict, or of none."""
        return MARKS[self._found]

    @property
    def ours(self) -> str:
        """Our figure, where there is one."""
        return self.decided.decision.shown if self.decided else ""

    @property
    def is_recorded(self) -> bool:
        """Whether the verdict is the committed one, shown on simulated data."""
        return self.decided is not None and self.decided.decision.recorded

    @property
    def chapter(self) -> str:
        """The chapter that decided the claim, if one did."""
        return self.decided.chapter if self.decided else ""

    @property
    def decided_by(self) -> str:
        """What decides a claim that no chapter decided."""
        if self.claim.kind == "literature":
            return "decided by the literature"
        return "decided by the text itself" if self.claim.settled_by_text else "not decided yet"

    @property
    def why(self) -> str:
        """The reason, and whatever else stands behind the verdict."""
        claim, decision = self.claim, self.decided.decision if self.decided else None
        parts = [claim.reason]
        if claim.other:
            parts.append(f"Against it, {claim.other.where}: {claim.other.statement}")
        if claim.missing:
            parts.append(f"Missing: {claim.missing}")
        if claim.conditions:
            parts.append(f"Conditions: {claim.conditions}")
        if decision and decision.conditions:
            parts.append(f"Training conditions: {conditions_in_words(decision.conditions)}.")
        if decision and decision.note:
            parts.append(f"Note: {decision.note.rstrip('.')}.")
        return " ".join(part for part in parts if part)


def write_report(executed: Path, out: Path, cited: str = "") -> None:
    """Write the report page from the ledger and a folder of executed notebooks.

    The page is MyST text with the table as HTML: it shows without a kernel and without a network,
    its filters work from a file, and with scripts switched off every row is there.

    Args:
        executed: folder with the executed notebooks, one a chapter.
        out: path of the page, written whole or not at all.
        cited: how to cite this companion, for the citation of a claim.

    """
    text = report_text(list(read_ledger().values()), collect(executed), cited)
    paths.write_atomically(out, text)


def claim_files(executed: Path) -> dict[str, str]:
    """Return the files that have every claim for programs: ``claims.csv`` and ``claims.json``."""
    rows = [_as_row(entry) for entry in _entries(list(read_ledger().values()), collect(executed))]
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    as_json = json.dumps(rows, ensure_ascii=False, indent=1)
    return {"claims.csv": table.getvalue(), "claims.json": f"{as_json}\n"}


def search_script(executed: Path) -> str:
    """Return the script that finds claims on the page of the search, with what it searches."""
    entries = _entries(list(read_ledger().values()), collect(executed))
    index = [
        (one.claim.id, one.claim.printed_words, one.claim.statement, one.verdict) for one in entries
    ]
    known = json.dumps(index, ensure_ascii=False)
    return f"const CLAIMS = {known};\n{asset('find_words.js')}\n{asset('find_claims.js')}"


def _as_row(entry: _Entry) -> dict[str, str]:
    claim = entry.claim
    return {
        "id": claim.id,
        "section": SECTIONS[claim.section].name,
        "where": claim.where,
        "statement": claim.statement,
        "printed": claim.printed_words,
        "ours": entry.ours,
        "verdict": entry.verdict,
        "why": entry.why,
        "finding": claim.finding,
        "decided in": f"{entry.chapter}.html#claim-{claim.id}" if entry.chapter else "",
    }


def _entries(claims: Sequence[Claim], decided: Sequence[Decided]) -> list[_Entry]:
    decisions = {entry.decision.claim: entry for entry in decided}
    return [_Entry(claim, decisions.get(claim.id)) for claim in claims]


def report_text(claims: Sequence[Claim], decided: Sequence[Decided], cited: str = "") -> str:
    """Return the report page as MyST text; arguments as for ``write_report``."""
    entries = _entries(claims, decided)
    without = [
        f"- **{words}**: {_WHY_NONE[waiting]}"
        for waiting, words in WITHOUT_VERDICT.items()
        if words in _verdicts_in(entries)
    ]
    return "\n".join(
        [
            "# What holds and what does not",
            "",
            f"The ledger lists {len(entries)} claims of the source: every figure that its five "
            "sections print, and every statement in words that can be tested. Beside each claim "
            "are our own figure if there is one to measure, the verdict, the reason if the two "
            "differ, and a link to the cell that decided it. Type a figure or words to find a "
            "claim.",
            "",
            raw_html(_filter(entries, cited)),
            "",
            _findings_in_words(entries),
            "",
            *(f"- **{verdict.words}**: {meaning}" for verdict, meaning in MEANINGS.items()),
            *without,
            "",
            "## Verdicts by section",
            "",
            raw_html(_counts(entries)),
            "",
            "## All claims",
            "",
            raw_html(_table(entries)),
            "",
            *_sources(claims),
        ]
    )


def _findings_in_words(entries: Sequence[_Entry]) -> str:
    """Return what the rows come to where cells that say one thing together count once."""
    claims = [entry.claim for entry in entries]
    counts = verdict_counts(claims)
    parts = [f"{counts[verdict]} {verdict.words}" for verdict in Verdict if counts[verdict]]
    parts += [f"{counts[MIXED]} {MIXED}"] * bool(counts[MIXED])
    parts += [f"{counts[None]} open"] * bool(counts[None])
    asides = sum(claim.trivia for claim in claims)
    return (
        "Many rows are cells of one table and say one thing together. If each such group counts "
        f"once, there are {counts.total()} findings: {', '.join(parts)}. Another {asides} rows are "
        "asides and do not count as findings: counts of lines, and rows that cannot fail, such as "
        "those that read back from this companion's code what it copied from the page."
    )


def _verdicts_in(entries: Sequence[_Entry]) -> list[str]:
    present = {entry.verdict for entry in entries}
    order = [*(verdict.words for verdict in Verdict), *WITHOUT_VERDICT.values(), _NOT_DECIDED]
    return [words for words in order if words in present]


def _counts(entries: Sequence[_Entry]) -> str:
    verdicts = _verdicts_in(entries)

    def counts(found: list[str]) -> list[int]:
        return [*map(found.count, verdicts), len(found)]

    rows = [
        (section.name, counts([one.verdict for one in entries if one.claim.section == number]))
        for number, section in SECTIONS.items()
    ]
    rows.append(("all", counts([entry.verdict for entry in entries])))
    return html_of("report_counts", verdicts=verdicts, rows=rows)


def _filter(entries: Sequence[_Entry], cited: str) -> str:
    sections = [
        (number, f"{section.name}, {section.topic}") for number, section in SECTIONS.items()
    ]
    return html_of(
        "report_filter",
        sections=sections,
        verdicts=_verdicts_in(entries),
        cited=cited,
        style=asset("report.css"),
    )


def _table(entries: Sequence[_Entry]) -> str:
    script = asset("find_words.js") + asset("report.js")
    return html_of("report_claims", rows=entries, script=script)


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
