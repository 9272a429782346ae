"""Slides of each chapter: what it finds, and its figures with their sentences.

nbconvert writes them and reveal.js shows them. They lie in a folder of their own that can be copied
anywhere: scripts, styles and fonts are beside them, and nothing is asked of another host.
"""

import re
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from traitlets.config import Config

from rulbook import paths
from rulbook.display.markup import html_of
from rulbook.publishing import content_security, pairing, plain_markdown, web_assets
from rulbook.publishing.chapters import Chapter, read_executed
from rulbook.publishing.layout import Layout
from rulbook.publishing.numbering import number
from rulbook.publishing.plain_markdown import HEADING
from rulbook.publishing.references import References

_TEMPLATE = "slides_template"
_BESIDE = ("slides.css", "slides.js")
_FINDINGS = re.compile(r"^> \*\*What this chapter finds\*\*\n((?:>.*\n?)+)", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_FORMULA = re.compile(r"\$([^$\n]+)\$")
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
        RulbookError: a chapter was not executed, or its executed notebook cannot be read; its text
            has a role without a plain form; or npm is not reachable.
    """
    executed = {chapter: read_executed(chapter) for chapter in chapters}
    web_assets.provide_slides(layout.slides / web_assets.REVEAL)
    source = files("rulbook.publishing").joinpath(_TEMPLATE)
    for name in _BESIDE:
        (layout.slides / name).write_bytes(source.joinpath(name).read_bytes())
    references = References.of(layout)
    with as_file(source) as template:
        return [
            _write(layout, chapter, notebook, _findings(chapter, references), template)
            for chapter, notebook in executed.items()
        ]


def _findings(chapter: Chapter, references: References) -> str:
    """Return what a chapter finds as a list in Markdown, or nothing if it has no such box.

    The values are the recorded ones, as in the notebooks. Links lead nowhere from a slide, and are
    left as words; formulas become MathML, which needs no script.
    """
    prose = plain_markdown.plain_cells(pairing.to_notebook(chapter), chapter.name, references)
    boxes = (_FINDINGS.search(plain_markdown.plain(pieces)) for pieces in prose)
    box = next(filter(None, boxes), None)
    if box is None:
        return ""
    words = re.sub(r"^> ?", "", box[1], flags=re.MULTILINE).strip()
    return _FORMULA.sub(lambda formula: convert(formula[1]), _LINK.sub(r"\1", words))


def _write(
    layout: Layout, chapter: Chapter, executed: NotebookNode, findings: str, template: Path
) -> Path:
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
    slides = notebook_of_slides(executed, findings)
    page, _ = exporter.from_notebook_node(slides)
    place = layout.slides / f"{chapter.name}.html"
    paths.write_atomically(place, content_security.protected(page, place.name))
    return place


def notebook_of_slides(executed: NotebookNode, findings: str) -> NotebookNode:
    """Return a notebook whose cells are slides: title, findings, each figure under its heading.

    Args:
        executed: an executed chapter, its captions numbered.
        findings: what it finds in Markdown; without there is no such slide.
    """
    title, *figures = _slides(executed)
    found = [f"## What this chapter finds\n\n{findings}"] if findings else []
    cells = [
        nbformat.v4.new_markdown_cell(
            source, id=f"slide-{position}", metadata={"slideshow": {"slide_type": "slide"}}
        )
        for position, source in enumerate((title, *found, *figures))
    ]
    slides: NotebookNode = nbformat.v4.new_notebook(
        cells=cells, metadata={"title": title.removeprefix("# ")}
    )
    return slides


def _slides(executed: NotebookNode) -> Iterator[str]:
    heading = ""
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            headings = HEADING.findall(cell.source)
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
