"""The notebook of a chapter, made from its text, and the check that the two agree.

The text is the source of truth. Conversion is deterministic: a cell's id is a digest of its source,
and neither times nor versions are written.
"""

import hashlib
from collections import Counter
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.layout import Layout
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


def to_notebook(chapter: Chapter) -> NotebookNode:
    """Return the notebook of a chapter, without outputs.

    Raises:
        RulbookError: The text is not a MyST notebook, or has no ``parameters`` cell.
    """
    try:
        notebook: NotebookNode = jupytext.read(chapter.text, fmt="md:myst")
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
        notebook.cells.insert(0, nbformat.v4.new_code_cell(install, id="install"))
    return notebook


def pair(layout: Layout) -> list[Chapter]:
    """Write the notebook of every chapter whose notebook is missing or differs from its text.

    A notebook whose text is gone is removed.

    Returns:
        The chapters whose notebooks were written.
    """
    url = addresses(layout).repository_url
    stale = [chapter for chapter in chapters(layout) if not _in_step(chapter, url)]
    for chapter in stale:
        content = nbformat.writes(to_public_notebook(chapter, url)) + "\n"
        paths.write_atomically(chapter.notebook, content)
    for orphan in _orphans(layout):
        (layout.notebooks / f"{orphan}.ipynb").unlink()
    return stale


def out_of_step(layout: Layout) -> list[str]:
    """Return the names of chapters whose notebook does not agree with their text, either way."""
    url = addresses(layout).repository_url
    stale = [chapter.name for chapter in chapters(layout) if not _in_step(chapter, url)]
    return stale + _orphans(layout)


def _in_step(chapter: Chapter, repository_url: str) -> bool:
    if not chapter.notebook.is_file():
        return False
    try:
        notebook = nbformat.read(chapter.notebook, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError):
        return False
    return _inputs(notebook) == _inputs(to_public_notebook(chapter, repository_url))


def _orphans(layout: Layout) -> list[str]:
    texts = {chapter.name for chapter in chapters(layout)}
    return sorted(path.stem for path in layout.notebooks.glob("*.ipynb") if path.stem not in texts)


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
