"""Numbers for the tables and figures of a chapter, and references to them by number.

A code cell with the option ``:label: NAME`` can be pointed to from the text of its chapter, as
``[Table](#NAME)`` or ``[Figure](#NAME)``: on the page the link has the number, in Jupyter it is the
bare word.
"""

import re
from collections import Counter

from nbformat import NotebookNode

from rulbook.errors import RulbookError

_LABEL = "label"
_CAPTION = re.compile(r"<(caption|figcaption)>")
_KINDS = {"caption": "Table", "figcaption": "Figure"}
_REFERENCE = re.compile(r"\[(Table|Figure)\]\(#([a-z0-9-]+)\)")


def number(notebook: NotebookNode, chapter: str) -> None:
    """Number the captions of an executed notebook, and resolve what its text refers to.

    Args:
        notebook: it is changed.
        chapter: the number of the chapter, two digits; ``04`` makes the first table Table 4.1.

    Raises:
        RulbookError: the text refers to a table or figure that no cell of the chapter shows.
    """
    found = _number_captions(notebook, int(chapter))

    def numbered(reference: re.Match[str]) -> str:
        kind, label = reference.groups()
        if (kind, label) not in found:
            raise RulbookError(
                f"Chapter {chapter} refers to a {kind.lower()} '{label}', and no cell with "
                f"the option ':label: {label}' shows one: correct the reference or the cell."
            )
        return f'<a class="reference internal" href="#{label}">{found[kind, label]}</a>'

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _REFERENCE.sub(numbered, cell.source)


def _number_captions(notebook: NotebookNode, chapter: int) -> dict[tuple[str, str], str]:
    """Return the first number that a cell gave out by kind and by the cell's label."""
    counts: Counter[str] = Counter()
    found: dict[tuple[str, str], str] = {}
    for cell in notebook.cells:
        label = cell.metadata.get(_LABEL)

        def numbered(caption: re.Match[str], label: str | None = label) -> str:
            tag = caption[1]
            kind = _KINDS[tag]
            counts[kind] += 1
            words = f"{kind} {chapter}.{counts[kind]}"
            anchor = ""
            if label and (kind, label) not in found:
                found[kind, label] = words
                anchor = f' id="{label}"'
            return f'<{tag}{anchor}><span class="rulbook-number">{words}.</span> '

        for output in cell.get("outputs", ()):
            if html := output.get("data", {}).get("text/html"):
                output.data["text/html"] = _CAPTION.sub(numbered, html)
    return found
