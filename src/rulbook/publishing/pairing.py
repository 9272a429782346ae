"""The notebooks of a chapter, made from its text, and the check that text and notebook agree.

The text is the source of truth, and what is executed for the page is a notebook with its roles and
directives. The notebook that a reader opens has the same code cells, and plain Markdown: the values
that a build on the real data recorded, solutions closed, code that the page hides folded.

Conversion is deterministic: a cell's id is a digest of its source in the text, and neither times
nor versions are written.

A notebook carries a digest of what was written into it. While it holds, nobody has changed the
notebook since, and it may be written anew; where it does not, the change would be lost, and the
author says which of the two is to be kept.
"""

import hashlib
import json
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.warnings import DuplicateCellId

from rulbook import paths
from rulbook.errors import RulbookError, one_line
from rulbook.publishing import plain_markdown
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.pairs import Pairs, what_to_do_about_edited
from rulbook.publishing.references import References
from rulbook.publishing.site_config import addresses
from rulbook.side_files import read_text

PARAMETERS_TAG = "parameters"
"""Tag of the cell whose assignments papermill replaces."""

_INSTALL = """\
# On Colab this installs the companion's package; elsewhere it says how, if the package is missing.
import subprocess
import sys
from importlib.util import find_spec

package = "rulbook[studies] @ git+{url}"
if "google.colab" in sys.modules:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
elif find_spec("rulbook") is None:
    print(f'This notebook needs its package: pip install "{{package}}"')"""

_OPTIONS_OF_CELLS = ("tags", "label", "mystnb")
"""The metadata of cells that is an author's; all else is what editors and programs leave there."""

_LEFT_BY_RUNS = ("execution", "papermill", "ExecuteTime", "outputId", "scrolled", "collapsed")
"""The metadata of cells that is about their outputs."""

_FOLDING = "jupyter"
"""The metadata of cells that says what JupyterLab folds."""

_WRITTEN = "rulbook_pair"
"""Key of a notebook's metadata with the digest of what ``pair`` wrote into it."""
_INSTALL_ID = "install"
_LEXER = re.compile(r"^```+\{code-cell\} (\S+)$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)


def to_notebook(chapter: Chapter, text: str | None = None) -> NotebookNode:
    """Return the notebook of a chapter, without outputs.

    Args:
        chapter: the chapter.
        text: its text, where it has been read already.

    Raises:
        RulbookError: the text is not a MyST notebook, or has no ``parameters`` cell.
    """
    try:
        notebook: NotebookNode = jupytext.reads(
            read_text(chapter.text) if text is None else text, fmt="md:myst"
        )
    except RulbookError:
        raise
    except Exception as fault:  # jupytext passes on whatever its parsers raise
        raise RulbookError(
            f"'{chapter.text}' cannot be read as a MyST notebook ({one_line(fault)}): correct its "
            "front matter or the options of its code cells."
        ) from fault
    if not any(PARAMETERS_TAG in cell.metadata.get("tags", ()) for cell in notebook.cells):
        raise RulbookError(
            f"'{chapter.text}' has no code cell tagged '{PARAMETERS_TAG}': begin it with one that "
            "sets profile, data, device and seed."
        )
    notebook.metadata.get("jupytext", {}).get("text_representation", {}).pop(
        "jupytext_version", None
    )
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        cell.id = f"{digest}-{seen[digest]}"
        seen[digest] += 1
    nbformat.validate(notebook)
    return notebook


def to_public_notebook(
    chapter: Chapter,
    references: References,
    repository_url: str,
    text: str | None = None,
    *,
    solutions: bool = True,
) -> NotebookNode:
    """Return the notebook of a chapter as readers open it, with plain prose and folded cells.

    On Colab it installs the package, where there is a ``repository_url`` to install it from.

    Args:
        chapter: the chapter.
        references: what the texts refer to.
        repository_url: where the package can be installed from.
        text: the chapter's text, where it is not that of the file.
        solutions: whether the solutions of its exercises are in it.

    Raises:
        RulbookError: as ``to_notebook``, or a role or directive of the text has no plain form.
    """
    notebook = to_notebook(chapter, text)
    if not solutions:
        plain_markdown.without_solutions(notebook)
    in_solutions = plain_markdown.solution_cells(notebook)
    prose = iter(plain_markdown.plain_cells(notebook, chapter.name, references))
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = plain_markdown.plain(next(prose))
        elif folded := _folded(cell, in_solution=position in in_solutions):
            cell.metadata[_FOLDING] = folded
    if repository_url:
        install = _INSTALL.format(url=repository_url)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(install, id=_INSTALL_ID))
    # Jupytext would take it for the text, and write its plain Markdown over it.
    notebook.metadata.pop("jupytext", None)
    notebook.metadata[_WRITTEN] = _digest(notebook)
    return notebook


