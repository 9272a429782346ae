"""Fill the folder that Jupyter Book reads: pages, executed chapters, configuration, downloads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml

from rulbook import paths
from rulbook.display.markup import html_of
from rulbook.display.report import search_script, write_report
from rulbook.errors import RulbookError
from rulbook.publishing import claim_search, minutes
from rulbook.publishing.api_pages import api_pages
from rulbook.publishing.chapters import Chapter, chapters, read_executed
from rulbook.publishing.downloads import ROOT, write_downloads, write_records
from rulbook.publishing.execute import INJECTED_TAG
from rulbook.publishing.layout import Layout
from rulbook.publishing.numbering import number
from rulbook.publishing.pairing import to_notebook
from rulbook.publishing.site_config import addresses, site_config
from rulbook.publishing.substitutions import substitutions
from rulbook.side_files import read_yaml

_NOT_PAGES = ("*.md", "claims.yml", "values.json", "speed.json")
"""Files of ``book/`` that are not copied as they are: pages are chosen one by one."""

_RECORDS_PAGE = "records"
"""The page that offers the records as tables."""


def stage(layout: Layout, assets: Path) -> None:
    """Fill the staged folder anew with everything that Jupyter Book reads.

    Pages of the reference of the package are written where the table of contents names them.

    Raises:
        RulbookError: a chapter was not executed, the table of contents and the pages differ, or a
            file that is edited by hand is not sound.
    """
    shutil.rmtree(layout.staged, ignore_errors=True)
    shutil.copytree(layout.book, layout.staged, ignore=_not_copied)
    known = chapters(layout)
    for chapter in known:
        _stage_chapter(chapter, layout.staged)
    for page in set(paths.files_in(layout.book, "*.md")) - {chapter.text for chapter in known}:
        shutil.copy2(page, layout.staged)
    values = substitutions(layout)
    cited = values["citation"].replace("*", "")
    write_report(layout.executed, layout.staged / "report.md", cited)
    named = _contents(layout)
    for name, text in api_pages().items():
        if name in named:
            (layout.staged / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copy2(layout.root / "_toc.yml", layout.staged)
    config = site_config(layout, assets)
    _write_not_found(layout)
    write_downloads(layout)
    if _RECORDS_PAGE in named:
        write_records(layout)
    script = search_script(layout.executed)
    paths.write_atomically(layout.staged / ROOT / claim_search.SCRIPT, script)
    config["sphinx"]["config"]["html_extra_path"].append(ROOT)
    config["sphinx"]["config"]["myst_substitutions"] = values
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (layout.staged / "_config.yml").write_text(text, encoding="utf-8")
    _check_contents(layout, named)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return which names in a folder of ``book/`` are pages, or in the way."""
    pages = shutil.ignore_patterns(*_NOT_PAGES)(folder, names)
    return {*pages, *filter(paths.is_in_the_way, names)}


def _write_not_found(layout: Layout) -> None:
    """Write the page that web servers show for an unknown address.

    It is shown at any depth, so that it loads nothing, and links to the public address if there is
    one; otherwise its script looks for the front page.
    """
    home = addresses(layout).site_url
    page = html_of("not_found", home=home)
    paths.write_atomically(layout.staged / ROOT / "404.html", page)


def _stage_chapter(chapter: Chapter, folder: Path) -> None:
    notebook = with_present_prose(read_executed(chapter), to_notebook(chapter))
    for cell in notebook.cells:
        if INJECTED_TAG in cell.metadata.get("tags", ()):
            cell.metadata.tags.append("hide-input")
    minutes.say(notebook, chapter)
    number(notebook, chapter.number)
    nbformat.write(notebook, folder / chapter.executed.name)


def with_present_prose(
    executed: nbformat.NotebookNode, present: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """Return the executed notebook with the prose and the options of cells as the text has them.

    Prose is changed without executing anything. Where the code was changed too, the execution is
    shown with the text that it belongs to: the two would not fit together.
    """
    own: list[nbformat.NotebookNode] = []
    injected: dict[int, nbformat.NotebookNode] = {}
    for cell in executed.cells:
        if cell.cell_type == "code":
            if INJECTED_TAG in cell.metadata.get("tags", ()):
                injected[len(own)] = cell
            else:
                own.append(cell)
    code = [cell for cell in present.cells if cell.cell_type == "code"]
    if [cell.source for cell in own] != [cell.source for cell in code]:
        return executed
    cells: list[nbformat.NotebookNode] = []
    position = 0
    for cell in present.cells:
        if cell.cell_type == "code":
            ran = own[position]
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
            position += 1
        cells.append(cell)
        if cell.cell_type == "code" and position in injected:
            cells.append(injected[position])
    executed.cells = cells
    return executed


def _contents(layout: Layout) -> set[str]:
    """Return the names of the pages that the table of contents lists."""
    contents = layout.root / "_toc.yml"
    named: set[str] = set()
    for page in _named_pages(read_yaml(contents)):
        if not isinstance(page, str):
            raise RulbookError(
                f"'{contents}' has {page!r} for a page: write the name of its file, in quotes if "
                "it is a number."
            )
        named.add(page)
    return named


def _check_contents(layout: Layout, named: set[str]) -> None:
    """Raise unless the table of contents names every staged page, and no other."""
    contents = layout.root / "_toc.yml"
    staged = {page.stem for page in layout.staged.iterdir() if page.suffix in {".md", ".ipynb"}}
    for name in sorted(staged - named):
        raise RulbookError(f"The page {name} is not in '{contents}': add it there.")
    for name in sorted(named - staged):
        raise RulbookError(
            f"'{contents}' names {name}, which is no page of '{layout.book}': take it out, or "
            "write the page."
        )


def _named_pages(entry: object) -> Iterator[object]:
    if isinstance(entry, list):
        for part in entry:
            yield from _named_pages(part)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in {"root", "file"}:
                yield value
            else:
                yield from _named_pages(value)
