"""The values that the prose of chapters quotes, as the last build on the real data had them.

A notebook for students has them in its prose. They are in one committed file, so that notebooks are
written, and held against their texts, without executing anything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from rulbook import paths
from rulbook.errors import RulbookError, one_line
from rulbook.publishing.chapters import Chapter, chapters, read_executed
from rulbook.publishing.layout import Layout
from rulbook.publishing.parameters import ChapterParameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

QUOTE = re.compile(r"\{glue:text\}`([^`]+)`")
"""How a text quotes a value: by name, and after a colon the format."""

_PUBLISHED = ChapterParameters()
"""The parameters under which the published book is computed, on whatever data and device."""

Values = Mapping[str, Mapping[str, str]]
"""By chapter and quote, for instance ``c04-limit-500:.5f``, the value in words."""


def file_of(layout: Layout) -> Path:
    """Return the path of the committed file."""
    return layout.book / "values.json"


def read(layout: Layout) -> Values:
    """Return all recorded values.

    Raises:
        RulbookError: the file is not JSON, or not that of values by chapter.
    """
    path = file_of(layout)
    if not path.is_file():
        return {}
    try:
        values = TypeAdapter(Values).validate_json(path.read_bytes())
    except ValueError as fault:
        raise RulbookError(
            f"'{path}' does not hold the values of chapters ({one_line(fault)}): take the "
            "committed one, or delete it and run `rulbook execute` on the real data."
        ) from fault
    return values


def unrecorded(chapter: Chapter, values: Values) -> list[str]:
    """Return the quotes of a chapter's text for which there is no value."""
    text = chapter.text.read_text(encoding="utf-8-sig", errors="replace")
    known = values.get(chapter.name, {})
    return [quote for quote in dict.fromkeys(QUOTE.findall(text)) if quote not in known]


def record(layout: Layout, executed: Sequence[Chapter]) -> None:
    """Write down what the texts quote from chapters that were just executed.

    Only what was computed on the real data, on a CPU and with the parameters of the published book
    is taken. Values of other chapters stay as they are, and so do timings once they are recorded.
    """
    before = read(layout)
    values = {
        chapter.name: dict(before[chapter.name])
        for chapter in chapters(layout)
        if chapter.name in before
    }
    for chapter in executed:
        if (quoted := _quoted(chapter, values.get(chapter.name, {}))) is not None:
            values[chapter.name] = quoted
    if values != before:
        content = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        paths.write_atomically(file_of(layout), content)


def glued(executed: "NotebookNode") -> dict[str, str]:
    """Return every value that an executed notebook stored, in Python's words, by its name."""
    return {
        output.metadata.scrapbook.name: output.data["application/papermill.record/text/plain"]
        for output in _glued_outputs(executed)
    }


def timings(executed: "NotebookNode") -> set[str]:
    """Return the names of those values that another run of the same code has otherwise."""
    from rulbook.display.glue import TIMING  # takes long to import

    return {
        output.metadata.scrapbook.name
        for output in _glued_outputs(executed)
        if output.metadata.get(TIMING)
    }


def _glued_outputs(executed: "NotebookNode") -> list["NotebookNode"]:
    return [
        output
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if "scrapbook" in output.get("metadata", {})
    ]


def _quoted(chapter: Chapter, recorded: Mapping[str, str]) -> dict[str, str] | None:
    """Return what a text quotes, or ``None`` if the execution is not one for publication."""
    from myst_nb.core.variables import format_plain_text

    from rulbook.publishing import conditions

    run = conditions.read(chapter)
    if (
        run is None
        or set(run.devices) != {"cpu"}
        or set(run.data.values()) - {"cmapss"}
        or run.parameters["profile"] != _PUBLISHED.profile
        or run.parameters["seed"] != _PUBLISHED.seed
    ):
        return None
    notebook = read_executed(chapter)
    stored, measured = glued(notebook), timings(notebook)
    quoted = {}
    for quote in QUOTE.findall(chapter.text.read_text(encoding="utf-8-sig")):
        # As the role of the pages takes it apart.
        name, _, form = quote.rpartition(":") if ":" in quote else (quote, "", "s")
        if name in measured and quote in recorded:
            quoted[quote] = recorded[quote]
        elif name in stored:
            quoted[quote] = format_plain_text(stored[name], form)
    return quoted