def _folded(cell: NotebookNode, *, in_solution: bool) -> dict[str, bool]:
    """Return which parts of a code cell are folded, in the words of JupyterLab's metadata.

    An output that only the page leaves out is shown: it needs a kernel, and here there is one.
    """
    tags = set(cell.metadata.get("tags", ()))
    both = in_solution or not tags.isdisjoint({"hide-cell", "remove-cell"})
    folded = {
        "source_hidden": both or not tags.isdisjoint({"hide-input", "remove-input"}),
        "outputs_hidden": both or "hide-output" in tags,
    }
    return {part: True for part, is_folded in folded.items() if is_folded}


def compare(layout: Layout) -> Pairs:
    """Return which notebooks do not agree with their texts, and on which side the change is."""
    url = addresses(layout).repository_url
    references = References.of(layout)
    known = chapters(layout)
    states = {chapter.name: _state(chapter, references, url) for chapter in known}
    texts = {chapter.name for chapter in known}
    return Pairs(
        behind=tuple(name for name, state in states.items() if state == "behind"),
        edited=tuple(name for name, state in states.items() if state == "edited"),
        without_text=tuple(
            path.stem
            for path in paths.files_in(layout.notebooks, "*.ipynb")
            if path.stem not in texts
        ),
    )


def pair(layout: Layout, overwrite: Sequence[str] = ()) -> list[Chapter]:
    """Write the notebook of every chapter whose text was changed.

    Args:
        layout: the checkout.
        overwrite: names of chapters whose notebooks are written although they were edited.

    Returns:
        The chapters whose notebooks were written.

    Raises:
        RulbookError: a notebook was edited; the message names both things that can be done. All
            others have been written.
    """
    url = addresses(layout).repository_url
    found = compare(layout)
    wanted = {*found.behind, *(name for name in found.edited if name in overwrite)}
    written = [chapter for chapter in chapters(layout) if chapter.name in wanted]
    references = References.of(layout)
    for chapter in written:
        notebook = to_public_notebook(chapter, references, url)
        _keep_what_programs_left(notebook, chapter)
        paths.write_atomically(chapter.notebook, nbformat.writes(notebook) + "\n")
    if lost := tuple(name for name in found.edited if name not in overwrite):
        raise RulbookError("\n".join(what_to_do_about_edited(lost)))
    return written


def _keep_what_programs_left(notebook: NotebookNode, chapter: Chapter) -> None:
    """Give cells the metadata of programs that they had: the kind of a slide, points of a grader.

    A cell is the one of the same id. One whose text was edited has another id: between two cells
    that stayed it is the one at its place, where as many cells stand there before and after.
    """
    try:
        before = _read_notebook(chapter).cells
    except (OSError, *_UNREADABLE):
        return
    old_ids, ids = ([str(cell.get("id")) for cell in cells] for cells in (before, notebook.cells))
    matched = SequenceMatcher(a=old_ids, b=ids, autojunk=False)
    for _, start, end, new_start, new_end in matched.get_opcodes():
        if end - start != new_end - new_start:
            continue
        for old, cell in zip(before[start:end], notebook.cells[new_start:new_end], strict=True):
            if cell.cell_type == old.cell_type:
                for key in old.metadata.keys() - {*_OPTIONS_OF_CELLS, _FOLDING, *_LEFT_BY_RUNS}:
                    cell.metadata.setdefault(key, old.metadata[key])


