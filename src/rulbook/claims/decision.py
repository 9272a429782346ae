"""What was decided about a claim: the one place where a value meets the ledger's row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rulbook.claims.ledger import Claim, find
from rulbook.claims.verdict import (
    compare,
    figure_over_conditions,
    normalise,
    over_conditions,
    shown,
)
from rulbook.data.cmapss import Source
from rulbook.errors import RulbookError
from rulbook.studies.holds import Holds, as_holds


@dataclass(frozen=True)
class Decision:
    """What a badge recorded in the output of an executed cell."""

    claim: str
    verdict: str | None
    """The verdict, ``None`` while the claim waits for records."""
    measured: float | bool | str | None = None
    """Our value; NaN and infinities as text, ``None`` where nothing was compared."""
    shown: str = ""
    """Our value as the reader sees it."""
    recorded: bool = False
    """Whether the verdict is the committed one, shown on simulated data without a comparison."""
    source: str = ""
    """Data behind the value, ``cmapss`` or ``simulated``, where the chapter said so."""
    interval: tuple[float, float] | None = None
    note: str = ""
    conditions: dict[str, Holds] | None = None
    """Whether the claim holds, by training condition; ``None`` where that is open,
    ``"partly"`` where it holds on some subsets or in one reading only."""

    def as_metadata(self) -> dict[str, Any]:
        """Return the decision as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """Our value for a claim, with what its badge says beside it.

    Attributes:
        value: number, truth value or text; ``None`` where the text settles the claim or it waits.
        note: a few words on how the value came about.
        conditions: whether the claim holds, by training condition, where it was decided so.

    """

    value: object = None
    note: str = ""
    conditions: Mapping[str, Holds] | None = None


def answer(value: object) -> Answer:
    """Return what is given for a claim as an ``Answer``: a mapping is one from conditions."""
    if isinstance(value, Answer):
        return value
    return Answer(conditions=value) if isinstance(value, Mapping) else Answer(value)


def answer_of_figure(claim: str, values: Mapping[str, float | None], note: str = "") -> Answer:
    """Return the answer to a printed figure of which we have a value by training condition.

    Args:
        claim: id of a claim with a printed figure.
        values: ours by training condition, ``None`` where it is not known yet; the first that is
            known is the one that is shown.
        note: as in ``Answer``.

    Raises:
        UsageError: there is no such claim.

    """
    known = [value for value in values.values() if value is not None]
    if not known:
        return Answer(note="waiting for records")
    return Answer(known[0], note, figure_over_conditions(find(claim), values))


def decide(
    claim: Claim,
    value: object = None,
    *,
    source: Source | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
    conditions: Mapping[str, Holds] | None = None,
) -> Decision:
    """Return the decision that ``check`` shows; arguments and errors are those of ``check``."""
    if claim.needs == "cmapss" and claim.needs_value:
        if source is None:
            raise RulbookError(f"Claim {claim.id} needs C-MAPSS: pass source=fleet.source.")
        if source != "cmapss":
            return Decision(claim.id, claim.expected, recorded=True, source=source, note=note)
    if conditions is not None:
        return _under_conditions(claim, value, conditions, note)
    if value is None:
        if claim.needs_value:
            raise RulbookError(f"Claim {claim.id} needs a value to be compared with.")
        return Decision(claim.id, claim.expected, source=source or "", note=note)
    normal = normalise(value, claim)
    return Decision(
        claim.id,
        compare(claim, value),
        measured=_as_json(normal),
        shown=shown(claim, value),
        source=source or "",
        interval=None if interval is None else (float(interval[0]), float(interval[1])),
        note=note,
    )


def _under_conditions(
    claim: Claim, value: object, conditions: Mapping[str, Holds], note: str
) -> Decision:
    """Return the decision on a claim that was decided under training conditions.

    A statement is shown with whether it holds under the first condition that decides it, a figure
    with the value that it is held against.
    """
    if claim.tier != "statistical" or (claim.printed is not True and value is None):
        raise RulbookError(
            f"Claim {claim.id} is no statistical statement that holds or does not; decide it by "
            "its value."
        )
    answers = {name: as_holds(part) for name, part in conditions.items()}
    verdict = over_conditions(answers)
    if claim.needs_value and verdict is None:
        raise RulbookError(
            f"Claim {claim.id} is decided under no training condition; let it wait for records."
        )
    if claim.printed is True:
        value = next((holds for holds in answers.values() if isinstance(holds, bool)), None)
    return Decision(
        claim.id,
        verdict,
        measured=None if value is None else _as_json(normalise(value, claim)),
        shown="" if value is None else shown(claim, value),
        note=note,
        conditions=answers,
    )


def _as_json(value: object) -> float | bool | str:
    if isinstance(value, bool | str):
        return value
    number = float(value)  # type: ignore[arg-type]
    finite = number - number == 0
    return number if finite else str(number)
