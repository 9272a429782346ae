"""Join the ledger with what the executed notebooks decided, in both directions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict

from rulbook import paths
from rulbook.claims.decision import Decision
from rulbook.claims.ledger import CHAPTERS, Claim, Verdict, read_ledger
from rulbook.errors import RulbookError
from rulbook.studies.holds import Holds

METADATA_KEY = "rulbook_claims"
"""Key of an output's metadata under which a badge leaves its decisions."""


@dataclass(frozen=True)
class Decided:
    """A decision and the chapter in whose executed notebook it stands."""

    chapter: str
    decision: Decision


class ClaimRow(TypedDict):
    """One claim as ``rulbook claims --json`` prints it."""

    id: str
    section: str
    tier: str
    statement: str
    printed: bool | str | None
    measured: float | bool | str | None
    verdict: str | None
    expected: str | None
    finding: str
    """What several rows say together; the row's own id where it stands alone."""
    trivia: bool
    conditions: dict[str, Holds]
    """Whether the claim holds, by the training conditions under which it was decided."""


def collect(executed: Path) -> list[Decided]:
    """Return every decision in the executed notebooks of a folder, in reading order.

    Raises:
        RulbookError: a notebook is not JSON or holds a decision this version cannot read.

    """
    return [
        Decided(notebook.stem, decision)
        for notebook in _notebooks(executed)
        for decision in _decisions(notebook)
    ]


def _notebooks(executed: Path) -> list[Path]:
    """Return the notebooks of chapters: a reader's copy of one decides nothing."""
    return [path for path in paths.files_in(executed, "*.ipynb") if path.stem in CHAPTERS]


def _decisions(notebook: Path) -> Iterator[Decision]:
    known = {field.name for field in fields(Decision)}
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            for output in cell.get("outputs", []):
                for entry in output.get("metadata", {}).get(METADATA_KEY, []):
                    if not isinstance(entry, dict) or not set(entry) <= known:
                        raise ValueError(f"unknown decision {entry!r}")
                    if entry.get("verdict") is not None:
                        Verdict(entry["verdict"])
                    yield Decision(**entry)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RulbookError(
            f"The executed notebook {notebook} cannot be read ({error}); execute it again."
        ) from error


def faults(
    decided: Sequence[Decided],
    executed_chapters: Sequence[str],
    ledger: Mapping[str, Claim] | None = None,
) -> list[str]:
    """Return one sentence for every place where ledger and executed notebooks do not meet.

    A value without a row, a row without a value, a claim decided twice or in another chapter than
    its row names, and a verdict that differs from the expected one are faults. Rows of chapters
    outside ``executed_chapters`` are left alone, so that a part of the chapters can be judged.
    """
    ledger = read_ledger() if ledger is None else ledger
    return [
        *_faults_of_decisions(decided, ledger),
        *(
            f"{claim.id}: chapter {claim.chapter} shows no value for it."
            for claim in ledger.values()
            if claim.needs_value
            and claim.chapter in executed_chapters
            and claim.id not in {entry.decision.claim for entry in decided}
        ),
    ]


def _faults_of_decisions(decided: Sequence[Decided], ledger: Mapping[str, Claim]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for entry in decided:
        decision, name = entry.decision, entry.decision.claim
        if name not in ledger:
            yield f"{name}: checked in {entry.chapter}, but the ledger has no such claim."
            continue
        claim = ledger[name]
        if name in seen:
            yield f"{name}: checked in {seen[name]} and again in {entry.chapter}."
        seen[name] = entry.chapter
        if entry.chapter != claim.chapter:
            yield f"{name}: checked in {entry.chapter}; its row names {claim.chapter}."
        if decision.verdict != claim.expected:
            yield (
                f"{name}: the ledger expects {claim.expected or 'no verdict yet'}, "
                f"the source printed {claim.printed_words}, {entry.chapter} measured "
                f"{decision.shown or 'nothing'} and found {decision.verdict or 'no verdict'}."
            )


def faults_of(executed: Path) -> list[str]:
    """Return the faults between the ledger and the executed notebooks of a folder."""
    executed_chapters = [notebook.stem for notebook in _notebooks(executed)]
    return faults(collect(executed), executed_chapters)


def claims_table(executed: Path | None) -> list[ClaimRow]:
    """Return every claim with its verdict, in the order of the ledger.

    ``executed`` is the folder of the executed notebooks; ``None`` where there can be none, as for
    an installed package.

    The verdict is the one that the executed notebooks found; a claim that the text or the
    literature settles has the verdict of its row. It is ``None`` for a claim that waits for
    records, and for one whose chapter has not been executed.
    """
    decided = collect(executed) if executed else []
    decisions = {entry.decision.claim: entry.decision for entry in decided}
    return [_row(claim, decisions.get(claim.id)) for claim in read_ledger().values()]


def _row(claim: Claim, decision: Decision | None) -> ClaimRow:
    settled = claim.expected if claim.settled_by_text else None
    return {
        "id": claim.id,
        "section": claim.section,
        "tier": claim.tier,
        "statement": claim.statement,
        "printed": claim.printed,
        "measured": decision.measured if decision else None,
        "verdict": decision.verdict if decision else settled,
        "expected": claim.expected,
        "finding": claim.finding or claim.id,
        "trivia": claim.trivia,
        "conditions": (decision.conditions if decision else None) or {},
    }
