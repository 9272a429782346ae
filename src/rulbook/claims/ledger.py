"""One row a claim of the source: the model of ``book/claims.yml`` and its reader."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import field_validator as check_field
from pydantic import model_validator as check_row

from rulbook import paths
from rulbook.checked import Choices, first_fault
from rulbook.errors import RulbookError, unknown_name
from rulbook.side_files import read_yaml


@dataclass(frozen=True)
class Section:
    """A section of the source that the ledger audits."""

    edition: str
    number: str
    topic: str
    """What the section is about, in our words."""
    prefix: str
    """How the ids of its claims begin."""

    @property
    def name(self) -> str:
        """Return edition and number, as in ``new edition §12.4``."""
        return f"{self.edition} edition §{self.number}"


SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "000": Section("legacy", "9.1", "fixed weights, the legacy edition", "l9.1-"),
        "001": Section("new", "4.3", "combining losses", "n4.3-"),
        "002": Section("new", "24.1", "fixed and equal weights", "n24.1-"),
        "003": Section("new", "12.4", "what the imbalance costs", "n12.4-"),
        "004": Section("new", "4.1", "why multi-task learning", "n4.1-"),
    }
)
"""The five audited sections, by the number of their text."""

CHAPTERS = (
    "01-why-multi-task",
    "02-combining-losses",
    "03-the-500x-imbalance",
    "04-what-it-costs",
    "05-fixed-weight-loss",
    "06-equal-weights",
    "07-ablation-tables",
    "08-what-the-protocol-does",
)
"""The chapters that decide claims, in reading order."""


class Verdict(StrEnum):
    """What the evidence says about a claim."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    NOT_REPRODUCED = "not_reproduced"
    DEPENDS = "depends"
    INCONSISTENT = "inconsistent"
    UNDECIDABLE = "undecidable"

    @property
    def words(self) -> str:
        """Return the verdict as a reader sees it."""
        return self.value.replace("_", " ")


WITHOUT_VERDICT: Mapping[str, str] = {
    "records": "waiting for records",
    "differences": "open, records do not decide",
}
"""What stands in the place of a verdict, by what the claim waits for."""

_FIGURE = re.compile(
    r"[+-]?(?:(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?|[+-]?(?:inf(?:inity)?|nan)",
    re.IGNORECASE | re.ASCII,
)
"""A printed number; exponents are short, so that comparing takes no time."""

_BLANK = "it is blank: write it out, or leave the field out"

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _as_printed(printed: object) -> object:
    """Return what a row has as printed, without the white space around it.

    Raises:
        ValueError: it is blank, or is meant as a number and would not be compared as one.

    """
    if isinstance(printed, int | float) and not isinstance(printed, bool):
        raise ValueError(f"quote the printed figure, '{printed}', to keep its precision")
    if not isinstance(printed, str):
        return printed
    text = printed.strip()
    if not text:
        raise ValueError(_BLANK)
    figure = text.removesuffix("%").rstrip()
    if figure != text and as_number(figure) is not None:
        raise ValueError(f"write the number alone, '{figure}', and '%' as the 'unit'")
    return text


Printed = Annotated[bool | str | None, BeforeValidator(_as_printed)]
"""What the source prints: a truth value for a statement in words, a text, or nothing."""


class OtherPlace(Choices):
    """The second of two places where the source contradicts itself."""

    model_config = ConfigDict(strict=True)
    _noun: ClassVar[str] = "second place"

    where: Sentence
    statement: Sentence
    printed: Printed = None


