"""Slides of each chapter's figures with their sentences, by nbconvert and reveal.js.

They lie in a folder of their own that can be copied anywhere: scripts, styles and fonts are beside
them, and nothing is asked of another host.
"""

import re
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import nbformat
from markupsafe import Markup
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from traitlets.config import Config

from rulbook import paths
from rulbook.display.markup import html_of
from rulbook.errors import RulbookError
from rulbook.publishing import content_security, web_assets
from rulbook.publishing.chapters import Chapter
from rulbook.publishing.layout import Layout
from rulbook.publishing.numbering import number

_TEMPLATE = "slides_template"
_BESIDE = ("slides.css", "slides.js")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FIGURE = re.compile(
    r'<figure class="rulbook-figure"[^>]*>(?P<svg><svg.*?</svg>)\s*'
    r"(?:<figcaption[^>]*>(?P<caption>.*?)</figcaption>)?\s*</figure>",
    re.DOTALL,
)
_ALT = re.compile(r'<svg[^>]*\baria-label="([^"]*)"')


def write_slides(layout: Layout, chapters: list[Chapter]) -> list[Path]:
    """Write the slides of chapters below ``layout.slides``, with all that they load.

    Returns:
        The page of each chapter.

    Raises:
        RulbookError: a chapter was not executed, or npm is not reachable.
    """
    for chapter in chapters:
        if not chapter.executed.is_file():
            raise RulbookError(
                f"Chapter {chapter.name} was not executed: run `rulbook execute {chapter.name}`."
            )
    web_assets.provide_slides(layout.slides / web_assets.REVEAL)
    source = files("rulbook.publishing").joinpath(_TEMPLATE)
    for name in _BESIDE:
        (layout.slides / name).write_bytes(source.joinpath(name).read_bytes())
    with as_file(source) as template:
        return [_write(layout, chapter, template) for chapter in chapters]


def _write(layout: Layout, chapter: Chapter, template: Path) -> Path:
    executed = nbformat.read(chapter.executed, as_version=4)
    number(executed, chapter.number)
    exporter = SlidesExporter(
        config=Config(
            SlidesExporter={
                "reveal_url_prefix": web_assets.REVEAL,
                "reveal_theme": "white",
                "template_name": template.name,
                "extra_template_basedirs": [str(template.parent)],
            }
        )
    )
    slides = notebook_of_slides(executed)
    page, _ = exporter.from_notebook_node(slides)
    place = layout.slides / f"{chapter.name}.html"
    paths.write_atomically(place, content_security.protected(page, place.name))
    return place


def notebook_of_slides(executed: NotebookNode) -> NotebookNode:
    """Return a notebook whose cells are slides: the title, then each figure under its heading.

    Args:
        executed: an executed chapter, its captions numbered.
    """
    title, *figures = _slides(executed)
    cells = [
        nbformat.v4.new_markdown_cell(
            source, id=f"slide-{position}", metadata={"slideshow": {"slide_type": "slide"}}
        )
        for position, source in enumerate((title, *figures))
    ]
    slides: NotebookNode = nbformat.v4.new_notebook(
        cells=cells, metadata={"title": title.removeprefix("# ")}
    )
    return slides


def _slides(executed: NotebookNode) -> Iterator[str]:
    heading = ""
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            headings = _HEADING.findall(cell.source)
            if headings and not heading:
                yield f"# {headings[0]}"
            heading = (headings or [heading])[-1]
            continue
        for output in cell.get("outputs", ()):
            for figure in _FIGURE.finditer(output.get("data", {}).get("text/html", "")):
                yield f"## {heading}\n\n{_drawn(figure)}"


def _drawn(figure: re.Match[str]) -> str:
    alt = _ALT.match(figure["svg"])
    # No line of a block of HTML may be empty: Markdown would end the block there.
    html = html_of(
        "slide",
        svg=Markup(figure["svg"]),
        caption=Markup(figure["caption"] or ""),
        alt=Markup(alt[1] if alt else ""),
    )
    return re.sub(r"\n\s*\n", "\n", html)