def to_text(layout: Layout, chapter: Chapter) -> None:
    """Take what was edited in the notebook of a chapter into its text.

    Code, options of cells and new cells are taken as they are. Prose is taken where the text has it
    word for word; what stands for a role or a directive of the text can only be changed there.

    Raises:
        RulbookError: there is no notebook, it cannot be read, or would be no chapter; the text was
            edited too; or an edit touches what the text has a role or a directive for. The message
            names the place, and the text is left as it was.
    """
    try:
        edited = _read_notebook(chapter)
    except (OSError, *_UNREADABLE) as fault:
        raise RulbookError(
            f"'{chapter.notebook}' cannot be read as a notebook ({one_line(fault)}): put it "
            f"right, or write it from the text with `rulbook pair --overwrite {chapter.name}`."
        ) from fault
    for cell in edited.cells:
        cell.source = cell.source.strip("\n")  # a text has no blank lines at the ends of a cell
    url = addresses(layout).repository_url
    references = References.of(layout)
    written = to_public_notebook(chapter, references, url)
    if edited.metadata.get(_WRITTEN) != written.metadata[_WRITTEN]:
        raise RulbookError(
            f"The text of {chapter.name} was edited too, or its recorded values, after its "
            "notebook was written: put the text back as it was, take the notebook into it, and "
            f"edit it again; or drop the notebook's edits with `rulbook pair --overwrite "
            f"{chapter.name}`."
        )
    notebook = _with_prose_of_text(edited, written, chapter, references)
    before = read_text(chapter.text)
    if lexer := _LEXER.search(before):  # jupytext writes it after the name of every code cell
        notebook.metadata["language_info"] = {"pygments_lexer": lexer[1]}
    head, _ = _parts(before)
    text = head + _parts(jupytext.writes(notebook, fmt="md:myst"))[1]
    try:
        made = to_public_notebook(chapter, references, url, text)
    except RulbookError as fault:
        why = one_line(fault.__cause__ or fault).rstrip(".")
        raise RulbookError(
            f"The notebook of {chapter.name} cannot be taken into its text, which would be no "
            f"chapter any more ({why}): undo the last edits of cells and of their tags in "
            f"'{chapter.notebook}'."
        ) from fault
    for position, (old, new) in enumerate(zip(_inputs(edited), _inputs(made), strict=False)):
        if old != new:
            raise _not_taken(chapter, position, "it would look different afterwards")
    if len(edited.cells) != len(made.cells):
        raise _not_taken(chapter, len(made.cells), "its cells would be divided differently")
    paths.write_atomically(chapter.text, text)
    # What the notebook says is the text's now, so that the next edit of the text may replace it.
    edited.metadata[_WRITTEN] = _digest(edited)
    paths.write_atomically(chapter.notebook, nbformat.writes(edited) + "\n")


def _with_prose_of_text(
    edited: NotebookNode, written: NotebookNode, chapter: Chapter, references: References
) -> NotebookNode:
    """Return the edited notebook with the prose as the text is to have it.

    Raises:
        RulbookError: an edit cannot be taken into the text.
    """
    source = to_notebook(chapter)
    pieces = iter(plain_markdown.plain_cells(source, chapter.name, references))
    prose = {cell.id: next(pieces) for cell in source.cells if cell.cell_type == "markdown"}
    by_words = {cell.source: cell.id for cell in written.cells if cell.cell_type == "markdown"}
    install = [cell.source for cell in written.cells if cell.id == _INSTALL_ID]
    notebook: NotebookNode = nbformat.from_dict({**edited, "cells": []})
    for position, cell in enumerate(edited.cells):
        # Colab saves cells without the ids that they had.
        if cell.get("id") == _INSTALL_ID or cell.source in install:
            continue
        if cell.get("attachments"):
            raise _not_taken(
                chapter,
                position,
                "it holds a pasted image, which a text cannot hold (save it as a file in "
                "book/_static instead)",
            )
        taken = nbformat.from_dict(cell)
        taken.metadata = nbformat.from_dict(_options(cell))
        # Some editors give cells new ids; where the words are the same it is the same cell.
        if cell.cell_type == "markdown":
            known = prose.pop(cell.get("id"), None) or prose.pop(by_words.get(cell.source), None)
            try:
                if known is not None:
                    taken.source = plain_markdown.take_back(known, cell.source)
            except plain_markdown.ProseChangeError as fault:
                raise _not_taken(chapter, position, str(fault)) from fault
        notebook.cells.append(taken)
    for lost in prose.values():
        if not all(piece.is_kept for piece in lost):
            first = plain_markdown.plain(lost).split("\n", 1)[0]
            raise RulbookError(
                f"The notebook of {chapter.name} no longer has the cell that begins “{first}”, and "
                f"the text has roles or directives there: delete it in '{chapter.text}', or undo "
                "the deletion, joining, splitting or conversion of cells."
            )
    return notebook