class Claim(Choices):
    """One row of the ledger.

    ``printed`` keeps the figure as the source prints it: a truth value for a statement in words,
    otherwise a quoted string, so that trailing zeros (``"6.650"``) survive. A string that reads
    as a number is compared as one; a leading ``~`` marks a figure that the source itself calls
    approximate and asks for an explicit ``tolerance``.
    """

    model_config = ConfigDict(strict=True)
    _noun: ClassVar[str] = "claim"

    id: Annotated[str, StringConstraints(pattern=r"^[nl]\d+\.\d-[a-z0-9]+(-[a-z0-9]+)*$")]
    section: Literal["000", "001", "002", "003", "004"]
    where: Sentence
    """Place inside the section: listing and line, table cell, takeaway."""
    statement: Sentence
    """The claim in our words, its figures as printed."""
    printed: Printed = None
    unit: str = ""
    kind: Literal[
        "identity",
        "printed_output",
        "table_cell",
        "ranking",
        "behaviour",
        "data_fact",
        "literature",
    ]
    tier: Literal["exact", "statistical"]
    needs: Literal["none", "cmapss", "records"] = "none"
    chapter: str
    """Name of the chapter that decides the claim."""
    finding: Annotated[str, StringConstraints(pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$")] = ""
    """Name of what several rows say together; a row without one is a finding by itself."""
    trivia: bool = False
    """Whether it is an aside, counted apart: a count of lines, or a row that cannot fail, such as
    one that reads back from our own code what we copied from the page."""
    tolerance: str | None = None
    """Largest difference that still agrees, in the unit of ``printed``; see ``allowance``."""
    tolerance_reason: str = ""
    inputs: list[str] = Field(default_factory=list)
    """Printed figures from which the source derives this one: each adds its half unit."""
    expected: Verdict | None
    waiting: Literal["records", "differences"] | None = None
    """What a claim without a verdict waits for: trainings that are not recorded yet, or, where
    those of a training condition all are, differences that can be told from chance."""
    reason: str = ""
    """Why the verdict is not ``reproduced``, in one sentence."""
    conditions: str = ""
    """Network, data, protocol, seeds and interval behind a verdict on an experiment."""
    other: OtherPlace | None = None
    """The contradicting place, for ``inconsistent`` claims."""
    missing: str = ""
    """What the source would have to state, for ``undecidable`` claims."""
    reference: Annotated[str, StringConstraints(pattern=r"^[\w:.+-]*$")] = ""
    """Key in ``references.bib`` of the primary source that settles a ``literature`` claim."""

    @check_field("expected", mode="before")
    @classmethod
    def _verdict_is_known(cls, expected: object) -> object:
        if expected is None or isinstance(expected, Verdict):
            return expected
        if expected not in tuple(Verdict):
            raise ValueError(f"unknown verdict '{expected}'; choose one of: {', '.join(Verdict)}")
        return Verdict(str(expected))

    @check_field("unit", "tolerance_reason", "reason", "conditions", "missing")
    @classmethod
    def _text_is_not_blank(cls, text: str) -> str:
        if text and not text.strip():
            raise ValueError(_BLANK)
        return text

    @check_row(mode="after")
    def _row_is_coherent(self) -> Self:
        fault = next(_faults(self), None)
        if fault:
            raise ValueError(fault)
        return self

    @property
    def locator(self) -> str:
        """Return edition, section and place."""
        return f"{SECTIONS[self.section].name}, {self.where}"

    @property
    def printed_number(self) -> Decimal | None:
        """Return the printed figure as a number, ``None`` for a truth value, text or nothing."""
        return None if isinstance(self.printed, bool | None) else as_number(self.printed)

    @property
    def printed_words(self) -> str:
        """Return the printed figure as a reader sees it, unit included."""
        if isinstance(self.printed, bool):
            return truth_in_words(self.printed)
        if self.printed is None:
            return "in words"
        return f"{self.printed} {self.unit}".strip() if self.unit else self.printed

    @property
    def settled_by_text(self) -> bool:
        """Whether the source or the literature alone settles the claim, with no value of ours."""
        return self.kind == "literature" or self.expected in (
            Verdict.INCONSISTENT,
            Verdict.UNDECIDABLE,
        )

    @property
    def needs_value(self) -> bool:
        """Whether a chapter must measure something before the claim has its verdict."""
        return not self.settled_by_text and self.waiting is None

    @property
    def words_without_verdict(self) -> str:
        """Return what stands in the place of the verdict where there is none."""
        return WITHOUT_VERDICT[self.waiting or "records"]

    def allowance(self) -> Decimal:
        """Return the largest difference from ``printed`` that still agrees.

        It is ``tolerance`` where one is given, else half a unit in the last printed place plus
        the half units of the printed ``inputs``.
        """
        if self.tolerance is not None:
            return as_number(self.tolerance) or Decimal(0)
        figures = [self.printed_number, *map(as_number, self.inputs)]
        return sum((half_unit(figure) for figure in figures if figure is not None), Decimal(0))


def as_number(text: str) -> Decimal | None:
    """Return a printed figure as a number, or ``None`` when it is text.

    Thousands separators, the leading ``~`` of an approximate figure and the minus sign of print
    (U+2212) are understood. A comma anywhere else, as in ``0,5`` and ``0,005``, makes it text: it
    could be read as another number than is meant.
    """
    figure = text.strip().removeprefix("~").strip().replace("\N{MINUS SIGN}", "-")
    return Decimal(figure.replace(",", "")) if _FIGURE.fullmatch(figure) else None


def truth_in_words(value: bool) -> str:
    """Return how a truth value is shown beside a statement."""
    return "holds" if value else "does not hold"


def half_unit(figure: Decimal) -> Decimal:
    """Return half a unit in the last printed place: 0.005 for 6.82, 0.5 for 711."""
    exponent = figure.as_tuple().exponent
    return Decimal((0, (5,), exponent - 1)) if isinstance(exponent, int) else Decimal(0)


def _faults(claim: Claim) -> Iterator[str]:
    """Yield every incoherence of a row, in words."""
    prefix = SECTIONS[claim.section].prefix
    verdict = claim.expected
    settled_literature = claim.kind == "literature" and verdict is not Verdict.UNDECIDABLE
    rules = {
        f"an id of section {claim.section} begins with '{prefix}'": claim.id.startswith(prefix),
        str(unknown_name("chapter", claim.chapter, CHAPTERS)).rstrip("."): claim.chapter
        in CHAPTERS,
        "a claim has either a verdict or 'waiting', not both and not neither": (
            (verdict is None) == (claim.waiting is not None)
        ),
        "a claim that is 'waiting' has 'needs: records'": (
            claim.waiting is None or claim.needs == "records"
        ),
        "only exact claims are refuted; an experiment gives not_reproduced": (
            verdict is not Verdict.REFUTED or claim.tier == "exact"
        ),
        "only statistical claims are not_reproduced; an exact one is refuted": (
            verdict is not Verdict.NOT_REPRODUCED or claim.tier == "statistical"
        ),
        "only statistical claims depend on the training condition": (
            verdict is not Verdict.DEPENDS or claim.tier == "statistical"
        ),
        f"a claim that is {verdict} states its 'conditions'": (
            verdict not in (Verdict.NOT_REPRODUCED, Verdict.DEPENDS) or bool(claim.conditions)
        ),
        f"a claim that is {verdict} gives its 'reason'": (
            verdict in (None, Verdict.REPRODUCED) or bool(claim.reason)
        ),
        "an inconsistent claim, and no other, names the 'other' place": (
            (verdict is Verdict.INCONSISTENT) == (claim.other is not None)
        ),
        "an undecidable claim, and no other, says what is 'missing'": (
            (verdict is Verdict.UNDECIDABLE) == bool(claim.missing)
        ),
        "a settled literature claim, and no other, cites its 'reference'": (
            settled_literature == bool(claim.reference)
        ),
        "a claim to be measured has a 'printed' figure or truth value": (
            claim.settled_by_text or claim.printed is not None
        ),
        **_rules_on_tolerance(claim),
    }
    return (sentence for sentence, kept in rules.items() if not kept)


def _rules_on_tolerance(claim: Claim) -> dict[str, bool]:
    number = claim.printed_number
    approximate = isinstance(claim.printed, str) and claim.printed.startswith("~")
    figures = [*claim.inputs, *([] if claim.tolerance is None else [claim.tolerance])]
    are_finite = all(
        (value := as_number(figure)) is not None and value.is_finite() for figure in figures
    )
    return {
        "an approximate figure needs an explicit 'tolerance'": (
            not (approximate and claim.needs_value and number is not None)
            or claim.tolerance is not None
        ),
        "'tolerance' and 'inputs' belong to a printed number": (number is not None or not figures),
        "a claim has 'tolerance' or 'inputs', not both": (
            claim.tolerance is None or not claim.inputs
        ),
        "'tolerance' and 'tolerance_reason' come together": (
            (claim.tolerance is not None) == bool(claim.tolerance_reason)
        ),
        "'tolerance' and 'inputs' are finite numbers, with a point before decimals": are_finite,
        "'tolerance' and 'inputs' are exact, without '~'": not any("~" in text for text in figures),
        "'tolerance' is not negative": not are_finite or claim.allowance() >= 0,
        "'tolerance', 'inputs' and the precision of 'printed' allow as much as the printed figure "
        "at most, or 1 where that is more": (
            not are_finite or claim.allowance() <= _largest_allowance(number)
        ),
    }


def _largest_allowance(printed: Decimal | None) -> Decimal:
    """Return the allowance beyond which a figure could not be told from zero.

    It is 1 for smaller figures: shares and cosines may lie about zero.
    """
    least = Decimal(1)
    return max(least, abs(printed)) if printed is not None and printed.is_finite() else least


def read_ledger(path: Path | str | None = None) -> Mapping[str, Claim]:
    """Return every claim by its id, in the order of the file; the default is our own.

    A file that did not change since it was last read is not read again.

    Raises:
        RulbookError: the file is missing, is not YAML, or a row breaks the rules of ``Claim``; the
            message names the row and its first fault.

    """
    file = paths.ledger() if path is None else Path(path)
    try:
        state = file.stat()
    except OSError:
        return _read(file, None)
    return _read(file, (state.st_mtime_ns, state.st_size, state.st_ino))


@cache
def _read(path: Path, _state: tuple[int, ...] | None) -> Mapping[str, Claim]:
    content = read_yaml(path)
    if (
        not isinstance(content, dict)
        or list(content) != ["claims"]
        or not isinstance(content["claims"], list | NoneType)
    ):
        raise RulbookError(f"The ledger {path} holds one list named 'claims'.")
    claims: dict[str, Claim] = {}
    for position, row in enumerate(content["claims"] or [], start=1):
        claim = _claim(row, position, path)
        if claim.id in claims:
            raise RulbookError(f"The ledger {path} has two rows with the id '{claim.id}'.")
        claims[claim.id] = claim
    return MappingProxyType(claims)


def _claim(row: object, position: int, path: Path) -> Claim:
    try:
        return Claim.model_validate(row)
    except ValidationError as error:
        claim_id = row.get("id") if isinstance(row, dict) else None
        where_in_file = claim_id if isinstance(claim_id, str) and claim_id else f"number {position}"
        fault = first_fault(error)
        if error.errors()[0]["type"] == "extra_forbidden":
            fault += f"; choose from: {', '.join(Claim.model_fields)}"
        raise RulbookError(f"Claim {where_in_file} in {path}: {fault}.") from error


def find(claim_id: str) -> Claim:
    """Return one claim of this companion's ledger.

    Raises:
        UsageError: no claim has this id; the message names the nearest ones.

    """
    claims = read_ledger()
    if claim_id not in claims:
        raise unknown_name("claim", claim_id, get_close_matches(claim_id, claims, cutoff=0))
    return claims[claim_id]


def claims_in(section_or_chapter: str) -> list[Claim]:
    """Return the claims of a section (``"003"``), or those that a chapter decides.

    Raises:
        UsageError: neither a section nor a chapter has this name.

    """
    if section_or_chapter not in (*SECTIONS, *CHAPTERS):
        raise unknown_name("section or chapter", section_or_chapter, (*SECTIONS, *CHAPTERS))
    return [
        claim
        for claim in read_ledger().values()
        if section_or_chapter in (claim.section, claim.chapter)
    ]
