"""For the status page: what each chapter was executed on, how long it took, what it decided."""

from collections.abc import Mapping

from rulbook.claims.collect import claims_table
from rulbook.claims.ledger import CHAPTERS, Verdict, claims_in
from rulbook.data.cmapss import SOURCE_NAMES
from rulbook.display.badges import MARKS
from rulbook.display.markup import html_of
from rulbook.publishing import conditions
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.conditions import Conditions
from rulbook.publishing.layout import Layout

_SHORT: Mapping[str, str] = {"cmapss": "C-MAPSS", "simulated": "simulated"}
_NOTHING = "–"


def status_table(layout: Layout) -> str:
    """Return one row a chapter: time, profile, data, device and number of verdicts, as HTML.

    Raises:
        RulbookError: an executed notebook cannot be read.
    """
    verdict = {row["id"]: row["verdict"] for row in claims_table(layout.executed)}
    verdicts = {name: [verdict[claim.id] for claim in claims_in(name)] for name in CHAPTERS}
    return _table({one: conditions.read(one) for one in chapters(layout)}, verdicts)


def versions_in_words(layout: Layout) -> str:
    """Return days, machines and versions that chapters were executed on and with, a line each."""
    found = [conditions.read(chapter) for chapter in chapters(layout)]
    sets = {(one.finished, one.hardware, tuple(one.versions.items())) for one in found if one}
    return "\n".join(
        f"- {day}: "
        + "; ".join([*hardware, ", ".join(f"{name} {version}" for name, version in versions)])
        for day, hardware, versions in sorted(sets)
    )


def data_in_words(layout: Layout) -> str:
    """Return in a few words which data the chapters loaded."""
    found = [conditions.read(chapter) for chapter in chapters(layout)]
    used = sorted({source for one in found if one for source in one.data.values()})
    return " and ".join(SOURCE_NAMES[source] for source in used) or "no engine data"


def _table(
    known: Mapping[Chapter, Conditions | None], verdicts: Mapping[str, list[str | None]]
) -> str:
    heads = ("chapter", "time", "profile", "data", "records", "device")
    is_open = any(None in of_chapter for of_chapter in verdicts.values())
    shown: list[Verdict | None] = [*Verdict, *([None] if is_open else [])]
    marks = [
        (MARKS[verdict].sign, verdict.words if verdict else "without a verdict yet")
        for verdict in shown
    ]
    rows = []
    for chapter, found in known.items():
        of_chapter = verdicts.get(chapter.name, [])
        counts = [of_chapter.count(verdict) for verdict in shown]
        rows.append((chapter.name, [*_cells(found), *(str(n or _NOTHING) for n in counts)]))
    return html_of("status", heads=heads, marks=marks, rows=rows)


def _cells(found: Conditions | None) -> list[str]:
    """Return what the table says of one execution, without the name of its chapter."""
    if found is None:
        return [_NOTHING] * 5
    by_source = {
        source: ", ".join(subset for subset, its in found.data.items() if its == source)
        for source in sorted(set(found.data.values()))
    }
    data = "; ".join(f"{_SHORT[source]}: {subsets}" for source, subsets in by_source.items())
    return [
        _duration(found.seconds),
        str(found.parameters["profile"]),
        data or _NOTHING,
        "yes" if found.records else _NOTHING,
        ", ".join(found.devices),
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