def _not_taken(chapter: Chapter, position: int, why: str) -> RulbookError:
    return RulbookError(
        f"Cell {position + 1} of the notebook of {chapter.name} cannot be taken into the text: "
        f"{why}. Make that change in '{chapter.text}', and undo it in the notebook."
    )


def _parts(text: str) -> tuple[str, str]:
    """Return the front matter of a text, with the lines that enclose it, and the rest."""
    found = _FRONT_MATTER.match(text)
    return (found[0], text[found.end() :]) if found else ("", text)


_KINDS_OF_CELLS = ("code", "markdown", "raw")

_UNREADABLE = (ValueError, nbformat.ValidationError)
"""What says why a file is no notebook: no UTF-8, no JSON, no format that is known."""


def _read_notebook(chapter: Chapter) -> NotebookNode:
    """Read a notebook; whatever else reading it ends in is ``nbformat.ValidationError`` too."""
    try:
        with warnings.catch_warnings():
            # Cells that were copied share an id; here words tell them apart.
            warnings.simplefilter("ignore", DuplicateCellId)
            notebook: NotebookNode = nbformat.read(
                chapter.notebook, as_version=4, capture_validation_error={}
            )
        # What else the schema asks for is of outputs and counts, which nobody takes.
        for cell in notebook.cells:
            if cell.cell_type not in _KINDS_OF_CELLS or not isinstance(cell.source, str):
                raise nbformat.ValidationError("it has a cell of no known kind, or without text")
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        _inputs(notebook)
        notebook.metadata.get(_WRITTEN)
    except (OSError, *_UNREADABLE):
        raise
    except Exception as fault:  # nbformat passes on what its parts stumble over
        raise nbformat.ValidationError("it is JSON, and no notebook") from fault
    return notebook


def _state(chapter: Chapter, references: References, repository_url: str) -> str:
    if not chapter.notebook.is_file():
        return "behind"
    try:
        notebook = _read_notebook(chapter)
    except _UNREADABLE:
        return "edited"
    if _inputs(notebook) == _inputs(to_public_notebook(chapter, references, repository_url)):
        # A notebook without the digest was written before there was one, and gets it.
        return "in step" if _WRITTEN in notebook.metadata else "behind"
    untouched = notebook.metadata.get(_WRITTEN) == _digest(notebook)
    return "behind" if untouched else "edited"


def _digest(notebook: NotebookNode) -> str:
    return hashlib.sha256(json.dumps(_inputs(notebook), sort_keys=True).encode()).hexdigest()


def _options(cell: NotebookNode) -> dict[str, Any]:
    """Return the options that an author gave a cell; an empty list of tags is none."""
    return {key: cell.metadata[key] for key in _OPTIONS_OF_CELLS if cell.metadata.get(key)}


def _inputs(notebook: NotebookNode) -> list[Any]:
    """Return what an author wrote: cells and their options, no ids, outputs, counts or times."""
    return [
        (
            cell.cell_type,
            cell.source,
            _options(cell),
            # Only where there is one: digests were written before pasted images counted.
            *([cell.attachments] if cell.get("attachments") else ()),
        )
        for cell in notebook.cells
    ]
