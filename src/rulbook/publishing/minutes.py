"""How long a chapter takes: to read, counted from its words, and to run, as it was recorded."""

import re
from functools import lru_cache

from nbformat import NotebookNode

from rulbook.publishing import conditions
from rulbook.publishing.chapters import Chapter
from rulbook.publishing.pairing import to_notebook
from rulbook.side_files import read_text

WORDS_A_MINUTE = 220
"""How fast prose with formulas is taken to be read."""

_NOT_READ = re.compile(r"\$\$.*?\$\$|^(?::{3,}|%)[^\n]*", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\S*\w\S*")
_OPENING = re.compile(r"^\*\*Before you start\.\*\*.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
"""The paragraph of a chapter's opening below which its time is said."""


def to_read(chapter: Chapter) -> int:
    """Return the minutes that the prose of a chapter takes; code, formulas and tables not counted.

    Raises:
        RulbookError: the text is not a MyST notebook.
    """
    return _to_read(chapter, read_text(chapter.text))


@lru_cache(maxsize=128)  # a text takes long to parse, and several pages ask
def _to_read(chapter: Chapter, text: str) -> int:
    notebook = to_notebook(chapter, text)
    prose = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    words = sum(len(_WORD.findall(_without_displays(text))) for text in prose)
    return max(1, round(words / WORDS_A_MINUTE))


def to_run(chapter: Chapter) -> int | None:
    """Return the minutes that its last execution took, at least 1; ``None`` if there is none."""
    run = conditions.read(chapter)
    return None if run is None else max(1, round(run.seconds / 60))


def in_words(chapter: Chapter) -> str:
    """Return both times, as ``12 minutes to read, 3 to run``."""
    reading, running = to_read(chapter), to_run(chapter)
    words = f"{reading} {'minute' if reading == 1 else 'minutes'} to read"
    return words if running is None else f"{words}, {running} to run"


def say(notebook: NotebookNode, chapter: Chapter) -> None:
    """Add the time that a chapter takes to its opening, if it has one; ``notebook`` is changed."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (opening := _OPENING.search(cell.source)):
            words = f"\n\n**Time.** {in_words(chapter)}{_where(chapter)}."
            cell.source = cell.source[: opening.end()] + words + cell.source[opening.end() :]
            return


def _where(chapter: Chapter) -> str:
    """Return on what it was executed, with a space before; nothing if that is not known."""
    run = conditions.read(chapter)
    return f" on {' and '.join(run.hardware)}" if run and run.hardware else ""


def _without_displays(text: str) -> str:
    return _NOT_READ.sub("", text)
