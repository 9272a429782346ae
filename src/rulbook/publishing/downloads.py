"""What pages offer to take away: of a chapter its notebook, text and script; claims and records.

For lecturers, the notebooks without the solutions of exercises, in one archive.

Also the Sphinx extension that puts them into the download menu of the page.
"""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from sphinx.application import Sphinx

from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.pairing import to_public_notebook
from rulbook.publishing.references import References
from rulbook.publishing.site_config import AFTER_THE_THEME, addresses

FOLDER = "downloads"
"""Where the files are, below the root of the site."""

ROOT = "root"
"""The staged folder whose files go to the root of the site as they are."""

UNSOLVED = "notebooks-without-solutions.zip"
"""The notebooks without solutions, below ``FOLDER``."""

_NO_DATE = (1980, 1, 1, 0, 0, 0)
_KINDS = ((".ipynb", "Notebook"), (".md", "Text of the notebook"), (".py", "Python script"))


def write_downloads(layout: Layout) -> None:
    """Write the three files of every chapter and those of the claims into the staged folder."""
    from rulbook.display.report import claim_files  # takes long to import, and Sphinx needs it not

    url = addresses(layout).repository_url
    references = References.of(layout)
    folder = layout.staged / ROOT / FOLDER
    folder.mkdir(parents=True)
    for name, text in claim_files(layout.executed).items():
        (folder / name).write_text(text, encoding="utf-8")
    for chapter in chapters(layout):
        notebook = to_public_notebook(chapter, references, url)
        nbformat.write(notebook, folder / f"{chapter.name}.ipynb")
        jupytext.write(notebook, folder / f"{chapter.name}.py", fmt="py:percent")
        shutil.copy2(chapter.text, folder)
    with zipfile.ZipFile(folder / UNSOLVED, "w", zipfile.ZIP_DEFLATED) as archive_of_all:
        for chapter in chapters(layout):
            unsolved = to_public_notebook(chapter, references, url, solutions=False)
            # The same notebooks are the same archive: none of its members has a date.
            member = zipfile.ZipInfo(f"{chapter.name}.ipynb", _NO_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive_of_all.writestr(member, nbformat.writes(unsolved) + "\n")


def write_records(layout: Layout) -> None:
    """Write what the carried records say, by run and by epoch, into the staged folder.

    Raises:
        RulbookError: a record cannot be read.
    """
    from rulbook.studies import archive

    folder = layout.staged / ROOT / FOLDER
    records = archive.carried_records()
    archive.write_csv(archive.whole_table(records), folder / "runs.csv")
    archive.write_csv(archive.epochs_table(records), folder / "epochs.csv")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", _offer, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offer(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Offer the files in place of the theme's: its notebook is the executed one, for the page."""
    for group in context["header_buttons"]:
        if group["label"] == "download-buttons":
            group["buttons"] = [
                *(_button(page, suffix, words) for suffix, words in _KINDS if _is_there(app, page)),
                *(button for button in group["buttons"] if button["type"] == "javascript"),
            ]


def _is_there(app: Sphinx, page: str) -> bool:
    return (Path(app.srcdir) / ROOT / FOLDER / f"{page}.ipynb").is_file()


def _button(page: str, suffix: str, words: str) -> dict[str, str]:
    return {
        "type": "link",
        "url": f"{FOLDER}/{page}{suffix}",
        "text": suffix,
        "tooltip": words,
        "icon": "fas fa-file",
        "label": f"download-{suffix[1:]}-button",
    }
