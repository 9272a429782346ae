"""Stage the executed chapters with the other pages, and turn them into HTML."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import nbformat
import yaml
from rich.console import Console

from rulbook import paths
from rulbook.display.report import write_report
from rulbook.errors import RulbookError
from rulbook.publishing import web_assets
from rulbook.publishing.api_pages import api_pages
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.downloads import ROOT, write_downloads
from rulbook.publishing.execute import INJECTED_TAG
from rulbook.publishing.layout import Layout
from rulbook.publishing.numbering import number
from rulbook.publishing.site_config import addresses, site_config
from rulbook.publishing.stamps import folder_digest
from rulbook.publishing.substitutions import substitutions

_NOT_PAGES = ("*.md", "claims.yml")
"""Files of ``book/`` that are not copied as they are: pages are chosen one by one."""

_COLOURS_OF_A_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")


def build_site(layout: Layout, *, console: Console | None = None) -> bool:
    """Build the pages from the executed chapters, unless they are up to date.

    The finished pages are replaced in one move, and only by pages built without a warning.

    Returns:
        Whether they had to be built.

    Raises:
        RulbookError: A chapter was not executed, the table of contents and the pages differ,
            npm is not reachable, or Jupyter Book reports an error or a warning.
    """
    console = console or Console(stderr=True)
    with console.status("Staging the pages"):
        assets = web_assets.provide(layout.build / "web-assets")
        stage(layout, assets)
        pins = web_assets.stamp_of(assets).read_text(encoding="utf-8")
        made_of = f"{folder_digest(layout.staged)}\n{pins}"
    stamp = layout.build / "html.stamp"
    if layout.index.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == made_of:
        return False
    stamp.unlink(missing_ok=True)
    with console.status("Building the pages"), tempfile.TemporaryDirectory(dir=layout.build) as out:
        _run_jupyter_book(layout, Path(out))
        shutil.rmtree(layout.html, ignore_errors=True)
        (Path(out) / "_build" / "html").rename(layout.html)
    paths.write_atomically(stamp, made_of)
    return True


def stage(layout: Layout, assets: Path) -> None:
    """Fill the staged folder anew with everything that Jupyter Book reads.

    Pages of the reference of the package are written where the table of contents names them.

    Raises:
        RulbookError: A chapter was not executed, or the table of contents and the pages differ.
    """
    shutil.rmtree(layout.staged, ignore_errors=True)
    shutil.copytree(layout.book, layout.staged, ignore=shutil.ignore_patterns(*_NOT_PAGES))
    known = chapters(layout)
    for chapter in known:
        _stage_chapter(chapter, layout.staged)
    for page in set(layout.book.glob("*.md")) - {chapter.text for chapter in known}:
        shutil.copy2(page, layout.staged)
    write_report(layout.executed, layout.staged / "report.md")
    named = _contents(layout)
    for name, text in api_pages().items():
        if name in named:
            (layout.staged / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copy2(layout.root / "_toc.yml", layout.staged)
    config = site_config(layout, assets)
    _write_not_found(layout)
    write_downloads(layout)
    config["sphinx"]["config"]["html_extra_path"].append(ROOT)
    config["sphinx"]["config"]["myst_substitutions"] = substitutions(layout)
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (layout.staged / "_config.yml").write_text(text, encoding="utf-8")
    _check_contents(layout, named)


def _write_not_found(layout: Layout) -> None:
    """Write the page that web servers show for an unknown address.

    It is shown at any depth, so that it loads nothing, and links to the public address if there is
    one; otherwise its script looks for the front page.
    """
    home = addresses(layout).site_url
    template = files("rulbook.publishing").joinpath("not_found.html").read_text(encoding="utf-8")
    page = Template(template).substitute(home=home)
    paths.write_atomically(layout.staged / ROOT / "404.html", page)


def _stage_chapter(chapter: Chapter, folder: Path) -> None:
    if not chapter.executed.is_file():
        raise RulbookError(
            f"Chapter {chapter.name} was not executed: run `rulbook execute {chapter.name}`."
        )
    notebook = nbformat.read(chapter.executed, as_version=4)
    for cell in notebook.cells:
        if INJECTED_TAG in cell.metadata.get("tags", ()):
            cell.metadata.tags.append("hide-input")
    number(notebook, chapter.number)
    nbformat.write(notebook, folder / chapter.executed.name)


def _contents(layout: Layout) -> set[str]:
    """Return the names of the pages that the table of contents lists."""
    contents = (layout.root / "_toc.yml").read_text(encoding="utf-8")
    return set(_named_pages(yaml.safe_load(contents)))


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


def _named_pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, list):
        for part in entry:
            yield from _named_pages(part)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in {"root", "file"}:
                yield value
            else:
                yield from _named_pages(value)


def _run_jupyter_book(layout: Layout, out: Path) -> None:
    """Run a strict build into ``out``; keep what Jupyter Book said in a log."""
    log = layout.build / "pages.log"
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(layout.staged)]
    options = ["--path-output", str(out), "-n", "-W", "--keep-going"]
    result = subprocess.run(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = _COLOURS_OF_A_TERMINAL.sub("", result.stdout)
    paths.write_atomically(log, said)
    if result.returncode:
        complaints = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
        first = complaints[0].strip() if complaints else "it gave no reason"
        raise RulbookError(
            f"Jupyter Book reported {len(complaints)} warnings or errors, the first: {first}; "
            f"all of them are in '{log}'."
        )
