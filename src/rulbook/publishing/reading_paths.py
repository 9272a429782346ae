"""Ways through the chapters for a lecture, a seminar and a day, with the minutes that they take."""

from collections.abc import Mapping
from dataclasses import dataclass

from rulbook.publishing import minutes
from rulbook.publishing.chapters import Chapter

MINUTES_AN_EXERCISE = 10
"""What an exercise is taken to need, its discussion included."""


@dataclass(frozen=True)
class ReadingPath:
    """Chapters to read in some order, and how many exercises of each to do.

    Attributes:
        hours: for how long it is meant.
        exercises: how many of the first exercises, by the number of a chapter, ``04``.
    """

    hours: int
    exercises: Mapping[str, int]


READING_PATHS: Mapping[str, ReadingPath] = {
    "lecture": ReadingPath(1, dict.fromkeys(("03", "04", "07", "08"), 0)),
    "seminar": ReadingPath(
        3, {"01": 0, "02": 0, **dict.fromkeys(("03", "04", "05", "06", "07", "08"), 1)}
    ),
    "day": ReadingPath(6, dict.fromkeys(("01", "02", "03", "04", "05", "06", "07", "08"), 3)),
}
"""By name; together with the explorers and a break each fills its hours."""


def as_table(path: ReadingPath, chapters: list[Chapter]) -> str:
    """Return a path as a table of MyST: chapter, what to do, minutes, and their sum.

    Chapters that are not there, as in a checkout of a few, are left out.
    """
    known = {chapter.number: chapter for chapter in chapters}
    rows, total = [], 0
    for number, wanted in path.exercises.items():
        if chapter := known.get(number):
            what = "read" if not wanted else f"read, {_exercises(wanted)}"
            took = minutes_of(chapter, wanted)
            total += took
            rows.append(f"| {int(number)} · {{doc}}`{chapter.name}` | {what} | {took} |")
    rows.append(f"| | **together** | **{total}** |")
    return "\n".join(("| chapter | what to do | minutes |", "|---|---|--:|", *rows))


def minutes_of(chapter: Chapter, exercises: int) -> int:
    """Return how long it takes to read a chapter and to do some of its exercises."""
    return minutes.to_read(chapter) + exercises * MINUTES_AN_EXERCISE


def _exercises(count: int) -> str:
    return "the first exercise" if count == 1 else f"the first {count} exercises"
