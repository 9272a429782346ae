"""The chapters, found by their file names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rulbook import paths
from rulbook.errors import RulbookError, one_line, unknown_name
from rulbook.publishing.layout import Layout

if TYPE_CHECKING:
    from nbformat import NotebookNode

_FAULT_CHARACTERS = 100
"""How much of what is wrong with a notebook is quoted, which may quote all of it."""

_CHAPTER_FILE = re.compile(r"\d\d-[a-z0-9-]+\.md")


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Attributes:
        text: its MyST text, ``book/NN-name.md``, the source of truth.
        notebook: its notebook without outputs, ``notebooks/NN-name.ipynb``.
        executed: its notebook with outputs.
    """

    text: Path
    notebook: Path
    executed: Path

    @property
    def name(self) -> str:
        """The name that commands know it by, ``NN-name``."""
        return self.text.stem

    @property
    def number(self) -> str:
        """Its number, two digits, with which the names of its figures begin."""
        return self.name[:2]

    @property
    def stamp(self) -> Path:
        """What the executed notebook was made of."""
        return self.executed.with_suffix(".stamp.json")


def chapters(layout: Layout) -> list[Chapter]:
    """Return every chapter, in the order of their numbers."""
    return [
        Chapter(
            text=text,
            notebook=layout.notebooks / f"{text.stem}.ipynb",
            executed=layout.executed / f"{text.stem}.ipynb",
        )
        for text in paths.files_in(layout.book, "*.md")
        if _CHAPTER_FILE.fullmatch(text.name)
    ]


def choose(layout: Layout, names: Sequence[str]) -> list[Chapter]:
    """Return the chapters called ``names``, or all of them if ``names`` is empty.

    Raises:
        UsageError: there is no chapter of one of the names.
    """
    known = {chapter.name: chapter for chapter in chapters(layout)}
    for name in names:
        if name not in known:
            raise unknown_name("chapter", name, known)
    return [chapter for name, chapter in known.items() if not names or name in names]


def read_executed(chapter: Chapter) -> "NotebookNode":
    """Return the executed notebook of a chapter.

    Raises:
        RulbookError: the chapter was not executed, or the file is no notebook any more.
    """
    import nbformat  # takes long to import

    again = f"run `rulbook execute {chapter.name}`."
    if not chapter.executed.is_file():
        raise RulbookError(f"Chapter {chapter.name} was not executed: {again}")
    try:
        executed: NotebookNode = nbformat.read(chapter.executed, as_version=4)
    except Exception as fault:  # nbformat passes on what its parts stumble over
        raise RulbookError(
            f"The executed notebook '{chapter.executed}' cannot be read "
            f"({one_line(fault)[:_FAULT_CHARACTERS]}): {again}"
        ) from fault
    return executed


def forget_removed(layout: Layout) -> None:
    """Delete what was made from chapters that are no longer there, their decisions included.

    Only an executed notebook with the stamp beside it was made here; other files are left alone.
    """
    kept = {chapter.stamp for chapter in chapters(layout)}
    for stamp in paths.files_in(layout.executed, "*.stamp.json"):
        name = stamp.name.removesuffix(".stamp.json")
        executed = stamp.with_name(f"{name}.ipynb")
        if stamp not in kept and _CHAPTER_FILE.fullmatch(f"{name}.md"):
            if executed.is_file():
                executed.unlink()
            stamp.unlink()
