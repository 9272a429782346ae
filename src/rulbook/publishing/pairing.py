"""The notebook of a chapter, made from its text, and the check that the two agree.

The text is the source of truth. Conversion is deterministic: a cell's id is a digest of its source,
and neither times nor versions are written.

A notebook carries a digest of what was written into it. While it holds, nobody has changed the
notebook since, and it may be written anew; where it does not, the change would be lost, and the
author says which of the two is to be kept.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.pairs import Pairs, what_to_do_about_edited
from rulbook.publishing.site_config import addresses

PARAMETERS_TAG = "parameters"
"""Tag of the cell whose assignments papermill replaces."""

_INSTALL = """\
# On Colab this installs the book's package; elsewhere it says how, if the package is missing.
import subprocess
import sys
from importlib.util import find_spec

package = "rulbook[studies] @ git+{url}"
if "google.colab" in sys.modules:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
elif find_spec("rulbook") is None:
    print(f'This notebook needs its package: pip install "{{package}}"')"""

_VOLATILE_METADATA = ("execution", "papermill")
_WRITTEN = "rulbook_pair"
"""Key of a notebook's metadata with the digest of what ``pair`` wrote into it."""
_INSTALL_ID = "install"
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)


def read_text(chapter: Chapter) -> str:
    """Return the text of a chapter.

    Raises:
        RulbookError: It is not UTF-8.
    """
    try:
        return chapter.text.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise RulbookError(
            f"'{chapter.text}' is not UTF-8 at byte {fault.start}: save it as UTF-8."
        ) from fault


def to_notebook(chapter: Chapter, text: str | None = None) -> NotebookNode:
    """Return the notebook of a chapter, without outputs.

    Args:
        chapter: The chapter.
        text: Its text, where it has been read already.

    Raises:
        RulbookError: The text is not a MyST notebook, or has no ``parameters`` cell.
    """
    try:
        notebook: NotebookNode = jupytext.reads(
            read_text(chapter) if text is None else text, fmt="md:myst"
        )
    except RulbookError:
        raise
    except Exception as fault:  # jupytext passes on whatever its parsers raise
        raise RulbookError(
            f"'{chapter.text}' cannot be read as a MyST notebook ({_one_line(fault)}): correct its "
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


def to_public_notebook(chapter: Chapter, repository_url: str) -> NotebookNode:
    """Return the notebook of a chapter as it is published: on Colab it installs the package.

    Without a ``repository_url`` there is nothing to install from, and nothing is added.
    """
    notebook = to_notebook(chapter)
    if repository_url:
        install = _INSTALL.format(url=repository_url)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(install, id=_INSTALL_ID))
    # Jupytext, which saves both sides in JupyterLab, leaves this out of notebooks.
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    notebook.metadata[_WRITTEN] = _digest(notebook)
    return notebook


def compare(layout: Layout) -> Pairs:
    """Return which notebooks do not agree with their texts, and on which side the change is."""
    url = addresses(layout).repository_url
    known = chapters(layout)
    states = {chapter.name: _state(chapter, url) for chapter in known}
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
        layout: The checkout.
        overwrite: Names of chapters whose notebooks are written although they were edited.

    Returns:
        The chapters whose notebooks were written.

    Raises:
        RulbookError: A notebook was edited; the message names both things that can be done. All
            others have been written.
    """
    url = addresses(layout).repository_url
    found = compare(layout)
    wanted = {*found.behind, *(name for name in found.edited if name in overwrite)}
    written = [chapter for chapter in chapters(layout) if chapter.name in wanted]
    for chapter in written:
        content = nbformat.writes(to_public_notebook(chapter, url)) + "\n"
        paths.write_atomically(chapter.notebook, content)
    if lost := tuple(name for name in found.edited if name not in overwrite):
        raise RulbookError(what_to_do_about_edited(lost))
    return written


def to_text(chapter: Chapter) -> None:
    """Write the text of a chapter from its notebook; the front matter of the text stays.

    Raises:
        RulbookError: There is no notebook, it cannot be read, or would be no chapter.
    """
    try:
        notebook = nbformat.read(chapter.notebook, as_version=4)
    except (OSError, *_UNREADABLE) as fault:
        raise RulbookError(
            f"'{chapter.notebook}' cannot be read as a notebook ({_one_line(fault)}): put it "
            f"right, or write it from the text with `rulbook pair --overwrite {chapter.name}`."
        ) from fault
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != _INSTALL_ID]
    for cell in notebook.cells:
        for key in _VOLATILE_METADATA:
            cell.metadata.pop(key, None)
    head, _ = _parts(read_text(chapter))
    text = head + _parts(jupytext.writes(notebook, fmt="md:myst"))[1]
    to_notebook(chapter, text)  # an error here leaves the text as it was
    paths.write_atomically(chapter.text, text)


def _parts(text: str) -> tuple[str, str]:
    """Return the front matter of a text, with the lines that enclose it, and the rest."""
    found = _FRONT_MATTER.match(text)
    return (found[0], text[found.end() :]) if found else ("", text)


_UNREADABLE = (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError)


def _state(chapter: Chapter, repository_url: str) -> str:
    if not chapter.notebook.is_file():
        return "behind"
    try:
        notebook = nbformat.read(chapter.notebook, as_version=4)
    except _UNREADABLE:
        return "edited"
    if _inputs(notebook) == _inputs(to_public_notebook(chapter, repository_url)):
        # A notebook without the digest was written before there was one, and gets it.
        return "in step" if _WRITTEN in notebook.metadata else "behind"
    untouched = notebook.metadata.get(_WRITTEN) == _digest(notebook)
    return "behind" if untouched else "edited"


def _digest(notebook: NotebookNode) -> str:
    return hashlib.sha256(json.dumps(_inputs(notebook), sort_keys=True).encode()).hexdigest()


def _inputs(notebook: NotebookNode) -> list[Any]:
    """Return what an author wrote: cells and their options, no ids, outputs, counts or times."""
    return [
        (
            cell.cell_type,
            cell.source,
            {key: value for key, value in cell.metadata.items() if key not in _VOLATILE_METADATA},
        )
        for cell in notebook.cells
    ]


def _one_line(fault: BaseException) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__
